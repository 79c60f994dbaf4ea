"""What names in a piece of source lead to."""

from __future__ import annotations

import builtins
import sys
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import constants, variables
from reprokit.code.reach.labels import Labels
from reprokit.code.reach.modules import OWN, Module, is_module, is_own, unwrapped
from reprokit.code.reach.scopes import HIDDEN, Dynamic, Import, Use
from reprokit.code.reach.values import LOCAL, MISSING, contents

if TYPE_CHECKING:
    from reprokit.code.reach.definitions import Text
    from reprokit.code.reach.scopes import Chain, Reading

Cells = dict[str, Any]  # free variables of a function, by name

_BUILTINS: dict[str, Any] = builtins.__dict__
_MODULE_NAMES = frozenset({
    "__name__", "__file__", "__package__", "__spec__", "__path__", "__loader__", "__builtins__", "__cached__", "__dict__",
    "__annotations__", "__class__",
})  # fmt: skip


class Names(Labels):
    """Looks names up in loaded modules, and where one is not loaded yet, in its source."""

    def follow(self, reading: Reading, module: Module, cells: Cells, text: Text, certain: bool = True) -> list[str]:
        """Follow all that a piece of source names; `certain` is False where its names need not exist."""
        edges = self.uses(reading, module, cells, text, certain)
        for item in reading.dynamic:
            self.dynamic(item, module, cells, text.filename)
        if reading.environment:
            variables.follow(self, reading, module, cells, text.filename)
        return edges

    def uses(self, reading: Reading, module: Module, cells: Cells, text: Text, certain: bool = True) -> list[str]:
        """Follow the names that a piece of source uses."""
        edges = []
        known = module.seen if certain and not cells else {}
        odd = reading.odd
        for number, chain in enumerate(reading.names.split(" ") if reading.names else ()):
            plain = odd is None or number not in odd
            edge = known.get(chain) if plain else None
            if edge is None:
                linked = self._own_function(module, chain) if plain and not cells else ""
                if linked:
                    edge = known[chain] = f"{chain}  = {linked}"
                else:
                    use = reading.use(number)
                    before = len(self.unknown)
                    said = self.resolve(use if certain else use._replace(certain=False), module, cells, text.filename)
                    edge = f"{'.'.join(use.chain)} {use.origin or ''} = {said}" if said else ""
                    if variables.is_hidden(self, use, module, cells, text):
                        self.unknown.add(f"{self.where(text.filename, use.line)}: {variables.UNTOLD}")
                    if plain and len(self.unknown) == before:  # what is unknown is said with the line
                        known[chain] = edge
            if edge:
                edges.append(edge)
        return edges

    def _own_function(self, module: Module, name: str) -> str:
        """Tell what a name leads to that is bound to a function by its definition in this module; empty for others."""
        space = module.space
        value = space.get(name) if space is not None else None
        if type(value) is not FunctionType or not module.local or not module.defines(name):
            return ""
        known = self.labels.get(id(value))
        if known is not None:
            linked = known
        elif value.__globals__ is space and value.__code__.co_filename == module.file:
            linked = self.link_local(value, module, module.text)
        else:
            linked = self.link_function(value)
        if not linked.startswith(LOCAL):
            return ""
        module.looked[name] = value
        return linked

    def resolve(self, use: Use, module: Module, cells: Cells, filename: str) -> str:
        """Tell what a name leads to; empty for what needs no telling."""
        if use.origin is not None:
            return self._imported(use, use.origin, module, filename)
        name, rest = use.chain[0], use.chain[1:]
        if name in cells:
            for held in contents(cells[name]):
                self.cells.append((cells[name], held))
                if is_module(held):
                    return self._attribute(held, rest, use, module, filename)
                where = f"{self.where(filename, use.line)}: {name}"
                return self.described(unwrapped(held), where, opaque=variables.is_environment(held))
            return ""
        return self.name(module, name, rest, use, filename)

    def name(self, module: Module, name: str, rest: Chain, use: Use, filename: str) -> str:
        if module.space is None:
            return self._static(module, name, rest, use, filename)
        value = module.space.get(name, MISSING)
        module.looked[name] = value
        if value is MISSING:
            value = _BUILTINS.get(name, MISSING)
            self.modules.looked_up(_BUILTINS)[name] = value
            if value is not MISSING:
                return self.described(value, name) if type(value) is FunctionType else ""
            if module.bindings(name):
                return self._static(module, name, rest, use, filename)
            if use.certain:
                self.unknown.add(f"{self.where(filename, use.line)}: the name {name} is bound nowhere yet")
            return ""
        if name in _MODULE_NAMES:
            return ""
        if is_module(value):
            return self._attribute(value, rest, use, module, filename)
        return self._bound(module, name, value)

    def _attribute(self, value: ModuleType, rest: Chain, use: Use, importer: Module, filename: str) -> str:
        """Follow attributes of a loaded module."""
        module = self.module_of(value)
        if is_own(value):
            return ""
        if not rest:
            if module.local and use.chain:
                self.whole(module)
            return f"module {module.shown}"
        return self._member(module, rest, use, importer, filename)

    def _member(self, module: Module, rest: Chain, use: Use, importer: Module, filename: str) -> str:
        if module.space is None:
            if not module.local:
                self.note(module.name)
                return f"module {module.shown} "  # as below, for one that is loaded
            if rest[0] not in _MODULE_NAMES:
                return self._static(module, rest[0], rest[1:], use, filename)
            return ""
        linked = self._own_function(module, rest[0])
        if linked:
            return linked
        found = module.space.get(rest[0], MISSING)
        module.looked[rest[0]] = found
        if not module.local:
            if is_module(found) and found is not sys.modules.get(module.name):
                inner = self._attribute(found, rest[1:], use, importer, filename) if rest[1:] else ""
                return f"module {module.shown} {inner if LOCAL in inner else ''}"
            patched = self.link(found) if type(found) is FunctionType or isinstance(found, type) else None
            return f"module {module.shown} {patched if patched and patched.startswith(LOCAL) else ''}"
        if rest[0] == "__dict__" and module.local:
            return self.whole(module)
        if rest[0] in _MODULE_NAMES:
            return ""
        if found is MISSING:
            inside = self.modules.find(f"{module.name}.{rest[0]}", importer) if module.search is not None else None
            if inside is not None:
                return self.of_module(inside, rest[1:], use, importer, filename)
            lazy = module.space.get("__getattr__")
            if lazy is not None:
                self.unknown.add(f"{self.where(filename, use.line)}: {module.shown} makes {rest[0]} in its __getattr__")
                return self.described(lazy, module.shown)
            if use.certain:
                self.unknown.add(f"{self.where(filename, use.line)}: {module.shown} has no {rest[0]} yet")
            return ""
        if is_module(found):
            return self._attribute(found, rest[1:], use, importer, filename)
        return self._bound(module, rest[0], found)

    def of_module(self, module: Module, rest: Chain, use: Use, importer: Module, filename: str) -> str:
        if not module.local:
            if module.name.partition(".")[0] == OWN:
                return ""
            self.note(module.name, module.file)
        else:
            self.import_time(module)
        if rest:
            return self._member(module, rest, use, importer, filename)
        if module.local and use.chain:
            self.whole(module)
        return f"module {module.shown}"

    def _imported(self, use: Use, origin: Import, module: Module, filename: str) -> str:
        """Follow an import inside a function."""
        target = self.modules.imported(module, origin)
        if target is None:
            return f"absent {origin.module}"  # whether it can be found is part of what the code does
        rest = use.chain[1:]
        if origin.name is None:
            return self.of_module(target, rest, use, module, filename)
        if target.local and target.space is None and not target.bindings(origin.name):
            inside = self.modules.find(f"{target.name}.{origin.name}", module)
            if inside is not None:
                return self.of_module(inside, rest, use, module, filename)
        if not target.local:
            said = self.of_module(target, (origin.name,), use, module, filename)
            return f"{said.strip()}:{origin.name}" if said and LOCAL not in said else said
        if not use.chain:
            use = use._replace(chain=("",))  # an import statement by itself does not use the whole of a module
            if target.space is not None and is_module(target.space.get(origin.name)):
                return f"module {target.shown}.{origin.name}"
        return self.of_module(target, (origin.name, *rest), use, module, filename)

    def _bound(self, module: Module, name: str, value: Any) -> str:
        """Tell what the object that a loaded module binds to a name is."""
        value = unwrapped(value)
        if is_own(value):
            return ""
        kind = type(value)
        origin = constants.origin(module, name, self.modules)
        if isinstance(origin, str):  # imported from elsewhere, under this name
            top, _, attribute = origin.partition(":")
            holder = sys.modules.get(top)
            if isinstance(holder, ModuleType) and vars(holder).get(attribute, MISSING) is value:
                self.note(top)
                local = self.described(value, name) if kind is FunctionType or issubclass(kind, type) else ""
                return local if LOCAL in local else f"module {origin}"
        else:
            if kind is FunctionType or issubclass(kind, type) or origin[0].defines(origin[1]):
                said = self.described(value, name, opaque=True)
                # Itself local; or a local function in the wrapper that a decorator from elsewhere put around it.
                if said.startswith(LOCAL) or (LOCAL in said and origin[0].defines(origin[1])):
                    return said
            if origin[0].space is not None and origin[0].space.get(origin[1], MISSING) is value:
                return self._constant(origin[0], origin[1], value)
        return self._constant(module, name, value)

    def named(self, name: str, importer: Module) -> str:
        """Follow what is given by name: ``pkg.mod:name``, or ``pkg.mod`` for a whole module."""
        module, _, attributes = name.partition(":")
        target = self.modules.find(module, importer)
        if target is None:
            self.unknown.add(f"depends: there is no module {module}")
            return ""
        return self.of_module(
            target, tuple(attributes.split(".")) if attributes else (), Use((name,), 0), importer, "depends"
        )

    def _constant(self, module: Module, name: str, value: Any) -> str:
        key = (id(module.space), name, id(value))
        if key not in self.taken:
            label = self.taken[key] = LOCAL + self.new_label(f"{module.shown}:{name}", "constant")
            self.labelled.append(value)
            self.later("constant", (module, name, value, label[len(LOCAL) :]))
        return self.taken[key]

    def _static(self, module: Module, name: str, rest: Chain, use: Use, filename: str) -> str:
        """Follow a name of a module that is not loaded, by its source."""
        if not module.local:
            self.note(module.name)
            return f"module {module.shown}:{name}"
        text = module.text
        origin = constants.origin(module, name, self.modules)
        if isinstance(origin, str):
            top, _, attribute = origin.partition(":")
            if top.partition(".")[0] == OWN:
                return ""
            self.note(top)
            return f"module {origin}" if attribute else f"module {top}{' ' if rest else ''}"  # as of one that is loaded
        home, named = origin
        if home is not module:
            return self.of_module(home, (named, *rest) if named else rest, use, module, filename)
        statements = module.bindings(name)
        if text is None or not statements:
            if name in _BUILTINS or name in _MODULE_NAMES:
                return ""
            inside = self.modules.find(f"{module.name}.{name}", module) if module.search is not None else None
            if inside is not None:
                return self.of_module(inside, rest, use, module, filename)
            if use.certain:
                self.unknown.add(f"{self.where(filename, use.line)}: {module.shown} has no {name}")
            return ""
        key = (module.name, name)
        if key not in self.taken:
            kind = statements[0].kind if len(statements) == 1 else ""
            if kind not in {"function", "class"}:
                kind = "constant"
            label = self.taken[key] = LOCAL + self.new_label(f"{module.shown}:{name}", kind)
            self.later("static", (module, text, name, label[len(LOCAL) :], kind))
        return self.taken[key]

    def dynamic(self, item: Dynamic, module: Module, cells: Cells, filename: str) -> None:
        where = self.where(filename, item.line)
        name = ".".join(item.call)
        if not item.call[0]:
            self.unknown.add(f"{where}: {HIDDEN[item.call[1]]}")
            return
        if item.call == ("import",):
            self.unknown.add(f"{where}: an import in a function without source")
            return
        if len(item.call) == 1 and (item.call[0] in cells or self._shadowed(module, item.call[0])):
            return
        last = item.call[-1]
        if last in {"import_module", "__import__"} and item.constant and not item.constant.startswith("."):
            found = self.modules.find(item.constant, module)
            if found is not None:
                self.of_module(found, (), Use((item.constant,), item.line), module, filename)
            return
        if last in {"getattr", "vars"} and item.subject is not None:
            seen = self._subject(item, module, cells)
            if seen is not None and (not is_module(seen) or not self.module_of(seen).local):
                return  # what it has counts as a whole, or is part of an installed package
            name = f"{last}({'.'.join(item.subject)}, ...)"
            self.unknown.add(f"{where}: {name} with a computed name")
            return
        said = {"eval": "runs computed code", "exec": "runs computed code"}.get(last)
        if last in {"globals", "locals", "vars"}:
            said = "reaches names that are computed"
        self.unknown.add(f"{where}: {name}() {said or 'with a computed name'}")

    def _shadowed(self, module: Module, name: str) -> bool:
        if module.space is not None:
            return name in module.space and not constants.is_import(module.text, name)
        return bool(module.bindings(name)) and not constants.is_import(module.text, name)

    def _subject(self, item: Dynamic, module: Module, cells: Cells) -> Any:
        assert item.subject is not None
        first, *rest = item.subject
        if item.origin is not None:
            target = self.modules.imported(module, item.origin)
            found = sys.modules.get(target.name) if target is not None else None
            if item.origin.name is not None and found is not None:
                found = vars(found).get(item.origin.name)
        elif first in cells:
            found = next(iter(contents(cells[first])), None)
        else:
            found = module.space.get(first) if module.space is not None else None
        for part in rest:
            if not is_module(found):
                break
            found = vars(found).get(part)
        return found

    def import_time(self, module: Module) -> None:
        """Count what importing a module calls; a script or notebook is what calls the function."""
        if module.is_counted:
            return
        module.is_counted = True
        key = ("import", module.name)
        if key in self.taken or module.is_main or not module.local:
            return
        self.taken[key] = ""
        above = module.name.rpartition(".")[0]
        if above and (package := self.modules.find(above, module)) is not None:
            self.import_time(package)
        text = module.text
        if text is not None and text.facts.calls >= 0:
            label = self.new_label(f"{module.shown}:<import>", "import")
            self.later("import", (module, text, label))
