"""What ``reprokit show`` says of results that were, or may be, used again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.cli import screen

if TYPE_CHECKING:
    from rich.table import Table

    from reprokit.catalog.index import Index
    from reprokit.catalog.reused import Rate
    from reprokit.catalog.run import Child, Run


class Told(NamedTuple):
    """What the index tells beside a run's own record."""

    origin: Run | Child | None
    rate: Rate | None


def ask(index: Index, run: Run | Child) -> Told:
    """Ask the index; of a run whose record says nothing of it, there is nothing to ask."""
    from reprokit.catalog import reused

    if run.reuse is None and run.reused_from is None:
        return Told(None, None)
    return Told(reused.origin(index, run), reused.rate(index, run.function))


def add(table: Table, run: Run | Child, told: Told) -> None:
    """Add what there is to say of a run's result."""
    if run.reused_from is not None:
        screen.row(table, "reused from", f"run {run.reused_from[:8]}{_took(told.origin)}")
    uses = run.uses
    if uses.times:
        last = f", last {screen.when(uses.last)}" if uses.last else ""
        saved = f", saved {screen.seconds(uses.saved)}" if uses.saved else ""
        screen.row(table, "used again", f"{uses.times} time{'s' * (uses.times != 1)}{last}{saved}")
    elif run.reuse is not None and run.reused_from is None and not _hindrance(run):
        screen.row(table, "used again", "not yet")
    screen.row(table, "not used again", _hindrance(run), "yellow")
    rate = told.rate
    if rate is not None:
        calls = rate.hits + rate.computed
        screen.row(table, "hit rate", f"{rate.share:.0%} of {calls} call{'s' * (calls != 1)} of {run.what}")
    screen.row(table, "return value", run.returned)


def facts(run: Run | Child, told: Told) -> dict[str, Any]:
    """Give the same for programs."""
    rate = told.rate
    return {
        "reused_from": run.reused_from,
        "took": told.origin.duration if told.origin is not None else None,
        "reused": run.reused,
        "reused_at": run.reused_at,
        "saved": run.saved,
        "hits": rate.hits if rate else None,
        "computed": rate.computed if rate else None,
        "hindrance": _hindrance(run) or None,
        "returned": str(run.returned) if run.returned else None,
    }


def _took(origin: Run | Child | None) -> str:
    if origin is None:
        return ", which the vault no longer holds"
    return f" (took {screen.seconds(origin.duration)})" if origin.duration is not None else ""


def _hindrance(run: Run | Child) -> str:
    """Say why a result is not used again; empty when nothing speaks against it."""
    reuse = run.reuse
    if reuse is None:
        return ""
    changed = f"the function changed what it was given: {', '.join(reuse.mutated)}" if reuse.mutated else ""
    return reuse.refused or changed
