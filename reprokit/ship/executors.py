"""An executor of `concurrent.futures` whose tasks carry the project's code and the open run."""

from __future__ import annotations

import concurrent.futures
import functools
import threading
import time
from typing import TYPE_CHECKING, Any

from reprokit.context import enter, leave, peek
from reprokit.errors import ShipError
from reprokit.protocols import Waiting
from reprokit.recorder import returned
from reprokit.recorder.plan import Plan, Subject
from reprokit.recorder.start import prepare
from reprokit.ship import attempts
from reprokit.ship.future import Future, with_traceback
from reprokit.ship.task import Outcome, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextvars import Token
    from types import TracebackType
    from typing import Self

    from reprokit.context import Context
    from reprokit.protocols import Engine
    from reprokit.recorder.open_run import OpenRun
    from reprokit.ship.sending import Packed, Sending


class Executor(concurrent.futures.Executor):
    """Runs functions on the workers of an engine; made by `reprokit.ship.executor`.

    Each task is a child run of the run that is open where it is submitted.  When none is open, the executor is a run
    itself, from its first task (or the beginning of the ``with`` block) until it is shut down.
    """

    def __init__(self, engine: Engine, sending: Sending, *, record: bool) -> None:
        self._engine = engine
        self._waiting = engine if isinstance(engine, Waiting) else None
        self._sending = sending
        self._record = record
        self._run: OpenRun | None = None
        self._token: Token[Context | None] | None = None
        self._pending: dict[bytes, Pending] = {}
        self._idle = threading.Condition()
        self._closed = False
        self._lost: dict[bytes, attempts.Attempt] = {}

    def __repr__(self) -> str:
        return f"<executor of {self._engine.name}, {len(self._pending)} open tasks>"

    # --- tasks -----------------------------------------------------------------------------------------------------

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future:
        """Start ``fn(*args, **kwargs)`` on a worker.

        Raises
        ------
        UnshippableError
            When a part of the call cannot be pickled.
        BundleTooLargeError, SecretsError
            When the project's code cannot be sent.
        RuntimeError
            When the executor was shut down.
        """
        return self._send(fn, (fn, args, kwargs), many=False)

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        progress: bool = False,
    ) -> Iterator[Any]:
        """Call `fn` with the items of the iterables; give the results in order.

        Parameters
        ----------
        fn
            The function.
        *iterables
            Its arguments; the shortest decides how many calls there are.
        timeout
            Seconds from now after which waiting for a result raises ``TimeoutError``.
        chunksize
            How many calls make one task.  Each is a child run of its own all the same.
        progress
            Whether a bar on the terminal shows how many are done, failed, running.
        """
        if chunksize < 1:
            raise ValueError("chunksize must be 1 or more")
        end = None if timeout is None else time.monotonic() + timeout
        calls = list(zip(*iterables, strict=False))
        if chunksize == 1:
            futures = [self.submit(fn, *args) for args in calls]
        else:
            chunks = (calls[at : at + chunksize] for at in range(0, len(calls), chunksize))
            futures = [self._send(fn, (fn, chunk), many=True) for chunk in chunks]
        if progress:
            from reprokit.ship import progress as bars

            bars.show(futures, getattr(fn, "__name__", "tasks"), chunksize, len(calls))
        return _results(futures, end, chunked=chunksize > 1)

    def _send(self, fn: Callable[..., Any], call: tuple[Any, ...], *, many: bool) -> Future:
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown")
        context = self._context()
        packed = self._sending.pack(fn, call, context, many=many)
        pending = Pending(Future(), packed, context)
        with self._idle:
            self._pending[packed.task.number] = pending
        try:
            self._start(pending, encode(packed.task))
        except BaseException:
            self._forget(pending)
            raise
        return pending.future

    def _start(self, pending: Pending, task: bytes) -> None:
        handle = self._engine.submit(task, pending.packed.references, lambda *told: self._done(pending, *told))
        pending.future.handle = handle
        pending.future.call_off = lambda: self._engine.cancel(handle)
        if self._waiting is not None:
            pending.future.pause = functools.partial(self._waiting.wait, handle)

    def _context(self) -> Context | None:
        """Give the run that tasks belong to; opens one when there is none."""
        if not self._record:
            return None
        context = peek()
        if context is not None:
            return context
        if self._run is None:
            name = self._engine.name
            run = prepare(Plan(), Subject(kind="block", name=name, function=name), (), {})
            run.begin()
            self._run = run
        return self._run.context

    # --- what comes back -------------------------------------------------------------------------------------------

    def _done(self, pending: Pending, outcome: object, error: BaseException | None, lost: Sequence[str] = ()) -> None:
        """Take an answer of the engine; called from its threads."""
        if isinstance(outcome, Outcome) and outcome.state == "missing" and not pending.resent:
            pending.resent = True
            try:
                self._start(pending, encode(self._sending.with_cargo(pending.packed)))
                return
            except BaseException as why:  # noqa: BLE001 - the engine is down; whoever waits has to know
                error = why
        try:
            self._take(pending, outcome, error, lost)
        except BaseException as why:  # noqa: BLE001 - a task that never ends would be worse
            error = error or why
        future = pending.future
        if isinstance(error, concurrent.futures.CancelledError):
            concurrent.futures.Future.cancel(future)
        if not future.set_running_or_notify_cancel():
            self._forget(pending)
            return
        if error is not None:
            future.set_exception(error)
        elif isinstance(outcome, Outcome) and outcome.state != "missing":
            future.set_result(outcome)
        else:
            future.set_exception(
                ShipError("a worker lacks what the task needs, and could not be given it", repr(outcome))
            )
        self._forget(pending)

    def _take(self, pending: Pending, outcome: object, error: BaseException | None, lost: Sequence[str]) -> None:
        context = pending.context
        if context is None:
            return
        for reason in lost:
            self._interrupted(pending, reason, None)
        if isinstance(outcome, Outcome) and (outcome.lines or outcome.files):
            returned.take(context, outcome.lines, outcome.files or {})
        died = self._engine.lost(error) if error is not None and not lost else None
        if died is None:
            return
        attempt = self._attempt(pending)
        if attempt is not None or not self._engine.local:
            self._interrupted(pending, died, attempt)

    def _interrupted(self, pending: Pending, reason: str, attempt: attempts.Attempt | None) -> None:
        context, manifest = pending.context, pending.packed.known.manifest
        assert context is not None
        returned.interrupted(
            context,
            manifest.function,
            reason,
            began=attempt.began if attempt else None,
            process=attempt.process if attempt else None,
            bundle=f"sha256:{manifest.bundle}" if manifest.bundle else None,
            closure_digest=manifest.closure_digest,
        )

    def _attempt(self, pending: Pending) -> attempts.Attempt | None:
        """Give what a worker noted when it began a task; the notes of all open tasks are read at once."""
        number = pending.packed.task.number
        if number not in self._lost:
            with self._idle:
                numbers = list(self._pending)
            self._lost = {found.number: found for found in attempts.noted(numbers)}
        return self._lost.get(number)

    def _forget(self, pending: Pending) -> None:
        with self._idle:
            self._pending.pop(pending.packed.task.number, None)
            if not self._pending:
                self._idle.notify_all()

    # --- the end ---------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        context = self._context()
        if self._run is not None:
            self._token = enter(context)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        hurried = error is not None and not isinstance(error, Exception)
        self._shut(wait=not hurried, cancel=hurried, error=error)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Wait for the tasks, and give the engine back; no more tasks are taken."""
        self._shut(wait=wait, cancel=cancel_futures, error=None)

    def _shut(self, *, wait: bool, cancel: bool, error: BaseException | None) -> None:
        self._closed = True
        hurried = error is not None and not isinstance(error, Exception)
        if cancel:
            self._cancel()
        if wait:
            self._wait()
        if hurried:
            self._give_up(f"{type(error).__name__} in the process that sent the task")
        self._engine.close(wait=wait, cancel=cancel)
        self._end_run(error)

    def _wait(self) -> None:
        while self._pending:
            waited = self._waiting is not None and self._waiting.wait(None, 1.0)
            with self._idle:
                if self._pending:
                    self._idle.wait(0.02 if waited else 1.0)

    def _cancel(self) -> None:
        with self._idle:
            waiting = list(self._pending.values())
        for pending in waiting:
            pending.future.cancel()

    def _give_up(self, reason: str) -> None:
        """Record the tasks that run and that nobody will wait for."""
        with self._idle:
            waiting = list(self._pending.values())
        self._lost = {}
        for pending in waiting:
            attempt = self._attempt(pending)
            if pending.context is not None and (attempt is not None or not self._engine.local):
                self._interrupted(pending, reason, attempt)
            pending.context = None  # what it says later comes too late
            pending.future.cancel()

    def _end_run(self, error: BaseException | None) -> None:
        if self._token is not None:
            token, self._token = self._token, None
            try:
                leave(token)
            except ValueError:  # shut down in another thread
                pass
        if self._run is not None:
            run, self._run = self._run, None
            status, reason = run.status_of(error)
            run.close(status, error=error, reason=reason)


class Pending:
    """A task that the engine has."""

    __slots__ = ("context", "future", "packed", "resent")

    def __init__(self, future: Future, packed: Packed, context: Context | None) -> None:
        self.future = future
        self.packed = packed
        self.context = context
        self.resent = False


def _results(futures: list[Future], end: float | None, *, chunked: bool) -> Iterator[Any]:
    futures.reverse()  # taken from the end, so that results that were given can go
    try:
        while futures:
            left = None if end is None else max(end - time.monotonic(), 0.0)
            result = futures.pop().result(left)
            if not chunked:
                yield result
                continue
            for worked, value in result:
                if not worked:
                    raise with_traceback(*value)
                yield value
    finally:
        for future in futures:
            future.cancel()
