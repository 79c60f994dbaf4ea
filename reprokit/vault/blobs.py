"""Artifacts kept by content, below ``blobs/sha256/ab/cdef...``."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from reprokit.vault import atomic

if TYPE_CHECKING:
    from pathlib import Path

_FICLONE = 0x40049409  # Linux ioctl: share the blocks of another file (btrfs, xfs)


def blob_path(blobs: Path, digest: str) -> Path:
    """Where the content with this digest lies (or would lie)."""
    value = digest.partition(":")[2]
    return blobs / value[:2] / value[2:]


def keep(blobs: Path, source: Path, digest: str, *, move: bool = False) -> Path:
    """Keep the file or folder `source` under its digest, by move, reflink or copy; what is there already stays.

    Raises
    ------
    OSError
        When it cannot be kept; `source` is untouched then.
    """
    target = blob_path(blobs, digest)
    # Who removes blobs that no run refers to leaves young ones alone: a record that refers to this one is yet to come.
    try:
        os.utime(target)
        there = True
    except FileNotFoundError:
        there = False
    except PermissionError:
        there = True  # another user kept it
    if there:
        if move:
            _discard(source)
        return target
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if move:
        try:
            os.utime(source)
            os.rename(source, target)
        except OSError:  # another file system: copy, then remove
            _copy(source, target)
            _discard(source)
    else:
        _copy(source, target)
    atomic.sync_folder(str(target.parent))
    return target


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name[:16]}-{os.urandom(4).hex()}.tmp")
    try:
        if source.is_dir():
            shutil.copytree(source, temporary, symlinks=True)
        else:
            _copy_file(source, temporary)
        os.utime(temporary)
        os.replace(temporary, target)
    except OSError:
        _discard(temporary)
        if not target.exists():  # else another process kept the same content at the same moment
            raise
    except BaseException:
        _discard(temporary)
        raise


def _copy_file(source: Path, target: Path) -> None:
    with open(source, "rb") as reader, open(target, "xb") as writer:
        if not _reflink(writer.fileno(), reader.fileno()):
            shutil.copyfileobj(reader, writer, 1 << 20)
        writer.flush()
        os.fsync(writer.fileno())


def _reflink(target: int, source: int) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
