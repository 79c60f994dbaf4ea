"""The files of ``reuse/``, each line with what it says or what is wrong with it: for checking and for removing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from reprokit.errors import RecordError
from reprokit.vault import documents, reuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.model.records import ReuseEntry
    from reprokit.vault.layout import Vault

_NEWER = "upgrade reprokit"  # ends what is said of a line that another version wrote


class Line(NamedTuple):
    """A line of a file of results."""

    number: int  # from 1
    raw: bytes
    entry: ReuseEntry | None  # None: it can't be read
    problem: str = ""

    @property
    def newer(self) -> bool:
        """Whether it is whole, and another version of reprokit can read it."""
        return self.problem.endswith(_NEWER)


def files(vault: Vault) -> Iterator[Path]:
    """Give all files of results, and their locks, by name; raises `OSError`."""
    for folder in sorted(os.listdir(vault.reuse)) if vault.reuse.is_dir() else ():
        place = vault.reuse / folder
        if place.is_dir():
            yield from (place / name for name in sorted(os.listdir(place)) if not name.startswith("."))


def is_lock(path: Path) -> bool:
    """Tell whether a file is the lock of one."""
    return path.name.endswith(reuse.LOCK)


def is_in_place(vault: Vault, path: Path, entry: ReuseEntry) -> bool:
    """Tell whether a line lies where it is looked for, and not among another key's results."""
    try:
        return reuse.place(vault.reuse, entry.key) == str(path)
    except ValueError:
        return False


def lines(path: Path) -> list[Line]:
    """Read the lines of a file; none when it is not there.

    Raises
    ------
    RecordError
        When it can't be read.
    """
    try:
        data = documents.read_bytes(path)
    except FileNotFoundError:
        return []
    damaged: list[RecordError] = []
    entries = iter(list(reuse.parse(data, str(path), damaged)))
    problems = {int(error.args[0].rpartition(":")[2]): str(error.args[1]) for error in damaged}
    found = []
    for number, raw in enumerate(data.split(b"\n"), 1):
        if raw:
            problem = problems.get(number, "")
            found.append(Line(number, raw, None if problem else next(entries, None), problem))
    return found
