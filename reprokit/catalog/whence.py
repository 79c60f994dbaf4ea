"""Which run made a file: told by its content, a tag inside it, its side-car, or its name, in this order."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from reprokit.capture import files
from reprokit.catalog import reused, tagged
from reprokit.catalog.index import columns
from reprokit.catalog.run import Child, Run
from reprokit.catalog.tagged import Candidate, Made
from reprokit.errors import ReprokitError
from reprokit.model import naming
from reprokit.model.records import ArtifactRecord, SideCar
from reprokit.recorder import sidecars

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reprokit.catalog.index import Index

How = Literal["content", "embedded tag", "side-car", "name"]


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
    named_by : Run or Child or None
        The run that gave the file this name, when that used the result of `run` again instead of making it.
    changed : bool or None
        Whether the file is another than the one that the run made; None when that cannot be known.
    also : list of str
        Ids of other runs that made the same, newest first.
    used_by : list of str
        Ids of runs that read this content, newest first.
    sidecar : SideCar or None
        What the side-car says, when the vault holds no such run.
    candidates : list of Candidate
        Without a run: with `how`, those of which one made it, for that tells no more; without, what was made under the
        commit and config hash in its name, by which no run made such a file.
    """

    path: str
    digest: str | None
    how: How | None = None
    run: Run | Child | None = None
    artifact: ArtifactRecord | None = None
    named_by: Run | Child | None = None
    changed: bool | None = None
    also: list[str] = []
    used_by: list[str] = []
    sidecar: SideCar | None = None
    candidates: list[Candidate] = []

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
            "named_by": self.named_by.run_id if self.named_by is not None else None,
            "also": self.also,
            "used_by": self.used_by,
            "sidecar": self.sidecar,
            "candidates": self.candidates,
        }


def whence(index: Index, path: str | os.PathLike[str], template: str | None = None) -> Origin:
    """Find the run that made a file or folder; of a side-car, of the file that it belongs to.

    Parameters
    ----------
    template
        Of artifact names, when the project has its own.

    Raises
    ------
    OSError
        When it lies there and cannot be read.
    """
    told = os.fspath(path)
    if told.endswith(naming.SIDECAR) and sidecars.read(told.removesuffix(naming.SIDECAR)) is not None:
        told = told.removesuffix(naming.SIDECAR)
    absolute = os.path.abspath(told)
    digest = files.digest_path(absolute)[0] if os.path.exists(absolute) else None
    used_by = _ids(index, _readers(index, digest)) if digest else []
    sidecar = sidecars.read(absolute)
    for way in _ways(index, absolute, digest, sidecar, template):
        several = tagged.candidates(way.rows, template) if not way.sure else []
        if len(several) > 1:
            return Origin(path=told, digest=digest, how=way.how, used_by=used_by, candidates=several)
        for number, row in enumerate(way.rows):
            try:
                run = index.run(row.run)
            except ReprokitError:  # removed by hand a moment ago
                continue
            artifact = _artifact(run, row.path)
            known = artifact.digest if artifact is not None else None
            made, artifact, named_by = _both(index, run, artifact, absolute, sidecar)
            others = [other.run for other in way.rows[number + 1 :] if other.run_id != made.run_id]
            return Origin(
                path=told,
                digest=digest,
                how=way.how,
                run=made,
                artifact=artifact,
                named_by=named_by,
                changed=None if digest is None or known is None or not way.same else digest != known,
                also=_ids(index, others),
                used_by=used_by,
            )
    if sidecar is not None:
        known = sidecar.artifact.digest
        return Origin(
            path=told,
            digest=digest,
            how="side-car",
            artifact=sidecar.artifact,
            changed=None if digest is None or known is None else digest != known,
            used_by=used_by,
            sidecar=sidecar,
        )
    return Origin(path=told, digest=digest, used_by=used_by, candidates=_under_its_tag(index, absolute, template))


class _Way(NamedTuple):
    how: How
    rows: list[Made]  # the best first
    sure: bool = True  # whether the first is told though others wrote something else
    same: bool = True  # whether it is known to be that file, changed or not


