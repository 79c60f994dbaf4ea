"""What a value is, as text that is the same in every process: the text is digested, never kept."""

from __future__ import annotations

import functools
import gc
import hashlib
import os
import re
import sys
from collections.abc import Callable
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FrameType,
    FunctionType,
    GenericAlias,
    MappingProxyType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    ModuleType,
    UnionType,
    WrapperDescriptorType,
)
from typing import Any

MISSING: Any = type("Missing", (), {})()
LOCAL = "-> "  # stands before the name of something local
ATOMS = frozenset({int, float, str, bytes, bool, complex, type(None), type(...), type(NotImplemented)})
# Types of the standard library whose `__reduce_ex__` says all that there is to say.
_REDUCED = frozenset({
    "datetime", "decimal", "fractions", "uuid", "collections", "operator", "zoneinfo", "ipaddress", "array", "types",
    "string", "itertools",
})  # fmt: skip
# Types that hold nothing on which a result depends.
_STATELESS = frozenset({
    "logging.Logger", "logging.RootLogger", "_thread.lock", "_thread.RLock", "threading.Lock", "builtins.object",
})  # fmt: skip
# Types whose objects hold something else in each thread or task.
_AMBIENT = frozenset({"_contextvars.ContextVar", "contextvars.ContextVar", "_thread._local"})
_DEEPEST = 100
_MOST_HELD = 3000

# The plain value in an instance of a class that extends a built-in one, past what its methods say.
_EXTENDED: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (int, int.__int__),
    (float, float.__float__),
    (complex, complex.__complex__),
    (str, str.__str__),
    (bytes, lambda value: bytes(memoryview(value))),
    (bytearray, lambda value: bytes(memoryview(value))),
    (list, lambda value: list(list.__iter__(value))),
    (tuple, lambda value: tuple(tuple.__iter__(value))),
    (set, lambda value: set(set.__iter__(value))),
    (frozenset, lambda value: frozenset(frozenset.__iter__(value))),
    (dict, lambda value: dict(dict.items(value))),
)

Link = Callable[[Any], "str | None"]


