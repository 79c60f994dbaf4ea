"""Runs in columns: for people, for spreadsheets and for programs."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from reprokit.cli import screen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from reprokit.catalog.query import RunList

# What people call columns, and what they are in expressions.
NAMES = {
    "when": "started",
    "config": "config_hash",
    "took": "duration",
    "tags": "tag",
    "notes": "note",
    "artifacts": "artifact",
    "inputs": "input",
}
USUAL = ("id", "when", "what", "status", "commit", "config", "took", "values", "tags", "reproduced")
_WHEN_THERE = ("tags", "reproduced")  # of the usual ones, those that are shown where a run has any
CSV = ("id", "started", "what", "status", "commit", "config_hash", "duration", "tags")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def read_columns(written: str | None) -> list[str]:
    """Read ``--columns``; the usual ones by default.

    Raises
    ------
    QueryError
    """
    if written is None:
        return list(USUAL)
    from reprokit.catalog.query import columns, parse
    from reprokit.errors import QueryError

    names = parse.parse_names(written)
    for name in names:
        if name not in NAMES and name != "values" and columns.kind(name) is None:
            raise QueryError(written, max(0, written.find(name)), columns.unknown(name))
    return names


def cells(found: RunList, names: Sequence[str]) -> list[list[Any]]:
    """Give a row of values for each run, as the index has them."""
    made = [_values(found) if name == "values" else found.column(NAMES.get(name, name)) for name in names]
    return [list(row) for row in zip(*made, strict=True)]


def _values(found: RunList) -> list[dict[str, Any]]:
    return [{n.removeprefix("value."): v for n, v in one.items() if n.startswith("value.")} for one in found.facts()]


def table(found: RunList, names: list[str], depths: Sequence[int], left: Sequence[int]) -> Table:
    """Show runs to people; child runs stand below their roots, indented."""
    from rich.table import Table
    from rich.text import Text

    listed = cells(found, names)
    if tuple(names) == USUAL:
        told = [at for at, name in enumerate(names) if name not in _WHEN_THERE or any(row[at] for row in listed)]
        names, listed = [names[at] for at in told], [[row[at] for at in told] for row in listed]
    made = Table(box=None, pad_edge=False, header_style="bold")
    for name in names:
        wide = name in ("values", "note", "notes")
        made.add_column(screen.plain(name), no_wrap=not wide, overflow="fold" if wide else "ellipsis")
    indented = next((at for at, name in enumerate(names) if name in ("what", "function")), 0)
    for row, depth, more in zip(listed, depths, left, strict=True):
        shown = [_shown(name, value) for name, value in zip(names, row, strict=True)]
        if depth:
            shown[indented] = f"{'  ' * min(depth, 10)}{shown[indented]}"
        texts = [Text(text) for text in shown]
        for name, text in zip(names, texts, strict=True):
            if name == "status":
                text.stylize(screen.STYLES.get(text.plain, ""))
        made.add_row(*texts)
        if more:
            made.add_row(*[Text(f"  ... {more} more" if at == indented else "") for at in range(len(names))])
    return made


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    match NAMES.get(name, name):
        case "id":
            text = value[:8]
        case "started":
            text = screen.when(value)
        case "config_hash":
            text = value[:10]
        case "duration":
            text = screen.seconds(value)
        case "commit":  # two uncommitted states of a commit look alike here; --json tells them apart
            text = value.partition("-dirty")[0] + ("*" if "-dirty" in value else "")
        case "values":
            text = ", ".join(f"{one}={screen.short(fact)}" for one, fact in value.items())
        case "reproduced":  # how often it came out the same, of how often it was tried
            text = f"{sum(one.startswith('reproduced') for one in value)} of {len(value)}" if value else ""
        case _ if isinstance(value, list):
            text = ", ".join(value)
        case _:
            text = value if isinstance(value, str) else screen.short(value)
    return screen.plain(text.replace("\t", " "))


def line(found: RunList, at: int) -> str:
    """Give a run as one line, for ``--watch`` without a terminal."""
    row = found.rows[at]
    shown = [_shown(name, getattr(row, name)) for name in ("started", "status", "commit", "what")]
    return "  ".join([row.run_id[:8], *shown])


def as_json(found: RunList, names: Sequence[str]) -> list[dict[str, Any]]:
    """Give chosen columns for programs."""
    return [dict(zip(names, row, strict=True)) for row in cells(found, names)]


def as_csv(found: RunList, names: Sequence[str] | None) -> str:
    """Give a table as RFC 4180 has it; recorded values are columns of their own.

    A text that a spreadsheet would take for a formula gets an apostrophe before it: records may be another's.
    """
    facts: list[dict[str, Any]] = []
    if names is None or "values" in names:
        facts = _values(found)
    recorded = sorted({name for one in facts for name in one})
    told = [name for name in names or CSV if name != "values"]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in [*told, *(f"value.{name}" for name in recorded)]])
    for number, row in enumerate(cells(found, told)):
        values = [facts[number].get(name) for name in recorded] if facts else []
        writer.writerow([_cell(value) for value in [*row, *values]])
    return stream.getvalue()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = ";".join(value) if isinstance(value, list) else value if isinstance(value, str) else value.isoformat()
    text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return f"'{text}" if text.startswith(_FORMULA) else text
