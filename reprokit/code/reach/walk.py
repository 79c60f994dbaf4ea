"""The walk from a function to all local code that it reaches.

Each definition is one part.  A part's digest covers its normal form and, for each name in it, what that name leads to,
by name; so the parts together describe a graph, and no part's digest depends on another's.  Names are looked up in the
loaded modules.  Where a module is not loaded yet (an import inside a function), its source says what they lead to.
"""

from __future__ import annotations

import os
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import classes, constants, variables
from reprokit.code.reach.compiled import of_code
from reprokit.code.reach.expressions import digest_of
from reprokit.code.reach.names import Names
from reprokit.code.reach.scopes import NOTHING, Use
from reprokit.code.reach.values import ATOMS, LOCAL, contents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.code.reach.definitions import Text
    from reprokit.code.reach.facts import Definition
    from reprokit.code.reach.modules import Module
    from reprokit.code.reach.names import Cells


class Reach(Names):
    """Everything that one walk finds."""

    def follow_function(self, value: FunctionType, label: str, module: Module, text: Text | None) -> None:
        if not module.is_counted:
            self.import_time(module)
        code = value.__code__
        self.functions.append(value)
        cells = dict(zip(code.co_freevars, value.__closure__, strict=False)) if value.__closure__ else {}
        found = text.definition_of(code) if text is not None else None
        edges: list[str]
        owner = value.__qualname__.rpartition(".")[0]
        in_class = owner != "" and not owner.endswith("<locals>")
        if found is None or text is None:
            edges = []
            form = self._compiled(code, label, module, cells, edges)
        else:
            reading = text.reading(found.in_class if in_class else found.reading)
            form = reading.form
            edges = self.follow(reading, module, cells, text)
        if value.__defaults__ or value.__kwdefaults__ or (found is not None and found.defaults):
            self.defaults(value, found, text, module, label, edges)
        for name, held in sorted(vars(value).items()) if vars(value) else ():
            edges.append(f"attribute {name} = {self.described(held, f'{label}.{name}')}")
        if in_class:
            edges.append(f"of {self._owner(value, owner, module, text, cells)}")
        self.part(label, "function" if found is not None else "bytecode", form, edges)

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
        number = text.joined(owner) if text is not None else -1
        if text is None or number < 0:
            self.unknown.add(f"{module.shown}: the class {owner} of {value.__qualname__} is not found")
            return ""
        reading = text.reading(number)
        return " ".join([reading.form, *self.follow(reading, module, cells, text, certain=False)])

    def _compiled(self, code: CodeType, label: str, module: Module, cells: Cells, edges: list[str]) -> str:
        """Digest a function whose source is not at hand by what it was compiled to."""
        self.kinds[label] = "bytecode"
        form, uses, dynamic = of_code(code)
        filename = os.path.basename(code.co_filename)
        for use in uses:
            said = self.resolve(use, module, cells, filename)
            if said:
                edges.append(f"{'.'.join(use.chain)} = {said}")
            if variables.leads_there(self, use, module, cells):
                self.unknown.add(f"{self.where(filename, use.line)}: {variables.UNTOLD}")
        for item in dynamic:
            self.dynamic(item, module, cells, filename)
        return form

    def defaults(
        self,
        value: FunctionType,
        found: Definition | None,
        text: Text | None,
        module: Module,
        label: str,
        edges: list[str],
    ) -> None:
        """Add the default values that the source does not say by itself."""
        defaults = value.__defaults__ or ()
        said = found.defaults if found is not None else ()
        held = [*zip(defaults, said if len(said) == len(defaults) else [None] * len(defaults), strict=True)]
        if value.__kwdefaults__:
            named = (found.keywords if found is not None else None) or {}
            held += [(one, named.get(name)) for name, one in sorted(value.__kwdefaults__.items())]
        for number, (one, expression) in enumerate(held):
            if type(one) in ATOMS and expression is not None and digest_of(one) == expression.digest:
                continue
            written = self.unless_said(one, expression, text, module, label)
            if written:
                edges.append(f"default {number} = {written}")
        if len(said) != len(defaults):
            edges.append(f"{len(defaults)} defaults")

    def follow_constant(self, module: Module, name: str, value: Any, label: str) -> None:
        self.import_time(module)
        text = module.text
        found = text.name(name) if text is not None else None
        binding = found.bound if found is not None else ()
        reading, edges = NOTHING, []
        if text is not None and found is not None:
            reading = text.reading(found.shaped)
            edges = self.uses(reading, module, {}, text)
        alone = binding[0] if len(binding) == 1 else None
        assigned = alone is not None and alone.kind in constants.ASSIGNMENTS
        expression = alone.expression if alone is not None and found is not None and not found.shapes else None
        where = f"{self.where(text.filename, alone.line)}: {name}" if text is not None and alone is not None else label
        before = len(self.unknown)
        rebound = text is not None and constants.is_rebound(text, name)
        said = self.unless_said(value, expression, text, module, where, opaque=assigned and not rebound, label=label)
        if said:
            edges.append(f"value {said}")
        if len(self.unknown) > before and text is not None:
            for item in reading.dynamic:
                self.dynamic(item, module, {}, text.filename)
        if reading.environment and text is not None and not variables.is_seen(value):
            variables.follow(self, reading, module, {}, text.filename)
        self.part(label, "constant", reading.form, edges)

    def follow_static(self, module: Module, text: Text, name: str, label: str, kind: str) -> None:
        self.import_time(module)
        found = text.facts.names[name]
        reading = text.reading(found.shaped if kind == "constant" else found.whole)
        edges = []
        if kind == "class":  # as for one that is loaded, so that loading it changes nothing
            for what, chain in found.bound[0].above:
                said = self.resolve(Use(chain, found.bound[0].line), module, {}, text.filename)
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

    def follow_import(self, module: Module, text: Text, label: str) -> None:
        reading = text.reading(text.facts.calls)
        self.part(label, "import", reading.form, self.follow(reading, module, {}, text))
