"""Puts objects that contain each other in an order in which they can be made: some first empty, filled later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reprokit.archive.graph import label
from reprokit.errors import CycleError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.archive.graph import Graph, Node


def split_loops(graph: Graph) -> list[tuple[Node, ...]]:
    """Choose the objects to be made in two steps, and reorder `graph`.

    Returns
    -------
    list of tuple of Node
        The groups whose two-step members are filled when the whole group is there.

    Raises
    ------
    CycleError
        Naming a loop in which nothing can be made empty.
    """
    groups = _components(graph)
    order: list[Node] = []
    loops = []
    for group in groups:
        if len(group) == 1 and not any(part is group[0].obj for part in group[0].parts()):
            order.append(group[0])
            continue
        for node in group:
            if node.split is None and node.form.split is not None:
                node.split = node.form.split()
        _check_opaque(graph, group)
        made = _creation_order(graph, group)
        order += made
        loops.append(tuple(made))
    graph.order = order
    return loops


def _components(graph: Graph) -> list[list[Node]]:
    """Give the strongly connected components, parts first (Tarjan, SIAM J. Comput. 1 (1972) 146)."""
    number: dict[int, int] = {}
    low: dict[int, int] = {}
    waiting: list[Node] = []
    inside: set[int] = set()
    found: list[list[Node]] = []
    for root in graph.order:
        if id(root.obj) in number:
            continue
        stack: list[tuple[Node, Iterator[Any]]] = []
        _open(root, number, low, waiting, inside, stack)
        while stack:
            node, parts = stack[-1]
            me = id(node.obj)
            for part in parts:
                below = graph.nodes.get(id(part))
                if below is None:
                    continue
                if id(part) not in number:
                    _open(below, number, low, waiting, inside, stack)
                    break
                if id(part) in inside:
                    low[me] = min(low[me], number[id(part)])
            else:
                stack.pop()
                if stack:
                    above = id(stack[-1][0].obj)
                    low[above] = min(low[above], low[me])
                if low[me] == number[me]:
                    cut = next(i for i in range(len(waiting) - 1, -1, -1) if waiting[i] is node)
                    group = waiting[cut:]
                    del waiting[cut:]
                    inside.difference_update(id(member.obj) for member in group)
                    found.append(group)
    return found


def _open(
    node: Node,
    number: dict[int, int],
    low: dict[int, int],
    waiting: list[Node],
    inside: set[int],
    stack: list[tuple[Node, Iterator[Any]]],
) -> None:
    me = id(node.obj)
    number[me] = low[me] = len(number)
    waiting.append(node)
    inside.add(me)
    stack.append((node, iter(list(node.parts()))))


def _creation_order(graph: Graph, group: list[Node]) -> list[Node]:
    """Order the members of a loop by what each needs to be made; two-step ones need little."""
    members = {id(node.obj): node for node in group}
    state: dict[int, int] = {}
    order: list[Node] = []
    for root in group:
        if id(root.obj) in state:
            continue
        stack = [(root, iter(_needs(root)))]
        state[id(root.obj)] = 1
        while stack:
            node, parts = stack[-1]
            for part in parts:
                below = members.get(id(part))
                if below is None:
                    continue
                if state.get(id(part)) == 1:
                    raise _cycle(graph, [*[above for above, _ in stack], below])
                if id(part) not in state:
                    state[id(part)] = 1
                    stack.append((below, iter(_needs(below))))
                    break
            else:
                stack.pop()
                state[id(node.obj)] = 2
                order.append(node)
    return order


def _needs(node: Node) -> Any:
    return node.form.children if node.split is None else node.split.children


def _check_opaque(graph: Graph, group: list[Node]) -> None:
    """Refuse loops through constructors that nobody knows: they might copy what is still empty."""
    members = {id(node.obj): node for node in group}
    for start in group:
        if not start.form.opaque or start.split is not None:
            continue
        before: dict[int, Node] = {}
        todo = [start]
        while todo:
            node = todo.pop()
            for part in node.parts():
                below = members.get(id(part))
                if below is None:
                    continue
                if below is start:
                    trail = [node]
                    while trail[-1] is not start:
                        trail.append(before[id(trail[-1].obj)])
                    raise _cycle(graph, [*reversed(trail), start])
                if id(part) not in before:
                    before[id(part)] = node
                    todo.append(below)


def _cycle(graph: Graph, trail: list[Node]) -> CycleError:
    """Name a loop: the path to where it begins, and from there the way around it."""
    last = trail[-1]
    first = next(i for i, node in enumerate(trail) if node is last)
    around = "".join(
        label(above.obj, below.obj) for above, below in zip(trail[first:-1], trail[first + 1 :], strict=True)
    )
    start = graph.path(last.parent, last.obj)
    kind = type(last.obj).__name__
    return CycleError(
        f"{start}{around}",
        f"is {start} again, and a {kind} cannot be made before its parts; break the loop, or store the back reference "
        "in a container or a dataclass, which are made in two steps",
    )
