"""How two nested values differ: by key paths, and so that one can be made of the other."""

from __future__ import annotations

import copy
import math
from typing import Any, Literal, NamedTuple

from reprokit.catalog.diff.result import Row

_DEEPEST = 100  # levels; what lies deeper is compared whole

Path = tuple[str | int, ...]


class Step(NamedTuple):
    """One place where two values differ."""

    path: Path  # keys of mappings, indexes of lists
    kind: Literal["changed", "added", "removed"]
    a: Any
    b: Any


def equal(a: Any, b: Any) -> bool:
    """Tell whether two JSON values are the same; 1 and 1.0 are, 1 and true are not."""
    return not steps(a, b)


def steps(a: Any, b: Any, path: Path = ()) -> list[Step]:
    """Give the places where two JSON values differ, in the order of their paths."""
    if isinstance(a, dict) and isinstance(b, dict) and len(path) < _DEEPEST:
        found: list[Step] = []
        for key in sorted(a.keys() | b.keys(), key=str):
            found += _at((*path, key), a.get(key, _NONE), b.get(key, _NONE))
        return found
    if isinstance(a, list) and isinstance(b, list) and len(path) < _DEEPEST:
        found = []
        for index in range(max(len(a), len(b))):
            found += _at((*path, index), a[index] if index < len(a) else _NONE, b[index] if index < len(b) else _NONE)
        return found
    return [] if _same(a, b) else [Step(path, "changed", a, b)]


_NONE = object()


def _at(path: Path, a: Any, b: Any) -> list[Step]:
    if a is _NONE:
        return [Step(path, "added", None, b)]
    if b is _NONE:
        return [Step(path, "removed", a, None)]
    return steps(a, b, path)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, bool) or isinstance(b, bool) or not (_is_number(a) and _is_number(b)):
        if type(a) is not type(b):
            return False
        try:
            return bool(a == b)
        except RecursionError:
            return False
    return bool(a == b) or (a != a and b != b)  # noqa: PLR0124 - NaN is the same as NaN here


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def apply(a: Any, found: list[Step]) -> Any:
    """Make the second value of the first one and what differs."""
    made = copy.deepcopy(a)
    removed: list[tuple[Any, int]] = []
    for step in found:
        if not step.path:
            made = copy.deepcopy(step.b)
            continue
        holder = made
        for key in step.path[:-1]:
            holder = holder[key]
        last = step.path[-1]
        if step.kind == "removed" and isinstance(holder, list):
            removed.append((holder, int(last)))
        elif step.kind == "removed":
            del holder[last]
        elif step.kind == "added" and isinstance(holder, list):
            holder.append(copy.deepcopy(step.b))
        else:
            holder[last] = copy.deepcopy(step.b)
    for holder, index in reversed(removed):  # those at the end of a list, the last one first
        del holder[index]
    return made


def shown(path: Path) -> str:
    """Give a path as people type it: ``model.layers.0``; a dot inside a key stays as it is."""
    return ".".join(str(key) for key in path)


def rows(a: Any, b: Any, before: str = "") -> list[Row]:
    """Give what differs between two JSON values as rows, `before` in front of each path."""
    made = []
    for step in steps(a, b):
        inside = shown(step.path)
        name = f"{before}.{inside}" if before and inside else before or inside or "(all of it)"
        made.append(Row(name=name, kind=step.kind, a=step.a, b=step.b))
    return made


def distance(a: Any, b: Any) -> str:
    """Say how far the second number is from the first, and in relation to that; empty when they are no finite numbers."""
    if isinstance(a, bool) or isinstance(b, bool) or not (_is_number(a) and _is_number(b)):
        return ""
    try:
        first, apart = float(a), float(b) - float(a)
    except OverflowError:
        return ""
    if not math.isfinite(apart):
        return ""
    if not first:
        return f"{apart:+.3g}"
    part = apart / abs(first)
    told = f"{part:+.2%}" if 1e-4 <= abs(part) < 100 else f"{part:+.1e} of it"
    return f"{apart:+.3g}, {told}" if math.isfinite(part) else f"{apart:+.3g}"
