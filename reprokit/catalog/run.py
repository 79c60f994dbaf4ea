"""A run as its folder tells it: the truth, read when asked for, and without executing anything."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.capture import host
from reprokit.catalog.result import Result
from reprokit.errors import RecordError
from reprokit.vault import runfolder

if TYPE_CHECKING:
    from reprokit.model.records import (
        ArtifactRecord,
        ContextRecord,
        Kind,
        MarkRecord,
        PostRunInfo,
        PreRunInfo,
        Status,
        StepRecord,
    )

UNOPENED = "has no pre-run-info.json; the run was killed while it opened"

_DURATION = re.compile(r"P(?:(\d+)D)?T(?:(\d+)H)?(?:(\d+)M)?(?:([0-9.]+)S)?\Z")


@dataclass
class Run(Result):
    """A root run in the vault; each document is read when first asked for.

    Attributes
    ----------
    folder : Path
        The run's folder.
    problems : list of str
        What could not be read so far, a sentence each.
    """

    folder: Path
    problems: list[str] = field(default_factory=list)

    @cached_property
    def pre(self) -> PreRunInfo:
        """Which run it is; raises `RecordError`."""
        try:
            return runfolder.read_pre_run(self.folder)
        except FileNotFoundError as error:
            raise RecordError(str(self.folder), UNOPENED) from error

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
    def root(self) -> Run:
        """The root run: itself."""
        return self

    @property
    def run_id(self) -> str:
        return self.pre.run_id

    @property
    def parent_id(self) -> str | None:
        return self.pre.parent_id

    @property
    def kind(self) -> Kind:
        return self.pre.kind

    @property
    def function(self) -> str | None:
        """Module-qualified name of the function, or name of the block."""
        return self.pre.function

    @property
    def what(self) -> str:
        """What ran, in words: the function, or the command line."""
        return self.pre.function or " ".join(self.pre.command or []) or self.pre.kind

    @cached_property
    def started(self) -> datetime:
        """When it began; the earliest time there is when the record holds no time."""
        return moment(self.pre.timestamp)

    @property
    def duration(self) -> float | None:
        """Seconds that it took; None without an end."""
        return seconds(self.post.run_time) if self.post else None

    @property
    def commit(self) -> str | None:
        """As in artifact names; with ``-dirty-`` when there were uncommitted changes."""
        return self.pre.commit

    @property
    def config_hash(self) -> str:
        return self.pre.config_hash

    @property
    def config(self) -> Any:
        """The configuration, secrets taken out; None when there was none or the context cannot be read."""
        return self.context.config if self.context else None

    @property
    def args(self) -> list[Any]:
        return self.pre.args

    @property
    def kwargs(self) -> dict[str, Any]:
        return self.pre.kwargs

    @property
    def values(self) -> dict[str, Any]:
        """What was recorded with `Context.record`."""
        return self.post.values if self.post else {}

    @property
    def series(self) -> dict[str, list[list[Any]]]:
        return self.post.series if self.post else {}

    @property
    def artifacts(self) -> list[ArtifactRecord]:
        """Files and folders that it generated, used, or was to write and did not."""
        return self.post.artifacts if self.post else []

    @cached_property
    def children(self) -> list[Child]:
        """Its child runs, in the order in which they began."""
        found: dict[str, Child] = {}
        damaged: list[RecordError] = []
        for step in runfolder.read_steps(self.folder, damaged):
            child = found.setdefault(step.run_id, Child(self))
            if step.event == "begin":
                child.begin = step
            else:
                child.end = step
        self.problems.extend(str(error) for error in damaged)
        return sorted((c for c in found.values() if c.begin), key=lambda c: c.begin.timestamp if c.begin else "")

    @cached_property
    def marks(self) -> list[MarkRecord]:
        """What people said of it and of its child runs, in the order of time."""
        damaged: list[RecordError] = []
        found = sorted(runfolder.read_marks(self.folder, damaged), key=lambda mark: mark.timestamp)
        self.problems.extend(str(error) for error in damaged)
        return found

    @property
    def tags(self) -> list[str]:
        """Tags that people gave it, sorted."""
        return tags_of(self.marks, self.run_id)

    @property
    def notes(self) -> list[str]:
        """Notes that people left, oldest first."""
        return [mark.text for mark in self.marks if mark.event == "note" and mark.run_id == self.run_id]

    def _place(self) -> Path:
        return self.folder

    @property
    def _end(self) -> PostRunInfo | StepRecord | None:
        return self.post

    def _repr_html_(self) -> str:
        from reprokit.catalog import html

        return html.run(self)

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
            "reproduction_of": pre.reproduction_of,
            "reused_from": self.reused_from,
            "reused": self.reused,
            "reused_at": self.reused_at.isoformat() if self.reused_at else None,
            "saved": self.saved,
            "tags": self.tags,
            "notes": self.notes,
        }


@dataclass
class Child(Result):
    """A child run: the line that began it and the line that ended it."""

    root: Run
    begin: StepRecord | None = None
    end: StepRecord | None = None

    @property
    def folder(self) -> Path:
        """The root run's folder."""
        return self.root.folder

    @property
    def status(self) -> Status:
        """The recorded status; without an end it is ``interrupted`` once the root run has ended."""
        if self.end is not None and self.end.status is not None:
            return self.end.status
        return "interrupted" if self.root.status != "running" else "running"

    @property
    def run_id(self) -> str:
        return self._begin.run_id

    @property
    def parent_id(self) -> str | None:
        return self._begin.parent_id

    @property
    def kind(self) -> Kind:
        return self._begin.kind or "function"

    @property
    def function(self) -> str | None:
        return self._begin.function

    @property
    def what(self) -> str:
        """What ran, in words."""
        return self._begin.function or self.kind

    @property
    def started(self) -> datetime:
        """When it began; the earliest time there is when the record holds no time."""
        return moment(self._begin.timestamp)

    @property
    def duration(self) -> float | None:
        """Seconds that it took; None without an end."""
        return seconds(self.end.run_time) if self.end and self.end.run_time else None

    @property
    def commit(self) -> str | None:
        return self._begin.commit

    @property
    def config_hash(self) -> str:
        return self._begin.config_hash or ""

    @property
    def config(self) -> Any:
        return self._begin.config

    @property
    def args(self) -> list[Any]:
        return self._begin.args

    @property
    def kwargs(self) -> dict[str, Any]:
        return self._begin.kwargs

    @property
    def values(self) -> dict[str, Any]:
        return self.end.values if self.end else {}

    @property
    def series(self) -> dict[str, list[list[Any]]]:
        return self.end.series if self.end else {}

    @property
    def artifacts(self) -> list[ArtifactRecord]:
        return self.end.artifacts if self.end else []

    @property
    def tags(self) -> list[str]:
        """Tags that people gave it, sorted."""
        return tags_of(self.root.marks, self.run_id)

    @property
    def notes(self) -> list[str]:
        """Notes that people left, oldest first."""
        return [mark.text for mark in self.root.marks if mark.event == "note" and mark.run_id == self.run_id]

    def summary(self) -> dict[str, Any]:
        """The facts of a listing, as JSON has them."""
        begin, end = self._begin, self.end
        return {
            "run_id": begin.run_id,
            "parent_id": begin.parent_id,
            "root_id": self.root.run_id,
            "kind": self.kind,
            "function": begin.function,
            "command": None,
            "status": self.status,
            "started_at": begin.timestamp,
            "run_time": end.run_time if end else None,
            "commit": begin.commit,
            "config_hash": begin.config_hash,
            "folder": self.folder.name,
            "values": self.values,
            "artifacts": [a.path for a in self.artifacts if a.role == "generated"],
            "children": None,
            "reused_from": self.reused_from,
            "reused": self.reused,
            "reused_at": self.reused_at.isoformat() if self.reused_at else None,
            "saved": self.saved,
            "tags": self.tags,
            "notes": self.notes,
        }

    def _repr_html_(self) -> str:
        from reprokit.catalog import html

        return html.run(self)

    def _place(self) -> Path:
        return self.folder

    @property
    def _end(self) -> PostRunInfo | StepRecord | None:
        return self.end

    @property
    def _begin(self) -> StepRecord:
        assert self.begin is not None  # `Run.children` gives no others
        return self.begin


def tags_of(marks: list[MarkRecord], run_id: str) -> list[str]:
    """Give the tags of a run: those that were given and not taken back."""
    found: set[str] = set()
    for mark in marks:
        if mark.run_id != run_id:
            continue
        if mark.event == "tag":
            found.add(mark.text)
        elif mark.event == "untag":
            found.discard(mark.text)
    return sorted(found)


def moment(timestamp: str) -> datetime:
    """Read a record's time; the earliest time there is when it is none."""
    try:
        found = datetime.fromisoformat(timestamp)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def seconds(duration: str) -> float | None:
    """Read an ISO 8601 duration (``PT1.5S``, ``P1DT2H``) in seconds; None when it is none."""
    found = _DURATION.match(duration)
    if not found:
        return None
    days, hours, minutes, rest = (float(part) if part else 0.0 for part in found.groups())
    return days * 86_400 + hours * 3_600 + minutes * 60 + rest
