"""Which project a working folder belongs to, and its settings, read again when something changed."""

from __future__ import annotations

import functools
import os
import sys
import time
from pathlib import Path
from typing import Any

from reprokit.errors import SettingsError
from reprokit.settings.sources import FILES, PREFIX, load
from reprokit.settings.values import Settings

_MARKS = (".git", "reprokit.toml", "capsula.toml")  # and a pyproject.toml with our table
_cache: dict[Path, tuple[Any, Settings]] = {}
_roots: dict[str, tuple[Path, float]] = {}  # working folder -> its root, and when it was looked for
_last_root: Path | None = None
_OURS = str(Path(__file__).parent.parent / "__main__.py")  # ``python -m reprokit`` is no script of the user's
_UNMARKED = 1.0  # seconds for which a folder without any mark upwards is taken to stay so


def find_root(cwd: Path, script: Path | None = None) -> Path:
    """Find the project that a working folder belongs to.

    The first folder upwards that holds ``reprokit.toml``, ``capsula.toml``, a ``pyproject.toml`` with
    ``[tool.reprokit]``, or a git repository; else the same from the running script's folder; else the working folder.
    """
    return _upwards(cwd) or (_upwards(script.parent) if script is not None else None) or cwd


def current() -> Settings:
    """Give the settings of the present working folder's project; read again when a file or variable changed.

    Raises
    ------
    SettingsError
        See `load`.
    """
    global _last_root
    named = os.environ.get("REPROKIT_ROOT")
    try:
        if named:
            root = _named(os.path.abspath(named))
        else:
            place = os.getcwd()
            known_root = _roots.get(place)
            if known_root is None or not _still(place, *known_root):
                known_root = _roots[place] = find_root(Path(place), _script()), time.monotonic()
            root = known_root[0]
    except FileNotFoundError:  # the working folder was deleted
        script = _script()
        root = _last_root or (find_root(script.parent) if script else Path("/"))
    _last_root = root
    key = (_stamps(root), _own_variables())
    known = _cache.get(root)
    if known is None or known[0] != key:
        known = _cache[root] = (key, load(root, os.environ))
    return known[1]


def _own_variables() -> tuple[tuple[str, str], ...]:
    """Give the variables that are settings; as bytes, for decoding a whole environment takes longer than the rest."""
    if not hasattr(os, "environb"):
        return tuple((name, value) for name, value in os.environ.items() if name.startswith(PREFIX))
    raw = PREFIX.encode()
    return tuple((os.fsdecode(name), os.fsdecode(os.environb[name])) for name in os.environb if name.startswith(raw))


@functools.lru_cache(maxsize=64)
def _named(path: str) -> Path:
    if not os.path.isdir(path):  # it would be made, with a vault in it
        raise SettingsError("environment variable REPROKIT_ROOT", "", f"{path!r} is no folder")
    return Path(path)


def _still(place: str, root: Path, looked: float) -> bool:
    """Tell whether a root found earlier need not be looked for again: it has a mark, and the place got none since."""
    if place != str(root) and any(os.path.exists(os.path.join(place, mark)) for mark in _MARKS):
        return False
    if os.path.exists(os.path.join(root, ".git")) or any(_stamps(root)):
        return True
    return time.monotonic() - looked < _UNMARKED


def _stamps(root: Path) -> tuple[tuple[int, int] | None, ...]:
    found: list[tuple[int, int] | None] = []
    for name in FILES:
        try:
            stat = os.stat(os.path.join(root, name))
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return tuple(found)


def _script() -> Path | None:
    """The script that runs, when it is a file of the user's own."""
    name = getattr(sys.modules.get("__main__"), "__file__", None)
    if not name or "site-packages" in name or "dist-packages" in name or name == _OURS:
        return None
    path = Path(os.path.abspath(name)) if os.path.isabs(name) else Path(sys.argv[0])
    return path if path.is_absolute() and path.is_file() and not str(path).startswith(sys.prefix + os.sep) else None


def _upwards(folder: Path) -> Path | None:
    for candidate in (folder, *folder.parents):
        if any((candidate / name).is_file() for name in ("reprokit.toml", "capsula.toml")):
            return candidate
        project = candidate / "pyproject.toml"
        if project.is_file() and b"[tool.reprokit" in _bytes(project):
            return candidate
        if (candidate / ".git").exists():
            return candidate
    return None


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
