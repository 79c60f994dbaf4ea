"""The files of a commit of the user's repository, read without a checkout: no filter, hook or config of it runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit import git
from reprokit.errors import GitError

if TYPE_CHECKING:
    from pathlib import Path

_LINK, _EXECUTABLE, _SUBMODULE = "120000", "100755", "160000"


def export(root: Path, sha: str, folder: Path) -> None:
    """Write the tree of a commit into a new folder, as it was committed.

    Raises
    ------
    GitError
        When the repository has no such commit, or lacks some of its files.
    FileExistsError
        When the folder is there already.
    """
    place = git.locate(root)
    prefix = os.path.relpath(root, place.top).replace(os.sep, "/") if place else "."
    listed = git.run(root, "ls-tree", "-r", "-z", "--full-tree", sha, *([] if prefix == "." else ["--", prefix]))
    entries: list[tuple[str, str, str]] = []
    for line in listed.decode("utf-8", "surrogateescape").split("\0"):
        if line:
            facts, _, path = line.partition("\t")
            mode, _, oid = facts.split()[:3]
            entries.append((mode, oid, path if prefix == "." else path.removeprefix(f"{prefix}/")))
    entries = [entry for entry in entries if entry[0] != _SUBMODULE]
    contents = _contents(root, [oid for _, oid, _ in entries])
    folder.mkdir(parents=True)
    for (mode, oid, path), content in zip(entries, contents, strict=True):
        if content is None:
            raise GitError(str(root), f"git cat-file: {path} of commit {sha[:12]} is missing ({oid})")
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == _LINK:
            os.symlink(os.fsdecode(content), target)
            continue
        target.write_bytes(content)
        if mode == _EXECUTABLE:
            target.chmod(target.stat().st_mode | 0o111)


def _contents(root: Path, oids: list[str]) -> list[bytes | None]:
    data = git.run(root, "cat-file", "--batch", stdin="".join(f"{oid}\n" for oid in oids).encode())
    found: list[bytes | None] = []
    at = 0
    for _ in oids:
        end = data.index(b"\n", at)
        fields = data[at:end].split()
        if fields[-1] == b"missing":
            found.append(None)
            at = end + 1
            continue
        size = int(fields[2])
        found.append(data[end + 1 : end + 1 + size])
        at = end + 1 + size + 1
    return found
