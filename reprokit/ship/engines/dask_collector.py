"""What happens in a driver between a task's submission to Dask and its answer."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from reprokit.errors import WorkerError
from reprokit.ship.engines import dask_cluster, dask_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence

_T = TypeVar("_T")
_Answer: TypeAlias = "tuple[Sent, BaseException | None, list[str]]"

_FEW = 16  # tasks of which each is waited for
_EACH, _SLOW = 0.0001, 0.05  # seconds between two looks, for each task that is waited for, and at most
_LATE = 0.1  # seconds until all workers have heard that a task was called off
CLOSED = frozenset(("closing", "closed"))
_TICK = 1.0  # seconds between two looks whether the client is still open
_logger = logging.getLogger(__name__)


class Sent:
    """A task that the cluster has.

    Attributes
    ----------
    future
        Dask's promise, None from when its value is here: Dask would run a task again whose result is lost later.
    """

    __slots__ = ("answer", "called_off", "done", "future", "key", "losses", "number")

    def __init__(self, key: str, number: bytes | None, done: Callable[..., None]) -> None:
        self.key = key
        self.number = number
        self.done = done
        self.future: Any = None
        self.answer: Any = None
        self.called_off = False
        self.losses: list[asyncio.Task[dict[str, str]]] = []

    @property
    def value(self) -> Any:
        """What stands for the task's outcome among the arguments of another one."""
        future = self.future
        return self.answer if future is None else future


