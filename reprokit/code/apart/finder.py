"""Where Python asks for modules that are imported apart: by their private names, and by the names of whole trees."""

from __future__ import annotations

import os
import sys
import threading
from importlib.machinery import ModuleSpec
from typing import TYPE_CHECKING, Any, cast

from reprokit.code import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from reprokit.code.apart.tree import Tree

trees: dict[str, Tree] = {}  # by private name
names: dict[str, Tree] = {}  # by the name that `load` gave
openers: list[Callable[[str], bool]] = []  # open a tree by its private name, when they have it
lock = threading.RLock()


def tree_of(module: str | None) -> Tree | None:
    """Give the tree that a module of this name belongs to, None for modules that weren't imported apart."""
    return trees.get(module.partition(".")[0]) if module and module.startswith(PREFIX) else None


def trees_below(folder: str) -> list[Tree]:
    """List the trees that are loaded from a folder."""
    return [tree for tree in list(trees.values()) if tree.folder == folder]


def stay_first() -> None:
    """Come before finders that would find the modules by their package's path, and load them as ordinary ones."""
    if not sys.meta_path or sys.meta_path[0] is not _finder:
        with lock:
            finder = cast("Any", _finder)
            if finder in sys.meta_path:
                sys.meta_path.remove(finder)
            sys.meta_path.insert(0, finder)


class _Finder:
    """Finds modules of trees, and the names that `load` gave to whole trees."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top, _, rest = fullname.partition(".")
        if not rest:
            face = _opened(top) if top.startswith(PREFIX) and top not in trees else None
            return ModuleSpec(top, cast("Any", _ThatModule(face))) if face is not None else None
        tree = trees.get(top)
        if tree is not None:
            return tree.spec(fullname, path)
        tree = names.get(top)
        if tree is None:
            return None
        if tree.spec(f"{tree.prefix}.{rest}", path) is None:
            return None
        return ModuleSpec(fullname, cast("Any", _SameModule(tree, rest)))

    def invalidate_caches(self) -> None:
        for tree in list(trees.values()):
            tree.forget_listings()


def _opened(top: str) -> ModuleType | None:
    """Open a tree that is named by its digest, as in pickles that somebody else wrote."""
    for opener in openers:
        if opener(top):
            return sys.modules.get(top)
    return None


class _ThatModule:
    """Loads what is loaded already."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._own_spec = module.__spec__  # the import system is going to write its own over it

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec


class _SameModule:
    """Loads ``snap.package`` as what it is already: a module of the tree that `load` named ``snap``."""

    def __init__(self, tree: Tree, rest: str) -> None:
        self._tree, self._rest = tree, rest

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        self._there = _ThatModule(self._tree.submodule(self._rest))
        return self._there.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._there.exec_module(module)


_finder = _Finder()


def _after_fork() -> None:
    """Have a lock of one's own: what another thread held at that moment is held for ever here."""
    global lock
    lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
