"""Which runs stay, and why: those at work, those that people named, those that files still refer to, and their ancestors.

A run that repeats another stays with that one: no policy counts it on its own.
"""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

from reprokit.model import naming
from reprokit.recorder import sidecars

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.catalog.gc.policy import Policy
    from reprokit.catalog.gc.reading import Row
    from reprokit.catalog.ledger import Entry, Ledger
    from reprokit.catalog.verify.finder import Finder
    from reprokit.catalog.verify.hashing import Hashing

_DAY = 86_400.0  # seconds


class Live:
    """Finds the runs that stay; the first reason counts.

    Parameters
    ----------
    now
        Seconds since the epoch.
    """

    def __init__(
        self, rows: list[Row], ledger: Ledger, finder: Finder, hashing: Hashing, policy: Policy, now: float
    ) -> None:
        self._rows, self._ledger, self._policy, self._now = rows, ledger, policy, now
        self._finder, self._hashing = finder, hashing
        self.why: dict[str, str] = {}

    def find(self) -> dict[str, str]:
        """Give the ids of root runs that stay, each with the reason."""
        if not self._policy.removes_runs:
            self.why = dict.fromkeys((row.run_id for row in self._rows), "no policy was given")
            return self.why
        newest_first = sorted(self._rows, key=lambda row: (row.started, row.folder), reverse=True)
        self._keep((row.run_id for row in newest_first if row.open), "running")
        processes: set[str] = set()
        for row in newest_first:
            # A process asks for its source tree once: its next run will refer to the same one.
            if row.process is not None and row.process not in processes:
                processes.add(row.process)
                self._keep([row.run_id], "its process still lives")
        if self._policy.keep_tagged:
            self._keep((row.run_id for row in newest_first if row.tagged), "tagged")
        self._by_time(newest_first)
        self._by_files()
        self._repeated()
        self._ancestors()
        self._repetitions(newest_first)
        return self.why

    def _keep(self, run_ids: Iterable[str], why: str) -> None:
        for run_id in run_ids:
            self.why.setdefault(run_id, why)

    def _by_time(self, newest_first: list[Row]) -> None:
        originals = [row for row in newest_first if row.repeats is None]
        if self._policy.keep_last is not None:
            counts: dict[str, int] = {}
            for row in originals:
                counts[row.what] = counts.get(row.what, 0) + 1
                if counts[row.what] <= self._policy.keep_last:
                    self._keep([row.run_id], f"of the newest {self._policy.keep_last}")
        if self._policy.keep_days is not None:
            since = self._now - self._policy.keep_days * _DAY
            self._keep((row.run_id for row in originals if row.started >= since), "young enough")

    # --- repetitions -------------------------------------------------------------------------------------------------

    def _original(self, row: Row) -> str | None:
        """Give the root run of what a run repeats."""
        found = self._ledger.db.execute("SELECT root_id FROM runs WHERE run_id = ? LIMIT 1", (row.repeats,)).fetchone()
        return found[0] if found is not None else None

    def _repeated(self) -> None:
        """Keep what an open run repeats: it will be compared with that."""
        for row in self._rows:
            original = self._original(row) if row.open and row.repeats is not None else None
            if original is not None:
                self._keep([original], "is being repeated")

    def _repetitions(self, newest_first: list[Row]) -> None:
        for row in reversed(newest_first):  # the oldest first: one may repeat a repetition
            if row.repeats is not None and self._original(row) in self.why:
                self._keep([row.run_id], "repeats a run that stays")

    # --- files -------------------------------------------------------------------------------------------------------

    def _by_files(self) -> None:
        away = self._ledger.select("role = 'generated' AND host IS NOT NULL")
        self._keep((entry.root_id for entry in away), "made a file on another machine")
        here = self._ledger.select("role = 'generated' AND host IS NULL")
        for place, group in itertools.groupby(here, key=lambda entry: entry.place):
            self._of_place(os.fsdecode(place), list(group))
        for path in self._finder.sidecars:
            self._by_sidecar(path.removesuffix(naming.SIDECAR))

    def _of_place(self, path: str, made: list[Entry]) -> None:
        if "\0" in path:
            return
        newest = made[0]
        if not os.path.lexists(path):
            self._of_missing(made)
            return
        named = self._by_sidecar(path)
        if named == newest.run_id:
            return
        found = self._hashing.one(path)
        if found.digest is None:  # it is there and can't be read: it may be anyone's
            self._keep((entry.root_id for entry in made), "its file can't be read")
        self._keep([entry.root_id for entry in made if entry.digest == found.digest][:1], "its file is there")

    def _by_sidecar(self, path: str) -> str | None:
        """Keep the run that the side-car of a file names, when the file is there."""
        record = sidecars.read(path) if os.path.lexists(path) else None
        if record is None:
            return None
        row = self._ledger.db.execute("SELECT root_id FROM runs WHERE run_id = ? LIMIT 1", (record.run_id,)).fetchone()
        if row is not None:
            self._keep([row[0]], "its file is there")
        return record.run_id

    def _of_missing(self, made: list[Entry]) -> None:
        for digest, group in itertools.groupby(
            sorted(made, key=lambda e: (e.digest or "", -e.started)), lambda e: e.digest
        ):
            newest = next(group)
            name = os.path.basename(newest.path.rstrip("/"))
            moved = digest and self._finder.find(
                digest, newest.size, name, self._hashing, folder=bool(newest.folder), unless=self._is_recorded
            )
            if moved:
                self._keep([newest.root_id], "its file was moved")

    def _is_recorded(self, path: str) -> bool:
        return any(entry.role == "generated" for entry in self._ledger.at(os.fsencode(path)))

    # --- lineage -----------------------------------------------------------------------------------------------------

    def _ancestors(self) -> None:
        """Keep the runs that made what kept runs used (of several, the last one before it was used), or gave as their own."""
        waiting = list(self.why)
        while waiting:
            run_id = waiting.pop()
            used = self._ledger.db.execute(
                "SELECT DISTINCT digest, started FROM artifacts WHERE root_id = ? AND role = 'used' AND digest IS NOT NULL",
                (run_id,),
            ).fetchall()
            for digest, started in used:
                found = self._ledger.db.execute(
                    "SELECT root_id FROM artifacts WHERE digest = ? AND role = 'generated' ORDER BY started > ?, started DESC LIMIT 1",
                    (digest, started),
                ).fetchone()
                if found is not None and found[0] not in self.why:
                    self.why[found[0]] = "made what a kept run used"
                    waiting.append(found[0])
            given = (
                "SELECT runs.root_id FROM refers JOIN runs ON runs.run_id = refers.value "
                "WHERE refers.root_id = ? AND kind = 'run'"
            )
            for (root_id,) in self._ledger.db.execute(given, (run_id,)).fetchall():
                if root_id not in self.why:
                    self.why[root_id] = "made what a kept run gave as its result"
                    waiting.append(root_id)
