"""A child run: no folder of its own, two lines in the root run's, and at most a hundred microseconds."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from reprokit.capture import arguments, host
from reprokit.capture.opened.hook import quietly
from reprokit.context import Context
from reprokit.model.records import STEP_SCHEMA, SnapshotInfo, Status, StepRecord
from reprokit.recorder import opening
from reprokit.recorder.apart import facts_for
from reprokit.recorder.faults import Faults
from reprokit.recorder.open_run import OpenRun, duration

if TYPE_CHECKING:
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.trunk import Trunk


def prepare_child(
    plan: Plan,
    subject: Subject,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    parent: Context | None,
    parent_id: str,
    trunk: Trunk,
) -> ChildRun:
    """Settle the names of a child run of `parent`; `ChildRun.begin` opens it.

    Raises
    ------
    ReprokitError
        When the call is refused (see `opening.settle`).
    """
    owner = trunk.project
    faults = Faults(strict=owner.settings.strict if plan.strict is None else plan.strict, redactor=owner.redactor)
    facts = facts_for(subject, trunk.facts)
    opened = opening.settle(plan, subject, args, kwargs, trunk.project, facts, faults)
    run = ChildRun(plan, subject, opened, trunk, facts, faults, (args, kwargs))
    run.context = Context(
        run_id=os.urandom(16).hex(),
        parent=parent,
        parent_id=parent_id,
        root_id=trunk.root_id,
        kind=subject.kind,
        function=subject.function,
        root=trunk.project.root,
        folder=trunk.path,
        commit=opened.commit,
        config=opened.config,
        config_hash=opened.config_hash,
        snapshot=parent.snapshot if parent else None,
        pid=run.pid,
        ledger=run,
    )
    run.context.artifacts.extend(opened.expected)
    return run


class ChildRun(OpenRun):
    """A run inside another."""

    @quietly
    def begin(self) -> None:
        """Write the line that says that the run began: after a crash it tells where."""
        context, subject = self.context, self.subject
        context.restart()
        snapshot: SnapshotInfo | None = None
        if self.plan.snapshot is not None:
            with self.faults.at("the code snapshot"):
                snapshot = self.facts.tree(self.plan.snapshot)
                context.snapshot = snapshot.digest
        if self.trunk.folder is not None:
            with self.faults.at("a child run"):
                call = arguments.call(*self._original, self.trunk.project.redactor, tuple(subject.positions))
                config, hidden = self.shown_config()
                archive = self.keep_args(f"run_{context.run_id[:8]}_")
                closure_digest, closure = self.trunk.closure(self.plan, subject, self.faults)
                self.trunk.folder.append_step(
                    StepRecord(
                        schema=STEP_SCHEMA,
                        event="begin",
                        run_id=context.run_id,
                        parent_id=context.parent_id,
                        root_id=context.root_id,
                        kind=context.kind,
                        function=context.function,
                        timestamp=context.started_at.isoformat(),
                        source_file=subject.source_file,
                        source_line=subject.source_line,
                        args=call.args,
                        kwargs=call.kwargs,
                        inexact=self.inexact(call.inexact),
                        args_archive=archive,
                        config=config,
                        config_hash=context.config_hash,
                        commit=context.commit,
                        snapshot=snapshot,
                        closure=closure,
                        closure_digest=closure_digest,
                        process=host.process_id() if self.pid != context.parent_pid else None,
                        bundle=self.trunk.bundle,
                        environment=self.trunk.environment,
                        redacted=[*call.redacted, *hidden],
                    )
                )
            self.start_output(self.trunk.folder, f"{context.run_id[:8]}-")
        self.start_watching()
        self.faults.started = True

    @quietly
    def close(
        self, status: Status, *, result: Any = None, error: BaseException | None = None, reason: str | None = None
    ) -> None:
        """Write the line that says how it ended; never raises an `Exception`."""
        if self.closed or self.pid != os.getpid():
            return
        self.closed = True
        elapsed = self.context.elapsed
        self.stop_watching()
        with self.faults.at("a child run's end"):
            self._commit(status, elapsed, result, error, reason)
        self.faults.tell()

    def _commit(
        self, status: Status, elapsed: float, result: Any, error: BaseException | None, reason: str | None
    ) -> None:
        context, trunk = self.context, self.trunk
        trunk.children += 1
        stdout, stderr = self.end_output()
        records = self.artifacts()
        if trunk.folder is not None:
            monitor = self.plan.monitor
            keep_value = monitor is not None and monitor.include_return_value
            reuse = self.reuse_info(status, records, result)
            trunk.folder.append_step(
                StepRecord(
                    schema=STEP_SCHEMA,
                    event="end",
                    run_id=context.run_id,
                    timestamp=datetime.now().astimezone().isoformat(),
                    status=status,
                    run_time=duration(elapsed),
                    artifacts=records,
                    files=self.keep_items(trunk.folder),
                    values=context.values,
                    series=context.series,
                    return_value=self.describe(context, "return_value", result) if keep_value else None,
                    return_archive=self.keep_return_value(result, f"run_{context.run_id[:8]}_")
                    if status == "complete"
                    else None,
                    stdout=stdout,
                    stderr=stderr,
                    exception_info=self.exception_info(error),
                    reason=reason,
                    faults=self.faults.found,
                    reuse=reuse,
                    reused_from=self.reused_from,
                )
            )
            self.publish(elapsed)
        if records:
            self.write_sidecars(records, status=status, command=None, config=self.shown_config()[0])
