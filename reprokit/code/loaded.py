"""What this process has imported from a project: where it finds modules, and which files are no longer what it runs."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code import PREFIX
from reprokit.code.foreign import is_foreign

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_TOLERANCE = 0.1  # seconds by which the clocks of file system and process may differ


def python_path(root: Path) -> list[str]:
    """List the entries of `sys.path` inside a project, relative to it; ``""`` is the project itself."""
    found: list[str] = []
    top = str(root)
    for entry in sys.path:
        path = os.path.abspath(entry)
        if (path == top or path.startswith(top + os.sep)) and os.path.isdir(path) and not is_foreign(path + os.sep):
            inside = "" if path == top else path[len(top) + 1 :].replace(os.sep, "/")
            if inside not in found:
                found.append(inside)
    return found


def stale(root: Path, age: float | None) -> list[str]:
    """List the files that were edited after this process had imported them, relative to the project.

    A file that is older than the process is not looked into.  Of others, the code on disk is compared with the
    functions, classes and plain constants that are loaded; an edit that changes none of them can go unnoticed.

    Parameters
    ----------
    root
        The project.
    age
        Seconds since this process started; None when it is not known, then every file is looked into.
    """
    started = time.time() - age - _TOLERANCE if age is not None else 0.0
    found: list[str] = []
    for name, module, path in list(_modules(str(root) + os.sep)):
        try:
            stat = os.stat(path)
            if stat.st_mtime < started:
                continue
            with open(path, "rb") as stream:
                data = stream.read()
        except OSError:  # removed since
            found.append(path)
            continue
        try:
            code = compile(data, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError):
            found.append(path)
            continue
        if _differs(name, module, code, data, path):
            found.append(path)
    return sorted({os.path.relpath(path, root).replace(os.sep, "/") for path in found})


def _modules(below: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Give name, contents and file of each loaded module of the project."""
    for name, module in list(sys.modules.items()):
        try:
            contents = object.__getattribute__(module, "__dict__")  # lazy modules load themselves when asked otherwise
        except AttributeError:
            continue
        path = contents.get("__file__") if isinstance(contents, dict) else None
        if not isinstance(path, str) or not path.endswith(".py"):
            continue
        if not os.path.isabs(path):
            path = os.path.abspath(path)
        if path.startswith(below) and not is_foreign(path) and not str(contents.get("__name__")).startswith(PREFIX):
            yield name, contents, path


def _differs(name: str, module: dict[str, Any], code: CodeType, data: bytes, path: str) -> bool:
    running = _running(module)
    if running is not None:
        return running != code
    loader = getattr(module.get("__spec__"), "loader", None)
    if name != "__main__" and type(loader).__name__ != "SourceFileLoader":
        return False  # rewritten while it was imported (by pytest, say), so its code can't be compared
    there: dict[str, list[CodeType]] = {}
    for one in _nested(code):
        there.setdefault(one.co_qualname, []).append(one)
    for function in _functions(module, path):
        if function.__code__ not in there.get(function.__code__.co_qualname, ()):
            return True
    return any(module.get(key, value) != value for key, value in _constants(data).items())


def _running(module: dict[str, Any]) -> CodeType | None:
    """Give the code of a module whose top level is still being executed: that of the script, as a rule."""
    import threading

    frame: FrameType | None = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_globals is module and frame.f_code.co_name == "<module>":
            return frame.f_code
        frame = frame.f_back
    return None


def _nested(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _nested(constant)


def _functions(module: dict[str, Any], path: str) -> Iterator[FunctionType]:
    """Give the functions that a module's code made, methods and decorated ones among them."""
    waiting: list[Any] = list(module.values())
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, FunctionType):
            if os.path.abspath(value.__code__.co_filename) == path:
                yield value
        elif isinstance(value, type):
            if value.__module__ == module.get("__name__"):
                waiting.extend(vars(value).values())
        elif isinstance(value, (staticmethod, classmethod)):
            waiting.append(value.__func__)
        elif isinstance(value, property):
            waiting.extend(part for part in (value.fget, value.fset, value.fdel) if part is not None)
        if not isinstance(value, (type, ModuleType)):
            inner = _wrapped(value)
            if inner is not None:
                waiting.append(inner)


def _wrapped(value: Any) -> Any:
    try:
        return object.__getattribute__(value, "__wrapped__")
    except AttributeError:
        return None


def _constants(data: bytes) -> dict[str, Any]:
    """Give the names that a module's source binds once, at its top level, to a literal."""
    import ast
    from collections import Counter

    tree = ast.parse(data)
    bound = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    )
    found: dict[str, Any] = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant() | ast.UnaryOp() | ast.Tuple() as value):
                if bound[name] == 1:
                    with contextlib.suppress(ValueError):
                        found[name] = ast.literal_eval(value)
    return found
