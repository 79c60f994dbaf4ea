"""Methods that archives call: those that give arrays their shape, and those that fill what was made empty."""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict, deque
from typing import TYPE_CHECKING, Any

from reprokit.archive.safe.refusal import refuse
from reprokit.archive.safe.resolve import Reference, check_hashable

if TYPE_CHECKING:
    from reprokit.archive.safe.resolve import Resolver

_SEQUENCES = (list, tuple)
_GROWING: dict[Any, str] = {
    list: "extend",
    deque: "extend",
    dict: "update",
    OrderedDict: "update",
    defaultdict: "update",
    set: "update",
}
_NEVER = frozenset({"__class__"})


def call_method(resolver: Resolver, owner: Any, name: str, args: list[Any], keywords: dict[str, Any], line: int) -> Any:
    """Call a method of a value."""
    kind = f"{type(owner).__module__}.{type(owner).__qualname__}"
    if kind == "numpy.ndarray":
        if name == "reshape" and len(args) == 1 and set(keywords) <= {"order"}:
            return owner.reshape(*args, **keywords)
        if name == "view" and len(args) == 1 and not keywords and _is_view(args[0]):
            return owner.view(args[0])
    from reprokit.archive.safe import frames

    method = frames.method(owner, name)
    if method is not None:
        return method(*args, **keywords)
    bound = resolver.method(owner, name, line)
    raise refuse(f"calling {bound.__qualname__}", line)


def _is_view(cls: Any) -> bool:
    np = sys.modules["numpy"]
    return cls in (np.matrix, np.recarray)


def fill(resolver: Resolver, owner: Any, method: str, args: list[Any], line: int) -> None:
    """Run the second step of making an object."""
    if type(owner) is Reference:
        _fill_by_base(resolver, owner, method, args, line)
        return
    kind_of: Any = type(owner)
    if _GROWING.get(kind_of) == method and len(args) == 1 and type(args[0]) in (list, dict):
        if method == "update":
            for key in args[0]:
                check_hashable(key, line)
        getattr(owner, method)(args[0])
        return
    kind = f"{type(owner).__module__}.{type(owner).__qualname__}"
    if kind == "numpy.ndarray" and method == "__setitem__" and _is_place(owner, args):
        owner[args[0]] = args[1]
        return
    if kind == "numpy.random.mtrand.RandomState" and method == "set_state" and len(args) == 1:
        check_state(args[0].get("bit_generator") if type(args[0]) is dict else None, args[0], line)
        owner.set_state(args[0])
        return
    raise refuse(f"{method}() of {type(owner).__qualname__} as a statement", line)


def _is_place(owner: Any, args: list[Any]) -> bool:
    """Whether it says where an object goes in an array of objects."""
    if not owner.dtype.hasobject or len(args) != 2 or type(args[0]) is not tuple:
        return False
    return len(args[0]) == owner.ndim and all(type(one) is int for one in args[0])


def _fill_by_base(resolver: Resolver, owner: Reference, method: str, args: list[Any], line: int) -> None:
    """Fill what an allowed class's instance inherits, past the methods of the class."""
    if owner.full == "builtins.object" and method == "__setattr__" and len(args) == 3:
        target, name, value = args
        if type(name) is not str or name in _NEVER:
            raise refuse(f"setting {name!r}", line)
        _check_target(resolver, target, name, value, line)
        object.__setattr__(target, name, value)
        return
    kinds: dict[str, Any] = {
        "builtins.dict": dict,
        "builtins.list": list,
        "builtins.set": set,
        "builtins.bytearray": bytearray,
    }
    kinds["collections.OrderedDict"] = OrderedDict
    kind = kinds.get(owner.full)
    if kind is None or method not in ("update", "extend") or len(args) != 2 or id(args[0]) not in resolver.fresh:
        raise refuse(f"{owner.full}.{method}", line)
    if type(args[1]) not in (list, dict, bytes):
        raise refuse(f"{owner.full}.{method} of {type(args[1]).__name__}", line)
    getattr(kind, method)(args[0], args[1])


def _check_target(resolver: Resolver, target: Any, name: str, value: Any, line: int) -> None:
    from types import SimpleNamespace

    from reprokit.archive.objects import Container

    if resolver.fresh.get(id(target)) is target or type(target) in (SimpleNamespace, Container):
        return
    if name == "attrs" and type(target).__module__.partition(".")[0] == "pandas" and type(value) is dict:
        return
    if name == "state" and type(target).__module__.startswith("numpy.random."):
        check_state(type(target).__name__, value, line)
        return
    raise refuse(f"setting {name!r} of {type(target).__qualname__}", line)


def check_state(kind: Any, state: Any, line: int) -> None:
    """Refuse states of random generators with which they would read beyond their own memory."""
    inner = state.get("state") if type(state) is dict else None
    if type(inner) is not dict or state.get("bit_generator") != kind:
        raise refuse(f"a state of {kind}", line, "it is damaged")
    ends = [(inner.get("pos", 0), 624), (state.get("buffer_pos", 0), 4)]
    if not all(type(place) is int and 0 <= place <= end for place, end in ends):
        raise refuse(f"a state of {kind}", line, "it is damaged")
