"""Says what an archive may refer to and call."""

from __future__ import annotations

import enum
import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

from reprokit.archive.safe.refusal import refuse
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable

_HASHED = 100_000  # parts of a key that are looked at
_HASH_DEPTH = 200  # tuples in tuples: their hash recurses


class Reference:
    """Something importable that was not imported: a module and a qualified name in it, empty for the module."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module = module
        self.name = name

    def attribute(self, name: str) -> Reference:
        """Give the reference to an attribute."""
        return Reference(self.module, f"{self.name}.{name}" if self.name else name)

    @property
    def full(self) -> str:
        return f"{self.module}.{self.name}" if self.name else self.module


class Resolver:
    """What is safe, and what the caller allows beyond.

    Parameters
    ----------
    allow : iterable of str or of classes and functions
        See `Archive.load`.
    """

    def __init__(self, allow: Iterable[Any] = ()) -> None:
        from reprokit.archive.represent.registry import registered

        self._allowed: dict[str, Any] = {}
        for one in allow:
            if isinstance(one, str):
                self._allowed[one] = None
            elif hasattr(one, "__qualname__"):
                self._allowed[f"{one.__module__}.{one.__qualname__}"] = one
            elif isinstance(one, types.ModuleType):
                self._allowed[one.__name__] = one
            else:
                raise TypeError(f"allow={one!r}: classes, functions and their full names are meant")
        for cls in registered:
            self._allowed.setdefault(f"{cls.__module__}.{cls.__qualname__}", cls)
        self.fresh: dict[int, Any] = {}

    def value(self, found: Reference, line: int) -> Any:
        """Give the object that a reference names."""
        from reprokit.archive.safe import table

        constant = table.constant(found.module, found.name)
        if constant is not table.MISSING:
            return constant
        allowed = self.allowed(found)
        if allowed is not None:
            return allowed
        owner = Reference(found.module, found.name.rpartition(".")[0])
        cls = self.allowed(owner) if owner.name else None
        if isinstance(cls, type):
            return _member(cls, found.name.rpartition(".")[2], line)
        raise refuse(f"{found.full}", line)

    def allowed(self, found: Reference) -> Any:
        """Give what the caller allows by name; None if he doesn't."""
        if found.full not in self._allowed:
            return None
        known = self._allowed[found.full]
        if known is None:
            known = self._allowed[found.full] = _imported(found)
        return known

    def is_allowed(self, cls: type) -> bool:
        """Whether the caller allows a class."""
        return f"{cls.__module__}.{cls.__qualname__}" in self._allowed

    def call(self, found: Reference, args: list[Any], keywords: dict[str, Any], line: int) -> Any:
        """Call what a reference names."""
        from reprokit.archive.safe import table

        function = table.function(found.module, found.name)
        if function is not None:
            return function(*args, **keywords)
        owner, _, method = found.name.rpartition(".")
        if method == "__new__" and found.module in ("builtins", "collections"):
            return self._made(found.module, owner, args, keywords, line)
        allowed = self.allowed(found)
        if allowed is None:
            raise refuse(f"{found.full}()", line)
        if not callable(allowed):
            raise ArchiveError(f"line {line}", f"{found.full} cannot be called")
        made = allowed(*args, **keywords)
        self.fresh[id(made)] = made
        return made

    def _made(self, module: str, base: str, args: list[Any], keywords: dict[str, Any], line: int) -> Any:
        """Make an instance past its class's constructor: first step of two."""
        kind: Any = getattr(importlib.import_module(module), base, None)
        cls = args[0] if args else None
        if not (isinstance(kind, type) and isinstance(cls, type) and self.is_allowed(cls)) or keywords or len(args) > 2:
            raise refuse(f"{base}.__new__ of {getattr(cls, '__qualname__', cls)}", line)
        if len(args) == 2 and type(args[1]) not in (list, tuple, int, float, complex, str, bytes):
            raise refuse(f"{base}.__new__ with {type(args[1]).__name__}", line)
        made = kind.__new__(cls, *args[1:])
        self.fresh[id(made)] = made
        return made

    def method(self, owner: Any, name: str, line: int) -> Any:
        """Give a bound method of an instance of an allowed class."""
        cls = type(owner)
        if (
            self.is_allowed(cls)
            and not name.startswith("_")
            and isinstance(getattr(cls, name, None), types.FunctionType)
        ):
            return getattr(owner, name)
        raise refuse(f"attribute {name!r} of {cls.__qualname__}", line)


def _imported(found: Reference) -> Any:
    try:
        value: Any = sys.modules.get(found.module) or importlib.import_module(found.module)
        for part in found.name.split(".") if found.name else ():
            value = getattr(value, part)
    except (ImportError, AttributeError) as error:
        raise ArchiveError(found.full, f"is allowed, and cannot be imported: {error}") from error
    return value


def _member(cls: type, name: str, line: int) -> Any:
    """Give a member of an enumeration, or a method or class in a class."""
    if issubclass(cls, enum.Enum) and name in cls.__members__:
        return cls.__members__[name]
    found = getattr(cls, name, None)
    own = getattr(found, "__qualname__", "").startswith(f"{cls.__qualname__.partition('.')[0]}.")
    if not name.startswith("_") and own and isinstance(found, types.FunctionType | types.MethodType | type):
        return found
    raise refuse(f"attribute {name!r} of {cls.__qualname__}", line)


def check_hashable(obj: Any, line: int) -> None:
    """Refuse keys that can't be hashed, or not in reasonable time: tuples of the same tuple twice, and so on.

    Raises
    ------
    ArchiveError
        It is such a key.
    """
    todo: list[tuple[Any, int]] = [(obj, 0)]
    seen = 0
    while todo:
        one, depth = todo.pop()
        seen += 1
        if seen > _HASHED or depth > _HASH_DEPTH:
            raise ArchiveError(f"line {line}", "a key is too large or too deep")
        if type(one) in (tuple, frozenset):
            todo += [(part, depth + 1) for part in one]
        elif type(one) in (list, dict, set, bytearray):
            raise ArchiveError(f"line {line}", f"a {type(one).__name__} can be no key")
