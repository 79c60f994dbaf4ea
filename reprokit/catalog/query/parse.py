"""From an expression to its tree.  Recursive descent; what can't be meant is refused here, with its place.

::

    either    = all {"or" all}
    all       = one {"and" one}
    one       = "not" one | "(" either ")" | "has" column | condition
    condition = column (("<" | "<=" | ">" | ">=" | "=" | "==" | "!=") value
                        | ["not"] "in" "(" value {"," value} ")"
                        | ["not"] "like" text)
"""

from __future__ import annotations

from typing import Any

from reprokit.catalog.query import columns, moments, words
from reprokit.catalog.query.moments import Moment, Span
from reprokit.catalog.query.tree import And, Compare, Has, In, Like, Node, Not, Or
from reprokit.catalog.query.words import Word
from reprokit.errors import QueryError

DEEPEST = 50  # parentheses and "not" within each other
MOST = 200  # conditions and values: SQLite bounds the depth of a chain of conditions
LONGEST_PATTERN = 200  # characters

_OPERATORS = frozenset({"<", "<=", ">", ">=", "=", "!="})
_AFTER = "after a condition comes and, or, or the end"


def parse(expression: str) -> Node:
    """Read an expression.

    Raises
    ------
    QueryError
        With the place where it is wrong.
    """
    return _Parser(expression).whole()


def parse_column(name: str) -> str:
    """Read the name of a column, as in ``config."learning rate"``.

    Raises
    ------
    QueryError
    """
    found = words.split(name)
    if len(found) != 2 or found[0].kind != "column":
        raise QueryError(name, found[1].at if len(found) > 2 else 0, "this is no column")
    if columns.kind(found[0].value) is None:
        raise QueryError(name, 0, columns.unknown(found[0].value))
    return str(found[0].value)


def parse_names(written: str) -> list[str]:
    """Read names with commas between, as in ``id, config."a,b"``; they need not be columns.

    Raises
    ------
    QueryError
    """
    found = words.split(written)
    for number, word in enumerate(found):
        if word.kind != "column" if number % 2 == 0 else word.text != "," and word.kind != "end":
            raise QueryError(written, word.at, "names of columns stand here, with commas between")
    return [word.value for word in found[::2]]


