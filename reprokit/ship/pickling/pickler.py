"""Pickles for workers: what is local travels by the name that it has in a bundle."""

from __future__ import annotations

import io
import pickle
from types import FunctionType
from typing import TYPE_CHECKING, Any

from reprokit.code.bundles import store
from reprokit.errors import ReprokitError, ShipError
from reprokit.ship.pickling import peer, rebuild
from reprokit.ship.pickling.local import Local
from reprokit.ship.pickling.parcel import Parcel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path


_BY_CLOUDPICKLE = (type, FunctionType)  # it leaves all others to the pickler and its table
PLAIN = "_reprokit_plain"  # attribute of an extended `reducer_override`: the one before


class Sender:
    """Pickles for workers.

    Parameters
    ----------
    root
        The project whose packages are local; None on a worker, where only what came in bundles and ``__main__`` are special.
    local
        Modules from outside of the project to send as well.
    **options
        As `reprokit.code.bundles.current.bundle` takes them.
    """

    def __init__(self, root: Path | None = None, *, local: tuple[str, ...] = (), **options: Any) -> None:
        self.local = Local(root, local, **options)

    def dumps(
        self,
        obj: object,
        is_reference: Callable[[object], bool] | None = None,
        *,
        parts: Callable[[Any], Iterable[tuple[str, object]]] | None = None,
    ) -> tuple[bytes, list[object], str | None]:
        """Pickle an object.

        Parameters
        ----------
        obj
            The object.
        is_reference
            Tells which values in it the engine puts in place itself.
        parts
            Gives the parts of the object with the names that an error calls them by.

        Returns
        -------
        payload : bytes
        references : list
            What `is_reference` picked; `loads` wants their values in this order.
        digest : str or None
            The bundle that it needs.  Should it need others too (results of older code among the arguments), they are inside.

        Raises
        ------
        UnshippableError
            Naming the part that can't be pickled.
        """
        needs = _Needs(self.local)
        parcel = Parcel(self.local, needs.token, is_reference)
        payload = self.pickled(obj, parcel, parts)
        if parcel.home_digest in needs.inside:  # what most tasks need is to be delivered apart from them
            needs = _Needs(self.local, parcel.home_digest)
            parcel = Parcel(self.local, needs.token, is_reference)
            payload = self.pickled(obj, parcel, parts)
        return payload, parcel.references, needs.first

    def pickled(
        self,
        obj: object,
        parcel: Parcel,
        parts: Callable[[Any], Iterable[tuple[str, object]]] | None = None,
    ) -> bytes:
        """Pickle an object; what it needs is noted in the parcel.

        Raises
        ------
        UnshippableError
            Naming the part that can't be pickled.
        """
        file = io.BytesIO()
        try:
            Pickler(file, parcel).dump(obj)
        except (ReprokitError, MemoryError):
            raise
        except Exception as error:
            from reprokit.ship.pickling import unshippable

            def attempt(part: object) -> None:
                Pickler(io.BytesIO(), parcel.again()).dump(part)

            raise unshippable.explained(obj, error, attempt, parts) from error
        return file.getvalue()


class _Needs:
    """Tokens of bundles: the first one's bytes are delivered apart, those of others are carried inside."""

    def __init__(self, local: Local, first: str | None = None) -> None:
        self._local = local
        self.first = first
        self.inside: list[str] = []

    def token(self, digest: str) -> Any:
        if self.first is None or self.first == digest:
            self.first = digest
            return bytes.fromhex(digest)
        self.inside.append(digest)
        return Carried(digest, self._local)


class Carried:
    """Stands for a bundle's token in a pickle, and brings the bundle along.

    Parameters
    ----------
    digest
        Of the bundle.
    local
        Who has made it, if this process has.
    """

    __slots__ = ("_digest", "_local")

    def __init__(self, digest: str, local: Local | None = None) -> None:
        self._digest = digest
        self._local = local

    def __reduce__(self) -> Any:
        data = self._local.data_of(self._digest) if self._local is not None else store.data_of(self._digest)
        return rebuild.carried, (bytes.fromhex(self._digest), data)


class Pickler(peer.Pickler):  # type: ignore[misc]
    """Pickles what a parcel leaves to it as cloudpickle does."""

    def __init__(self, file: io.BytesIO, parcel: Parcel) -> None:
        super().__init__(file, 5)
        self._reduce = parcel.reduce

    def reducer_override(self, obj: Any) -> Any:
        found = self._reduce(self, obj)
        if found is NotImplemented and issubclass(type(obj), _BY_CLOUDPICKLE):
            return plain_override()(self, obj)
        return found


def plain_override() -> Any:
    """Give cloudpickle's own `reducer_override`, whether it was extended or not."""
    override: Any = peer.Pickler.reducer_override
    return getattr(override, PLAIN, override)


def loads(payload: bytes | memoryview, references: Sequence[object] = ()) -> Any:
    """Load what `Sender.dumps` wrote.  This executes what the payload says.

    Parameters
    ----------
    payload
        The pickle.
    references
        Values of the references in it.

    Raises
    ------
    BundleMissingError, CodeMismatchError
        When the bundle that it needs isn't here, or is another.
    ShipError
        When the payload is damaged.
    """
    outer = rebuild.loading.references
    rebuild.loading.references = references
    try:
        return pickle.loads(payload)  # noqa: S301 - the docstring says what this means
    except (pickle.UnpicklingError, EOFError) as error:
        raise ShipError("a payload can't be read", str(error)) from error
    finally:
        rebuild.loading.references = outer
