"""The walk from a function to all local code that it reaches.

Each definition is one part.  A part's digest covers its normal form and, for each name in it, what that name leads to,
by name; so the parts together describe a graph, and no part's digest depends on another's.  Names are looked up in the
loaded modules.  Where a module is not loaded yet (an import inside a function), its source says what they lead to.
"""

from __future__ import annotations

import ast
import os
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import classes, constants
from reprokit.code.reach.compiled import of_code
from reprokit.code.reach.modules import MISSING, Module
from reprokit.code.reach.names import Cells, Names
from reprokit.code.reach.scopes import Reading, Use, chain_of
from reprokit.code.reach.values import LOCAL, contents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.code.reach.definitions import Text


class Reach(Names):
    """Everything that one walk finds."""

    def follow_function(self, value: FunctionType, label: str, module: Module, text: Text | None) -> None:
        self.import_time(module)
        code = value.__code__
        self.functions.append(value)
        cells = {name: cell for name, cell in zip(code.co_freevars, value.__closure__ or (), strict=False)}  # noqa: C416
        node: Any = text.node_of(code) if text is not None else None
        edges: list[str] = []
        owner = value.__qualname__.rpartition(".")[0]
        if node is None or text is None:
            form = self._compiled(code, label, module, cells, edges)
        else:
            reading = text.read([node], module.ours, bool(owner) and not owner.endswith("<locals>"))
            form = reading.form
            edges += self.follow(reading, module, cells, text)
        self.defaults(value, node, module, label, edges)
        for name, held in sorted(vars(value).items()):
            edges.append(f"attribute {name} = {self.described(held, f'{label}.{name}')}")
        if owner and not owner.endswith("<locals>"):
            edges.append(f"of {self._owner(value, owner, module, text, cells)}")
        self.part(label, "function" if node is not None else "bytecode", form, edges)

    def _owner(self, value: FunctionType, owner: str, module: Module, text: Text | None, cells: Cells) -> str:
        """Name the class that a function was defined in, whose other methods it can call."""
        for held in contents(cells["__class__"]) if "__class__" in cells else ():
            if isinstance(held, type):
                return self.link_class(held)
        found: Any = None
        if module.space is not None and "<locals>" not in owner:
            found = module.space.get(owner.partition(".")[0])
            for part in owner.split(".")[1:]:
                found = vars(found).get(part) if isinstance(found, type) else None
        if isinstance(found, type):
            return self.link_class(found)
        nodes: list[Any] = list(text.classes(owner)) if text is not None else []
        if not nodes:
            self.unknown.add(f"{module.shown}: the class {owner} of {value.__qualname__} is not found")
            return ""
        assert text is not None
        reading = text.read(nodes, module.ours)
        reading = reading._replace(uses=tuple(use._replace(certain=False) for use in reading.uses))
        return " ".join([reading.form, *self.follow(reading, module, cells, text)])

    def _compiled(self, code: CodeType, label: str, module: Module, cells: Cells, edges: list[str]) -> str:
        """Digest a function whose source is not at hand by what it was compiled to."""
        self.kinds[label] = "bytecode"
        form, uses, dynamic = of_code(code)
        filename = os.path.basename(code.co_filename)
        for use in uses:
            said = self.resolve(use, module, cells, filename)
            if said:
                edges.append(f"{'.'.join(use.chain)} = {said}")
        for item in dynamic:
            self.dynamic(item, module, cells, filename)
        return form

    def defaults(self, value: FunctionType, node: Any, module: Module, label: str, edges: list[str]) -> None:
        """Add the default values that the source does not say by itself."""
        held: list[tuple[Any, Any]] = []
        args = getattr(node, "args", None)
        defaults = value.__defaults__ or ()
        said = args.defaults if args is not None else []
        held += zip(defaults, said if len(said) == len(defaults) else [None] * len(defaults), strict=True)
        keywords = value.__kwdefaults__ or {}
        named = {a.arg: d for a, d in zip(args.kwonlyargs, args.kw_defaults, strict=True)} if args is not None else {}
        held += [(one, named.get(name)) for name, one in sorted(keywords.items())]
        for number, (one, expression) in enumerate(held):
            text = self.unless_said(one, expression, module, label)
            if text:
                edges.append(f"default {number} = {text}")
        if len(said) != len(defaults):
            edges.append(f"{len(defaults)} defaults")

    def follow_constant(self, module: Module, name: str, value: Any, label: str) -> None:
        self.import_time(module)
        text = module.text
        binding = module.statements(name)
        statements = [*binding, *(text.shapes(name) if text is not None else ())]
        reading, edges = Reading("", (), ()), []
        if text is not None and statements:
            reading = text.read(statements, module.ours)
            edges = self.follow(reading._replace(dynamic=()), module, {}, text)
        alone = binding[0] if len(binding) == 1 else None
        expression = alone.value if isinstance(alone, (ast.Assign, ast.AnnAssign)) and len(statements) == 1 else None
        if isinstance(alone, ast.Assign) and not isinstance(alone.targets[0], ast.Name):
            expression = None
        plain_assignment = isinstance(alone, (ast.Assign, ast.AnnAssign))
        where = (
            f"{self.where(text.filename, alone.lineno)}: {name}" if text is not None and alone is not None else label
        )
        before = len(self.unknown)
        rebound = text is not None and constants.is_rebound(text, name)
        said = constants.evaluate(expression, module, self.modules) if expression is not None else MISSING
        if said is not MISSING and self.same(said, value):
            self.watch(value, None)
        else:
            edges.append(f"value {self.described(value, where, opaque=plain_assignment and not rebound)}")
        if len(self.unknown) > before and text is not None:
            for item in reading.dynamic:
                self.dynamic(item, module, {}, text.filename)
        self.part(label, "constant", reading.form, edges)

    def follow_static(self, module: Module, text: Text, name: str, label: str, kind: str) -> None:
        self.import_time(module)
        shapes = text.shapes(name) if kind == "constant" else []
        reading = text.read([*text.bindings(name), *shapes], module.ours)
        edges = []
        if kind == "class":  # as for one that is loaded, so that loading it changes nothing
            node: Any = text.bindings(name)[0]
            above = [(f"base {number}", base) for number, base in enumerate(node.bases)]
            above += [("metaclass", one.value) for one in node.keywords if one.arg == "metaclass"]
            for what, expression in above:
                chain = chain_of(expression)
                said = self.resolve(Use(chain, node.lineno), module, {}, text.filename) if chain else ""
                if LOCAL in said:
                    edges.append(f"{what} {said}")
        edges += self.follow(reading, module, {}, text)
        self.part(label, kind, reading.form, edges)

    def follow_class(self, value: type, label: str, module: Module) -> None:
        self.import_time(module)
        self.classes.append(value)
        classes.follow(self, value, label, module)

    def follow_whole(self, module: Module, label: str) -> None:
        self.import_time(module)
        names: Iterable[str] = module.space if module.space is not None else module.text.names() if module.text else ()
        filename = module.file or module.shown
        edges = [
            f"{name} = {self.name(module, name, (), Use((name,), 0, None, False), filename)}"
            for name in sorted(names)
            if not name.startswith("__")
        ]
        self.part(label, "module", "", edges)

    def follow_import(self, module: Module, text: Text, calls: list[ast.stmt], label: str) -> None:
        reading = text.read(calls, module.ours)
        self.part(label, "import", reading.form, self.follow(reading, module, {}, text))
