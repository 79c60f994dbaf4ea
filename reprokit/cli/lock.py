"""``reprokit lock``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import ContextRecord


@click.command()
@click.argument("wanted", metavar="RUN|FILE")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=".",
    help="Write into this folder.  [default: the current one]",
)
@click.option("--offline", is_flag=True, help="Ask no index: hashes come from uv's cache, or there are none.")
@click.option("--force", is_flag=True, help="Replace the files when they are there.")
@click.option(
    "--vault", type=click.Path(exists=True, file_okay=False), help="Look in this vault.  [default: the project's]"
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
def command(wanted: str, output: Path, offline: bool, force: bool, vault: str | None, as_json: bool) -> None:
    """Write the packages of a run as pylock.toml (PEP 751) and requirements.txt.

    pylock.toml has the hashes of the index; what it can't hold is named at its top.
    """
    from reprokit import settings
    from reprokit.catalog import find, reused
    from reprokit.catalog.index import ask
    from reprokit.reproduce.environment import lock
    from reprokit.vault import atomic

    files = (output / "pylock.toml", output / "requirements.txt")
    there = [path for path in files if path.exists()]
    if there and not force:
        raise click.UsageError(f"{screen.plain(str(there[0]))} is there already; --force replaces it")

    where = Path(vault) if vault else settings.current().vault
    run = ask(where, lambda index: find.one(index, wanted), screen.progress("reading runs"))
    run, lost = reused.executed(run, where)
    recorded = _surroundings(run, where)
    made = lock.lock(recorded, offline=offline, folder=output.resolve())
    output.mkdir(parents=True, exist_ok=True)
    for path, text in zip(files, (made.pylock, made.requirements), strict=True):
        atomic.write(str(path), text.encode(), mode=0o644)
    if as_json:
        screen.print_json({"files": [str(path) for path in files], "notes": made.notes})
        return
    for path in files:
        click.echo(screen.plain(str(path)))
    for note in [*([lost] if lost else []), *made.notes]:
        click.echo(f"reprokit: {screen.plain(note)}", err=True)


def _surroundings(run: Run | Child, vault: Path) -> ContextRecord:
    """Give the surroundings that a run had; those of the worker where one ran it."""
    from reprokit.catalog.diff import facts
    from reprokit.errors import RecordError

    found = facts.of(run, vault).surroundings
    if found is None:
        raise RecordError(
            str(run.folder), "what was recorded around the run can't be read, so its packages are not known"
        )
    return found
