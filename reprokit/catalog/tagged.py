"""What was made under one tag (commit and config hash), and which of it a file may be, by its name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from reprokit.catalog.index import columns
from reprokit.model import naming

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reprokit.catalog.index import Index

MADE = "role IN ('generated', 'expected')"
_MOST = 1_000  # artifacts that are looked at


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A run that may have made a file, and the path that it wrote."""

    run_id: str
    what: str
    path: str


class Made(NamedTuple):
    """A file that a run made."""

    run: int  # row in the index
    root: int
    run_id: str
    what: str
    path: str

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rstrip("/").rpartition("/")[2]


def select(index: Index, condition: str, *values: object) -> list[Made]:
    """Give what runs made: originals before repetitions, those that called the function before those that gave a result
    that was there, the newest first; one run of those that wrote it together.
    """
    query = (
        f"SELECT runs.id, root, run_id, what, path FROM artifacts JOIN runs ON runs.id = run WHERE {condition} "  # noqa: S608 - ours, with marks
        f"AND {MADE} ORDER BY repeats, reused_from IS NOT NULL, started DESC, runs.id DESC LIMIT {_MOST}"
    )
    rows = [Made(*row) for row in index.db.execute(query, values)]
    return list({(row.root, row.path): row for row in reversed(rows)}.values())[::-1]


def under(index: Index, commit: str, config_hash: str) -> list[Made]:
    """Give what was made under a commit and the first digits of a config hash."""
    condition = 'artifacts.config_hash >= ? AND artifacts.config_hash < ? AND artifacts."commit" = ?'
    return select(index, condition, config_hash, config_hash + "g", commit)


def same_name(rows: list[Made], path: str) -> list[Made]:
    """Narrow down to what was written under just this name, best at a place that ends in the recorded path."""
    name = columns.text(os.path.basename(path.rstrip(os.sep)))
    named = [row for row in rows if row.name == name]
    whole = columns.text(path.rstrip(os.sep)).replace(os.sep, "/")
    fits = {row.path for row in named if f"/{whole}".endswith(f"/{row.path.rstrip('/')}")}
    longest = max(fits, key=len, default=None)
    return _kept(named, lambda row: row.path == longest)


def same_stem(rows: list[Made], path: str, template: str | None) -> list[Made]:
    """Narrow down to what was asked for by this stem, best with this extension too; empty when nothing was."""
    stem, ext = requested(columns.text(os.path.basename(path.rstrip(os.sep))), template)
    fitting = [row for row in rows if requested(row.name, template)[0] == stem]
    return _kept(fitting, lambda row: requested(row.name, template)[1] == ext)


def same_kind(rows: list[Made], path: str) -> list[Made]:
    """Narrow down to what has this extension, if anything has."""
    ext = naming.split(os.path.basename(path))[1]
    return _kept(rows, lambda row: row.path.endswith(ext))


def requested(name: str, template: str | None) -> tuple[str, str]:
    """Give stem and extension of a name, without the tag if it has one."""
    parsed = naming.parse(name, template) or (naming.parse(name) if template else None)
    return (parsed.stem, parsed.ext) if parsed is not None else naming.split(name)


def candidates(rows: Iterable[Made], template: str | None) -> list[Candidate]:
    """Give one run, the newest, for each function and path that was asked for."""
    found: dict[tuple[str, str, tuple[str, str]], Candidate] = {}
    for row in rows:
        key = (row.what, row.path.rstrip("/").rpartition("/")[0], requested(row.name, template))
        found.setdefault(key, Candidate(run_id=row.run_id, what=row.what, path=row.path))
    return list(found.values())


def _kept(rows: list[Made], better: Callable[[Made], bool]) -> list[Made]:
    return [row for row in rows if better(row)] or rows
