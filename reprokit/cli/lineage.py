"""``reprokit lineage``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from reprokit.catalog.lineage import Lineage


@click.command()
@click.argument("wanted", metavar="FILE|RUN")
@click.option("--up", "way", flag_value="up", help="Only what went into it.")
@click.option("--down", "way", flag_value="down", help="Only what was made from it.")
@click.option("--depth", type=click.IntRange(min=1), help="At most so many runs away.")
@click.option("--stale", is_flag=True, help="Mark files whose inputs, code or configuration changed since.")
@click.option("--mermaid", is_flag=True, help="Text for Mermaid.")
@click.option("--dot", is_flag=True, help="Text for Graphviz.")
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
def command(
    wanted: str, way: str | None, depth: int | None, stale: bool, mermaid: bool, dot: bool, as_json: bool
) -> None:
    """Show what a file or a run was made from, what made that, and what was made from it."""
    if mermaid + dot + as_json > 1:
        raise click.UsageError("give one of --mermaid, --dot and --json")
    from reprokit import settings
    from reprokit.catalog import lineage as lineages
    from reprokit.catalog.index import Index, ask
    from reprokit.catalog.lineage import stale as staleness

    def question(index: Index) -> Lineage:
        found = lineages.trace(index, wanted, depth=depth, up=way != "down", down=way != "up")
        return staleness.mark(found, index, screen.progress("looking at files")) if stale else found

    found = ask(settings.current().vault, question, screen.progress("reading runs"))
    if as_json:
        screen.print_json(found.summary())
    elif mermaid:
        click.echo(found.mermaid(), nl=False)
    elif dot:
        click.echo(found.dot(), nl=False)
    else:
        _show(found, way)
    if (mermaid or dot) and found.notes:
        click.echo(f"reprokit: {screen.plain('; '.join(found.notes))}", err=True)
    if found.cut:
        click.echo("reprokit: there is more than was followed; --depth and --up or --down narrow it down", err=True)


def _show(found: Lineage, way: str | None) -> None:
    from rich.tree import Tree

    from reprokit.catalog.lineage import draw

    console = screen.console()
    for title, upwards in (("what went into", True), ("what was made from", False)):
        if way in (None, "up" if upwards else "down"):
            tree = Tree(_text(f"{title} {draw.heading(found)}", "bold"), guide_style="dim")
            if not _grow(tree, found, found.focus, {found.focus}, upwards=upwards):
                tree.add(_text("nothing that is recorded", "dim"))
            console.print(tree)


def _grow(tree: Tree, found: Lineage, key: str, seen: set[str], *, upwards: bool) -> bool:
    from reprokit.catalog.lineage import draw

    grown = False
    for other, edge in found.above(key) if upwards else found.below(key):
        grown = True
        label = draw.label(found, other, edge)
        if other in found.runs:
            run = found.runs[other]
            label += f", {draw.started(run)}{'' if run.status == 'complete' else ', ' + run.status}"
        if edge.via is not None:
            label += f"  (through run {edge.via[:8]})"
        if not edge.exact:
            label += "  (wrote something else there: changed in between)"
        style = "yellow" if found.stale and other in found.stale else "cyan" if other in found.runs else ""
        if other in seen:
            tree.add(_text(f"{label} ...", style))
            continue
        seen.add(other)
        _grow(tree.add(_text(label, style)), found, other, seen, upwards=upwards)
    return grown


def _text(words: str, style: str) -> Text:
    from rich.text import Text

    return Text(screen.plain(words), style=style)
