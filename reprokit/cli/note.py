"""``reprokit note``."""

from __future__ import annotations

import sys

import click

from reprokit.cli import screen


@click.command()
@click.argument("wanted", metavar="RUN")
@click.argument("words", metavar="[TEXT]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="A JSON array of its notes, for programs.")
def command(wanted: str, words: tuple[str, ...], as_json: bool) -> None:
    """Leave a note with a run; - reads it from standard input, and without TEXT its notes are printed."""
    from reprokit.catalog import find
    from reprokit.recorder import project
    from reprokit.vault import marks

    owner = project.current()
    run = find.named(owner.vault.path, wanted)
    if not words:
        if as_json:
            screen.print_json([mark for mark in run.root.marks if mark.event == "note" and mark.run_id == run.run_id])
            return
        for text in run.notes:
            click.echo("\n".join(screen.plain(line) for line in text.split("\n")))
        if not run.notes:
            click.echo(f"no notes on {run.run_id[:8]}; `reprokit note {run.run_id[:8]} TEXT` leaves one", err=True)
        return
    text = _from_stdin() if words == ("-",) else " ".join(words)
    written = marks.note(run, text, owner.redactor)
    hidden = "; what looked like a secret was taken out" if written != text.strip() else ""
    click.echo(f"{run.run_id[:8]}  noted{hidden}")


def _from_stdin() -> str:
    return sys.stdin.buffer.read(4 * 100_001).decode("utf-8", "backslashreplace")
