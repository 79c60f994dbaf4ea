"""The index: what run folders say, in a database that answers at once.  Derived from them, and may be deleted."""

from __future__ import annotations

from reprokit.catalog.index.index import Index, ask

__all__ = ["Index", "ask"]
