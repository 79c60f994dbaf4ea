"""Names of items, of imports and of what is shared."""

from __future__ import annotations

import keyword
import re
import unicodedata
from typing import TYPE_CHECKING

from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Collection, Container

RESERVED = frozenset({"__builtins__", "__name__", "__file__", "__spec__", "__loader__", "__package__", "__path__"})


def check(name: str, allowed: Collection[str] = (), prefix: str = "_g") -> None:
    """Refuse a name that an item can't have.

    Raises
    ------
    ArchiveError
        It is no identifier, a keyword, private, or Python would read another name.
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ArchiveError(f"{name!r} is no name for an item: letters, digits and underscores, no digit first")
    if keyword.iskeyword(name):
        raise ArchiveError(f"{name!r} is a keyword of Python; insert it as {name + '_'!r}")
    if unicodedata.normalize("NFKC", name) != name:
        raise ArchiveError(f"{name!r}: Python reads it as {unicodedata.normalize('NFKC', name)!r}; insert it as that")
    if name in allowed:
        if name in RESERVED or name == "_arrays":
            raise ArchiveError(f"{name!r} has a meaning of its own in a module; choose another name")
        return
    if name.startswith("_"):
        raise ArchiveError("name must not start with '_'")


def unique(name: str, taken: Container[str]) -> str:
    """Give `name`, or with ``_0``, ``_1``, ... behind it the first that isn't taken."""
    if name not in taken:
        return name
    number = 0
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


class Namespace:
    """Gives names that no item has.

    Parameters
    ----------
    items : collection of str
        The items' names.
    prefix : str
        How the names of what is shared begin.
    """

    def __init__(self, items: Collection[str], prefix: str = "_g") -> None:
        self._taken = {*items, *RESERVED, "_arrays", "_packed"}
        self._generated = re.compile(rf"{re.escape(prefix)}\d+\Z")
        self._prefix = prefix
        self._next = 0

    def shared(self) -> str:
        """Give a name for something shared: ``_g0``, ``_g1``, ..."""
        while True:
            name = f"{self._prefix}{self._next}"
            self._next += 1
            if name not in self._taken:
                return name

    def imported(self, name: str) -> str:
        """Give a private name for something imported."""
        wanted = name if name.startswith("_") else f"_{name}"
        while wanted in self._taken or self._generated.match(wanted) or wanted.startswith("__"):
            wanted = f"_i{wanted}" if wanted.startswith("__") else unique(wanted, {wanted} | self._taken)
            if self._generated.match(wanted):
                wanted = f"_i{wanted}"
        self._taken.add(wanted)
        return wanted
