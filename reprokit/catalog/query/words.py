"""An expression's words: numbers, texts, durations, dates, columns and signs, each with its place."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from reprokit.catalog.query import moments
from reprokit.catalog.query.moments import Moment, Span
from reprokit.errors import QueryError

LONGEST = 10_000  # characters of an expression
KEYWORDS = frozenset(["and", "or", "not", "in", "like", "has", "true", "false", "null"])

_TEXT = r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\''
_WORDS = re.compile(
    rf"""(?P<space>\s+)
    |(?P<moment>{moments.PATTERN})(?![\w.:])
    |(?P<number>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?P<unit>\w*)
    |(?P<text>{_TEXT})
    |(?P<column>[^\W\d]\w*(?:\.(?:\w+|{_TEXT}))*)
    |(?P<sign><=|>=|==|!=|[<>=(),])""",
    re.VERBOSE | re.DOTALL,
)
_PART = re.compile(rf"\w+|{_TEXT}", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPES = {'"': '"', "'": "'", "\\": "\\", "n": "\n", "t": "\t", "r": "\r"}
UNTOLD = re.compile("[\x00\ud800-\udfff]")  # what a database can't compare with
_HINTS = {"&": "write and", "|": "write or", "!": "write not", "~": "write like, as in function like 'plot*'"}


class Word(msgspec.Struct, frozen=True):
    """A word of an expression: what it is, how it was written, where it begins, what it stands for."""

    kind: Literal["column", "keyword", "value", "sign", "end"]
    text: str
    at: int
    value: Any = None


def split(expression: str) -> list[Word]:
    """Give an expression's words; an ``end`` is the last.

    Raises
    ------
    QueryError
    """
    if len(expression) > LONGEST:
        raise QueryError(expression, LONGEST, f"an expression has at most {LONGEST:,} characters")
    odd = UNTOLD.search(expression)
    if odd:
        raise QueryError(expression, odd.start(), "a character that no text in the index can have")
    words: list[Word] = []
    at = 0
    while at < len(expression):
        found = _WORDS.match(expression, at)
        if found is None:
            raise QueryError(expression, at, _stray(expression, at, words))
        at = found.end()
        if found.lastgroup != "space":
            words.append(_word(expression, found))
    words.append(Word("end", "", len(expression)))
    return words


def column_name(expression: str, written: str, at: int = 0) -> str:
    """Give a column's name without its quotes."""
    parts = _PART.finditer(written)
    return ".".join(
        unquoted(expression, part[0], at + part.start()) if part[0][0] in "\"'" else part[0] for part in parts
    )


def column_text(name: str) -> str:
    """Write a column's name so that it is read back as the same."""
    root, *parts = name.split(".")
    return ".".join([root, *(part if re.fullmatch(r"\w+", part) else quoted(part) for part in parts)])


def quoted(text: str) -> str:
    """Write a text as an expression has it."""
    inner = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in inner) + '"'


def unquoted(expression: str, written: str, at: int) -> str:
    """Read a text in quotes that stands at a place of an expression."""

    def escaped(found: re.Match[str]) -> str:
        name = found[1]
        made = _ESCAPES.get(name) if len(name) == 1 else chr(int(name[1:], 16))
        if made is None:
            problem = f"unknown escape \\{name}; write \\\\ for a backslash"
        elif UNTOLD.match(made):
            problem = "a character that no text in the index can have"
        else:
            return made
        raise QueryError(expression, at + 1 + found.start(), problem)

    return _ESCAPE.sub(escaped, written[1:-1])


def _word(expression: str, found: re.Match[str]) -> Word:
    text, at = found[0], found.start()
    if found["column"]:
        if text.lower() in KEYWORDS:
            return Word("keyword", text.lower(), at)
        if text.lower() in moments.NAMED:
            return Word("value", text, at, Moment(text.lower()))
        return Word("column", text, at, column_name(expression, text, at))
    if found["text"]:
        return Word("value", text, at, unquoted(expression, text, at))
    if found["moment"]:
        return Word("value", text, at, Moment(text))
    if found["number"]:
        return Word("value", text, at, _number(expression, found))
    return Word("sign", "=" if text == "==" else text, at)


def _number(expression: str, found: re.Match[str]) -> int | float | Span:
    digits, unit = found["number"], found["unit"]
    # SQLite holds 64 bits; int() itself refuses more than some thousand digits.
    number = int(digits) if len(digits) <= 18 and digits.lstrip("+-").isdigit() else float(digits)
    if not unit:
        return number
    if unit in moments.UNITS:
        return Span(number * moments.UNITS[unit])
    raise QueryError(
        expression,
        found.start(),
        f"{found[0]!r} is no number and no duration ({', '.join(moments.UNITS)}); put texts into quotes",
    )


def _stray(expression: str, at: int, words: list[Word]) -> str:
    sign = expression[at]
    if sign in "\"'":
        return "this text has no end; close the quotes"
    after = words[-1] if words else None
    if after and after.kind == "column" and after.at + len(after.text) == at and "." in after.text:
        return "put names with such characters into quotes, as in config.'learning-rate'"
    return f"{sign!r} means nothing here" + (f"; {_HINTS[sign]}" if sign in _HINTS else "")
