"""A run's result: what it depends on, whose it is, and how often it was used again; of root runs and of child runs."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from reprokit.catalog.reused import Uses
    from reprokit.model.records import PostRunInfo, ReuseInfo, StepRecord


class Result:
    """What is known of a run's result being used again, whichever kind of run it is."""

    @property
    def run_id(self) -> str:
        """Hexadecimal digits; people type as many as tell runs apart."""
        raise NotImplementedError

    def _place(self) -> Path:
        """Give the root run's folder."""
        raise NotImplementedError

    @property
    def _end(self) -> PostRunInfo | StepRecord | None:
        raise NotImplementedError

    @property
    def reuse(self) -> ReuseInfo | None:
        """What its result depends on, and whether it may be used again; None when nobody asked for that."""
        return self._end.reuse if self._end else None

    @property
    def reused_from(self) -> str | None:
        """Id of the run whose result was given instead of calling the function; None when it was called."""
        return self._end.reused_from if self._end else None

    @property
    def reused(self) -> int:
        """How often its result was used again, as the vault's index tells."""
        return self.uses.times

    @property
    def saved(self) -> float:
        """Seconds that this saved."""
        return self.uses.saved

    @property
    def reused_at(self) -> datetime | None:
        """When its result was used again last, in UTC; None when it never was."""
        return self.uses.last

    @cached_property
    def uses(self) -> Uses:
        """How often its result was used again, when last, and the seconds that this saved, as of when it was first asked for."""
        from reprokit.catalog import reused

        return reused.uses(self._place().parent.parent, self.run_id)

    @property
    def returned(self) -> Path | None:
        """Where its return value is kept as an archive, for `reprokit.archive.load`; None when it is not."""
        from reprokit.catalog import reused

        end = self._end
        return reused.returned(self._place(), end) if end else None
