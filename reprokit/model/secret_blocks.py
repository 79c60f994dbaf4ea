"""Secrets that go on over several lines: private keys, indented blocks under a secret name, columns of tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LINES = re.compile(r"[^\n\r]*(?:\r\n|\n|\r)|[^\n\r]+\Z")
# "password:", "'tokens': [", "secret: |" at the end of a line: what follows, indented deeper, belongs to it.
_HEAD = re.compile(
    r"(?P<indent>\s*)(?:- )?(?!(?:class|def|if|elif|else|for|while|with|try|except|async)\b)['\"]?(?P<name>[\w.\- ]{2,60})['\"]?"
    r"\s{0,3}(?:[:=]\s{0,3}(?:[|>][+\-]?[0-9]?|'''|\"\"\")?|[:=]?\s{0,3}[\[{(])\s*\Z"
)
_QUOTED = re.compile(
    r"(?P<indent>\s*)(?:- )?['\"]?(?P<name>[\w.\-]{2,60})['\"]?\s{0,3}(?P<by>[:=])\s{0,3}(?P<mark>['\"])(?P<rest>.*)"
)
_LONGEST = 100  # lines of a quoted text
_BARS = re.compile(r"[|│┃]")
_CELL = re.compile(r"\"(?:[^\"]|\"\")*\"|[^,\t]*")
_NAME = re.compile(r"['\"]?[A-Za-z_][\w.\-]{0,60}['\"]?")
_RULE = frozenset("-=+:|─━┼╇╪┿╋├┤┡┩└┘┌┐┏┓┳┬┴│┃┗┛ \t")
_REGION = re.compile(r"\S+(?: \S+)*")


class Blocks:
    """Follows what goes on over lines; whole lines are handed in, in one piece or in many."""

    __slots__ = ("_by", "_column", "_in_key", "_indent", "_is_secret_name", "_left", "_quoted", "_table")

    def __init__(self, by: str, is_secret_name: Callable[[str], bool]) -> None:
        self._by = by
        self._is_secret_name = is_secret_name
        self._in_key = False
        self._indent: int | None = None  # of the line that opened a block
        self._left = 0  # lines that a quoted text may still have, however they are indented
        self._quoted = ""  # what ends a text of several lines
        self._table: tuple[str, int, frozenset[int]] | None = None  # delimiter, cells in a row, secret ones
        self._column: tuple[tuple[int, int], ...] = ()  # where secret headings begin and end

    @property
    def open(self) -> bool:
        """Whether the next line may belong to something that began before it."""
        return self._in_key or self._indent is not None or self._table is not None or bool(self._column)

    def feed(self, text: str) -> tuple[str, int]:
        """Take secrets out of lines; give them back with how many there were."""
        made: list[str] = []
        count = 0
        for line in _LINES.findall(text):
            body = line.rstrip("\n\r")
            clean = self._line(body)
            if clean is None:
                count += 1
                continue
            count += clean != body
            made.append(clean + line[len(body) :])
        return "".join(made), count

    def _line(self, body: str) -> str | None:
        """Give what is left of a line, None when it goes."""
        if self._in_key or ("-----BEGIN" in body and "PRIVATE KEY" in body):
            return self._key(body)
        if self._indent is not None:
            inside = self._indented(body)
            if inside is not None:
                return inside
        if self._table is not None:
            row = self._row(body)
            if row is not None:
                return row
        if self._column:
            row = self._aligned(body)
            if row is not None:
                return row
        return self._opened(body)

    def _key(self, body: str) -> str | None:
        begins = not self._in_key
        first = body.index("-----BEGIN") if begins else 0
        last = body.rfind("-----END")
        self._in_key = last < 0 or last < body.rfind("-----BEGIN")
        return body[:first] + self._by if begins else None

    def _indented(self, body: str) -> str | None:
        """Give a line of an indented block without what stands in it; None when the block is over."""
        bare = body.lstrip(" \t")
        if not bare:
            return body
        indent = len(body) - len(bare)
        deeper = self._indent is not None and indent > self._indent
        if self._quoted and (deeper or self._left > 0):
            self._left -= 1
            if self._quoted in bare:
                self._quoted, self._indent = "", None
            return body[:indent] + self._by
        if not deeper and not (indent == self._indent and bare.startswith("- ")):
            self._indent = None
            return body if bare[0] in "]})" else None
        if set(bare) <= set("[]{}(),"):
            return body
        self._find_columns(body)  # this may be no part of the block: the heading of a table is indented as well
        return body[:indent] + self._by

    def _opened(self, body: str) -> str:
        """Look whether a line opens a block or a table, and give it back."""
        head = _HEAD.match(body)
        if head and self._is_secret_name(head["name"].strip()):
            self._indent = len(head["indent"])
            self._quoted = next((mark for mark in ("'''", '"""') if body.rstrip().endswith(mark)), "")
            self._left = _LONGEST
            return body
        quoted = _QUOTED.match(body)
        if quoted and quoted["mark"] not in quoted["rest"] and self._is_secret_name(quoted["name"]):
            self._indent, self._quoted = len(quoted["indent"]), quoted["mark"]
            self._left = _LONGEST if quoted["by"] == "=" else 0
            return body
        if _BARS.search(body):
            parts = _BARS.split(body)
            self._find_table("|", parts)
        elif "," in body or "\t" in body:
            self._find_table("\t" if "\t" in body else ",", _cells(body, "\t" if "\t" in body else ","))
        else:
            self._find_columns(body)
        return body

    def _is_heading(self, cell: str) -> bool:
        name = cell.strip().strip("'\"")
        return name.lower() not in ("token", "pin", "secret") and self._is_secret_name(
            name
        )  # columns of texts, of chips

    def _find_table(self, delimiter: str, parts: list[str]) -> None:
        if len(parts) > 1 and all(_NAME.fullmatch(part.strip()) for part in parts if part.strip()):
            secret = frozenset(i for i, part in enumerate(parts) if part.strip() and self._is_heading(part))
            if secret:
                self._table = (delimiter, len(parts), secret)

    def _row(self, body: str) -> str | None:
        assert self._table is not None
        delimiter, cells, secret = self._table
        if set(body) <= _RULE and body.strip():
            return body
        parts = _BARS.split(body) if delimiter == "|" else _cells(body, delimiter)
        if len(parts) != cells:
            self._table = None
            return None
        return _put(body, parts, secret, self._by)

    def _find_columns(self, body: str) -> None:
        """Find headings above aligned columns, as pandas and others print them."""
        words = [(found.start(), found.end()) for found in re.finditer(r"\S+", body)]
        if len(words) < 2 or not all(_NAME.fullmatch(body[a:b]) for a, b in words):
            return
        if body[0] not in " \t" and "  " not in body.strip():
            return
        self._column = tuple((a, b) for a, b in words if self._is_heading(body[a:b]))

    def _aligned(self, body: str) -> str | None:
        if set(body) <= _RULE and body.strip():
            return body
        if not body.strip():
            self._column = ()
            return None
        made, found = body, False
        for start, end in reversed(self._column):
            for region in _REGION.finditer(body):
                if region.start() < end and region.end() > start and (region.end() == end or region.start() == start):
                    cut = _column_start(body, region.start(), start, end)
                    found = True
                    made = made[:cut] + self._by + made[region.end() :]
        if not found:
            self._column = ()
            return None
        return made


def _column_start(body: str, first: int, start: int, end: int) -> int:
    """Find where a right-aligned value begins that only one blank may part from the column before."""
    value = body[first:end]
    if len(value) <= end - start or " " not in value:
        return first
    return first + value.index(" ") + 1 if first == 0 else first


def _cells(body: str, delimiter: str) -> list[str]:
    if '"' not in body:
        return body.split(delimiter)
    return re.split(rf"{delimiter}(?=(?:[^\"]*\"[^\"]*\")*[^\"]*\Z)", body)


def _put(body: str, parts: list[str], secret: frozenset[int] | set[int], by: str) -> str:
    made, at = [], 0
    for i, part in enumerate(parts):
        bare = part.strip()
        made.append(part.replace(bare, by) if i in secret and bare else part)
        at += len(part)
        made.append(body[at : at + 1])
        at += 1
    return "".join(made)
