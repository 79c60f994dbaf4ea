"""Single flight: of all threads and processes that make the same call at once, one computes; the others wait for it.

The lock is the operating system's, on a file beside the results of the key: it ends with the process that holds it, so
who waits goes on when that one dies.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from reprokit.recorder.faults import warn
from reprokit.vault.reuse import LOCK

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_FIRST, _LONGEST = 0.001, 0.05  # seconds between two looks


class Flight:
    """The right to compute the result of one key.

    Parameters
    ----------
    path
        Where the key's results lie.
    wait : float
        Seconds after which it is computed without the right.
    what
        The function's name.
    """

    def __init__(self, path: str, wait: float, what: str) -> None:
        self._path = path + LOCK
        self._wait = wait
        self._what = what
        self._lock: FileLock | None = None
        self._owner = os.getpid()

    def take(self) -> None:
        """Take the right, waiting for it."""
        for pause in self._attempts():
            time.sleep(pause)

    def take_async(self) -> Generator[Any, Any, None]:
        """Take the right; other tasks go on meanwhile."""
        for pause in self._attempts():
            sleep = _sleep(pause)
            if sleep is None:
                return
            yield from sleep.__await__()

    def _attempts(self) -> Iterator[float]:
        """Try, and give the seconds to wait before the next time."""
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            # Threads and tasks of one process are told apart by their locks, of which each has its own file open.
            lock = FileLock(self._path, thread_local=False, mode=0o600)
            pause, end = _FIRST, time.monotonic() + self._wait
            while True:
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    if time.monotonic() >= end:
                        warn(
                            f"{self._what}: another process has been computing the same call for {self._wait:g} s; "
                            "it is computed here too"
                        )
                        return
                    yield pause
                    pause = min(pause * 1.5, _LONGEST)
                else:
                    self._lock = lock
                    return
        except (OSError, NotImplementedError):  # a read-only vault, a file system without locks: each computes
            return

    def end(self) -> None:
        """Give the right back.

        The file goes with it, whatever came of the call, else calls that fail would leave one each.  Who opened it before
        that notices once it has the lock, and tries again at a new one.
        """
        lock, self._lock = self._lock, None
        if lock is None or self._owner != os.getpid():  # a forked child got here: it is still its parent's
            return
        with suppress(OSError):
            if os.name != "nt":  # there, an open file can't be removed
                os.unlink(self._path)
        with suppress(OSError):  # then it ends with the process
            lock.release()


def _sleep(seconds: float) -> Any:
    """Give what waits in the event loop that runs here; None when it is none that we know."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is not None and asyncio._get_running_loop() is not None:
        return asyncio.sleep(seconds)
    trio = sys.modules.get("trio")
    if trio is not None:
        try:
            trio.lowlevel.current_task()
        except RuntimeError:
            return None
        return trio.sleep(seconds)
    return None
