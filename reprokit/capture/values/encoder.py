"""Walks a value and encodes it: depth, cycles, shared parts, names, and the order of what has none."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from reprokit.capture.values import kinds
from reprokit.capture.values.plain import ATOMS, END, Sink, close, text
from reprokit.capture.values.standard import is_standard
from reprokit.capture.values.unknown import Refused

_DEEPEST = 200  # levels
_TANGLED = 10_000  # times that parts of cycles are met again: the ways through a dense graph are beyond number
_OUTSIDE = sys.maxsize
_SHOWN = 40  # characters of a key in a place


class Encoder:
    """Encodes one value."""

    __slots__ = ("_again", "_kept", "_lowest", "_names", "_open", "_tangled", "_unordered", "code", "mutable")

    def __init__(self) -> None:
        self.code: list[Any] = []
        self.mutable = False
        self._open: dict[int, int] = {}  # id of what is being encoded -> its level
        self._kept: dict[int, tuple[Any, bytes]] = {}  # with the value itself, so that its id stays its own
        self._names: dict[tuple[str, str], list[Any]] = {}
        self._lowest = _OUTSIDE  # the outermost level that the part at hand refers to
        self._tangled: dict[int, Any] = {}
        self._again = 0
        self._unordered = False

    def value(self, value: Any) -> bytes:
        """Encode any value.

        Raises
        ------
        Refused
            When it cannot be known.
        """
        kind = type(value)
        atom = ATOMS.get(kind)
        if atom is not None:
            return atom(value)
        key = id(value)
        kept = self._kept.get(key)
        if kept is not None:
            return kept[1]
        level = self._open.get(key)
        if level is not None:  # a cycle
            self._lowest = min(self._lowest, level)
            return b"u%d;" % (len(self._open) - level)
        level = len(self._open)
        if level >= _DEEPEST:
            raise Refused(kind, f"is nested deeper than {_DEEPEST} levels")
        outer, self._lowest = self._lowest, _OUTSIDE
        self._open[key] = level
        try:
            encoded = kinds.find(kind)(self, value)
        except (Refused, MemoryError):
            raise
        except RecursionError:
            raise Refused(kind, "is nested too deep for the stack") from None
        except Exception as error:
            raise Refused(kind, f"could not be read ({type(error).__name__}: {error})") from error
        del self._open[key]
        if self._lowest >= level:
            self._lowest = outer
            if encoded[0] == 0x44:  # b"D": shorter ones cost little, however often they are met
                self._kept[key] = (value, encoded)
        else:
            self._lowest = min(outer, self._lowest)
            self._met_in_cycle(kind, key, value)
        return encoded

    def _met_in_cycle(self, kind: type, key: int, value: Any) -> None:
        if key not in self._tangled:
            self._tangled[key] = value
            return
        self._again += 1
        if self._again > _TANGLED:
            raise Refused(kind, "has parts that refer to one another in too many ways")

    def sequence(self, tag: bytes, values: Iterable[Any], place: str = "[{}]") -> bytes:
        """Encode values in their order."""
        sink = Sink(tag)
        parts = sink.parts
        number = 0
        try:
            for item in values:
                atom = ATOMS.get(type(item))
                parts.append(self.value(item) if atom is None else atom(item))
                number += 1
                if not number & 1023:
                    sink.spill()
        except Refused as refused:
            raise refused.inside(place.format(number)) from None
        parts.append(END)
        return sink.close()

    def pairs(self, tag: bytes, pairs: Iterable[tuple[Any, Any]], attributes: bool = False) -> bytes:
        """Encode keys and values in their order."""
        sink = Sink(tag)
        parts = sink.parts
        for number, (key, item) in enumerate(pairs, start=1):
            try:
                parts.append(self.value(key))
            except Refused as refused:
                raise refused.inside(f"{{key {number - 1}}}") from None
            try:
                parts.append(self.value(item))
            except Refused as refused:
                raise refused.inside(_place(key, number - 1, attributes)) from None
            if not number & 511:
                sink.spill()
        parts.append(END)
        return sink.close()

    def members(self, tag: bytes, values: Iterable[Any]) -> bytes:
        """Encode values that have no order: by their encodings, which are sorted."""
        kept, code, unordered = self._kept, self.code, self._unordered
        found: list[tuple[bytes, list[Any]]] = []
        try:
            for item in values:
                atom = ATOMS.get(type(item))
                if atom is not None:
                    found.append((atom(item), []))
                    continue
                # Each for itself: what one has met before must not depend on which comes first.
                self._kept, self.code, self._unordered = {}, [], True
                found.append((self.value(item), self.code))
        except Refused as refused:
            raise refused.inside("{member}") from None
        finally:
            self._kept, self.code, self._unordered = kept, code, unordered
        found.sort(key=lambda one: one[0])
        for _, brought in found:
            for one in brought:
                self._bring(one)
        return close([tag, *(one for one, _ in found), END])

    def fields(self, tag: bytes, *values: Any) -> bytes:
        """Encode the parts of a value of a known kind: no containers of the user, so nothing of them counts as mutable."""
        return close([tag, *map(self.value, values), END])

    def _bring(self, one: Any) -> None:
        if not any(one is known for known in self.code):
            self.code.append(one)

    def named(self, tag: bytes, value: Any, module: object, name: object) -> bytes:
        """Encode a function or class by its name, and bring it along unless it is of the standard library.

        Several of one name are numbered as they are met, for two functions that one factory made may do different things.
        """
        module = "__main__" if module == "__mp_main__" else module if isinstance(module, str) else ""
        name = name if isinstance(name, str) else ""
        if is_standard(value, module, name):
            return close([tag, text(_moved(module)), text(name), END])
        known = self._names.setdefault((module, name), [])
        number = next((number for number, one in enumerate(known) if one is value), len(known))
        if number and self._unordered:
            raise Refused(type(value), f"is one of several {module}.{name}, and a set has no order to tell them apart")
        if number == len(known):
            known.append(value)
        self._bring(value)
        return close([tag, text(module), text(name), b"%d;" % number, END])

    def kind(self, value: type) -> bytes:
        """Encode a class."""
        get = type.__getattribute__
        return self.named(b"C", value, get(value, "__module__"), get(value, "__qualname__"))

    def form(self, value: type) -> bytes:
        """Encode the class of data whose form is known: a library's own says what the data is, and is no code to follow."""
        module = type.__getattribute__(value, "__module__")
        if isinstance(module, str) and module.partition(".")[0] in kinds.LIBRARIES:
            return close([b"L", text(module), text(value.__qualname__), END])
        return self.kind(value)


def _moved(module: str) -> str:
    return "pathlib" if module.startswith("pathlib.") else module  # CPython 3.13 alone has pathlib._local


def _place(key: Any, number: int, attributes: bool) -> str:
    if type(key) is str and attributes and key.isidentifier():
        return f".{key}"
    if type(key) in (str, int, bool, float, bytes) and len(shown := repr(key)) <= _SHOWN:
        return f"[{shown}]"
    return f"[key {number}]"
