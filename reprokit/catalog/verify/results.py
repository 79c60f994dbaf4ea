"""Results that can be used again: their lines in ``reuse/``, and the return values that these and runs refer to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog import entries
from reprokit.catalog.verify.report import Finding, failure, note
from reprokit.catalog.verify.vault import blob_path, one_blob
from reprokit.errors import RecordError
from reprokit.vault import reuse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.catalog.ledger import Ledger
    from reprokit.catalog.run import Child, Run
    from reprokit.catalog.verify.hashing import Hashing
    from reprokit.model.records import ReuseEntry
    from reprokit.vault.layout import Vault

_REMEDY = "nobody uses it, so its call is computed once more; `reprokit gc --yes` removes it"


def check(vault: Vault, ledger: Ledger) -> Iterator[Finding]:
    """Check all lines, and look for the return values that they and runs refer to."""
    named: set[str] = set()
    try:
        for path in entries.files(vault):
            if not entries.is_lock(path):
                yield from _of_file(vault, path, ledger, named)
    except OSError as error:
        yield failure("unreadable", str(vault.reuse), f"it can't be listed ({error.strerror or error})")
    rows = ledger.db.execute("SELECT digest, min(run_id) FROM returned GROUP BY digest ORDER BY digest").fetchall()
    for digest, run_id in rows:
        if digest not in named and not blob_path(vault, digest).exists():
            yield note("blob missing", digest, _evicted(), run_id)


def of_run(vault: Vault, run: Run | Child, hashing: Hashing) -> Iterator[Finding]:
    """Check the return value that a run kept, and its lines."""
    info = run.reuse
    if info is None:
        return
    named = False
    if info.key is not None:
        path = Path(reuse.place(vault.reuse, info.key))
        found, problems = _read(path)
        yield from problems
        for line in found:
            if line.entry is not None and line.entry.run_id == run.run_id:
                named = named or line.entry.returned is not None
                yield from _misplaced(vault, path, line.number, line.entry)
    if info.returned is not None:
        if named or blob_path(vault, info.returned).exists():
            yield from one_blob(vault, info.returned, hashing, run.run_id, "its return value")
        else:
            yield note("blob missing", info.returned, _evicted(), run.run_id)


def _evicted() -> str:
    return "the vault no longer holds this run's return value: its result is computed once more when it is asked for"


def _of_file(vault: Vault, path: Path, ledger: Ledger, named: set[str]) -> Iterator[Finding]:
    found, problems = _read(path)
    yield from problems
    for line in found:
        entry = line.entry
        if entry is None:
            continue
        yield from _misplaced(vault, path, line.number, entry)
        if ledger.folder_of(entry.run_id) is None:
            told = f"the run that made this result ({entry.run_id[:8]}) is gone; `reprokit gc --yes` removes the line"
            yield note("leftover", f"{path}:{line.number}", told, entry.run_id)
        elif entry.returned is not None and entry.returned not in named:
            named.add(entry.returned)
            if not blob_path(vault, entry.returned).exists():
                told = f"the vault no longer holds the return value of this result; {_REMEDY} once it was unused for long (--results-unused)"
                yield failure("blob missing", entry.returned, told, entry.run_id)


def _read(path: Path) -> tuple[list[entries.Line], list[Finding]]:
    try:
        found = entries.lines(path)
    except RecordError as error:
        return [], [failure("unreadable", str(path), str(error.args[1]))]
    problems = []
    for line in found:
        if line.newer:
            problems.append(note("unchecked", f"{path}:{line.number}", line.problem))
        elif line.problem:
            problems.append(failure("damaged", f"{path}:{line.number}", f"{line.problem}; {_REMEDY}"))
    return found, problems


def _misplaced(vault: Vault, path: Path, number: int, entry: ReuseEntry) -> Iterator[Finding]:
    """Name a line that lies where another key's results are looked for."""
    if not entries.is_in_place(vault, path, entry):
        yield failure("damaged", f"{path}:{number}", f"it is a result of another key ({entry.key[:19]}); {_REMEDY}")
