"""The source trees of runs as the comparison reads them: a kept snapshot, or a commit with its uncommitted changes."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from reprokit import git
from reprokit.catalog import kept
from reprokit.code.trees.store import Store
from reprokit.errors import GitError, TreeNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reprokit.catalog.diff.facts import Facts
    from reprokit.model.records import GitInfo

SUBMODULE = 0o160000
_CHUNK = 20_000_000  # bytes that are read at once
_LARGEST_PATCH = 200_000_000  # bytes
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")  # anything else may be an option to git
_SWITCHES = ("--no-replace-objects",)


class File(NamedTuple):
    """A file of a tree."""

    mode: int
    oid: str
    size: int  # bytes


class Tree(Protocol):
    """Files by path, relative to the project."""

    @property
    def files(self) -> Mapping[str, File]:
        """What it holds."""
        ...

    @property
    def algorithm(self) -> str:
        """Of the objects' names."""
        ...

    def batch(self, oids: Sequence[str]) -> bytes:
        """Give what ``git cat-file --batch`` says of objects; raises `GitError`."""
        ...


class Missing(Exception):  # noqa: N818 - an outcome, told to the user as a reason
    """A run's source tree is not at hand; the argument says why."""


class KeptTree:
    """A snapshot in the vault."""

    algorithm = "sha256"

    def __init__(self, vault: Path, digest: str) -> None:
        store = kept.store_of(vault)
        self._store = Store(store.path)
        try:
            found = store.files(digest)
        except (TreeNotFoundError, GitError, ValueError) as error:
            raise Missing(str(error)) from error
        self.files = {one.path: File(one.mode, one.oid, one.size) for one in found}

    def batch(self, oids: Sequence[str]) -> bytes:
        return self._store.run("cat-file", "--batch", stdin=_asked(oids))


