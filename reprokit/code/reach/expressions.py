"""The values of literals, arithmetic on them, and constants made of them, without running anything."""

from __future__ import annotations

import _ast as ast  # the types alone: the rest of `ast` takes milliseconds to import
import hashlib
import operator
import re
import threading
from typing import TYPE_CHECKING, Any

from reprokit.code.reach.values import ATOMS, MISSING, Describer

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.code.reach.facts import Expression

    OfName = Callable[[str, int], Any]  # the value of a name, at a depth

_DEEPEST = 20
_LARGEST = 10_000  # bits of a number, or items of a text, that a source may make by arithmetic
_COOKIE = re.compile(
    rb"\A(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)"
)  # PEP 263
_BOM = b"\xef\xbb\xbf"

_quiet = threading.Lock()  # warnings.catch_warnings is not thread-safe

_BINARY: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
    ast.BitXor: operator.xor,
}
_UNARY: dict[type, Any] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
_SMALL = frozenset({int, bool})
_NUMBERS = (int, float, complex)
_SEQUENCES: dict[type, Any] = {ast.Tuple: tuple, ast.List: list, ast.Set: set}


def evaluate(expression: Any, of_name: OfName, depth: int = 0) -> Any:
    """Give the value of a syntax tree; `MISSING` for all that would have to be run."""
    kind = type(expression)
    if kind is ast.Constant:
        return expression.value
    if depth > _DEEPEST:
        return MISSING
    if kind is ast.Name:
        return of_name(expression.id, depth)
    if kind in _SEQUENCES:
        items = [evaluate(item, of_name, depth + 1) for item in expression.elts]
        return MISSING if any(item is MISSING for item in items) else _tried(_SEQUENCES[kind], items)
    if kind is ast.Dict:
        keys = [MISSING if key is None else evaluate(key, of_name, depth + 1) for key in expression.keys]
        items = [evaluate(item, of_name, depth + 1) for item in expression.values]
        if any(item is MISSING for item in (*keys, *items)):
            return MISSING
        return _tried(lambda: dict(zip(keys, items, strict=True)))
    if kind is ast.UnaryOp:
        value = evaluate(expression.operand, of_name, depth + 1)
        return _tried(_UNARY[type(expression.op)], value) if isinstance(value, _NUMBERS) else MISSING
    if kind is ast.BinOp and type(expression.op) in _BINARY:
        left = evaluate(expression.left, of_name, depth + 1)
        right = evaluate(expression.right, of_name, depth + 1)
        small = all(
            isinstance(v, _NUMBERS) and (not isinstance(v, int) or v.bit_length() < _LARGEST) for v in (left, right)
        )
        text = isinstance(left, str) and isinstance(right, str) and isinstance(expression.op, ast.Add)
        return _tried(_BINARY[type(expression.op)], left, right) if small or text else MISSING
    return MISSING


def _tried(function: Any, *args: Any) -> Any:
    try:
        return function(*args)
    except (TypeError, ValueError, ArithmeticError):
        return MISSING


_atoms = Describer(lambda _: None, ())


def digest_of(value: Any) -> str | None:
    """Digest of a plain value's description, or for a small number that itself; None for a value that is not plain."""
    kind = type(value)
    if kind in _SMALL and -_LARGEST < value < _LARGEST:
        return f"{kind.__name__} {value}"
    plain = _atoms if kind in ATOMS else Describer(lambda _: None, ())
    text = plain.text(value)
    return None if plain.opaque else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def of_place(expression: Expression, utf8: bytes) -> Any:
    """Give the syntax tree of an expression of a source; None when there is none at that place."""
    source = b"(" + utf8[expression.start : expression.end] + b"\n)"
    found = compiled(source, "<expression>", "eval", ast.PyCF_ONLY_AST)
    return found.body if found is not None else None


def compiled(source: bytes | str, filename: str, mode: str, flags: int = 0) -> Any:
    """Compile without warnings; None where the source is none of this Python."""
    import warnings

    try:
        with _quiet, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return compile(source, filename, mode, flags, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def as_utf8(source: bytes | str) -> bytes:
    """Give a source as the bytes that columns of syntax trees count."""
    if isinstance(source, str):
        return source.encode("utf-8", "surrogatepass")
    if source.startswith(_BOM):
        return source[len(_BOM) :]
    named = _COOKIE.match(source)
    if named is None or named[1].lower().replace(b"_", b"-") in {b"utf-8", b"utf8"}:
        return source
    try:
        return source.decode(named[1].decode("ascii")).encode()
    except (LookupError, ValueError):
        return source
