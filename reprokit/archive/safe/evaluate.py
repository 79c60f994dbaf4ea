"""Evaluates the subset of Python that archives are written in."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from reprokit.archive.safe import frames
from reprokit.archive.safe.methods import call_method, fill
from reprokit.archive.safe.refusal import refuse
from reprokit.archive.safe.resolve import Reference, Resolver, check_hashable
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

_DEEPEST = 220  # expressions inside expressions; CPython's tokenizer ends at 200 brackets
_CONSTANTS = frozenset({type(None), bool, int, float, complex, str, bytes, type(...)})


class Function:
    """A scoping function of the archive: names for what it needs, imports, one expression."""

    __slots__ = ("defaults", "expression", "imports")

    def __init__(self, defaults: dict[str, Any], imports: list[ast.stmt], expression: ast.expr) -> None:
        self.defaults = defaults
        self.imports = imports
        self.expression = expression


class Evaluator:
    """Builds objects from expressions.

    Parameters
    ----------
    resolver : Resolver
        Says what may be imported and called.
    names : dict
        The variables.
    """

    def __init__(self, resolver: Resolver, names: dict[str, Any]) -> None:
        self.resolver = resolver
        self.names = names
        self._scopes: list[dict[str, Any]] = []
        self._depth = 0
        self._each: dict[type, Callable[[Any], Any]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.List: self._list,
            ast.Tuple: lambda node: tuple(self._list(node)),
            ast.Dict: self._dict,
            ast.Set: self._set,
            ast.UnaryOp: self._signed,
            ast.BinOp: self._complex,
            ast.Call: self._call,
            ast.Attribute: self._attribute,
            ast.Subscript: self._subscript,
        }

    def value(self, node: ast.expr) -> Any:
        """Give the object that an expression makes.

        Raises
        ------
        ArchiveError
            It is more than archives are written in.
        """
        found = self.look(node)
        return self.resolver.value(found, node.lineno) if type(found) is Reference else found

    def look(self, node: ast.expr) -> Any:
        """Give the object, or the reference to something importable."""
        each = self._each.get(type(node))
        if each is None:
            raise refuse(_NAMES.get(type(node), type(node).__name__), node.lineno)
        self._depth += 1
        if self._depth > _DEEPEST:
            raise refuse("an expression so deep", node.lineno, "")
        try:
            return each(node)
        finally:
            self._depth -= 1

    def lookup(self, name: str, line: int) -> Any:
        """Give what a name stands for."""
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        if name in self.names:
            return self.names[name]
        return Reference("builtins", name)

    def enter(self, function: Function) -> Any:
        """Evaluate a scoping function."""
        from reprokit.archive.safe.statements import imported

        scope = dict(function.defaults)
        for statement in function.imports:
            scope.update(imported(statement))
        self._scopes.append(scope)
        try:
            return self.value(function.expression)
        finally:
            self._scopes.pop()

    def _constant(self, node: ast.Constant) -> Any:
        if type(node.value) not in _CONSTANTS:
            raise refuse(f"a constant of type {type(node.value).__name__}", node.lineno)
        return node.value

    def _name(self, node: ast.Name) -> Any:
        found = self.lookup(node.id, node.lineno)
        if type(found) is Function:
            raise refuse(f"{node.id}, a function that is not called,", node.lineno)
        return found

    def _list(self, node: ast.List | ast.Tuple) -> list[Any]:
        found: list[Any] = []
        value = self.value
        for one in node.elts:
            if type(one) is ast.Starred:
                found += self._many(one.value)
            else:
                found.append(one.value if type(one) is ast.Constant and type(one.value) in _CONSTANTS else value(one))
        return found

    def _many(self, node: ast.expr) -> list[Any]:
        """Give a slice of the packed arrays."""
        found = self.value(node) if type(node) is ast.Subscript and type(node.slice) is ast.Slice else None
        if type(found) is not list:
            raise refuse("a star", node.lineno)
        return found

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        value = self.value
        for key, one in zip(node.keys, node.values, strict=True):
            if key is None:
                raise refuse("a double star", node.lineno)
            name = value(key)
            if type(name) is not str:
                check_hashable(name, node.lineno)
            found[name] = value(one)
        return found

    def _set(self, node: ast.Set) -> set[Any]:
        members = self._list(node)  # type: ignore[arg-type]
        for one in members:
            check_hashable(one, node.lineno)
        return set(members)

    def _signed(self, node: ast.UnaryOp) -> Any:
        inner = node.operand
        if type(inner) not in (ast.Constant, ast.Name) or not isinstance(node.op, ast.USub | ast.UAdd):
            raise refuse("an operator", node.lineno)
        found = self.value(inner)
        if type(found) not in (int, float, complex):
            raise refuse("a sign before no number", node.lineno)
        return -found if isinstance(node.op, ast.USub) else +found

    def _complex(self, node: ast.BinOp) -> Any:
        """Give a complex number: a real one, a sign, an imaginary one."""
        real = node.left.operand if type(node.left) is ast.UnaryOp else node.left
        if not (type(real) is ast.Constant and type(node.right) is ast.Constant and type(node.right.value) is complex):
            raise refuse("an operator", node.lineno)
        if not isinstance(node.op, ast.Add | ast.Sub):
            raise refuse("an operator", node.lineno)
        first = self.value(node.left)
        if type(first) not in (int, float):
            raise refuse("an operator", node.lineno)
        return first + node.right.value if isinstance(node.op, ast.Add) else first - node.right.value

    def _attribute(self, node: ast.Attribute) -> Any:
        found = self.look(node.value)
        if type(found) is Reference:
            return found.attribute(node.attr)
        array = frames.attribute(found, node.attr)
        return self.resolver.method(found, node.attr, node.lineno) if array is None else array

    def _subscript(self, node: ast.Subscript) -> Any:
        found = self.value(node.value)
        if type(node.slice) is ast.Slice:
            packed = type(found) is list and found is self.names.get("_packed")
            ends = [node.slice.lower, node.slice.upper]
            if packed and node.slice.step is None and all(type(one) is ast.Constant for one in ends):
                low, high = (self.value(one) for one in ends if one is not None)
                return found[low:high]
            raise refuse("a slice", node.lineno)
        key = self.value(node.slice)
        kind = f"{type(found).__module__}.{type(found).__name__}"
        if not (
            (found is self.names.get("_arrays") and type(key) is str)
            or (found is self.names.get("_packed") and type(key) is int)
            or (kind == "numpy.ndarray" and type(key) is int)
        ):
            raise refuse("a subscript", node.lineno)
        try:
            return found[key]
        except (KeyError, IndexError) as error:
            raise ArchiveError(f"line {node.lineno}", f"there is no data {key!r}") from error

    def _call(self, node: ast.Call) -> Any:
        args = [self.value(one) if type(one) is not ast.Starred else _no_star(one) for one in node.args]
        keywords: dict[str, Any] = {}
        for one in node.keywords:
            if one.arg is None:
                raise refuse("a double star", node.lineno)
            keywords[one.arg] = self.value(one.value)
        if type(node.func) is ast.Attribute:
            owner = self.look(node.func.value)
            if type(owner) is not Reference:
                name = node.func.attr
                return self._guarded(node, lambda: call_method(self.resolver, owner, name, args, keywords, node.lineno))
            called: Any = owner.attribute(node.func.attr)
        elif type(node.func) is ast.Name:
            called = self.lookup(node.func.id, node.lineno)
        else:
            raise refuse("a call of something computed", node.lineno)
        if type(called) is Function:
            if args or keywords:
                raise refuse("a function called with arguments", node.lineno)
            return self.enter(called)
        if type(called) is not Reference:
            raise refuse("a call of an object", node.lineno)
        return self._guarded(node, lambda: self.resolver.call(called, args, keywords, node.lineno))

    def statement(self, node: ast.Call) -> None:
        """Run a statement that fills an object made in two steps."""
        if type(node.func) is not ast.Attribute:
            raise refuse("a call whose result is not kept", node.lineno)
        owner = self.look(node.func.value)
        method = node.func.attr
        args = [self.value(one) if type(one) is not ast.Starred else _no_star(one) for one in node.args]
        if node.keywords:
            raise refuse("a statement with keywords", node.lineno)
        self._guarded(node, lambda: fill(self.resolver, owner, method, args, node.lineno))

    def _guarded(self, node: ast.Call, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (ArchiveError, ImportError):
            raise
        except Exception as error:
            raise ArchiveError(
                f"line {node.lineno}", f"{ast.unparse(node.func)[:80]}: {type(error).__name__}: {error}"
            ) from error


def _no_star(node: ast.Starred) -> Any:
    raise refuse("a star", node.lineno)


_NAMES: dict[type, str] = {
    ast.JoinedStr: "a formatted string",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a generator",
    ast.NamedExpr: "an assignment in an expression",
    ast.Await: "await",
    ast.Yield: "yield",
    ast.IfExp: "a condition",
    ast.BoolOp: "a condition",
    ast.Compare: "a comparison",
    ast.Starred: "a star",
}
