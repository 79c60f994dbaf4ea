"""``reprokit show``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from reprokit.cli import screen, uses
from reprokit.cli.screen import row
from reprokit.vault.runfolder import POST_RUN

if TYPE_CHECKING:
    from rich.table import Table

    from reprokit.catalog.find import Repetition
    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import ArtifactRecord, ClosureInfo, PostRunInfo, SnapshotInfo, StepRecord

_MOST = 20  # child runs that are listed


@click.command()
@click.argument("wanted", metavar="[RUN|FILE]", default="@")
@click.option("--json", "as_json", is_flag=True, help="All documents of the run as JSON, for programs.")
@click.option("--check", is_flag=True, help="Take the digests of its files once more.")
def command(wanted: str, as_json: bool, check: bool) -> None:
    """Show everything about a run: by the beginning of its id, its folder, a tag, a file that it made, or @ for the newest."""
    from reprokit import settings
    from reprokit.catalog import find
    from reprokit.catalog.index import ask
    from reprokit.catalog.run import Child

    def question(index: Index) -> tuple[Run | Child, list[Repetition], uses.Told]:
        run, again = find.with_repetitions(index, wanted)
        return run, again, uses.ask(index, run)

    run, again, told = ask(settings.current().vault, question, screen.progress("reading runs"))
    root = run.root
    root.pre  # noqa: B018 - a damaged record is told now, not half-way
    if as_json:
        more = {"reproduced": [one._asdict() for one in again], "reuse": uses.facts(run, told)}
        screen.print_json({**_documents(root, run), **more})
        _end(root)
        return
    table = screen.facts()
    if isinstance(run, Child):
        _child(table, run, check=check)
    else:
        _root(table, run, check=check)
    uses.add(table, run, told)
    for one in again:
        where = f" on {one.host}" if one.host else ""
        row(
            table, "repeated", f"{screen.when(one.started)}{where}, run {one.run_id[:8]}: {one.verdict or 'no verdict'}"
        )
    screen.console().print(table)
    for problem in root.problems:
        click.echo(f"reprokit: {screen.plain(problem)}", err=True)
    _end(root)


def _end(root: Run) -> None:
    if _is_damaged(root):
        raise click.exceptions.Exit(1)


def _is_damaged(root: Run) -> bool:
    """Tell whether how a run ended was recorded and can't be read."""
    return root.post is None and os.path.lexists(root.folder / POST_RUN) and bool(root.problems)


def _documents(root: Run, run: Run | Child) -> dict[str, Any]:
    return {
        "summary": root.summary(),
        "wanted": run.run_id,
        "folder": str(root.folder),
        "context": root.context,
        "pre_run_info": root.pre,
        "post_run_info": root.post,
        "children": [{"begin": c.begin, "end": c.end, "status": c.status} for c in root.children],
        "marks": root.marks,
        "problems": root.problems,
    }


def _root(table: Table, run: Run, *, check: bool) -> None:
    context, post = run.context, run.post
    _head(table, run, f" ({post.reason})" if post and post.reason else "")
    _repositories(table, run)
    _code(table, context.snapshot if context else None, context.closure if context else None)
    if context and context.stale:
        row(table, "stale", f"{', '.join(context.stale)}: edited after being imported, so not what ran", "yellow")
    row(table, "repeats", f"run {run.pre.reproduction_of}" if run.pre.reproduction_of else None)
    row(table, "source", f"{run.pre.source_file}:{run.pre.source_line}" if run.pre.source_file else None)
    _call(table, run)
    _machine(table, run)
    _files(table, run, check=check)
    for name, info in (post.files if post else {}).items():
        row(table, "item", f"{name}  {info.hash or '' if info else 'not there'}")
    _results(table, run)
    if post is not None:
        if post.resources:
            used = post.resources
            cpu = (used.cpu_user or 0) + (used.cpu_system or 0)
            row(table, "took", f"{used.wall_time:.3g} s, CPU {cpu:.3g} s, peak memory {screen.size(used.peak_memory)}")
        row(table, "exit code", post.exit_code)
        _faults(table, post)
    for child in run.children[:_MOST]:
        row(table, "child", _child_line(child))
    if len(run.children) > _MOST:
        row(table, "", f"... {len(run.children) - _MOST} more; --json shows all")


def _child(table: Table, run: Child, *, check: bool) -> None:
    begin, end = run.begin, run.end
    _head(table, run, f" ({end.reason})" if end and end.reason else "")
    row(table, "within", f"{run.root.what}, run {run.root.run_id}")
    if begin is not None:
        _code(table, begin.snapshot, begin.closure)
        row(table, "bundle", begin.bundle)
        row(table, "source", f"{begin.source_file}:{begin.source_line}" if begin.source_file else None)
        row(table, "process", f"{begin.process.host}, number {begin.process.pid}" if begin.process else None)
    _call(table, run)
    _files(table, run, check=check)
    _results(table, run)
    if end is not None:
        _faults(table, end)


