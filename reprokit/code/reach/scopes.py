"""Names in a piece of source: which are its own, and which come from outside."""

from __future__ import annotations

import ast
from typing import Any, NamedTuple

Chain = tuple[str, ...]  # helpers.clean is ("helpers", "clean")

# Calls that reach what no reader of the source can name, by the last part of the called name.
_DYNAMIC = frozenset({
    "getattr", "eval", "exec", "globals", "locals", "vars", "__import__", "import_module", "spec_from_file_location",
    "run_path", "run_module",
})  # fmt: skip
_BARE = frozenset({"getattr", "eval", "exec", "globals", "locals", "vars"})  # model.eval() is none of them
# Attributes that do so too.
HIDDEN = {
    "__subclasses__": "subclasses are looked up at run time",
    "__globals__": "the globals of a function are looked up at run time",
    "__doc__": "a docstring is read at run time, and docstrings do not count",
}


class Import(NamedTuple):
    """``from ..a import b`` is ``Import(2, "a", "b")``, ``import a.b as c`` is ``Import(0, "a.b", None)``."""

    level: int
    module: str
    name: str | None


class Use(NamedTuple):
    """A name that is not local to the piece of source, with the attributes read from it."""

    chain: Chain  # empty for an import statement by itself
    line: int
    origin: Import | None = None  # the import inside the function that binds the first name
    certain: bool = True  # False where the name need not exist when the code runs, as in annotations


class Dynamic(NamedTuple):
    """An expression that chooses at run time what it reaches."""

    call: Chain
    line: int
    subject: Chain | None = None  # what getattr looks at, when that is a name from outside
    constant: str | None = None  # the name it looks for, where the source says it
    origin: Import | None = None  # the import inside the function that binds the subject


class Reading(NamedTuple):
    """What `read` finds in a piece of source."""

    form: str  # hex digits of the SHA-256 of the normal form
    uses: tuple[Use, ...]
    dynamic: tuple[Dynamic, ...]


def chain_of(node: ast.AST) -> Chain | None:
    """Give ``a.b.c`` as a tuple of names, None for other expressions."""
    names: list[str] = []
    here: Any = node
    while here.__class__ is ast.Attribute:
        names.append(here.attr)
        here = here.value
    if here.__class__ is not ast.Name:
        return None
    names.append(here.id)
    names.reverse()
    return tuple(names)


def is_dynamic(chain: Chain) -> bool:
    """Tell whether a call by this name chooses at run time what it reaches."""
    return chain[-1] in _DYNAMIC and (len(chain) == 1 or chain[-1] not in _BARE)


class Scope:
    __slots__ = ("bound", "declared", "dynamic", "imports", "is_class", "passed", "receiver", "uses")

    def __init__(self, is_class: bool = False) -> None:
        self.is_class = is_class
        self.receiver: str | None = None  # the first parameter of a method
        self.bound: set[str] = set()
        self.declared: set[str] = set()  # by a global statement
        self.imports: dict[str, list[Import]] = {}
        self.uses: list[Use] = []
        self.passed: list[Use] = []  # from scopes inside a class, which do not see the names of its body
        self.dynamic: list[Dynamic] = []
