"""Rows into the index: those of one run's folder replace what the index held of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from reprokit.catalog.index.gather import Gathered, Row

_RUN = (
    'INSERT INTO runs(id, run_id, root, parent_id, folder, kind, function, what, status, started, duration, "commit", '
    "config_hash, host, user, python, children, reproduction_of, repeats, reused_from, reusable) "
    f"VALUES({','.join('?' * 21)})"
)
_ARTIFACT = "INSERT INTO artifacts VALUES(?,?,?,?,?,?,?,?,?)"
_FACT = "INSERT OR REPLACE INTO facts VALUES(?,?,?,?)"
_BATCH = 2_000  # rows that are handed over at once


class Filler:
    """Writes what was gathered, within the caller's transaction.

    Parameters
    ----------
    touched
        Takes the ids of runs whose counts of uses may be others now.
    """

    def __init__(self, db: sqlite3.Connection, touched: set[str] | None = None) -> None:
        self._db = db
        self._touched = touched
        self._names: dict[str, int] = dict(db.execute("SELECT name, id FROM names"))
        self._next: int = db.execute("SELECT coalesce(max(id), 0) + 1 FROM runs").fetchone()[0]
        self._waiting: dict[str, list[tuple[object, ...]]] = {}
        self._count = 0

    def forget(self, folders: Iterable[str]) -> None:
        """Remove what the index holds of these folders."""
        db = self._db
        for folder in folders:
            rows = db.execute("SELECT id, run_id, reused_from FROM runs WHERE folder = ?", (folder,)).fetchall()
            for run, run_id, reused_from in rows:
                self._touch(run_id, reused_from)
                for table in ("facts", "artifacts", "marks"):
                    db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))  # noqa: S608 - names of ours
            for table in ("runs", "problems", "open_runs"):
                db.execute(f"DELETE FROM {table} WHERE folder = ?", (folder,))  # noqa: S608

    def add(self, found: Gathered) -> None:
        """Add the rows of a folder that the index holds nothing of."""
        folder = found.folder
        root = self._next
        repeats = any(row.reproduction_of for row in found.rows[:1])
        for row in found.rows:
            self._add_row(row, folder, root, repeats)
        if found.problems:
            self._put("INSERT INTO problems VALUES(?,?)", [(folder, problem) for problem in found.problems])
        if found.process is not None:
            process = msgspec.json.encode(found.process).decode()
            self._put("INSERT INTO open_runs VALUES(?,?,?)", [(folder, found.steps, process)])
        if self._count > _BATCH:
            self.flush()

    def flush(self) -> None:
        """Hand over what waits."""
        for statement, rows in self._waiting.items():
            try:
                self._db.executemany(statement, rows)
            except UnicodeEncodeError:  # a lone surrogate, which JSON can hold and a database can't
                self._db.executemany(statement, [tuple(map(_encodable, row)) for row in rows])
        self._waiting.clear()
        self._count = 0

    def _add_row(self, row: Row, folder: str, root: int, repeats: bool) -> None:
        run, self._next = self._next, self._next + 1
        self._touch(row.run_id, row.reused_from)
        self._put(
            _RUN,
            [
                (
                    run, row.run_id, root, row.parent_id, folder, row.kind, row.function, row.what, row.status,
                    row.started, row.duration, row.commit, row.config_hash, row.host, row.user, row.python, row.children,
                    row.reproduction_of, repeats, row.reused_from, row.reusable,
                )
            ],
        )  # fmt: skip
        if row.facts:
            self._put(_FACT, [(run, self._name(name), value, shown) for name, value, shown in row.facts])
        if row.artifacts:
            self._put(_ARTIFACT, [(run, *artifact) for artifact in row.artifacts])
        if row.marks:
            self._put("INSERT INTO marks VALUES(?,?,?)", [(run, *mark) for mark in row.marks])

    def _touch(self, *run_ids: str | None) -> None:
        if self._touched is not None:
            self._touched.update(run_id for run_id in run_ids if run_id is not None)

    def _name(self, name: str) -> int:
        known = self._names.get(name)
        if known is None:
            known = self._names[name] = len(self._names) + 1
            self._put("INSERT INTO names VALUES(?,?)", [(known, name)])
        return known

    def _put(self, statement: str, rows: list[tuple[object, ...]]) -> None:
        self._waiting.setdefault(statement, []).extend(rows)
        self._count += len(rows)


def _encodable(value: object) -> object:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
