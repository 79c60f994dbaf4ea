"""Reading files as objects, several at a time: exact bytes, and nothing that changed while it was read."""

from __future__ import annotations

import hashlib
import os
import stat as modes
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from reprokit.code.trees import index, left_out, objects, pack

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TRIES = 3
_LARGE = 16_000_000  # bytes from which a file is not held in memory
_BATCH = 32  # files that a thread reads at a time
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
CHANGED = "changed while it was kept"


class Blob(NamedTuple):
    """A file as it was read."""

    path: bytes
    entry: bytes = b""  # what the index says of it; empty when it is gone, or left out
    packed: pack.Packed | None = None  # None when the store holds it, or it is large
    large: int = 0  # size of a file that is still to be packed
    suspicious: bytes = b""  # text that may hold a secret
    secrets: list[str] = []  # noqa: RUF012
    pointer: tuple[str, int] | None = None  # digest and size in Git LFS
    reason: str = ""  # why it is left out


def read_all(root: bytes, paths: Sequence[bytes], known: pack.Known) -> Iterator[Blob]:
    """Read files in their order; hashing and compressing use every core."""
    workers = min(4, os.cpu_count() or 1)

    def batch(some: Sequence[bytes]) -> list[Blob]:
        blobs = [read(root, path, known) for path in some]
        found = left_out.secrets_in([one.suspicious for one in blobs])
        return [one._replace(suspicious=b"", secrets=names) for one, names in zip(blobs, found, strict=True)]

    if len(paths) <= _BATCH or workers < 2:
        for start in range(0, len(paths), _BATCH):
            yield from batch(paths[start : start + _BATCH])
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    waiting: deque[Future[list[Blob]]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(paths), _BATCH):
            waiting.append(pool.submit(batch, paths[start : start + _BATCH]))
            if len(waiting) > 4 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def read(root: bytes, path: bytes, known: pack.Known) -> Blob:
    """Read one file; one that will not hold still is left out."""
    absolute = os.path.join(root, path)
    for _ in range(_TRIES):
        try:
            found = os.lstat(absolute)
            blob = _link(absolute, path, found, known) if modes.S_ISLNK(found.st_mode) else _file(absolute, path, known)
        except (FileNotFoundError, NotADirectoryError):
            return Blob(path)
        except OSError as error:
            return Blob(path, reason=f"unreadable: {error.strerror}")
        if blob is not None:
            return blob
    return Blob(path, reason=CHANGED)


def _link(absolute: bytes, path: bytes, found: os.stat_result, known: pack.Known) -> Blob | None:
    target = os.readlink(absolute)
    if os.lstat(absolute).st_ino != found.st_ino:
        return None
    oid = objects.name("blob", target)
    made = None if oid in known else pack.packed("blob", target, oid)
    return Blob(path, index.entry(found, objects.LINK, oid), made)


def _file(absolute: bytes, path: bytes, known: pack.Known) -> Blob | None:
    """Read a file; None when it changed meanwhile."""
    descriptor = os.open(absolute, _OPEN)
    with open(descriptor, "rb", buffering=0) as stream:
        before = os.fstat(descriptor)
        if not modes.S_ISREG(before.st_mode):
            return Blob(path, reason="no regular file")
        size = before.st_size
        state = hashlib.sha256(b"blob %d\0" % size)
        data, length = b"", 0
        if size > _LARGE:
            while block := stream.read(1 << 20):
                state.update(block)
                length += len(block)
        else:
            data = stream.readall()
            state.update(data)
            length = len(data)
        after = os.fstat(descriptor)
    if length != size or (after.st_size, after.st_mtime_ns) != (size, before.st_mtime_ns):
        return None
    oid = state.digest()
    mode = objects.PROGRAM if before.st_mode & modes.S_IXUSR else objects.FILE
    here = oid in known
    return Blob(
        path,
        index.entry(before, mode, oid),
        None if here or size > _LARGE else pack.packed("blob", data, oid),
        size if size > _LARGE and not here else 0,
        left_out.suspicious(data),
        pointer=left_out.pointer(data),
    )
