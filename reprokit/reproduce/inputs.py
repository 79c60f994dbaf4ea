"""The files that a run read: by path and digest, else wherever that content lies now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reprokit.capture import files
from reprokit.catalog.index import columns
from reprokit.catalog.run import Child
from reprokit.reproduce.result import Line
from reprokit.vault import blobs
from reprokit.vault.journal import lines_of
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Run
    from reprokit.model.records import ArtifactRecord
    from reprokit.reproduce.result import State

_GOOD = ("same", "in the code", "kept", "moved", "given")
_MOST = 50  # places that are looked at for one content


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a run used.

    Attributes
    ----------
    path : str
        As recorded: relative to the project, or absolute.
    found : Path or None
        Where this content lies now.
    how : str
        ``same``, ``in the code``, ``kept``, ``moved``, ``given``; empty when it is nowhere.
    made_by : str
        Id of a run that made it, when it is nowhere to be found.
    needed : bool
        Whether the run can't be repeated without.
    """

    path: str
    digest: str | None
    size: int | None
    found: Path | None = None
    how: str = ""
    needed: bool = True
    made_by: str = ""

    @property
    def missing(self) -> bool:
        """Whether the run can't be repeated because of it."""
        return self.needed and not self.how

    def remedy(self) -> str:
        """Say how to get it."""
        again = f", or make it again: reprokit reproduce {self.made_by[:8]} --into FOLDER" if self.made_by else ""
        return f"--input {self.path}=PATH{again}"

    def line(self) -> Line:
        """Say what is done about it."""
        said = {
            "same": "same digest",
            "in the code": "as it was, among the code",
            "kept": "its path holds something else now; taken from the vault's blobs",
            "moved": f"found by its digest at {self.found}",
            "given": f"given: {self.found}",
            "given, other": f"given: {self.found}; another content than recorded",
        }.get(self.how, "is nowhere to be found with this content")
        state: State = "good" if self.how in _GOOD else "other" if self.how else "missing"
        remedy = "" if self.how else self.remedy()
        return Line(label="input", what=self.path, said=said, state=state, remedy=remedy)


def find(
    index: Index,
    run: Run | Child,
    project: Path,
    given: Mapping[str, Path],
    *,
    whole: bool,
    in_code: Callable[[str, str], bool],
) -> list[Input]:
    """Find the inputs of what is going to run.

    Parameters
    ----------
    given
        By path or by the name at its end.
    whole
        Whether the whole process is repeated: then all its runs need theirs, and make what later ones read.
    in_code
        Tells whether a path of the restored code has the content with a digest.
    """
    family = family_of(run, whole=whole)
    made = {record.path for one in family for record in one.artifacts if record.role == "generated"}
    found: dict[str, Input] = {}
    for one in family:
        for record in one.artifacts:
            if record.role == "used" and record.path not in made and record.path not in found:
                found[record.path] = _look(index, record, project, given, in_code)
    begin = getattr(run, "begin", None)
    context = run.root.context
    snapshot = (begin.snapshot if begin else None) or (context.snapshot if context else None)
    for left in snapshot.left_out if snapshot else ():
        if left.digest is not None and left.path not in found:
            there = _same(project / left.path, left.digest)
            found[left.path] = Input(
                path=left.path, digest=left.digest, size=left.size, found=project / left.path if there else None,
                how="same" if there else "", needed=False,
            )  # fmt: skip
    return list(found.values())


def family_of(run: Run | Child, *, whole: bool) -> list[Run | Child]:
    """Give the runs that are going to be repeated: a run with its child runs, or all of its process."""
    if isinstance(run, Child):
        return [run]
    roots = same_process(run) if whole else [run]
    family: list[Run | Child] = []
    for root in roots:
        family += [root, *root.children]
    return family


def _look(
    index: Index,
    record: ArtifactRecord,
    project: Path,
    given: Mapping[str, Path],
    in_code: Callable[[str, str], bool],
) -> Input:
    wanted = Input(path=record.path, digest=record.digest, size=record.size)
    told = given.get(record.path) or given.get(os.path.basename(record.path))
    if told is not None:
        same = record.digest is not None and _same(told, record.digest)
        return msgspec.structs.replace(wanted, found=told, how="given" if same else "given, other")
    if record.digest is None:
        return wanted
    if in_code(record.path, record.digest):
        return msgspec.structs.replace(wanted, how="in the code")
    for how, place in _places(index, record, project):
        if _same(place, record.digest):
            return msgspec.structs.replace(wanted, found=place, how=how)
    query = (
        "SELECT run_id FROM artifacts JOIN runs ON runs.id = run WHERE digest = ? AND role = 'generated' "
        "ORDER BY repeats, started DESC LIMIT 1"
    )
    for (made_by,) in index.db.execute(query, (columns.packed(record.digest),)):
        return msgspec.structs.replace(wanted, made_by=made_by)
    return wanted


def _places(index: Index, record: ArtifactRecord, project: Path) -> Iterator[tuple[str, Path]]:
    assert record.digest is not None
    yield "same", project / record.path
    yield "kept", blobs.blob_path(index.vault.blobs, record.digest)
    query = "SELECT DISTINCT path FROM artifacts WHERE digest = ? LIMIT ?"
    for (path,) in index.db.execute(query, (columns.packed(record.digest), _MOST)):
        yield "moved", project / path
    name = os.path.basename(record.path)
    for folder, _, names in os.walk(project):
        if name in names:
            yield "moved", Path(folder) / name


def _same(path: Path, digest: str) -> bool:
    try:
        return files.digest_path(str(path))[0] == digest
    except OSError:
        return False


def same_process(run: Run) -> list[Run]:
    """Give the root runs of a run's process, in the order in which they began; told by the journal that it wrote."""
    from reprokit.catalog.run import Run as RootRun

    vault = Vault(run.folder.parent.parent)
    process = run.pre.process
    folders = [run.folder.name]
    folders += [line.folder for line in lines_of(vault.journal, f"{process.host}-{process.pid}-")]
    found = []
    for name in dict.fromkeys(folders):
        folder = vault.runs / name
        if os.path.basename(name) == name and folder.is_dir():
            other = RootRun(folder)
            try:
                if other.pre.process == process:
                    found.append(other)
            except ValueError:  # a damaged record
                continue
    return sorted(found, key=lambda one: one.started)
