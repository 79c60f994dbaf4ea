"""``reprokit show``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from reprokit.cli import screen

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import ArtifactRecord


@click.command()
@click.argument("wanted", metavar="[RUN]", default="@")
@click.option("--json", "as_json", is_flag=True, help="All documents of the run as JSON, for programs.")
def command(wanted: str, as_json: bool) -> None:
    """Show a run: by the beginning of its id, by the name of its folder, or @ for the newest."""
    from reprokit import settings
    from reprokit.catalog import scan

    vault = settings.current().vault
    run = scan.find(vault, wanted)
    run.pre  # noqa: B018 - a damaged record is told now, not half-way
    if as_json:
        screen.print_json(
            {
                "summary": run.summary(),
                "folder": str(run.folder),
                "context": run.context,
                "pre_run_info": run.pre,
                "post_run_info": run.post,
                "children": [{"begin": c.begin, "end": c.end, "status": c.status} for c in run.children],
                "problems": run.problems,
            }
        )
        return
    _show(run)
    for problem in run.problems:
        click.echo(f"reprokit: {problem}", err=True)


def _show(run: Run) -> None:
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    _head(table, run)
    _code(table, run)
    _call(table, run)
    _machine(table, run)
    _files(table, run)
    _end(table, run)
    for child in run.children[:20]:
        _row(table, "child", _child_line(child))
    if len(run.children) > 20:
        _row(table, "", f"... {len(run.children) - 20} more; --json shows all")
    screen.console().print(table)


def _row(table: Table, name: str, value: Any, style: str = "") -> None:
    from rich.text import Text

    if value not in (None, "", [], {}):
        table.add_row(name, Text(screen.plain(str(value)), style=style))


def _head(table: Table, run: Run) -> None:
    pre, post = run.pre, run.post
    _row(table, "run", pre.run_id)
    _row(table, "what", pre.function or " ".join(pre.command or []) or pre.kind)
    reason = f" ({post.reason})" if post and post.reason else ""
    _row(table, "status", run.status + reason, screen.STYLES[run.status])
    _row(table, "started", f"{screen.when(run.started)}{', took ' + screen.took(post.run_time) if post else ''}")
    _row(table, "folder", run.folder)


def _code(table: Table, run: Run) -> None:
    pre, context = run.pre, run.context
    _row(table, "commit", pre.commit)
    for name, info in (context.git if context else {}).items():
        state = "detached" if info.detached else f"branch {info.branch}"
        changed = f", {info.changed_count} uncommitted: {', '.join(info.changed[:5])}" if info.dirty else ""
        why = "".join(f"; {fact} unknown: {reason}" for fact, reason in info.unknown.items())
        _row(table, "repository", f"{name} at {info.sha or 'no commit'}, {state}{changed}{why}")
    if context and context.snapshot:
        snapshot = context.snapshot
        left = f", {len(snapshot.left_out)} left out" if snapshot.left_out else ""
        nested = f", {len(snapshot.nested)} nested repositories" if snapshot.nested else ""
        _row(table, "snapshot", f"{snapshot.digest} ({snapshot.files} files{nested}{left})")
    if context and context.stale:
        _row(table, "stale", f"{', '.join(context.stale)}: edited after being imported, so not what ran", "yellow")
    if context and context.closure:
        closure = context.closure
        named = f", {', '.join(f'{name} {version}' for name, version in closure.packages.items())}"
        _row(table, "closure", f"{closure.digest} ({len(closure.parts)} parts{named if closure.packages else ''})")
        for sentence in closure.unknown[:5]:
            _row(table, "not followed", sentence, "yellow")
    _row(table, "source", f"{pre.source_file}:{pre.source_line}" if pre.source_file else None)


def _call(table: Table, run: Run) -> None:
    pre, context = run.pre, run.context
    call = [screen.short(a) for a in pre.args] + [f"{k}={screen.short(v)}" for k, v in pre.kwargs.items()]
    if pre.kind == "function":
        _row(table, "arguments", ", ".join(call))
    _row(table, "config", f"{screen.short(context.config, 400)}" if context and context.config else None)
    _row(table, "config hash", pre.config_hash)


def _machine(table: Table, run: Run) -> None:
    context = run.context
    if context is None:
        return
    platform = context.platform
    _row(
        table, "python", f"{platform.python.implementation} {platform.python.version}, {len(context.packages)} packages"
    )
    cpu = (context.cpu or {}).get("brand_raw", "")
    gpus = "".join(f", {gpu.name}" for gpu in context.gpus)
    _row(table, "machine", f"{platform.node}, {platform.platform}{', ' + cpu if cpu else ''}{gpus}")


def _files(table: Table, run: Run) -> None:
    root = run.pre.root_directory
    for record in run.post.artifacts if run.post else ():
        _row(table, record.role, _file_line(record, root))
    for name, info in (run.post.files if run.post else {}).items():
        _row(table, "item", f"{name}  {info.hash or '' if info else 'not there'}")


def _file_line(record: ArtifactRecord, root: str | Path) -> str:
    if record.role == "missing":
        return f"{record.path}  was not written"
    there = "" if os.path.exists(os.path.join(root, record.path)) else "  no longer there"
    differs = f"  differs from run {record.differs_from[:8]}" if record.differs_from else ""
    return f"{record.path}  {screen.size(record.size)}  {(record.digest or '')[:19]}{there}{differs}"


def _end(table: Table, run: Run) -> None:
    post = run.post
    if post is None:
        return
    for name, value in post.values.items():
        _row(table, "value", f"{name} = {screen.short(value)}")
    for name, points in post.series.items():
        _row(table, "series", f"{name}: {len(points)} points, last {screen.short(points[-1])}")
    if post.resources:
        used = post.resources
        cpu = (used.cpu_user or 0) + (used.cpu_system or 0)
        _row(table, "took", f"{used.wall_time:.3g} s, CPU {cpu:.3g} s, peak memory {screen.size(used.peak_memory)}")
    _row(table, "exit code", post.exit_code if post.exit_code is not None else None)
    if post.exception_info:
        _row(table, "exception", f"{post.exception_info.error_type}: {post.exception_info.error_message}", "red")
    for fault in post.faults:
        _row(table, "not recorded", f"{fault.where}: {fault.error}", "yellow")


def _child_line(child: Child) -> str:
    begin, end = child.begin, child.end
    made = ", ".join(a.path for a in end.artifacts if a.role == "generated") if end else ""
    name = begin.function if begin else "?"
    spent = screen.took(end.run_time) if end else ""
    return f"{name}  {child.status}  {spent}{'  ' + made if made else ''}"
