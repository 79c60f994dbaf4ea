"""In which order runs are listed: by columns, by facts; what a run doesn't have comes last, ties newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.catalog.query import columns, parse
from reprokit.errors import QueryError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

WALKED = ("started", "duration")  # columns that have an index of their own
_COLUMNS = {"id": "r.run_id", "commit": 'r."commit"', "dirty": "instr(r.\"commit\", '-dirty') > 0"}
_TIES = "r.started DESC, r.run_id, r.id"


class Key(msgspec.Struct, frozen=True):
    column: str
    down: bool


class Filter(msgspec.Struct, frozen=True):
    """Which rows are to be put in order: by a condition on ``r``, or among rows that were found before."""

    children: bool
    condition: str = ""
    among: str = ""
    few: bool = False
    values: tuple[Any, ...] = ()
    repetitions: bool = True

    def on(self, column: str) -> str:
        """Give all of it as one condition; `column` holds a row's id."""
        # A unary plus keeps SQLite from using an index on what follows.
        parts = [] if self.children else [f"{'+' if self.few else ''}r.parent_id IS NULL"]
        if not self.repetitions:
            parts.append("NOT r.repeats")
        if self.condition:
            parts.append(self.condition)
        if self.among:
            parts.append(f"{'' if self.few else '+'}{column} {self.among}")
        return " AND ".join(parts) or "1"


class Order(msgspec.Struct, frozen=True):
    """One or more columns, the most important first."""

    keys: tuple[Key, ...]

    @property
    def walks(self) -> bool:
        """Whether an index has the runs in this order, so that the first ones are found without the others."""
        return len(self.keys) == 1 and (self.keys[0].column in WALKED or self._is_fact)

    @property
    def _is_fact(self) -> bool:
        return columns.kind(self.keys[0].column) == "fact"

    def ids(self, db: sqlite3.Connection, which: Filter, limit: int | None) -> list[int]:
        """Give the ids of rows in order."""
        if not which.few and self.walks and self._is_fact:
            return self._by_fact(db, which, limit)
        joins, terms, names = "", [], []
        for number, key in enumerate(self.keys):
            if columns.kind(key.column) == "fact":
                joins += f" LEFT JOIN facts s{number} ON s{number}.run = r.id AND s{number}.name = {_NAME}"
                names.append(key.column)
                term = f"s{number}.value"
            else:
                term = _COLUMNS.get(key.column, f"r.{key.column}")
            terms.append(f"{term} {_direction(key)}")
        by = ", ".join([*terms, _TIES])
        ordered = f"SELECT r.id FROM runs r{joins} WHERE {which.on('r.id')} ORDER BY {by}"  # noqa: S608
        return _limited(db, ordered, (*names, *which.values), limit)

    def _by_fact(self, db: sqlite3.Connection, which: Filter, limit: int | None) -> list[int]:
        """Walk a fact's values, then the runs that have none."""
        (key,) = self.keys
        having = (
            f"SELECT r.id FROM facts s CROSS JOIN runs r ON r.id = s.run "  # noqa: S608 - names of ours
            f"WHERE s.name = {_NAME} AND s.value IS NOT NULL AND {which.on('s.run')} "
            f"ORDER BY s.value {'DESC' if key.down else 'ASC'}, {_TIES}"
        )
        found = _limited(db, having, (key.column, *which.values), limit)
        if limit is not None and len(found) >= limit:
            return found
        lacking = (
            f"SELECT r.id FROM runs r WHERE {which.on('r.id')} AND NOT EXISTS(SELECT 1 FROM facts s "  # noqa: S608
            f"WHERE s.run = r.id AND s.name = {_NAME} AND s.value IS NOT NULL) ORDER BY {_TIES}"
        )
        return found + _limited(db, lacking, (*which.values, key.column), None if limit is None else limit - len(found))


_NAME = "(SELECT id FROM names WHERE name = ?)"


def read(sort: str | Sequence[str] | None) -> Order:
    """Read an order: ``-started`` (the default), ``value.rmse``, several in a sequence or with commas between.

    Raises
    ------
    QueryError
    """
    told = [sort] if isinstance(sort, str) else list(sort or ["-started"])
    keys = []
    for one in [part for text in told for part in _parts(text)]:
        column = parse.parse_column(one.removeprefix("-"))
        if columns.kind(column) == "many":
            raise QueryError(one, 0, f"a run may have several of {column}; it is no order")
        keys.append(Key(column, one.startswith("-")))
    return Order(tuple(keys))


def _parts(text: str) -> list[str]:
    """Split at commas that stand in no quotes."""
    if '"' in text or "'" in text:
        return [text.strip()]
    return [part.strip() for part in text.split(",")]


def _direction(key: Key) -> str:
    return "DESC" if key.down else "ASC NULLS LAST"


def _limited(db: sqlite3.Connection, statement: str, values: tuple[Any, ...], limit: int | None) -> list[int]:
    limited = (statement, values) if limit is None else (f"{statement} LIMIT ?", (*values, limit))
    return [row for (row,) in db.execute(*limited)]
