"""What was called, with which configuration and which arguments."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from reprokit.catalog.diff import tagged, values
from reprokit.catalog.diff.result import Row, settle

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.diff.result import Aspect

REDACTED = "<redacted>"
_CUT = "..."
_MOST_ARCHIVED = 1 << 30  # bytes of arguments that are hashed to tell whether they are the same
# Types whose description says all of the value, unless it was cut short.
_TOLD = frozenset(("int", "float", "complex", "range", "decimal.Decimal", "fractions.Fraction", "uuid.UUID"))
_TOLD_MODULES = ("datetime.", "pathlib.")


def what(a: Facts, b: Facts) -> Aspect:
    """Compare which function or command ran."""
    if a.call is None or b.call is None:
        return settle("function", "cause", [], reason=why(a, b, "call"), damaged=is_damaged(a, b, "call"))
    rows = values.rows({"kind": a.run.kind, "function": _named(a)}, {"kind": b.run.kind, "function": _named(b)})
    return settle("function", "cause", rows)


def _named(facts: Facts) -> str | None:
    """Name a function; of a command the program and its script, for the rest are arguments."""
    command = facts.pre.command if facts.pre else None
    return facts.run.function or (" ".join(program(command)) if command else None)


def program(command: list[str]) -> list[str]:
    """Give the words of a command line that say what runs: up to the script, else the first."""
    for index, word in enumerate(command):
        if word.endswith(".py"):
            return command[: index + 1]
        if word == "-m" and index + 1 < len(command):
            return command[: index + 2]
    return command[:1]


def config(a: Facts, b: Facts) -> Aspect:
    """Compare configurations by key paths; the hash covers what the record doesn't show."""
    if not (_has_config(a) and _has_config(b)):
        reason = why(a, b, "call" if a.child or b.child else "context")
        return settle("config", "cause", [], reason=reason, damaged=is_damaged(a, b, "context"))
    rows = values.rows(a.config, b.config)
    hashes = [facts.run.config_hash if facts.call else None for facts in (a, b)]
    if not rows and all(hashes) and hashes[0] != hashes[1]:
        hidden = sorted({place for facts in (a, b) for place in facts.redacted})
        note = (
            f"a value that was taken out as a secret ({', '.join(hidden[:3])})" if hidden else "in what JSON can't show"
        )
        rows = [Row(name="config hash", kind="changed", a=hashes[0], b=hashes[1], note=f"they differ in {note}")]
    return settle("config", "cause", rows)


def _has_config(facts: Facts) -> bool:
    return facts.call is not None if facts.child else facts.context is not None


def arguments(a: Facts, b: Facts) -> Aspect:
    """Compare arguments by their places."""
    if a.call is None or b.call is None:
        return settle("arguments", "cause", [], reason=why(a, b, "call"), damaged=is_damaged(a, b, "call"))
    notes: list[str] = []
    commands = [(facts.pre.command if facts.pre else None) or [] for facts in (a, b)]
    if any(commands):
        first, second = (command[len(program(command)) :] for command in commands)
        return settle("arguments", "cause", _telling(values.rows(first, second, before="command"), a, b))
    exact = _same_archives(a, b)
    if a.call.args_archive and b.call.args_archive:
        same = " (the same, byte for byte)" if exact else ""
        notes.append(
            f"both runs keep their arguments as archives: {a.run.folder.name}/{a.call.args_archive} and "
            f"{b.run.folder.name}/{b.call.args_archive}{same}"
        )
    rows: list[Row] = []
    before, after = _places(a), _places(b)
    for place in dict.fromkeys([*before, *after]):
        rows += _argument(place, before, after, a, b, exact)
    return settle("arguments", "cause", _by_keyword(_telling(rows, a, b)) + _process(a, b), notes=notes)


def _telling(rows: list[Row], a: Facts, b: Facts) -> list[Row]:
    """Leave out arguments that are the same file under another tag."""
    return [row for row in rows if row.kind != "changed" or not tagged.is_same_file(row.a, row.b, a, b)]


def _process(a: Facts, b: Facts) -> list[Row]:
    """Compare what the processes of blocks were started with: what stands in a script reads ``sys.argv``."""
    if "function" in (a.run.kind, b.run.kind):
        return []
    first, second = (words(facts.pre.argv) if facts.pre and facts.pre.argv else None for facts in (a, b))
    if first is None or second is None:
        return []
    before, after = ({f"sys.argv[{at}]": word for at, word in enumerate(told, 1)} for told in (first, second))
    return [row for place in dict.fromkeys([*before, *after]) for row in _telling(_word(place, before, after), a, b)]


def _word(place: str, first: dict[str, str], second: dict[str, str]) -> list[Row]:
    if place not in second:
        return [Row(name=place, kind="removed", a=first[place])]
    if place not in first:
        return [Row(name=place, kind="added", b=second[place])]
    if first[place] == second[place] and REDACTED in first[place]:
        return [Row(name=place, kind="unknown", a=first[place], b=second[place], note="a secret was taken out")]
    return values.rows(first[place], second[place], before=place)


