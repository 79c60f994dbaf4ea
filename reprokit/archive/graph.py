"""Finds all objects that the items of an archive are made of, those that are shared, and those that lie in loops.

Nothing here recurses: nests are as deep as memory allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reprokit.archive.form import Form, Split

ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes, type(...), type(NotImplemented)})
LONG = 500  # characters or bytes above which a shared str or bytes gets a name of its own
DEEPEST = 40  # brackets inside brackets in one statement; CPython's tokenizer ends at 200


class UnsupportedError(Exception):
    """What a representer raises; the walk adds the path.  Argument: what is wrong and the remedy."""


class Node:
    """An object that is no atom, how it is written, and how often it is used."""

    __slots__ = ("active", "form", "height", "leaf", "name", "obj", "parent", "refs", "split")

    def __init__(self, obj: Any, form: Form, parent: Node | None) -> None:
        self.obj = obj
        self.form = form
        self.parent = parent
        self.refs = 1
        self.active = True
        self.height = 0
        self.leaf = False  # all its parts are atoms
        self.name = ""
        self.split: Split | None = None

    def parts(self) -> Iterator[Any]:
        """Give all that has to be there before this object is complete."""
        if self.split is None:
            yield from self.form.children
            return
        yield from self.split.children
        for fill in self.split.fills:
            yield from (child for child in fill.children if child is not self.obj)


class Graph:
    """The objects of an archive.

    Attributes
    ----------
    nodes : dict
        From ``id(object)`` to its `Node`; each keeps its object alive, so that no id is used twice.
    order : list of Node
        Parts before what is made of them, except in loops.
    looped : bool
        Whether there is a loop.
    """

    def __init__(self, represent: Callable[[Any], Form]) -> None:
        self.represent = represent
        self.nodes: dict[int, Node] = {}
        self.order: list[Node] = []
        self.looped = False
        self.roots: dict[int, str] = {}

    def add(self, name: str, obj: Any) -> None:
        """Walk through an item.

        Raises
        ------
        ArchiveError
            Naming the path to an object that cannot be written.
        """
        if is_atom(obj):
            return
        known = self.nodes.get(id(obj))
        self.roots.setdefault(id(obj), name)
        if known is not None:
            known.refs += 1
            return
        stack = [self._enter(obj, None)]
        nodes = self.nodes
        while stack:
            node, children = stack[-1]
            for child in children:
                known = nodes.get(id(child))
                if known is None:
                    stack.append(self._enter(child, node))
                    break
                known.refs += 1
                if known.active:
                    self.looped = True
            else:
                stack.pop()
                node.active = False
                self.order.append(node)

    def _enter(self, obj: Any, parent: Node | None) -> tuple[Node, Iterator[Any]]:
        try:
            form = self.represent(obj)
        except UnsupportedError as error:
            raise ArchiveError(self.path(parent, obj), str(error)) from error.__cause__
        node = Node(obj, form, parent)
        self.nodes[id(obj)] = node
        if form.kind == "split":
            node.split = form.split() if form.split else None
            return node, iter([child for child in node.parts() if not is_atom(child)])
        rest = [
            child
            for child in form.children
            if type(child) not in ATOMS or (type(child) in (str, bytes) and len(child) > LONG)
        ]
        node.leaf = not rest
        return node, iter(rest)

    def path(self, parent: Node | None, obj: Any) -> str:
        """Say where an object lies, as an expression: ``a['x'][0].parent``."""
        labels: list[str] = []
        child = obj
        while parent is not None:
            labels.append(label(parent.obj, child))
            child, parent = parent.obj, parent.parent
        return self.roots.get(id(child), "?") + "".join(reversed(labels))

    def plan(self) -> None:
        """Decide which objects get a name: shared ones, items, two-step ones, and what lies deep."""
        for node in self.order:
            form: Form = node.form if node.split is None else node.split
            highest = 0
            for child in () if node.leaf else form.children:
                below = self.nodes.get(id(child))
                if below is not None and not below.name and below.height > highest:
                    highest = below.height
            node.height = highest + form.depth
            if form.cheap:
                continue
            if node.refs > 1 or node.split is not None or node.height > DEEPEST or id(node.obj) in self.roots:
                node.name = "?"


def is_atom(obj: Any) -> bool:
    """Whether an object is written where it is used, shared or not."""
    return type(obj) in ATOMS and (type(obj) not in (str, bytes) or len(obj) <= LONG)


def label(parent: Any, child: Any) -> str:
    """Say how one object is reached from another, as it is written: ``[0]``, ``['x']``, ``.parent``."""
    if isinstance(parent, dict):
        for key, value in parent.items():
            if value is child:
                return f"[{_short(key)}]"
            if key is child:
                return f"<key {_short(key)}>"
    elif isinstance(parent, list | tuple):
        for index, value in enumerate(parent):
            if value is child:
                names: Sequence[str] = getattr(type(parent), "_fields", ())
                return f".{names[index]}" if index < len(names) else f"[{index}]"
    elif isinstance(parent, set | frozenset):
        return "{...}"
    return _attribute(parent, child)


def _attribute(parent: Any, child: Any) -> str:
    state = getattr(parent, "__dict__", None)
    for key, value in state.items() if isinstance(state, dict) else ():
        if value is child:
            return f".{key}"
    for cls in type(parent).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else tuple(slots):
            if name.isidentifier() and getattr(parent, name, None) is child:
                return f".{name}"
    return ""


def _short(key: Any) -> str:
    if type(key) in (str, int, float, bool, bytes, type(None)):
        written = repr(key)
        return written if len(written) <= 60 else f"{written[:57]}..."
    return f"<{type(key).__name__}>"
