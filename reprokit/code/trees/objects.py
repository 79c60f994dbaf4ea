"""Git objects with SHA-256 names: how they are named, put together and told apart (gitformat-pack(5), git-hash-object(1)).

Python makes them and not git, whose own SHA-256 takes ten times as long as hashlib's, and a process of which takes as long as
a whole small tree.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LINK = 0o120000
FILE = 0o100644
PROGRAM = 0o100755
_FOLDER = b"40000"


def name(kind: str, data: bytes) -> bytes:
    """Give the 32 bytes that name an object."""
    state = hashlib.sha256(b"%s %d\0" % (kind.encode(), len(data)))
    state.update(data)
    return state.digest()


def trees(files: Mapping[bytes, tuple[int, bytes]]) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Make the tree objects that hold `files`.

    Parameters
    ----------
    files
        Mode and name of each file's object, by path.

    Returns
    -------
    root : bytes
        The name of the outermost tree.
    made : list of (name, data)
        All of them, inner ones first.
    """
    folders: dict[bytes, list[tuple[bytes, bytes]]] = {b"": []}
    for path, (mode, oid) in files.items():
        head, _, last = path.rpartition(b"/")
        if head not in folders:
            _add(folders, head)
        folders[head].append((last, b"%o %s\0%s" % (mode, last, oid)))
    made = []
    root = b""
    for folder in sorted(folders, key=lambda one: one.count(b"/") + bool(one), reverse=True):
        # Git sorts a folder as if its name ended with a slash.
        data = b"".join(line for _, line in sorted(folders[folder]))
        root = name("tree", data)
        made.append((root, data))
        if folder:
            head, _, last = folder.rpartition(b"/")
            folders[head].append((last + b"/", b"%s %s\0%s" % (_FOLDER, last, root)))
    return root, made


def _add(folders: dict[bytes, list[tuple[bytes, bytes]]], folder: bytes) -> None:
    while folder not in folders:
        folders[folder] = []
        folder = folder.rpartition(b"/")[0]


def commit(tree: bytes, parents: Iterable[bytes], seconds: int, message: str) -> bytes:
    """Make a commit object; its author is nobody in particular."""
    who = f"reprokit <reprokit@localhost> {seconds} +0000"
    lines = [f"tree {tree.hex()}", *(f"parent {one.hex()}" for one in parents), f"author {who}", f"committer {who}"]
    return "\n".join((*lines, "", message)).encode()


def parse_commit(data: bytes) -> tuple[str, list[str], int, str]:
    """Read a commit: its tree, its parents, when it was made (seconds since the epoch), and its message."""
    head, _, message = data.partition(b"\n\n")
    tree, parents, seconds = "", [], 0
    for line in head.decode("utf-8", "replace").split("\n"):
        key, _, value = line.partition(" ")
        if key == "tree":
            tree = value
        elif key == "parent":
            parents.append(value)
        elif key == "committer":
            seconds = int(value.rsplit(" ", 2)[1])
    return tree, parents, seconds, message.decode("utf-8", "replace")
