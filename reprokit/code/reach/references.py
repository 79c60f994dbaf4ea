"""What a piece of source says, whatever its layout, and which names from outside it uses.

The normal form is written from the syntax tree here and not by `ast.dump`, whose output differs between versions of
Python.  Comments, blank lines, brackets, quotes, docstrings and type comments leave no trace in it.
"""

from __future__ import annotations

import ast
import hashlib
from typing import TYPE_CHECKING, Any

from reprokit.code.reach.scopes import HIDDEN, Chain, Dynamic, Import, Reading, Scope, Use, is_dynamic
from reprokit.code.reach.syntax import chain_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_NAMING = frozenset({"getattr", "import_module", "__import__"})  # calls that take a name; other texts are kept nowhere
_SKIPPED = frozenset({"ctx", "type_comment", "kind", "type_ignores"})

_fields: dict[type, tuple[str, ...]] = {}


def read(nodes: Sequence[ast.AST], ours: Callable[[Chain], bool], in_class: bool = False) -> Reading:
    """Read definitions or statements of one scope.

    Parameters
    ----------
    nodes
        Syntax trees.
    ours
        Tells which names are this library's: decorators by those names do not count.
    in_class
        Whether they stand in the body of a class.
    """
    return Reader(ours, in_class).read(nodes)


