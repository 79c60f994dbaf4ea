"""``reprokit tag``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.catalog.run import Child, Run


@click.command()
@click.argument("wanted", metavar="[RUN]", required=False)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--remove", is_flag=True, help="Take the tags back.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array of all tags, for programs.")
def command(wanted: str | None, names: tuple[str, ...], remove: bool, as_json: bool) -> None:
    """Give a run names of your own; without NAME its tags are listed, without RUN all tags.

    A tag stands for its run wherever RUN is asked for, and `reprokit gc` keeps tagged runs.
    """
    from reprokit import settings
    from reprokit.catalog import find
    from reprokit.vault import marks

    vault = settings.current().vault
    if not names:
        if remove:
            raise click.UsageError("--remove needs the tags that are to be taken back")
        _list(vault, wanted, as_json)
        return
    run = find.named(vault, wanted or "@")
    if remove:
        strange = [name for name in names if name not in run.tags]
        if strange:
            raise click.UsageError(f"run {run.run_id[:8]} has no tag {screen.plain(strange[0])!r}")
    written = marks.tag(run, names, remove=remove)
    word = "no longer tagged" if remove else "tagged"
    click.echo(f"{run.run_id[:8]}  {word} {screen.plain(' '.join(written))}")


def _list(vault: Path, wanted: str | None, as_json: bool) -> None:
    from reprokit.catalog import find, scan

    found: list[Run | Child] = [find.named(vault, wanted)] if wanted else []
    if wanted is None:
        for run in scan.runs(vault):
            found += [run, *run.children]
    rows: list[dict[str, Any]] = [
        {"tag": tag, "run_id": run.run_id, "what": run.what, "started_at": run.started.isoformat()}
        for run in found
        for tag in run.tags
    ]
    rows.sort(key=lambda row: (row["tag"], row["started_at"]))
    if as_json:
        screen.print_json(rows)
        return
    if not rows:
        click.echo("no tags; `reprokit tag RUN NAME` gives one")
    widest = max((len(row["tag"]) for row in rows), default=0)
    for row in rows:
        click.echo(f"{screen.plain(row['tag']):<{widest}}  {row['run_id'][:8]}  {screen.plain(row['what'])}")
