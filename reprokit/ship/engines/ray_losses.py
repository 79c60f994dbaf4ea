"""What is known of attempts that Ray made at a task and lost.

Ray tries a task again by itself when a worker dies.  The worker of the last attempt knows how many there were before;
where those ran, and how they ended, stands in the cluster's tables of task events and workers, which follow within about
a second.  These are read only after a loss.
"""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.ship.engines.ray_package import exceptions

if TYPE_CHECKING:
    from collections.abc import Callable

_PATIENCE = 2.5  # seconds; events are sent once a second
_PAUSE = 0.5  # seconds between two looks
_DETAIL = 160  # characters of Ray's explanation, which goes on with advice


class Late(NamedTuple):
    """An answer that is held back until its lost attempts are looked up."""

    task: bytes
    done: Callable[..., None]
    outcome: Any
    error: BaseException | None
    attempts: int | None  # that were lost; None when Ray didn't tell
    at_least: int
    since: float

    def lost(self, *, at_once: bool) -> tuple[str, ...] | None:
        """Give a sentence for each lost attempt; None when more may be known soon."""
        found = _table.attempts(self.task)
        # The last attempt of an answer with an outcome is the one that worked.
        known = {
            number: text for number, text in found.items() if self.outcome is None or number < (self.attempts or 0)
        }
        wanted = self.at_least if self.attempts is None else self.attempts
        if len(known) < wanted and not at_once and time.monotonic() - self.since < _PATIENCE:
            return None
        count = max(wanted, *(number + 1 for number in known)) if known else wanted
        return tuple(
            f"attempt {number + 1}: {known.get(number, 'the worker died; Ray does not tell where')}"
            for number in range(count)
        )


def looked_up(
    reference: Any,
    done: Callable[..., None],
    outcome: Any,
    error: BaseException | None,
    attempts: int,
    retries: int,
) -> Late | None:
    """Give what looks lost attempts up; None when there were none."""
    if not attempts and not isinstance(
        error, (exceptions.WorkerCrashedError, exceptions.NodeDiedError, exceptions.OutOfMemoryError)
    ):
        return None
    told: int | None = attempts
    at_least = attempts
    if error is not None:
        # Out of memory is retried by rules of its own, and retries without end never end in an error.
        told = retries + 1 if isinstance(error, exceptions.WorkerCrashedError) and retries >= 0 else None
        at_least = told or 1
    return Late(reference.task_id().binary(), done, outcome, error, told, at_least, time.monotonic())


class _Table:
    """The cluster's tables, read twice a second at most."""

    def __init__(self) -> None:
        self._read = 0.0
        self._events: list[bytes] = []
        self._workers: dict[bytes, Any] = {}

    def attempts(self, task: bytes) -> dict[int, str]:
        """Give where and how the attempts at a task ended, by number from 0; empty when Ray tells nothing."""
        try:
            if time.monotonic() - self._read > _PAUSE:
                self._look()
            return self._failed(task)
        except Exception:  # noqa: BLE001 - private interfaces, another in each version of Ray: less is known then
            return {}

    def _look(self) -> None:
        self._read = time.monotonic()
        state: Any = importlib.import_module("ray._private.state").state
        if hasattr(state, "_connect_and_get_accessor"):
            accessor = state._connect_and_get_accessor()
        else:
            state._check_connected()
            accessor = state.global_state_accessor
        self._events = accessor.get_task_events()
        workers = map(_messages().WorkerTableData.FromString, accessor.get_worker_table())
        self._workers = {worker.worker_address.worker_id: worker for worker in workers}

    def _failed(self, task: bytes) -> dict[int, str]:
        found: dict[int, str] = {}
        for raw in self._events:
            if task not in raw:
                continue
            event = _messages().TaskEvents.FromString(raw)
            if event.task_id == task and event.HasField("state_updates") and event.state_updates.HasField("error_info"):
                found[event.attempt_number] = self._sentence(event.state_updates)
        return found

    def _sentence(self, update: Any) -> str:
        worker = self._workers.get(update.worker_id)
        pid = update.worker_pid or getattr(worker, "pid", 0)
        where = [f"process {pid}"] if pid else []
        if worker is not None and worker.worker_address.ip_address:
            where.append(f"on {worker.worker_address.ip_address}")
        if update.node_id:
            where.append(f"node {update.node_id.hex()[:16]}")
        why = (getattr(worker, "exit_detail", "") or update.error_info.error_message).partition(". ")[0].strip()
        return f"the worker died ({', '.join(where)}){': ' + why[:_DETAIL] if why else ''}"


def _messages() -> Any:
    return importlib.import_module("ray.core.generated.gcs_pb2")


_table = _Table()
