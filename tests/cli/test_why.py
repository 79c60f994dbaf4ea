"""``reprokit why FILE``: whether a file would be given again, told without executing anything of the project."""

from __future__ import annotations

import json
import shutil

import pytest

from reprokit.catalog.index import Index
from tests.catalog.why_project import FILES, WhyProject


@pytest.fixture
def project(make_repo, monkeypatch):
    root = make_repo(files=FILES)
    monkeypatch.chdir(root)
    made = WhyProject(root)
    made.install("1.0")
    made.run()
    return made


def reasons(done):
    return [line[2:] for line in done.stdout.splitlines() if line.startswith("  ")]


def test_a_file_that_would_be_given_again_ends_with_0_and_names_the_run(project):
    done = project.ask(project.made())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{project.made()}: would be given again, from run {project.pre()['run_id'][:8]} of ")
    assert len(done.stdout.splitlines()) == 1


def test_a_changed_helper_ends_with_1_and_is_shown_with_its_lines(project):
    project.edit("pkg/prep.py", "row.strip()", "row.lower()")
    done = project.ask(project.made())
    assert done.returncode == 1
    assert reasons(done)[0] == "helper `clean` in pkg/prep.py changed"
    assert "--- a/pkg/prep.py\n+++ b/pkg/prep.py\n" in done.stdout
    assert "-    return [row.strip() for row in rows][:WINDOW]\n+    return [row.lower() for" in done.stdout


def test_json_says_the_same_and_carries_its_schema(project):
    project.edit("pkg/config.py", '"lr": 0.1', '"lr": 0.2')
    done = project.ask(project.made(), "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["schema"] == "reprokit/why/1"
    assert told["hit"] is False
    assert told["reasons"] == ["config.lr 0.1 -> 0.2"]
    assert told["run_id"] == project.pre()["run_id"]


def test_nothing_of_the_project_is_imported_or_executed(project):
    for name in ("steps.py", "pkg/prep.py", "pkg/__init__.py"):
        text = (project.root / name).read_text()
        (project.root / name).write_text(f"{text}\nopen('executed', 'w').close()\nraise SystemExit(3)\n")
    (project.root / "site-packages" / "outside.py").write_text("open('executed', 'w').close()\n")
    assert project.ask(project.made()).returncode in (0, 1)
    assert not (project.root / "executed").exists()


def test_it_leaves_everything_as_it_is(project):
    before = project.state()
    project.ask(project.made())
    assert project.state() == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda p: (p.root / "data.csv").write_text("x\n"), "data.csv has other content"),
        (lambda p: (p.root / "data.csv").unlink(), "data.csv is no longer there"),
        (lambda p: p.install("2.0"), "outside 1.0 -> 2.0"),
        (lambda p: shutil.rmtree(p.root / "site-packages"), "outside 1.0 is no longer installed in "),
        (lambda p: (p.root / p.made()).write_text("else"), "model-*.pkl, which it made, is gone or was changed"),
        (lambda p: shutil.rmtree(p.vault / "blobs"), "what it returned is gone from the vault, or is damaged"),
        (lambda p: (p.root / "pkg/prep.py").unlink(), "constant `WINDOW` in pkg/config.py"),
        (
            lambda p: (p.root / "reprokit.toml").write_text("[reuse]\nenabled = false\n"),
            "the settings switch reuse off ",
        ),
        (
            lambda p: (p.root / "reprokit.toml").write_text('[reuse]\npython = "any"\n'),
            "the version of Python counts no longer",
        ),
    ],
)
def test_what_else_speaks_against_it_is_said(project, change, said):
    made = project.made()
    change(project)
    done = project.ask(made)
    assert done.returncode == 1, done.stderr
    first = reasons(done)[0]
    if "constant" in said:
        assert "helper `clean` in pkg/prep.py is no longer there" in reasons(done)
    else:
        assert first.startswith(said.replace("model-*.pkl", made))


def test_a_file_that_is_gone_or_moved_and_that_the_vault_keeps_would_be_given(project):
    made = project.made()
    shutil.copy(project.root / made, project.root / "elsewhere.bin")
    assert project.ask("elsewhere.bin").returncode == 0
    (project.root / made).unlink()
    done = project.ask("elsewhere.bin")
    assert done.returncode == 1
    assert reasons(done) == [f"{made}, which it made, is gone or was changed"]


