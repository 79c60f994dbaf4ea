"""How a question is answered within milliseconds, whatever its conditions have to do with each other.

At first the runs are walked in the order that is asked for, and each is looked at: when many fit, the first fifty are
found at once.  SQLite is stopped when that has taken a bounded number of steps (fitting runs may be rare, or all be at
the other end).  Then each condition gives the set of its runs, which an index holds ready, and the sets are combined.
A join leaves the choice to the planner, who knows nothing of how conditions depend on each other.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.catalog.query import columns, sql
from reprokit.catalog.query.order import Filter
from reprokit.catalog.query.tree import And, Leaf, Node, Not, Or

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.catalog.query.order import Order

STEPS = 50_000  # instructions of SQLite's machine: some milliseconds
FEW = 2_000  # runs that are looked at one by one sooner than a set is made
MANY = 10_000  # runs that are sorted sooner than an index is walked

AMONG = "IN (SELECT value FROM json_each(?))"

_ids = msgspec.json.Decoder(list[int]).decode


def answer(
    db: sqlite3.Connection,
    node: Node | None,
    order: Order,
    limit: int | None,
    children: bool,
    now: float,
    repetitions: bool = True,
) -> list[int]:
    """Give the ids of the rows of ``runs`` for which a tree holds, in order."""
    if node is None:
        return order.ids(db, Filter(children, repetitions=repetitions), limit)
    if not _hangs(node) or (limit is not None and order.walks):
        condition, values = sql.condition(node, now)
        if _hangs(node):
            db.set_progress_handler(lambda: 1, STEPS)
        try:
            which = Filter(children, condition=condition, values=values, repetitions=repetitions)
            return order.ids(db, which, limit)
        except sqlite3.OperationalError as error:
            if "interrupted" not in str(error):
                raise
        finally:
            db.set_progress_handler(None, 0)
    found = matching(db, node, now)
    if not found:
        return []
    few = len(found) < MANY or not order.walks
    told = (_json(sorted(found)),)
    return order.ids(db, Filter(children, among=AMONG, few=few, values=told, repetitions=repetitions), limit)


def matching(db: sqlite3.Connection, node: Node, now: float) -> set[int]:
    """Give the ids of the rows for which a tree holds; there may be others that are no row's."""
    found, rest = _set(db, node, now)
    if not rest:
        return found
    (most,) = db.execute("SELECT coalesce(max(id), 0) FROM runs").fetchone()
    return set(range(1, most + 1)) - found


def _set(db: sqlite3.Connection, node: Node, now: float) -> tuple[set[int], bool]:
    """Give a set of ids, and whether it is all the others that are meant."""
    if isinstance(node, Not):
        found, rest = _set(db, node.part, now)
        return found, not rest
    if isinstance(node, Leaf) or not _hangs(node):
        if isinstance(node, Leaf):
            part = sql.leaf(node, now)
            if part.table is not None:
                return _read(db, f"SELECT json_group_array(run) FROM {part.table} WHERE {part.sql}", part.values), False  # noqa: S608
        condition, values = sql.condition(node, now)
        return _read(db, f"SELECT json_group_array(id) FROM runs r WHERE {condition}", values), False  # noqa: S608
    if isinstance(node, And):
        return _all(db, node, now)
    # By De Morgan: either of them is not (neither of them).
    found, rest = _all(db, And(tuple(Not(part) for part in node.parts)), now)
    return found, not rest


def _all(db: sqlite3.Connection, node: And, now: float) -> tuple[set[int], bool]:
    parts = _grouped(node.parts)
    parts.sort(key=lambda part: _size(db, part, now))
    among: set[int] | None = None  # None: all runs
    besides: set[int] = set()
    for number, part in enumerate(parts):
        if among is not None and len(among) <= FEW:
            condition, values = sql.condition(And(tuple(parts[number:])), now)
            looked_at = f"SELECT json_group_array(id) FROM runs r WHERE r.id {AMONG} AND "  # noqa: S608
            return _read(db, looked_at + condition, (_json(among - besides), *values)), False
        found, rest = _set(db, part, now)
        if rest:
            besides |= found
        else:
            among = found if among is None else among & found
    return (besides, True) if among is None else (among - besides, False)


def _grouped(parts: Iterable[Node]) -> list[Node]:
    """Put the conditions on a run's own columns together: they are one question."""
    own = tuple(part for part in parts if not _hangs(part))
    rest: list[Node] = [part for part in parts if _hangs(part)]
    return [And(own), *rest] if len(own) > 1 else [*own, *rest]


def _size(db: sqlite3.Connection, node: Node, now: float) -> int:
    """Estimate how many runs a condition leaves, up to FEW."""
    if not isinstance(node, Leaf):
        return FEW + 1
    part = sql.leaf(node, now)
    if part.table is None:
        return FEW + 1
    counted = f"SELECT count(*) FROM (SELECT 1 FROM {part.table} WHERE {part.sql} LIMIT {FEW})"  # noqa: S608
    size: int = db.execute(counted, part.values).fetchone()[0]
    return size


def _hangs(node: Node) -> bool:
    """Tell whether a tree asks for more than a run's own columns."""
    if isinstance(node, Not):
        return _hangs(node.part)
    if isinstance(node, And | Or):
        return any(_hangs(part) for part in node.parts)
    return columns.kind(node.column) in ("fact", "many")


def _read(db: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> set[int]:
    """Read a set of ids; as one text, which is twice as fast as a row for each."""
    return set(_ids(db.execute(statement, values).fetchone()[0]))


def _json(ids: Iterable[int]) -> str:
    return msgspec.json.encode(list(ids)).decode()
