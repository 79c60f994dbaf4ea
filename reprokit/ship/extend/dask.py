"""`extend_dask`: plain ``client.submit``, ``map`` and ``compute`` carry local code.

Dask pickles with the functions of ``distributed.protocol.pickle``: these are given the picklers of `dask_graphs`.
"""

from __future__ import annotations

import functools
import pickle
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from reprokit.errors import MissingExtraError
from reprokit.ship.extend import dask_graphs
from reprokit.ship.pickling import peer
from reprokit.ship.pickling.pickler import Sender

if TYPE_CHECKING:
    from collections.abc import Iterable


_lock = threading.Lock()
_before: dict[tuple[Any, str], Any] = {}  # what was replaced, by owner and name


def extend_dask(
    *,
    undo: bool = False,
    local: str | Iterable[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    allow_secrets: bool = False,
) -> None:
    """Let Dask clients of this process carry local code: functions, and objects among arguments and results.

    The local packages are those of the present working folder's project.  Workers and the scheduler need nothing but reprokit.
    To be called again with other options, or to be undone.

    Parameters
    ----------
    undo
        Take it back.
    local
        Modules from outside of the project that are sent as well.
    include, exclude
        Patterns of files: to send although ``.gitignore`` names them, and to leave behind.
    allow_secrets
        Send code although text in it looks like secrets.

    Raises
    ------
    MissingExtraError
        When Dask is not installed.
    """
    try:
        import distributed  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("dask", "dask") from error
    if undo:
        _restore()
        return
    from reprokit.ship import plain

    _extend(plain.sender_for(local=local, include=include, exclude=exclude, allow_secrets=allow_secrets))


def for_apart() -> None:
    """Let a worker that was sent local objects send on what it makes of them."""
    from distributed import Worker

    if dask_graphs.state.sender is None and Worker._instances:  # a client is extended when its user says so
        _extend(Sender())


# --- Dask's parts ------------------------------------------------------------------------------------------------------


def _extend(sender: Sender) -> None:
    import distributed.protocol.pickle as dasks
    from dask.base import normalize_token
    from distributed import Client

    with _lock:
        dask_graphs.state.sender = sender
        if _before:
            return

        plain: Any = dasks._DaskPickler

        class DaskPickler(plain):  # type: ignore[misc]
            def reducer_override(self, obj: Any) -> Any:
                found = dask_graphs.reduction(obj)
                return super().reducer_override(obj) if found is NotImplemented else found

        names = {name: getattr(pickle, name) for name in pickle.__all__}
        _replace(
            dasks,
            "pickle",
            SimpleNamespace(**{**names, "dumps": functools.partial(dask_graphs.dumps, dask_graphs.Pickler)}),
        )
        names = {name: value for name, value in vars(peer.module).items() if not name.startswith("__")}
        _replace(
            dasks,
            "cloudpickle",
            SimpleNamespace(**{**names, "dumps": functools.partial(dask_graphs.dumps, dask_graphs.CloudPickler)}),
        )
        _replace(dasks, "_DaskPickler", DaskPickler)
        graph_to_futures = Client._graph_to_futures

        @functools.wraps(graph_to_futures)
        def send(self: Any, *args: Any, **kwargs: Any) -> Any:
            return dask_graphs.send_graph(graph_to_futures, self, *args, **kwargs)

        _replace(Client, "_graph_to_futures", send)
        _tell_apart(normalize_token._lookup)


def _replace(owner: Any, name: str, value: Any) -> None:
    _before[owner, name] = getattr(owner, name)
    setattr(owner, name, value)


def _restore() -> None:
    from dask.base import normalize_token

    with _lock:
        dask_graphs.state.sender = None
        for (owner, name), value in _before.items():
            setattr(owner, name, value)
        _before.clear()
        lookup = normalize_token._lookup
        plain = getattr(lookup[object], "__wrapped__", None)
        if plain is not None:
            _swap(lookup, lookup[object], plain)


def _tell_apart(lookup: dict[type, Any]) -> None:
    """Let Dask's keys depend on the version of local code: else it would give an earlier version's result."""
    plain = lookup[object]

    @functools.wraps(plain)
    def normalize(obj: Any) -> Any:
        found = plain(obj)
        sender = dask_graphs.state.sender
        if sender is None or not dask_graphs.is_ours(sender, obj):
            return found
        whose = sender.local.whose(getattr(obj, "__module__", None))
        if len(whose) < len("local") or sender.local.root is None:
            return found
        return "reprokit", sender.local.bundle().digest, found

    _swap(lookup, plain, normalize)


def _swap(lookup: dict[type, Any], old: Any, new: Any) -> None:
    for kind, value in list(lookup.items()):
        if value is old:
            lookup[kind] = new
