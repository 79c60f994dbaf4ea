"""How often results were used again: journal lines are summed up, for there may be millions, and runs counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from reprokit.catalog.run import moment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

MARK = b'"reuse"'  # every line that tells of a result used again has it
_MOST = 10.0**10  # seconds that one use may have saved: beyond that is no time


class _Line(msgspec.Struct, frozen=True):
    event: str
    run_id: str
    timestamp: str
    saved: float | None = None


class Hits(msgspec.Struct):
    """Of a run's result: how often it was used again, when last, and what that saved."""

    times: int = 0
    last: float = 0.0  # seconds since the epoch
    saved: int = 0  # microseconds


_decode = msgspec.json.Decoder(_Line).decode


def read(line: bytes, found: dict[str, Hits]) -> bool:
    """Add a journal line to what was found, when it tells of a result used again."""
    try:
        told = _decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    if told.event != "reuse":
        return False
    hits = found.setdefault(told.run_id, Hits())
    hits.times += 1
    hits.last = max(hits.last, seconds(told.timestamp))
    if told.saved is not None and 0 < told.saved < _MOST:
        hits.saved += round(told.saved * 1e6)
    return True


def seconds(timestamp: str) -> float:
    """Give a record's time as seconds since the epoch; 0 for what is none."""
    try:
        return moment(timestamp).timestamp()
    except (OverflowError, ValueError):
        return 0.0


def enter(db: sqlite3.Connection, found: dict[str, Hits]) -> None:
    """Add up what journals told, within the caller's transaction."""
    db.executemany(
        "INSERT INTO hits VALUES(?,?,?,?) ON CONFLICT(run_id) DO UPDATE SET "
        "times = times + excluded.times, last = max(last, excluded.last), saved = saved + excluded.saved",
        [(_text(run_id), hits.times, hits.last, hits.saved) for run_id, hits in found.items()],
    )


def settle(db: sqlite3.Connection, touched: Iterable[str] | None = None) -> None:
    """Bring the counts of runs up to date: of these, or of all when an index is built.

    What the journals tell counts, and each run that was recorded instead of calling the function; that saved what the
    original took.
    """
    if touched is None:
        every = "SELECT run_id FROM hits UNION SELECT reused_from FROM runs WHERE reused_from IS NOT NULL"
        touched = [run_id for (run_id,) in db.execute(every).fetchall()]
    for run_id in touched:
        told = db.execute("SELECT times, last, saved FROM hits WHERE run_id = ?", (run_id,)).fetchone() or (0, 0.0, 0)
        times, last, saved = told
        counted = "SELECT count(*), coalesce(max(started), 0.0) FROM runs WHERE reused_from = ?"
        recorded, latest = db.execute(counted, (run_id,)).fetchone()
        if times or recorded:
            db.execute(
                "UPDATE runs SET reused = ?, reused_at = ?, saved = ? + ? * coalesce(duration, 0.0) WHERE run_id = ?",
                (times + recorded, max(last, latest), saved / 1e6, recorded, run_id),
            )
        else:  # those that used it are gone
            db.execute(
                "UPDATE runs SET reused = 0, reused_at = NULL, saved = NULL WHERE run_id = ? AND reused", (run_id,)
            )


def _text(run_id: str) -> str:
    return run_id.encode("utf-8", "backslashreplace").decode()
