"""A list of runs: what the index tells is there at once, a run's documents are read when it is first asked for them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import msgspec

from reprokit.catalog.index import ask
from reprokit.catalog.query import columns
from reprokit.catalog.run import Child, Run
from reprokit.errors import QueryError, RunNotFoundError

if TYPE_CHECKING:
    import pandas as pd

    from reprokit.catalog.index import Index
    from reprokit.catalog.query.rows import Row

_OF_ROW = {"id": "run_id"}
_JOINED = {
    "tag": "marks m ON m.run = r.id AND m.event = 'tag'",
    "note": "marks m ON m.run = r.id AND m.event = 'note'",
    "artifact": "artifacts m ON m.run = r.id AND m.role = 'generated'",
    "input": "artifacts m ON m.run = r.id AND m.role = 'used'",
    "reproduced": "repetitions m ON m.run = r.id",
}
_AMONG = "FROM json_each(?) j CROSS JOIN runs r ON r.run_id = j.value CROSS JOIN"


class RunList(Sequence["Run | Child"]):
    """Runs that were found, in order.  It never changes; a slice of it is a list of runs, too."""

    def __init__(self, index: Index, rows: Sequence[Row]) -> None:
        self._index = index
        self._rows = tuple(rows)
        self._roots: dict[str, Run] = {}

    @property
    def rows(self) -> tuple[Row, ...]:
        """What the index told of each, without reading a document."""
        return self._rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, at: int) -> Run | Child: ...
    @overload
    def __getitem__(self, at: slice) -> RunList: ...
    def __getitem__(self, at: int | slice) -> Run | Child | RunList:
        if isinstance(at, slice):
            return RunList(self._index, self._rows[at])
        return self._run(self._rows[at])

    def __repr__(self) -> str:
        listed = ", ".join(f"{row.run_id[:8]} {row.what} {row.status}" for row in self._rows[:3])
        return f"<{len(self)} runs{': ' if listed else ''}{listed}{', ...' if len(self) > 3 else ''}>"

    def column(self, name: str) -> list[Any]:
        """Give a column of all the runs, as in an expression: ``started``, ``config.lr``; None where a run has none.

        Of ``tag``, ``note``, ``artifact``, ``input`` and ``reproduced`` each run has a list.  Times are in UTC, durations in seconds.

        Raises
        ------
        QueryError
            When there is no such column.
        """
        kind = columns.kind(name)
        if kind is None:
            raise QueryError(name, 0, columns.unknown(name))
        if kind == "fact":
            asked = _AMONG + " facts f ON f.run = r.id AND f.name = (SELECT id FROM names WHERE name = ?)"  # noqa: S608
            facts = {
                (run, folder): _value(value, shown)
                for run, folder, value, shown in self._ask("f.value, f.shown", asked, name)
            }
            return [facts.get((row.run_id, row.folder)) for row in self._rows]
        if kind == "many":
            found: dict[tuple[str, str], list[str]] = {}
            text = "m.path" if name in ("artifact", "input") else "m.text"
            order = "" if name == "reproduced" else " ORDER BY m.rowid"  # a view has none
            for run, folder, value in self._ask(text, f"{_AMONG} {_JOINED[name]}{order}"):
                found.setdefault((run, folder), []).append(value)
            return [found.get((row.run_id, row.folder), []) for row in self._rows]
        return [getattr(row, _OF_ROW.get(name, name)) for row in self._rows]

    def facts(self) -> list[dict[str, Any]]:
        """Give all that was configured, passed and recorded, by names as in an expression, for each of the runs."""
        found: dict[tuple[str, str], dict[str, Any]] = {}
        asked = f"{_AMONG} facts f ON f.run = r.id CROSS JOIN names n ON n.id = f.name"
        for run, folder, name, value, shown in self._ask("n.name, f.value, f.shown", asked):
            found.setdefault((run, folder), {})[name] = _value(value, shown)
        return [found.get((row.run_id, row.folder), {}) for row in self._rows]

    def to_frame(self) -> pd.DataFrame:
        """Give a data frame with a row for each run and a column for each fact.

        Raises
        ------
        MissingPackageError
            When pandas is not installed.
        """
        from reprokit.catalog.query import frame

        return frame.make(self)

    def _repr_html_(self) -> str:
        from reprokit.catalog import html

        return html.run_list(self)

    def _ask(self, selected: str, asked: str, *values: str) -> list[tuple[Any, ...]]:
        """Ask the index about these runs; rows begin with id and folder, which another index has as well."""
        statement = f"SELECT r.run_id, r.folder, {selected} {asked}"
        told = (msgspec.json.encode([row.run_id for row in self._rows]).decode(), *values)
        try:
            return self._index.db.execute(statement, told).fetchall()
        except sqlite3.ProgrammingError:  # closed, or another thread's
            return ask(self._index.vault.path, lambda index: index.db.execute(statement, told).fetchall())

    def _run(self, row: Row) -> Run | Child:
        from reprokit.catalog import reused

        root = self._roots.setdefault(row.folder, Run(self._index.vault.runs / row.folder))
        run: Run | Child | None = root
        if row.parent_id is not None:
            run = next((child for child in root.children if child.run_id == row.run_id), None)
        if run is not None:
            run.__dict__.setdefault("uses", reused.uses_of(row))  # the index need not be asked once more
            return run
        raise RunNotFoundError(row.run_id, str(self._index.vault.path))


def _value(value: Any, shown: str | None) -> Any:
    return value if shown is None else json.loads(shown)
