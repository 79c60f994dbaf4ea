"""Which results can be used again: a file a key, ``reuse/ab/cdef...jsonl``, with a line for each result.

Lines are only appended, each by one write, and each begins with a checksum of the rest: what is torn or damaged is passed
over.  Only ``gc`` writes such a file anew.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from reprokit.errors import RecordError
from reprokit.model import digest
from reprokit.model.records import ReuseEntry
from reprokit.vault import atomic, documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOCK = ".lock"  # suffix of the file that is locked while the result is made
_SUFFIX = ".jsonl"
_CHECK = 16  # hex digits
_MOST = 10_000  # files that a process remembers
_FLAGS = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a named pipe would wait for its reader
)


_known: dict[str, tuple[tuple[int, ...], list[ReuseEntry]]] = {}


def place(folder: Path, key: str) -> str:
    """Where the results of a key lie (or would lie)."""
    value = digest.hex_of(key)
    return os.path.join(folder, value[:2], f"{value[2:]}{_SUFFIX}")


def append(path: str, entry: ReuseEntry) -> None:
    """Add a result; raises ``OSError`` when that can't be written."""
    line = encode(entry)
    try:
        descriptor = os.open(path, _FLAGS, 0o600)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        descriptor = os.open(path, _FLAGS, 0o600)
    try:
        size = os.fstat(descriptor).st_size
        if size <= documents.LARGEST:
            # A line break first: what stands there may be torn.
            atomic.write_all(descriptor, b"\n" + line if size else line)
    finally:
        os.close(descriptor)
    if size > documents.LARGEST:  # nobody can read what is there: it is begun anew
        atomic.write(path, line)


def encode(entry: ReuseEntry) -> bytes:
    """Give the line of a result."""
    data = documents.encode(entry, pretty=False)
    return _checksum(data.rstrip(b"\n")) + b" " + data


def known(path: str) -> list[ReuseEntry]:
    """Give the results of a key as `read` does, from memory while the file is what it was: it only grows.

    One that can't be read tells of no results: the function is called then, and `append` says what is wrong.
    """
    try:
        found = os.stat(path)
        stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        held = _known.get(path)
        if held is not None and held[0] == stamp:
            return held[1]
        entries = read(path)
    except (OSError, RecordError):
        return []
    if len(_known) >= _MOST:
        _known.clear()
    _known[path] = (stamp, entries)
    return entries


def read(path: str, damaged: list[RecordError] | None = None) -> list[ReuseEntry]:
    """Give the results of a key, the oldest first; none when there is no file.

    Parameters
    ----------
    damaged
        Takes what is wrong with lines that are passed over.

    Raises
    ------
    RecordError
        When the file can't be read.
    """
    try:
        data = documents.read_bytes(path)
    except FileNotFoundError:
        return []
    return list(parse(data, path, damaged))


def parse(data: bytes, path: str, damaged: list[RecordError] | None) -> Iterator[ReuseEntry]:
    """Do the same as `read` for the content of a file."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        try:
            if line[:_CHECK] != _checksum(line[_CHECK + 1 :]):
                raise RecordError(f"{path}:{number}", "damaged line: its checksum is another")
            yield documents.decode(line[_CHECK + 1 :], ReuseEntry, f"{path}:{number}")
        except RecordError as error:
            if damaged is not None:
                damaged.append(error)


def _checksum(data: bytes) -> bytes:
    return hashlib.sha256(data).hexdigest()[:_CHECK].encode()
