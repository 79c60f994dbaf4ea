"""The interpreter that a project would run with now, and what is installed there; it is looked at, never started."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reprokit.code.distributions import listed, normal
from reprokit.recorder.reuse.key import PYTHON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reprokit.model.records import PythonInfo

_FOLDER = re.compile(r"(python|pypy)(\d+\.\d+)t?\Z")
_IMPLEMENTATIONS = {"python": "cpython", "pypy": "pypy"}


class Interpreter(NamedTuple):
    """An interpreter.

    Attributes
    ----------
    prefix : str
        Its environment.
    python : str or None
        As `ReuseInfo.python` has it; None when it can't be told.
    folders : list of str
        Where its packages lie.
    """

    prefix: str
    python: str | None
    folders: list[str]

    def versions(self, names: Iterable[str]) -> dict[str, str]:
        """Give the versions of distributions; those that aren't installed are left out."""
        found: dict[str, str] = {}
        for folder in self.folders:
            for one in listed(folder):
                found.setdefault(normal(one.name), one.version)
        return {name: found[normal(name)] for name in names if normal(name) in found}


def of_project(root: Path, recorded: PythonInfo | None) -> Interpreter:
    """Choose the interpreter: of the active virtual environment, of ``.venv`` in the project, the recorded one, or ours."""
    for prefix in _prefixes(root, recorded):
        if os.path.realpath(prefix) == os.path.realpath(sys.prefix):
            break
        folders = list(_folders(Path(prefix)))
        if folders:
            return Interpreter(prefix, _version(folders), [str(one) for one in folders])
    return Interpreter(sys.prefix, PYTHON, [one for one in sys.path if isinstance(one, str)])


def _prefixes(root: Path, recorded: PythonInfo | None) -> Iterator[str]:
    active = os.environ.get("VIRTUAL_ENV")
    if active:
        yield active
    yield str(root / ".venv")
    if recorded is not None and recorded.prefix:
        yield recorded.prefix


def _folders(prefix: Path) -> Iterator[Path]:
    yield from _own(prefix)
    config = _config(prefix)
    if config.get("include-system-site-packages", "").lower() == "true" and config.get("home"):
        home = Path(config["home"])
        yield from _own(home.parent if home.name in ("bin", "Scripts") else home)


def _own(prefix: Path) -> Iterator[Path]:
    try:
        found = [one / "site-packages" for one in sorted((prefix / "lib").iterdir()) if _FOLDER.match(one.name)]
    except OSError:
        found = []
    yield from (one for one in [*found, prefix / "Lib" / "site-packages"] if one.is_dir())


def _version(folders: list[Path]) -> str | None:
    """Tell implementation and minor version by the folder's name, as the layout of installations fixes it."""
    for folder in folders:
        named = _FOLDER.match(folder.parent.name)
        if named is not None:
            return f"{_IMPLEMENTATIONS[named[1]]}-{named[2]}"
    told = re.match(r"\d+\.\d+", _config(folders[0].parent.parent).get("version", "")) if folders else None
    return f"cpython-{told[0]}" if told is not None else None


def _config(prefix: Path) -> dict[str, str]:
    """Read ``pyvenv.cfg`` (PEP 405)."""
    try:
        text = (prefix / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
