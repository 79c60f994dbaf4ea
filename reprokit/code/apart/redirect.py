"""``with rk.at(run):`` imports by plain names find the modules of a tree, inside the block only.

What is redirected: imports of this context (thread or task) that the code of the block's own module makes, and those of
code that is no part of today's version of the tree.  Today's modules go on finding each other.
"""

from __future__ import annotations

import builtins
import importlib
import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.code import PREFIX
from reprokit.code.apart.tree import compiled_lookup, is_compiled_lookup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextvars import Token
    from types import FrameType, ModuleType

    from reprokit.code.apart.tree import Tree


class _Block(NamedTuple):
    tree: Tree
    globals: dict[str, Any]  # of the module that the block is in
    token: list[Token[tuple[_Block, ...]]]


_blocks: ContextVar[tuple[_Block, ...]] = ContextVar("reprokit_blocks", default=())
_lock = threading.Lock()
_count = 0
_import = builtins.__import__
_import_module = importlib.import_module
_THROUGH = ("contextlib", "reprokit.code.apart.face")


def enter(tree: Tree, frame: FrameType | None) -> None:
    """Begin a block in the module of `frame`."""
    while frame is not None and frame.f_back is not None and frame.f_globals.get("__name__") in _THROUGH:
        frame = frame.f_back
    blocks = _blocks.get()
    block = _Block(tree, frame.f_globals if frame is not None else {}, [])
    block.token.append(_blocks.set((*blocks, block)))
    _install()


def leave(tree: Tree) -> None:
    """End the innermost block of a tree."""
    blocks = _blocks.get()
    innermost = next(block for block in reversed(blocks) if block.tree is tree)
    _blocks.reset(innermost.token.pop())
    _uninstall()


def _install() -> None:
    global _count, _import, _import_module
    with _lock:
        _count += 1
        if _count == 1:
            _import, _import_module = builtins.__import__, importlib.import_module
            builtins.__import__ = _redirected
            importlib.import_module = _redirected_module


def _uninstall() -> None:
    global _count
    with _lock:
        _count -= 1
        if _count == 0:  # else, or when somebody has put theirs over ours: they pass everything on
            if builtins.__import__ is _redirected:
                builtins.__import__ = _import
            if importlib.import_module is _redirected_module:
                importlib.import_module = _import_module


def _tree_for(name: str, importer: Mapping[str, Any] | None) -> Tree | None:
    top = name.partition(".")[0]
    asking = str((importer or {}).get("__name__", ""))
    if asking.startswith(PREFIX):
        return None
    for block in reversed(_blocks.get()):
        tree: Tree = block.tree
        if tree.owns(top) and (block.globals is importer or not tree.owns(asking.partition(".")[0])):
            return tree
    return None


def _redirected(
    name: str,
    globals: Mapping[str, Any] | None = None,  # noqa: A002 - the names that __import__ has
    locals: Mapping[str, Any] | None = None,  # noqa: A002
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> Any:
    tree = None if level else _tree_for(name, globals)
    if tree is None:
        return _import(name, globals, locals, fromlist or (), level)
    if is_compiled_lookup(globals, locals, fromlist):
        raise compiled_lookup(name, tree)
    return tree.import_(name, globals, locals, fromlist, 0)


def _redirected_module(name: str, package: str | None = None) -> ModuleType:
    import sys

    tree = None if name.startswith(".") else _tree_for(name, sys._getframe(1).f_globals)
    return _import_module(name, package) if tree is None else tree.module(name)
