"""As much of Thrift's compact protocol as it takes to find the fields of a struct and leave them as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

LIST = 9
_TRUE, _FALSE, _BYTE, _I16, _I64, _DOUBLE, _BINARY, _SET, _MAP, _STRUCT, _UUID = 1, 2, 3, 4, 6, 7, 8, 10, 11, 12, 13
_DEEPEST = 32  # Parquet's own structs nest to eight
_SIZES = {_BYTE: 1, _DOUBLE: 8, _UUID: 16}


class Field(NamedTuple):
    """A field of a struct."""

    number: int
    kind: int
    value: int  # where its value begins
    end: int


def fields(data: bytes) -> tuple[list[Field], int]:
    """List the fields of the struct that `data` begins with, and say where it ends.

    Raises
    ------
    ValueError, IndexError
        When it is none.
    """
    found = []
    at = number = 0
    while data[at]:
        kind, number, value = _field(data, at, number)
        at = _skip(data, value, kind, 0)
        found.append(Field(number, kind, value, at))
    return found, at + 1


def header(number: int, kind: int, last: int) -> bytes:
    """Give what stands before a field's value, when the field before it had the number `last`."""
    step = number - last
    if 0 < step < 16:
        return bytes([step << 4 | kind])
    return bytes([kind]) + _varint(number << 1 if number >= 0 else ~(number << 1))


def items(data: bytes) -> list[bytes]:
    """Take apart a list of structs."""
    count, kind, at = _list(data, 0)
    if kind != _STRUCT and count:
        raise ValueError("not a list of structs")
    found = []
    for _ in range(count):
        end = _skip(data, at, _STRUCT, 0)
        found.append(data[at:end])
        at = end
    return found


def structs(parts: Iterable[bytes]) -> bytes:
    """Put together a list of structs."""
    parts = list(parts)
    count = len(parts)
    size = bytes([count << 4 | _STRUCT]) if count < 15 else bytes([0xF0 | _STRUCT]) + _varint(count)
    return size + b"".join(parts)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _field(data: bytes, at: int, last: int) -> tuple[int, int, int]:
    byte = data[at]
    if byte >> 4:
        return byte & 15, last + (byte >> 4), at + 1
    number, at = _number(data, at + 1)
    return byte & 15, number >> 1 ^ -(number & 1), at


def _list(data: bytes, at: int) -> tuple[int, int, int]:
    byte = data[at]
    if byte >> 4 < 15:
        return byte >> 4, byte & 15, at + 1
    count, at = _number(data, at + 1)
    return count, byte & 15, at


def _skip(data: bytes, at: int, kind: int, depth: int) -> int:
    """Give where the value that begins at `at` ends."""
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    if kind in (_TRUE, _FALSE):  # of a field; in a list each takes a byte, see below
        end = at
    elif _I16 <= kind <= _I64:
        end = at
        while data[end] > 127:
            end += 1
        end += 1
    elif kind == _BINARY:
        length, end = _number(data, at)
        end += length
    elif kind == _STRUCT:
        number = 0
        while data[at]:
            inner, number, at = _field(data, at, number)
            at = _skip(data, at, inner, depth + 1)
        end = at + 1
    elif kind in (LIST, _SET):
        count, inner, end = _list(data, at)
        end = _skip_items(data, end, (inner,), count, depth)
    elif kind == _MAP:
        count, end = _number(data, at)
        if count:
            end = _skip_items(data, end + 1, (data[end] >> 4, data[end] & 15), count, depth)
    elif kind in _SIZES:
        end = at + _SIZES[kind]
    else:
        raise ValueError(f"there is no type {kind}")
    if end > len(data):
        raise IndexError("it ends too early")
    return end


def _skip_items(data: bytes, at: int, kinds: tuple[int, ...], count: int, depth: int) -> int:
    if count > len(data) - at:  # each takes a byte at least
        raise ValueError("a list longer than its bytes")
    for _ in range(count):
        for kind in kinds:
            at = at + 1 if kind in (_TRUE, _FALSE) else _skip(data, at, kind, depth + 1)
    return at
