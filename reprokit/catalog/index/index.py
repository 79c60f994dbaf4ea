"""The index as a whole: opened, brought up to date, built anew when it is missing, damaged or of another version."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from reprokit.catalog.index import fill, gather, hits, news, place, schema
from reprokit.catalog.run import Child, Run
from reprokit.errors import RunNotFoundError, VaultError
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_PATIENCE = 600.0  # seconds to wait for another process that builds the index
_BUSY = 60.0  # seconds to wait for another process that commits
_SMALL = 200  # runs that are entered without telling the progress


class Index:
    """An index that is up to date.

    Attributes
    ----------
    db : sqlite3.Connection
        For SELECTs.
    path : Path or None
        The file; None when it could be kept nowhere and lives in memory.
    """

    def __init__(self, vault: Vault, db: sqlite3.Connection, path: Path | None) -> None:
        self.vault = vault
        self.db = db
        self.path = path

    @classmethod
    def open(cls, vault: str | os.PathLike[str], progress: Callable[[int, int], None] | None = None) -> Index:
        """Open a vault's index; what is new in the vault is entered first.

        Parameters
        ----------
        vault
            The vault's folder.
        progress
            Told how many of how many runs are read, when there are many.
        """
        found = Vault(vault)
        try:
            path = place.index_path(found.path) if found.path.is_dir() else None
        except OSError:
            path = None
        if path is None:
            return cls._in_memory(found, progress)
        try:
            return cls._opened(found, path, progress)
        except TimeoutError:  # somebody holds the lock for good
            return cls._in_memory(found, progress)
        except (sqlite3.Error, OSError):
            pass
        try:  # damaged in a way that shows late, or removed in between: once more, from nothing
            with _lock(path):
                _build(found, path, progress)
            return cls._opened(found, path, progress)
        except (sqlite3.Error, OSError):
            return cls._in_memory(found, progress)

    @classmethod
    def _opened(cls, vault: Vault, path: Path, progress: Callable[[int, int], None] | None) -> Index:
        db = _connect(path)
        found = news.find(db, vault) if db is not None else None
        if db is not None and not found:
            return cls(vault, db, path)
        with _lock(path):
            if db is None:
                db = _connect(path)  # another process may have built it while we waited
            if db is None:
                _build(vault, path, progress)
                db = _connect(path)
                if db is None:
                    raise sqlite3.DatabaseError("the index that was just built cannot be read")
            _catch_up(db, vault, found, progress)
        return cls(vault, db, path)

    @classmethod
    def _in_memory(cls, vault: Vault, progress: Callable[[int, int], None] | None) -> Index:
        db = sqlite3.connect(":memory:")
        _fill_all(db, vault, progress)
        return cls(vault, db, None)

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def problems(self) -> list[str]:
        """Say what is damaged, a sentence each."""
        return [problem for (problem,) in self.db.execute("SELECT problem FROM problems ORDER BY folder, rowid")]

    def run(self, row: int) -> Run | Child:
        """Give the run of a row of ``runs``.

        Raises
        ------
        RunNotFoundError
            When there is none any more.
        """
        found = self.db.execute("SELECT folder, run_id, parent_id FROM runs WHERE id = ?", (row,)).fetchone()
        if found is None:
            raise RunNotFoundError(str(row), str(self.vault.path))
        folder, run_id, parent_id = found
        root = Run(self.vault.runs / folder)
        if parent_id is None:
            return root
        for child in root.children:
            if child.run_id == run_id:
                return child
        raise RunNotFoundError(run_id, str(self.vault.path))


def ask(
    vault: str | os.PathLike[str], question: Callable[[Index], T], progress: Callable[[int, int], None] | None = None
) -> T:
    """Answer a question from a vault's index; one that proves damaged on the way is built anew.

    Raises
    ------
    VaultError
        When the index cannot be read nor built.
    """
    try:
        with Index.open(vault, progress) as index:
            return question(index)
    except sqlite3.OperationalError as error:
        raise VaultError(str(vault), f"the index cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:  # a mistake in a question says nothing about the file
            raise
        remove(vault)
    try:
        with Index.open(vault, progress) as index:
            return question(index)
    except sqlite3.Error as error:
        raise VaultError(str(vault), f"the index cannot be read: {error}; is the disk damaged?") from error


def remove(vault: str | os.PathLike[str]) -> None:
    """Remove a vault's index, so that the next one who asks builds it anew."""
    path = place.index_path(Path(vault))
    with _lock(path):
        _discard(path)


