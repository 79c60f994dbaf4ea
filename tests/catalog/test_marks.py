"""Tags and notes: what is a name, where it is written, and who may write it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.catalog import find, scan
from reprokit.errors import AmbiguousRunError, MarkError, RunNotFoundError, VaultError
from reprokit.vault import marks
from tests.catalog import vaults


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("marks") / "project"
    vaults.build(root)
    return root


@pytest.fixture
def vault(made, tmp_path):
    return vaults.copied(made, tmp_path / "project") / "vault"


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a b",
        "a\n",
        "x\x1b[31m",
        "x\u202e",
        "x\u200b",
        "@",
        "@new",
        "-x",
        "dead",
        "0",
        "f" * 32,
        "x" * 101,
        "\t",
        "a\u00a0b",
    ],
)
def test_names_that_are_refused(name, vault):
    run = scan.find(vault, "@")
    with pytest.raises(MarkError):
        marks.tag(run, ["fine", name])
    assert scan.find(vault, "@").tags == []  # not even the first one was written


@given(st.text(max_size=120))
def test_a_name_that_is_accepted_can_be_typed_and_is_no_id(name):
    try:
        marks.check_tag(name)
    except MarkError:
        return
    assert name.isprintable()
    assert name.split() == [name]
    assert not set(name) <= set("0123456789abcdef")
    assert json.loads(json.dumps(name)) == name


def test_tags_are_given_and_taken_back_and_the_journal_is_told(vault):
    run = scan.find(vault, "@")
    assert marks.tag(run, ["paper", "fig-3", "paper"]) == ["paper", "fig-3"]
    assert scan.find(vault, "@").tags == ["fig-3", "paper"]
    marks.tag(run, ["paper"], remove=True)
    assert scan.find(vault, "@").tags == ["fig-3"]
    marks.tag(run, ["paper"])
    assert scan.find(vault, "@").tags == ["fig-3", "paper"]
    lines = [json.loads(line) for path in (vault / "journal").iterdir() for line in path.read_text().splitlines()]
    told = [line for line in lines if line["event"] == "mark"]
    assert len(told) == 3
    assert {(line["run_id"], line["folder"]) for line in told} == {(run.run_id, run.folder.name)}


def test_a_child_run_has_tags_of_its_own(vault):
    outer = next(run for run in scan.runs(vault) if run.kind == "block")
    marks.tag(outer.children[1], ["inner"])
    again = scan.find(vault, outer.run_id)
    assert again.tags == []
    assert again.children[1].tags == ["inner"]
    assert find.named(vault, "inner").run_id == outer.children[1].run_id
    assert find.named(vault, outer.children[0].run_id[:12]).run_id == outer.children[0].run_id


def test_a_tag_stands_for_its_run(vault):
    first, second = scan.runs(vault)[:2]
    marks.tag(first, ["best"])
    assert find.named(vault, "best").run_id == first.run_id
    marks.tag(second, ["best"])
    with pytest.raises(AmbiguousRunError):
        find.named(vault, "best")
    marks.tag(first, ["best"], remove=True)
    assert find.named(vault, "best").run_id == second.run_id
    with pytest.raises(RunNotFoundError):
        find.named(vault, "worst")


def test_notes_hold_no_secret(vault):
    run = scan.find(vault, "@")
    token = "ghp_" + "a1B2" * 9
    written = marks.note(run, f"  used {token} for this\n")
    assert token not in written
    assert scan.find(vault, "@").notes == [written]
    assert not [path for path in vault.rglob("*.jsonl") if token in path.read_text()]
    with pytest.raises(MarkError):
        marks.tag(run, [token])
    for text in ("", " \n ", "x" * 100_001):
        with pytest.raises(MarkError):
            marks.note(run, text)


def test_notes_keep_their_order_and_odd_text(vault):
    run = scan.find(vault, "@")
    texts = ["first", "second\nline", "\udcff odd", "<script>"]
    for text in texts:
        marks.note(run, text)
    assert scan.find(vault, "@").notes == ["first", "second\nline", "\\xff odd", "<script>"]


def test_processes_that_mark_at_once_lose_nothing(vault):
    code = (
        "import sys, pathlib\nfrom reprokit.catalog import scan\nfrom reprokit.vault import marks\n"
        "run = scan.find(pathlib.Path(sys.argv[1]), '@')\n"
        "for n in range(20): marks.tag(run, [f'tag-{sys.argv[2]}-{n}'])\n"
    )
    env = {**os.environ, "PYTHONPATH": str(vaults.SOURCE)}
    started = [subprocess.Popen([sys.executable, "-c", code, str(vault), str(n)], env=env) for n in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert len(scan.find(vault, "@").tags) == 60


def test_a_run_that_is_gone_and_a_vault_that_cannot_be_written(vault):
    run = scan.find(vault, "@")
    hidden = run.folder.with_name(".removed-" + run.folder.name)
    run.folder.rename(hidden)
    with pytest.raises(RunNotFoundError):
        marks.tag(run, ["late"])
    assert run.run_id not in vaults.run_ids(vault)  # a hidden folder is no run
    run.folder.write_text("a file where the folder was: nothing can be written below it")
    with pytest.raises(VaultError, match="writable"):
        marks.tag(run, ["late"])
