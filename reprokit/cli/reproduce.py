"""``reprokit reproduce``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from reprokit.reproduce.plan import Plan
    from reprokit.reproduce.result import Reproduction

_STYLES = {"good": "", "other": "yellow", "missing": "red"}
_OUTCOMES = {"identical": "green", "within tolerance": "green", "differs": "red", "missing": "red", "extra": "yellow"}


@click.command()
@click.argument("wanted", metavar="RUN|FILE")
@click.option(
    "--plan", "only_plan", is_flag=True, help="Say what would be done and what is missing, and change nothing."
)
@click.option("--best-effort", is_flag=True, help="Go on with what there is.")
@click.option("--input", "given", multiple=True, metavar="NAME=PATH", help="Where an input lies.")
@click.option("--env", "env", type=click.Choice(["current", "rebuild"]), default="current", show_default=True)
@click.option("--wheels", type=click.Path(exists=True, file_okay=False), help="Folder of wheels to build it from.")
@click.option("--offline", is_flag=True, help="Build it without network.")
@click.option("--whole", is_flag=True, help="Start the process as it was, even where a function could be called alone.")
@click.option("--in-process", is_flag=True, help="Call a function here, its code imported apart.")
@click.option("--rtol", type=click.FloatRange(min=0), help="Relative tolerance of numbers.")
@click.option("--atol", type=click.FloatRange(min=0), help="Absolute tolerance of numbers.")
@click.option("--into", type=click.Path(file_okay=False), help="Restore into this new folder, and leave it there.")
@click.option("--report", type=click.Path(dir_okay=False), help="Write a page with all outputs side by side.")
@click.option("--show-output", is_flag=True, help="Let what the run prints appear.")
@click.option("--yes", is_flag=True, help="Don't ask before running what another user's vault holds.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
def command(
    wanted: str, only_plan: bool, best_effort: bool, given: tuple[str, ...], env: str, in_process: bool, whole: bool, wheels: str | None, offline: bool,
    rtol: float | None, atol: float | None, into: str | None, report: str | None, show_output: bool, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run a recorded run again in a folder of its own, and say whether it came out the same.

    Ends with 0 when every output is identical or within tolerance.
    """
    from reprokit import settings
    from reprokit.catalog import find
    from reprokit.catalog.index import Index, ask
    from reprokit.reproduce import plan as plans
    from reprokit.reproduce import repeat

    if report is not None and not Path(report).absolute().parent.is_dir():
        raise click.UsageError(f"--report {report}: there is no such folder")
    found = settings.current()
    inputs = repeat.given_inputs(dict(_named(one) for one in given))

    def question(index: Index) -> Plan:
        return plans.make(index, find.one(index, wanted), given=inputs, rebuild=env == "rebuild", whole=whole)

    plan = ask(found.vault, question, screen.progress("reading runs"))
    blocked = bool(plan.blocking) and not best_effort
    if not as_json:
        _print_plan(plan, best_effort=best_effort)
    elif only_plan or blocked:
        screen.print_json(_plan_document(plan))
    if only_plan or blocked:
        if blocked:
            click.echo(
                f"reprokit: run {plan.run.run_id[:8]} can't be repeated as it was; --best-effort goes on", err=True
            )
        click.get_current_context().exit(1 if plan.blocking else 0)
    _ask_first(plan, yes)
    options = repeat.Options(
        rebuild=env == "rebuild",
        wheels=Path(wheels) if wheels else None,
        offline=offline,
        best_effort=best_effort,
        rtol=rtol,
        atol=atol,
        keep=Path(into) if into else None,
        show_output=show_output,
        in_process=in_process,
        report=Path(report) if report else None,
    )
    with screen.waiting("running" if show_output or plan.call is None else f"running {plan.call.words()}"):
        result = repeat.repeat(plan, found, options)
    if as_json:
        screen.print_json(result.summary())
    else:
        _print_result(result, plan.notes)
    click.get_current_context().exit(0 if result.reproduced else 1)


def _named(told: str) -> tuple[str, str]:
    name, equals, path = told.partition("=")
    if not equals or not name or not path:
        raise click.UsageError(f"--input takes NAME=PATH, not {told!r}")
    return name, path


def _plan_document(plan: Plan) -> dict[str, object]:
    return {
        "schema": "reprokit/reproduction-plan/1",
        "run_id": plan.run.run_id,
        "what": plan.run.what,
        "runs": plan.call.words() if plan.call else None,
        "plan": plan.lines,
        "blocking": plan.blocking,
        "notes": plan.notes,
    }


def _print_plan(plan: Plan, *, best_effort: bool) -> None:
    table = screen.facts()
    for line in plan.lines:
        remedy = f"  ({line.remedy})" if line.remedy else ""
        screen.row(table, line.label, f"{line.what}  {line.said}{remedy}", _STYLES[line.state])
    if plan.call is not None:
        screen.row(table, "run", plan.call.words())
    for why in plan.blocking:
        screen.row(table, "lacking" if best_effort else "blocked", why, "yellow" if best_effort else "red")
    for note in plan.notes:
        screen.row(table, "note", note)
    screen.console().print(table)


def _ask_first(plan: Plan, yes: bool) -> None:
    """Ask before running what a vault holds that is not the user's own."""
    if yes or not hasattr(os, "geteuid") or plan.vault.stat().st_uid == os.geteuid():
        return
    words = plan.call.words() if plan.call else "it"
    if not click.confirm(f"{plan.vault} belongs to another user. Run {screen.plain(words)} from it?", default=False):
        raise click.Abort


def _print_result(result: Reproduction, told: list[str]) -> None:
    table = screen.facts()
    took = f"{screen.seconds(result.took)}" if result.took is not None else "?"
    before = f" (recorded {screen.seconds(result.recorded_took)})" if result.recorded_took is not None else ""
    screen.row(table, "took", f"{took}{before}")
    for verdict in result.verdicts:
        said = f": {verdict.said}" if verdict.said else ""
        screen.row(table, screen.plain(verdict.name), f"{verdict.outcome}{said}", _OUTCOMES[verdict.outcome])
    for note in result.notes:
        if note not in told:
            screen.row(table, "note", note)
    console = screen.console()
    console.print(table)
    for line in result.printed:
        click.echo(screen.plain(line), err=True)
    console.print(result.verdict, style="bold green" if result.reproduced else "bold red")
