"""What the index tells of a run without its documents being read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

SELECTED = (
    'r.id, r.run_id, r.parent_id, r.folder, r.kind, r.function, r.what, r.status, r.started, r.duration, r."commit", '
    "r.config_hash, r.host, r.user, r.python, r.children, r.reproduction_of, r.repeats, "
    "r.reused_from, r.reused, r.reused_at, r.saved"
)


class Row(NamedTuple):
    """A run's row of the index; times in seconds."""

    row: int
    run_id: str
    parent_id: str | None
    folder: str
    kind: str
    function: str | None
    what: str
    status: str
    timestamp: float
    duration: float | None
    commit: str | None
    config_hash: str | None
    host: str | None
    user: str | None
    python: str | None
    children: int
    reproduction_of: str | None
    repeats: int  # 1 for a run that repeats another, and for the child runs of such a one
    reused_from: str | None  # id of the run whose result was given instead of calling the function
    reused: int  # how often its own result was used again
    reused_time: float | None  # when last
    saved: float | None  # what that saved

    @property
    def started(self) -> datetime:
        """When it began, in UTC; the earliest time there is when the record holds no time."""
        return _moment(self.timestamp)

    @property
    def reused_at(self) -> datetime | None:
        """When its result was used again last, in UTC; None when it never was."""
        return None if self.reused_time is None else _moment(self.reused_time)

    @property
    def dirty(self) -> bool | None:
        """Whether there were uncommitted changes; None when no commit is known."""
        return None if self.commit is None else "-dirty" in self.commit


def _moment(timestamp: float) -> datetime:
    try:
        return datetime.fromtimestamp(timestamp, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.min.replace(tzinfo=UTC)
