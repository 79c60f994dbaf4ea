"""``reprokit whence``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from rich.table import Table

    from reprokit.catalog.index import Index
    from reprokit.catalog.inside import Found
    from reprokit.catalog.run import Child, Run
    from reprokit.catalog.tagged import Candidate
    from reprokit.catalog.whence import Origin

_SHOWN = 20  # runs that are listed


@click.command()
@click.argument("file", type=click.Path())
@click.option(
    "--vault", type=click.Path(exists=True, file_okay=False), help="Look in this vault.  [default: the project's]"
)
@click.option("--json", "as_json", is_flag=True, help="A JSON object, for programs.")
def command(file: str, vault: str | None, as_json: bool) -> None:
    """Tell which run made a file, wherever it lies now and whatever it is called.

    It is looked for by its content, then by the tag inside it, its side-car, and its name.  Of slides and reports (pptx,
    docx, odp, zip) the pictures inside are looked for.  Ends with 1 when no run is found.  Where commit and config fit
    several, all are told.
    """
    from reprokit import settings
    from reprokit.catalog import inside, whence
    from reprokit.catalog.index import ask

    found = settings.current()
    where = vault or found.vault

    def question(index: Index) -> tuple[Origin, list[Found]]:
        origin = whence.whence(index, file, found.template)
        unknown = origin.run is None and origin.how is None
        return origin, inside.inside(index, file) if unknown and os.path.isfile(file) else []

    origin, within = ask(where, question, screen.progress("reading runs"))
    if as_json:
        members = [{"member": one.member, **one.origin.summary()} for one in within]
        screen.print_json({**origin.summary(), "inside": members})
    elif origin.run is not None:
        _tell(origin)
    elif within:
        _tell_inside(file, within)
    elif origin.candidates and origin.how is not None:
        _tell_candidates(origin)
    else:
        _tell_without_run(origin, str(where), document=inside.is_document(file))
    if origin.run is None and not within and not (origin.candidates and origin.how is not None):
        click.get_current_context().exit(1)


def _tell(origin: Origin) -> None:
    run = origin.run
    assert run is not None
    root = run.root
    context = root.context
    table = screen.facts()
    screen.row(table, "file", f"{origin.path}{_state(origin)}", "yellow" if origin.changed else "")
    screen.row(table, "made by", f"{run.what}, run {run.run_id[:8]}{_within(run)}, {screen.when(run.started)}")
    _reused(table, origin, run)
    screen.row(table, "found by", _found_by(origin))
    if run.status != "complete":
        screen.row(table, "status", run.status, screen.STYLES[run.status])
    _code(table, run)
    config = screen.short(run.config, 400) if run.config else None
    screen.row(table, "config", f"{config or 'none'}  (hash {run.config_hash[:10]})")
    for record in run.artifacts:
        if record.role == "used":
            screen.row(table, "input", f"{record.path}  {(record.digest or '')[:19]}")
    if context is not None:
        python = context.platform.python
        screen.row(
            table,
            "environment",
            f"{python.implementation} {python.version}, {len(context.packages)} packages, {context.platform.node}",
        )
    screen.row(table, "folder", run.folder)
    if origin.also:
        screen.row(
            table, "also by", f"{', '.join(i[:8] for i in origin.also[:5])}{' ...' if len(origin.also) > 5 else ''}"
        )
    if origin.used_by:
        screen.row(
            table,
            "read by",
            f"{', '.join(i[:8] for i in origin.used_by[:5])}{' ...' if len(origin.used_by) > 5 else ''}",
        )
    _again(table, run)
    screen.console().print(table)
    for problem in root.problems:
        click.echo(f"reprokit: {problem}", err=True)


def _reused(table: Table, origin: Origin, run: Run | Child) -> None:
    """Say which run gave a file its name without making it."""
    by = origin.named_by
    if by is not None:
        at = f" at {by.commit}" if by.commit else ""
        screen.row(
            table, "named by", f"{by.what}, run {by.run_id[:8]}{_within(by)}, {screen.when(by.started)}{at}: reused"
        )
    elif run.reused_from is not None:
        told = f"run {run.reused_from[:8]}, which the vault no longer holds; this run used its result again"
        screen.row(table, "reused from", told, "yellow")


def _state(origin: Origin) -> str:
    if origin.digest is None:
        return "  (is not there; this is what the vault knows of the name)"
    if origin.changed:
        return "  (was changed since: its content is not what that run made)"
    return "" if origin.changed is False else "  (whether it was changed since is not known)"


def _found_by(origin: Origin) -> str:
    if origin.how == "content" and origin.artifact is not None:
        elsewhere = origin.named_by is None and os.path.basename(origin.artifact.path) != os.path.basename(origin.path)
        return f"content{f', which was written as {origin.artifact.path}' if elsewhere else ''}"
    return str(origin.how)


def _within(run: Run | Child) -> str:
    return "" if run.root is run else f" within {run.root.what}, run {run.root.run_id[:8]}"


def _code(table: Table, run: Run | Child) -> None:
    context = run.root.context
    commit = run.commit or "not known"
    if context is None:
        screen.row(table, "code", commit)
        return
    info = next(iter(context.git.values()), None)
    sha = f" ({info.sha})" if info and info.sha else ""
    changed = (
        f", with {info.changed_count} uncommitted change(s): {', '.join(info.changed[:5])}"
        if info and info.dirty
        else ""
    )
    screen.row(table, "code", f"{commit}{sha}{changed}")
    begin = getattr(run, "begin", None)
    snapshot = (begin.snapshot if begin else None) or context.snapshot
    if snapshot:
        screen.row(table, "snapshot", f"{snapshot.digest[:19]} ({snapshot.files} files)")


def _again(table: Table, run: Run | Child) -> None:
    from reprokit.catalog.recipe import recipe

    commands = recipe(run)
    for number, line in enumerate(commands):
        screen.row(table, "again" if number == 0 else "", line)
    if not commands:
        screen.row(
            table, "again", "not known how: neither a snapshot nor a clean commit of its code was kept, or it was typed"
        )


def _tell_inside(file: str, within: list[Found]) -> None:
    click.echo(f"{screen.plain(file)} holds {len(within)} file(s) that runs made:")
    table = screen.facts()
    for member, origin in within:
        run, record = origin.run, origin.artifact
        if run is not None:
            made = f"{record.path if record else '?'}, run {run.run_id[:8]}, {screen.when(run.started)}"
        else:
            made = f"one of these, same commit and config: {_listed(origin.candidates)}"
        screen.row(table, screen.plain(member), made)
    screen.console().print(table)
    click.echo("`reprokit show RUN` tells all about each")


def _tell_candidates(origin: Origin) -> None:
    gone = "" if origin.digest else " (is not there; this is what the vault knows of the name)"
    same = (
        "same name" if len({os.path.basename(one.path) for one in origin.candidates}) == 1 else "same commit and config"
    )
    click.echo(f"{screen.plain(origin.path)}{gone} was made by one of these, {same}:")
    _list(origin.candidates)
    click.echo(f"found by {origin.how}; its content is none of theirs" if origin.digest else f"found by {origin.how}")


def _list(candidates: list[Candidate]) -> None:
    table = screen.facts()
    for one in candidates[:_SHOWN]:
        screen.row(table, one.run_id[:8], f"{one.what}, {one.path}")
    screen.console().print(table)
    if len(candidates) > _SHOWN:
        click.echo(f"... and {len(candidates) - _SHOWN} more; --json lists all")


def _listed(candidates: list[Candidate]) -> str:
    found = "; ".join(f"{one.path}, run {one.run_id[:8]}" for one in candidates[:3])
    return f"{found}; ..." if len(candidates) > 3 else found


def _tell_without_run(origin: Origin, vault: str, *, document: bool) -> None:
    sidecar = origin.sidecar
    if sidecar is not None:
        table = screen.facts()
        screen.row(table, "file", f"{origin.path}{_state(origin)}")
        screen.row(
            table,
            "made by",
            f"{sidecar.function or ' '.join(sidecar.command or [])}, run {sidecar.run_id[:8]}, {sidecar.started_at}",
        )
        screen.row(table, "reused from", f"run {sidecar.reused_from}" if sidecar.reused_from else None)
        screen.row(table, "code", f"{sidecar.commit}{f' ({sidecar.sha})' if sidecar.sha else ''}")
        screen.row(table, "config", f"{screen.short(sidecar.config, 400)}  (hash {sidecar.config_hash[:10]})")
        screen.row(table, "found by", "side-car")
        screen.row(table, "run folder", f"{sidecar.run_folder} in the vault {sidecar.vault}, seen from the file")
        screen.console().print(table)
        click.echo(f"reprokit: the run itself is not in {vault}; --vault names another one", err=True)
        return
    click.echo(
        f"no run in {vault} made {screen.plain(origin.path)}" + ("" if origin.digest else ", and it is not there")
    )
    if origin.candidates:
        click.echo("under the commit and config in its name these files were made:")
        _list(origin.candidates)
    if origin.used_by:
        click.echo(f"but it was read by {', '.join(i[:8] for i in origin.used_by[:10])}")
    elif origin.digest:
        click.echo("content, tag inside, side-car and name were compared; --vault names another vault")
    if document:
        click.echo("the files inside it were looked at too: none is known to be made by a run")
