"""Carrying a plan out, so that a kill at any instant leaves a vault that is whole, and that the next call finishes.

A run's folder gets a hidden name first: from that instant on it is none of the vault's runs.  Then the journal is told,
and only then anything in it is deleted.  Source trees and blobs go when no run refers to them any more, blobs last.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat as modes
import time
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from filelock import FileLock, Timeout

from reprokit.catalog.gc import planning, results
from reprokit.catalog.gc.policy import RunItem
from reprokit.catalog.gc.reading import stamp
from reprokit.catalog.gc.rest import REMOVED
from reprokit.code.trees import removal as trees
from reprokit.code.trees.store import REFS, Store
from reprokit.errors import BusyVaultError, GitError, VaultError
from reprokit.model import digest as digests
from reprokit.model.records import JournalLine
from reprokit.vault import atomic
from reprokit.vault.blobs import blob_path
from reprokit.vault.journal import Appender
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.catalog.gc.policy import BlobItem, FileItem, LostRun, Plan, TreeItem

LOCK = ".gc.lock"


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, and what was to be and is not.

    Attributes
    ----------
    runs, trees, blobs, files, results
        How many went; of results, lines of ``reuse/``.
    size : int
        Bytes that were freed.
    left : list of str
        What stayed, with the reason.
    """

    runs: int
    trees: int
    blobs: int
    files: int
    size: int
    left: list[str]
    results: int = 0


def remove(plan: Plan, *, progress: Callable[[str, int, int], None] | None = None) -> Removed:
    """Carry out a plan.

    The vault is read once more first, and what is needed by now stays.

    Raises
    ------
    BusyVaultError
        When another process removes things from this vault.
    UnreadableVaultError
        When something in the vault can't be read by now.
    VaultError
        When the vault can't be written.
    """
    place = Vault(plan.vault)
    try:
        with FileLock(place.path / LOCK, timeout=0):
            return _Removal(place, progress).carry_out(_still(plan, progress))
    except Timeout as error:
        raise BusyVaultError(
            str(place.path), "another `reprokit gc` is at work in this vault; wait until it is done"
        ) from error
    except VaultError:
        raise
    except OSError as error:
        raise VaultError(
            str(place.path), f"cannot remove anything: {error.strerror or error}; the vault has to be writable for it"
        ) from error


def _still(plan: Plan, progress: Callable[[str, int, int], None] | None) -> Plan:
    """Plan once more, and keep to what both plans name."""
    policy = plan.policy
    now = planning.plan(
        plan.vault,
        keep_last=policy.keep_last,
        keep_days=policy.keep_days,
        keep_tagged=policy.keep_tagged,
        only_tagged=policy.only_tagged,
        root=plan.root,
        template=plan.template,
        grace=policy.grace,
        results_unused=policy.results_unused,
        progress=progress,
    )
    runs, trees, blobs = ({_key(one) for one in group} for group in (plan.runs, plan.trees, plan.blobs))
    files = {file.path for file in plan.files}
    return msgspec.structs.replace(
        now,
        runs=tuple(one for one in now.runs if _key(one) in runs),
        trees=tuple(one for one in now.trees if _key(one) in trees),
        blobs=tuple(one for one in now.blobs if _key(one) in blobs),
        files=tuple(one for one in now.files if one.path in files),
        results=results.still(plan, now),
    )


def _key(one: RunItem | TreeItem | BlobItem) -> str:
    return one.run_id if isinstance(one, RunItem) else one.digest


