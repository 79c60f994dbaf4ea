"""Says how two files or values differ, by what they hold; nothing that they hold is ever executed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.lazy import attach

if TYPE_CHECKING:
    from reprokit.reproduce.compare.registry import files as files
    from reprokit.reproduce.compare.registry import register as register
    from reprokit.reproduce.compare.rules import tolerance_for as tolerance_for
    from reprokit.reproduce.compare.value import values as values
    from reprokit.settings.values import Tolerance as Tolerance

_HOMES = {
    "Tolerance": "reprokit.settings.values",
    "files": "reprokit.reproduce.compare.registry",
    "register": "reprokit.reproduce.compare.registry",
    "tolerance_for": "reprokit.reproduce.compare.rules",
    "values": "reprokit.reproduce.compare.value",
}

__all__ = ["Tolerance", "files", "register", "tolerance_for", "values"]

__getattr__, __dir__ = attach(__name__, _HOMES)
