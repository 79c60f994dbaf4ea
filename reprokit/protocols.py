"""The extension points: small Protocols that plug-ins implement."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from reprokit.context import Context
    from reprokit.reproduce.verdict import Verdict
    from reprokit.settings import Tolerance


@runtime_checkable
class Capture(Protocol):
    """Finds something out before and after a run; what it returns is kept in the record under ``captures[name]``.

    Both methods return what JSON can hold.  An exception becomes a fault in the record, never the caller's.
    """

    name: str

    def before(self, context: Context) -> Mapping[str, Any]: ...

    def after(self, context: Context) -> Mapping[str, Any]: ...


@runtime_checkable
class Comparator(Protocol):
    """Says how two files of a kind differ; `reprokit.reproduce.compare.register` or an entry point makes it known.

    It never executes what a file holds.  An exception means that a file can't be read; its bytes are compared then.
    """

    kind: str

    def mine(self, head: bytes, name: str) -> bool:
        """Tell a file of this kind by its first 64 KiB, or by what it is called."""
        ...

    def compare(self, name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
        """Compare two files that are not the same bytes; `name` goes into the verdict."""
        ...


class Ledger(Protocol):
    """What an open `Context` hands its facts to; the recorder implements it."""

    def name_artifact(self, context: Context, path: str | Path) -> Path:
        """Return the tagged path, and expect a file there when the run ends."""
        ...

    def use(self, context: Context, path: str | Path) -> Path:
        """Digest and register a used input."""
        ...

    def describe(self, context: Context, name: str, value: Any) -> Any:
        """Give what JSON can hold of a recorded value, secrets taken out."""
        ...


@runtime_checkable
class Waiting(Protocol):
    """An engine in whose tasks one has to wait in its own way, or it doesn't notice and keeps the CPU busy."""

    def wait(self, handle: object | None, timeout: float | None) -> bool:
        """Wait for a task, or for any (`handle` None), for `timeout` seconds at most; False: wait as usual."""
        ...


@runtime_checkable
class Keeping(Protocol):
    """An engine that puts only those of its promises in place that are arguments themselves."""

    def keep(self, reference: object) -> object:
        """Give what makes `Engine.submit` hand a promise on as it is."""
        ...


class Engine(Protocol):
    """Takes tasks to workers: a pool of processes, a Dask client, Ray.

    A task is `reprokit.ship.work` and bytes.  Large things that many tasks need (*cargo*: bundles and manifests) are
    named in tasks by digest and delivered apart from them.
    """

    name: str
    local: bool  # whether its workers are processes of this machine

    def is_reference(self, value: object) -> bool:
        """Tell whether a value is the engine's own promise of one, which it puts in place on the worker."""
        ...

    def deliver(self, named: Mapping[str, bytes], /) -> None:
        """Make cargo known on all workers, present and future; each digest is delivered once per engine."""
        ...

    def submit(self, task: bytes, references: Sequence[object], done: Callable[..., None]) -> object:
        """Start ``reprokit.ship.work(task, *references)`` on a worker, and give what `cancel` takes.

        ``done(outcome, error, lost)`` is called once, from any thread, with what it returned or with the engine's error;
        `lost` says for each earlier attempt of the engine at this task where and how it was lost.
        """
        ...

    def cancel(self, handle: object) -> bool:
        """Call a task off; tells whether it will never run."""
        ...

    def lost(self, error: BaseException) -> str | None:
        """Tell, when an error means that the worker died, how."""
        ...

    def close(self, *, wait: bool, cancel: bool) -> None:
        """Give back what the engine holds."""
        ...