class _Removal:
    def __init__(self, vault: Vault, progress: Callable[[str, int, int], None] | None) -> None:
        self._vault, self._progress = vault, progress
        self._size = 0
        self._left: list[str] = []

    def carry_out(self, plan: Plan) -> Removed:
        """Remove everything that a plan names, in this order."""
        hidden = self._hide(plan.runs)
        self._tell_journal([*((run.run_id, run.folder) for run, _ in hidden), *_ids(plan.lost)])
        for number, (run, path) in enumerate(hidden):
            self._say("removing", number, len(hidden))
            self._delete(path, run.size)
        lines = results.Removal(self._vault)  # before the blobs that they refer to
        lines.carry_out(plan.results, {run.run_id for run, _ in hidden})
        self._left += lines.left
        kept_trees = self._trees(plan)
        blobs = self._blobs(plan.blobs, plan.policy.grace)
        files = self._files(plan.files)
        return Removed(
            runs=len(hidden),
            trees=len(plan.trees) - kept_trees,
            blobs=blobs,
            files=files + lines.files,
            size=self._size + lines.size,
            left=self._left,
            results=lines.lines,
        )

    def _say(self, what: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(what, done, total)

    # --- runs --------------------------------------------------------------------------------------------------------

    def _hide(self, runs: tuple[RunItem, ...]) -> list[tuple[RunItem, Path]]:
        """Take runs out of the vault, each at one instant; one that changed since it was looked at stays."""
        hidden = []
        for run in runs:
            path = self._vault.runs / run.folder
            target = self._vault.runs / f"{REMOVED}{run.folder}"
            try:
                if stamp(path)[0] != run.stamp:
                    self._left.append(f"run {run.run_id[:8]}: it was marked or written just now")
                    continue
                os.rename(path, target)
                if stamp(target)[0] != run.stamp:  # a tag came in between
                    os.rename(target, path)
                    self._left.append(f"run {run.run_id[:8]}: it was marked just now")
                    continue
            except FileNotFoundError:
                continue
            except OSError as error:
                self._left.append(f"run {run.run_id[:8]}: {error.strerror or error}")
                continue
            hidden.append((run, target))
        if hidden:
            atomic.sync_folder(str(self._vault.runs))
        return hidden

    def _tell_journal(self, gone: list[tuple[str, str]]) -> None:
        """Note that runs were removed; the lines last before anything is deleted."""
        if not gone:
            return
        journal = Appender(self._vault.journal, "", platform.node())
        now = datetime.now().astimezone().isoformat()
        try:
            for run_id, folder in gone:
                journal.append(JournalLine(event="remove", run_id=run_id, folder=folder, timestamp=now))
            journal.close(sync=True)
        finally:
            journal.close()
        atomic.sync_folder(str(self._vault.journal))

    # --- source trees ------------------------------------------------------------------------------------------------

    def _trees(self, plan: Plan) -> int:
        """Remove source trees; give how many stayed."""
        if not plan.repack:
            return 0
        self._say("trees", 0, 0)
        store = Store(self._vault.code)
        try:
            with trees.alone(store):
                go = [(digests.hex_of(one.digest), one.commit) for one in plan.trees]
                go = [(digits, commit) for digits, commit in go if self._unasked(store, digits, plan.policy.grace)]
                trees.drop(store, go)
                before = _packed(store)
                trees.pack(store)
                self._size += max(before - _packed(store), 0)
                return len(plan.trees) - len(go)
        except (BusyVaultError, GitError) as error:
            self._left.append(f"source trees: {error.args[1]}")
        return len(plan.trees)

    def _unasked(self, store: Store, digits: str, grace: float) -> bool:
        """Tell whether nobody has asked for a tree just now: a run that refers to it is about to be written."""
        try:
            return time.time() - (store.path / REFS / digits).stat().st_mtime >= grace
        except OSError:  # packed
            return True

    # --- blobs and the rest ------------------------------------------------------------------------------------------

    def _blobs(self, blobs: tuple[BlobItem, ...], grace: float) -> int:
        number = 0
        for blob in blobs:
            path = blob_path(self._vault.blobs, blob.digest)
            target = path.with_name(f"{REMOVED}{path.name}")
            try:
                if time.time() - path.lstat().st_mtime < grace:
                    continue
                os.rename(path, target)
                if time.time() - target.lstat().st_mtime < grace:  # asked for in between
                    os.rename(target, path)
                    continue
            except FileNotFoundError:
                continue
            except OSError as error:
                self._left.append(f"blob {blob.digest[:15]}: {error.strerror or error}")
                continue
            number += self._delete(target, blob.size)
        return number

    def _files(self, files: tuple[FileItem, ...]) -> int:
        return sum(self._delete(self._vault.path / file.path, file.size) for file in files)

    def _delete(self, path: Path, size: int) -> bool:
        """Delete a file or folder; links in it are not followed."""
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, onerror=_writable)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            self._left.append(f"{path}: {error.strerror or error}")
            return False
        self._size += size
        return True


def _ids(lost: tuple[LostRun, ...]) -> list[tuple[str, str]]:
    return [(run.run_id, run.folder) for run in lost]


def _packed(store: Store) -> int:
    with os.scandir(store.objects / "pack") as entries:
        return sum(entry.stat().st_size for entry in entries if entry.name.startswith("pack-"))


def _writable(function: Callable[[str], object], path: str, _: object) -> None:
    """Try once more when a folder may not be written: run folders may hold what their users made read-only."""
    for one in (os.path.dirname(path), path):
        if not os.path.islink(one):
            os.chmod(one, os.stat(one).st_mode | modes.S_IRWXU)
    function(path)
