"""From a source text to what is asked of it."""

from __future__ import annotations

import ast
from types import CodeType
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import expressions, references, syntax
from reprokit.code.reach.compiled import digest_of
from reprokit.code.reach.facts import EMPTY, Binding, ClassBody, Code, Definition, Expression, Facts, Held, Name
from reprokit.code.reach.scopes import Import
from reprokit.code.reach.syntax import chain_of
from reprokit.code.reach.values import MISSING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reprokit.code.reach.scopes import Chain, Reading

    Ours = Callable[[Chain, Callable[[str], Sequence[Binding]]], bool]

_OPEN = (
    ast.Constant, ast.Name, ast.Tuple, ast.List, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp, ast.expr_context,
    ast.operator, ast.unaryop,
)  # fmt: skip


def facts_of(source: bytes | str, filename: str, ours: Ours) -> Facts:
    """Derive what is asked of a source; `EMPTY` where it is none of this Python.

    Parameters
    ----------
    source
        The text, or the bytes of its file.
    filename
        Stands in error messages alone.
    ours
        Tells of a name that a decorator goes by, given what binds the names of the module, whether it is this library's.
    """
    tree = expressions.compiled(source, filename, "exec", ast.PyCF_ONLY_AST)
    code = expressions.compiled(source, filename, "exec")
    return EMPTY if tree is None or code is None else _Deriver(source, tree, ours).facts(code)


