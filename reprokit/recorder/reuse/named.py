"""Files and folders that arguments name: they count by content, and the commit in the name of an artifact doesn't."""

from __future__ import annotations

import os
import stat
from pathlib import PurePath
from typing import Any

from reprokit.model import naming

_MOST = 10_000  # items of containers that are looked at for paths
_LONGEST = 4096  # characters of a path


class Named:
    """What the arguments of one call name, by its place: ``data_path``, ``paths[0]``, ``inputs['train']``.

    Attributes
    ----------
    files : dict
        Place -> absolute path of a file, or of a folder that is an artifact: those count whole.
    folders : dict
        Place -> absolute path of any other folder; what is read in it counts.
    """

    def __init__(self, template: str | None) -> None:
        self.files: dict[str, str] = {}
        self.folders: dict[str, str] = {}
        self._template = template

    def take(self, place: str, value: Any) -> Any:
        """Note the paths in an argument; give the argument with artifacts named as before tagging, but for their config."""
        kind = type(value)
        if kind is str:
            return self._path(place, value, value)
        if kind is list or kind is tuple or kind is dict:
            return self._container(place, value, kind)
        if isinstance(value, PurePath):
            text = self._path(place, str(value), value)
            return value if text is value else type(value)(text)
        return value

    def place_of(self, path: str) -> str | None:
        """Give the place of an argument that names this file, or a folder around it: ``data_dir/sub/a.csv``."""
        for place, file in self.files.items():
            if file == path:
                return place
        for place, folder in self.folders.items():
            if path.startswith(folder + os.sep):
                return f"{place}/{path[len(folder) + 1 :].replace(os.sep, '/')}"
            if path == folder:
                return f"{place}/"
        return None

    def path_of(self, place: str) -> str | None:
        """Give the path that a place stands for in this call."""
        if place in self.files:
            return self.files[place]
        for start, folder in self.folders.items():
            if place.startswith(f"{start}/"):
                return os.path.join(folder, *place[len(start) + 1 :].split("/")).rstrip(os.sep)
        return None

    def _container(self, place: str, value: Any, kind: type) -> Any:
        if kind is dict:
            if len(value) > _MOST:
                return value
            made = {key: self.take(f"{place}[{key!r}]", item) for key, item in value.items()}
            return made if any(made[key] is not value[key] for key in value) else value
        if len(value) > _MOST:
            return value
        items = [self.take(f"{place}[{n}]", item) for n, item in enumerate(value)]
        return kind(items) if any(one is not other for one, other in zip(items, value, strict=True)) else value

    def _path(self, place: str, text: str, same: Any) -> Any:
        if not 0 < len(text) < _LONGEST or "\0" in text or "\n" in text:
            return same
        try:
            mode = os.stat(text).st_mode
        except (OSError, ValueError):
            return same
        path = os.path.abspath(text)
        tagged = naming.parse(os.path.basename(path), self._template)
        if stat.S_ISREG(mode) or (tagged is not None and stat.S_ISDIR(mode)):
            self.files[place] = path
        elif stat.S_ISDIR(mode):
            self.folders[place] = path
        if tagged is None or place not in self.files:
            return same
        head = text[: len(text.rstrip("/" + os.sep)) - len(os.path.basename(path))]
        return f"{head}{tagged.stem}-<commit>-{tagged.hash}{tagged.ext}"
