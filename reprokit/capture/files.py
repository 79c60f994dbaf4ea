"""Files and folders: digests, stamps that tell whether something changed, and copies."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat as modes
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.model import digest as digests
from reprokit.model.records import FileInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from reprokit.settings import FileRule

_SMALL = 1 << 14  # bytes
_BLOCK = 1 << 20  # bytes
_LARGE = 4 << 20  # bytes from which starting a thread is worth it
_THREADS = 4
_OPEN = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)  # opening a named pipe would wait for its writer
# What a run folder gets from us: a file of the user's that is kept there takes another name.
_OUR_NAMES = frozenset(("context.json", "pre-run-info.json", "post-run-info.json", "stdout.txt", "stderr.txt"))


class Stamp(msgspec.Struct, frozen=True):
    """What the file system says of a file, or of all that is in a folder; equal stamps mean: not written."""

    is_dir: bool
    facts: tuple[Any, ...]


def stamp(path: str) -> Stamp | None:
    """Stamp a file or folder; None when nothing is there.

    Raises
    ------
    OSError
        When it can't be looked at.
    """
    try:
        found = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not modes.S_ISDIR(found.st_mode):
        return Stamp(False, (found.st_mtime_ns, found.st_size, found.st_ino))
    facts = []
    for name, entry in _walk(path):
        one = entry.stat(follow_symlinks=False)
        facts.append((name, one.st_mtime_ns, one.st_size, one.st_ino))
    return Stamp(True, (found.st_ino, tuple(facts)))


def digest_path(path: str) -> tuple[str, int]:
    """Digest of a file or folder, and its size in bytes."""
    return digest_folder(path) if os.path.isdir(path) else digest_file(path)


def digest_file(path: str) -> tuple[str, int]:
    """SHA-256 of a file's bytes, and how many they are.

    Raises
    ------
    OSError
        When it can't be read, is neither a file nor a folder (a pipe, a device), or was written meanwhile.
    """
    state = hashlib.sha256()
    size = 0
    with open(path, "rb", buffering=0, opener=_opener) as stream:
        before = os.fstat(stream.fileno())
        if not modes.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "neither a file nor a folder", path)
        # Most artifacts are small: asking for a large block would allocate it each time.
        first = stream.read(_SMALL)
        state.update(first)
        size = len(first)
        if size == _SMALL:
            buffer = bytearray(_BLOCK)
            view = memoryview(buffer)
            while count := stream.readinto(buffer):
                state.update(view[:count])
                size += count
        after = os.fstat(stream.fileno())
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise OSError(errno.EBUSY, "it was written while its digest was taken", path)
    return f"sha256:{state.hexdigest()}", size


def digest_ahead(
    paths: Iterable[str], digest: Callable[[str], tuple[str, int]] = digest_file
) -> dict[str, tuple[str, int]]:
    """Take the digests of several large files at once, on several cores.

    One that is small, no file, or can't be read is left to the caller; so are all when only one is large.
    """
    large = [path for path in dict.fromkeys(paths) if _size(path) >= _LARGE]
    if len(large) < 2:
        return {}
    import threading

    from reprokit.capture.opened.hook import quietly

    found: dict[str, tuple[str, int]] = {}
    waiting = sorted(large, key=_size)  # the largest are taken first

    @quietly
    def work() -> None:
        while waiting:
            try:
                path = waiting.pop()
                found[path] = digest(path)
            except (IndexError, OSError):  # another thread was quicker; the caller meets the error again
                continue

    threads = [
        threading.Thread(target=work, daemon=True) for _ in range(min(len(large), os.cpu_count() or 1, _THREADS) - 1)
    ]
    try:
        for thread in threads:
            thread.start()
    except RuntimeError:  # the interpreter is about to end
        pass
    work()
    for thread in threads:
        if thread.ident is not None:
            thread.join()
    return found


def _size(path: str) -> int:
    try:
        found = os.stat(path)
    except OSError:
        return 0
    return found.st_size if modes.S_ISREG(found.st_mode) else 0


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | _OPEN)


def digest_folder(path: str) -> tuple[str, int]:
    """Digest of a folder's content, and the sum of its files' sizes.

    A Merkle digest: of each entry in the order of its name's bytes, the name relative to the folder (POSIX separators),
    its kind, and the digest of its content (of a link: its target).  Modes and times don't count; empty folders do.
    Pipes, sockets and devices count by name only.
    """
    parts: list[bytes] = []
    total = 0
    for name, entry in _walk(path):
        if entry.is_symlink():
            kind, told = b"link", digests.of_bytes(os.fsencode(os.readlink(entry.path)))
        elif entry.is_dir():
            kind, told = b"folder", ""
        elif not modes.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
            kind, told = b"special", ""
        else:
            kind, (told, size) = b"file", digest_file(entry.path)
            total += size
        parts += [os.fsencode(name), kind, told.encode()]
    return digests.of_parts("reprokit/folder/1", *parts), total


def _walk(path: str) -> list[tuple[str, os.DirEntry[str]]]:
    """List all entries below a folder, links not followed, in the order of their names' bytes."""
    found: list[tuple[str, os.DirEntry[str]]] = []
    waiting = [("", path)]
    while waiting:
        prefix, folder = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = f"{prefix}{entry.name}"
                found.append((name, entry))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((f"{name}/", entry.path))
    return sorted(found, key=lambda one: os.fsencode(one[0]))


def hash_as(path: str, algorithm: str) -> str:
    """Hash a file with one of capsula's algorithms (``sha3`` is SHA3-256); plain hex."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, {"sha3": "sha3_256"}.get(algorithm, algorithm)).hexdigest()


def keep(rule: FileRule, path: Path, folder: Path) -> FileInfo:
    """Hash a file and copy or move it into the run folder, as the settings ask.

    Raises
    ------
    OSError
        When it can't be read or kept.
    """
    told = hash_as(str(path), rule.hash) if rule.hash and path.is_file() else None
    if rule.hash and path.is_dir():
        told = digests.hex_of(digest_folder(str(path))[0])
    kept = None
    if rule.copy or rule.move:
        target = _free(folder, path.name)
        if path.is_dir() and os.path.realpath(folder).startswith(os.path.join(os.path.realpath(path), "")):
            raise OSError(errno.EINVAL, "it holds the run folder, which can't hold it in turn", str(path))
        linked = path.is_symlink()  # a relative one would point nowhere from the run folder
        if rule.move and not linked:
            shutil.move(str(path), target)
        elif path.is_dir():
            shutil.copytree(path, target, symlinks=True)
        else:
            shutil.copyfile(path, target)
        if rule.move and linked:
            path.unlink()
        kept = target.name
    return FileInfo(hash_algorithm=rule.hash, hash=told, kept_as=kept)


def _free(folder: Path, name: str) -> Path:
    """Find a name that no other file of the run folder has."""
    target = folder / name
    number = 2
    ours = name.casefold() in _OUR_NAMES or name.startswith("steps-")
    while ours or os.path.lexists(target):
        ours = False
        stem, dot, ext = name.rpartition(".")
        target = folder / (f"{stem}-{number}.{ext}" if dot and stem else f"{name}-{number}")
        number += 1
    return target
