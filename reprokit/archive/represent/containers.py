"""Builtin containers, and strings too long to be repeated."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

from reprokit.archive import form
from reprokit.archive.form import Form, Split
from reprokit.archive.graph import ATOMS, is_atom
from reprokit.archive.represent.registry import exactly

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.archive.draft import Draft


@exactly(str, bytes)
def _of_text(draft: Draft, obj: Any) -> Form:
    """Long ones; short ones are atoms."""
    return form.text(repr(obj))


@exactly(list)
def _of_list(draft: Draft, obj: list[Any]) -> Form:
    return form.sequence("[", obj, "]", lambda: split_sequence(obj, "[]", "extend"))


def split_sequence(obj: Any, empty: str, method: str) -> Split:
    """Make something empty first, then hand it all its parts at once."""
    pieces = ("", f".{method}([", *[", "] * (len(obj) - 1), "])")
    return Split(form.text(empty), [Form("call", pieces, [obj, *obj])] if len(obj) else [])


@exactly(tuple)
def _of_tuple(draft: Draft, obj: tuple[Any, ...]) -> Form:
    if not obj:
        return form.text("()", cheap=True)
    return form.sequence("(", obj, ",)" if len(obj) == 1 else ")")


@exactly(dict)
def _of_dict(draft: Draft, obj: dict[Any, Any]) -> Form:
    return Form("mapping", ("{", "}"), pairs(obj), split=lambda: split_dict(obj, "{}"))


def pairs(obj: Any) -> list[Any]:
    """Keys and values in turns."""
    return list(chain.from_iterable(obj.items()))


def split_dict(obj: Any, empty: str | Form) -> Split:
    """Make a mapping empty first, then put its items in."""
    children = [obj, *pairs(obj)]
    pieces = ["", ".update({"]
    for _ in range(len(obj)):
        pieces += [": ", ", "]
    pieces[-1] = "})"
    begin = form.text(empty) if isinstance(empty, str) else empty
    return Split(begin, [Form("call", tuple(pieces), children)] if obj else [], late=True)


@exactly(set)
def _of_set(draft: Draft, obj: set[Any]) -> Form:
    if not obj:
        return form.text(f"{draft.use('builtins', 'set')}()")
    members = in_order(draft, obj)
    return form.sequence("{", members, "}", lambda: split_set(draft, obj, members))


def split_set(draft: Draft, obj: Any, members: list[Any]) -> Split:
    """Make a set empty first."""
    pieces = ("", ".update([", *[", "] * (len(members) - 1), "])")
    return Split(form.text(f"{draft.use('builtins', 'set')}()"), [Form("call", pieces, [obj, *members])], late=True)


@exactly(frozenset)
def _of_frozenset(draft: Draft, obj: frozenset[Any]) -> Form:
    name = draft.use("builtins", "frozenset")
    return form.sequence(f"{name}([", in_order(draft, obj), "])") if obj else form.text(f"{name}()")


@exactly(bytearray)
def _of_bytearray(draft: Draft, obj: bytearray) -> Form:
    return form.text(f"{draft.use('builtins', 'bytearray')}({bytes(obj)!r})")


@exactly(range)
def _of_range(draft: Draft, obj: range) -> Form:
    ends = [obj.start, obj.stop] if obj.step == 1 else [obj.start, obj.stop, obj.step]
    return form.text(f"{draft.use('builtins', 'range')}({', '.join(map(draft.atom, ends))})")


@exactly(slice)
def _of_slice(draft: Draft, obj: slice) -> Form:
    return form.call(draft.use("builtins", "slice"), [obj.start, obj.stop, obj.step])


def in_order(draft: Draft, obj: Iterable[Any]) -> list[Any]:
    """Sort the members of a set by what they are, never by hash or address."""
    members = list(obj)
    kinds = set(map(type, members))
    if len(kinds) == 1 and kinds <= {str, int, bytes}:
        return sorted(members)
    return sorted(members, key=lambda one: _key(draft, one))


def _key(draft: Draft, obj: Any) -> tuple[str, str]:
    cls = type(obj)
    spare = draft.spare()
    if cls in ATOMS and is_atom(obj):
        return cls.__name__, spare.atom(obj)
    from reprokit.archive.emit import standalone

    return f"{cls.__module__}.{cls.__qualname__}", standalone(spare, obj)
