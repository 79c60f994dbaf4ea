"""Any Python value as JSON where JSON holds it exactly, else as a short safe description; never an abort."""

from __future__ import annotations

import datetime as dt
import enum
import math
import pathlib
import re
import types
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.model import digest as digests

if TYPE_CHECKING:
    from collections.abc import Collection

LONGEST_TEXT = 10_000  # characters
LONGEST_PATH = 4_096  # characters
MOST_ITEMS = 1_000  # of one container
MOST_IN_ALL = 10_000  # of one argument, all levels together: containers that share parts multiply with each level
MOST_TEXT = 200_000  # characters of one argument
_DEEPEST = 20
_SHOWN = 200  # characters of a repr
_DIGESTED = 1 << 20  # bytes of an array whose digest costs nothing that anyone notices
_SAFE = 2**53 - 1
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_ENDS = " \t\r\n\"'`,;(){}[]<>"  # of a word
_TEXTUAL = (
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    complex,
    range,
)
_TEXTUAL_NAMES = frozenset(("decimal.Decimal", "fractions.Fraction", "uuid.UUID"))  # their modules need not be loaded


def result(value: Any) -> Any:
    """Give what JSON can hold of a result: NumPy's numbers are numbers there, and small arrays have a digest."""
    if type(value) in (bool, int, float, str):
        return describe(value)[0]
    return _describe_whole(value, _Budget(results=True))[0]


def describe(value: Any) -> tuple[Any, bool]:
    """Give what JSON can hold of a value, and whether that is all of it."""
    kind = type(value)
    if value is None or kind is bool:
        return value, True
    if kind is int:
        return (value, True) if -_SAFE <= value <= _SAFE else (_tagged("int", text=_start(_digits(value))), False)
    if kind is str:
        if value.isascii() and len(value) <= LONGEST_TEXT:
            return value, True
        return _text(value)
    if kind is float and math.isfinite(value):
        return value, True
    return _describe_whole(value, _Budget())


def _describe_whole(value: Any, budget: _Budget) -> tuple[Any, bool]:
    try:
        return _describe(value, 0, budget)
    except Exception:  # noqa: BLE001 - the object's own methods may do anything
        return _tagged(_name(type(value))), False


class _Budget(msgspec.Struct):
    """What one description may still hold, and the containers that it is inside of."""

    items: int = MOST_IN_ALL
    text: int = MOST_TEXT
    inside: set[int] = set()
    results: bool = False


def _describe(value: Any, depth: int, budget: _Budget) -> tuple[Any, bool]:
    kind = type(value)
    budget.items -= 1
    if kind is str:
        budget.text -= min(len(value), LONGEST_TEXT)
        return describe(value) if budget.text >= 0 else (_tagged("str", len=len(value), note="left out"), False)
    if value is None or kind in (bool, int):
        return describe(value)
    if kind is float:
        return (value, True) if math.isfinite(value) else (_tagged("float", text=str(value)), False)
    if kind in (list, tuple, set, frozenset, dict):
        inside = budget.inside
        if id(value) in inside or depth >= _DEEPEST:
            note = "contains itself" if id(value) in inside else "nested deeper"
            return _tagged(kind.__name__, len=len(value), note=note), False
        inside.add(id(value))
        try:
            return _mapping(value, depth, budget) if kind is dict else _sequence(value, kind, depth, budget)
        finally:
            inside.discard(id(value))
    try:
        if budget.results and kind.__module__ == "numpy":
            return _numpy_result(value, kind), False
        return _other(value, kind), False
    except Exception:  # noqa: BLE001 - one odd item costs no more than its own description
        return _tagged(_name(kind)), False


def _mapping(value: dict[Any, Any], depth: int, budget: _Budget) -> tuple[Any, bool]:
    exact = True
    made: dict[str, Any] = {}
    taken = 0
    for key, item in islice(value.items(), MOST_ITEMS):
        if budget.items <= 0:
            break
        taken += 1
        plain, whole = _describe(item, depth + 1, budget)
        if type(key) is str:
            name = clean(_cut(key))
        elif type(key) is bytes and len(key) <= _SHOWN:
            name = repr(key)
        else:
            name = clean(_cut(str(_describe(key, depth + 1, budget)[0])))
        while name in made:  # 1 and "1", or two that are the same up to where they are cut
            name += f" ({taken})"
        known = type(key) is str and name == key
        made[name] = plain
        exact = exact and whole and known
    if taken < len(value):
        return _tagged("dict", len=len(value), items=made), False
    return made, exact


