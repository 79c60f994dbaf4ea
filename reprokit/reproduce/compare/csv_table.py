"""CSV: header, columns and rows; a column of numbers by tolerance, any other exactly; quotes and line ends don't count."""

from __future__ import annotations

import csv
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, TextIO

from reprokit.reproduce.compare.rules import ignores
from reprokit.reproduce.compare.text import Near, near_written
from reprokit.reproduce.compare.words import SAME, UnreadableError, change, counted, kept, plain, relative
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_DELIMITERS = ",\t;|"
_SAMPLE = 50  # lines
_NUMBER = re.compile(
    r"\s*[-+]?(?:(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:e[-+]?\d{1,4})?|nan|inf|infinity)\s*", re.ASCII | re.IGNORECASE
)


def delimiter(path: Path) -> str:
    """Tell what separates cells: what stands equally often in most of the first lines, quoted parts left out."""
    with _opened(path) as stream:
        lines = [re.sub(r'"[^"]*"', "", line) for _, line in zip(range(_SAMPLE), _limited(stream), strict=False)]
    best = ",", 0, 0
    for one in _DELIMITERS:
        counts = Counter(line.count(one) for line in lines if line.strip())
        often, lines_alike = max(
            ((n, seen) for n, seen in counts.items() if n), key=lambda p: (p[1], p[0]), default=(0, 0)
        )
        if (lines_alike, often) > best[1:]:
            best = one, lines_alike, often
    return best[0]


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two tables."""
    marks = delimiter(old), delimiter(new)
    if marks[0] != marks[1]:
        return Verdict(name=name, kind="csv", outcome="differs", said=f"delimiter {marks[0]!r} -> {marks[1]!r}")
    table = _Table(tolerance)
    with _opened(old) as first, _opened(new) as second:
        told = table.read(_rows(first, marks[0]), _rows(second, marks[0]))
    if told:
        return Verdict(name=name, kind="csv", outcome="differs", said=told)
    for number in table.doubtful():
        with _opened(old) as first, _opened(new) as second:
            if _has_text(_rows(first, marks[0]), number) or _has_text(_rows(second, marks[0]), number):
                table.columns[number].text = True
    return table.verdict(name)


class _Column:
    def __init__(self) -> None:
        self.written = self.differing = self.far = 0  # cells that are other text, other values, and too far apart
        self.text = False  # whether a cell is no number, so that all are compared exactly
        self.first = self.first_far = self.near = ""
        self.max_abs, self.max_rel = 0.0, -1.0

    def add(self, place: str, x: str, y: str, tolerance: Tolerance) -> None:
        """Count two cells that are not the same text."""
        self.written += 1
        told = f"{place}: {change(x, y)}"
        self.first = self.first or told
        if _is_number(x) and _is_number(y):
            found = near_written(x, y, tolerance)
            if found is None:
                return
            told = f"{place}: {plain(x)[:30]} -> {plain(y)[:30]}"
            told += f" ({relative(found.max_rel)})" if found.max_rel else ""
        else:
            found = Near(True, 0.0, 0.0)
            self.text = self.text or not _numeric([x, y])
        self.differing += 1
        self.max_abs = max(self.max_abs, found.max_abs)
        if found.far:
            self.far += 1
            self.first_far = self.first_far or told
        if found.max_rel > self.max_rel:
            self.max_rel, self.near = found.max_rel, told


class _Table:
    def __init__(self, tolerance: Tolerance) -> None:
        self.tolerance = tolerance
        self.header: list[str] = []
        self.columns: dict[int, _Column] = {}
        self.rows = 0

    def read(self, first: Iterator[list[str]], second: Iterator[list[str]]) -> str:
        """Compare cell by cell; gives what makes the tables unlike, if anything does."""
        headers = next(first, []), next(second, [])
        if headers[0] != headers[1] and not _numeric(headers[0] + headers[1]):
            return _unlike(*headers)
        self.header = headers[0] if not _numeric(headers[0]) else []
        if headers[0] != headers[1]:
            told = self._row(*headers)
            if told:
                return told
        while True:
            a, b = next(first, None), next(second, None)
            if a is None or b is None:
                left = sum(1 for _ in (first if b is None else second)) + (a is not b)
                rows = [self.rows + (left if a is not None else 0), self.rows + (left if b is not None else 0)]
                return f"{rows[0]:,} -> {rows[1]:,} rows" if left else ""
            self.rows += 1
            if a != b and (told := self._row(a, b)):
                return told

    def _row(self, a: list[str], b: list[str]) -> str:
        if len(a) != len(b):
            return f"row {self.rows}: {counted(len(a), 'cell')} -> {counted(len(b), 'cell')}"
        for number, (x, y) in enumerate(zip(a, b, strict=True)):
            if x != y:
                self.columns.setdefault(number, _Column()).add(f"row {self.rows}", x, y, self.tolerance)
        return ""

    def doubtful(self) -> list[int]:
        """List columns that are to be compared exactly if they hold anything but numbers."""
        return [number for number, one in self.columns.items() if not one.far and not one.text]

    def verdict(self, name: str) -> Verdict:
        bad: list[tuple[str, _Column]] = []
        close: list[tuple[str, _Column]] = []
        ignored: list[str] = []
        for number, column in sorted(self.columns.items()):
            title = self.header[number] if number < len(self.header) else f"column {number + 1}"
            if ignores(self.tolerance.ignore, title):
                ignored.append(title)
            elif column.text or column.far:
                bad.append((title, column))
            elif column.differing:
                close.append((title, column))
        details: dict[str, Any] = {"rows": self.rows, "count": sum(one.differing for _, one in bad + close)}
        told: list[str] = []
        if bad:
            first = bad[0][1]
            told.append(f"{plain(bad[0][0])}, {first.first if first.text else first.first_far}")
            details["place"] = told[0]
            count = sum(one.written if one.text else one.far for _, one in bad)
            if count > 1:
                told.append(f"{count:,} cells in {counted(len(bad), 'column')} differ")
        elif close:
            title, worst = max(close, key=lambda pair: pair[1].max_rel)
            told.append(f"{plain(title)}, {worst.near}")
            details |= {"max_rel": kept(worst.max_rel), "max_abs": kept(worst.max_abs)}
        if ignored:
            told.append(f"not compared: {', '.join(map(plain, ignored[:3]))}{' ...' if len(ignored) > 3 else ''}")
        outcome: Any = "differs" if bad else "within tolerance" if close or ignored else "identical"
        return Verdict(
            name=name, kind="csv", outcome=outcome, said="; ".join(told) or SAME.format("cells"), details=details
        )


def _unlike(a: list[str], b: list[str]) -> str:
    gone, added = [one for one in a if one not in b], [one for one in b if one not in a]
    told = [f"column {plain(one)!r} is missing" for one in gone[:3]] + [
        f"column {plain(one)!r} is new" for one in added[:3]
    ]
    return ", ".join(told) or "the columns are in another order"


def _is_number(cell: str) -> bool:
    """Tell a number; ``007`` is a name, and so is ``1_000``."""
    return _NUMBER.fullmatch(cell) is not None


def _numeric(cells: list[str]) -> bool:
    """Tell whether all cells are numbers or empty."""
    return all(not one.strip() or _is_number(one) for one in cells)


def _has_text(rows: Iterator[list[str]], number: int) -> bool:
    next(rows, None)
    return any(not _numeric([row[number]]) for row in rows if number < len(row))


def _rows(stream: TextIO, mark: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(stream, delimiter=mark)
    except csv.Error as error:
        raise UnreadableError(str(error)) from error


def _limited(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(1 << 20):
        yield line


def _opened(path: Path) -> TextIO:
    return open(path, encoding="utf-8-sig", errors="surrogateescape", newline="")
