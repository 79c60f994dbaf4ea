"""A class as a part of a closure: its definition, its bases, and what became of it since."""

from __future__ import annotations

import functools
import sys
from types import FunctionType, MemberDescriptorType
from typing import TYPE_CHECKING, Any

from reprokit.code.reach import definitions
from reprokit.code.reach.facts import Held
from reprokit.code.reach.modules import is_own, remembered, stamp_of, text_of_cell, unwrapped
from reprokit.code.reach.values import LOCAL, contents

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.code.reach.definitions import Text
    from reprokit.code.reach.facts import ClassBody, Definition
    from reprokit.code.reach.modules import Module
    from reprokit.code.reach.names import Cells
    from reprokit.code.reach.walk import Reach

# Attributes that follow from the definition of a class, or say nothing about what it does.
_DERIVED = frozenset({
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__", "__firstlineno__",
    "__static_attributes__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__abstractmethods__",
    "_abc_impl", "__dataclass_fields__", "__dataclass_params__", "__match_args__", "__parameters__", "__orig_bases__",
    "__slots__", "__type_params__",
})  # fmt: skip
_NOTHING = Held(0, None)
_GENERATED = ("__dataclass_fields__", "__attrs_attrs__", "_fields", "__struct_fields__", "__pydantic_fields__")


def follow(reach: Reach, value: type, label: str, module: Module) -> None:
    """Make the part of a class."""
    attributes = dict(vars(value))
    text = module.text or _cell_text(module, attributes)
    node = _node(text, value, attributes)
    # What the source says of bases and metaclass counts with the source; this is for those it says nothing about.
    above = [(f"base {number}", reach.link(base) or "") for number, base in enumerate(value.__bases__)]
    above.append(("metaclass", reach.link(type(value)) or ""))
    edges = [f"{what} {said}" for what, said in above if LOCAL in said or node is None]
    if node is None or text is None:
        form = ""
        bound = module.text.name(value.__qualname__) if module.text is not None else None
        if bound is None or not bound.bound:
            reach.kinds[label] = "class without source"
        elif module.text is not None:  # Point = namedtuple("Point", "x y")
            reading = module.text.reading(bound.whole)
            form = reading.form
            edges += reach.follow(reading, module, {}, module.text)
    else:
        reading = text.reading(node.in_class if "." in value.__qualname__ else node.reading)
        form = reading.form
        # Names of the function around it may be gone: their values are attributes by now.
        certain = "<locals>" not in value.__qualname__
        edges += reach.follow(reading, module, _cells(attributes), text, certain)
    said = node.said if node is not None else {}
    defined = node is not None or bool(module.bindings(value.__qualname__))
    enum = sys.modules.get("enum")
    if enum is not None and isinstance(value, enum.EnumMeta):
        for name, member in value.__members__.items():
            found = said.get(name, _NOTHING)
            written = reach.unless_said(member.value, found.expression, text, module, f"{label}.{name}")
            if written:
                edges.append(f"member {name} = {written}")
        attributes = {
            name: held
            for name, held in attributes.items()
            if name not in value.__members__ and (name in said or any(_functions(held)))
        }
    for name in sorted(attributes):
        held = unwrapped(attributes[name])
        if name in _DERIVED or is_own(held):
            continue
        edges += _attribute(reach, value, name, held, said.get(name, _NOTHING), node, text, module, label, defined)
    reach.part(label, "class", form, edges)


