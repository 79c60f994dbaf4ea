"""``reprokit diff``: what a person reads, what a program reads, and the exit codes of diff(1)."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.conftest import SOURCE

RUN = """
import sys, reprokit as rk
@rk.Artifact("out", allow_dirty=True, config={"model": {"lr": float(sys.argv[1])}})
def save(out): open(out, "w").write(sys.argv[2])
@rk.monitor
def other(x): pass
save("foo.txt")
if len(sys.argv) > 3: other(1)
"""


@pytest.fixture
def twice(project):
    (project.root / ".gitignore").write_text("*.txt\n*.json\nscript.py\nvault/\n")
    project.commit_all()
    project.python(RUN, "0.1", "a")
    project.python(RUN, "0.2", "b", "other")
    return project


def ids(project):
    return [run["run_id"] for run in json.loads(project.reprokit("runs", "--json").stdout)]


def test_the_two_newest_runs_of_the_same_function_are_compared_when_none_is_named(twice):
    done = twice.reprokit("diff")
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "outputs differ; most likely because of: config model.lr"
    assert lines[1].startswith("A  ")
    assert "__main__.save  complete" in lines[1]
    assert "  model.lr: 0.1 -> 0.2" in lines
    assert any(line.startswith("same: ") and "packages" in line for line in lines)
    assert "\x1b" not in done.stdout


def test_one_run_is_compared_with_the_one_before_it(twice):
    save = ids(twice)[1]
    one = json.loads(twice.reprokit("diff", save[:8], "--json").stdout)
    assert (one["schema"], one["b"]["run_id"]) == ("reprokit/diff/1", save)
    assert one["a"]["run_id"] == ids(twice)[2]
    assert one["same"] is False
    done = twice.reprokit("diff", "@")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "of __main__.other" in done.stderr


def test_files_name_the_runs_that_made_them(twice):
    first, second = sorted(path.name for path in twice.root.glob("foo-*.txt"))
    done = twice.reprokit("diff", first, second, "--json")
    assert done.returncode == 1, done.stderr
    assert done.stderr == ""
    assert {json.loads(done.stdout)[side]["run_id"] for side in "ab"} == set(ids(twice)[1:])
    (twice.root / first).write_text("edited")
    done = twice.reprokit("diff", first, second)
    assert done.returncode == 1
    assert "was changed since run" in done.stderr


def test_exit_codes_are_those_of_diff(twice):
    run = ids(twice)[1]
    same = twice.reprokit("diff", run, run)
    assert (same.returncode, same.stderr) == (0, "")
    assert twice.reprokit("diff", run, "nothing").returncode == 2
    folder = twice.folders[0]
    (folder / "context.json").unlink()
    (folder / "context.json").write_text("{")
    damaged = twice.reprokit("diff", ids(twice)[2], run)
    assert damaged.returncode == 2
    assert "context.json" in damaged.stderr
    assert "outputs: differ" in damaged.stdout
    assert "Traceback" not in damaged.stderr
    (folder / "pre-run-info.json").write_text("{")
    damaged = twice.reprokit("diff", folder.name, run)
    assert damaged.returncode == 2
    assert "its record cannot be read" in damaged.stdout


def test_wrong_input_is_told_in_a_line_and_ends_with_2(twice):
    for words in (
        ["zzz"],
        ["../x", "@"],
        ["", ""],
        ["x\x1b[31m"],
        ["@", "@", "@"],
        ["--code", "all"],
        ["--context", "-1"],
    ):
        done = twice.reprokit("diff", *words)
        assert done.returncode == 2, words
        assert "Traceback" not in done.stderr
        assert "\x1b" not in done.stderr


def test_an_empty_vault_says_that_there_is_nothing(project):
    done = project.reprokit("diff")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("reprokit: no run ")


def test_records_cannot_move_the_cursor_nor_do_files_and_colours_are_for_people(project):
    code = "import reprokit as rk\nwith rk.run('a\\x1b[2Jb', config={'\\x1b]0;k': %d}) as c: c.record('v\\u202e', 'x\\x07%d')\n"
    project.python(code % (1, 1))
    (project.root / "evil.py").write_text("A = '\x1b[2J'\n")
    project.commit_all()
    project.python(code % (2, 2))
    assert not {"\x1b", "\x07", "\u202e"} & set(project.reprokit("diff", "--code", "full").stdout)
    main, side = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-m", "reprokit", "diff"], cwd=project.root, env=env, stdout=side, stderr=side
    ):
        os.close(side)
        seen = b""
        while True:
            try:
                block = os.read(main, 4096)
            except OSError:
                break
            if not block:
                break
            seen += block
    os.close(main)
    assert b"\x1b[1m" in seen
    assert b"\x1b[2J" not in seen
    assert b"\x07" not in seen


def test_commands_are_compared_by_their_words(project):
    (project.root / "tool.py").write_text("import sys; print(sys.argv)\n")
    (project.root / "else.py").write_text("")
    project.commit_all()
    for words in (["--rate", "1"], ["--rate", "2"]):
        assert project.reprokit("monitor", "--", sys.executable, "tool.py", *words).returncode == 0
        project.reprokit("monitor", "--", sys.executable, "else.py")
    newest = ids(project)[1]
    done = project.reprokit("diff", newest)
    assert '  command.1: "1" -> "2"' in done.stdout
    assert "arguments command.1" in done.stdout
