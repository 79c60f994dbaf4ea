"""What the index answers is what looking at each run tells, whichever way the answer was found."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprokit.catalog.query import moments, order, plan
from reprokit.catalog.query.parse import parse
from reprokit.errors import QueryError
from tests.catalog.conditions import holds, index_of, made_runs, nodes


@settings(deadline=None)
@given(made_runs(), nodes())
def test_repetitions_are_left_out_whichever_way_the_answer_is_found(runs, node):
    db, now = index_of(runs), time.time()
    originals = {n for n, run in enumerate(runs, 1) if not run["repeats"]}
    few, plan.FEW = plan.FEW, 0
    try:
        for sort in ("-started", "value.x"):
            for limit in (None, len(runs)):
                found = set(plan.answer(db, node, order.read(sort), limit, True, now, repetitions=False))
                assert found == fitting(runs, node, now, children=True) & originals
                assert set(plan.answer(db, None, order.read(sort), limit, True, now, repetitions=False)) == originals
    finally:
        plan.FEW = few


def fitting(runs, node, now, *, children):
    told = [(n, run) for n, run in enumerate(runs, 1) if children or run["root"]]
    return {n for n, run in told if holds(node, run, lambda one: moments.bounds(one, now))}


@settings(max_examples=300, deadline=None)
@given(made_runs(), nodes(), st.booleans())
def test_each_way_finds_the_runs_that_looking_at_them_one_by_one_finds(runs, node, children):
    db, now = index_of(runs), time.time()
    expected = fitting(runs, node, now, children=children)
    newest = order.read("-started")
    walked = plan.answer(db, node, newest, len(runs) + 1, children, now)
    assert set(walked) == expected
    assert len(walked) == len(expected)
    assert plan.answer(db, node, newest, None, children, now) == walked
    few, plan.FEW = plan.FEW, 0
    try:  # sets all the way, as in a large vault
        assert plan.answer(db, node, newest, None, children, now) == walked
    finally:
        plan.FEW = few
    by_value = plan.answer(db, node, order.read("value.x"), None, children, now)
    steps, plan.STEPS = plan.STEPS, 1
    many, plan.MANY = plan.MANY, 0
    try:  # stopped at once, then walked among those found
        for sort, told in (("-started", walked), ("value.x", by_value)):
            assert plan.answer(db, node, order.read(sort), len(runs), children, now) == told
    finally:
        plan.STEPS, plan.MANY = steps, many
    assert plan.answer(db, node, newest, 2, children, now) == walked[:2]


SORTS = ["started", "-started", "duration", "-duration", "function", "-commit", "id", "dirty", "children"]


@settings(deadline=None)
@given(
    made_runs(),
    st.lists(st.sampled_from([*SORTS, "config.lr", "-value.x", "config.model.name"]), min_size=1, max_size=3),
    st.none() | st.integers(0, 5),
)
def test_runs_come_in_the_order_that_was_asked_for_absent_last_ties_newest_first(runs, sort, limit):
    def key(run, column):
        if column.startswith(("config.", "value.")):
            value = run["facts"].get(column)
        elif column == "dirty":
            value = None if run["commit"] is None else "-dirty" in run["commit"]
        else:
            value = run[column]
        return value is None, (isinstance(value, str), value)

    expected = sorted((n for n, run in enumerate(runs, 1) if run["root"]), key=lambda n: runs[n - 1]["id"])
    expected.sort(key=lambda n: -runs[n - 1]["started"])
    for told in reversed(sort):
        column = told.removeprefix("-")
        there = [n for n in expected if not key(runs[n - 1], column)[0]]
        absent = [n for n in expected if key(runs[n - 1], column)[0]]
        there.sort(key=lambda n: key(runs[n - 1], column)[1], reverse=told.startswith("-"))
        expected = there + absent
    facts = [[runs[n - 1][name] for name in ("started", "id")] for n in expected]
    for node in (None, parse("has started")):
        found = plan.answer(index_of(runs), node, order.read(sort), limit, False, time.time())
        assert [[runs[n - 1][name] for name in ("started", "id")] for n in found] == facts[:limit]


def test_what_was_typed_never_becomes_part_of_a_statement():
    db = index_of([])
    for text in ("x' OR 1=1 --", 'x"; DROP TABLE runs; --'):
        node = parse(f"function = {text!r} or config.{text!r} = 1 or note like {text!r}")
        assert plan.answer(db, node, order.read(None), 5, False, 0) == []
    db.execute("SELECT 1 FROM runs")


@pytest.mark.parametrize("sort", ["tag", "colour", "-", "value.x desc", ""])
def test_an_order_that_is_none_is_refused(sort):
    with pytest.raises(QueryError):
        order.read([sort])


def test_a_pattern_of_many_stars_takes_no_time_to_fail():
    db = index_of([{**RUN, "what": "ab" * 500}])
    for pattern in ("*b" * 100, "*?b" * 60 + "c", "*[ab]" * 39 + "c", "*" * 199 + "c"):  # years, were each way tried
        found = plan.answer(db, parse(f"what like '{pattern}'"), order.read(None), None, False, 0)
        assert bool(found) == (pattern[-1] == "b")


RUN = {
    "id": "a", "root": True, "function": None, "what": "", "status": "complete", "started": 0.0, "duration": None, "commit": None,
    "config_hash": None, "host": None, "user": None, "python": None, "folder": "a", "children": 0, "facts": {}, "tag": [],
    "note": [], "artifact": [], "input": [],
}  # fmt: skip


def test_which_types_compare():
    runs = [{**RUN, "id": f"{n}", "facts": {"value.x": x}} for n, x in enumerate([1, "1", True, None, 2.5, "z"])]
    runs.append({**RUN, "id": "6"})
    db = index_of(runs)

    def found(expression):
        return sorted(n - 1 for n in plan.answer(db, parse(expression), order.read(None), None, False, 0))

    assert found("value.x < 3") == [0, 2, 4]  # numbers never compare with texts
    assert found("value.x > 1") == [4]
    assert found("value.x >= '1'") == [1, 5]
    assert found("value.x = true") == [0, 2]  # as in Python, true is 1
    assert found("value.x = '1'") == [1]
    assert found("value.x = null") == [3]
    assert found("value.x != 1") == [1, 3, 4, 5]  # a run without the value fits neither = nor !=
    assert found("not value.x = 1") == [1, 3, 4, 5, 6]
    assert found("has value.x") == [0, 1, 2, 3, 4, 5]
    assert found("value.x in (1, 'z', null)") == [0, 2, 3, 5]
    assert found("value.x like '*'") == [1, 5]  # a pattern is for texts
    assert found("value.x not like 'z*'") == [0, 1, 2, 3, 4]
    assert found("value.x not in (1, 'z', null)") == [1, 4]
