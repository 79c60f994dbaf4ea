"""Digests of argument values, for a cache that never gives a wrong hit.

Two values have one digest only if a pure function cannot tell them apart by type and content; it is the same in every
process, on every machine and under every hash seed.  What does not count: who else holds a part of the value (whether
two equal parts are one object), what a `functools.cached_property` remembers, what a class leaves out when it is pickled
(``__getstate__``, ``__reduce__``: such as caches), the traceback of an exception, and whether an array in C order is a view.
What cannot be known is refused with its place, never guessed.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, NamedTuple

from reprokit.capture.values.encoder import Encoder
from reprokit.capture.values.plain import ATOMS, flat
from reprokit.capture.values.unknown import Refused, UnknownValueError

__all__ = ["Told", "UnknownValueError", "tell"]

_VERSION = b"reprokit/value/1:"


class Told(NamedTuple):
    """What there is to say of a value."""

    digest: str  # "sha256:<hex>"
    code: tuple[Any, ...]  # functions and classes that it brings along, not of the standard library; each once, as met
    mutable: bool  # it, or something in it, can be changed in place


def tell(value: object) -> Told:
    """Give the digest of a value, the code that it brings along, and whether it can be changed in place.

    Functions and classes count here by name; what they do is for the caller to digest, in the order of ``code``.

    Raises
    ------
    UnknownValueError
        When the value, or something in it, holds what nobody can read: a file, a lock, an iterator, a pointer.
    """
    kind = type(value)
    atom = ATOMS.get(kind)
    if atom is not None:
        return Told("sha256:" + sha256(_VERSION + atom(value)).hexdigest(), (), False)
    plain = flat(value)
    if plain is not None:
        return Told("sha256:" + sha256(_VERSION + plain).hexdigest(), (), kind is not tuple)
    encoder = Encoder()
    try:
        encoded = encoder.value(value)
    except Refused as refused:
        error = refused.told()
    else:
        digest = "sha256:" + sha256(_VERSION + encoded).hexdigest()
        return Told(digest, tuple(encoder.code), encoder.mutable)
    raise error
