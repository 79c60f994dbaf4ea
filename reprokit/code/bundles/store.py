"""Bundles that this process was given, by digest; any of them is unpacked and imported apart when it is needed."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from reprokit.code import PREFIX
from reprokit.code.apart import face as faces
from reprokit.code.apart import finder
from reprokit.code.bundles import place, unpack, uses
from reprokit.code.bundles.bundle import label
from reprokit.errors import BundleMissingError, CodeMismatchError, WorkerError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.code.apart.tree import Tree

_DIGITS = 32  # of a digest, in the private name of a tree
_MOST_HELD = 32_000_000  # bytes of archives in memory; of more, the oldest go to the disk
_data: dict[str, bytes] = {}  # archives that may not be on disk
_lenders: dict[str, Callable[[], bytes]] = {}
_trees: dict[str, Tree] = {}
_digests: dict[str, str] = {}  # by private name
packed_here: list[Callable[[str], bytes | None]] = []  # who may have made a bundle in this process
_noted: set[str] = set()  # on disk, and to stay there while this process lives
_opening: dict[str, threading.RLock] = {}  # one a bundle, for getting one may need another thread to get another one
_lock = threading.Lock()


def add(digest: str, data: bytes) -> None:
    """Remember the archive of a bundle; it is compared with the digest when it is first opened."""
    if digest in _data:
        return
    if _is_kept(digest):
        if digest not in _noted:
            _noted.add(digest)
            uses.note(digest)
        return
    with _lock:
        _data[digest] = data
        while len(_data) > 1 and sum(map(len, _data.values())) > _MOST_HELD:
            oldest = next(iter(_data))
            try:
                unpack.keep(oldest, _data[oldest])
                uses.note(oldest)
            except (OSError, WorkerError):
                break  # no room on the disk: then all stay in memory
            del _data[oldest]


def lend(digest: str, fetch: Callable[[], bytes]) -> None:
    """Remember where the archive of a bundle can be got, should it be needed."""
    if digest not in _trees:
        _lenders[digest] = fetch


def has(digest: str) -> bool:
    """Tell whether a bundle can be opened: in memory, or on the disk of this host already."""
    return digest in _trees or digest in _data or digest in _lenders or _is_kept(digest)


def data_of(digest: str) -> bytes:
    """Give the archive of a bundle.

    Raises
    ------
    BundleMissingError
        When nobody has sent it to this process, or to another one of this user on this host; when its lender fails.
    """
    known = _data.get(digest)
    if known is not None:
        return known
    with contextlib.suppress(OSError, WorkerError), open(unpack.kept(digest), "rb") as stream:
        return stream.read()
    for look in packed_here:
        own = look(digest)
        if own is not None:
            return own
    fetch = _lenders.get(digest)
    if fetch is None:
        raise BundleMissingError(digest, "neither in this process nor unpacked on this host")
    try:
        data = fetch()
    except Exception as error:
        raise BundleMissingError(digest, f"getting it failed: {error!r}") from error
    add(digest, data)
    return data


def tree(digest: str) -> Tree:
    """Give the code of a bundle, ready to be imported.

    Raises
    ------
    BundleMissingError
        When there is no such bundle here.
    CodeMismatchError
        When what was sent is not what the digest names.
    WorkerError
        When there is no folder for it.
    """
    there = _trees.get(digest)
    return there if there is not None else _open(digest)


def digest_of(module: str) -> str | None:
    """Give the digest of the bundle that a module comes from, by its name; None for every other module."""
    return _digests.get(module.partition(".")[0]) if module.startswith(PREFIX) else None


def _open_named(prefix: str) -> bool:
    """Open the bundle whose tree has a private name, if it is here; see `finder.openers`."""
    start = prefix.removeprefix(PREFIX)
    known = [*_data, *_lenders]
    with contextlib.suppress(OSError, WorkerError):
        known += [name.partition(".")[0] for name in os.listdir(place.folder())]
    for digest in known:
        if len(start) == _DIGITS and digest.startswith(start):
            try:
                tree(digest)
            except BundleMissingError:
                continue
            return True
    return False


finder.openers.append(_open_named)
finder.stay_first()  # a result may hold such a name before any tree was opened here


def _open(digest: str) -> Tree:
    with _opening.setdefault(digest, threading.RLock()):
        there = _trees.get(digest)
        if there is not None:
            return there
        try:
            found = unpack.unpacked(digest, lambda: data_of(digest))
        except CodeMismatchError:
            _forget(digest)
            raise
        except OSError as error:
            raise WorkerError(
                f"{label(digest)} can't be unpacked ({error})", "make room there, or set TMPDIR"
            ) from error
        roots = [os.path.join(found.folder, *root.split("/")) if root else found.folder for root in found.meta.roots]
        prefix = PREFIX + digest[:_DIGITS]
        face = faces.open_tree(
            prefix, found.folder, roots, label(digest), found.known, tops=found.meta.tops, left=found.meta.left
        )
        opened = face.__reprokit_tree__
        opened.contents = found.contents
        _digests[prefix] = digest
        _trees[digest] = opened
        with contextlib.suppress(OSError, WorkerError), _lock:
            if digest in _data:
                unpack.keep(digest, _data[digest])
                del _data[digest]
        _lenders.pop(digest, None)
        _opening.pop(digest, None)
        return opened


def _forget(digest: str) -> None:
    """Drop an archive that was wrong, so that the right one can be sent."""
    if _data.pop(digest, None) is None and _lenders.pop(digest, None) is None:
        with contextlib.suppress(OSError, WorkerError):
            os.unlink(unpack.kept(digest))


def _is_kept(digest: str) -> bool:
    try:
        return os.path.exists(unpack.kept(digest))
    except WorkerError:
        return False


def _after_fork() -> None:
    """Have locks of one's own: what another thread held at that moment is held for ever here."""
    global _lock
    _lock = threading.Lock()
    _opening.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
