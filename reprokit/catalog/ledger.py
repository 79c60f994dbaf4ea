"""What the runs of a vault say of files, in a database that lasts as long as the question: memory stays small for 100,000 runs."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reprokit.catalog.run import moment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import ArtifactRecord, JournalLine

_SCHEMA = """
CREATE TABLE runs(run_id TEXT, root_id TEXT, folder TEXT, started REAL);
CREATE TABLE artifacts(place BLOB, role TEXT, run_id TEXT, root_id TEXT, started REAL, path TEXT, digest TEXT, size INTEGER,
    folder INTEGER, blob TEXT, replaced TEXT, host TEXT, seen INTEGER);
CREATE TABLE open(place BLOB, run_id TEXT);
CREATE TABLE documents(run_id TEXT, name TEXT, digest TEXT);
CREATE TABLE journal(run_id TEXT, folder TEXT, event TEXT);
CREATE TABLE returned(run_id TEXT, root_id TEXT, digest TEXT, made REAL);
CREATE TABLE uses(run_id TEXT PRIMARY KEY, last REAL);
"""
_INDEXES = """
CREATE INDEX IF NOT EXISTS by_place ON artifacts(place, started);
CREATE INDEX IF NOT EXISTS by_digest ON artifacts(digest);
CREATE INDEX IF NOT EXISTS by_run ON artifacts(run_id);
CREATE INDEX IF NOT EXISTS by_root ON artifacts(root_id);
CREATE INDEX IF NOT EXISTS by_id ON runs(run_id);
"""
_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")
_LARGEST = 2**62  # of SQLite's integers


class Entry(NamedTuple):
    """One file that one run generated or used."""

    place: bytes  # absolute path, where it should be now: names may be any bytes
    role: str
    run_id: str
    root_id: str
    started: float
    path: str  # as recorded
    digest: str | None
    size: int | None
    folder: int
    blob: str | None
    replaced: str | None
    host: str | None
    seen: int


_COLUMNS = ", ".join(Entry._fields)


class Ledger:
    """Entries of artifacts, and lines of journals.

    Parameters
    ----------
    vault
        The vault's folder.
    root
        The project's folder; None: the vault's parent.
    """

    def __init__(self, vault: Path, root: Path | None = None) -> None:
        self.root = Path(os.path.abspath(root or vault.parent))
        self._inside = vault == self.root or self.root in vault.parents
        self.db = sqlite3.connect("", isolation_level=None, check_same_thread=False)  # "": a temporary file
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("PRAGMA journal_mode=OFF")
        self.db.executescript(_SCHEMA)
        self._uses: dict[str, float] = {}

    def close(self) -> None:
        """Forget everything."""
        self.db.close()

    def place(self, artifact: ArtifactRecord, recorded_root: str) -> bytes:
        """Give the absolute path at which an artifact should lie.

        A vault that lies in its project moved along with it; one that several projects share tells each run's root.
        """
        root = str(self.root)
        if not self._inside and "\0" not in recorded_root and os.path.isdir(recorded_root):
            root = recorded_root
        found = os.fsencode(os.path.normpath(os.path.join(root, artifact.path)))
        if b"\\x" in found and b"\0" not in found and not os.path.lexists(found):
            return _ESCAPED.sub(lambda escape: bytes([int(escape[1], 16)]), found)  # how records write what is no UTF-8
        return found

    def add(self, run: Run) -> None:
        """Enter a root run and its child runs."""
        root = run.pre.root_directory
        started = _stamp(run)
        self.db.execute("INSERT INTO runs VALUES(?, ?, ?, ?)", (run.run_id, run.run_id, run.folder.name, started))
        children = [(one.run_id, run.run_id, run.folder.name, _stamp(one)) for one in run.children]
        if children:
            self.db.executemany("INSERT INTO runs VALUES(?, ?, ?, ?)", children)
        everyone: list[Run | Child] = [run, *run.children]
        for one in everyone:
            self._add_result(one, run.run_id)
        rows = [row for one in everyone for row in self.entries(one, root)]
        if rows:
            self.db.executemany(
                f"INSERT INTO artifacts({_COLUMNS}) VALUES({', '.join('?' * len(Entry._fields))})", rows
            )
        if run.post is None:
            expected = [(self.place(one, root), run.run_id) for one in run.pre.artifacts]
            self.db.executemany("INSERT INTO open VALUES(?, ?)", expected)

    def entries(self, run: Run | Child, root: str) -> Iterator[Entry]:
        """Give what a run generated and used; nothing of one that repeated another: its files went with its folder."""
        if run.root.pre.reproduction_of is not None:
            return
        started = _stamp(run)
        for one in run.artifacts:
            if one.role != "missing":
                yield Entry(
                    self.place(one, root), one.role, run.run_id, run.root.run_id, started, one.path, one.digest,
                    min(one.size, _LARGEST) if one.size is not None else None, one.folder, one.blob, one.replaced, one.host, one.seen,
                )  # fmt: skip

    def _add_result(self, run: Run | Child, root_id: str) -> None:
        """Enter the return value that a run kept for being used again, and the run whose result it used itself."""
        if run.reused_from is not None:
            self._use(run.reused_from, run.started)
        if run.reuse is not None and run.reuse.returned is not None:
            row = (run.run_id, root_id, run.reuse.returned, _stamp(run))
            self.db.execute("INSERT INTO returned VALUES(?, ?, ?, ?)", row)

    def _use(self, run_id: str, at: datetime) -> None:
        self._uses[run_id] = max(self._uses.get(run_id, 0.0), _seconds(at))

    def line(self, line: JournalLine) -> None:
        """Enter a line of a journal; of results that were used again, of which there may be millions, only the last use."""
        if line.event == "reuse":
            self._use(line.run_id, moment(line.timestamp))
            return
        self.db.execute("INSERT INTO journal VALUES(?, ?, ?)", (line.run_id, line.folder, line.event))
        if line.documents:
            rows = [(line.run_id, name, digest) for name, digest in line.documents.items()]
            self.db.executemany("INSERT INTO documents VALUES(?, ?, ?)", rows)

    def index(self) -> None:
        """Make what was entered quick to find; once, after the last entry."""
        self.db.executemany("INSERT OR REPLACE INTO uses VALUES(?, ?)", self._uses.items())
        self.db.executescript(_INDEXES)

    def select(self, condition: str, *values: object, order: str = "place, started DESC") -> Iterator[Entry]:
        """Give the entries for which an SQL condition holds."""
        found = self.db.execute(f"SELECT {_COLUMNS} FROM artifacts WHERE {condition} ORDER BY {order}", values)  # noqa: S608 - conditions are literals of this package
        return (Entry(*row) for row in found)

    def at(self, place: bytes) -> list[Entry]:
        """Give everything that is recorded of a path, the newest first."""
        return list(self.select("place = ?", place))

    def folder_of(self, run_id: str) -> str | None:
        """Give the name of the folder that holds a run."""
        row = self.db.execute("SELECT folder FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        return str(row[0]) if row else None


def _stamp(run: Run | Child) -> float:
    """When a run began, in seconds since the epoch."""
    return _seconds(run.started)


def _seconds(at: datetime) -> float:
    try:
        return at.timestamp()
    except (OverflowError, ValueError):
        return 0.0
