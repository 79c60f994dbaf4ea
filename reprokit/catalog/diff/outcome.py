"""What came of the runs: recorded values, series, return values, how they ended and how long they took."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from reprokit.catalog.diff import values
from reprokit.catalog.diff.call import REDACTED, is_damaged, tells_all, why
from reprokit.catalog.diff.result import Row, settle

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.diff.result import Aspect


def _ended(a: Facts, b: Facts, name: str) -> Aspect | None:
    if a.end is None or b.end is None:
        return settle(name, "result", [], reason=why(a, b, "end"), damaged=is_damaged(a, b, "end"))
    return None


def recorded(a: Facts, b: Facts) -> Aspect:
    """Compare recorded values side by side, those that are the same too."""
    first, second = (facts.end.values if facts.end else {} for facts in (a, b))
    rows = [_value(name, first, second) for name in sorted({**first, **second})]
    return _ended(a, b, "values") or settle("values", "result", rows, reason="" if rows else "none is recorded")


def _value(name: str, first: dict[str, Any], second: dict[str, Any]) -> Row:
    if name not in first or name not in second:
        kind: Any = "added" if name not in first else "removed"
        return Row(name=name, kind=kind, a=first.get(name), b=second.get(name))
    a, b = first[name], second[name]
    if not values.equal(a, b):
        return Row(name=name, kind="changed", a=a, b=b, note=values.distance(a, b))
    if a == REDACTED:
        return Row(name=name, kind="unknown", a=a, b=b, note="a secret was taken out")
    return Row(name=name, kind="same", a=a, b=b)


def series(a: Facts, b: Facts) -> Aspect:
    """Compare series: their last values, their lengths, and the first step at which they differ."""
    first, second = (facts.end.series if facts.end else {} for facts in (a, b))
    rows = [_series(name, first, second) for name in sorted({**first, **second})]
    return _ended(a, b, "series") or settle("series", "result", rows, reason="" if rows else "none is recorded")


def _series(name: str, first: dict[str, Any], second: dict[str, Any]) -> Row:
    ends = [_last(one.get(name)) for one in (first, second)]
    if name not in first or name not in second:
        kind: Any = "added" if name not in first else "removed"
        return Row(name=name, kind=kind, a=ends[0], b=ends[1])
    a, b = first[name], second[name]
    differing = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if not values.equal(x, y)), None)
    if differing is None and len(a) == len(b):
        return Row(name=name, kind="same", a=ends[0], b=ends[1], note=f"{len(a)} points")
    if differing is None:
        differing = min(len(a), len(b))
    longer = a if differing < len(a) else b
    points = f"{len(a)} points" if len(a) == len(b) else f"{len(a)} and {len(b)} points"
    told = [f"first differ at step {_step(longer[differing])}", points, values.distance(*ends)]
    return Row(name=name, kind="changed", a=ends[0], b=ends[1], note="; ".join(filter(None, told)))


def _last(points: list[Any] | None) -> Any:
    return points[-1][-1] if points and points[-1] else None


def _step(point: list[Any]) -> Any:
    return point[0] if point else "?"


def returned(a: Facts, b: Facts) -> Aspect:
    """Compare return values, as far as records hold them."""
    ended = _ended(a, b, "return value")
    if ended is not None or a.end is None or b.end is None:
        return ended or settle("return value", "result", [])
    first, second = a.end.return_value, b.end.return_value
    archives = [one.run.returned for one in (a, b)]
    if first is None and second is None and not any(archives):
        return settle("return value", "result", [], reason="none is recorded")
    rows = values.rows(first, second, before="return value")
    notes = []
    if all(archives):
        notes = [f"both runs keep it as archives: {_inside(archives[0], a)}, {_inside(archives[1], b)}"]
    exact = tells_all(first) and tells_all(second)
    reason = "" if exact or rows or _plain(first) else "the record holds a description only, and that is the same"
    return settle("return value", "result", rows, reason=reason, notes=notes)


def _inside(archive: Path | None, facts: Facts) -> str:
    """Name an archive as a listing of the vault has it, without what they all begin with."""
    return os.path.relpath(str(archive), facts.vault).replace(os.sep, "/").removeprefix("runs/")


def _plain(told: Any) -> bool:
    """Tell whether a value holds no description: the return value's record doesn't say so itself."""
    if isinstance(told, dict):
        return "$type" not in told and all(map(_plain, told.values()))
    return all(map(_plain, told)) if isinstance(told, list) else told != REDACTED


def ending(a: Facts, b: Facts) -> Aspect:
    """Compare how the runs ended: status, exit code, exception."""
    first, second = _ending(a), _ending(b)
    if first is None or second is None:
        return settle("ending", "result", [], reason=why(a, b, "end"), damaged=is_damaged(a, b, "end"))
    return settle("ending", "result", values.rows(first, second))


def _ending(facts: Facts) -> dict[str, Any] | None:
    if facts.call is None or "end" in facts.damaged:
        return None
    exception = facts.exception
    return {
        "status": facts.run.status,
        "exception": f"{exception.error_type}: {exception.error_message}" if exception else None,
        "exit code": getattr(facts.end, "exit_code", None),
    }


def duration(a: Facts, b: Facts) -> Aspect:
    """Compare how long the runs took, and how much memory they had in use."""
    if a.end is None or b.end is None:
        return settle("duration", "circumstance", [], reason=why(a, b, "end"))
    told = [{"seconds": facts.run.duration, "peak memory": _memory(facts)} for facts in (a, b)]
    rows = [
        Row(
            name=name,
            kind="changed",
            a=told[0][name],
            b=told[1][name],
            note=values.distance(told[0][name], told[1][name]),
        )
        for name in told[0]
        if told[0][name] != told[1][name]
    ]
    return settle("duration", "circumstance", rows)


def _memory(facts: Facts) -> int | None:
    resources = getattr(facts.end, "resources", None)
    return resources.peak_memory if resources else None
