"""A monitored command: its output passes through live while it is recorded, its signals and exit code are its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from reprokit.errors import NamingError
from reprokit.recorder.plan import Subject
from reprokit.recorder.root import CommandEnd, RootRun, prepare_root
from reprokit.recorder.start import PARENT, announcement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprokit.model.records import Status
    from reprokit.recorder.plan import Plan

_CHUNK = 65_536  # bytes
_IN_JSON = 1_000_000  # bytes of output that go into post-run-info.json; all of it lies in the files
_LINGER = 1.0  # seconds that output of background processes is waited for after the command has ended
_FORWARDED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
_FROM_TERMINAL = {"SIGINT", "SIGQUIT", "SIGHUP"}


def run_command(plan: Plan, args: Sequence[str], artifacts: Sequence[str]) -> int:
    """Run a command as a root run and give its exit code (128 + number when a signal killed it).

    Raises
    ------
    ReprokitError
        When the run is refused before the command starts.
    """
    subject = Subject(kind="command", name=Path(args[0]).name or "command", command=tuple(args))
    run = prepare_root(plan, subject, (), {})
    argv = _tag(run, list(args), artifacts)
    run.executed = argv
    run.begin()
    folder = run.context.folder
    environment = dict(os.environ)
    if folder is not None:
        environment[PARENT] = announcement(run.context.root_id, run.context.run_id, folder)
        environment["REPROKIT_RUN_DIR"] = environment["CAPSULE_DIR"] = str(folder)
    environment.update(run.watched_variables())
    with _Forwarding() as signals:
        try:
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        except OSError as error:
            code = 127 if isinstance(error, FileNotFoundError) else 126
            said = f"reprokit: {args[0]}: {error.strerror}\n"
            sys.stderr.write(said)
            run.close("failed", command=CommandEnd(exit_code=code, stdout="", stderr=said))
            return code
        signals.forward_to(process)
        streams = [
            Stream(process.stdout, sys.stdout.buffer, run, "stdout"),
            Stream(process.stderr, sys.stderr.buffer, run, "stderr"),
        ]
        returncode, usage = _wait(process)
    for stream in streams:
        stream.finish()
    status, reason = _status(returncode, signals.received)
    run.close(
        status,
        reason=reason,
        command=CommandEnd(
            exit_code=returncode if returncode >= 0 else 128 - returncode,
            stdout=streams[0].text(),
            stderr=streams[1].text(),
            **usage,
        ),
    )
    return returncode if returncode >= 0 else 128 - returncode


def _tag(run: RootRun, argv: list[str], artifacts: Sequence[str]) -> list[str]:
    """Replace each artifact among the arguments (``plot.png``, ``--out=plot.png``) by its tagged path."""
    for wanted in artifacts:
        if not any(arg == wanted or arg.endswith(f"={wanted}") for arg in argv[1:]):
            raise NamingError(wanted, f"--artifact names no argument of the command: {' '.join(argv[:6])}")
        tagged = str(run.context.artifact(wanted))
        argv = argv[:1] + [
            tagged if arg == wanted else arg[: -len(wanted)] + tagged if arg.endswith(f"={wanted}") else arg
            for arg in argv[1:]
        ]
    return argv


class Stream:
    """Passes one output of the command through, and records it with secrets taken out."""

    def __init__(self, source: IO[bytes] | None, target: Any, run: RootRun, name: str) -> None:
        assert source is not None
        self._source, self._target, self._run, self._name = source, target, run, name
        self._redactor = run.trunk.project.redactor.stream()
        self._head = bytearray()
        self._length = 0
        self._file: IO[bytes] | None = None
        if run.context.folder is not None:
            with run.faults.at(name):
                self._file = open(run.context.folder / f"{name}.txt", "xb")  # noqa: SIM115 - closed by finish
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def _pump(self) -> None:
        descriptor = self._source.fileno()
        while chunk := os.read(descriptor, _CHUNK):
            try:
                self._target.write(chunk)
                self._target.flush()
            except (OSError, ValueError):  # our reader is gone: closing our end tells the command so
                break
            self._keep(self._redactor.feed(chunk))
        self._source.close()

    def _keep(self, data: bytes) -> None:
        self._length += len(data)
        if len(self._head) < _IN_JSON:
            self._head += data[: _IN_JSON - len(self._head)]
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                self._file = None
                self._run.faults.add(self._name, error)

    def finish(self) -> None:
        """Wait for the end of the output; a background process that keeps it open is not waited for."""
        self._thread.join(_LINGER)
        if self._thread.is_alive():
            self._run.faults.add(
                self._name, "a background process still writes; what comes after the command's end is not recorded"
            )
        self._keep(self._redactor.close())
        if self._file is not None:
            with self._run.faults.at(self._name):
                self._file.close()

    def text(self) -> str:
        """What goes into the record."""
        text = self._head.decode(errors="replace")
        more = self._length - len(self._head)
        return text + f"\n... {more} more bytes in {self._name}.txt" if more > 0 else text


class _Forwarding:
    """Hands signals on to the command, those that came before it started too.

    A terminal sends Ctrl-C to the whole foreground group, so the command has it already; only what comes from elsewhere
    is forwarded then.
    """

    def __init__(self) -> None:
        self.received: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for name in _FORWARDED:
            number = getattr(signal, name, None)
            if number is not None:
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def forward_to(self, process: subprocess.Popen[bytes]) -> None:
        """Name the command, once it is there."""
        self._process = process
        for name in self.received:
            self._send(signal.Signals[name])

    def _on_signal(self, number: int, _frame: Any) -> None:
        name = signal.Signals(number).name
        self.received.append(name)
        if not (name in _FROM_TERMINAL and _in_foreground()):
            self._send(number)

    def _send(self, number: int) -> None:
        if self._process is not None:
            try:
                self._process.send_signal(number)
            except OSError:  # it has just ended
                return


def _in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except (OSError, AttributeError):
        return False


def _wait(process: subprocess.Popen[bytes]) -> tuple[int, dict[str, Any]]:
    """Wait for the command and tell what it took."""
    if not hasattr(os, "wait4"):
        return process.wait(), {}
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    scale = 1 if sys.platform == "darwin" else 1024
    return process.returncode, {
        "cpu_user": usage.ru_utime,
        "cpu_system": usage.ru_stime,
        "peak_memory": usage.ru_maxrss * scale,
    }


def _status(returncode: int, received: list[str]) -> tuple[Status, str | None]:
    if returncode == 0:
        return "complete", None
    if received:
        return "interrupted", received[-1]
    if returncode < 0:
        number = -returncode
        name = signal.Signals(number).name if number in {s.value for s in signal.Signals} else f"signal {number}"
        return ("interrupted" if name in ("SIGINT", "SIGTERM") else "failed"), f"killed by {name}"
    return "failed", None
