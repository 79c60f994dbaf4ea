"""What the decorators ask of reuse: is there an answer to this call, and giving it."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture.opened.hook import quietly
from reprokit.errors import ReprokitError
from reprokit.model.records import STEP_SCHEMA, JournalLine, StepRecord
from reprokit.recorder import start
from reprokit.recorder.apart import facts_for
from reprokit.recorder.faults import warn
from reprokit.recorder.open_run import OpenRun, duration
from reprokit.recorder.reuse.attempt import Attempt
from reprokit.vault import documents

if TYPE_CHECKING:
    from reprokit.model.records import ArtifactRecord
    from reprokit.recorder.facts import Facts
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.reuse.lookup import Hit
    from reprokit.recorder.start import Place


def question(plan: Plan, subject: Subject, instance: Any) -> Attempt:
    """Give the question whether an earlier run answers a call, which nobody has asked yet; raises `SettingsError`."""
    place = start.place()
    project = start.project_at(place)

    def facts() -> Facts:
        return facts_for(subject, place.trunk.facts if place is not None else project.facts(plan.refresh))

    return Attempt(plan, subject, instance, project, facts)


@quietly
def attempt(
    plan: Plan, subject: Subject, instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Attempt | None:
    """Ask whether an earlier run answers a call; None when that can't be asked."""
    try:
        made = question(plan, subject, instance)
        made.ask(args, kwargs)
    except ReprokitError:  # the call is refused; who prepares the run says so
        return None
    except Exception as error:  # noqa: BLE001 - whatever goes wrong here, the function can be called
        warn(f"{subject.name}: cannot look for an earlier result: {type(error).__name__}: {error}")
        return None
    return made


@quietly
def give(made: Attempt) -> bool:
    """Record that a result is given whose outputs are all in place; tell whether it was one."""
    hit = made.hit
    if hit is None or not hit.placed:
        return False
    try:
        place = start.place()
        if place is None:
            made.project.journal.append(
                JournalLine(
                    event="reuse",
                    run_id=hit.entry.run_id,
                    folder=hit.entry.folder,
                    timestamp=datetime.now().astimezone().isoformat(),
                    saved=hit.entry.seconds,
                )
            )
        elif place.trunk.folder is not None:
            place.trunk.folder.append_lines(_steps(made, hit, place))
            place.trunk.children += 1
    except Exception as error:  # noqa: BLE001 - the result is there all the same
        warn(f"cannot record that {made.subject.name} was answered by an earlier run: {type(error).__name__}: {error}")
    return True


def _steps(made: Attempt, hit: Hit, place: Place) -> bytes:
    """Give the lines of a child run that consists of giving a result."""
    now, run_id = datetime.now().astimezone().isoformat(), os.urandom(16).hex()
    begin = StepRecord(
        schema=STEP_SCHEMA,
        event="begin",
        run_id=run_id,
        parent_id=place.parent_id,
        root_id=place.trunk.root_id,
        kind="function",
        function=made.subject.function,
        timestamp=now,
        source_file=made.subject.source_file,
        source_line=made.subject.source_line,
        closure_digest=made.key.closure.digest if made.key is not None else None,
        bundle=place.trunk.bundle,
        environment=place.trunk.environment,
    )
    end = StepRecord(
        schema=STEP_SCHEMA,
        event="end",
        run_id=run_id,
        timestamp=now,
        status="complete",
        run_time=duration(0.0),
        artifacts=[*_outputs(made, hit), *(one for one in hit.entry.inputs if one.role == "used")],
        reused_from=hit.entry.run_id,
    )
    return documents.encode(begin, pretty=False) + documents.encode(end, pretty=False)


def _outputs(made: Attempt, hit: Hit) -> list[ArtifactRecord]:
    return [msgspec.structs.replace(target.record, path=made.project.relative(target.path)) for target in hit.targets]


@quietly
def put(made: Attempt, run: OpenRun) -> bool:
    """Give a result in an open run: put its outputs in place, and commit the run; False when the function has to be called."""
    hit = made.hit
    if hit is None:
        return False
    try:
        made.put_in_place()
    except OSError as error:
        run.faults.add("giving an earlier result", error)
        made.hit = None
        return False
    run.stop_watching()
    run.reused_from = hit.entry.run_id
    run.inherit(hit.entry.inputs)
    run.close("complete")
    outputs = [
        msgspec.structs.replace(one, commit=run.context.commit if one.commit is not None else None)
        for one in _outputs(made, hit)
    ]
    with run.faults.at("the result, for later calls"):
        made.publish(
            msgspec.structs.replace(hit.entry, outputs=outputs, timestamp=datetime.now().astimezone().isoformat())
        )
    return True
