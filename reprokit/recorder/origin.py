"""The run that a task comes from, as a worker must know it: names, commit, settings; nothing of its data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit import process
from reprokit.model.records import GitInfo, SnapshotInfo
from reprokit.recorder.closures import closure_of
from reprokit.recorder.open_run import OpenRun
from reprokit.settings import Settings

if TYPE_CHECKING:
    from reprokit.context import Context
    from reprokit.model.records import ClosureInfo
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.trunk import Trunk


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """A root run of another process.

    Attributes
    ----------
    root_id
        Its id, in hex.
    machine
        Names the sender's machine; on the same one the project's folder means the same.
    commit, tree_commit
        As in artifact names, without and with the digest of a dirty tree.
    own
        The project's repository.
    settings
        The sender's settings, as plain values.
    folder
        Name of the root run's folder, below ``runs/``.
    """

    root_id: str
    root: str
    machine: str
    commit: str
    tree_commit: str | None
    name: str
    own: GitInfo | None
    snapshot: SnapshotInfo | None
    python_path: list[str]
    settings: dict[str, Any]
    folder: str = ""

    def read_settings(self, root: Path) -> Settings:
        """Give the sender's settings for the folder that stands for the project here."""
        found = msgspec.convert({**self.settings, "root": str(root)}, Settings, dec_hook=_path, strict=False)
        assert isinstance(found, Settings)
        return found


def _path(kind: type, value: Any) -> Any:
    return Path(value) if kind is Path else value


def trunk_of(context: Context) -> Trunk:
    """Give what the run of a context shares with its children."""
    assert isinstance(context._ledger, OpenRun)
    return context._ledger.trunk


def keep_closure(context: Context, plan: Plan, subject: Subject) -> ClosureInfo | None:
    """Give the closure of a function that a run sends away; None when it can't be found out."""
    run = context._ledger
    assert isinstance(run, OpenRun)
    return closure_of(plan, subject, run.trunk.project, run.faults)


def origin_of(context: Context, *, snapshot: bool = False) -> Origin:
    """Describe a run to workers.

    Parameters
    ----------
    context
        The open run that sends tasks.
    snapshot
        Whether a task may need the digest of the source tree: then the tree is kept now.
    """
    trunk = trunk_of(context)
    facts, owner = trunk.facts, trunk.project
    own = facts.own
    dirty = own is not None and bool(own.dirty)
    kept: SnapshotInfo | None = None
    tree_commit: str | None = facts.commit(tree=False) if not dirty else None
    faults = context._ledger.faults if isinstance(context._ledger, OpenRun) else None
    assert faults is not None
    if dirty or snapshot or context.snapshot is not None:
        with faults.at("the source tree"):
            kept = facts.tree()
            tree_commit = facts.commit(tree=True)
    settings = msgspec.to_builtins(owner.settings, enc_hook=str)
    return Origin(
        root_id=context.root_id,
        root=str(owner.root),
        machine=process.machine(),
        commit=facts.commit(tree=False),
        tree_commit=tree_commit,
        name=facts.name,
        own=own,
        snapshot=kept,
        python_path=facts.python_path,
        settings=settings,
        folder=trunk.name,
    )
