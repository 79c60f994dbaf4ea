"""``reprokit diff``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.catalog.diff.result import Aspect, CodeShown, Diff, Patch
    from reprokit.catalog.run import Child, Run

_MOST = 40  # rows of an aspect
_SHOWN = ["short", "reached", "full", "none"]
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("first", metavar="[A", required=False)
@click.argument("second", metavar="[B]]", required=False)
@click.option(
    "--code", "shown", type=click.Choice(_SHOWN), default="short", show_default=True,
    help="How much code: the first lines, what the function reaches, everything, or none.",
)  # fmt: skip
@click.option(
    "--context", type=click.IntRange(0), default=3, show_default=True, help="Unchanged lines around a change."
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
@click.pass_context
def command(
    ctx: click.Context, first: str | None, second: str | None, shown: CodeShown, context: int, as_json: bool
) -> None:
    """Compare two runs: what differs, most telling things first.

    A and B are runs (the beginning of an id, the name of a folder, a tag, @ for the newest) or files that runs made.  With A
    alone, the run before of the same function is compared with it; with neither, the two newest runs of the same function.

    The exit code is 0 when no difference was found, 1 when results differ or something that may change them, and 2 when a run
    cannot be found or read.
    """
    from reprokit import settings
    from reprokit.catalog.diff import diff
    from reprokit.errors import ReprokitError

    vault = settings.current().vault
    try:
        a, b = _pair(vault, first, second)
    except ReprokitError as error:
        click.echo(f"reprokit: {screen.plain(str(error))}", err=True)
        ctx.exit(2)
    found = diff(a, b, vault, shown=shown, context=context)
    if as_json:
        screen.print_json(found)
    else:
        _show(found, shown)
    for problem in found.problems:
        click.echo(f"reprokit: {screen.plain(problem)}", err=True)
    ctx.exit(2 if any(one.damaged for one in found.aspects) else 0 if found.same else 1)


def _pair(vault: Path, first: str | None, second: str | None) -> tuple[Run | Child, Run | Child]:
    from reprokit.catalog.diff import choose

    if first is None:
        return choose.newest_two(vault)
    one = _one(vault, first)
    if second is None:
        return choose.before(vault, one), one
    return one, _one(vault, second)


def _one(vault: Path, wanted: str) -> Run | Child:
    from reprokit.catalog.diff import choose

    run = choose.one(vault, wanted)
    if choose.is_changed(vault, wanted, run):
        told = f"{wanted}: was changed since run {run.run_id[:8]} made it; what is compared is that run"
        click.echo(f"reprokit: {screen.plain(told)}", err=True)
    return run


# --- for people ------------------------------------------------------------------------------------------------------


def _show(found: Diff, shown: CodeShown) -> None:
    from reprokit.catalog.diff import words

    _line(found.verdict, bold=True)
    _line(f"A  {words.lead(found.a)}")
    _line(f"B  {words.lead(found.b)}")
    for said in found.notes:
        _line(said, fg="yellow")
    for aspect in found.aspects:
        if aspect.same is False or any(row.kind == "unknown" for row in aspect.rows) or _is_told(aspect):
            _aspect(aspect)
    _line("")
    _names("same", [one.name for one in found.aspects if one.same])
    for one in found.aspects:
        if one.same is None and not one.rows and one.reason != _NOTHING:
            _line(f"cannot be known: {one.name}: {one.reason}", fg="yellow")
    _names("not recorded", [one.name for one in found.aspects if one.same is None and one.reason == _NOTHING])
    for reached, title in ((True, "code that the function reaches"), (False, "other code")):
        _patches([one for one in found.patches if one.reached == reached], title, found, shown)


_NOTHING = "none is recorded"


def _is_told(aspect: Aspect) -> bool:
    """Tell whether an aspect that is the same has something to say nevertheless: values side by side, notes."""
    return bool(aspect.same) and bool(aspect.rows or aspect.notes)


def _aspect(aspect: Aspect) -> None:
    from reprokit.catalog.diff import words

    told = {True: "same", False: "differ" if aspect.name.endswith("s") else "differs", None: "cannot be known"}
    colour = {True: "green", False: "red" if aspect.role == "result" else "yellow", None: "yellow"}
    minor = aspect.role in ("circumstance", "chance")
    _line("")
    _line(f"{aspect.name}: {told[aspect.same]}", fg=None if minor else colour[aspect.same], bold=not minor)
    for row in aspect.rows[:_MOST]:
        _line(f"  {words.facts(row)}")
    if len(aspect.rows) > _MOST:
        _line(f"  ... {len(aspect.rows) - _MOST} more; --json shows all")
    for note in aspect.notes:
        _line(f"  {note}")


def _patches(patches: list[Patch], title: str, found: Diff, shown: CodeShown) -> None:
    if not patches:
        return
    _line("")
    if any(one.reached for one in found.patches) or found.aspect("code").same:
        _line(f"{title}:", bold=True)
    for patch in patches:
        for line in patch.text.split("\n") if patch.text else [f"{patch.path}"]:
            heading = line.startswith(("+++ ", "--- ")) or not patch.text
            _line(line, fg=None if heading else _COLOURS.get(line[:1]), bold=heading)
        if patch.note:
            _line(f"  {patch.note}")
        if patch.more:
            _line(f"  ... {patch.more} more lines; --code {'reached' if patch.reached else 'full'} shows them")


def _names(title: str, names: list[str]) -> None:
    if names:
        _line(f"{title}: {', '.join(names)}")


def _line(text: str, fg: str | None = None, bold: bool = False) -> None:
    """Print a line; colours only where a person looks."""
    text = screen.plain(text)
    click.echo(click.style(text, fg=fg, bold=bold or None) if sys.stdout.isatty() else text)
