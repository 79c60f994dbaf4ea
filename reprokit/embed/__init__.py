"""Embedded tags: commit and config hash inside a file, so that it leads back to its making wherever it goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.lazy import attach

if TYPE_CHECKING:
    from reprokit.embed.formats import read as read
    from reprokit.embed.formats import write as write
    from reprokit.embed.tag import Tag as Tag

_HOMES = {"Tag": "reprokit.embed.tag", "read": "reprokit.embed.formats", "write": "reprokit.embed.formats"}

__all__ = ["Tag", "read", "write"]

__getattr__, __dir__ = attach(__name__, _HOMES)
