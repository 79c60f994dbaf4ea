"""Writes source that rebuilds the items of an archive."""

from __future__ import annotations

import ast
import builtins
from typing import TYPE_CHECKING, Any

from reprokit.archive import plain
from reprokit.archive.cycles import split_loops
from reprokit.archive.graph import Graph, Node, is_atom

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reprokit.archive.draft import Draft
    from reprokit.archive.form import Form, Scope


_RUN = 16  # neighbours in the file of small arrays from which on they are written as a slice


class Written:
    """Source in parts.

    Attributes
    ----------
    imports : list of str
        Import statements.
    statements : list of str
        What makes the items.
    leftovers : list of str
        Private names that are there afterwards.
    """

    def __init__(self, imports: list[str], statements: list[str], leftovers: list[str]) -> None:
        self.imports = imports
        self.statements = statements
        self.leftovers = leftovers

    def source(self, data_name: str) -> str:
        """Give the whole source; it leaves the items and nothing else."""
        lines = [*self.imports, *self.statements]
        lines += [f"del {', '.join(self.leftovers[i : i + 8])}" for i in range(0, len(self.leftovers), 8)]
        lines += [f"try: del __builtins__, {data_name}", "except NameError: pass"]
        return "\n".join(lines)


class Writer:
    """Turns the graph of the items into statements.

    Parameters
    ----------
    draft : Draft
        Collects imports and arrays.
    represent : callable
        Gives the form of an object.
    data : callable
        Gives the expression for an array in a data file, by its name.
    """

    def __init__(self, draft: Draft, represent: Callable[[Any], Form]) -> None:
        self.draft = draft
        self.graph = Graph(represent)
        self.statements: list[str] = []
        self.leftovers: list[str] = []
        self._texts: dict[int, str] = {}

    def collect(self, items: Mapping[str, Any]) -> dict[str, plain.Plain]:
        """Walk through the items; give those that are plain nests."""
        nests: dict[str, plain.Plain] = {}
        taken: set[int] = set()
        rest: list[tuple[str, Any]] = []
        for name, obj in items.items():
            found = None if is_atom(obj) else plain.look(obj)
            if found is None or not taken.isdisjoint(found.ids):
                rest.append((name, obj))
            else:
                nests[name] = found
                taken |= found.ids
        while True:
            for name, obj in rest:
                self.graph.add(name, obj)
            shared = [name for name, nest in nests.items() if any(one in self.graph.nodes for one in nest.ids)]
            if not shared:
                return nests
            rest = [(name, items[name]) for name in shared]  # joins what shares with it
            for name in shared:
                del nests[name]

    def write(
        self, items: Mapping[str, Any], nests: Mapping[str, plain.Plain], data: Callable[[str], str] | None = None
    ) -> Written:
        """Give the source of the items."""
        self._data = data or (lambda name: f"_arrays[{name!r}]")
        loops = split_loops(self.graph) if self.graph.looped else []
        self.graph.plan()
        self._name(items)
        looped = {id(node.obj) for group in loops for node in group}
        complete = {id(group[-1].obj): group for group in loops}
        for node in self.graph.order:
            self._make(node)
            if id(node.obj) not in looped:
                self._fill(node)
            for member in sorted(complete.get(id(node.obj), ()), key=lambda one: bool(one.split and one.split.late)):
                self._fill(member)
        done = {node.name for node in self.graph.order}
        for name, obj in items.items():
            if name in nests:
                self.statements.append(f"{name} = {self._nest(nests[name])}")
            elif name not in done:
                self.statements.append(f"{name} = {self.known(obj)}")
        imports = _import_lines(self.draft.imports)
        return Written(imports, self.statements, [*self.draft.imports.values(), *self.leftovers])

    def known(self, obj: Any) -> str:
        """Give the expression for an object whose parts have been written."""
        if is_atom(obj):
            return self.draft.atom(obj)
        return self._texts[id(obj)]

    def _nest(self, nest: plain.Plain) -> str:
        assert nest.text is not None
        if not nest.json:
            return nest.text
        return f"{self.draft.use('json', 'loads')}({plain.quoted(nest.text)})"

    def _name(self, items: Mapping[str, Any]) -> None:
        for name, obj in items.items():
            node = self.graph.nodes.get(id(obj))
            if node is not None and node.name == "?":
                node.name = name
        for node in self.graph.order:
            if node.name == "?":
                node.name = self.draft.names.shared()
                self.leftovers.append(node.name)

    def _make(self, node: Node) -> None:
        form: Form = node.form if node.split is None else node.split
        if node.leaf and (written := _leaf(node.obj)):
            expression = written
        elif form.kind == "scope":
            expression = self._scoped(node, form)  # type: ignore[arg-type]
        elif form.kind == "data":
            expression = self._data(form.pieces[0])
        elif len(form.children) >= _RUN and (packed := self._run(form)):
            expression = packed
        else:
            expression = form.render([self.known(child) for child in form.children])
        if node.name:
            if expression != node.name:
                self.statements.append(f"{node.name} = {expression}")
            self._texts[id(node.obj)] = node.name
        else:
            self._texts[id(node.obj)] = expression
        for child in () if node.leaf else form.children:
            below = self.graph.nodes.get(id(child))
            if below is not None and not below.name and not below.form.cheap:
                self._texts.pop(id(child), None)  # one user, and that is written

    def _fill(self, node: Node) -> None:
        if node.split is not None:
            for fill in node.split.fills:
                self.statements.append(fill.render([self.known(child) for child in fill.children]))

    def _run(self, form: Form) -> str | None:
        """Write many neighbours in the file of small arrays as one slice."""
        values = form.children if form.kind == "sequence" else form.children[1::2] if form.kind == "mapping" else ()
        texts = [self._texts.get(id(one), "") for one in values]
        if len(texts) < _RUN or not texts[0].startswith("_packed["):
            return None
        first = int(texts[0][8:-1])
        if texts != [f"_packed[{number}]" for number in range(first, first + len(texts))]:
            return None
        run = f"_packed[{first}:{first + len(texts)}]"
        if form.kind == "sequence":
            return (
                f"{form.pieces[0]}*{run}{',)' if form.pieces[1] == ')' and form.pieces[0] == '(' else form.pieces[1]}"
            )
        keys = [self.known(one) for one in form.children[::2]]
        pairs = f"{self.draft.use('builtins', 'zip')}([{', '.join(keys)}], {run})"
        if form.pieces == ("{", "}"):
            return f"{self.draft.use('builtins', 'dict')}({pairs})"
        return None

    def _scoped(self, node: Node, form: Scope) -> str:
        arguments = [self.known(child) for child in form.children]
        if not self.draft.scoped:
            return self._unscoped(form, arguments)
        name = node.name or self.draft.names.shared()
        if not node.name:
            node.name = name
            self.leftovers.append(name)
        imports = [*form.imports, *self._hidden(form)]
        if not form.arguments and not imports:
            return form.expression
        given = ", ".join([f"{key}={value}" for key, value in zip(form.arguments, arguments, strict=True)])
        lines = [f"def {name}({given}):"]
        lines += [f"    {_import_line(*one)}" for one in imports]
        lines += [f"    return {form.expression}", f"{name} = {name}()"]
        self.statements.append("\n".join(lines))
        return name

    def _hidden(self, form: Scope) -> list[tuple[str, str | None, str]]:
        """Import the builtins that an expression uses and an item hides."""
        local = {*form.arguments, *[name for _, _, name in form.imports]}
        free = {one.id for one in ast.walk(ast.parse(form.expression, mode="eval")) if isinstance(one, ast.Name)}
        return [
            ("builtins", name, name)
            for name in sorted(free - local)
            if name in self.draft.items and hasattr(builtins, name)
        ]

    def _unscoped(self, form: Scope, arguments: list[str]) -> str:
        """Put expressions in the place of names, with the parser's help."""
        tree = ast.parse(form.expression, mode="eval")
        known: dict[str, ast.expr] = {
            name: ast.parse(value, mode="eval").body for name, value in zip(form.arguments, arguments, strict=True)
        }
        for module, qualname, alias in [*form.imports, *self._hidden(form)]:
            known[alias] = ast.Name(self.draft.use(module, qualname), ast.Load())

        class Rename(ast.NodeTransformer):
            def visit_Name(self, node: ast.Name) -> ast.expr:
                return known.get(node.id, node)

        return ast.unparse(Rename().visit(tree))


