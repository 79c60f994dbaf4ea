"""Two runs, compared by everything that was recorded of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.catalog import reused
from reprokit.catalog.diff import call, code, facts, files, outcome, surroundings
from reprokit.catalog.diff.result import Diff
from reprokit.catalog.diff.verdict import verdict

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.catalog.diff.result import CodeShown
    from reprokit.catalog.run import Child, Run


def diff(a: Run | Child, b: Run | Child, vault: Path, *, shown: CodeShown = "short", context: int = 3) -> Diff:
    """Compare two runs.

    Parameters
    ----------
    a, b
        The runs; what is ``added`` has only the second.  One that gave another's result stands for that one.
    vault
        The vault that holds their snapshots.
    shown
        How much code is shown as a unified diff: ``"short"`` shows the first lines, ``"reached"`` all of what the function
        reaches and no other, ``"full"`` everything, ``"none"`` nothing.
    context
        Unchanged lines around each change.

    Returns
    -------
    Diff
        Results first, then what may explain them, most likely first.  What cannot be compared is there with ``same=None``
        and the reason; a damaged record stops nothing.

    Notes
    -----
    Nothing that was recorded is executed, imported or unpickled.
    """
    (a, said_a), (b, said_b) = reused.executed(a, vault), reused.executed(b, vault)
    first, second = facts.of(a, vault), facts.of(b, vault)
    of_code, patches = code.code(first, second, shown, max(context, 0))
    found = [
        files.outputs(first, second),
        outcome.recorded(first, second),
        outcome.series(first, second),
        outcome.returned(first, second),
        outcome.ending(first, second),
        call.what(first, second),
        of_code[0],
        call.config(first, second),
        call.arguments(first, second),
        files.inputs(first, second),
        *of_code[1:],
        code.stale(first, second),
        surroundings.packages(first, second),
        surroundings.python(first, second),
        surroundings.worker(first, second),
        surroundings.hardware(first, second),
        surroundings.random_state(first, second),
        surroundings.environment(first, second),
        surroundings.captures(first, second),
        surroundings.system(first, second),
        code.commit(first, second),
        outcome.duration(first, second),
        surroundings.place(first, second),
    ]
    aspects = [one for one in found if one is not None]
    counted = [one for one in aspects if one.role in ("result", "cause")]
    return Diff(
        verdict=verdict(aspects),
        same=not any(one.same is False for one in counted),
        a=first.side(),
        b=second.side(),
        aspects=aspects,
        patches=patches,
        problems=list(dict.fromkeys([*a.root.problems, *b.root.problems])),
        notes=list(dict.fromkeys(said for said in (said_a, said_b) if said)),
    )
