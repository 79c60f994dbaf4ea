"""Folders that hold kept trees as files, so that Python can import them; each is made once and checked on use."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from filelock import FileLock

from reprokit.code import switch
from reprokit.code.apart import stamps

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def checkout(places: list[Path], name: str, export: Callable[[Path], None]) -> tuple[Path, dict[str, stamps.Stamp]]:
    """Give the folder of a tree and the stamps of its files.

    Parameters
    ----------
    places
        Folders to keep checkouts in; the first that can be written, or has this one, is taken.
    name
        What is unique to the tree.
    export
        Writes the tree into a folder that does not exist yet.

    Raises
    ------
    OSError
        When none of the places can be written.
    """
    for place in places:
        known = _valid(place / name)
        if known is not None:
            return place / name, known
    problem: OSError | None = None
    for place in places:
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(place / f"{name}.lock"):
                known = _valid(place / name)
                return place / name, known if known is not None else _make(place / name, export)
        except OSError as error:
            problem = problem or error
    assert problem is not None
    raise problem


def _make(folder: Path, export: Callable[[Path], None]) -> dict[str, stamps.Stamp]:
    shutil.rmtree(folder, ignore_errors=True)  # somebody has edited it
    with switch.scratch_beside(folder) as scratch:
        export(scratch / "tree")
        os.rename(scratch / "tree", folder)
    known = stamps.stamps(str(folder))
    folder.with_name(f"{folder.name}.stamp").write_text(stamps.digest(str(folder), known))
    return known


def _valid(folder: Path) -> dict[str, stamps.Stamp] | None:
    try:
        told = folder.with_name(f"{folder.name}.stamp").read_text()
        known = stamps.stamps(str(folder))
    except OSError:
        return None
    return known if stamps.digest(str(folder), known) == told else None
