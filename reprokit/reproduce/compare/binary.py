"""Bytes: the same or not, and where they begin to differ."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit.reproduce.compare.words import counted
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 1 << 18  # bytes; two fit into a core's cache


def first_difference(old: Path, new: Path) -> int | None:
    """Give the place of the first byte that differs, or that only one file has; None when they are the same.

    Raises
    ------
    OSError
        When one can't be read.
    """
    with open(old, "rb", buffering=0) as first, open(new, "rb", buffering=0) as second:
        if os.path.sameopenfile(first.fileno(), second.fileno()):
            return None
        one, other = bytearray(_BLOCK), bytearray(_BLOCK)
        place = 0
        while True:
            counts = _fill(first, one), _fill(second, other)
            if counts == (_BLOCK, _BLOCK) and one == other:
                place += _BLOCK
                continue
            shorter = min(counts)
            if one[:shorter] != other[:shorter]:
                return place + _within(one, other, shorter)
            if counts[0] != counts[1]:
                return place + shorter
            return None


def _fill(stream: object, buffer: bytearray) -> int:
    """Read until the buffer is full or the file ends."""
    view = memoryview(buffer)
    done = 0
    while done < len(buffer):
        count = stream.readinto(view[done:])  # type: ignore[attr-defined]
        if not count:
            break
        done += count
    return done


def _within(one: bytearray, other: bytearray, end: int) -> int:
    """Find the first difference by halving."""
    start = 0
    while end - start > 1:
        middle = (start + end) // 2
        if one[start:middle] == other[start:middle]:
            start = middle
        else:
            end = middle
    return start


def same(old: Path, new: Path) -> bool:
    """Tell whether two regular files hold the same bytes."""
    return os.path.getsize(old) == os.path.getsize(new) and first_difference(old, new) is None


def compare(name: str, old: Path, new: Path, kind: str = "bytes") -> Verdict:
    """Say where bytes begin to differ."""
    sizes = os.path.getsize(old), os.path.getsize(new)
    place = first_difference(old, new)
    if place is None:
        return Verdict(name=name, outcome="identical", kind=kind)
    told = f"{counted(sizes[0], 'byte')} -> {counted(sizes[1], 'byte')}, " if sizes[0] != sizes[1] else ""
    return Verdict(
        name=name,
        outcome="differs",
        kind=kind,
        said=f"{told}first at byte {place:,}" if told else f"bytes differ, first at {place:,} of {sizes[0]:,}",
        details={"place": place, "sizes": list(sizes)},
    )
