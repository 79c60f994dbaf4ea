"""Text: the first line that differs; with a tolerance, numbers in otherwise equal lines may differ by it."""

from __future__ import annotations

import decimal
import math
import re
from typing import TYPE_CHECKING, NamedTuple

from reprokit.reproduce.compare.rules import ignores
from reprokit.reproduce.compare.words import alike, counted, plain, relative, short
from reprokit.reproduce.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_LONGEST = 1 << 20  # bytes of a line; longer ones are compared in pieces
_NUMBER = re.compile(
    r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])|(?<![\w.])[-+]?(?:nan|inf)(?!\w)",
    re.IGNORECASE | re.ASCII,
)


class Near(NamedTuple):
    """How numbers in two texts that are otherwise alike differ."""

    far: bool  # one is not near enough
    max_abs: float
    max_rel: float


def near(old: float, new: float, tolerance: Tolerance) -> Near | None:
    """Compare two numbers; None when they are equal, NaN with NaN included."""
    if old == new or (old != old and new != new):  # noqa: PLR0124 - NaN
        return None
    apart = abs(old - new)
    if not math.isfinite(apart):
        return Near(True, 0.0 if math.isnan(apart) else apart, 0.0 if math.isnan(apart) else math.inf)
    scale = max(abs(old), abs(new))
    return Near(apart > max(tolerance.rtol * scale, tolerance.atol), apart, apart / scale)


def near_written(old: str, new: str, tolerance: Tolerance) -> Near | None:
    """Compare two numbers as they are written: those that only floating point takes for equal are not."""
    found = near(float(old), float(new), tolerance)
    if found is not None or not math.isfinite(float(old)):
        return found
    with decimal.localcontext(_EXACT):
        first, second = decimal.Decimal(old.strip()), decimal.Decimal(new.strip())
        if first == second:
            return None
        apart, scale = abs(first - second), max(abs(first), abs(second))
        far = apart > max(decimal.Decimal(tolerance.rtol) * scale, decimal.Decimal(tolerance.atol))
        return Near(far, float(apart), float(apart / scale))


_EXACT = decimal.Context(prec=60, Emin=-20_000, Emax=20_000, traps=[])


def numbers(old: str, new: str, tolerance: Tolerance) -> Near | None:
    """Compare two texts number by number; None when more than numbers differs."""
    if not (tolerance.rtol or tolerance.atol):
        return None
    first, second = _NUMBER.findall(old), _NUMBER.findall(new)
    if len(first) != len(second) or _NUMBER.sub("0", old) != _NUMBER.sub("0", new):
        return None
    largest = Near(False, 0.0, 0.0)
    for one, other in zip(first, second, strict=True):
        found = near(float(one), float(other), tolerance) if one != other else None
        if found:
            largest = Near(
                largest.far or found.far, max(largest.max_abs, found.max_abs), max(largest.max_rel, found.max_rel)
            )
    return largest


def differing(old: str, new: str, tolerance: Tolerance) -> Near:
    """Compare two texts that are not the same, whatever differs."""
    return numbers(old, new, tolerance) or Near(True, 0.0, 0.0)


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two files line by line; line ends count."""
    first_at: int | None = None
    said = ""
    count = ignored = alike = line = 0
    worst = (0.0, 0.0, 0)  # relative, absolute, line
    with open(old, "rb") as first, open(new, "rb") as second:
        for line, (a, b) in enumerate(_pairs(first.readline, second.readline), 1):
            if a == b:
                continue
            told = a.decode("utf-8", "replace"), b.decode("utf-8", "replace")
            if a and b and all(ignores(tolerance.ignore, one.rstrip("\r\n")) for one in told):
                ignored += 1
                continue
            found = numbers(*told, tolerance) if a and b else None
            if found and not found.far:
                alike += 1
                worst = max(worst, (found.max_rel, found.max_abs, line))
                continue
            count += 1
            if first_at is None:
                first_at, said = line, _said(line, a, b, *told)
            if not a or not b:  # one has ended: what follows is only counted
                break
    details: dict[str, object] = {"lines": line, "count": count}
    outcome: Outcome = "identical"
    if first_at is not None:
        outcome = "differs"
        details["place"] = first_at
        sizes = [_lines(path) for path in (old, new)]
        details["lines"] = sizes
        if sizes[0] != sizes[1]:
            said += f"; {counted(sizes[0], 'line')} -> {counted(sizes[1], 'line')}"
        elif count > 1:
            said += f"; {count:,} of {counted(line, 'line')} differ"
    elif alike or ignored:
        outcome = "within tolerance"
        told_near = (
            f"numbers in {counted(alike, 'line')}, most in line {worst[2]} ({relative(worst[0])})" if alike else ""
        )
        said = "; ".join(filter(None, [told_near, f"{counted(ignored, 'line')} not compared" if ignored else ""]))
        details |= {"max_rel": worst[0], "max_abs": worst[1]}
    return Verdict(name=name, kind="text", outcome=outcome, said=said, details=details)


def _pairs(first: Callable[[int], bytes], second: Callable[[int], bytes]) -> Iterator[tuple[bytes, bytes]]:
    while True:
        a, b = first(_LONGEST), second(_LONGEST)
        if not a and not b:
            return
        yield a, b


def _said(line: int, a: bytes, b: bytes, old: str, new: str) -> str:
    if not a or not b:
        return f"line {line}: {'only before' if a else 'only now'}: {short(plain(old or new))}"
    if a.rstrip(b"\r\n") == b.rstrip(b"\r\n"):
        ends = [{b"\r\n": "CRLF", b"\n": "LF"}.get(one[len(one.rstrip(b"\r\n")) :], "none") for one in (a, b)]
        return f"line {line}: only its end differs, {ends[0]} -> {ends[1]}"
    at = alike(old, new)
    start = max(0, at - 20) if at > 40 else 0
    return f"line {line}: {short(old.rstrip()[start:])} -> {short(new.rstrip()[start:])}"


def _lines(path: Path) -> int:
    count, last = 0, b"\n"
    with open(path, "rb") as stream:
        while block := stream.read(1 << 20):
            count += block.count(b"\n")
            last = block[-1:]
    return count + (last != b"\n")