class _Parser:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._words = words.split(expression)
        self._next = 0
        self._depth = 0
        self._count = 0

    def whole(self) -> Node:
        if len(self._words) == 1:
            raise self._wrong("an expression is missing, as in config.lr < 0.1")
        found = self._either()
        if self._word.kind != "end":
            raise self._wrong("this parenthesis was never opened" if self._word.text == ")" else _AFTER)
        return found

    @property
    def _word(self) -> Word:
        return self._words[self._next]

    def _wrong(self, problem: str, at: int | None = None) -> QueryError:
        return QueryError(self._expression, self._word.at if at is None else at, problem)

    def _take(self, *texts: str) -> bool:
        """Go on when the next word is one of these."""
        if self._word.kind in ("keyword", "sign") and self._word.text in texts:
            self._next += 1
            return True
        return False

    def _count_one(self) -> None:
        self._count += 1
        if self._count > MOST:
            raise self._wrong(f"an expression has at most {MOST} conditions and listed values")

    def _either(self) -> Node:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _all(self) -> Node:
        parts = [self._one()]
        while self._take("and"):
            parts.append(self._one())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _one(self) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise self._wrong(f"parentheses and not go at most {DEEPEST} deep")
        found = self._nested()
        self._depth -= 1
        return found

    def _nested(self) -> Node:
        opened = self._word.at
        if self._take("not"):
            return Not(self._one())
        if self._take("("):
            found = self._either()
            if not self._take(")"):
                raise self._wrong(
                    "this parenthesis is never closed" if self._word.kind == "end" else _AFTER,
                    opened if self._word.kind == "end" else None,
                )
            return found
        self._count_one()
        if self._take("has"):
            return Has(self._column()[0])
        return self._condition()

    def _column(self) -> tuple[str, columns.Kind]:
        word = self._word
        if word.kind != "column":
            raise self._wrong("a column is missing here, as in config.lr, value.rmse, status or started")
        kind = columns.kind(word.value)
        if kind is None:
            raise self._wrong(columns.unknown(word.value))
        self._next += 1
        return word.value, kind

    def _condition(self) -> Node:
        column, kind = self._column()
        at, sign = self._word.at, self._word.text
        if self._take(*_OPERATORS):
            if sign in "<=>=" and sign != "=" and kind in ("many", "truth"):
                raise self._wrong(
                    f"{column} has no order; it takes =, !=, in" + (" and like" if kind == "many" else ""), at
                )
            return self._compare(column, kind, sign)
        negated = self._take("not")
        if self._take("in"):
            return In(column, self._list(column, kind), negated)
        if self._take("like"):
            return self._like(column, kind, negated)
        told = f"after {column}" + (" not" if negated else "")
        raise self._wrong(
            f"{told} comes " + ("in or like" if negated else "a comparison, as in = != < <= > >= in like")
        )

    def _compare(self, column: str, kind: columns.Kind, op: str) -> Node:
        at, null = self._word.at, self._word.text == "null"
        value = self._value(column, kind)
        if null and op not in ("=", "!="):
            raise self._wrong("null has no order; it takes = and !=", at)
        if null and kind != "fact":
            return Not(Has(column)) if op == "=" else Has(column)
        return Compare(column, op, value)

    def _list(self, column: str, kind: columns.Kind) -> tuple[Any, ...]:
        if not self._take("("):
            raise self._wrong("after in comes a list in parentheses, as in (16, 32)")
        values = []
        while True:
            self._count_one()
            if self._word.text == "null" and kind != "fact":
                raise self._wrong(f"null in a list; write not has {column}")
            values.append(self._value(column, kind))
            if self._take(")"):
                return tuple(values)
            if not self._take(","):
                raise self._wrong("after a value in a list comes , or )")

    def _like(self, column: str, kind: columns.Kind, negated: bool) -> Node:
        word = self._word
        if kind in ("number", "truth", "time"):
            raise self._wrong(f"{column} holds no text; like is for texts")
        if word.kind != "value" or not isinstance(word.value, str):
            raise self._wrong("after like comes a pattern in quotes, as in 'plot*'")
        if len(word.value) > LONGEST_PATTERN:
            raise self._wrong(f"a pattern has at most {LONGEST_PATTERN} characters")
        self._next += 1
        return Like(column, word.value, negated)

    def _value(self, column: str, kind: columns.Kind) -> Any:
        word = self._word
        if word.kind == "keyword" and word.text in ("true", "false", "null"):
            value: Any = {"true": True, "false": False, "null": None}[word.text]
        elif word.kind == "value":
            value = word.value
        elif word.kind == "column":
            raise self._wrong(f"a value is missing here; texts stand in quotes, as in {words.quoted(word.text)}")
        else:
            raise self._wrong("a value is missing here: a number, a text in quotes, true, false or null")
        fitting = value if value is None else self._fitting(column, kind, value)
        self._next += 1
        return fitting

    def _fitting(self, column: str, kind: columns.Kind, value: Any) -> Any:
        """Give a value as this column compares with it."""
        if kind == "time":
            return self._time(column, value)
        if isinstance(value, Moment):
            value = value.text
        elif isinstance(value, Span):
            value = value.seconds
        if kind == "number" and (isinstance(value, str | bool)):
            raise self._wrong(
                f"{column} is a number" + (", as in 90s, 2min or 1h" if column in ("duration", "saved") else "")
            )
        if kind in ("text", "many"):
            if not isinstance(value, str):
                raise self._wrong(f"{column} is a text; write it in quotes: {words.quoted(self._word.text)}")
            wrong = columns.unknown_word(column, value)
            if wrong:
                raise self._wrong(wrong)
        if kind == "truth" and not isinstance(value, bool):
            raise self._wrong(f"{column} is true or false")
        return value

    def _time(self, column: str, value: Any) -> Moment | Span:
        try:
            if isinstance(value, str):
                return moments.read(value)
            if isinstance(value, Moment | Span):
                moments.bounds(value)
                return value
        except ValueError as error:
            raise self._wrong(str(error)) from error
        raise self._wrong(f"{column} is a time; write 2026-11-01, yesterday, or 2h for two hours ago")