def test_a_reused_copy_leads_to_the_run_that_made_it(project):
    first = project.pre()["run_id"]
    (project.root / "README").write_text("more\n")
    project.commit_all()
    project.run()
    assert project.post()["reused_from"] == first
    newest = project.made()
    told = json.loads(project.ask(newest, "--json").stdout)
    assert (told["run_id"], told["hit"]) == (first, True)
    for path in project.root.glob("model-*.pkl"):
        if path.name != newest:
            path.unlink()
    assert json.loads(project.ask(newest, "--json").stdout)["hit"] is True


def test_a_run_that_failed_after_writing_is_told(project):
    project.edit("steps.py", "    return fitted", "        stream.flush()\n        raise ValueError('no luck')")
    project.run("data.csv", "late.pkl", check=False)
    done = project.ask(project.made("late-*.pkl"))
    assert done.returncode == 1
    assert reasons(done)[0] == f"run {project.pre()['run_id'][:8]}, which made it, failed: ValueError: no luck"


def test_a_run_whose_result_is_not_used_again_is_told(project):
    project.edit(
        "steps.py",
        "        rows = clean(stream)",
        "        rows = clean(stream)\n    open(data_path, 'a').write('more')",
    )
    project.run("data.csv", "worse.pkl")
    done = project.ask(project.made("worse-*.pkl"))
    assert reasons(done)[0] == "its result is not used again: it changed data.csv"


def test_a_file_from_before_reuse_was_asked_for_is_told(project):
    project.edit("steps.py", 'exists="reuse", ', "")
    project.run("data.csv", "plain.pkl")
    done = project.ask(project.made("plain-*.pkl"))
    assert done.returncode == 1
    assert "was made when its result was not to be used again" in reasons(done)[0]


def test_a_result_that_the_vault_no_longer_lists_is_told(project):
    shutil.rmtree(project.vault / "reuse")
    assert "is no longer among those whose results the vault lists" in reasons(project.ask(project.made()))[0]


def test_source_that_is_no_longer_at_hand_is_no_hit(project):
    project.edit("pkg/prep.py", "row.strip()", "row.title()")
    project.run("data.csv", "dirty.pkl")
    shutil.rmtree(project.vault / "code.git")
    for path in project.folders[-1].glob("*.diff"):
        path.unlink()
    done = project.ask(project.made("dirty-*.pkl"))
    assert done.returncode == 1
    assert reasons(done)[0].startswith("whether its code changed cannot be known: its code of then is not at hand: ")


def test_a_file_that_no_run_made_is_an_error_with_a_remedy(project):
    (project.root / "own.txt").write_text("by hand")
    for name in ("own.txt", "nothing.pkl"):
        done = project.ask(name)
        assert done.returncode == 2
        assert done.stdout == ""
        assert f"made {name}; `reprokit whence {name}`" in done.stderr
        assert "--vault" in done.stderr


def test_another_vault_can_be_named(project, tmp_path):
    shutil.move(project.vault, tmp_path / "other")
    assert project.ask(project.made()).returncode == 2
    done = project.ask(project.made(), "--vault", tmp_path / "other")
    assert done.returncode in (0, 1), done.stderr


def test_a_child_runs_file_is_told(project):
    (project.root / "outer.py").write_text(
        "import reprokit as rk, steps\nwith rk.run('outer', allow_dirty=True):\n    steps.train('data.csv', 'inner.pkl', n=3)\n"
    )
    project.process("outer.py")
    assert project.ask(project.made("inner-*.pkl")).returncode == 0
    project.edit("pkg/prep.py", "row.strip()", "row.lower()")
    assert reasons(project.ask(project.made("inner-*.pkl")))[0] == "helper `clean` in pkg/prep.py changed"


def test_a_deleted_index_is_built_anew(project):
    Index.open(project.vault).close()
    for path in project.vault.glob("index.sqlite*"):
        path.unlink()
    assert project.ask(project.made()).returncode == 0
