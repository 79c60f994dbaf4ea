"""What users of other caches reported, and what an attacker would try, replayed: no answer differs from what the code says."""

from __future__ import annotations

import os

import pytest

import reprokit
from tests.conftest import git
from tests.reuse import reported_cases, reported_page
from tests.reuse.reported_cases import Prepared, Replay

CASES = reported_cases.read()
_OF_POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="sessions are forked")


def parameters():
    for case in CASES:
        marks = [_OF_POSIX]
        if "short" not in case.marks:
            marks.append(pytest.mark.slow)
        if "bug" in case.marks:
            marks.append(pytest.mark.xfail(reason="known, and to be mended"))
        yield pytest.param(case, id=case.id, marks=marks)


@pytest.fixture(scope="module")
def prepared():
    started = Prepared()
    yield started
    started.close()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository to start from, with settings, so that it is one project wherever a session goes."""
    root = tmp_path_factory.mktemp("repository")
    git(root, "init", "-q", "-b", "main", "--template=")
    (root / ".gitignore").write_text(reported_cases.IGNORED)
    (root / "reprokit.toml").write_text("")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


@pytest.mark.parametrize("case", list(parameters()))
def test_an_answer_never_differs_from_what_the_code_says(case, prepared, repository, tmp_path):
    """But for the stated limits: there it does, and when it no longer does, the limit is gone and is to be stated no more."""
    replay = Replay(case, prepared, tmp_path, repository, asks_why=hasattr(reprokit, "why"))
    assert not replay.play()
    assert replay.differs == ("limit" in case.marks)


def test_the_page_tells_every_case():
    assert reported_page.PAGE.read_text() == reported_page.page(CASES), "python -m tests.reuse.reported_page writes it"
