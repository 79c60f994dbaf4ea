"""What plain Dask carries in place of local objects.

A graph is unpickled on the scheduler, which has none of the packages that it needs, and pickled again for the workers.  So a
local object is *sealed* on the way to the scheduler: bytes, that a second pickling turns into what opens itself on a worker.
The names and arguments of these functions are part of such pickles.
"""

from __future__ import annotations

import hashlib
import traceback
from typing import Any

from reprokit.code.bundles import current, store
from reprokit.ship.pickling import pickler


class Sealed:
    """A local object where its code is not: on a scheduler.

    Parameters
    ----------
    token
        Digest of the bundle that it needs, 32 bytes; None when it needs none.
    parts
        Its pickle, in parts.
    data
        The bundle, when it was not delivered apart.
    name
        What the object is called.
    """

    __slots__ = ("__name__", "_found")

    def __init__(self, token: bytes | None, parts: tuple[bytes, ...], data: bytes | None, name: str) -> None:
        self.__name__ = name
        self._found = (token, parts, data)

    def __reduce__(self) -> Any:
        return opened_for_task, self._found

    def __repr__(self) -> str:
        return f"<sealed {self.__name__}>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Open itself and be called: only what runs where it was unpickled once, as functions of `functools`, gets here."""
        return opened(*self._found)(*args, **kwargs)

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "reprokit", hashlib.sha256(b"".join((self._found[0] or b"", *self._found[1]))).hexdigest()


class Unopened:
    """An object that could not be opened on a worker: whoever uses it gets the error.

    An error while a worker unpickles a task would cost the worker its connection, and the error would be lost.
    """

    __slots__ = ("_error",)

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def _fail(self, *_: Any, **__: Any) -> Any:
        raise self._error

    def __repr__(self) -> str:
        return f"<unopened: {type(self._error).__name__}: {self._error}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by those who only look what it is
            raise AttributeError(name)
        raise self._error

    def __reduce__(self) -> Any:
        raise self._error

    __call__ = __iter__ = __len__ = __bool__ = __getitem__ = __contains__ = __enter__ = __float__ = __int__ = _fail
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __lt__ = __gt__ = _fail


def sealed(token: bytes | None, parts: tuple[bytes, ...], data: bytes | None, name: str) -> Sealed:
    """Give a local object to a scheduler."""
    return Sealed(token, parts, data, name)


def opened(token: bytes | None, parts: tuple[bytes, ...], data: bytes | None) -> Any:
    """Give a local object.

    Raises
    ------
    BundleMissingError, CodeMismatchError
        When the bundle isn't here, or is another.
    """
    from reprokit.ship.extend import dask

    if token is not None and data is not None and not current.is_home(token.hex()):
        store.add(token.hex(), data)
    dask.for_apart()
    return pickler.loads(SPLIT.join(parts))


def opened_for_task(token: bytes | None, parts: tuple[bytes, ...], data: bytes | None) -> Any:
    """Give a local object to a worker that unpickles a task."""
    try:
        return opened(token, parts, data)
    except Exception as error:  # noqa: BLE001 - code of the user's packages runs here
        # Where it is shown there may be no such files.
        error.add_note("".join(["On the Dask worker:\n", *traceback.format_exception(error)]).rstrip())
        return Unopened(error)


SPLIT = b"__main__"  # Dask looks for this text in pickles, and pickles again by other means what has it
