"""What is known of a project as an installed distribution: its version is often asked for when its package is imported.

A project that is being worked on is installed as "editable": its metadata lie where packages are installed (PEP 610 and
PEP 660), or beside its source (``*.egg-info``).
"""

from __future__ import annotations

import json
import os
import sys
import urllib.parse

_FILES = ("METADATA", "PKG-INFO")
_LARGEST = 1_000_000  # bytes


def of_project(root: str, roots: tuple[str, ...]) -> dict[str, str]:
    """Find the files that tell name and version of what a project installs.

    Parameters
    ----------
    root
        The project.
    roots
        Folders in it where imports look.

    Returns
    -------
    dict
        Path below a folder where imports look -> where the file lies.
    """
    found: dict[str, str] = {}
    places = {os.path.realpath(root), *(os.path.realpath(os.path.join(root, inside)) for inside in roots)}
    for folder in [*places, *dict.fromkeys(entry for entry in sys.path if entry)]:
        try:
            names = [name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info"))]
        except OSError:
            continue
        inside = os.path.realpath(folder) in places
        for name in names:
            place = os.path.join(folder, name)
            if inside if name.endswith(".egg-info") else _is_editable(place, places):
                for file in _FILES:
                    path = os.path.join(place, file)
                    if os.path.isfile(path) and os.path.getsize(path) <= _LARGEST:
                        found.setdefault(f"{name}/{file}", path)
    return found


def _is_editable(place: str, places: set[str]) -> bool:
    try:
        with open(os.path.join(place, "direct_url.json"), "rb") as stream:
            told = json.load(stream)
        url = urllib.parse.urlsplit(told["url"])
        if url.scheme != "file" or not told.get("dir_info", {}).get("editable"):
            return False
        return os.path.realpath(_path(url.path)) in places
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _path(url: str) -> str:
    if os.name == "nt":
        import nturl2path  # `urllib.request`, which has this for all systems, takes longer to import than all the rest

        return nturl2path.url2pathname(url)
    return urllib.parse.unquote(url)
