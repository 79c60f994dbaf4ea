"""What would go, as a frozen value; nothing is changed here."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog.gc import code, rest, results
from reprokit.catalog.gc.live import Live
from reprokit.catalog.gc.policy import GRACE, LostRun, Plan, Policy, RunItem
from reprokit.catalog.gc.reading import Reading, stamp
from reprokit.catalog.ledger import Ledger
from reprokit.catalog.verify.finder import Finder
from reprokit.catalog.verify.hashing import Hashing
from reprokit.errors import GitError, UnreadableVaultError
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

_LOST = """
SELECT run_id, max(folder) FROM journal WHERE event IN ('open', 'close') AND run_id NOT IN (SELECT run_id FROM runs)
AND run_id NOT IN (SELECT run_id FROM journal WHERE event = 'remove') GROUP BY run_id ORDER BY 2
"""


def plan(
    vault: str | PathLike[str],
    *,
    keep_last: int | None = None,
    keep_days: float | None = None,
    keep_tagged: bool = True,
    only_tagged: bool = False,
    root: str | PathLike[str] | None = None,
    template: str | None = None,
    grace: float = GRACE,
    results_unused: float | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Plan:
    """Find out what could be removed.

    Kept are runs that are open, runs whose files are in the project (by side-car or content, moved ones too), the runs
    that made what those used, tagged ones, and what `keep_last` and `keep_days` say.  Runs that repeat another are not
    counted: they stay as long as that one does.  Without any of `keep_last`, `keep_days` and `only_tagged` all runs are
    kept, and only what no run refers to goes: source trees, blobs, what dead processes left, and caches that were not
    used for a month.

    Parameters
    ----------
    keep_last
        The newest so many of each function, block or command.
    keep_days
        Those that began in the last so many days.
    keep_tagged
        Those that have a tag, themselves or a child run of theirs.
    only_tagged
        Runs that are kept for no other reason may go.
    root
        The project's folder; None: the vault's parent.
    template
        Of artifact names, when the project has its own.
    grace
        Seconds for which a tree or blob that nobody refers to is left alone: a run may be about to.
    results_unused
        Results that were neither made nor used for so many days are not used again: their lines in ``reuse/`` go, and
        kept return values that nothing else refers to.  The runs stay.

    Raises
    ------
    UnreadableVaultError
        When something in the vault can't be read, or isn't what was written.
    """
    place = Vault(vault)
    policy = Policy(
        keep_last=keep_last, keep_days=keep_days, keep_tagged=keep_tagged, only_tagged=only_tagged, grace=grace,
        results_unused=results_unused,
    )  # fmt: skip
    ledger = Ledger(place.path, Path(root) if root is not None else None)
    try:
        with Hashing() as hashing:
            return _plan(place, ledger, hashing, policy, template, progress)
    except OSError as error:
        if isinstance(error, UnreadableVaultError):
            raise
        told = error.args[1] if isinstance(error, GitError) else f"cannot be read: {error.strerror or error}"
        raise UnreadableVaultError(str(place.path), (f"{error.filename or place.path}: {told}",)) from error
    finally:
        ledger.close()


def _plan(
    vault: Vault,
    ledger: Ledger,
    hashing: Hashing,
    policy: Policy,
    template: str | None,
    progress: Callable[[str, int, int], None] | None,
) -> Plan:
    now = time.time()
    results.read(vault, ledger)  # before the runs
    reading = Reading(vault, ledger, progress)
    reading.read()
    finder = Finder(ledger.root, vault.path, template)
    why = Live(reading.rows, ledger, finder, hashing, policy, now).find()
    ledger.db.executemany("INSERT OR IGNORE INTO kept VALUES(?, ?)", why.items())
    runs = []
    for row in reading.rows:
        if row.run_id not in why:
            facts, size = stamp(vault.runs / row.folder)
            runs.append(
                RunItem(
                    run_id=row.run_id,
                    folder=row.folder,
                    what=row.what,
                    started_at=row.started_at,
                    size=size,
                    stamp=facts,
                )
            )
    gone = {run.run_id for run in runs}
    trees, code_size, repack = code.plan(vault, ledger, policy.grace, now)
    lines = results.plan(vault, ledger, policy.results_unused, policy.grace, now)
    blobs = rest.blobs(vault, ledger, policy.grace, now)
    alive = {run_id for (run_id,) in ledger.db.execute("SELECT run_id FROM runs")}  # child runs as well
    files = [
        *rest.leftovers(vault, reading.opening, policy.grace, now),
        *rest.caches(vault, now),
        *rest.journals(reading.journals, alive, policy.grace, now),
    ]
    lost = tuple(LostRun(run_id=run_id, folder=folder) for run_id, folder in ledger.db.execute(_LOST))
    size = code_size + sum(one.size for group in (runs, blobs, files, lines) for one in group)
    return Plan(
        vault=str(vault.path),
        root=os.fspath(ledger.root),
        template=template,
        policy=policy,
        runs=tuple(sorted(runs, key=lambda run: (run.started_at, run.folder))),
        trees=tuple(trees),
        blobs=tuple(blobs),
        files=tuple(files),
        results=tuple(lines),
        lost=lost,
        kept=dict(Counter(reason for run_id, reason in why.items() if run_id not in gone)),
        code=code_size,
        repack=repack,
        size=size,
    )
