"""Puts a new folder or file in the place of an old one, at one instant."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from reprokit import process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_AT_FDCWD = -100  # Linux: relative to the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2(2), RENAME_SWAP of renamex_np(2)
_CANNOT = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


@contextlib.contextmanager
def scratch_beside(target: Path) -> Iterator[Path]:
    """Give a new folder on the file system of `target`, gone afterwards with all that is left in it.

    Those that dead processes of this machine left go too; another machine's process may be at work in its own.
    """
    folder = target.parent.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name[:40]}.reprokit-{process.machine()}-"
    for left in os.listdir(folder):
        if left.startswith(prefix) and _is_over(left.removeprefix(prefix).partition("-")[0]):
            shutil.rmtree(folder / left, ignore_errors=True)
    made = tempfile.mkdtemp(dir=folder, prefix=f"{prefix}{os.getpid()}-")
    try:
        yield type(target)(made)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _is_over(pid: str) -> bool:
    return pid.isdigit() and process.exists(int(pid)) is False


def switch(new: Path, target: Path) -> None:
    """Move `new` to `target`; what was there is at `new` afterwards, if anything was.

    A crash leaves the old or the new at `target`.  Where the system cannot exchange two names there is an instant at
    which neither is there: the old one lies beside, as ``.<name>.reprokit-.../old``.

    Raises
    ------
    OSError
        Then `target` is as it was.
    """
    if not os.path.lexists(target):
        os.rename(new, target)
        return
    try:
        _exchange(os.fsencode(new), os.fsencode(target))
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        old = new.with_name("old")
        os.rename(target, old)
        try:
            os.rename(new, target)
        except OSError:
            os.rename(old, target)
            raise
        os.rename(old, new)


def _exchange(one: bytes, other: bytes) -> None:
    libc: Any = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        failed = libc.renamex_np(one, other, _EXCHANGE)
    elif sys.platform == "linux" and hasattr(libc, "renameat2"):
        failed = libc.renameat2(_AT_FDCWD, one, _AT_FDCWD, other, _EXCHANGE)
    else:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fsdecode(other))
