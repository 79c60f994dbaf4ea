"""The results that a key has: which of them answers a call, or what speaks against each."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from reprokit.recorder.reuse import candidates, returned
from reprokit.recorder.reuse.candidates import Target
from reprokit.vault import reuse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reprokit.model.records import ReuseEntry
    from reprokit.recorder.project import Project
    from reprokit.recorder.reuse.named import Named


class Wanted(NamedTuple):
    """An output that the arguments name."""

    path: str  # absolute, tagged
    told: str  # tagged, as the function would be told it


class Hit(msgspec.Struct):
    """A result that can be given back."""

    entry: ReuseEntry
    entries: Sequence[ReuseEntry]  # all with this key: outputs may lie under the names of any
    targets: list[Target]
    value: Any = None
    placed: bool = True  # whether all outputs are where they are wanted


class LookUp:
    """Looks for a result of one call.

    Parameters
    ----------
    key
        Digest of what the call depends on.
    named
        The files that its arguments name.
    wanted
        Where it wants its outputs.
    project
        Whose vault is asked.
    commit
        Gives the commit as names have it.
    """

    def __init__(
        self, key: str, named: Named, wanted: Sequence[Wanted], project: Project, commit: Callable[[], str]
    ) -> None:
        self.path = reuse.place(project.vault.reuse, key)
        self._key, self._named, self._wanted = key, named, wanted
        self._project, self._commit = project, commit

    def look(self) -> tuple[Hit | None, list[tuple[ReuseEntry, list[str]]]]:
        """Give the newest result that answers the call; else each with what speaks against it.

        Raises
        ------
        RecordError
            When the results can't be read.
        """
        entries = reuse.known(self.path)
        misses: list[tuple[ReuseEntry, list[str]]] = []
        for entry in reversed(entries):
            found = self._judge(entry, entries)
            if isinstance(found, Hit):
                return found, misses
            misses.append((entry, found))
        return None, misses

    def _judge(self, entry: ReuseEntry, entries: list[ReuseEntry]) -> Hit | list[str]:
        if entry.key != self._key:
            return ["its record is another key's"]
        against = list(candidates.inputs_differ(entry, self._named, self._project))
        if against:
            return against
        targets = self._targets(entry)
        if targets is None:
            return ["it has other outputs"]
        hit = Hit(entry, entries, targets)
        for target in targets:
            if not candidates.in_place(target):
                hit.placed = False
                if candidates.source_of(target, entries, self._project) is None:
                    against.append(f"{target.record.path}, which it made, is gone or was changed")
        if not os.path.isdir(f"{self._project.vault.path}/runs/{entry.folder}"):
            against.append("its run is no longer recorded")
        if against:
            return against
        if entry.returned is not None:
            try:
                value = returned.load(entry.returned, self._project.vault)
            except Exception as error:  # noqa: BLE001 - rebuilding objects runs the code of their classes
                return [f"its return value can't be read: {error}"]
            hit.value = returned.renamed(value, self._renamed(hit))
        return hit

    def _targets(self, entry: ReuseEntry) -> list[Target] | None:
        """Give each output of a result, and where this call wants it; None when they are others."""
        found = []
        wanted = iter(self._wanted)
        for record in entry.outputs:
            if record.keyword is not None:
                one = next(wanted, None)
                if one is None:
                    return None
                found.append(Target(one.path, one.told, record))
                continue
            path = record.path
            if record.commit is not None and record.commit != self._commit():
                folder, name = os.path.split(path)
                head, old, tail = name.rpartition(record.commit)
                path = os.path.join(folder, f"{head}{self._commit()}{tail}") if old else path
            found.append(Target(os.path.join(self._project.root, path), path, record))
        return found if next(wanted, None) is None else None

    def _renamed(self, hit: Hit) -> dict[str, str]:
        """Map each name that an output has had, as the function was told it and absolute, to the present one."""
        names = {}
        for entry in hit.entries:
            if entry.run_id != hit.entry.run_id:
                continue
            for record, target in zip(entry.outputs, hit.targets, strict=False):
                old = os.path.join(self._project.root, record.path)
                names[old] = target.path
                if record.requested is not None:
                    names[os.path.join(os.path.dirname(record.requested), os.path.basename(old))] = target.told
        return {old: new for old, new in names.items() if old != new}