def _ways(index: Index, path: str, digest: str | None, sidecar: SideCar | None, template: str | None) -> Iterator[_Way]:
    """Give, for each way that leads to runs, what those made."""
    if digest is not None:
        rows = tagged.select(index, "digest = ?", columns.packed(digest))
        first = set(tagged.same_name(rows, path))
        yield _Way("content", sorted(rows, key=lambda row: row not in first))
        from reprokit import embed

        tag = embed.read(path)
        if tag is not None:
            yield _of_tag_inside(tagged.under(index, tag.commit, tag.config_hash), path, sidecar, template)
    if sidecar is not None:
        rows = tagged.select(index, "run_id = ?", sidecar.run_id)
        yield _Way("side-car", _of_sidecar(rows, sidecar) or rows)
    name = columns.text(os.path.basename(path.rstrip(os.sep)))
    rows = tagged.same_name(tagged.select(index, "name = ?", name), path)
    yield _Way("name", rows, sure=len({row.path for row in rows}) < 2)
    yield _Way("name", tagged.same_stem(_by_name(index, path, template), path, template), sure=False, same=False)


def _of_tag_inside(rows: list[Made], path: str, sidecar: SideCar | None, template: str | None) -> _Way:
    certain = _of_sidecar(rows, sidecar) if sidecar is not None else []
    certain = certain or tagged.same_name(rows, path)
    if certain:
        return _Way("embedded tag", certain, sure=len({row.path for row in certain}) < 2)
    only = len(tagged.candidates(rows, template)) < 2
    kind = tagged.same_kind(rows, path)
    return _Way("embedded tag", tagged.same_stem(kind, path, template) or kind, sure=False, same=only)


def _of_sidecar(rows: list[Made], sidecar: SideCar) -> list[Made]:
    return [row for row in rows if (row.run_id, row.path) == (sidecar.run_id, columns.text(sidecar.artifact.path))]


def _by_name(index: Index, path: str, template: str | None) -> list[Made]:
    """Give what was made under the tag that a file's name has."""
    name = os.path.basename(path.rstrip(os.sep))
    parsed = naming.parse(name, template) or (naming.parse(name) if template else None)
    return tagged.under(index, parsed.commit, parsed.hash) if parsed is not None else []


def _under_its_tag(index: Index, path: str, template: str | None) -> list[Candidate]:
    return tagged.candidates(_by_name(index, path, template), template)


def _both(
    index: Index, run: Run | Child, artifact: ArtifactRecord | None, path: str, sidecar: SideCar | None
) -> tuple[Run | Child, ArtifactRecord | None, Run | Child | None]:
    """Give the run that made a file, what it wrote, and the run that gave it its name when that was another."""
    name = columns.text(os.path.basename(path.rstrip(os.sep)))
    made = reused.origin(index, run)
    if made is not None:
        wrote = [one for one in made.artifacts if one.role == "generated"]
        same = [one for one in wrote if artifact is not None and one.digest == artifact.digest]
        return made, next(iter([*same, *wrote]), artifact), _namer(index, made, name, sidecar) or run
    own = artifact is not None and os.path.basename(columns.text(artifact.path).rstrip("/")) == name
    return run, artifact, None if own else _namer(index, run, name, sidecar)


def _namer(index: Index, made: Run | Child, name: str, sidecar: SideCar | None) -> Run | Child | None:
    """Find the run that gave a result this name: the one that the side-car names, else the first.

    Later ones found the file in its place.
    """
    asked = (
        "SELECT runs.id FROM runs JOIN artifacts ON artifacts.run = runs.id WHERE reused_from = ? AND name = ? "
        "AND role = 'generated' ORDER BY repeats, run_id = ? DESC, started, runs.id LIMIT 1"
    )
    for (row,) in index.db.execute(asked, (made.run_id, name, sidecar.run_id if sidecar is not None else "")):
        return index.run(row)
    return None


def _readers(index: Index, digest: str) -> list[int]:
    query = (
        "SELECT DISTINCT run FROM artifacts JOIN runs ON runs.id = run WHERE digest = ? AND role = 'used' "
        "ORDER BY repeats, started DESC, run DESC LIMIT 100"
    )
    return [row for (row,) in index.db.execute(query, (columns.packed(digest),))]


def _ids(index: Index, rows: Iterable[int]) -> list[str]:
    found = []
    for row in list(rows)[:100]:
        found += [run_id for (run_id,) in index.db.execute("SELECT run_id FROM runs WHERE id = ?", (row,))]
    return found


def _artifact(run: Run | Child, path: str) -> ArtifactRecord | None:
    """Find the record of a path; of a run without an end, what was expected there."""
    records = list(run.artifacts)
    if isinstance(run, Run):
        records += run.pre.artifacts
    return next((record for record in records if columns.text(record.path) == path), None)
