"""What root and child runs share: they are the ledger of their context, and describe how they ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import describe, files
from reprokit.capture.opened.hook import leave_to, quietly
from reprokit.context import peek
from reprokit.model.records import ArtifactRecord, ExceptionInfo
from reprokit.model.text import printable
from reprokit.recorder import opening, outputs, replayed, sidecars
from reprokit.recorder.plan import ArtifactSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reprokit.capture.streams import OutputCapture
    from reprokit.context import Context
    from reprokit.model.records import FileInfo, ReuseInfo, Status
    from reprokit.recorder.facts import Facts
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.opening import Opened
    from reprokit.recorder.plan import Plan, Subject
    from reprokit.recorder.reuse.attempt import Attempt
    from reprokit.recorder.reuse.outcome import Outcome
    from reprokit.recorder.seen import Watching
    from reprokit.recorder.trunk import Trunk
    from reprokit.settings import FileRule
    from reprokit.vault.runfolder import RunFolder


_told: set[tuple[str | None, str]] = set()  # which refusals of which functions this process has warned of
_OUTPUT_IN_JSON = 1_000_000  # bytes; the whole output lies in stdout.txt and stderr.txt


class OpenRun:
    """An open run; `close` commits its record.

    Attributes
    ----------
    args, kwargs
        What to call the function with: paths rewritten.
    attempt
        The question whether an earlier run answers the call, when its result may be used again.
    reused_from
        The run whose result is given instead of calling the function.
    watching
        What looks at the files that it opens, when somebody wants to know them.
    """

    context: Context

    def __init__(
        self,
        plan: Plan,
        subject: Subject,
        opened: Opened,
        trunk: Trunk,
        facts: Facts,
        faults: Faults,
        original: tuple[Any, Any],
    ) -> None:
        self.plan = plan
        self.subject = subject
        self.args, self.kwargs = opened.args, opened.kwargs
        self.trunk = trunk
        self.facts = facts  # about this run's code: a child's may have been imported apart
        self.faults = faults
        self.pid = os.getpid()
        self.closed = False
        self._opened = opened
        self._original = original
        self._inputs: dict[str, ArtifactRecord] = {}
        self._output: OutputCapture | None = None
        self.watching: Watching | None = None
        self._has_instance = False
        self.attempt: Attempt | None = None
        self.reused_from: str | None = None
        self._outcome: Outcome | None = None

    def begin(self) -> None:
        """Open the run: what must be on disk before the function starts is there afterwards."""
        raise NotImplementedError

    def close(
        self, status: Status, *, result: Any = None, error: BaseException | None = None, reason: str | None = None
    ) -> None:
        """Commit the record; never raises an `Exception`, for the function's own outcome is what counts."""
        raise NotImplementedError

    @quietly
    def join(
        self, plan: Plan, subject: Subject, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Take in the decorators further down the same stack, beyond a foreign one; give the rewritten arguments."""
        trunk = self.trunk
        known = self.context.artifacts  # a foreign decorator may call the function again
        more = opening.settle(plan, subject, args, kwargs, trunk.project, self.facts, self.faults, known)
        self.context.artifacts.extend(more.expected)
        return more.args, more.kwargs

    # --- the ledger ------------------------------------------------------------------------------------------------

    @quietly
    def name_artifact(self, context: Context, path: str | Path) -> Path:
        """See `Context.artifact`."""
        trunk = self.trunk
        spec = self._opened.spec or ArtifactSpec()
        opening.require_clean(spec, trunk.project, self.facts)
        commit = opening.commit_of(self.facts, self.faults, tree=True)
        how = opening.naming_of(spec, commit, context.config_hash, trunk.project)
        requested = os.fspath(path)
        if outputs.expected_already(requested, how, context.artifacts):
            return Path(outputs.tagged_path(requested, how))
        tagged, expected = outputs.expect(requested, None, how, trunk.project, self.faults)
        context.artifacts.append(expected)
        return Path(tagged)

    @quietly
    def use(self, context: Context, path: str | Path) -> Path:
        """See `Context.use`."""
        found, digest, size = opening.used(path)
        absolute = os.path.abspath(found)
        owner = self.trunk.project
        self._inputs[absolute] = ArtifactRecord(
            path=owner.relative(absolute),
            digest=digest,
            size=size,
            role="used",
            folder=found.is_dir(),
            host=owner.elsewhere,
        )
        return found

    def describe(self, context: Context, name: str, value: Any) -> Any:
        """See `Context.record`."""
        return self.trunk.project.redactor.value(name, describe.result(value))[0]

    def keep_args(self, prefix: str) -> str | None:
        """Archive the arguments, when the decorator asks for it; give the archive's name in the run's folder."""
        monitor, folder = self.plan.monitor, self.trunk.folder
        if monitor is None or not monitor.include_args or folder is None or self.subject.kind != "function":
            return None
        from reprokit.recorder import kept_values

        owner = self.trunk.project
        name, self._has_instance = kept_values.keep_args(
            *self._original, self.subject, folder.path, prefix, owner.redactor, self.faults
        )
        return name

    def inexact(self, places: list[str]) -> list[str]:
        """Add the instance of a method to the arguments that the record doesn't hold exactly, unless an archive has it."""
        return [*places, "self"] if self.subject.bound and not self._has_instance else places

    def keep_return_value(self, result: Any, prefix: str) -> str | None:
        """Archive the return value, when the decorator asks for it; give the archive's name in the run's folder."""
        monitor, folder, owner = self.plan.monitor, self.trunk.folder, self.trunk.project
        asked = monitor is not None and monitor.include_return_value
        # What is reproduced is compared with the result that the original kept for later calls.
        compared = self.plan.reuse.asked and replayed.identity_of(owner.root) is not None
        if folder is None or not (asked or compared):
            return None
        from reprokit.recorder import kept_values

        return kept_values.keep_return_value(result, folder.path, prefix, owner.redactor, self.faults)

    # --- what is printed -------------------------------------------------------------------------------------------

    def start_output(self, folder: RunFolder, prefix: str) -> None:
        """Begin to keep what is printed, when the decorator asks for it."""
        monitor = self.plan.monitor
        if monitor is None or not monitor.capture_output:
            return
        from reprokit.capture.streams import OutputCapture

        with self.faults.at("the output"):
            self._output = OutputCapture(folder.path, self._is_mine, self.trunk.project.redactor, prefix)
            self._output.start()

    def end_output(self) -> tuple[str | None, str | None]:
        """Stop keeping what is printed; give the beginning of both streams."""
        if self._output is None:
            return None, None
        with self.faults.at("the output"):
            self._output.stop()
            return self._output.text("stdout", _OUTPUT_IN_JSON), self._output.text("stderr", _OUTPUT_IN_JSON)
        return None, None

    def _is_mine(self) -> bool:
        """Tell whether what is printed right now belongs to this run or to one below it."""
        context = peek()
        while context is not None and context is not self.context:
            context = context.parent
        return context is not None

    # --- which files are opened ------------------------------------------------------------------------------------

    def start_watching(self) -> None:
        """Begin to look at the files that the run opens, when the decorator or the settings ask for it."""
        monitor, owner = self.plan.monitor, self.trunk.project
        asked = monitor is not None and (monitor.files or owner.settings.files) == "auto"
        counts = self.attempt is not None and self.attempt.key is not None
        if not asked and not counts:
            return
        from reprokit.recorder.seen import Watching

        with self.faults.at("the files that it opens"):
            self.watching = Watching(self.context.run_id, owner, self.trunk.path, lists=counts)
            if self.subject.kind != "command":
                self.watching.start()

    def watched_variables(self) -> dict[str, str]:
        """Give the environment variables by which a command's interpreters tell what they open."""
        return {} if self.watching is None else self.watching.variables()

    def stop_watching(self) -> None:
        """End that: what follows is opened by us."""
        if self.watching is not None:
            self.watching.stop()

    # --- using its result again ------------------------------------------------------------------------------------

    def reuse_info(self, status: Status, records: list[ArtifactRecord], result: Any) -> ReuseInfo | None:
        """Say what its result depends on; inputs that only an argument named become records."""
        if self.attempt is None or self.reused_from is not None or status != "complete":
            return None
        from reprokit.recorder.reuse import outcome

        with self.faults.at("what its result depends on"):
            self._outcome = outcome.settle(self, self.attempt, records, result)
            info = self._outcome.info
            if info.refused and (self.subject.function, info.refused) not in _told:
                _told.add((self.subject.function, info.refused))
                self.faults.notes.append(f"{self.subject.name}: its result is not used again: {info.refused}")
            return info
        return None

    def inherit(self, inputs: Iterable[ArtifactRecord]) -> None:
        """Take over what the result was made from that is given again, and leave the files as they are."""
        root = self.trunk.project.root
        self._inputs.update((os.path.join(root, one.path), one) for one in inputs if one.role == "used")
        for expected in self.context.artifacts:
            expected.before = None  # what was put there is this run's
            expected.naming = msgspec.structs.replace(expected.naming, embed=False)

    def publish(self, elapsed: float) -> None:
        """Let later calls find the result."""
        found, attempt = self._outcome, self.attempt
        if found is None or attempt is None or found.info.refused or not self.trunk.name:
            return
        from reprokit.recorder.reuse import outcome

        with self.faults.at("the result, for later calls"):
            attempt.publish(outcome.entry_of(self, found, elapsed))

    # --- the end ---------------------------------------------------------------------------------------------------

    def artifacts(self) -> list[ArtifactRecord]:
        """Look at all outputs and inputs."""
        expected = self.context.artifacts
        # A tag that is yet to be written inside changes the digest.
        ahead = files.digest_ahead(one.path for one in expected if not one.naming.embed)
        records = [outputs.found(one, self.trunk.project, self.faults, ahead.get(one.path)) for one in expected]
        records += self._inputs.values()
        leave_to(self.context.parent, [one.path for one in expected])
        if self.watching is not None:
            with self.faults.at("the files that it opened"):
                named = [*(one.path for one in expected), *self._inputs]
                records += self.watching.records(named, self.faults, command=self.subject.kind == "command")
        return records

    def keep_files(self, rules: Mapping[str, FileRule], folder: Path) -> dict[str, FileInfo | None]:
        """Hash, copy or move the files that the settings name; one that is not there is None."""
        kept: dict[str, FileInfo | None] = {}
        for name, rule in rules.items():
            kept[name] = None
            path = self.trunk.project.root / name
            if path.exists():
                with self.faults.at(f"file {name}"):
                    kept[name] = files.keep(rule, path, folder)
        return kept

    def keep_items(self, folder: RunFolder) -> dict[str, FileInfo | None]:
        """Keep the files of the monitor items that the decorator names."""
        kept: dict[str, FileInfo | None] = {}
        for item in self.plan.monitor.items if self.plan.monitor else ():
            kept.update(self.keep_files(self.trunk.project.settings.items[item], folder.path))
        return kept

    def write_sidecars(
        self, records: list[ArtifactRecord], *, status: Status, command: list[str] | None, config: Any
    ) -> None:
        """Write the side-car of each generated artifact."""
        from reprokit._version import __version__

        trunk = self.trunk
        for expected, record in zip(self.context.artifacts, records, strict=False):
            if record.role == "generated" and expected.naming.sidecar:
                with self.faults.at(f"side-car of {record.path}"):
                    sidecars.write(
                        record,
                        expected.path,
                        context=self.context,
                        status=status,
                        command=command,
                        sha=self.facts.sha,
                        config=config,
                        vault=trunk.project.vault.path,
                        version=__version__,
                        reused_from=self.reused_from,
                    )

    def status_of(self, error: BaseException | None) -> tuple[Status, str | None]:
        """Give the status that an exception stands for, and the reason of an interruption."""
        if error is None:
            return "complete", None
        if isinstance(error, SystemExit):
            return "exited", None
        if isinstance(error, KeyboardInterrupt):
            return "interrupted", "KeyboardInterrupt"
        if isinstance(error, GeneratorExit):
            return "interrupted", "the generator was closed before its end"
        if type(error).__name__ == "CancelledError":  # asyncio need not be loaded to ask
            return "interrupted", "cancelled"
        return "failed", None

    def exception_info(self, error: BaseException | None) -> ExceptionInfo | None:
        """Describe an exception; one whose text fails is described without it."""
        if error is None:
            return None
        import traceback

        redactor = self.trunk.project.redactor
        try:
            message = str(error)
        except Exception:  # noqa: BLE001 - the user's __str__ may do anything
            message = "<no text: its __str__ failed>"
        try:
            details = "".join(traceback.format_exception(error))
        except Exception:  # noqa: BLE001 - formatting calls that __str__ again
            details = f"{type(error).__name__}: {message}"
        return ExceptionInfo(
            error_type=type(error).__name__,
            error_message=redactor.text(message[:100_000])[0][
                :10_000
            ],  # what a cut halves is no longer known as a secret
            error_details=redactor.text(details[-300_000:])[0][-100_000:],
        )

    def shown_config(self) -> tuple[Any, list[str]]:
        """Give the config with secrets taken out, and where they were."""
        if self._opened.config is None:
            return None, []
        return self.trunk.project.redactor.value("config", self._opened.config)


def duration(seconds: float) -> str:
    """Write seconds as an ISO 8601 duration."""
    return f"PT{max(seconds, 0.0):.6f}S"


def expected_records(run: OpenRun) -> list[ArtifactRecord]:
    """Describe the outputs as they were before the run."""
    return [
        ArtifactRecord(
            path=run.trunk.project.relative(e.path),
            digest=e.earlier_digest,
            size=None,
            role="missing" if e.before is None else "used",
            requested=printable(e.requested),
            keyword=e.keyword,
            commit=e.naming.commit,
            config_hash=e.naming.config_hash,
        )
        for e in run.context.artifacts
    ]
