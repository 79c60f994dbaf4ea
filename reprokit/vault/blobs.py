"""Artifacts kept by content, below ``blobs/sha256/ab/cdef...``."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from reprokit.vault import atomic, clone

if TYPE_CHECKING:
    from pathlib import Path


def blob_path(blobs: Path, digest: str) -> Path:
    """Where the content with this digest lies (or would lie)."""
    value = digest.partition(":")[2]
    return blobs / value[:2] / value[2:]


def keep(blobs: Path, source: Path, digest: str, *, move: bool = False) -> Path:
    """Keep the file or folder `source` under its digest, by move, reflink or copy.

    What is there already stays, but for a file that was damaged since.

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
    if there and not _is_damaged(target, digest):
        if move:
            clone.discard(source)
        return target
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (move and _moved(source, target)):
        _copy(source, target)
        if move:
            clone.discard(source)
    atomic.sync_folder(str(target.parent))
    return target


def _moved(source: Path, target: Path) -> bool:
    """Move what has no other name; False when it has, or when the file systems differ."""
    try:
        found = os.lstat(source)
        if stat.S_ISLNK(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink > 1):
            return False  # what is written under the other name would be written here
        os.utime(source)
        os.rename(source, target)
    except OSError:
        return False
    return True


def _is_damaged(target: Path, digest: str) -> bool:
    """Tell whether a file that is kept has other content by now; folders are taken as they are."""
    if target.is_symlink():
        return True
    try:
        with open(target, "rb") as stream:
            return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}" != digest
    except OSError:  # a folder, or another user's
        return False


def _copy(source: Path, target: Path) -> None:
    try:
        clone.put(source, target, over_folder=False)
    except OSError:
        if not target.exists():  # else another process kept the same content at the same moment
            raise
