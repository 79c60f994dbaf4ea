"""Runs as their folders tell them: the truth, read without executing anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.capture import host
from reprokit.errors import AmbiguousRunError, RecordError, RunNotFoundError
from reprokit.vault import runfolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.model.records import ContextRecord, PostRunInfo, PreRunInfo, Status, StepRecord


@dataclass
class Run:
    """A root run in the vault; each document is read when first asked for."""

    folder: Path
    problems: list[str] = field(default_factory=list)

    @cached_property
    def pre(self) -> PreRunInfo:
        """Which run it is; raises `RecordError`."""
        try:
            return runfolder.read_pre_run(self.folder)
        except FileNotFoundError as error:
            raise RecordError(
                str(self.folder), "has no pre-run-info.json; the run was killed while it opened"
            ) from error

    @cached_property
    def context(self) -> ContextRecord | None:
        """Code and environment; None, and an entry in `problems`, when it cannot be read."""
        try:
            return runfolder.read_context(self.folder)
        except (RecordError, FileNotFoundError) as error:
            self.problems.append(str(error))
            return None

    @cached_property
    def post(self) -> PostRunInfo | None:
        """How it ended; None while it runs, when it was killed, or (then in `problems`) when it cannot be read."""
        try:
            return runfolder.read_post_run(self.folder)
        except RecordError as error:
            self.problems.append(str(error))
            return None

    @cached_property
    def status(self) -> Status:
        """The recorded status; of a run without an end, ``running`` while its process lives, else ``interrupted``."""
        if self.post is not None:
            return self.post.status
        # None: another machine's process, which can't be asked from here; its record may still come.
        return "interrupted" if host.is_alive(self.pre.process) is False or self.problems else "running"

    @property
    def run_id(self) -> str:
        return self.pre.run_id

    @cached_property
    def started(self) -> datetime:
        """When it began; the earliest time there is when the record holds no time."""
        try:
            stamp = datetime.fromisoformat(self.pre.timestamp)
        except ValueError:
            return datetime.min.replace(tzinfo=UTC)
        return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)

    @cached_property
    def children(self) -> list[Child]:
        """Its child runs, in the order in which they began."""
        found: dict[str, Child] = {}
        damaged: list[RecordError] = []
        for step in runfolder.read_steps(self.folder, damaged):
            child = found.setdefault(step.run_id, Child())
            if step.event == "begin":
                child.begin = step
            else:
                child.end = step
        self.problems.extend(str(error) for error in damaged)
        for child in found.values():
            child.over = self.status != "running"
        return sorted((c for c in found.values() if c.begin), key=lambda c: c.begin.timestamp if c.begin else "")

    def summary(self) -> dict[str, Any]:
        """The facts of a listing, as JSON has them."""
        pre, post = self.pre, self.post
        return {
            "run_id": pre.run_id,
            "parent_id": pre.parent_id,
            "root_id": pre.root_id,
            "kind": pre.kind,
            "function": pre.function,
            "command": pre.command,
            "status": self.status,
            "started_at": pre.timestamp,
            "run_time": post.run_time if post else None,
            "commit": pre.commit,
            "config_hash": pre.config_hash,
            "folder": self.folder.name,
            "values": post.values if post else {},
            "artifacts": [a.path for a in post.artifacts if a.role == "generated"] if post else [],
            "children": post.children if post else None,
        }


@dataclass
class Child:
    """A child run: the line that began it and the line that ended it."""

    begin: StepRecord | None = None
    end: StepRecord | None = None
    over: bool = False  # the root run has ended

    @property
    def status(self) -> Status:
        """The recorded status; without an end it is ``interrupted`` once the root run has ended."""
        if self.end is not None and self.end.status is not None:
            return self.end.status
        return "interrupted" if self.over else "running"


def folders(vault: Path) -> Iterator[Path]:
    """Give all run folders, in no order."""
    try:
        yield from (entry for entry in (vault / "runs").iterdir() if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return


def runs(vault: Path, damaged: list[RecordError] | None = None) -> list[Run]:
    """Give all readable root runs, newest first; damaged ones are named in `damaged` and never hide the others."""
    found = []
    for folder in folders(vault):
        run = Run(folder)
        try:
            run.pre  # noqa: B018 - reading it is the check
        except RecordError as error:
            if damaged is not None:
                damaged.append(error)
        else:
            found.append(run)
    return sorted(found, key=lambda run: (run.started, run.folder.name), reverse=True)


def find(vault: Path, wanted: str) -> Run:
    """Find a run by a prefix of its id (or of a child's id), by folder name, or ``@`` for the newest.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError, RecordError
    """
    if wanted == "@":
        newest = runs(vault)
        if newest:
            return newest[0]
        raise RunNotFoundError(wanted, str(vault))
    direct = next((f for f in folders(vault) if f.name == wanted), None)
    if direct is not None:
        return Run(direct)
    if not wanted or not all(c in "0123456789abcdef" for c in wanted):
        raise RunNotFoundError(wanted, str(vault))
    everything = runs(vault)
    found = [run for run in everything if run.run_id.startswith(wanted)]
    if not found:
        found = [run for run in everything if any(c.begin and c.begin.run_id.startswith(wanted) for c in run.children)]
    if len(found) > 1:
        raise AmbiguousRunError(wanted, tuple(run.run_id for run in found))
    if not found:
        raise RunNotFoundError(wanted, str(vault))
    return found[0]
