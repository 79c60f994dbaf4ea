"""Which two runs are meant when a person names one of them, or none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit.catalog import find, reused, scan, whence
from reprokit.catalog.diff.call import program
from reprokit.catalog.index import ask
from reprokit.catalog.run import Run
from reprokit.errors import RecordError, RunNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child

_FEW = 1000  # commands that are looked at for the same one
_EARLIER = """
SELECT id FROM runs WHERE kind = ? AND function IS ? AND (parent_id IS NULL) = ?
AND (started < ? OR (started = ? AND id < ?)) AND NOT repeats AND reused_from IS NULL
ORDER BY started DESC, id DESC LIMIT ?
"""
_NEWEST = (
    "SELECT id, kind, function FROM runs WHERE parent_id IS NULL AND NOT repeats AND reused_from IS NULL "
    "ORDER BY started DESC, folder DESC"
)


def one(vault: Path, wanted: str) -> Run | Child:
    """Find a run by id, folder, tag, file or ``@``; one whose record is damaged by its folder.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError
    """
    try:
        return ask(vault, lambda index: find.one(index, wanted))
    except RunNotFoundError:
        folder = next((folder for folder in scan.folders(vault) if folder.name == wanted), None)
        if folder is None:
            raise
        return Run(folder)


def is_changed(vault: Path, wanted: str, run: Run | Child) -> bool:
    """Tell whether what led to a run is a file that was changed since the run made it."""
    if not os.path.lexists(wanted):
        return False
    origin = ask(vault, lambda index: whence.whence(index, wanted))
    return origin.changed is True and origin.run is not None and origin.run.run_id == run.run_id


def newest_two(vault: Path) -> tuple[Run | Child, Run | Child]:
    """Give the two newest runs of the same function, the older one first: of the function that ran last and ran twice.

    Raises
    ------
    RunNotFoundError
        When nothing ran twice.
    """

    def search(index: Index) -> tuple[Run | Child, Run | Child] | None:
        seen: set[object] = set()
        for row, kind, function in index.db.execute(_NEWEST).fetchall():
            if function is not None and (kind, function) in seen:
                continue
            seen.add((kind, function))
            run = index.run(row)
            earlier = _before(index, run)
            if earlier is not None:
                return earlier, run
        return None

    found = ask(vault, search)
    if found is None:
        raise RunNotFoundError("that came after one of the same function", str(vault))
    return found


def before(vault: Path, run: Run | Child) -> Run | Child:
    """Give the run before a run, of the same function; of one that repeats another, that other one.

    Only runs that called the function count.

    Raises
    ------
    RunNotFoundError
        When there is none.
    RecordError
        When the run's own record is damaged.
    """
    root = run.root
    of = root.pre.reproduction_of
    told = f"before {run.run_id[:8]} of {run.what}" if of is None else f"{of[:8]}, which {root.run_id[:8]} repeats,"
    found = ask(vault, lambda index: _before(index, run))
    if found is None:
        raise RunNotFoundError(told, str(vault))
    return found


def _before(index: Index, run: Run | Child) -> Run | Child | None:
    run = reused.origin(index, run) or run  # what used a result again executed nothing
    own = index.db.execute("SELECT id, started, repeats FROM runs WHERE run_id = ?", (run.run_id,)).fetchone()
    if own is None:
        return None
    row, started, repeats = own
    if repeats:
        return _original(index, row)
    wanted = (run.kind, run.function, isinstance(run, Run), started, started, row, 1 if run.function else _FEW)
    return next((other for other in _readable(index, wanted) if _key(other) == _key(run)), None)


def _original(index: Index, row: int) -> Run | Child | None:
    """Give what a run, or a child run of one, repeats: of child runs of the same function the one in the same place."""
    db = index.db
    root, of = db.execute(
        "SELECT id, reproduction_of FROM runs WHERE id = (SELECT root FROM runs WHERE id = ?)", (row,)
    ).fetchone()
    found = db.execute("SELECT id, root, parent_id FROM runs WHERE run_id = ?", (of,)).fetchone()
    if found is None:
        return None
    if row == root:
        return index.run(found[0])
    siblings = (
        "SELECT id FROM runs WHERE root = ? AND parent_id IS NOT NULL "
        "AND function IS (SELECT function FROM runs WHERE id = ?) ORDER BY started, id"
    )
    mine = [one for (one,) in db.execute(siblings, (root, row))]
    theirs = [one for (one,) in db.execute(siblings, (found[1], row))]
    place = mine.index(row)
    return index.run(theirs[place]) if place < len(theirs) else None


def _readable(index: Index, wanted: tuple[object, ...]) -> Iterator[Run | Child]:
    for (row,) in index.db.execute(_EARLIER, wanted).fetchall():
        try:
            run = index.run(row)
            run.run_id  # noqa: B018 - reading it is the check
        except (RecordError, RunNotFoundError):  # it was removed or damaged meanwhile
            continue
        yield run


def _key(run: Run | Child) -> object:
    """Tell runs of the same apart from others: commands by what they run, whatever their arguments."""
    command = run.pre.command if isinstance(run, Run) else None
    return run.kind, run.function, tuple(program(command)) if command and not run.function else ()
