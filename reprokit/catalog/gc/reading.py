"""The whole vault, read for removing: whatever can't be read, or isn't what was written, forbids it."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple

from reprokit.capture import host
from reprokit.catalog import survey
from reprokit.errors import UnreadableVaultError, VaultError
from reprokit.vault.runfolder import POST_RUN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reprokit.catalog.ledger import Ledger
    from reprokit.catalog.run import Run
    from reprokit.catalog.survey import Surveyed
    from reprokit.vault.layout import Vault

_SCHEMA = """
CREATE TABLE refers(root_id TEXT, kind TEXT, value TEXT, UNIQUE(root_id, kind, value));
CREATE TABLE kept(root_id TEXT PRIMARY KEY, why TEXT);
"""
_MOST_PROBLEMS = 100


class Row(NamedTuple):
    """What is known of a root run."""

    run_id: str
    folder: str
    what: str
    started: float
    started_at: str
    open: bool  # it has no end, and its process may live
    process: str | None  # names the process while that lives, and the trees that the run refers to
    tagged: bool
    repeats: str | None  # the run, or child run, that it repeats


class Reading:
    """All runs and journals of a vault.

    Attributes
    ----------
    rows : list of Row
        The root runs.
    opening : list of Path
        Folders that hold no run yet, or never will.
    """

    def __init__(self, vault: Vault, ledger: Ledger, progress: Callable[[str, int, int], None] | None) -> None:
        self.rows: list[Row] = []
        self.opening: list[Path] = []
        self.journals: dict[Path, set[str]] = {}
        self._vault, self._ledger, self._progress = vault, ledger, progress
        self._problems: list[str] = []
        ledger.db.executescript(_SCHEMA)

    def read(self) -> None:
        """Read everything.

        Raises
        ------
        UnreadableVaultError
            When something can't be read; it is named.
        """
        try:
            if not self._vault.check():
                raise VaultError(str(self._vault.path), "there is no vault (no vault.json); nothing is removed")
        except VaultError as error:
            raise UnreadableVaultError(str(self._vault.path), (str(error.args[1]),)) from error
        self._read_journals()
        self._read_runs()
        if self._problems:
            raise UnreadableVaultError(str(self._vault.path), tuple(self._problems))

    def _read_journals(self) -> None:
        problems: list[survey.Problem] = []
        for path in survey.journals(self._vault.path, problems):
            ids = self.journals[path] = set()
            for line in survey.journal_lines(path, problems):
                self._ledger.line(line)
                ids.add(line.run_id)
        self._hinder(problems)
        self._ledger.db.execute("CREATE INDEX documents_by_run ON documents(run_id)")

    def _read_runs(self) -> None:
        problems: list[survey.Problem] = []
        folders = survey.folders(self._vault.path, problems)
        self._hinder(problems)
        surveyor = survey.Surveyor()
        for number, folder in enumerate(folders):
            if self._progress is not None:
                self._progress("runs", number, len(folders))
            seen = surveyor.read(folder)
            if not seen.names and not seen.problems and not folder.exists():
                continue  # another process has removed it since
            self._hinder(seen.problems)
            run = seen.run()
            if run is None:
                self._without_pre_run(seen)
                continue
            self._compare(seen, run.run_id)
            self._ledger.add(run)
            self._refer(seen, run)
            self.rows.append(self._row(seen, run))
        self._ledger.index()
        twice = "SELECT run_id FROM runs WHERE run_id = root_id GROUP BY run_id HAVING count(*) > 1"
        for (run_id,) in self._ledger.db.execute(twice):
            self._problems.append(f"{self._vault.runs}: several folders hold run {run_id[:8]}")

    def _hinder(self, problems: list[survey.Problem]) -> None:
        for problem in problems:
            if not problem.torn and len(self._problems) < _MOST_PROBLEMS:
                self._problems.append(f"{problem.path}: {problem.sentence}")

    def _without_pre_run(self, seen: Surveyed) -> None:
        if POST_RUN in seen.digests or seen.steps or seen.marks:
            self._problems.append(f"{seen.folder}: a run without its own record (pre-run-info.json)")
        elif not seen.problems:
            self.opening.append(seen.folder)

    def _compare(self, seen: Surveyed, run_id: str) -> None:
        """Compare documents with the journal's digests: a record that was hurt may hide what it refers to."""
        for name, digest in self._ledger.db.execute("SELECT name, digest FROM documents WHERE run_id = ?", (run_id,)):
            if seen.digests.get(name) != digest:
                self._problems.append(f"{seen.folder / os.path.basename(name)}: not what was written")

    def _refer(self, seen: Surveyed, run: Run) -> None:
        """Note which trees and contents a run refers to."""
        rows: set[tuple[str, str]] = set()
        snapshots = [seen.context.snapshot if seen.context else None, *(step.snapshot for step in seen.steps)]
        for snapshot in snapshots:
            if snapshot is not None:
                rows.add(("tree", snapshot.digest))
                rows.update(("tree", inner.digest) for inner in snapshot.nested if inner.digest)
        artifacts = [*run.pre.artifacts, *(one for any_run in (run, *run.children) for one in any_run.artifacts)]  # type: ignore[attr-defined]
        everyone = (run, *run.children)
        rows.update(("run", one.reused_from) for one in everyone if one.reused_from)
        commits = {run.commit, *(child.commit for child in run.children), *(one.commit for one in artifacts)}
        for commit in commits:
            digits = (commit or "").partition("-dirty-")[2]
            if digits:
                rows.add(("dirty", digits))
        rows.update(("blob", value) for one in artifacts for value in (one.digest, one.blob, one.replaced) if value)
        self._ledger.db.executemany(
            "INSERT OR IGNORE INTO refers VALUES(?, ?, ?)", [(run.run_id, kind, value) for kind, value in rows]
        )

    def _row(self, seen: Surveyed, run: Run) -> Row:
        alive = host.is_alive(run.pre.process)
        process = None
        if alive:
            trees = sorted(
                value
                for (value,) in self._ledger.db.execute(
                    "SELECT value FROM refers WHERE root_id = ? AND kind IN ('tree', 'dirty')", (run.run_id,)
                )
            )
            process = f"{run.pre.process.pid} {run.pre.process.started} {trees}"
        try:
            started = run.started.timestamp()
        except (OverflowError, ValueError):
            started = 0.0
        return Row(
            run_id=run.run_id,
            folder=run.folder.name,
            what=run.what,
            started=started,
            started_at=run.pre.timestamp,
            open=run.post is None and alive is not False,
            process=process,
            tagged=bool(run.tags or any(child.tags for child in run.children)),
            repeats=run.pre.reproduction_of,
        )


def stamp(folder: Path) -> tuple[str, int]:
    """Tell when something in a run's folder changes, and how many bytes it takes; raises `OSError`."""
    state, size = hashlib.sha256(), 0
    waiting = [os.fspath(folder)]
    while waiting:
        here = waiting.pop()
        with os.scandir(here) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            facts = entry.stat(follow_symlinks=False)
            inside = os.path.relpath(entry.path, folder)
            state.update(repr((inside, facts.st_size, facts.st_mtime_ns, facts.st_ino)).encode())
            if entry.is_dir(follow_symlinks=False):
                waiting.append(entry.path)
            elif facts.st_nlink == 1:  # a context that other runs link to frees nothing
                size += facts.st_size
    return state.hexdigest(), size
