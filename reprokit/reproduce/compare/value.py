"""Nested values: what JSON, YAML and TOML hold, recorded values, objects of archives; the first path that differs."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.reproduce.compare.rules import ignores
from reprokit.reproduce.compare.text import near
from reprokit.reproduce.compare.words import SAME, change, close, kept, plain, relative
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.settings.values import Tolerance

_MOST = 50_000_000  # pairs that are looked at


class Apart(NamedTuple):
    """What a place is found to have."""

    far: bool
    said: str
    max_abs: float = 0.0
    max_rel: float = 0.0


class Walk:
    """A walk through two values side by side.

    Mappings are compared by key and lists by index; 1 and 1.0 are the same number, 1 and true are not the same.
    What is shared within a value is looked at once, so neither cycles nor aliases of aliases take long.

    Parameters
    ----------
    leaf
        Compares what is neither mapping, list, text, number nor null; None when they are the same.
    opened
        Gives what an object holds, as a mapping or list, or None.
    """

    def __init__(
        self,
        tolerance: Tolerance,
        leaf: Callable[[Any, Any, Tolerance], Apart | None] | None = None,
        opened: Callable[[Any], Any] | None = None,
    ) -> None:
        self.tolerance = tolerance
        self.leaf = leaf or _exact
        self.opened = opened
        self.total = self.count = 0
        self.first: tuple[str, str] | None = None
        self.worst: tuple[str, Apart] | None = None
        self.near = 0
        self.ignored: list[str] = []
        self._kept: list[Any] = []  # what `opened` made stays, so that no other object gets its id

    def run(self, old: Any, new: Any, path: str = "") -> Walk:
        """Walk."""
        seen: set[tuple[int, int, bool]] = set()
        stack: list[tuple[str, Any, Any, bool]] = [(path, old, new, False)]
        looked = 0
        while stack:
            looked += 1
            if looked > _MOST:
                raise ValueError(f"it holds more than {_MOST:,} values")
            path, a, b, skip = stack.pop()
            skip = skip or bool(path and self.tolerance.ignore and ignores(self.tolerance.ignore, path))
            kind = _kind(a)
            key = id(a), id(b), skip
            if self.opened and type(a) is type(b) and kind is None:
                if key in seen:
                    continue
                first, second = self.opened(a), self.opened(b)
                if first is not None and second is not None:
                    seen.add(key)
                    self._kept += (a, b, first, second)
                    a, b, kind = first, second, _kind(first)
                    key = id(a), id(b), skip
            if kind is None or kind is not _kind(b) or (self.opened and type(a) is not type(b)):
                self._leaf(path, a, b, skip)
                continue
            if key in seen:
                continue
            seen.add(key)
            stack += reversed(self._within(path, a, b, skip))
        return self

    def _within(self, path: str, a: Any, b: Any, skip: bool) -> list[tuple[str, Any, Any, bool]]:
        before = f"{path}." if path else ""
        if isinstance(a, dict):
            pairs = [(f"{before}{key}", a[key], b[key], skip) for key in a if key in b]
            for key in a:
                if key not in b:
                    self._found(f"{before}{key}", Apart(True, "only before"), skip)
            for key in b:
                if key not in a:
                    self._found(f"{before}{key}", Apart(True, "only now"), skip)
            return pairs
        pairs = [(f"{before}{n}", x, y, skip) for n, (x, y) in enumerate(zip(a, b, strict=False))]
        if len(a) != len(b):
            self._found(path or "the list", Apart(True, f"{len(a):,} -> {len(b):,} items"), skip)
        return pairs

    def _leaf(self, path: str, a: Any, b: Any, skip: bool) -> None:
        self.total += 1
        found = compared(a, b, self.tolerance, self.leaf)
        if found is not None:
            self._found(path, found, skip)

    def _found(self, path: str, found: Apart, skip: bool) -> None:
        if skip or (path and self.tolerance.ignore and ignores(self.tolerance.ignore, path)):
            self.ignored.append(path)
        elif found.far:
            self.count += 1
            if self.first is None:
                self.first = path, found.said
        else:
            self.near += 1
            if self.worst is None or found.max_rel > self.worst[1].max_rel:
                self.worst = path, found

    def verdict(self, name: str, kind: str, same: str = "values") -> Verdict:
        """Give the verdict; `same` is what is the same when nothing differs."""
        details: dict[str, Any] = {"total": self.total, "count": self.count}
        outcome: Any = "differs" if self.first else "within tolerance" if self.worst or self.ignored else "identical"
        told: list[str] = []
        if self.first:
            told.append(_at(*self.first))
            details["place"] = plain(self.first[0])
            if self.count > 1:
                told.append(f"{self.count:,} places differ")
        elif self.worst:
            told.append(_at(self.worst[0], self.worst[1].said))
            details |= {"place": plain(self.worst[0]), "max_abs": kept(self.worst[1].max_abs)}
            details["max_rel"] = kept(self.worst[1].max_rel)
        if self.ignored:
            told.append(
                f"not compared: {', '.join(map(plain, self.ignored[:3]))}{' ...' if len(self.ignored) > 3 else ''}"
            )
        if not told and same:
            told.append(SAME.format(same))
        return Verdict(name=name, outcome=outcome, said="; ".join(told), kind=kind, details=details)


def values(name: str, old: Any, new: Any, tolerance: Tolerance) -> Verdict:
    """Compare two values as JSON has them: recorded values, return values, exceptions.

    Parameters
    ----------
    name
        What they are, for the verdict: ``value rmse``.
    old, new
        Mappings, lists, texts, numbers, truth values, null.
    tolerance
        How near numbers have to be.
    """
    try:
        return Walk(tolerance).run(old, new).verdict(name, "value", same="")
    except (ValueError, TypeError, RecursionError) as error:
        return Verdict(name=name, kind="value", outcome="differs", said=f"cannot be compared: {plain(error)}")


def compared(a: Any, b: Any, tolerance: Tolerance, leaf: Callable[[Any, Any, Tolerance], Apart | None]) -> Apart | None:
    """Compare two values that are no containers of a kind; None when they are the same."""
    if _is_number(a) and _is_number(b):
        return _numbers(a, b, tolerance)
    if type(a) is type(b) and not isinstance(a, str | bool | None):
        return leaf(a, b, tolerance)
    return None if type(a) is type(b) and a == b else Apart(True, change(a, b))


def _numbers(a: float, b: float, tolerance: Tolerance) -> Apart | None:
    if a == b:
        return None
    try:
        found = near(float(a), float(b), tolerance)
    except OverflowError:  # integers beyond what a float holds
        found = None
    if found is None and isinstance(a, int) and isinstance(b, int):  # as floats they are the same, or none
        part = float(Fraction(abs(a - b), max(abs(a), abs(b))))
        far = part > tolerance.rtol and abs(a - b) > tolerance.atol
        return Apart(far, f"{change(a, b)} ({relative(part)})", float(min(abs(a - b), 10**300)), part)
    if found is None:
        nan = a != a and b != b  # noqa: PLR0124
        return None if nan or _as_float(a) == _as_float(b) else Apart(True, change(a, b))
    shown = change(a, b) if found.far else close(a, b)
    told = f"{shown} ({relative(found.max_rel)})" if found.max_rel and math.isfinite(found.max_rel) else shown
    return Apart(found.far, told, found.max_abs, found.max_rel)


def _as_float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.copysign(math.inf, number)


def _exact(a: Any, b: Any, tolerance: Tolerance) -> Apart | None:
    try:
        same = bool(a == b)
    except Exception:  # noqa: BLE001 - whatever compares itself may fail
        same = False
    return None if same else Apart(True, change(a, b))


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _kind(value: Any) -> type | None:
    return dict if isinstance(value, dict) else list if isinstance(value, list | tuple) else None


def _at(path: str, said: str) -> str:
    return f"{plain(path)} {said}" if path else said
