"""A function by what it was compiled to, where its source is not at hand."""

from __future__ import annotations

import hashlib
import sys
from types import CodeType
from typing import Any

from reprokit.code.reach.scopes import Dynamic, Use, is_dynamic


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
