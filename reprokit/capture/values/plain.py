"""The encoding, and plain values in it.

Each encoding starts with a tag of one byte and tells its own end: by a fixed length, a length written in front, or an
end mark (``e``, which no encoding starts with).  So a sequence of encodings is read in one way only, and two different
values never meet by concatenation.  An encoding longer than `INLINE` bytes is replaced by ``D`` and its SHA-256: what
is shared by many parts of a value is then encoded once, and no encoding is ever copied through many levels.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any

INLINE = 256  # bytes
END = b"e"
_BATCH = 4096  # parts that are joined at a time
_FLAT = 32  # items of a container that is tried without an encoder
_double = struct.Struct(">d").pack


def text(value: str) -> bytes:
    """Encode text; lone surrogates too."""
    return counted(b"s", value.encode("utf-8", "surrogatepass"))


def counted(tag: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """Encode bytes under a tag."""
    size = len(data)
    if size <= INLINE:
        return b"%b%d:%b" % (tag, size, bytes(data))
    state = sha256(b"%b%d:" % (tag, size))
    state.update(data)
    return b"D" + state.digest()


def number(value: int) -> bytes:
    """Encode an integer of any size (decimal digits have a limit in CPython, hexadecimal ones have none)."""
    return b"i%x;" % value if -(2**63) <= value < 2**63 else close([b"i", hex(value).encode(), b";"])


def _complex(value: complex) -> bytes:
    return b"c" + _double(value.real) + _double(value.imag)


ATOMS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"N",
    bool: lambda value: b"T" if value else b"F",
    int: number,
    float: lambda value: b"f" + _double(value),
    complex: _complex,
    str: text,
    bytes: lambda value: counted(b"b", value),
    type(...): lambda _: b".",
    type(NotImplemented): lambda _: b"!",
}


class Sink:
    """Takes the parts of one encoding, and keeps no more than some thousand of them."""

    __slots__ = ("_state", "parts")

    def __init__(self, tag: bytes) -> None:
        self.parts = [tag]
        self._state: Any = None

    def spill(self) -> None:
        """Digest what there is, when that is much."""
        if len(self.parts) >= _BATCH:
            if self._state is None:
                self._state = sha256()
            self._state.update(b"".join(self.parts))
            self.parts.clear()

    def close(self) -> bytes:
        """Give the encoding."""
        if self._state is None:
            return close(self.parts)
        self._state.update(b"".join(self.parts))
        return b"D" + bytes(self._state.digest())


def close(parts: Iterable[bytes]) -> bytes:
    """Join the parts of one encoding."""
    data = b"".join(parts)
    return data if len(data) <= INLINE else b"D" + sha256(data).digest()


def flat(value: Any) -> bytes | None:
    """Encode a small container of atoms, as the encoder does; None for any other value."""
    kind = type(value)
    if kind is dict:
        if len(value) > _FLAT:
            return None
        parts = [b"d"]
        for key, item in value.items():
            first, second = ATOMS.get(type(key)), ATOMS.get(type(item))
            if first is None or second is None:
                return None
            parts += (first(key), second(item))
    elif kind is tuple or kind is list:
        if len(value) > _FLAT:
            return None
        parts = [b"l" if kind is list else b"t"]
        for item in value:
            first = ATOMS.get(type(item))
            if first is None:
                return None
            parts.append(first(item))
    else:
        return None
    parts.append(END)
    return close(parts)
