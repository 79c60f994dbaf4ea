"""The language of conditions: what it reads, how it is written, and where a wrong one is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprokit.catalog.query import moments, parse, tree
from reprokit.catalog.query.moments import Moment, Span
from reprokit.catalog.query.parse import parse as read
from reprokit.catalog.query.tree import And, Compare, Has, In, Like, Not, Or
from reprokit.errors import QueryError, ReprokitError
from tests.catalog.conditions import nodes


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (
            "config.lr < 0.1 and value.rmse < 3",
            And((Compare("config.lr", "<", 0.1), Compare("value.rmse", "<", 3))),
        ),
        ("config.lr == 1e-3", Compare("config.lr", "=", 0.001)),
        ("config.lr=-.5", Compare("config.lr", "=", -0.5)),
        ("arg.0 = 'in.csv'", Compare("arg.0", "=", "in.csv")),
        ("config.layers.0.size >= 3", Compare("config.layers.0.size", ">=", 3)),
        ("""config."learning rate" != 'a"b'""", Compare("config.learning rate", "!=", 'a"b')),
        ("config.'a.b' = true", Compare("config.a.b", "=", True)),
        (r'note = "a\"b\\c\u00e9\n"', Compare("note", "=", 'a"b\\cé\n')),
        ("not has value.rmse or has tag", Or((Not(Has("value.rmse")), Has("tag")))),
        ("not (status = 'failed' or dirty = true)", Not(Or((Compare("status", "=", "failed"), Compare("dirty", "=", True))))),
        ("config.x in (1, 'a', null)", In("config.x", (1, "a", None))),
        ("status NOT IN ('failed')", In("status", ("failed",), True)),
        ("function like 'plot*'", Like("function", "plot*")),
        ("function not like 'plot*'", Like("function", "plot*", True)),
        ("duration > 2min", Compare("duration", ">", 120)),
        ("duration > 1.5h", Compare("duration", ">", 5400)),
        ("started > 2026-11-01", Compare("started", ">", Moment("2026-11-01"))),
        ("started > '2026-11-01 12:00'", Compare("started", ">", Moment("2026-11-01 12:00"))),
        ("started>=2026-11-01T12:00:30.5+01:00", Compare("started", ">=", Moment("2026-11-01T12:00:30.5+01:00"))),
        ("started < yesterday", Compare("started", "<", Moment("yesterday"))),
        ("started > 3d", Compare("started", ">", Span(3 * 86_400))),
        ("config.date = 2026-11-01", Compare("config.date", "=", "2026-11-01")),
        ("commit = null", Not(Has("commit"))),
        ("duration != null", Has("duration")),
        ("config.x = null", Compare("config.x", "=", None)),
        ("a_b = 1", None),
    ],
)  # fmt: skip
def test_what_an_expression_means(expression, expected):
    if expected is None:
        with pytest.raises(QueryError):
            read(expression)
    else:
        assert read(expression) == expected


def test_and_binds_closer_than_or_and_not_closest():
    found = read("not dirty = true and has tag or has note and has input")
    assert found == Or((And((Not(Compare("dirty", "=", True)), Has("tag"))), And((Has("note"), Has("input")))))


@settings(deadline=None)
@given(nodes())
def test_a_tree_that_is_written_is_read_back_as_the_same(node):
    assert read(tree.text(node)) == node


@pytest.mark.parametrize(
    ("expression", "at", "told"),
    [
        ("", 0, "an expression is missing"),
        ("config.lr <", 11, "a value is missing"),
        ("config.lr < 0.1 und value.x = 1", 16, "and, or"),
        ("config.lr < 0.1 and", 19, "a column is missing"),
        ("0.1 > config.lr", 0, "a column is missing"),
        ("durration > 3", 0, "did you mean duration?"),
        ("status = 'failed' and values.rmse < 3", 22, "did you mean value.rmse?"),
        ("lr < 3", 0, "config.lr"),
        ("config < 3", 0, "needs a key"),
        ("status = failed", 9, 'quotes, as in "failed"'),
        ("status = 'faild'", 9, "did you mean 'failed'?"),
        ("function > 3", 11, "is a text"),
        ("duration > 'long'", 11, "is a number"),
        ("duration > 3 hours", 13, "and, or"),
        ("duration > 3hours", 11, "no duration"),
        ("id = 7f3a9c1e", 5, "quotes"),
        ("started > 5", 10, "is a time"),
        ("started > 2026-13-01", 10, "no time that there was"),
        ("started > 'soon'", 10, "is no time"),
        ("dirty = 1", 8, "true or false"),
        ("dirty < true", 6, "no order"),
        ("tag < 'a'", 4, "no order"),
        ("config.x < null", 11, "no order"),
        ("duration like 'a'", 14, "no text"),
        ("function like plot", 14, "pattern in quotes"),
        ("(config.lr < 1", 0, "never closed"),
        ("config.lr < 1)", 13, "never opened"),
        ("config.x in 3", 12, "list in parentheses"),
        ("config.x in ()", 13, "a value is missing"),
        ("config.x in (1 2)", 15, ", or )"),
        ("config.x = 'a", 11, "no end"),
        (r"config.x = 'a\qb'", 13, "unknown escape"),
        (r"config.x = '\ud800'", 12, "no text in the index"),
        ("config.learning-rate = 1", 15, "config.'learning-rate'"),
        ("config.x = 1 && config.y = 2", 13, "write and"),
        ("function ~ 'plot'", 9, "write like"),
        ("config.x = 'a' \x00", 15, "no text in the index"),
        ("not " * 60 + "dirty = true", None, "at most 50 deep"),
        ("(" * 60, None, "at most 50 deep"),
        ("dirty = true or " * 300 + "dirty = true", None, "at most 200"),
        ("config.x in (" + "1," * 300 + "1)", None, "at most 200"),
        ("config.x = '" + "a" * 20_000 + "'", None, "at most 10,000 characters"),
        ("function like '" + "*" * 300 + "'", None, "at most 200 characters"),
    ],
)
def test_a_wrong_expression_says_where_and_why(expression, at, told):
    with pytest.raises(QueryError) as caught:
        read(expression)
    error = caught.value
    assert told in error.args[2]
    assert isinstance(error, ReprokitError)
    assert isinstance(error, ValueError)
    if at is not None:
        assert error.args[1] == at
        _, shown, caret = str(error).split("\n")
        assert shown[2:] == expression.replace("\x00", " ")
        assert caret == " " * (at + 2) + "^"


def test_the_caret_stands_under_its_place_beside_wide_characters_and_in_long_expressions():
    with pytest.raises(QueryError) as caught:
        read("note = '日本' nd")
    assert str(caught.value).split("\n")[2] == "  " + " " * (len("note = '日本' ") + 2) + "^"
    with pytest.raises(QueryError) as caught:
        read("config.x = 1 and " * 20 + "oops = 1")
    _, shown, caret = str(caught.value).split("\n")
    assert shown[caret.index("^") :].startswith("oops")
    assert len(shown) < 120


@settings(deadline=None)
@given(st.text(max_size=60) | st.text("()'\"\\.<>=! andortiklehs0129-:conflgvu", max_size=60))
def test_random_text_is_read_or_refused_and_nothing_else(text):
    for reader in (read, parse.parse_column, parse.parse_names):
        try:
            reader(text)
        except QueryError as error:
            told = str(error)
        else:
            continue
        assert told.endswith("^")


@settings(deadline=None)
@given(st.text(max_size=30) | st.from_regex(moments.PATTERN.replace("\\ ", " "), fullmatch=True))
def test_random_times_are_read_or_refused_and_nothing_else(text):
    try:
        begin, end = moments.bounds(moments.read(text))
    except ValueError:
        return
    assert begin <= end


def test_a_day_stands_for_all_of_it():
    begin, end = moments.bounds(Moment("2026-11-03"))
    assert end - begin == 86_400
    begin, end = moments.bounds(Moment("2026-11-03 12:00Z"))
    assert (begin, end) == (1793707200.0, 1793707260.0)
    today, yesterday = moments.bounds(Moment("today")), moments.bounds(Moment("yesterday"))
    assert yesterday[1] == today[0]
    assert moments.bounds(Span(60), now=100) == (40, 40)
