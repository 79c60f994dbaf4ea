"""Any other object: its class, and its state as pickling would take it."""

from __future__ import annotations

import copyreg
import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from reprokit.capture.values.plain import END, close, text
from reprokit.capture.values.unknown import Refused, full_name

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder

# A value that a class extends, past what its methods say.  (A bool cannot be extended.)
_EXTENDED: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    complex: lambda value: complex(complex.__pos__(value)),
    str: str.__str__,
    bytes: lambda value: bytes.__getitem__(value, slice(None)),
    bytearray: lambda value: bytearray.__getitem__(value, slice(None)),
    tuple: lambda value: tuple.__getitem__(value, slice(None)),
    list: lambda value: list.__getitem__(value, slice(None)),
    dict: lambda value: dict(dict.items(value)),
    set: lambda value: frozenset(set.__iter__(value)),
    frozenset: lambda value: frozenset(frozenset.__iter__(value)),
}
_FIXED = (int, float, complex, str, bytes, tuple, frozenset)
# Classes whose instances nothing changes; what they hold tells for itself.
_FROZEN = frozenset({
    "datetime.date", "datetime.datetime", "datetime.time", "datetime.timedelta", "datetime.timezone", "decimal.Decimal",
    "uuid.UUID", "ipaddress.IPv4Address", "ipaddress.IPv6Address", "operator.itemgetter", "operator.attrgetter",
    "operator.methodcaller", "types.GenericAlias", "pandas.Timestamp", "pandas.Timedelta", "pandas.Period",
    "pandas._libs.tslibs.timestamps.Timestamp", "pandas._libs.tslibs.timedeltas.Timedelta",
    "pandas._libs.tslibs.period.Period", "pandas._libs.tslibs.nattype.NaTType", "pandas._libs.missing.NAType",
    "pandas.api.typing.NaTType", "pandas.api.typing.NAType",
})  # fmt: skip
_NEW: Any = copyreg.__newobj__  # type: ignore[attr-defined,unused-ignore]
_DEFAULT: Any = object.__getstate__
_CACHED_HASH = "_attrs_cached_hash"  # of attrs: it differs with the hash seed


def instance(encoder: Encoder, value: Any) -> bytes:
    """Encode an object by its class, and what its ``__reduce_ex__`` gives."""
    kind = type(value)
    if kind is object:
        return _sentinel(value)
    frozen = False
    reduced = None
    extended = next((base for base in kind.__mro__ if base.__module__ in ("builtins", "collections")), object)
    plain = _EXTENDED.get(extended)
    if plain is None or _reduces_itself(kind, extended):
        reduced = _reduce(kind, value)
        if isinstance(reduced, str) and callable(value):
            return encoder.named(b"g", value, getattr(value, "__module__", None), reduced)
    parts = [b"o", encoder.kind(kind)]
    if plain is not None:
        parts.append(close([b"@extends:", _content(encoder, plain(value)), END]))
        frozen = extended in _FIXED and kind.__dictoffset__ == 0
    if reduced is not None:
        parts.append(_reduced(encoder, value, reduced))
        frozen = frozen or full_name(kind) in _FROZEN
    outside = kind.__module__.partition(".")[0] not in sys.stdlib_module_names
    if plain is not None or (outside if isinstance(reduced, str) else not _has_own_reduction(kind)):
        parts.append(own_fields(encoder, value))
    encoder.mutable = encoder.mutable or not frozen
    parts.append(END)
    return close(parts)


def _content(encoder: Encoder, content: Any) -> bytes:
    """Encode a copy of a container that lives only here, so that it is kept under no id."""
    kind = type(content)
    if kind is dict:
        return encoder.pairs(b"d", content.items())
    if kind is frozenset:
        return encoder.members(b"Z", content)
    return encoder.sequence(b"t", content) if kind in (tuple, list) else encoder.value(content)


def _reducers(kind: type) -> list[type]:
    """Give the classes that say how instances are pickled."""
    names = ("__reduce_ex__", "__reduce__", "__getstate__")
    return [next(base for base in kind.__mro__ if name in base.__dict__) for name in names]


def _reduces_itself(kind: type, extended: type) -> bool:
    """Tell whether pickling takes more than what a built-in value holds: `time.struct_time` has hidden fields."""
    return _registered(kind) is not None or any(one not in (object, extended) for one in _reducers(kind))


def _has_own_reduction(kind: type) -> bool:
    """Tell whether a class from outside the standard library says how its instances are pickled."""
    return _registered(kind) is not None or any(
        one.__module__.partition(".")[0] not in sys.stdlib_module_names for one in _reducers(kind)
    )


