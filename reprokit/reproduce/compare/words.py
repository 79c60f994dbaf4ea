"""How differences are told in one line, and one verdict made of those on parts."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.reproduce.compare.rules import ignores
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.settings.values import Tolerance

SAME = "same {}, other bytes"
_LONGEST = 60  # characters of a value
_LISTED = 100  # parts in the details of a verdict
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


class UnreadableError(ValueError):
    """A file that isn't what it begins as, or that isn't read for a reason; never leaves this package."""


class MissingLibraryError(Exception):
    """What reads files of a kind is not installed; never leaves this package."""


def plain(text: object) -> str:
    """Give text as one line without control characters."""
    return _ODD.sub("\N{REPLACEMENT CHARACTER}", " ".join(str(text).split()))


def short(value: Any, most: int = _LONGEST) -> str:
    """Show a value in a few characters."""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, str):
        told = json.dumps(value[: most + 1], ensure_ascii=False)
    elif value is None or isinstance(value, bool):
        told = json.dumps(value)
    elif isinstance(value, int):
        told = str(value) if value.bit_length() < 200 else f"an integer of {value.bit_length()} bits"
    elif isinstance(value, dict | list | tuple | set | frozenset):
        noun = "entries" if isinstance(value, dict) else "items"
        told = f"{type(value).__name__} of {len(value):,} {noun}"
    else:
        told = str(value)[: most + 1]
    told = plain(told)
    return told if len(told) <= most else f"{told[: most - 3]}..."


def change(old: Any, new: Any) -> str:
    """Show two values that differ, with as many digits as it takes to see it (at most all)."""
    first, second = short(old), short(new)
    if first == second:
        first, second = (repr(one) if isinstance(one, float) else short(one) for one in (old, new))
    if first == second and type(old) is not type(new):
        first, second = (f"{short(one)} ({type(one).__name__})" for one in (old, new))
    return f"{first} -> {second}"


def close(old: Any, new: Any) -> str:
    """Show two numbers that are near."""
    return f"{short(old)} -> {short(new)}"


def alike(old: str, new: str) -> int:
    """Give how many characters two texts begin with in common."""
    return next((n for n, (x, y) in enumerate(zip(old, new, strict=False)) if x != y), min(len(old), len(new)))


def relative(part: float) -> str:
    """Show a relative difference: ``rel 3e-16``."""
    return f"rel {part:.1g}" if math.isfinite(part) else "rel inf"


def kept(number: float) -> float | str:
    """Give a number as JSON can hold it."""
    return number if math.isfinite(number) else str(number)


def counted(count: int, noun: str) -> str:
    """Show a count: ``1 value``, ``4,096 values``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun[:-1] + 'ies' if noun.endswith('y') else noun + 's'}"


def combine(
    name: str, kind: str, parts: Iterable[Verdict], tolerance: Tolerance, *, noun: str, notes: Iterable[str] = ()
) -> Verdict:
    """Make one verdict of those on parts; `noun` is what the parts are, `notes` end the sentence."""
    total = 0
    differing: list[Verdict] = []
    near: list[Verdict] = []
    ignored: list[str] = []
    for part in parts:
        total += 1
        if part.outcome == "identical":
            continue
        if ignores(tolerance.ignore, part.name):
            ignored.append(part.name)
        else:
            (near if part.outcome == "within tolerance" else differing).append(part)
    worst = max(near, key=lambda part: _size(part.details.get("max_rel")), default=None)
    told: list[str] = []
    if differing:
        first = differing[0]
        told.append(f"{plain(first.name)}: {first.said or first.outcome}")
        if len(differing) > 1:
            told.append(f"{len(differing):,} of {counted(total, noun)} differ")
    elif worst is not None:
        told.append(f"{plain(worst.name)}: {worst.said}")
    if ignored:
        told.append(f"not compared: {', '.join(map(plain, ignored[:3]))}{' ...' if len(ignored) > 3 else ''}")
    if not told:
        told.append(SAME.format(_PLURALS.get(noun, noun + "s")))
    shown = [
        {"name": plain(part.name), "outcome": part.outcome, "said": part.said, **_numbers(part.details)}
        for part in (*differing, *near)
    ]
    details: dict[str, Any] = {"total": total, "count": len(differing)}
    if shown:
        details["parts"] = shown[:_LISTED]
    if ignored:
        details["ignored"] = [plain(one) for one in ignored[:_LISTED]]
    if worst is not None and not differing:
        details |= _numbers(worst.details)
    outcome: Any = "differs" if differing else "within tolerance" if near or ignored else "identical"
    return Verdict(name=name, kind=kind, outcome=outcome, said="; ".join([*told, *notes]), details=details)


_PLURALS = {"entry": "entries", "property": "properties"}


def _size(number: Any) -> float:
    return math.inf if isinstance(number, str) else float(number or 0)


def _numbers(details: dict[str, Any]) -> dict[str, Any]:
    return {name: details[name] for name in ("max_abs", "max_rel", "place") if name in details}


def renamed(verdict: Verdict, name: str, kind: str) -> Verdict:
    """Give a verdict on a part as one on the whole."""
    return msgspec.structs.replace(verdict, name=name, kind=kind)
