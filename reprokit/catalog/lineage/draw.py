"""A lineage as text for other programs and for notebooks.  Names come from records, so each form escapes them."""

from __future__ import annotations

import html as _html
from datetime import datetime
from typing import TYPE_CHECKING

from reprokit.model.text import printable

if TYPE_CHECKING:
    from reprokit.catalog.lineage.graph import Edge, FileNode, Lineage, RunNode


def file_label(file: FileNode) -> str:
    """Name a file in one line."""
    others = f" (and {len(file.paths) - 1} other places)" if len(file.paths) > 1 else ""
    return printable(f"{file.paths[0]}{others}")


def run_label(run: RunNode) -> str:
    """Name a run in one line."""
    reused = f" (reused from run {run.reused_from[:8]})" if run.reused_from else ""
    return printable(f"{run.what}, run {run.run_id[:8]}{reused}")


def started(run: RunNode) -> str:
    """When a run began, in the reader's own zone."""
    try:
        return datetime.fromtimestamp(run.started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return "?"


def mermaid(lineage: Lineage) -> str:
    """Draw it as a Mermaid flowchart: files are boxes, runs are rounded; a dashed line is an inexact one."""
    names = _names(lineage)
    lines = ["flowchart LR"]
    for key, file in lineage.files.items():
        lines.append(f'  {names[key]}["{_mermaid(file_label(file))}"]{":::stale" if _stale(lineage, key) else ""}')
    for key, run in lineage.runs.items():
        lines.append(f'  {names[key]}(["{_mermaid(run_label(run))}"])')
    for edge in lineage.edges:
        ends = (edge.run, edge.file) if edge.kind == "generated" else (edge.file, edge.run)
        called = f'|"{_mermaid(printable(edge.path))}"|' if _elsewhere(lineage, edge) else ""
        lines.append(f"  {names[ends[0]]} {'-->' if edge.exact else '-.->'}{called} {names[ends[1]]}")
    lines.append("  classDef stale stroke-dasharray: 4 3,color:#a33")
    lines.append(f"  style {names[lineage.focus]} stroke-width:3px")
    return "\n".join(lines) + "\n"


def dot(lineage: Lineage) -> str:
    """Draw it in the language of Graphviz."""
    names = _names(lineage)
    lines = ["digraph lineage {", "  rankdir=LR;"]
    for key, file in lineage.files.items():
        looks = ", color=red, style=dashed" if _stale(lineage, key) else ""
        lines.append(f"  {names[key]} [shape=box, label={_dot(file_label(file))}{_bold(lineage, key)}{looks}];")
    for key, run in lineage.runs.items():
        lines.append(f"  {names[key]} [shape=ellipse, label={_dot(run_label(run))}{_bold(lineage, key)}];")
    for edge in lineage.edges:
        ends = (edge.run, edge.file) if edge.kind == "generated" else (edge.file, edge.run)
        told = [f"label={_dot(printable(edge.path))}"] * _elsewhere(lineage, edge) + ["style=dashed"] * (not edge.exact)
        shown = f" [{', '.join(told)}]" if told else ""
        lines.append(f"  {names[ends[0]]} -> {names[ends[1]]}{shown};")
    return "\n".join([*lines, "}"]) + "\n"


def html(lineage: Lineage) -> str:
    """Give nested lists for a notebook: upwards and downwards from what was asked for."""
    parts = [f"<b>{_html.escape(heading(lineage))}</b>"]
    for title, upwards in (("what went into it", True), ("what was made from it", False)):
        inner = _list(lineage, lineage.focus, {lineage.focus}, upwards=upwards)
        parts.append(f"<div>{title}{inner}</div>" if inner else f"<div>{title}: nothing that is recorded</div>")
    return f"<div class='reprokit-lineage'>{''.join(parts)}</div>"


def heading(lineage: Lineage) -> str:
    """Name what was asked for, with what is to be said of it."""
    notes = f" ({printable('; '.join(lineage.notes))})" if lineage.notes else ""
    return f"{label(lineage, lineage.focus)}{notes}"


def label(lineage: Lineage, key: str, edge: Edge | None = None) -> str:
    """Name any node in one line, with what is wrong with it; a file as the run at the other end of an edge called it."""
    if key in lineage.runs:
        called = f" (as {printable(edge.path)})" if edge is not None and _elsewhere(lineage, edge) else ""
        return f"{run_label(lineage.runs[key])}{called}"
    stale = _stale(lineage, key)
    file = lineage.files[key]
    name = file_label(file) if edge is None or not _elsewhere(lineage, edge) else printable(edge.path)
    return name + (f" (stale: {printable('; '.join(stale))})" if stale else "")


def _elsewhere(lineage: Lineage, edge: Edge) -> bool:
    """Tell whether a run called a file otherwise than its node is called."""
    return edge.path != lineage.files[edge.file].paths[0]


def _list(lineage: Lineage, key: str, seen: set[str], *, upwards: bool) -> str:
    items = []
    for other, edge in lineage.above(key) if upwards else lineage.below(key):
        again = other in seen
        seen.add(other)
        inner = "" if again else _list(lineage, other, seen, upwards=upwards)
        shown = _html.escape(label(lineage, other, edge))
        items.append(f"<li>{shown}{' &hellip;' if again else ''}{inner}</li>")
    return f"<ul>{''.join(items)}</ul>" if items else ""


def _names(lineage: Lineage) -> dict[str, str]:
    return {key: f"n{number}" for number, key in enumerate([*lineage.files, *lineage.runs])}


def _stale(lineage: Lineage, key: str) -> list[str]:
    return (lineage.stale or {}).get(key, [])


def _bold(lineage: Lineage, key: str) -> str:
    return ", penwidth=3" if key == lineage.focus else ""


def _mermaid(text: str) -> str:
    # Entity codes are what its strings understand (https://mermaid.js.org/syntax/flowchart.html#entity-codes-to-escape-characters).
    return "".join(one if one.isalnum() or one in " ._-/,():" else f"#{ord(one)};" for one in text)


def _dot(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
