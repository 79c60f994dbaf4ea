"""Runs a recorded run again, anywhere, and says whether it came out the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.lazy import attach

if TYPE_CHECKING:
    from reprokit.reproduce.repeat import run as run

__all__ = ["run"]

__getattr__, __dir__ = attach(__name__, {"run": "reprokit.reproduce.repeat"})
