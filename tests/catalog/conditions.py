"""Random conditions, random runs, and a slow way to tell which fit: written apart from what is tested."""

from __future__ import annotations

import fnmatch
import operator
import sqlite3

from hypothesis import strategies as st

from reprokit.catalog.index import schema
from reprokit.catalog.query.moments import Moment
from reprokit.catalog.query.tree import And, Compare, Has, In, Like, Not, Or

ORDERED = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
NUMBERS = st.sampled_from([0, 1, 2, -1, 0.5, 1e300, 2.0]) | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False)
TEXTS = st.sampled_from(["", "a", "b", "ab", "1", "B", "é"])
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=5)
FACTS = st.sampled_from(
    ["config.lr", "config.model.name", "value.x", "config.a b", "arg.0", "series.loss", "config.", "value.é\n"]
)
MANY = ("tag", "note", "artifact", "input")
PLAIN = ("function", "what", "host", "user", "python", "folder")
DAYS = ["2026-10-31", "2026-11-01", "2026-11-01 12:00", "2026-11-01T12:00:30", "2026-11-01 12:00:30.5"]
COMMITS = ["1a2b3c4", "1a2b3c4-dirty-9f86d08", "ffffff0", "nogit"]


def leaves():
    names = st.sampled_from((*PLAIN, "id", "commit", "config_hash", "reproduction_of"))
    equal, order = st.sampled_from(["=", "!="]), st.sampled_from(list(ORDERED))
    texts = TEXTS | WORDS | st.sampled_from(COMMITS)
    values = NUMBERS | texts | st.booleans()
    status = st.sampled_from(["complete", "failed", "running"])
    moment = st.sampled_from(DAYS).map(Moment)
    patterns = st.text("ab*?1", max_size=4) | st.sampled_from(["[ab]*", "*[^b]", "*é"])
    return st.one_of(
        st.builds(Compare, FACTS, equal, values | st.none()),
        st.builds(Compare, FACTS, order, values),
        st.builds(In, FACTS, st.lists(values | st.none(), min_size=1, max_size=3).map(tuple), st.booleans()),
        st.builds(Compare, names | st.sampled_from(MANY), equal, texts),
        st.builds(Compare, names, order, texts),
        st.builds(In, names | st.sampled_from(MANY), st.lists(texts, min_size=1, max_size=3).map(tuple), st.booleans()),
        st.builds(Like, FACTS | names | st.sampled_from(MANY), patterns, st.booleans()),
        st.builds(Has, FACTS | names | st.sampled_from([*MANY, "started", "dirty", "duration", "children"])),
        st.builds(Compare, st.sampled_from(["duration", "children"]), equal | order, NUMBERS),
        st.builds(In, st.just("duration"), st.lists(NUMBERS, min_size=1, max_size=3).map(tuple), st.booleans()),
        st.builds(Compare, st.just("dirty"), equal, st.booleans()),
        st.builds(Compare, st.just("status"), equal, status),
        st.builds(Compare, st.just("started"), equal | order, moment),
        st.builds(In, st.just("started"), st.lists(moment, min_size=1, max_size=2).map(tuple), st.booleans()),
    )


def nodes():
    return st.recursive(
        leaves(),
        lambda inner: st.one_of(
            st.builds(Not, inner),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts))),
            st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts))),
        ),
        max_leaves=6,
    )


def made_runs():
    """Runs as dictionaries, in what a small world of values allows."""
    texts = st.none() | TEXTS
    facts = st.dictionaries(FACTS, NUMBERS | TEXTS | st.booleans() | st.none(), max_size=5)
    paths = st.lists(st.sampled_from(["a", "b/a", "b/ab", "1", "é"]), max_size=2)
    run = st.fixed_dictionaries(
        {
            "id": st.sampled_from(["a", "ab", "b", "1a2b3c4"]),
            "root": st.booleans(),
            "function": texts | st.sampled_from(["a.b", "b.a.ab", "a.", "..", "b.a"]),
            "reproduction_of": st.none() | st.sampled_from(["a", "ab", "1a2b3c4"]),
            "repeats": st.booleans(),
            "what": TEXTS,
            "status": st.sampled_from(["complete", "failed", "running"]),
            "started": st.sampled_from([0.0, 1793404800.0, 1793534400.0, 1793534429.9, 1793534430.5, 1793600000.0]),
            "duration": st.none() | st.sampled_from([0.0, 0.5, 1.0, 2.0]),
            "commit": st.none() | st.sampled_from(COMMITS),
            "config_hash": texts,
            "host": texts,
            "user": texts,
            "python": texts,
            "folder": TEXTS,
            "children": st.integers(0, 2),
            "facts": facts,
            "tag": st.lists(TEXTS, max_size=2),
            "note": st.lists(TEXTS, max_size=1),
            "artifact": paths,
            "input": paths,
        }
    )
    return st.lists(run, min_size=1, max_size=8)


