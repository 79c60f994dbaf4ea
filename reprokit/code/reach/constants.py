"""Where names come from, and what the source says of the values of constants."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import expressions
from reprokit.code.reach.values import MISSING

if TYPE_CHECKING:
    from reprokit.code.reach.definitions import Text
    from reprokit.code.reach.facts import Expression
    from reprokit.code.reach.modules import Module, Modules

ASSIGNMENTS = frozenset({"assign", "annotated"})


def says(expression: Expression, value: Any, text: Text, module: Module, modules: Modules) -> bool:
    """Tell whether an expression of a text says that a value is what it is."""
    if not expression.digest:
        said = _value(expression, text, module, modules, 0)
        if said is MISSING:
            return False
        expected = expressions.digest_of(said)
    else:
        expected = expression.digest
    return expected is not None and expressions.digest_of(value) == expected


def _value(expression: Expression, text: Text, module: Module, modules: Modules, depth: int) -> Any:
    tree = text.tree(expression)
    if tree is None:
        return MISSING
    return expressions.evaluate(tree, lambda name, at: of_name(name, module, modules, at), depth)


def of_name(name: str, module: Module, modules: Modules, depth: int = 0) -> Any:
    """Give what the source binds a name to, for good; `MISSING` where it does not say."""
    found = origin(module, name, modules)
    if isinstance(found, str):
        return MISSING
    home, name = found
    text = home.text
    said = text.name(name) if text is not None else None
    if text is None or said is None or len(said.bound) != 1 or said.shapes:
        return MISSING
    (statement,) = said.bound
    if statement.kind not in ASSIGNMENTS or statement.names != "all" or statement.expression is None:
        return MISSING
    return _value(statement.expression, text, home, modules, depth + 1)


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
        statements = module.bindings(name)
        source = statements[0].origin if len(statements) == 1 else None
        if source is None:
            if statements or (star := _star(module, name, modules)) is None:
                break
            if not star.local:
                return f"{star.name}:{name}"
            seen.add((module.name, name))
            module = star
            continue
        seen.add((module.name, name))
        if source.name is None:
            target = modules.find(source.module, module)
            if target is None:
                return module, name
            return (target, "") if target.local else f"{target.name}:"
        target = modules.imported(module, source)
        if target is None:
            return module, name
        if not target.local:
            return f"{target.name}:{source.name}"
        if not _binds(target, source.name, modules):
            inside = modules.find(f"{target.name}.{source.name}", module)
            if inside is not None:
                return (inside, "") if inside.local else f"{inside.name}:"
        module, name = target, source.name
    return module, name


def _star(module: Module, name: str, modules: Modules) -> Module | None:
    for statement in reversed(module.text.stars if module.text is not None else ()):
        target = modules.imported(module, statement)
        if target is not None and target is not module and _binds(target, name, modules):
            return target
    return None


def _binds(module: Module, name: str, modules: Modules) -> bool:
    if module.space is not None:
        return name in module.space
    return bool(module.bindings(name)) or _star(module, name, modules) is not None


def is_rebound(text: Text, name: str) -> bool:
    """Tell whether a function of the module declares a name global, and so may bind it again."""
    source = text.source if isinstance(text.source, bytes) else text.source.encode("utf-8", "surrogatepass")
    return b"global" in source and bool(re.search(rb"\bglobal\b[^\n]*\b" + re.escape(name.encode()) + rb"\b", source))


def is_import(text: Text | None, name: str) -> bool:
    """Tell whether a name is bound by import statements alone."""
    statements = text.bindings(name) if text is not None else ()
    return bool(statements) and all(one.kind == "import" for one in statements)
