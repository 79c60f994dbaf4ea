"""A run's record survives every way in which a process can end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import SOURCE

SLEEPER = """
import sys, time, reprokit as rk
@rk.monitor
def child():
    print("started", flush=True)
    time.sleep(60)
@rk.monitor
def root():
    open("made.txt", "w").close()
    child()
root()
"""


def launch(project, code):
    (project.root / "script.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen(
        [sys.executable, "script.py"], cwd=project.root, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def statuses(project):
    import json

    done = project.reprokit("runs", "--json")
    assert done.returncode == 0, done.stderr
    return [run["status"] for run in json.loads(done.stdout)]


def test_sigterm_commits_the_record_and_kills_as_before(project):
    process = launch(project, SLEEPER)
    process.stdout.readline()
    assert statuses(project) == ["running"]
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM
    assert project.post()["status"] == "interrupted"
    assert project.post()["reason"] == "SIGTERM"
    assert [status for _, _, status in project.ended()] == [None]
    assert statuses(project) == ["interrupted"]


def test_keyboard_interrupt(project):
    process = launch(project, SLEEPER)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert project.post()["status"] == "interrupted"
    assert [status for _, _, status in project.ended()] == ["interrupted"]


def test_kill_9_leaves_a_run_that_shows_as_interrupted(project):
    process = launch(project, SLEEPER)
    process.stdout.readline()
    process.kill()
    process.communicate()
    assert not (project.folders[0] / "post-run-info.json").exists()
    assert statuses(project) == ["interrupted"]
    shown = project.reprokit("show")
    assert "interrupted" in shown.stdout
    assert "child" in shown.stdout


@pytest.mark.parametrize(
    ("ending", "status", "code"), [("sys.exit(5)", "exited", 5), ("sys.exit('bye')", "exited", 1), ("1/0", "failed", 1)]
)
def test_exit_and_exception_give_the_process_its_own_code(project, ending, status, code):
    done = project.python(f"import sys, reprokit as rk\n@rk.monitor\ndef f(): {ending}\nf()\n", check=False)
    assert done.returncode == code
    assert project.post()["status"] == status
    assert project.post()["exit_code"] == (code if status == "exited" else None)


def test_os_exit_shows_as_interrupted(project):
    project.python("import os, reprokit as rk\n@rk.monitor\ndef f(): os._exit(0)\nf()\n")
    assert statuses(project) == ["interrupted"]


def test_a_handler_of_the_users_own_is_left_alone(project):
    code = """
import os, signal, reprokit as rk
def mine(number, frame): raise SystemExit(7)
signal.signal(signal.SIGTERM, mine)
@rk.monitor
def f(): os.kill(os.getpid(), signal.SIGTERM)
f()
"""
    done = project.python(code, check=False)
    assert done.returncode == 7
    assert project.post()["status"] == "exited"


def test_the_handler_leaves_with_the_run(project):
    code = """
import signal, reprokit as rk
@rk.monitor
def f(): return signal.getsignal(signal.SIGTERM)
assert f() is not signal.SIG_DFL
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    project.python(code)


def test_a_fork_inside_a_run_does_not_end_it_twice(project):
    code = """
import os, reprokit as rk
@rk.monitor
def leaf(n): return rk.current().root_id
@rk.monitor
def root():
    pid = os.fork()
    if pid == 0:
        leaf(1)
        raise SystemExit(0)
    os.waitpid(pid, 0)
    leaf(2)
    return rk.current().run_id
root()
"""
    project.python(code)
    assert project.post()["status"] == "complete"
    assert [status for _, _, status in project.ended()] == ["complete", "complete"]
    assert len(list(project.folders[0].glob("steps-*"))) == 2


def test_multiprocessing_inside_a_run(project):
    code = """
import multiprocessing, sys, reprokit as rk
@rk.monitor
def leaf(n): return n
@rk.monitor
def root():
    with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        return pool.map(leaf, range(4))
if __name__ == "__main__":
    assert root() == [0, 1, 2, 3]
"""
    project.python(code, "fork")
    assert [s for _, _, s in project.ended()] == ["complete"] * 4
    project.python(code, "spawn")
    assert all(project.post(i)["status"] == "complete" for i in range(len(project.folders)))


@pytest.mark.parametrize("rounds", [20, pytest.param(400, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_kill_at_random_instants_leaves_whole_records(project, rounds):
    """What is visible parses, every finished run stays, and the next run works."""
    code = """
import reprokit as rk
@rk.monitor
@rk.Artifact("o", allow_dirty=True)
def f(n, o): open(o, "w").write(str(n)); return g(n)
@rk.monitor
def g(n): return n
for n in range(10**6):
    f(n, "out.txt")
    print(n, flush=True)
"""
    rng = random.Random(5)
    finished = 0
    for _ in range(rounds):
        process = launch(project, code.replace("differs", ""))
        time.sleep(0.25 + rng.random() * 0.15)
        process.kill()
        finished += len(process.communicate()[0].split())
    import json

    done = project.reprokit("runs", "--json")
    found = json.loads(done.stdout)
    by_status = [run["status"] for run in found]
    assert by_status.count("complete") >= finished
    assert set(by_status) <= {"complete", "interrupted"}
    assert len({run["run_id"] for run in found}) == len(found)
    assert all("killed while it opened" in line for line in done.stderr.splitlines())
    assert project.python("import reprokit as rk\nrk.monitor(lambda: None)()\n").returncode == 0


def test_a_forked_child_dies_of_sigterm_by_the_default_action(project):
    """A handler written in Python may not run while a worker waits for a lock; its pool would wait for ever."""
    code = """
import os, signal, reprokit as rk
@rk.monitor
def root():
    pid = os.fork()
    if pid == 0:
        os._exit(signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL)
    return os.waitpid(pid, 0)[1], signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert root() == (0, False)
"""
    project.python(code)
