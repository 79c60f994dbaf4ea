"""Reading kept trees: which there are, what they hold, and how to get them out.  Nothing of a tree is executed."""

from __future__ import annotations

import contextlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from reprokit.code import switch
from reprokit.code.trees import nested, objects
from reprokit.errors import AmbiguousTreeError, GitError, TreeNotFoundError
from reprokit.model import digest as digests

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.code.trees.store import Store

_DIGITS = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})\Z")
_REFS = "refs/trees/"


class KeptTree(msgspec.Struct, frozen=True):
    """A tree of the store."""

    digest: str
    when: int  # first kept, in seconds since the epoch
    files: int  # those of nested trees count as well
    size: int  # bytes
    nested: int = 0  # repositories within it
    left_out: int = 0  # files that it does not hold


class TreeFile(NamedTuple):
    """A file of a kept tree."""

    path: str
    size: int  # bytes
    mode: int  # 0o100644, 0o100755 of a program, 0o120000 of a link
    oid: str  # 64 hex digits, the name of the object


class Part(NamedTuple):
    """A tree without those nested in it."""

    prefix: str  # "" or the path of a nested repository, with a slash
    tree: str


class _Commit(NamedTuple):
    tree: str
    when: int
    files: int | None
    size: int | None
    inner: list[tuple[str, str]]  # path and commit of each nested tree
    left_out: int


def trees(store: Store) -> list[KeptTree]:
    """List the kept trees, the newest first."""
    if not (store.path / "HEAD").exists():
        return []
    form = "%(refname:lstrip=2)%00%(committerdate:unix)%00%(contents)%00"
    fields = store.run("for-each-ref", f"--format={form}", _REFS).decode("utf-8", "replace").split("\0")
    found = []
    for digits, when, message in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        digest = f"sha256:{digits.strip()}"
        if not digests.is_digest(digest):
            continue
        rows, files, size = _parse(message)
        inner = sum(1 for _, reason, _ in rows if reason.startswith(nested.NESTED))
        if files is None or size is None:
            held = files_of(store, parts(store, digest))
            files, size = len(held), sum(one.size for one in held)
        found.append(KeptTree(digest, int(when), files, size, inner, len(rows) - inner))
    return sorted(found, key=lambda one: (-one.when, one.digest))


def resolve(store: Store, prefix: str) -> str:
    """Give the digest of the one kept tree whose digest begins like this."""
    digits = _DIGITS.match(prefix)
    if digits is None:
        raise TreeNotFoundError(
            prefix, str(store.path), "a tree is named by (the first of) 64 hex digits; there is none"
        )
    if len(digits[1]) == 64 and store.ref(digits[1]) is not None:
        return f"sha256:{digits[1]}"
    names = set()
    with contextlib.suppress(OSError):
        names.update(os.listdir(store.path / _REFS))
    with contextlib.suppress(OSError):
        names.update(
            re.findall(rf" {_REFS}([0-9a-f]+)$", (store.path / "packed-refs").read_bytes().decode(), re.MULTILINE)
        )
    found = sorted(f"sha256:{name}" for name in names if name.startswith(digits[1]))
    found = [digest for digest in found if digests.is_digest(digest)]
    if not found:
        raise TreeNotFoundError(prefix, str(store.path))
    if len(found) > 1:
        raise AmbiguousTreeError(prefix, tuple(found))
    return found[0]


def parts(store: Store, digest: str) -> list[Part]:
    """Give the trees that a kept tree is made of: its own, and those nested in it, outer ones first."""
    commit = store.ref(digests.hex_of(digest)) if digests.is_digest(digest) else None
    if commit is None:
        raise TreeNotFoundError(digest, str(store.path))
    found: list[Part] = []
    waiting = [("", commit)]
    while waiting:
        prefix, oid = waiting.pop(0)
        one = _read_commit(store, oid)
        found.append(Part(prefix, one.tree))
        waiting += [(f"{prefix}{path}/", inner) for path, inner in one.inner]
    return found


