"""Times and durations as people type them: ``2h``, ``yesterday``, ``2026-11-01``, ``2026-11-01 12:00``."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

import msgspec

UNITS = {"ms": 0.001, "s": 1, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}  # seconds
NAMED = frozenset({"now", "today", "yesterday"})
PATTERN = (
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T\ ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?(?:Z|[+-][0-9]{2}:[0-9]{2})?)?"
)

_MOMENT = re.compile(PATTERN)
_SPAN = re.compile(rf"([0-9]+(?:\.[0-9]+)?)\s*({'|'.join(UNITS)})\Z")
_DAY = timedelta(days=1)


class Span(msgspec.Struct, frozen=True):
    """A duration; as a time, that long ago."""

    seconds: float


class Moment(msgspec.Struct, frozen=True):
    """A time as it was written: a day stands for all of it, a minute for all of it."""

    text: str


def read(text: str) -> Moment | Span:
    """Read a time.

    Raises
    ------
    ValueError
        With a sentence for people.
    """
    told = text.strip()
    span = _SPAN.match(told)
    if span:
        found: Moment | Span = Span(float(span[1]) * UNITS[span[2]])
    elif told.lower() in NAMED:
        found = Moment(told.lower())
    elif _MOMENT.fullmatch(told):
        found = Moment(told)
    else:
        raise ValueError(
            f"{text!r} is no time; write 2026-11-01, '2026-11-01 12:00', yesterday, or 2h for two hours ago"
        )
    bounds(found)
    return found


def bounds(moment: Moment | Span, now: float | None = None) -> tuple[float, float]:
    """Give where a time begins and where it ends, in seconds since the epoch; alike for a point in time.

    Raises
    ------
    ValueError
        For a day that no calendar has.
    """
    now = time.time() if now is None else now
    if isinstance(moment, Span):
        return now - moment.seconds, now - moment.seconds
    text = moment.text
    if text == "now":
        return now, now
    try:
        if text in NAMED:
            day = datetime.fromtimestamp(now).replace(hour=0, minute=0, second=0, microsecond=0)
            begin = day - _DAY if text == "yesterday" else day
            return begin.timestamp(), (begin + _DAY).timestamp()
        begin = datetime.fromisoformat(text)
        return begin.timestamp(), (begin + _length(text)).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{text!r} is no time that there was ({error})") from error


def _length(text: str) -> timedelta:
    if len(text) == len("2026-11-01"):
        return _DAY
    clock = re.split(r"Z|[+-]", text[11:])[0]
    if clock.count(":") == 1:
        return timedelta(minutes=1)
    return timedelta(microseconds=1) if "." in clock else timedelta(seconds=1)
