"""Answers of Ray: one thread takes them in batches.

A call of `ray.wait` costs about as much for one answer as for many, and each answer that arrives alone makes the thread
that submits tasks give up the interpreter; so the thread lets a few come together while many are under way.
"""

from __future__ import annotations

import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

from reprokit.errors import ReprokitWarning, WorkerError
from reprokit.ship.engines import ray_losses
from reprokit.ship.engines.ray_package import ray

if TYPE_CHECKING:
    from collections.abc import Callable

_WINDOW = 128  # oldest tasks that are asked for; as many of the others, by turns
_NEWS = 0.01  # seconds; until a task is noticed that was submitted while the thread waits for another
_IDLE = 0.05  # seconds; the same, when nothing was submitted for a second
_GATHER = 0.02  # seconds; the longest that an answer waits for others


class Answers:
    """Waits for tasks, and tells who waits for each.

    Parameters
    ----------
    settle
        Gives outcome, error and the number of lost attempts for a reference and its value (or error).
    retries
        How often Ray tries a task again.
    """

    def __init__(
        self, settle: Callable[[Any, Any], tuple[Any, BaseException | None, int]], retries: int | None
    ) -> None:
        self._settle = settle
        self._retries = 3 if retries is None else retries
        self._open: dict[Any, Callable[..., None]] = {}
        self._late: list[ray_losses.Late] = []  # whose lost attempts are being looked up
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._finish: Callable[[], None] | None = None  # called by the thread when nobody waits for it
        self._news = 0.0
        self._turn = 0
        self._gather = 0.0

    def expect(self, reference: Any, done: Callable[..., None]) -> None:
        """Call `done` when a task has ended."""
        with self._changed:
            self._open[reference] = done
            self._news = time.monotonic()
            if self._thread is None:
                self._thread = threading.Thread(target=self._take, name="reprokit-ray", daemon=True)
                self._thread.start()
            elif len(self._open) == 1:
                self._changed.notify_all()

    def expects(self, reference: Any) -> bool:
        """Tell whether a task has not ended, as far as is known."""
        return reference in self._open

    def waiting(self) -> list[Any]:
        """Give the tasks that have not ended."""
        with self._changed:
            return list(self._open)

    def drained(self, timeout: float) -> bool:
        """Wait until all tasks have ended, `timeout` seconds at most."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._open and not self._late, timeout)

    def close(self, finish: Callable[[], None], *, wait: bool) -> None:
        """Call `finish` when all tasks have ended: at once, after waiting for them, or whenever it is."""
        with self._changed:
            thread = self._thread
            self._closed = True
            if thread is not None and not wait and (self._open or self._late):
                self._finish = finish
                return
            self._changed.notify_all()
        if thread is not None:
            thread.join()
        finish()

    # --- the thread ------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        while True:
            with self._changed:
                if not self._open and not self._late:
                    self._changed.notify_all()
                    if self._closed:
                        break
                    self._changed.wait()
                    continue
                window = self._window()
            if not ray.is_initialized():  # asking would start it anew
                self._give_up()
                continue
            try:
                ready = self._ready(window) if window else []
                values = _values(ready)
            except (Exception, SystemExit):  # noqa: BLE001 - Ray is being shut down; what it raises then differs
                time.sleep(_IDLE)
                continue
            for reference, value in zip(ready, values, strict=True):
                self._tell(reference, value)
            if self._late:
                self._tell_late(at_once=False)
                if not window:
                    time.sleep(_IDLE)
        if self._finish is not None:
            self._finish()

    def _window(self) -> list[Any]:
        every = list(self._open)
        if len(every) <= 2 * _WINDOW:
            return every
        self._turn = start = self._turn + _WINDOW if _WINDOW <= self._turn + _WINDOW < len(every) else _WINDOW
        return every[:_WINDOW] + every[start : start + _WINDOW]

    def _ready(self, window: list[Any]) -> list[Any]:
        busy = time.monotonic() - self._news < 1.0
        ready: list[Any]
        ready, rest = ray.wait(window, num_returns=1, timeout=_NEWS if busy else _IDLE)
        if ready and rest and self._gather:
            ready, _ = ray.wait(window, num_returns=len(window), timeout=self._gather)
        self._gather = min(_GATHER, 0.001 * (len(ready) - 1) * 4) if ready else 0.0
        return ready

    def _tell(self, reference: Any, value: Any) -> None:
        outcome, error, attempts = self._settle(reference, value)
        with self._changed:
            done = self._open.pop(reference)
            late = ray_losses.looked_up(reference, done, outcome, error, attempts, self._retries)
            if late is not None:
                self._late.append(late)
                return
        _call(done, outcome, error, ())

    def _tell_late(self, *, at_once: bool) -> None:
        for late in list(self._late):
            lost = late.lost(at_once=at_once)
            if lost is not None:
                _call(late.done, late.outcome, late.error, lost)
                with self._changed:
                    self._late.remove(late)

    def _give_up(self) -> None:
        self._tell_late(at_once=True)
        with self._changed:
            left, self._open = self._open, {}
        for done in left.values():
            _call(done, None, WorkerError("Ray was shut down", "while tasks were under way"), ())


def _values(ready: list[Any]) -> list[Any]:
    """Give what the tasks returned or raised."""
    if not ready:
        return []
    try:
        values: list[Any] = ray.get(ready)
    except Exception:  # noqa: BLE001 - one of them failed; which, only asking each tells
        return [_value(reference) for reference in ready]
    return values


def _value(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except Exception as error:
        if not ray.is_initialized():
            raise
        return error


def _call(done: Callable[..., None], outcome: Any, error: BaseException | None, lost: tuple[str, ...]) -> None:
    try:
        done(outcome, error, lost)
    except Exception as why:  # noqa: BLE001 - one task's trouble must not end the thread that serves all
        warnings.warn(f"the answer of a Ray task could not be taken: {why!r}", ReprokitWarning, stacklevel=2)
