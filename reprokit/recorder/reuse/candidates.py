"""Whether a result that has the right key is still right: are its inputs what they were, are its outputs at hand?"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reprokit.model import digest as digests
from reprokit.recorder.reuse import verified
from reprokit.vault.blobs import blob_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reprokit.model.records import ArtifactRecord, ReuseEntry
    from reprokit.recorder.project import Project
    from reprokit.recorder.reuse.named import Named


class Target(NamedTuple):
    """An output, and where this call wants it."""

    path: str  # absolute
    told: str  # as the function would be told it
    record: ArtifactRecord


def inputs_differ(entry: ReuseEntry, named: Named, project: Project) -> Iterator[str]:
    """Say what is other now than when the result was made."""
    if entry.cwd is not None and entry.cwd != folder_now(project):
        yield f"it ran in another folder ({entry.cwd or 'the project root'}), and found files by names that may be relative to it"
    places = set()
    for used in entry.inputs:
        path = _path_now(used.path, used.keyword, named, project)
        places.add(used.keyword)
        if path is None:  # its name is the same, or the key would be another
            yield f"{used.path} is no longer there"
        elif used.role == "missing":
            if os.path.lexists(path):
                yield f"{project.relative(path)} is there now"
        elif (now := verified.digest(path, hint=True)) != used.digest:
            yield f"{project.relative(path)} {'has other content' if now else 'is no longer there'}"
    made = {output.path for output in entry.outputs}
    for place, path in named.files.items():
        if place not in places and project.relative(path) not in made:
            yield f"{project.relative(path)} is there now"
    own = own_names(entry.outputs)
    for folder, names in entry.listed.items():
        place, _, path = folder.rpartition("|")
        where = _path_now(path, place or None, named, project)
        if where is None or listing(where, own, project.settings.template) != names:
            yield f"{path} holds other files"


def _path_now(path: str, place: str | None, named: Named, project: Project) -> str | None:
    return os.path.join(project.root, path) if place is None else named.path_of(place)


def folder_now(project: Project) -> str:
    """Give the working folder as records have it."""
    found = project.relative(os.getcwd())
    return "" if found == str(project.root) else found


# --- listings --------------------------------------------------------------------------------------------------------

_PASSING = ("__pycache__", ".git", ".ipynb_checkpoints", ".pytest_cache")


def own_names(outputs: Iterable[ArtifactRecord]) -> frozenset[str]:
    """Give the names before tagging of a run's outputs: what it makes itself is no input of it."""
    return frozenset(os.path.basename((one.requested or one.path).rstrip("/")) for one in outputs)


def listing(folder: str, own: frozenset[str], template: str | None) -> str | None:
    """Digest the names in a folder that may matter; None when it can't be listed."""
    try:
        return listed(os.listdir(folder), own, template)
    except OSError:
        return None


def listed(names: Iterable[str], own: frozenset[str], template: str | None) -> str:
    """Digest names, without those of the run's own outputs under any commit, of side-cars, and of what tools leave."""
    from reprokit.model import naming

    kept = []
    for name in names:
        parsed = naming.parse(name, template)
        if (
            name not in _PASSING
            and not name.endswith(naming.SIDECAR)
            and (parsed.requested if parsed else name) not in own
        ):
            kept.append(os.fsencode(name))
    return digests.of_parts("reprokit/names/1", *sorted(kept))


# --- outputs -----------------------------------------------------------------------------------------------------------


def in_place(target: Target) -> bool:
    """Tell whether an output is where this call wants it."""
    return verified.digest(target.path) == target.record.digest


def source_of(target: Target, entries: Sequence[ReuseEntry], project: Project) -> Path | None:
    """Find a file or folder with the content of an output: under another name, or in the vault."""
    wanted = target.record.digest
    assert wanted is not None
    paths = [
        os.path.join(project.root, one.path)
        for entry in reversed(entries)
        for one in entry.outputs
        if one.digest == wanted
    ]
    for path in dict.fromkeys([*paths, str(blob_path(project.vault.blobs, wanted))]):
        if verified.digest(path) == wanted:
            return Path(path)
    return None
