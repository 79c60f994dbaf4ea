"""Any executor of `concurrent.futures`: process pools, threads, loky, mpi4py."""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from reprokit.ship import cargo
from reprokit.ship.worker import work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


class FuturesEngine:
    """Sends tasks through an executor; cargo lies in a folder of this machine.

    Workers on other machines answer that they lack it, and get it with the first task.
    """

    local = True

    def __init__(self, pool: concurrent.futures.Executor) -> None:
        self.name = type(pool).__name__
        self._pool: Any = pool

    def is_reference(self, value: object) -> bool:
        """Tell that nothing is: such executors put no futures in place."""
        return False

    def deliver(self, named: Mapping[str, bytes]) -> None:
        """Leave cargo in the folder."""
        for name, data in named.items():
            cargo.leave(name, data)

    def submit(self, task: bytes, references: Sequence[object], done: Callable[..., None]) -> object:
        """Start a task."""
        future = self._pool.submit(work, task)

        def answer(ended: concurrent.futures.Future[Any]) -> None:
            if ended.cancelled():
                done(None, concurrent.futures.CancelledError())
                return
            error = ended.exception()
            done(None if error is not None else ended.result(), error)

        future.add_done_callback(answer)
        return future

    def cancel(self, handle: Any) -> bool:
        """Call a task off that no worker has begun."""
        return bool(handle.cancel())

    def lost(self, error: BaseException) -> str | None:
        """Tell whether the pool broke."""
        if isinstance(error, concurrent.futures.BrokenExecutor):  # loky's errors are such ones as well
            return f"the worker died: {type(error).__name__}"
        return None

    def close(self, *, wait: bool, cancel: bool) -> None:
        """Shut the executor down; workers whose tasks nobody waits for are ended."""
        processes = list((getattr(self._pool, "_processes", None) or {}).values())
        try:
            self._pool.shutdown(wait=wait, cancel_futures=cancel)
        except TypeError:  # loky and others know no cancel_futures
            self._pool.shutdown(wait=wait)
        if not wait and cancel:
            for process in processes:
                if hasattr(process, "terminate"):
                    process.terminate()
