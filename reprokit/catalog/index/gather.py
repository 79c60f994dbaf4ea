"""From a run's folder to the rows of the index.  Only what the index holds is decoded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import host
from reprokit.catalog.index import columns
from reprokit.catalog.run import UNOPENED, moment, seconds, tags_of
from reprokit.errors import RecordError
from reprokit.model.records import CONTEXT_SCHEMA, POST_RUN_SCHEMA, PRE_RUN_SCHEMA, ProcessId
from reprokit.vault import documents, runfolder

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.catalog.index.columns import Fact
    from reprokit.model.records import StepRecord


class _Artifact(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    role: str
    digest: str | None = None
    size: int | None = None
    commit: str | None = None
    config_hash: str | None = None
    seen: bool = False


class _Pre(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = PRE_RUN_SCHEMA
    run_id: str
    parent_id: str | None = None
    kind: str
    function: str | None = None
    command: list[str] | None = None
    timestamp: str
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    config_hash: str
    commit: str | None = None
    process: ProcessId
    artifacts: list[_Artifact] = []
    reproduction_of: str | None = None


class _Reuse(msgspec.Struct, frozen=True):
    """Only that it is there counts."""


class _Post(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = POST_RUN_SCHEMA
    status: str
    run_time: str
    artifacts: list[_Artifact] = []
    values: dict[str, Any] = {}
    series: dict[str, list[list[Any]]] = {}
    children: int = 0
    reuse: _Reuse | None = None
    reused_from: str | None = None


class _Python(msgspec.Struct, frozen=True, kw_only=True):
    version: str


class _Platform(msgspec.Struct, frozen=True, kw_only=True):
    node: str
    python: _Python
    user: str | None = None


class _Context(msgspec.Struct, frozen=True, kw_only=True):
    schema: str = CONTEXT_SCHEMA
    platform: _Platform
    config: Any = None


class Row(msgspec.Struct):
    """One run: its columns, and what hangs on it."""

    run_id: str
    parent_id: str | None
    kind: str
    function: str | None
    what: str
    status: str
    started: float
    duration: float | None
    commit: str | None
    config_hash: str | None
    facts: list[Fact]
    artifacts: list[tuple[Any, ...]]  # as the table has them, without the run
    host: str | None = None
    user: str | None = None
    python: str | None = None
    children: int = 0
    reproduction_of: str | None = None
    reused_from: str | None = None
    reusable: bool = False
    marks: list[tuple[str, str]] = []


class Gathered(msgspec.Struct):
    """What a run's folder says."""

    folder: str
    rows: list[Row] = []  # the root run first
    problems: list[str] = []
    steps: int = 0  # bytes of its steps files
    process: ProcessId | None = None  # while it has no end


