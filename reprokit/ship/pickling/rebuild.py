"""What pickles call when they are loaded.

The names and arguments here are part of every pickle that was ever written: they may be added to, not changed.
A bundle is named by the 32 bytes of its digest (*token*).
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
import weakref
from types import CellType, CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code.bundles import current, store
from reprokit.code.bundles.bundle import label
from reprokit.errors import ShipError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reprokit.code.apart.tree import Tree


class _Loading(threading.local):
    """What a payload refers to while this thread loads it."""

    references: Any = ()


loading = _Loading()
_rebuilt: weakref.WeakSet[type] = weakref.WeakSet()  # classes that are copies of another process's
_pid = os.getpid()


# --- by name -----------------------------------------------------------------------------------------------------------


def named(token: bytes, module: str, path: str) -> Any:
    """Give what a module of a bundle calls `path`: at home the process's own, elsewhere that of the bundle.

    Raises
    ------
    BundleMissingError, CodeMismatchError
        When the bundle isn't here, or is another.
    ShipError
        When the module has no such name.
    """
    digest = token.hex()
    if current.is_home(digest, module):
        try:
            return _along(_own(module), path)
        except AttributeError:  # renamed since, or deleted
            pass
    found = store.tree(digest).module(module)
    try:
        return _along(found, path)
    except AttributeError as error:
        raise ShipError(f"{module}.{path}", f"{label(digest)} has nothing of this name ({error})") from error


def module(token: bytes, name: str) -> ModuleType:
    """Give a module of a bundle, or the process's own at home."""
    digest = token.hex()
    if current.is_home(digest, name):
        return _own(name)
    return store.tree(digest).module(name)


def module_name(token: bytes, name: str) -> str:
    """Give the name that a module of a bundle has here."""
    digest = token.hex()
    return name if current.is_home(digest, name) else store.tree(digest).private(name)


def outside(token: bytes, name: str, attribute: str | None = None) -> Any:
    """Give a module of the standard library, or a function of it, as code of the bundle sees it: it knows the bundle's names."""
    tree = _tree(token)
    found: Any = importlib.import_module(name) if tree is None else tree.import_(name, None, None, ("__name__",))
    return found if attribute is None else getattr(found, attribute)


def carried(token: bytes, data: bytes) -> bytes:
    """Take a bundle out of the pickle that carries it."""
    digest = token.hex()
    if not current.is_home(digest):
        store.add(digest, data)
        from reprokit.ship.extend import cloudpickle as extend

        extend.for_apart()
    return token


def reference(index: int) -> Any:
    """Give what the engine has put in the place of its promise."""
    return loading.references[index]


def _own(name: str) -> ModuleType:
    return sys.modules.get(name) or importlib.import_module(name)


def _tree(token: bytes) -> Tree | None:
    """Give the code of a bundle; None at home."""
    digest = token.hex()
    return None if current.is_home(digest) else store.tree(digest)


def _along(found: Any, path: str) -> Any:
    for part in path.split("."):
        found = getattr(found, part)
    return found


# --- by value ----------------------------------------------------------------------------------------------------------


def function(
    code: CodeType,
    scope: dict[str, Any] | ModuleType,
    closure: tuple[CellType, ...] | None = None,
    token: bytes | None = None,
) -> FunctionType:
    """Make a function, without what `function_state` gives it.

    Parameters
    ----------
    scope
        Its globals, or the module whose they are.
    token
        Where imports in it look first; globals that are a module's need none.
    """
    if isinstance(scope, ModuleType):
        return FunctionType(code, vars(scope), None, None, closure)
    tree = _tree(token) if token is not None else None
    if tree is not None:
        scope["__builtins__"] = tree.builtins
    else:
        scope.setdefault("__builtins__", sys.modules["builtins"].__dict__)
    return FunctionType(code, scope, None, None, closure)


def function_state(
    made: FunctionType, state: tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any], Any]
) -> None:
    """Give a function its attributes and globals; the last part of the state only had to be imported."""
    slots, attributes, names, _ = state
    made.__globals__.update(names)
    for name, value in slots.items():
        setattr(made, name, value)
    made.__dict__.update(attributes)


def cell() -> CellType:
    """Make an empty cell: what it holds may hold the function that it belongs to."""
    return CellType()


def fill(made: CellType, state: tuple[Any, ...]) -> None:
    """Put into a cell what it holds."""
    made.cell_contents = state[0]


def class_(*args: Any) -> type:
    """Make a class, without what `class_state` gives it; one that this process has already is not made again."""
    from reprokit.ship.pickling import peer

    return _class(args[4], lambda: peer.make_class(*args))


def enum(*args: Any) -> type:
    """Make an enumeration, as `class_` does."""
    from reprokit.ship.pickling import peer

    return _class(args[5], lambda: peer.make_enum(*args))


def class_state(made: type, state: Any) -> None:
    """Give a class its contents; one of this process's own keeps those that it has."""
    if made in _rebuilt:
        from reprokit.ship.pickling import peer

        peer.fill_class(made, state)


def _class(number: str, make: Callable[[], type]) -> type:
    from reprokit.ship.pickling import peer

    global _pid
    if _pid != os.getpid():  # forked: what was the parent's own is a copy here
        _pid = os.getpid()
        _rebuilt.update(list(peer.numbers))
    there: type | None = peer.classes.get(number)
    if there is None:
        there = make()
        _rebuilt.add(there)
    return there


def cached(inner: Callable[..., Any], options: dict[str, Any]) -> Any:
    """Make a function that `functools.lru_cache` decorates."""
    return functools.lru_cache(**options)(inner)


def cached_property(inner: Callable[[Any], Any], name: str | None) -> functools.cached_property[Any]:
    """Make a `functools.cached_property` that knows its name."""
    made = functools.cached_property(inner)
    made.attrname = name
    return made
