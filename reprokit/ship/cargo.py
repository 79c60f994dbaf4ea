"""Bytes that many tasks need, by name: ``bundle-<digest>`` and ``manifest-<digest>``.

An engine puts them into each worker once (`put`), or tells where to fetch them (`lend`).  Workers of the driver's own
machine also find them as files in a folder of the user's.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.code.bundles import place, store
from reprokit.errors import CodeMismatchError, WorkerError
from reprokit.vault import atomic

if TYPE_CHECKING:
    from collections.abc import Callable

BUNDLE, MANIFEST = "bundle-", "manifest-"
_KEPT = 4096  # manifests; each is a kilobyte or two

_manifests: OrderedDict[str, bytes | Callable[[], bytes]] = OrderedDict()
_lock = threading.Lock()


class CargoMissingError(LookupError):
    """A task names cargo that this process does not know.  Arguments: the names."""


def put(name: str, data: bytes) -> None:
    """Make cargo known in this process."""
    kind, digest = _parts(name)
    if kind == BUNDLE:
        store.add(digest, data)
    else:
        _remember(name, data)


def lend(name: str, fetch: Callable[[], bytes]) -> None:
    """Tell this process where cargo can be fetched when a task needs it."""
    kind, digest = _parts(name)
    if kind == BUNDLE:
        store.lend(digest, fetch)
    elif name not in _manifests:
        _remember(name, fetch)


def leave(name: str, data: bytes) -> None:
    """Put cargo where the other processes of this machine look for it."""
    path = _folder() / name
    if not path.exists():
        atomic.write(str(path), data, sync=False)


def manifest(name: str) -> bytes:
    """Give a manifest.

    Raises
    ------
    CargoMissingError
        When this process does not know it.
    CodeMismatchError
        When its bytes were changed on the way.
    """
    found = _manifests.get(name)
    data = found if isinstance(found, bytes) else found() if found is not None else _left(name)
    if data is None:
        raise CargoMissingError(name)
    told = hashlib.sha256(data).hexdigest()
    if told != _parts(name)[1]:
        raise CodeMismatchError("the manifest of a task was changed on the way", name, told)
    if data is not found:
        _remember(name, data)
    return data


def need_bundle(digest: str) -> None:
    """Make sure that a bundle can be opened here.

    Raises
    ------
    CargoMissingError
        When this process does not know it.
    """
    if store.has(digest):
        return
    data = _left(BUNDLE + digest)
    if data is None:
        raise CargoMissingError(BUNDLE + digest)
    store.add(digest, data)


def _left(name: str) -> bytes | None:
    try:
        return (_folder() / name).read_bytes()
    except (OSError, WorkerError):
        return None


def _folder() -> Path:
    return Path(place.folder("cargo"))


def _remember(name: str, data: bytes | Callable[[], bytes]) -> None:
    with _lock:
        _manifests[name] = data
        while len(_manifests) > _KEPT:
            _manifests.popitem(last=False)


def _parts(name: str) -> tuple[str, str]:
    kind, dash, digest = name.partition("-")
    return kind + dash, digest