class _Deriver:
    def __init__(self, source: bytes | str, tree: ast.Module, ours: Ours) -> None:
        self._tree = tree
        self._utf8 = expressions.as_utf8(source)
        self._starts = [0]
        for line in self._utf8.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))
        self._readings: list[Reading] = []
        self._places: dict[Any, int] = {}
        self._numbers: dict[Any, int] = {}
        self._nodes: dict[str, tuple[list[ast.stmt], list[ast.stmt]]] = {}
        self._stars: list[ast.ImportFrom] = []
        self._aliases: frozenset[str] | None = None  # None: no environment variable is read
        if b"environ" in self._utf8 or b"getenv" in self._utf8:
            from reprokit.code.reach import environment

            self._aliases = environment.names_in(tree)
        for statement in syntax.outermost(tree.body):
            found: set[tuple[bool, str]] = set()
            syntax.collect(statement, found, self._stars)
            for shaping, name in found:
                self._nodes.setdefault(name, ([], []))[shaping].append(statement)
        self._bound = {name: tuple(_binding(n, name, self) for n in b) for name, (b, _) in self._nodes.items()}
        self._asked = tuple(dict.fromkeys(_decorators(tree.body) if b"@" in self._utf8 else ()))
        answers = tuple(ours(chain, lambda name: self._bound.get(name, ())) for chain in self._asked)
        self._ours = frozenset(chain for chain, answer in zip(self._asked, answers, strict=True) if answer)

    def facts(self, code: CodeType) -> Facts:
        codes = self._codes(code)
        classes: dict[str, list[ast.ClassDef]] = {}
        _classes(self._tree, "", classes)
        return Facts(
            asked=self._asked,
            ours=tuple(chain in self._ours for chain in self._asked),
            names={name: self._name(name, *nodes) for name, nodes in self._nodes.items()},
            stars=tuple(Import(one.level, one.module or "", None) for one in self._stars),
            calls=self._number(self._calls()),
            codes={name: found[0] for name, found in codes.items()},
            doubles={name: tuple(found[1:]) for name, found in codes.items() if len(found) > 1},
            classes={path: tuple(map(self._class, nodes)) for path, nodes in classes.items()},
            joined={path: self._number(nodes) for path, nodes in classes.items() if len(nodes) > 1},
            aliases=tuple(sorted(self._aliases or ())),
            readings=tuple(self._readings),  # those that the lines above found
        )

    def _number(self, nodes: Sequence[ast.AST], in_class: bool = False) -> int:
        """Read statements, once, and give the number of the reading."""
        if not nodes:
            return -1
        key = (in_class, *map(id, nodes))
        found = self._numbers.get(key)
        if found is None:
            reading = self._read(nodes, in_class)
            said = (reading.form, reading.names, reading.lines, tuple((reading.odd or {}).items()), reading.dynamic,
                    reading.environment)  # fmt: skip
            found = self._numbers[key] = self._places.setdefault(said, len(self._readings))
            if found == len(self._readings):
                self._readings.append(reading)
        return found

    def _read(self, nodes: Sequence[ast.AST], in_class: bool) -> Reading:
        if self._aliases is None:
            return references.read(nodes, self._ours.__contains__, in_class)
        from reprokit.code.reach import environment

        return environment.read(nodes, self._ours.__contains__, in_class, self._aliases)

    def _both(self, node: Any) -> tuple[int, int]:
        """Read a definition by itself, and as part of the body of a class."""
        alone = self._number([node])
        if not may_differ(node, self._readings[alone], b"global" in self._utf8):
            return alone, alone
        return alone, self._number([node], True)

    def _name(self, name: str, bound: list[ast.stmt], shapes: list[ast.stmt]) -> Name:
        said = self._bound[name]
        kind = said[0].kind if len(said) == 1 else ""
        numbers = self._number(bound), self._number([*bound, *shapes])
        return Name(kind, *numbers, bool(shapes), said[0] if said else None, said[1:])

    def _calls(self) -> list[ast.stmt]:
        """Calls that importing the module makes, but for methods of what it binds itself."""
        bound = {name for name, found in self._bound.items() if not found or any(b.kind != "import" for b in found)}
        calls = [one for one in self._tree.body if syntax.is_call(one)]
        return [one for one in calls if syntax.root_of(one) not in bound or syntax.is_bare(one)]

    def _class(self, node: ast.ClassDef) -> ClassBody:
        held: dict[str, list[ast.stmt]] = {}
        for statement in node.body:
            for name in syntax.bound_by(statement):
                held.setdefault(name, []).append(statement)
        said = {name: Held(len(found), self._assigned(found)) for name, found in held.items()}
        alone, in_class = self._both(node)
        return ClassBody(node.lineno, syntax.first_line(node), node.end_lineno or 0, alone, in_class, said)

    def _assigned(self, found: list[ast.stmt]) -> Expression | None:
        statement = found[0]
        if len(found) > 1 or not isinstance(statement, (ast.Assign, ast.AnnAssign)):
            return None
        if isinstance(statement, ast.Assign) and not all(isinstance(one, ast.Name) for one in statement.targets):
            return None
        return self.expression(statement.value)

    def expression(self, node: ast.expr | None) -> Expression | None:
        """Give the place of an expression that can be evaluated without running anything."""
        if node is None or not isinstance(node, _OPEN):
            return None
        value = expressions.evaluate(node, _no_name)
        digest = ""
        if value is not MISSING:
            digest = expressions.digest_of(value) or ""
        elif not all(isinstance(part, _OPEN) for part in ast.walk(node)):
            return None
        start = self._starts[node.lineno - 1] + node.col_offset
        return Expression(start, self._starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0), digest)

    # --- code objects

    def _codes(self, code: CodeType) -> dict[str, list[Code]]:
        functions: dict[tuple[str, int], Any] = {}
        _functions(self._tree.body, functions)
        lambdas: dict[int, list[ast.Lambda]] = {}
        if b"lambda" in self._utf8:
            for one in ast.walk(self._tree):
                if isinstance(one, ast.Lambda):
                    lambdas.setdefault(one.lineno, []).append(one)
        found: dict[str, list[Code]] = {}
        made: dict[int, Definition] = {}
        stack = [code]
        while stack:
            code = stack.pop()
            stack += [const for const in code.co_consts if isinstance(const, CodeType)]
            line = code.co_firstlineno
            node: Any = functions.get((code.co_name, line))
            if code.co_name == "<lambda>":
                node = _lambda(code, lambdas.get(line, []))
            if node is not None and not isinstance(node, ast.ClassDef):
                definition = made.get(id(node)) or made.setdefault(id(node), self._definition(node))
                found.setdefault(code.co_qualname, []).append(Code(line, digest_of(code), definition))
        return found

    def _definition(self, node: Any) -> Definition:
        args = node.args
        named = zip(args.kwonlyargs, args.kw_defaults, strict=True)
        return Definition(
            node.lineno, node.end_lineno or 0, *self._both(node), tuple(map(self.expression, args.defaults)),
            {arg.arg: self.expression(default) for arg, default in named} or None,
        )  # fmt: skip