class Gatherer:
    """Reads run folders; what many runs share is decoded once."""

    def __init__(self, runs: Path) -> None:
        self._runs = str(runs)
        self._contexts: dict[tuple[int, int, int], tuple[_Platform, list[Fact]]] = {}
        self._alive: dict[ProcessId, bool | None] = {}

    def gather(self, name: str) -> Gathered:
        """Read one run's folder; what is damaged stands under `problems`."""
        folder = os.path.join(self._runs, name)
        found = Gathered(name, [], [])
        problems = found.problems
        try:
            pre = documents.read(os.path.join(folder, runfolder.PRE_RUN), _Pre)
        except FileNotFoundError:
            problems.append(f"{folder}: {UNOPENED}")
            return found
        except RecordError as error:
            problems.append(str(error))
            return found
        post = self._post(folder, problems)
        platform, config = self._context(folder, problems)
        names = _jsonl(folder)
        steps = 0 if post else steps_size(folder)  # before they are read
        status = post.status if post else self._status(pre, problems)
        root = Row(
            run_id=pre.run_id,
            parent_id=None,
            kind=pre.kind,
            function=pre.function,
            what=pre.function or " ".join(pre.command or []) or pre.kind,
            status=status,
            started=moment(pre.timestamp).timestamp(),
            duration=seconds(post.run_time) if post else None,
            commit=pre.commit,
            config_hash=pre.config_hash,
            facts=list(config),
            artifacts=_artifacts(post.artifacts if post else pre.artifacts, ended=post is not None),
            host=platform.node if platform else pre.process.host,
            user=platform.user if platform else None,
            python=platform.python.version if platform else None,
            children=post.children if post else 0,
            reproduction_of=pre.reproduction_of,
            reused_from=post.reused_from if post else None,
            reusable=post is not None and post.reuse is not None,
        )
        _add_facts(root.facts, pre.args, pre.kwargs, post.values if post else {}, post.series if post else {})
        found.rows.append(root)
        if any(one.startswith(runfolder.STEPS) for one in names):
            self._children(folder, root, found)
        if any(one.startswith(runfolder.MARKS) for one in names):
            self._marks(folder, found)
        if status == "running":
            found.steps, found.process = steps, pre.process
        return found

    def _post(self, folder: str, problems: list[str]) -> _Post | None:
        try:
            return documents.read(os.path.join(folder, runfolder.POST_RUN), _Post)
        except FileNotFoundError:
            return None
        except RecordError as error:
            problems.append(str(error))
            return None

    def _context(self, folder: str, problems: list[str]) -> tuple[_Platform | None, list[Fact]]:
        path = os.path.join(folder, runfolder.CONTEXT)
        try:
            state = os.stat(path)
            key = (state.st_dev, state.st_ino, state.st_mtime_ns)  # runs of one process share it by hard links
            known = self._contexts.get(key)
            if known is None:
                context = documents.read(path, _Context)
                config: list[Fact] = []
                if context.config is not None:
                    columns.facts("config", context.config, config)
                known = context.platform, config
                if state.st_nlink > 1:
                    self._contexts[key] = known
        except FileNotFoundError:
            problems.append(f"{path}: is not there")
        except RecordError as error:
            problems.append(str(error))
        except OSError as error:
            problems.append(f"{path}: cannot be read: {error.strerror or error}")
        else:
            return known
        return None, []

    def _status(self, pre: _Pre, problems: list[str]) -> str:
        alive = self._alive.get(pre.process, False)
        if alive is False and pre.process not in self._alive:
            alive = self._alive[pre.process] = host.is_alive(pre.process)
        return "interrupted" if alive is False or problems else "running"

    def _children(self, folder: str, root: Row, found: Gathered) -> None:
        damaged: list[RecordError] = []
        begins: dict[str, StepRecord] = {}
        ends: dict[str, StepRecord] = {}
        for step in runfolder.read_steps(folder, damaged):
            (begins if step.event == "begin" else ends)[step.run_id] = step
        over = "running" if root.status == "running" else "interrupted"
        for run_id, begin in begins.items():
            end = ends.get(run_id)
            row = Row(
                run_id=run_id,
                parent_id=begin.parent_id or root.run_id,
                kind=begin.kind or "function",
                function=begin.function,
                what=begin.function or begin.kind or "function",
                status=(end.status if end else None) or over,
                started=moment(begin.timestamp).timestamp(),
                duration=seconds(end.run_time) if end and end.run_time else None,
                commit=begin.commit,
                config_hash=begin.config_hash,
                facts=[],
                artifacts=_artifacts(end.artifacts if end else [], ended=True),
                host=begin.process.host if begin.process else None,
                reused_from=end.reused_from if end else None,
                reusable=end is not None and end.reuse is not None,
            )
            if begin.config is not None:
                columns.facts("config", begin.config, row.facts)
            _add_facts(row.facts, begin.args, begin.kwargs, end.values if end else {}, end.series if end else {})
            found.rows.append(row)
        root.children = max(root.children, len(begins))
        found.problems.extend(str(error) for error in damaged)

    def _marks(self, folder: str, found: Gathered) -> None:
        damaged: list[RecordError] = []
        marks = sorted(runfolder.read_marks(folder, damaged), key=lambda mark: mark.timestamp)
        for row in found.rows:
            own = [mark for mark in marks if mark.run_id == row.run_id]
            row.marks = [("tag", tag) for tag in tags_of(own, row.run_id)]
            row.marks += [(mark.event, mark.text) for mark in own if mark.event in ("note", "verdict")]
        found.problems.extend(str(error) for error in damaged)


def process_of(text: str) -> ProcessId:
    """Read what the index keeps of an open run's process."""
    return msgspec.json.decode(text, type=ProcessId)


def steps_size(folder: str) -> int:
    """Sum the bytes of a run's steps files: it grows with each child run."""
    total = 0
    for name in _jsonl(folder):
        try:
            total += os.stat(os.path.join(folder, name)).st_size
        except OSError:
            continue
    return total


def _jsonl(folder: str) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if name.endswith(".jsonl")]
    except OSError:
        return []


def _artifacts(records: list[Any], *, ended: bool) -> list[tuple[Any, ...]]:
    found = []
    for one in records:
        path = columns.text(one.path)
        name = path.rstrip("/").rpartition("/")[2]
        role = one.role if ended else "expected"
        digest = columns.packed(one.digest)
        found.append((role, path, name, digest, one.size, one.commit, one.config_hash, int(one.seen)))
    return found


def _add_facts(
    found: list[Fact],
    args: list[Any],
    kwargs: dict[str, Any],
    values: dict[str, Any],
    series: dict[str, list[list[Any]]],
) -> None:
    for number, value in enumerate(args):
        columns.facts(f"arg.{number}", value, found)
    for name, value in kwargs.items():
        columns.facts(f"arg.{name}", value, found)
    for name, value in values.items():
        columns.facts(f"value.{name}", value, found)
    for name, points in series.items():
        if points and len(points[-1]) == 2:
            columns.facts(f"series.{name}", points[-1][1], found)
