"""Which run is meant: by the beginning of its id, its folder, a tag, a file that it made, or ``@`` for the newest."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from reprokit.catalog import whence
from reprokit.catalog.index import ask
from reprokit.catalog.run import Run
from reprokit.errors import AmbiguousRunError, RunNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child

_HEX = re.compile(r"[0-9a-f]{1,32}\Z")
_NEWEST = "SELECT id FROM runs WHERE parent_id IS NULL ORDER BY started DESC, folder DESC LIMIT 1"


def named(vault: Path, wanted: str, progress: Callable[[int, int], None] | None = None) -> Run | Child:
    """Find the one run of a vault that is meant; see `one`."""
    return ask(vault, lambda index: one(index, wanted), progress)


class Repetition(NamedTuple):
    """A run that repeated another."""

    run_id: str
    started: datetime
    host: str | None
    verdict: str | None  # "reproduced" or "not reproduced"


def with_repetitions(index: Index, wanted: str) -> tuple[Run | Child, list[Repetition]]:
    """Find the one run that is meant, and those that repeated it, the last first; raises as `one` does."""
    run = one(index, wanted)
    rows = index.db.execute(
        "SELECT run_id, started, host, (SELECT text FROM marks WHERE run = runs.id AND event = 'verdict') FROM runs "
        "WHERE reproduction_of = ? ORDER BY started DESC",
        (run.run_id,),
    )
    return run, [Repetition(found, datetime.fromtimestamp(at, UTC), host, said) for found, at, host, said in rows]


def one(index: Index, wanted: str) -> Run | Child:
    """Find the one run that is meant.

    Parameters
    ----------
    index
        Of the vault.
    wanted
        ``@`` (the newest root run), the name of a run's folder or a path to it, the beginning of a run's id (a root run's before a child
        run's), a tag that one run has, or the path of a file: of one that lies there or did.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError
    """
    wanted = folder_of(index, wanted) or wanted
    found = _named(index, wanted)
    if len(found) == 1:
        return index.run(found[0])
    if found:
        marks = ",".join("?" * len(found))
        ids = index.db.execute(f"SELECT run_id FROM runs WHERE id IN ({marks})", found)  # noqa: S608 - only marks
        raise AmbiguousRunError(wanted, tuple(run_id for (run_id,) in ids))
    if wanted and os.path.basename(wanted) == wanted and not wanted.startswith("."):
        folder = index.vault.runs / wanted
        if folder.is_dir():  # its record is damaged, so the index has no row of it
            return Run(folder)
    if wanted and (os.path.lexists(wanted) or looks_like_a_path(wanted)):
        origin = whence.whence(index, wanted)
        if origin.run is not None:
            return origin.run
        if origin.candidates and origin.how is not None:
            raise AmbiguousRunError(wanted, tuple(one.run_id for one in origin.candidates))
    raise RunNotFoundError(wanted, str(index.vault.path))


def _named(index: Index, wanted: str) -> list[int]:
    db = index.db
    if wanted == "@":
        return [row for (row,) in db.execute(_NEWEST)]
    folders = db.execute("SELECT id FROM runs WHERE folder = ? AND parent_id IS NULL", (wanted,)).fetchall()
    if folders:
        return [row for (row,) in folders]
    if _HEX.match(wanted):
        for parent in ("IS NULL", "IS NOT NULL"):
            query = f"SELECT id FROM runs WHERE run_id >= ? AND run_id < ? AND parent_id {parent} LIMIT 20"  # noqa: S608
            rows = db.execute(query, (wanted, wanted + "g")).fetchall()
            if rows:
                return [row for (row,) in rows]
    tagged = db.execute(
        "SELECT DISTINCT run FROM marks WHERE event = 'tag' AND text = ? LIMIT 20", (wanted,)
    ).fetchall()
    return [row for (row,) in tagged]


def folder_of(index: Index, wanted: str) -> str | None:
    """Give the name of the run's folder that a path leads to; None when it leads elsewhere."""
    if os.sep not in wanted or "\0" in wanted:
        return None
    path = os.path.abspath(wanted)
    runs = os.path.realpath(index.vault.runs)
    return os.path.basename(path) if os.path.realpath(os.path.dirname(path)) == runs else None


def looks_like_a_path(wanted: str) -> bool:
    """Tell whether a text may name a file rather than a run."""
    return "." in wanted or "/" in wanted or os.sep in wanted