class Collector:
    """Gets outcomes in batches on the client's event loop, and calls back from a thread of its own."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._sent: dict[str, Sent] = {}
        self._changed = threading.Condition()
        self._arrived: list[Sent] = []  # and not yet seen by the event loop
        self._running = False
        self._wake = asyncio.Event()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._answers: queue.SimpleQueue[list[_Answer]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        dask_losses.listen(client, self._hear)

    # --- for any thread --------------------------------------------------------------------------------------------

    def expect(self, sent: Sent) -> None:
        """Get ready for a task: its worker may be lost as soon as it is submitted."""
        with self._changed:
            if self._closed:
                raise WorkerError("the engine was closed", "make a new executor")
            self._sent[sent.key] = sent
            if self._thread is None:
                self._thread = threading.Thread(target=self._call_back, name="reprokit-dask", daemon=True)
                self._thread.start()

    def watch(self, sent: Sent) -> None:
        """Wait for a task that was submitted."""
        with self._changed:
            self._arrived.append(sent)
            running, self._running = self._running, True
        if not running:
            self._client.loop.add_callback(self._run)
        elif self.few():
            self._client.loop.add_callback(self._wake.set)

    def forget(self, several: Iterable[Sent]) -> None:
        """Let go of tasks that were answered."""
        with self._changed:
            for one in several:
                self._sent.pop(one.key, None)
            if not self._sent:
                self._changed.notify_all()

    def few(self) -> bool:
        """Tell whether there are so few tasks that each can be looked after."""
        return len(self._sent) <= _FEW

    def call_off(self, several: Sequence[Sent]) -> None:
        """Have the scheduler drop tasks."""
        for one in several:
            one.called_off = True
        futures = [one.future for one in several if one.future is not None]
        self._client.loop.add_callback(functools.partial(self._client.cancel, futures, asynchronous=True))

    def call_off_all(self) -> None:
        """Have the scheduler drop all tasks."""
        with self._changed:
            waiting = list(self._sent.values())
        if waiting:
            self.call_off(waiting)

    def wait(self) -> None:
        """Wait until all tasks are answered."""
        if threading.current_thread() is self._thread:  # it would wait for itself
            return
        with self._changed:
            while self._sent:
                self._changed.wait(1.0)

    def close(self) -> None:
        """Take no more tasks; those that are under way are still answered."""
        with self._changed:
            closed, self._closed = self._closed, True
            idle = not self._sent
        if idle and not closed:
            self._end()

    # --- the thread that calls back --------------------------------------------------------------------------------

    def _call_back(self) -> None:
        while answers := self._next():
            self._hand_over(answers)
            answers.clear()  # or they would be kept while this waits for the next ones
            if self._closed and not self._sent:
                self._end()

    def _hand_over(self, answers: list[_Answer]) -> None:
        for sent, error, lost in answers:
            try:
                sent.done(sent.answer, error, lost)
            except BaseException:
                _logger.exception("the answer of %s could not be taken", sent.key)
        self.forget([sent for sent, _, _ in answers])

    def _next(self) -> list[_Answer]:
        while True:
            try:
                return self._answers.get(timeout=_TICK)
            except queue.Empty:
                if self._client.status == "closed":  # and its event loop does nothing any more
                    with self._changed:
                        left = list(self._sent.values())
                    return [(one, dropped("the Dask client was closed before the task ended"), []) for one in left]

    def _end(self) -> None:
        self._answers.put([])
        dask_losses.unlisten(self._client, self._hear)

    # --- the client's event loop -----------------------------------------------------------------------------------

    async def _run(self) -> None:
        """Look for tasks that ended.

        To wait for each of them costs a tenth of what Dask needs for a task, and to fetch each one's outcome a fifth: where
        there are many, it is looked after them from time to time.
        """
        there: dict[str, Sent] = {}
        waiting: dict[str, asyncio.Task[Any]] = {}
        pause = 0.0
        while True:
            self._wake.clear()
            with self._changed:
                arrived, self._arrived = self._arrived, []
                if not (arrived or there):
                    self._running = False
                    return
            there.update((one.key, one) for one in arrived)
            ended = [one for one in there.values() if one.future.status not in {"pending", "lost"}]
            for one in ended:
                del there[one.key]
                waiting.pop(one.key, None)
            if ended:
                self._take(ended)
            if len(there) > _FEW:
                pause = min(pause * 1.5, _SLOW) if not ended else min(len(there) * _EACH, _SLOW)
                await asyncio.sleep(pause)
            elif there:
                for key, one in there.items():
                    if key not in waiting:
                        waiting[key] = self._later(one.future._state.wait())
                woken = self._later(self._wake.wait())
                await asyncio.wait({woken, *waiting.values()}, return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()

    def _take(self, ended: list[Sent]) -> None:
        good = [one for one in ended if one.future.status == "finished"]
        off = [one for one in ended if one.called_off and one.future.status != "finished"]
        if good:
            self._later(self._fetch(good))
        if off:
            self._later(self._see_off(off))
        self._answer([self._failed(one, one.future._state.exception) for one in ended if one not in good + off])

    async def _see_off(self, several: list[Sent]) -> None:
        """Answer for tasks that were called off; a worker may have begun one before it heard of that."""
        await asyncio.sleep(_LATE)
        begun = await asyncio.to_thread(dask_losses.begun, [one.number for one in several if one.number is not None])
        answers = [self._failed(one, None) for one in several]
        for one, _, lost in answers:
            if one.number in begun:
                lost.append(f"the task was called off while {begun[one.number]} ran it")
        self._answer(answers)

    async def _fetch(self, batch: list[Sent]) -> None:
        try:
            futures = {one.key: one.future for one in batch}
            values = await self._client.gather(futures, errors="skip", asynchronous=True)
        except Exception as error:  # noqa: BLE001 - of one of them, or of the connection
            if len(batch) == 1:
                self._answer([self._failed(batch[0], error)])
            for one in batch if len(batch) > 1 else ():
                await self._fetch([one])
            return
        answers: list[_Answer] = []
        for one in batch:
            if one.future.status == "finished":
                one.answer = values.get(one.key)
                answers.append((one, None, []))
            else:  # its result was lost in the meantime
                self.watch(one)
        self._answer(answers)

    def _failed(self, sent: Sent, error: BaseException | None) -> _Answer:
        if sent.called_off:
            error = concurrent.futures.CancelledError(f"{sent.key} was called off")
        elif error is None or isinstance(error, (concurrent.futures.CancelledError, asyncio.CancelledError)):
            error = _gone(self._client, sent.key, error)
        elif isinstance(error, ImportError) and str(error.name).partition(".")[0] == "reprokit":
            error = WorkerError(f"a Dask worker cannot run tasks ({error})", dask_cluster.REMEDY)
        return sent, error, []

    def _answer(self, answers: list[_Answer]) -> None:
        now: list[_Answer] = []
        for answer in answers:
            sent = answer[0]
            sent.future = None
            if sent.losses:
                self._later(self._answer_with_losses(*answer))
            else:
                now.append(answer)
        if now:
            self._answers.put(now)

    async def _answer_with_losses(self, sent: Sent, error: BaseException | None, lost: list[str]) -> None:
        for loss in sent.losses:
            reason = (await loss).get(sent.key)
            if reason is not None:
                lost.append(reason)
        self._answers.put([(sent, error, lost)])

    def _later(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # an event loop keeps none itself
        task.add_done_callback(self._tasks.discard)
        return task

    def _hear(self, worker: str, keys: Collection[str], held: Collection[str], expected: bool) -> None:
        """Hear that a worker went."""
        sent = [self._sent[key] for key in {*keys, *held} if key in self._sent]
        if sent:
            loss = dask_losses.Loss(self._client, worker, expected, held)
            reasons = self._later(loss.reasons({one.key: one.number for one in sent}))
            for one in sent:
                one.losses.append(reasons)


def _gone(client: Any, key: str, error: BaseException | None) -> WorkerError:
    """Make the error of a task that the cluster dropped."""
    reason = str(getattr(error, "reason", "unknown"))
    if client.status in CLOSED:
        what = "the Dask client was closed before the task ended"
    elif reason == "scheduler-connection-lost" or (reason == "unknown" and client.status != "running"):
        what = "the connection to the Dask scheduler was lost"
    elif reason == "scheduler-restart":
        what = "the Dask cluster was restarted"
    elif reason == "lost dependencies":
        what = "a result that the task needs was lost with a Dask worker"
    else:
        what = f"the Dask cluster dropped the task {key} ({str(error or '') or 'no reason told'})"
    made = dropped(what)
    made.__cause__ = error
    return made


def dropped(what: str) -> WorkerError:
    """Make the error of a task that nobody will run any more."""
    made = WorkerError(what, "submit it again")
    made._reprokit_lost = what  # type: ignore[attr-defined]
    return made
