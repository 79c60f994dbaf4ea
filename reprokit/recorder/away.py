"""Child runs in a worker, whose parent is open in another process, perhaps on another machine.

What they would write into the root run's folder is gathered here, and goes back with the task's result.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit import process
from reprokit.capture import environment, host
from reprokit.errors import CaptureError, VaultError
from reprokit.model.records import StepRecord
from reprokit.recorder import surroundings
from reprokit.recorder.closures import closure_of
from reprokit.recorder.facts import Facts
from reprokit.recorder.project import Project
from reprokit.recorder.trunk import Trunk
from reprokit.vault import documents
from reprokit.vault.runfolder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.model.records import ClosureInfo, SnapshotInfo
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.origin import Origin
    from reprokit.recorder.plan import Plan, Refresh, SnapshotSpec, Subject


class AwayFolder(RunFolder):
    """Stands for the root run's folder during one task."""

    __slots__ = ("_lines", "_made")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: list[bytes] = []
        self._made: Path | None = None

    @property
    def path(self) -> Path:  # type: ignore[override]
        """A scratch folder, made when first asked for: most tasks write no files."""
        with self._lock:
            if self._made is None:
                self._made = Path(tempfile.mkdtemp(prefix="reprokit-task-"))
            return self._made

    def append_lines(self, lines: bytes) -> None:
        """Keep lines of child runs."""
        self._lines.append(lines)

    def steps(self) -> Iterator[StepRecord]:
        """Give the lines of child runs that are kept."""
        for line in b"".join(self._lines).splitlines():
            yield documents.decode(line, StepRecord, "what a task records")

    def take(self) -> tuple[bytes, dict[str, bytes]]:
        """Give all lines and files, and forget them."""
        lines, self._lines = b"".join(self._lines), []
        files: dict[str, bytes] = {}
        made, self._made = self._made, None
        if made is not None:
            for place, _, names in os.walk(made):
                for name in names:
                    path = Path(place, name)
                    files[path.relative_to(made).as_posix()] = path.read_bytes()
            shutil.rmtree(made, ignore_errors=True)
        return lines, files


class AwayFacts(Facts):
    """The machine as it is here; the code as the sender tells."""

    def __init__(self, origin: Origin, project: AwayProject) -> None:
        self._settings, self._vault, self._redactor = project.settings, project.vault, project.redactor
        self._origin = origin
        self.apart = {}
        self.unknown = {}
        self.python_path = origin.python_path
        self.platform = host.platform_info()
        self.cpu = host.cpu()
        self.memory = host.memory()
        self.gpus = host.gpus()
        self.packages = environment.packages()
        self.git = {origin.name: origin.own} if origin.own else {}
        self.name, self.own = origin.name, origin.own
        self.stale = []

    def commit(self, *, tree: bool) -> str:
        """Give the sender's commit."""
        if tree and self._origin.tree_commit is None:
            raise CaptureError(
                "the tree of the uncommitted changes could not be kept by the process that sent the task"
            )
        return (tree and self._origin.tree_commit) or self._origin.commit

    def why_no_git(self) -> str | None:
        """Say nothing: the sender has said it."""
        return None

    def why_stale(self) -> str | None:
        """Say nothing, for the same reason."""
        return None

    def tree(self, spec: SnapshotSpec | None = None) -> SnapshotInfo:
        """Give the sender's snapshot.

        Raises
        ------
        CaptureError
            When it kept none, or one of other files.
        """
        if self._origin.snapshot is None or (spec is not None and (spec.include or spec.exclude)):
            raise CaptureError(
                "the process that sent the task keeps no such snapshot; put snapshot_code on its own run"
            )
        return self._origin.snapshot

    def write_diffs(self, folder: Path) -> None:
        """Write none: they lie in the root run's folder."""


class AwayProject(Project):
    """The sender's project, seen from a worker; on another machine paths are absolute, and there is no vault."""

    def __init__(self, origin: Origin) -> None:
        here = origin.machine == process.machine() and os.path.isdir(origin.root)
        super().__init__(origin.read_settings(Path(origin.root)))
        self.elsewhere = None if here else self.process.host
        self._facts = AwayFacts(origin, self)
        self.environment = environment.digest()

    def facts(self, refresh: Refresh | None = None) -> Facts:
        """Give what the sender told."""
        assert self._facts is not None
        return self._facts

    def relative(self, path: str) -> str:
        """Give a path as records have it."""
        return path if self.elsewhere else super().relative(path)

    def ensure_vault(self) -> None:
        """Make sure of the vault; raises `VaultError` when it is on another machine."""
        if self.elsewhere:
            raise VaultError(
                str(self.vault.path), f"the vault is on another machine than this worker ({self.elsewhere})"
            )
        super().ensure_vault()


class AwayTrunk(Trunk):
    """What the child runs of one task share.

    Parameters
    ----------
    origin
        The run that sent the task.
    project
        Its project, seen from here.
    bundle
        Digest of the code that was sent, as it was found here.
    closure_digest
        Of the task's function, as the sender computed it.
    sender_id
        Id of the run, the root or one of its children, that sent the task.
    """

    __slots__ = ("_closure_digest", "origin", "sender_id")

    def __init__(
        self, origin: Origin, project: AwayProject, bundle: str | None, closure_digest: str | None, sender_id: str
    ) -> None:
        super().__init__(project, project.facts(), AwayFolder(), origin.root_id)
        self.origin = origin
        self.bundle = bundle
        self.environment = project.environment
        self._closure_digest = closure_digest
        self.sender_id = sender_id

    @property
    def path(self) -> Path | None:
        """There is no folder of the run here."""
        return None

    @property
    def name(self) -> str:
        """Name of the root run's folder, in the sender's vault."""
        return self.origin.folder

    def closure(self, plan: Plan, subject: Subject, faults: Faults) -> tuple[str | None, ClosureInfo | None]:
        """Give the closure; that of the task's own function is known by its digest."""
        if subject.target is None:
            return self._closure_digest, None
        if self.project.elsewhere:
            return None, None
        found = closure_of(plan, subject, self.project, faults)
        return (found.digest, found) if found is not None else (None, None)

    def take(self) -> tuple[bytes, dict[str, bytes]]:
        """Give what the task's runs recorded."""
        assert isinstance(self.folder, AwayFolder)
        return self.folder.take()


def describe_environment(project: AwayProject) -> tuple[str, bytes]:
    """Give name and content of the document that tells about this process's surroundings."""
    facts = project.facts()
    record = surroundings.describe(project, facts, facts.commit(tree=False))
    return f"context-{project.environment.rpartition(':')[2][:16]}.json", documents.encode(record)
