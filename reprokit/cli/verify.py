"""``reprokit verify``."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reprokit.catalog.verify import Finding, Report

_PATIENCE = 1.0  # seconds without a bar
_EVERY = 0.05  # seconds between two looks of it
_WORDS = {"runs": "reading runs", "bytes": "hashing", "blobs": "hashing blobs", "trees": "checking source trees"}


@click.command()
@click.argument("wanted", metavar="[RUN|FILE|FOLDER]", required=False)
@click.option("--all", "everything", is_flag=True, help="Everything that was recorded, and the vault (the default).")
@click.option("--inputs", is_flag=True, help="Changed and missing inputs are failures; else they are notes.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
@click.option("-q", "--quiet", is_flag=True, help="Failures only.")
def command(wanted: str | None, everything: bool, inputs: bool, as_json: bool, quiet: bool) -> None:
    """Hash again what was recorded, and say what is missing, changed, moved or unrecorded.

    The exit code is 1 when something fails.  Nothing is changed.
    """
    from reprokit import settings
    from reprokit.catalog.verify import verify

    if everything and wanted is not None:
        raise click.UsageError("name a run, a file or a folder, or give --all, not both")
    found = settings.current()
    with _progress(as_json) as told:
        report = verify(
            found.vault,
            wanted,
            root=found.root,
            inputs=inputs,
            sidecars=found.sidecar,
            template=found.template,
            progress=told,
        )
    if as_json:
        screen.print_json(report)
    else:
        _print(report, quiet)
    if not report.ok:
        raise click.exceptions.Exit(1)


def _print(report: Report, quiet: bool) -> None:
    for one in report.failures:
        click.echo(_line(one, click.style("FAIL", fg="red")))
    if not quiet:
        for one in report.notes:
            click.echo(_line(one, "note"))
    failed, notes = len(report.failures), len(report.notes)
    said = "all is as it was recorded" if not failed else f"{failed} failure{'s' * (failed != 1)}"
    told = f"{report.runs} runs, {report.files} files ({screen.size(report.size)}) hashed"
    click.echo(f"{said}; {notes} note{'s' * (notes != 1)}; {told}")


def _line(one: Finding, word: str) -> str:
    run = f" [{screen.plain(one.run_id[:8])}]" if one.run_id else ""
    return f"{word}  {one.kind}: {screen.plain(one.path)}{run}: {screen.plain(one.sentence)}"


@contextlib.contextmanager
def _progress(as_json: bool) -> Iterator[Callable[[str, int, int], None] | None]:
    """Show a bar where a person looks, once the work has taken a second."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    begun = last = time.monotonic()
    tasks: dict[str, int] = {}

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - begun < _PATIENCE or now - last < _EVERY:
            return
        last = now
        if not tasks:
            bar.start()
        if what not in tasks:
            tasks[what] = bar.add_task(_WORDS[what], total=None)
        bar.update(tasks[what], completed=done, total=total or None)  # type: ignore[arg-type]

    try:
        yield tell
    finally:
        bar.stop()
