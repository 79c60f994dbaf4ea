"""How Dask's picklers and clients send local objects, once `extend_dask` was called.

What is local is sealed as `reprokit.ship.extend.sealed` says.  Bundles travel apart: before a client sends the first graph that needs
one, it delivers it.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import threading
import weakref
from collections import OrderedDict
from types import BuiltinMethodType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.ship import cargo
from reprokit.ship.extend import sealed
from reprokit.ship.pickling import peer
from reprokit.ship.pickling.local import FOREIGN
from reprokit.ship.pickling.pickler import plain_override

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.ship.pickling.pickler import Sender

_OWNER = "extend"
_KEPT = 64  # bundles that a client keeps delivered


class _State:
    """What this process was told."""

    sender: Sender | None = None  # None: Dask is as it was


state = _State()
_clients: weakref.WeakKeyDictionary[Any, _Delivered] = weakref.WeakKeyDictionary()


class _Undelivered(BaseException):  # no Exception: Dask answers those by trying other picklers
    """A graph needs a bundle that the cluster does not have."""

    def __init__(self, digest: str) -> None:
        super().__init__(digest)
        self.digest = digest


class _Sending(threading.local):
    """The client whose graph this thread pickles."""

    client: Any = None
    inside: bool = False  # whether bundles go into the graph, for the client cannot wait here
    off: bool = False


_sending = _Sending()


class _Delivered(OrderedDict[str, None]):
    """Digests of the bundles that a client has delivered to its present scheduler."""

    scheduler: Any = None


# --- objects -----------------------------------------------------------------------------------------------------------


def reduction(obj: Any) -> Any:
    """Say how an object is pickled when it is local, as `pickle.Pickler.reducer_override` does."""
    sender = state.sender
    if sender is None or _sending.off or not is_ours(sender, obj):
        return NotImplemented
    payload, _, digest = sender.dumps(obj)
    parts = tuple(payload.split(sealed.SPLIT))
    token = bytes.fromhex(digest) if digest is not None else None
    client = _sending.client
    if client is None:
        there = digest is None or sender.local.root is None or any(digest in one for one in list(_clients.values()))
        return sealed.opened, (token, parts, None if there else sender.local.data_of(str(digest)))
    data = None
    if digest is not None and sender.local.root is not None and digest not in _delivered(client):
        if not _sending.inside:
            raise _Undelivered(digest)
        data = sender.local.data_of(digest)
    name = getattr(obj, "__name__", type(obj).__name__)
    return sealed.sealed, (token, parts, data, name)


def is_ours(sender: Sender, obj: Any) -> bool:
    """Tell whether an object is local, or from ``__main__``, or bound to such a one."""
    whose = sender.local.whose
    try:
        if whose(getattr(obj, "__module__", None)) is not FOREIGN:
            return True
        kind = type(obj)
        if kind is FunctionType:
            return whose(obj.__globals__.get("__name__")) is not FOREIGN
        if kind is MethodType or kind is BuiltinMethodType:
            bound = obj.__self__
            return not isinstance(bound, ModuleType) and whose(getattr(bound, "__module__", None)) is not FOREIGN
        return isinstance(obj, ModuleType) and whose(obj.__name__) is not FOREIGN
    except Exception:  # noqa: BLE001 - an object that does not like to be asked
        return False


class Pickler(pickle.Pickler):
    """What Dask tries first."""

    def reducer_override(self, obj: Any) -> Any:
        return reduction(obj)


class CloudPickler(peer.Pickler):  # type: ignore[misc]
    def reducer_override(self, obj: Any) -> Any:
        found = reduction(obj)
        return plain_override()(self, obj) if found is NotImplemented else found


def dumps(kind: Any, obj: Any, protocol: int | None = None, buffer_callback: Any = None) -> bytes:
    """Pickle with a class of picklers."""
    file = io.BytesIO()
    kind(file, protocol=protocol, buffer_callback=buffer_callback).dump(obj)
    return file.getvalue()


# --- clients -----------------------------------------------------------------------------------------------------------


def send_graph(plain: Any, client: Any, *args: Any, **kwargs: Any) -> Any:
    """Send a graph; bundles that it needs go first."""
    if client.scheduler.address.startswith("inproc:"):  # all in one process: nothing has to travel
        with _pickling_for(client, off=True):
            return plain(client, *args, **kwargs)
    inside = bool(client.asynchronous)
    for _ in range(_KEPT):
        try:
            with _pickling_for(client, inside=inside):
                return plain(client, *args, **kwargs)
        except _Undelivered as needed:
            _deliver(client, needed.digest)
        finally:
            if inside:
                _deliver_behind(client)
    raise AssertionError("a graph needs more and more bundles")


@contextlib.contextmanager
def _pickling_for(client: Any, *, inside: bool = False, off: bool = False) -> Iterator[None]:
    outer = _sending.client, _sending.inside, _sending.off
    _sending.client, _sending.inside, _sending.off = client, inside, off
    try:
        yield
    finally:
        _sending.client, _sending.inside, _sending.off = outer


def _delivered(client: Any) -> _Delivered:
    """Give what a client has delivered; nothing, when another scheduler took the place of the one that had it."""
    known = _clients.get(client)
    scheduler = (getattr(client, "_scheduler_identity", None) or {}).get("id")
    if known is None or known.scheduler != scheduler:
        known = _clients[client] = _Delivered()
        known.scheduler = scheduler
    return known


def _deliver(client: Any, digest: str) -> None:
    from reprokit.ship.engines import dask_cluster

    assert state.sender is not None
    dask_cluster.deliver(client, _OWNER, {cargo.BUNDLE + digest: state.sender.local.data_of(digest)})
    _note(client, digest)


def _deliver_behind(client: Any) -> None:
    """Deliver a bundle that graphs carry inside until the cluster has it."""
    from reprokit.ship.engines import dask_cluster

    sender = state.sender
    if sender is None or sender.local.root is None:
        return
    digest = sender.local.bundle().digest
    if digest in _delivered(client):
        return
    data = {cargo.BUNDLE + digest: sender.local.data_of(digest)}

    async def deliver() -> None:
        await dask_cluster.deliver_soon(client, _OWNER, data)
        _note(client, digest)

    client.loop.add_callback(deliver)


def _note(client: Any, digest: str) -> None:
    from reprokit.ship.engines import dask_cluster

    known = _delivered(client)
    known[digest] = None
    old = [cargo.BUNDLE + known.popitem(last=False)[0] for _ in range(len(known) - _KEPT)]
    if old:
        client.loop.add_callback(dask_cluster.take_back_soon, client, _OWNER, old)
