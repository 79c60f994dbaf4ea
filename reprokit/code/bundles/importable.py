"""Where a project's modules are: the folders that imports look in, and the names that mean the project's own modules."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.code import PREFIX, loaded
from reprokit.errors import ShipError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ELSEWHERE = ".elsewhere"  # the folder in a bundle that holds local modules from outside of the project
OWN = "reprokit"  # what workers have themselves: the bundle's copy would be a second one, that knows of no open run


class Outside(NamedTuple):
    """A local module that does not lie in the project."""

    name: str
    folders: tuple[str, ...]  # of a package
    file: str | None  # of a single module


def roots(root: str) -> list[str]:
    """List the folders of a project where imports look, relative to it: those on `sys.path`, itself, and ``src``."""
    found = loaded.python_path(Path(root))
    real = os.path.realpath(root)
    if real != root:
        found += loaded.python_path(Path(real))
    usual = ["", *(["src"] if os.path.isdir(os.path.join(root, "src")) else [])]
    return list(dict.fromkeys([*found, *usual]))


def below(folder: str) -> tuple[str, ...]:
    """Give how paths in a folder begin: as it is written, and without links."""
    return tuple(dict.fromkeys((os.path.join(folder, ""), os.path.join(os.path.realpath(folder), ""))))


def tops(files: Iterable[str], folders: tuple[str, ...], ours: Callable[[str], bool]) -> set[str]:
    """Give the names of the top-level modules that files make up, for those who look in `folders`, if they are `ours`."""
    found: set[str] = set()
    for folder in folders:
        start = f"{folder}/" if folder else ""
        names = {
            path[len(start) :].partition("/")[0] for path in files if path.endswith(".py") and path.startswith(start)
        }
        for name in {name.removesuffix(".py") for name in names} - found:
            if name.isidentifier() and (folder == ELSEWHERE or ours(name)):
                found.add(name)
    return found


def is_ours(name: str, border: tuple[str, ...]) -> bool:
    """Tell whether a top-level name, of which the project has a module, means that one to this process.

    Parameters
    ----------
    name
        The module's name.
    border
        How paths in the project begin.
    """
    if name in ("__main__", "__init__", OWN) or BuiltinImporter.find_spec(name) or FrozenImporter.find_spec(name):
        return False
    there = sys.modules.get(name)
    if there is not None:
        found = places_of(there)
    else:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            spec = None
        if spec is None:  # it lies where imports don't look yet
            return True
        found = [str(spec.origin)] if spec.has_location else list(spec.submodule_search_locations or ())
        found = [os.path.abspath(place) for place in found]
    return not found or any(place.startswith(border) or place + os.sep in border for place in found)


def places_of(module: Any) -> list[str]:
    """Give the file of a module, or the folders of a package that has none."""
    try:
        contents = object.__getattribute__(module, "__dict__")  # lazy modules load themselves when asked otherwise
    except AttributeError:
        return []
    file = contents.get("__file__")
    found = [file] if isinstance(file, str) else contents.get("__path__") or ()
    return [os.path.abspath(place) for place in found if isinstance(place, str)]


def outside(names: tuple[str, ...], border: tuple[str, ...]) -> list[Outside]:
    """Find the local modules that lie elsewhere.

    A module inside a package stands for the whole package; only namespace packages are taken in parts.

    Raises
    ------
    ShipError
        When there is no such module, or it has no source.
    """
    found: dict[str, Outside] = {}
    for name in names:
        one = _outside(name)
        places = (*one.folders, *([one.file] if one.file else []))
        if any(not place.startswith(border) for place in places):
            found.setdefault(one.name, one)
    return list(found.values())


def _outside(name: str) -> Outside:
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        part = ".".join(parts[:count])
        try:
            spec = getattr(sys.modules.get(part), "__spec__", None) or importlib.util.find_spec(part)
        except (ImportError, ValueError) as error:
            raise ShipError(f"local={name!r}", f"cannot be found: {error}") from error
        if spec is None or part.startswith(PREFIX):
            raise ShipError(f"local={name!r}", "there is no such module here")
        folders = tuple(os.path.abspath(folder) for folder in spec.submodule_search_locations or ())
        if folders and not spec.has_location and count < len(parts):
            continue  # a namespace package, of which others may own the rest
        if folders:
            return Outside(part, folders, None)
        if spec.has_location and str(spec.origin).endswith(".py"):
            return Outside(part, (), os.path.abspath(str(spec.origin)))
        raise ShipError(f"local={name!r}", f"{spec.origin} is no Python source, and only that can be sent")
    raise AssertionError(name)


def places(named: list[Outside]) -> tuple[str, ...]:
    """Give how paths of the files of local modules from elsewhere begin."""
    found: list[str] = []
    for one in named:
        found += (*(path for folder in one.folders for path in below(folder)), *([one.file] if one.file else []))
    return tuple(found)
