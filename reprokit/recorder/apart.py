"""Facts about code that was imported apart: it is not what lies in the project's working tree today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.recorder.facts import NO_GIT, Facts

if TYPE_CHECKING:
    from reprokit.code.apart.tree import Tree
    from reprokit.model.records import SnapshotInfo
    from reprokit.recorder.plan import SnapshotSpec, Subject


class ApartFacts(Facts):
    """The machine as it is now, the code as its tree tells.

    Parameters
    ----------
    facts
        What is known about the project and the machine.
    tree
        Where the code comes from.
    """

    def __init__(self, facts: Facts, tree: Tree) -> None:
        vars(self).update(vars(facts))
        self._source = tree
        self._today = facts.sha
        self.git = {}
        self.own = None
        self.stale = []  # files of a tree that changed are refused, not run
        self.unknown = {"git": f"the code was imported apart, from {tree.label}"}

    def commit(self, *, tree: bool) -> str:
        """Give the commit that the tree was recorded with; else one that nothing else is named by."""
        if self._source.commit is not None:
            return self._source.commit
        if self._today is None:
            return NO_GIT
        return f"{self._today[:7]}-dirty-{self._source.prefix.rpartition('_')[2][:7]}"

    def require_clean(self) -> None:
        """Allow it: the state of the working tree is beside the point."""

    def why_no_git(self) -> str | None:
        """Say nothing, for the same reason."""
        return None

    def tree(self, spec: SnapshotSpec | None = None) -> SnapshotInfo:
        """Give the snapshot that the code comes from; a folder that no vault has kept yet is kept now."""
        if self._source.snapshot is None:
            self._source.snapshot = self._keep(Path(self._source.folder), spec)
        return self._source.snapshot

    def write_diffs(self, folder: Path) -> None:
        """Write none: no repository lies behind a tree."""


def facts_for(subject: Subject, facts: Facts) -> Facts:
    """Give the facts about the code of a run."""
    if subject.tree is None:
        return facts
    from reprokit.code.apart import finder

    tree = finder.tree_of(subject.tree)
    if tree is None:
        return facts
    if tree.prefix not in facts.apart:
        facts.apart[tree.prefix] = ApartFacts(facts, tree)
    return facts.apart[tree.prefix]
