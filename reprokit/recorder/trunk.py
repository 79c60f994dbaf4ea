"""What a root run shares with its child runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.recorder.closures import closure_of

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.model.records import ClosureInfo
    from reprokit.recorder.facts import Facts
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.project import Project
    from reprokit.vault.runfolder import RunFolder


class Trunk:
    """What a root run shares with its child runs."""

    __slots__ = ("bundle", "children", "closures", "environment", "facts", "folder", "project", "root_id")

    def __init__(self, project: Project, facts: Facts, folder: RunFolder | None, root_id: str) -> None:
        self.project = project
        self.facts = facts
        self.folder = folder
        self.root_id = root_id
        self.children = 0
        self.closures: set[str] = set()  # digests of those that the folder holds
        self.bundle: str | None = None  # digest of the code that was sent here, in a worker
        self.environment: str | None = None  # digest of the worker's interpreter and packages

    @property
    def path(self) -> Path | None:
        """The root run's folder in the vault; None when nothing can be recorded there from here."""
        return self.folder.path if self.folder is not None else None

    @property
    def name(self) -> str:
        """Name of the root run's folder; empty when there is none."""
        return self.folder.path.name if self.folder is not None else ""

    def closure(self, plan: Plan, subject: Subject, faults: Faults) -> tuple[str | None, ClosureInfo | None]:
        """Give the digest of the closure of a run's function, and the closure itself when the folder doesn't hold it yet."""
        found = closure_of(plan, subject, self.project, faults)
        if found is None:
            return None, None
        if found.digest in self.closures:
            return found.digest, None
        self.closures.add(found.digest)
        return found.digest, found
