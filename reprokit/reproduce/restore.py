"""The fresh folder that a run is repeated in: its code and its inputs, and nothing of the user's is touched."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit import process
from reprokit.code import commit
from reprokit.code.tree import TreeStore
from reprokit.errors import ReproduceError
from reprokit.reproduce.inputs import family_of
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.reproduce.code import Source
    from reprokit.reproduce.plan import Plan

_PREFIX = "reprokit-reproduce-"
_OWNER = "owner.json"


@contextlib.contextmanager
def scratch(keep: Path | None) -> Iterator[Path]:
    """Make a folder for one reproduction; it is gone afterwards, unless it is to be kept.

    Folders whose process was killed are removed on the way.
    """
    _sweep(Path(tempfile.gettempdir()))
    if keep is not None:
        if keep.exists() and any(keep.iterdir()):
            raise ReproduceError(str(keep), "is there already and not empty; name a new folder")
        keep.mkdir(parents=True, exist_ok=True)
        yield keep.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX)).resolve()
    try:
        owner = {"pid": os.getpid(), "started": _started(os.getpid()), "machine": process.machine()}
        (folder / _OWNER).write_text(json.dumps(owner))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        try:
            owner = json.loads((folder / _OWNER).read_bytes())
            gone = owner["machine"] == process.machine() and _started(int(owner["pid"])) != owner["started"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if gone:
            shutil.rmtree(folder, ignore_errors=True)


def _started(pid: int) -> float | None:
    try:
        return process.started(pid)
    except ProcessLookupError:
        return None


def restore(plan: Plan, folder: Path) -> list[str]:
    """Write code and inputs into a folder that does not exist yet; give what could not be done, for the best effort.

    Raises
    ------
    GitError, TreeNotFoundError, OSError
    """
    problems: list[str] = []
    if plan.source is None:
        folder.mkdir(parents=True)
        problems.append("the code was not restored")
    else:
        _check_space(plan, folder.parent)
        _code(plan.source, plan.vault, folder)
    for wanted in plan.inputs:
        if wanted.found is None:
            if wanted.missing:
                problems.append(f"input {wanted.path} was missing")
            continue
        target = folder / wanted.path
        if os.path.isabs(wanted.path):
            inside = os.path.relpath(wanted.path, plan.run.root.pre.root_directory)
            if inside.startswith(".."):
                continue  # it is read where it lies
            target = folder / inside
        if not os.path.lexists(target):
            _copy(wanted.found, target)
        elif wanted.how == "given, other" or not _equal(wanted.found, target):
            _replace(wanted.found, target)
    _make_room(plan, folder)
    return problems


def _make_room(plan: Plan, folder: Path) -> None:
    """Make the folders that outputs went to: git keeps no empty ones, and seldom those of results."""
    for run in family_of(plan.run, whole=plan.together):
        for record in run.artifacts:
            place = os.path.normpath(os.path.join(folder, record.path, os.pardir))
            if record.role != "used" and place.startswith(str(folder) + os.sep):
                os.makedirs(place, exist_ok=True)


def _check_space(plan: Plan, place: Path) -> None:
    """Say before it begins that there is too little room: git's own message names only a file."""
    snapshot = plan.facts.snapshot
    needed = (snapshot.size or 0) if snapshot is not None else 0
    needed += sum(one.size or 0 for one in plan.inputs if one.found is not None)
    free = shutil.disk_usage(place).free
    if needed > free:
        raise ReproduceError(
            str(place),
            f"has no space for code and inputs: {needed:,} bytes, {free:,} are free; --into names another folder",
        )


def _code(source: Source, vault: Path, folder: Path) -> None:
    if source.tree is not None:
        TreeStore(Vault(vault).code).export(source.tree, folder)
        return
    assert source.commit is not None
    assert source.root is not None
    commit.export(source.root, source.commit, folder)
    if source.patch is not None and source.patch.stat().st_size:
        from reprokit import git

        # A folder around it that happens to be in a repository is none of git's business.
        alone = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
        git.run(folder, "apply", "--whitespace=nowarn", "--no-ignore-whitespace", str(source.patch), environ=alone)


def _equal(one: Path, other: Path) -> bool:
    from reprokit.capture import files

    return files.digest_path(str(one)) == files.digest_path(str(other))


def _replace(source: Path, target: Path) -> None:
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    else:
        target.unlink()
    _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    """Copy, never link: what the run does to its inputs must not reach the user's."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
        target.chmod(target.stat().st_mode | 0o200)
