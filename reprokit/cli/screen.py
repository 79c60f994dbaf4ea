"""How facts look on a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import time
from typing import TYPE_CHECKING, Any

from reprokit.model import text as _text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

seconds = _text.seconds
STYLES = {
    "complete": "green",
    "failed": "red",
    "exited": "yellow",
    "interrupted": "yellow",
    "running": "cyan",
    "reused": "green",
}
_WIDEST = 100_000  # characters of a line
_DURATION = re.compile(r"PT([0-9.]+)S\Z")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def console() -> Console:
    """Give a console that wraps only where a person looks, or where COLUMNS says so."""
    from rich.console import Console

    if sys.stdout.isatty():
        return Console(highlight=False)
    told = os.environ.get("COLUMNS", "")
    width = int(told) if told.isascii() and told.isdigit() and 0 < int(told) < _WIDEST else 250
    return Console(highlight=False, width=width, color_system=None)


def facts() -> Table:
    """Give a table of two columns: what, and what about it."""
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def row(table: Table, name: str, value: Any, style: str = "") -> None:
    """Add a line to such a table, unless there is nothing to say."""
    from rich.text import Text

    if value not in (None, "", [], {}):
        table.add_row(name, Text(plain(str(value)), style=style))


def progress(what: str) -> Callable[[int, int], None]:
    """Give what draws a bar on a terminal once the work has taken a second, and nothing elsewhere."""
    begun = time.monotonic()
    bar: Any = None
    task: Any = None

    def tell(done: int, total: int) -> None:
        nonlocal bar, task
        if bar is None and sys.stderr.isatty() and time.monotonic() - begun > 1 and done < total:
            from rich.console import Console
            from rich.progress import Progress

            bar = Progress(console=Console(stderr=True), transient=True)
            bar.start()
            task = bar.add_task(what, total=total)
        if bar is not None:
            bar.update(task, completed=done, total=total)
            if done >= total:
                bar.stop()
                bar = None

    return tell


@contextlib.contextmanager
def waiting(what: str) -> Iterator[None]:
    """Show on a terminal that something is being done."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(plain(what)):
        yield


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


def shortly(moment: datetime) -> str:
    """The same where there is little room: the minute, or the day when it was another year."""
    try:
        local = moment.astimezone()
        return local.strftime("%m-%d %H:%M" if local.year == time.localtime().tm_year else "%Y-%m-%d")
    except (OverflowError, ValueError):
        return "?"


def took(duration: str | None) -> str:
    """A duration as records have it, for people."""
    found = _DURATION.match(duration or "")
    return seconds(float(found[1])) if found else duration or ""


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
