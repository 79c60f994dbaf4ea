"""What the files of a tree are like, to notice later that one has changed."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

_SKIPPED = frozenset(("__pycache__", ".git"))


class Stamp(NamedTuple):
    """What a file was like when its tree was loaded."""

    size: int  # bytes
    changed: int  # ns


def stamps(folder: str) -> dict[str, Stamp]:
    """Look at all files below a folder, byte code aside; by absolute path."""
    found: dict[str, Stamp] = {}
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _SKIPPED:
                        waiting.append(entry.path)
                elif not entry.name.endswith((".pyc", ".pyo")):
                    stat = entry.stat(follow_symlinks=False)
                    found[entry.path] = Stamp(stat.st_size, stat.st_mtime_ns)
    return found


def digest(folder: str, known: Mapping[str, Stamp]) -> str:
    """Give one digest (64 hex digits) of the stamps of a folder's files, wherever it lies."""
    told = hashlib.sha256()
    for path in sorted(known):
        told.update(repr((path.removeprefix(folder), *known[path])).encode("utf-8", "surrogateescape"))
    return told.hexdigest()
