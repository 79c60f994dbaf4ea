"""Git's index file (gitformat-index(5), version 2, SHA-256): the stat data by which git sees that a file is unchanged.

It is written here, so that git reads a tree and its stat data from a file whose objects are in a pack already.
"""

from __future__ import annotations

import hashlib
import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_STAT = struct.Struct(">10I")
_FIXED = 74  # bytes before the name: stat data, object name, flags
_KEPT = 72  # without the flags
_NAME = 32
_LONGEST = 0xFFF
_MASK = 0xFFFFFFFF


def entry(stat: os.stat_result, mode: int, oid: bytes) -> bytes:
    """Make what the index says of a file, but for its path."""
    seconds, nanoseconds = divmod(stat.st_ctime_ns, 1_000_000_000)
    modified, fraction = divmod(stat.st_mtime_ns, 1_000_000_000)
    numbers = (seconds, nanoseconds, modified, fraction, stat.st_dev, stat.st_ino, mode, stat.st_uid, stat.st_gid)
    return _STAT.pack(*(number & _MASK for number in numbers), stat.st_size & _MASK) + oid


def oid_of(found: bytes) -> bytes:
    """The name of the file's object."""
    return found[40:]


def mode_of(found: bytes) -> int:
    """Its mode."""
    return int.from_bytes(found[24:28], "big")


def size_of(found: bytes) -> int:
    """Its size in bytes."""
    return int.from_bytes(found[36:40], "big")


def seconds_of(found: bytes) -> int:
    """When it was modified, in seconds since the epoch."""
    return int.from_bytes(found[8:12], "big")


def read(path: Path) -> dict[bytes, bytes]:
    """Read an index that `write` wrote: what it says of each path.

    Raises
    ------
    ValueError
        When it is no such file.
    OSError
        When it cannot be read.
    """
    data = path.read_bytes()
    if data[:8] != b"DIRC\0\0\0\2" or len(data) < 12 + _NAME:
        raise ValueError(f"{path}: no index of version 2")
    found = {}
    at = 12
    for _ in range(int.from_bytes(data[8:12], "big")):
        start = at + _FIXED
        length = int.from_bytes(data[start - 2 : start], "big") & _LONGEST
        end = start + length if length < _LONGEST else data.index(b"\0", start)
        found[data[start:end]] = data[at : at + _KEPT]
        at += (end - at + 8) & ~7
    return found


def write(path: Path, entries: Mapping[bytes, bytes]) -> str:
    """Replace an index; give its trailing checksum as hex."""
    parts = [b"DIRC", struct.pack(">II", 2, len(entries))]
    for name in sorted(entries):
        length = len(name)
        flags = min(length, _LONGEST).to_bytes(2, "big")
        parts.append(entries[name] + flags + name + b"\0" * (8 - (_FIXED + length) % 8))
    data = b"".join(parts)
    trailer = hashlib.sha256(data).digest()
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        scratch.write_bytes(data + trailer)
        os.replace(scratch, path)
    except OSError:
        scratch.unlink(missing_ok=True)
        raise
    return trailer.hex()


def checksum(path: Path) -> str | None:
    """Give the trailing checksum of an index as hex, None when there is none to read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(-_NAME, os.SEEK_END)
            return stream.read().hex()
    except OSError:
        return None
