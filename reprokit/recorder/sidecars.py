"""The side-car: ``<artifact>.run.json`` beside each artifact leads from a lone file back to its run."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.errors import RecordError
from reprokit.model import naming
from reprokit.model.records import SideCar
from reprokit.vault import atomic, documents

if TYPE_CHECKING:
    from reprokit.context import Context
    from reprokit.model.records import ArtifactRecord, Status


def path_of(artifact: str) -> str:
    """Where the side-car of an artifact lies."""
    return naming.sidecar_name(artifact.rstrip("/\\") if len(artifact) > 1 else artifact)


def read(artifact: str) -> SideCar | None:
    """Read an artifact's side-car; None when there is none, or none that can be read."""
    try:
        return documents.read(Path(path_of(artifact)), SideCar)
    except (FileNotFoundError, RecordError):
        return None


def write(
    artifact: ArtifactRecord,
    path: str,
    *,
    context: Context,
    status: Status,
    command: list[str] | None,
    sha: str | None,
    config: object,
    vault: Path,
    version: str,
    reused_from: str | None,
) -> None:
    """Write the side-car of the artifact at the absolute `path`.

    Whole or not at all, but not synced to disk: it repeats what the run's own record says (decision 5).

    Raises
    ------
    OSError
        When its folder refuses.
    """
    folder = os.path.dirname(path)
    record = SideCar(
        run_id=context.run_id,
        root_id=context.root_id,
        function=context.function,
        command=command,
        commit=artifact.commit,
        config_hash=artifact.config_hash or context.config_hash,
        config=config,
        artifact=artifact,
        started_at=context.started_at.isoformat(),
        status=status,
        sha=sha,
        snapshot=context.snapshot,
        vault=_relative(vault, folder),
        run_folder=context.folder.name if context.folder else "",
        reused_from=reused_from,
        reprokit_version=version,
    )
    atomic.write(path_of(path), documents.encode(record), mode=0o644, sync=False)


@functools.lru_cache(maxsize=256)
def _relative(vault: Path, folder: str) -> str:
    try:
        text = os.path.relpath(vault, folder)
    except ValueError:  # another drive
        text = str(vault)
    return text.replace(os.sep, "/").encode("utf-8", "backslashreplace").decode()
