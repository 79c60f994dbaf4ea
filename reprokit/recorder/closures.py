"""The closure of a decorated function: which local code its result depends on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reprokit.model.records import ClosureInfo
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.project import Project


def closure_of(plan: Plan, subject: Subject, project: Project, faults: Faults) -> ClosureInfo | None:
    """Give the closure of a run's function; None for blocks and commands, and when it can't be found out."""
    if subject.kind != "function" or subject.target is None:
        return None
    from reprokit.code import closure

    with faults.at("the closure of the code"):
        return closure.of(
            subject.target,
            root=root_of(subject, project),
            depends=plan.depends,
            owner=subject.owner,
            cache=project.vault.closures,
        )
    return None


def root_of(subject: Subject, project: Project) -> Path:
    """Give the folder whose code counts as local: the project, or the tree that the code was imported from."""
    if subject.tree is not None:
        from reprokit.code.apart import finder

        tree = finder.tree_of(subject.tree)
        if tree is not None:
            return Path(tree.folder)
    return project.root
