"""What can be read off a statement without running it, and off a code object without its source."""

from __future__ import annotations

import ast
import operator
import re
from typing import TYPE_CHECKING, Any

from reprokit.code.reach.modules import MISSING
from reprokit.code.reach.scopes import Import

if TYPE_CHECKING:
    from reprokit.code.reach.definitions import Text
    from reprokit.code.reach.modules import Module, Modules

_DEEPEST = 20
_LARGEST = 10_000  # bits of a number, or items of a text, that a source may make by arithmetic

_BINARY: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}
_UNARY: dict[type, Any] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_NUMBERS = (int, float, complex)


def evaluate(expression: Any, module: Module, modules: Modules, depth: int = 0) -> Any:
    """Give the value of literals, arithmetic on them, and constants made of them; `MISSING` for all else."""
    kind = type(expression)
    if kind is ast.Constant:
        return expression.value
    if depth > _DEEPEST:
        return MISSING
    if kind is ast.Name:
        return _of_name(expression.id, module, modules, depth)
    if kind in {ast.Tuple, ast.List, ast.Set}:
        items = [evaluate(item, module, modules, depth + 1) for item in expression.elts]
        made: Any = {ast.Tuple: tuple, ast.List: list, ast.Set: set}[kind]
        return MISSING if any(item is MISSING for item in items) else _tried(made, items)
    if kind is ast.Dict:
        keys = [MISSING if key is None else evaluate(key, module, modules, depth + 1) for key in expression.keys]
        items = [evaluate(item, module, modules, depth + 1) for item in expression.values]
        if any(item is MISSING for item in (*keys, *items)):
            return MISSING
        return _tried(lambda: dict(zip(keys, items, strict=True)))
    if kind is ast.UnaryOp:
        value = evaluate(expression.operand, module, modules, depth + 1)
        return _tried(_UNARY[type(expression.op)], value) if isinstance(value, _NUMBERS) else MISSING
    if kind is ast.BinOp and type(expression.op) in _BINARY:
        left = evaluate(expression.left, module, modules, depth + 1)
        right = evaluate(expression.right, module, modules, depth + 1)
        small = all(
            isinstance(v, _NUMBERS) and (not isinstance(v, int) or v.bit_length() < _LARGEST) for v in (left, right)
        )
        text = isinstance(left, str) and isinstance(right, str) and isinstance(expression.op, ast.Add)
        return _tried(_BINARY[type(expression.op)], left, right) if small or text else MISSING
    return MISSING


def _tried(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except (TypeError, ValueError, ArithmeticError):
        return MISSING


def _of_name(name: str, module: Module, modules: Modules, depth: int) -> Any:
    found = origin(module, name, modules)
    if isinstance(found, str):
        return MISSING
    home, name = found
    statements = home.statements(name)
    text = home.text
    if len(statements) != 1 or text is None or text.shapes(name):
        return MISSING
    (statement,) = statements
    if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
        return evaluate(statement.value, home, modules, depth + 1)
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        return evaluate(statement.value, home, modules, depth + 1)
    return MISSING


def origin(module: Module, name: str, modules: Modules) -> tuple[Module, str] | str:
    """Follow imports to where a name comes from.

    Returns
    -------
    tuple or str
        The module of the project that binds the name, and the name there (empty for the module itself); or
        ``numpy.linalg:norm`` for what comes from elsewhere.
    """
    seen = set()
    while (module.name, name) not in seen:
        seen.add((module.name, name))
        statements = module.statements(name)
        statement: Any = statements[0] if len(statements) == 1 else None
        if isinstance(statement, ast.ImportFrom):
            alias = next(one for one in statement.names if (one.asname or one.name) == name)
            target = modules.imported(module, Import(statement.level, statement.module or "", None))
            if target is None:
                return module, name
            if not target.local:
                return f"{target.name}:{alias.name}"
            if not _binds(target, alias.name, modules):
                inside = modules.find(f"{target.name}.{alias.name}", module)
                if inside is not None:
                    return (inside, "") if inside.local else f"{inside.name}:"
            module, name = target, alias.name
        elif isinstance(statement, ast.Import):
            alias = next(one for one in statement.names if (one.asname or one.name.partition(".")[0]) == name)
            target = modules.find(alias.name if alias.asname else name, module)
            if target is None:
                return module, name
            return (target, "") if target.local else f"{target.name}:"
        elif not statements and (star := _star(module, name, modules)) is not None:
            if not star.local:
                return f"{star.name}:{name}"
            module = star
        else:
            break
    return module, name


def _star(module: Module, name: str, modules: Modules) -> Module | None:
    for statement in reversed(module.text.stars() if module.text is not None else []):
        target = modules.imported(module, Import(statement.level, statement.module or "", None))
        if target is not None and target is not module and _binds(target, name, modules):
            return target
    return None


def _binds(module: Module, name: str, modules: Modules) -> bool:
    if module.space is not None:
        return name in module.space
    return bool(module.statements(name)) or _star(module, name, modules) is not None


def is_rebound(text: Text, name: str) -> bool:
    """Tell whether a function of the module declares a name global, and so may bind it again."""
    source = text.source if isinstance(text.source, bytes) else text.source.encode("utf-8", "surrogatepass")
    return b"global" in source and bool(re.search(rb"\bglobal\b[^\n]*\b" + re.escape(name.encode()) + rb"\b", source))


def is_import(text: Text | None, name: str) -> bool:
    """Tell whether a name is bound by import statements alone."""
    statements = text.bindings(name) if text is not None else []
    return bool(statements) and all(isinstance(one, (ast.Import, ast.ImportFrom)) for one in statements)


def is_bare(statement: ast.stmt) -> bool:
    """Tell whether a statement calls a plain name."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Name)
    )


def root_of(node: ast.AST) -> str | None:
    """The name that an expression starts with."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Expr)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
