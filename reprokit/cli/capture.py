"""``reprokit capture``."""

from __future__ import annotations

import click


@click.command()
@click.option("--snapshot/--no-snapshot", default=False, help="Also keep the source tree.")
def command(snapshot: bool) -> None:
    """Record code and environment as they are now."""
    from reprokit.recorder.plan import MonitorSpec, Plan, SnapshotSpec, Subject
    from reprokit.recorder.root import prepare_root

    plan = Plan(monitor=MonitorSpec(), snapshot=SnapshotSpec() if snapshot else None)
    run = prepare_root(plan, Subject(kind="capture", name="capture"), (), {})
    run.begin()
    run.close("complete")
    if run.context.folder is None:
        raise click.exceptions.Exit(1)
    click.echo(run.context.folder)
    if run.faults.found:
        raise click.exceptions.Exit(1)
