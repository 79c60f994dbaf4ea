"""Which environment variables a piece of source reads: ``os.environ["MODE"]``, by whatever name the module has for it.

Only sources that say ``environ`` or ``getenv`` somewhere are read in this way.  Whether such a name is that of `os` is
for the walk to tell (`variables`); here it is looked for by its spelling, and by the names that the source gives it.
"""

from __future__ import annotations

import ast
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.code.reach.references import Reader
from reprokit.code.reach.scopes import ENVIRONMENT, Variable
from reprokit.code.reach.syntax import chain_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reprokit.code.reach.scopes import Chain, Key, Reading, Scope

_READS = frozenset({"get", "setdefault", "pop", "__getitem__", "__contains__", "getenv", "getenvb"})
_WRITES = frozenset({"update", "clear", "__setitem__", "__delitem__"})
_SUBJECTS = frozenset({"environ", "environb"})
_NOWHERE = ("?",)  # a called name that leads to nothing known
_MOST = 64  # names that the variables of one expression may have, as it says


def names_in(tree: ast.Module) -> frozenset[str]:
    """Give further names that a source has for the environment, or for reading it: ``from os import environ as E``."""
    found: set[str] = set()
    assigned: list[tuple[str, ast.expr]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found.update(one.asname for one in node.names if one.name in ENVIRONMENT and one.asname)
        elif (pair := _assigned(node)) is not None:
            assigned.append(pair)
    size = -1
    while size != len(found):  # names of names
        size = len(found)
        found.update(name for name, value in assigned if _aliased(value, found))
    return frozenset(found)


def _assigned(node: ast.AST) -> tuple[str, ast.expr] | None:
    """Give the one name that a statement binds, and to what."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    value = getattr(node, "value", None)
    if len(targets) != 1 or value is None or not isinstance(targets[0], ast.Name):
        return None
    return targets[0].id, value


def _is_environment(chain: Chain, names: frozenset[str] | set[str]) -> bool:
    return chain[0] in names or not ENVIRONMENT.isdisjoint(chain)


def _aliased(value: ast.expr, names: frozenset[str] | set[str]) -> list[tuple[ast.expr, Chain]]:
    """Give what stands for the environment in an expression that is another name for it, a copy, or a way to read it.

    Returns
    -------
    list
        Nodes, and the names that stand there.
    """
    chain = chain_of(value)
    if chain is not None and chain[-1] in {"get", "getenv", "getenvb"} and _is_environment(chain, names):
        return [(value, chain)]
    return _whole(value, names)


def _whole(value: ast.expr, names: frozenset[str] | set[str]) -> list[tuple[ast.expr, Chain]]:
    """Give what stands for the environment in an expression that is all of it, or a copy, perhaps with changes."""
    chain = chain_of(value)
    if chain is not None:
        is_whole = chain[-1] in _SUBJECTS or (len(chain) == 1 and chain[0] in names)
        return [(value, chain)] if is_whole else []
    parts: list[ast.expr] = []
    if isinstance(value, ast.Call):
        called = chain_of(value.func)
        if called == ("dict",):
            parts = value.args[:1]
        elif called is not None and called[-1] == "copy" and isinstance(value.func, ast.Attribute):
            return [(value.func, called[:-1]) for _ in _whole(value.func.value, names)]
    elif isinstance(value, ast.Dict):
        parts = [item for key, item in zip(value.keys, value.values, strict=True) if key is None]
    elif isinstance(value, ast.BinOp) and isinstance(value.op, ast.BitOr):
        parts = [value.left, value.right]
    elif isinstance(value, ast.BoolOp):
        parts = value.values
    elif isinstance(value, ast.IfExp):
        parts = [value.body, value.orelse]
    return [one for part in parts for one in _whole(part, names)]


def _key(node: ast.expr) -> Key | None:
    """Give the texts and names that the name of a variable is put together from; None for all else."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bytes):
            return (node.value.decode("utf-8", "surrogateescape"),)
        return (node.value,) if isinstance(node.value, str) else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _joined([_key(node.left), _key(node.right)])
    if isinstance(node, ast.JoinedStr):
        return _joined([_key(part) for part in node.values]) or ("",)
    if isinstance(node, ast.FormattedValue):
        return _key(node.value) if node.conversion == -1 and node.format_spec is None else None
    chain = chain_of(node)
    return None if chain is None else (chain,)


def _joined(parts: list[Key | None]) -> Key | None:
    found: Key = ()
    for part in parts:
        if part is None:
            return None
        found += part
    return found


def _texts(node: ast.expr) -> tuple[str, ...] | None:
    """Give the texts of a literal, or of a literal list of them."""
    items = node.elts if isinstance(node, (ast.Tuple, ast.List, ast.Set)) else [node]
    found = tuple(one.value for one in items if isinstance(one, ast.Constant) and isinstance(one.value, str))
    return found if len(found) == len(items) else None


def read(nodes: Sequence[ast.AST], ours: Callable[[Chain], bool], in_class: bool, names: frozenset[str]) -> Reading:
    """Read definitions or statements as `references.read` does, and find the environment variables that they read."""
    return _VariableReader(ours, in_class, names).read(nodes)


class _Level:
    """What is known of one scope."""

    def __init__(self) -> None:
        self.found: list[Variable] = []
        self.passed: list[Variable] = []  # from scopes inside a class, which do not see the names of its body
        self.texts: dict[str, tuple[str, ...] | None] = {}  # what names are bound to, where that is always literal
        self.aliases: dict[str, list[Chain]] = {}  # names for the environment


class _VariableReader(Reader):
    def __init__(self, ours: Callable[[Chain], bool], in_class: bool, names: frozenset[str]) -> None:
        super().__init__(ours, in_class)
        self._names = names
        self._levels = [_Level()]
        self._seen: set[int] = set()  # nodes that need no further look
        self._literal: dict[int, tuple[str, ...]] = {}  # nodes that are bound to literals
        self._dropped: set[int] = set()  # calls whose result is not used

    def read(self, nodes: Sequence[ast.AST]) -> Reading:
        reading = super().read(nodes)
        (level,) = self._levels
        found = sorted(dict.fromkeys((*level.found, *level.passed)), key=ascii)
        return msgspec.structs.replace(reading, environment=tuple(found)) if found else reading

    def visit(self, node: ast.AST) -> None:
        before = _BEFORE.get(node.__class__)
        if before is not None:
            before(self, node)
        super().visit(node)

    def _chain(self, node: ast.AST) -> Chain | None:
        chain = chain_of(node)
        return chain if chain is not None and _is_environment(chain, self._names) else None

    def _note(self, node: ast.expr, chain: Chain, key: Key | None, to: Chain | None = None) -> None:
        self._seen.add(id(node))
        self._levels[-1].found.append(Variable(chain, node.lineno, None, key, to))

    # --- what stands in the source

    def _on_name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._on_attribute(node)
        elif isinstance(node.ctx, ast.Store):
            self._bind_text(node.id, self._literal.get(id(node)))

    def _on_attribute(self, node: ast.Name | ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load) and id(node) not in self._seen and (chain := self._chain(node)):
            self._note(node, chain, None if chain[-1] in _READS else ())

    def _on_subscript(self, node: ast.Subscript) -> None:
        if chain := self._chain(node.value):
            if isinstance(node.ctx, ast.Load):
                self._note(node.value, chain, _key(node.slice))
            self._seen.add(id(node.value))  # to bind or delete a variable reads none

    def _on_augmented(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Subscript) and (chain := self._chain(node.target.value)):
            self._note(node.target.value, chain, _key(node.target.slice))

    def _on_expression(self, node: ast.Expr) -> None:
        self._dropped.add(id(node.value))

    def _on_call(self, node: ast.Call) -> None:
        for one in node.keywords:
            if one.arg == "env":  # for another process, which would have it in any case
                for part, chain in _whole(one.value, self._names):
                    self._note(part, chain, (), chain_of(node.func) or _NOWHERE)
        called = self._chain(node.func)
        if called is None:
            return
        if called[-1] in _WRITES or (called[-1] == "pop" and id(node) in self._dropped):
            self._seen.add(id(node.func))
            self._seen.update(id(one) for given in node.args[:1] for one, _ in _whole(given, self._names))
        elif called[-1] in _READS or len(called) == 1:
            given = node.args[:1] or [one.value for one in node.keywords if one.arg == "key"]
            self._note(node.func, called, _key(given[0]) if given else None)

    def _on_comparison(self, node: ast.Compare) -> None:
        for left, operation, right in zip((node.left, *node.comparators), node.ops, node.comparators, strict=False):
            if isinstance(operation, (ast.In, ast.NotIn)):
                if isinstance(right, ast.Call) and (chain := self._chain(right.func)) and chain[-1] == "keys":
                    self._note(right.func, chain, _key(left))
                elif chain := self._chain(right):
                    self._note(right, chain, _key(left))
            elif isinstance(right, ast.Constant) and right.value is None:
                self._seen.add(id(left))

    def _on_assignment(self, node: ast.Assign | ast.AnnAssign) -> None:
        if (pair := _assigned(node)) is None:
            return
        name, value = pair
        if (texts := _texts(value)) is not None and not isinstance(value, (ast.Tuple, ast.List, ast.Set)):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            self._literal[id(target)] = texts
        if not self._scope.is_class and name not in self._scope.declared:  # which may be read anywhere
            for one, chain in _aliased(value, self._names):
                self._seen.add(id(one))
                if chain != (name,):
                    self._levels[-1].aliases.setdefault(name, []).append(chain)

    def _on_loop(self, node: ast.For | ast.comprehension) -> None:
        texts = _texts(node.iter) if isinstance(node.iter, (ast.Tuple, ast.List, ast.Set)) else None
        if isinstance(node.target, ast.Name) and texts:
            self._literal[id(node.target)] = texts

    def _on_comprehension(self, node: Any) -> None:
        for one in node.generators:
            self._on_loop(one)

    def _on_nonlocal(self, node: ast.Nonlocal) -> None:
        for level in self._levels:
            level.texts.update(dict.fromkeys(node.names))

    def _on_binder(self, node: Any) -> None:
        name = node.target.id if isinstance(node, ast.NamedExpr) else getattr(node, "name", getattr(node, "rest", None))
        if name:
            for level in self._levels:  # a walrus in a comprehension binds a name outside
                level.texts[name] = None

    def _bind_text(self, name: str, texts: tuple[str, ...] | None) -> None:
        known = self._levels[-1].texts
        before = known.get(name, ())
        known[name] = None if texts is None or before is None else before + texts

    # --- scopes

    def _bind(self, args: ast.arguments, method: bool) -> None:
        super()._bind(args, method)
        self._levels[-1].texts.update(dict.fromkeys(self._scope.bound))

    def _dynamic(self, node: ast.Call, chain: Chain) -> None:
        super()._dynamic(node, chain)
        if chain[-1] == "getattr" and len(node.args) > 1 and (subject := chain_of(node.args[0])):
            said = node.args[1]
            if isinstance(said, ast.Constant) and said.value in ENVIRONMENT:
                self._levels[-1].found.append(Variable((*subject, str(said.value)), node.lineno, None, ()))

    def _enter(self, scope: Scope) -> None:
        super()._enter(scope)
        self._levels.append(_Level())

    def _leave(self) -> None:
        scope = self._scope
        super()._leave()
        level, up = self._levels.pop(), self._levels[-1]
        outward = up.passed if self._scope.is_class else up.found
        for one in level.found:
            for item in _keyed(one, scope, level):
                for said, is_global in _outward(item, scope, level):
                    (self._levels[0].found if is_global else outward).append(said)
        outward += level.passed


def _keyed(item: Variable, scope: Scope, level: _Level) -> Iterator[Variable]:
    """Put in what a scope says of the name of a variable, and of what is called."""
    to = item.to
    if to and to[0] not in scope.declared:
        if to[0] in scope.imports:
            one = scope.imports[to[0]][0]
            to = _NOWHERE if one.level else ("", one.module)
        elif to[0] in scope.bound and not scope.is_class:
            to = _NOWHERE
    if not item.key:
        yield item._replace(to=to)
        return
    choices: list[list[str | Chain]] = []
    for part in item.key:
        if isinstance(part, str) or part[0] in scope.declared or not _is_bound(part[0], scope):
            choices.append([part])
            continue
        texts = level.texts.get(part[0]) if len(part) == 1 and part[0] not in scope.imports else None
        choices.append([*(texts or ())])
    made: list[Key | None] = [*product(*choices)] if prod(map(len, choices)) <= _MOST else []
    for key in made or [None]:
        yield item._replace(key=key, to=to)


def _is_bound(name: str, scope: Scope) -> bool:
    return name in scope.bound or name in scope.imports


def _outward(item: Variable, scope: Scope, level: _Level) -> Iterator[tuple[Variable, bool]]:
    """Give what an expression is outside of a scope, and whether it is of the module."""
    if item.origin is not None:
        yield item, False
        return
    root, rest = item.chain[0], item.chain[1:]
    if root in scope.declared:
        yield item, True
        return
    roots = list(_origins(root, level, set()))
    if not roots and root in scope.bound and root not in scope.imports and not scope.is_class:
        return  # something else of that name
    for chain in roots or [(root,)]:
        for origin in scope.imports.get(chain[0], [None]):
            yield item._replace(chain=(*chain, *rest), origin=origin), chain[0] in scope.declared


def _origins(name: str, level: _Level, seen: set[str]) -> Iterator[Chain]:
    """Give what a name for the environment stands for in a scope, through further such names."""
    seen.add(name)
    for chain in level.aliases.get(name, ()):
        if chain[0] not in level.aliases:
            yield chain
        elif chain[0] not in seen:
            yield from ((*found, *chain[1:]) for found in _origins(chain[0], level, seen))


_BEFORE: dict[type, Callable[[Any, Any], None]] = {
    ast.Name: _VariableReader._on_name,
    ast.Attribute: _VariableReader._on_attribute,
    ast.Subscript: _VariableReader._on_subscript,
    ast.AugAssign: _VariableReader._on_augmented,
    ast.Expr: _VariableReader._on_expression,
    ast.Call: _VariableReader._on_call,
    ast.Compare: _VariableReader._on_comparison,
    ast.Assign: _VariableReader._on_assignment,
    ast.AnnAssign: _VariableReader._on_assignment,
    ast.For: _VariableReader._on_loop,
    ast.ListComp: _VariableReader._on_comprehension,
    ast.SetComp: _VariableReader._on_comprehension,
    ast.GeneratorExp: _VariableReader._on_comprehension,
    ast.DictComp: _VariableReader._on_comprehension,
    ast.Nonlocal: _VariableReader._on_nonlocal,
    ast.NamedExpr: _VariableReader._on_binder,
    ast.ExceptHandler: _VariableReader._on_binder,
    ast.MatchAs: _VariableReader._on_binder,
    ast.MatchStar: _VariableReader._on_binder,
    ast.MatchMapping: _VariableReader._on_binder,
    ast.FunctionDef: _VariableReader._on_binder,
    ast.AsyncFunctionDef: _VariableReader._on_binder,
    ast.ClassDef: _VariableReader._on_binder,
}
