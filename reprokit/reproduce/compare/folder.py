"""Folders: entry by entry, as files are compared; links by where they lead, and never followed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit.reproduce.compare import registry
from reprokit.reproduce.compare.words import UnreadableError, combine, plain
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_MOST = 1_000_000  # entries


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two folders."""
    parts = list(_pairs(old, new, _entries(old), _entries(new), tolerance))
    if all(part.outcome == "identical" and not part.said for part in parts):
        return Verdict(name=name, outcome="identical", kind="folder", details={"total": len(parts), "count": 0})
    return combine(name, "folder", parts, tolerance, noun="entry")


def _entries(folder: Path) -> dict[str, str]:
    """List all entries by their names below a folder, POSIX separators, with what they are.

    Raises
    ------
    UnreadableError
        When there are more than anybody wrote on purpose.
    """
    found: dict[str, str] = {}
    waiting = [("", os.fspath(folder))]
    while waiting:
        prefix, here = waiting.pop()
        with os.scandir(here) as entries:
            for entry in entries:
                inside = f"{prefix}{entry.name}"
                found[inside] = _what(entry)
                if found[inside] == "folder":
                    waiting.append((f"{inside}/", entry.path))
        if len(found) > _MOST:
            raise UnreadableError(f"it holds more than {_MOST:,} entries")
    return found


def _what(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if entry.is_file(follow_symlinks=False) else "device or pipe"


def _pairs(
    old: Path, new: Path, first: dict[str, str], second: dict[str, str], tolerance: Tolerance
) -> Iterator[Verdict]:
    for entry in sorted(first.keys() | second.keys()):
        if entry not in second:
            yield Verdict(name=entry, outcome="missing")
        elif entry not in first:
            yield Verdict(name=entry, outcome="extra")
        elif first[entry] != second[entry]:
            yield Verdict(name=entry, outcome="differs", said=f"a {first[entry]} -> a {second[entry]}")
        elif first[entry] == "link":
            targets = [os.readlink(folder / entry) for folder in (old, new)]
            if targets[0] == targets[1]:
                yield Verdict(name=entry, outcome="identical")
            else:
                said = f"a link to {plain(targets[0])} -> to {plain(targets[1])}"
                yield Verdict(name=entry, outcome="differs", said=said)
        elif first[entry] == "file":
            yield registry.files(entry, old / entry, new / entry, tolerance)
