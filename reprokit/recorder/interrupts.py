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
