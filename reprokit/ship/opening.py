"""`executor`: from what a user has at hand to an executor whose tasks carry code and run."""

from __future__ import annotations

import concurrent.futures
import sys
from typing import TYPE_CHECKING, Any

from reprokit import settings
from reprokit.ship import plain
from reprokit.ship.executors import Executor
from reprokit.ship.sending import Sending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.protocols import Engine


def executor(
    target: Any,
    *,
    local: str | Iterable[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    allow_secrets: bool | None = None,
    strict: bool | None = None,
    record: bool = True,
    **options: Any,
) -> Executor:
    """Give an executor whose tasks carry the project's code and the open run to the workers.

    Parameters
    ----------
    target
        An executor of the kind of `concurrent.futures` (a process pool, loky, ``client.get_executor()``, mpi4py ...), a Dask
        ``Client``, or ``"ray"``.  An executor is shut down with this one; a client stays open, and so does a Ray that was
        running before.
    local
        Modules from outside of the project that are sent as well.
    include, exclude
        Patterns of files: to send although ``.gitignore`` names them, and to leave behind.
    allow_secrets
        Send code although text in it looks like secrets.  By default only workers of this machine get such code.
    strict
        Whether a worker that has another version of a package which the function names refuses the task; by default the
        record tells.  By default as the settings say.
    record
        Whether each task is a child run.
    **options
        For Ray ``address=``, ``resources=`` and what ``remote.options`` takes; for Dask what ``Client.submit`` takes.

    Returns
    -------
    Executor
        With ``submit``, ``map``, ``shutdown``, and a context manager.

    Raises
    ------
    TypeError
        When `target` is none of these.
    MissingExtraError
        When Ray is not installed.
    """
    project = settings.current()
    engine = _engine(target, options)
    sender = plain.sender_for(
        local=local,
        include=include,
        exclude=exclude,
        allow_secrets=engine.local if allow_secrets is None else allow_secrets,
    )
    sending = Sending(engine, sender, strict=project.strict if strict is None else strict)
    return Executor(engine, sending, record=record)


def _engine(target: Any, options: dict[str, Any]) -> Engine:
    if target == "ray" or getattr(target, "__name__", None) == "ray":
        from reprokit.ship.engines.ray import RayEngine

        return RayEngine(**options)
    distributed = sys.modules.get("distributed")
    if distributed is not None:
        client = target if isinstance(target, distributed.Client) else getattr(target, "_client", None)
        if isinstance(client, distributed.Client):
            from reprokit.ship.engines.dask import DaskEngine

            return DaskEngine(client, **options)
    if isinstance(target, concurrent.futures.Executor) or (hasattr(target, "submit") and hasattr(target, "shutdown")):
        if options:
            raise TypeError(f"executor() got options that {type(target).__name__} has no use for: {', '.join(options)}")
        from reprokit.ship.engines.futures import FuturesEngine

        return FuturesEngine(target)
    raise TypeError(
        f"executor() takes an executor, a Dask client or 'ray', not {type(target).__name__}: {str(target)[:60]!r}"
    )
