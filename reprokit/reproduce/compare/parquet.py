"""Parquet: columns by name, types, rows and values; row groups, packing and who wrote the file don't count."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reprokit.embed.tag import KEY, decode
from reprokit.reproduce.compare.numbers import Tally, library
from reprokit.reproduce.compare.value import Walk
from reprokit.reproduce.compare.words import MissingLibraryError, change, combine
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_ROWS = 1 << 16  # that are looked at together
_SAFE = 15  # pyarrow's major version; earlier ones unpickled what a file said (CVE-2023-47248)
_PANDAS = ("creator", "pandas_version", "attributes")  # of the metadata that pandas leaves


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two files."""
    arrow = library("pyarrow")
    if int(arrow.__version__.partition(".")[0]) < _SAFE:
        raise MissingLibraryError(f"pyarrow {_SAFE} or later")
    parquet = library("pyarrow.parquet")
    library("numpy")
    with parquet.ParquetFile(old) as first, parquet.ParquetFile(new) as second:
        told = _unlike(first, second)
        if told:
            return Verdict(name=name, kind="parquet", outcome="differs", said=told)
        columns = [_Column(arrow, field, tolerance) for field in first.schema_arrow]
        start = 0
        for a, b in _aligned(first.iter_batches(_ROWS), second.iter_batches(_ROWS)):
            for number, column in enumerate(columns):
                column.add(a.column(number), b.column(number), start)
            start += a.num_rows
        notes = _metadata(first.schema_arrow, second.schema_arrow)
        parts = [column.verdict() for column in columns]
        if notes:
            parts.append(Verdict(name="metadata", outcome="differs", said=notes))
        return combine(name, "parquet", parts, tolerance, noun="column")


def _unlike(first: Any, second: Any) -> str:
    a, b = first.schema_arrow, second.schema_arrow
    if a.names != b.names:
        gone = [one for one in a.names if one not in b.names]
        added = [one for one in b.names if one not in a.names]
        told = [f"column {one!r} is missing" for one in gone[:3]] + [f"column {one!r} is new" for one in added[:3]]
        return ", ".join(told) or "the columns are in another order"
    for name, one, other in zip(a.names, a.types, b.types, strict=True):
        if one != other:
            return f"{name}: type {one} -> {other}"[:200]
    rows = first.metadata.num_rows, second.metadata.num_rows
    return f"{rows[0]:,} -> {rows[1]:,} rows" if rows[0] != rows[1] else ""


def _metadata(a: Any, b: Any) -> str:
    """Say which of the file's own notes differ."""
    first, second = _notes(a), _notes(b)
    for key in sorted(first.keys() | second.keys()):
        if first.get(key) != second.get(key):
            return f"{key}: {change(first.get(key), second.get(key))}"
    return ""


def _notes(schema: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in (schema.metadata or {}).items():
        if key == b"ARROW:schema" or (key == KEY and decode(value)):
            continue
        told: Any = value.decode("utf-8", "replace")
        if key == b"pandas":
            told = json.loads(told)
            told = {one: told[one] for one in told if one not in _PANDAS}
        found[key.decode("utf-8", "replace")] = told
    return found


def _aligned(first: Iterator[Any], second: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """Give batches of one length, however each file cuts them."""
    a = b = None
    while True:
        a = a if a is not None and a.num_rows else next(first, None)
        b = b if b is not None and b.num_rows else next(second, None)
        if a is None or b is None:
            return
        count = min(a.num_rows, b.num_rows)
        yield a.slice(0, count), b.slice(0, count)
        a, b = a.slice(count), b.slice(count)


class _Column:
    def __init__(self, arrow: Any, field: Any, tolerance: Tolerance) -> None:
        self.name = field.name
        self.np = library("numpy")
        types = arrow.types
        self.numeric = types.is_integer(field.type) or types.is_floating(field.type)
        kind = self.np.dtype(field.type.to_pandas_dtype()) if self.numeric else self.np.dtype(object)
        self.tally = Tally(kind, tolerance)
        self.tolerance = tolerance
        self.nulls = 0
        self.told = ""
        self.near = (-1.0, "")  # the largest relative difference within lists and records

    def add(self, a: Any, b: Any, start: int) -> None:
        if a.equals(b):
            self.tally.equal(len(a))
        elif self.numeric:
            self._numbers(a, b, start)
        else:
            self._others(a, b, start)

    def _numbers(self, a: Any, b: Any, start: int) -> None:
        np = self.np
        gone = [one.is_null().to_numpy(zero_copy_only=False) for one in (a, b)]
        x, y = (one.fill_null(0).to_numpy(zero_copy_only=False) for one in (a, b))
        mixed = gone[0] != gone[1]
        if mixed.any():
            at = int(np.argmax(mixed))
            self.nulls += int(np.count_nonzero(mixed))
            self.told = self.told or f"row {start + at}: {change(a[at].as_py(), b[at].as_py())}"
            y = np.where(mixed, x, y)
        self.tally.add(np.ascontiguousarray(x), np.ascontiguousarray(y), start)

    def _others(self, a: Any, b: Any, start: int) -> None:
        for at in range(len(a)):
            one, other = a[at], b[at]
            self.tally.equal(1)
            if one.equals(other):
                continue
            found = Walk(self.tolerance).run(one.as_py(), other.as_py()).verdict("", "", same="")
            if found.outcome == "differs":
                self.nulls += 1
                self.told = self.told or f"row {start + at}: {found.said}"
            elif found.outcome == "within tolerance":
                self.near = max(self.near, (found.details.get("max_rel", 0.0), f"row {start + at}: {found.said}"))

    def verdict(self) -> Verdict:
        place = "row {}".format
        told = [self.tally.said(place)]
        if self.told:
            told.append(f"{self.told}{f'; {self.nulls:,} rows differ' if self.nulls > 1 else ''}")
        outcome = "differs" if self.nulls else self.tally.outcome
        details = self.tally.details(place)
        if outcome == "identical" and self.near[1]:
            outcome, details["max_rel"] = "within tolerance", self.near[0]
            told.append(self.near[1])
        return Verdict(name=self.name, outcome=outcome, said="; ".join(filter(None, told)), details=details)
