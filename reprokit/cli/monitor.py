"""``reprokit monitor``."""

from __future__ import annotations

import sys
from typing import Literal

import click


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("-i", "--item", "items", multiple=True, help="Also keep the files of [monitor.item.<ITEM>.files].")
@click.option("--artifact", "artifacts", multiple=True, metavar="PATH", help="Tag this argument of the command.")
@click.option("--config", metavar="FILE", help="YAML, TOML or JSON file whose hash goes into artifact names.")
@click.option("--allow-dirty", is_flag=True, default=None, help="Accept uncommitted changes when naming artifacts.")
@click.option("--snapshot/--no-snapshot", default=True, show_default=True, help="Keep the source tree.")
@click.option("--files", type=click.Choice(["auto"]), help="Also record the files that its Python programs open.")
@click.argument("args", nargs=-1, required=True, type=click.UNPROCESSED)
def command(
    items: tuple[str, ...],
    artifacts: tuple[str, ...],
    config: str | None,
    allow_dirty: bool | None,
    snapshot: bool,
    files: Literal["auto"] | None,
    args: tuple[str, ...],
) -> None:
    """Run a command and record it: ``reprokit monitor -- CMD ARGS...``.

    Output passes through live; the exit code is the command's own.  Decorated functions that it calls become child runs.
    """
    from reprokit.recorder.command import run_command
    from reprokit.recorder.plan import ArtifactSpec, MonitorSpec, Plan, SnapshotSpec

    plan = Plan(
        artifacts=(ArtifactSpec(config=config, allow_dirty=allow_dirty),),
        monitor=MonitorSpec(items=items, files=files),
        snapshot=SnapshotSpec() if snapshot else None,
    )
    sys.exit(run_command(plan, args, artifacts))
