"""Runs the code of modules that are imported apart."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec, NamespaceLoader, SourceFileLoader
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code.apart.locate import EXTENSIONS, Found
from reprokit.errors import ImportApartError

if TYPE_CHECKING:
    from reprokit.code.apart.tree import Tree


class ApartLoader(SourceFileLoader):
    """Loads a module of a tree."""

    def __init__(self, fullname: str, path: str, tree: Tree) -> None:
        super().__init__(fullname, path)
        self.tree = tree

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make the module with the tree's builtins."""
        module = ModuleType(spec.name)
        module.__dict__["__builtins__"] = self.tree.builtins
        return module

    def get_filename(self, name: str | None = None) -> str:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Give the file; code of the tree may ask by the name that it knows."""
        return super().get_filename(self.tree.private(name) if name else name)

    def get_resource_reader(self, name: str | None = None) -> Any:
        """Give access to the data files of a package."""
        return super().get_resource_reader(self.tree.private(name) if name else self.name)

    def get_code(self, fullname: str) -> CodeType:
        """Give the code that was there when the tree was loaded.

        Raises
        ------
        ImportApartError
            When the file has changed since.
        """
        kept = self.tree.pinned.get(self.path)
        if kept is not None:
            code: CodeType = self.source_to_code(kept, self.path)
            return code
        if self.tree.changed(self.path):
            raise ImportApartError(
                self.tree.plain(fullname), f"{self.path} has changed since {self.tree.label} was loaded; load it again"
            )
        content = self.tree.contents.get(self.path)
        there = _codes.get(content) if content is not None else None
        if there is not None:
            return _at(there, self.path)
        found = super().get_code(fullname)
        assert found is not None  # sources always have code
        if content is not None:
            _codes[content] = found
        return found


_codes: dict[bytes, CodeType] = {}  # by SHA-256 of the source: versions of a package differ in a few files


def _at(code: CodeType, path: str) -> CodeType:
    """Give the same code as if it had been compiled from another file; what is large in it is shared."""
    constants = tuple(_at(one, path) if isinstance(one, CodeType) else one for one in code.co_consts)
    return code.replace(co_filename=path, co_consts=constants)


def spec_for(fullname: str, found: Found, tree: Tree) -> ModuleSpec | None:
    """Describe to the import system what was found.

    Raises
    ------
    ImportApartError
        When it is a compiled extension.
    """
    if found.location is None:
        # Readers of resources ask for the loader and the kind of path that the import system itself would make.
        finder: Any = tree.spec
        loader: Any = NamespaceLoader(fullname, list(found.folders), finder)
        spec = ModuleSpec(fullname, loader, is_package=True)
        spec.submodule_search_locations = loader._path
        return spec
    if found.location.endswith(EXTENSIONS):
        raise ImportApartError(
            tree.plain(fullname),
            f"{found.location} is a compiled extension; a process can hold only one version of it, so it can't be "
            "imported apart",
        )
    return importlib.util.spec_from_file_location(
        fullname,
        found.location,
        loader=ApartLoader(fullname, found.location, tree),
        submodule_search_locations=list(found.folders) or None,
    )
