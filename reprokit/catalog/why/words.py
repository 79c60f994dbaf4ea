"""What differs, in words: each a sentence for a person who knows the project and not our records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reprokit.catalog.diff import values
from reprokit.catalog.diff.parts import FILE, NUMBER
from reprokit.catalog.diff.words import value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

_MOST = 5  # keys of a config that are told one by one
_IMPORT = "<import>"


def part(label: str, kind: str, change: Literal["changed", "added", "removed"], path: str | None, *, own: bool) -> str:
    """Say what became of a part of the code.

    Parameters
    ----------
    label
        As closures have it: ``"pkg.mod:name"``.
    kind
        ``function``, ``constant``, ``class`` ... as closures have it.
    path
        Its file, relative to the project; None when that is not known.
    own
        Whether it is the function that was asked about.
    """
    ending = {"changed": "changed", "added": "is now used", "removed": "is no longer used"}[change]
    stray = ""
    if kind == "bytecode":
        where = f"in {path} now" if path else "in a file"
        stray = f"; what runs is not the source that lies {where}: it was edited after it was imported, or made while the program ran"
    return f"{_named(label, kind, path, own=own)} {ending}{stray}"


def _named(label: str, kind: str, path: str | None, *, own: bool) -> str:
    if own:
        return "the function itself"
    if label.startswith(FILE):
        return label
    module, _, name = NUMBER.sub("", label).partition(":")
    where = path or module
    if kind == "import" or name == _IMPORT:
        return f"what importing {where} runs"
    return f"{'helper' if kind in ('function', 'bytecode') else kind} `{name}` in {where}"


def config(before: Any, after: Any) -> list[str]:
    """Say which keys of a configuration differ: ``config.lr 0.1 -> 0.2``."""
    told = list(_rows(before, after))
    return told if len(told) <= _MOST else [*told[:_MOST], f"config: {len(told) - _MOST} more keys differ"]


def _rows(before: Any, after: Any) -> Iterator[str]:
    for row in values.rows(before, after, before="config"):
        if row.kind == "added":
            yield f"{row.name} is new: {value(row.b)}"
        elif row.kind == "removed":
            yield f"{row.name} is gone; it was {value(row.a)}"
        else:
            yield arrow(row.name, row.a, row.b)


def arrow(name: str, before: Any, after: Any) -> str:
    """Say ``name before -> after``; only that it changed where the values are too long to be told apart."""
    first, second = value(before), value(after)
    return f"{name} {first} -> {second}" if first != second else f"{name} changed"


def versions(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Say which packages differ: ``numpy 2.3.1 -> 2.4.0``."""
    told = []
    for name in sorted(before.keys() | after.keys()):
        first, second = before.get(name), after.get(name)
        if first is None:
            told.append(f"{name} {second} is now used")
        elif second is None:
            told.append(f"{name} {first} is no longer used")
        elif first != second:
            told.append(f"{name} {first} -> {second}")
    return told


def python(before: str | None, after: str | None) -> list[str]:
    """Say how the interpreters differ, as `ReuseInfo.python` has them: ``Python 3.11 -> 3.12``."""
    if before == after:
        return []
    if before is None or after is None:
        return [
            f"the version of Python {'counts now' if before is None else 'counts no longer'} ([reuse] python in the settings)"
        ]
    first, second = (told.partition("-") for told in (before, after))
    if first[0] == second[0]:
        return [f"Python {first[2]} -> {second[2]}"]
    return [f"Python {first[0]} {first[2]} -> {second[0]} {second[2]}"]
