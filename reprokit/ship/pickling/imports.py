"""Which modules the code of a function may import while it runs, and whether some of them may be local."""

from __future__ import annotations

import builtins
import dis
import importlib
import weakref
from types import CodeType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from reprokit.ship.pickling.local import Local

_IMPORT = dis.opmap["IMPORT_NAME"]
# What imports a module that no import statement names.
_BY_NAME = frozenset(
    (
        "__import__",
        "import_module",
        "exec",
        "eval",
        "compile",
        "run_module",
        "run_path",
        "resolve_name",
        "find_spec",
        "reload",
    )
)
_MODULES = frozenset(
    ("importlib", "runpy", "pkgutil", "pickle", "importlib.util", "importlib.resources", "importlib.metadata")
)


class Imports(NamedTuple):
    """What code imports: top-level names, and whether there may be others."""

    tops: frozenset[str]
    relative: bool
    unknown: bool


_NONE = Imports(frozenset(), False, False)
_known: weakref.WeakKeyDictionary[CodeType, Imports] = weakref.WeakKeyDictionary()


def of(function: FunctionType) -> Imports:
    """Find out what a function may import, those within it included; not the functions that it calls."""
    code = function.__code__
    found = _known.get(code)
    if found is None:
        found = _known[code] = _of_code(code)
    if not found.unknown and _reaches_import_machinery(function, code):
        return found._replace(unknown=True)
    return found


def may_need_bundle(function: FunctionType, local: Local) -> bool:
    """Tell whether a function of ``__main__`` may import what is local."""
    if local.root is None:
        return False
    found = of(function)
    if found is _NONE:
        return False
    if found.relative:
        package = str(function.__globals__.get("__package__") or "").partition(".")[0]
        if package and local.may_own(package):
            return True
    return any(map(local.may_own, found.tops)) or (found.unknown and local.bundle().files > 0)


def _of_code(code: CodeType) -> Imports:
    tops: set[str] = set()
    relative = False
    unknown = not _BY_NAME.isdisjoint(code.co_names)
    if _IMPORT in code.co_code[::2]:
        before: list[Any] = [None, None]
        for step in dis.get_instructions(code):
            if step.opcode == _IMPORT:
                name = str(step.argval)
                relative |= before[0] != 0
                tops.add(name.partition(".")[0])
                unknown |= name in _MODULES
            before = [before[1], step.argval]
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = _of_code(constant)
            tops |= inner.tops
            relative |= inner.relative
            unknown |= inner.unknown
    if not tops and not unknown:
        return _NONE
    return Imports(frozenset(tops), relative, unknown)


def _reaches_import_machinery(function: FunctionType, code: CodeType) -> bool:
    space = function.__globals__
    for name in code.co_names:
        if _imports(space.get(name)):
            return True
    if function.__closure__:
        for cell in function.__closure__:
            try:
                if _imports(cell.cell_contents):
                    return True
            except ValueError:  # empty
                pass
    return any(isinstance(one, CodeType) and _reaches_import_machinery(function, one) for one in code.co_consts)


def _imports(value: Any) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__ in _MODULES
    return value is importlib.import_module or value is builtins.__import__
