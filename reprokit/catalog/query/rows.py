"""What the index tells of a run without its documents being read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

SELECTED = (
    'r.id, r.run_id, r.parent_id, r.folder, r.kind, r.function, r.what, r.status, r.started, r.duration, r."commit", '
    "r.config_hash, r.host, r.user, r.python, r.children, r.reproduction_of, r.repeats"
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

    @property
    def started(self) -> datetime:
        """When it began, in UTC; the earliest time there is when the record holds no time."""
        try:
            return datetime.fromtimestamp(self.timestamp, UTC)
        except (ValueError, OverflowError, OSError):
            return datetime.min.replace(tzinfo=UTC)

    @property
    def dirty(self) -> bool | None:
        """Whether there were uncommitted changes; None when no commit is known."""
        return None if self.commit is None else "-dirty" in self.commit
