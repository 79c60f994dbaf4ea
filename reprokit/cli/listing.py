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
    from reprokit.catalog.query.rows import Row

# What people call columns, and what they are in expressions.
NAMES = {
    "when": "started",
    "config": "config_hash",
    "took": "duration",
    "tags": "tag",
    "notes": "note",
    "artifacts": "artifact",
    "inputs": "input",
    "repeats": "reproduction_of",
    "from": "reused_from",
    "last": "reused_at",
}
USUAL = ("id", "when", "what", "status", "commit", "config", "took", "values", "tags", "reproduced", "repeats")
_WHEN_THERE = ("tags", "reproduced", "repeats")  # of the usual ones, those that are shown where a run has any
_SPARED = ("config", "commit", "reproduced")  # of those that nobody chose, those that go first where there is no room
_LEAST = {"values": 16, "what": 12, "function": 12, "note": 12, "notes": 12, "tag": 6, "tags": 6}
_GAP = 2  # characters between columns
REUSED = ("id", "what", "commit", "took", "reused", "last", "saved")  # of --reused
CSV_REUSED = ("id", "started", "what", "commit", "config_hash", "duration", "reused", "reused_at", "saved")
CSV = ("id", "started", "what", "status", "commit", "config_hash", "duration", "tags")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def read_columns(written: str | None, *, reused: bool = False) -> list[str]:
    """Read ``--columns``; the usual ones by default, or those of runs whose results were used again.

    Raises
    ------
    QueryError
    """
    if written is None:
        return list(REUSED if reused else USUAL)
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


def table(found: RunList, names: list[str], depths: Sequence[int], left: Sequence[int], width: int) -> Table:
    """Show runs to people, within a width where that is enough; child runs stand below their roots, indented."""
    from rich.table import Table
    from rich.text import Text

    columns = {name: [_shown(name, row[at]) for row in cells(found, names)] for at, name in enumerate(names)}
    if "repeats" in columns:
        marks = [one.repeats and not one.reproduction_of for one in found.rows]
        columns["repeats"] = ["as its root" if mark else of for mark, of in zip(marks, columns["repeats"], strict=True)]
    if "status" in columns:
        shown = zip(found.rows, columns["status"], strict=True)
        columns["status"] = [_status(row, text) for row, text in shown]
    usual = tuple(names) == USUAL
    if usual:
        columns = {name: texts for name, texts in columns.items() if name not in _WHEN_THERE or any(texts)}
    indented = next((name for name in columns if name in ("what", "function")), next(iter(columns)))
    texts = columns[indented]
    columns[indented] = [f"{'  ' * min(deep, 10)}{text}" for text, deep in zip(texts, depths, strict=True)]
    if _least(columns) > width and (when := next((name for name in ("when", "started") if name in columns), None)):
        columns[when] = [screen.plain(screen.shortly(row.started)) for row in found.rows]
    for name in _SPARED if usual or tuple(names) == REUSED else ():
        if _least(columns) > width:
            columns.pop(name, None)
    widths = _fitted(columns, width)
    made = Table(
        box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold",
        width=sum(widths) + _GAP * (len(widths) - 1),
    )  # fmt: skip
    for name, room in zip(columns, widths, strict=True):
        folds = name in ("values", "note", "notes")
        made.add_column(screen.plain(name), width=room, no_wrap=not folds, overflow="fold" if folds else "ellipsis")
    for at, more in enumerate(left):
        row = [Text(texts[at]) for texts in columns.values()]
        if "status" in columns:
            status = row[list(columns).index("status")]
            status.stylize(screen.STYLES.get(status.plain, ""))
        made.add_row(*row)
        if more:
            made.add_row(*[Text(f"  ... {more} more" if name == indented else "") for name in columns])
    return made


def _status(row: Row, text: str) -> str:
    """Say that a result was given that another run had made."""
    return "reused" if row.reused_from and row.status == "complete" else text


def _widths(columns: dict[str, list[str]]) -> dict[str, int]:
    """Say how wide columns are when nothing is cut."""
    from rich.cells import cell_len

    return {name: max(cell_len(text) for text in (name, *texts)) for name, texts in columns.items()}


def _least(columns: dict[str, list[str]]) -> int:
    """Say how wide a table is at least: texts may be cut or folded, ids, states and numbers may not."""
    widths = _widths(columns)
    return sum(min(wide, _LEAST.get(name, wide)) for name, wide in widths.items()) + _GAP * (len(widths) - 1)


def _fitted(columns: dict[str, list[str]], width: int) -> list[int]:
    """Share a width: each column gets its least, then what is left goes to the texts, evenly as far as they need it."""
    wanted = _widths(columns)
    given = {name: min(wide, _LEAST.get(name, wide)) for name, wide in wanted.items()}
    left = width - sum(given.values()) - _GAP * (len(given) - 1)
    while left > 0 and (open_ := [name for name in given if given[name] < wanted[name]]):
        share = max(1, left // len(open_))
        for name in open_[:left]:
            more = min(share, wanted[name] - given[name])
            given[name] += more
            left -= more
    return list(given.values())


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    match NAMES.get(name, name):
        case "id" | "reproduction_of" | "reused_from":
            text = value[:8]
        case "started" | "reused_at":
            text = screen.when(value)
        case "config_hash":
            text = value[:10]
        case "duration" | "saved":
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
    shown[1] = _status(row, shown[1])
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
