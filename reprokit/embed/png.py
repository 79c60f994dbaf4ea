"""PNG: a ``tEXt`` chunk with the keyword ``reprokit``, straight after ``IHDR`` (PNG, third edition, 11.3.3.2)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

from reprokit.embed.tag import KEY, Tag, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.embed.source import Source
    from reprokit.embed.target import Target

MAGIC = b"\x89PNG\r\n\x1a\n"
_MOST = 1_000_000  # chunks
_LONGEST = 1024  # bytes of a chunk that could be ours
_TEXT = KEY + b"\0"
_INTERNATIONAL = KEY + b"\0\0\0\0\0"  # iTXt, as other programs may write it: not compressed, no language


class _Chunk(NamedTuple):
    kind: bytes
    start: int  # of its length field
    end: int  # behind its CRC


def mine(head: bytes) -> bool:
    """Tell a PNG; an APNG is one."""
    return head.startswith(MAGIC)


def read(source: Source) -> Tag | None:
    """Find the first tag."""
    for chunk in _chunks(source):
        text = _text(source, chunk)
        if text is not None and (found := decode(text)):
            return found
    return None


def write(source: Source, text: bytes, target: Target) -> bool:
    """Copy the chunks, with ours behind ``IHDR``."""
    chunks = list(_chunks(source))
    if any(chunk.kind == b"caBX" for chunk in chunks):  # C2PA: the file's bytes are signed
        return False
    header = chunks[0]
    target.take(source, 0, header.end)
    target.put(_chunk(_TEXT + text))
    start = header.end
    for chunk in chunks:
        if _text(source, chunk) is not None:
            target.take(source, start, chunk.start)
            start = chunk.end
    target.take(source, start, source.size)
    return True


def _chunks(source: Source) -> Iterator[_Chunk]:
    """List the chunks from ``IHDR`` to ``IEND`` without reading their data.

    Raises
    ------
    EmbedError
        When they aren't a PNG's.
    """
    start = len(MAGIC)
    for number in range(_MOST):
        length, kind = struct.unpack(">I4s", source.exactly(start, 8))
        end = start + 12 + length
        if end > source.size or not kind.isalpha() or (number == 0) != (kind == b"IHDR"):
            raise source.damaged("its chunks are not a PNG's")
        yield _Chunk(kind, start, end)
        if kind == b"IEND":
            return
        start = end
    raise source.damaged(f"it has more than {_MOST:,} chunks")


def _text(source: Source, chunk: _Chunk) -> bytes | None:
    """Give what stands in a chunk under our keyword; None for every other chunk."""
    if chunk.kind not in (b"tEXt", b"iTXt") or chunk.end - chunk.start > _LONGEST:
        return None
    data = source.exactly(chunk.start + 8, chunk.end - chunk.start - 12)
    prefix = _TEXT if chunk.kind == b"tEXt" else _INTERNATIONAL
    return data[len(prefix) :] if data.startswith(prefix) else None


def _chunk(data: bytes) -> bytes:
    body = b"tEXt" + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
