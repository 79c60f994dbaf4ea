"""What one pickle needs, and how it names what is local.

A `Parcel` belongs to one pickler.  Its `reduce` says how an object is pickled, or leaves it to the pickler.
"""

from __future__ import annotations

import functools
import sys
from types import CellType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code import PREFIX
from reprokit.code.apart import finder
from reprokit.code.apart.stand_ins import StandIn
from reprokit.code.apart.tree import Tree
from reprokit.code.bundles import store
from reprokit.errors import UnshippableError
from reprokit.ship.pickling import by_value, imports, names, rebuild
from reprokit.ship.pickling.local import FOREIGN, LOCAL, MAIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.ship.pickling.local import Local

_NO_REFERENCES = (FunctionType, type, CellType, ModuleType, MethodType)
_lru_cached = type(functools.lru_cache(lambda: None))


class Parcel:
    """What one pickle needs.

    Parameters
    ----------
    local
        What is local.
    carry
        Gives what stands for a bundle in the pickle, by its digest: something that is the token when it is unpickled.
    is_reference
        Tells which values are promises of the engine, that are not pickled but listed in `references`.
    plain
        Whether what needs no bundle is left to the pickler as it is.

    Attributes
    ----------
    digests
        The bundles that it needs.
    home_digest
        The one of this process's own code, None as long as nothing needs it.
    """

    def __init__(
        self,
        local: Local,
        carry: Callable[[str], Any],
        is_reference: Callable[[object], bool] | None = None,
        *,
        plain: bool = False,
    ) -> None:
        self.local = local
        self.plain = plain
        self.references: list[object] = []
        self.digests: dict[str, Any] = {}  # with their tokens
        self.cells: set[int] = set()  # of functions that travel by value our way
        self.main: str | None = None  # bundle that imports in code of __main__ look in
        self.inside: str | None = None  # bundle of the last code that travels by value and looks into one
        self._carry = carry
        self._is_reference = is_reference
        self._ordinary: set[type] = set()  # types of instances that are left to the pickler
        self.home_digest: str | None = None

    # --- bundles ---------------------------------------------------------------------------------------------------

    def token(self, whose: str) -> Any:
        """Give what names a bundle in this pickle; the same object each time, so it is pickled once."""
        digest = self.digest(whose)
        found = self.digests.get(digest)
        if found is None:
            found = self.digests[digest] = self._carry(digest)
        return found

    def digest(self, whose: str) -> str:
        """Give the digest of the bundle that holds the modules of somebody."""
        return self.home() if whose == LOCAL else whose

    def home(self) -> str:
        """Give the digest of what this process runs: one for the whole pickle.

        A pickler that was extended may write many, and nothing says where one ends: there it is asked for each object.
        """
        if self.home_digest is None or self.plain:
            self.home_digest = self.local.bundle().digest
        return self.home_digest

    def again(self) -> Parcel:
        """Give a parcel for another pickle of the same kind."""
        return Parcel(self.local, self._carry, self._is_reference, plain=self.plain)

    # --- objects ---------------------------------------------------------------------------------------------------

    def reduce(self, pickler: Any, obj: Any) -> Any:
        """Say how an object is pickled, as `pickle.Pickler.reducer_override` does."""
        kind = type(obj)
        if self._is_reference is not None and kind not in _NO_REFERENCES and self._is_reference(obj):
            self.references.append(obj)
            return rebuild.reference, (len(self.references) - 1,)
        if kind in self._ordinary:
            return NotImplemented
        if kind is FunctionType:
            return self._function(pickler, obj)
        if issubclass(kind, type):
            return self._class(pickler, obj)
        if kind is CellType:
            return by_value.cell(obj) if id(obj) in self.cells else NotImplemented
        if issubclass(kind, ModuleType):
            return self._module(obj)
        if kind is MethodType:
            return self._method(obj)
        if kind is functools.cached_property and self._takes(obj.func):
            return rebuild.cached_property, (obj.func, obj.attrname)
        if _has_own_way(kind) or "__wrapped__" in getattr(obj, "__dict__", ()):
            return self._by_own_way(pickler, obj, kind)
        self._ordinary.add(kind)
        return NotImplemented

    def _takes(self, function: Any) -> bool:
        """Tell whether a function is one that this says how to pickle."""
        return not self.plain or self._whose(getattr(function, "__module__", None)) not in (FOREIGN, MAIN)

    def _named(self, whose: str, module: str, path: str) -> Any:
        return rebuild.named, (self.token(whose), plain_name(module), path)

    def _function(self, pickler: Any, function: FunctionType) -> Any:
        module: Any = function.__module__
        whose = self._whose(module)
        if whose not in (FOREIGN, MAIN):
            path = names.path_to(function, module, function.__qualname__)
            if path is not None:
                return self._named(whose, module, path)
        space = function.__globals__
        home: Any = space.get("__name__")
        whose = self._whose(home)
        if whose not in (FOREIGN, MAIN):
            in_module = names.is_space_of(space, home)
            path = names.path_to(function, home, function.__code__.co_qualname) if in_module else None
            if path is not None:
                return self._named(whose, home, path)
            if not sends_code(pickler):
                return NotImplemented
            self.inside = self.digest(whose)
            return by_value.function(self, pickler, function, None if in_module else self.inside)
        if whose is MAIN and sends_code(pickler):
            return self._main_function(pickler, function)
        if self.inside is not None and names.is_import_function(function):
            return rebuild.outside, (self.token(self.inside), "importlib", "import_module")
        if home == names.LOOKUPS:
            found = names.stand_in_of(function)
            if found is not None:
                return rebuild.outside, (self.token(_digest_of(found[0])), *found[1:])
        return NotImplemented

    def _main_function(self, pickler: Any, function: FunctionType) -> Any:
        tree = names.tree_behind(function)
        if tree is not None:  # it came in a pickle
            digest: str | None = _digest_of(tree)
        else:
            if self.main is None and imports.may_need_bundle(function, self.local):
                self.main = self.home()
            digest = self.main  # for all that follow as well: they may share their globals
        if digest is None and self.plain:
            return NotImplemented
        self.inside = digest or self.inside
        return by_value.function(self, pickler, function, digest or "")

    def _class(self, pickler: Any, obj: type) -> Any:
        module = obj.__module__
        whose = self._whose(module)
        if whose is FOREIGN:
            return NotImplemented
        if whose is MAIN:
            return NotImplemented if self.plain or obj in by_value.BUILTIN else by_value.class_(self, obj)
        path = names.path_to(obj, module, obj.__qualname__)
        if path is not None:
            return self._named(whose, module, path)
        return by_value.class_(self, obj) if sends_code(pickler) else NotImplemented

    def _module(self, obj: ModuleType) -> Any:
        if isinstance(obj, StandIn):
            behind = vars(obj).get("__reprokit_tree__")
            if isinstance(behind, Tree):
                return rebuild.outside, (self.token(_digest_of(behind)), obj.__name__)
        name = obj.__name__
        whose = self._whose(name)
        if whose not in (FOREIGN, MAIN) and sys.modules.get(name) is obj:
            return rebuild.module, (self.token(whose), plain_name(name))
        if self.inside is not None and name in names.STAND_INS and sys.modules.get(name) is obj:
            return rebuild.outside, (self.token(self.inside), name)
        return NotImplemented

    def _method(self, method: MethodType) -> Any:
        """Take the name on the object it is bound to, where that leads back: its function may have none of its own."""
        if self._whose(method.__func__.__module__) in (FOREIGN, MAIN):
            return NotImplemented
        name = getattr(method.__func__, "__name__", "")
        if isinstance(method.__self__, type) and names.leads_to(method, method.__self__, name):
            return getattr, (method.__self__, name)
        return NotImplemented

    def _by_own_way(self, pickler: Any, obj: Any, kind: type) -> Any:
        """Name what is found by name in a local module, as decorated functions are; ask other objects for their reduction."""
        module: Any = getattr(obj, "__module__", None)
        whose = self._whose(module)
        if whose is FOREIGN or kind in pickler.dispatch_table:
            return NotImplemented
        bound = names.bound_by_wrapper(obj)
        if bound is not None:
            return getattr, bound
        if whose is MAIN:
            return self._of_main(pickler, obj, kind)
        path = names.path_to(obj, module, getattr(obj, "__qualname__", None))
        if path is not None:
            return self._named(whose, module, path)
        found = obj.__reduce_ex__(getattr(pickler, "proto", 5))
        path = names.path_to(obj, module, found)
        if path is not None:
            return self._named(whose, module, path)
        return self._decorated(obj, kind) if isinstance(found, str) else found

    def _of_main(self, pickler: Any, obj: Any, kind: type) -> Any:
        if self.plain and not hasattr(obj, "_self_stack"):
            return NotImplemented
        found = obj.__reduce_ex__(getattr(pickler, "proto", 5))
        return self._decorated(obj, kind) if isinstance(found, str) else found

    def _decorated(self, obj: Any, kind: type) -> Any:
        """Take a decorated function apart that is nested, or of ``__main__``."""
        if hasattr(obj, "_self_stack"):
            return kind, (obj.__wrapped__, obj._self_stack.plan)
        if kind is _lru_cached:
            return rebuild.cached, (obj.__wrapped__, obj.cache_parameters())
        return NotImplemented

    def name_of_module(self, name: Any) -> Any:
        """Give what is pickled for the name of a module, where it has another one on the other side."""
        whose = self._whose(name)
        return name if whose in (FOREIGN, MAIN) else _ModuleName(self.token(whose), plain_name(name))

    def _whose(self, module: object) -> str:
        whose = self.local.whose(module)
        if whose is FOREIGN and not self.plain and isinstance(module, str) and module.startswith(PREFIX):
            tree = finder.tree_of(module)
            if tree is not None:
                raise UnshippableError(
                    module.partition(".")[2],
                    "code",
                    f"it belongs to {tree.label}, and only a project's own code travels",
                )
        return whose


class _ModuleName:
    """Stands for the name of a module in a pickle; unpickled, it is the name that the module has there."""

    __slots__ = ("_found",)

    def __init__(self, token: Any, name: str) -> None:
        self._found = (token, name)

    def __reduce__(self) -> Any:
        return rebuild.module_name, self._found


def sends_code(pickler: Any) -> bool:
    """Tell whether a pickler can send functions by value: those of cloudpickle can."""
    return hasattr(pickler, "globals_ref")


def plain_name(module: str) -> str:
    """Give the name that the code itself has for a module."""
    return module.partition(".")[2] if module.startswith(PREFIX) else module


def _digest_of(tree: Tree) -> str:
    found = store.digest_of(tree.prefix)
    if found is None:
        raise UnshippableError(
            tree.label, "code", "it was not sent here as a bundle, and only a project's own code travels"
        )
    return found


def _has_own_way(kind: Any) -> bool:
    """Tell whether instances of a class say themselves how they are pickled."""
    return kind.__reduce_ex__ is not object.__reduce_ex__ or kind.__reduce__ is not object.__reduce__
