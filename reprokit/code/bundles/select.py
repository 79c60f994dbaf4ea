"""Which files go into the bundle of a project, and which stay behind."""

from __future__ import annotations

import os
import stat as modes
import sys
import time
from importlib.machinery import EXTENSION_SUFFIXES
from typing import TYPE_CHECKING, NamedTuple

from reprokit.code import source
from reprokit.code.bundles import importable, metadata, stamp
from reprokit.code.bundles.bundle import MEMBER, is_safe
from reprokit.code.bundles.ignored import Asked, Ignored
from reprokit.errors import BundleTooLargeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.code.bundles.stamp import Stamp

_COMPILED = (*EXTENSION_SUFFIXES, ".pyd")
# Made by tools, and of no use to the code.
_SKIPPED = frozenset((
    "__pycache__", ".git", ".hg", ".svn", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis",
    ".tox", ".nox", ".eggs", ".idea", ".vscode", "node_modules", "__pypackages__", ".DS_Store", MEMBER,
))  # fmt: skip
_BUILT = frozenset(("build", "dist", "site-packages", "dist-packages"))  # where they are no packages themselves
_MOST_WATCHED = 2000  # folders; of more, only those that files were taken from
# Build tools write these from the tags of the repository, tell git to ignore them, and the package imports them.
_VERSION = frozenset(("_version.py", "version.py", "__version__.py", "_version_info.py"))
_VERSION_SIZE = 8192  # bytes
_IGNORED = ".gitignore names it; include=... sends it along"
_EXCLUDED = "exclude=... names it"
_NO_SOURCE = "it is a compiled extension, which a bundle can't hold; install it on the worker"


class Choice(NamedTuple):
    """What the caller says about what goes in."""

    local: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    max_size: int
    max_file_size: int
    vault: str | None


class Selection:
    """What was found.

    Attributes
    ----------
    files
        By path within the bundle: where each lies, and its stamp.
    watched
        Stamps of folders and exclude files; when one changes, it is time for another look.
    roots, tops, left
        As in `bundle.Meta`.
    """

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, Stamp]] = {}
        self.watched: dict[str, Stamp | None] = {}
        self.roots: tuple[str, ...] = ()
        self.tops: tuple[str, ...] = ()
        self.left: dict[str, str] = {}
        self.warnings: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(told.size for _, told in self.files.values())


class _Place(NamedTuple):
    """A folder that is walked."""

    inside: str  # within the bundle
    path: str
    real: str  # the same without links
    above: tuple[str, ...]  # real paths of the folders that led here
    name: str  # of the package; empty for a folder where top-level modules lie
    whole: bool  # a regular package, or in one