def index_of(runs):
    """Give the tables of the index with these runs, numbered from one."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema.TABLES + schema.INDEXES)
    names = {}
    for number, run in enumerate(runs, 1):
        columns = [run[name] for name in ("function", "what", "status", "started", "duration", "commit", "config_hash")]
        more = [run[name] for name in ("host", "user", "python", "children")]
        parent = None if run["root"] else "x"
        db.execute(
            f"INSERT INTO runs VALUES({', '.join('?' * 24)})",
            (
                number,
                run["id"],
                number,
                parent,
                run["folder"],
                "function",
                *columns,
                *more,
                run.get("reproduction_of"),
                run.get("repeats", False),
                run.get("reused_from"),
                False,
                run.get("reused", 0),
                run.get("reused_at"),
                run.get("saved"),
            ),
        )
        for name, value in run["facts"].items():
            if name not in names:
                names[name] = len(names) + 1
                db.execute("INSERT INTO names VALUES(?, ?)", (names[name], name))
            shown = {True: "true", False: "false"}[value] if isinstance(value, bool) else None
            told = int(value) if isinstance(value, bool) else value
            db.execute("INSERT INTO facts VALUES(?, ?, ?, ?)", (number, names[name], told, shown))
        for event in ("tag", "note"):
            for text in run[event]:
                db.execute("INSERT INTO marks VALUES(?, ?, ?)", (number, event, text))
        for column, role in (("artifact", "generated"), ("input", "used")):
            for path in run[column]:
                told = (number, role, path, path.rpartition("/")[2])
                db.execute("INSERT INTO artifacts VALUES(?, ?, ?, ?, NULL, NULL, NULL, NULL, 0)", told)
    return db


def holds(node, run, bounds):
    """Tell whether a tree holds for a run, by looking."""
    match node:
        case Not(part):
            return not holds(part, run, bounds)
        case And(parts):
            return all(holds(part, run, bounds) for part in parts)
        case Or(parts):
            return any(holds(part, run, bounds) for part in parts)
    column = node.column
    root, _, _ = column.partition(".")
    if root in ("config", "value", "arg", "series"):
        return column in run["facts"] and _fact(node, run["facts"][column])
    if column in MANY:
        return any(_one_of_many(node, value) for value in run[column])
    commit = run["commit"]
    value = ("-dirty" in commit if commit else None) if column == "dirty" else run[column]
    if value is None:
        return False
    if isinstance(node, Has):
        return True
    if column == "started":
        return _time(node, value, bounds)
    if isinstance(node, Like):
        last = value.rpartition(".")[2] if column == "function" else value
        return (_glob(value, node.pattern) or _glob(last, node.pattern)) != node.negated
    beginning = column in ("id", "commit", "config_hash", "reproduction_of")

    def equal(told):
        if column == "function":
            return value == told or value.endswith(f".{told}")
        return value.startswith(told) if beginning else value == told

    if isinstance(node, In):
        return any(equal(told) for told in node.values) != node.negated
    if node.op in ORDERED:
        return ORDERED[node.op](value, node.value)
    return equal(node.value) == (node.op == "=")


def _fact(node, value):
    if isinstance(node, Has):
        return True
    if isinstance(node, Like):
        return (isinstance(value, str) and _glob(value, node.pattern)) != node.negated
    if isinstance(node, In):
        return (value in node.values) != node.negated
    if node.op in ORDERED:
        comparable = value is not None and isinstance(value, str) == isinstance(node.value, str)
        return comparable and ORDERED[node.op](value, node.value)
    return (value == node.value) == (node.op == "=")


def _one_of_many(node, value):
    last = value.rpartition("/")[2] if node.column in ("artifact", "input") else value
    if isinstance(node, Has):
        return True
    if isinstance(node, Like):
        return (_glob(value, node.pattern) or _glob(last, node.pattern)) != node.negated
    if isinstance(node, In):
        return (value in node.values or last in node.values) != node.negated
    return (node.value in (value, last)) == (node.op == "=")


def _time(node, value, bounds):
    if isinstance(node, In):
        return any(bounds(told)[0] <= value < bounds(told)[1] for told in node.values) != node.negated
    begin, end = bounds(node.value)
    return {
        "<": value < begin,
        "<=": value < end,
        ">": value >= end,
        ">=": value >= begin,
        "=": begin <= value < end,
        "!=": not begin <= value < end,
    }[node.op]


def _glob(value, pattern):
    return fnmatch.fnmatchcase(value, pattern.replace("[^", "[!"))
