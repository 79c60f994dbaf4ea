"""What is found out once per process about a project: repository, tree, machine, packages."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import msgspec

from reprokit.capture import environment, host
from reprokit.capture import git as git_capture
from reprokit.code import loaded
from reprokit.errors import DirtyRepositoryError, ReprokitError
from reprokit.model import digest as digests

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.model.records import GitInfo, SnapshotInfo
    from reprokit.model.redact import Redactor
    from reprokit.recorder.plan import SnapshotSpec
    from reprokit.settings import Settings
    from reprokit.vault.layout import Vault

NO_GIT = "nogit"


class Facts:
    """Code and machine of a project.

    The repository's state is asked for when this is made; diff, tree and packages when first needed.
    """

    def __init__(self, settings: Settings, vault: Vault, redactor: Redactor) -> None:
        self._settings = settings
        self._vault = vault
        self._redactor = redactor
        self._lock = threading.RLock()
        self._trees: dict[tuple[tuple[str, ...], tuple[str, ...]], SnapshotInfo] = {}
        self._diffs: dict[str, str] | None = None
        self._told = self._told_stale = False
        self.apart: dict[str, Facts] = {}  # the same, for code that was imported apart; by the tree's private name
        self.unknown: dict[str, str] = {}
        self.python_path = loaded.python_path(settings.root)
        asked = git_capture.begin(settings.root, dirty=settings.dirty, vault=vault.path)
        # git looks at its files while this process looks at its own.
        self.platform = host.platform_info()
        self.cpu = host.cpu() if settings.include_cpu else None
        self.memory = host.memory()
        self.gpus = host.gpus()
        self.packages = environment.packages() if settings.capture_packages else []
        self.git: dict[str, GitInfo] = {}
        self.stale = loaded.stale(settings.root, host.process_age())
        self.name, self.own = self._collect(asked)

    def _collect(self, asked: git_capture.Asked) -> tuple[str, GitInfo | None]:
        settings = self._settings
        name = next(
            (n for n, path in settings.repositories.items() if path in (".", "")), settings.root.name or "project"
        )
        own = asked.result()
        if own is not None:
            self.git[name] = own
        for other, path in settings.repositories.items():
            if other != name:
                found = git_capture.capture(settings.root / path, dirty=settings.dirty, vault=self._vault.path)
                if found is not None:
                    self.git[other] = msgspec.structs.replace(found, path=path)
        return name, own

    @property
    def sha(self) -> str | None:
        """Full id of the commit that is checked out."""
        return self.own.sha if self.own else None

    def commit(self, *, tree: bool) -> str:
        """Give the commit as names have it.

        Parameters
        ----------
        tree
            Whether a dirty state must be told apart from other dirty states: then the tree is kept and its digest
            becomes part of the answer.
        """
        own = self.own
        if own is None or own.sha is None or own.dirty is None:
            return NO_GIT
        if not own.dirty:
            return own.sha[:7]
        if not tree:
            return f"{own.sha[:7]}-dirty"
        return f"{own.sha[:7]}-dirty-{digests.short(self.tree().digest)}"

    def require_clean(self) -> None:
        """Refuse a dirty repository.

        Raises
        ------
        DirtyRepositoryError
            With the files that make it dirty.
        """
        if self.own is not None and self.own.dirty:
            raise DirtyRepositoryError(str(self._settings.root), tuple(self.own.changed))

    def why_no_git(self) -> str | None:
        """Say once why names hold ``nogit``, for one warning per process."""
        if self._told or self.commit(tree=False) != NO_GIT:
            return None
        self._told = True
        root = self._settings.root
        if self.own is None:
            return (
                f"{root} is in no git repository, so names hold 'nogit' and the code is not traceable; run `git init`"
            )
        why = self.own.unknown.get("sha") or self.own.unknown.get("dirty") or "it has no commit yet"
        return f"{root}: {why}; names hold 'nogit'"

    def why_stale(self) -> str | None:
        """Say once which files are no longer what runs, for one warning per process."""
        if not self.stale or self._told_stale:
            return None
        self._told_stale = True
        these = ", ".join(self.stale[:5]) + (", ..." if len(self.stale) > 5 else "")
        were = "was" if len(self.stale) == 1 else "were"
        return f"{these} {were} edited after this process had imported it; the code on disk, which is recorded, isn't what runs"

    def tree(self, spec: SnapshotSpec | None = None) -> SnapshotInfo:
        """Keep the tree that is on disk, once per process and choice of files, and give its digest.

        Raises
        ------
        ReprokitError, OSError
            When it cannot be kept.
        """
        include, exclude = (spec.include, spec.exclude) if spec else ((), ())
        with self._lock:
            if (include, exclude) not in self._trees:
                self._trees[include, exclude] = self._keep(self._settings.root, spec)
            return self._trees[include, exclude]

    def _keep(self, root: Path, spec: SnapshotSpec | None) -> SnapshotInfo:
        from reprokit.code.tree import TreeStore

        return TreeStore(self._vault.code).keep(
            root,
            max_file_size=self._settings.max_file_size,
            vault=self._vault.path,
            include=spec.include if spec else (),
            exclude=spec.exclude if spec else (),
            template=self._settings.template,
        )

    def write_diffs(self, folder: Path) -> None:
        """Put ``<repository>.diff`` of each dirty repository into a run folder.

        Written once per process; later run folders get a hard link, or a copy where there are none.
        """
        with self._lock:
            if self._diffs is None:
                self._diffs = {}
                for name, info in list(self.git.items()):
                    if info.dirty:
                        self._diffs[name] = self._first_diff(folder, name, info)
                return
            for name, first in self._diffs.items():
                if first:
                    link_or_copy(first, folder / f"{_safe(name)}.diff")

    def _first_diff(self, folder: Path, name: str, info: GitInfo) -> str:
        target = folder / f"{_safe(name)}.diff"
        root = self._settings.root if name == self.name else self._settings.root / info.path
        try:
            found = git_capture.write_diff(
                root,
                target,
                max_size=self._settings.max_diff_size,
                max_file_size=self._settings.max_file_size,
                vault=self._vault.path,
            )
        except (ReprokitError, OSError) as error:
            self.git[name] = msgspec.structs.replace(info, unknown={**info.unknown, "diff": str(error)})
            return ""
        self.git[name] = msgspec.structs.replace(info, diff=target.name, diff_digest=found.digest)
        return str(target)


def _safe(name: str) -> str:
    return "".join(c if c.isalnum() or c in "._-" else "_" for c in name).lstrip(".") or "repository"


def link_or_copy(source: str, target: Path) -> None:
    """Put a file at another place too."""
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        import shutil

        shutil.copyfile(source, target)