class Reader:
    def __init__(self, ours: Callable[[Chain], bool], in_class: bool) -> None:
        self._ours = ours
        self._out: list[str] = []
        self._scope = Scope(in_class)
        self._around: list[Scope] = []
        self._found: list[Use] = []
        self._annotation = False

    def read(self, nodes: Sequence[ast.AST]) -> Reading:
        for node in nodes:
            self.visit(node)
        top = self._scope
        for found in top.imports.values():
            self._found += [Use((), 0, one) for one in found]
        uses: dict[tuple[Chain, Import | None], Use] = {}
        for use in (*top.uses, *top.passed, *self._found):
            key = (use.chain, use.origin)
            if key not in uses or (use.certain and not uses[key].certain):
                uses[key] = use
        form = hashlib.sha256("\n".join(self._out).encode()).hexdigest()
        return Reading.of(form, uses.values(), tuple(dict.fromkeys(top.dynamic)))

    def visit(self, node: ast.AST) -> None:
        kind = node.__class__
        special = _SPECIAL.get(kind)
        if special is not None:
            special(self, node)
        else:
            self._generic(node)

    def _generic(self, node: ast.AST) -> None:
        kind = node.__class__
        fields = _fields.get(kind)
        if fields is None:
            fields = _fields[kind] = tuple(field for field in kind._fields if field not in _SKIPPED)
        put = self._out.append
        put(kind.__name__)
        for field in fields:
            value = getattr(node, field, None)
            if value is None:
                put("~")
            elif value.__class__ is list:
                self._list(value)
            elif isinstance(value, ast.AST):
                self.visit(value)
            else:
                put(ascii(value))

    def _list(self, values: Iterable[Any]) -> None:
        put = self._out.append
        put("[")
        for value in values:
            kind = value.__class__
            if kind is ast.Pass or (kind is ast.Expr and value.value.__class__ is ast.Constant):
                continue  # without effect: docstrings, strings as comments
            if isinstance(value, ast.AST):
                self.visit(value)
            else:
                put("~" if value is None else ascii(value))
        put("]")

    def _operation(self, node: ast.BinOp) -> None:
        """Go down the left side without recursion: computer algebra writes sums of a thousand terms."""
        outer: list[ast.BinOp] = []
        inner: ast.expr = node
        while inner.__class__ is ast.BinOp:
            assert isinstance(inner, ast.BinOp)
            outer.append(inner)
            self._out.append("BinOp")
            inner = inner.left
        self.visit(inner)
        for one in reversed(outer):
            self.visit(one.op)
            self.visit(one.right)

    # --- names

    def _constant(self, node: ast.Constant) -> None:
        value: Any = node.value
        long = value.__class__ is int and value.bit_length() > 1000  # the interpreter limits decimal digits
        self._out.append(hex(value) if long else ascii(value))
        if self._annotation and value.__class__ is str:
            try:
                quoted = ast.parse(value, mode="eval")
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                return
            for part in ast.walk(quoted):
                if chain := chain_of(part):
                    self._scope.uses.append(Use(chain, node.lineno, None, False))

    def _name(self, node: ast.Name) -> None:
        self._out.append(node.id)
        if node.ctx.__class__ is ast.Load:
            self._scope.uses.append(Use((node.id,), node.lineno, None, not self._annotation))
        else:
            self._scope.bound.add(node.id)

    def _attribute(self, node: ast.Attribute) -> None:
        chain = chain_of(node)
        if node.attr in HIDDEN and node.attr != "modules" and node.ctx.__class__ is ast.Load:
            self._scope.dynamic.append(Dynamic(("", node.attr), node.lineno))
        if chain is None:
            self._out.append(f".{node.attr}")
            self.visit(node.value)
        else:
            self._out.append(".".join(chain))
            self._scope.uses.append(Use(chain, node.lineno, None, not self._annotation))

    def _call(self, node: ast.Call) -> None:
        chain = chain_of(node.func)
        if chain is not None and is_dynamic(chain):
            self._dynamic(node, chain)
        if chain is not None and _is_loaded_modules(chain[:-1]):
            self._scope.dynamic.append(Dynamic(("", "modules"), node.lineno))
        self._generic(node)

    def _dynamic(self, node: ast.Call, chain: Chain) -> None:
        constant = subject = None
        place = 1 if chain[-1] == "getattr" else 0
        if len(node.args) > place:
            said = node.args[place]
            if isinstance(said, ast.Constant) and isinstance(said.value, str) and chain[-1] in _NAMING:
                constant = said.value
            if chain[-1] in {"getattr", "vars"}:
                subject = chain_of(node.args[0])
        if chain[-1] == "getattr" and constant is not None:
            if subject is not None:
                self._scope.uses.append(Use((*subject, constant), node.lineno))
            return
        self._scope.dynamic.append(Dynamic(chain, node.lineno, subject, constant))

    def _assign(self, node: ast.Assign) -> None:
        before = len(self._scope.dynamic)
        self._generic(node)
        if all(isinstance(target, ast.Attribute) and target.attr == "__doc__" for target in node.targets):
            del self._scope.dynamic[before:]  # wrapper.__doc__ = function.__doc__ only hands it on

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._out.append(f"import {alias.name} as {alias.asname}")
            name = alias.asname or alias.name.partition(".")[0]
            self._scope.bound.add(name)
            self._scope.imports.setdefault(name, []).append(Import(0, alias.name if alias.asname else name, None))
            if "." in alias.name and not alias.asname:
                self._found.append(Use((), node.lineno, Import(0, alias.name, None)))

    def _import_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self._out.append(f"from {node.level} {node.module} import {alias.name} as {alias.asname}")
            name = alias.asname or alias.name
            self._scope.bound.add(name)
            self._scope.imports.setdefault(name, []).append(Import(node.level, node.module or "", alias.name))

    def _declaration(self, node: ast.Global | ast.Nonlocal) -> None:
        self._out.append(f"{node.__class__.__name__} {' '.join(node.names)}")
        (self._scope.declared if node.__class__ is ast.Global else self._scope.outer).update(node.names)

    def _aug_assign(self, node: ast.AugAssign) -> None:
        self._generic(node)
        if isinstance(node.target, ast.Name) and self._around:  # it reads the name as well
            self._scope.uses.append(Use((node.target.id,), node.lineno))

    def _subscript(self, node: ast.Subscript) -> None:
        if _is_loaded_modules(chain_of(node.value)):
            self._scope.dynamic.append(Dynamic(("", "modules"), node.lineno))
        self._generic(node)

    def _binder(self, node: Any) -> None:
        """Visit what binds a name that stands in it as a string."""
        name = node.rest if node.__class__ is ast.MatchMapping else node.name
        if name:
            self._scope.bound.add(name)
        self._generic(node)

    def _walrus(self, node: ast.NamedExpr) -> None:
        self._out.append(f"{node.target.id} :=")
        scope = self._scope
        for around in (scope, *reversed(self._around)):
            around.bound.add(node.target.id)  # of the comprehensions on the way too
            if around.receiver != "":
                break
        self.visit(node.value)

    def _joined(self, node: ast.JoinedStr) -> None:
        self._out.append("JoinedStr[")
        text = ""
        value: Any
        for value in node.values:
            if value.__class__ is ast.Constant:  # versions differ in how they cut the text between the braces
                text += str(value.value)
                continue
            self._out.append(ascii(text))
            text = ""
            self.visit(value)
        self._out.append(f"{text!a}]")

    # --- scopes

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scope.bound.add(node.name)
        self._out.append(f"{node.__class__.__name__} {node.name}")
        self._decorators(node.decorator_list)
        generic = self._type_params(node)
        self._parameters(node.args)
        self._annotated(node.returns)
        method = (self._around[-1] if generic else self._scope).is_class
        self._enter(Scope())
        self._bind(node.args, method)
        self._list(node.body)
        self._leave()
        if generic:
            self._leave()

    def _lambda(self, node: ast.Lambda) -> None:
        self._out.append("Lambda")
        self._parameters(node.args)
        self._enter(Scope())
        self._bind(node.args, False)
        self.visit(node.body)
        self._leave()

    def _class(self, node: ast.ClassDef) -> None:
        self._scope.bound.add(node.name)
        self._out.append(f"ClassDef {node.name}")
        self._decorators(node.decorator_list)
        generic = self._type_params(node)
        self._list(node.bases)
        self._list(node.keywords)
        self._enter(Scope(is_class=True))
        self._list(node.body)
        self._leave()
        if generic:
            self._leave()

    def _alias(self, node: Any) -> None:
        self._scope.bound.add(node.name.id)
        self._out.append(f"TypeAlias {node.name.id}")
        generic = self._type_params(node)
        self.visit(node.value)
        if generic:
            self._leave()

    def _comprehension(self, node: Any) -> None:
        self._out.append(node.__class__.__name__)
        self.visit(node.generators[0].iter)  # belongs to the scope around
        scope = Scope()
        scope.receiver = ""  # no method, and no scope of its own for a walrus
        self._enter(scope)
        for number, part in enumerate(node.generators):
            self._out.append(f"for {part.is_async}")
            self.visit(part.target)
            if number:
                self.visit(part.iter)
            self._list(part.ifs)
        for item in (node.key, node.value) if node.__class__ is ast.DictComp else (node.elt,):
            self.visit(item)
        self._leave()

    def _type_params(self, node: Any) -> bool:
        params = getattr(node, "type_params", None)  # CPython 3.12
        if not params:
            return False
        self._enter(Scope())
        for param in params:
            self._scope.bound.add(param.name)
            self._out.append(f"{param.__class__.__name__} {param.name}")
            for part in (getattr(param, "bound", None), getattr(param, "default_value", None)):
                self._annotated(part)
        return True

    def _decorators(self, decorators: Iterable[ast.expr]) -> None:
        self._out.append("@")
        for decorator in decorators:
            chain = chain_of(decorator.func if isinstance(decorator, ast.Call) else decorator)
            if chain is None or not self._ours(chain):
                self.visit(decorator)

    def _parameters(self, args: ast.arguments) -> None:
        put = self._out.append
        for mark, group in (("/", args.posonlyargs), (",", args.args), ("*", [args.vararg] if args.vararg else []),
                            ("k", args.kwonlyargs), ("**", [args.kwarg] if args.kwarg else [])):  # fmt: skip
            if group:
                put(mark)
                for arg in group:
                    put(arg.arg)
                    self._annotated(arg.annotation)
        if args.defaults or args.kw_defaults:
            self._list(args.defaults)
            self._list(args.kw_defaults)

    def _bind(self, args: ast.arguments, method: bool) -> None:
        scope = self._scope
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs]
        if method and every:
            scope.receiver = every[0].arg
        if args.vararg:
            every.append(args.vararg)
        if args.kwarg:
            every.append(args.kwarg)
        scope.bound.update([arg.arg for arg in every])

    def _annotated(self, node: ast.AST | None) -> None:
        if node is None:
            self._out.append("~")
            return
        before, self._annotation = self._annotation, True
        self.visit(node)
        self._annotation = before

    def _ann_assign(self, node: ast.AnnAssign) -> None:
        self._out.append(f"AnnAssign {node.simple}")
        self.visit(node.target)
        self._annotated(node.annotation)
        if node.value is not None:
            self.visit(node.value)

    def _enter(self, scope: Scope) -> None:
        self._around.append(self._scope)
        self._scope = scope

    def _leave(self) -> None:
        scope = self._scope
        up = self._scope = self._around.pop()
        outward = up.passed if up.is_class else up.uses
        bound, declared, imports = scope.bound, scope.declared, scope.imports
        for found in imports.values():
            self._found += [Use((), 0, one) for one in found]
        for use in scope.uses:
            root = use.chain[0]
            if root in declared:
                self._around_all(use)
            elif root in scope.outer:
                outward.append(use)
            elif root in imports:
                self._found += [use._replace(origin=one) for one in imports[root]]
            elif root not in bound:
                outward.append(use)
            elif scope.is_class:
                outward.append(use._replace(certain=False))  # the name from outside, until the body binds its own
        outward += scope.passed
        for item in scope.dynamic:
            root = item.call[0]
            if root in bound and root not in imports:
                continue
            subject = item.subject[0] if item.subject else None
            if subject is not None and subject == scope.receiver:
                continue  # the class counts as a whole
            if subject in imports:
                item = item._replace(origin=imports[subject][0])  # noqa: PLW2901
            elif subject in bound:
                item = item._replace(subject=None)  # noqa: PLW2901
            up.dynamic.append(item)

    def _around_all(self, use: Use) -> None:
        """Take a use past all scopes around, to the module."""
        (self._around[0] if self._around else self._scope).uses.append(use)


