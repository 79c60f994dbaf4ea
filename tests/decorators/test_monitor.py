"""``@monitor``: what is recorded of a call."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import re
import sys
import threading
from datetime import datetime
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import errors
from reprokit.capture import random as random_state

np = pytest.importorskip("numpy")


@rk.monitor
def fit(n, seed=None):
    return n


def test_bare_and_with_options(project):
    assert fit(3) == 3
    assert rk.monitor(include_return_value=True)(lambda: [1, {"a": 2}])() == [1, {"a": 2}]
    assert project.post(0)["return_value"] is None
    assert project.post(1)["return_value"] == [1, {"a": 2}]


def test_documents_hold_what_capsula_reads(project):
    """Keys and types of capsula 0.0.19's models."""
    fit(3, seed=None)
    context, pre, post = project.context(), project.pre(), project.post()
    assert {"root_directory", "cwd", "platform", "environment_variables", "git", "files", "cpu"} <= set(context)
    assert {"machine", "node", "platform", "release", "version", "system", "processor", "python"} <= set(
        context["platform"]
    )
    python = context["platform"]["python"]
    assert {
        "executable_architecture",
        "build_no",
        "build_date",
        "compiler",
        "branch",
        "implementation",
        "version",
    } <= set(python)
    assert all(isinstance(v, str) for k, v in python.items() if k in ("build_no", "compiler", "branch", "version"))
    (info,) = context["git"].values()
    assert {"path", "sha", "branch", "remotes"} <= set(info)
    assert {
        "root_directory",
        "cwd",
        "timestamp",
        "source_file",
        "source_line",
        "function_name",
        "args",
        "kwargs",
    } <= set(pre)
    assert pre["function_name"] == "fit"
    assert pre["args"] == [3]
    assert pre["kwargs"] == {"seed": None}
    assert {"root_directory", "timestamp", "run_time", "files", "return_value", "exception_info"} <= set(post)
    assert re.fullmatch(r"PT\d+\.\d+S", post["run_time"])
    assert datetime.fromisoformat(pre["timestamp"]).utcoffset() is not None


def test_git_python_packages_and_machine(project):
    fit(1)
    context = project.context()
    (info,) = context["git"].values()
    assert info["sha"].startswith(project.commit)
    assert info["branch"] == "main"
    assert info["dirty"] is False
    names = {p["name"].lower().replace("_", "-"): p["version"] for p in context["packages"]}
    assert names["numpy"] == np.__version__
    assert context["platform"]["python"]["version"] == sys.version.split()[0]
    assert context["memory"] > 0
    assert project.pre()["source_file"] == __file__
    assert project.pre()["process"]["pid"] == os.getpid()
    assert project.post()["resources"]["peak_memory"] > 0


def test_context_and_pre_run_info_are_on_disk_before_the_function_starts(project):
    @rk.monitor
    def look():
        folder = rk.current().folder
        return sorted(p.name for p in folder.iterdir())

    assert look() == ["context.json", "pre-run-info.json"]


def test_arguments_that_json_cannot_hold_are_described(project):
    class Rude:
        def __repr__(self):
            raise RuntimeError("no")

    fit(Rude(), seed=np.zeros((2, 3)))
    pre = project.pre()
    assert pre["args"][0]["$type"].endswith("Rude")
    assert pre["kwargs"]["seed"]["shape"] == [2, 3]
    assert set(pre["inexact"]) == {"args[0]", "kwargs['seed']"}
    assert project.post()["faults"] == []


def test_random_state_is_recorded_so_that_a_run_can_be_replayed(project):
    @rk.monitor
    def draw():
        return random.random(), np.random.rand()

    first = draw()
    draw()
    random_state.restore(project.pre(0)["random_state"])
    assert (random.random(), np.random.rand()) == first


def test_items_files_are_hashed_copied_and_moved(project):
    Path("reprokit.toml").write_text(
        """
[capture.files]
"pipeline.py" = { hash = "sha256", copy = true }
[monitor.item.pi.files]
"pi.png" = { hash = "md5", move = true }
"absent.txt" = { hash = "sha3" }
"""
    )

    @rk.monitor(items=("pi",))
    def draw():
        Path("pi.png").write_bytes(b"png")

    draw()
    assert (
        project.context()["files"]["pipeline.py"]["hash"]
        == hashlib.sha256(Path("pipeline.py").read_bytes()).hexdigest()
    )
    files = project.post()["files"]
    assert files["pi.png"]["hash"] == hashlib.md5(b"png").hexdigest()
    assert files["absent.txt"] is None
    assert not Path("pi.png").exists()
    assert (project.folders[-1] / "pi.png").read_bytes() == b"png"
    assert (project.folders[-1] / "pipeline.py").exists()


def test_an_unknown_item_names_the_nearest(project):
    Path("reprokit.toml").write_text('[monitor.item.pie.files]\n"a" = {}\n')
    with pytest.raises(errors.SettingsError, match="did you mean 'pie'"):
        rk.monitor(items="pi")(lambda: None)()


def test_output_is_kept_and_still_appears(project, capsys):
    @rk.monitor(capture_output=True)
    def talk():
        print("hello", "wörld")
        print("oops", file=sys.stderr)

    before = sys.stdout, sys.stderr
    talk()
    assert (sys.stdout, sys.stderr) == before
    assert capsys.readouterr() == ("hello wörld\n", "oops\n")
    assert project.post()["stdout"] == "hello wörld\n"
    assert (project.folders[-1] / "stderr.txt").read_text() == "oops\n"