def _read_commit(store: Store, oid: str) -> _Commit:
    tree, parents, when, message = objects.parse_commit(store.run("cat-file", "commit", oid))
    rows, files, size = _parse(message)
    kept = [path for path, reason, digest in rows if reason == nested.NESTED and digest]
    if len(kept) != len(parents) or not all(map(_is_plain, kept)):
        raise GitError(str(store.path), f"git cat-file: commit {oid} names its nested trees wrongly")
    return _Commit(tree, when, files, size, list(zip(kept, parents, strict=True)), len(rows) - len(kept))


def _parse(message: str) -> tuple[list[tuple[str, str, str | None]], int | None, int | None]:
    """Read the message of a commit: what the tree does not hold itself, then how many files and bytes it holds."""
    lines = message.split("\n")
    try:
        rows = [(str(path), str(reason), digest) for path, reason, digest in json.loads(lines[2])]
    except (IndexError, ValueError, TypeError):
        rows = []
    numbers = {key: int(value) for key, _, value in (line.partition(": ") for line in lines[3:]) if value.isdigit()}
    return rows, numbers.get("files"), numbers.get("size")


def _is_plain(path: str) -> bool:
    return all(part not in {"", ".", ".."} and part.lower() != ".git" for part in path.split("/")) and "\0" not in path


def files(store: Store, digest: str) -> list[TreeFile]:
    """List the files of a kept tree, those of nested ones too."""
    return files_of(store, parts(store, digest))


def files_of(store: Store, of: list[Part]) -> list[TreeFile]:
    """List the files of trees."""
    found = []
    for prefix, tree in of:
        out = store.run("ls-tree", "-r", "-l", "-z", "--full-tree", tree).decode("utf-8", "surrogateescape")
        for line in out.split("\0"):
            if line:
                facts, _, path = line.partition("\t")
                mode, _, oid, size = facts.split()
                found.append(TreeFile(prefix + path, int(size) if size.isdigit() else 0, int(mode, 8), oid))
    return sorted(found, key=lambda one: os.fsencode(one.path))


def read(store: Store, digest: str, path: str) -> bytes:
    """Give the bytes of one file of a kept tree."""
    tree, inner = "", ""
    for part in parts(store, digest):  # the innermost that holds the path comes last
        if path.startswith(part.prefix):
            tree, inner = part.tree, path[len(part.prefix) :]
    if not _is_plain(inner):
        raise TreeNotFoundError(path, digest, "no such file is")
    try:
        return store.run("cat-file", "blob", f"{tree}:{inner}")
    except GitError as error:
        raise TreeNotFoundError(path, digest, "no such file is") from error


def export(store: Store, digest: str, folder: Path, check: Callable[[Path], None] | None = None) -> None:
    """Write a kept tree into a folder, which appears whole and checked, or not at all."""
    of = parts(store, digest)
    folder = Path(os.path.abspath(folder))
    if os.path.lexists(folder) and (not folder.is_dir() or folder.is_symlink() or any(folder.iterdir())):
        raise FileExistsError(f"{folder}: is there already, and no empty folder; choose another one")
    with switch.scratch_beside(folder) as scratch:
        made = scratch / "tree"
        for prefix, tree in of:
            place = made / prefix
            place.mkdir(parents=True, exist_ok=True)
            if os.path.realpath(place) != os.path.normpath(os.path.join(os.path.realpath(made), prefix)):
                raise GitError(
                    str(store.path), f"git checkout-index: a link of the tree stands where {prefix!r} belongs"
                )
            index = scratch / "index"
            with contextlib.suppress(FileNotFoundError):
                index.unlink()
            store.start("read-tree", tree, root=place, index=index).output()
            store.start("checkout-index", "-a", "-q", root=place, index=index).output()
        if check is not None:
            check(made)
        if folder.is_dir():
            with contextlib.suppress(OSError):  # where renaming does not replace an empty folder
                folder.rmdir()
        os.rename(made, folder)
