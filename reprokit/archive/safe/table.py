"""What safe loading knows without being told: constants, and constructors whose calls do nothing else."""

from __future__ import annotations

import array
import base64
import collections
import datetime  # noqa: ICN001  # dt is no better name
import decimal
import fractions
import json
import math
import pathlib
import re
import types
import uuid
import zoneinfo
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from reprokit.archive.safe.resolve import check_hashable
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

MISSING = object()
_PATTERN = 10_000  # characters that a regular expression may have
_ATOMS = (type(None), bool, int, float, complex, str, bytes)

_TYPES: dict[str, tuple[Any, ...]] = {
    "builtins": (
        bool,
        int,
        float,
        complex,
        str,
        bytes,
        bytearray,
        list,
        tuple,
        dict,
        set,
        frozenset,
        range,
        slice,
        object,
        type,
    ),
    "collections": (
        collections.OrderedDict,
        collections.Counter,
        collections.defaultdict,
        collections.deque,
        collections.ChainMap,
        collections.UserDict,
        collections.UserList,
        collections.UserString,
    ),
    "datetime": (datetime.datetime, datetime.date, datetime.time, datetime.timedelta, datetime.timezone),
    "decimal": (decimal.Decimal,),
    "fractions": (fractions.Fraction,),
    "uuid": (uuid.UUID,),
    "pathlib": (pathlib.Path, pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath),
    "types": (types.SimpleNamespace, types.NoneType, types.EllipsisType, types.NotImplementedType),
    "zoneinfo": (zoneinfo.ZoneInfo,),
}

_CONSTANTS: dict[tuple[str, str], Any] = {
    ("math", "inf"): math.inf,
    ("math", "nan"): math.nan,
    ("numpy", "inf"): math.inf,
    ("numpy", "nan"): math.nan,
    ("builtins", "NotImplemented"): NotImplemented,
    ("builtins", "Ellipsis"): ...,
    ("datetime", "timezone.utc"): datetime.UTC,
    **{(module, cls.__name__): cls for module, classes in _TYPES.items() for cls in classes},
}


def constant(module: str, name: str) -> Any:
    """Give a safe value by its import, or `MISSING`."""
    found = _CONSTANTS.get((module, name), MISSING)
    if found is MISSING and module.partition(".")[0] in ("numpy", "pandas", "re"):
        from reprokit.archive.safe import frames, numbers

        found = numbers.constant(module, name)
        return frames.constant(module, name) if found is None else found
    return found


def function(module: str, name: str) -> Callable[..., Any] | None:
    """Give a safe constructor by its import, or None."""
    found = _functions().get((module, name))
    if found is None and module.partition(".")[0] in ("numpy", "scipy", "pandas", "xarray"):
        from reprokit.archive.safe import frames, numbers

        return numbers.function(module, name) or frames.function(module, name)
    return found


def _of_container(cls: Any) -> Callable[..., Any]:
    def make(content: Any = ()) -> Any:
        if type(content) not in (list, tuple, dict, set, frozenset, collections.OrderedDict):
            raise ArchiveError(cls.__name__, f"is made of a list or dict here, not of {type(content).__name__}")
        _check_keys(cls, content)
        return cls(content)

    return make


def _zip(keys: Any, values: Any) -> list[tuple[Any, Any]]:
    if type(keys) is not list or type(values) is not list or len(keys) != len(values):
        raise ArchiveError("zip", "takes two lists of one length here")
    return list(zip(keys, values, strict=True))


def _check_keys(cls: Any, content: Any) -> None:
    if issubclass(cls, set | frozenset):
        keys: Any = content
    elif issubclass(cls, dict) and type(content) in (list, tuple):
        keys = [pair[0] for pair in content if type(pair) in (list, tuple) and pair]
    else:
        return
    for key in keys:
        check_hashable(key, 0)


def _of_atoms(cls: Any, *kinds: type) -> Callable[..., Any]:
    """Make a constructor that takes atoms only: nothing that iterates, nothing with methods of its own."""

    def make(*args: Any, **keywords: Any) -> Any:
        for one in (*args, *keywords.values()):
            if type(one) not in (kinds or _ATOMS):
                raise ArchiveError(getattr(cls, "__name__", str(cls)), f"takes no {type(one).__name__} here")
        return cls(*args, **keywords)

    return make


def _text(cls: Any) -> Callable[..., Any]:
    return _of_atoms(cls, str)


def _bytearray(data: bytes = b"") -> bytearray:
    if type(data) is not bytes:
        raise ArchiveError("bytearray", "is made of bytes here")
    return bytearray(data)


