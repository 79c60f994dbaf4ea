"""How the values of two arrays differ, seen block by block, so that no array has to be held whole.

Two numbers are near enough when ``|a - b| <= max(rtol * max(|a|, |b|), atol)``: which of them is the old one makes no
difference (as ``math.isclose``, and unlike ``numpy.isclose``).
"""

from __future__ import annotations

import importlib
import math
from typing import TYPE_CHECKING, Any

from reprokit.reproduce.compare.words import MissingLibraryError, counted, kept, relative

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reprokit.reproduce.verdict import Outcome
    from reprokit.settings.values import Tolerance

_SMALLEST = 5e-324  # no zero to divide by, and smaller than any other scale


def library(name: str) -> Any:
    """Import an optional library."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingLibraryError(name.partition(".")[0]) from error


def leaves(dtype: Any, path: tuple[str, ...] = (), width: int = 1) -> Iterator[tuple[tuple[str, ...], int, Any]]:
    """List the plain dtypes in a structured one, with the field names that lead there and how many values a row has."""
    if dtype.subdtype is not None:
        yield from leaves(dtype.subdtype[0], path, width * math.prod(dtype.subdtype[1]))
    elif dtype.names is None:
        yield path, width, dtype
    else:
        for name in dtype.names:
            yield from leaves(dtype[name], (*path, name), width)


class Tally:
    """What is known so far of how two arrays of one dtype differ.

    Attributes
    ----------
    total, differing, beyond : int
        How many values there are, are not equal, and are not near enough either.
    nans : int
        Places where one is NaN and the other is not; they are among the former.
    max_abs, max_rel : float
        The largest differences between numbers.
    worst, first : int or None
        Where the largest absolute difference is, and the first value that is not near enough: flat indexes.
    """

    def __init__(self, dtype: Any, tolerance: Tolerance) -> None:
        self.np = library("numpy")
        self.dtype = dtype
        self.tolerance = tolerance
        self.total = self.differing = self.beyond = self.nans = 0
        self.max_abs = self.max_rel = 0.0
        self.worst: int | None = None
        self.first: int | None = None
        self._fields = (
            [(path, width, Tally(kind, tolerance)) for path, width, kind in leaves(dtype) if width]
            if dtype.names
            else []
        )
        self._width = sum(width for _, width, _ in self._fields) if dtype.names else 1
        self._scratch: list[Any] = []

    def equal(self, count: int) -> None:
        """Count values whose bytes are the same."""
        self.total += count * self._width

    def add(self, a: Any, b: Any, start: int) -> None:
        """Count two blocks, one-dimensional and of one length; `start` is the flat index of their first value."""
        np = self.np
        self.equal(a.size)
        if not a.size:
            return
        kind = a.dtype.kind
        with np.errstate(all="ignore"):
            if a.dtype.names is not None:
                if self._fields:
                    self._structured(a, b, start)
            elif kind == "f":
                if a.dtype.itemsize < 8:
                    a, b = a.astype(np.float64), b.astype(np.float64)
                self._floats(a, b, start)
            elif kind == "c":
                self._some(a, b, start, lambda x: np.abs(x).astype(np.float64), lambda x, y: np.abs(x - y))
            elif kind in "iu":
                self._some(a, b, start, lambda x: np.abs(x.astype(np.float64)), self._integers)
            else:
                self._exact(a, b, start)

    def merge(self, other: Tally) -> None:
        """Add what was counted of another part of the same arrays."""
        self.total += other.total
        if self._fields:
            for (_, _, mine), (_, _, theirs) in zip(self._fields, other._fields, strict=True):
                mine.merge(theirs)
            self._gather()
            return
        self.differing += other.differing
        self.beyond += other.beyond
        self.nans += other.nans
        if other.max_abs > self.max_abs or self.worst is None:
            self.max_abs, self.worst = other.max_abs, other.worst
        self.max_rel = max(self.max_rel, other.max_rel)
        places = [one for one in (self.first, other.first) if one is not None]
        self.first = min(places, default=None)

    @property
    def outcome(self) -> Outcome:
        """The verdict."""
        return "differs" if self.beyond else "within tolerance" if self.differing else "identical"

    def said(self, place: Callable[[int], str], noun: str = "value") -> str:
        """Say it in one line; `place` names a flat index."""
        if not self.differing:
            return ""
        count = self.beyond or self.differing
        told = f"{count:,} of {counted(self.total, noun)} differ{'s' if count == 1 else ''}"
        if self.max_abs:
            told += f", by up to {self.max_abs:.3g} ({relative(self.max_rel)})"
        at = self.worst if self.max_abs and self.worst is not None else self.first
        if at is not None:
            told += f" at {place(at)}"
        if self.nans:
            told += f"; {self.nans:,} NaN against numbers"
        for path, _, one in self._fields:
            if one.outcome == self.outcome:
                return f"{told}; first in field {'.'.join(path)}"
        return told

    def details(self, place: Callable[[int], str]) -> dict[str, Any]:
        """Give the numbers."""
        found: dict[str, Any] = {"total": self.total, "count": self.differing, "beyond": self.beyond}
        if self.differing:
            found |= {"max_abs": kept(self.max_abs), "max_rel": kept(self.max_rel), "nans": self.nans}
        at = self.worst if self.max_abs and self.worst is not None else self.first
        if at is not None:
            found["place"] = place(at)
        return found

    def _floats(self, a: Any, b: Any, start: int) -> None:
        np = self.np
        if not self._scratch or self._scratch[0].dtype != a.dtype or self._scratch[0].size < a.size:
            self._scratch = [np.empty(a.size, a.dtype) for _ in range(3)]
        apart, scale, other = (one[: a.size] for one in self._scratch)
        np.subtract(a, b, out=apart)
        np.abs(apart, out=apart)
        largest = float(apart.max())
        if not math.isfinite(largest):
            self._some(a, b, start, np.abs, lambda x, y: np.abs(x - y))
            return
        if largest == 0.0:
            return
        unequal = int(np.count_nonzero(a != b))
        self.differing += unequal
        np.abs(a, out=scale)
        np.abs(b, out=other)
        np.maximum(scale, other, out=scale)
        rtol, atol = self.tolerance.rtol, self.tolerance.atol
        if rtol == 0.0 == atol:
            self.beyond += unequal
            if self.first is None:
                self.first = start + int(np.argmax(a != b))
        elif largest > atol:
            np.multiply(scale, rtol, out=other)
            if atol:
                np.maximum(other, atol, out=other)
            far = apart > other
            self._far(far, start)
        if largest > self.max_abs:
            self.max_abs, self.worst = largest, start + int(apart.argmax())
        np.maximum(scale, _SMALLEST, out=scale)
        np.divide(apart, scale, out=apart)
        self.max_rel = max(self.max_rel, float(apart.max()))

    def _far(self, far: Any, start: int) -> None:
        count = int(self.np.count_nonzero(far))
        if count:
            self.beyond += count
            place = start + int(self.np.argmax(far))
            self.first = place if self.first is None else min(self.first, place)

    def _some(
        self, a: Any, b: Any, start: int, size: Callable[[Any], Any], distance: Callable[[Any, Any], Any]
    ) -> None:
        """Look at the numbers that are not equal alone: integers, complex ones, and blocks with NaN or infinity."""
        np = self.np
        places = np.flatnonzero(a != b)
        x, y = a[places], b[places]
        if a.dtype.kind in "fc":
            both = np.isnan(x) & np.isnan(y)
            places, x, y = places[~both], x[~both], y[~both]
        if not places.size:
            return
        self.differing += int(places.size)
        apart = distance(x, y).astype(np.float64)
        scale = np.maximum(size(x), size(y)).astype(np.float64)
        far = ~(apart <= np.maximum(scale * self.tolerance.rtol, self.tolerance.atol)) | ~np.isfinite(apart)
        mixed = np.isnan(x) | np.isnan(y) if a.dtype.kind in "fc" else np.zeros(places.size, bool)
        self.nans += int(np.count_nonzero(mixed))
        if far.any():
            self.beyond += int(np.count_nonzero(far))
            place = start + int(places[far][0])
            self.first = place if self.first is None else min(self.first, place)
        apart[mixed] = 0.0
        apart[np.isnan(apart)] = np.inf
        rel = np.where(np.isfinite(apart), apart / np.maximum(scale, _SMALLEST), np.inf)
        if float(apart.max()) > self.max_abs:
            self.max_abs, self.worst = float(apart.max()), start + int(places[apart.argmax()])
        self.max_rel = max(self.max_rel, float(rel.max()))

    def _integers(self, x: Any, y: Any) -> Any:
        """Subtract without overflow: the distance of two 64-bit integers fits into an unsigned one."""
        np = self.np
        if x.dtype.kind == "i":
            x, y = x.astype(np.int64), y.astype(np.int64)
        else:
            x, y = x.astype(np.uint64), y.astype(np.uint64)
        return np.where(x > y, x.view(np.uint64) - y.view(np.uint64), y.view(np.uint64) - x.view(np.uint64))

    def _exact(self, a: Any, b: Any, start: int) -> None:
        np = self.np
        if a.dtype.kind == "V":
            width = a.dtype.itemsize
            unequal = (_bytes(np, a, width) != _bytes(np, b, width)).any(axis=1)
        elif a.dtype.kind in "mM":
            unequal = a.astype(a.dtype.newbyteorder("=")).view(np.int64) != b.astype(b.dtype.newbyteorder("=")).view(
                np.int64
            )
        else:
            unequal = np.asarray(a != b, bool)
        self.differing += int(np.count_nonzero(unequal))
        self._far(unequal, start)

    def _structured(self, a: Any, b: Any, start: int) -> None:
        for path, width, tally in self._fields:
            x, y = a, b
            for name in path:
                x, y = x[name], y[name]
            tally.add(self.np.ascontiguousarray(x).reshape(-1), self.np.ascontiguousarray(y).reshape(-1), start * width)
        self._gather()

    def _gather(self) -> None:
        """Sum up the fields; places are rows then."""
        tallies = [one for _, _, one in self._fields]
        self.differing, self.beyond, self.nans = (
            sum(getattr(one, name) for one in tallies) for name in ("differing", "beyond", "nans")
        )
        self.max_abs = max(one.max_abs for one in tallies)
        self.max_rel = max(one.max_rel for one in tallies)
        self.worst = next(
            (t.worst // w for _, w, t in self._fields if t.worst is not None and t.max_abs == self.max_abs), None
        )
        self.first = min((t.first // w for _, w, t in self._fields if t.first is not None), default=None)


def _bytes(np: Any, block: Any, width: int) -> Any:
    return (
        np.ascontiguousarray(block).view(np.uint8).reshape(-1, width) if width else np.zeros((block.size, 1), np.uint8)
    )