def _is_loaded_modules(chain: Chain | None) -> bool:
    return chain is not None and chain[-2:] == ("sys", "modules")


_SPECIAL: dict[type, Callable[[Any, Any], None]] = {
    ast.BinOp: Reader._operation,
    ast.Constant: Reader._constant,
    ast.Name: Reader._name,
    ast.Attribute: Reader._attribute,
    ast.Call: Reader._call,
    ast.Assign: Reader._assign,
    ast.AugAssign: Reader._aug_assign,
    ast.Subscript: Reader._subscript,
    ast.AnnAssign: Reader._ann_assign,
    ast.Import: Reader._import,
    ast.ImportFrom: Reader._import_from,
    ast.Global: Reader._declaration,
    ast.Nonlocal: Reader._declaration,
    ast.ExceptHandler: Reader._binder,
    ast.MatchAs: Reader._binder,
    ast.MatchStar: Reader._binder,
    ast.MatchMapping: Reader._binder,
    ast.NamedExpr: Reader._walrus,
    ast.JoinedStr: Reader._joined,
    ast.FunctionDef: Reader._function,
    ast.AsyncFunctionDef: Reader._function,
    ast.Lambda: Reader._lambda,
    ast.ClassDef: Reader._class,
    ast.ListComp: Reader._comprehension,
    ast.SetComp: Reader._comprehension,
    ast.GeneratorExp: Reader._comprehension,
    ast.DictComp: Reader._comprehension,
}
if _alias := getattr(ast, "TypeAlias", None):  # CPython 3.12
    _SPECIAL[_alias] = Reader._alias
