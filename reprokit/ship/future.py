"""The promise of a task's result."""

from __future__ import annotations

import concurrent.futures
import threading
import time
from typing import TYPE_CHECKING, Any

from reprokit.ship.pickling import pickler

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.ship.task import Outcome


_MOMENT = 0.02  # seconds


class RemoteTraceback(Exception):  # noqa: N818 - named as the standard library's is
    """Shows the traceback of a worker as the cause of the error that came from there."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class Future(concurrent.futures.Future[Any]):
    """What `Executor.submit` returns.

    The result is unpickled in the thread that asks for it: unpickling imports modules, and a thread of the engine would
    wait for ever for a module that the asking thread is just importing.

    Attributes
    ----------
    handle
        The engine's own promise.
    call_off, pause
        Ask the engine to call the task off, and to wait for it (see `reprokit.protocols.Waiting`).
    """

    def __init__(self) -> None:
        super().__init__()
        self.handle: Any = None
        self.call_off: Callable[[], bool] | None = None
        self.pause: Callable[[float | None], bool] | None = None
        self._opened: tuple[Any, BaseException | None] | None = None
        self._opening = threading.Lock()

    def result(self, timeout: float | None = None) -> Any:
        """Give the result, or raise the task's error; waits for `timeout` seconds at most."""
        value, error = self._open(super().result(self._pause(timeout)))
        if error is not None:
            try:
                raise error
            finally:
                del self, error  # else traceback and frame would keep each other
        return value

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Give the task's error, None when there was none; waits for `timeout` seconds at most."""
        error = super().exception(self._pause(timeout))
        return error if error is not None else self._open(super().result(0))[1]

    @property
    def failed(self) -> bool:
        """Whether it ended otherwise than with a result; looks at what came back without unpickling it."""
        if self.cancelled():
            return True
        return self.done() and (super().exception(0) is not None or super().result(0).state != "done")

    def cancel(self) -> bool:
        """Call the task off; False when it runs or is done."""
        if not self.done() and self.call_off is not None and not self.call_off():
            return False
        return super().cancel()

    def _pause(self, timeout: float | None) -> float | None:
        """Wait in the engine's own way, where it has one; give what is left of `timeout`."""
        if self.pause is None:
            return timeout
        end = None if timeout is None else time.monotonic() + timeout
        left = timeout
        while not self.done() and (left is None or left > 0) and self.pause(left):
            concurrent.futures.wait([self], _MOMENT)  # the engine has it; its thread is about to hand it over
            left = None if end is None else end - time.monotonic()
        return None if left is None else max(left, 0.0)

    def _open(self, outcome: Outcome) -> tuple[Any, BaseException | None]:
        with self._opening:
            if self._opened is None:
                found = pickler.loads(outcome.payload)
                self._opened = (found, None) if outcome.state == "done" else (None, with_traceback(*found))
            return self._opened


def with_traceback(error: BaseException, text: str) -> BaseException:
    """Attach a worker's traceback to an error."""
    error.__cause__ = RemoteTraceback(text)
    return error
