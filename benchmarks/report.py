"""Rows of the comparison, as a table for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Row:
    """reprokit beside one other in one respect."""

    what: str
    own: float  # seconds; bytes for memory
    other: str
    others: float
    goal: float | None = None  # the ratio own / other may be at most this; None: for information
    least: float | None = None  # ... and at least this
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """What reprokit takes, over what the other takes."""
        return self.own / self.others if self.others > 0 else float("inf")

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without one."""
        if self.goal is None:
            return None
        return self.ratio <= self.goal and (self.least is None or self.ratio >= self.least)


def amount(value: float, unit: str) -> str:
    """Write seconds or bytes in the unit that reads best."""
    if unit == "B":
        return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value:.0f} B"
    if abs(value) >= 1:
        return f"{value:.2f} s"
    return f"{value * 1e3:.2f} ms" if abs(value) >= 1e-3 else f"{value * 1e6:.1f} us"


def cells(row: Row) -> tuple[str, ...]:
    """Give the table's cells of a row."""
    goal = "" if row.goal is None else f"<= {row.goal:g}" if row.least is None else f"{row.least:g} to {row.goal:g}"
    met = {True: "yes", False: "no", None: ""}[row.met]
    return (row.what, amount(row.own, row.unit), row.other, amount(row.others, row.unit), f"{row.ratio:.2f}", goal, met)


def table(rows: Sequence[Row]) -> str:
    """Write the rows as a reStructuredText table, which plain text readers see as one too."""
    lines = [("what", "reprokit", "beside", "takes", "ratio", "goal", "met"), *(cells(row) for row in rows)]
    lines = [tuple(cell or r"\ " for cell in line[:1]) + tuple(cell or "-" for cell in line[1:]) for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(7)]
    rule = "  ".join("=" * width for width in widths)
    written = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    ]
    return "\n".join([rule, written[0], rule, *written[1:], rule])


def document(rows: Sequence[Row], machine: dict[str, Any]) -> dict[str, Any]:
    """Give what ``--json`` writes."""
    return {"machine": machine, "rows": [{**asdict(row), "ratio": row.ratio, "met": row.met} for row in rows]}
