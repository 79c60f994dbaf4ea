"""A root run: a folder of its own with context, pre-run and post-run info."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit._version import __version__
from reprokit.capture import arguments, environment, host, random
from reprokit.capture.opened.hook import quietly
from reprokit.context import Context
from reprokit.errors import CaptureError
from reprokit.model.records import (
    ContextRecord,
    JournalLine,
    PostRunInfo,
    PreRunInfo,
    Resources,
    SnapshotInfo,
    Status,
)
from reprokit.recorder import interactive, interrupts, opening, project, replayed
from reprokit.recorder.apart import facts_for
from reprokit.recorder.closures import closure_of
from reprokit.recorder.faults import Faults
from reprokit.recorder.open_run import OpenRun, duration, expected_records
from reprokit.recorder.trunk import Trunk
from reprokit.vault.runfolder import RunFolder

if TYPE_CHECKING:
    from reprokit.recorder.opening import Opened
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.project import Project


class CommandEnd(msgspec.Struct, frozen=True):
    """How a monitored command ended."""

    exit_code: int
    stdout: str | None = None
    stderr: str | None = None
    cpu_user: float | None = None  # seconds
    cpu_system: float | None = None  # seconds
    peak_memory: int | None = None  # bytes


def prepare_root(plan: Plan, subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any]) -> RootRun:
    """Settle the names of a root run; `RootRun.begin` puts it on disk.

    Raises
    ------
    ReprokitError
        When the call is refused (see `opening.settle`), or when recording fails in strict mode.
    """
    found = project.current()
    faults = Faults(strict=found.settings.strict if plan.strict is None else plan.strict, redactor=found.redactor)
    _pre_capture(found, faults)
    facts = facts_for(subject, found.facts(plan.refresh))
    if plan.snapshot or plan.artifacts:
        with faults.at("the vault"):
            found.ensure_vault()
    opened = opening.settle(plan, subject, args, kwargs, found, facts, faults)
    run_id = os.urandom(16).hex()
    trunk = Trunk(found, facts, None, run_id)
    return RootRun(plan, subject, opened, trunk, faults, (args, kwargs))


class RootRun(OpenRun):
    """A root run."""

    def __init__(
        self,
        plan: Plan,
        subject: Subject,
        opened: Opened,
        trunk: Trunk,
        faults: Faults,
        original: tuple[Any, Any],
    ) -> None:
        super().__init__(plan, subject, opened, trunk, trunk.facts, faults, original)
        self.context = Context(
            run_id=trunk.root_id,
            parent=None,
            parent_id=None,
            root_id=trunk.root_id,
            kind=subject.kind,
            function=subject.function,
            root=trunk.project.root,
            folder=None,
            commit=opened.commit,
            config=opened.config,
            config_hash=opened.config_hash,
            snapshot=None,
            pid=self.pid,
            ledger=self,
        )
        self.context.artifacts.extend(opened.expected)
        self.executed: list[str] | None = None  # a command with its artifacts tagged
        self._args_archive: str | None = None
        self._was: replayed.Was | None = None
        self._written: set[str] = set()
        self._resources = host.resources_before()  # once more when the function is called

    # --- before ----------------------------------------------------------------------------------------------------

    @quietly
    def begin(self) -> None:
        """Put context and pre-run info on disk."""
        trunk, faults = self.trunk, self.faults
        vault = trunk.project.vault
        with faults.at("the random state of the run that is reproduced"):
            self._was = replayed.repeated(trunk.project.root, self.subject)
        self.context.restart()
        snapshot: SnapshotInfo | None = None
        with faults.at("this run"):
            trunk.project.ensure_vault()
            path = vault.new_run_folder(
                trunk.project.settings.run_template, self.subject.name, self.context.run_id, self.context.started_at
            )
            trunk.folder = RunFolder(path, trunk.project.process.host)
            self.context.folder = path
        if self.plan.snapshot is not None:
            with faults.at("the code snapshot"):
                snapshot = self.facts.tree(self.plan.snapshot)
                self.context.snapshot = snapshot.digest
        if trunk.folder is not None:
            with faults.at("the source of what the prompt defined"):
                interactive.keep_source(self.subject, trunk.folder.path)
            self._args_archive = self.keep_args("")
            self._write_documents(trunk.folder, snapshot)
            with faults.at("the journal"):
                self._journal("open")
            self.start_output(trunk.folder, "")
        interrupts.watch(self)
        self.start_watching()
        faults.started = True
        self.context.restart(clock_only=True)
        self._resources = host.resources_before()

    def _write_documents(self, folder: RunFolder, snapshot: SnapshotInfo | None) -> None:
        """Write context and pre-run info; called again at the end for what could not be written at the start."""
        if "context" not in self._written:
            with self.faults.at("the context"):
                self._write_context(folder, snapshot)
                self._written.add("context")
        if "pre-run" not in self._written:
            with self.faults.at("the pre-run info"):
                folder.write_pre_run(self._pre_run())
                self._written.add("pre-run")

    def _write_context(self, folder: RunFolder, snapshot: SnapshotInfo | None) -> None:
        owner = self.trunk.project
        facts, settings = self.facts, owner.settings
        with self.faults.at("the diff"):
            facts.write_diffs(folder.path)
        kept = self.keep_files(settings.capture_files, folder.path)
        variables, secret, missing = environment.variables(settings.environment_variables, os.environ, owner.redactor)
        cwd = _cwd()
        captures = self._captures("before")
        closure = closure_of(self.plan, self.subject, owner, self.faults)
        if closure is not None:
            self.trunk.closures.add(closure.digest)
        key = (facts, self.context.config_hash, self.context.commit, cwd, variables, kept, snapshot, closure, captures)
        last = owner.last_contexts.get(self.subject.function)
        same_as = last[1] if last is not None and last[0] == key else None
        config, hidden = self.shown_config()
        record = ContextRecord(
            root_directory=str(owner.root),
            cwd=cwd,
            platform=facts.platform,
            environment_variables=variables,
            git=facts.git,
            files=kept,
            cpu=facts.cpu,
            memory=facts.memory,
            gpus=facts.gpus,
            packages=facts.packages,
            commit=self.context.commit,
            config=config,
            config_hash=self.context.config_hash,
            snapshot=snapshot,
            captures=captures,
            redacted=[*hidden, *(f"environment_variables[{name!r}]" for name in secret)],
            closure=closure,
            python_path=facts.python_path,
            stale=facts.stale,
            unknown={**facts.unknown, **missing, **({} if cwd else {"cwd": "the working folder is gone"})},
            reprokit_version=__version__,
        )
        owner.last_contexts[self.subject.function] = (key, folder.write_context(record, same_as))

    def _pre_run(self) -> PreRunInfo:
        owner, subject, context = self.trunk.project, self.subject, self.context
        call = arguments.call(*self._original, owner.redactor, tuple(subject.positions))
        command, more = owner.redactor.argv(list(subject.command)) if subject.command else (None, [])
        state: dict[str, Any] = {}
        if owner.settings.capture_random_state and subject.kind in ("function", "block"):
            with self.faults.at("the random state"):
                state = random.state()
        return PreRunInfo(
            run_id=context.run_id,
            root_id=context.root_id,
            kind=subject.kind,
            function=subject.function,
            command=command,
            root_directory=str(owner.root),
            cwd=_cwd(),
            timestamp=context.started_at.isoformat(),
            source_file=subject.source_file,
            source_line=subject.source_line,
            function_name=subject.name if subject.kind != "command" else None,
            args=owner.redactor.argv(self.executed)[0] if self.executed else call.args,
            kwargs=call.kwargs,
            inexact=self.inexact(call.inexact),
            args_archive=self._args_archive,
            process=owner.process,
            argv=owner.redactor.argv(owner.argv)[0],  # once more: the call may have shown what is a secret
            config_hash=context.config_hash,
            commit=context.commit,
            artifacts=expected_records(self),
            random_state=state,
            reproduction_of=self._was.run_id if self._was else None,
            redacted=[
                *call.redacted,
                *(f"argv{place}" for place in owner.argv_secrets),
                *(f"command{place}" for place in more),
            ],
        )

    # --- after -----------------------------------------------------------------------------------------------------

    def interrupt(self, reason: str) -> None:
        """Commit the record now: the process is about to die."""
        self.close("interrupted", reason=reason)

    @quietly
    def close(
        self,
        status: Status,
        *,
        result: Any = None,
        error: BaseException | None = None,
        reason: str | None = None,
        command: CommandEnd | None = None,
    ) -> None:
        """Commit the record; never raises an `Exception`, for the function's own outcome is what counts."""
        if self.closed or self.pid != os.getpid():  # a forked child leaves its parent's run alone
            return
        self.closed = True
        elapsed = self.context.elapsed
        self.stop_watching()
        interrupts.unwatch(self)
        with self.faults.at("this run's end"):
            self._commit(status, elapsed, result, error, reason, command)
        self.faults.tell()

    def _commit(
        self,
        status: Status,
        elapsed: float,
        result: Any,
        error: BaseException | None,
        reason: str | None,
        command: CommandEnd | None,
    ) -> None:
        owner, folder, context = self.trunk.project, self.trunk.folder, self.context
        stdout, stderr = (command.stdout, command.stderr) if command else self.end_output()
        resources = self._measured(elapsed, command)
        records = self.artifacts()
        if folder is None:  # the fault was entered at the start; side-cars are still worth having
            self._sidecars(records, status)
            return
        monitor = self.plan.monitor
        kept = self.keep_items(folder)
        reuse = self.reuse_info(status, records, result)
        value = self.describe(context, "return_value", result) if monitor and monitor.include_return_value else None
        record = PostRunInfo(
            run_id=context.run_id,
            status=status,
            root_directory=str(owner.root),
            timestamp=datetime.now().astimezone().isoformat(),
            run_time=duration(elapsed),
            files=kept,
            return_value=value,
            return_archive=self.keep_return_value(result, "") if status == "complete" else None,
            exception_info=self.exception_info(error),
            stdout=stdout,
            stderr=stderr,
            exit_code=command.exit_code if command else _exit_code(error),
            artifacts=records,
            values=context.values,
            series=context.series,
            resources=resources,
            children=self.trunk.children,
            reason=reason,
            captures=self._captures("after"),
            faults=self.faults.found,
            reuse=reuse,
            reused_from=self.reused_from,
        )
        self._write_documents(folder, None)
        folder.write_post_run(record)
        self.publish(elapsed)
        self._sidecars(records, status)
        with self.faults.at("the journal"):
            self._journal("close", status)

    def _sidecars(self, records: list[Any], status: Status) -> None:
        subject = self.subject
        command = self.trunk.project.redactor.argv(list(subject.command))[0] if subject.command else None
        self.write_sidecars(records, status=status, command=command, config=self.shown_config()[0])

    def _measured(self, elapsed: float, command: CommandEnd | None) -> Resources:
        if command is not None:
            return Resources(
                wall_time=elapsed,
                cpu_user=command.cpu_user,
                cpu_system=command.cpu_system,
                peak_memory=command.peak_memory,
            )
        return host.resources_since(self._resources)

    def _captures(self, when: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for capture in self.plan.monitor.captures if self.plan.monitor else ():
            with self.faults.at(f"capture {capture.name}"):
                told = getattr(capture, when)(self.context)
                found[capture.name] = self.describe(self.context, capture.name, dict(told))
        return found

    def _journal(self, event: Any, status: Status | None = None) -> None:
        assert self.trunk.folder is not None
        self.trunk.project.journal.append(
            JournalLine(
                event=event,
                run_id=self.context.run_id,
                folder=self.trunk.folder.path.name,
                timestamp=datetime.now().astimezone().isoformat(),
                status=status,
                documents=self.trunk.folder.digests if event == "close" else {},
            )
        )


def _pre_capture(owner: Project, faults: Faults) -> None:
    """Run ``pre-capture-commands`` in the root; the first that fails ends them."""
    for command in owner.settings.pre_capture_commands:
        with faults.at(f"pre-capture command {command!r}"):
            done = subprocess.run(command, shell=True, cwd=owner.root, capture_output=True, check=False)  # noqa: S602 - shell commands are what the settings hold
            if done.returncode:
                said = done.stderr.decode(errors="replace").strip().splitlines()
                raise CaptureError(f"exit code {done.returncode}{': ' + said[-1] if said else ''}")
            continue
        return


def _exit_code(error: BaseException | None) -> int | None:
    if not isinstance(error, SystemExit):
        return None
    if error.code is None:
        return 0
    return error.code if isinstance(error.code, int) else 1


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
