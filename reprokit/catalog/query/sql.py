"""From a tree to SQL.  Whatever the user typed goes there as a parameter, never as text of a statement.

Each condition is true or false, never NULL, so that ``not`` means what it says: a condition on what a run doesn't have
is false.
"""

from __future__ import annotations

from typing import Any

import msgspec

from reprokit.catalog.query import columns, moments
from reprokit.catalog.query.tree import And, Compare, Has, In, Leaf, Like, Node, Not
from reprokit.errors import QueryError

_CUT = 1_000  # characters that the index keeps of a text
_NAMED = "name = (SELECT id FROM names WHERE name = ?)"
_COLUMNS = {
    "id": "run_id",
    "commit": '"commit"',
    "artifact": "artifacts",
    "input": "artifacts",
    "tag": "marks",
    "note": "marks",
    "reproduced": "repetitions",
}
_ROLES = {"artifact": "generated", "input": "used"}


class Part(msgspec.Struct, frozen=True):
    """A condition on a row of ``runs`` (``table`` is None), or on some row of a table that hangs on it."""

    sql: str
    values: tuple[Any, ...]
    table: str | None = None

    @property
    def on_run(self) -> tuple[str, tuple[Any, ...]]:
        """The condition on a row ``r`` of ``runs``."""
        if self.table is None:
            return self.sql, self.values
        return f"EXISTS(SELECT 1 FROM {self.table} WHERE run = r.id AND {self.sql})", self.values  # noqa: S608 - words of ours


def condition(node: Node, now: float) -> tuple[str, tuple[Any, ...]]:
    """Give a tree as one condition on a row ``r`` of ``runs``, with its parameters."""
    if isinstance(node, Leaf):
        return leaf(node, now).on_run
    if isinstance(node, Not):
        sql, values = condition(node.part, now)
        return f"NOT ({sql})", values
    parts = [condition(part, now) for part in node.parts]
    joint = " AND " if isinstance(node, And) else " OR "
    return f"({joint.join(sql for sql, _ in parts)})", tuple(value for _, values in parts for value in values)


def leaf(node: Leaf, now: float) -> Part:
    """Give one condition."""
    kind = columns.kind(node.column)
    if kind is None:  # a tree that no parser has made
        raise QueryError(node.column, 0, columns.unknown(node.column))
    name = _COLUMNS.get(node.column, node.column)
    if kind == "fact":
        sql, values = _fact(node)
        return Part(f"{_NAMED} AND {sql}", (node.column, *values), "facts")
    if kind == "many":
        if name in ("marks", "repetitions"):
            sql, values = _text("text", node)
            return Part(f"event = ? AND {sql}", (node.column, *values), name)
        sql, values = _path(node)
        return Part(f"role = ? AND {sql}", (_ROLES[node.column], *values), name)
    name = f"r.{name}"
    if kind == "truth":
        sql, values = _dirty(node)
        return Part(f'(r."commit" IS NOT NULL AND {sql})', values)
    if node.column == "function" and not isinstance(node, Has) and getattr(node, "op", "=") in ("=", "!="):
        return Part(*_function(node))
    sql, values = _time(name, node, now) if kind == "time" else _text(name, node)
    return Part(f"({name} IS NOT NULL AND {sql})", values)


def _fact(node: Leaf) -> tuple[str, tuple[Any, ...]]:
    """A fact's value has the type that it was recorded with; SQLite orders NULL, numbers, texts."""
    if isinstance(node, Has):
        return "1", ()
    if isinstance(node, Like):
        if node.negated:
            return "(value IS NULL OR value < '' OR value NOT GLOB ?)", (node.pattern,)
        return "value >= '' AND value GLOB ?", (node.pattern,)
    if isinstance(node, In):
        told = [_cut(value) for value in node.values if value is not None]
        null = None in node.values
        listed = f"value IN ({_marks(told)})"
        if node.negated:
            return f"(value {'IS NOT NULL' if null else 'IS NULL'} {'AND' if null else 'OR'} NOT {listed})", tuple(told)
        return f"({listed} OR value IS NULL)" if null else listed, tuple(told)
    value = _cut(node.value)
    if node.op in ("=", "!="):
        return f"value {'IS' if node.op == '=' else 'IS NOT'} ?", (value,)
    if isinstance(value, str):
        return f"value {node.op} ? AND value >= ''", (value,)
    return f"value {node.op} ? AND value < ''", (value,)


def _text(name: str, node: Leaf) -> tuple[str, tuple[Any, ...]]:
    """A column that is there."""
    if isinstance(node, Has):
        return "1", ()
    if isinstance(node, Like):
        return f"{name} {'NOT ' if node.negated else ''}GLOB ?", (node.pattern,)
    if isinstance(node, In):
        equal = [_equal(name, node.column, value) for value in node.values]
        sql = f"({' OR '.join(sql for sql, _ in equal)})"
        return f"NOT {sql}" if node.negated else sql, tuple(value for _, values in equal for value in values)
    if node.op in ("=", "!="):
        sql, values = _equal(name, node.column, node.value)
        return sql if node.op == "=" else f"NOT {sql}", values
    return f"{name} {node.op} ?", (node.value,)


