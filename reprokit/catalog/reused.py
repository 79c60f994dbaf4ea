"""Results that were used again: how often, of how many calls, and the run that made what another one gave."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from reprokit.catalog.index import ask
from reprokit.catalog.query.rows import SELECTED, Row
from reprokit.errors import ReprokitError
from reprokit.vault.blobs import blob_path
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import PostRunInfo, StepRecord


class Uses(NamedTuple):
    """How often a run's result was used again, when last, and the seconds that this saved."""

    times: int = 0
    last: datetime | None = None
    saved: float = 0.0


class Rate(NamedTuple):
    """How often calls of a function were answered with a result that was there."""

    hits: int
    computed: int

    @property
    def share(self) -> float:
        """Hits among all calls."""
        return self.hits / (self.hits + self.computed)


def uses(vault: Path, run_id: str) -> Uses:
    """Tell how often a run's result was used again.

    Raises
    ------
    VaultError
        When the index can't be read nor built.
    """
    asked = f"SELECT {SELECTED} FROM runs r WHERE run_id = ? LIMIT 1"  # noqa: S608 - names of ours
    row = ask(vault, lambda index: index.db.execute(asked, (run_id,)).fetchone())
    return uses_of(Row._make(row)) if row is not None else Uses()


def uses_of(row: Row) -> Uses:
    """Tell the same from the index's row of a run."""
    return Uses(row.reused, row.reused_at, row.saved or 0.0)


def rate(index: Index, function: str | None) -> Rate | None:
    """Give the hit rate of a function; None when none of its calls could be answered so.

    What counts as computed are complete runs whose record says what their result depends on.
    """
    asked = (
        "SELECT coalesce(sum(reused), 0), coalesce(sum(reusable AND reused_from IS NULL AND status = 'complete'), 0) "
        "FROM runs WHERE function = ? AND NOT repeats"
    )
    found = Rate(*index.db.execute(asked, (function,)).fetchone())
    return found if any(found) else None


def origin(index: Index, run: Run | Child) -> Run | Child | None:
    """Give the run that made what a run gave; None when that one made it itself, or the vault no longer holds the other."""
    return named(index, run.reused_from) if run.reused_from is not None else None


def named(index: Index, run_id: str | None) -> Run | Child | None:
    """Give the run that has an id; None when the vault holds none."""
    for (row,) in index.db.execute("SELECT id FROM runs WHERE run_id = ? ORDER BY id LIMIT 1", (run_id,)):
        try:
            return index.run(row)
        except ReprokitError:  # removed by hand a moment ago
            continue
    return None


def executed(run: Run | Child, vault: Path) -> tuple[Run | Child, str | None]:
    """Give the run that executed what a run gave, and what is to be said of that; the run itself when it did so.

    Raises
    ------
    VaultError
        When the index can't be read nor built.
    """
    if run.reused_from is None:
        return run, None
    made = ask(vault, lambda index: origin(index, run))
    if made is None:
        return run, (
            f"run {run.run_id[:8]} gave the result of run {run.reused_from[:8]}, which the vault no longer holds: "
            "what is known of its code and surroundings is what there was when it was used again"
        )
    return made, f"run {run.run_id[:8]} gave the result of run {made.run_id[:8]}, which is the one that is compared"


def returned(folder: Path, end: PostRunInfo | StepRecord) -> Path | None:
    """Tell where the archive of a return value lies; None when it was not kept, or is no longer.

    In the run's folder, in the vault's blobs, or where the run whose result was given has it.
    """
    if end.return_archive is not None:
        return folder / os.path.basename(end.return_archive)
    vault = folder.parent.parent
    if end.reuse is not None and end.reuse.returned is not None:
        path = blob_path(Vault(vault).blobs, end.reuse.returned)
        return path if path.exists() else None
    if end.reused_from is None:
        return None
    made = ask(vault, lambda index: named(index, end.reused_from))
    return made.returned if made is not None and made.reused_from is None else None
