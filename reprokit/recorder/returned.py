"""What came back from workers goes into the record of the run that sent the tasks."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING

from reprokit.model.records import STEP_SCHEMA, StepRecord
from reprokit.recorder.open_run import OpenRun
from reprokit.vault import documents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reprokit.context import Context
    from reprokit.model.records import ProcessId


def take(context: Context, lines: bytes, files: Mapping[str, bytes]) -> None:
    """Append the lines of child runs that ended in a worker, and keep their files; never raises an `Exception`."""
    run = context._ledger
    assert isinstance(run, OpenRun)
    folder = run.trunk.folder
    if folder is None:
        return
    with run.faults.at("what a worker recorded"):
        for name, data in files.items():
            folder.put(name, data)
        folder.append_lines(lines)
        run.trunk.children += lines.count(b'"event":"end"')


def interrupted(
    context: Context,
    function: str,
    reason: str,
    *,
    began: datetime | None = None,
    process: ProcessId | None = None,
    bundle: str | None = None,
    closure_digest: str | None = None,
) -> None:
    """Record a child run that began in a worker and was never heard of again.

    Parameters
    ----------
    context
        The run that sent the task.
    function
        Module-qualified name of the task's function.
    reason
        What became of the worker.
    began
        When it began, where that is known; else now.
    """
    run_id = os.urandom(16).hex()
    now = datetime.now().astimezone()
    begin = StepRecord(
        schema=STEP_SCHEMA,
        event="begin",
        run_id=run_id,
        parent_id=context.run_id,
        root_id=context.root_id,
        kind="function",
        function=function,
        timestamp=(began or now).isoformat(),
        process=process,
        bundle=bundle,
        closure_digest=closure_digest,
    )
    end = StepRecord(
        schema=STEP_SCHEMA,
        event="end",
        run_id=run_id,
        timestamp=now.isoformat(),
        status="interrupted",
        reason=reason,
    )
    take(context, documents.encode(begin, pretty=False) + documents.encode(end, pretty=False), {})
