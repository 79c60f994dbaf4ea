"""The blocks of an HDF5 fractal heap (HDF5 File Format Specification 3.0, III.G), unfiltered ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.embed.source import Source

_MOST = 1 << 26  # bytes
_BLOCKS = 4096


def blocks(source: Source, base: int, heap: int, offset: int, length: int) -> Iterator[bytes]:
    """Give the direct blocks, of one indirect block at most.

    Parameters
    ----------
    source
        The file.
    base
        What all its addresses count from, in bytes.
    heap
        Address of the heap's header.
    offset, length
        Bytes of an address, and of a length.
    """
    at = base + heap
    fixed = 5 + 2 + 2 + 1 + 4  # signature and version, id length, filter length, flags, largest managed object
    table = fixed + 8 * length + 2 * offset + 2 * length
    head = source.exactly(at, table + 2 + 2 * length + 4 + offset + 2)
    if head[:4] != b"FRHP" or head[7:9] != b"\0\0":
        return

    def number(start: int, size: int) -> int:
        return int.from_bytes(head[start : start + size], "little")

    width = number(table, 2)
    first = number(table + 2, length)
    largest = number(table + 2 + length, length)
    bits = number(table + 2 + 2 * length, 2)
    root = number(table + 6 + 2 * length, offset)
    rows = number(table + 6 + 2 * length + offset, 2)
    if rows == 0:
        yield source.exactly(base + root, min(first, _MOST))
        return
    start = base + root + 5 + offset + (bits + 7) // 8
    left = _MOST
    for entry in range(min(rows * width, _BLOCKS)):
        row = entry // width
        size = first << max(0, row - 1)
        place = int.from_bytes(source.exactly(start + entry * offset, offset), "little")
        left -= size
        if size > largest or left < 0:
            return
        if place != (1 << 8 * offset) - 1:
            yield source.exactly(base + place, size)
