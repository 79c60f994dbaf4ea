"""What a reproduction is going to do, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from reprokit.reproduce.verdict import Verdict

State = Literal["good", "other", "missing"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is restored, and how well that can be done.

    Attributes
    ----------
    label : str
        ``code``, ``environment``, ``input``, ``argument``, ``random state``, ``variable``.
    what : str
        The thing itself.
    said : str
        What is done about it, or why it cannot be.
    state : str
        ``good``; ``other``: there, but not as recorded; ``missing``.
    remedy : str
        How to get it.
    """

    label: str
    what: str
    said: str
    state: State = "good"
    remedy: str = ""


class Reproduction(msgspec.Struct, frozen=True, kw_only=True):
    """A run, what was done to repeat it, and how each output came out.

    Attributes
    ----------
    run_id, new_run_id : str
        The recorded run, and the one that repeated it; None when it left no record.
    what : str
        What ran.
    lines : list of Line
        The plan.
    verdicts : list of Verdict
        One for each output.
    files : dict
        Name of an output -> the file of then and of now, as far as they are there.
    notes : list of str
        What else there is to know.
    took, recorded_took : float or None
        Seconds.
    printed : list of str
        The last lines that it printed, when it ended before the run began.
    """

    run_id: str
    what: str
    new_run_id: str | None = None
    lines: list[Line] = []
    verdicts: list[Verdict] = []
    files: dict[str, tuple[Path | None, Path | None]] = {}
    notes: list[str] = []
    took: float | None = None
    recorded_took: float | None = None
    printed: list[str] = []

    @property
    def reproduced(self) -> bool:
        """Whether all came out identical or within tolerance."""
        return bool(self.verdicts) and all(verdict.good for verdict in self.verdicts)

    @property
    def verdict(self) -> str:
        return "REPRODUCED" if self.reproduced else "NOT REPRODUCED"

    def summary(self) -> dict[str, Any]:
        """The facts for programs, as JSON has them."""
        return {
            "schema": "reprokit/reproduction/1",
            "run_id": self.run_id,
            "new_run_id": self.new_run_id,
            "what": self.what,
            "verdict": self.verdict,
            "reproduced": self.reproduced,
            "plan": self.lines,
            "outputs": self.verdicts,
            "notes": self.notes,
            "took": self.took,
            "recorded_took": self.recorded_took,
            "printed": self.printed,
        }

    def _repr_html_(self) -> str:
        from reprokit.reproduce import report

        return report.html(self)
