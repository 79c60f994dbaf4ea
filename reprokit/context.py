"""The context of an open run, and which one is current here."""

from __future__ import annotations

import time
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from reprokit.errors import NoRunError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.model.records import Fault, Kind
    from reprokit.protocols import Ledger

_NEVER = datetime.min.replace(tzinfo=UTC)

_current: ContextVar[Context | None] = ContextVar("reprokit_context", default=None)


class Context:
    """One open run, shared by all decorators of a stack.

    Made by reprokit when a run opens; users get it from ``with reprokit.run(...)`` or `current`.

    Attributes
    ----------
    run_id, parent_id, root_id : str
        128 random bits in hex; `parent_id` is None for a root run.
    kind : str
        ``"function"``, ``"block"``, ``"command"`` or ``"capture"``.
    function : str or None
        Module-qualified name of the function, or the name of the block.
    started_at : datetime
        Wall clock with zone.
    root : Path
        The project root.
    folder : Path or None
        The root run's folder in the vault; None when nothing can be recorded.
    commit : str or None
        As in artifact names: ``1a2b3c4``, ``1a2b3c4-dirty-9f86d08`` or ``nogit``.
    config_hash : str
        64 hex digits.
    snapshot : str or None
        Digest of the source tree, when one is kept.
    values, series : dict
        What `record` was given so far.
    """

    __slots__ = (
        "__weakref__",
        "_ledger",
        "_started",
        "artifacts",
        "commit",
        "config",
        "config_hash",
        "faults",
        "folder",
        "function",
        "joinable",
        "kind",
        "parent",
        "parent_id",
        "pid",
        "root",
        "root_id",
        "run_id",
        "series",
        "snapshot",
        "started_at",
        "values",
    )

    def __init__(
        self,
        *,
        run_id: str,
        parent: Context | None,
        parent_id: str | None,
        root_id: str,
        kind: Kind,
        function: str | None,
        root: Path,
        folder: Path | None,
        commit: str | None,
        config: Any,
        config_hash: str,
        snapshot: str | None,
        pid: int,
        ledger: Ledger,
        joinable: frozenset[int] = frozenset(),
    ) -> None:
        self.run_id = run_id
        self.parent = parent
        self.parent_id = parent_id
        self.root_id = root_id
        self.kind: Kind = kind
        self.function = function
        self.root = root
        self.folder = folder
        self.commit = commit
        self.config = config
        self.config_hash = config_hash
        self.snapshot = snapshot
        self.pid = pid
        self.joinable = joinable  # stacks behind foreign decorators, which share this run
        self.values: dict[str, Any] = {}
        self.series: dict[str, list[list[Any]]] = {}
        self.artifacts: list[Any] = []
        self.faults: list[Fault] = []
        self._ledger = ledger
        self._started = time.perf_counter()  # `restart` sets it once more when the run opens
        self.started_at = _NEVER

    def __repr__(self) -> str:
        return f"<Context {self.run_id[:8]} of {self.function or self.kind}>"

    @property
    def parent_pid(self) -> int | None:
        """Number of the process that opened the parent, None when that is another program."""
        return self.parent.pid if self.parent is not None else None

    def restart(self, *, clock_only: bool = False) -> None:
        """Set the start: wall clock when the run opens, the stop-watch once more when its function is called."""
        if not clock_only:
            self.started_at = datetime.now().astimezone()
        self._started = time.perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds since the run opened, on the monotonic clock."""
        return time.perf_counter() - self._started

    def artifact(self, path: str | Path) -> Path:
        """Name an output of this run.

        Parameters
        ----------
        path
            Where the file or folder would go without reprokit.

        Returns
        -------
        Path
            The same with commit and config hash in its name.  What lies there when the run ends is registered as
            *generated* (as *used* when it was there before and did not change).

        Raises
        ------
        DirtyRepositoryError
            When the repository has uncommitted changes and the run does not allow that.
        NamingError
            When the path cannot take a tag.
        ArtifactExistsError
            When something of that name is there and the run forbids replacing it.
        """
        return self._ledger.name_artifact(self, path)

    def use(self, path: str | Path) -> Path:
        """Register a used input with its digest, and give its path back.

        Raises
        ------
        FileNotFoundError
            When there is no such file or folder.
        """
        return self._ledger.use(self, path)

    def record(self, name: str, value: Any, *, step: float | None = None) -> None:
        """Keep a value with the run; with `step` it becomes a point of a series.

        What JSON cannot hold is kept as a short description.
        """
        kept = self._ledger.describe(self, name, value)  # now: the caller may change the object later
        if step is None:
            self.values[name] = kept
        else:
            self.series.setdefault(name, []).append([step, kept])


def current() -> Context:
    """Give the open run's context.

    Raises
    ------
    NoRunError
        When no run is open here.
    """
    context = _current.get()
    if context is None:
        raise NoRunError
    return context


def peek() -> Context | None:
    """Give the open run's context, or None."""
    return _current.get()


@contextmanager
def activate(context: Context) -> Iterator[Context]:
    """Make `context` the current one inside the block."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


# Two calls are cheaper than a context manager where a child run has 100 microseconds in all.
enter = _current.set
leave = _current.reset
