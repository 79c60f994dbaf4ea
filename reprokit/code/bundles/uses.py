"""Which unpacked bundles are in use on this host, and the removal of those that nobody has used for a week.

A process writes the digests that it opens into a file of its own, and holds a lock on that file as long as it lives; its
forked children hold it too.  So a file that can be locked belongs to nobody.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import threading
import time

from reprokit.code.bundles import place

UNUSED = 7 * 86400.0  # seconds after which a bundle that no process has open is removed
_LEFT = 3600.0  # seconds after which what a dead process was writing is removed
_ARCHIVE = re.compile(r"([0-9a-f]{64})\.zip\Z")
_TREE = re.compile(r"[0-9a-f]{64}\Z")
_USES = ".uses-"
_lock = threading.Lock()
_mine: tuple[str, int] | None = None  # the folder, and the open file


def note(digest: str) -> None:
    """Say that this process uses a bundle, before it looks whether it is there."""
    global _mine
    folder = place.folder()
    if place.fcntl is not None:
        with _lock, contextlib.suppress(OSError):
            if _mine is None or _mine[0] != folder:
                handle, _ = tempfile.mkstemp(prefix=_USES, dir=folder)
                place.fcntl.flock(handle, place.fcntl.LOCK_SH | place.fcntl.LOCK_NB)
                _mine = folder, handle
            os.write(_mine[1], f"{digest}\n".encode())
    with contextlib.suppress(OSError):
        os.utime(os.path.join(folder, f"{digest}.zip"))


def sweep() -> None:
    """Remove bundles that were not opened for a week and that no process has open, and what dead processes left."""
    folder, now = place.folder(), time.time()
    with contextlib.suppress(OSError):
        old = []
        with os.scandir(folder) as entries:
            for entry in entries:
                age = now - entry.stat(follow_symlinks=False).st_mtime
                if age > UNUSED and (_ARCHIVE.match(entry.name) or _is_bare_tree(folder, entry.name)):
                    old.append(entry.name[:64])
                elif (
                    age > _LEFT
                    and not _TREE.match(entry.name)
                    and (entry.name.startswith(".") or ".zip." in entry.name)
                ):
                    _remove_left(entry)
        in_use = _in_use(folder) if old else set()
        for digest in set(old) - in_use:
            _remove(folder, digest, now)


def _is_bare_tree(folder: str, name: str) -> bool:
    return _TREE.match(name) is not None and not os.path.exists(os.path.join(folder, f"{name}.zip"))


def _remove_left(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    elif not entry.name.startswith(_USES) or _users(entry.path) is None:
        with contextlib.suppress(OSError):
            os.unlink(entry.path)


def _remove(folder: str, digest: str, now: float) -> None:
    archive, tree = os.path.join(folder, f"{digest}.zip"), os.path.join(folder, digest)
    scratch = tempfile.mkdtemp(prefix=".removed-", dir=folder)
    try:
        with place.locked(digest):
            if not os.path.exists(archive) or now - os.stat(archive).st_mtime > UNUSED:  # else it was opened meanwhile
                if os.path.isdir(tree):
                    os.rename(tree, os.path.join(scratch, "tree"))
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(archive)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _in_use(folder: str) -> set[str]:
    found: set[str] = set()
    for name in os.listdir(folder):
        if name.startswith(_USES):
            found |= _users(os.path.join(folder, name)) or set()
    return found


def _users(path: str) -> set[str] | None:
    """Give the digests that a process uses by its file; None when there is no such process any more."""
    if place.fcntl is None:
        return set()
    try:
        with open(path, "rb") as stream:
            try:
                place.fcntl.flock(stream.fileno(), place.fcntl.LOCK_EX | place.fcntl.LOCK_NB)
            except OSError:
                return set(stream.read().decode("ascii", "replace").split())
    except OSError:
        pass
    return None


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