def _registered(kind: type) -> Any:
    """Give the function that is registered for pickling a class; for exceptions that is one that takes the traceback along."""
    return None if issubclass(kind, BaseException) else copyreg.dispatch_table.get(kind)


def _reduce(kind: Any, value: Any) -> str | tuple[Any, ...]:
    reducer = _registered(kind)
    try:
        reduced: Any = reducer(value) if reducer is not None else kind.__reduce_ex__(value, 4)
    except Exception as error:
        raise Refused(kind, f"has no state that could be read ({type(error).__name__}: {error})") from error
    if not isinstance(reduced, str) and not (isinstance(reduced, tuple) and 2 <= len(reduced) <= 6):
        raise Refused(kind, "has a __reduce_ex__ that gives no reduction")
    return reduced


def _reduced(encoder: Encoder, value: Any, reduced: str | tuple[Any, ...]) -> bytes:
    kind: Any = type(value)
    if isinstance(reduced, str):  # a singleton, which pickling finds by its name
        return close([b"@global:", text(str(getattr(value, "__module__", None))), text(reduced), END])
    make: Any
    args: Any
    make, args, state, items, pairs, fill = (*reduced, None, None, None, None)[:6]
    if type(state) is dict and not state and issubclass(kind, BaseException):
        state = None  # whether an exception has an empty dict yet depends on who looked
    parts = [b"@reduced:", encoder.value(make)]
    parts.append(encoder.sequence(b"t", args, ".__reduce_ex__(4)[1][{}]"))
    if state is not None and not (make is _NEW and kind.__getstate__ is _DEFAULT):
        parts.append(_state(encoder, kind, state))
    if items is not None:
        parts.append(encoder.sequence(b"l", items))
    if pairs is not None:
        parts.append(encoder.pairs(b"d", pairs))
    if fill is not None:
        parts.append(encoder.value(fill))
    parts.append(END)
    return close(parts)


def _state(encoder: Encoder, kind: type, state: Any) -> bytes:
    if type(state) is not dict:
        return encoder.value(state)
    remembered = _remembered(kind)
    inner = state.get("__dict__")  # pydantic's
    if remembered and type(inner) is dict:
        state = {**state, "__dict__": {name: held for name, held in inner.items() if name not in remembered}}
    return encoder.pairs(b"d", ((name, held) for name, held in state.items() if name not in remembered), True)


def own_fields(encoder: Encoder, value: Any, beyond: type = object) -> bytes:
    """Encode the attributes of an instance and its slots, up to those of a base, read past all of its own methods."""
    kind = type(value)
    held = _dict_of(value)
    remembered = _remembered(kind) if held else frozenset()
    parts = [encoder.pairs(b"d", ((name, one) for name, one in held.items() if name not in remembered), True)]
    slots = list(_slots(value, beyond))
    if slots:
        parts.append(encoder.pairs(b"d", slots, True))
    return close([b"@fields:", *parts, END])


def _dict_of(value: Any) -> dict[str, Any]:
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held if isinstance(held, dict) else {}


def _slots(value: Any, beyond: type) -> Iterator[tuple[str, Any]]:
    for base in type(value).__mro__:
        if issubclass(beyond, base) or (
            beyond is not object and issubclass(base, beyond) and base.__module__ == beyond.__module__
        ):
            continue
        if "__slots__" not in base.__dict__:
            continue
        for name, slot in base.__dict__.items():
            if type(slot) is types.MemberDescriptorType:
                try:
                    yield f"{base.__qualname__}.{name}", slot.__get__(value)
                except AttributeError:
                    continue


def _remembered(kind: type) -> frozenset[str]:
    names = {
        name for base in kind.__mro__ for name, one in base.__dict__.items() if type(one) is functools.cached_property
    }
    return frozenset((*names, _CACHED_HASH))


def _sentinel(value: object) -> bytes:
    """Encode a bare ``object()`` by the variables of modules that hold it: all that sets it apart is that it is none else."""
    found = {
        f"{'__main__' if name == '__mp_main__' else name}.{variable}"
        for name, module in list(sys.modules.items())
        if isinstance(module, types.ModuleType)
        for variable, held in list(vars(module).items())
        if held is value
    }
    if not found:
        raise Refused(object, "is an object() that no module holds under a name; use None or a member of an Enum")
    return close([b"@sentinel:", *map(text, sorted(found)), END])
