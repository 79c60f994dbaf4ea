"""Files of a project, listed once: to find what was moved, and what looks like ours and is not recorded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.model import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reprokit.catalog.verify.hashing import Hashing

_PASSED_OVER = frozenset(
    (".git", ".hg", ".svn", "__pycache__", "node_modules", ".tox", ".nox", ".venv", "site-packages")
)
MOST = 1_000_000  # files that are listed
_MOST_CANDIDATES = 50  # files of the same size that are hashed for one that is missing


class Finder:
    """Lists a project when first asked; links are not followed.

    Attributes
    ----------
    cut : bool
        Whether the project holds more files than are listed.
    """

    def __init__(self, root: Path, vault: Path, template: str | None = None) -> None:
        self._root, self._vault, self._template = os.fspath(root), os.fspath(vault), template
        self._sizes: dict[int, list[str]] | None = None
        self._folders: dict[str, list[str]] = {}
        self._sidecars: list[str] = []
        self._tagged: list[str] = []
        self._digests: dict[str, str | None] = {}
        self.cut = False

    @property
    def sidecars(self) -> list[str]:
        """Paths of all side-cars."""
        self._list()
        return self._sidecars

    @property
    def tagged(self) -> list[str]:
        """Paths of all files and folders whose names carry a tag."""
        self._list()
        return self._tagged

    def find(
        self,
        digest: str,
        size: int | None,
        name: str,
        hashing: Hashing,
        *,
        folder: bool = False,
        unless: Callable[[str], bool] = lambda _: False,
    ) -> str | None:
        """Find a file (by size, those of the same name first) or folder (by name) with this content.

        Files for which `unless` holds are passed over: they have another reason to be there.
        """
        sizes = self._list()
        if folder:
            candidates = self._folders.get(name, [])
        else:
            candidates = sizes.get(size, []) if size is not None else []
            candidates = sorted(candidates, key=lambda path: os.path.basename(path) != name)
        for path in candidates[:_MOST_CANDIDATES]:
            if path not in self._digests:
                self._digests[path] = hashing.one(path).digest
            if self._digests[path] == digest and not unless(path):
                return path
        return None

    def _list(self) -> dict[int, list[str]]:
        if self._sizes is None:
            self._sizes = {}
            for number, entry in enumerate(self._walk(self._root)):
                if number >= MOST:
                    self.cut = True
                    break
                self._enter(entry, self._sizes)
        return self._sizes

    def _enter(self, entry: os.DirEntry[str], sizes: dict[int, list[str]]) -> None:
        try:
            is_file = entry.is_file(follow_symlinks=False)
            if is_file and entry.name.endswith(naming.SIDECAR):
                self._sidecars.append(entry.path)
                return
            if is_file:
                sizes.setdefault(entry.stat(follow_symlinks=False).st_size, []).append(entry.path)
            elif entry.is_dir(follow_symlinks=False):
                self._folders.setdefault(entry.name, []).append(entry.path)
            if naming.parse(entry.name, self._template) is not None:
                self._tagged.append(entry.path)
        except OSError:
            return

    def _walk(self, folder: str) -> Iterator[os.DirEntry[str]]:
        waiting = [folder]
        while waiting:
            try:
                with os.scandir(waiting.pop()) as entries:
                    for entry in entries:
                        if entry.path == self._vault:
                            continue
                        yield entry
                        if entry.is_dir(follow_symlinks=False) and entry.name not in _PASSED_OVER:
                            waiting.append(entry.path)
            except OSError:
                continue