class CommitTree:
    """A commit of the user's repository, with the patch of its run's uncommitted changes; no checkout, no filter, no hook.

    Parameters
    ----------
    root
        A folder in the repository.
    prefix
        The project's folder in it, with a slash; empty when it is the repository's own.
    patch
        What ``git apply`` takes; applied to an index in `scratch`, where the objects go too.
    """

    def __init__(self, root: Path, sha: str, prefix: str, patch: Path | None, scratch: Path) -> None:
        place = git.locate(root)
        if place is None:
            raise Missing(f"{root} is in no git repository any more")
        self._root = place.top
        self._environ = place.pinned()
        try:
            if patch is not None:
                sha = self._patched(place, sha, patch, scratch)
            listed = self._git("ls-tree", "-r", "-l", "-z", "--full-tree", sha)
        except (GitError, OSError) as error:
            raise Missing(str(error)) from error
        self.files = _listed(listed, prefix)
        self.algorithm = "sha256" if any(len(one.oid) == 64 for one in self.files.values()) else "sha1"

    def _git(self, *args: str, stdin: bytes | None = None) -> bytes:
        return git.run(self._root, *args, stdin=stdin, environ=self._environ, switches=_SWITCHES)

    def _patched(self, place: git.Place, sha: str, patch: Path, scratch: Path) -> str:
        if patch.stat().st_size > _LARGEST_PATCH:
            raise Missing(f"{patch.name} is too large to be applied")
        (scratch / "objects").mkdir(parents=True)
        objects = str(place.common_dir / "objects")
        self._environ = {
            **self._environ,
            "GIT_DIR": str(place.git_dir),
            "GIT_INDEX_FILE": str(scratch / "index"),
            "GIT_OBJECT_DIRECTORY": str(scratch / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": '"' + objects.replace("\\", "\\\\").replace('"', '\\"') + '"',
        }
        self._git("read-tree", sha)
        if patch.stat().st_size:
            self._git("apply", "--cached", "--whitespace=nowarn", "--no-ignore-whitespace", str(patch))
        return self._git("write-tree").decode().strip()

    def batch(self, oids: Sequence[str]) -> bytes:
        return self._git("cat-file", "--batch", stdin=_asked(oids))


def _asked(oids: Sequence[str]) -> bytes:
    return "".join(f"{oid}\n" for oid in oids).encode()


def read(tree: Tree, paths: Iterable[str]) -> Iterator[tuple[str, bytes | None]]:
    """Give the bytes of files of a tree, many for one process; None for those that the repository lacks.

    Raises
    ------
    GitError
    """
    chunk: list[str] = []
    size = 0
    for path in paths:
        if chunk and size + tree.files[path].size > _CHUNK:
            yield from _read(tree, chunk)
            chunk, size = [], 0
        chunk.append(path)
        size += tree.files[path].size
    yield from _read(tree, chunk)


def _read(tree: Tree, paths: list[str]) -> Iterator[tuple[str, bytes | None]]:
    data = tree.batch([tree.files[path].oid for path in paths]) if paths else b""
    at = 0
    for path in paths:
        end = data.index(b"\n", at)
        fields = data[at:end].split()
        if fields[-1] == b"missing":
            yield path, None
            at = end + 1
            continue
        start, at = end + 1, end + 1 + int(fields[2])
        yield path, data[start:at]
        at += 1


def _listed(listed: bytes, prefix: str) -> dict[str, File]:
    found = {}
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        facts, _, path = line.partition("\t")
        if path.startswith(prefix) and path:
            mode, _, oid, size = facts.split()
            found[path[len(prefix) :]] = File(int(mode, 8), oid, int(size) if size.isdigit() else 0)
    return found


# --- which tree a run has --------------------------------------------------------------------------------------------


def tree_of(facts: Facts, scratch: Path) -> Tree:
    """Give the source tree of a run; raises `Missing` when neither a snapshot nor git has it."""
    why = "it kept no snapshot"
    if facts.snapshot is not None:
        try:
            return KeptTree(facts.vault, facts.snapshot.digest)
        except Missing as error:
            why = f"its snapshot is gone ({error})"
    own = own_repository(facts)
    if own is None or own.sha is None or not _SHA.match(own.sha):
        raise Missing(f"{why}, and there was no commit")
    patch = _patch_of(facts, own)
    if own.dirty is None:
        raise Missing(f"{why}, and whether it had uncommitted changes is not known")
    if own.dirty and patch is None:
        raise Missing(f"{why}, and its uncommitted changes were not kept")
    root = Path(facts.root_directory or "")
    places = [root] if root.is_absolute() and root.is_dir() else []
    problem: Missing | None = None
    for place in [
        *places,
        Path(os.path.abspath(facts.vault)).parent,
    ]:  # the project may have moved, and the vault with it
        try:
            return CommitTree(place, own.sha, _prefix(facts, own), patch, scratch)
        except Missing as error:
            problem = problem or error
    raise Missing(f"{why}, and {problem}")


def own_repository(facts: Facts) -> GitInfo | None:
    """Give what is recorded of the project's own repository."""
    return next(iter(facts.context.git.values()), None) if facts.context else None


def _patch_of(facts: Facts, own: GitInfo) -> Path | None:
    name = own.diff
    if not name or "/" in name or "\\" in name or name.startswith("."):
        return None
    path = Path(os.path.abspath(facts.run.folder / name))  # git runs in another folder
    try:
        with open(path, "rb") as stream:
            digest = f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except (OSError, ValueError):
        return None
    if own.diff_digest not in (None, digest):
        raise Missing(f"{name} in its folder was changed since")
    return path


def _prefix(facts: Facts, own: GitInfo) -> str:
    """Give the project's folder within the repository around it."""
    if not os.path.isabs(own.path) or not facts.root_directory:
        return ""
    inside = os.path.relpath(facts.root_directory, own.path).replace(os.sep, "/")
    return "" if inside == "." or inside.startswith("..") else f"{inside}/"


# --- comparing -------------------------------------------------------------------------------------------------------


class Changed(NamedTuple):
    """A file that differs between two trees."""

    path: str
    a: File | None
    b: File | None


def compare(a: Tree, b: Tree) -> list[Changed]:
    """Give the files that differ, by path; where the trees name content differently, by what they hold."""
    first, second = dict(a.files), dict(b.files)
    if a.algorithm != b.algorithm:
        tree, files = (a, first) if a.algorithm != "sha256" else (b, second)
        other = second if files is first else first
        both = [path for path in files.keys() & other.keys() if files[path].size == other[path].size]
        for path, data in read(tree, [path for path in both if files[path].mode != SUBMODULE]):
            if data is not None:
                files[path] = files[path]._replace(oid=_oid(data))
    return [
        Changed(path, first.get(path), second.get(path))
        for path in sorted(first.keys() | second.keys(), key=os.fsencode)
        if _told(first.get(path)) != _told(second.get(path))
    ]


def _told(file: File | None) -> tuple[int, str] | None:
    return (file.mode, file.oid) if file else None


def _oid(data: bytes) -> str:
    """Name content as a kept tree does: as git in repositories of SHA-256."""
    return hashlib.sha256(b"blob %d\0" % len(data) + data).hexdigest()
