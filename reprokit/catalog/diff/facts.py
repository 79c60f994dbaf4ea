"""What there is to compare of a run, root or child, whatever of its records can be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.catalog.diff.result import Side
from reprokit.catalog.run import Child, Run
from reprokit.errors import RecordError
from reprokit.vault import documents

if TYPE_CHECKING:
    from reprokit.model.records import (
        ArtifactRecord,
        ClosureInfo,
        ContextRecord,
        ExceptionInfo,
        FileInfo,
        PostRunInfo,
        PreRunInfo,
        SnapshotInfo,
        StepRecord,
    )

_UNREAD = "its record cannot be read"


@dataclass(frozen=True)
class Facts:
    """One run as the comparison sees it.

    Attributes
    ----------
    context : ContextRecord or None
        Of the root run's process: code, configuration.
    surroundings : ContextRecord or None
        Of the process that ran it: another one than `context` for a child run in a worker.
    call : PreRunInfo, StepRecord or None
        What it was called with.
    end : PostRunInfo, StepRecord or None
        How it ended; None while it runs, when it was killed, or when that cannot be read.
    away : bool
        Whether a worker ran it.
    missing : dict
        Document -> why it is not at hand.
    damaged : set of str
        Those of them that are there and cannot be read.
    """

    run: Run | Child
    vault: Path
    context: ContextRecord | None
    surroundings: ContextRecord | None
    call: PreRunInfo | StepRecord | None
    end: PostRunInfo | StepRecord | None
    closure_digest: str | None
    closure: ClosureInfo | None
    snapshot: SnapshotInfo | None
    config: Any
    away: bool = False
    missing: dict[str, str] = field(default_factory=dict)
    damaged: set[str] = field(default_factory=set)

    @property
    def child(self) -> bool:
        return isinstance(self.run, Child)

    @property
    def pre(self) -> PreRunInfo | None:
        """The root run's own call; None for a child run."""
        return None if isinstance(self.run, Child) else self.call  # type: ignore[return-value]

    @property
    def root_directory(self) -> str | None:
        return self.context.root_directory if self.context else None

    @property
    def artifacts(self) -> list[ArtifactRecord]:
        return self.end.artifacts if self.end else []

    @property
    def items(self) -> dict[str, FileInfo | None]:
        """Files that settings name, as they were before (of the context) and after."""
        before = self.context.files if self.context and not self.child else {}
        return {**before, **(self.end.files if self.end else {})}

    @property
    def exception(self) -> ExceptionInfo | None:
        return self.end.exception_info if self.end else None

    @property
    def redacted(self) -> list[str]:
        """Places whose value was a secret."""
        of_context = self.context.redacted if self.context and not self.child else []
        return [*of_context, *(self.call.redacted if self.call else [])]

    def side(self) -> Side:
        """Give what heads the comparison."""
        run, call = self.run, self.call
        if call is None:
            where = run.folder.name
            return Side(
                run_id="", folder=where, what=where, status="unknown", started=None, commit=None, config_hash=None
            )
        return Side(
            run_id=run.run_id, folder=run.folder.name, what=run.what, status=run.status, started=call.timestamp or None,
            commit=run.commit, config_hash=run.config_hash or None, child=self.child,
        )  # fmt: skip


def of(run: Run | Child, vault: Path) -> Facts:
    """Read what there is of a run; nothing that is damaged stops it."""
    return _of_child(run, vault) if isinstance(run, Child) else _of_root(run, vault)


def _of_root(run: Run, vault: Path) -> Facts:
    missing: dict[str, str] = {}
    damaged: set[str] = set()
    try:
        call: PreRunInfo | None = run.pre
    except RecordError as error:
        call = None
        run.problems.append(str(error))
        missing["call"] = _UNREAD
        damaged.add("call")
    context, end = run.context, run.post
    if context is None:
        missing["context"] = _UNREAD
        damaged.add("context")
    if end is None:
        _no_end(run, call is not None, missing, damaged)
    closure = context.closure if context else None
    return Facts(
        run, vault, context, context, call, end, closure.digest if closure else None, closure,
        context.snapshot if context else None, context.config if context else None,
        missing=missing, damaged=damaged,
    )  # fmt: skip


def _no_end(run: Run, known: bool, missing: dict[str, str], damaged: set[str]) -> None:
    if (run.folder / "post-run-info.json").exists():
        missing["end"] = _UNREAD
        damaged.add("end")
    else:
        missing["end"] = "it has not ended" if known and run.status == "running" else "it was interrupted"


def _of_child(child: Child, vault: Path) -> Facts:
    begin, context = child.begin, child.root.context
    assert begin is not None  # `Run.children` gives no others
    missing: dict[str, str] = {}
    damaged: set[str] = set()
    if context is None:
        missing["context"] = _UNREAD
        damaged.add("context")
    surroundings = context
    if begin.environment is not None:
        name = f"context-{begin.environment.rpartition(':')[2][:16]}.json"
        surroundings = _worker(child, name, missing, damaged)
    if child.end is None:
        missing["end"] = "it has not ended" if _running(child) else "it was interrupted"
    closure = begin.closure or _closure(child, begin.closure_digest)
    return Facts(
        child, vault, context, surroundings, begin, child.end, begin.closure_digest or (closure.digest if closure else None),
        closure, begin.snapshot or (context.snapshot if context else None), begin.config,
        away=begin.environment is not None or begin.bundle is not None, missing=missing, damaged=damaged,
    )  # fmt: skip


def _running(child: Child) -> bool:
    try:
        return child.status == "running"
    except RecordError:
        return False


def _worker(child: Child, name: str, missing: dict[str, str], damaged: set[str]) -> ContextRecord | None:
    """Read the surroundings of the worker that ran a child run."""
    from reprokit.model.records import ContextRecord

    try:
        if "/" in name or "\\" in name or "\0" in name:
            raise FileNotFoundError
        return documents.read(child.folder / name, ContextRecord)
    except FileNotFoundError:
        missing["surroundings"] = "what its worker found around it is not in the run's folder"
    except RecordError as error:
        child.root.problems.append(str(error))
        missing["surroundings"] = _UNREAD
        damaged.add("surroundings")
    return None


def _closure(child: Child, digest: str | None) -> ClosureInfo | None:
    """Find a closure that another line of the root run's folder holds."""
    if digest is None:
        return None
    context = child.root.context
    if context and context.closure and context.closure.digest == digest:
        return context.closure
    for other in child.root.children:
        if other.begin and other.begin.closure and other.begin.closure.digest == digest:
            return other.begin.closure
    return None
