"""The driver's side: the bundle of the project as this process runs it, and which modules are in it."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any

from reprokit.code import PREFIX
from reprokit.code.bundles import importable, store
from reprokit.code.bundles.project import Project
from reprokit.code.bundles.select import Choice
from reprokit.code.foreign import is_foreign

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.code.bundles.bundle import Bundle

_FRESH = 0.05  # seconds for which nobody asks the disk again
_projects: dict[tuple[Any, ...], Project] = {}
_home: dict[str, Project] = {}  # by the digests of what this process packed
_lock = threading.Lock()
_local: dict[tuple[str, Path, tuple[str, ...]], tuple[weakref.ref[Any], bool]] = {}


def bundle(
    root: Path,
    *,
    local: tuple[str, ...] = (),
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    max_size: int,
    max_file_size: int,
    allow_secrets: bool,
    vault: Path | None,
    sure: bool = False,
) -> Bundle:
    """Give the bundle of a project: as this process has imported it, and as it lies on disk where it has not.

    Parameters
    ----------
    root
        The project.
    local
        Names of further modules that are to be sent, wherever they lie.
    include
        Patterns of files to take although ``.gitignore`` names them, or although they belong to no package.
    exclude
        Patterns of files and folders to leave out.
    max_size
        Of all files, in bytes.
    max_file_size
        Larger files (bytes) stay behind, with a warning.
    allow_secrets
        Send text that looks like secrets.  Files that are secrets by name stay behind in any case.
    vault
        The vault, which stays behind.
    sure
        Look at the disk, even if that was done a moment ago.

    Raises
    ------
    BundleTooLargeError
        With the ten largest files.
    SecretsError
        With the files that look as if they held secrets.
    ShipError
        When one of the modules in `local` can't be found.
    """
    key = (root, local, include, exclude, max_size, max_file_size, allow_secrets, vault)
    project = _projects.get(key)
    if project is not None and not sure:
        made = project.bundle
        if made is not None and time.monotonic() - project.checked < _FRESH:
            return made
    if project is None:
        choice = Choice(local, include, exclude, max_size, max_file_size, str(vault) if vault is not None else None)
        fresh = Project(os.path.abspath(root), choice, allow_secrets=allow_secrets)
        with _lock:
            project = _projects.setdefault(key, fresh)
    with project.lock:
        before = project.bundle
        made = project.refresh()
        if made is not before or made.digest not in _home:
            _home[made.digest] = project
            store.add(made.digest, made.data)
    return made


def is_local(module: str, root: Path, local: tuple[str, ...] = ()) -> bool:
    """Tell whether a loaded module is sent along with what uses it: it is the project's, or named in `local`.

    Parameters
    ----------
    module
        Its name.
    root
        The project.
    local
        Names of further modules, as for `bundle`.
    """
    there = sys.modules.get(module)
    key = (module, root, local)
    known = _local.get(key)
    if known is not None and there is not None and known[0]() is there:
        return known[1]
    answer = _is_local(module, there, os.path.abspath(root), local)
    try:
        _local[key] = (weakref.ref(there), answer)
    except TypeError:  # no module: whatever a library has put there, or nothing
        pass
    return answer


def _is_local(module: str, there: Any, root: str, local: tuple[str, ...]) -> bool:
    if module.startswith(PREFIX) or module.partition(".")[0] in ("__main__", importable.OWN) or there is None:
        return False
    if any(module == name or module.startswith(f"{name}.") for name in local):
        return True
    border = importable.below(root)
    places = importable.places_of(there)
    if not places:  # made by code: where the package is, that code is
        above = module.rpartition(".")[0]
        return bool(above) and _is_local(above, sys.modules.get(above), root, local)
    return any(place.startswith(border) and not is_foreign(place) for place in places)


def is_home(digest: str, module: str | None = None) -> bool:
    """Tell whether this process packed a bundle, and what it has imported still is the code in it.

    Parameters
    ----------
    digest
        Of the bundle.
    module
        A module that is going to be imported, if it is not yet: then what lies on disk counts as well.
    """
    project = _home.get(digest)
    if project is None:
        return False
    with project.lock:
        return project.runs(digest, module)


def _data_of(digest: str) -> bytes | None:
    """Give the archive of a bundle that is still the present one."""
    made = project.bundle if (project := _home.get(digest)) is not None else None
    return made.data if made is not None and made.digest == digest else None


store.packed_here.append(_data_of)


def _after_fork() -> None:
    """Make this process one of its own: what another thread held at that moment is held for ever here."""
    global _lock
    _lock = threading.Lock()
    _home.clear()
    for key, project in list(_projects.items()):
        if project.lock.acquire(blocking=False):
            project.lock = threading.RLock()
            project.checked = float("-inf")
        else:
            del _projects[key]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
