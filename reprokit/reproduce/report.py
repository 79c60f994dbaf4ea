"""A reproduction as one page that needs nothing else: every text escaped, pictures inside, no script."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING

from reprokit.catalog.html import escaped
from reprokit.reproduce.compare import kinds

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reprokit.reproduce.result import Reproduction
    from reprokit.reproduce.verdict import Verdict

_AS_IT_IS = 4 << 20  # bytes of a picture; larger ones are shown smaller
_ALL = 64 << 20  # bytes of all pictures in a page
_PARTS = 20  # parts of an output that are listed
_TYPES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif"}
_COLOURS = {
    "identical": "good", "within tolerance": "near", "differs": "bad", "missing": "bad", "extra": "bad",
    "good": "good", "other": "near",
}  # fmt: skip
_HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --good: #1a7f37; --near: #9a6700; --bad: #cf222e }}
@media (prefers-color-scheme: dark) {{ :root {{ --good: #3fb950; --near: #d29922; --bad: #f85149 }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line);
overflow-wrap: anywhere }}
.good {{ color: var(--good) }} .near {{ color: var(--near) }} .bad {{ color: var(--bad) }}
.verdict {{ font-size: 1.6rem; font-weight: 700 }}
.pictures {{ display: flex; flex-wrap: wrap; gap: 1rem }} figure {{ margin: 0; flex: 1 1 18rem }}
img {{ max-width: 100%; border: 1px solid var(--line); background: #fff }}
</style></head><body>
"""


def html(result: Reproduction) -> str:
    """Give the page: verdict, plan, outputs, and pictures side by side with a map of what differs."""
    parts = [
        _HEAD.format(title=f"reprokit: {escaped(result.what)}, {escaped(result.verdict)}"),
        f"<h1>{escaped(result.what)}</h1>",
        f'<p class="verdict {"good" if result.verdict == "REPRODUCED" else "bad"}">{escaped(result.verdict)}</p>',
        f"<p>run {escaped(result.run_id)}{_again(result)}{_times(result)}</p>",
    ]
    if result.lines:
        rows = [
            (line.label, line.what, (line.state, "; ".join(filter(None, [line.said, line.remedy]))))
            for line in result.lines
        ]
        parts += ["<h2>What was restored</h2>", _table(("", "what", "how"), rows)]
    outputs = [(one.name, (one.outcome, one.outcome), one.said, one.kind) for one in result.verdicts]
    parts += ["<h2>Outputs</h2>", _table(("output", "verdict", "", "compared as"), outputs)]
    shown = _Pictures()
    for verdict in result.verdicts:
        parts += _output(verdict, result.files.get(verdict.name), shown)
    if result.notes:
        notes = "".join(f"<li>{escaped(note, 2000)}</li>" for note in result.notes)
        parts.append(f"<h2>Notes</h2><ul>{notes}</ul>")
    return "\n".join([*parts, "</body></html>", ""])


def _again(result: Reproduction) -> str:
    return f", again as {escaped(result.new_run_id)}" if result.new_run_id else ""


def _times(result: Reproduction) -> str:
    if result.took is None:
        return ""
    recorded = "" if result.recorded_took is None else f" (recorded {result.recorded_took:.3g} s)"
    return f"; took {result.took:.3g} s{recorded}"


def _table(head: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    """Give a table; a cell that is a pair has a state, which gives its colour, and a text."""
    lines = [f"<table><tr>{''.join(f'<th>{escaped(one)}</th>' for one in head)}</tr>"]
    lines += [f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows]
    return "\n".join([*lines, "</table>"])


def _cell(value: object) -> str:
    if isinstance(value, tuple):
        return f'<td class="{_COLOURS.get(value[0], "bad")}">{escaped(value[1], 2000)}</td>'
    return f"<td>{escaped(value, 2000)}</td>"


def _output(verdict: Verdict, paths: tuple[Path | None, Path | None] | None, shown: _Pictures) -> list[str]:
    """Show what there is to see of an output beside its line."""
    inside: list[str] = []
    listed = verdict.details.get("parts")
    if isinstance(listed, list) and listed:
        rows: list[tuple[object, ...]] = [
            (one.get("name", ""), (one.get("outcome", ""), one.get("outcome", "")), one.get("said", ""))
            for one in listed[:_PARTS]
            if isinstance(one, dict)
        ]
        inside.append(_table(("part", "verdict", ""), rows))
        if len(listed) > _PARTS:
            inside.append(f"<p>... {len(listed) - _PARTS:,} more</p>")
    if verdict.kind in ("image", "svg") and paths is not None:
        inside += shown.beside(verdict, *paths)
    return [f"<h3>{escaped(verdict.name)}</h3>", *inside] if inside else []


class _Pictures:
    """Puts pictures into a page, until there are too many."""

    def __init__(self) -> None:
        self._left = _ALL

    def beside(self, verdict: Verdict, old: Path | None, new: Path | None) -> list[str]:
        figures = [self._figure("then", old), self._figure("now", new)]
        if verdict.kind == "image" and old is not None and new is not None and verdict.details.get("count"):
            figures.append(self._map(old, new))
        found = [one for one in figures if one]
        return [f'<div class="pictures">{"".join(found)}</div>'] if found else []

    def _figure(self, title: str, path: Path | None) -> str:
        if path is None:
            return ""
        try:
            kind, data = _picture(path)
        except Exception as error:  # noqa: BLE001 - damaged or hostile pictures: whatever a library makes of them
            return f"<figure><figcaption>{title}: cannot be shown ({escaped(error, 200)})</figcaption></figure>"
        return self._drawn(title, kind, data)

    def _map(self, old: Path, new: Path) -> str:
        from reprokit.reproduce.compare import image

        try:
            data = image.difference_map(old, new)
        except Exception:  # noqa: BLE001 - as above, and the two figures say so already
            data = None
        return "" if data is None else self._drawn("what differs, in red", "image/png", data)

    def _drawn(self, title: str, kind: str, data: bytes) -> str:
        self._left -= len(data)
        if self._left < 0:
            return f"<figure><figcaption>{title}: left out, for the page would be too large</figcaption></figure>"
        text = base64.b64encode(data).decode()
        return f'<figure><img alt="{title}" src="data:{kind};base64,{text}"><figcaption>{title}</figcaption></figure>'


def _picture(path: Path) -> tuple[str, bytes]:
    """Give a picture's type and content as a browser shows it: the file itself, or a smaller PNG."""
    head = kinds.head(path)
    if os.path.getsize(path) <= _AS_IT_IS:
        for magic, found in _TYPES.items():
            if head.startswith(magic):
                return found, path.read_bytes()
        if kinds.kind(path, head) == "svg":  # within <img> it neither runs scripts nor fetches anything
            return "image/svg+xml", path.read_bytes()
    from reprokit.reproduce.compare import image

    return "image/png", image.thumbnail(path)
