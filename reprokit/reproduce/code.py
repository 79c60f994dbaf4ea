"""The code that a run had: a kept tree, or a commit with a patch.  Looked into without writing it anywhere."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from reprokit import git
from reprokit.code.tree import TreeStore
from reprokit.errors import GitError, ReprokitError
from reprokit.model import digest as digests
from reprokit.vault.layout import Vault

_LARGEST = 100_000_000  # bytes of a file that is compared


@dataclass(frozen=True)
class Source:
    """Where the code comes from."""

    tree: str | None = None  # "sha256:<hex>"
    commit: str | None = None
    patch: Path | None = None
    root: Path | None = None  # in the repository that has the commit


class Code:
    """Answers what files the code has."""

    def __init__(self, source: Source, vault: Path) -> None:
        self._source = source
        self._store = TreeStore(Vault(vault).code)
        self._sizes = self._listed()

    def has(self, path: str) -> bool:
        """Tell whether it has a file; one that the patch touches counts."""
        wanted = os.path.normpath(path).replace(os.sep, "/")
        return wanted in self._sizes or self._patched(wanted)

    def holds(self, path: str, digest: str) -> bool:
        """Tell whether a file has a content; of one that the patch touches that is not known."""
        size = self._sizes.get(path)
        if size is None or size > _LARGEST or self._patched(path):
            return False
        try:
            return digests.of_bytes(self._read(path)) == digest
        except ReprokitError:
            return False

    def _listed(self) -> dict[str, int]:
        source = self._source
        if source.tree is not None:
            return {one.path: one.size for one in self._store.files(source.tree)}
        assert source.root is not None
        prefix = self._prefix()
        try:
            listed = git.run(source.root, "ls-tree", "-r", "-l", "-z", "--full-tree", str(source.commit))
        except GitError:
            return {}
        found = {}
        for line in listed.decode("utf-8", "surrogateescape").split("\0"):
            facts, _, path = line.partition("\t")
            if path.startswith(prefix) and path:
                size = facts.split()[3]
                found[path[len(prefix) :]] = int(size) if size.isdigit() else 0
        return found

    def _read(self, path: str) -> bytes:
        source = self._source
        if source.tree is not None:
            return self._store.read(source.tree, path)
        assert source.root is not None
        return git.run(source.root, "cat-file", "blob", f"{source.commit}:{self._prefix()}{path}")

    def _prefix(self) -> str:
        root = self._source.root
        place = git.locate(root) if root is not None else None
        below = os.path.relpath(str(root), place.top).replace(os.sep, "/") if place is not None else "."
        return "" if below == "." else f"{below}/"

    def _patched(self, path: str) -> bool:
        patch = self._source.patch
        return patch is not None and f" b/{path}".encode() in patch.read_bytes()
