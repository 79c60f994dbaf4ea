"""Digests of many files at once: hashlib releases the interpreter's lock, so two files take the time of one."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple, Self, TypeVar

from reprokit.capture import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
_AHEAD = 64  # files that wait for a thread, so that neither a thread waits nor memory grows
_MOST = 4  # threads; past that a disk is the limit


class Hashed(NamedTuple):
    """What a path holds now."""

    digest: str | None  # None: nothing is there, or (then with a reason) it can't be read
    size: int = 0  # bytes
    reason: str = ""


class Hashing:
    """Hashes files and counts them.

    Parameters
    ----------
    progress
        Called with the number of files and bytes that are hashed by now.
    """

    def __init__(self, progress: Callable[[int, int], None] | None = None) -> None:
        self.files = 0
        self.size = 0
        self._progress = progress
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def one(self, path: bytes | str) -> Hashed:
        """Hash one file or folder."""
        return self._counted(look(path))

    def all(self, wanted: Iterable[tuple[T, bytes | str]]) -> Iterator[tuple[T, Hashed]]:
        """Hash files on several threads; the results come in order, each with what it was asked for."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(max(2, min(_MOST, os.cpu_count() or 1)), "reprokit-hash")
        waiting: deque[tuple[T, Future[Hashed]]] = deque()
        for key, path in wanted:
            waiting.append((key, self._pool.submit(look, path)))
            if len(waiting) >= _AHEAD:
                first, future = waiting.popleft()
                yield first, self._counted(future.result())
        for key, future in waiting:
            yield key, self._counted(future.result())

    def _counted(self, found: Hashed) -> Hashed:
        if found.digest is not None:
            self.files += 1
            self.size += found.size
            if self._progress is not None:
                self._progress(self.files, self.size)
        return found


def look(path: bytes | str) -> Hashed:
    """Hash a file or folder; what goes wrong is told, not raised."""
    try:
        return Hashed(*files.digest_path(os.fsdecode(path)))
    except (FileNotFoundError, NotADirectoryError):
        return Hashed(None)
    except OSError as error:
        return Hashed(None, 0, error.strerror or str(error))
    except ValueError as error:  # a null character in a recorded path
        return Hashed(None, 0, str(error))