def _attribute(
    reach: Reach,
    value: type,
    name: str,
    held: Any,
    said: Held,
    node: ClassBody | None,
    text: Text | None,
    module: Module,
    label: str,
    defined: bool,
) -> Iterator[str]:
    functions = list(_functions(held))
    for function in functions:
        if _is_generated(function, value):
            continue
        found = text.definition_of(function.__code__) if text is not None and _in_text(function, text) else None
        if found is None or node is None or text is None or not _within(found, node):
            linked = reach.link(function) or ""
            if (
                said.count or LOCAL in linked or not name.startswith("_")
            ):  # others are what an installed base or decorator adds
                yield f"{name} = {linked}"
            continue
        reach.functions.append(function)
        reach.labels.setdefault(id(function), f"{LOCAL}{label}.{name}")
        reach.labelled.append(function)
        edges: list[str] = []
        reach.defaults(function, found, text, module, f"{label}.{name}", edges)
        yield from (f"{name} {edge}" for edge in edges)
        if said.count != 1 or function.__name__ != name:  # which of several definitions it is
            yield f"{name} is {text.reading(found.in_class).form}"
        for free, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            if free != "__class__":
                reach.cells.append((cell, next(iter(contents(cell)), None)))
    if functions or type(held) is MemberDescriptorType or (name.startswith("__") and not said.count):
        return
    if (
        type(held).__module__ in {"_collections", "_weakref", "builtins"}
        and not said.count
        and hasattr(type(held), "__get__")
    ):
        return  # what C code makes for named tuples, slots and weak references
    where = f"{label}.{name}"
    written = reach.unless_said(
        held, said.expression, text, module, where, opaque=bool(said.count) or defined, label=where
    )
    if written:
        yield f"{name} = {written}"


def _functions(held: Any) -> Iterator[FunctionType]:
    kind = type(held)
    if kind is FunctionType:
        yield held
    elif kind is staticmethod or kind is classmethod:
        yield from _functions(unwrapped(held.__func__))
    elif kind is property:
        for one in (held.fget, held.fset, held.fdel):
            yield from _functions(unwrapped(one))
    elif kind is functools.cached_property:
        yield from _functions(unwrapped(held.func))
    elif kind is functools.partialmethod:
        return
    elif kind.__module__ == "functools" and hasattr(held, "cache_parameters"):
        yield from _functions(unwrapped(held.__wrapped__))


def _is_generated(function: FunctionType, value: type) -> bool:
    """Tell whether a library made a method from the fields of a class."""
    filename = function.__code__.co_filename
    return filename.startswith(("<string>", "<attrs generated")) and any(hasattr(value, mark) for mark in _GENERATED)


def _in_text(function: FunctionType, text: Text) -> bool:
    return function.__code__.co_filename == text.filename


def _within(found: Definition, node: ClassBody) -> bool:
    return node.line <= found.line and found.last <= node.last


def _cell_text(module: Module, attributes: dict[str, Any]) -> Text | None:
    """Find the text of a class that was defined in a notebook or at a prompt: that of its methods."""
    for held in attributes.values():
        for function in _functions(unwrapped(held)):
            code = function.__code__
            found = text_of_cell(module, code) or module.settled(_file(code.co_filename))
            if found is not None and found.classes(function.__qualname__.rpartition(".")[0]):
                return found
    return None


def _file(filename: str) -> Text | None:
    return remembered((None, filename), stamp_of(filename), lambda: definitions.from_file(filename))


def _node(text: Text | None, value: type, attributes: dict[str, Any]) -> ClassBody | None:
    nodes = text.classes(value.__qualname__) if text is not None else ()
    if len(nodes) < 2 or text is None:
        return nodes[0] if nodes else None
    line = attributes.get("__firstlineno__")  # CPython 3.13
    lines = {line} if isinstance(line, int) else set()
    for held in attributes.values():
        lines.update(f.__code__.co_firstlineno for f in _functions(unwrapped(held)) if _in_text(f, text))
    for node in nodes:
        if any(node.first <= number <= node.last for number in lines):
            return node
    return nodes[-1]


def _cells(attributes: dict[str, Any]) -> Cells:
    found: Cells = {}
    for held in attributes.values():
        for function in _functions(unwrapped(held)):
            found.update(zip(function.__code__.co_freevars, function.__closure__ or (), strict=False))
    found.pop("__class__", None)
    return found
