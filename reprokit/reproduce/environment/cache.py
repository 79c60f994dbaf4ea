"""Where built environments are kept.

Each attempt has a folder of its own, ``<digest>-<random>``, for an environment can't be moved, and an installer whose reprokit was
killed writes on.  The mark ``<digest>.json`` names the one that was finished.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reprokit.reproduce.environment.lines import Missing
from reprokit.vault import atomic

if TYPE_CHECKING:
    from collections.abc import Iterator

_LETTERS = 16  # of a digest, in names
_FOLDER = re.compile(r"(?P<name>[0-9a-f]{16})-[0-9a-f]{8}\Z")
_PATIENCE = 3600.0  # seconds to wait for another process that builds the same


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished environment says of itself."""

    digest: str
    folder: str  # name
    python: str  # version
    packages: dict[str, str] = {}  # normal name -> version
    missing: list[Missing] = []
    notes: list[str] = []
    tool: str = ""
    snapshot: str | None = None  # folder that editables lie in; without it the environment is of no use


def root() -> Path:
    """Give the folder of all environments, in the user's cache folder."""
    import platformdirs

    return Path(platformdirs.user_cache_path("reprokit", appauthor=False)) / "environments"


def python_of(folder: Path) -> Path:
    """Give the interpreter of an environment."""
    return folder / "Scripts" / "python.exe" if os.name == "nt" else folder / "bin" / "python"


def packages_of(folder: Path, python: str, implementation: str) -> Path:
    """Give the folder that an environment installs into; `python` is a version."""
    if os.name == "nt":
        return folder / "Lib" / "site-packages"
    name = "pypy" if implementation == "PyPy" else "python"
    return folder / "lib" / f"{name}{'.'.join(python.split('.')[:2])}" / "site-packages"


class Slot:
    """The place of the environments of one digest.

    Parameters
    ----------
    where
        Folder of all environments.
    digest
        Hex digits.
    """

    def __init__(self, where: Path, digest: str) -> None:
        self.where = where
        self.digest = digest
        self._name = digest[:_LETTERS]
        self._mark = where / f"{self._name}.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from building the same environment; a killed process holds it no longer."""
        import filelock

        self.where.mkdir(parents=True, exist_ok=True, mode=0o700)
        with filelock.FileLock(_lock(self.where, self._name), timeout=_PATIENCE, mode=0o600):
            yield

    def read(self) -> Mark | None:
        """Read the mark; None when no environment was finished."""
        mark = _read(self._mark)
        return mark if mark is not None and mark.digest == self.digest else None

    def folder(self, mark: Mark | None = None) -> Path:
        """Give the folder of a finished environment, else that of a new attempt."""
        return self.where / (mark.folder if mark else f"{self._name}-{os.urandom(4).hex()}")

    def finish(self, mark: Mark) -> None:
        """Mark an environment as finished."""
        atomic.write(str(self._mark), msgspec.json.format(msgspec.json.encode(mark), indent=2), sync=False)

    def clear(self) -> None:
        """Remove what was finished or begun, while it is held."""
        self._mark.unlink(missing_ok=True)
        for one in self.where.glob(f"{self._name}-*"):
            shutil.rmtree(one, ignore_errors=True)  # an installer may still write there; then it goes the next time

    def is_in(self, name: str) -> bool:
        """Tell whether a name is that of one of these environments."""
        return name.startswith(self._name)


def _read(path: Path) -> Mark | None:
    try:
        mark = msgspec.json.decode(path.read_bytes(), type=Mark)
    except (OSError, msgspec.MsgspecError):
        return None
    return mark if _FOLDER.match(mark.folder) else None


def runs(folder: Path, version: str) -> bool:
    """Tell whether an environment's interpreter runs, and is of this version."""
    command = [str(python_of(folder)), "-I", "-S", "-c", "import sys; print(sys.version.split()[0])"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, stdin=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.stdout.decode(errors="replace").strip() == version


def installed(packages: Path) -> dict[str, str]:
    """List what is installed in a folder: version by normal name."""
    from reprokit.code import distributions

    return {distributions.normal(one.name): one.version for one in distributions.listed(str(packages))}


def sweep(mine: Slot) -> None:
    """Remove environments whose snapshot is gone, and what killed processes left: nothing can use them again."""
    import filelock

    for name in sorted({found["name"] for one in mine.where.iterdir() if (found := _FOLDER.match(one.name))}):
        mark = _read(mine.where / f"{name}.json")
        used = mark is not None and (mark.snapshot is None or os.path.isdir(mark.snapshot))
        if used or mine.is_in(name):
            continue
        try:
            with filelock.FileLock(_lock(mine.where, name), timeout=0, mode=0o600):
                Slot(mine.where, name).clear()
        except (filelock.Timeout, OSError):  # somebody is at it
            continue


def _lock(where: Path, name: str) -> Path:
    return where / f"{name}.lock"
