"""Earlier runs of a function, and how each ended: which of them a call may be compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.catalog import reused
from reprokit.catalog.diff import facts
from reprokit.errors import ReprokitError
from reprokit.vault import reuse
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import ReuseEntry

REFUSED = "its result is not used again: "
_MOST = 50  # runs that are looked at
_ASKED = """
SELECT id FROM runs WHERE function = ? AND NOT repeats AND reused_from IS NULL ORDER BY started DESC, id DESC LIMIT ?
"""


def runs(index: Index, function: str) -> list[Facts]:
    """Give what there is to know of the newest runs of a function, the newest first: root runs and child runs."""
    found = []
    for (row,) in index.db.execute(_ASKED, (function, _MOST)).fetchall():
        try:
            one = facts.of(index.run(row), index.vault.path)
        except ReprokitError:  # removed by hand a moment ago
            continue
        if one.call is not None:
            found.append(one)
    return found


def started(index: Index, run_id: str) -> str | None:
    """Give when a run began, ISO 8601; None when it is no longer recorded."""
    run = reused.named(index, run_id)
    if run is None:
        return None
    try:
        call = facts.of(run, index.vault.path).call
    except ReprokitError:  # removed by hand a moment ago
        return None
    return call.timestamp if call is not None else None


def entry_of(run: Run | Child, vault: Path) -> ReuseEntry | None:
    """Give the line by which calls find a run's result; None when there is none, or none that can be read."""
    key = run.reuse.key if run.reuse is not None else None
    if key is None:
        return None
    try:
        entries = reuse.read(reuse.place(Vault(vault).reuse, key))
    except (ReprokitError, ValueError):
        return None
    return next((one for one in reversed(entries) if (one.run_id, one.key) == (run.run_id, key)), None)


def obstacle(facts: Facts, vault: Path) -> str | None:
    """Say why the result of a run can't be given, were it the right one, after "it"; None when nothing speaks against it."""
    run = facts.run
    status = run.status
    if status == "failed":
        error = facts.exception
        return f"failed: {error.error_type}: {error.error_message}" if error is not None else "failed"
    if status == "running":
        return "has not ended"
    if facts.end is None:
        return "was killed, or its end can't be read: what it made cannot be known"
    if status != "complete":
        reason = f": {facts.end.reason}" if facts.end.reason else ""
        return f"{'exited' if status == 'exited' else f'was {status}'}{reason}"
    info = run.reuse
    if info is None:
        return "was made when its result was not to be used again, so no record tells what that depends on"
    if info.refused or info.mutated:
        return REFUSED + (info.refused or f"it changed {', '.join(info.mutated)}")
    if entry_of(run, vault) is None:
        return "is no longer among those whose results the vault lists: gc forgot it, or that was never written"
    return None


def told(facts: Facts, against: str, *, same: bool) -> str:
    """Make a sentence of an obstacle.

    Parameters
    ----------
    same
        Whether the run did what is asked for now.
    """
    name = f"run {facts.run.run_id[:8]}"
    if against.startswith(REFUSED):
        return f"{name} did the same, and {against}" if same else f"besides, of {name}, {against}"
    return f"{name} did the same, and it {against}" if same else f"besides, {name} {against}"
