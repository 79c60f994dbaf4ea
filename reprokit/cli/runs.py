"""``reprokit runs``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from reprokit.catalog.run import Run


@click.command()
@click.option("-n", "--limit", type=click.IntRange(min=1), help="At most so many (table: 50).")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, for programs.")
def command(limit: int | None, as_json: bool) -> None:
    """List the root runs, newest first."""
    from reprokit import settings
    from reprokit.catalog import scan
    from reprokit.errors import RecordError

    damaged: list[RecordError] = []
    vault = settings.current().vault
    found = scan.runs(vault, damaged)
    if as_json:
        screen.print_json([run.summary() for run in found[:limit]])
    elif found:
        _table(found[: limit or 50], len(found))
    else:
        click.echo(f"no runs in {vault}; decorate a function with @reprokit.monitor, or try `reprokit monitor -- CMD`")
    for error in damaged:
        click.echo(f"reprokit: {error}", err=True)


def _table(found: list[Run], total: int) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("id", "when", "what", "status", "commit", "config", "took", "values"):
        table.add_column(name, no_wrap=name != "values", overflow="fold" if name == "values" else "ellipsis")
    for run in found:
        pre = run.pre
        values = run.post.values if run.post else {}
        table.add_row(
            pre.run_id[:8],
            screen.when(run.started),
            Text(screen.plain(pre.function or " ".join(pre.command or []) or pre.kind)),
            Text(run.status, style=screen.STYLES[run.status]),
            pre.commit or "",
            pre.config_hash[:10],
            screen.took(run.post.run_time) if run.post else "",
            Text(screen.plain(", ".join(f"{name}={screen.short(value)}" for name, value in values.items()))),
        )
    screen.console().print(table)
    if total > len(found):
        click.echo(f"... {total - len(found)} older ones; --limit {total} shows all")
