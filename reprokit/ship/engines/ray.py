"""Ray: tasks are calls of one small function that every worker finds in its own reprokit.

Cargo lies in the job's function table.  A task carries nothing for it: a worker that lacks cargo learns its name from the
task, and looks there.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import pickle
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.errors import WorkerError
from reprokit.ship import cargo
from reprokit.ship.engines import ray_table
from reprokit.ship.engines.ray_answers import Answers
from reprokit.ship.engines.ray_package import exceptions, ray
from reprokit.ship.worker import work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ANSWER = b"\x93reprokit answer\n"  # what `_run` returns begins so
_GRACE = 2.0  # seconds that a task has to end after it was interrupted

_LOSSES = (
    (exceptions.OutOfMemoryError, "the worker was killed because its machine ran out of memory"),
    (exceptions.NodeDiedError, "the worker's machine died"),
    (exceptions.LocalRayletDiedError, "the Ray daemon of the worker's machine died"),
    (exceptions.WorkerCrashedError, "the worker died"),
    (exceptions.OwnerDiedError, "the process that had sent the task, or made an argument, died"),
    (exceptions.ObjectLostError, "an argument or the result was lost with the machine that held it"),
)


class Kept(NamedTuple):
    """A reference that a task gets as such, where Ray would put the value in its place."""

    reference: Any


class RayEngine:
    """Sends tasks to Ray.

    Parameters
    ----------
    address
        Of a cluster, as `ray.init` takes it.  Used only when Ray is not initialised yet; then `close` shuts Ray down.
    **options
        What ``remote.options`` takes: ``num_cpus``, ``resources``, ``max_retries``, ``runtime_env`` ...

    Raises
    ------
    MissingExtraError
        When Ray is not installed.
    """

    name = "ray"

    def __init__(self, address: str | None = None, **options: Any) -> None:
        self._own = not ray.is_initialized()
        if self._own:
            ray.init(address=address)
        self._job = ray_table.job()
        self._remote = ray.remote(_run).options(**options) if options else ray.remote(_run)
        self._delivered: list[str] = []
        self._called_off: set[Any] = set()
        self._answers = Answers(self._settle, options.get("max_retries"))
        here = ray.util.get_node_ip_address()
        self.local = all(node["NodeManagerAddress"] in {here, "127.0.0.1"} for node in ray.nodes() if node["Alive"])

    def is_reference(self, value: object) -> bool:
        """Tell whether it is an object reference or an actor's handle: only Ray itself can send these."""
        return isinstance(value, (ray.ObjectRef, ray.actor.ActorHandle))

    def keep(self, reference: object) -> object:
        """Give what makes `submit` hand a reference on as one: plain Ray resolves only those that are arguments."""
        return Kept(reference) if isinstance(reference, ray.ObjectRef) else reference

    def deliver(self, named: Mapping[str, bytes]) -> None:
        """Put cargo into the job's function table."""
        self._delivered += [name for name, data in named.items() if ray_table.put(name, data)]

    def submit(self, task: bytes, references: Sequence[object], done: Callable[..., None]) -> object:
        """Start a task."""
        try:
            handle = self._remote.remote(task, *references)
        except exceptions.RaySystemError as error:
            raise WorkerError("Ray takes no tasks", str(error)) from error
        self._answers.expect(handle, done)
        return handle

    def cancel(self, handle: Any) -> bool:
        """Call a task off.  As everywhere in Ray, a `KeyboardInterrupt` ends it when it runs already."""
        if not self._answers.expects(handle):
            return False
        self._called_off.add(handle)
        try:
            ray.cancel(handle, force=False)
        except Exception:  # noqa: BLE001 - Ray was shut down
            self._called_off.discard(handle)
            return False
        return True

    def wait(self, handle: Any, timeout: float | None) -> bool:
        """Wait for a task, or for any (`handle` None), in the way in which Ray notices it; False where it need not.

        A Ray task that waits gives its CPU to others meanwhile, but Ray sees only waiting in a call of its own, in the main
        thread.  Tasks that wait for other tasks in another way can keep all CPUs, so that those never run.
        """
        if threading.current_thread() is not threading.main_thread() or not _in_a_task():
            return False
        waiting = self._answers.waiting() if handle is None else [handle]
        if waiting:
            ray.wait(waiting, num_returns=1, timeout=timeout, fetch_local=False)
        return bool(waiting)

    def lost(self, error: BaseException) -> str | None:
        """Tell whether, and how, a worker or what it needed was lost."""
        for kind, reason in _LOSSES:
            if isinstance(error, kind):
                return f"{reason}: {type(error).__name__}"
        return None

    def close(self, *, wait: bool, cancel: bool) -> None:
        """Delete the cargo; shut Ray down when it was started for this engine.

        Parameters
        ----------
        wait
            Wait for the tasks that are under way; else that happens when they have ended.
        cancel
            Call them off first.  Without `wait`, what does not end within two seconds is killed with its worker.
        """
        if cancel:
            for handle in self._answers.waiting():
                self.cancel(handle)
            if not wait and not self._answers.drained(_GRACE):
                for handle in self._answers.waiting():
                    with contextlib.suppress(Exception):  # it has ended in this moment
                        ray.cancel(handle, force=True)
                self._answers.drained(_GRACE)
        self._answers.close(self._leave, wait=wait)

    def _leave(self) -> None:
        if not ray.is_initialized():
            return
        if self._own:
            ray.shutdown()
        else:
            ray_table.drop(self._delivered, self._job)
        self._delivered = []

    def _settle(self, handle: Any, value: Any) -> tuple[Any, BaseException | None, int]:
        """Give outcome, error and number of lost attempts of what `ray.get` gave or raised."""
        off = handle in self._called_off
        self._called_off.discard(handle)
        if not isinstance(value, BaseException):
            lost, outcome = pickle.loads(value[len(_ANSWER) :])  # noqa: S301 - `_run` has written it
            return outcome, _cancelled() if off else None, lost
        if off or isinstance(value, exceptions.TaskCancelledError):
            return None, _cancelled(), 0
        return None, _translated(value), 0


