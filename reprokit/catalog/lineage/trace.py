"""From a file or run upwards and downwards through a vault."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, NamedTuple

from reprokit.catalog import find, whence
from reprokit.catalog.index import columns
from reprokit.catalog.lineage import asked
from reprokit.catalog.lineage.family import Families, Made
from reprokit.catalog.lineage.graph import Edge, FileNode, Lineage, RunNode
from reprokit.errors import RunNotFoundError, UnknownFileError

if TYPE_CHECKING:
    from reprokit.catalog.index import Index

_MOST = 5_000  # nodes
_WIDEST = 500  # runs that used one file


def trace(index: Index, wanted: str, *, depth: int | None = None, up: bool = True, down: bool = True) -> Lineage:
    """Trace a file or a run.

    Content leads from run to run: a file that a run used was made by the run that last wrote just these bytes before.
    Where none did, but a run had written something else at the same path, that one is given, and the edge is not
    `exact`.  Empty files are told apart by their paths.  Runs that repeated others to compare them are left out.

    Parameters
    ----------
    index
        Of the vault.
    wanted
        As in `find.one`; also a file that no run made and some used.
    depth
        At most so many runs away; None: as far as it goes.
    up, down
        Which ways to follow.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError
    """
    tracer = _Tracer(index, depth)
    focus = tracer.start(wanted)
    if up:
        tracer.follow(focus, upwards=True)
    if down:
        tracer.follow(focus, upwards=False)
    return Lineage(
        focus=focus,
        files=tracer.files,
        runs=tracer.runs,
        edges=list(tracer.edges.values()),
        cut=tracer.cut,
        notes=tracer.notes,
    )


class _Step(NamedTuple):
    key: str
    depth: int
    before: float | None  # seconds since the epoch; what made it began before that


class _Tracer:
    def __init__(self, index: Index, depth: int | None) -> None:
        self._index = index
        self._db = index.db
        self._families = Families(index)
        self._depth = depth
        self.files: dict[str, FileNode] = {}
        self.runs: dict[str, RunNode] = {}
        self.edges: dict[tuple[str, str, str], Edge] = {}
        self.cut = False
        self.notes: list[str] = []

    def start(self, wanted: str) -> str:
        """Find the node that is meant."""
        there = os.path.lexists(wanted)
        path_like = (there or find.looks_like_a_path(wanted)) and find.folder_of(self._index, wanted) is None
        if path_like:
            origin = whence.whence(self._index, wanted)
            others = asked.uses(self._index, wanted)
            if origin.run is not None or origin.used_by or (others and origin.how is None):
                self.notes, found = asked.what(origin, others)
                return self._file(found)
        try:
            run = find.one(self._index, wanted)
        except RunNotFoundError:
            if path_like:
                raise UnknownFileError(wanted, str(self._index.vault.path), there) from None
            raise
        (row,) = self._db.execute(
            "SELECT id FROM runs WHERE run_id = ? AND folder = ?", (run.run_id, columns.text(run.folder.name))
        ).fetchone()
        return self._run(row)

    def follow(self, focus: str, *, upwards: bool) -> None:
        """Add all nodes on one side, the nearest first."""
        waiting = [_Step(focus, 0, None)]
        seen = {focus}
        while waiting:
            step = waiting.pop(0)
            if self._depth is not None and step.depth > self._depth:
                continue
            for found in self._above(step) if upwards else self._below(step):
                if found.key in seen:
                    continue
                if len(seen) >= _MOST:
                    self.cut = True
                    return
                seen.add(found.key)
                waiting.append(found)

    def _above(self, step: _Step) -> list[_Step]:
        run = self.runs.get(step.key)
        if run is not None:
            if self._depth is not None and step.depth > self._depth:
                return []
            found = []
            for used in self._families.inputs(run.row):
                key = self._file(used)
                self._edge(run, key, "used", used.run, used.path)
                found.append(_Step(key, step.depth, run.started))
            return found
        file = self.files[step.key]
        made_by, path, exact = self._maker(file, step.before)
        if made_by is None or step.depth == self._depth:
            return []
        found = []
        for by, name in [(made_by, path), *self._origin(made_by, file)]:
            key = self._run(by)
            self._edge(self.runs[key], file.key, "generated", by, name, exact=exact)
            found.append(_Step(key, step.depth + 1, self.runs[key].started))
        return found

    def _origin(self, run: int, file: FileNode) -> list[tuple[int, str]]:
        """Give the run whose result a run gave under another name, and the name that it had there."""
        query = (
            "SELECT made.id, path FROM runs AS again JOIN runs AS made ON made.run_id = again.reused_from "
            "JOIN artifacts ON artifacts.run = made.id WHERE again.id = ? AND role = 'generated' AND digest IS ? LIMIT 1"
        )
        return self._db.execute(query, (run, columns.packed(file.digest))).fetchall()

    def _below(self, step: _Step) -> list[_Step]:
        run = self.runs.get(step.key)
        if run is not None:
            found = []
            for made in self._families.outputs(run.row):
                key = self._file(made)
                self._edge(run, key, "generated", made.run, made.path)
                found.append(_Step(key, step.depth, None))
            return found
        file = self.files[step.key]
        if file.digest is None or step.depth == self._depth:
            return []
        rows = self._with_content(file, "used", "started")
        if len(rows) > _WIDEST:
            self.cut = True
        found = []
        for row, path in rows[:_WIDEST]:
            key = self._run(row)
            self._edge(self.runs[key], file.key, "used", row, path)
            found.append(_Step(key, step.depth + 1, None))
        return found

    def _maker(self, file: FileNode, before: float | None) -> tuple[int | None, str, bool]:
        """Find the run that wrote this content last before a time, else the one that wrote something else there."""
        rows = self._with_content(file, "generated", "started DESC", before)
        if rows:
            return *rows[0], True
        query = (
            "SELECT run FROM artifacts JOIN runs ON runs.id = run WHERE name = ? AND path = ? AND role = 'generated' "
            "AND started <= ? AND NOT repeats ORDER BY started DESC LIMIT 1"
        )
        for path in file.paths:
            name = path.rstrip("/").rpartition("/")[2]
            for (row,) in self._db.execute(query, (name, path, _LATEST if before is None else before)):
                return row, path, False
        return None, "", True

    def _with_content(
        self, file: FileNode, role: str, order: str, before: float | None = None
    ) -> list[tuple[int, str]]:
        if file.digest is None:
            return []
        query = (
            "SELECT run, path FROM artifacts JOIN runs ON runs.id = run "  # noqa: S608 - order is ours
            f"WHERE digest = ? AND role = ? AND started <= ? AND NOT repeats ORDER BY {order} "
            f"LIMIT {_WIDEST + 1}"
        )
        rows = self._db.execute(query, (columns.packed(file.digest), role, _LATEST if before is None else before))
        found: dict[int, str] = {}
        for run, path in rows:
            if path in file.paths[:1] or (file.size and run not in found):  # of several, the one that was followed
                found[run] = path
            elif path in file.paths:
                found.setdefault(run, path)
        return list(found.items())

    def _file(self, made: Made) -> str:
        digest = columns.digest(made.digest) if made.digest is not None else None
        key = digest if digest is not None and made.size else f"{digest or 'unread'} {made.path}"
        known = self.files.get(key)
        if known is None:
            self.files[key] = FileNode(key=key, paths=[made.path], digest=digest, size=made.size)
        elif made.path not in known.paths:
            known.paths.append(made.path)
        return key

    def _run(self, row: int) -> str:
        found = self._db.execute(
            'SELECT run_id, what, status, started, "commit", config_hash, reused_from FROM runs WHERE id = ?', (row,)
        ).fetchone()
        run_id, what, status, started, commit, config_hash, reused_from = found
        self.runs.setdefault(
            run_id,
            RunNode(
                key=run_id, run_id=run_id, row=row, what=what, status=status, started=started, commit=commit,
                config_hash=config_hash, reused_from=reused_from,
            ),
        )  # fmt: skip
        return str(run_id)

    def _edge(self, run: RunNode, file: str, kind: str, by: int, path: str, *, exact: bool = True) -> None:
        via = None if by == run.row else self._run_id(by)
        role: Literal["used", "generated"] = "used" if kind == "used" else "generated"
        edge = Edge(run=run.key, file=file, kind=role, path=path, exact=exact, via=via)
        self.edges.setdefault((run.key, file, kind), edge)

    def _run_id(self, row: int) -> str:
        return str(self._db.execute("SELECT run_id FROM runs WHERE id = ?", (row,)).fetchone()[0])


_LATEST = 1e15  # after all times
