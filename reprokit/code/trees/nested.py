"""Repositories within a tree: submodules, worktrees, clones.  Each is kept as a tree of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from reprokit import git
from reprokit.code import source
from reprokit.code.trees import rules
from reprokit.errors import GitError

if TYPE_CHECKING:
    from pathlib import Path

#: Words by which a kept tree names what it does not hold itself.
NESTED = "nested repository"
ABSENT = "nested repository, not checked out: "


class State(msgspec.Struct, frozen=True):
    """What a nested repository says of itself."""

    commit: str | None  # None: it has none yet, or could not be asked
    dirty: bool | None  # None: not known


def mark(place: git.Place) -> list[object]:
    """Give what changes whenever another commit is checked out or staged; only files are looked at."""
    head = _text(place.git_dir / "HEAD")
    ref = head.partition("ref: ")[2].strip()
    return [
        head,
        _text(place.common_dir / ref) if ref and ".." not in ref else "",
        rules.stamp(place.common_dir / "packed-refs"),
        rules.stamp(place.common_dir / "reftable" / "tables.list"),
        rules.stamp(place.git_dir / "index"),
    ]


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:4096].decode("utf-8", "replace")
    except OSError:
        return ""


def ask(place: git.Place, vault: Path | None) -> State:
    """Ask a nested repository for its commit and whether its files differ from that; its config runs nothing."""
    try:
        asked = git.start(place.top, *git.STATUS, switches=git.filter_switches(place), environ=place.pinned())
        told = git.parse_status(asked.output())
    except (GitError, OSError):
        return State(None, None)
    inside = source.relative_to(vault, place.top) if vault is not None else None
    dirty = any(
        not source.within(entry.path.rstrip("/"), inside) and not source.is_derived(entry.path.rstrip("/"))
        for entry in told.entries
    )
    return State(told.oid, dirty)


def absent(root: Path, path: str) -> bool:
    """Tell whether nothing of a submodule is there: no folder, or an empty one."""
    try:
        with os.scandir(os.path.join(root, path)) as found:
            return next(found, None) is None
    except FileNotFoundError:
        return True
    except OSError:
        return False
