"""Which run a call becomes: a root, or a child of the run that is open here or in the program that started this one."""

from __future__ import annotations

import os
import threading
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.capture.opened.hook import quietly
from reprokit.context import peek
from reprokit.recorder import opening, project, replayed, surroundings
from reprokit.recorder.child import prepare_child
from reprokit.recorder.faults import Faults
from reprokit.recorder.open_run import OpenRun
from reprokit.recorder.root import prepare_root
from reprokit.recorder.trunk import Trunk
from reprokit.vault import atomic, documents
from reprokit.vault.runfolder import RunFolder

if TYPE_CHECKING:
    from reprokit.context import Context
    from reprokit.recorder.plan import Plan, Subject

PARENT = "REPROKIT_PARENT"  # "<root id>:<run id>:<root run's folder>", set for monitored commands

#: In a worker: what the runs of the present task share, and the id of the run that sent it.
sent: ContextVar[tuple[Trunk, str] | None] = ContextVar("reprokit_sent", default=None)

_remote: dict[tuple[str, int], tuple[Trunk, str] | None] = {}
_lock = threading.RLock()


class Place(NamedTuple):
    """Where a child run belongs."""

    trunk: Trunk
    parent_id: str
    parent: Context | None  # when it is open in this process


def place() -> Place | None:
    """Give the place of a run that opens here; None for a root run."""
    parent = peek()
    if parent is not None and isinstance(parent._ledger, OpenRun):
        return Place(parent._ledger.trunk, parent.run_id, parent)
    task = sent.get()
    if task is not None:
        return Place(task[0], task[1], None)
    announced = os.environ.get(PARENT)
    if announced:
        found = _remote_trunk(announced)
        if found is not None:
            return Place(found[0], found[1], None)
    return None


def project_at(found: Place | None) -> project.Project:
    """Give the project of a run that opens at a place; raises `SettingsError`."""
    return found.trunk.project if found is not None else project.current()


def wants_reuse(plan: Plan, project: project.Project) -> bool:
    """Tell whether a call of this stack is to be answered by an earlier run where that can be done."""
    settings = project.settings
    if not settings.reuse or project.elsewhere is not None:
        return False
    if replayed.identity_of(project.root) is not None:  # what is reproduced has to run
        return False
    return plan.reuse.asked or (
        settings.exists == "reuse" and any(spec.names and spec.exists is None for spec in plan.artifacts)
    )


@quietly
def prepare(plan: Plan, subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any]) -> OpenRun:
    """Settle the run of one call: a root, or a child; its `begin` opens it.

    Raises
    ------
    ReprokitError
        When the call is refused; nothing has started then.
    """
    found = place()
    if found is None:
        return prepare_root(plan, subject, args, kwargs)
    return prepare_child(plan, subject, args, kwargs, parent=found.parent, parent_id=found.parent_id, trunk=found.trunk)


def announcement(root_id: str, run_id: str, folder: Path) -> str:
    """What a monitored command finds in its environment, so that its runs become child runs."""
    return f"{root_id}:{run_id}:{folder}"


def _remote_trunk(announced: str) -> tuple[Trunk, str] | None:
    """Join the run of the program that started this one; None when its folder is not there."""
    key = (announced, os.getpid())
    with _lock:
        if key not in _remote:
            _remote[key] = _join(announced)
        return _remote[key]


def _join(announced: str) -> tuple[Trunk, str] | None:
    root_id, _, rest = announced.partition(":")
    run_id, _, path = rest.partition(":")
    folder = Path(path)
    if not folder.is_dir():
        return None
    owner = project.current()
    facts = owner.facts()
    trunk = Trunk(owner, facts, RunFolder(folder, owner.process.host), root_id)
    faults = Faults(strict=owner.settings.strict, redactor=owner.redactor)
    with faults.at("the environment of this process"):
        # The command's interpreter need not be the one that records the command.
        record = surroundings.describe(owner, facts, opening.commit_of(facts, faults, tree=False))
        name = f"context-{owner.process.host}-{owner.process.pid}-{os.urandom(4).hex()}.json"
        atomic.write(str(folder / name), documents.encode(record))
    faults.tell()
    return trunk, run_id
