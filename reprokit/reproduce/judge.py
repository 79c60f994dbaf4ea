"""What came of a repetition: the run that it became, compared with the recorded one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from reprokit.errors import VaultError
from reprokit.reproduce import outputs
from reprokit.reproduce.result import Reproduction
from reprokit.reproduce.verdict import Verdict
from reprokit.vault import marks

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child, Run
    from reprokit.reproduce.plan import Plan
    from reprokit.settings import Settings

_TAIL = 15  # lines of what it printed, told when it failed


class Ended(msgspec.Struct, frozen=True):
    """How the process ended."""

    began: float  # seconds since the epoch
    code: int
    printed: str


def judge(
    index: Index, plan: Plan, fresh: Path, ended: Ended, settings: Settings, rtol: float | None, atol: float | None
) -> Reproduction:
    """Compare all outputs, and keep the verdict with the run that repeated the other.

    Parameters
    ----------
    fresh
        The folder that it ran in.
    rtol, atol
        Tolerances that win over the settings.
    """
    new = _new_run(index, plan.run.run_id, ended.began)
    told = Reproduction(
        run_id=plan.run.run_id, what=plan.run.what, lines=plan.lines, notes=plan.notes, recorded_took=plan.run.duration
    )
    if new is None:
        tail = ended.printed.splitlines()[-_TAIL:]
        last = f": {tail[-1].strip()}" if tail else ""
        said = f"it ended with {ended.code} before the run began{last}"
        verdict = Verdict(name="run", outcome="missing", said=said, kind="value")
        return msgspec.structs.replace(told, verdicts=[verdict], printed=tail)
    comparison = outputs.Comparison(index, plan.project, fresh, settings, rtol, atol)
    comparison.runs(plan.run, new)
    verdicts = comparison.verdicts or [
        Verdict(
            name="run",
            outcome="identical",
            said="it ended as recorded, and neither left anything to compare",
            kind="value",
        )
    ]
    notes = [*plan.notes, *comparison.notes]
    wrote = outputs.outside(new, fresh)
    if wrote:
        notes = [*notes, f"it wrote outside its folder: {', '.join(wrote[:5])}{' ...' if len(wrote) > 5 else ''}"]
    found = msgspec.structs.replace(
        told, new_run_id=new.run_id, verdicts=verdicts, files=comparison.files, notes=notes, took=new.duration
    )
    try:
        marks.verdict(new, "reproduced" if found.reproduced else "not reproduced")
    except VaultError as error:
        found = msgspec.structs.replace(found, notes=[*found.notes, f"the verdict could not be kept: {error}"])
    return found


def _new_run(index: Index, run_id: str, began: float) -> Run | Child | None:
    query = "SELECT id FROM runs WHERE reproduction_of = ? AND started >= ? ORDER BY started DESC LIMIT 1"
    for (row,) in index.db.execute(query, (run_id, began - 1)):
        return index.run(row)
    return None
