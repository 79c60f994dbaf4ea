"""Runs as a notebook shows them.  Records hold what they were given, so every text is escaped."""

from __future__ import annotations

import html
import json
import re
from typing import TYPE_CHECKING, Any

from reprokit.errors import RecordError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from reprokit.catalog.query.run_list import RunList
    from reprokit.catalog.run import Child, Run

_MOST = 50  # rows
_ODD = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)  # control characters, turned directions
_LEFT = ' style="text-align:left;vertical-align:top"'


def escaped(text: object, most: int = 300) -> str:
    """Give text that shows as itself between tags and within an attribute's quotes."""
    told = str(text)
    told = told if len(told) <= most else told[: most - 3] + "..."
    return html.escape(_ODD.sub("\N{REPLACEMENT CHARACTER}", told))


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Give a table; without a head, a row's first cell is its name."""
    names = "".join(f"<th{_LEFT}>{escaped(name)}</th>" for name in head)
    lines = [f"<thead><tr>{names}</tr></thead>"] if names else []
    lines.append("<tbody>")
    for row in rows:
        cells = [f"<td{_LEFT}>{escaped(cell)}</td>" for cell in row]
        if not names:
            cells[0] = cells[0].replace("<td", "<th", 1)[:-5] + "</th>"
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return "<table>{}</tbody></table>".format("\n".join(lines))


def run(one: Run | Child) -> str:
    """Show a run."""
    try:
        facts: list[tuple[str, Any]] = [
            ("run", one.run_id),
            ("what", one.what),
            ("status", one.status),
            ("started", _when(one.started)),
            ("took", "" if one.duration is None else f"{one.duration:.6g} s"),
            ("commit", one.commit),
            ("config", _json(one.config)),
            ("config hash", one.config_hash),
            (
                "arguments",
                ", ".join([*map(_json, one.args), *(f"{name}={_json(value)}" for name, value in one.kwargs.items())]),
            ),
            *((f"value {name}", _json(value)) for name, value in list(one.values.items())[:_MOST]),
            *((artifact.role, artifact.path) for artifact in one.artifacts[:_MOST]),
            ("reused from", one.reused_from),
            ("used again", f"{one.reused} times, {one.saved:.6g} s saved" if one.reused else ""),
            ("tags", ", ".join(one.tags)),
            *(("note", note) for note in one.notes),
        ]
    except RecordError as error:
        facts = [("folder", one.folder.name), ("problem", error)]
    return table((), [fact for fact in facts if fact[1] not in (None, "", "null")])


def run_list(found: RunList) -> str:
    """Show a list of runs."""
    listed = found[:_MOST]
    rows: list[tuple[object, ...]] = []
    for row, facts, tags in zip(listed.rows, listed.facts(), listed.column("tag"), strict=True):
        values = ", ".join(f"{name[6:]}={_json(value)}" for name, value in facts.items() if name.startswith("value."))
        took = "" if row.duration is None else f"{row.duration:.3g} s"
        commit, config = row.commit or "", (row.config_hash or "")[:10]
        status = f"reused from {row.reused_from[:8]}" if row.reused_from else row.status
        rows.append(
            (row.run_id[:8], _when(row.started), row.what, status, commit, config, took, values, ", ".join(tags))
        )
    head = ["id", "when", "what", "status", "commit", "config", "took", "values", "tags"]
    if any(row.repeats for row in listed.rows):
        head.append("repeats")
        marks = [
            (row.reproduction_of[:8] if row.reproduction_of else "as its root") if row.repeats else ""
            for row in listed.rows
        ]
        rows = [(*cells, mark) for cells, mark in zip(rows, marks, strict=True)]
    if any(row.reused for row in listed.rows):
        head.append("used again")
        rows = [(*cells, row.reused or "") for cells, row in zip(rows, listed.rows, strict=True)]
    more = f"<p>... {len(found) - _MOST:,} more</p>" if len(found) > _MOST else ""
    return f"<p>{len(found):,} runs</p>{table(head, rows)}{more}" if len(found) else "<p>no runs</p>"


def _when(moment: datetime) -> str:
    try:
        return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):  # the year 1 has no time zone everywhere
        return "?"


def _json(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str)
