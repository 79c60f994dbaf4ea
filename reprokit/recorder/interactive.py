"""Functions that notebook cells define: no file has them, so their source is kept in the run's folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from reprokit.errors import UncapturableError
from reprokit.vault import atomic

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.recorder.plan import Subject

FILE = "interactive.py"


def keep_source(subject: Subject, folder: Path) -> None:
    """Write the definitions that a function of a notebook or prompt needs; other functions have files."""
    target = subject.target
    if target is None or getattr(target, "__module__", None) != "__main__" or "IPython" not in sys.modules:
        return
    from reprokit.code import interactive

    if not interactive.is_interactive(target):
        return
    try:
        source = interactive.source_of([target])
    except UncapturableError:  # it needs an object that no source describes; the closure's record says what it reaches
        return
    atomic.write(str(folder / FILE), source.encode("utf-8", "surrogatepass"))
