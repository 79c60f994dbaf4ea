"""Teaches cloudpickle, and copies of it, to carry local code.

What they write then can be read by plain `pickle`, wherever reprokit is installed.
"""

from __future__ import annotations

import functools
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.ship.pickling import peer
from reprokit.ship.pickling.local import Local
from reprokit.ship.pickling.parcel import Parcel
from reprokit.ship.pickling.pickler import PLAIN, Carried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_COPIES = ("joblib.externals.cloudpickle", "pyspark.cloudpickle", "srsly.cloudpickle")
_PARCEL = "_reprokit_parcel"
_lock = threading.Lock()


class _Lesson(NamedTuple):
    """What a pickler was taught, and what it had before."""

    local: Local
    carry: Callable[[str], Any] | None
    before: Any  # its own `reducer_override`, None when it had inherited one


_taught: dict[type, _Lesson] = {}


def extend_cloudpickle(
    *,
    undo: bool = False,
    local: str | Iterable[str] = (),
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
    allow_secrets: bool = False,
) -> None:
    """Let `cloudpickle` carry local code in each pickle, from now on and in this process.

    The local packages are those of the present working folder's project.  What is not local is pickled as before, byte for
    byte.  To be called again with other options, or to be undone.

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
    """
    if undo:
        for copy in _copies(load=False):
            forget(copy)
        return
    from reprokit.ship import plain

    sender = plain.sender_for(local=local, include=include, exclude=exclude, allow_secrets=allow_secrets)
    for copy in _copies(load=True):
        teach(copy, sender.local)


def teach(target: ModuleType | type, local: Local, carry: Callable[[str], Any] | None = None) -> None:
    """Teach a copy of cloudpickle, or one class of picklers, to name what is local.

    Picklers that have no way to send code by value, as the standard library's, are taught names only.

    Parameters
    ----------
    target
        A module with a class ``Pickler``, or such a class.
    local
        What is local: ``Local(None, ())`` for a process that only has what was sent to it.
    carry
        Gives what stands for a bundle in a pickle, by its digest.  Unpickled, it has to be the digest's 32 bytes, and
        `reprokit.code.bundles.store` has to know the bundle by then.  By default it carries the bundle's bytes.
    """
    kind = _pickler(target)
    with _lock:
        known = _taught.get(kind)
        before = vars(kind).get("reducer_override") if known is None else known.before
        _taught[kind] = _Lesson(local, carry, before)
        if known is None:
            kind.reducer_override = _taught_override(kind, kind.reducer_override)  # type: ignore[attr-defined]


def forget(target: ModuleType | type) -> None:
    """Take back what `teach` did."""
    kind: Any = _pickler(target)
    with _lock:
        lesson = _taught.pop(kind, None)
        if lesson is None:
            return
        if lesson.before is None:
            del kind.reducer_override
        else:
            kind.reducer_override = lesson.before


def for_apart() -> None:
    """Teach this process to send on what was sent to it."""
    for copy in _copies(load=False):
        if _pickler(copy) not in _taught:
            teach(copy, Local(None, ()))


def _taught_override(kind: type, plain: Any) -> Any:
    @functools.wraps(plain)
    def reducer_override(self: Any, obj: Any) -> Any:
        parcel = self.__dict__.get(_PARCEL)
        if parcel is None:
            lesson = _taught.get(kind)
            if lesson is None:
                return plain(self, obj)
            carry = lesson.carry or (lambda digest: Carried(digest, lesson.local))
            parcel = self.__dict__[_PARCEL] = Parcel(lesson.local, carry, plain=True)
        found = parcel.reduce(self, obj)
        return plain(self, obj) if found is NotImplemented else found

    setattr(reducer_override, PLAIN, plain)
    return reducer_override


def _pickler(target: ModuleType | type) -> type:
    kind: type = target if isinstance(target, type) else target.Pickler
    return kind


def _copies(*, load: bool) -> list[ModuleType]:
    """List cloudpickle and the copies of it that other packages bring along."""
    found: list[ModuleType] = [peer.module]
    for name in _COPIES:
        if name in sys.modules:
            found.append(sys.modules[name])
        elif load and name.startswith("joblib."):
            copy = _of_joblib(name)
            found += [copy] if copy is not None else []
    return found


def _of_joblib(name: str) -> ModuleType | None:
    """Import joblib's copy, which only its older versions have: its workers' picklers derive from it."""
    import importlib
    import importlib.util
    import os

    spec = importlib.util.find_spec("joblib")
    folders = spec.submodule_search_locations if spec is not None else None
    if not any(os.path.isdir(os.path.join(folder, "externals", "cloudpickle")) for folder in folders or ()):
        return None
    return importlib.import_module(name)
