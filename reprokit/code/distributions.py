"""Installed distributions, as the names of their metadata folders tell.

PEP 427 and PEP 376 fix those names; opening a hundred METADATA files would cost ten times as much.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_FOLDER = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9._]*?)-(?P<version>[0-9][^-_]*)(?:-py[0-9.]+(?:-[^-]+)?)?\.(?:dist-info|egg-info)\Z"
)


class Distribution(NamedTuple):
    """A distribution."""

    name: str
    version: str
    path: str  # of its metadata


def listed(folder: str) -> Iterator[Distribution]:
    """Give the distributions that a folder of `sys.path` holds, by name of their metadata."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:  # a zip file, or gone
        return
    for entry in entries:
        if not entry.endswith((".dist-info", ".egg-info")) or entry.startswith("~"):
            continue  # pip renames to ~ what it is about to remove
        path = os.path.join(folder, entry)
        if entry.endswith(".dist-info") and not os.path.exists(os.path.join(path, "METADATA")):
            continue  # what an interrupted removal leaves
        match = _FOLDER.match(entry)
        name, version = (match["name"], match["version"]) if match else _from_metadata(path)
        if name:
            yield Distribution(name.replace("_", "-"), version, path)


def normal(name: str) -> str:
    """Give the form in which names are compared (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _from_metadata(folder: str) -> tuple[str, str]:
    for name in ("METADATA", "PKG-INFO", ""):
        try:
            with open(os.path.join(folder, name) if name else folder, encoding="utf-8", errors="replace") as stream:
                head = stream.read(4096)
        except OSError:
            continue
        found = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head.splitlines()) if v}
        if "name" in found:
            return found["name"], found.get("version", "")
    return "", ""
