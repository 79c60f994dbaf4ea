"""One call that an earlier run may already have answered: look, wait, give back, or let it be computed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.capture import files
from reprokit.capture.opened.hook import quietly
from reprokit.context import peek
from reprokit.errors import ReprokitError
from reprokit.recorder import opening, outputs
from reprokit.recorder.faults import Faults
from reprokit.recorder.reuse import candidates, key, verified
from reprokit.recorder.reuse.arguments import Refused
from reprokit.recorder.reuse.lookup import LookUp, Wanted
from reprokit.vault import blobs, clone, reuse

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from reprokit.model.records import ReuseEntry
    from reprokit.recorder.facts import Facts
    from reprokit.recorder.outputs import Naming
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.project import Project
    from reprokit.recorder.reuse.flight import Flight
    from reprokit.recorder.reuse.key import Key
    from reprokit.recorder.reuse.lookup import Hit


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
    loaded
        Names of the modules that were loaded then.
    """

    def __init__(
        self, plan: Plan, subject: Subject, instance: Any, project: Project, facts: Callable[[], Facts]
    ) -> None:
        self.plan, self.subject, self.project = plan, subject, project
        self.instance = instance
        self.before: dict[str, str | None] = {}
        self.loaded: frozenset[str] = frozenset()
        self.key: Key | None = None
        self.refused: str | None = None
        self.hit: Hit | None = None
        self.misses: list[tuple[ReuseEntry, list[str]]] = []
        self._facts = facts  # what @cache needs not: asking git takes time
        self._wanted: list[Wanted] = []
        self._commit: str | None = None
        self._flight: Flight | None = None
        self._results: LookUp | None = None

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
        self._results = LookUp(self.key.digest, self.key.arguments.named, self._wanted, self.project, self._commit_now)
        self.hit, self.misses = self._results.look()

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
        if self.hit is not None or self._results is None:
            return False
        if not self._is_open_here():
            from reprokit.recorder.reuse.flight import Flight  # not needed to give a result back

            self._flight = Flight(self._results.path, self.project.settings.reuse_wait, self.subject.name)
            return True
        self._look_at_state()
        return False

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
        assert self._results is not None
        try:
            self.hit, self.misses = self._results.look()
        except ReprokitError:  # what can't be read is no answer
            self.hit = None
        if self.hit is None:
            self._look_at_state()

    def _look_at_state(self) -> None:
        """Note what can be told only before the function runs: files that arguments name, and what is loaded."""
        assert self.key is not None
        named = self.key.arguments.named.files
        self.loaded = frozenset(sys.modules)
        self.before = {place: verified.digest(path, hint=True) for place, path in named.items()}

    def end(self) -> None:
        """Let others go on."""
        if self._flight is not None:
            self._flight.end()

    def publish(self, entry: ReuseEntry) -> None:
        """Make a result known; raises ``OSError``."""
        assert self._results is not None
        reuse.append(self._results.path, entry)

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
