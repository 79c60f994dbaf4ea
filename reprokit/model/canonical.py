"""The canonical form of a configuration, and its hash.

The form is the canonical JSON of RFC 8785; the hash is its SHA-256.  Equal hashes mean equal configurations, in every
process, on every machine, in every language.  What canonical JSON has no word for is written as an object with one key
that begins with ``$reprokit:``; a mapping of the user's own that has such a key is escaped (``$reprokit:mapping``).
"""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import math
import pathlib
import sys
import types
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from typing import Any

import rfc8785

from reprokit.errors import ConfigError
from reprokit.model import canonical_arrays
from reprokit.model.canonical_arrays import TAG

_SAFE = 2**53 - 1  # largest integer that every JSON reader keeps exactly
_DEEPEST = 200
_TOO_DEEP = "it is nested too deep for the calls that are open here"
_PLAIN_BITS = 2048  # of integers that every interpreter writes in decimal; its limit differs between processes
_DECIMAL_BITS = 14_285  # beyond, there are more than 4300 digits


def config_hash(value: Any) -> str:
    """Give the 64 hex digits of a configuration's hash; None is the empty configuration.

    Raises
    ------
    ConfigError
        When something in it has no canonical form; the message names the place.
    """
    return hash_of_plain(plain({} if value is None else value))


def hash_of_plain(value: Any) -> str:
    """Give the hash of a configuration that `plain` has been applied to."""
    return hashlib.sha256(_written(value)).hexdigest()


def canonical(value: Any, *, place: str = "config") -> bytes:
    """Give the canonical JSON (RFC 8785) of a configuration.

    Raises
    ------
    ConfigError
        When something in it has no canonical form; the message names the place.
    """
    return _written(plain({} if value is None else value, place), place)


def _written(value: Any, place: str = "config") -> bytes:
    try:
        return rfc8785.dumps(value)
    except RecursionError:
        raise ConfigError(place, _TOO_DEEP) from None


def plain(value: Any, place: str = "config") -> Any:
    """Turn a configuration into what JSON can hold, with tagged objects for the rest.

    The result is hashed as it is: `plain` is not applied to its own result, which would escape the tags.

    Raises
    ------
    ConfigError
        When something in it has no such form; the message names the place.
    """
    try:
        return _Walk().plain(value, place)
    except RecursionError:  # the caller was deep in calls already
        raise ConfigError(place, _TOO_DEEP) from None


