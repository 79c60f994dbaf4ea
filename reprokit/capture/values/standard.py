"""Containers and values of the standard library, where pickling would say too little, or not the same everywhere."""

from __future__ import annotations

import enum
import fractions
import functools
import gc
import os
import pathlib
import re
import sys
import types
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from reprokit.capture.values import instances
from reprokit.capture.values.plain import END, close, counted, text
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder

_FOLDER = os.path.dirname(os.__file__) + os.sep
_HEAP = 1 << 9  # Py_TPFLAGS_HEAPTYPE: no class that Python code makes is without it
_PATHS = (
    pathlib.PurePath,
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.Path,
    pathlib.PosixPath,
    pathlib.WindowsPath,
)


def is_standard(value: Any, module: str, name: str) -> bool:
    """Tell whether a function or class is what the standard library has under that name."""
    if not _is_standard_module(module):
        return False
    if module == "builtins" and type(value) is type and not value.__flags__ & _HEAP:
        return True  # NoneType and the like, which have no variable there
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


@functools.lru_cache(maxsize=1024)
def _is_standard_module(module: str) -> bool:
    top = module.partition(".")[0]
    if top not in sys.stdlib_module_names:
        return False
    origin = getattr(getattr(sys.modules.get(top), "__spec__", None), "origin", None)
    if origin is None or origin in ("built-in", "frozen"):
        return True
    return origin.startswith(_FOLDER) and "site-packages" not in origin  # a user's own file may be called token.py


def _list(encoder: Encoder, value: list[Any]) -> bytes:
    encoder.mutable = True
    return encoder.sequence(b"l", value)


def _tuple(encoder: Encoder, value: tuple[Any, ...]) -> bytes:
    return encoder.sequence(b"t", value)


def _dict(encoder: Encoder, value: dict[Any, Any]) -> bytes:
    encoder.mutable = True
    return encoder.pairs(b"d", value.items())


def _set(encoder: Encoder, value: set[Any]) -> bytes:
    encoder.mutable = True
    return encoder.members(b"S", value)


def _frozenset(encoder: Encoder, value: frozenset[Any]) -> bytes:
    return encoder.members(b"Z", value)


def _view(encoder: Encoder, value: Iterable[Any]) -> bytes:
    encoder.mutable = True  # through its dict
    return encoder.sequence(b"@%b:" % type(value).__name__.encode(), value)


def _proxy(encoder: Encoder, value: types.MappingProxyType[Any, Any]) -> bytes:
    (behind,) = gc.get_referents(value)  # without asking it: it may be any class
    return close([b"@mappingproxy:", encoder.value(behind), END])


def _bytearray(encoder: Encoder, value: bytearray) -> bytes:
    encoder.mutable = True
    return counted(b"B", value)


def _memoryview(encoder: Encoder, value: memoryview) -> bytes:
    if "O" in value.format or "P" in value.format:
        raise Refused(memoryview, "shows addresses")
    if not (value.readonly and type(value.obj) is bytes):
        encoder.mutable = True
    data = value.cast("B") if value.c_contiguous and value.nbytes else value.tobytes()
    return close([encoder.fields(b"@memoryview:", value.format, value.shape), counted(b"b", data)])


def _bounds(encoder: Encoder, value: range | slice) -> bytes:
    return encoder.fields(b"@%b:" % type(value).__name__.encode(), value.start, value.stop, value.step)


def _pattern(encoder: Encoder, value: re.Pattern[Any]) -> bytes:
    return encoder.fields(b"@pattern:", value.pattern, value.flags)


def _fraction(encoder: Encoder, value: fractions.Fraction) -> bytes:
    return encoder.fields(b"@fraction:", value.numerator, value.denominator)


def _path(encoder: Encoder, value: pathlib.PurePath) -> bytes:
    extra = instances.own_fields(encoder, value, pathlib.PurePath) if type(value) not in _PATHS else b""
    return close([b"@path:", encoder.kind(type(value)), text(pathlib.PurePath.__str__(value)), extra, END])


def _zone(encoder: Encoder, value: Any) -> bytes:
    if value.key is None:
        raise Refused(type(value), "was read from a file without a name of its own")
    return close([b"@zone:", encoder.kind(type(value)), text(value.key), END])


def member(encoder: Encoder, value: enum.Enum) -> bytes:
    """Encode a member of an enumeration: its class, its name and what it stands for."""
    mutable = encoder.mutable
    name, held = value._name_, value._value_
    try:
        return close([b"@enum:", encoder.kind(type(value)), encoder.value(name), encoder.value(held), END])
    finally:
        encoder.mutable = mutable


def _exception(encoder: Encoder, value: BaseException) -> bytes:
    encoder.mutable = True
    chain = (value.__cause__, value.__context__, value.__suppress_context__)
    return close([b"@exception:", instances.instance(encoder, value), *map(encoder.value, chain), END])


def _union(encoder: Encoder, value: types.UnionType) -> bytes:
    return encoder.sequence(b"@union:", value.__args__)


EXACT: dict[Any, Callable[[Encoder, Any], bytes]] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    set: _set,
    frozenset: _frozenset,
    bytearray: _bytearray,
    memoryview: _memoryview,
    range: _bounds,
    slice: _bounds,
    re.Pattern: _pattern,
    fractions.Fraction: _fraction,
    types.MappingProxyType: _proxy,
    types.UnionType: _union,
    type({}.keys()): _view,
    type({}.values()): _view,
    type({}.items()): _view,
}


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for a type that is, or extends, one of the standard library's."""
    if issubclass(kind, pathlib.PurePath):
        return _path
    if issubclass(kind, BaseException):
        return _exception
    zoneinfo = sys.modules.get("zoneinfo")
    if zoneinfo is not None and kind is zoneinfo.ZoneInfo:
        return _zone
    return None
