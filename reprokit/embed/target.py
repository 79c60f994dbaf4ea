"""The new version of a file: written beside it, and put in its place whole or not at all."""

from __future__ import annotations

import itertools
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, BinaryIO

from reprokit.errors import EmbedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.embed.source import Source

_BLOCK = 1 << 20  # bytes
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_copy_range = getattr(os, "copy_file_range", None)  # inside the kernel; shares the blocks where the file system can
_numbers = itertools.count()


class Target:
    """The version that is being written."""

    __slots__ = ("path", "stream")

    def __init__(self, path: str, stream: BinaryIO) -> None:
        self.path = path
        self.stream = stream

    def put(self, data: bytes) -> None:
        """Append bytes."""
        self.stream.write(data)

    def take(self, source: Source, start: int, stop: int) -> None:
        """Append a part of the original, in bounded memory.

        Raises
        ------
        EmbedError
            When the original has become shorter.
        """
        self.stream.flush()
        output = self.stream.fileno()
        while _copy_range is not None and start < stop:
            try:
                count = _copy_range(source.stream.fileno(), output, stop - start, start)
            except OSError:  # two file systems, or one that can't: the loop below says what is really wrong
                break
            if count == 0:
                break
            start += count
        while start < stop:
            block = source.upto(start, min(_BLOCK, stop - start))
            if not block:
                raise source.damaged("it became shorter while it was read")
            self.stream.write(block)
            start += len(block)

    def drop(self) -> None:
        """Begin anew."""
        self.stream.seek(0)
        self.stream.truncate()


@contextmanager
def beside(source: Source) -> Iterator[Target]:
    """Open a new version in the folder of `source`; it is gone at the end unless `settle` was called."""
    folder, name = os.path.split(source.path)
    path = os.path.join(folder, f".{os.getpid()}-{next(_numbers)}-{os.urandom(4).hex()}-{name[:40]}.tmp")
    descriptor = os.open(path, _FLAGS, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as stream:
            yield Target(path, stream)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


def settle(source: Source, target: Target) -> None:
    """Put the new version in the place of the original; mode bits and extended attributes stay.

    Raises
    ------
    EmbedError
        When somebody else wrote the original meanwhile.
    """
    target.stream.flush()
    ours = os.fstat(target.stream.fileno())
    if (ours.st_uid, ours.st_gid) != (source.stat.st_uid, source.stat.st_gid):
        with suppress(PermissionError):  # only root gives files away; the content counts more than whose it is
            os.chown(target.path, source.stat.st_uid, source.stat.st_gid)
    shutil.copystat(source.path, target.path)
    os.utime(target.path)
    os.fsync(target.stream.fileno())
    now = os.stat(source.path)
    if _stamp(now) != _stamp(source.stat):
        raise EmbedError(source.path, "it was written while the tag was put in; close it first")
    target.stream.close()
    source.stream.close()  # Windows replaces no file that is open
    os.replace(target.path, source.path)


def _stamp(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_ino, found.st_size, found.st_mtime_ns
