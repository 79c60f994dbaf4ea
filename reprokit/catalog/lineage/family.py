"""What a run used and made, together with the runs around and within it.

A function's inputs are often read by a child run, or by the run around it, and handed over as values.  The rule: what a
run, the runs within it and those around it used are its inputs; where there are none, those that any run of the nearest
run around it used.  The same holds, the other way round, for what was made from a file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.catalog.index import Index


class Made(NamedTuple):
    """An artifact's row."""

    run: int
    path: str
    digest: bytes | None
    size: int | None


class Families:
    """Answers for the runs of a vault; what was looked up stays known."""

    def __init__(self, index: Index) -> None:
        self._db = index.db
        self._known: dict[int, _Family] = {}

    def inputs(self, run: int) -> list[Made]:
        """Give what a run used, directly or through its relatives."""
        family = self._family(run)
        own = self._rows([*family.within(run), *family.around(run)], "used")
        if own:
            return _from_outside(own, self._rows(family.within(run), "generated"))
        for ancestor in family.around(run):
            wider = self._rows(family.within(ancestor), "used")
            if wider:
                return _from_outside(wider, self._rows(family.within(ancestor), "generated"))
        return []

    def outputs(self, run: int) -> list[Made]:
        """Give what was made of what a run used: by the runs within it, else by those within the run around it."""
        family = self._family(run)
        for one in (run, *family.around(run)):
            found = self._rows(family.within(one), "generated")
            if found:
                return found
        return []

    def _family(self, run: int) -> _Family:
        (root,) = self._db.execute("SELECT root FROM runs WHERE id = ?", (run,)).fetchone()
        found = self._known.get(root)
        if found is None:
            rows = self._db.execute("SELECT id, run_id, parent_id FROM runs WHERE root = ?", (root,)).fetchall()
            found = self._known[root] = _Family(rows)
        return found

    def _rows(self, runs: Iterable[int], role: str) -> list[Made]:
        query = "SELECT run, path, digest, size FROM artifacts WHERE run = ? AND role = ?"
        return [Made(*row) for run in runs for row in self._db.execute(query, (run, role))]


class _Family:
    """The runs of one root run."""

    def __init__(self, rows: list[tuple[int, str, str | None]]) -> None:
        ids = {run_id: row for row, run_id, _ in rows}
        self._parents = {row: ids.get(parent) if parent else None for row, _, parent in rows}
        self._children: dict[int, list[int]] = {}
        for row, parent in self._parents.items():
            if parent is not None and parent != row:
                self._children.setdefault(parent, []).append(row)

    def within(self, run: int) -> list[int]:
        """The run and all runs within it."""
        found = {run: None}  # a dict keeps the order
        waiting = [run]
        while waiting:
            for child in self._children.get(waiting.pop(), ()):
                if child not in found:  # parents in a circle: a record that somebody made by hand
                    found[child] = None
                    waiting.append(child)
        return list(found)

    def around(self, run: int) -> list[int]:
        """The runs around it, the nearest first."""
        found: list[int] = []
        one = self._parents.get(run)
        while one is not None and one not in found and one != run:
            found.append(one)
            one = self._parents.get(one)
        return found


def _from_outside(used: list[Made], generated: list[Made]) -> list[Made]:
    """Leave out what a run had made itself and then read."""
    own = {made.digest for made in generated if made.digest is not None and made.size}
    return [made for made in used if made.digest not in own]
