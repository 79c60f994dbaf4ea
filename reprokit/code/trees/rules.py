"""Which files of a folder a walk lets through: exclude files, and what the user's own repository tracks beyond them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import msgspec

from reprokit import git
from reprokit.code import source
from reprokit.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reprokit.code.trees.store import Store


class Rules(msgspec.Struct, frozen=True):
    """What the user's repository says."""

    forced: tuple[str, ...] = ()  # tracked although an exclude file names them
    submodules: dict[str, str] = {}  # path -> the commit that is to be checked out there
    folders: tuple[str, ...] = ()  # those of tracked files
    excludes: str | None = None  # the user's own exclude file
    problem: str | None = None  # why the repository could not be asked


def ask(root: Path, place: git.Place | None) -> Rules:
    """Ask the repository that holds a folder; only its index and config are read."""
    if place is None or place.bare:
        return Rules(excludes=_excludes_file(git.start(root, *_CONFIG, environ={"GIT_CEILING_DIRECTORIES": str(root)})))
    environ = place.pinned()
    try:
        asked = [git.start(root, *args, environ=environ) for args in (_CONFIG, _IGNORED, _STAGED)]
    except GitError as error:
        return Rules(problem=str(error))
    excludes = _excludes_file(asked[0])
    try:
        ignored, staged = git.outputs(asked[1:])
    except GitError as error:
        return Rules(excludes=excludes, problem=str(error))
    tracked = [line.partition("\t") for line in _split(staged) if line]
    links = {path: facts.split()[1] for facts, _, path in tracked if facts.startswith("160000 ")}
    folders = {path.rpartition("/")[0] for _, _, path in tracked}
    folders |= {os.fspath(above) for folder in folders for above in PurePosixPath(folder).parents} - {"."}
    return Rules(tuple(filter(None, _split(ignored))), links, tuple(sorted(folders - {""})), excludes)


_IGNORED = ("ls-files", "-z", "-c", "-i", "--exclude-standard")
_STAGED = ("ls-files", "-z", "--stage")
_CONFIG = ("config", "-z", "--show-scope", "--type=path", "--get-all", "core.excludesFile")


def _excludes_file(asked: git.Process) -> str | None:
    """Read the user's setting; the repository's own might name any file, whose text would then lie in the vault."""
    try:
        fields = _split(asked.output(none=1))
    except GitError:
        return None
    found = [path for scope, path in zip(fields[::2], fields[1::2], strict=False) if scope not in {"local", "worktree"}]
    return found[-1] if found else None


def _split(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogateescape").split("\0")


def excludes(store: Store, root: Path, place: git.Place | None, vault: Path | None, rules: Rules) -> Path:
    """Write what the repository's own and the user's exclude files say, for the store reads neither; raises `OSError`."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    files: list[str | os.PathLike[str]] = [
        os.path.join(root, rules.excludes) if rules.excludes else os.path.join(home, "git", "ignore"),
        *([place.common_dir / "info" / "exclude"] if place else []),
    ]
    lines = []
    for path in files:
        with contextlib.suppress(OSError), open(path, "rb") as stream:
            lines.append(stream.read())
    inside = source.relative_to(vault, root) if vault is not None else None
    if inside and inside != ".":
        lines.append(b"/" + _escaped(inside) + b"/")
    lines.append(b"__pycache__/\n*.pyc\n")
    data = b"\n".join(lines)
    target = store.path / "info" / f"exclude-{hashlib.sha256(data).hexdigest()[:16]}"
    if not target.exists():
        scratch = target.with_name(f"{target.name}.{os.getpid()}")
        scratch.write_bytes(data)
        os.replace(scratch, target)
    return target


def _escaped(path: str) -> bytes:
    """Write a path so that an exclude file takes it literally (gitignore(5))."""
    return b"".join(b"\\" + bytes((c,)) if c in b"\\*?[! " else bytes((c,)) for c in os.fsencode(path))


def mark(root: Path, place: git.Place | None, folders: Sequence[str], excluded: Path) -> str:
    """Give what changes whenever the answers of `ask`, or an exclude file in one of `folders`, may have.

    The first of the folders is the root itself.
    """
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    own = os.environ.get("GIT_CONFIG_GLOBAL")
    paths = [own] if own else [os.path.expanduser("~/.gitconfig"), os.path.join(home, "git", "config")]
    paths.append("/etc/gitconfig")
    if place is not None:
        paths += [os.path.join(place.git_dir, "index"), os.path.join(place.git_dir, "config.worktree")]
        paths.append(os.path.join(place.common_dir, "config"))
    top = os.fspath(root)
    inner = [os.path.join(top, folder) for folder in folders]
    paths += [f"{folder}/.gitignore" for folder in inner]
    repositories = [folder for folder in inner[1:] if os.path.lexists(f"{folder}/.git")]
    told = json.dumps([excluded.name, *map(stamp, paths), repositories])
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def stamp(path: str | os.PathLike[str]) -> tuple[int, int, int] | None:
    """Give the stat data by which a change of a file shows, None when there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
