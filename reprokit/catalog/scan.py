"""Finding runs by listing their folders: the way that needs no index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog.run import Run
from reprokit.errors import AmbiguousRunError, RecordError, RunNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator


def folders(vault: Path) -> Iterator[Path]:
    """Give all run folders, in no order."""
    try:
        # A name that begins with a dot is that of a folder which `reprokit gc` is removing.
        yield from (e for e in (vault / "runs").iterdir() if not e.name.startswith(".") and e.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return


def runs(vault: Path, damaged: list[RecordError] | None = None) -> list[Run]:
    """Give all readable root runs, newest first; damaged ones are named in `damaged` and never hide the others."""
    found = []
    for folder in folders(vault):
        run = Run(folder)
        try:
            run.pre  # noqa: B018 - reading it is the check
        except RecordError as error:
            if damaged is not None:
                damaged.append(error)
        else:
            found.append(run)
    return sorted(found, key=lambda run: (run.started, run.folder.name), reverse=True)


def find(vault: Path, wanted: str) -> Run:
    """Find a run by a prefix of its id (or of a child's id), by folder name, or ``@`` for the newest.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError, RecordError
    """
    if wanted == "@":
        newest = runs(vault)
        if newest:
            return newest[0]
        raise RunNotFoundError(wanted, str(vault))
    direct = next((f for f in folders(vault) if f.name == wanted), None)
    if direct is not None:
        return Run(direct)
    if not wanted or not all(c in "0123456789abcdef" for c in wanted):
        raise RunNotFoundError(wanted, str(vault))
    everything = runs(vault)
    found = [run for run in everything if run.run_id.startswith(wanted)]
    if not found:
        found = [run for run in everything if any(c.begin and c.begin.run_id.startswith(wanted) for c in run.children)]
    if len(found) > 1:
        raise AmbiguousRunError(wanted, tuple(run.run_id for run in found))
    if not found:
        raise RunNotFoundError(wanted, str(vault))
    return found[0]
