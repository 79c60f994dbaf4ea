"""``reprokit snapshot list | show | export | diff``."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from reprokit.code.trees.diff import Change, Patch

_KINDS = {"added": ("A", "green"), "removed": ("D", "red"), "changed": ("M", "yellow"), "mode": ("m", "yellow")}


@click.group()
def command() -> None:
    """Source trees that runs kept.

    TREE is the beginning of a tree's digest, or the run that kept it (@ for the newest).
    """


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, for programs.")
def list_trees(as_json: bool) -> None:
    """List the kept trees, newest first."""
    from reprokit import settings, snapshot

    found = snapshot.trees()
    if as_json:
        screen.print_json(found)
        return
    if not found:
        click.echo(f"no trees in {settings.current().vault}; @reprokit.snapshot_code keeps one")
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("tree", "first kept", "files", "size", "nested", "left out"):
        table.add_column(name, no_wrap=True, justify="left" if name in ("tree", "first kept") else "right")
    for tree in found:
        table.add_row(
            tree.digest.removeprefix("sha256:")[:12],
            screen.when(datetime.fromtimestamp(tree.when).astimezone()),
            str(tree.files),
            screen.size(tree.size),
            str(tree.nested or ""),
            str(tree.left_out or ""),
        )
    screen.console().print(table)


@command.command()
@click.argument("tree", default="@")
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
def show(tree: str, as_json: bool) -> None:
    """List the files of a tree."""
    from reprokit import settings, snapshot
    from reprokit.catalog import kept

    digest = kept.find_tree(tree, settings.current().vault)
    found = snapshot.files(digest)
    if as_json:
        files = [{"path": one.path, "size": one.size, "mode": f"{one.mode:06o}"} for one in found]
        screen.print_json({"digest": digest, "files": files})
        return
    click.echo(f"{digest}  {len(found)} files, {screen.size(sum(one.size for one in found))}")
    for one in found:
        kind = {0o120000: "l", 0o100755: "x"}.get(one.mode, " ")
        click.echo(f"{kind} {screen.size(one.size):>9}  {screen.plain(one.path)}")


@command.command()
@click.argument("tree")
@click.argument("folder", type=click.Path())
@click.option("--allow-secrets", is_flag=True, help="Export it although text in it looks like secrets.")
def export(tree: str, folder: str, allow_secrets: bool) -> None:
    """Write a tree into a new folder."""
    from reprokit import snapshot

    digest = snapshot.export(tree, folder, allow_secrets=allow_secrets)
    click.echo(f"{digest} -> {folder}")


@command.command()
@click.argument("before")
@click.argument("after", default="@")
@click.option("--names", is_flag=True, help="Only which files differ.")
@click.option("--json", "as_json", is_flag=True, help="Which files differ, as a JSON array, for programs.")
def diff(before: str, after: str, names: bool, as_json: bool) -> None:
    """Compare two trees: first which files differ, then how."""
    from reprokit import snapshot
    from reprokit.code.trees.diff import Change

    parts = snapshot.diff(before, after)
    if as_json:
        changes = [part for part in parts if isinstance(part, Change)]
        screen.print_json([{"path": one.path, "kind": one.kind} for one in changes])
        return
    told = False
    for part in parts:
        if isinstance(part, Change):
            _print_change(part)
        elif names:
            break
        else:
            if not told:
                click.echo()
                told = True
            _print_patch(part)


def _print_change(change: Change) -> None:
    letter, colour = _KINDS[change.kind]
    click.secho(f"{letter} {screen.plain(change.path)}", fg=colour)


def _print_patch(patch: Patch) -> None:
    """Print a patch for people in colours and harmless, for programs byte for byte."""
    if not sys.stdout.isatty():
        sys.stdout.buffer.write(patch.data)
        return

    for line in patch.data.decode(errors="replace").splitlines():
        colour = {"+": "green", "-": "red", "@": "cyan"}.get(line[:1])
        heading = line.startswith(("diff --git ", "+++ ", "--- ", "index "))
        click.secho(screen.plain(line), fg=None if heading else colour, bold=heading)
