"""By which name an object is found again: a path of attributes from a module that leads to that very object."""

from __future__ import annotations

import importlib
import sys
from types import FunctionType, ModuleType
from typing import Any, cast

from reprokit.code.apart.stand_ins import _MODULES as STAND_INS
from reprokit.code.apart.tree import Tree

__all__ = ["LOOKUPS", "STAND_INS"]

LOOKUPS = "reprokit.code.apart.lookups"  # home of the functions that stand in for those of the standard library
_BEHIND = ("__wrapped__", "__func__", "fget", "fset", "fdel", "func")  # where decorators keep what they decorate
_DEPTH = 6
_MISSING = object()


def path_to(obj: Any, module: Any, qualname: object) -> str | None:
    """Give the path from a module to an object, None when there is none.

    A function may lie behind what its decorators made of it: ``simulate.__wrapped__``.
    """
    if not isinstance(qualname, str) or "<" in qualname:  # <locals>, <lambda>
        return None
    found: Any = sys.modules.get(module)
    if found is None:
        return None
    try:
        for part in qualname.split("."):
            found = getattr(found, part)
    except AttributeError:
        return None
    if found is obj:
        return qualname
    return _behind(obj, found, qualname) if isinstance(obj, FunctionType) else None


def _behind(obj: FunctionType, found: Any, path: str) -> str | None:
    waiting = [(found, path, 0)]
    for value, way, depth in waiting:
        for name in _BEHIND:
            inner = getattr(value, name, _MISSING)
            if inner is obj:
                return f"{way}.{name}"
            if inner is not _MISSING and inner is not None and depth < _DEPTH:
                waiting.append((inner, f"{way}.{name}", depth + 1))
    return None


def is_space_of(space: dict[str, Any], module: Any) -> bool:
    """Tell whether a namespace is that of a loaded module."""
    there = sys.modules.get(module)
    return there is not None and getattr(there, "__dict__", None) is space


def leads_to(obj: Any, owner: Any, name: str) -> bool:
    """Tell whether an attribute is an object, or a method that equals it."""
    return bool(getattr(owner, name, _MISSING) == obj)


def bound_by_wrapper(obj: Any) -> tuple[Any, str] | None:
    """Give instance (or class) and name of a decorated method that was looked up on it."""
    kind = type(obj)
    if kind.__name__ != "BoundFunctionWrapper":
        return None
    parent = getattr(obj, "_self_parent", None)
    owner = getattr(obj, "_self_instance", None)
    name = obj.__name__
    if owner is None:
        owner = _class_of(obj)
    if parent is None or getattr(getattr(owner, name, None), "_self_parent", None) is not parent:
        return None
    return owner, name


def _class_of(obj: Any) -> Any:
    owner = getattr(obj, "_self_owner", None)
    if owner is None:
        owner = sys.modules.get(obj.__module__)
        for part in obj.__qualname__.split(".")[:-1]:
            owner = getattr(owner, part, None)
    return owner


# --- code that came in a bundle --------------------------------------------------------------------------------------------


def tree_behind(function: FunctionType) -> Tree | None:
    """Give the tree in which imports of a function look first."""
    space: dict[str, Any] = cast("Any", function).__builtins__  # not every checker knows of it
    found = getattr(space.get("__import__"), "__self__", None)
    return found if isinstance(found, Tree) else None


def is_import_function(function: FunctionType) -> bool:
    """Tell whether this is ``importlib.import_module``."""
    return function is importlib.import_module


def stand_in_of(function: FunctionType) -> tuple[Tree, str, str] | None:
    """Give tree, module and name of a function that stands in for one of the standard library."""
    for cell in function.__closure__ or ():
        tree = cell.cell_contents
        if isinstance(tree, Tree):
            for name, made in tree._stand_ins._made.items():
                if isinstance(made, ModuleType) and vars(made).get(function.__name__) is function:
                    return tree, name, function.__name__
    return None
