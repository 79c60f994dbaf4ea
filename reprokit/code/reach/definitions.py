"""The source of a module: where its names are bound, and which definition a loaded code object came from."""

from __future__ import annotations

import ast
import os
import sys
import threading
import warnings
from types import CodeType
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import references
from reprokit.code.reach.scopes import chain_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reprokit.code.reach.scopes import Chain, Reading

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_SCOPES = (ast.Lambda, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_MAGIC_SIZE = 16  # bytes before the code in a .pyc (PEP 552)

_KEPT = 300_000  # characters of source whose syntax trees stay in memory between walks

_parsed: list[Text] = []
_quiet = threading.Lock()  # warnings.catch_warnings is not thread-safe


class Text:
    """One source text: parsed once, its definitions read when they are asked for."""

    def __init__(self, filename: str, source: bytes | str, compiled: str | None, stat: os.stat_result | None) -> None:
        self.filename = filename
        self.source = source
        self._compiled = compiled
        self._stat = stat
        self._tree: ast.Module | None = None
        self._codes: dict[tuple[str, int], list[CodeType]] | None = None
        self._names: tuple[dict[str, list[ast.stmt]], dict[str, list[ast.stmt]], list[ast.ImportFrom]] | None = None
        self._readings: dict[Any, Reading] = {}

    @property
    def tree(self) -> ast.Module:
        """The syntax tree; empty where the source is none of this Python."""
        tree = self._tree
        if tree is None:
            try:
                with _quiet, warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    tree = ast.parse(self.source)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                tree = ast.Module(body=[], type_ignores=[])
            self._tree = tree
            _parsed.append(self)
        return tree

    def release(self) -> None:
        """Let go of what can be made again: a syntax tree takes a hundred times the memory of its source."""
        self._tree = self._names = self._codes = None

    def read(self, nodes: list[ast.stmt], ours: Callable[[Chain], bool], in_class: bool = False) -> Reading:
        """Read statements of this text, once."""
        key = (in_class, *((type(one), one.lineno, one.col_offset) for one in nodes))
        found = self._readings.get(key)
        if found is None:
            found = self._readings[key] = references.read(nodes, ours, in_class)
        return found

    # --- names of the module

    def bindings(self, name: str) -> list[ast.stmt]:
        """Statements of the module that bind a name; compound ones (if, try, for, with) as a whole."""
        return self._bound()[0].get(name, [])

    def shapes(self, name: str) -> list[ast.stmt]:
        """Statements of the module that change what a name stands for: ``NAME.append(1)``, ``NAME["key"] = 2``."""
        return self._bound()[1].get(name, [])

    def stars(self) -> list[ast.ImportFrom]:
        """``from ... import *`` of the module."""
        return self._bound()[2]

    def names(self) -> list[str]:
        """All names that the module binds."""
        return list(self._bound()[0])

    def _bound(self) -> tuple[dict[str, list[ast.stmt]], dict[str, list[ast.stmt]], list[ast.ImportFrom]]:
        names = self._names
        if names is None:
            binds: dict[str, list[ast.stmt]] = {}
            shapes: dict[str, list[ast.stmt]] = {}
            stars: list[ast.ImportFrom] = []
            for statement in _outermost(self.tree.body):
                found: set[tuple[bool, str]] = set()
                _collect(statement, found, stars)
                for shaping, name in found:
                    (shapes if shaping else binds).setdefault(name, []).append(statement)
            names = self._names = (binds, shapes, stars)
        return names

    def calls(self) -> list[ast.stmt]:
        """Calls that stand by themselves in the module, which importing it makes."""
        return [one for one in self.tree.body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)]

    # --- definitions of loaded objects

    def node_of(self, code: CodeType) -> ast.AST | None:
        """Give the definition that a code object was compiled from; None when this text does not say what runs."""
        known = self._code_index().get((code.co_qualname, code.co_firstlineno))
        if not known:
            known = [c for (name, _), found in self._code_index().items() if name == code.co_qualname for c in found]
        for one in known:
            if one is code or one == code or same_code(one, code):
                return self._node(one)
        return None

    def _node(self, code: CodeType) -> ast.AST | None:
        line, name = code.co_firstlineno, code.co_name
        lambdas: list[ast.Lambda] = []
        for statement in self._containing(self.tree.body, line):
            if isinstance(statement, _DEFINITIONS) and statement.name == name and _first_line(statement) == line:
                return statement
            if name == "<lambda>":
                lambdas += [n for n in ast.walk(statement) if isinstance(n, ast.Lambda) and n.lineno == line]
        spots = [(p[0], p[2]) for p in list(code.co_positions())[1:] if p[0] is not None and p[2] is not None and p[3]]
        lambdas = [n for n in dict.fromkeys(lambdas) if all(_holds(n.body, spot) for spot in spots)]
        return min(lambdas, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0)) if lambdas else None

    def _containing(self, body: list[ast.stmt], line: int) -> Iterator[ast.stmt]:
        for statement in body:
            if _first_line(statement) <= line <= (statement.end_lineno or 0):
                yield statement
                for inner in _bodies(statement):
                    yield from self._containing(inner, line)

    def classes(self, qualname: str) -> list[ast.ClassDef]:
        """Give the class definitions of a qualified name."""
        found: list[Any] = [self.tree]
        for part in qualname.split("."):
            if part != "<locals>":
                found = [n for one in found for n in _definitions(one) if n.name == part]
        return [node for node in found if isinstance(node, ast.ClassDef)]

    def _code_index(self) -> dict[tuple[str, int], list[CodeType]]:
        codes = self._codes
        if codes is None:
            index: dict[tuple[str, int], list[CodeType]] = {}
            stack = [code] if (code := self._code()) else []
            while stack:
                code = stack.pop()
                index.setdefault((code.co_qualname, code.co_firstlineno), []).append(code)
                stack += [const for const in code.co_consts if isinstance(const, CodeType)]
            codes = self._codes = index
        return codes

    def _code(self) -> CodeType | None:
        """Compile the text, or take what the import system keeps of it, which is ten times as fast."""
        if self._compiled and self._stat is not None:
            import marshal

            try:
                with open(self._compiled, "rb") as stream:
                    data = stream.read()
                stamp = (int(self._stat.st_mtime) & 0xFFFFFFFF, self._stat.st_size & 0xFFFFFFFF)
                said = tuple(int.from_bytes(data[i : i + 4], "little") for i in (4, 8, 12))
                if said == (0, *stamp) and data[:4] == _magic():
                    code = marshal.loads(data[_MAGIC_SIZE:])  # noqa: S302  # what an import would run
                    return code if isinstance(code, CodeType) else None
            except (OSError, ValueError, EOFError, TypeError):
                pass
        try:
            with _quiet, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return compile(self.source, self.filename, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def release() -> None:
    """Let go of the syntax trees of the texts that were parsed first, where there are many."""
    size = sum(len(text.source) for text in _parsed)
    while size > _KEPT and _parsed:
        text = _parsed.pop(0)
        size -= len(text.source)
        text.release()


def same_code(one: CodeType, other: CodeType) -> bool:
    """Tell whether two code objects do the same, wherever in a file they stand."""
    if (one.co_code, one.co_names, one.co_varnames, one.co_freevars, one.co_cellvars, one.co_flags) != (
        other.co_code, other.co_names, other.co_varnames, other.co_freevars, other.co_cellvars, other.co_flags,
    ) or (one.co_argcount, one.co_kwonlyargcount, one.co_posonlyargcount, one.co_exceptiontable) != (
        other.co_argcount, other.co_kwonlyargcount, other.co_posonlyargcount, other.co_exceptiontable,
    ) or len(one.co_consts) != len(other.co_consts):  # fmt: skip
        return False
    for mine, its in zip(one.co_consts, other.co_consts, strict=True):
        if isinstance(mine, CodeType) and isinstance(its, CodeType):
            if not same_code(mine, its):
                return False
        elif type(mine) is not type(its) or (mine != its) or ascii(mine) != ascii(its):
            return False
    return True


def from_module(space: dict[str, Any]) -> Text | None:
    """Read the source of a loaded module; None where it has none."""
    spec = space.get("__spec__")
    filename = space.get("__file__") or getattr(spec, "origin", None)
    loader = space.get("__loader__")
    if not isinstance(filename, str):
        return None
    if filename.endswith((".pyc", ".pyo")):
        return None
    found = from_file(filename, getattr(spec, "cached", None))
    if found is None and loader is not None and hasattr(loader, "get_source"):
        try:
            source = loader.get_source(space.get("__name__"))
        except (ImportError, OSError, SyntaxError):
            return None
        return Text(filename, source, None, None) if source is not None else None
    return found


def from_file(filename: str, compiled: str | None = None) -> Text | None:
    """Read a source file; None when it cannot be read, or is no source."""
    if filename.startswith("<") or (not filename.endswith((".py", ".pyw", ".pyi")) and not os.path.isfile(filename)):
        return None
    try:
        with open(filename, "rb") as stream:
            stat = os.fstat(stream.fileno())
            source = stream.read()
    except (OSError, ValueError):
        return None
    if b"\0" in source:  # an extension module
        return None
    return Text(filename, source, compiled, stat)


def from_cell(filename: str) -> Text | None:
    """Read what IPython, doctest and the like keep of code that lies in no file."""
    linecache = sys.modules.get("linecache")
    if linecache is None:
        return None
    lines = linecache.getlines(filename)
    return Text(filename, "".join(lines), None, None) if lines else None


def _magic() -> bytes:
    from importlib.util import MAGIC_NUMBER

    return MAGIC_NUMBER


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", None)
    return min(node.lineno, decorators[0].lineno) if decorators else node.lineno


def _holds(node: ast.expr, spot: tuple[int, int]) -> bool:
    return (node.lineno, node.col_offset) <= spot <= (node.end_lineno or 0, node.end_col_offset or 0)


def _bodies(statement: ast.AST) -> Iterator[list[ast.stmt]]:
    for field in ("body", "orelse", "finalbody"):
        inner = getattr(statement, field, None)
        if isinstance(inner, list):
            yield inner
    for field in ("handlers", "cases"):
        for part in getattr(statement, field, ()):
            yield part.body


def _definitions(node: ast.AST) -> Iterator[Any]:
    """Definitions in a body, those under if, try, for and with included."""
    for body in _bodies(node):
        for statement in body:
            if isinstance(statement, _DEFINITIONS):
                yield statement
            else:
                yield from _definitions(statement)


def _outermost(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a module; those that only a type checker runs are taken out of their ``if``."""
    for statement in body:
        if isinstance(statement, ast.If) and (chain_of(statement.test) or ("",))[-1] == "TYPE_CHECKING":
            yield from _outermost(statement.body)
            yield from _outermost(statement.orelse)
        else:
            yield statement


def bound_by(statement: ast.stmt) -> set[str]:
    """Names that a statement binds."""
    found: set[tuple[bool, str]] = set()
    _collect(statement, found, [])
    return {name for shaping, name in found if not shaping}


def _collect(statement: ast.stmt, found: set[tuple[bool, str]], stars: list[ast.ImportFrom]) -> None:
    """Collect the names that a statement binds (False) or changes in place (True)."""
    if isinstance(statement, _DEFINITIONS):
        found.add((False, statement.name))
        return
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        for alias in statement.names:
            if alias.name == "*" and isinstance(statement, ast.ImportFrom):
                stars.append(statement)
            else:
                found.add((False, alias.asname or alias.name.partition(".")[0]))
        return
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop()
        if isinstance(node, (*_DEFINITIONS, ast.Import, ast.ImportFrom)):
            _collect(node, found, stars)
        elif not isinstance(node, _SCOPES):
            if (bound := _bound_in(node)) is not None:
                found.add(bound)
            stack += ast.iter_child_nodes(node)


def _bound_in(node: ast.AST) -> tuple[bool, str] | None:
    """Give the name that a node by itself binds (False) or changes in place (True)."""
    if isinstance(node, ast.Name):
        return None if isinstance(node.ctx, ast.Load) else (False, node.id)
    if isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)):
        return (False, node.name) if node.name else None
    root = None
    if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
        root = _root(node)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Attribute):
        root = _root(node.value.func)
    return (True, root) if root else None


def _root(node: ast.AST) -> str | None:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
