"""Classes derived from builtin types: made by the base type, so that no constructor of theirs runs unasked."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

from reprokit.archive import form
from reprokit.archive.form import Form, Split
from reprokit.archive.represent.containers import in_order, pairs
from reprokit.archive.represent.records import state_of
from reprokit.archive.represent.references import reference
from reprokit.archive.represent.standard import state_fills

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft

_MUTABLE: dict[type, str] = {
    collections.OrderedDict: "update",
    dict: "update",
    list: "extend",
    set: "update",
    bytearray: "extend",
}
_IMMUTABLE = (tuple, frozenset, int, float, complex, str, bytes)


def for_subclass(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent instances of classes that are derived from one builtin type."""
    if cls.__repr__ not in {base.__repr__ for base in (*_MUTABLE, *_IMMUTABLE, object)} and _constructor(cls) is None:
        return None
    for base in (*_MUTABLE, *_IMMUTABLE):
        if issubclass(cls, base):
            return _of_mutable if base in _MUTABLE else _of_immutable
    return None


def _constructor(cls: Any) -> type | None:
    """Give the builtin type whose constructor a class has unchanged."""
    bases: tuple[Any, ...] = (*_MUTABLE, *_IMMUTABLE)
    for base in bases:
        if issubclass(cls, base):
            same = cls.__new__ is base.__new__ and cls.__init__ is base.__init__
            return base if same else None
    return None


def _base(obj: Any) -> type:
    return next(base for base in (*_MUTABLE, *_IMMUTABLE) if isinstance(obj, base))


def _of_immutable(draft: Draft, obj: Any) -> Form:
    base = _base(obj)
    cls = reference(draft, type(obj))
    state = state_of(obj)
    value: Any = (
        in_order(draft, obj) if base is frozenset else base.__new__(base, obj) if base is not tuple else tuple(obj)
    )
    if base is tuple:
        value = list(obj)
    simple = _constructor(type(obj)) is not None
    if simple and not state:
        return form.call(cls, [value])
    maker = f"{draft.use('builtins', base.__name__)}.__new__"
    begin = Form("call", (f"{maker}({cls}, ", ")"), [value])
    if not state:
        return begin
    return Form("split", (), split=lambda: Split(begin, state_fills(draft, obj, state)))


def _of_mutable(draft: Draft, obj: Any) -> Form:
    base = _base(obj)
    cls = reference(draft, type(obj))
    state = state_of(obj)
    simple = _constructor(type(obj)) is not None
    begin = form.text(f"{cls}()" if simple else f"{_use(draft, base)}.__new__({cls})")
    if base is bytearray:
        content: list[Any] = [bytes(obj)]
        opening, closing, kind = "", "", "sequence"
    elif issubclass(base, dict):
        content, opening, closing, kind = pairs(obj), "{", "}", "mapping"
    else:
        content = in_order(draft, obj) if base is set else list(list.__iter__(obj))
        opening, closing, kind = "[", "]", "sequence"

    def split() -> Split:
        method = f"{_use(draft, base)}.{_MUTABLE[base]}"
        seps = [", "] * len(content)
        if kind == "mapping":
            seps[::2] = [": "] * (len(content) // 2)
        if seps:
            seps[-1] = ""
        fills = (
            [Form("call", (f"{method}(", f", {opening}", *seps[:-1], f"{closing})"), [obj, *content])]
            if content
            else []
        )
        return Split(begin, [*fills, *state_fills(draft, obj, state)], late=base not in (list, bytearray))

    if state or not simple:
        return Form("split", (), split=split)
    if not content:
        return form.text(f"{cls}()")
    return Form(kind, (f"{cls}({opening}", f"{closing})"), content, depth=2, split=split)


def _use(draft: Draft, base: type) -> str:
    return draft.use(base.__module__, base.__name__)
