"""A function by what it was compiled to, where its source is not at hand."""

from __future__ import annotations

import hashlib
import marshal
import operator
import sys
from types import CodeType
from typing import Any

from reprokit.code.reach.scopes import Dynamic, Use, is_dynamic

_FORMAT = 2  # of marshal: without references between parts, which depend on who else holds these
_FIELDS = operator.attrgetter(
    "co_code", "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_flags", "co_argcount", "co_kwonlyargcount",
    "co_posonlyargcount", "co_exceptiontable",
)  # fmt: skip
_PLAIN = frozenset({int, float, str, bytes, bool, complex, type(None), type(...)})


def digest_of(code: CodeType) -> str:
    """Digest what a code object does, wherever in a file it stands; for one build of Python."""
    try:
        return hashlib.sha256(marshal.dumps(_doing(code), _FORMAT)).hexdigest()
    except ValueError:  # a constant that has no such form, which only code that was made by hand holds
        return ""


def _doing(code: CodeType) -> tuple[Any, ...]:
    consts: Any = code.co_consts
    if not _PLAIN.issuperset(map(type, consts)):
        consts = tuple(map(_item, consts))
    return *_FIELDS(code), consts


def _item(value: Any) -> Any:
    """Write a constant that is no plain value as one; no other constant is written as a list."""
    kind = type(value)
    if kind is CodeType:
        return ["code", *_doing(value)]
    if kind is tuple:
        return tuple(map(_item, value))
    if kind is slice:  # CPython 3.14
        return ["slice", *map(_item, (value.start, value.stop, value.step))]
    return value  # marshal itself puts the items of a set in order (CPython 3.11)


def of_code(code: CodeType) -> tuple[str, list[Use], list[Dynamic]]:
    """Digest what a function was compiled to, and list the names that it looks up; true for one version of Python."""
    import dis

    state = hashlib.sha256(repr(sys.version_info[:2]).encode())
    uses: dict[tuple[str, ...], Use] = {}
    dynamic: list[Dynamic] = []
    stack = [code]
    while stack:
        one = stack.pop()
        said = (one.co_code, one.co_names, one.co_varnames, one.co_freevars, one.co_cellvars, one.co_exceptiontable)
        counts = (one.co_argcount, one.co_posonlyargcount, one.co_kwonlyargcount, one.co_flags)
        state.update(ascii((said, counts, [_const(const) for const in one.co_consts])).encode())
        stack += [const for const in one.co_consts if isinstance(const, CodeType)]
        chain: list[str] = []
        for step in dis.get_instructions(one):
            if step.opname.startswith(("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME", "LOAD_CLASSDEREF", "LOAD_DEREF")):
                _note(chain, uses, dynamic, one)
                chain = [str(step.argval)]
                if step.opname == "IMPORT_NAME":
                    dynamic.append(Dynamic(("import",), one.co_firstlineno, None, str(step.argval)))
                    chain = []
            elif step.opname in {"LOAD_ATTR", "LOAD_METHOD"} and chain:
                chain.append(str(step.argval))
            elif step.opname not in {"CACHE", "PUSH_NULL"}:
                _note(chain, uses, dynamic, one)
                chain = []
        _note(chain, uses, dynamic, one)
    return state.hexdigest(), list(uses.values()), dynamic


def _note(chain: list[str], uses: dict[tuple[str, ...], Use], dynamic: list[Dynamic], code: CodeType) -> None:
    if chain:
        uses.setdefault(tuple(chain), Use(tuple(chain), code.co_firstlineno, None, False))
        if is_dynamic(tuple(chain)):
            dynamic.append(Dynamic(tuple(chain), code.co_firstlineno))


def _const(value: Any) -> Any:
    if isinstance(value, CodeType):
        return value.co_qualname
    if isinstance(value, frozenset):
        return ("frozenset", sorted(map(ascii, value)))
    if isinstance(value, tuple):
        return tuple(_const(item) for item in value)
    return ascii(value)
