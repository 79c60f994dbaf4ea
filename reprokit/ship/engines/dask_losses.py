"""Which attempts at a task were lost with a Dask worker.

The scheduler tells which tasks a worker had when it went, begun or not.  Which of those had begun stand in the notes that
workers keep on their own machine (`reprokit.ship.attempts`); another worker of that machine reads them when the driver can't.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import TYPE_CHECKING, Any

from reprokit.ship import attempts
from reprokit.ship.engines import dask_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from reprokit.ship.attempts import Attempt
    from reprokit.ship.engines.dask_cluster import Told

_PATIENCE = 5.0  # seconds to wait for a worker that can read the notes of another machine
_UNKNOWN = "whether it had begun is not known"


_TOPIC = "all"  # of the cluster's events; also of each worker that comes, and of each fetching of results


class _Ears:
    """Hears for all engines of a client that a worker went: Dask has room for one handler a topic."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str, Collection[str], Collection[str], bool], None]] = []
        self.before: Callable[[Any], Any] | None = None  # the user's own handler

    def hear(self, event: tuple[float, dict[str, Any]]) -> Any:
        """Tell whom it concerns."""
        message = event[1]
        if message.get("action") == "remove-worker":
            held = message.get("lost-computed-tasks") or ()
            for listener in tuple(self.listeners):
                listener(message["worker"], message["processing-tasks"], held, bool(message.get("expected")))
        return self.before(event) if self.before is not None else None


_ears: weakref.WeakKeyDictionary[Any, _Ears] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def listen(client: Any, listener: Callable[[str, Collection[str], Collection[str], bool], None]) -> None:
    """Have a function called, in the client's event loop, when a worker goes.

    It gets the worker's address, the keys of the tasks that it had, those whose results it alone had, and whether it was
    told to go.
    """
    with _lock:
        ears = _ears.setdefault(client, _Ears())
        there = client._event_handlers.get(_TOPIC)
        if there != ears.hear:
            ears.before = there
        if there != ears.hear or not ears.listeners:
            client.subscribe_topic(_TOPIC, ears.hear)
        ears.listeners.append(listener)


def unlisten(client: Any, listener: Callable[[str, Collection[str], Collection[str], bool], None]) -> None:
    """Undo `listen`."""
    with _lock:
        ears = _ears[client]
        ears.listeners.remove(listener)
        if not ears.listeners and ears.before is None and client.status == "running":
            client.unsubscribe_topic(_TOPIC)  # the handler stays where it is: Dask may still have events for it


class Loss:
    """What a worker took with it.

    Parameters
    ----------
    client
        A client of the cluster.
    address
        The worker's.
    expected
        Whether it was told to go.
    held
        Keys of the tasks whose results it alone had.
    """

    def __init__(self, client: Any, address: str, expected: bool, held: Iterable[str]) -> None:
        self._client = client
        self._address = address
        self._how = "was closed" if expected else "died"
        self._held = frozenset(held)

    async def reasons(self, tasks: Mapping[str, bytes | None]) -> dict[str, str]:
        """Tell for each task that the worker had begun how it was lost.

        Parameters
        ----------
        tasks
            The tasks' numbers, by their keys.
        """
        try:
            gone, there = await dask_cluster.whereabouts(self._client, self._address)
        except Exception:  # noqa: BLE001 - the scheduler went as well
            gone, there = None, {}
        numbers = {number: key for key, number in tasks.items() if number is not None and key not in self._held}
        begun = await self._noted(gone, there, list(numbers)) if gone else None
        where = f"the Dask worker {self._address}" + (f" (process {gone.pid})" if gone else "")
        told: dict[str, str] = {}
        for key in tasks:
            if key in self._held:
                told[key] = f"{where} {self._how}, and the task's result with it"
            elif begun is None:
                told[key] = f"{where} {self._how} while the task was there; {_UNKNOWN}"
        for one in begun or ():
            told[numbers[one.number]] = (
                f"{where} on {one.process.host} {self._how} while it ran the task (since {one.began:%H:%M:%S})"
            )
        return told

    async def _noted(self, gone: Told, there: Mapping[str, Told], numbers: list[bytes]) -> list[Attempt] | None:
        """Give the tasks that the worker had begun; None when nobody can tell."""
        if gone.folder.startswith("none"):
            return None
        if gone.folder == dask_cluster.notes_folder():
            return await asyncio.to_thread(of_process, gone.pid, numbers)
        end = asyncio.get_running_loop().time() + _PATIENCE
        while asyncio.get_running_loop().time() < end:
            for address in (one for one, told in there.items() if told.folder == gone.folder):
                try:
                    answers: Any = await self._client.run(of_process, gone.pid, numbers, workers=[address])
                    return list(answers[address])
                except Exception:  # noqa: BLE001, S112 - it goes too; perhaps another one is there
                    continue
            await asyncio.sleep(0.2)  # its nanny may be starting another
            try:
                there = (await dask_cluster.whereabouts(self._client, self._address))[1]
            except Exception:  # noqa: BLE001 - no scheduler, no answer
                return None
        return None


def of_process(pid: int, numbers: Iterable[bytes]) -> list[Attempt]:
    """Give the attempts at these tasks that a process of this machine noted, whether it lives or not."""
    return [one for one in attempts.noted(numbers) if one.process.pid == pid]


def begun(numbers: Iterable[bytes]) -> dict[bytes, str]:
    """Name the processes of this machine that are at tasks."""
    return {one.number: f"process {one.process.pid} on {one.process.host}" for one in attempts.noted(numbers)}
