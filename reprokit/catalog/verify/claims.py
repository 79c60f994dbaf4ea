"""A file, and the runs that claim it: by content first, then by side-car, then by name."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog.verify.report import Finding, failure, note
from reprokit.model import naming
from reprokit.recorder import sidecars

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.catalog.ledger import Entry, Ledger
    from reprokit.catalog.verify.finder import Finder
    from reprokit.catalog.verify.hashing import Hashing


def of_file(
    path: Path, ledger: Ledger, hashing: Hashing, template: str | None = None
) -> tuple[list[Entry], list[Finding]]:
    """Find who claims a file, and whether it is still what was recorded.

    Returns
    -------
    tuple
        The claim that counts (or none), and what is to be said of the file.
    """
    shown = _shown(path, ledger)
    place = os.fsencode(os.path.normpath(os.path.join(os.getcwd(), path)))
    found = hashing.one(place)
    here = ledger.at(place)
    if found.digest is None:
        if here:
            return here[:1], []  # recorded, and not there: the check of its place tells
        told = found.reason or "there is no such file"
        return [], [failure("unreadable" if found.reason else "missing", shown, told)]
    claims = [row for row in here if row.role == "generated" and row.digest == found.digest]
    if claims:
        told = f"run {claims[0].run_id[:8]} made it, and it is unchanged"
        return claims[:1], [note("recorded", shown, told, claims[0].run_id)]
    claims = list(ledger.select("digest = ? AND role = 'generated'", found.digest, order="started DESC"))
    if claims:
        first = claims[0]
        told = f"run {first.run_id[:8]} made it as {first.path}; it was moved or copied, and is unchanged"
        return [], [note("moved", shown, told, first.run_id)]
    if any(row.role == "generated" for row in here):
        return here, []  # the check of its place tells what became of it
    return [], list(_others(path, shown, here, ledger, found.digest, template))


def _others(
    path: Path, shown: str, here: list[Entry], ledger: Ledger, digest: str, template: str | None
) -> Iterator[Finding]:
    used = list(ledger.select("digest = ? AND role = 'used'", digest, order="started DESC LIMIT 1"))
    if used:
        told = f"no run made it; run {used[0].run_id[:8]} used it as {used[0].path}, with the same content"
        yield note("unrecorded", shown, told, used[0].run_id)
        return
    if here:
        told = f"run {here[0].run_id[:8]} used it, with another content ({(here[0].digest or '')[:15]})"
        yield failure("input changed", shown, told, here[0].run_id)
        return
    sidecar = sidecars.read(os.fspath(path))
    if sidecar is not None:
        if ledger.folder_of(sidecar.run_id) is None:
            told = (
                f"its side-car names run {sidecar.run_id[:8]}, which this vault doesn't hold; look in {sidecar.vault}"
            )
            same = sidecar.artifact.digest == digest
            yield (note if same else failure)("unrecorded", shown, told, sidecar.run_id)
        else:
            told = f"run {sidecar.run_id[:8]} made it, as its side-car says, and it was changed since"
            yield failure("changed", shown, told, sidecar.run_id)
        return
    parsed = naming.parse(path.name, template)
    if parsed is not None:
        rows = ledger.select(
            "role = 'generated' AND path LIKE ?", f"%{parsed.commit}%{parsed.hash}%", order="started DESC"
        )
        row = next((one for one in rows if os.path.basename(one.path) == path.name), None)
        if row is not None:
            told = f"by its name, run {row.run_id[:8]} made it as {row.path}; its content is another"
            yield failure("changed", shown, told, row.run_id)
            return
    yield failure("unrecorded", shown, "no run of this vault made it or used it")


def unrecorded(ledger: Ledger, finder: Finder) -> Iterator[Finding]:
    """Name files of the project that look like ours and that no run of this vault made."""
    named = set()
    for path in finder.sidecars:
        artifact = path.removesuffix(naming.SIDECAR)
        record = sidecars.read(artifact)
        if record is not None and ledger.folder_of(record.run_id) is None:
            named.add(artifact)
            told = f"its side-car names run {record.run_id[:8]}, which this vault doesn't hold (removed, or another vault's)"
            yield note("unrecorded", _shown(Path(artifact), ledger), told, record.run_id)
        elif record is not None and not os.path.lexists(artifact) and not ledger.at(os.fsencode(artifact)):
            yield note("leftover", _shown(Path(path), ledger), "a side-car without its file; remove it", record.run_id)
    for path in finder.tagged:
        if path not in named and not ledger.at(os.fsencode(path)) and not os.path.lexists(path + naming.SIDECAR):
            told = "its name carries a tag, and no run of this vault made a file here; `reprokit verify FILE` looks by content"
            yield note("unrecorded", _shown(Path(path), ledger), told)


def _shown(path: Path, ledger: Ledger) -> str:
    """Give a path as records have it."""
    found = os.path.relpath(os.path.abspath(path), ledger.root)
    return os.path.abspath(path) if found.startswith("..") else found.replace(os.sep, "/")
