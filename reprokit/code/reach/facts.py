"""What a source file says, as far as closures ask: plain data that follows from the file's bytes.

The walk never sees a syntax tree.  It asks these facts, whether they were just derived (`derive`) or come from a cache
(`kept`); so a digest cannot depend on which.
"""

from __future__ import annotations

import msgspec

from reprokit.code.reach.scopes import Chain, Import, Reading


class Expression(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An expression that can be evaluated without running anything; only its place in the source is kept."""

    start: int  # bytes, in the text as UTF-8
    end: int
    digest: str  # of its value's description; empty where names in it have to be looked up


class Binding(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A statement of a module that binds a name, as seen from that name."""

    kind: str  # "function", "class", "import", "assign", "annotated", or "other"
    line: int
    origin: Import | None = None  # of an import
    names: str = ""  # of an assignment: "all" when all targets are names, "first" when the first is
    expression: Expression | None = None
    above: tuple[tuple[str, Chain], ...] = ()  # bases and metaclass of a class


class Name(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A name of a module."""

    kind: str  # of the one statement that binds it; empty for none and several
    whole: int  # the reading of what binds it, -1 for nothing
    shaped: int  # the same, with the statements that change it in place: ``NAME.append(1)``
    shapes: bool  # whether there are any
    first: Binding | None
    more: tuple[Binding, ...] = ()

    @property
    def bound(self) -> tuple[Binding, ...]:
        """What binds it."""
        return () if self.first is None else (self.first, *self.more)


class Definition(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A function or lambda."""

    line: int
    last: int
    reading: int
    in_class: int  # the reading as part of the body of a class
    defaults: tuple[Expression | None, ...]
    keywords: dict[str, Expression | None] | None  # of keyword-only parameters, by name


class Code(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A code object that the source compiles to."""

    first: int
    digest: str
    definition: Definition


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What the body of a class binds to a name."""

    count: int
    expression: Expression | None  # where it is one plain assignment


class ClassBody(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A class definition."""

    line: int
    first: int  # with its decorators
    last: int
    reading: int
    in_class: int
    said: dict[str, Held]


class Facts(msgspec.Struct, frozen=True, array_like=True):
    """All that is asked of one source file."""

    asked: tuple[Chain, ...]  # names of decorators
    ours: tuple[bool, ...]  # which of them are this library's, and so were left out of the readings
    readings: tuple[Reading, ...]
    names: dict[str, Name]
    stars: tuple[Import, ...]
    calls: int  # the reading of calls that stand by themselves, -1 for none
    codes: dict[str, Code]  # by qualified name
    doubles: dict[str, tuple[Code, ...]]  # more of one qualified name
    classes: dict[str, tuple[ClassBody, ...]]  # by qualified name without "<locals>"
    joined: dict[str, int]  # readings of all classes of one qualified name together, where there are several
    aliases: tuple[str, ...] = ()  # further names for the environment or for reading it, in any scope


EMPTY = Facts((), (), (), {}, (), -1, {}, {}, {}, {})
