"""The closure of a decorated function: which local code its result depends on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reprokit.code.closure import Unseen
    from reprokit.model.records import ClosureInfo
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.project import Project


def closure_of(plan: Plan, subject: Subject, project: Project, faults: Faults) -> ClosureInfo | None:
    """Give the closure of a run's function; None for blocks and commands, and when it can't be found out."""
    return look(plan, subject, project, faults)[0]


def look(plan: Plan, subject: Subject, project: Project, faults: Faults) -> tuple[ClosureInfo | None, Unseen]:
    """Give the same, and the constants whose content is not in it."""
    if subject.kind != "function" or subject.target is None:
        return None, {}
    from reprokit.code import closure

    with faults.at("the closure of the code"):
        return closure.look(
            subject.target,
            root=root_of(subject, project),
            local=_local(plan.depends),
            depends=plan.depends,
            owner=subject.owner,
            cache=project.vault.closures,
        )
    return None, {}


def _local(depends: tuple[object, ...]) -> list[str]:
    """Give the packages that are named in ``depends=`` and not installed, of which no version would tell a change."""
    found = []
    for one in depends:
        name = one if isinstance(one, str) else getattr(one, "__module__", None) or getattr(one, "__name__", None)
        top = name.partition(":")[0].partition(".")[0] if isinstance(name, str) else ""
        file = getattr(sys.modules.get(top), "__file__", None)
        if not isinstance(file, str) or top in sys.stdlib_module_names:
            continue
        if not {"site-packages", "dist-packages"}.intersection(Path(file).parts):
            found.append(top)
    return found


def root_of(subject: Subject, project: Project) -> Path:
    """Give the folder whose code counts as local: the project, or the tree that the code was imported from."""
    if subject.tree is not None:
        from reprokit.code.apart import finder

        tree = finder.tree_of(subject.tree)
        if tree is not None:
            return Path(tree.folder)
    return project.root
