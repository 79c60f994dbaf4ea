"""The functions of the standard library that look modules up by name, made to know the names of a tree."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any

from reprokit.code.apart.loading import ApartLoader

if TYPE_CHECKING:
    from types import ModuleType

    from reprokit.code.apart.tree import Tree


def _absolute(name: str, package: str | None) -> str:
    import importlib.util

    return importlib.util.resolve_name(name, package) if name.startswith(".") else name


def _inside(tree: Tree, path: Any) -> bool:
    return os.path.realpath(path).startswith(tree.folder + os.sep) if isinstance(path, (str, os.PathLike)) else False


def _builtins(tree: Tree) -> dict[str, Any]:
    return tree.builtins  # all of them: a module's contents are what counts when one is handed to exec()


def _importlib(tree: Tree) -> dict[str, Any]:
    def import_module(name: str, package: str | None = None) -> ModuleType:
        found = _absolute(name, package)
        if tree.owns(found.partition(".")[0]):
            return tree.module(found)
        module: ModuleType = tree.import_(found, None, None, ("__name__",))
        return module

    return {"import_module": import_module, "__import__": tree.import_}


def _importlib_util(tree: Tree) -> dict[str, Any]:
    import importlib.util as real

    def find_spec(name: str, package: str | None = None) -> Any:
        try:
            return real.find_spec(tree.private(_absolute(name, package)))
        except ModuleNotFoundError as error:
            raise tree.translated(error) from None

    def spec_from_file_location(name: str, location: Any = None, **kwargs: Any) -> Any:
        if kwargs.get("loader") is None and _inside(tree, location):
            kwargs["loader"] = ApartLoader(name, os.path.abspath(location), tree)
        return real.spec_from_file_location(name, location, **kwargs)

    return {"find_spec": find_spec, "spec_from_file_location": spec_from_file_location}


def _metadata(tree: Tree) -> dict[str, Any]:
    import importlib.metadata as real

    def own(name: str) -> real.Distribution | None:
        context = real.DistributionFinder.Context(name=name, path=list(tree.roots))
        return next(iter(real.MetadataPathFinder.find_distributions(context)), None)

    def named(function: Callable[..., Any]) -> Callable[..., Any]:
        def look_up(distribution_name: str) -> Any:
            name = tree.plain(distribution_name)
            found = own(name)
            if found is None:
                return function(name)
            return found if function is real.distribution else getattr(found, function.__name__)

        return look_up

    return {name: named(getattr(real, name)) for name in ("distribution", "files", "metadata", "requires", "version")}


def _resources(tree: Tree) -> dict[str, Any]:
    from importlib import resources as real

    def named(function: Callable[..., Any]) -> Callable[..., Any]:
        def look_up(*args: Any, **kwargs: Any) -> Any:
            first = next((key for key in ("anchor", "package") if key in kwargs), None)
            if first is not None:
                kwargs[first] = private(kwargs[first])
            elif args:
                args = (private(args[0]), *args[1:])
            elif function.__name__ == "files":  # it would take the caller's module from the stack, where we stand now
                args = (sys.modules[sys._getframe(1).f_globals["__name__"]],)
            return function(*args, **kwargs)

        return look_up

    def private(package: Any) -> Any:
        return tree.private(package) if isinstance(package, str) else package

    names = ("files", "path", "contents", "is_resource", "open_binary", "open_text", "read_binary", "read_text")
    return {name: named(getattr(real, name)) for name in names if hasattr(real, name)}


def _logging_config(tree: Tree) -> dict[str, Any]:
    import logging.config as real

    class Configurator(real.dictConfigClass):
        """Resolves the names of handlers and filters as the tree's code would."""

        importer = staticmethod(tree.import_)

    return {"dictConfig": lambda config: Configurator(config).configure(), "dictConfigClass": Configurator}


def _pickle(tree: Tree) -> dict[str, Any]:
    import io
    import pickle as real

    class Unpickler(real.Unpickler):
        """Finds the tree's own classes, whatever `sys.modules` holds under their names."""

        def find_class(self, module_name: str, global_name: str, /) -> Any:
            name = tree.private(module_name)
            if name != module_name:
                tree.module(module_name)
            return super().find_class(name, global_name)

    def load(file: Any, **options: Any) -> Any:
        return Unpickler(file, **options).load()

    def loads(data: Any, /, **options: Any) -> Any:
        return Unpickler(io.BytesIO(data), **options).load()

    return {"Unpickler": Unpickler, "load": load, "loads": loads}


def _pkgutil(tree: Tree) -> dict[str, Any]:
    import pkgutil as real

    def get_data(package: str, resource: str) -> bytes | None:
        return real.get_data(tree.private(package), resource)

    def resolve_name(name: str) -> Any:
        module, colon, rest = name.partition(":")
        return real.resolve_name(f"{tree.private(module)}{colon}{rest}")

    def walk_packages(path: Any = None, prefix: str = "", onerror: Any = None) -> Iterator[real.ModuleInfo]:
        for info in real.walk_packages(path, tree.private(prefix) if prefix else prefix, onerror):
            yield info._replace(name=tree.plain(info.name))

    return {"get_data": get_data, "resolve_name": resolve_name, "walk_packages": walk_packages}


def _runpy(tree: Tree) -> dict[str, Any]:
    import runpy as real

    def run_module(
        mod_name: str, init_globals: dict[str, Any] | None = None, run_name: str | None = None, alter_sys: bool = False
    ) -> dict[str, Any]:
        private = tree.private(mod_name)
        given = {**(init_globals or {}), **({"__builtins__": tree.builtins} if private != mod_name else {})}
        found: dict[str, Any] = real.run_module(private, given, run_name or mod_name, alter_sys)
        return found

    def run_path(
        path_name: str, init_globals: dict[str, Any] | None = None, run_name: str | None = None
    ) -> dict[str, Any]:
        given = {**(init_globals or {}), **({"__builtins__": tree.builtins} if _inside(tree, path_name) else {})}
        found: dict[str, Any] = real.run_path(path_name, given, run_name)
        return found

    return {"run_module": run_module, "run_path": run_path}


class _Modules(MutableMapping[str, Any]):
    """`sys.modules` as the tree would have it: its own modules under the names that it knows them by."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def __getitem__(self, name: str) -> Any:
        return sys.modules[self._tree.private(name) if isinstance(name, str) else name]

    def __setitem__(self, name: str, module: Any) -> None:
        sys.modules[self._tree.private(name)] = module

    def __delitem__(self, name: str) -> None:
        del sys.modules[self._tree.private(name)]

    def __iter__(self) -> Iterator[str]:
        for name in list(sys.modules):
            own = self._tree.plain(name)
            if own != name or self._tree.private(name) == name:  # today's modules of the same names are hidden
                yield own

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def copy(self) -> dict[str, Any]:
        """Give them as a plain dictionary."""
        return dict(self)


def _sys(tree: Tree) -> dict[str, Any]:
    return {"modules": _Modules(tree)}


FUNCTIONS: dict[str, Callable[[Tree], dict[str, Any]]] = {
    "builtins": _builtins,
    "importlib": _importlib,
    "importlib.metadata": _metadata,
    "importlib.resources": _resources,
    "importlib.util": _importlib_util,
    "logging": lambda _: {},  # for its `config`
    "logging.config": _logging_config,
    "pickle": _pickle,
    "pkgutil": _pkgutil,
    "runpy": _runpy,
    "sys": _sys,
}
