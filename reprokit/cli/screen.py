"""How facts look on a terminal."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console

STYLES = {"complete": "green", "failed": "red", "exited": "yellow", "interrupted": "yellow", "running": "cyan"}
_DURATION = re.compile(r"PT([0-9.]+)S\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def console() -> Console:
    """Give a console that wraps only where a person looks."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    return Console(highlight=False, width=250, color_system=None)


def print_json(value: Any) -> None:
    """Print a value for programs."""
    import click
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def plain(text: str) -> str:
    """Give text that can't move the cursor or turn the writing direction: records hold what they were given."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def when(moment: datetime) -> str:
    """A time in the reader's own zone."""
    try:
        return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError):  # the year 1 has no time zone everywhere
        return "?"


def took(duration: str | None) -> str:
    """A duration for people."""
    found = _DURATION.match(duration or "")
    if not found:
        return duration or ""
    seconds = float(found[1])
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s"


def size(count: int | None) -> str:
    """Bytes for people."""
    if count is None:
        return ""
    number = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def short(value: Any, most: int = 60) -> str:
    """A value in one short line."""
    text = f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= most else text[: most - 3] + "..."