def _no_name(name: str, depth: int) -> Any:
    return MISSING


def may_differ(node: Any, reading: Reading, declares: bool) -> bool:
    """Tell whether a definition may read otherwise in the body of a class; when in doubt, it may.

    Parameters
    ----------
    node
        The definition, which is a function, lambda or class.
    reading
        How it reads outside.
    declares
        Whether the source has global statements.
    """
    if reading.dynamic or getattr(node, "type_params", None):
        return True
    head = [*getattr(node, "decorator_list", ()), *getattr(node, "bases", ()), *getattr(node, "keywords", ())]
    if hasattr(node, "args"):
        head += [node.args, *filter(None, [getattr(node, "returns", None)])]
    return syntax.has_inner_scope(head) or (declares and any(isinstance(one, ast.Global) for one in ast.walk(node)))


def _binding(node: ast.stmt, name: str, deriver: _Deriver) -> Binding:
    """Describe a statement that binds a name."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return Binding("function", node.lineno)
    if isinstance(node, ast.ClassDef):
        above = [(f"base {number}", chain_of(base)) for number, base in enumerate(node.bases)]
        above += [("metaclass", chain_of(one.value)) for one in node.keywords if one.arg == "metaclass"]
        return Binding("class", node.lineno, above=tuple((what, chain) for what, chain in above if chain))
    if isinstance(node, ast.Import):
        alias = next(one for one in node.names if (one.asname or one.name.partition(".")[0]) == name)
        return Binding("import", node.lineno, Import(0, alias.name if alias.asname else name, None))
    if isinstance(node, ast.ImportFrom):
        alias = next(one for one in node.names if (one.asname or one.name) == name)
        return Binding("import", node.lineno, Import(node.level, node.module or "", alias.name))
    if isinstance(node, ast.AnnAssign):
        return Binding("annotated", node.lineno, None, "all", deriver.expression(node.value))
    if isinstance(node, ast.Assign):
        first, *more = (isinstance(target, ast.Name) for target in node.targets)
        names = "all" if first and all(more) else "first" if first else ""
        return Binding("assign", node.lineno, None, names, deriver.expression(node.value) if first else None)
    return Binding("other", node.lineno)


def _decorators(body: list[ast.stmt]) -> Iterator[Chain]:
    """Names that decorators go by."""
    for statement in body:
        for one in getattr(statement, "decorator_list", ()):
            chain = chain_of(one.func if isinstance(one, ast.Call) else one)
            if chain is not None:
                yield chain
        for inner in syntax.bodies(statement):
            yield from _decorators(inner)


def _functions(body: list[ast.stmt], found: dict[tuple[str, int], Any]) -> None:
    for statement in body:
        if isinstance(statement, syntax.DEFINITIONS):
            found.setdefault((statement.name, syntax.first_line(statement)), statement)
        for inner in syntax.bodies(statement):
            _functions(inner, found)


def _classes(node: ast.AST, path: str, found: dict[str, list[ast.ClassDef]]) -> None:
    for one in syntax.definitions(node):
        if isinstance(one, ast.ClassDef):
            found.setdefault(path + one.name, []).append(one)
        _classes(one, f"{path}{one.name}.", found)


def _lambda(code: CodeType, lambdas: list[ast.Lambda]) -> ast.Lambda | None:
    """Tell which of the lambdas of a line a code object was compiled from."""
    spots = [(p[0], p[2]) for p in list(code.co_positions())[1:] if p[0] is not None and p[2] is not None and p[3]]
    if not spots and len(lambdas) > 1:  # Python runs without columns
        return None
    within = [one for one in lambdas if all(syntax.holds(one.body, spot) for spot in spots)]
    # Of one in another, which end at the same place, the inner one.
    return min(within, key=lambda n: (n.end_lineno or 0, n.end_col_offset or 0, -n.lineno, -n.col_offset), default=None)
