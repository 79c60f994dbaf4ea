"""The answer to why a result is given again or is not, as a frozen value."""

from __future__ import annotations

import html
from typing import Any

import msgspec

from reprokit.model.text import printable, seconds

SCHEMA = "reprokit/why/1"

_COLOURS = {"+": "#1a7f37", "-": "#cf222e", "@": "#57606a"}
_SHOWN = 60  # lines of the diff in the answer's text; `Why.diff` has all


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call, or a file, is answered with the result of an earlier run.  Its text is the answer for people.

    Attributes
    ----------
    hit : bool
        Whether it is.
    reasons : tuple of str
        Why it is not: sentences, of which the first names the first thing that differs.  Empty for a hit.
    diff : str
        Unified diff of what changed: code that the function reaches, and configuration.  Empty when there is none.
    run_id : str or None
        The run whose result is given, or the nearest earlier one, with which the call was compared; None without one.
    what : str
        The function, or the file.
    started : str or None
        When that run began, ISO 8601.
    seconds : float or None
        How long it took.
    """

    hit: bool
    what: str
    reasons: tuple[str, ...] = ()
    diff: str = ""
    run_id: str | None = None
    started: str | None = None
    seconds: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Give it for programs, as JSON has it."""
        return {"schema": SCHEMA, **msgspec.to_builtins(self)}

    def __repr__(self) -> str:
        lines = [self.heading(), *(f"  {reason}" for reason in self.reasons)]
        shown = self.diff.split("\n") if self.diff else []
        lines += ["", *shown[:_SHOWN]] if shown else []
        if len(shown) > _SHOWN:
            lines.append(f"... {len(shown) - _SHOWN} more lines; .diff has all")
        return "\n".join(map(_line, lines))

    def heading(self) -> str:
        """Give the first line: the answer, and by which run."""
        if self.hit:
            return f"{self.what}: would be given again, from {self._run()}"
        compared = f", compared with {self._run()}" if self.run_id else ""
        return f"{self.what}: would not be given again{compared}"

    def _run(self) -> str:
        when = f" of {self.started.replace('T', ' ')[:19]}" if self.started else ""
        took = f", which took {seconds(self.seconds)}" if self.seconds is not None and self.hit else ""
        return f"run {(self.run_id or '')[:8]}{when}{took}"

    def _repr_html_(self) -> str:
        items = "".join(f"<li>{html.escape(_line(reason))}</li>" for reason in self.reasons)
        lines = []
        for line in self.diff.split("\n") if self.diff else []:
            colour = None if line.startswith(("+++ ", "--- ")) else _COLOURS.get(line[:1])
            told = html.escape(_line(line))
            lines.append(f'<span style="color: {colour}">{told}</span>' if colour else told)
        text = "\n".join(lines)
        diff = f"<pre>{text}</pre>" if lines else ""
        return f"<p>{html.escape(_line(self.heading()))}</p>{f'<ul>{items}</ul>' if items else ''}{diff}"


def _line(text: str) -> str:
    """Give text that moves no cursor: records and files hold what they were given."""
    return printable("".join(one if one.isprintable() or one == "\t" else "\N{REPLACEMENT CHARACTER}" for one in text))
