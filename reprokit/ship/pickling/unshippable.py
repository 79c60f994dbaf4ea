"""Finds the place of what can't be pickled.  Runs only after pickling has failed."""

from __future__ import annotations

import functools
import reprlib
from collections import deque
from collections.abc import Iterable, Iterator
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from reprokit.errors import ReprokitError, UnshippableError
from reprokit.ship.pickling import peer

if TYPE_CHECKING:
    from collections.abc import Callable

Part = tuple[str, object]

_DEPTH = 40
_CODE = (MemoryError, KeyboardInterrupt, SystemExit)
_REMEDIES = {  # by the end of the type's name
    "lock": "make it where the task runs",
    "RLock": "make it where the task runs",
    "Condition": "make it where the task runs",
    "local": "make it where the task runs",
    "generator": "send a list of what it would give",
    "coroutine": "send the function and its arguments, and await it there",
    "TextIOWrapper": "send the path, and open it where the task runs",
    "BufferedReader": "send the path, and open it where the task runs",
    "BufferedWriter": "send the path, and open it where the task runs",
    "FileIO": "send the path, and open it where the task runs",
    "socket": "connect where the task runs",
    "Connection": "connect where the task runs",
    "weakref": "send the object itself",
    "ReferenceType": "send the object itself",
    "frame": "send what you need of it",
    "traceback": "send what you need of it",
}


def explained(
    obj: object,
    error: Exception,
    attempt: Callable[[object], None],
    parts: Callable[[Any], Iterable[Part]] | None = None,
) -> UnshippableError:
    """Make an error that names the innermost part of an object that can't be pickled.

    Parameters
    ----------
    obj
        The object.
    error
        What pickling it raised.
    attempt
        Pickles a part; raises what is wrong.
    parts
        Gives the parts of the object by name; by default its place is called ``value``.
    """
    place, found, why = "value", obj, error
    above = {id(obj)}
    for depth in range(_DEPTH):
        named = parts(obj) if depth == 0 and parts is not None else parts_of(found)
        inner = _failing([part for part in named if id(part[1]) not in above], attempt)
        if inner is None:
            break
        (name, found), why = inner
        above.add(id(found))
        place = name if depth == 0 and parts is not None else place + name
    kind = f"{type(found).__module__}.{type(found).__qualname__}".removeprefix("builtins.")
    remedy = _REMEDIES.get(type(found).__name__.rpartition(".")[2])
    text = f"{type(why).__name__}: {why}" if not isinstance(why, (TypeError, ReprokitError)) else str(why)
    return UnshippableError(place, kind, f"{text}; {remedy}" if remedy else text)


def call_parts(call: tuple[Any, ...]) -> Iterator[Part]:
    """Name the parts of a call: function, positional arguments (one list, or several lists of them) and keywords."""
    function, args, *rest = call
    yield "function", function
    for index, value in enumerate(args, 1):
        yield f"argument {index}" if rest else f"call {index}", value
    for name, value in rest[0].items() if rest else ():
        yield f"argument {name!r}", value


def _failing(parts: list[Part], attempt: Callable[[object], None]) -> tuple[Part, Exception] | None:
    """Find the first part that can't be pickled, by halves: there may be very many."""
    if not parts or _problem([part for _, part in parts] if len(parts) > 1 else parts[0][1], attempt) is None:
        return None
    while len(parts) > 1:
        half = parts[: len(parts) // 2]
        parts = half if _problem([part for _, part in half], attempt) is not None else parts[len(half) :]
    problem = _problem(parts[0][1], attempt)
    return (parts[0], problem) if problem is not None else None


def _problem(value: object, attempt: Callable[[object], None]) -> Exception | None:
    try:
        attempt(value)
    except _CODE:
        raise
    except Exception as error:  # noqa: BLE001 - whatever the user's own pickling raises
        return error
    return None


def parts_of(value: Any) -> Iterator[Part]:
    """Give the parts that an object is pickled from, each with what is to be added to its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield f"[key {reprlib.repr(key)}]", key
            yield f"[{reprlib.repr(key)}]", item
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        fields: Any = value
        yield from ((f".{name}", item) for name, item in zip(fields._fields, value, strict=False))
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        yield from ((f"[{index}]", item) for index, item in enumerate(value))
    elif isinstance(value, functools.partial):
        yield ".func", value.func
        yield from ((f".args[{index}]", item) for index, item in enumerate(value.args))
        yield from ((f".keywords[{name!r}]", item) for name, item in value.keywords.items())
    elif type(value) is FunctionType:
        yield from _of_function(value)
    elif isinstance(value, MethodType):
        yield ".__self__", value.__self__
        yield ".__func__", value.__func__
    elif isinstance(value, type):
        yield from ((f".{name}", item) for name, item in vars(value).items() if name not in ("__dict__", "__weakref__"))
    elif isinstance(value, (classmethod, staticmethod)):
        yield ".__func__", value.__func__
    elif isinstance(value, property):
        yield from ((f".{name}", getattr(value, name)) for name in ("fget", "fset", "fdel"))
    else:
        yield from _of_instance(value)


def _of_function(value: FunctionType) -> Iterator[Part]:
    for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=False):
        try:
            yield f", variable {name!r}", cell.cell_contents
        except ValueError:  # empty
            pass
    for name in peer.globals_of(value.__code__):
        if name in value.__globals__:
            yield f", global {name!r}", value.__globals__[name]
    for index, item in enumerate(value.__defaults__ or ()):
        yield f", default {index + 1}", item
    yield from ((f", default {name!r}", item) for name, item in (value.__kwdefaults__ or {}).items())
    yield from ((f".{name}", item) for name, item in vars(value).items())


def _of_instance(value: Any) -> Iterator[Part]:
    try:
        reduced: Any = value.__reduce_ex__(5)
    except Exception:  # noqa: BLE001 - then it is the one
        return
    if not isinstance(reduced, tuple):
        return
    more: list[Any] = [*reduced[1:], None, None, None]
    args, state, items, pairs = more[:4]
    yield ", its class", type(value)
    yield from ((f", argument {index} of its making", item) for index, item in enumerate(args, 1))
    for one in state if isinstance(state, tuple) else (state,):
        if isinstance(one, dict):
            yield from ((f".{name}", item) for name, item in one.items())
        elif one is not None:
            yield ", its state", one
    yield from ((f"[{index}]", item) for index, item in enumerate(items or ()))
    yield from ((f"[{reprlib.repr(key)}]", item) for key, item in pairs or ())
