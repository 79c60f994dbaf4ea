"""What is common to all users of a Dask cluster: how cargo gets to its workers, and where these note what they are at."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from distributed import WorkerPlugin

from reprokit import process
from reprokit.code.bundles import place
from reprokit.errors import WorkerError
from reprokit.ship import cargo

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from distributed import Worker

REMEDY = "install reprokit in the environment of all Dask workers and of the scheduler"
WORKERS = "reprokit-workers"  # topic of the cluster's events
_TRIES = 3  # a worker may go while all of them are being told

# Text that any Python can load: a plugin whose class cannot be imported would keep new workers from starting.
_LOAD = """
try:
    import reprokit.ship.engines.dask_cluster as home
    plugin = getattr(home, kind)(*args)
except Exception as error:
    from distributed import WorkerPlugin

    class NoReprokit(WorkerPlugin):
        why = f"{type(error).__name__}: {error}"

        def setup(self, worker):
            raise ImportError(f"{worker.address}: {self.why}", name="reprokit")

    plugin = NoReprokit()
"""


class _Plugin(WorkerPlugin):
    """Loads also where reprokit is missing, and says so then when it is set up."""

    def _arguments(self) -> tuple[Any, ...]:
        return ()

    def __reduce__(self) -> tuple[Any, ...]:
        names = {"code": _LOAD, "names": {"kind": type(self).__name__, "args": self._arguments()}}
        return eval, ("exec(code, names) or names['plugin']", names)


class Delivery(_Plugin):
    """Puts a piece of cargo into a worker: into those that are there, and into each one that starts."""

    def __init__(self, name: str, data: bytes) -> None:
        self._cargo = (name, data)

    def _arguments(self) -> tuple[Any, ...]:
        return self._cargo

    def setup(self, worker: Worker) -> None:
        cargo.put(*self._cargo)
        self._cargo = (self._cargo[0], b"")  # what a worker keeps lies elsewhere


class Notes(_Plugin):
    """Lets each worker tell its process, and where that notes the tasks that it begins."""

    idempotent = True

    def setup(self, worker: Worker) -> None:
        worker.loop.add_callback(self._tell, worker)

    async def _tell(self, worker: Worker) -> None:
        told = {"worker": worker.address, "pid": os.getpid(), "folder": notes_folder()}
        while worker.status.name in {"init", "starting", "undefined"} or not worker.batched_stream.comm:
            await asyncio.sleep(0.02)  # what a worker says before it is connected is dropped
        worker.log_event(WORKERS, told)


class Told(NamedTuple):
    """What a worker told of itself."""

    pid: int
    folder: str


def notes_folder() -> str:
    """Name the folder where this process notes its tasks, in the same way in all processes that share it."""
    try:
        found = os.stat(place.folder("attempts"))
    except (OSError, ValueError, RuntimeError) as error:
        return f"none: {type(error).__name__}"
    return f"{process.boot_id()}:{found.st_dev}:{found.st_ino}"


def deliver(client: Any, owner: str, wanted: Mapping[str, bytes], *, strict: bool = True) -> None:
    """Make cargo known on all workers; returns when those that are there have it.

    Parameters
    ----------
    client
        One that may block here.
    owner
        Who delivers; what is taken back is the owner's alone, for others may have delivered the same.
    wanted
        Cargo by name.
    strict
        Whether it is an error when a worker cannot take it, else a task that comes there tells.

    Raises
    ------
    WorkerError
        When a worker has no reprokit, or the scheduler cannot be reached.
    """
    client.sync(deliver_soon, client, owner, wanted, strict=strict)


async def deliver_soon(client: Any, owner: str, wanted: Mapping[str, bytes], *, strict: bool = True) -> None:
    """Make cargo known on all workers; for the client's event loop."""
    plugins: dict[str, WorkerPlugin] = {
        f"reprokit-{owner}-{name}": Delivery(name, data) for name, data in wanted.items()
    }
    plugins["reprokit-notes"] = Notes()
    for left in reversed(range(_TRIES)):
        try:
            await asyncio.gather(*(client.register_plugin(plugin, name) for name, plugin in plugins.items()))
            return
        except ImportError as error:
            if not strict:
                return
            raise WorkerError(f"the Dask worker {error}", REMEDY) from error
        except (TimeoutError, OSError) as error:  # CommClosedError is one
            if not left:
                raise WorkerError(
                    f"the code cannot be delivered to the Dask cluster at {client.scheduler.address} ({error})",
                    "look whether its scheduler runs, and make a new client when it was started anew",
                ) from error
            await asyncio.sleep(0.1)


async def take_back_soon(client: Any, owner: str, names: Iterable[str]) -> None:
    """Let workers that start from now on do without cargo; for the client's event loop."""
    await asyncio.gather(
        *(client.unregister_worker_plugin(f"reprokit-{owner}-{name}") for name in names),
        return_exceptions=True,  # the cluster is gone, or was restarted: nothing is left to do
    )


async def whereabouts(client: Any, address: str) -> tuple[Told | None, dict[str, Told]]:
    """Give what a worker that is gone told of itself, and what those told that are there."""
    events: Any = await client.get_events(WORKERS)
    told = {message["worker"]: Told(message["pid"], message["folder"]) for _, message in events}
    there = await client.scheduler.identity()
    return told.get(address), {one: told[one] for one in there["workers"] if one in told and one != address}
