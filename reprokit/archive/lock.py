"""The lock of a data set: a file whose existence says that someone writes, and whose content says who.

The file is linked into place with its content complete, which is atomic on NFS too, where exclusive creation has not
always been (open(2), "O_EXCL").  A lock whose owner has died on this machine is broken; whether a process of another
machine lives cannot be seen from here, so such a lock stands until someone removes it.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
import warnings
from typing import Any

from reprokit.archive import owner
from reprokit.errors import ArchiveError, ReprokitWarning

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_LONGEST_PAUSE = 0.01  # seconds between two looks; short, for there is no queue and a busy writer's pauses are short
_STALE = 3600  # seconds after which a file of unknown owner that was to become a lock will not any more
CANDIDATE = ".lock-"  # what the names of files begin with that are about to become a lock


class LockedError(ArchiveError, TimeoutError):
    """Someone else writes in the data set.  Arguments: the lock file, and who holds it."""

    def __init__(self, path: str, holder: str) -> None:
        super().__init__(path, holder)

    def __str__(self) -> str:
        path, holder = self.args
        return (
            f"{path}: locked by {holder}; close it there, or remove this file when you know that nobody writes any more"
        )


class Lock:
    """Mutual exclusion of processes (by the file) and of threads that share this object; may be taken twice by one thread.

    Parameters
    ----------
    path : str
        The lock file.
    timeout : float
        Seconds to wait for another owner.
    """

    def __init__(self, path: str, timeout: float) -> None:
        self.path = path
        self.timeout = timeout
        self.broke = False  #: whether a dead owner's lock was broken to take it this time
        self._reset()

    def _reset(self) -> None:
        self._pid = os.getpid()
        self._threads = threading.RLock()
        self.depth = 0  #: how often the thread that holds it has taken it
        self._pinned = False
        self._token = ""

    def acquire(self) -> None:
        """Take the lock.

        Raises
        ------
        LockedError
            When another owner has kept it for `timeout` seconds, or a pinned lock was taken away.
        OSError
            When the folder cannot be written.
        """
        if self._pid != os.getpid():
            self._reset()  # a forked child holds nothing
        deadline = time.monotonic() + self.timeout
        if not self._threads.acquire(timeout=max(self.timeout, 0)):
            raise LockedError(self.path, "another thread of this process")
        try:
            if self._pinned:
                if _token(_read(self.path)) != self._token:
                    raise LockedError(self.path, "nobody or someone else, for the lock of this data set was removed")
            elif self.depth == 0:
                self._take(deadline)
            self.depth += 1
        except BaseException:
            self._threads.release()
            raise

    def release(self) -> None:
        """Give back what `acquire` took; nothing happens where nothing is held."""
        if self._pid != os.getpid() or self.depth == 0:
            return
        self.depth -= 1
        try:
            if self.depth == 0 and not self._pinned and not self._remove_own():
                warnings.warn(
                    f"{self.path}: someone else removed the lock while it was held", ReprokitWarning, stacklevel=2
                )
        finally:
            self._threads.release()

    def pin(self) -> None:
        """Keep the file until `close`, whichever thread calls that; threads go on to exclude each other."""
        self.acquire()
        self._pinned = True
        self.release()

    def close(self) -> None:
        """Give the file back, whatever is held."""
        if self._pid == os.getpid():
            self._pinned = False
            self._remove_own()

    def _take(self, deadline: float) -> None:
        self.broke = False
        self._token = os.urandom(8).hex()
        content = json.dumps({**owner.own(), "since": owner.now(), "token": self._token}).encode()
        pause = 0.0005
        while True:
            try:
                if _place(self.path, content):
                    return
            except BaseException:
                if _token(_read(self.path)) == self._token:  # interrupted after it was in place
                    os.unlink(self.path)
                raise
            found = _read(self.path)
            if found is not None and owner.is_dead(_holder(found)) and _break(self.path, found):
                self.broke = True
                continue
            left = deadline - time.monotonic()
            if left <= 0:
                raise LockedError(self.path, owner.describe(_holder(found or b"")))
            time.sleep(min(left, pause * random.uniform(0.5, 1.5)))  # noqa: S311 - so that waiters don't march in step
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _remove_own(self) -> bool:
        """Remove the file if it is there and ours."""
        token, self._token = self._token, ""
        if not token:
            return True
        if _token(_read(self.path)) != token:
            return False
        os.unlink(self.path)
        return True


def _place(path: str, content: bytes) -> bool:
    """Put a file there if none is; its content is complete from the first moment on."""
    temporary = os.path.join(os.path.dirname(path), f"{CANDIDATE}{os.getpid()}-{os.urandom(4).hex()}")
    descriptor = os.open(temporary, _CREATE, 0o644)
    try:
        try:
            os.write(descriptor, content)
        finally:
            os.close(descriptor)
        try:
            os.link(temporary, path)
        except FileExistsError:
            # A reply of NFS that got lost looks like this too: the number of links tells.
            return os.stat(temporary).st_nlink == 2
        except (OSError, AttributeError, NotImplementedError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            return _place_exclusively(path, content)  # a file system without links (FAT)
        return True
    finally:
        os.unlink(temporary)


def _place_exclusively(path: str, content: bytes) -> bool:
    try:
        descriptor = os.open(path, _CREATE, 0o644)
    except FileExistsError:
        return False
    try:
        os.write(descriptor, content)
    finally:
        os.close(descriptor)
    return True


def _break(path: str, found: bytes) -> bool:
    """Remove a dead owner's lock; of several that found it dead, one removes it, and never a new owner's."""
    import filelock

    try:
        with filelock.FileLock(f"{path}.breaking", timeout=1):
            if _read(path) != found:
                return True
            os.unlink(path)
            return True
    except (OSError, filelock.Timeout):
        return False


def is_abandoned(candidate: str) -> bool:
    """Tell whether a file that was to become a lock was left by a process that died."""
    try:
        found = _read(candidate)
        return found is not None and (
            owner.is_dead(_holder(found)) or os.lstat(candidate).st_mtime < time.time() - _STALE
        )
    except OSError:
        return False


def _read(path: str) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # a pipe in its place must not hang us
    except FileNotFoundError:
        return None
    try:
        return os.read(descriptor, 10_000)
    finally:
        os.close(descriptor)


def _holder(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _token(content: bytes | None) -> object:
    return _holder(content or b"").get("token")