class Selector:
    """Looks through a project once.

    Parameters
    ----------
    root
        Its folder.
    choice
        What the caller says.
    """

    def __init__(self, root: str, choice: Choice) -> None:
        self._root, self._choice = root, choice
        self._found = Selection()
        self._vault = os.path.realpath(choice.vault) if choice.vault is not None else None
        self._began = time.time_ns()
        self._border = importable.below(root)  # links may lead as far
        self._ignored: set[str] = set()
        self._ours: dict[str, bool] = {}
        self._idle: dict[str, Stamp | None] = {}  # folders that nothing was taken from
        self._behind: dict[str, list[str]] = {}  # why -> files
        self._warnings: list[str] = []

    def select(self) -> Selection:
        """Find what goes in.

        Raises
        ------
        BundleTooLargeError
            When it is larger than a bundle may be.
        ShipError
            When a module that is named as local can't be found.
        """
        found = self._found
        asked = Asked(self._root)
        roots = importable.roots(self._root)
        outside = importable.outside(self._choice.local, self._border)
        self._heed(asked.answer(), "")
        for inside in roots:
            self._top_level(inside)
        for one in outside:
            self._outside(one)
        if self._choice.include:
            self._included()
        told = metadata.of_project(self._root, tuple(roots))
        for inside, path in told.items():
            self._add(f"{importable.ELSEWHERE}/{inside}", path)
        found.roots = (*roots, *([importable.ELSEWHERE] if outside or told else []))
        found.tops = tuple(sorted(importable.tops(found.files, found.roots, self._is_ours)))
        if len(self._idle) + len(found.watched) <= _MOST_WATCHED:
            found.watched.update(self._idle)
        found.warnings = (*self._warnings, *self._told())
        size = found.size
        if size > self._choice.max_size:
            sizes = sorted(((told.size, path) for path, (_, told) in found.files.items()), reverse=True)
            largest = tuple((path, count) for count, path in sizes[:10])
            raise BundleTooLargeError(self._root, size, self._choice.max_size, largest)
        return found

    # --- where to look ---

    def _top_level(self, inside: str) -> None:
        path = os.path.join(self._root, *inside.split("/")) if inside else self._root
        if self._is_vault(os.path.realpath(path)):
            return
        place = _Place(inside, path, os.path.realpath(path), (), "", whole=False)
        for entry in self._entries(place, self._found.watched):
            name = entry.name.partition(".")[0]
            if not name.isidentifier():
                continue
            within = f"{inside}/{entry.name}" if inside else entry.name
            if _is_folder(entry):
                if entry.name == name and self._is_ours(name):
                    self._enter(place, entry, within, name)
            elif entry.name.endswith((".py", *_COMPILED)) and self._is_ours(name):
                self._take(entry, within, name)

    def _outside(self, one: importable.Outside) -> None:
        base = f"{importable.ELSEWHERE}/{one.name.replace('.', '/')}"
        border = self._border
        for folder in one.folders:
            self._border = importable.below(folder)
            self._heed(Asked(folder).answer(), f"{base}/")
            self._walk(_Place(base, folder, os.path.realpath(folder), (), one.name, whole=True))
        if one.file is not None:
            self._add(f"{base}.py", one.file)
        self._border = border

    def _included(self) -> None:
        """Take what the caller asks for by name, wherever it lies in the project."""
        waiting = [_Place("", self._root, os.path.realpath(self._root), (), "", whole=True)]
        while waiting:
            place = waiting.pop()
            for entry in self._entries(place, self._idle):
                within = f"{place.inside}/{entry.name}" if place.inside else entry.name
                if _is_folder(entry):
                    below = self._below(place, entry, within, "")
                    if below is not None:
                        waiting.append(below)
                elif source.chosen(within, self._choice.include, self._choice.exclude):
                    self._take(entry, within, "", asked_for=True)

    # --- folders ---

    def _entries(self, place: _Place, watched: dict[str, Stamp | None]) -> list[os.DirEntry[str]]:
        """List a folder, and note its stamp: from before, so that what happens meanwhile is seen the next time."""
        try:
            told = stamp.of(os.stat(place.path))
            with os.scandir(place.path) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            self._leave_behind(place.inside, f"unreadable ({error.strerror})")
            return []
        watched[place.path] = stamp.settled(told, self._began)
        names = {entry.name for entry in entries}
        if "pyvenv.cfg" in names and place.path != self._root:
            return []
        if ".gitignore" in names:
            path = os.path.join(place.path, ".gitignore")
            self._found.watched[path] = stamp.of_path(path)
        if ".git" in names and place.path != self._root and place.inside:
            self._heed(Asked(place.path).answer(), f"{place.inside}/")
        made = {
            name[: -len(".run.json")] for name in names if name.endswith(".run.json")
        }  # artifacts by their side-cars
        return [
            entry
            for entry in entries
            if entry.name not in _SKIPPED
            and (entry.name not in made or entry.name.endswith(".py"))
            and not source.is_derived(entry.name)
        ]

    def _enter(self, place: _Place, entry: os.DirEntry[str], within: str, name: str) -> None:
        regular = os.path.isfile(os.path.join(entry.path, "__init__.py"))
        if f"{within}/" in self._ignored or not source.chosen(within, (), self._choice.exclude):
            if regular:
                self._leave(name, within, _IGNORED if f"{within}/" in self._ignored else _EXCLUDED)
            return
        if not place.whole and not regular and entry.name in _BUILT:
            return
        if regular and source.in_snapshot(os.path.dirname(entry.path), f"{entry.name}/x"):
            return
        below = self._below(place, entry, within, name)
        if below is not None:
            self._walk(below._replace(whole=place.whole or regular))

    def _below(self, place: _Place, entry: os.DirEntry[str], within: str, name: str) -> _Place | None:
        real = os.path.join(place.real, entry.name)
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if not f"{real}{os.sep}".startswith(self._border):
                self._leave_behind(within, "a link that leads outside")
                return None
        if real == place.real or real in place.above or self._is_vault(real):
            return None
        return _Place(within, entry.path, real, (*place.above, place.real), name, place.whole)

    def _walk(self, place: _Place) -> None:
        """Take what is in a package.

        Of folders without ``__init__.py``, those count that hold modules; data in others is not a package's.
        """
        watched: dict[str, Stamp | None] = {}
        entries = self._entries(place, watched)
        takes = place.whole or any(entry.name.endswith(".py") for entry in entries)
        (self._found.watched if takes else self._idle).update(watched)
        for entry in entries:
            within = f"{place.inside}/{entry.name}"
            name = f"{place.name}.{entry.name.partition('.')[0]}"
            if _is_folder(entry):
                if place.whole or entry.name.isidentifier():
                    self._enter(place, entry, within, name)
            elif takes:
                self._take(entry, within, name)

    def _is_ours(self, name: str) -> bool:
        if name not in self._ours:
            self._ours[name] = importable.is_ours(name, self._border)
        return self._ours[name]

    def _is_vault(self, real: str) -> bool:
        return real == self._vault

    # --- files ---

    def _take(self, entry: os.DirEntry[str], within: str, name: str, *, asked_for: bool = False) -> None:
        """Take a file, unless there is a reason against it."""
        if within in self._found.files:
            return
        try:
            if entry.is_symlink() and not os.path.realpath(entry.path).startswith(self._border):
                self._leave_behind(within, "a link that leads outside")
                return
            stat = entry.stat()
        except OSError:  # a link to nothing, or gone meanwhile
            return
        module = name if entry.name.endswith((".py", *_COMPILED)) else ""
        if source.is_secret(within):
            self._leave_behind(within, "secret by name")
        elif not modes.S_ISREG(stat.st_mode):
            self._leave_behind(within, "no regular file")
        elif not is_safe(within) or not _is_text(within):
            self._leave_behind(within, "a name that other systems can't have")
        elif entry.name.endswith(_COMPILED):
            self._leave(module, within, _NO_SOURCE)
            self._leave_behind(within, "a compiled extension")
        elif not source.chosen(within, (), self._choice.exclude):
            self._leave(module, within, _EXCLUDED)
        elif within in self._ignored and not asked_for and not _is_version(entry.name, stat.st_size):
            self._leave(module, within, _IGNORED)
        elif stat.st_size > self._choice.max_file_size and not asked_for:
            self._leave(module, within, "it is larger than max-file-size")
            self._leave_behind(within, "larger than max-file-size")
        else:
            self._found.files[within] = (entry.path, stamp.of(stat))

    def _add(self, within: str, path: str) -> None:
        told = stamp.of_path(path)
        if told is not None:
            self._found.files.setdefault(within, (path, told))

    def _leave(self, module: str, within: str, why: str) -> None:
        """Note that a module stays behind: who imports it from the bundle is told why it isn't there."""
        if module and within.rpartition("/")[2] != "__init__.py":
            self._found.left.setdefault(module, why)
            if module in sys.modules and why != _NO_SOURCE:
                self._warnings.append(f"{within} is imported here, and stays behind: {why}")

    def _leave_behind(self, within: str, why: str) -> None:
        self._behind.setdefault(why, []).append(within)

    def _told(self) -> Iterator[str]:
        for why, paths in self._behind.items():
            shown = ", ".join(paths[:10]) + (f" and {len(paths) - 10} more" if len(paths) > 10 else "")
            yield f"not in the bundle, {why}: {shown}"

    def _heed(self, ignored: Ignored, prefix: str) -> None:
        self._ignored.update(prefix + path for path in ignored.paths)
        self._found.watched.update({path: stamp.of_path(path) for path in ignored.watched})
        if ignored.warning:
            self._warnings.append(ignored.warning)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_version(name: str, size: int) -> bool:
    return name in _VERSION and size <= _VERSION_SIZE


def _is_text(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