def _sequence(value: Collection[Any], kind: type, depth: int, budget: _Budget) -> tuple[Any, bool]:
    plain: list[Any] = []
    exact = kind is list
    for item in islice(value, MOST_ITEMS):  # never a copy: there may be a hundred million
        if budget.items <= 0:
            break
        one, whole = _describe(item, depth + 1, budget)
        plain.append(one)
        exact = exact and whole
    if kind is list and len(plain) == len(value):
        return plain, exact
    if kind in (set, frozenset):
        plain.sort(key=str)
    return _tagged(kind.__name__, len=len(value), items=plain), False


def _other(value: Any, kind: type) -> Any:
    # By type and not by isinstance, which asks ``__class__``: a lazy proxy would go and load what it stands for.
    name = _name(kind)
    if issubclass(kind, enum.Enum):
        return _tagged(name, name=clean(value.name), value=describe(value.value)[0])
    if issubclass(kind, pathlib.PurePath):
        return _tagged(name, text=clean(_cut(str(value), LONGEST_PATH)))
    if issubclass(kind, _TEXTUAL) or name in _TEXTUAL_NAMES:
        return _tagged(name, text=clean(_start(str(value))))
    if issubclass(kind, (bytes, bytearray, memoryview)):
        data = bytes(value) if kind is memoryview else value
        return _tagged(name, len=len(data), digest=digests.of_bytes(data))
    if issubclass(kind, type):
        return _tagged("type", name=_name(value))
    if issubclass(kind, (types.FunctionType, types.BuiltinFunctionType, types.MethodType)):
        return _tagged("function", name=clean(f"{value.__module__}.{value.__qualname__}"))
    if issubclass(kind, types.ModuleType):
        return _tagged("module", name=clean(value.__name__))
    if kind.__module__.partition(".")[0] in _ARRAYS:
        return _tagged(name, **_array(value))
    if issubclass(kind, (int, float, str)):  # subclasses
        base = next(t for t in (int, float, str) if issubclass(kind, t))
        return _tagged(name, value=describe(base(value))[0])
    return _tagged(name, repr=_repr(value))


def _array(value: Any) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for fact in ("dtype", "device"):
        # Asked of the type first: in a data frame, a column may have that name.
        if hasattr(type(value), fact) and (told := str(getattr(value, fact, "cpu"))) != "cpu":
            facts[fact] = clean(_cut(told))
    shape = getattr(value, "shape", None)
    if shape is not None:
        # A dimension that is no plain number is not known yet: converting it may start the computation.
        facts["shape"] = [n if type(n) is int else None for n in shape]
        if not facts["shape"] and hasattr(value, "item") and "device" not in facts:  # else it would wait for the device
            facts["text"] = clean(_cut(_ADDRESS.sub("", str(value.item()))))
    return facts


def _numpy_result(value: Any, kind: type) -> Any:
    """A scalar, or an array without dimensions, is the number that it holds; a small array has a digest of its bytes."""
    if getattr(value, "shape", None) == () and type(number := value.item()) in (bool, int, float, str):
        return describe(number)[0]
    found = _other(value, kind)
    if kind.__name__ == "ndarray" and not value.dtype.hasobject and value.nbytes <= _DIGESTED:
        found["digest"] = digests.of_bytes(value.tobytes())
    return found


# Their repr may print megabytes or start a computation; shape and dtype say what matters.
_ARRAYS = frozenset(
    ("numpy", "pandas", "torch", "tensorflow", "jax", "jaxlib", "xarray", "dask", "cupy", "scipy", "polars", "pyarrow")
)


def _repr(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - the user's __repr__ may do anything
        return f"<its __repr__ raised {type(error).__name__}>"
    return clean(_cut(_ADDRESS.sub("", text[: 10 * _SHOWN])))


def _tagged(kind: str, /, **facts: Any) -> dict[str, Any]:
    return {"$type": kind, **facts}


def _name(kind: type) -> str:
    try:
        module, name = kind.__module__, kind.__qualname__
    except Exception:  # noqa: BLE001 - a metaclass may do anything
        return "object"
    return clean(name if module == "builtins" else f"{module}.{name}")


def _text(value: str) -> tuple[Any, bool]:
    try:
        data = value.encode()
    except UnicodeEncodeError:
        return _tagged("str", text=clean(_cut(value))), False
    if len(value) > LONGEST_TEXT:
        return _tagged("str", len=len(value), text=_cut(value, LONGEST_TEXT), digest=digests.of_bytes(data)), False
    return value, True


def clean(text: str) -> str:
    """Give text without lone surrogates, which no record can hold."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _cut(text: str, limit: int = _SHOWN) -> str:
    """Shorten free text at the end of a word: the first half of a secret has no format that it could be known by."""
    if len(text) <= limit:
        return text
    return text[: max(text.rfind(end, 0, limit) for end in _ENDS) + 1] + "..."


def _start(text: str) -> str:
    """Shorten digits."""
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # beyond the interpreter's limit for decimal digits
        return hex(value)
