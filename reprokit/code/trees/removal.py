"""Removing trees from the store: no other process keeps one meanwhile, and a kill at any instant hurts no tree.

What goes is taken out of the refs first.  Then what is left is written into one new pack, and only when that is on disk
the old packs go.  git only writes: were its process to live on after ours was killed, it could remove nothing.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from reprokit.code.trees.store import REFS, REMOVAL, UPKEEP
from reprokit.errors import BusyVaultError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reprokit.code.trees.store import Store

GC_PACK = ".tmp-gc-"  # begins the names of packs that are being written
_WAIT = 5.0  # seconds for processes that keep trees
_STALE = 3600.0  # seconds after which what git left behind is of a process that was killed
_LARGE = ("-c", "core.bigFileThreshold=512m")  # else git fsck and the like take large objects for damaged ones


@contextlib.contextmanager
def alone(store: Store) -> Iterator[None]:
    """Hold off all who keep trees.

    Raises
    ------
    BusyVaultError
        When one is at it, for long.
    """
    folder = store.path / "indexes"
    folder.mkdir(exist_ok=True)
    with contextlib.ExitStack() as stack:
        try:
            # First the door, then those who are inside; whoever comes later waits at the door.
            stack.enter_context(FileLock(folder / REMOVAL, timeout=_WAIT))
            end = time.monotonic() + _WAIT
            for path in sorted({folder / UPKEEP, *folder.rglob("*.held")} - {folder / REMOVAL}):
                if path.parent.exists():
                    stack.enter_context(FileLock(path, timeout=max(0.0, end - time.monotonic())))
        except Timeout as error:
            told = "a source tree is being kept right now; the others are removed when gc is run again"
            raise BusyVaultError(str(store.path), told) from error
        yield


def drop(store: Store, trees: Iterable[tuple[str, str]]) -> None:
    """Take trees out of the refs; each by the digits of its digest and its commit.  Raises `GitError`."""
    _unlock(store)
    lines = "".join(f"delete {REFS}/{digits} {commit}\n" for digits, commit in trees)
    if lines:
        store.run("update-ref", "--stdin", stdin=lines.encode())


def pack(store: Store) -> None:
    """Write what the refs reach into one pack, and remove all others.

    Raises
    ------
    GitError, OSError
        Then the store is as it was, but for temporary files.
    """
    place = store.objects / "pack"
    old = {name for name in os.listdir(place) if name.startswith("pack-")}
    refs = store.run("for-each-ref", "--format=%(objectname)", f"{REFS}/").decode().split()
    new = ""
    if refs:
        base = place / f"{GC_PACK}{os.getpid()}-{os.urandom(4).hex()}"
        asked = store.start(
            "pack-objects", "--revs", "--non-empty", "--delta-base-offset", "-q", str(base),
            stdin="".join(f"{ref}\n" for ref in refs).encode(), switches=_LARGE,
        )  # fmt: skip
        digits = asked.output().decode().strip()
        new = f"pack-{digits}"
        for suffix in (".pack", ".idx"):
            _sync(Path(f"{base}-{digits}{suffix}"))
        for suffix in (".pack", ".idx"):  # git looks for the index first
            os.replace(f"{base}-{digits}{suffix}", place / f"{new}{suffix}")
        for left in place.glob(f"{base.name}*"):
            left.unlink()
        _sync(place)
    for name in sorted(old, key=lambda name: not name.endswith(".idx")):
        if name.partition(".")[0] != new:
            with contextlib.suppress(FileNotFoundError):
                (place / name).unlink()


def _unlock(store: Store) -> None:
    """Remove locks of refs that a git process which was killed left; none is at work now."""
    before = time.time() - _STALE
    for path in (*store.path.glob("*.lock"), *(store.path / REFS).glob("*.lock")):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < before:
                path.unlink()


def _sync(path: Path) -> None:
    if os.name != "posix" and path.is_dir():  # where folders can't be opened, the system does so by itself
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
