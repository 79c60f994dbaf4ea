"""Artifacts kept by content, below ``blobs/sha256/ab/cdef...``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit.vault import atomic, clone

if TYPE_CHECKING:
    from pathlib import Path


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
            clone.discard(source)
        return target
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if move:
        try:
            os.utime(source)
            os.rename(source, target)
        except OSError:  # another file system: copy, then remove
            _copy(source, target)
            clone.discard(source)
    else:
        _copy(source, target)
    atomic.sync_folder(str(target.parent))
    return target


def _copy(source: Path, target: Path) -> None:
    try:
        clone.put(source, target, over_folder=False)
    except OSError:
        if not target.exists():  # else another process kept the same content at the same moment
            raise
