"""The file that a lineage was asked for: which content of it is followed, and what is to be said of that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit.catalog.index import columns
from reprokit.catalog.lineage.family import Made
from reprokit.errors import ReprokitError

if TYPE_CHECKING:
    from reprokit.catalog.index import Index
    from reprokit.catalog.whence import Origin

_MOST = 1_000  # runs that are looked at
_ROOTS = 20  # runs that are asked where their project lay


def uses(index: Index, path: str) -> list[Made]:
    """Give what runs used at a place, whatever its content was, the last first."""
    wanted = os.path.realpath(path)
    name = columns.text(os.path.basename(os.path.normpath(path)))
    query = (
        "SELECT run, path, digest, size FROM artifacts JOIN runs ON runs.id = run "
        "WHERE name = ? AND role = 'used' AND NOT repeats ORDER BY started DESC LIMIT ?"
    )
    here: dict[str, bool] = {}
    found = []
    for row in (Made(*one) for one in index.db.execute(query, (name, _MOST)).fetchall()):
        if not here.get(row.path) and len(here) < _ROOTS:
            here[row.path] = any(
                columns.text(os.path.realpath(os.path.join(root, row.path))) == columns.text(wanted)
                for root in _roots(index, row)
            )
        if here.get(row.path):
            found.append(row)
    return found


def _roots(index: Index, row: Made) -> list[str]:
    roots = [os.fspath(index.vault.path.parent)]  # a vault that lies in its project moved along with it
    try:
        roots.append(index.run(row.run).root.pre.root_directory)
    except ReprokitError:
        pass
    return [root for root in roots if "\0" not in root]


def what(origin: Origin, used: list[Made]) -> tuple[list[str], Made]:
    """Give what is to be said of a file, and the content to follow: what its run wrote, else what lies there."""
    notes = []
    now = columns.packed(origin.digest)
    made = origin.artifact if origin.run is not None else None
    if made is not None and origin.run is not None:
        path = _named(origin) or made.path
        found = Made(0, path, columns.packed(made.digest) if made.digest else now, made.size)
        if origin.changed:
            notes.append(f"changed since: this is the lineage of what run {origin.run.run_id[:8]} had written")
            if origin.used_by:
                notes.append(f"{_runs(len(origin.used_by))} used its present content")
    elif now is not None:
        path = next((row.path for row in used), origin.path)
        found = Made(0, path, now, os.path.getsize(origin.path))
    else:
        found = used[0]
        notes.append("not there any more: this is the lineage of what was used last")
    others = {row.run for row in used if row.digest not in (found.digest, now)}
    if others:
        notes.append(f"{_runs(len(others))} used other content of it")
    return notes, found


def _named(origin: Origin) -> str | None:
    """Give the path under which a run gave a file that another one had made."""
    given = origin.named_by.artifacts if origin.named_by is not None else []
    name = os.path.basename(os.path.normpath(origin.path))
    return next((one.path for one in given if os.path.basename(one.path.rstrip("/")) == name), None)


def _runs(count: int) -> str:
    return f"{count} run{'s' * (count != 1)}"
