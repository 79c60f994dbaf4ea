"""The fast way for plain data: nests of dict, list and tuple without sharing, written by what C does.

A breadth-first walk over whole levels looks at the types and at identity; ``repr`` or JSON does the rest.
"""

from __future__ import annotations

import json
import math
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

_CONTAINERS = frozenset({dict, list, tuple})
_PLAIN = frozenset({type(None), bool, int, float, str, bytes, dict, list, tuple})
_JSON = frozenset({type(None), bool, int, float, str, dict, list})
_DEEPEST = 40  # levels that a literal may have, see graph.DEEPEST
_MANY = 5_000  # objects above which JSON is worth a call: CPython needs 2 kB of memory an object to compile a display
_SHORT = 20_000  # characters of a literal that nobody minds
_LONG = 64  # characters an object, on average, above which sharing of long strings is looked for


class Plain:
    """A nest of plain data that shares nothing.

    Attributes
    ----------
    ids : set of int
        Identities of its containers.
    count : int
        How many objects it has, keys left out.
    text : str or None
        Its literal; None when the other way has to be taken.
    """

    __slots__ = ("count", "ids", "json", "text")

    def __init__(self, ids: set[int], count: int, text: str | None, *, as_json: bool) -> None:
        self.ids = ids
        self.count = count
        self.text = text
        self.json = as_json


def look(obj: Any) -> Plain | None:
    """Give the nest, or None if it isn't plain, shares a container, is deep, or holds what a literal can't say."""
    level: list[Any] = [obj]
    ids: set[int] = set()
    types: set[type] = set()
    key_types: set[type] = set()
    containers = count = depth = 0
    while level:
        kinds = set(map(type, level))
        types |= kinds
        if not kinds <= _PLAIN or depth > _DEEPEST:
            return None
        count += len(level)
        if kinds.isdisjoint(_CONTAINERS):
            break
        nests = [
            one for one in level if type(one) in _CONTAINERS and (one or type(one) is not tuple)
        ]  # () is one for all
        containers += len(nests)
        ids.update(map(id, nests))
        if len(ids) < containers:
            return None
        dicts = [one for one in nests if type(one) is dict]
        level = list(chain.from_iterable([one.values() if type(one) is dict else one for one in nests]))
        if dicts:
            keys = set(map(type, chain.from_iterable(dicts)))
            key_types |= keys
            if keys != {str}:
                level += [key for key in chain.from_iterable(dicts) if type(key) is not str]
        depth += 1
    text, as_json = None, False
    if count >= _MANY and types <= _JSON and key_types <= {str}:
        text = _as_json(obj, types)
        as_json = text is not None
    if text is None:
        text = _as_literal(obj, types)
    if text is None or (len(text) > _SHORT and len(text) > _LONG * count):
        return None
    return Plain(ids, count, text, as_json=as_json)


def _as_literal(obj: Any, types: set[type]) -> str | None:
    try:
        text = repr(obj)
    except ValueError:  # an int with more digits than Python likes to write
        return None
    if float in types and ("nan" in text or "inf" in text) and not _finite(obj):
        return None
    return text


def _as_json(obj: Any, types: set[type]) -> str | None:
    """Give JSON that reads back as the same objects."""
    import msgspec

    try:
        data = msgspec.json.encode(obj)
    except UnicodeEncodeError:  # half of a surrogate pair: two of them would be read as one character
        return None
    except (OverflowError, msgspec.MsgspecError, ValueError, RecursionError):
        if float in types and not _finite(obj):
            return None
        return json.dumps(obj, separators=(",", ":"), ensure_ascii=False)
    if float in types and b"null" in data and not _finite(obj):
        return None
    return data.decode()


def _finite(obj: Any) -> bool:
    level: list[Any] = [obj]
    while level:
        if not all(map(math.isfinite, [one for one in level if type(one) is float])):
            return False
        level = list(chain.from_iterable(map(_inside, [one for one in level if type(one) in _CONTAINERS])))
    return True


def _inside(obj: Any) -> Iterable[Any]:
    return chain(obj, obj.values()) if type(obj) is dict else obj


def quoted(text: str) -> str:
    """Give a string literal, raw where that is shorter to read: JSON is full of quotes, and of few apostrophes."""
    if "'" not in text and "\\" not in text and "\n" not in text and "\r" not in text and text.isprintable():
        return f"'{text}'"
    return repr(text)
