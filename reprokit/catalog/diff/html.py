"""A comparison as HTML, for notebooks; everything from records is escaped."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from reprokit.catalog.diff.words import facts, lead

if TYPE_CHECKING:
    from reprokit.catalog.diff.result import Aspect, Diff, Patch

_MARKS = {True: "same", False: "differs", None: "unknown"}
_MOST = 30  # rows of an aspect
_COLOURS = {"+": "#0a7d28", "-": "#b3261e", "@": "#5b5bd6"}
_TEXT = "text-align:left;vertical-align:top;white-space:pre-wrap"


def page(diff: Diff) -> str:
    """Give a comparison as HTML."""
    heads = "".join(
        f"<tr><th>{name}</th><td>{_escaped(lead(side))}</td></tr>" for name, side in (("A", diff.a), ("B", diff.b))
    )
    told = "".join(map(_aspect, diff.aspects))
    patches = "".join(map(_patch, diff.patches))
    problems = "".join(f"<p>{_escaped(one)}</p>" for one in [*diff.notes, *diff.problems])
    return (
        f"<div><p><b>{_escaped(diff.verdict)}</b></p><table>{heads}</table><table>{told}</table>"
        f"{f'<details><summary>code</summary>{patches}</details>' if patches else ''}{problems}</div>"
    )


def _escaped(text: str) -> str:
    from reprokit.model.text import printable

    return html.escape(printable(text))


def _aspect(one: Aspect) -> str:
    rows = "<br>".join(_escaped(line) for row in one.rows[:_MOST] for line in [facts(row)])
    more = f"<br>... {len(one.rows) - _MOST} more" if len(one.rows) > _MOST else ""
    said = "<br>".join(_escaped(line) for line in [one.reason, *one.notes] if line)
    told = "<br>".join(filter(None, (rows + more, said)))
    return (
        f'<tr><th style="{_TEXT}">{_escaped(one.name)}</th><td style="{_TEXT}">{_MARKS[one.same]}</td>'
        f'<td style="{_TEXT}">{told}</td></tr>'
    )


def _patch(one: Patch) -> str:
    if not one.text:
        return f"<p>{_escaped(one.path)}: {_escaped(one.note or 'not shown')}</p>"
    told = []
    for line in one.text.split("\n"):
        colour = _COLOURS.get(line[:1])
        escaped = _escaped(line)
        told.append(f'<span style="color:{colour}">{escaped}</span>' if colour else escaped)
    more = f"\n... {one.more} more lines" if one.more else ""
    return f'<pre style="text-align:left">{chr(10).join(told)}{more}</pre>'
