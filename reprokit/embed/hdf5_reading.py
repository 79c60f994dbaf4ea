"""As much of the HDF5 format as it takes to read one attribute of the root group: versions 0 to 3, compact and dense.

After the HDF5 File Format Specification, version 3.0; section numbers below are its own.  Nothing is ever decoded that
the file names elsewhere: no links, no filters, no references.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reprokit.embed import hdf5_heap
from reprokit.embed.tag import KEY, Tag, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.embed.source import Source

MAGIC = b"\x89HDF\r\n\x1a\n"
_CONTINUATION, _ATTRIBUTE, _ATTRIBUTE_INFO = 0x10, 0x0C, 0x15
_MOST = 1 << 22  # bytes of an object header, and its pieces in all
_PIECES = 4096


class Form(NamedTuple):
    """What the superblock says of the whole file."""

    base: int  # all addresses count from here
    offset: int  # bytes of an address
    length: int  # bytes of a length
    root: int  # address of the root group's object header


def starts(size: int) -> Iterator[int]:
    """List where a superblock may begin."""
    yield 0
    start = 512
    while start < size:
        yield start
        start *= 2


def check(source: Source) -> None:
    """Walk through the root group's header.

    Raises
    ------
    EmbedError
        When it is damaged.
    """
    form = _form(source)
    for _ in _messages(source, form):
        pass


def find(source: Source) -> Tag | None:
    """Find the attribute."""
    form = _form(source)
    for kind, data in _messages(source, form):
        if kind == _ATTRIBUTE:
            found = attribute(data)
        elif kind == _ATTRIBUTE_INFO:
            found = _dense(source, form, data)
        else:
            continue
        if found:
            return found
    return None


def attribute(data: bytes) -> Tag | None:
    """Read an attribute message (IV.A.2.m) when it is ours."""
    version = data[0]
    sizes = [int.from_bytes(data[at : at + 2], "little") for at in (2, 4, 6)]  # name, datatype, dataspace
    at = 9 if version == 3 else 8
    if data[at : at + sizes[0]].rstrip(b"\0") != KEY:
        return None
    for size in sizes:
        at += (size + 7) // 8 * 8 if version == 1 else size
    return decode(data[at:].partition(b"\0")[0].rstrip(b" "))


def _form(source: Source) -> Form:
    """Read the superblock (II.A)."""
    start = next((at for at in starts(source.size) if source.upto(at, 8) == MAGIC), None)
    if start is None:
        raise source.damaged("it is not HDF5")
    head = source.upto(start, 128)
    version = head[8]
    if version in (0, 1):
        offset, length = head[13], head[14]
        at = 24 if version == 0 else 28
        # base, free space, end, driver; then the root's symbol table entry: name offset, header address
        root = at + 5 * offset
    elif version in (2, 3):
        offset, length = head[9], head[10]
        at = 12
        root = at + 3 * offset
    else:
        raise source.damaged(f"its HDF5 superblock has version {version}")
    if offset not in (2, 4, 8) or length not in (2, 4, 8):
        raise source.damaged("its HDF5 superblock is damaged")
    base = _address(head, at, offset)
    end = _address(head, at + 2 * offset, offset)
    if end > source.size + base:
        raise source.damaged("it ends too early")
    return Form(base, offset, length, _address(head, root, offset))


def _address(data: bytes, at: int, size: int) -> int:
    piece = data[at : at + size]
    if len(piece) != size:
        raise IndexError("it ends too early")
    return int.from_bytes(piece, "little")


def _messages(source: Source, form: Form) -> Iterator[tuple[int, bytes]]:
    """List the messages of the root group's object header (IV.A.1) with those of its continuations."""
    start = form.base + form.root
    second = source.exactly(start, 4) == b"OHDR"
    if second:
        flags = source.exactly(start + 5, 1)[0]
        at = start + 6 + (16 if flags & 32 else 0) + (4 if flags & 16 else 0)
        width = 1 << (flags & 3)
        pieces = [(at + width, int.from_bytes(source.exactly(at, width), "little"))]
        header = 6 if flags & 4 else 4
    else:
        head = source.exactly(start, 16)
        if head[0] != 1:
            raise source.damaged("its root group is damaged")
        pieces = [(start + 16, int.from_bytes(head[8:12], "little"))]
        header = 8
    left = _MOST
    seen = 0
    while pieces:
        at, size = pieces.pop(0)
        left -= size
        seen += 1
        if left < 0 or seen > _PIECES:
            raise source.damaged("its root group's header is too large")
        data = source.exactly(at, size)
        here = 0
        while here + header <= size:
            if second:
                kind, count = data[here], int.from_bytes(data[here + 1 : here + 3], "little")
            else:
                kind, count = (int.from_bytes(data[here + i : here + i + 2], "little") for i in (0, 2))
            body = data[here + header : here + header + count]
            if len(body) != count:
                raise source.damaged("its root group's header is damaged")
            here += header + count
            if kind == _CONTINUATION:
                place = form.base + _address(body, 0, form.offset)
                more = _address(body, form.offset, form.length)
                pieces.append((place + 4, more - 8) if second else (place, more))  # OCHK, checksum
            else:
                yield kind, body


def _dense(source: Source, form: Form, data: bytes) -> Tag | None:
    """Look through the heap that holds a group's many attributes (IV.A.2.v)."""
    at = 2 + (2 if data[1] & 1 else 0)
    heap = _address(data, at, form.offset)
    if heap == (1 << 8 * form.offset) - 1:  # undefined: they stand in the header
        return None
    for block in hdf5_heap.blocks(source, form.base, heap, form.offset, form.length):
        at = block.find(KEY + b"\0")
        while at >= 0:
            for before in (8, 9):  # bytes of a message before its name, in versions 1 and 2, and in 3
                if at >= before and (found := _heaped(block[at - before : at + 1024], before)):
                    return found
            at = block.find(KEY + b"\0", at + 1)
    return None


def _heaped(data: bytes, before: int) -> Tag | None:
    """Read an attribute message that other objects of a heap follow, if one begins here."""
    if data[0] not in ((1, 2) if before == 8 else (3,)) or int.from_bytes(data[2:4], "little") != len(KEY) + 1:
        return None
    return attribute(data)
