"""Checking a run, a file, or everything: nothing is trusted but digests, and nothing is changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog import find, survey
from reprokit.catalog.ledger import Ledger
from reprokit.catalog.verify import claims, records, results, trees
from reprokit.catalog.verify import vault as vaults
from reprokit.catalog.verify.artifacts import Artifacts
from reprokit.catalog.verify.finder import Finder
from reprokit.catalog.verify.hashing import Hashing
from reprokit.catalog.verify.report import Finding, Report, failure, note
from reprokit.errors import RunNotFoundError, VaultError
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from os import PathLike

    from reprokit.catalog.ledger import Entry
    from reprokit.catalog.run import Child, Run
    from reprokit.catalog.survey import Surveyed

    Progress = Callable[[str, int, int], None]

_HERE = "host IS NULL"


def verify(
    vault: str | PathLike[str],
    wanted: str | PathLike[str] | None = None,
    *,
    root: str | PathLike[str] | None = None,
    inputs: bool = False,
    sidecars: bool = True,
    template: str | None = None,
    progress: Progress | None = None,
) -> Report:
    """Check that what was recorded is still there and still the same.

    Parameters
    ----------
    vault
        The vault's folder.
    wanted
        A file, a folder with such, or a run by the beginning of its id, its folder's name, a tag or ``@``; None: everything, the vault's own
        records, source trees and blobs too.
    root
        The project's folder; None: the vault's parent.
    inputs
        Whether changed and missing inputs are failures; else they are notes.
    sidecars
        Whether artifacts are expected to have side-cars.
    template
        Of artifact names, when the project has its own.
    progress
        Called with what is being done, how much of it is done, and how much there is: run folders, then bytes.

    Raises
    ------
    VaultError
        When there is no vault.
    RunNotFoundError, AmbiguousRunError, RecordError
    """
    place = Vault(vault)
    if not place.path.is_dir():
        raise VaultError(
            str(place.path), "there is no vault; `reprokit init` makes one, -C FOLDER names another project"
        )
    check = _Check(place, Path(root) if root is not None else None, inputs, sidecars, template, progress)
    with check.hashing:
        try:
            if wanted is None:
                check.everything()
            elif _is_file(os.fspath(wanted), place):
                check.file(Path(wanted))
            else:
                check.named(os.fspath(wanted))
        finally:
            check.ledger.close()
    return check.report(os.fspath(wanted) if wanted is not None else None)


def _is_file(wanted: str, vault: Vault) -> bool:
    if os.path.realpath(os.path.dirname(os.path.abspath(wanted))) == os.path.realpath(vault.runs):
        return False  # a run's folder
    return os.path.lexists(wanted) or os.sep in wanted


class _Check:
    def __init__(
        self,
        vault: Vault,
        root: Path | None,
        inputs: bool,
        sidecars: bool,
        template: str | None,
        progress: Progress | None,
    ) -> None:
        self._vault, self._template, self._progress = vault, template, progress
        self._inputs, self._sidecars = inputs, sidecars
        self._findings: list[Finding] = []
        self._runs = 0
        self._total = 0
        self._surveyor = survey.Surveyor()
        self._all: Ledger | None = None
        self._root = root
        self.ledger = Ledger(vault.path, root)
        self.hashing = Hashing(self._hashed)
        self._finder = Finder(self.ledger.root, vault.path, template)

    # --- what is checked ---------------------------------------------------------------------------------------------

    def everything(self) -> None:
        """Check all runs and the vault."""
        self._add(vaults.document(self._vault))
        self._add(vaults.journals(self._vault, self.ledger))
        self.ledger.db.execute("CREATE INDEX documents_by_run ON documents(run_id)")
        needed: dict[str, str] = {}
        for number, folder, total in self._folders():
            self._tell("runs", number, total)
            seen = self._surveyor.read(folder)
            self._of_records(seen)
            run = seen.run()
            if run is not None:
                self.ledger.add(run)
                for digest, run_id in _trees(seen, run):
                    needed.setdefault(digest, run_id)
        self.ledger.index()
        self._add(vaults.duplicates(self.ledger))
        self._add(vaults.removed_by_hand(self._vault, self.ledger))
        self._total = self._sum("SELECT sum(size) FROM (SELECT max(size) AS size FROM artifacts GROUP BY place)")
        artifacts = self._artifacts(self.ledger.at, whole=True)
        self._add(artifacts.check(self.ledger.select(_HERE)))
        self._add(artifacts.elsewhere(self.ledger.select("host IS NOT NULL AND role = 'generated'")))
        self._add(claims.unrecorded(self.ledger, self._finder))
        self._tell("blobs", 0, 0)
        self._add(vaults.blobs(self._vault, self.ledger, self.hashing))
        self._add(results.check(self._vault, self.ledger))
        self._tell("trees", 0, 0)
        self._add(trees.check(self._vault.code, needed))
        self._add(vaults.leftovers(self._vault))

    def named(self, name: str) -> None:
        """Check one run and its child runs, or one child run; a name with a dot may be that of a file that is gone."""
        try:
            found = find.named(self._vault.path, name)
        except RunNotFoundError:
            if "." not in name and not self._within(Path(name)):
                raise
            self.file(Path(name))
        else:
            self.run(found)

    def run(self, found: Run | Child) -> None:
        """Check one run and its child runs, or one child run."""
        seen = self._surveyor.read(found.folder)
        run = seen.run()
        if run is not None:
            self._add(vaults.journals(self._vault, self.ledger, run.run_id))
        self._of_records(seen)
        if run is None:
            return
        chosen: list[Run | Child] = [run, *run.children]
        if found.run_id != run.run_id:
            chosen = [child for child in run.children if child.run_id == found.run_id]
        rows = [row for one in chosen for row in self.ledger.entries(one, run.pre.root_directory)]
        self._of_entries(rows)
        for one in chosen:
            self._add(results.of_run(self._vault, one, self.hashing))
        ids = {one.run_id for one in chosen} | ({run.run_id} if found.run_id != run.run_id else set())
        for digest, run_id in sorted(set(_trees(seen, run))):
            if run_id in ids:
                self._tell("trees", 0, 0)
                self._add(trees.check_one(self._vault.code, digest, run_id))

    def file(self, path: Path) -> None:
        """Check one file: who made it, and whether it is still that; of a folder that is none of a run, the files in it."""
        ledger = self._everyone()
        within = self._within(path)
        if within:
            self._of_entries(within)
            return
        rows, findings = claims.of_file(path, ledger, self.hashing, self._template)
        self._add(findings)
        self._of_entries(rows)

    def _within(self, path: Path) -> list[Entry]:
        """Give what is recorded of files in a folder; empty when the folder itself is recorded."""
        place = os.fsencode(os.path.abspath(path))
        ledger = self._everyone()
        if ledger.at(place):
            return []
        sep = os.sep.encode()
        return list(ledger.select("place > ? AND place < ?", place + sep, place + bytes([sep[0] + 1])))

    # --- how ---------------------------------------------------------------------------------------------------------

    def _of_records(self, seen: Surveyed) -> None:
        self._runs += 1
        recorded: dict[str, str] = {}
        if seen.pre is not None:
            rows = self.ledger.db.execute("SELECT name, digest FROM documents WHERE run_id = ?", (seen.pre.run_id,))
            recorded = dict(rows)
        self._add(records.check(seen, recorded))

    def _of_entries(self, rows: list[Entry]) -> None:
        """Check some entries; all runs are read only when something is not as it was."""
        rows = sorted(rows, key=lambda row: (row.place, -row.started))
        sizes = {row.place: row.size or 0 for row in rows}
        self._total = sum(sizes.values())
        artifacts = self._artifacts(lambda place: self._everyone().at(place), whole=False)
        self._add(artifacts.check(row for row in rows if row.host is None))
        self._add(artifacts.elsewhere(row for row in rows if row.host is not None and row.role == "generated"))
        blobs = {row.blob: row for row in rows if row.blob}
        for digest, row in sorted(blobs.items()):
            self._add(vaults.one_blob(self._vault, digest, self.hashing, row.run_id, row.path))

    def _artifacts(self, later: Callable[[bytes], list[Entry]], *, whole: bool) -> Artifacts:
        return Artifacts(
            self.ledger, self._finder, self.hashing, later, inputs=self._inputs, sidecars=self._sidecars, whole=whole
        )

    def _everyone(self) -> Ledger:
        """Read all runs, once."""
        if self._all is None:
            self._all = self.ledger
            damaged = 0
            for number, folder, total in self._folders():
                self._tell("runs", number, total)
                seen = self._surveyor.read(folder)
                run = seen.run()
                if run is not None:
                    self._all.add(run)
                damaged += any(not problem.torn for problem in seen.problems)
            self._all.index()
            if damaged:
                told = f"records of {damaged} run(s) can't be read, so not all is known; `reprokit verify` names them"
                self._add([note("damaged", str(self._vault.runs), told)])
        return self._all

    def _folders(self) -> Iterable[tuple[int, Path, int]]:
        problems: list[survey.Problem] = []
        found = survey.folders(self._vault.path, problems)
        self._add(failure("unreadable", problem.path, problem.sentence) for problem in problems)
        return ((number, folder, len(found)) for number, folder in enumerate(found))

    def _add(self, findings: Iterable[Finding]) -> None:
        self._findings.extend(findings)

    def _sum(self, query: str) -> int:
        return int(self.ledger.db.execute(query).fetchone()[0] or 0)

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(what, done, total)

    def _hashed(self, files: int, size: int) -> None:
        self._tell("bytes", size, max(self._total, size))

    def report(self, name: str | None) -> Report:
        """Give what was found, failures first."""
        found = sorted(self._findings, key=lambda one: one.severity != "failure")
        return Report(
            vault=str(self._vault.path),
            wanted=name,
            ok=not any(one.severity == "failure" for one in found),
            runs=self._runs,
            files=self.hashing.files,
            size=self.hashing.size,
            findings=found,
        )


def _trees(seen: Surveyed, run: Run) -> Iterable[tuple[str, str]]:
    """Give the trees that a run and its child runs refer to."""
    snapshots = [(seen.context.snapshot, run.run_id)] if seen.context else []
    snapshots += [(step.snapshot, step.run_id) for step in seen.steps]
    for snapshot, run_id in snapshots:
        if snapshot is not None:
            yield snapshot.digest, run_id
            yield from ((inner.digest, run_id) for inner in snapshot.nested if inner.digest)