def _default(factory: Any = None, content: Any = ()) -> Any:
    return collections.defaultdict(factory, _of_container(dict)(content))


def _deque(content: Any = (), maxlen: Any = None) -> Any:
    if type(content) is not list or type(maxlen) not in (int, type(None)):
        raise ArchiveError("deque", "is made of a list here")
    return collections.deque(content, maxlen)


def _chain(*maps: Any) -> Any:
    return collections.ChainMap(*maps)


def _counter(content: Any = ()) -> Any:
    made: Any = collections.Counter()
    dict.update(made, _of_container(dict)(content))
    return made


def _type(obj: Any) -> type:
    if obj is not None:
        raise ArchiveError("type", "only type(None) is known here")
    return types.NoneType


def _pattern(pattern: Any, flags: int = 0) -> Any:
    if type(pattern) not in (str, bytes) or type(flags) is not int or len(pattern) > _PATTERN:
        raise ArchiveError("re.compile", f"takes a pattern of at most {_PATTERN} characters here")
    return re.compile(pattern, flags)


def _json(text: Any) -> Any:
    if type(text) is not str:
        raise ArchiveError("json.loads", "takes a string here")
    try:
        return json.loads(text)
    except RecursionError:
        raise ArchiveError("json.loads", "the text is nested too deep") from None


def _zone(key: Any) -> Any:
    if type(key) is not str:
        raise ArchiveError("ZoneInfo", "takes a key")
    return zoneinfo.ZoneInfo(key)


def _datetime(cls: Any) -> Callable[..., Any]:
    zones = (datetime.timezone, zoneinfo.ZoneInfo, type(None))

    def make(*args: Any, tzinfo: Any = None, fold: int = 0) -> Any:
        if not all(type(one) is int for one in args) or type(tzinfo) not in zones:
            raise ArchiveError(cls.__name__, "takes integers and a time zone here")
        return cls(*args, tzinfo=tzinfo, fold=fold)

    return make


def _partial(function: Any, *args: Any, **keywords: Any) -> Any:
    if not callable(function):
        raise ArchiveError("partial", "takes a function")
    return partial(function, *args, **keywords)


def _proxy(content: Any) -> Any:
    return types.MappingProxyType(_of_container(dict)(content))


def _array(code: Any, content: Any) -> Any:
    if type(content) not in (list, str):
        raise ArchiveError("array", "is made of a list here")
    return array.array(code, content)


def _container(**attributes: Any) -> Any:
    from reprokit.archive.objects import Container

    return Container(**attributes)


@cache
def _functions() -> dict[tuple[str, str], Callable[..., Any]]:
    numbers = (int, float)
    return {
        **{("builtins", cls.__name__): _of_container(cls) for cls in (set, frozenset, list, tuple, dict)},
        ("builtins", "bytearray"): _bytearray,
        ("builtins", "complex"): _of_atoms(complex, *numbers),
        ("builtins", "range"): _of_atoms(range, int),
        ("builtins", "slice"): slice,
        ("builtins", "type"): _type,
        ("builtins", "zip"): _zip,
        ("collections", "OrderedDict"): _of_container(collections.OrderedDict),
        ("collections", "Counter"): _counter,
        ("collections", "defaultdict"): _default,
        ("collections", "deque"): _deque,
        ("collections", "ChainMap"): _chain,
        ("collections", "UserDict"): _of_container(collections.UserDict),
        ("collections", "UserList"): _of_container(collections.UserList),
        ("collections", "UserString"): _text(collections.UserString),
        ("decimal", "Decimal"): _text(decimal.Decimal),
        ("fractions", "Fraction"): _of_atoms(fractions.Fraction, int),
        ("datetime", "datetime"): _datetime(datetime.datetime),
        ("datetime", "time"): _datetime(datetime.time),
        ("datetime", "date"): _of_atoms(datetime.date, int),
        ("datetime", "timedelta"): _of_atoms(datetime.timedelta, int),
        ("datetime", "timezone"): _of_atoms(datetime.timezone, datetime.timedelta, str),
        ("zoneinfo", "ZoneInfo"): _zone,
        ("uuid", "UUID"): _text(uuid.UUID),
        **{("pathlib", cls.__name__): _text(cls) for cls in _TYPES["pathlib"]},
        ("re", "compile"): _pattern,
        ("functools", "partial"): _partial,
        ("types", "SimpleNamespace"): types.SimpleNamespace,
        ("types", "MappingProxyType"): _proxy,
        ("array", "array"): _array,
        ("base64", "b64decode"): _text(base64.b64decode),
        ("json", "loads"): _json,
        ("reprokit.archive.objects", "Container"): _container,
    }
