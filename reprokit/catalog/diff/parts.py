"""Where the parts of a closure stand in a source tree; files are parsed, never imported."""

from __future__ import annotations

import ast
import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

from reprokit.catalog.diff.trees import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reprokit.catalog.diff.lines import Span
    from reprokit.catalog.diff.trees import Tree

NUMBER = re.compile(r"#\d+\Z")
FILE = "file "
_IMPORT = "<import>"
LARGEST = 1_000_000  # bytes of a file that is parsed, or shown


class Place(NamedTuple):
    """A part's lines in a file; several when a name is defined more than once."""

    path: str
    spans: list[Span]


class Finder:
    """Finds parts in one tree.

    Parameters
    ----------
    tree
        The tree.
    python_path
        Folders in it that modules are imported from, ``""`` for the tree's own.
    script
        The file, relative to the tree, that the run's function stood in: a script is no module of that name.
    """

    def __init__(self, tree: Tree, python_path: Sequence[str], script: str | None) -> None:
        self._tree = tree
        self._roots = [path.strip("/") for path in python_path] or ["", "src", "lib", "python"]
        self._script = script
        self._parsed: dict[str, ast.Module | None] = {}

    def find(self, label: str) -> Place | None:
        """Give the place of a part (``"pkg.mod:Class.method"``); None when the tree doesn't tell it."""
        if label.startswith(FILE):
            path = label[len(FILE) :]
            return Place(path, [_ALL]) if path in self._tree.files else None
        module, _, name = NUMBER.sub("", label).partition(":")
        found = self._file(module)
        if found is None:
            return None
        path = found
        if not name:
            return Place(path, [_ALL])
        parsed = self._parse(path)
        if parsed is None:
            return Place(path, [_ALL])
        if name == _IMPORT:
            return Place(path, [_span(node) for node in parsed.body if not isinstance(node, _DEFINITIONS)])
        return Place(path, list(_named(parsed.body, [word for word in name.split(".") if word != "<locals>"])))

    def _file(self, module: str) -> str | None:
        inside = module.replace(".", "/")
        for root in self._roots:
            for tail in (f"{inside}.py", f"{inside}/__init__.py"):
                path = f"{root}/{tail}" if root and root != "." else tail
                if path in self._tree.files:
                    return path
        if self._script in self._tree.files and self._script is not None:
            stem = self._script.rpartition("/")[2].removesuffix(".py")
            if module in (stem, "__main__"):
                return self._script
        ends = (f"/{inside}.py", f"/{inside}/__init__.py")
        found = [path for path in self._tree.files if path.endswith(ends)]
        return found[0] if len(found) == 1 else None

    def _parse(self, path: str) -> ast.Module | None:
        if path not in self._parsed:
            self._parsed[path] = _parsed(self._tree, path)
        return self._parsed[path]


_ALL: Span = (0, 1 << 60)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def _parsed(tree: Tree, path: str) -> ast.Module | None:
    if tree.files[path].size > LARGEST:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes and comparisons in somebody's strings
        try:
            found = dict(read(tree, [path]))[path]
            return ast.parse(found) if found is not None else None
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _span(node: ast.stmt) -> Span:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(one.lineno for one in decorators)])
    return first - 1, node.end_lineno or node.lineno


def _named(body: Sequence[ast.stmt], words: list[str]) -> Iterator[Span]:
    """Give the spans of the definitions that a qualified name means, within ``if`` and ``try`` too."""
    for node in body:
        if isinstance(node, _DEFINITIONS):
            if node.name == words[0]:
                inner = list(_named(node.body, words[1:])) if words[1:] else []
                if inner or not words[1:]:
                    yield from inner or [_span(node)]
        elif len(words) == 1 and words[0] in _bound(node):
            yield _span(node)
        else:
            for inside in ast.iter_child_nodes(node):
                if isinstance(inside, ast.stmt):
                    yield from _named([inside], words)
                elif isinstance(inside, (ast.ExceptHandler, ast.match_case)):
                    yield from _named(inside.body, words)


def _bound(node: ast.stmt) -> set[str]:
    """Give the names that a plain statement binds."""
    if isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While, ast.Match)):
        return set()
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        found |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    return found
