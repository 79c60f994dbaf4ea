"""Output is kept across forks, copies of the stream and faults, and the user's printing goes on."""

from __future__ import annotations

import copy
import os
import sys
from contextlib import contextmanager

import pytest

from reprokit.capture.streams import OutputCapture
from reprokit.model.redact import Redactor

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

ONCE = """
import os, sys, warnings
import reprokit as rk

@rk.monitor(capture_output=True)
def f():
    print("before")
    pid = os.fork()
    if pid == 0:
        print("child")
        sys.stdout.flush()
        sys.exit(0)
    os.waitpid(pid, 0)
    print("after")

f()
"""

BUSY = """
import contextvars, os, sys, threading, time, warnings
warnings.simplefilter("ignore")
import reprokit as rk

@rk.monitor(capture_output=True)
def f():
    done = threading.Event()
    def chat():
        while not done.is_set():
            print("x" * 2000)
    threads = [threading.Thread(target=contextvars.copy_context().run, args=(chat,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    stuck = 0
    for _ in range(40):
        pid = os.fork()
        if pid == 0:
            sys.stdout.write("child")
            os._exit(0)
        end = time.monotonic() + 5
        while not os.waitpid(pid, os.WNOHANG)[0]:
            if time.monotonic() > end:
                os.kill(pid, 9)
                os.waitpid(pid, 0)
                stuck += 1
                break
            time.sleep(0.001)
        if stuck:
            break
    done.set()
    for thread in threads:
        thread.join()
    return stuck

sys.stderr.write(f"stuck: {f()}\\n")
"""


@forks
def test_a_fork_writes_nothing_twice(project):
    printed = project.python(ONCE).stdout
    assert printed.count("child") == 1
    assert (project.folders[-1] / "stdout.txt").read_text() == "before\nafter\n"


@forks
def test_a_child_forked_while_threads_print_can_print(project):
    assert "stuck: 0" in project.python(BUSY).stderr


@contextmanager
def capturing(folder):
    """In the test's body and not a fixture: pytest puts its own streams back between setup and call."""
    capture = OutputCapture(folder, lambda: True, Redactor())
    capture.start()
    try:
        assert type(sys.stdout).__name__ == "_Tee"
        yield capture
    finally:
        if capture._files:
            capture.stop()


def test_the_streams_own_attributes_work(tmp_path, capfd):
    original = sys.stdout
    with capturing(tmp_path):
        for name in ("encoding", "errors", "newlines", "line_buffering", "closed", "buffer"):
            assert getattr(sys.stdout, name) == getattr(original, name)
        assert sys.stdout.isatty() == original.isatty()
        assert sys.stdout.fileno() == original.fileno()
        with pytest.raises(AttributeError):
            sys.stdout.nonsense


def test_a_copy_of_the_stream_ends_in_no_recursion(tmp_path):
    with capturing(tmp_path):
        assert copy.copy(sys.stdout)._original is sys.stdout._original


def test_streams_are_restored_exactly_when_captures_overlap(tmp_path):
    out, err = sys.stdout, sys.stderr
    captures = []
    for name in "ab":
        (tmp_path / name).mkdir()
        captures.append(OutputCapture(tmp_path / name, lambda: True, Redactor()))
        captures[-1].start()
    print("both")
    captures[0].stop()
    print("one")
    captures[1].stop()
    assert (sys.stdout, sys.stderr) == (out, err)
    assert (tmp_path / "a" / "stdout.txt").read_text() == "both\n"
    assert (tmp_path / "b" / "stdout.txt").read_text() == "both\none\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_does_not_reach_the_one_who_prints(tmp_path, capsys):
    with capturing(tmp_path) as capture:
        capture._files["stdout"].close()
        capture._files["stdout"] = open("/dev/full", "wb", buffering=0)  # noqa: SIM115 - closed by stop
        for _ in range(3):
            print("x" * 100)
        with pytest.raises(OSError, match="No space left"):
            capture.stop()
    assert capsys.readouterr().out.count("x") == 300
