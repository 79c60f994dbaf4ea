"""Where a repository is, what of its config is switched off, and what its status says."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from reprokit.git.process import EMPTY, run, start

# In a section's name nothing can be escaped, so a config that has none of these words defines no filter.
_SUSPECT = re.compile(rb"filter|include|lfs.*extension", re.IGNORECASE | re.DOTALL)
_FILTER = re.compile(r"filter\.(.+)\.(clean|smudge|process|required)\Z", re.DOTALL)
_LFS = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
    "filter.lfs.required": "true",
}
_LFS_EXTENSION = re.compile(r"lfs\.extension\.", re.IGNORECASE)  # programs that git-lfs runs
# --- where -----------------------------------------------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True):
    """A repository on disk, found without running git."""

    top: Path  # working tree, or the repository itself when bare
    git_dir: Path
    common_dir: Path  # differs from git_dir in a linked worktree
    bare: bool = False

    def pinned(self) -> dict[str, str]:
        """Give the environment in which git finds this repository or none, but no other one further up."""
        return {"GIT_CEILING_DIRECTORIES": str(self.top.parent)}


def locate(start_at: str | os.PathLike[str]) -> Place | None:
    """Find the repository that holds a folder; only files are looked at."""
    folder = Path(os.path.abspath(start_at))
    for candidate in (folder, *folder.parents):
        dot_git = candidate / ".git"
        # An empty folder of that name is none to git either.
        if os.path.lexists(dot_git / "HEAD"):
            return _place(candidate, dot_git)
        if dot_git.is_file():
            try:
                text = dot_git.read_text(errors="surrogateescape")
            except OSError:
                return Place(candidate, dot_git, dot_git)
            target = text.partition("gitdir:")[2].strip()
            return _place(candidate, Path(os.path.normpath(candidate / target)))
        if os.path.lexists(candidate / "HEAD") and (
            (candidate / "commondir").is_file() or ((candidate / "objects").is_dir() and (candidate / "refs").is_dir())
        ):
            return msgspec.structs.replace(_place(candidate, candidate), bare=True)
    return None


def _place(top: Path, git_dir: Path) -> Place:
    try:
        common = Path(os.path.normpath(git_dir / (git_dir / "commondir").read_text().strip()))
    except (OSError, ValueError):
        common = git_dir
    return Place(top, git_dir, common)


def operation(git_dir: Path) -> str | None:
    """Name the operation that is in progress, such as a merge."""
    marks = {
        "rebase-merge": "rebase",
        "rebase-apply": "rebase",
        "MERGE_HEAD": "merge",
        "CHERRY_PICK_HEAD": "cherry-pick",
        "REVERT_HEAD": "revert",
        "BISECT_LOG": "bisect",
    }
    return next((word for mark, word in marks.items() if (git_dir / mark).exists()), None)


def filter_switches(place: Place) -> tuple[str, ...]:
    """Switch off the filters that the repository's own config defines: comparing files would run them.

    Those of the user's global config are the user's, and Git LFS is left on where no extension of it is configured.
    Raises `GitError`.
    """
    if not any(
        _SUSPECT.search(_bytes_of(path)) for path in {place.common_dir / "config", place.git_dir / "config.worktree"}
    ):
        return ()
    args = ("config", "-z", "--show-scope", "--includes", "--list")
    fields = run(place.top, *args, environ=place.pinned()).decode("utf-8", "surrogateescape").split("\0")
    own: dict[str, set[str]] = {}
    trusted: dict[str, str] = {}
    extended = False
    for scope, entry in zip(fields[::2], fields[1::2], strict=False):
        key, _, value = entry.partition("\n")
        local = scope in {"local", "worktree"}
        extended = extended or (local and _LFS_EXTENSION.match(key) is not None)
        if _FILTER.match(key):
            if local:
                own.setdefault(key, set()).add(value)
            else:
                trusted[key] = value
    off = {key: trusted.get(key, "") for key, values in own.items() if extended or values != {_LFS.get(key)}}
    if extended:
        off.update(dict.fromkeys(_LFS, ""))
    return tuple(part for key, value in off.items() for part in _switch(key, value))


def _switch(key: str, value: str) -> tuple[str, ...]:
    if "=" in key:
        return (f"--config-env={key}={EMPTY}",)
    return ("-c", f"{key}={value or ('false' if key.endswith('.required') else '')}")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


# --- status ----------------------------------------------------------------------------------------------------------


class Entry(msgspec.Struct, frozen=True):
    """A path that differs from HEAD."""

    path: str
    state: str  # two letters as git has them, "??" for untracked, "u" in front when unmerged
    submodule: str = "N..."
    origin: str | None = None  # before a rename


class Status(msgspec.Struct, frozen=True):
    """What one ``git status`` tells."""

    oid: str | None  # None: no commit yet
    branch: str | None  # None: detached
    entries: tuple[Entry, ...]


# Git would compare the files of a submodule by a process that none of our switches reach: `submodules` names those to ask.
STATUS = (
    "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames", "--no-ahead-behind",
    "--ignore-submodules=dirty",
)  # fmt: skip


def parse_status(data: bytes) -> Status:
    """Read the output of `STATUS` (git-status(1), porcelain format version 2)."""
    oid = branch = None
    entries: list[Entry] = []
    fields = iter(data.decode("utf-8", "surrogateescape").split("\0"))
    for line in fields:
        kind = line[:2]
        if kind == "# ":
            _, key, value = line.split(" ", 2)
            if key == "branch.oid" and value != "(initial)":
                oid = value
            elif key == "branch.head" and value != "(detached)":
                branch = value
        elif kind == "1 ":
            parts = line.split(" ", 8)
            entries.append(Entry(parts[8], parts[1], parts[2]))
        elif kind == "2 ":
            parts = line.split(" ", 9)
            entries.append(Entry(parts[9], parts[1], parts[2], next(fields, None)))
        elif kind == "u ":
            parts = line.split(" ", 10)
            entries.append(Entry(parts[10], "u" + parts[1], parts[2]))
        elif kind == "? ":
            entries.append(Entry(line[2:], "??"))
    return Status(oid, branch, tuple(entries))


def submodules(place: Place) -> list[str]:
    """List the submodules that ``.gitmodules`` declares and that are checked out, relative to the top.

    Raises `GitError`.
    """
    declared = place.top / ".gitmodules"
    if place.bare or not declared.is_file() or declared.is_symlink():
        return []
    args = ("config", "-z", "--no-includes", "-f", ".gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    out = start(place.top, *args, environ=place.pinned()).output(none=1).decode("utf-8", "surrogateescape")
    paths = {entry.partition("\n")[2].rstrip("/") for entry in out.split("\0") if entry}
    there = [path for path in paths if os.path.lexists(place.top / path / ".git") and _below(place.top, path)]
    if not there:
        return []
    listed = run(
        place.top, "--literal-pathspecs", "ls-files", "-z", "--stage", "--", *there, environ=place.pinned()
    ).decode("utf-8", "surrogateescape")  # fmt: skip
    return sorted({e.partition("\t")[2] for e in listed.split("\0") if e.startswith("160000 ")} & set(there))


def _below(top: Path, path: str) -> bool:
    """Tell whether a path leads to a folder within `top` without a link on the way."""
    real = os.path.realpath(top)
    inside = os.path.normpath(os.path.join(real, path))
    return inside.startswith(real.rstrip(os.sep) + os.sep) and os.path.realpath(top / path) == inside


def parse_remotes(data: bytes) -> list[tuple[str, str]]:
    """Read the output of ``git config -z --get-regexp`` for remote URLs."""
    found = []
    for entry in data.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        if key.startswith("remote.") and key.endswith(".url"):
            found.append((key[len("remote.") : -len(".url")], value))
    return found
