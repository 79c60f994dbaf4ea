"""Makes source trees importable: the root module of each, and the name that it has for the user."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code.apart import finder
from reprokit.code.apart.loading import ApartLoader
from reprokit.code.apart.tree import Tree
from reprokit.errors import ImportApartError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from reprokit.code.apart.stamps import Stamp


class Face(ModuleType):
    """The root module of a tree: its attributes are the tree's top-level modules, imported when asked for.

    In a ``with`` block, imports of the tree's modules by their plain names find those of the tree.
    """

    __reprokit_tree__: Tree

    def __getattr__(self, name: str) -> Any:
        tree: Tree = self.__dict__["__reprokit_tree__"]
        if not name.startswith("__") and tree.has(name):
            return tree.submodule(name)
        known = ", ".join(tree.tops()) if not name.startswith("__") else ""
        raise AttributeError(f"{tree.label} has no module {name!r}{'; it has ' + known if known else ''}")

    def __dir__(self) -> list[str]:
        return sorted({*vars(self), *self.__reprokit_tree__.tops()})

    def __repr__(self) -> str:
        return f"<code of {self.__reprokit_tree__.label}>"

    def __enter__(self) -> Self:
        from reprokit.code.apart import redirect

        redirect.enter(self.__reprokit_tree__, sys._getframe(1))
        return self

    def __exit__(self, *exc_info: object) -> None:
        from reprokit.code.apart import redirect

        redirect.leave(self.__reprokit_tree__)


def open_tree(
    prefix: str,
    folder: str,
    roots: Sequence[str],
    label: str,
    known: Mapping[str, Stamp],
    *,
    package: str | None = None,
    run_init: bool = False,
    tops: Iterable[str] = (),
    left: Mapping[str, str] | None = None,
) -> Face:
    """Make a tree importable under its prefix, once; give its root module.

    Parameters
    ----------
    package
        The tree's name, when its folder is a package rather than one that holds modules and packages.
    run_init
        Whether the folder's ``__init__.py`` is the root module's own code.
    tops, left
        Top-level names that are the tree's in any case, and modules that it was kept without, with the reason.
    """
    with finder.lock:
        there = sys.modules.get(prefix)
        if isinstance(there, Face):
            return there
        tree = Tree(prefix, folder, roots, label, known, package, tops, left)
        face = Face(prefix)
        face.__reprokit_tree__ = tree
        face.__path__ = list(roots)
        face.__package__ = prefix
        start = os.path.join(folder, "__init__.py")
        loader = ApartLoader(prefix, start, tree) if run_init and os.path.isfile(start) else None
        spec = ModuleSpec(prefix, loader, origin=start if loader else None, is_package=True)
        spec.submodule_search_locations = list(roots)
        face.__spec__ = spec
        face.__loader__ = loader
        face.__file__ = start
        finder.trees[prefix] = tree
        sys.modules[prefix] = face
        finder.stay_first()
    if loader is not None:
        try:
            face.__dict__["__builtins__"] = tree.builtins
            loader.exec_module(face)
        except BaseException:
            del sys.modules[prefix], finder.trees[prefix]
            raise
    return face


def check_name(name: str, folder: str) -> None:
    """Refuse a folder's name for a tree when it is the name of an importable module.

    Raises
    ------
    ImportApartError
        Saying whose name it is.
    """
    try:
        spec = importlib.util.find_spec(name) if name not in sys.modules and "." not in name else None
    except (ImportError, ValueError):
        spec = None
    if spec is None:
        return
    where = [os.path.dirname(spec.origin)] if spec.origin and spec.has_location else []
    where += spec.submodule_search_locations or []
    if folder not in map(os.path.realpath, where):
        raise ImportApartError(name, f"cannot name a snapshot: it is a module ({spec.origin}); pass another name")


def name_tree(face: Face, name: str) -> None:
    """Let ``import name`` mean a tree, and ``import name.module`` a module of it.

    Raises
    ------
    ImportApartError
        When the name belongs to another module.
    """
    with finder.lock:
        there = sys.modules.get(name)
        if there is face:
            return
        if (there is not None and not isinstance(there, Face)) or not name or "." in name:
            raise ImportApartError(name, "cannot name a snapshot: another module has this name; pass another name")
        for entry in [entry for entry in sys.modules if entry.startswith(f"{name}.")] if there else ():
            del sys.modules[entry]  # second names of the tree that was called so before; its modules stay
        finder.names[name] = face.__reprokit_tree__
        sys.modules[name] = face