def _run(task: bytes, *references: Any) -> bytes:
    """Do a task's work; this is what runs on Ray's workers."""
    values = [_opened(reference) for reference in references]
    outcome = work(task, *values)
    for _ in range(2):  # manifest and bundle
        if outcome.state == "missing" and _fetch(outcome.payload.decode()):
            outcome = work(task, *values)
    return _ANSWER + pickle.dumps((_attempt(), outcome), 5)  # bytes: Ray spends least on these


def _fetch(name: str) -> bool:
    """Get cargo from the function table; tells whether it was there."""
    data = ray_table.get(name, ray_table.job())
    if data is not None:
        cargo.put(name, data)
    return data is not None


def _opened(reference: Any) -> Any:
    """Give what Ray has put in the place of a reference; the answer of a task of ours is its outcome."""
    if isinstance(reference, Kept):
        return reference.reference
    if isinstance(reference, bytes) and reference.startswith(_ANSWER):
        return pickle.loads(reference[len(_ANSWER) :])[1]  # noqa: S301 - `_run` has written it
    return reference


def _attempt() -> int:
    """Give how many attempts of Ray at the current task there were before this one; 0 when it doesn't tell."""
    try:
        return int(ray._private.worker.global_worker.core_worker.get_current_task_attempt_number())
    except AttributeError:
        return 0


def _in_a_task() -> bool:
    return bool(ray._private.worker.global_worker.mode == ray.WORKER_MODE)


def _cancelled() -> BaseException:
    return concurrent.futures.CancelledError()


def _translated(error: BaseException) -> BaseException:
    """Say what to do when a worker has no reprokit; other errors of Ray speak for themselves."""
    text = str(error)
    if isinstance(error, exceptions.RayTaskError) and "failed to import on the worker" in text:
        if "No module named 'reprokit'" in text:
            return WorkerError(
                "a Ray worker has no reprokit",
                "install it in the Python environment of every node, or let Ray do that: "
                "ray.init(runtime_env={'pip': [...]})",
            )
        return WorkerError("a Ray worker cannot load reprokit", text)
    return error
