"""Which run made a file: told by its content, a tag inside it, its side-car, or its name, in this order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from reprokit.capture import files
from reprokit.catalog.index import columns
from reprokit.errors import ReprokitError
from reprokit.model import naming
from reprokit.recorder import sidecars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import ArtifactRecord, SideCar

How = Literal["content", "embedded tag", "side-car", "name"]

_MADE = "role IN ('generated', 'expected')"
_MOST = 1_000  # runs that are looked at


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a file comes from.

    Attributes
    ----------
    path : str
        The file, as it was asked for.
    digest : str or None
        ``sha256:<hex>`` of what lies there now; None when nothing does.
    how : str or None
        What led to the run; None when nothing did.
    run : Run or Child or None
        The run that made it, the newest if several did.
    artifact : ArtifactRecord or None
        What that run's record says of the file.
    changed : bool or None
        Whether the file is another than the one that the run made; None when that cannot be known.
    also : list of str
        Ids of other runs that made the same, newest first.
    used_by : list of str
        Ids of runs that read this content, newest first.
    sidecar : SideCar or None
        What the side-car says, when the vault holds no such run.
    """

    path: str
    digest: str | None
    how: How | None
    run: Run | Child | None
    artifact: ArtifactRecord | None
    changed: bool | None
    also: list[str]
    used_by: list[str]
    sidecar: SideCar | None

    def summary(self) -> dict[str, Any]:
        """The facts for programs, as JSON has them."""
        return {
            "schema": "reprokit/whence/1",
            "path": self.path,
            "digest": self.digest,
            "how": self.how,
            "changed": self.changed,
            "run": self.run.run_id if self.run is not None else None,
            "root": self.run.root.run_id if self.run is not None else None,
            "folder": self.run.folder.name if self.run is not None else None,
            "artifact": self.artifact,
            "also": self.also,
            "used_by": self.used_by,
            "sidecar": self.sidecar,
        }


def whence(index: Index, path: str | os.PathLike[str]) -> Origin:
    """Find the run that made a file or folder.

    Raises
    ------
    OSError
        When it lies there and cannot be read.
    """
    told = os.fspath(path)
    absolute = os.path.abspath(told)
    digest = files.digest_path(absolute)[0] if os.path.exists(absolute) else None
    used_by = _ids(index, _paths(index, "digest = ? AND role = 'used'", columns.packed(digest))) if digest else []
    sidecar = sidecars.read(absolute)
    for how, rows in _ways(index, absolute, digest, sidecar):
        runs = _best_first(index, rows, absolute)
        for number, row in enumerate(runs):
            try:
                run = index.run(row)
            except ReprokitError:  # removed by hand a moment ago
                continue
            artifact = _artifact(run, rows[row])
            known = artifact.digest if artifact is not None else None
            return Origin(
                path=told,
                digest=digest,
                how=how,
                run=run,
                artifact=artifact,
                changed=None if digest is None or known is None else digest != known,
                also=_ids(index, runs[number + 1 :]),
                used_by=used_by,
                sidecar=None,
            )
    known = sidecar.artifact.digest if sidecar is not None else None
    return Origin(
        path=told,
        digest=digest,
        how="side-car" if sidecar is not None else None,
        run=None,
        artifact=sidecar.artifact if sidecar is not None else None,
        changed=None if digest is None or known is None else digest != known,
        also=[],
        used_by=used_by,
        sidecar=sidecar,
    )


def _ways(index: Index, path: str, digest: str | None, sidecar: SideCar | None) -> Iterator[tuple[How, dict[int, str]]]:
    """Give, for each way that leads to runs, those runs: row of the run -> path in its record."""
    if digest is not None:
        yield "content", _paths(index, f"digest = ? AND {_MADE}", columns.packed(digest))
        from reprokit import embed

        tag = embed.read(path)
        if tag is not None:
            yield "embedded tag", _tagged(index, path, tag.commit, tag.config_hash)
    if sidecar is not None:
        rows = _paths(index, f"run_id = ? AND {_MADE}", sidecar.run_id)
        yield "side-car", {row: made for row, made in rows.items() if made == sidecar.artifact.path} or rows
    name = os.path.basename(path.rstrip(os.sep))
    yield "name", _paths(index, f"name = ? AND {_MADE}", columns.text(name))
    parsed = naming.parse(name)
    if parsed is not None:
        yield "name", _tagged(index, path, parsed.commit, parsed.hash, parsed.stem)


def _paths(index: Index, condition: str, *values: object) -> dict[int, str]:
    """Give the rows of the runs that have such an artifact, originals before repetitions, the newest first, and its path."""
    query = (
        f"SELECT run, path FROM artifacts JOIN runs ON runs.id = run WHERE {condition} "  # noqa: S608 - ours, with marks
        f"ORDER BY repeats, started DESC, run DESC LIMIT {_MOST}"
    )
    found: dict[int, str] = {}
    for row, path in index.db.execute(query, values):
        found.setdefault(row, path)
    return found


def _tagged(index: Index, path: str, commit: str, config_hash: str, stem: str = "") -> dict[int, str]:
    """Find what was made under a tag; among several those of the same stem and kind of file, else of the same kind."""
    condition = f'artifacts.config_hash >= ? AND artifacts.config_hash < ? AND artifacts."commit" = ? AND {_MADE}'
    found = _paths(index, condition, config_hash, config_hash + "g", commit)
    ext = naming.split(os.path.basename(path))[1]
    same_kind = {row: made for row, made in found.items() if made.endswith(ext)}
    same_stem = {row: made for row, made in same_kind.items() if os.path.basename(made).startswith(stem)}
    return same_stem or same_kind or found


def _best_first(index: Index, rows: dict[int, str], path: str) -> list[int]:
    """Put runs that made a file of this name first; within both groups the newest come first, as they came."""
    name = os.path.basename(path.rstrip(os.sep))
    return sorted(rows, key=lambda row: os.path.basename(rows[row]) != name)


def _ids(index: Index, rows: Iterable[int]) -> list[str]:
    found = []
    for row in list(rows)[:100]:
        found += [run_id for (run_id,) in index.db.execute("SELECT run_id FROM runs WHERE id = ?", (row,))]
    return found


def _artifact(run: Run | Child, path: str) -> ArtifactRecord | None:
    """Find the record of a path; of a run without an end, what was expected there."""
    records = list(run.artifacts)
    if run.root is run:
        records += run.pre.artifacts
    return next((record for record in records if columns.text(record.path) == path), None)
