"""Lineage: what went into a file, what made that, and what was made from it, across runs."""

from __future__ import annotations

from reprokit.catalog.lineage.graph import Lineage
from reprokit.catalog.lineage.trace import trace

__all__ = ["Lineage", "trace"]
