"""``reprokit gc``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from reprokit.catalog.gc import Plan, Removed

_SHOWN = 50  # runs that are listed


def _days(_context: click.Context, _option: click.Parameter, told: str | None) -> float | None:
    """Read a time like those of `reprokit runs --since`, in days."""
    if told is None:
        return None
    from reprokit.catalog.query import moments

    try:
        span = moments.read(told)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if not isinstance(span, moments.Span):
        raise click.BadParameter(f"{told!r} is no duration; write 30d, 12h or 4w")
    return span.seconds / 86_400


@click.command()
@click.option("--keep-last", type=click.IntRange(min=0), metavar="N", help="Keep the newest N of each function.")
@click.option("--keep-days", type=click.FloatRange(min=0), metavar="D", help="Keep those of the last D days.")
@click.option(
    "--keep-tagged/--no-keep-tagged",
    default=None,
    help="Keep tagged runs (always, unless told not to); given alone: only those.",
)
@click.option(
    "--results-unused",
    metavar="TIME",
    callback=_days,
    help="Forget results that were neither made nor used for so long (30d, 12h): their calls are computed again.",
)
@click.option("--yes", is_flag=True, help="Remove it; without this, what would go is printed.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
def command(
    keep_last: int | None,
    keep_days: float | None,
    keep_tagged: bool | None,
    results_unused: float | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove runs that a policy no longer keeps, and source trees and blobs that no run needs.

    Runs that are open, that made a file which is in the project, or that made what those used, always stay.  What
    `reprokit reproduce` recorded stays and goes with the run that it repeats.  Without a policy all runs stay, and only
    leftovers go.  Results that can be used again go with their runs, or by --results-unused, which removes no run.
    """
    from reprokit import settings
    from reprokit.catalog.gc import plan, remove

    found = settings.current()
    made = plan(
        found.vault,
        keep_last=keep_last,
        keep_days=keep_days,
        keep_tagged=keep_tagged is not False,
        only_tagged=keep_tagged is True,
        results_unused=results_unused,
        root=found.root,
        template=found.template,
    )
    done = remove(made) if yes else None
    if as_json:
        screen.print_json({"plan": made, "removed": done})
    elif done is not None:
        _print_removed(done)
    else:
        _print_plan(made)
    if done is not None and done.left:
        raise click.exceptions.Exit(1)


def _print_plan(plan: Plan) -> None:
    for run in plan.runs[:_SHOWN]:
        click.echo(
            f"run   {run.run_id[:8]}  {screen.plain(run.started_at[:19]):<19}  {screen.size(run.size):>9}  {screen.plain(run.what)}"
        )
    if len(plan.runs) > _SHOWN:
        click.echo(f"... and {len(plan.runs) - _SHOWN} more runs; --json lists all")
    for file in plan.files[:_SHOWN]:
        click.echo(f"file  {screen.plain(file.path)}  {screen.size(file.size)}  {file.why}")
    if len(plan.files) > _SHOWN:
        click.echo(f"... and {len(plan.files) - _SHOWN} more files; --json lists all")
    if plan.trees or plan.repack:
        click.echo(f"code  {len(plan.trees)} source trees that no run needs  {screen.size(plan.code)}")
    if plan.blobs:
        click.echo(f"blobs {len(plan.blobs)} that no run needs  {screen.size(sum(blob.size for blob in plan.blobs))}")
    for why, lines, size in _by_reason(plan):
        told = f"{lines} line{'s' * (lines != 1)} of results" if lines else "files of results"
        click.echo(f"reuse {told}: {why}  {screen.size(size)}")
    for lost in plan.lost:
        click.echo(f"note  {screen.plain(lost.folder)} was removed by hand; the journal will be told")
    for reason, count in sorted(plan.kept.items(), key=lambda one: -one[1]):
        click.echo(f"kept  {count} run{'s' * (count != 1)}: {reason}")
    if plan.is_empty:
        click.echo(
            "nothing to remove"
            + ("" if plan.policy.removes_runs else "; --keep-last N or --keep-days D let old runs go")
        )
    else:
        click.echo(f"would remove {len(plan.runs)} runs and free {screen.size(plan.size)}; add --yes to do it")


def _by_reason(plan: Plan) -> list[tuple[str, int, int]]:
    """Sum up results that go: why, how many lines, how many bytes."""
    found: dict[str, tuple[int, int]] = {}
    for one in plan.results:
        lines, size = found.get(one.why, (0, 0))
        found[one.why] = lines + len(one.lines), size + one.size
    return [(why, lines, size) for why, (lines, size) in found.items()]


def _print_removed(done: Removed) -> None:
    for left in done.left:
        click.echo(f"left  {screen.plain(left)}", err=True)
    click.echo(
        f"removed {done.runs} runs, {done.trees} source trees, {done.blobs} blobs, {done.results} lines of results, "
        f"{done.files} other files; "
        f"freed {screen.size(done.size)}"
    )