def words(argv: list[str]) -> list[str] | None:
    """Give the arguments of a Python process, behind interpreter, its options and the script; None in a notebook's."""
    at = 1
    while at < len(argv) and argv[at].startswith("-") and argv[at] != "-":
        option = argv[at]
        at += 1
        if option.startswith(("-c", "-m")):
            at += option in ("-c", "-m")
            return None if "ipykernel" in " ".join(argv[:at]) else argv[at:]
        at += option in ("-W", "-X", "--check-hash-based-pycs")
    return None if "ipykernel" in "".join(argv[at : at + 1]) else argv[at + 1 :]


def _places(facts: Facts) -> dict[str, Any]:
    call = facts.call
    assert call is not None
    found = {f"args[{index}]": value for index, value in enumerate(call.args)}
    return {**found, **{f"kwargs[{name!a}]": value for name, value in call.kwargs.items()}}


def _argument(place: str, first: dict[str, Any], second: dict[str, Any], a: Facts, b: Facts, exact: bool) -> list[Row]:
    if place not in second:
        return [Row(name=place, kind="removed", a=first[place])]
    if place not in first:
        return [Row(name=place, kind="added", b=second[place])]
    rows = values.rows(first[place], second[place], before=place)
    if rows or exact:
        return rows
    hidden = any(_within(where, place) for facts in (a, b) for where in (facts.call.redacted if facts.call else ()))
    if hidden:
        return [Row(name=place, kind="unknown", a=first[place], b=second[place], note="a secret was taken out")]
    inexact = any(place in facts.call.inexact for facts in (a, b) if facts.call)
    if inexact and not (tells_all(first[place]) and tells_all(second[place])):
        note = "the record holds a description only, and that is the same (include_args=True keeps the value)"
        return [Row(name=place, kind="unknown", a=first[place], b=second[place], note=note)]
    return []


def _within(where: str, place: str) -> bool:
    return where == place or where.startswith((f"{place}[", f"{place}."))


def tells_all(told: Any) -> bool:
    """Tell whether a description determines the value: of an array's it does not, of a path's it does."""
    if told is None or isinstance(told, (bool, int, float)):
        return True
    if isinstance(told, str):
        return told != REDACTED
    if isinstance(told, list):
        return all(map(tells_all, told))
    kind = told.get("$type")
    if not isinstance(kind, str):
        return False  # a mapping with keys that are no text looks like one whose keys are
    if kind in {"tuple", "set", "frozenset"}:
        items = told.get("items")
        return isinstance(items, list) and len(items) == told.get("len") and all(map(tells_all, items))
    if "digest" in told:
        return True
    text = told.get("text")
    whole = isinstance(text, str) and not text.endswith(_CUT)
    return whole and (kind in _TOLD or kind.startswith(_TOLD_MODULES))


def _by_keyword(rows: list[Row]) -> list[Row]:
    """Say where an argument went by position in one run and by keyword in the other."""
    from msgspec.structs import replace

    left = [row for row in rows if row.kind in ("added", "removed")]
    if {row.kind for row in left} != {"added", "removed"}:
        return rows
    made = []
    for row in rows:
        if row in left:
            place = row.name.startswith("args[")
            own = row.a if row.kind == "removed" else row.b
            twins = [
                other.name
                for other in left
                if other.kind != row.kind
                and other.name.startswith("args[") != place
                and values.equal(own, other.a if other.kind == "removed" else other.b)
            ]
            row = replace(row, note=f"the same value as {twins[0]}") if twins else row  # noqa: PLW2901
        made.append(row)
    return made


def _same_archives(a: Facts, b: Facts) -> bool:
    """Tell whether both runs keep their arguments as archives of the same bytes; nothing of them is executed."""
    names = [facts.call.args_archive if facts.call else None for facts in (a, b)]
    if not names[0] or not names[1]:
        return False
    try:
        found = [_digest(facts.run.folder, name) for facts, name in zip((a, b), names, strict=True) if name]
    except OSError:
        return False
    return found[0] is not None and found[0] == found[1]


def _digest(folder: Path, name: str) -> str | None:
    top = os.path.join(folder, name)
    if os.path.isabs(name) or ".." in name.replace("\\", "/").split("/") or not os.path.isdir(top):
        return None
    told, size = hashlib.sha256(), 0
    for here, folders, files in os.walk(top):
        folders.sort()
        for one in sorted(files):
            path = os.path.join(here, one)
            if os.path.islink(path):
                return None
            size += os.path.getsize(path)
            if size > _MOST_ARCHIVED:
                return None
            with open(path, "rb") as stream:
                content = hashlib.file_digest(stream, "sha256").digest()
            told.update(os.fsencode(os.path.relpath(path, top)) + b"\0" + content)
    return told.hexdigest()


def is_damaged(a: Facts, b: Facts, document: str) -> bool:
    """Tell whether a document of one of two runs is there and cannot be read."""
    return document in a.damaged | b.damaged


def why(a: Facts, b: Facts, document: str) -> str:
    """Say which of two runs lacks a document, and why."""
    told = [f"{name}: {facts.missing[document]}" for name, facts in (("A", a), ("B", b)) if document in facts.missing]
    return "; ".join(told) or "it is not in the records"
