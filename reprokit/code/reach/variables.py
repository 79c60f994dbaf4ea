"""Environment variables that code reads: which names in it are those of `os`, and which variables are named."""

from __future__ import annotations

import os
import sys
from types import FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import constants
from reprokit.code.reach.modules import is_module
from reprokit.code.reach.scopes import ENVIRONMENT
from reprokit.code.reach.values import MISSING, contents

if TYPE_CHECKING:
    from reprokit.code.reach.definitions import Text
    from reprokit.code.reach.modules import Module
    from reprokit.code.reach.names import Cells, Names
    from reprokit.code.reach.scopes import Chain, Reading, Use, Variable

_OF = "os"
_MAPPING = type(os.environ)
_FUNCTIONS = (os.getenv, getattr(os, "getenvb", os.getenv))
UNTOLD = "reads environment variables by names that can't be told"
_PASSED = "hands all environment variables on"


def follow(walk: Names, reading: Reading, module: Module, cells: Cells, filename: str) -> None:
    """Note the variables that a piece of source reads."""
    for item in reading.environment:
        if not leads_there(walk, item, module, cells):
            continue
        if item.key == ():
            if not (item.to and _is_elsewhere(walk, item.to, module, cells)):
                walk.unknown.add(f"{walk.where(filename, item.line)}: {_PASSED}")
            continue
        name = _name(walk, item, module, cells)
        if name is None:
            walk.unknown.add(f"{walk.where(filename, item.line)}: {UNTOLD}")
        else:
            walk.environment.add(name)


def is_hidden(walk: Names, use: Use, module: Module, cells: Cells, text: Text) -> bool:
    """Tell whether a name is one of the environment without looking so, and was not found in the source for that."""
    if not use.chain or not ENVIRONMENT.isdisjoint(use.chain) or use.chain[0] in text.facts.aliases:
        return False
    if use.origin is None and use.chain[0] not in cells and module.space is not None:
        value = module.space.get(use.chain[0])
        if not is_module(value) and not is_environment(value):
            return False
    return leads_there(walk, use, module, cells)


def is_environment(value: Any) -> bool:
    """Tell whether an object is the environment, or a function that reads it."""
    kind = type(value)
    if kind is FunctionType:
        return value in _FUNCTIONS
    return kind is _MAPPING or (kind is MethodType and type(value.__self__) is _MAPPING)


def is_seen(value: Any) -> bool:
    """Tell whether the description of a constant says all of it, so that it does not matter what it was made from."""
    import marshal
    from pathlib import PurePath

    if isinstance(value, PurePath) or is_environment(value):
        return True
    try:
        marshal.dumps(value)
    except (ValueError, TypeError):
        return False
    return True


def leads_there(walk: Names, item: Variable | Use, module: Module, cells: Cells) -> bool:
    """Tell whether a name leads to the environment."""
    root, rest = item.chain[0], item.chain[1:]
    if item.origin is not None:
        target = walk.modules.imported(module, item.origin)
        if target is None:
            return False
        return _in_module(walk, target, rest if item.origin.name is None else (item.origin.name, *rest), module)
    if root in cells:
        return any(_in_value(walk, held, rest, module) for held in contents(cells[root]))
    return _in_module(walk, module, item.chain, module)


def _in_value(walk: Names, value: Any, rest: Chain, importer: Module) -> bool:
    if is_module(value):
        return bool(rest) and _in_module(walk, walk.modules.of_space(vars(value)), rest, importer)
    return is_environment(value)


def _in_module(walk: Names, module: Module, chain: Chain, importer: Module) -> bool:
    """Tell whether attributes of a module lead to the environment."""
    if not chain:
        return False
    if module.name == _OF:
        return chain[0] in ENVIRONMENT
    if module.space is not None:
        value = module.space.get(chain[0], MISSING)
        if value is not MISSING:
            return _in_value(walk, value, chain[1:], importer)
    found = constants.origin(module, chain[0], walk.modules) if module.local else (module, chain[0])
    if isinstance(found, str):
        top, _, attribute = found.partition(":")
        rest = (attribute, *chain[1:]) if attribute else chain[1:]
        return top == _OF and bool(rest) and rest[0] in ENVIRONMENT
    home, name = found
    if not name:
        return _in_module(walk, home, chain[1:], importer)
    if home is not module and home.space is not None and name in home.space:
        return _in_value(walk, home.space[name], chain[1:], importer)
    statements = home.bindings(name)
    if not statements and home.search is not None:
        inside = walk.modules.find(f"{home.name}.{name}", importer)
        return inside is not None and _in_module(walk, inside, chain[1:], importer)
    aliases = home.text.facts.aliases if home.text is not None else ()
    return name in aliases and all(one.kind in constants.ASSIGNMENTS for one in statements)


def _is_elsewhere(walk: Names, to: Chain, module: Module, cells: Cells) -> bool:
    """Tell whether a called name leads out of the project, where environments are for other processes."""
    if not to[0]:
        target = walk.modules.find(to[1], module)
        return target is not None and not target.local
    if to[0] in cells:
        values = contents(cells[to[0]])
    elif module.space is not None:
        values = [module.space[to[0]]] if to[0] in module.space else []
    else:
        found = constants.origin(module, to[0], walk.modules)
        return isinstance(found, str)
    value = values[0] if values else MISSING
    for part in to[1:]:
        if not is_module(value) or not walk.modules.of_space(vars(value)).local:
            break
        value = vars(value).get(part, MISSING)
    if value is MISSING:
        return False
    if is_module(value):
        return not walk.modules.of_space(vars(value)).local
    home = sys.modules.get(str(getattr(value, "__module__", None)))
    return isinstance(home, ModuleType) and not walk.modules.of_space(vars(home)).local


def _name(walk: Names, item: Variable, module: Module, cells: Cells) -> str | None:
    """Put the name of a variable together."""
    said = ""
    for part in item.key if item.key is not None else (None,):
        value = part if isinstance(part, str) else MISSING if part is None else _text(walk, part, module, cells)
        if type(value) is bytes:
            value = os.fsdecode(value)
        if type(value) is not str:
            return None
        said += value
    return said


def _text(walk: Names, chain: Chain, module: Module, cells: Cells) -> Any:
    """Give what a name of the module, or of what it imports, is bound to."""
    root, rest = chain[0], chain[1:]
    if root in cells:
        value = next(iter(contents(cells[root])), MISSING)
    elif module.space is not None:
        value = module.space.get(root, MISSING)
    else:
        return _said(walk, chain, module)
    for part in rest:
        if not is_module(value) and not isinstance(value, type):
            return MISSING
        value = vars(value).get(part, MISSING)
    return value


def _said(walk: Names, chain: Chain, module: Module) -> Any:
    """Give what the source of a module that is not loaded binds a name to."""
    found = constants.origin(module, chain[0], walk.modules)
    if isinstance(found, str):
        return MISSING
    home, name = found
    if not name:
        return _text(walk, chain[1:], home, {}) if len(chain) > 1 else MISSING
    if len(chain) > 1:
        return MISSING
    return _text(walk, (name,), home, {}) if home.space is not None else constants.of_name(name, home, walk.modules)
