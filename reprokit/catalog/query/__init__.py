"""Questions to the index: a small language of conditions, and the list of runs that they hold for."""

from __future__ import annotations

from reprokit.catalog.query.ask import runs
from reprokit.catalog.query.run_list import RunList

__all__ = ["RunList", "runs"]
