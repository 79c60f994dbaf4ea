"""Source of what was defined in notebook cells or at the prompt: definitions only, so that loading runs no cell again."""

from __future__ import annotations

import ast
import builtins
import inspect
import linecache
import os
import sys
import textwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any

from reprokit.errors import UncapturableError

NAME = "interactive"


def is_interactive(given: Any) -> bool:
    """Tell whether a function or class of ``__main__`` comes from no file."""
    code = _code_of(given)
    if code is not None:
        return not os.path.isfile(code.co_filename)
    return getattr(sys.modules["__main__"], "__file__", None) is None


def source_of(wanted: list[Any]) -> str:
    """Write a module that defines functions and classes of ``__main__`` with all that they need from there.

    Raises
    ------
    UncapturableError
        When something they need has no source and is no plain constant.
    """
    session = vars(sys.modules["__main__"])
    imports: dict[str, str] = {}
    parts: dict[str, str] = {}
    waiting = [(getattr(inspect.unwrap(one), "__name__", "?"), one, "") for one in wanted]
    while waiting:
        name, value, user = waiting.pop(0)
        if name in parts or name in imports:
            continue
        text, line = _written(name, value, user)
        if line:
            imports[name] = line
            continue
        parts[name] = text
        needed = sorted(_names_in(text) & session.keys())
        waiting.extend((other, session[other], name) for other in needed if not _is_given(other, session[other]))
    # Definitions after what they need at definition time (decorators, defaults, bases): the session's own order.
    order = {name: number for number, name in enumerate(session)}
    body = sorted(parts, key=lambda name: order.get(name, len(order)))
    lines = sorted(line for line in imports.values() if not line.startswith("from __future__"))
    return "\n".join([*lines, "", *("\n\n" + parts[name].rstrip() for name in body), ""]).lstrip("\n")


def _is_given(name: str, value: Any) -> bool:
    """Tell whether every module has a name: IPython puts an ``open`` of its own before the builtin one."""
    return name.startswith("__") or (callable(value) and inspect.unwrap(value) is getattr(builtins, name, None))


def _written(name: str, value: Any, user: str) -> tuple[str, str]:
    """Give a definition, or an import line, for one name of the session."""
    if isinstance(value, ModuleType):
        module = value.__name__
        return "", f"import {module}" if module == name else f"import {module} as {name}"
    home = getattr(value, "__module__", None)
    if (isinstance(value, type) or callable(value)) and isinstance(home, str) and home != "__main__":
        own = getattr(value, "__qualname__", getattr(value, "__name__", None))
        if isinstance(own, str) and "." not in own and getattr(sys.modules.get(home), own, None) is value:
            return "", f"from {home} import {own}" + ("" if own == name else f" as {name}")
    plain = inspect.unwrap(value) if callable(value) else value
    if isinstance(plain, (type, FunctionType)):
        try:
            return (_class_source(plain) if isinstance(plain, type) else textwrap.dedent(inspect.getsource(plain))), ""
        except (OSError, TypeError) as error:
            raise UncapturableError(name, "its source is not known; define it in a cell or a file") from error
    text = repr(value)
    try:
        same = ast.literal_eval(text) == value
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        same = False
    if not same:
        raise UncapturableError(
            name, f"{user} needs it, and a {type(value).__name__} can't be written as source; pass it as an argument"
        )
    return f"{name} = {text}", ""


def _class_source(wanted: type) -> str:
    """Find a class in the cell that defined it last: `inspect` looks for classes in files only."""
    code = _code_of(wanted)
    cells = [code.co_filename] if code else [name for name in reversed(linecache.cache) if not os.path.isfile(name)]
    for cell in cells:
        text = "".join(linecache.getlines(cell))
        try:
            statements = ast.parse(text).body
        except SyntaxError:
            continue
        for statement in reversed(statements):
            if isinstance(statement, ast.ClassDef) and statement.name == wanted.__name__:
                first = min((d.lineno for d in statement.decorator_list), default=statement.lineno)
                return "\n".join(text.splitlines()[first - 1 : statement.end_lineno])
    raise OSError(f"no cell defines {wanted.__name__}")


def _names_in(text: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}


def _code_of(given: Any) -> CodeType | None:
    if isinstance(given, type):
        methods = (getattr(value, "__func__", value) for value in vars(given).values())
        return next((m.__code__ for m in methods if isinstance(m, FunctionType)), None)
    code = getattr(given, "__code__", None)
    return code if isinstance(code, CodeType) else None
