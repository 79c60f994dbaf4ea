"""JPEG: a comment segment (``COM``) behind the application segments (ITU-T T.81, B.2.4.5)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from reprokit.embed.tag import KEY, Tag, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.embed.source import Source
    from reprokit.embed.target import Target

MAGIC = b"\xff\xd8\xff"
_COM, _SOS = 0xFE, 0xDA
_APP = range(0xE0, 0xF0)
_SEGMENTS = frozenset(range(0xC0, 0xFF)) - frozenset(range(0xD0, 0xDA))  # markers with a length, before the image data
_MOST = 65_536  # segments
_PREFIX = KEY + b" "


class _Segment(NamedTuple):
    marker: int
    start: int  # of its 0xFF
    end: int


def mine(head: bytes) -> bool:
    """Tell a JPEG."""
    return head.startswith(MAGIC)


def read(source: Source) -> Tag | None:
    """Find the first tag."""
    for segment in _segments(source):
        if segment.marker == _COM and (found := decode(_ours(source, segment) or b"")):
            return found
    return None


def write(source: Source, text: bytes, target: Target) -> bool:
    """Copy the segments, with ours before the first that is no application segment."""
    segments = list(_segments(source))
    if any(_tied(source, segment) for segment in segments):
        return False
    place = next(segment.start for segment in segments if segment.marker not in _APP)
    comment = _PREFIX + text
    start = 0
    placed = False
    for segment in segments:
        if segment.start == place and not placed:
            target.take(source, start, place)
            target.put(b"\xff\xfe" + struct.pack(">H", len(comment) + 2) + comment)
            start, placed = place, True
        if segment.marker == _COM and _ours(source, segment) is not None:
            target.take(source, start, segment.start)
            start = segment.end
    target.take(source, start, source.size)
    return True


def _segments(source: Source) -> Iterator[_Segment]:
    """List the segments up to the first scan.

    Raises
    ------
    EmbedError
        When they aren't a JPEG's.
    """
    start = 2
    for _ in range(_MOST):
        fill = start
        while source.exactly(fill, 2) == b"\xff\xff":  # B.1.1.2: fill bytes may stand before a marker
            fill += 1
            if fill - start > _MOST:
                raise source.damaged("its segments are not a JPEG's")
        first, marker, length = struct.unpack(">BBH", source.exactly(fill, 4))
        end = fill + 2 + length
        if first != 0xFF or marker not in _SEGMENTS or length < 2 or end > source.size:
            raise source.damaged("its segments are not a JPEG's")
        yield _Segment(marker, start, end)
        if marker == _SOS:
            return
        start = end
    raise source.damaged(f"it has more than {_MOST:,} segments")


def _ours(source: Source, segment: _Segment) -> bytes | None:
    data = source.exactly(segment.start, segment.end - segment.start).lstrip(b"\xff")[3:]
    return data[len(_PREFIX) :] if data.startswith(_PREFIX) else None


def _tied(source: Source, segment: _Segment) -> bool:
    """Tell a segment that counts or signs the file's bytes: multi-picture (CIPA DC-007), content credentials (C2PA)."""
    if segment.marker == 0xE2:
        return source.upto(segment.start, segment.end - segment.start).lstrip(b"\xff")[3:].startswith(b"MPF\0")
    if segment.marker == 0xEB:
        return b"c2pa" in source.upto(segment.start, segment.end - segment.start)
    return False
