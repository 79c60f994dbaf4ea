"""What differs between two runs, ordered by how likely it explains a different result."""

from __future__ import annotations

from reprokit.catalog.diff.compare import diff as diff
from reprokit.catalog.diff.result import Diff as Diff

__all__ = ["Diff", "diff"]
