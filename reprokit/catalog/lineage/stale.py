"""Which artifacts would come out differently today: their inputs, code or configuration changed since they were made."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reprokit.capture import files
from reprokit.catalog import reused
from reprokit.catalog.index import columns
from reprokit.catalog.lineage import present
from reprokit.errors import ReprokitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.catalog.index import Index
    from reprokit.catalog.lineage.graph import FileNode, Lineage, RunNode


def mark(lineage: Lineage, index: Index, progress: Callable[[int, int], None] | None = None) -> Lineage:
    """Look at the project and say which artifacts of a lineage are stale, and why.

    A file is stale when an input of the run that made it has other content now, is gone or is stale itself; when code
    that the run's function reached reads differently now; when the configuration that its decorator names is another;
    or when a later run wrote something else in its place.
    """
    marker = _Marker(lineage, index)
    found: dict[str, list[str]] = {}
    for number, key in enumerate(lineage.files, 1):
        reasons = marker.reasons(key)
        if reasons:
            found[key] = reasons
        if progress is not None:
            progress(number, len(lineage.files))
    return msgspec.structs.replace(lineage, stale=found)


class _Marker:
    def __init__(self, lineage: Lineage, index: Index) -> None:
        self._lineage = lineage
        self._index = index
        self._known: dict[str, list[str]] = {}
        self._of_runs: dict[str, list[str]] = {}
        self._digests: dict[str, str | None] = {}
        self._roots: dict[str, Path] = {}

    def reasons(self, key: str) -> list[str]:
        """Say why a file is stale; empty when it is not, or when no run made it."""
        if key in self._known:
            return self._known[key]
        self._known[key] = []  # a circle ends here
        found: list[str] = []
        above = list(self._lineage.above(key))
        # Of a result that was used again, the later run tells what it was taken to be; the code is the first one's.
        origins = {self._lineage.runs[run_key].reused_from for run_key, _ in above}
        for run_key, edge in above:
            if edge.exact and run_key not in origins:
                run = self._lineage.runs[run_key]
                found += self._of_run(run)
                found += self._overwritten(self._lineage.files[key], run)
        self._known[key] = list(dict.fromkeys(found))
        return self._known[key]

    def _of_run(self, run: RunNode) -> list[str]:
        if run.key not in self._of_runs:
            self._of_runs[run.key] = []
            found = []
            for file_key, edge in self._lineage.above(run.key):
                if edge.kind == "used":
                    found += self._input(self._lineage.files[file_key], self._root(run))
            self._of_runs[run.key] = [*found, *self._code(run)]
        return self._of_runs[run.key]

    def _input(self, file: FileNode, root: Path) -> list[str]:
        path = file.paths[0]
        now = self._digest(os.path.join(root, path))
        if now is None:
            return [f"input {path} is gone"]
        if file.digest is not None and now != file.digest:
            return [f"input {path} changed"]
        return [f"input {path} is stale itself"] if self.reasons(file.key) else []

    def _code(self, run: RunNode) -> list[str]:
        try:
            again = self._index.run(run.row)
            executed = reused.origin(self._index, again) or again
            return present.look(executed, self._index.vault.path, self._root(run)).changed
        except ReprokitError:
            return []

    def _overwritten(self, file: FileNode, run: RunNode) -> list[str]:
        """Find a later run that wrote something else under the name that this file was asked for."""
        rows = self._index.db.execute(
            "SELECT later.run_id, made.digest, later.config_hash FROM artifacts AS made JOIN runs AS later ON later.id = made.run "
            "WHERE made.name = ? AND made.path = ? AND made.role = 'generated' AND later.started > ? ORDER BY later.started DESC LIMIT 1",
            (file.paths[0].rstrip("/").rpartition("/")[2], file.paths[0], run.started),
        )
        for run_id, digest, _ in rows:
            if digest is not None and file.digest is not None and columns.digest(digest) != file.digest:
                return [f"run {run_id[:8]} wrote something else there later"]
        return []

    def _digest(self, path: str) -> str | None:
        if path not in self._digests:
            try:
                self._digests[path] = files.digest_path(path)[0]
            except OSError:
                self._digests[path] = None
        return self._digests[path]

    def _root(self, run: RunNode) -> Path:
        """Give the project's folder: where it was, or, when it has moved with its vault, around the vault."""
        found = self._roots.get(run.key)
        if found is None:
            try:
                found = Path(self._index.run(run.row).root.pre.root_directory)
            except ReprokitError:
                found = self._index.vault.path.parent
            if not found.is_dir():
                found = self._index.vault.path.parent
            self._roots[run.key] = found
        return found
