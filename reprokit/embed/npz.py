"""npz: the comment of the zip archive, at the very end (APPNOTE 4.3.16, 4.4.12); members stay as they are."""

from __future__ import annotations

import os
import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from reprokit.embed.tag import KEY, TEXT, Tag, decode

if TYPE_CHECKING:
    from reprokit.embed.source import Source
    from reprokit.embed.target import Target

MAGIC = b"PK\x03\x04"
LARGE = 1 << 26  # bytes from which the comment is written in place: to copy an archive for 110 bytes takes too long
_END = struct.Struct("<4s4H2LH")  # end of central directory
_END_MAGIC = b"PK\x05\x06"
_ENTRY = struct.Struct("<4s6H3L5H2L")  # an entry of the central directory
_ENTRY_MAGIC = b"PK\x01\x02"
_LOCATOR = struct.Struct("<4sLQL")  # of the zip64 end record
_END64 = struct.Struct("<4sQ2H2L4Q")
_MOST = 1 << 16  # bytes of a comment
_DIRECTORY = 1 << 26  # bytes of a central directory
_OURS = re.compile(rb"(?:^|\n)" + KEY + rb" (" + TEXT + rb")\Z")


class _End(NamedTuple):
    place: int  # of the record
    directory: int
    size: int  # bytes of the directory
    comment: bytes


def mine(head: bytes) -> bool:
    """Tell a zip archive whose first member is an array."""
    if len(head) < 30 or not head.startswith(MAGIC):
        return False
    length = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + length].endswith(b".npy")


def read(source: Source) -> Tag | None:
    """Read the comment."""
    ours = _OURS.search(_end(source).comment)
    return decode(ours[1]) if ours else None


def is_large(source: Source) -> bool:
    """Tell an archive that is not to be copied; one with a second name (a hard link) always is."""
    return source.size >= LARGE and source.stat.st_nlink == 1


def write(source: Source, text: bytes, target: Target) -> bool:
    """Copy the archive, with the new comment."""
    end = _end(source)
    if not _arrays(source, end):
        return False
    comment = _commented(source, end, text)
    target.take(source, 0, end.place + _END.size - 2)
    target.put(struct.pack("<H", len(comment)) + comment)
    return True


def write_in_place(source: Source, text: bytes) -> bool:
    """Put the comment behind the archive first, then say how long it is: after each step the archive can be read."""
    end = _end(source)
    if not _arrays(source, end):
        return False
    comment = _commented(source, end, text)
    start = end.place + _END.size
    with open(source.path, "r+b", buffering=0) as stream:
        try:
            _put(stream.fileno(), comment, start)
            _put(stream.fileno(), struct.pack("<H", len(comment)), start - 2)
        except OSError:
            _put(stream.fileno(), struct.pack("<H", len(end.comment)) + end.comment, start - 2)
            os.ftruncate(stream.fileno(), source.size)
            raise
        os.ftruncate(stream.fileno(), start + len(comment))
        os.fsync(stream.fileno())
    return True


def _put(descriptor: int, data: bytes, start: int) -> None:
    os.lseek(descriptor, start, os.SEEK_SET)
    while data:
        data = data[os.write(descriptor, data) :]


def _commented(source: Source, end: _End, text: bytes) -> bytes:
    """Give the comment with our line as its last one."""
    others = _OURS.sub(b"", end.comment)
    comment = (others + b"\n" if others else b"") + KEY + b" " + text
    if len(comment) >= _MOST:
        raise source.damaged("the archive's comment leaves no room for a tag")
    return comment


def _end(source: Source) -> _End:
    """Find the end record: the last one whose comment fills the rest of the file.

    Raises
    ------
    EmbedError
        When there is none.
    """
    start = max(0, source.size - _MOST - _END.size)
    tail = source.exactly(start, source.size - start)
    at = tail.rfind(_END_MAGIC)
    while at >= 0:
        if at + _END.size <= len(tail):
            _, disk, first, here, count, size, directory, length = _END.unpack_from(tail, at)
            comment = tail[at + _END.size :]
            if len(comment) == length and disk == first == 0 and here == count:
                place = start + at
                if 0xFFFFFFFF in (size, directory) or count == 0xFFFF:
                    size, directory = _wide(source, place, size, directory)
                return _End(place, directory, size, comment)
        at = tail.rfind(_END_MAGIC, 0, at)
    raise source.damaged("the zip archive has no end record")


def _wide(source: Source, place: int, size: int, directory: int) -> tuple[int, int]:
    """Read the zip64 end record (APPNOTE 4.3.14); an archive may also just have as many members as that."""
    if place < _LOCATOR.size:
        return size, directory
    magic, _, at, _ = _LOCATOR.unpack(source.exactly(place - _LOCATOR.size, _LOCATOR.size))
    if magic != b"PK\x06\x07":
        return size, directory
    record = _END64.unpack(source.exactly(at, _END64.size))
    if record[0] != b"PK\x06\x06":
        raise source.damaged("the zip archive has no zip64 end record")
    return record[8], record[9]


def _arrays(source: Source, end: _End) -> bool:
    """Tell whether every member is an array: other archives that begin with one are not ours.

    Raises
    ------
    EmbedError
        When the directory is damaged.
    """
    if end.size > _DIRECTORY or end.directory + end.size > end.place:
        raise source.damaged("the zip archive's directory is not where its end record says")
    data = source.exactly(end.directory, end.size)
    at = 0
    while at < len(data):
        entry = _ENTRY.unpack_from(data, at)
        if entry[0] != _ENTRY_MAGIC:
            raise source.damaged("the zip archive's directory is damaged")
        name, extra, comment = entry[10:13]
        at += _ENTRY.size
        if not data[at : at + name].endswith(b".npy"):
            return False
        at += name + extra + comment
    if at != len(data) or not data:
        raise source.damaged("the zip archive's directory is damaged")
    return True
