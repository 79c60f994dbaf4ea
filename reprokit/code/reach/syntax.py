"""Syntax trees: where names are bound in them, and where definitions stand."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.code.reach.scopes import Chain

DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_INNER = (ast.Lambda, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


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


def root_of(node: ast.AST) -> str | None:
    """The name that an expression starts with."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Expr)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def is_call(statement: ast.stmt) -> bool:
    """Tell whether a statement is a call by itself."""
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)


def is_bare(statement: Any) -> bool:
    """Tell whether a statement calls a plain name."""
    return is_call(statement) and isinstance(statement.value.func, ast.Name)


def has_inner_scope(nodes: list[ast.AST]) -> bool:
    """Tell whether a lambda or comprehension stands in expressions."""
    return any(isinstance(part, _INNER) for node in nodes for part in ast.walk(node))


def first_line(node: Any) -> int:
    """The line of a statement, or that of its first decorator, which is what code objects say."""
    decorators = getattr(node, "decorator_list", None)
    return int(min(node.lineno, decorators[0].lineno) if decorators else node.lineno)


def holds(node: ast.expr, spot: tuple[int, int]) -> bool:
    """Tell whether an expression holds a line and column."""
    return (node.lineno, node.col_offset) <= spot <= (node.end_lineno or 0, node.end_col_offset or 0)


def bodies(statement: ast.AST) -> Iterator[list[ast.stmt]]:
    """Lists of statements in a statement."""
    for field in ("body", "orelse", "finalbody"):
        inner = getattr(statement, field, None)
        if isinstance(inner, list):
            yield inner
    for field in ("handlers", "cases"):
        for part in getattr(statement, field, ()):
            yield part.body


def definitions(node: ast.AST) -> Iterator[Any]:
    """Definitions in a body, those under if, try, for and with included."""
    for body in bodies(node):
        for statement in body:
            if isinstance(statement, DEFINITIONS):
                yield statement
            else:
                yield from definitions(statement)


def outermost(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module; those that only a type checker runs are taken out of their ``if``."""
    for statement in body:
        if isinstance(statement, ast.If) and (chain_of(statement.test) or ("",))[-1] == "TYPE_CHECKING":
            yield from outermost(statement.body)
            yield from outermost(statement.orelse)
        else:
            yield statement


def bound_by(statement: ast.stmt) -> set[str]:
    """Names that a statement binds."""
    found: set[tuple[bool, str]] = set()
    collect(statement, found, [])
    return {name for shaping, name in found if not shaping}


def collect(statement: ast.stmt, found: set[tuple[bool, str]], stars: list[ast.ImportFrom]) -> None:
    """Collect the names that a statement binds (False) or changes in place (True)."""
    if isinstance(statement, DEFINITIONS):
        found.add((False, statement.name))
        return
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            if alias.name == "*" and isinstance(statement, ast.ImportFrom):
                stars.append(statement)
            else:
                found.add((False, alias.asname or alias.name.partition(".")[0]))
        return
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        if isinstance(node, (*DEFINITIONS, ast.Import, ast.ImportFrom)):
            collect(node, found, stars)
        elif not isinstance(node, _INNER):
            if (bound := _bound_in(node)) is not None:
                found.add(bound)
            stack += ast.iter_child_nodes(node)


def _bound_in(node: ast.AST) -> tuple[bool, str] | None:
    """Give the name that a node by itself binds (False) or changes in place (True)."""
    if isinstance(node, ast.Name):
        return None if isinstance(node.ctx, ast.Load) else (False, node.id)
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return (False, node.name) if node.name else None
    root = None
    if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        root = root_of(node)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        root = root_of(node.value.func)
    return (True, root) if root else None
