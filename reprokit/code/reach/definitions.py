"""The source of a module: where its names are bound, and which definition a loaded code object came from."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import kept
from reprokit.code.reach.compiled import digest_of
from reprokit.code.reach.expressions import as_utf8, of_place
from reprokit.code.reach.facts import EMPTY
from reprokit.code.reach.scopes import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import CodeType

    from reprokit.code.reach.facts import Binding, ClassBody, Definition, Expression, Facts, Name
    from reprokit.code.reach.scopes import Chain, Import, Reading

    Ours = Callable[[Chain, Callable[[str], Sequence[Binding]]], bool]


class Text:
    """One source text: read once, its facts derived once."""

    def __init__(self, filename: str, source: bytes | str) -> None:
        self.filename = filename
        self.source = source
        self.facts: Facts = EMPTY
        self._known = False
        self._kept: Path | None = None  # the folder that holds the facts

    def settle(self, ours: Ours, cache: Path | None) -> Text:
        """See to it that the facts are there, and those of what is this library's now."""
        if self._known and self._kept == cache and self._is_right(self.facts, ours):
            return self
        found = kept.read(cache, self.source) if cache is not None else None
        if found is not None and self._is_right(found, ours):
            self.facts = found
        else:
            if not (self._known and self._is_right(self.facts, ours)):
                from reprokit.code.reach import derive

                self.facts = derive.facts_of(self.source, self.filename, ours)
            if cache is not None and self.facts is not EMPTY:
                kept.write(cache, self.source, self.facts)
        self._known = True
        self._kept = cache
        return self

    def _is_right(self, facts: Facts, ours: Ours) -> bool:
        return all(map(lambda chain, said: ours(chain, self._bound_in(facts)) is said, facts.asked, facts.ours))

    @staticmethod
    def _bound_in(facts: Facts) -> Callable[[str], Sequence[Binding]]:
        return lambda name: facts.names[name].bound if name in facts.names else ()

    def bindings(self, name: str) -> tuple[Binding, ...]:
        """Statements of the module that bind a name; compound ones (if, try, for, with) as a whole."""
        found = self.facts.names.get(name)
        return found.bound if found is not None else ()

    def name(self, name: str) -> Name | None:
        """What is said of a name; None where nothing binds it or changes it in place."""
        return self.facts.names.get(name)

    @property
    def stars(self) -> tuple[Import, ...]:
        """``from ... import *`` of the module."""
        return self.facts.stars

    def names(self) -> list[str]:
        """All names that the module binds."""
        return [name for name, found in self.facts.names.items() if found.first is not None]

    def reading(self, number: int) -> Reading:
        """Give the reading of a number."""
        readings = self.facts.readings
        return readings[number] if number < len(readings) else NOTHING  # which none but forged facts ask for

    def definition_of(self, code: CodeType) -> Definition | None:
        """Give the definition that a code object was compiled from; None when this text does not say what runs."""
        known = self.facts.codes.get(code.co_qualname)
        if known is None:
            return None
        digest = digest_of(code)
        if not self.facts.doubles:
            return known.definition if known.digest == digest and digest else None
        same = None
        for one in (known, *self.facts.doubles.get(code.co_qualname, ())):
            if one.digest == digest and digest and (same is None or one.first == code.co_firstlineno):
                same = one.definition
        return same

    def classes(self, qualname: str) -> tuple[ClassBody, ...]:
        """Give the class definitions of a qualified name."""
        return self.facts.classes.get(_path(qualname), ())

    def joined(self, qualname: str) -> int:
        """Give the reading of all classes of a qualified name together."""
        found = self.classes(qualname)
        return found[0].reading if len(found) == 1 else self.facts.joined.get(_path(qualname), -1)

    def tree(self, expression: Expression) -> Any:
        """Give the syntax tree of an expression."""
        return of_place(expression, as_utf8(self.source))


def _path(qualname: str) -> str:
    return ".".join([part for part in qualname.split(".") if part != "<locals>"])


def from_module(space: dict[str, Any]) -> Text | None:
    """Read the source of a loaded module; None where it has none."""
    spec = space.get("__spec__")
    filename = space.get("__file__") or getattr(spec, "origin", None)
    loader = space.get("__loader__")
    if not isinstance(filename, str):
        return None
    if filename.endswith((".pyc", ".pyo")):
        return None
    found = from_file(filename)
    if found is None and loader is not None and hasattr(loader, "get_source"):
        try:
            source = loader.get_source(space.get("__name__"))
        except (ImportError, OSError, SyntaxError):
            return None
        return Text(filename, source) if source is not None else None
    return found


def from_file(filename: str) -> Text | None:
    """Read a source file; None when it cannot be read, or is no source."""
    if filename.startswith("<") or (not filename.endswith((".py", ".pyw", ".pyi")) and not os.path.isfile(filename)):
        return None
    try:
        source = kept.content(filename)
    except (OSError, ValueError):
        return None
    return None if b"\0" in source else Text(filename, source)  # with zeros, it is an extension module


def from_cell(filename: str) -> Text | None:
    """Read what IPython, doctest and the like keep of code that lies in no file."""
    linecache = sys.modules.get("linecache")
    if linecache is None:
        return None
    lines = linecache.getlines(filename)
    return Text(filename, "".join(lines)) if lines else None
