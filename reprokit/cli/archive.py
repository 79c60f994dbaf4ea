"""``reprokit archive show``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from reprokit.archive.show import Entry


@click.group()
def command() -> None:
    """Archives: Python objects stored as importable packages."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
def show(path: Path, as_json: bool) -> None:
    """List what an archive or a data set holds; nothing of it is imported or run."""
    from reprokit.archive.show import summarize

    found = summarize(path)
    if as_json:
        screen.print_json(found)
        return
    source, data = screen.size(found.source_size), screen.size(found.data_size)
    click.echo(
        f"{screen.plain(found.path)}  format {found.format}, {len(found.items)} items, {source} of source, {data} of data"
    )
    _print_tree(found.items, "")


def _print_tree(entries: tuple[Entry, ...], margin: str) -> None:
    widest = min(max((len(one.name) for one in entries), default=0), 40)
    for number, one in enumerate(entries):
        last = number == len(entries) - 1
        line = f"{margin}{'└─' if last else '├─'} {one.name:<{widest}}  {_described(one)}"
        click.echo(screen.plain(line).rstrip())
        _print_tree(one.parts, margin + ("   " if last else "│  "))


def _described(entry: Entry) -> str:
    parts = [entry.type]
    if entry.dtype is not None:
        parts.append(entry.dtype)
    if entry.shape is not None:
        parts.append(f"({', '.join(map(str, entry.shape))}{',' if len(entry.shape) == 1 else ''})")
    if entry.length is not None:
        parts.append(f"of {entry.length}")
    if entry.size is not None:
        parts.append(screen.size(entry.size))
    if entry.value is not None:
        parts.append(f"= {entry.value}")
    if entry.note is not None:
        parts.append(f"# {entry.note}")
    return "  ".join(parts)
