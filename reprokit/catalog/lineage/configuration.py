"""The configuration that a function's decorators name now: evaluated where it is written plainly, else compared as source."""

from __future__ import annotations

import ast
import os
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.capture import config as configs
from reprokit.catalog.diff.parts import LARGEST
from reprokit.catalog.diff.trees import read
from reprokit.errors import ReprokitError
from reprokit.model import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.catalog.diff.parts import Finder
    from reprokit.catalog.diff.trees import Tree

_MOST = 200  # definitions that are followed
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


class Unknown(Exception):  # noqa: N818 - an outcome: who asks goes on otherwise
    """A value that no literal gives."""


class Module(NamedTuple):
    """A file of a source tree."""

    name: str
    path: str
    body: list[ast.stmt]


class Configuration:
    """What the ``@Artifact`` decorators of a function say in one source tree.

    Parameters
    ----------
    tree, finder
        The tree, and where its parts stand.
    function
        As closures name it: ``"pkg.mod:name"``.
    """

    def __init__(self, tree: Tree, finder: Finder, function: str) -> None:
        self._tree, self._finder = tree, finder
        self._modules: dict[str, Module | None] = {}
        module = self._module(function.partition(":")[0])
        self.found = module is not None
        self._module_of = module
        self._decorators = list(_decorators(module.body, function.partition(":")[2])) if module else []

    def value(self, root: Path) -> Any:
        """Give the value of the outermost decorator that has a configuration, in plain form; None when none has one.

        Raises
        ------
        Unknown
            When it is computed, or depends on arguments.
        """
        for decorator in self._decorators:
            told = {word.arg: word.value for word in decorator.keywords}
            if "args" in told or None in told:
                raise Unknown
            expression = told.get("config", decorator.args[1] if len(decorator.args) > 1 else None)
            if expression is None or self._module_of is None:
                continue
            value = self._literal(expression, self._module_of, 0)
            try:
                plain = canonical.plain(configs.resolve(os.path.join(root, value)) if isinstance(value, str) else value)
            except ReprokitError as error:
                raise Unknown from error
            if value is not None:
                return plain
        return None

    def sources(self) -> dict[str, str]:
        """Give what the decorators and all that they name are in source, by ``"pkg.mod:name"``; layout doesn't count."""
        found: dict[str, str] = {}
        if self._module_of is None:
            return found
        waiting: list[tuple[Module, ast.AST]] = []
        for number, decorator in enumerate(self._decorators):
            found[f"@Artifact {number}"] = ast.dump(decorator)
            waiting.append((self._module_of, decorator))
        while waiting and len(found) < _MOST:
            module, node = waiting.pop()
            for name in _names(node):
                for label, home, statement in self._bound(module, name):
                    if label not in found:
                        found[label] = ast.dump(statement)
                        waiting.append((home, statement))
        return found

    def _literal(self, node: ast.expr, module: Module, depth: int) -> Any:
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            pass
        chain = _chain(node)
        bound = list(self._bound(module, chain)) if chain else []
        if len(bound) != 1 or depth > _MOST:
            raise Unknown
        _, home, statement = bound[0]
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
            raise Unknown
        return self._literal(statement.value, home, depth + 1)

    def _bound(self, module: Module, chain: str) -> Iterator[tuple[str, Module, ast.stmt]]:
        """Give the statements that bind a name at the top of a module, or of the one that it is imported from."""
        first, _, rest = chain.partition(".")
        for node in module.body:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if (alias.asname or alias.name) == first:
                        yield from self._imported(_home(node, module), alias.name, rest)
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname == first or (alias.asname is None and chain.startswith(f"{alias.name}.")):
                        other = self._module(alias.name)
                        wanted = rest if alias.asname else chain[len(alias.name) + 1 :]
                        if other is not None and wanted:
                            yield from self._bound(other, wanted)
            elif (not rest and first in _targets(node)) or (rest and first in _targets(node)):
                yield f"{module.name}:{first}", module, node

    def _imported(self, home: str, name: str, rest: str) -> Iterator[tuple[str, Module, ast.stmt]]:
        inner = self._module(f"{home}.{name}")  # a module of a package
        if inner is not None and rest:
            yield from self._bound(inner, rest)
            return
        other = self._module(home)
        if other is not None:
            yield from self._bound(other, f"{name}.{rest}" if rest else name)

    def _module(self, name: str) -> Module | None:
        if name not in self._modules:
            place = self._finder.find(f"{name}:") if name else None
            parsed = _parsed(self._tree, place.path) if place is not None else None
            self._modules[name] = Module(name, place.path, parsed.body) if place is not None and parsed else None
        return self._modules[name]


def _parsed(tree: Tree, path: str) -> ast.Module | None:
    if not path.endswith(".py") or tree.files[path].size > LARGEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in somebody's strings
        try:
            data = dict(read(tree, [path]))[path]
            return ast.parse(data) if data is not None else None
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _decorators(body: list[ast.stmt], name: str) -> Iterator[ast.Call]:
    """Give the ``Artifact(...)`` decorators of a definition, the outermost first."""
    first, _, rest = name.partition(".")
    for node in body:
        if isinstance(node, _DEFINITIONS) and node.name == first:
            if rest:
                yield from _decorators(node.body, rest.removeprefix("<locals>."))
                continue
            for one in node.decorator_list:
                if isinstance(one, ast.Call) and _chain(one.func).rpartition(".")[2] == "Artifact":
                    yield one


def _home(node: ast.ImportFrom, module: Module) -> str:
    """Give the module that ``from X import`` names, as seen from another."""
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    up = node.level - (1 if module.path.endswith("__init__.py") else 0)
    return ".".join([*parts[: len(parts) - up], *([node.module] if node.module else [])])


def _chain(node: ast.AST) -> str:
    """Give ``a.b.c`` of such an expression; empty for any other."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _chain(node.value)
        return f"{inner}.{node.attr}" if inner else ""
    return ""


def _names(node: ast.AST) -> Iterator[str]:
    """Give the names that code reads, whole where they are dotted."""
    for one in ast.walk(node):
        chain = _chain(one)
        if chain:
            yield chain


def _targets(node: ast.stmt) -> set[str]:
    if isinstance(node, _DEFINITIONS):
        return {node.name}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return set()
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
