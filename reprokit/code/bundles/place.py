"""Folders that the processes of one user share on a host: bundles are unpacked there.  They lie below the temporary folder."""

from __future__ import annotations

import contextlib
import os
import stat as modes
import tempfile
from typing import TYPE_CHECKING

from reprokit.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterator

try:
    import fcntl as fcntl  # noqa: PLC0414 - `uses` takes it from here
except ImportError:  # not POSIX
    fcntl = None  # type: ignore[assignment]

_REMEDY = "remove it, or set TMPDIR to a folder of your own"
_checked: set[str] = set()


def folder(name: str = "bundles") -> str:
    """Give one of the folders, made when it is not there.

    Raises
    ------
    WorkerError
        When it cannot be made, or belongs to somebody else, who could then change the code in it.
    """
    above = os.path.join(tempfile.gettempdir(), f"reprokit-{_user()}")
    found = os.path.join(above, name)
    if found not in _checked:
        try:
            for one in (above, found):
                with contextlib.suppress(FileExistsError):
                    os.mkdir(one, 0o700)
                _check(one)
        except OSError as error:
            raise WorkerError(f"{found} cannot be used ({error.strerror})", _REMEDY) from error
        _checked.add(found)
    return found


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else "".join(filter(str.isalnum, os.environ.get("USERNAME", "")))


def _check(path: str) -> None:
    told = os.lstat(path)
    if not modes.S_ISDIR(told.st_mode):
        raise WorkerError(f"{path} is no folder", _REMEDY)
    if not hasattr(os, "getuid"):
        return
    if told.st_uid != os.getuid():
        raise WorkerError(f"{path} belongs to user {told.st_uid}, who could change the code in it", _REMEDY)
    if told.st_mode & 0o077:
        os.chmod(path, 0o700)


@contextlib.contextmanager
def locked(digest: str) -> Iterator[None]:
    """Hold the lock of a bundle, among all threads and processes of this host; a dead process holds none."""
    # A few files that stay, for a lock in a file that somebody removes locks nothing.
    path = os.path.join(folder(), f"{digest[:1]}.lock")
    if fcntl is None:
        from filelock import FileLock

        with FileLock(path):
            yield
        return
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(handle, fcntl.LOCK_UN)  # also for a child that was forked meanwhile and has the file open
    finally:
        os.close(handle)


def forget() -> None:
    """Look at the folder anew, as when somebody has removed it."""
    _checked.clear()
