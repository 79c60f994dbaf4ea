"""What came of comparing one output with what it was."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Outcome = Literal["identical", "within tolerance", "differs", "missing", "extra"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How one output came out.

    Attributes
    ----------
    name : str
        What was compared: a path as it was asked for, ``value rmse``, ``return value``, ``exception``.
    outcome : str
        ``identical``: the same content, as its type defines content; ``missing``: it was not made this time;
        ``extra``: it was not made before.
    said : str
        One line: ``12 of 4,096 pixels differ, by up to 3 of 255``.
    kind : str
        Which comparator looked at it.
    details : dict
        Numbers that JSON can hold: ``max_abs max_rel count total place parts``.
    """

    name: str
    outcome: Outcome
    said: str = ""
    kind: str = "bytes"
    details: dict[str, Any] = {}

    @property
    def good(self) -> bool:
        """Whether it is the same as before, or near enough."""
        return self.outcome in ("identical", "within tolerance")
