"""Which installed distribution a module belongs to, and in which version."""

from __future__ import annotations

import os
import sys

from reprokit.code.distributions import Distribution, listed, normal

_folders: dict[str, tuple[int, dict[str, Distribution]]] = {}
_owners: dict[tuple[str, int], dict[str, list[Distribution]]] = {}
_found: dict[tuple[str, str, int], list[Distribution]] = {}


def versions(modules: dict[str, str | None]) -> tuple[dict[str, str], list[str]]:
    """Find the distributions of modules.

    Parameters
    ----------
    modules
        Names of modules that are no part of the project, and their files.

    Returns
    -------
    tuple
        Versions by name of the distribution, and a sentence for each module that belongs to none.
    """
    found: dict[str, str] = {}
    unknown: list[str] = []
    for name, file in sorted(modules.items()):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names or top in sys.builtin_module_names:
            continue
        owners = _of_module(top, file)
        found.update((owner.name, owner.version) for owner in owners)
        if not owners:
            unknown.append(f"{top} is part neither of the project nor of an installed package; name it in local=")
    return dict(sorted(found.items())), unknown


def _of_module(top: str, file: str | None) -> list[Distribution]:
    site = _site_of(file)
    if file is not None and site is None:
        return []  # elsewhere on the path, or an editable install, whose version says nothing about its state
    for folder in [site] if site else [one for one in sys.path if isinstance(one, str)]:
        try:
            stamp = os.stat(folder).st_mtime_ns
        except (OSError, ValueError):
            continue
        path = os.path.relpath(file, folder).replace(os.sep, "/") if file and site else ""
        key = (folder, path or top, stamp)
        if key not in _found:
            _found[key] = _in_folder(folder, stamp, top, path)
        if _found[key]:
            return _found[key]
    return []


def _site_of(file: str | None) -> str | None:
    if file is None:
        return None
    parts = file.split(os.sep)
    for mark in ("site-packages", "dist-packages"):
        if mark in parts:
            return os.sep.join(parts[: len(parts) - parts[::-1].index(mark)])
    return None


def _in_folder(folder: str, stamp: int, top: str, path: str) -> list[Distribution]:
    known = _folders.get(folder)
    if known is None or known[0] != stamp:
        known = _folders[folder] = (stamp, {normal(one.name): one for one in listed(folder)})
    named = known[1].get(normal(top))
    if named is not None and (not path or f"\n{path},".encode() in b"\n" + _record(named)):
        return [named]
    key = (folder, stamp)
    if key not in _owners:
        _owners[key] = _tops(known[1])
    owners = _owners[key].get(top, [])
    if len(owners) > 1 and path:
        owners = [one for one in owners if f"\n{path},".encode() in b"\n" + _record(one)] or owners
    return owners


def _tops(listed: dict[str, Distribution]) -> dict[str, list[Distribution]]:
    """Map names of top modules to the distributions that install them."""
    owners: dict[str, list[Distribution]] = {}
    for one in listed.values():
        tops = set()
        for line in _record(one).decode("utf-8", "replace").splitlines():
            first, slash, _ = line.partition(",")[0].strip('"').partition("/")
            if slash and not first.endswith((".dist-info", ".egg-info", "..")):
                tops.add(first)
            elif not slash and first.endswith((".py", ".so", ".pyd")):
                tops.add(first.partition(".")[0])
        if not tops:
            tops.update(_read(os.path.join(one.path, "top_level.txt")).decode("utf-8", "replace").split())
        for top in tops:
            owners.setdefault(top, []).append(one)
    return owners


def _record(one: Distribution) -> bytes:
    return _read(os.path.join(one.path, "RECORD"))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
