"""SIGTERM: the records of open runs are finished, then the process dies of it as it would have."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from types import FrameType


class Interruptible(Protocol):
    """An open root run."""

    pid: int

    def interrupt(self, reason: str) -> None: ...


_open: dict[int, Interruptible] = {}
_installed = False
_held = False  # SIGTERM, while this process forks


def watch(run: Interruptible) -> None:
    """Finish `run` when SIGTERM comes.

    The handler is set only in the main thread and only where the default action stands, so a handler of the user's own
    is never replaced; it leaves with the last run.
    """
    global _installed
    _open[id(run)] = run
    if not _installed and threading.current_thread() is threading.main_thread():
        try:
            if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
                signal.signal(signal.SIGTERM, _on_sigterm)
                _installed = True
        except (ValueError, OSError):  # an interpreter embedded elsewhere may forbid handlers
            return


def unwatch(run: Interruptible) -> None:
    """Stop watching `run`."""
    global _installed
    _open.pop(id(run), None)
    if _installed and not _open and threading.current_thread() is threading.main_thread():
        if signal.getsignal(signal.SIGTERM) is _on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _installed = False


def _on_sigterm(number: int, frame: FrameType | None) -> Any:
    pid = os.getpid()
    for run in list(_open.values()):
        if run.pid == pid:  # a forked child does not end its parent's runs
            run.interrupt("SIGTERM")
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.kill(pid, signal.SIGTERM)


def _before_fork() -> None:
    """Hold SIGTERM back: between the fork and `_in_child` it would be taken by our handler, and lost."""
    global _held
    if _installed:
        _held = signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))


def _in_parent() -> None:
    global _held
    if _held:
        _held = False
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM,))


def _in_child() -> None:
    """Give a forked child the default action back.

    A worker of a process pool has to die of SIGTERM at once: a handler written in Python does not run when the signal
    comes just before a lock is waited for, and the pool would wait for that worker for ever.
    """
    global _installed
    _open.clear()
    if _installed:
        _installed = False
        if signal.getsignal(signal.SIGTERM) is _on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _in_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