def _head(table: Table, run: Run | Child, reason: str) -> None:
    row(table, "run", run.run_id)
    row(table, "what", run.what)
    if run.root is run and _is_damaged(run.root):
        row(table, "status", "damaged: how it ended can't be read", "red")
    else:
        row(table, "status", run.status + reason + (", reused" if run.reused_from else ""), screen.STYLES[run.status])
    spent = f", took {screen.seconds(run.duration)}" if run.duration is not None else ""
    row(table, "started", f"{screen.when(run.started)}{spent}")
    row(table, "tags", ", ".join(run.tags))
    for note in run.notes:
        row(table, "note", note)
    row(table, "folder", run.folder)
    row(table, "commit", run.commit)


def _repositories(table: Table, run: Run) -> None:
    for name, info in (run.context.git if run.context else {}).items():
        state = "detached" if info.detached else f"branch {info.branch}"
        changed = f", {info.changed_count} uncommitted: {', '.join(info.changed[:5])}" if info.dirty else ""
        why = "".join(f"; {fact} unknown: {reason}" for fact, reason in info.unknown.items())
        row(table, "repository", f"{name} at {info.sha or 'no commit'}, {state}{changed}{why}")


def _code(table: Table, snapshot: SnapshotInfo | None, closure: ClosureInfo | None) -> None:
    if snapshot:
        left = f", {len(snapshot.left_out)} left out" if snapshot.left_out else ""
        nested = f", {len(snapshot.nested)} nested repositories" if snapshot.nested else ""
        row(table, "snapshot", f"{snapshot.digest} ({snapshot.files} files{nested}{left})")
    if closure:
        named = f", {', '.join(f'{name} {version}' for name, version in closure.packages.items())}"
        row(table, "closure", f"{closure.digest} ({len(closure.parts)} parts{named if closure.packages else ''})")
        for sentence in closure.unknown[:5]:
            row(table, "not followed", sentence, "yellow")


def _call(table: Table, run: Run | Child) -> None:
    call = [screen.short(a) for a in run.args] + [f"{k}={screen.short(v)}" for k, v in run.kwargs.items()]
    if run.kind == "function":
        row(table, "arguments", ", ".join(call))
    row(table, "config", screen.short(run.config, 400) if run.config else None)
    known = run.root is not run or run.root.context is not None
    row(table, "config hash", run.config_hash if run.config or not known else None)


def _machine(table: Table, run: Run) -> None:
    context = run.context
    if context is None:
        return
    platform = context.platform
    python = platform.python
    row(table, "python", f"{python.implementation} {python.version}, {len(context.packages)} packages")
    cpu = (context.cpu or {}).get("brand_raw", "")
    gpus = "".join(f", {gpu.name}" for gpu in context.gpus)
    row(table, "machine", f"{platform.node}, {platform.platform}{', ' + cpu if cpu else ''}{gpus}")


def _files(table: Table, run: Run | Child, *, check: bool) -> None:
    for record in run.artifacts:
        state, style = _state(record, run.root.pre.root_directory, check=check)
        row(table, record.role, f"{record.path}{state}", style)


def _state(record: ArtifactRecord, root: str, *, check: bool) -> tuple[str, str]:
    """Tell how big a file is, and whether it is still there and what it was."""
    if record.role == "missing":
        return "  was not written", "yellow"
    told = f"  {screen.size(record.size)}  {(record.digest or '')[:19]}"
    differs = f"  differs from run {record.differs_from[:8]}" if record.differs_from else ""
    path = os.path.join(root, record.path)
    if not os.path.lexists(path):
        return f"{told}{differs}  no longer there", "yellow"
    if _changed(record, path, check=check):
        return f"{told}{differs}  changed since", "yellow"
    return f"{told}{differs}", ""


def _changed(record: ArtifactRecord, path: str, *, check: bool) -> bool:
    """Tell whether a file is another one now: at once by its size, and by its content where that is asked for or quick."""
    from reprokit.capture import files

    try:
        if not record.folder and os.path.getsize(path) != record.size:
            return True
        if check or (not record.folder and (record.size or 0) < _QUICK):
            return files.digest_path(path)[0] != record.digest
    except OSError:
        return False
    return False


_QUICK = 10_000_000  # bytes that are read in a few milliseconds


def _results(table: Table, run: Run | Child) -> None:
    for name, value in run.values.items():
        row(table, "value", f"{name} = {screen.short(value)}")
    for name, points in run.series.items():
        row(table, "series", f"{name}: {len(points)} points, last {screen.short(points[-1])}")


def _faults(table: Table, end: PostRunInfo | StepRecord) -> None:
    if end.exception_info:
        row(table, "exception", f"{end.exception_info.error_type}: {end.exception_info.error_message}", "red")
    for fault in end.faults:
        row(table, "not recorded", f"{fault.where}: {fault.error}", "yellow")


def _child_line(child: Child) -> str:
    made = ", ".join(a.path for a in child.artifacts if a.role == "generated")
    spent = screen.seconds(child.duration) if child.duration is not None else ""
    status = "reused" if child.reused_from else child.status
    return f"{child.run_id[:8]}  {child.what}  {status}  {spent}{'  ' + made if made else ''}"
