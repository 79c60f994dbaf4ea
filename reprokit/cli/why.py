"""``reprokit why``."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from reprokit.catalog.why import Why

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command()
@click.argument("file", type=click.Path())
@click.option(
    "--vault", type=click.Path(exists=True, file_okay=False), help="Look in this vault.  [default: the project's]"
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
@click.pass_context
def command(ctx: click.Context, file: str, vault: str | None, as_json: bool) -> None:
    """Tell whether a file would be given again instead of made anew, and what speaks against it.

    What is compared: the code that its run's function reached, its configuration, its inputs, the packages that the code
    names, Python, and the file itself.  Nothing of the project is executed.

    The exit code is 0 when it would be given, 1 when not, and 2 when no run is found that made it, or it can't be read.
    """
    from reprokit import settings
    from reprokit.catalog.index import ask
    from reprokit.catalog.why import file as files
    from reprokit.errors import AmbiguousRunError, ReprokitError, RunNotFoundError

    where: object = vault
    try:
        found = settings.current()
        where = vault or found.vault
        answer = ask(vault or found.vault, lambda index: files.why(index, file, found), screen.progress("reading runs"))
    except (RunNotFoundError, AmbiguousRunError) as error:
        several = isinstance(error, AmbiguousRunError)
        told = f"several runs may have made {file}" if several else f"no run in {where} made {file}"
        remedy = f"`reprokit whence {shlex.quote(file)}` tells what is known of it"
        click.echo(f"reprokit: {screen.plain(f'{told}; {remedy}')}; --vault names another vault", err=True)
        ctx.exit(2)
    except ReprokitError as error:
        click.echo(f"reprokit: {screen.plain(str(error))}", err=True)
        ctx.exit(2)
    except OSError as error:
        click.echo(f"reprokit: {screen.plain(file)}: {error.strerror or error}", err=True)
        ctx.exit(2)
    if as_json:
        screen.print_json(answer.to_dict())
    else:
        _show(answer)
    ctx.exit(0 if answer.hit else 1)


def _show(answer: Why) -> None:
    _line(answer.heading(), "green" if answer.hit else "yellow", bold=True)
    for reason in answer.reasons:
        _line(f"  {reason}")
    if answer.diff:
        _line("")
    for line in answer.diff.split("\n") if answer.diff else ():
        head = line.startswith(("+++ ", "--- "))
        _line(line, None if head else _COLOURS.get(line[:1]), bold=head)


def _line(text: str, colour: str | None = None, *, bold: bool = False) -> None:
    """Print a line; colours only where a person looks."""
    text = screen.plain(text)
    click.echo(click.style(text, fg=colour, bold=bold or None) if sys.stdout.isatty() else text)
