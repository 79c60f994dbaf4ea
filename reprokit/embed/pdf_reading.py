"""What can be found in a PDF without a library: our own update, and an entry that other programs wrote anew."""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from reprokit.embed.tag import KEY, TEXT, Tag, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.embed.source import Source

_TAIL = 1 << 20  # bytes
_BLOCK = 1 << 20  # bytes
_OVERLAP = 512  # bytes; no entry is longer
_MOST = 1 << 28  # bytes of a file that are searched
_INFLATED = 1 << 26  # bytes of object streams that are unpacked
_ENTRY = re.compile(rb"/" + KEY + rb"[ \t\r\n]*\((" + TEXT + rb")\)")
_MARK = re.compile(rb"%" + KEY + rb" (\d{1,18})\n")
_STREAM = re.compile(rb"/ObjStm\b[^\0]{0,400}?stream\r?\n")


def find(source: Source) -> Tag | None:
    """Find the newest entry: at the end, anywhere, or in an object stream (ISO 32000-2, 7.5.7)."""
    start = max(0, source.size - _TAIL)
    found = _ENTRY.findall(source.upto(start, _TAIL))
    if not found:
        found = [one for block in _blocks(source) for one in _ENTRY.findall(block)]
    if not found:
        found = [one for data in _object_streams(source) for one in _ENTRY.findall(data)]
    return decode(found[-1][0]) if found else None


def holds(source: Source, word: bytes) -> bool:
    """Tell whether a word stands somewhere in the file as it is on disk."""
    return any(word in block for block in _blocks(source, source.size))


def own_update(source: Source) -> tuple[int, bytes] | None:
    """Find an update that looks like ours at the end of the file.

    Returns
    -------
    tuple or None
        How many bytes stand before it, and the text of its tag.
    """
    start = max(0, source.size - _TAIL)
    tail = source.upto(start, _TAIL)
    marks = [one for one in _MARK.finditer(tail) if int(one[1]) == start + one.start()]
    if not marks:
        return None
    at = marks[-1].start()
    entry = _ENTRY.search(tail, at)
    if entry is None or at == 0:
        return None
    # The original had no newline at its end when ours is the only one there.
    end = at - 1 if tail[:at].endswith(b"%%EOF\n") else at
    return start + end, entry[1]


def _blocks(source: Source, most: int = _MOST) -> Iterator[bytes]:
    for start in range(0, min(source.size, most), _BLOCK):
        yield source.upto(start, _BLOCK + _OVERLAP)


def _object_streams(source: Source) -> Iterator[bytes]:
    left = _INFLATED
    for number, block in enumerate(_blocks(source)):
        for one in _STREAM.finditer(block):
            place = number * _BLOCK + one.end()
            packed = source.upto(place, _BLOCK)
            try:
                data = zlib.decompressobj().decompress(packed, min(left, _INFLATED // 8))
            except zlib.error:  # not packed, or not like this
                continue
            left -= len(data)
            yield data
            if left <= 0:
                return