def test_output_of_threads_and_tasks_goes_to_the_run_that_printed_it(project, capsys):
    barrier = threading.Barrier(4)

    @rk.monitor(capture_output=True)
    def talk(n):
        for _ in range(20):
            barrier.wait(10)
            print(f"line of {n}")

    threads = [threading.Thread(target=talk, args=(n,)) for n in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for index in range(4):
        n = project.pre(index)["args"][0]
        assert project.post(index)["stdout"] == f"line of {n}\n" * 20

    @rk.monitor(capture_output=True)
    async def tell(n):
        for _ in range(5):
            await asyncio.sleep(0)
            print(f"task {n}")

    async def main():
        await asyncio.gather(tell(0), tell(1))

    asyncio.run(main())
    for index in (-1, -2):
        assert project.post(index)["stdout"] == f"task {project.pre(index)['args'][0]}\n" * 5


def test_output_of_a_child_is_its_own_and_its_parents(project, capsys):
    @rk.monitor(capture_output=True)
    def child():
        print("inner")

    @rk.monitor(capture_output=True)
    def parent():
        print("before")
        child()
        print("after")

    parent()
    end = next(s for s in project.steps() if s["event"] == "end")
    assert end["stdout"] == "inner\n"
    assert project.post()["stdout"] == "before\ninner\nafter\n"
    assert (project.folders[0] / f"{end['run_id'][:8]}-stdout.txt").read_text() == "inner\n"


def test_captures_of_plug_ins_are_kept_and_their_faults_are_not_the_callers(project):
    class Weather:
        name = "weather"

        def before(self, context):
            return {"run": context.run_id}

        def after(self, context):
            raise OSError("no network")

    with pytest.warns(errors.RecordingWarning, match="weather"):
        assert rk.monitor(captures=[Weather()])(lambda: 5)() == 5
    assert project.context()["captures"]["weather"] == {"run": project.pre()["run_id"]}
    assert "no network" in project.post()["faults"][0]["error"]


def test_environment_variables_are_allow_listed(project, monkeypatch):
    Path("reprokit.toml").write_text('[capture]\nenvironment-variables = ["MY_FLAG", "MY_API_TOKEN", "NOT_SET"]\n')
    monkeypatch.setenv("MY_FLAG", "on")
    monkeypatch.setenv("OTHER", "private")
    monkeypatch.setenv("MY_API_TOKEN", "abcdefghij")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    fit(1)
    context = project.context()
    assert context["environment_variables"]["MY_FLAG"] == "on"
    assert context["environment_variables"]["OMP_NUM_THREADS"] == "3"
    assert context["environment_variables"]["MY_API_TOKEN"] == "<redacted>"
    assert "OTHER" not in context["environment_variables"]
    assert "environment_variables['MY_API_TOKEN']" in context["redacted"]
    assert "environment_variables['NOT_SET']" in context["unknown"]


def test_pre_capture_commands_run_first_and_a_failing_one_is_told(project):
    Path("reprokit.toml").write_text(
        """[capture]\npre-capture-commands = ["echo 1 > made.txt", "exit 3", "touch never.txt"]\n"""
    )
    with pytest.warns(errors.RecordingWarning, match="exit 3"):
        fit(1)
    assert Path("made.txt").exists()
    assert not Path("never.txt").exists()


def test_context_is_written_once_for_equal_runs_and_again_when_something_changes(project, monkeypatch):
    fit(1)
    fit(2)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    fit(3)
    inodes = [(f / "context.json").stat().st_ino for f in project.folders]
    assert inodes[0] == inodes[1] != inodes[2]
    assert project.context(2)["environment_variables"]["OMP_NUM_THREADS"] == "7"


def test_the_diff_of_a_dirty_tree_is_kept_and_applies(project, tmp_path):
    from tests.conftest import git

    Path("pipeline.py").write_text("X = 2")
    Path("new.py").write_bytes(b"a\r\n\xff")
    fit(1)
    fit(2)
    (info,) = project.context()["git"].values()
    assert info["dirty"]
    for folder in project.folders:
        diff = folder / info["diff"]
        clone = tmp_path / folder.name
        git(tmp_path, "clone", "-q", str(project.root), str(clone))
        git(clone, "apply", str(diff))
        assert (clone / "pipeline.py").read_text() == "X = 2"
        assert (clone / "new.py").read_bytes() == b"a\r\n\xff"


def test_refresh_call_asks_git_again(project):
    each = rk.monitor(refresh="call")(lambda: None)
    once = rk.monitor(lambda: None)
    once()
    each()
    Path("pipeline.py").write_text("X = 3\n")
    once()
    assert project.pre()["commit"] == project.commit
    each()
    assert project.pre()["commit"] == f"{project.commit}-dirty"


def test_ipython_cells_refresh(project):
    pytest.importorskip("IPython")
    script = """
from IPython.testing.globalipapp import start_ipython
shell = start_ipython()
shell.run_cell("import reprokit as rk\\n@rk.monitor\\ndef f(): pass\\nf()", store_history=True)
open("pipeline.py", "w").write("X = 9\\n")
shell.run_cell("f()", store_history=True)
"""
    project.python(script)
    commits = {project.pre(0)["commit"], project.pre(1)["commit"]}
    assert project.pre(1)["commit"].endswith("-dirty")
    assert len(commits) <= 2
    (info,) = project.context(1)["git"].values()
    assert "pipeline.py" in info["changed"]


def test_records_are_indented_json_with_a_schema(project):
    fit(1)
    for name in ("context", "pre-run-info", "post-run-info"):
        text = (project.folders[-1] / f"{name}.json").read_text()
        assert json.loads(text)["schema"] == f"reprokit/{name}/1"
        assert text.startswith("{\n  ")


def test_vault_is_private_and_ignored_by_git(project):
    from tests.conftest import git

    fit(1)
    assert project.vault.stat().st_mode & 0o777 == 0o700
    assert (project.vault / ".gitignore").read_text() == "*\n"
    assert git(project.root, "status", "--porcelain") == ""
