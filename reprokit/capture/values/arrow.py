"""pyarrow: tables and arrays by what their slots hold, however they are cut into chunks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from hashlib import sha256
from importlib import import_module
from typing import TYPE_CHECKING, Any

from reprokit.capture.values.plain import END, close, text
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for a class of pyarrow's."""
    pa: Any = sys.modules["pyarrow"]
    if not hasattr(pa, "ChunkedArray"):
        return None
    if issubclass(kind, (pa.Table, pa.RecordBatch)):
        return _table
    if issubclass(kind, pa.ChunkedArray):
        return _chunked
    if issubclass(kind, pa.Array):
        return _array
    if issubclass(kind, pa.Scalar):
        return _scalar
    if issubclass(kind, pa.Schema):
        return _of_schema
    return _of_type if issubclass(kind, pa.DataType) else None


def _table(encoder: Encoder, value: Any) -> bytes:
    pa: Any = sys.modules["pyarrow"]
    encoder.mutable = True  # its buffers may be those of an array
    parts = [b"@arrow table:", b"T" if isinstance(value, pa.Table) else b"B", _schema(value.schema)]
    for number in range(value.num_columns):
        column = value.column(number)
        parts.append(_column(encoder, column.type, getattr(column, "chunks", None) or [column]))
    return close([*parts, b"%d;" % value.num_rows, END])


def _schema(value: Any) -> bytes:
    return close([b"@schema:", *map(_field, value), _metadata(value.metadata), END])


def _field(value: Any) -> bytes:
    nullable = b"T" if value.nullable else b"F"
    return close([b"@field:", text(value.name), _type(value.type), nullable, _metadata(value.metadata), END])


def _metadata(value: Any) -> bytes:
    parts = [text(part.decode("utf-8", "surrogateescape")) for pair in (value or {}).items() for part in pair]
    return close([b"d", *parts, END])


def _of_schema(encoder: Encoder, value: Any) -> bytes:
    return _schema(value)


def _of_type(encoder: Encoder, value: Any) -> bytes:
    return _type(value)


def _type(value: Any) -> bytes:
    inner = [_field(value.field(number)) for number in range(value.num_fields)]
    return close([b"@arrow type:", text(str(value)), *inner, END])


def _chunked(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    return close([b"@chunked:", _column(encoder, value.type, value.chunks), END])


def _array(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    return close([b"@arrow array:", _column(encoder, value.type, [value]), END])


def _scalar(encoder: Encoder, value: Any) -> bytes:
    pa: Any = sys.modules["pyarrow"]
    made = pa.array([value], type=value.type)
    return close([b"@arrow scalar:", _column(encoder, value.type, [made]), END])


def _column(encoder: Encoder, kind: Any, chunks: list[Any]) -> bytes:
    """Encode one column: its type, which slots are empty, and the values in the others."""
    types: Any = sys.modules["pyarrow"].types  # type: ignore[attr-defined,unused-ignore]
    size = sum(map(len, chunks))
    if types.is_union(kind):
        raise Refused(sys.modules["pyarrow"].Array, "holds a union, whose slots do not say of which type they are")  # type: ignore[attr-defined,unused-ignore]
    head = [b"@column:", _type(kind), b"%d;" % size]
    if types.is_null(kind) or not size:
        return close([*head, END])
    head.append(_digest(memoryview(chunk.is_valid().cast("uint8").buffers()[1])[: len(chunk)] for chunk in chunks))
    if types.is_dictionary(kind):
        pa: Any = sys.modules["pyarrow"]
        whole = pa.chunked_array(chunks).unify_dictionaries()
        words = whole.chunk(0).dictionary
        indices = [chunk.indices for chunk in whole.chunks]
        parts = [_column(encoder, words.type, [words]), _column(encoder, indices[0].type, indices)]
    elif types.is_boolean(kind):
        parts = [_digest(_fixed(chunk.fill_null(False).cast("uint8"), 1) for chunk in chunks)]
    elif types.is_primitive(kind):
        width = kind.bit_width // 8
        parts = [_digest(_fixed(_filled(chunk), width) for chunk in chunks)]
    elif types.is_string(kind) or types.is_binary(kind) or types.is_large_string(kind) or types.is_large_binary(kind):
        parts = [_digest(map(_lengths, chunks)), _digest(map(_letters, chunks))]
    else:
        parts = [encoder.sequence(b"l", (slot for chunk in chunks for slot in chunk.to_pylist()))]
    return close([*head, *parts, END])


def _digest(blocks: Iterable[Any]) -> bytes:
    state = sha256()
    for block in blocks:
        state.update(block)
    return b"D" + state.digest()


def _filled(chunk: Any) -> Any:
    """Write zeros where nothing is: what lies there is chance."""
    if not chunk.null_count:
        return chunk
    pa: Any = sys.modules["pyarrow"]
    plain = {8: "uint8", 16: "uint16", 32: "uint32", 64: "uint64"}[chunk.type.bit_width]
    return chunk.view(getattr(pa, plain)()).fill_null(0)


def _fixed(chunk: Any, width: int) -> memoryview:
    return memoryview(chunk.buffers()[1])[chunk.offset * width : (chunk.offset + len(chunk)) * width]


def _lengths(chunk: Any) -> memoryview:
    compute: Any = sys.modules["pyarrow.compute"] if "pyarrow.compute" in sys.modules else _compute()
    return _fixed(compute.binary_length(chunk).fill_null(0).cast("int64"), 8)


def _compute() -> Any:
    return import_module("pyarrow.compute")  # a part of what is loaded


def _letters(chunk: Any) -> memoryview:
    """Give the bytes of all texts, one after the other."""
    types: Any = sys.modules["pyarrow"].types  # type: ignore[attr-defined,unused-ignore]
    kind = chunk.type
    if chunk.null_count:
        chunk = chunk.fill_null("" if types.is_string(kind) or types.is_large_string(kind) else b"")
    _, offsets, letters = chunk.buffers()
    if letters is None:
        return memoryview(b"")
    large = types.is_large_string(kind) or types.is_large_binary(kind)
    bounds = memoryview(offsets).cast("B").cast("q" if large else "i")
    return memoryview(letters)[bounds[chunk.offset] : bounds[chunk.offset + len(chunk)]]
