"""``reprokit verify``, ``gc``, ``tag`` and ``note``: what is printed, for people and programs, and the exit codes."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest

from tests.conftest import SOURCE

RUN = """
import reprokit as rk
@rk.Artifact("o", allow_dirty=True, config={"a": 1})
def save(o): open(o, "w").write("x")
with rk.run("outer", config={"b": 2}, allow_dirty=True) as ctx:
    save("foo.txt")
"""


def test_verify_says_what_is_wrong_and_its_exit_code_tells(project):
    project.python(RUN)
    done = project.reprokit("verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert "all is as it was recorded" in done.stdout
    (path,) = project.root.glob("foo-*.txt")
    path.write_text("y")
    for args in ((), ("--all",), ("@",), (path.name,), ("outer",)):
        if args == ("outer",):
            project.reprokit("tag", "@", "outer")
        done = project.reprokit("verify", *args)
        assert done.returncode == 1
        assert f"FAIL  changed: {path.name}" in done.stdout
        assert "Traceback" not in done.stderr
    document = json.loads(project.reprokit("verify", "--json").stdout)
    assert document["schema"] == "reprokit/verify/1"
    assert document["ok"] is False
    assert [one["kind"] for one in document["findings"] if one["severity"] == "failure"] == ["changed"]


@pytest.mark.parametrize(
    "args", [("verify", "nothing"), ("verify", "@", "--all"), ("note", "nothing", "x"), ("tag", "nothing", "x")]
)
def test_wrong_input_is_one_line(project, args):
    project.python(RUN)
    done = project.reprokit(*args)
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if not line.startswith(("Usage", "Try")) and line]) == 1


def test_where_there_is_no_vault(project):
    for args in (("verify",), ("gc",), ("gc", "--keep-last", "1", "--yes")):
        done = project.reprokit(*args)
        assert done.returncode == 1
        assert done.stderr.startswith("reprokit: ")
        assert len(done.stderr.splitlines()) == 1
    assert not project.vault.exists()


def test_control_characters_of_records_reach_no_terminal(project):
    project.python(RUN)
    folder = project.folders[0]
    post = json.loads((folder / "post-run-info.json").read_bytes())
    post["artifacts"] = [{"path": "x\x1b[31m\u202e", "digest": "sha256:" + "0" * 64, "size": 1, "role": "generated"}]
    (folder / "post-run-info.json").write_text(json.dumps(post))
    done = project.reprokit("verify")
    assert done.returncode == 1
    assert "\x1b" not in done.stdout
    assert "\u202e" not in done.stdout


def test_a_bar_is_shown_only_on_a_terminal_and_only_for_long_work(project):
    project.python(RUN)
    main, other = pty.openpty()
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-m", "reprokit", "verify"], cwd=project.root, env=env, stderr=other, stdout=-1
    )
    os.close(other)
    os.set_blocking(main, False)
    try:
        shown = os.read(main, 1000)
    except OSError:
        shown = b""
    os.close(main)
    assert done.returncode == 0
    assert shown == b""


def test_the_bar_is_fed_with_what_is_done(project):
    """Counts rise and never pass the total, whatever is shown of them."""
    from reprokit.catalog.verify import verify

    project.python(RUN)
    told = []
    verify(project.vault, progress=lambda *step: told.append(step))
    assert {what for what, _, _ in told} == {"runs", "bytes", "blobs", "trees"}
    assert all(done <= total for what, done, total in told if what in ("runs", "bytes"))


def test_gc_prints_first_and_removes_with_yes(project):
    project.python(RUN)
    project.python(RUN.replace("foo", "bar"))
    for path in project.root.glob("*.txt"):
        path.unlink()
    assert "nothing to remove" in project.reprokit("gc").stdout
    done = project.reprokit("gc", "--keep-last", "1")
    assert done.returncode == 0, done.stderr
    assert "would remove 1 runs" in done.stdout
    assert "add --yes" in done.stdout
    assert len(project.folders) == 2
    document = json.loads(project.reprokit("gc", "--keep-last", "0", "--json").stdout)
    assert len(document["plan"]["runs"]) == 2
    assert document["removed"] is None
    done = project.reprokit("gc", "--keep-last", "1", "--yes")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("removed 1 runs")
    assert len(project.folders) == 1
    assert len(json.loads(project.reprokit("runs", "--json").stdout)) == 1


def test_gc_keeps_tagged_runs_and_refuses_a_damaged_vault(project):
    project.python(RUN)
    project.python(RUN)
    for path in project.root.glob("*.txt"):
        path.unlink()
    project.reprokit("tag", "@", "paper")
    assert "would remove 1 runs" in project.reprokit("gc", "--keep-tagged").stdout
    assert "would remove 2 runs" in project.reprokit("gc", "--keep-last", "0", "--no-keep-tagged").stdout
    (project.folders[0] / "context.json").write_bytes(b"{")
    done = project.reprokit("gc", "--keep-last", "0", "--yes")
    assert done.returncode == 1
    assert "reprokit verify" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(project.folders) == 2


def test_tags_and_notes(project):
    project.python(RUN)
    child = next(s for s in project.steps() if s["event"] == "begin")["run_id"]
    assert project.reprokit("tag", "@", "paper", "fig-3").returncode == 0
    assert project.reprokit("tag", child[:12], "inner").returncode == 0
    listed = json.loads(project.reprokit("tag", "--json").stdout)
    assert [(row["tag"], row["run_id"] == child) for row in listed] == [
        ("fig-3", False),
        ("inner", True),
        ("paper", False),
    ]
    assert project.reprokit("tag", "--remove", "paper", "fig-3").returncode == 0
    assert project.reprokit("tag", "paper").stdout.split()[0] == "paper"
    done = project.reprokit("tag", "--remove", "paper", "never")
    assert (done.returncode, "no tag 'never'" in done.stderr) == (2, True)
    done = project.reprokit("tag", "@", "two words")
    assert done.returncode == 1
    assert "white space" in done.stderr
    assert project.reprokit("note", "paper", "learning rate", "too high").returncode == 0
    assert project.reprokit("note", "@", "-", input="password=hunter2hunter2\nsecond line\n").returncode == 0
    shown = project.reprokit("note", "@").stdout
    assert shown.startswith("learning rate too high\n")
    assert "second line" in shown
    assert "hunter2" not in shown
    assert len(json.loads(project.reprokit("note", "@", "--json").stdout)) == 2
    show = project.reprokit("note", child[:10])
    assert (show.returncode, show.stdout) == (0, "")
