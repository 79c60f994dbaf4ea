"""The file that a tag is written into or read from, looked at in pieces: it may be larger than memory."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from reprokit.errors import EmbedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPEN = getattr(os, "O_NONBLOCK", 0)  # opening a named pipe would wait for its writer


class Source:
    """An opened regular file."""

    __slots__ = ("path", "size", "stat", "stream")

    def __init__(self, path: str, stream: BinaryIO) -> None:
        self.path = path
        self.stream = stream
        self.stat = os.fstat(stream.fileno())
        self.size = self.stat.st_size  # bytes

    def upto(self, start: int, count: int) -> bytes:
        """Give up to `count` bytes from `start`; fewer at the file's end."""
        self.stream.seek(start)
        return self.stream.read(count)

    def exactly(self, start: int, count: int) -> bytes:
        """Give `count` bytes from `start`.

        Raises
        ------
        EmbedError
            When the file ends before that.
        """
        if start < 0 or start + count > self.size:
            raise self.damaged("it ends too early")
        data = self.upto(start, count)
        if len(data) != count:
            raise self.damaged("it ends too early")
        return data

    def damaged(self, why: str) -> EmbedError:
        """Make the error that says what is wrong with this file."""
        return EmbedError(self.path, why)


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Source | None]:
    """Open a file, its links followed; None for a folder, a pipe or a device.

    Raises
    ------
    OSError
        When it can't be opened.
    """
    real = os.path.realpath(os.fspath(path))
    if not stat.S_ISREG(os.stat(real).st_mode):
        yield None
        return
    with open(real, "rb", opener=lambda name, flags: os.open(name, flags | _OPEN)) as stream:
        yield Source(real, stream)
