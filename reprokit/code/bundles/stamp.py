"""What a file or folder is like, so that a change shows without reading it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_SETTLED = (
    50_000_000  # ns after which the clock of the file system has ticked, so that another change gives another stamp
)


class Stamp(NamedTuple):
    """What the system says of a file."""

    changed: int  # ns
    size: int  # bytes
    inode: int
    mode: int


NEVER = Stamp(-1, 0, 0, 0)  # differs from all others


def of(stat: os.stat_result) -> Stamp:
    """Give the stamp in what `os.stat` says."""
    return Stamp(stat.st_mtime_ns, stat.st_size, stat.st_ino, stat.st_mode)


def of_path(path: str) -> Stamp | None:
    """Give the stamp of a file, of the target of a link; None when there is none."""
    try:
        return of(os.stat(path))
    except (OSError, ValueError):
        return None


def are(told: Mapping[str, Stamp | None] | None) -> bool:
    """Tell whether all files, by path, still have their stamps."""
    if told is None:
        return False
    stat = os.stat
    for path, before in told.items():
        try:
            now = stat(path)
        except (OSError, ValueError):
            if before is None:
                continue
            return False
        if before is None or (now.st_mtime_ns, now.st_size, now.st_ino, now.st_mode) != before:
            return False
    return True


def settled(told: Stamp, now: int) -> Stamp:
    """Give the stamp, or one that differs from all when the file changed so lately that it may change again unseen.

    Parameters
    ----------
    told
        The stamp.
    now
        When the file was looked at, in ns since the epoch.
    """
    return told if now - told.changed > _SETTLED or told.changed > now + 10 * _SETTLED else NEVER
