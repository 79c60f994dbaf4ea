"""Named tuples, dataclasses and attrs classes."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from reprokit.archive import form
from reprokit.archive.form import Form, Split
from reprokit.archive.graph import UnsupportedError
from reprokit.archive.represent.references import reference
from reprokit.archive.represent.standard import state_fills

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft


def for_record(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent named tuples, dataclasses and attrs classes."""
    if issubclass(cls, tuple) and hasattr(cls, "_fields") and cls.__new__.__qualname__.endswith("__new__"):
        return _of_namedtuple if cls.__init__ is tuple.__init__ and _plain_namedtuple(cls) else None
    if dataclasses.is_dataclass(cls):
        return _of_dataclass
    if "__attrs_attrs__" in cls.__dict__:
        return _of_attrs
    return None


def _plain_namedtuple(cls: Any) -> bool:
    """Whether the constructor is the one that namedtuple made, and there are no attributes beside the fields."""
    makers = [base for base in cls.__mro__ if "__new__" in base.__dict__]
    return "_fields" in makers[0].__dict__ and makers[0].__new__.__code__.co_filename.startswith("<")


def _of_namedtuple(draft: Draft, obj: Any) -> Form:
    name = reference(draft, type(obj))
    if getattr(obj, "__dict__", None):
        raise UnsupportedError(f"{name[1:]} is a named tuple with attributes of its own; give it get_persistent_rep")
    return form.call(name, (), dict(zip(obj._fields, obj, strict=True)))


def state_of(obj: Any) -> dict[str, Any]:
    """Give all attributes that an instance has: of its slots, then of its ``__dict__``."""
    found: dict[str, Any] = {}
    for cls in reversed(type(obj).__mro__):
        slots = cls.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else tuple(slots):
            if slot in ("__dict__", "__weakref__"):
                continue
            name = f"_{cls.__name__.lstrip('_')}{slot}" if slot.startswith("__") and not slot.endswith("__") else slot
            try:
                found[name] = cls.__dict__[name].__get__(obj)
            except (AttributeError, KeyError):  # not set
                continue
    found.update(getattr(obj, "__dict__", {}))
    return found


def two_steps(draft: Draft, obj: Any, state: dict[str, Any] | None = None) -> Split:
    """Make an instance without its constructor, then set what it has."""
    begin = form.text(f"{draft.use('builtins', 'object')}.__new__({reference(draft, type(obj))})")
    return Split(begin, state_fills(draft, obj, state_of(obj) if state is None else state), late=False)


def by_state(draft: Draft, obj: Any) -> Form:
    """Make an instance in two steps always."""
    reference(draft, type(obj))
    return Form("split", (), split=lambda: two_steps(draft, obj))


@functools.cache
def _dataclass_arguments(cls: Any) -> tuple[str, ...] | None:
    """Give the fields by which the constructor makes an equal instance; None if it does more than set fields."""
    fields = dataclasses.fields(cls)
    code = getattr(cls.__init__, "__code__", None)
    made_here = code is not None and code.co_filename.startswith("<")  # not written by hand
    sets_only = cls.__setattr__ is object.__setattr__ or cls.__dataclass_params__.frozen
    # what is only handed to __post_init__ is a field of another kind
    hands_over = len(cls.__dataclass_fields__) > len(fields) + sum(
        str(field.type).startswith(("ClassVar", "typing.ClassVar")) for field in cls.__dataclass_fields__.values()
    )
    has_new = any("__new__" in base.__dict__ for base in cls.__mro__[:-1])
    after = hasattr(cls, "__post_init__")
    if after or hands_over or has_new or not (made_here and sets_only and all(field.init for field in fields)):
        return None
    return tuple(field.name for field in fields)


def _of_dataclass(draft: Draft, obj: Any) -> Form:
    cls: Any = type(obj)
    names = _dataclass_arguments(cls)
    state = state_of(obj)
    if names is None or set(names) != set(state):
        return by_state(draft, obj)
    values = {name: state[name] for name in names}
    return form.call(reference(draft, type(obj)), (), values, split=lambda: two_steps(draft, obj, values))


@functools.cache
def _attrs_arguments(cls: Any) -> tuple[tuple[str, str], ...] | None:
    own = cls.__init__
    code = getattr(own, "__code__", None)
    if (
        any(hasattr(cls, name) for name in ("__attrs_post_init__", "__attrs_pre_init__"))
        or not all(one.init and one.converter is None for one in cls.__attrs_attrs__)
        or code is None
        or not code.co_filename.startswith("<attrs generated")
    ):
        return None
    return tuple((one.name, one.alias or one.name.lstrip("_")) for one in cls.__attrs_attrs__)


def _of_attrs(draft: Draft, obj: Any) -> Form:
    cls: Any = type(obj)
    names = _attrs_arguments(cls)
    state = {name: value for name, value in state_of(obj).items() if name != "__weakref__"}
    if names is None or {name for name, _ in names} != set(state):
        return by_state(draft, obj)
    values = {alias: state[name] for name, alias in names}
    return form.call(
        reference(draft, type(obj)),
        (),
        values,
        split=lambda: two_steps(draft, obj, {name: state[name] for name, _ in names}),
    )
