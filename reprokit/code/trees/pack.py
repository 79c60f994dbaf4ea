"""Packs of git objects: one file and its index for everything that a tree brings anew (gitformat-pack(5), version 2)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import tempfile
import zlib
from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from reprokit.code.trees import objects

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

LEVEL = 1  # three times as fast as zlib's default; git's deltas make up for it when packs are put together
_TYPES = {"commit": 1, "tree": 2, "blob": 3}
_NAME = 32
_FAR = 1 << 31
_MAGIC = b"\xfftOc\0\0\0\2"


class Packed(NamedTuple):
    """An object as it stands in a pack."""

    oid: bytes
    data: bytes  # header and zlib stream


def packed(kind: str, data: bytes, oid: bytes | None = None) -> Packed:
    """Compress an object."""
    engine = zlib.compressobj(LEVEL, memLevel=7)  # a tenth faster for files as small as source
    return Packed(oid or objects.name(kind, data), _header(kind, len(data)) + engine.compress(data) + engine.flush())


def _header(kind: str, size: int) -> bytes:
    """Type and size: four bits of the size first, then seven at a time."""
    byte = (_TYPES[kind] << 4) | (size & 15)
    size >>= 4
    made = bytearray()
    while size:
        made.append(byte | 0x80)
        byte = size & 0x7F
        size >>= 7
    made.append(byte)
    return bytes(made)


class Known:
    """The objects that a store holds already."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._indexes: dict[str, bytes] = {}
        self._loose = {name for name in os.listdir(folder) if len(name) == 2}  # folders of single objects
        self._read()

    def _read(self) -> None:
        for name in os.listdir(self._folder / "pack"):
            if name.endswith(".idx") and name not in self._indexes:
                # A pack may go while this looks: what it held is in a newer one then.
                with contextlib.suppress(FileNotFoundError):
                    self._indexes[name] = (self._folder / "pack" / name).read_bytes()

    @property
    def packs(self) -> int:
        """How many packs there are."""
        return len(self._indexes)

    def __contains__(self, oid: bytes) -> bool:
        if any(_in_index(index, oid) for index in self._indexes.values()):
            return True
        text = oid.hex()
        return text[:2] in self._loose and (self._folder / text[:2] / text[2:]).exists()


def _in_index(data: bytes, oid: bytes) -> bool:
    """Look an object up in the index of a pack: a table by first byte, then the sorted names."""
    first = oid[0]
    begin = int.from_bytes(data[4 + 4 * first : 8 + 4 * first], "big") if first else 0
    end = int.from_bytes(data[8 + 4 * first : 12 + 4 * first], "big")
    names = 8 + 1024

    def at(number: int) -> bytes:
        return data[names + number * _NAME : names + (number + 1) * _NAME]

    place = bisect_left(range(begin, end), oid, key=at) + begin
    return place < end and at(place) == oid


class Writer:
    """Writes one pack; as a context manager it leaves nothing behind when something goes wrong."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "pack"
        descriptor, self._path = tempfile.mkstemp(dir=self._folder, prefix="tmp_pack_")
        self._stream = os.fdopen(descriptor, "w+b")
        self._stream.write(b"PACK" + struct.pack(">II", 2, 0))
        self._found: dict[bytes, tuple[int, int]] = {}
        self._at = 12

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):  # closing writes what is left, and the disk may be full
            self._stream.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)

    def __contains__(self, oid: bytes) -> bool:
        return oid in self._found

    def add(self, one: Packed) -> None:
        """Write an object, once."""
        if one.oid not in self._found:
            self._found[one.oid] = (self._at, zlib.crc32(one.data))
            self._stream.write(one.data)
            self._at += len(one.data)

    def add_stream(self, source: str, size: int, oid: bytes) -> None:
        """Write a large file as a blob without holding it in memory.

        Raises
        ------
        ValueError
            When it is no longer the file that `oid` names.
        """
        if oid in self._found:
            return
        start, check = self._at, 0
        engine = zlib.compressobj(LEVEL)
        state = hashlib.sha256(b"blob %d\0" % size)
        pieces = [_header("blob", size)]
        with open(source, "rb") as stream:
            while True:
                block = stream.read(1 << 20)
                state.update(block)
                pieces.append(engine.compress(block) if block else engine.flush())
                for piece in pieces:
                    check = zlib.crc32(piece, check)
                    self._stream.write(piece)
                    self._at += len(piece)
                pieces.clear()
                if not block:
                    break
        if state.digest() != oid:
            self._stream.seek(start)
            self._stream.truncate()
            self._at = start
            raise ValueError(f"{source}: changed while it was read")
        self._found[oid] = (start, check)

    def finish(self) -> None:
        """Make the pack part of the store; nothing happens when it holds nothing.

        Raises
        ------
        OSError
            When it cannot be written.
        """
        if not self._found:
            return
        self._stream.seek(8)
        self._stream.write(struct.pack(">I", len(self._found)))
        self._stream.seek(0)
        trailer = hashlib.file_digest(self._stream, "sha256").digest()
        self._stream.seek(0, os.SEEK_END)
        self._stream.write(trailer)
        self._stream.flush()
        os.fsync(self._stream.fileno())
        target = self._folder / f"pack-{trailer.hex()}"
        descriptor, scratch = tempfile.mkstemp(dir=self._folder, prefix="tmp_idx_")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(self._index(trailer))
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(self._path, 0o444)
            os.chmod(scratch, 0o444)
            os.replace(self._path, f"{target}.pack")  # git looks for the index first
            os.replace(scratch, f"{target}.idx")
        except OSError:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(scratch)
            raise

    def _index(self, trailer: bytes) -> bytes:
        names = sorted(self._found)
        counts = [0] * 256
        for name in names:
            counts[name[0]] += 1
        total, table = 0, []
        for count in counts:
            total += count
            table.append(total)
        offsets, far = [], []
        for name in names:
            offset = self._found[name][0]
            if offset >= _FAR:
                far.append(offset)
                offset = _FAR | (len(far) - 1)
            offsets.append(offset)
        number = len(names)
        data = b"".join(
            (
                _MAGIC,
                struct.pack(">256I", *table),
                *names,
                struct.pack(f">{number}I", *(self._found[name][1] for name in names)),
                struct.pack(f">{number}I", *offsets),
                struct.pack(f">{len(far)}Q", *far),
                trailer,
            )
        )
        return data + hashlib.sha256(data).digest()