def _lock(path: Path) -> Any:
    """Keep other writers out; readers are kept out by SQLite, while a transaction is committed."""
    import filelock

    return filelock.FileLock(path.with_suffix(".lock"), timeout=_PATIENCE, mode=0o600)


def _connect(path: Path) -> sqlite3.Connection | None:
    """Open the file; None when there is no index of this format."""
    if not path.exists():
        return None
    db = sqlite3.connect(path, timeout=_BUSY, isolation_level=None)
    try:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute("PRAGMA mmap_size = 268435456")
        if version == schema.FORMAT:
            return db
    except sqlite3.DatabaseError:
        pass
    db.close()
    return None


def _build(vault: Vault, path: Path, progress: Callable[[int, int], None] | None) -> None:
    """Build the index beside its place and put it there; the lock is held."""
    temporary = path.with_name(f".{path.name}-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        db = sqlite3.connect(temporary, isolation_level=None)
        try:
            # Nobody else sees this file, and when the machine fails it is begun again.
            db.execute("PRAGMA journal_mode = OFF")
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA cache_size = -65536")
            _fill_all(db, vault, progress)
        finally:
            db.close()
        with open(temporary, "rb+") as stream:
            os.fsync(stream.fileno())
        _discard(path)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _discard(path: Path) -> None:
    # A crashed writer's rollback journal belongs to the file that goes, and would be played back into the new one.
    for name in (f"{path.name}-journal", path.name):
        path.with_name(name).unlink(missing_ok=True)


def _fill_all(db: sqlite3.Connection, vault: Vault, progress: Callable[[int, int], None] | None) -> None:
    db.executescript(schema.TABLES)
    found = news.start(vault)
    names = news.list_runs(vault)
    found.progress["listing"] = news.checksum(names)
    db.execute("BEGIN")
    _enter(db, vault, [os.fsdecode(name) for name in names], progress)
    _note(db, found)
    db.execute("COMMIT")
    db.executescript(schema.INDEXES)
    db.execute("BEGIN")
    hits.settle(db)
    db.execute("COMMIT")
    db.execute(f"PRAGMA user_version = {schema.FORMAT:d}")


def _catch_up(
    db: sqlite3.Connection, vault: Vault, found: news.News | None, progress: Callable[[int, int], None] | None
) -> None:
    """Enter what is new; the lock is held.

    What was found before the lock was taken holds as long as nobody else has written since: looking takes longer than
    entering a few runs.
    """
    if found is None or found.version != news.version(db):
        found = news.find(db, vault)
    if not found:
        return
    db.execute("PRAGMA cache_size = -65536")
    db.execute("PRAGMA synchronous = NORMAL")  # what a power cut takes is found again by listing
    db.execute("BEGIN IMMEDIATE")
    try:
        touched = set(found.hits)
        filler = fill.Filler(db, touched)
        there = {folder for folder in found.changed if (vault.runs / folder).is_dir()}
        found.gone |= found.changed - there
        found.changed = there
        listing = dict(db.execute("SELECT key, value FROM progress")).get("listing", 0)
        found.progress["listing"] = listing + news.sum_of_changes(db, found)
        filler.forget(found.changed | found.gone)
        _enter(db, vault, sorted(found.changed), progress, touched)
        _note(db, found)
        hits.settle(db, touched)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _enter(
    db: sqlite3.Connection,
    vault: Vault,
    names: list[str],
    progress: Callable[[int, int], None] | None,
    touched: set[str] | None = None,
) -> None:
    gatherer, filler = gather.Gatherer(vault.runs), fill.Filler(db, touched)
    told = time.monotonic()
    for number, name in enumerate(names, 1):
        filler.add(gatherer.gather(name))
        if progress is not None and len(names) > _SMALL and (time.monotonic() - told > 0.1 or number == len(names)):
            told = time.monotonic()
            progress(number, len(names))
    filler.flush()


def _note(db: sqlite3.Connection, found: news.News) -> None:
    hits.enter(db, found.hits)
    db.executemany("INSERT OR REPLACE INTO progress VALUES(?,?)", found.progress.items())
    db.executemany("INSERT OR REPLACE INTO journals VALUES(?,?,?)", [(n, *told) for n, told in found.journals.items()])
