"""Digests that this process has taken of files, for as long as the files' stamps tell that they are the same.

The first time, every byte is read.  A stamp can't tell a change that came within the clock's grain of the look, so what was
changed just before is not remembered.
"""

from __future__ import annotations

import os
import stat
import time
from typing import TYPE_CHECKING

from reprokit.capture import files
from reprokit.capture.opened import known

if TYPE_CHECKING:
    from collections.abc import Hashable

_FINE = 20_000_000  # ns: two ticks of a slow kernel's clock
_COARSE = 2_000_000_000  # ns: file systems that count in seconds
_MOST = 100_000

_seen: dict[str, tuple[Hashable, str]] = {}


def digest(path: str, *, hint: bool = False) -> str | None:
    """Give the digest of a file or folder; None when there is none, or when it can't be read.

    Parameters
    ----------
    hint
        Whether another process's memory of large files is good enough.
    """
    before = time.time_ns()
    try:
        found = os.stat(path)
        is_file = stat.S_ISREG(found.st_mode)
        # The time of the last change of its inode tells also of one after which the file's time was set back.
        stamp: Hashable = (
            (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino, found.st_dev)
            if is_file
            else files.stamp(path)
        )
        held = _seen.get(path)
        if held is not None and held[0] == stamp:
            return held[1]
        told, _ = known.digest(path) if is_file and hint else files.digest_path(path)
    except (OSError, ValueError):
        return None
    times = [found.st_mtime_ns, found.st_ctime_ns]
    if isinstance(stamp, files.Stamp):
        times += [one[1] for one in stamp.facts[1]]
    if not is_settled(max(times), before):
        _seen.pop(path, None)
        return told
    if len(_seen) >= _MOST:
        _seen.clear()
    _seen[path] = (stamp, told)
    return told


def is_settled(changed: int, looked: int) -> bool:
    """Tell whether a stamp says all: whether what was changed last at `changed` (ns) was so well before the look at it."""
    grain = _COARSE if changed % 1_000_000_000 == 0 else _FINE
    return changed + grain <= looked