def _equal(name: str, column: str, value: Any) -> tuple[str, tuple[Any, ...]]:
    if column not in columns.BEGINNINGS:
        return f"{name} = ?", (value,)
    if column == "commit" and len(value) > columns.COMMIT and not set(value) - set("0123456789abcdef"):
        value = value[: columns.COMMIT]  # git's own long form
    return f"({name} >= ? AND {name} < ?)", (value, value + "\U0010ffff")


# Each name once: the index is walked from one to the next, and then has the runs of those that fit.
_FUNCTIONS = (
    "r.function IN (WITH RECURSIVE f(name) AS (SELECT min(function) FROM runs UNION ALL "
    "SELECT (SELECT min(function) FROM runs WHERE function > f.name) FROM f WHERE f.name IS NOT NULL) "
    "SELECT f.name FROM f WHERE {})"
)
_LAST_PART = "substr(f.name, 1 + length(rtrim(f.name, replace(f.name, '.', ''))))"


def _function(node: Leaf) -> tuple[str, tuple[Any, ...]]:
    """A function is named by its dotted name, or by the end of that: one part or more, for a pattern the last."""
    if isinstance(node, Like):
        told: tuple[Any, ...] = (node.pattern, node.pattern)
        found, negated = f"f.name GLOB ? OR {_LAST_PART} GLOB ?", node.negated
    else:
        assert not isinstance(node, Has)
        names = node.values if isinstance(node, In) else (node.value,)
        told = tuple(text for name in names for text in (name, f".{name}", f".{name}"))
        found = " OR ".join(["f.name = ? OR substr(f.name, -length(?)) = ?"] * len(names))
        negated = node.negated if isinstance(node, In) else node.op == "!="
    return f"(r.function IS NOT NULL AND {_not(negated)}{_FUNCTIONS.format(found)})", told


def _path(node: Leaf) -> tuple[str, tuple[Any, ...]]:
    """A file is named by its path or by its last part."""
    if isinstance(node, Has):
        return "1", ()
    if isinstance(node, Like):
        return f"{_not(node.negated)}(name GLOB ? OR path GLOB ?)", (node.pattern,) * 2
    told = node.values if isinstance(node, In) else (node.value,)
    equal = [_equal_path(value) for value in told]
    sql = f"({' OR '.join(sql for sql, _ in equal)})"
    negated = node.negated if isinstance(node, In) else node.op == "!="
    return _not(negated) + sql, tuple(value for _, values in equal for value in values)


def _equal_path(told: str) -> tuple[str, tuple[str, ...]]:
    """The last part has an index."""
    name = told.rpartition("/")[2]
    return ("name = ?", (name,)) if name == told else ("(name = ? AND path = ?)", (name, told))


def _dirty(node: Leaf) -> tuple[str, tuple[Any, ...]]:
    dirty = "(instr(r.\"commit\", '-dirty') > 0)"
    if isinstance(node, Has):
        return "1", ()
    if isinstance(node, In):
        return f"{dirty} {'NOT ' if node.negated else ''}IN ({_marks(node.values)})", node.values
    assert isinstance(node, Compare)  # the parser lets no other through
    return f"{dirty} {node.op} ?", (node.value,)


def _time(name: str, node: Leaf, now: float) -> tuple[str, tuple[Any, ...]]:
    if isinstance(node, Has):
        return "1", ()
    if isinstance(node, In):
        within = [_within(name, value, now) for value in node.values]
        sql = f"({' OR '.join(sql for sql, _ in within)})"
        return f"NOT {sql}" if node.negated else sql, tuple(value for _, values in within for value in values)
    assert isinstance(node, Compare)
    if node.op in ("=", "!="):
        sql, values = _within(name, node.value, now)
        return sql if node.op == "=" else f"NOT {sql}", values
    begin, end = moments.bounds(node.value, now)
    if begin == end:
        return f"{name} {node.op} ?", (begin,)
    before = node.op[0] == "<"
    return f"{name} {'<' if before else '>='} ?", (begin if node.op in ("<", ">=") else end,)


def _within(name: str, value: Any, now: float) -> tuple[str, tuple[float, ...]]:
    begin, end = moments.bounds(value, now)
    return (f"{name} = ?", (begin,)) if begin == end else (f"({name} >= ? AND {name} < ?)", (begin, end))


def _not(negated: bool) -> str:
    return "NOT " if negated else ""


def _cut(value: Any) -> Any:
    return value[:_CUT] if isinstance(value, str) else value


def _marks(values: Any) -> str:
    return ", ".join("?" * len(values))
