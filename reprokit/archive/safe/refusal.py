"""Why safe loading refuses something."""

from __future__ import annotations

from reprokit.errors import ArchiveError


class RefusedError(ArchiveError):
    """Safe loading refuses what an archive asks for.  Arguments: the line, what it asks for and the remedy."""


REMEDY = "pass allow=[...] to name it, or trust=True to run the archive's source"


def refuse(what: str, line: int | None = None, remedy: str = REMEDY) -> RefusedError:
    """Make the error that tells what was asked for."""
    where = f"line {line}" if line else "the archive"
    return RefusedError(where, f"{what} is refused by safe loading; {remedy}" if remedy else what)
