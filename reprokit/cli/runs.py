"""``reprokit runs``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reprokit.catalog.index import Index
    from reprokit.catalog.query import RunList

_USUAL = 50  # rows of a table
_CHILDREN = 20  # shown of each root run
_MORE = ("children", "repetitions")  # what is listed besides
_PAUSE = 2.0  # seconds


@click.command()
@click.option("--where", metavar="EXPR", help="Those it holds for: 'config.lr < 0.1 and value.rmse < 3'.")
@click.option("--function", metavar="NAME", help="Those of a function, with or without its module; or a pattern.")
@click.option("--status", multiple=True, metavar="STATUS", help="running, complete, failed, exited or interrupted.")
@click.option("--commit", metavar="COMMIT", help="Those of a commit, by its beginning.")
@click.option("--since", metavar="TIME", help="2h, 3d, yesterday, 2026-11-01, '2026-11-01 12:00'.")
@click.option("--until", metavar="TIME", help="Likewise; a day counts whole.")
@click.option("--tag", multiple=True, metavar="NAME", help="Those with this tag.")
@click.option("--children", is_flag=True, help="Child runs as well.")
@click.option("--repetitions", is_flag=True, help="Runs that repeat others (`reprokit reproduce`) as well.")
@click.option("--reused", is_flag=True, help="Those whose result was used again: how often, and what that saved.")
@click.option("--sort", multiple=True, metavar="COLUMN", help="-started, value.rmse; a hyphen: the largest first.")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="At most so many (table: 50).")
@click.option("--columns", metavar="NAMES", help="id,when,config.lr,value.rmse")
@click.option("--tree", is_flag=True, help="Child runs below their root runs.")
@click.option("--watch", is_flag=True, help="Go on showing, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="A JSON array, for programs.")
@click.option("--csv", "as_csv", is_flag=True, help="CSV with a header, for spreadsheets.")
def command(
    limit: int | None, columns: str | None, tree: bool, watch: bool, as_json: bool, as_csv: bool, **conditions: Any
) -> None:
    """List the root runs, newest first."""
    from reprokit import settings
    from reprokit.errors import QueryError

    if as_json + as_csv + (tree or watch) > 1:
        raise click.UsageError("--json, --csv and a table (--tree, --watch) are three ways to show runs; choose one")
    if tree and conditions["reused"]:
        raise click.UsageError("--tree shows child runs below their root runs, --reused lists both by what they saved")
    if tree and conditions["children"]:
        raise click.UsageError("--tree shows child runs below their root runs, --children among them; choose one")
    vault = settings.current().vault
    wanted: dict[str, Any] = {name: told or None for name, told in conditions.items() if name not in _MORE}
    wanted |= {name: conditions[name] for name in (*_MORE, "reused")} | {"limit": limit}
    try:
        if watch:
            _watch(vault, wanted, columns, tree)
        elif as_json:
            _print_json(vault, wanted, columns)
        elif as_csv:
            _print_csv(vault, wanted, columns)
        else:
            _print_table(vault, wanted, columns, tree)
    except QueryError as error:
        click.echo(f"reprokit: {error}", err=True)
        click.get_current_context().exit(2)


def _ask(vault: Path, wanted: dict[str, Any], question: Callable[[Index, RunList], Any]) -> tuple[Any, list[str]]:
    """Ask for runs, and something about them; give the answer, and what is damaged."""
    from reprokit.catalog import query
    from reprokit.catalog.index import ask

    def answer(index: Index) -> tuple[Any, list[str]]:
        return question(index, query.runs(index, **wanted)), index.problems()

    return ask(vault, answer, screen.progress("reading runs"))


def _print_json(vault: Path, wanted: dict[str, Any], columns: str | None) -> None:
    from reprokit.cli import listing

    if columns is not None:
        names = listing.read_columns(columns)
        found, problems = _ask(vault, wanted, lambda _, found: listing.as_json(found, names))
    else:
        found, problems = _ask(vault, wanted, lambda _, found: found)
        found = _summaries(found, problems)
    screen.print_json(found)
    _tell(problems)


def _summaries(found: RunList, problems: list[str]) -> list[dict[str, Any]]:
    from reprokit.errors import RecordError, RunNotFoundError

    told = []
    for at in range(len(found)):
        try:
            told.append(found[at].summary())
        except (RecordError, RunNotFoundError) as error:  # since the index read it
            if str(error) not in problems:
                problems.append(str(error))
    return told


def _print_csv(vault: Path, wanted: dict[str, Any], columns: str | None) -> None:
    from reprokit.cli import listing

    names = (
        listing.read_columns(columns) if columns is not None else list(listing.CSV_REUSED) if wanted["reused"] else None
    )
    text, problems = _ask(vault, wanted, lambda _, found: listing.as_csv(found, names))
    sys.stdout.buffer.write(text.encode(errors="replace"))
    _tell(problems)


def _print_table(vault: Path, wanted: dict[str, Any], columns: str | None, tree: bool) -> None:
    from reprokit.cli import listing

    names = listing.read_columns(columns, reused=bool(wanted["reused"]))
    limit = wanted["limit"] or _USUAL
    narrowed = any(told for name, told in wanted.items() if name not in ("limit", "sort", *_MORE))
    console = screen.console()

    def question(index: Index, found: RunList) -> tuple[Any, list[str]]:
        if found:
            table = _table(index, found[:limit], names, tree, console.width)
            return table, [_more(index, limit, narrowed, wanted)] if len(found) > limit else []
        return None, _nothing(index, vault, wanted, narrowed)

    (table, words), problems = _ask(vault, {**wanted, "limit": limit + 1}, question)
    if table is not None:
        console.print(table, crop=False)
    for sentence in words:
        click.echo(screen.plain(sentence))
    _tell(problems)


def _table(index: Index, found: RunList, names: list[str], tree: bool, width: int) -> Any:
    from reprokit.catalog.query import ask
    from reprokit.cli import listing

    depths = left = [0] * len(found)
    if tree:
        found, depths, left = ask.with_children(index, found, _CHILDREN)
    return listing.table(found, names, depths, left, width)


def _more(index: Index, limit: int, narrowed: bool, wanted: dict[str, Any]) -> str:
    if narrowed:
        return f"... more; --limit {limit * 10} shows some of them"
    total = _count(index, wanted)
    return f"... {total - limit} more; --limit {total} shows all"


def _count(index: Index, wanted: dict[str, Any]) -> int:
    children, repetitions = (wanted[name] for name in _MORE)
    counted = "SELECT count(*) FROM runs WHERE (parent_id IS NULL OR ?) AND (NOT repeats OR ?)"
    total: int = index.db.execute(counted, (children, repetitions)).fetchone()[0]
    return total


def _nothing(index: Index, vault: Path, wanted: dict[str, Any], narrowed: bool) -> list[str]:
    total = _count(index, {**wanted, "children": False})
    if not total and not _count(index, {"children": False, "repetitions": True}):
        return [f"no runs in {vault}; decorate a function with @reprokit.monitor, or try `reprokit monitor -- CMD`"]
    from reprokit.catalog import query
    from reprokit.catalog.query import hints

    told = hints.unknown_facts(index.db, wanted["where"]) if wanted["where"] else []
    if not wanted["children"] and query.runs(index, **{**wanted, "children": True, "limit": 1}):
        told.append("child runs do; --children lists them")
    if wanted["reused"]:
        told.append("a function's result is used again with Artifact(exists='reuse') or @reprokit.cache")
    if not wanted["repetitions"] and query.runs(index, **{**wanted, "repetitions": True, "limit": 1}):
        told.append("runs that repeat others do; --repetitions lists them")
    return [f"no runs fit{' these conditions' if narrowed else ''}, of {total} in {vault}", *told]


def _tell(problems: list[str]) -> None:
    from reprokit.catalog.run import UNOPENED

    for problem in problems:
        click.echo(f"reprokit: {screen.plain(problem)}", err=True)
    if not all(problem.endswith(UNOPENED) for problem in problems):
        click.echo("reprokit: these records are damaged; `reprokit verify --all` checks the whole vault", err=True)


def _watch(vault: Path, wanted: dict[str, Any], columns: str | None, tree: bool) -> NoReturn:
    """Show runs every other second, until Ctrl-C."""
    try:
        if sys.stdout.isatty():
            _watch_table(vault, wanted, columns, tree)
        else:
            _watch_lines(vault, wanted)
    except KeyboardInterrupt:
        pass
    click.get_current_context().exit(0)


def _watch_table(vault: Path, wanted: dict[str, Any], columns: str | None, tree: bool) -> None:
    from rich.live import Live
    from rich.text import Text

    from reprokit.cli import listing

    names = listing.read_columns(columns, reused=bool(wanted["reused"]))
    console = screen.console()
    rows = wanted["limit"] or max(1, min(_USUAL, console.height - 2))
    with Live(console=console, auto_refresh=False) as live:
        while True:
            shown, _ = _ask(
                vault,
                {**wanted, "limit": rows},
                lambda index, found: (
                    _table(index, found, names, tree, console.width) if found else Text(f"no runs yet in {vault}")
                ),
            )
            live.update(shown, refresh=True)
            time.sleep(_PAUSE)


def _watch_lines(vault: Path, wanted: dict[str, Any]) -> None:
    """Print a line for each run that there is, begins or ends, the oldest first."""
    from reprokit.cli import listing

    known: dict[tuple[str, str], str] = {}
    while True:
        found, _ = _ask(vault, {**wanted, "limit": wanted["limit"] or _USUAL}, lambda _, found: found)
        order = sorted(range(len(found)), key=lambda at: found.rows[at].timestamp)
        for at in order:
            row = found.rows[at]
            if known.get((row.folder, row.run_id)) != row.status:
                known[row.folder, row.run_id] = row.status
                print(listing.line(found, at), flush=True)  # noqa: T201
        time.sleep(_PAUSE)
