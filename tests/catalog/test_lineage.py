"""Lineage: from content to content across runs, upwards and downwards, and what is stale."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta

import pytest

import reprokit as rk
from reprokit.catalog import lineage
from reprokit.catalog.index import Index
from reprokit.errors import RunNotFoundError
from tests.catalog.made_up import START, MadeVault, artifact
from tests.conftest import Project, git

PIPELINE = """
import sys, reprokit as rk
from helpers import scale
@rk.monitor
@rk.snapshot_code
@rk.Artifact("out", config={"a": 1}, allow_dirty=True)
def clean(src, out):
    text = open(rk.current().use(src)).read()
    open(out, "w").write(str(scale(int(text))))
CFG = {"b": 2}
@rk.monitor
@rk.snapshot_code
@rk.Artifact("out", config=CFG, allow_dirty=True)
def plot(src, out):
    open(out, "w").write("plot of " + open(rk.current().use(src)).read())
"""
USE = """
import glob, pipeline
pipeline.clean("raw.csv", "clean.csv")
pipeline.plot(max(glob.glob("clean-*.csv")), "fig.txt")
"""
HELPERS = "OTHER = 1\ndef scale(x):\n    return x * 2\ndef unused():\n    return 1\n"


def digest(number):
    return f"sha256:{number:064x}"


def made(number, path=None, role="generated", size=10):
    return artifact(path or f"f{number}", digest(number), role, size)


def trace(vault, wanted, **options):
    with Index.open(vault) as index:
        return lineage.trace(index, wanted, **options)


def tree(found, key=None, *, up=True):
    """Give a lineage as nested tuples of what nodes are called."""
    key = key or found.focus
    name = found.runs[key].what if key in found.runs else found.files[key].paths[0]
    return (name, sorted(tree(found, other, up=up) for other, _ in (found.above(key) if up else found.below(key))))


@pytest.fixture
def pipeline(project):
    (project.root / "helpers.py").write_text(HELPERS)
    (project.root / "pipeline.py").write_text(PIPELINE)
    (project.root / "raw.csv").write_text("21")
    project.commit_all()
    project.python(USE)
    return project


def stale(project, wanted):
    found = rk.Vault(project.vault).lineage(wanted, stale=True)
    return {found.files[key].paths[0].partition("-")[0]: reasons for key, reasons in found.stale.items()}


def test_a_figure_leads_up_to_the_raw_data_and_the_data_down_to_the_figure(pipeline):
    (figure,) = pipeline.root.glob("fig-*.txt")
    (table,) = pipeline.root.glob("clean-*.csv")
    found = trace(pipeline.vault, figure.name)
    assert tree(found) == (figure.name, [("pipeline.plot", [(table.name, [("pipeline.clean", [("raw.csv", [])])])])])
    assert tree(trace(pipeline.vault, "raw.csv"), up=False) == (
        "raw.csv",
        [("pipeline.clean", [(table.name, [("pipeline.plot", [(figure.name, [])])])])],
    )
    by_run = trace(pipeline.vault, "@")
    assert by_run.runs[by_run.focus].what == "pipeline.plot"
    assert len(by_run.files) == 3


def test_depth_counts_runs(pipeline):
    (figure,) = pipeline.root.glob("fig-*.txt")
    assert [run.what for run in trace(pipeline.vault, figure.name, depth=1).runs.values()] == ["pipeline.plot"]
    assert len(trace(pipeline.vault, figure.name, depth=2).runs) == 2


def test_nothing_is_stale_when_nothing_changed(pipeline):
    (figure,) = pipeline.root.glob("fig-*.txt")
    with open(pipeline.root / "helpers.py", "a") as stream:  # what the functions don't reach, and comments
        stream.write("# more\ndef added():\n    return 2\n")
    text = (pipeline.root / "helpers.py").read_text()
    (pipeline.root / "helpers.py").write_text(
        text.replace("OTHER = 1", "OTHER = 2").replace("return x * 2", '"""Doc."""\n    return x * 2  # twice')
    )
    assert stale(pipeline, figure.name) == {}


@pytest.mark.parametrize(
    ("name", "old", "new", "who", "why"),
    [
        ("helpers.py", "x * 2", "x * 3", "clean", "code: helpers:scale changed"),
        ("helpers.py", "def scale", "def scaled", "clean", "code: helpers:scale is no longer there"),
        ("pipeline.py", '"plot of "', '"drawing of "', "fig", "code: pipeline:plot changed"),
        ("pipeline.py", 'CFG = {"b": 2}', 'CFG = {"b": 3, "c": [1]}', "fig", "config: b 2 -> 3, c.0 nothing -> 1"),
        ("pipeline.py", 'config={"a": 1}', 'config={"a": 2}', "clean", "config: a 1 -> 2"),
        ("raw.csv", "21", "22", "clean", "input raw.csv changed"),
        ("raw.csv", None, None, "clean", "input raw.csv is gone"),
    ],
)
def test_a_change_makes_stale_what_depends_on_it_and_says_why(pipeline, name, old, new, who, why):
    (figure,) = pipeline.root.glob("fig-*.txt")
    (table,) = pipeline.root.glob("clean-*.csv")
    path = pipeline.root / name
    if old is None:
        path.unlink()
    else:
        path.write_text(path.read_text().replace(old, new))
    found = stale(pipeline, figure.name)
    assert why in found[who]
    if who == "clean":
        assert found["fig"] == [f"input {table.name} is stale itself"]
    else:
        assert "clean" not in found
    done = pipeline.reprokit("lineage", figure.name, "--stale", "--up")
    assert done.returncode == 0, done.stderr
    assert why in done.stdout


def test_staleness_is_told_from_the_commit_where_no_snapshot_was_kept(project):
    (project.root / "helpers.py").write_text(HELPERS)
    (project.root / "pipeline.py").write_text(PIPELINE.replace("@rk.snapshot_code\n", ""))
    (project.root / "raw.csv").write_text("21")
    (project.root / "script.py").write_text(USE)
    project.commit_all()
    project.python(USE)
    (figure,) = project.root.glob("fig-*.txt")
    assert stale(project, figure.name) == {}
    (project.root / "helpers.py").write_text(HELPERS.replace("x * 2", "x * 3"))
    assert "code: helpers:scale changed" in stale(project, figure.name)["clean"]


def test_looking_at_staleness_imports_nothing(pipeline):
    (figure,) = pipeline.root.glob("fig-*.txt")
    path = pipeline.root / "helpers.py"
    path.write_text(path.read_text() + "\nopen('ran', 'w')\n")
    assert pipeline.reprokit("lineage", figure.name, "--stale").returncode == 0
    assert not (pipeline.root / "ran").exists()


def test_a_file_comes_from_the_run_that_wrote_it_last_before_it_was_used(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    at = [START + timedelta(days=day) for day in range(5)]
    vault.run("early", started=at[0], artifacts=[made(1)])
    vault.run("right", started=at[1], artifacts=[made(1)])
    user = vault.run("user", started=at[2], artifacts=[made(1, role="used"), made(2)])
    vault.run("late", started=at[3], artifacts=[made(1)])
    assert tree(trace(vault.path, user.name)) == ("user", [("f1", [("right", [])])])


def test_a_file_that_was_changed_by_hand_leads_inexactly_to_who_wrote_it_before(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    vault.run("writer", artifacts=[made(1, "table.csv")])
    user = vault.run("reader", artifacts=[made(2, "table.csv", "used"), made(3)])
    found = trace(vault.path, user.name, down=False)
    assert tree(found) == ("reader", [("table.csv", [("writer", [])])])
    assert [edge.exact for edge in found.edges] == [True, False]


def test_empty_files_are_not_taken_for_one_another(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    vault.run("a", artifacts=[made(1, "a.log", size=0)])
    user = vault.run("b", artifacts=[made(1, "b.txt", "used", size=0)])
    assert tree(trace(vault.path, user.name, down=False)) == ("b", [("b.txt", [])])


def test_what_a_child_run_read_counts_for_its_siblings_only_when_they_read_nothing(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    folder = vault.run(
        "whole",
        run_id="aa" * 16,
        children=[
            {"function": "load", "run_id": "b1" * 16, "artifacts": [made(1, role="used")]},
            {"function": "draw", "run_id": "b2" * 16, "artifacts": [made(2)]},
            {"function": "alone", "run_id": "b3" * 16, "artifacts": [made(3, role="used"), made(4)]},
        ],
    )
    assert folder.exists()
    assert tree(trace(vault.path, "b2", down=False)) == ("draw", [("f1", []), ("f3", [])])
    assert tree(trace(vault.path, "b3", down=False)) == ("alone", [("f3", [])])
    assert sorted(tree(trace(vault.path, "b1", up=False), up=False)[1]) == [("f2", []), ("f4", [])]
    found = trace(vault.path, "b2", down=False)
    assert {edge.via for edge in found.edges} == {"b1" * 16, "b3" * 16}


def test_circles_end(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    vault.run("a", run_id="a" * 32, artifacts=[made(1, role="used"), made(2)])
    vault.run("b", run_id="b" * 32, artifacts=[made(2, role="used"), made(1)])
    vault.run(
        "c",
        run_id="c" * 32,
        children=[{"run_id": "d" * 32, "parent": "e" * 32}, {"run_id": "e" * 32, "parent": "d" * 32}],
    )
    for wanted in ("aaa", "bbb", "ccc", "ddd"):
        found = trace(vault.path, wanted)
        assert found.focus in found.runs
        found.mermaid(), found.dot(), found._repr_html_()
    assert len(trace(vault.path, "aaa").runs) == 2


def test_a_wide_lineage_is_cut_and_says_so(tmp_path, monkeypatch):
    vault = MadeVault(tmp_path / "vault")
    vault.run("source", run_id="a" * 32, artifacts=[made(1)])
    vault.run("sweep", children=[{"artifacts": [made(1, role="used"), made(100 + n)]} for n in range(600)])
    found = trace(vault.path, "aaa")
    assert found.cut
    assert len(found.runs) == 501


EVIL = "x\"];</script><img src=x onerror=alert(1)>\x1b[31m\u202e'`&#59;\n%%"


def test_every_form_escapes_what_names_hold(tmp_path, monkeypatch):
    vault = MadeVault(tmp_path / "vault")
    folder = vault.run(EVIL, folder="evil", artifacts=[made(1, EVIL), made(2, role="used")])
    found = trace(vault.path, folder.name)
    assert "<img" not in found._repr_html_()
    lines = found.mermaid().splitlines()
    assert all(line.startswith(("flowchart", "  n", "  classDef", "  style")) for line in lines)
    assert not any(letter in found.mermaid() for letter in "<`\x1b\u202e'")
    dot = found.dot()
    if shutil.which("dot"):
        import subprocess

        subprocess.run(["dot", "-Tsvg"], input=dot.encode(), check=True, capture_output=True)
    assert dot.count('label="') == 3
    (tmp_path / "reprokit.toml").write_text("")
    done = Project(tmp_path).reprokit("lineage", "evil")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_the_command_prints_every_form(pipeline):
    (figure,) = pipeline.root.glob("fig-*.txt")
    document = json.loads(pipeline.reprokit("lineage", figure.name, "--json").stdout)
    assert document["schema"] == "reprokit/lineage/1"
    assert len(document["files"]) == 3
    assert len(document["edges"]) == 4
    assert pipeline.reprokit("lineage", figure.name, "--mermaid").stdout.startswith("flowchart LR\n")
    assert pipeline.reprokit("lineage", figure.name, "--dot").stdout.startswith("digraph lineage {\n")
    done = pipeline.reprokit("lineage", "nothing.png")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_a_file_that_no_run_knows_is_an_error(pipeline):
    (pipeline.root / "new.csv").write_text("5")
    with pytest.raises(RunNotFoundError):
        trace(pipeline.vault, "new.csv")


def test_a_project_that_moved_is_looked_at_where_it_lies_now(pipeline, tmp_path, monkeypatch):
    (figure,) = pipeline.root.glob("fig-*.txt")
    moved = tmp_path / "moved"
    shutil.move(pipeline.root, moved)
    monkeypatch.chdir(moved)
    found = rk.Vault("vault").lineage(figure.name, stale=True)
    assert found.stale == {}
    assert git(moved, "status", "--porcelain", "--untracked-files=no") == ""


def test_the_same_content_under_several_names_is_shown_under_that_of_each_run(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    vault.run("source", run_id="a" * 32, artifacts=[made(9, "raw.csv")])
    for name in ("x", "y"):
        vault.run(name, artifacts=[made(9, f"copy/{name}.csv", "used"), made(1, f"{name}.txt")])
    found = trace(vault.path, "aaa", up=False)
    assert {(found.runs[edge.run].what, edge.kind): edge.path for edge in found.edges} == {
        ("source", "generated"): "raw.csv",
        ("x", "used"): "copy/x.csv",
        ("y", "used"): "copy/y.csv",
        ("x", "generated"): "x.txt",
        ("y", "generated"): "y.txt",
    }
    assert found.files[digest(1)].paths == ["x.txt", "y.txt"]
    (tmp_path / "reprokit.toml").write_text("")
    done = Project(tmp_path).reprokit("lineage", "aaa", "--down")
    lines = [line.strip("│├└─ ") for line in done.stdout.splitlines()]
    of_y = next(number for number, line in enumerate(lines) if line.startswith("y, run"))
    assert "(as copy/y.csv)" in lines[of_y]
    assert lines[of_y + 1].startswith("y.txt")
    assert "y.txt" in found._repr_html_()
    assert '|"copy/y.csv"|' in found.mermaid()
    assert 'label="copy/y.csv"' in found.dot()


def test_an_edited_file_says_that_the_lineage_is_of_what_was_written(pipeline):
    (figure,) = pipeline.root.glob("fig-*.txt")
    assert trace(pipeline.vault, figure.name).notes == []
    figure.write_text("retouched")
    found = trace(pipeline.vault, figure.name)
    (run,) = (run for run in found.runs.values() if run.what == "pipeline.plot")
    assert found.notes == [f"changed since: this is the lineage of what run {run.run_id[:8]} had written"]
    done = pipeline.reprokit("lineage", figure.name, "--up")
    assert f"what went into {figure.name} (changed since" in done.stdout
    assert json.loads(pipeline.reprokit("lineage", figure.name, "--json").stdout)["notes"] == found.notes
    assert "changed since" in found._repr_html_()


def test_an_input_whose_present_content_no_run_used_says_so(pipeline):
    (pipeline.root / "raw.csv").write_text("22")
    found = trace(pipeline.vault, "raw.csv")
    assert found.notes == ["1 run used other content of it"]
    assert found.runs == {}
    done = pipeline.reprokit("lineage", "raw.csv")
    assert done.returncode == 0, done.stderr
    assert "1 run used other content of it" in done.stdout
    (pipeline.root / "elsewhere").mkdir()
    (pipeline.root / "elsewhere" / "raw.csv").write_text("23")
    with pytest.raises(RunNotFoundError):
        trace(pipeline.vault, "elsewhere/raw.csv")
    (pipeline.root / "raw.csv").unlink()
    found = trace(pipeline.vault, "raw.csv")
    assert len(found.runs) == 2
    assert "not there any more" in found.notes[0]


def test_a_file_that_is_nowhere_and_of_no_run_is_told(pipeline):
    done = pipeline.reprokit("lineage", "nothere.png")
    assert done.returncode == 1
    assert "'nothere.png' is not there, and no run in" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_two_forms_at_once_are_a_usage_error(pipeline):
    done = pipeline.reprokit("lineage", "@", "--mermaid", "--dot")
    assert (done.returncode, "give one of" in done.stderr) == (2, True)


def test_a_run_is_also_named_by_the_path_of_its_folder(pipeline):
    folder = pipeline.folders[0]
    assert trace(pipeline.vault, str(folder)).focus in trace(pipeline.vault, folder.name).runs
