"""polars: frames and series, however they are cut into chunks."""

from __future__ import annotations

import array
import re
import sys
from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NoReturn

from reprokit.capture.values.plain import END, close, text
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder

_CODES = {  # of the module array
    "Int8": "b", "Int16": "h", "Int32": "i", "Int64": "q", "UInt8": "B", "UInt16": "H", "UInt32": "I", "UInt64": "Q",
    "Float32": "f", "Float64": "d",
}  # fmt: skip


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for a class of polars'."""
    pl: Any = sys.modules["polars"]
    if not hasattr(pl, "LazyFrame"):
        return None
    if issubclass(kind, pl.DataFrame):
        return _frame
    if issubclass(kind, pl.Series):
        return _series
    return _lazy if issubclass(kind, (pl.LazyFrame, pl.Expr)) else None


def _lazy(encoder: Encoder, value: Any) -> NoReturn:
    raise Refused(type(value), "is a plan that has not been computed; collect it first")


def _frame(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    parts = [b"@polars frame:", encoder.form(type(value)), b"%d;" % value.height]
    return close([*parts, *(_column(encoder, column) for column in value.get_columns()), END])


def _series(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    return close([b"@polars series:", encoder.form(type(value)), _column(encoder, value), END])


def _column(encoder: Encoder, value: Any) -> bytes:
    """Encode one column: its name and type, which slots are empty, and the values in the others."""
    pl: Any = sys.modules["polars"]
    kind = value.dtype
    parts = [b"@column:", text(value.name), text(repr(kind)), b"%d;" % len(value)]
    if kind.is_integer() or kind.is_float() or kind.is_temporal() or kind == pl.Boolean:
        physical = (value.cast(pl.UInt8) if kind == pl.Boolean else value.to_physical()).rechunk()
        if physical.null_count() and "Int128" not in repr(physical.dtype):
            parts.append(_bytes(value.is_null().cast(pl.UInt8).rechunk()))
            physical = physical.fill_null(0).rechunk()
        if not physical.null_count() and "128" not in repr(physical.dtype):
            return close([*parts, _bytes(physical), END])
    if kind.is_nested() and ("'ns'" in repr(kind) or "Time" in re.findall(r"\w+", repr(kind))):
        raise Refused(type(value), f"holds nanoseconds inside of {kind}, which Python has no type for")
    if isinstance(kind, pl.Enum):
        parts.append(_column(encoder, kind.categories))
    return close([*parts, encoder.sequence(b"l", value.to_list()), END])


def _bytes(value: Any) -> bytes:
    if not len(value):
        return b"D" + sha256().digest()
    if "numpy" in sys.modules:
        return b"D" + sha256(value.to_numpy().data).digest()
    code = _CODES.get(repr(value.dtype))
    if code is None:
        raise Refused(type(value), f"holds {value.dtype}, which is read with NumPy alone; import numpy")
    return b"D" + sha256(array.array(code, value.to_list())).digest()
