"""Files that runs made and used: whether what lies there now is what was recorded."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog.verify.report import Finding, failure, note
from reprokit.errors import RecordError
from reprokit.model.records import SideCar
from reprokit.recorder import sidecars
from reprokit.vault import documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from reprokit.catalog.ledger import Entry, Ledger
    from reprokit.catalog.verify.finder import Finder
    from reprokit.catalog.verify.hashing import Hashed, Hashing


class Artifacts:
    """Checks entries of a ledger against the disk.

    Parameters
    ----------
    later
        Gives all entries of a path, of whatever run, the newest first.
    inputs
        Whether a changed or missing input is a failure; else it is a note.
    sidecars
        Whether a missing side-car is told.
    whole
        Whether every run is looked at, so that an earlier version that was replaced needs no word.
    """

    def __init__(
        self,
        ledger: Ledger,
        finder: Finder,
        hashing: Hashing,
        later: Callable[[bytes], list[Entry]],
        *,
        inputs: bool,
        sidecars: bool,
        whole: bool,
    ) -> None:
        self._ledger, self._finder, self._hashing, self._later = ledger, finder, hashing, later
        self._inputs, self._sidecars, self._whole = inputs, sidecars, whole

    def check(self, entries: Iterable[Entry]) -> Iterator[Finding]:
        """Check entries that are sorted by place, and in each the newest first."""
        groups = itertools.groupby(entries, key=lambda entry: entry.place)
        wanted = (((place, rows), place) for place, group in groups if (rows := self._here(list(group))))
        for (place, rows), found in self._hashing.all(wanted):
            yield from self._of_place(place, rows, found)
        if self._finder.cut:
            yield note(
                "unchecked",
                str(self._ledger.root),
                "the project holds too many files to look for moved ones in all of it",
            )

    def elsewhere(self, entries: Iterable[Entry]) -> Iterator[Finding]:
        """Name what lies on another machine."""
        for entry in entries:
            yield note(
                "unchecked",
                entry.path,
                f"it lies on {entry.host}; run `reprokit verify` there, or copy it here",
                entry.run_id,
            )

    def _here(self, rows: list[Entry]) -> list[Entry]:
        return [row for row in rows if row.host is None]

    def _of_place(self, place: bytes, rows: list[Entry], found: Hashed) -> Iterator[Finding]:
        made = [row for row in rows if row.role == "generated"]
        used = [row for row in rows if row.role == "used"]
        if found.reason:
            newest = rows[0]
            told = f"it can't be read ({found.reason}); make it readable and check again"
            failed = made or self._inputs
            yield (failure if failed else note)("unreadable", newest.path, told, newest.run_id)
            return
        if made:
            yield from self._of_output(place, made, found)
        elif used:
            yield from self._of_input(place, used, found)

    # --- what was generated ------------------------------------------------------------------------------------------

    def _of_output(self, place: bytes, made: list[Entry], found: Hashed) -> Iterator[Finding]:
        newest = made[0]
        if newest.digest is None:
            yield note("unchecked", newest.path, "its digest could not be taken when it was made", newest.run_id)
            return
        if found.digest == newest.digest:
            yield from self._of_sidecar(place, made)
            return
        writer = self._ledger.db.execute("SELECT run_id FROM open WHERE place = ?", (place,)).fetchone()
        everyone = made if self._whole else [row for row in self._later(place) if row.role == "generated"] or made
        last = everyone[0]
        if found.digest is not None and last.run_id != newest.run_id and last.digest == found.digest:
            yield note(
                "replaced",
                newest.path,
                f"run {last.run_id[:8]} replaced it later, and its content is that run's",
                newest.run_id,
            )
        elif writer is not None and writer[0] != newest.run_id:
            yield note("unchecked", newest.path, f"run {writer[0][:8]}, which is open, writes it", newest.run_id)
        elif found.digest is None:
            yield self._missing(newest)
        else:
            yield self._changed(place, newest, last, everyone, found)

    def _missing(self, row: Entry) -> Finding:
        moved = self._moved(row)
        if moved is not None:
            return note("moved", row.path, f"it lies at {moved} now, unchanged", row.run_id)
        kept = (
            f"the vault keeps a copy, {row.blob}"
            if row.blob
            else f"`reprokit show {row.run_id[:8]}` tells how it was made"
        )
        return failure(
            "missing", row.path, f"it is not there, and was not moved within the project; {kept}", row.run_id
        )

    def _moved(self, row: Entry) -> str | None:
        """Find where a file lies now; another run's file with the same content is not it."""
        assert row.digest is not None
        name = os.path.basename(row.path.rstrip("/"))
        found = self._finder.find(
            row.digest, row.size, name, self._hashing, folder=bool(row.folder), unless=self._is_recorded
        )
        return os.path.relpath(found, self._ledger.root) if found is not None else None

    def _is_recorded(self, path: str) -> bool:
        return any(row.role == "generated" for row in self._later(os.fsencode(path)))

    def _changed(self, place: bytes, row: Entry, last: Entry, everyone: list[Entry], found: Hashed) -> Finding:
        older = next((one for one in everyone if one.digest == found.digest), None)
        if older is not None:
            # The clock may have been turned back: the side-car tells who was there last.
            sidecar = sidecars.read(os.fsdecode(place))
            if sidecar is not None and sidecar.run_id == older.run_id:
                return note(
                    "replaced",
                    row.path,
                    f"its content is that of run {older.run_id[:8]}, as its side-car says",
                    row.run_id,
                )
            told = f"it holds again what run {older.run_id[:8]} made; run {last.run_id[:8]} replaced that later"
        else:
            told = (
                f"its content is {_short(found.digest)}, recorded is {_short(row.digest)}; something else wrote to it"
            )
        return failure("changed", row.path, f"{told}; restore it, or make it again", row.run_id)

    # --- what was used -----------------------------------------------------------------------------------------------

    def _of_input(self, place: bytes, used: list[Entry], found: Hashed) -> Iterator[Finding]:
        newest = used[0]
        if newest.digest is None or found.digest == newest.digest:
            return
        told = failure if self._inputs else note
        by = next((row for row in self._later(place) if row.role == "generated" and row.digest == found.digest), None)
        if found.digest is None:
            moved = self._moved(newest)
            if moved is not None:
                yield note("moved", newest.path, f"this input lies at {moved} now, unchanged", newest.run_id)
            else:
                yield told("input missing", newest.path, "this input is not there any more", newest.run_id)
        elif by is not None and by.started > newest.started:
            yield note("replaced", newest.path, f"run {by.run_id[:8]} made this input anew since", newest.run_id)
        else:
            yield told(
                "input changed",
                newest.path,
                f"this input was {_short(newest.digest)} when it was used, now it is {_short(found.digest)}",
                newest.run_id,
            )

    # --- side-cars ---------------------------------------------------------------------------------------------------

    def _of_sidecar(self, place: bytes, made: list[Entry]) -> Iterator[Finding]:
        newest = made[0]
        path = sidecars.path_of(os.fsdecode(place))
        shown = sidecars.path_of(newest.path)
        try:
            record = documents.read(Path(path), SideCar)
        except FileNotFoundError:
            if self._sidecars and not newest.seen:
                yield note(
                    "side-car missing",
                    shown,
                    "there is none; the file is still found by its digest and name",
                    newest.run_id,
                )
            return
        except RecordError as error:
            yield failure(
                "side-car", shown, f"{error.args[1]}; remove it, the vault holds the same facts", newest.run_id
            )
            return
        if record.run_id not in {row.run_id for row in made}:
            known = [row.run_id for row in self._later(place)]
            if record.run_id in known:
                return
            yield failure(
                "side-car",
                shown,
                f"it names run {record.run_id[:8]}, which didn't make this file; remove it",
                newest.run_id,
            )
        elif record.artifact.digest != newest.digest:
            yield failure(
                "side-car",
                shown,
                f"it tells {_short(record.artifact.digest)}, recorded is {_short(newest.digest)}; remove it",
                newest.run_id,
            )


def _short(digest: str | None) -> str:
    return digest[:15] if digest else "unknown"