_BUILTIN = frozenset({list, dict, tuple})
_REPR = frozenset({type(None), bool, int, float, str, bytes})


def _leaf(obj: Any) -> str | None:
    """Write a container of atoms by its ``repr``; None where that says too little."""
    if type(obj) not in _BUILTIN or not obj:
        return None
    types = set(map(type, obj.values() if type(obj) is dict else obj))
    if type(obj) is dict:
        types.update(map(type, obj))
    if not types <= _REPR:
        return None
    try:
        text = repr(obj)
    except ValueError:  # an int with more digits than Python likes to write
        return None
    return None if float in types and ("nan" in text or "inf" in text) else text


def _import_lines(imports: Mapping[tuple[str, str | None], str]) -> list[str]:
    return [
        _import_line(module, name, alias) for (module, name), alias in sorted(imports.items(), key=lambda one: one[1])
    ]


def _import_line(module: str, name: str | None, alias: str) -> str:
    if name is None:
        return f"import {module} as {alias}" if module != alias else f"import {module}"
    return f"from {module} import {name}" if name == alias else f"from {module} import {name} as {alias}"


def standalone(draft: Draft, obj: Any) -> str:
    """Give the source of one object: a key to sort members of sets by."""
    from reprokit.archive.represent.registry import represent

    writer = Writer(draft, lambda one: represent(draft, one))
    items = {"x": obj}
    written = writer.write(items, writer.collect(items))
    return "\n".join(written.statements)
