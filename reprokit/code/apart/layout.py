"""What a tree consists of: the names of its modules, its folders and its files."""

from __future__ import annotations

import os
import sys
from importlib.machinery import BuiltinImporter, FrozenImporter
from typing import TYPE_CHECKING

from reprokit.code.apart import locate
from reprokit.code.apart.stamps import Stamp
from reprokit.code.foreign import is_foreign_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Layout:
    """Names, folders and files of a tree.

    Parameters
    ----------
    prefix
        The private name of its root module.
    folder
        Where its files lie.
    roots
        Absolute folders where its top-level modules are looked for, in this order.
    known
        The files as they are now; a module whose file has another stamp later is refused.
    package
        The tree's only top-level name, when the folder itself is a package.
    tops
        Top-level names that mean a module of this tree, whatever is installed here.
    left
        Modules that the tree was kept without, by name, and why.
    """

    def __init__(
        self,
        prefix: str,
        folder: str,
        roots: Sequence[str],
        known: Mapping[str, Stamp],
        package: str | None,
        tops: Iterable[str] = (),
        left: Mapping[str, str] | None = None,
    ) -> None:
        self.prefix = prefix
        self.folder = folder
        self.roots = tuple(roots)
        self.package = package
        self.contents: Mapping[
            str, bytes
        ] = {}  # SHA-256 of sources by path, for trees that share what they have in common
        self.pinned: dict[str, bytes] = {}  # sources that were replaced on disk since
        self.locator = locate.Locator()
        self.seen_path: list[str] = []  # sys.path as `look_at_path` found it last
        self.left = dict(left or {})
        self._known = known
        self._told = frozenset((*tops, *(name.partition(".")[0] for name in self.left)))
        self._own: dict[str, bool] = {}

    def private(self, name: str) -> str:
        """Give the private name of a module that the tree calls `name`; other names stay as they are."""
        top, dot, rest = name.partition(".")
        if not self.owns(top):
            return name
        return f"{self.prefix}{dot}{rest}" if self.package else f"{self.prefix}.{name}"

    def plain(self, name: str) -> str:
        """Give the name that the tree itself has for a module."""
        if self.package and (name == self.prefix or name.startswith(f"{self.prefix}.")):
            return f"{self.package}{name[len(self.prefix) :]}"
        return name.removeprefix(f"{self.prefix}.")

    def owns(self, top: str) -> bool:
        """Tell whether a top-level name means a module of this tree."""
        try:
            return self._own[top]
        except KeyError:
            return self._own.setdefault(top, self._is_own(top))

    def has(self, name: str) -> bool:
        """Tell whether there is a module of this name right below the root module."""
        return self.locator.look(name, self.roots) is not None if self.package else self.owns(name)

    def tops(self) -> list[str]:
        """List the modules right below the root module."""
        names = {entry.partition(".")[0] for root in self.roots for entry in self.locator.listing(root)}
        return sorted(name for name in names if name.isidentifier() and (self.package or self.owns(name)))

    def _is_own(self, top: str) -> bool:
        if self.package:
            return top == self.package
        if top in self._told:
            return True
        found = self.locator.look(top, self.roots) if top and top != "__main__" else None
        if found is None or BuiltinImporter.find_spec(top) or FrozenImporter.find_spec(top):  # they come before folders
            return False
        if found.location is not None:
            return True
        return any(map(locate.has_source, found.folders)) and not is_foreign_name(top)

    def is_namespace(self, top: str) -> bool:
        """Tell whether a top-level module of the tree is a package without ``__init__.py``."""
        found = self.locator.look(top, self.roots)
        return found is not None and found.location is None

    def look_at_path(self) -> None:
        """Take folders of the tree that its code put on `sys.path` as further roots, as scripts like to do."""
        self.seen_path = list(sys.path)
        for index, entry in enumerate(self.seen_path):
            folder = os.path.realpath(entry)
            if folder.startswith(self.folder + os.sep) and folder not in self.roots and not self.package:
                self.roots = (folder, *self.roots) if index == 0 else (*self.roots, folder)
                self._own.clear()

    def changed(self, path: str) -> bool:
        """Tell whether a file is another one than when the tree was loaded."""
        before = self._known.get(path)
        if before is None:
            return False
        try:
            stat = os.stat(path, follow_symlinks=False)
        except OSError:
            return True
        return Stamp(stat.st_size, stat.st_mtime_ns) != before

    def pin(self) -> None:
        """Keep the sources in memory, for the files are about to be replaced."""
        for path in self._known:
            if path.endswith(".py") and path not in self.pinned and not self.changed(path):
                with open(path, "rb") as stream:
                    self.pinned[path] = stream.read()

    def forget_listings(self) -> None:
        """Look at the folders anew, for ``importlib.invalidate_caches``."""
        self.locator.forget()
        self._own.clear()
