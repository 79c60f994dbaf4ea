"""A call's arguments: JSON where JSON holds them exactly, else a short safe description; never an abort."""

from __future__ import annotations

import datetime as dt
import enum
import math
import pathlib
import re
import types
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.model import digest as digests

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.model.redact import Redactor

LONGEST_TEXT = 10_000  # characters
MOST_ITEMS = 1_000
_DEEPEST = 20
_SHOWN = 200  # characters of a repr
_SAFE = 2**53 - 1
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_TEXTUAL = (
    pathlib.PurePath,
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    complex,
    range,
)
_TEXTUAL_NAMES = frozenset(("decimal.Decimal", "fractions.Fraction", "uuid.UUID"))  # their modules need not be loaded


class Arguments(msgspec.Struct, frozen=True):
    """A call as the record has it."""

    args: list[Any]
    kwargs: dict[str, Any]
    inexact: list[str]
    redacted: list[str]


def call(args: tuple[Any, ...], kwargs: dict[str, Any], redactor: Redactor) -> Arguments:
    """Describe the arguments of a call, secrets taken out."""
    inexact: list[str] = []
    redacted: list[str] = []

    def one(name: str, place: str, value: Any) -> Any:
        plain, exact = describe(value)
        if not exact:
            inexact.append(place)
        clean, places = redactor.value(name, plain) if not isinstance(plain, (int, float, type(None))) else (plain, [])
        redacted.extend(place + found[len(name) :] for found in places)
        return clean

    made = [one("", f"args[{i}]", value) for i, value in enumerate(args)]
    named = {name: one(name, f"kwargs[{name!r}]", value) for name, value in kwargs.items()}
    return Arguments(made, named, inexact, redacted)


def describe(value: Any) -> tuple[Any, bool]:
    """Give what JSON can hold of a value, and whether that is all of it."""
    kind = type(value)
    if value is None or kind is bool:
        return value, True
    if kind is int:
        return (value, True) if -_SAFE <= value <= _SAFE else (_tagged("int", text=_cut(_digits(value))), False)
    if kind is str:
        if value.isascii() and len(value) <= LONGEST_TEXT:
            return value, True
        return _text(value)
    if kind is float and math.isfinite(value):
        return value, True
    try:
        return _describe(value, 0, set())
    except Exception:  # noqa: BLE001 - the object's own methods may do anything
        return _tagged(_name(kind)), False


def _describe(value: Any, depth: int, inside: set[int]) -> tuple[Any, bool]:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return describe(value)
    if kind is float:
        return (value, True) if math.isfinite(value) else (_tagged("float", text=str(value)), False)
    if kind in (list, tuple, set, frozenset, dict):
        if id(value) in inside or depth >= _DEEPEST:
            return _tagged(
                kind.__name__, len=len(value), note="contains itself" if id(value) in inside else "nested deeper"
            ), False
        inside.add(id(value))
        try:
            return _mapping(value, depth, inside) if kind is dict else _sequence(value, kind, depth, inside)
        finally:
            inside.discard(id(value))
    return _other(value, kind), False


def _mapping(value: dict[Any, Any], depth: int, inside: set[int]) -> tuple[Any, bool]:
    exact = len(value) <= MOST_ITEMS
    made: dict[str, Any] = {}
    for key, item in list(value.items())[:MOST_ITEMS]:
        plain, whole = _describe(item, depth + 1, inside)
        if type(key) is str:
            name, known = _text(key) if not key.isascii() else (key, True)
            name = name if isinstance(name, str) else str(name)
        else:
            name, known = _cut(str(_describe(key, depth + 1, inside)[0])), False
        made[name] = plain
        exact = exact and whole and known
    return (made if len(value) <= MOST_ITEMS else _tagged("dict", len=len(value), items=made)), exact


def _sequence(value: Iterable[Any], kind: type, depth: int, inside: set[int]) -> tuple[Any, bool]:
    items = list(value)
    made = [_describe(item, depth + 1, inside) for item in items[:MOST_ITEMS]]
    plain = [item for item, _ in made]
    if kind is list and len(items) <= MOST_ITEMS:
        return plain, all(exact for _, exact in made)
    if kind in (set, frozenset):
        plain = sorted(plain, key=str)
    return _tagged(kind.__name__, len=len(items), items=plain), False


def _other(value: Any, kind: type) -> Any:
    name = _name(kind)
    if isinstance(value, enum.Enum):
        return _tagged(name, name=value.name, value=describe(value.value)[0])
    if isinstance(value, _TEXTUAL) or name in _TEXTUAL_NAMES:
        return _tagged(name, text=_clean(_cut(str(value))))
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        return _tagged(name, len=len(data), digest=digests.of_bytes(data))
    if isinstance(value, type):
        return _tagged("type", name=_name(value))
    if isinstance(value, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
        return _tagged("function", name=f"{value.__module__}.{value.__qualname__}")
    if isinstance(value, types.ModuleType):
        return _tagged("module", name=value.__name__)
    top = kind.__module__.partition(".")[0]
    if top in _ARRAYS:
        facts: dict[str, Any] = {}
        for fact in ("dtype", "device"):
            if hasattr(value, fact) and str(getattr(value, fact)) != "cpu":
                facts[fact] = _clean(str(getattr(value, fact)))
        if getattr(value, "shape", None) is not None:
            facts["shape"] = [int(n) for n in value.shape]
            if not facts["shape"] and hasattr(value, "item"):
                facts["text"] = _clean(_cut(_ADDRESS.sub("", str(value.item()))))
        return _tagged(name, **facts)
    if isinstance(value, (int, float, str)):  # subclasses
        base = next(t for t in (int, float, str) if isinstance(value, t))
        return _tagged(name, value=describe(base(value))[0])
    return _tagged(name, repr=_repr(value))


# Their repr may print megabytes or start a computation; shape and dtype say what matters.
_ARRAYS = frozenset(
    ("numpy", "pandas", "torch", "tensorflow", "jax", "jaxlib", "xarray", "dask", "cupy", "scipy", "polars", "pyarrow")
)


def _repr(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - the user's __repr__ may do anything
        return f"<its __repr__ raised {type(error).__name__}>"
    return _clean(_cut(_ADDRESS.sub("", text[: 10 * _SHOWN])))


def _tagged(kind: str, /, **facts: Any) -> dict[str, Any]:
    return {"$type": kind, **facts}


def _name(kind: type) -> str:
    module, name = kind.__module__, kind.__qualname__
    return name if module == "builtins" else f"{module}.{name}"


def _text(value: str) -> tuple[Any, bool]:
    try:
        value.encode()
    except UnicodeEncodeError:
        return _tagged("str", text=_clean(_cut(value))), False
    if len(value) > LONGEST_TEXT:
        return _tagged("str", len=len(value), text=value[:LONGEST_TEXT], digest=digests.of_bytes(value.encode())), False
    return value, True


def _clean(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # beyond the interpreter's limit for decimal digits
        return hex(value)
