"""Dask: sends tasks through a ``distributed.Client``."""

from __future__ import annotations

import contextlib
import functools
import re
import threading
import time
import uuid
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.errors import MissingExtraError, ReprokitError, ShipError, UnshippableError, WorkerError
from reprokit.ship import cargo
from reprokit.ship.task import decode_manifest, decode_task

try:
    import distributed
    from distributed.comm.core import CommClosedError
    from distributed.threadpoolexecutor import thread_state
except ImportError as missing:
    raise MissingExtraError("dask", "dask") from missing

from reprokit.ship.engines import dask_cluster
from reprokit.ship.engines.dask_collector import CLOSED, Collector, Sent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


_PATIENCE = 3.0  # seconds to wait for the cluster at the end
_FRESH = 0.05  # seconds for which it is taken for true which tasks run
_secede: Any = distributed.secede
_KEPT = 64  # pieces of cargo that stay delivered; a worker that lacks an older one asks for it

# What a task is for Dask: nothing but the standard library's, for a worker that cannot unpickle a task dies of it.
_WORK = "__import__('reprokit.ship', fromlist=['work']).work(task, *references)"


class DaskEngine:
    """Sends tasks through a Dask client, which stays open.

    Parameters
    ----------
    client
        The client; not an asynchronous one.
    **options
        What ``Client.submit`` takes: ``priority``, ``resources``, ``workers``, ``allow_other_workers``, ``retries``, ``fifo_timeout``.

    Raises
    ------
    ShipError
        When the client may not block here: an asynchronous one, or one that is used on its own event loop.
    """

    name = "dask"
    local = False

    def __init__(self, client: Any, **options: Any) -> None:
        unknown = options.keys() - {
            "priority",
            "resources",
            "workers",
            "allow_other_workers",
            "retries",
            "fifo_timeout",
        }
        if unknown:
            raise TypeError(f"executor() got options that a Dask client has no use for: {', '.join(sorted(unknown))}")
        self._client = client
        self._options = options
        self._check()
        self._owner = uuid.uuid4().hex[:12]
        self._delivered: OrderedDict[str, None] = OrderedDict()
        self._names: dict[bytes, str] = {}  # of functions, by the digests of manifests
        self._delivering = threading.Lock()
        self._collector = Collector(client)
        self._looked: tuple[float, frozenset[str]] = (
            float("-inf"),
            frozenset(),
        )  # when, and the keys of tasks that ran

    def is_reference(self, value: object) -> bool:
        """Tell whether a value is a future of the client, or one that `submit` gave.

        Raises
        ------
        UnshippableError
            For a future of another client.
        """
        if not isinstance(value, distributed.Future):
            return isinstance(value, Sent)
        if value.client is not self._client:
            raise UnshippableError(
                f"the future {value.key!r}",
                "distributed.Future",
                "it belongs to another Dask client; make it with the executor's client, or send its result",
            )
        return True

    def deliver(self, named: Mapping[str, bytes]) -> None:
        """Make cargo known on all workers, present and future."""
        self._check()
        with self._delivering:
            wanted = {name: data for name, data in named.items() if name not in self._delivered}
            if not wanted:
                return
            dask_cluster.deliver(self._client, self._owner, wanted, strict="workers" not in self._options)
            for name, data in wanted.items():
                self._delivered[name] = None
                self._names.update(_function(name, data))
            old = [self._delivered.popitem(last=False)[0] for _ in range(len(self._delivered) - _KEPT)]
        if old:
            self._client.loop.add_callback(dask_cluster.take_back_soon, self._client, self._owner, old)

    def submit(self, task: bytes, references: Sequence[object], done: Callable[..., None]) -> object:
        """Start a task."""
        self._check()
        _step_aside()
        number, name = self._describe(task)
        sent = Sent(f"{name}-{uuid.uuid4().hex}", number, done)
        self._collector.expect(sent)
        values = [one.value if isinstance(one, Sent) else one for one in references]
        try:
            sent.future = self._client.submit(
                eval, _WORK, {"task": task, "references": values}, key=sent.key, pure=False, **self._options
            )
        except BaseException:
            self._collector.forget([sent])
            raise
        self._collector.watch(sent)
        return sent

    def cancel(self, handle: object) -> bool:
        """Call a task off that no worker has begun."""
        assert isinstance(handle, Sent)
        future = handle.future
        if future is None or handle.called_off or future.done():
            return handle.called_off
        if self._runs(handle):
            return False
        self._collector.call_off([handle])
        return True

    def lost(self, error: BaseException) -> str | None:
        """Tell whether a worker died, or the scheduler was lost."""
        told: str | None = getattr(error, "_reprokit_lost", None)
        if told is not None:
            return told
        if isinstance(error, distributed.KilledWorker):
            return f"the Dask worker {error.args[1].address} died while it had the task, as others had before"
        if isinstance(error, CommClosedError):
            return f"the connection to a Dask worker was lost ({error})"
        return None

    def close(self, *, wait: bool, cancel: bool) -> None:
        """Give back what was delivered; the client stays open.

        A function that runs cannot be stopped from outside, but its task is forgotten: nobody will run it again.
        """
        if cancel:
            self._collector.call_off_all()
        if wait:
            self._collector.wait()
        self._collector.close()
        names = list(self._delivered)
        if not names or self._client.status in CLOSED:
            return
        take_back = functools.partial(dask_cluster.take_back_soon, self._client, self._owner, names)
        if self._client.asynchronous:
            self._client.loop.add_callback(take_back)
        else:  # at once: the client may be closed next, and then nobody would
            with contextlib.suppress(Exception):  # a cluster that is gone has nothing to give back
                self._client.sync(take_back, callback_timeout=_PATIENCE)

    def _check(self) -> None:
        if self._client.status in CLOSED:
            raise WorkerError("the Dask client is closed", "make a new client and a new executor")
        if self._client.asynchronous:
            raise ShipError(
                f"{self._client!r} may not block here",
                "an executor needs a Dask client with asynchronous=False, outside of the client's own event loop "
                "(in a task: outside of `async def`)",
            )

    def _describe(self, task: bytes) -> tuple[bytes | None, str]:
        """Give the number of a task and the name of its function, for people who look at Dask's dashboard."""
        try:
            told = decode_task(task)
        except msgspec.DecodeError:
            return None, "reprokit"
        return told.number, self._names.get(told.manifest, "reprokit")

    def _runs(self, sent: Sent) -> bool:
        """Tell whether a worker has begun a task; whoever calls off many asks the cluster once for all of them."""
        if time.monotonic() > self._looked[0] + _FRESH:
            one = [sent.key] if self._collector.few() else None
            try:
                stacks = self._client.sync(self._client.scheduler.call_stack, keys=one)
            except Exception:  # noqa: BLE001 - the scheduler does not know the task (yet), or is gone
                return False
            running = frozenset(key for on_worker in stacks.values() for key in on_worker)
            if one is not None:
                return sent.key in running
            self._looked = time.monotonic(), running
        return sent.key in self._looked[1]


def _function(name: str, data: bytes) -> dict[bytes, str]:
    if not name.startswith(cargo.MANIFEST):
        return {}
    try:
        function = decode_manifest(data).name
        return {bytes.fromhex(name[len(cargo.MANIFEST) :]): re.sub(r"\W+", "", function) or "reprokit"}
    except (ReprokitError, msgspec.DecodeError, ValueError):
        return {}


def _step_aside() -> None:
    """Leave the worker's slot to others when a task submits tasks: it will wait for them."""
    if getattr(thread_state, "proceed", False):
        try:
            _secede()
        except (ValueError, AttributeError):  # a thread of another pool
            pass
