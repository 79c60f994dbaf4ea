"""Lines of ``reuse/``: which go with their runs, or because nobody has used them, and removing them.

They are read before the runs: a line is written after its run's folder, so a line whose run is not there has lost it.
Each file is written anew under the lock that its writers take, whole or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
from typing import TYPE_CHECKING, NamedTuple

from filelock import FileLock, Timeout

from reprokit.catalog import entries
from reprokit.catalog.gc.policy import ResultItem
from reprokit.catalog.index.hits import seconds
from reprokit.errors import RecordError
from reprokit.vault import atomic, reuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.catalog.gc.policy import Plan
    from reprokit.catalog.ledger import Ledger
    from reprokit.vault.layout import Vault

_DAY = 86_400.0  # seconds
_PATIENCE = 2.0  # seconds to wait for a writer; one who makes a result takes longer
_SCHEMA = """
CREATE TABLE results(path TEXT, line TEXT, run_id TEXT, made REAL, returned TEXT, size INTEGER, changed REAL);
CREATE TABLE stays(digest TEXT PRIMARY KEY);
"""


class _Line(NamedTuple):
    path: str  # below reuse/
    line: str  # names it among those of its file
    run_id: str | None  # None: it can't be read, so nobody can use it
    made: float
    returned: str | None
    size: int
    changed: float  # of its file
    root_id: str | None  # None: no such run
    used: float
    kept: int


_ALL = """
SELECT results.*, runs.root_id, coalesce(uses.last, 0.0), kept.root_id IS NOT NULL FROM results
LEFT JOIN runs ON runs.run_id = results.run_id LEFT JOIN kept ON kept.root_id = runs.root_id
LEFT JOIN uses ON uses.run_id = results.run_id GROUP BY results.rowid ORDER BY results.path, results.rowid
"""


def read(vault: Vault, ledger: Ledger) -> None:
    """Read all lines, before any run is read; raises `OSError`."""
    ledger.db.executescript(_SCHEMA)
    for path in entries.files(vault):
        if not entries.is_lock(path):
            inside = path.relative_to(vault.reuse).as_posix()
            ledger.db.executemany("INSERT INTO results VALUES(?, ?, ?, ?, ?, ?, ?)", _rows(vault, path, inside))


def _rows(vault: Vault, path: Path, inside: str) -> Iterator[tuple[object, ...]]:
    try:
        changed = path.stat().st_mtime
        found = entries.lines(path)
    except FileNotFoundError:
        return
    except RecordError as error:
        raise OSError(errno.EIO, str(error.args[1]), str(path)) from error
    for line in found:
        if line.entry is not None and entries.is_in_place(vault, path, line.entry):
            told: tuple[object, ...] = (line.entry.run_id, seconds(line.entry.timestamp), line.entry.returned)
        elif line.newer:
            continue  # it stays
        else:
            told = (None, 0.0, None)
        yield inside, _name(line.raw), *told, len(line.raw) + 1, changed


def _name(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()[:32]


# --- planning --------------------------------------------------------------------------------------------------------


def plan(vault: Vault, ledger: Ledger, unused: float | None, grace: float, now: float) -> list[ResultItem]:
    """Find the lines that go; the return values that those which stay refer to are noted in the ledger.

    Parameters
    ----------
    unused
        Days after which a result goes that was neither made nor used; None: it stays as long as its run.

    Raises
    ------
    OSError
        When something can't be read.
    """
    before = now - unused * _DAY if unused is not None else None
    found: list[ResultItem] = []
    for path, group in itertools.groupby(
        map(_Line._make, ledger.db.execute(_ALL).fetchall()), key=lambda one: one.path
    ):
        go: dict[tuple[str, str | None], list[_Line]] = {}
        for one in group:
            why, run = _why(one, before, grace, now)
            if why:
                go.setdefault((why, run), []).append(one)
            elif one.returned is not None:
                ledger.db.execute("INSERT OR IGNORE INTO stays VALUES(?)", (one.returned,))
        for (why, run), lines in go.items():
            size = sum(line.size for line in lines)
            names = tuple(line.line for line in lines)
            found.append(ResultItem(path=f"reuse/{path}", lines=names, size=size, why=why, run_id=run))
    _note_held(ledger, before)
    return [*found, *_rests(vault, grace, now)]


def _why(one: _Line, before: float | None, grace: float, now: float) -> tuple[str, str | None]:
    """Say why a line goes, and the run that it goes with; an empty text when it stays."""
    if one.root_id is not None and not one.kept:
        return "its run goes", one.root_id
    if one.root_id is None and one.changed <= now - grace:
        return ("its run is gone" if one.run_id is not None else "it is damaged, so nobody can use it"), None
    if before is not None and one.run_id is not None and max(one.made, one.used) < before:
        return "it was neither made nor used for so long", None
    return "", None


def _note_held(ledger: Ledger, before: float | None) -> None:
    """Note the return values that kept runs hold: all, unless results go that were not used for long."""
    ledger.db.execute(
        "INSERT OR IGNORE INTO stays SELECT digest FROM returned JOIN kept USING (root_id) "
        "LEFT JOIN uses USING (run_id) WHERE ?1 IS NULL OR max(made, coalesce(uses.last, 0.0)) >= ?1",
        (before,),
    )


def _rests(vault: Vault, grace: float, now: float) -> Iterator[ResultItem]:
    """Find files without a line, and locks without a file, that were not touched lately."""
    for path in entries.files(vault):
        try:
            facts = path.stat()
        except FileNotFoundError:
            continue
        if facts.st_mtime > now - grace:
            continue
        inside = f"reuse/{path.relative_to(vault.reuse).as_posix()}"
        if entries.is_lock(path):
            if not path.with_suffix("").exists():
                yield ResultItem(path=inside, lines=(), size=0, why="a lock without results")
        elif facts.st_size == 0:
            yield ResultItem(path=inside, lines=(), size=0, why="a file without results")


# --- removing --------------------------------------------------------------------------------------------------------


def still(plan: Plan, now: Plan) -> tuple[ResultItem, ...]:
    """Keep to the lines and files that both plans name."""
    named = {(one.path, line) for one in plan.results for line in one.lines or ("",)}
    kept = []
    for one in now.results:
        lines = tuple(line for line in one.lines if (one.path, line) in named)
        if lines or (not one.lines and (one.path, "") in named):
            kept.append(ResultItem(path=one.path, lines=lines, size=one.size, why=one.why, run_id=one.run_id))
    return tuple(kept)


class Removal:
    """Takes lines out of files of results.

    Attributes
    ----------
    lines, files, size : int
        How many lines, and files that held none any more, went; bytes that were freed.
    left : list of str
        What stayed, with the reason.
    """

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self.lines = self.files = self.size = 0
        self.left: list[str] = []

    def carry_out(self, items: tuple[ResultItem, ...], gone: set[str]) -> None:
        """Remove lines; those that go with a run, only when that has gone."""
        items = tuple(one for one in items if one.run_id is None or one.run_id in gone)
        ordered = sorted(items, key=lambda one: one.path)
        for path, group in itertools.groupby(ordered, key=lambda one: one.path):
            place = self._vault.path / path
            results = place.with_suffix("") if entries.is_lock(place) else place
            try:
                with FileLock(f"{results}{reuse.LOCK}", timeout=_PATIENCE, mode=0o600):
                    self._rewrite(results, {line for one in group for line in one.lines})
            except Timeout:
                self.left.append(f"{path}: a result is being made; the next `reprokit gc` removes the lines that go")
            except OSError as error:
                self.left.append(f"{path}: {error.strerror or error}")

    def _rewrite(self, results: Path, go: set[str]) -> None:
        try:
            data = results.read_bytes()
        except FileNotFoundError:
            data = b""
        lines = [line for line in data.split(b"\n") if line]
        kept = [line for line in lines if _name(line) not in go]
        if kept and len(kept) == len(lines):
            return
        if kept:
            written = b"".join(line + b"\n" for line in kept)
            atomic.write(str(results), written)
        else:
            written = b""
            self.files += results.exists()
            results.unlink(missing_ok=True)
            # Whoever waits for the lock sees that it is gone, and takes it anew.  Where open files can't be removed, it stays.
            with contextlib.suppress(PermissionError):
                os.unlink(f"{results}{reuse.LOCK}")
        atomic.sync_folder(str(results.parent))
        self.lines += len(lines) - len(kept)
        self.size += len(data) - len(written)
