"""The command line: one file a command, loaded when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from reprokit._version import __version__
from reprokit.errors import ReprokitError

_COMMANDS = {
    "archive": "Show what archives hold.",
    "capture": "Record code and environment as they are now.",
    "diff": "Compare two runs: what differs, most telling things first.",
    "gc": "Remove runs and what only they need; prints what, and removes with --yes.",
    "init": "Make reprokit.toml and the vault.",
    "lineage": "Show what a file was made from, and what was made from it.",
    "lock": "Write a run's packages as pylock.toml and requirements.txt.",
    "monitor": "Run a command and record it.",
    "note": "Leave a note with a run.",
    "reproduce": "Run a recorded run again and compare.",
    "runs": "List the runs, newest first.",
    "show": "Show a run.",
    "snapshot": "List, show, export and compare kept source trees.",
    "tag": "Give a run names of your own.",
    "verify": "Hash again what was recorded, and check the vault.",
    "whence": "Tell which run made a file.",
    "why": "Tell whether a file would be given again, and what speaks against it.",
}


class Commands(click.Group):
    """Loads a command's module when the command is called, and turns our errors into one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"reprokit.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            near = difflib.get_close_matches(args[0], _COMMANDS, 1) if args else []
            if near:
                raise click.UsageError(f"{error.message} Did you mean {near[0]!r}?", ctx) from error
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ReprokitError as error:
            click.echo(f"reprokit: {error}", err=True)
            ctx.exit(1)
        except BrokenPipeError:  # the reader (head, less) has seen enough
            sys.stderr.close()
            ctx.exit(1)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"reprokit: {where}{error.strerror or error}", err=True)
            ctx.exit(1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="reprokit")
@click.option(
    "-C",
    "--directory",
    type=click.Path(exists=True, file_okay=False),
    help="Work as if started in this folder.",
)
def main(directory: str | None) -> None:
    """Make every file that your Python code writes traceable, reusable and re-creatable."""
    if directory:
        import os

        os.chdir(directory)
