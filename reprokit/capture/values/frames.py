"""pandas: frames, series, indexes and their arrays, column by column, however they are kept in blocks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from reprokit.capture.values import instances
from reprokit.capture.values.numpys import elements
from reprokit.capture.values.plain import END, close, text
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder

Handler = Callable[["Encoder", Any], bytes]


def find(kind: type) -> Handler | None:
    """Give the function for a class of pandas', or one that extends a frame or series."""
    pd: Any = sys.modules["pandas"]
    if not hasattr(pd, "Flags"):  # is being imported
        return None
    if issubclass(kind, pd.DataFrame):
        return _frame
    if issubclass(kind, pd.Series):
        return _series
    if issubclass(kind, pd.Index):
        return _index
    if issubclass(kind, pd.api.extensions.ExtensionArray):
        return _array if kind.__module__.partition(".")[0] == "pandas" else None
    return None


def _frame(encoder: Encoder, value: Any) -> bytes:
    parts = [b"@frame:", encoder.value(value.index), encoder.value(value.columns)]
    parts += [_at(encoder, value.iloc[:, number].array, f"[:, {number}]") for number in range(value.shape[1])]
    return close([*parts, *_rest(encoder, value), END])


def _series(encoder: Encoder, value: Any) -> bytes:
    parts = [b"@series:", encoder.value(value.index), encoder.value(value.name), _at(encoder, value.array, "[:]")]
    return close([*parts, *_rest(encoder, value), END])


def _rest(encoder: Encoder, value: Any) -> list[bytes]:
    pd: Any = sys.modules["pandas"]
    encoder.mutable = True
    parts = [encoder.pairs(b"d", value.attrs.items()), encoder.value(value.flags.allows_duplicate_labels)]
    kind = type(value)
    noted = [(name, held) for name, held in vars(value).items() if not name.startswith("_")]  # df.source = "x"
    if noted:
        parts.append(encoder.pairs(b"d", noted, True))
    if kind is not pd.DataFrame and kind is not pd.Series:
        own = [(name, getattr(value, name, None)) for name in kind._metadata if name != "_name"]
        parts += [encoder.form(kind), encoder.pairs(b"d", own, True)]
    return parts


def _at(encoder: Encoder, array: Any, place: str) -> bytes:
    try:
        return _array(encoder, array)
    except Refused as refused:
        raise refused.inside(place) from None


def _index(encoder: Encoder, value: Any) -> bytes:
    pd: Any = sys.modules["pandas"]
    encoder.mutable = True  # its names
    kind = type(value)
    parts = [b"@index:", encoder.form(kind), encoder.sequence(b"l", value.names, ".names[{}]")]
    if isinstance(value, pd.RangeIndex):
        parts.append(encoder.fields(b"t", value.start, value.stop, value.step))
    elif isinstance(value, pd.MultiIndex):
        parts.append(close([b"l", *map(encoder.value, value.levels), END]))
        parts.append(close([b"l", *(elements(encoder, _plain(codes)) for codes in value.codes), END]))
    else:
        frequency = getattr(value, "freqstr", None)
        parts += [encoder.value(frequency), _array(encoder, value.array)]
    return close([*parts, END])


def _plain(value: Any) -> Any:
    return sys.modules["numpy"].asarray(value)  # type: ignore[attr-defined,unused-ignore]


def _array(encoder: Encoder, value: Any) -> bytes:
    """Encode one array; the values where something is missing are chance, and don't count."""
    pd: Any = sys.modules["pandas"]
    arrays = pd.arrays
    encoder.mutable = True
    if type(value) is arrays.NumpyExtensionArray:  # arrays of texts extend it
        return close([b"@numpy:", _ordered(encoder, value.to_numpy()), END])
    head = [b"@extension:", text(f"{type(value).__name__} {value.dtype}")]
    if isinstance(value, pd.Categorical):
        parts = [_ordered(encoder, value.codes), encoder.value(value.categories), encoder.value(value.ordered)]
    elif isinstance(value, (arrays.DatetimeArray, arrays.TimedeltaArray, arrays.PeriodArray)):
        parts = [_ordered(encoder, value.asi8), encoder.value(getattr(value, "tz", None))]
        parts.append(encoder.value(getattr(value, "freqstr", None)))
    elif isinstance(value, arrays.IntervalArray):
        parts = [encoder.value(value.left), encoder.value(value.right), encoder.value(value.closed)]
    elif isinstance(value, arrays.SparseArray):
        places = value.sp_index.to_int_index().indices
        parts = [_ordered(encoder, value.sp_values), _ordered(encoder, places), encoder.value(value.fill_value)]
        parts += [encoder.value(value.kind), encoder.value(len(value))]
    elif isinstance(value, (arrays.IntegerArray, arrays.FloatingArray, arrays.BooleanArray)):
        kind = getattr(value.dtype, "numpy_dtype", "bool")
        parts = [_ordered(encoder, value.isna()), _ordered(encoder, value.to_numpy(dtype=kind, na_value=0))]
    elif isinstance(getattr(value, "dtype", None), pd.StringDtype):
        parts = [encoder.value(value.dtype.storage), encoder.value(value.dtype.na_value)]
        parts.append(_texts(encoder, value))
    elif hasattr(arrays, "ArrowExtensionArray") and isinstance(value, arrays.ArrowExtensionArray):
        parts = [encoder.value(value.__arrow_array__())]
    else:
        parts = [instances.instance(encoder, value)]
    return close([*head, *parts, END])


def _texts(encoder: Encoder, value: Any) -> bytes:
    arrow = getattr(value, "__arrow_array__", None)
    if value.dtype.storage == "pyarrow" and arrow is not None:
        return encoder.value(arrow())
    return encoder.sequence(b"l", _plain(value.to_numpy(dtype=object)).flat)


def _ordered(encoder: Encoder, value: Any) -> bytes:
    """Encode one dimension: whether it is a column of a block does not count."""
    return elements(encoder, _plain(value))