class Describer:
    """Writes values as text.

    Parameters
    ----------
    link
        Gives the text for a function, class or module, and for other objects None, or text to stand before their state
        when that is to be described too (instances of local classes).
    roots
        Folders that are written as ``<root>``, so that a project may lie anywhere.
    inside
        The same as `link` for what lies inside an object of an installed package, which says nothing of what the code uses.
    """

    def __init__(self, link: Link, roots: tuple[str, ...], inside: Link | None = None) -> None:
        self._link = link
        self._link_inside = inside or link
        self._roots = roots
        self._open: list[int] = []
        self.opaque: list[str] = []  # types of objects whose state is not seen
        self.passing = False  # whether one of them gives another answer each time that it is asked, or to each who asks

    def text(self, value: Any) -> str:
        """Describe a value."""
        kind = type(value)
        if kind in ATOMS:
            return self._atom(kind, value)
        if id(value) in self._open:
            return f"up {len(self._open) - self._open.index(id(value))}"
        if len(self._open) > _DEEPEST:
            self.opaque.append("something nested too deep")
            return "deep"
        self._open.append(id(value))
        try:
            return self._container(kind, value) or self._other(kind, value)
        finally:
            self._open.pop()

    def _atom(self, kind: type, value: Any) -> str:
        if kind is str:
            return f"s{self._relative(value)!a}"
        if kind is int and value.bit_length() > 1000:
            return hex(value)
        return f"{kind.__name__} {value.hex() if kind is bytes else ascii(value)}"

    def _relative(self, text: str) -> str:
        for root in self._roots:
            if text == root or text.startswith(root.rstrip(os.sep) + os.sep):
                return "<root>" + text[len(root.rstrip(os.sep)) :].replace(os.sep, "/")
        return text

    def _items(self, values: Any) -> str:
        return ",".join([self.text(value) for value in values])

    def _container(self, kind: type, value: Any) -> str | None:
        if kind is list or kind is tuple:
            return f"{kind.__name__}[{self._items(value)}]"
        if kind is dict or kind is MappingProxyType:
            pairs = [f"{self.text(key)}:{self.text(item)}" for key, item in value.items()]
            return f"{kind.__name__}{{{','.join(pairs)}}}"
        if kind is set or kind is frozenset:
            return f"{kind.__name__}{{{','.join(sorted(map(self.text, value)))}}}"
        if kind is bytearray:
            return f"bytearray {value.hex()}"
        if kind is range or kind is slice:
            return f"{kind.__name__}[{self._items((value.start, value.stop, value.step))}]"
        return None

    def _other(self, kind: type, value: Any) -> str:
        linked = self._link(value)
        if kind is FunctionType:
            return linked if linked and linked.startswith(LOCAL) else f"{linked} {self.held(value)}"
        if issubclass(kind, ModuleType) or issubclass(kind, type):
            return linked or ""
        if linked is not None:
            return f"{linked} {self._state(kind, value)}"
        wrapped = self._callable(kind, value)
        if wrapped is not None:
            return wrapped
        name = f"{kind.__module__}.{kind.__qualname__}"
        if name in _STATELESS:
            return name
        return self._known(kind, value, name) or self._numpy(value) or self._foreign(kind, value, name)

    def _known(self, kind: type, value: Any, name: str) -> str | None:
        """Describe objects of the standard library that are values."""
        enum = sys.modules.get("enum")
        if enum is not None and isinstance(value, enum.Enum):
            return f"{self.text(kind)}.{value.name or self.text(value.value)}"
        pathlib = sys.modules.get("pathlib")
        if pathlib is not None and isinstance(value, pathlib.PurePath):
            return f"path {self._relative(str(value))!a}"
        if kind is re.Pattern:
            return f"pattern {self.text(value.pattern)} {value.flags}"
        if kind.__module__ in _REDUCED:
            try:
                reduced = value.__reduce_ex__(2)
            except Exception:  # noqa: BLE001  # it has no such form
                reduced = None
            if isinstance(reduced, str):
                return f"{name} {reduced}"
            if reduced is not None:
                made, *rest = reduced
                return (
                    f"{name} {self.text(made)} {self._items([list(r) if hasattr(r, '__next__') else r for r in rest])}"
                )
        if kind.__module__ == "typing" or kind in {GenericAlias, UnionType}:
            origin, args = getattr(value, "__origin__", None), getattr(value, "__args__", ())
            return f"{name} {getattr(value, '__name__', '')} {self.text(origin)} {self._items(args)}"
        return None

    def _callable(self, kind: type, value: Any) -> str | None:
        if kind is MethodType:
            return f"method {self.text(value.__func__)} of {self.text(value.__self__)}"
        if kind is BuiltinFunctionType:
            owner = value.__self__
            named = isinstance(owner, ModuleType) or owner is None or isinstance(owner, type)
            return f"builtin {value.__module__}.{value.__qualname__}{'' if named else f' of {self.text(owner)}'}"
        if kind in {MethodDescriptorType, WrapperDescriptorType, MemberDescriptorType}:
            return f"descriptor {value.__qualname__}"
        if kind is functools.partial:
            return f"partial {self.text(value.func)} {self.text(value.args)} {self.text(value.keywords)}"
        if kind is staticmethod or kind is classmethod:
            return f"{kind.__name__} {self.text(value.__func__)}"
        if kind is property:
            return f"property {self._items((value.fget, value.fset, value.fdel))}"
        if kind is functools.cached_property:
            return f"cached property {self.text(value.func)}"
        if kind is functools.partialmethod:
            return f"partialmethod {self.text(value.func)} {self.text(value.args)} {self.text(value.keywords)}"
        if kind.__module__ == "functools" and hasattr(value, "cache_parameters"):  # what it remembers does not count
            return f"lru_cache {self.text(value.__wrapped__)} {self.text(value.cache_parameters())}"
        return None

    def _numpy(self, value: Any) -> str | None:
        numpy = sys.modules.get("numpy")
        if numpy is None or not hasattr(numpy, "ndarray"):
            return None
        if type(value) is numpy.ndarray:
            if value.dtype.hasobject:
                return f"array {value.shape} {self.text(value.tolist())}"
            whole = numpy.ascontiguousarray(value)
            digest = hashlib.sha256(whole.reshape(-1).view(numpy.uint8).data if whole.size else b"").hexdigest()
            return f"array {value.dtype.descr} {value.shape} {digest}"
        if isinstance(value, numpy.generic) and not value.dtype.hasobject:
            return f"scalar {value.dtype.str} {value.tobytes().hex()}"
        if isinstance(value, numpy.dtype):
            return f"dtype {value.descr}"
        if isinstance(value, numpy.ufunc):
            return f"ufunc {value.__name__}"
        return None

    def _state(self, kind: type, value: Any) -> str:
        """Describe an instance of a local class: the built-in value it extends, its attributes, its slots."""
        enum = sys.modules.get("enum")
        if enum is not None and isinstance(value, enum.Enum):
            return f"member {value.name or self.text(value.value)}"
        written = [self.text(plain(value)) for base, plain in _EXTENDED if issubclass(kind, base)]
        try:
            state = dict(object.__getattribute__(value, "__dict__"))
        except AttributeError:
            state = {}
        for base in kind.__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else tuple(slots):
                held = base.__dict__.get(name)
                if type(held) is MemberDescriptorType:
                    try:
                        state.setdefault(name, held.__get__(value))
                    except AttributeError:
                        continue
        fields = getattr(kind, "__struct_fields__", ())  # msgspec's are no slots of Python's
        state.update((name, getattr(value, name)) for name in fields if hasattr(value, name))
        if isinstance(value, BaseException):
            written.append(self.text(value.args))
        written += [f"{name!a}={self.text(state[name])}" for name in sorted(state, key=str)]
        return f"({' '.join(written)})"

    def _foreign(self, kind: type, value: Any, name: str) -> str:
        """Describe an object of an installed package: its type, and the local code that it holds on to."""
        if callable(value) and isinstance(wrapped := getattr(value, "__wrapped__", None), FunctionType):
            inner = self.text(wrapped)
        else:
            inner = ""
            self.opaque.append(name)
            self.passing = self.passing or name in _AMBIENT or hasattr(kind, "__next__")
        return f"object {self.text(kind)} {inner} {self.held(value)}"

    def held(self, value: Any) -> str:
        """Describe the local functions and classes that an object leads to, in the order in which they are met."""
        met: list[str] = []
        seen = {id(value)}
        queue = _inside(value)
        number = 0
        while number < len(queue):
            one = queue[number]
            number += 1
            kind = type(one)
            if kind in ATOMS or id(one) in seen or kind in {CodeType, FrameType} or issubclass(kind, ModuleType):
                continue
            seen.add(id(one))
            if len(seen) > _MOST_HELD:
                self.opaque.append(f"{type(value).__module__}.{type(value).__qualname__} (too large to look through)")
                break
            if kind is functools._lru_cache_wrapper:
                queue.append(one.__wrapped__)
                continue
            linked = self._link_inside(one)
            if linked is not None and linked.startswith(LOCAL):
                met.append(linked if issubclass(kind, type) or kind is FunctionType else self.text(one))
            elif not issubclass(kind, type):
                queue += _inside(one)
        return " ".join(met)


def _inside(value: Any) -> list[Any]:
    if type(value) is FunctionType:
        found: list[Any] = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *vars(value).values()]
        for cell in value.__closure__ or ():
            found += contents(cell)
        return found
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    return [] if name in _STATELESS else [one for one in gc.get_referents(value) if one is not type(value)]


def contents(cell: CellType) -> list[Any]:
    """Give what a closure's cell holds; nothing while it is empty."""
    try:
        return [cell.cell_contents]
    except ValueError:
        return []


def is_fixed(value: Any) -> bool:
    """Tell whether a value cannot change in place."""
    kind = type(value)
    if kind in ATOMS or issubclass(kind, ModuleType) or issubclass(kind, type):
        return True
    if kind is BuiltinFunctionType:
        return value.__self__ is None or isinstance(value.__self__, (ModuleType, type))
    if kind is FunctionType:  # what it holds can change, as the registry of a singledispatch does
        return not (value.__closure__ or value.__defaults__ or value.__kwdefaults__ or vars(value))
    return kind in {tuple, frozenset} and all(map(is_fixed, value))
