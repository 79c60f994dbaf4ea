"""An expression as a tree of frozen values, and its text."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from reprokit.catalog.query.moments import Moment, Span
from reprokit.catalog.query.words import column_text, quoted

Value = str | int | float | bool | None | Moment | Span


class Compare(msgspec.Struct, frozen=True):
    """``column op value``."""

    column: str
    op: str
    value: Any


class In(msgspec.Struct, frozen=True):
    """``column in (values)``."""

    column: str
    values: tuple[Any, ...]
    negated: bool = False


class Like(msgspec.Struct, frozen=True):
    """``column like pattern``: as file names match in a shell."""

    column: str
    pattern: str
    negated: bool = False


class Has(msgspec.Struct, frozen=True):
    """``has column``."""

    column: str


class Not(msgspec.Struct, frozen=True):
    part: Node


class And(msgspec.Struct, frozen=True):
    parts: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    parts: tuple[Node, ...]


Leaf = Compare | In | Like | Has
Node = Compare | In | Like | Has | Not | And | Or


def text(node: Node) -> str:
    """Write a tree as an expression that is read back as the same tree."""
    match node:
        case Compare(column, op, value):
            return f"{column_text(column)} {op} {_value(value)}"
        case In(column, values, negated):
            return f"{column_text(column)} {'not ' if negated else ''}in ({', '.join(map(_value, values))})"
        case Like(column, pattern, negated):
            return f"{column_text(column)} {'not ' if negated else ''}like {quoted(pattern)}"
        case Has(column):
            return f"has {column_text(column)}"
        case Not(part):
            return f"not {_inner(part, And, Or)}"
        case And(parts):
            return " and ".join(_inner(part, And, Or) for part in parts)
        case Or(parts):
            return " or ".join(_inner(part, Or) for part in parts)


def leaves(node: Node) -> list[Leaf]:
    """Give the conditions of a tree, from left to right."""
    if isinstance(node, Not):
        return leaves(node.part)
    if isinstance(node, And | Or):
        return [leaf for part in node.parts for leaf in leaves(part)]
    return [node]


def all_of(parts: list[Node]) -> Node | None:
    """Join conditions that must all hold; None for none."""
    return And(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


def _inner(node: Node, *wrapped: type) -> str:
    return f"({text(node)})" if isinstance(node, wrapped) else text(node)


def _value(value: Value) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Moment):
        return value.text
    if isinstance(value, Span):
        return f"{_value(value.seconds)}s"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and math.isinf(value):
        return "1e999" if value > 0 else "-1e999"
    return repr(value)
