"""Unified diffs whose changes are told apart: those that belong to given lines, and the rest."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 20_000_000  # lines of the one times lines of the other; beyond that, finding what corresponds takes too long
_UNENDED = "\n\\ No newline at end of file"

Span = tuple[int, int]  # lines, from 0; the second is not in it any more


class Change(NamedTuple):
    """Lines of the old text that were replaced by lines of the new one; either may be empty."""

    a: Span
    b: Span


def split(data: bytes) -> list[str]:
    """Give the lines of a text; the last one says when nothing ends it."""
    lines = data.decode("utf-8", "replace").split("\n")
    if lines[-1] == "":
        return lines[:-1]
    lines[-1] += _UNENDED
    return lines


def is_binary(data: bytes) -> bool:
    """Tell, as git does, by a zero byte near the beginning."""
    return b"\0" in data[:8000]


def changes(a: list[str], b: list[str]) -> list[Change]:
    """Find the lines that differ; of very different long texts everything between what they begin and end with."""
    start, most = 0, min(len(a), len(b))
    while start < most and a[start] == b[start]:
        start += 1
    end = 0
    while end < most - start and a[-1 - end] == b[-1 - end]:
        end += 1
    first, second = a[start : len(a) - end], b[start : len(b) - end]
    if not first and not second:
        return []
    if len(first) * len(second) > _MOST:
        return [Change((start, start + len(first)), (start, start + len(second)))]
    found = difflib.SequenceMatcher(None, first, second, autojunk=len(first) + len(second) > 2000).get_opcodes()
    return [
        Change((start + i1, start + i2), (start + j1, start + j2)) for word, i1, i2, j1, j2 in found if word != "equal"
    ]


def touches(span: Span, spans: list[Span]) -> bool:
    """Tell whether lines overlap any of others."""
    return any(span[0] < other[1] and other[0] < span[1] for other in spans)


def hunks(a: list[str], b: list[str], found: list[Change], wanted: Callable[[Change], bool], context: int) -> list[str]:
    """Give the lines of a unified diff that shows the wanted changes alone."""
    told: list[str] = []
    group: list[Change] = []
    before = 0  # where the present group begins
    top = 0  # where the change before, shown or not, ended in `a`
    for index, change in enumerate(found):
        bottom = found[index + 1].a[0] if index + 1 < len(found) else len(a)
        if not wanted(change):
            top = change.a[1]
            continue
        if not group:
            before = max(top, change.a[0] - context)
        group.append(change)
        top = change.a[1]
        goes_on = index + 1 < len(found) and wanted(found[index + 1]) and bottom - top <= 2 * context
        if not goes_on:
            told += _hunk(a, b, group, before, min(bottom, top + context))
            group = []
    return told


def _hunk(a: list[str], b: list[str], group: list[Change], start: int, end: int) -> list[str]:
    first, last = group[0], group[-1]
    begin_b = first.b[0] - (first.a[0] - start)
    end_b = last.b[1] + (end - last.a[1])
    told = [f"@@ -{_range(start, end)} +{_range(begin_b, end_b)} @@"]
    at = start
    for change in group:
        told += [f" {line}" for line in a[at : change.a[0]]]
        told += [f"-{line}" for line in a[slice(*change.a)]]
        told += [f"+{line}" for line in b[slice(*change.b)]]
        at = change.a[1]
    return told + [f" {line}" for line in a[at:end]]


def _range(start: int, end: int) -> str:
    length = end - start
    return f"{start + 1 if length else start}" + ("" if length == 1 else f",{length}")