class _Walk:
    """One walk through a configuration: knows which containers it is in, to see cycles."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: set[int] = set()

    def plain(self, value: Any, place: str) -> Any:
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return value if value.isascii() else _text(value)
        if kind is int:
            return value if -_SAFE <= value <= _SAFE else {f"{TAG}int": _digits(value)}
        if kind is float:
            return _float(value)
        if id(value) in self._open:
            raise ConfigError(place, "it contains itself; a config has to be a tree")
        if len(self._open) >= _DEEPEST:
            raise ConfigError(place, f"it is nested more than {_DEEPEST} deep")
        self._open.add(id(value))
        try:
            if kind is dict:
                return self._mapping(value, place)
            if kind is list or kind is tuple:
                return [self.plain(item, f"{place}[{i}]") for i, item in enumerate(value)]
            return self._other(value, place)
        finally:
            self._open.discard(id(value))

    def _mapping(self, value: Mapping[Any, Any], place: str) -> Any:
        if all(type(key) is str and key.isascii() for key in value):
            made = {key: self.plain(item, f"{place}[{key!r}]") for key, item in value.items()}
            if not any(key.startswith(TAG) for key in made):
                return made
        pairs = []
        for key, item in value.items():
            where = f"{place}[{key!r}]" if isinstance(key, (str, int, float, bool, type(None))) else f"{place}[<key>]"
            pairs.append([self.plain(key, where), self.plain(item, where)])
        if all(isinstance(key, str) and not key.startswith(TAG) for key, _ in pairs):
            made = dict(pairs)
            if len(made) == len(pairs):
                return made
        written = {rfc8785.dumps(key): [key, item] for key, item in pairs}
        if len(written) < len(pairs):
            raise ConfigError(place, "two of its keys are written alike (two NaN, say); give each a name of its own")
        return {f"{TAG}mapping": [written[key] for key in sorted(written)]}

    def _other(self, value: Any, place: str) -> Any:
        if isinstance(value, enum.Enum):
            return {f"{TAG}enum": [type(value).__qualname__, value.name or self.plain(value.value, place)]}
        for kind, name, form in _SCALARS:
            if isinstance(value, kind):
                return {f"{TAG}{name}": form(value)}
        for module, late in _LATE:
            if module in sys.modules and isinstance(value, getattr(sys.modules[module], late)):
                return {f"{TAG}{late.lower()}": str(value)}
        if isinstance(value, (bool, int, float, str)):  # subclasses: the value counts
            base: Any = next(t for t in (int, float, str) if isinstance(value, t))
            convert: Any = {int: int.__int__, float: float.__float__, str: str.__str__}[
                base
            ]  # never the subclass's own
            return self.plain(convert(value), place)
        if isinstance(value, AbstractSet):
            items = [self.plain(item, f"{place}[<item>]") for item in value]
            return {f"{TAG}set": sorted(items, key=rfc8785.dumps)}
        if isinstance(value, range):
            return {f"{TAG}range": [value.start, value.stop, value.step]}
        if "numpy" in sys.modules and canonical_arrays.is_one(value):
            return canonical_arrays.form(value, lambda part, inside: self.plain(part, place + inside))
        return self._model(value, place)

    def _model(self, value: Any, place: str) -> Any:
        try:
            opened = _opened(value)
        except Exception as error:  # a field that was never set, an interpolation that leads nowhere
            raise ConfigError(place, f"its fields cannot be read: {' '.join(str(error).split())}") from error
        if opened is not None:
            return self.plain(opened, place)
        if isinstance(value, Mapping):
            return self._mapping(value, place)
        if isinstance(value, (list, tuple)):
            return [self.plain(item, f"{place}[{i}]") for i, item in enumerate(value)]
        kind = type(value)
        raise ConfigError(
            place,
            f"{kind.__module__}.{kind.__qualname__} has no canonical form; "
            "use plain values, a dataclass or a mapping there, or leave it out",
        )


def _text(value: str) -> Any:
    try:
        value.encode()
    except UnicodeEncodeError:  # lone surrogates: names of files that are no UTF-8
        return {f"{TAG}text": value.encode("utf-8", "surrogatepass").hex()}
    return value


def _digits(value: int) -> str:
    """Write an integer in decimal up to 4300 digits, else in hex, whatever limit the interpreter was given."""
    if value.bit_length() <= _PLAIN_BITS:
        return str(value)
    if value.bit_length() > _DECIMAL_BITS or abs(value) >= 10**4300:
        return hex(value)
    parts = []
    rest = abs(value)
    while rest:
        rest, low = divmod(rest, 10**500)
        parts.append(f"{low:0500d}")
    return ("-" if value < 0 else "") + "".join(reversed(parts)).lstrip("0")


def _float(value: float) -> Any:
    if math.isnan(value):
        return {f"{TAG}float": "nan"}
    if math.isinf(value):
        return {f"{TAG}float": "inf" if value > 0 else "-inf"}
    if value == 0.0 and math.copysign(1.0, value) < 0:
        return {f"{TAG}float": "-0.0"}
    return value


def _nanoseconds(value: dt.timedelta) -> list[int]:
    found = getattr(value, "nanoseconds", 0)  # pandas counts them as well
    return [int(found)] if found else []


_SCALARS: tuple[tuple[type | tuple[type, ...], str, Any], ...] = (
    (pathlib.PurePath, "path", lambda v: _text(v.as_posix())),
    (dt.datetime, "datetime", lambda v: v.isoformat()),
    (dt.date, "date", lambda v: v.isoformat()),
    (dt.time, "time", lambda v: v.isoformat()),
    (dt.timedelta, "timedelta", lambda v: [v.days, v.seconds, v.microseconds, *_nanoseconds(v)]),
    ((bytes, bytearray), "bytes", lambda v: bytes(v).hex()),
    (complex, "complex", lambda v: [_float(v.real), _float(v.imag)]),
)
# Types of modules that need not be loaded: where they are not, no value can be one.
_LATE = (("decimal", "Decimal"), ("fractions", "Fraction"), ("uuid", "UUID"))


def _opened(value: Any) -> Any:
    """Give the fields of a model, or None when it is no model."""
    if isinstance(value, type):
        return None
    argparse = sys.modules.get("argparse")
    if isinstance(value, types.SimpleNamespace) or (argparse is not None and isinstance(value, argparse.Namespace)):
        return dict(vars(value))
    if is_dataclass(value):
        return {f.name: getattr(value, f.name) for f in fields(value)}
    if hasattr(type(value), "__attrs_attrs__"):
        return {a.name: getattr(value, a.name) for a in type(value).__attrs_attrs__}
    if hasattr(type(value), "__struct_fields__"):  # msgspec
        return {name: getattr(value, name) for name in type(value).__struct_fields__}
    if hasattr(type(value), "model_fields"):  # pydantic
        extra = getattr(value, "model_extra", None) or {}
        return {**{name: getattr(value, name) for name in type(value).model_fields}, **extra}
    if hasattr(type(value), "__fields__") and hasattr(value, "dict"):  # pydantic 1
        return value.dict()
    omegaconf = sys.modules.get("omegaconf")
    if omegaconf is not None and isinstance(value, omegaconf.Container):
        return omegaconf.OmegaConf.to_container(value, resolve=True)
    return None
