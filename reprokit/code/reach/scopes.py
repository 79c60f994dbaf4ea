"""Names in a piece of source: which are its own, and which come from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

Chain = tuple[str, ...]  # helpers.clean is ("helpers", "clean")
Key = tuple[str | Chain, ...]  # texts and names of texts: PREFIX + "MODE" is (("PREFIX",), "MODE")

ENVIRONMENT = frozenset({"environ", "environb", "getenv", "getenvb"})  # what `os` has for it

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
    "modules": "modules are looked up by name at run time",
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


class Variable(NamedTuple):
    """An expression that may read environment variables."""

    chain: Chain  # os.environ, os.environ.get ...
    line: int
    origin: Import | None = None  # the import inside the function that binds the first name
    key: Key | None = None  # the name of the variable: empty for all of them, None where it is computed
    to: Chain | None = None  # what is called with all of them as its env=


class Odd(NamedTuple):
    """What a name has that most names have not."""

    origin: Import | None
    certain: bool
    chain: Chain | None  # where it is not what the dots say


class Reading(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What `references.read` finds in a piece of source; names stand in few strings, to be read fast."""

    form: str  # hex digits of the SHA-256 of the normal form
    names: str  # that it uses, with the attributes read from them: chains joined by dots, joined by spaces
    lines: str  # in which they stand, joined by spaces
    odd: dict[int, Odd] | None  # by place in `names`
    dynamic: tuple[Dynamic, ...]
    environment: tuple[Variable, ...] = ()

    @classmethod
    def of(cls, form: str, uses: Iterable[Use], dynamic: tuple[Dynamic, ...]) -> Reading:
        """Make one from names."""
        chains, lines, odd = [], [], {}
        for number, use in enumerate(uses):
            chain = ".".join(use.chain)
            whole = None if tuple(chain.split(".")) == use.chain and len(chain.split()) == 1 else use.chain
            chains.append(chain if whole is None else "?")
            lines.append(str(use.line))
            if use.origin is not None or not use.certain or whole is not None:
                odd[number] = Odd(use.origin, use.certain, whole)
        return cls(form, " ".join(chains), " ".join(lines), odd or None, dynamic)

    def use(self, number: int) -> Use:
        """Give the name at a place."""
        chain, line = self.names.split(" ")[number], int(self.lines.split(" ")[number])
        odd = (self.odd or {}).get(number)
        if odd is None:
            return Use(tuple(chain.split(".")), line)
        return Use(tuple(chain.split(".")) if odd.chain is None else odd.chain, line, odd.origin, odd.certain)


NOTHING = Reading("", "", "", None, ())


def is_dynamic(chain: Chain) -> bool:
    """Tell whether a call by this name chooses at run time what it reaches."""
    return chain[-1] in _DYNAMIC and (len(chain) == 1 or chain[-1] not in _BARE)


class Scope:
    __slots__ = ("bound", "declared", "dynamic", "imports", "is_class", "outer", "passed", "receiver", "uses")

    def __init__(self, is_class: bool = False) -> None:
        self.is_class = is_class
        self.receiver: str | None = None  # the first parameter of a method
        self.bound: set[str] = set()
        self.declared: set[str] = set()  # by a global statement
        self.outer: set[str] = set()  # by a nonlocal statement
        self.imports: dict[str, list[Import]] = {}
        self.uses: list[Use] = []
        self.passed: list[Use] = []  # from scopes inside a class, which do not see the names of its body
        self.dynamic: list[Dynamic] = []
