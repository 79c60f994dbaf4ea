"""Sparse matrices of SciPy's as they are stored, and xarray's arrays and datasets."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from reprokit.capture.values import instances
from reprokit.capture.values.plain import END, close
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder

_STORED = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "dia": ("data", "offsets"),
    "lil": ("data", "rows"),
}

_OWN = frozenset(
    (
        "data",
        "indices",
        "indptr",
        "offsets",
        "rows",
        "row",
        "col",
        "coords",
        "maxprint",
        "shape",
        "dtype",
        "has_canonical_format",
    )
)


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for a class of SciPy's or xarray's."""
    sparse: Any = sys.modules.get("scipy.sparse")
    if sparse is not None and issubclass(kind, (sparse.spmatrix, getattr(sparse, "sparray", sparse.spmatrix))):
        return _sparse
    xarray: Any = sys.modules.get("xarray")
    if xarray is None or not hasattr(xarray, "Dataset"):
        return None
    if issubclass(kind, xarray.Dataset):
        return _dataset
    if issubclass(kind, xarray.DataArray):
        return _data_array
    return _variable if issubclass(kind, xarray.Variable) else None


def _sparse(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    parts = [b"@sparse:", encoder.form(type(value)), encoder.value(value.format), encoder.value(tuple(value.shape))]
    parts.append(encoder.value(value.dtype))
    if value.format == "coo":
        parts += [encoder.value(value.data), encoder.sequence(b"t", value.coords)]
    elif value.format == "dok":
        parts.append(encoder.pairs(b"d", value.items()))
    else:
        parts += [encoder.value(getattr(value, name)) for name in _STORED[value.format]]
    noted = [(name, held) for name, held in vars(value).items() if not name.startswith("_") and name not in _OWN]
    parts.append(encoder.pairs(b"d", noted, True))
    return close([*parts, *_extra(encoder, value, "scipy"), END])


def _variable(encoder: Encoder, value: Any) -> bytes:
    return close([b"@variable:", *_variable_parts(encoder, value), *_extra(encoder, value, "xarray"), END])


def _variable_parts(encoder: Encoder, value: Any) -> list[bytes]:
    encoder.mutable = True
    held = value._data
    if type(held).__module__.startswith("xarray."):
        if not value._in_memory:
            raise Refused(type(value), "is not loaded from its file; call .load() on it first")
        if type(held).__module__ == "xarray.core.indexing":  # an index, which knows its own values
            array = getattr(held, "array", None)
            held = value.values if array is None else array
    level = getattr(value._data, "level", None)  # of an index with several, which all its variables hold
    parts = [encoder.form(type(value)), encoder.value(tuple(value.dims)), encoder.value(value.dtype)]
    parts += [encoder.value(held), encoder.value(level)]
    return [*parts, encoder.pairs(b"d", value.attrs.items()), encoder.pairs(b"d", value.encoding.items())]


def _data_array(encoder: Encoder, value: Any) -> bytes:
    parts = [b"@data array:", encoder.value(value.name), *_variable_parts(encoder, value.variable)]
    parts += [_named(encoder, _variables(value.coords)), _indexes(encoder, value)]
    return close([*parts, *_extra(encoder, value, "xarray"), END])


def _dataset(encoder: Encoder, value: Any) -> bytes:
    parts = [b"@dataset:", _named(encoder, _variables(value.data_vars)), _named(encoder, _variables(value.coords))]
    parts += [_indexes(encoder, value), encoder.pairs(b"d", value.attrs.items())]
    parts.append(encoder.pairs(b"d", value.encoding.items()))
    return close([*parts, *_extra(encoder, value, "xarray"), END])


def _variables(values: Any) -> Iterable[tuple[Any, Any]]:
    return ((name, values[name].variable) for name in values)


def _named(encoder: Encoder, pairs: Iterable[tuple[Any, Any]]) -> bytes:
    encoder.mutable = True
    return encoder.pairs(b"d", pairs)


def _indexes(encoder: Encoder, value: Any) -> bytes:
    return encoder.pairs(b"d", ((name, type(index).__qualname__) for name, index in value.xindexes.items()))


def _extra(encoder: Encoder, value: Any, library: str) -> list[bytes]:
    kind = type(value)
    if kind.__module__.partition(".")[0] == library:
        return [encoder.form(kind)]
    return [encoder.form(kind), instances.own_fields(encoder, value)]
