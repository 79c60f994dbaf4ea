"""The lock file of data sets: who waits, who is told what, and whose lock is broken."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import pytest

from reprokit.archive.lock import Lock, LockedError, _break
from reprokit.archive.owner import describe, is_dead, own
from reprokit.errors import ArchiveError


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "_locked")


def write(path, **changes):
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**own(), "token": "t", "since": "then", **changes}, file)


def dead_process():
    """The number of a process that has been, and when it started."""
    code = "from reprokit.archive.owner import own; print(own()['started'])"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})  # fmt: skip
    started = child.communicate()[0].strip()
    return child.pid, started


def test_it_is_a_file_while_held_and_gone_after(path):
    lock = Lock(path, 0)
    lock.acquire()
    owner = json.loads(Path(path).read_bytes())
    assert owner["pid"] == os.getpid()
    lock.acquire()
    lock.release()
    assert os.path.exists(path)
    lock.release()
    assert os.listdir(os.path.dirname(path)) == []
    lock.release()


def test_a_second_one_is_told_who_holds_it(path):
    Lock(path, 0).acquire()
    with pytest.raises(LockedError) as caught:
        Lock(path, 0).acquire()
    for kind in (OSError, TimeoutError, ValueError, ArchiveError):
        assert isinstance(caught.value, kind)
    for part in (path, f"process {os.getpid()} ", own()["host"], "this machine", "remove this file"):
        assert part in str(caught.value)


def test_the_lock_of_a_dead_process_is_broken(path):
    pid, started = dead_process()
    write(path, pid=pid, started=started)
    lock = Lock(path, 0)
    lock.acquire()
    assert lock.broke
    lock.release()
    lock.acquire()
    assert not lock.broke


def test_the_lock_of_a_process_whose_number_another_one_has_now_is_broken(path):
    write(path, started="1")
    Lock(path, 0).acquire()


def test_an_ended_child_that_nobody_waited_for_is_dead(path):
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 30
    write(path, pid=child.pid, started="1")
    while not is_dead(json.loads(Path(path).read_bytes())) and time.monotonic() < deadline:
        time.sleep(0.01)
    Lock(path, 0).acquire()
    child.wait()


@pytest.mark.parametrize(
    "changes",
    [{"host": "other"}, {"boot": "other"}, {"namespace": "pid:[1]"}, {"pid": "7"}, {"pid": -1}, {"pid": None}, {"pid": True}, {"started": 5}],
    ids=str,
)  # fmt: skip
def test_a_lock_whose_owner_cannot_be_seen_from_here_stands(path, changes):
    pid, started = dead_process()
    write(path, **{"pid": pid, "started": started, **changes})
    with pytest.raises(LockedError):
        Lock(path, 0.01).acquire()
    assert os.path.exists(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 9000, b'{"pid": 1e999}', b"null"], ids=range(7))
def test_a_lock_that_cannot_be_read_stands(path, content):
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(LockedError, match="unknown owner"):
        Lock(path, 0).acquire()


def test_a_pipe_in_its_place_does_not_hang(path):
    os.mkfifo(path)
    with pytest.raises(LockedError):
        Lock(path, 0).acquire()


def test_a_dangling_link_in_its_place_is_not_followed(path, tmp_path):
    os.symlink(tmp_path / "elsewhere", path)
    with pytest.raises(LockedError):
        Lock(path, 0).acquire()
    assert not os.path.exists(tmp_path / "elsewhere")


def test_another_machine_is_named(path):
    assert "host far (another machine), since then" in describe({"pid": 5, "host": "far", "since": "then"})


def test_waiting_ends_when_the_owner_gives_it_back(path):
    first, second = Lock(path, 0), Lock(path, 30)
    first.acquire()
    timer = threading.Thread(target=lambda: (time.sleep(0.05), os.unlink(path)))
    timer.start()
    second.acquire()
    timer.join()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first.release()
    assert "removed the lock" in str(caught[0].message)
    assert os.path.exists(path)


def test_threads_with_one_lock_exclude_each_other(path):
    lock, inside, most = Lock(path, 30), [0], []

    def work():
        for _ in range(50):
            lock.acquire()
            inside[0] += 1
            most.append(inside[0])
            inside[0] -= 1
            lock.release()

    threads = [threading.Thread(target=work) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert max(most) == 1
    assert len(most) == 200


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_holds_nothing_and_removes_nothing(path):
    lock = Lock(path, 0)
    lock.acquire()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            lock.release()
            lock.close()
            try:
                lock.acquire()
            except LockedError:
                code = 0 if os.path.exists(path) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    lock.release()


def test_a_dead_lock_that_someone_else_has_broken_and_taken_is_left_alone(path):
    write(path, started="1")
    found = Path(path).read_bytes()
    Lock(path, 0).acquire()
    assert _break(path, found)
    assert json.loads(Path(path).read_bytes())["pid"] == os.getpid()


def test_of_many_that_find_a_dead_lock_one_at_a_time_gets_in(path, tmp_path):
    """Breaking must not take away the lock of one that broke it earlier."""
    code = """
import os, sys, time
from reprokit.archive.lock import Lock
path, inside = sys.argv[1:]
lock = Lock(path, 60)
for number in range(30):
    lock.acquire()
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
    os.unlink(inside)
    if number % 10 == 9:
        pid = os.fork()  # dies with a lock of its own
        if pid == 0:
            os.unlink(path); lock.acquire(); os._exit(0)
        os.waitpid(pid, 0)
        lock._token = ""
    lock.release()
print("done")
"""
    pid, started = dead_process()
    write(path, pid=pid, started=started)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    workers = [
        subprocess.Popen([sys.executable, "-c", code, path, str(tmp_path / "inside")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
        for _ in range(4)
    ]  # fmt: skip
    for worker in workers:
        out, err = worker.communicate(timeout=100)
        assert out.strip() == "done", err


def test_a_killed_owner_does_not_lock_others_out(path):
    code = f"from reprokit.archive.lock import Lock; Lock({path!r}, 0).acquire(); print('held', flush=True); import time; time.sleep(60)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=env)
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(LockedError, match=f"process {child.pid} "):
        Lock(path, 0).acquire()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    Lock(path, 0).acquire()
