"""Fixtures for results that are used again."""

from __future__ import annotations

import textwrap

import pytest

from tests.conftest import git
from tests.reuse.sessions import Sessions


@pytest.fixture(scope="module")
def sessions():
    """Start new processes quickly."""
    started = Sessions()
    yield started
    started.close()


@pytest.fixture
def session(project, sessions):
    """Run code in a new process, in the project; give the lines that it printed."""
    write(project, {".gitignore": "vault/\n__pycache__/\n*-*.txt*\nout/\n"})

    def run(code, **options):
        return sessions(project.root, code, **options).lines

    return run


def write(project, files):
    """Write files and commit them."""
    for name, text in files.items():
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    git(project.root, "add", "-A")
    git(project.root, "commit", "-q", "-m", "more", "--allow-empty")
