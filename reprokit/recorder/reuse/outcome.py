"""What becomes of a run whose result may be used again: on what it depended after all, and whether it can be."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import values
from reprokit.model.records import REUSE_SCHEMA, ArtifactRecord, ReuseEntry, ReuseInfo
from reprokit.recorder import closures
from reprokit.recorder.reuse import arguments, candidates, key, returned, verified
from reprokit.recorder.reuse.arguments import Refused
from reprokit.recorder.reuse.named import Named

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.recorder.open_run import OpenRun
    from reprokit.recorder.reuse.attempt import Attempt


class Outcome(msgspec.Struct):
    """What a complete run tells of its result.

    Attributes
    ----------
    info
        For its record.
    inputs, outputs
        Files that its result consists of, or depends on.
    """

    info: ReuseInfo
    inputs: list[ArtifactRecord]
    outputs: list[ArtifactRecord]


def settle(run: OpenRun, attempt: Attempt, records: list[ArtifactRecord], result: Any) -> Outcome:
    """Look at what a run depended on, made and gave back.

    Parameters
    ----------
    records
        Of its files; what only an argument named is added.
    """
    if attempt.key is None:
        return Outcome(ReuseInfo(refused=attempt.refused), [], [])
    look = _Look(run, attempt, records)
    mutated, moved = list(look.mutated()), list(_moved(run, attempt))
    inputs, outputs = look.inputs(), look.outputs()
    listed = look.listed(outputs)
    refused = [f"it changed {name}" for name in mutated]
    refused += [f"it changed {name}; say assume_pure=True if that doesn't matter" for name in moved]
    refused += look.problems
    kept: str | None = None
    if not refused and result is not None:
        try:
            kept = _keep(result, run)
        except Exception as error:  # noqa: BLE001 - describing objects runs the code of their classes
            refused.append(f"its return value can't be kept: {error}")
    searched = any(one.keyword is None for one in (*inputs, *outputs)) or any(name.startswith("|") for name in listed)
    info = msgspec.structs.replace(
        attempt.key.info,
        cwd=candidates.folder_now(attempt.project) if searched else None,
        listed=listed,
        returned=kept,
        mutated=mutated + moved,
        refused="; ".join(refused) or None,
    )
    return Outcome(info, inputs, outputs)


def entry_of(run: OpenRun, outcome: Outcome, seconds: float) -> ReuseEntry:
    """Give the line by which later calls find the result."""
    info = outcome.info
    assert info.key is not None
    return ReuseEntry(
        schema=REUSE_SCHEMA,
        key=info.key,
        run_id=run.context.run_id,
        folder=run.trunk.name,
        timestamp=datetime.now().astimezone().isoformat(),
        seconds=seconds,
        cwd=info.cwd,
        listed=info.listed,
        inputs=outcome.inputs,
        outputs=outcome.outputs,
        returned=info.returned,
    )


def _keep(result: Any, run: OpenRun) -> str:
    """Keep a return value; raises when it would not come back as it is."""
    owner = run.trunk.project
    digest = returned.keep(result, owner.vault, owner.redactor)
    again = returned.load(digest, owner.vault)
    try:
        same = values.tell(result).digest == values.tell(again).digest
    except values.UnknownValueError:  # then the archive alone has to be trusted
        same = type(result) is type(again)
    if not same:
        raise Refused("what its archive gives back is something else")
    return digest


def _moved(run: OpenRun, attempt: Attempt) -> Iterator[str]:
    """Name what the code depends on and what is other after the run: globals, cells, environment variables."""
    before = attempt.key
    assert before is not None
    if attempt.plan.reuse.assume_pure:
        return
    owner = attempt.project
    after, unseen = closures.look(attempt.plan, attempt.subject, owner, run.faults)
    brought, more = key.brought_along(before.arguments.code, attempt.subject, attempt.plan, owner)
    pairs = [(before.closure, after), *((before.closures[name], brought.get(name)) for name in before.closures)]
    found = [now for _, now in pairs if now is not None]
    for then, now in pairs:
        for label, digest in then.parts.items() if now is not None and now.digest != then.digest else ():
            module = label.partition(":")[0]
            if module in sys.modules and module not in attempt.loaded:  # it was read as source, and is imported now
                continue
            if now is not None and now.parts.get(label, digest) != digest:
                yield f"{then.kinds.get(label, 'function')} {label}"
    for name, told in key.environment_of(found, owner.redactor)[0].items():
        if before.environment.get(name, told) != told:
            yield f"environment variable {name}"
    for name, told in {**key.constants_of(unseen), **more}.items():
        if before.constants.get(name, told) != told:
            yield f"constant {name}"


class _Look:
    """A look at one run's files and arguments."""

    def __init__(self, run: OpenRun, attempt: Attempt, records: list[ArtifactRecord]) -> None:
        assert attempt.key is not None
        self._attempt, self._records = attempt, records
        self._project = attempt.project
        self._call = attempt.key.arguments
        self._expected = len(run.context.artifacts)
        watching = run.watching
        self._logs, self._listed, self._absent = (
            (watching.logs, watching.listed, watching.absent) if watching is not None else (set(), {}, [])
        )
        self.problems: list[str] = []
        self._below = list(_inside(run))

    def mutated(self) -> Iterator[str]:
        """Name arguments and input files that the function changed."""
        for one in self._call.counted:
            if one.mutable and self._digest(one) != one.digest:
                yield f"argument {one.name}" if one.name != arguments.INSTANCE else "its instance"
        written = {record.path for record in self._records[self._expected :] if record.role == "generated"}
        for record in self._records[self._expected :]:
            if (
                record.role == "used"
                and record.path not in self._logs
                and (record.path in written or self._changed(record))
            ):
                yield record.path
        for place, digest in self._attempt.before.items():
            path = self._call.named.files[place]
            if verified.digest(path, hint=True) != digest and self._project.relative(path) not in written:
                yield self._project.relative(path)

    def _digest(self, one: arguments.Argument) -> str | None:
        spec = self._attempt.plan.reuse
        kept = one.value if one.name in spec.key else Named(self._project.settings.template).take(one.name, one.value)
        try:
            return arguments.told(one.name, one.value, kept, spec, self._project.redactor)[0].digest
        except Refused:
            return None

    def _changed(self, record: ArtifactRecord) -> bool:
        path = os.path.join(self._project.root, record.path)
        return record.digest is not None and verified.digest(path, hint=True) != record.digest

    def inputs(self) -> list[ArtifactRecord]:
        """Give what was used: by the run and by those inside it, and what arguments name."""
        named, found = self._call.named, dict[str, ArtifactRecord]()
        for number, record in enumerate(self._records[self._expected :], self._expected):
            if record.role == "used" and record.path not in self._logs:
                one = self._placed(record)
                self._records[number] = found[record.path] = one
        for record in self._below:
            if record.role == "used" and not record.requested:
                found.setdefault(record.path, self._placed(record))
        for place, digest in self._attempt.before.items():
            path = named.files[place]
            name = self._project.relative(path)
            if name not in found:
                folder = os.path.isdir(path)
                size = None if folder else os.path.getsize(path)
                found[name] = ArtifactRecord(
                    path=name,
                    digest=digest,
                    size=size,
                    role="used",
                    keyword=place,
                    folder=folder,
                    host=self._project.elsewhere,
                )
                self._records.append(found[name])
        made = {record.path for record in (*self._below, *self._records) if record.role == "generated"}
        kept = [record for record in found.values() if record.path not in made]  # one child's output is another's input
        self.problems += [f"what {record.path} held is not known" for record in kept if record.digest is None]
        absent = (
            ArtifactRecord(path=self._project.relative(path), digest=None, size=None, role="missing")
            for path in self._absent
        )
        return kept + [self._placed(record) for record in absent if record.path not in made]

    def _placed(self, record: ArtifactRecord) -> ArtifactRecord:
        place = self._call.named.place_of(os.path.join(self._project.root, record.path))
        return msgspec.structs.replace(record, keyword=place)

    def outputs(self) -> list[ArtifactRecord]:
        """Give what was made: under the names that arguments gave, under others, and by runs inside this one."""
        found = list(self._records[: self._expected])
        for record in found:
            if record.role != "generated" or record.digest is None:
                self.problems.append(f"it did not write {record.path}")
        found += [
            msgspec.structs.replace(record, keyword=None)
            for record in [*self._records[self._expected :], *self._below]
            if record.role == "generated" and record.digest is not None and record.path not in self._logs
        ]
        return list({record.path: record for record in found}.values())

    def listed(self, outputs: list[ArtifactRecord]) -> dict[str, str]:
        """Give the folders whose entries it listed, with a digest of their names."""
        own = candidates.own_names(outputs)
        found = {}
        for folder, names in self._listed.items():
            place = self._call.named.place_of(folder) or ""
            found[f"{place}|{self._project.relative(folder)}"] = candidates.listed(
                names, own, self._project.settings.template
            )
        return found


def _inside(run: OpenRun) -> Iterator[ArtifactRecord]:
    """Give the files of runs inside one, wherever they ran."""
    folder = run.trunk.folder
    if folder is None:
        return
    parents: dict[str, str | None] = {}
    ends = []
    for step in folder.steps():  # in no order, when several processes wrote them
        if step.event == "end":
            ends.append(step)
        else:
            parents[step.run_id] = step.parent_id
    for step in ends:
        above = parents.get(step.run_id)
        while above is not None and above != run.context.run_id:
            above = parents.get(above)
        if above is not None:
            yield from step.artifacts
