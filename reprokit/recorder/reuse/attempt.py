"""One call that an earlier run may already have answered: look, wait, give back, or let it be computed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from reprokit.capture import files
from reprokit.capture.opened.hook import quietly
from reprokit.context import peek
from reprokit.recorder import opening, outputs, replayed
from reprokit.recorder.faults import Faults
from reprokit.recorder.reuse import candidates, key, returned, verified
from reprokit.recorder.reuse.arguments import Refused
from reprokit.recorder.reuse.candidates import Target
from reprokit.recorder.reuse.flight import Flight
from reprokit.vault import blobs, clone, reuse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from reprokit.model.records import ReuseEntry
    from reprokit.recorder.facts import Facts
    from reprokit.recorder.outputs import Naming
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.project import Project
    from reprokit.recorder.reuse.key import Key


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


def wants(plan: Plan, project: Project) -> bool:
    """Tell whether a call of this stack is to be answered by an earlier run where that can be done."""
    settings = project.settings
    if not settings.reuse or project.elsewhere is not None:
        return False
    if replayed.identity_of(project.root) is not None:  # what is reproduced has to run
        return False
    return plan.reuse.asked or (
        settings.exists == "reuse" and any(spec.names and spec.exists is None for spec in plan.artifacts)
    )


class Attempt:
    """A call, from the question whether it was made before to the answer.

    Attributes
    ----------
    key
        What the result depends on; None when that can't be known.
    refused
        Why it is called in any case.
    hit
        The result that is given back.
    misses
        For each result that has the right key: what speaks against it.
    before
        Place of an argument that names a file -> its digest before the function runs.
    """

    def __init__(
        self, plan: Plan, subject: Subject, instance: Any, project: Project, facts: Callable[[], Facts]
    ) -> None:
        self.plan, self.subject, self.project = plan, subject, project
        self.instance = instance
        self.before: dict[str, str | None] = {}
        self.key: Key | None = None
        self.refused: str | None = None
        self.hit: Hit | None = None
        self.misses: list[tuple[ReuseEntry, list[str]]] = []
        self._facts = facts  # what @cache needs not: asking git takes time
        self._wanted: list[Wanted] = []
        self._commit: str | None = None
        self._flight: Flight | None = None
        self._path = ""

    # --- the question ------------------------------------------------------------------------------------------------

    def ask(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Find the key, and look for a result; raises `ReprokitError` as a call would that is refused."""
        hashes = self._name(args, kwargs)
        faults = Faults(strict=False, redactor=self.project.redactor)
        try:
            if any(not spec.names for spec in self.plan.artifacts):
                raise Refused("a decorator of another library stands between those that name its outputs")
            self.key = key.key_of(self.plan, self.subject, self.instance, args, kwargs, hashes, self.project, faults)
        except Refused as refused:
            self.refused = str(refused)
            return
        self._path = reuse.place(self.project.vault.reuse, self.key.digest)
        self.look()

    def _name(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[str]:
        """Name the outputs as this call wants them; give the config hashes."""
        for spec in self.plan.artifacts:
            if spec.names:
                opening.require_clean(spec, self.project, self._facts())
        hashes = []
        for spec in self.plan.artifacts:
            _, config_hash = opening.configured(spec, self.subject, args, kwargs)
            hashes.append(config_hash)
            if spec.names:
                how = opening.naming_of(spec, self._commit_now(), config_hash, self.project)
                args, kwargs = outputs.rewrite(spec, self.subject, args, kwargs, self._namer(how))
        return hashes

    def _commit_now(self) -> str:
        """Give the commit as names have it."""
        if self._commit is None:
            faults = Faults(strict=False, redactor=self.project.redactor)
            self._commit = opening.commit_of(self._facts(), faults, tree=True)
        return self._commit

    def _namer(self, how: Naming) -> Any:
        def name(requested: str, _: str | None) -> str:
            told = outputs.tagged_path(requested, how)
            self._wanted.append(Wanted(os.path.abspath(told), told))
            return told

        return name

    def look(self) -> None:
        """Look for a result with the key."""
        assert self.key is not None
        self.hit, self.misses = None, []
        entries = reuse.known(self._path)
        for entry in reversed(entries):
            against = self._against(entry, entries)
            if not against:
                return
            self.misses.append((entry, against))

    def _against(self, entry: ReuseEntry, entries: list[ReuseEntry]) -> list[str]:
        """Say what speaks against a result; when nothing does, it is the hit."""
        assert self.key is not None
        if entry.key != self.key.digest:
            return ["its record is another key's"]
        against = list(candidates.inputs_differ(entry, self.key.arguments.named, self.project))
        if against:
            return against
        targets = self._targets(entry)
        if targets is None:
            return ["it has other outputs"]
        placed = True
        for target in targets:
            if candidates.in_place(target):
                continue
            placed = False
            if candidates.source_of(target, entries, self.project) is None:
                against.append(f"{target.record.path}, which it made, is gone or was changed")
        if not os.path.isdir(f"{self.project.vault.path}/runs/{entry.folder}"):
            against.append("its run is no longer recorded")
        if against:
            return against
        hit = Hit(entry, entries, targets, placed=placed)
        if entry.returned is not None:
            try:
                value = returned.load(entry.returned, self.project.vault)
            except Exception as error:  # noqa: BLE001 - rebuilding objects runs the code of their classes
                return [f"its return value can't be read: {error}"]
            hit.value = returned.renamed(value, self._renamed(hit))
        self.hit = hit
        return []

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
            if record.commit is not None and record.commit != self._commit_now():
                folder, name = os.path.split(path)
                head, old, tail = name.rpartition(record.commit)
                path = os.path.join(folder, f"{head}{self._commit_now()}{tail}") if old else path
            found.append(Target(os.path.join(self.project.root, path), path, record))
        return found if next(wanted, None) is None else None

    def _renamed(self, hit: Hit) -> dict[str, str]:
        """Map each name that an output has had, as the function was told it and absolute, to the present one."""
        names = {}
        for entry in hit.entries:
            if entry.run_id != hit.entry.run_id:
                continue
            for record, target in zip(entry.outputs, hit.targets, strict=False):
                old = os.path.join(self.project.root, record.path)
                names[old] = target.path
                if record.requested is not None:
                    names[os.path.join(os.path.dirname(record.requested), os.path.basename(old))] = target.told
        return {old: new for old, new in names.items() if old != new}

    # --- the answer --------------------------------------------------------------------------------------------------

    @property
    def value(self) -> Any:
        """What the result consists of besides files."""
        return self.hit.value if self.hit is not None else None

    @quietly
    def wait(self) -> None:
        """Take the right to compute the result, and look once more: another process may have made it meanwhile."""
        if self._needs_flight():
            assert self._flight is not None
            self._flight.take()
            self._look_again()

    def wait_async(self) -> Generator[Any, Any, None]:
        """Do the same as `wait`, and let other tasks go on."""
        if self._needs_flight():
            assert self._flight is not None
            yield from self._flight.take_async()
            self._look_again()

    def _needs_flight(self) -> bool:
        if self.hit is not None or self.key is None or self._is_open_here():
            return False
        self._flight = Flight(self._path, self.project.settings.reuse_wait, self.subject.name)
        return True

    def _is_open_here(self) -> bool:
        """Tell whether a run around this one computes the same: it would wait for itself."""
        assert self.key is not None
        mine, context = self.key.digest, peek()
        while context is not None:
            above = getattr(context._ledger, "attempt", None)
            if above is not None and above.key is not None and above.key.digest == mine:
                return True
            context = context.parent
        return False

    @quietly
    def _look_again(self) -> None:
        assert self.key is not None
        self.look()
        if self.hit is None:
            named = self.key.arguments.named.files
            self.before = {place: verified.digest(path, hint=True) for place, path in named.items()}

    def end(self) -> None:
        """Let others go on."""
        if self._flight is not None:
            self._flight.end()

    def publish(self, entry: ReuseEntry) -> None:
        """Make a result known; raises ``OSError``."""
        reuse.append(self._path, entry)

    def put_in_place(self) -> None:
        """Put the outputs where this call wants them.

        Raises
        ------
        OSError
            When one can't be written, or is gone by now.
        """
        assert self.hit is not None
        for target in self.hit.targets:
            if candidates.in_place(target):
                continue
            source = candidates.source_of(target, self.hit.entries, self.project)
            if source is None:
                raise FileNotFoundError(2, "what an earlier run made is gone", target.record.path)
            os.makedirs(os.path.dirname(target.path), exist_ok=True)
            if os.path.lexists(target.path):  # something else: it is kept before it is replaced
                digest, _ = files.digest_path(target.path)
                self.project.ensure_vault()
                blobs.keep(self.project.vault.blobs, Path(target.path), digest, move=True)
            clone.put(source, Path(target.path), self.project.settings.reuse_link)
