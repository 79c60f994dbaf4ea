"""How two kept trees differ: names first, then content."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from reprokit.code.trees import objects, pack, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.code.trees.reading import TreeFile
    from reprokit.code.trees.store import Store

_SWITCHES = (
    "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames", "--no-relative", "--full-index", "-U3", "-r", "-p",
    f"-O{os.devnull}",
)  # fmt: skip
_PREFIXES = ("--src-prefix=a/", "--dst-prefix=b/")
_HEAD = b"diff --git "


class Change(NamedTuple):
    """A file that differs."""

    path: str
    kind: Literal["added", "removed", "changed", "mode"]  # "mode": that alone
    before: TreeFile | None
    after: TreeFile | None


class Patch(NamedTuple):
    """How the content of a file differs, in git's format; of a binary file only that it does."""

    path: str
    data: bytes
    binary: bool


def compare(store: Store, before: str, after: str) -> Iterator[Change | Patch]:
    """Compare two kept trees: first every change, by path, then the patch of each."""
    old, new = reading.parts(store, before), reading.parts(store, after)
    first = {one.path: one for one in reading.files_of(store, old)}
    second = {one.path: one for one in reading.files_of(store, new)}
    changes = [
        made
        for path in sorted(first.keys() | second.keys(), key=os.fsencode)
        if (made := _change(path, first.get(path), second.get(path))) is not None
    ]
    return _told(store, changes, old, new)


def _told(
    store: Store, changes: list[Change], old: list[reading.Part], new: list[reading.Part]
) -> Iterator[Change | Patch]:
    yield from changes
    with tempfile.TemporaryDirectory(prefix="reprokit-") as scratch:
        Path(scratch, "pack").mkdir()
        with pack.Writer(Path(scratch)) as writer:
            sides = [_whole(store, of, writer) for of in (old, new)]
            writer.finish()
        data = store.start("diff-tree", *_SWITCHES, *_PREFIXES, *sides, objects=Path(scratch)).output()
    # Lines of content begin with a blank, "+" or "-", so only a header begins like this.
    pieces = (b"\n" + data).split(b"\n" + _HEAD)[1:]
    # A file that became a link, or the other way round, makes two pieces.
    names = [change.path for change in changes for _ in range(2 if _turned(change) else 1)]
    for path, piece in zip(names, pieces, strict=True):
        body = _HEAD + piece + (b"" if piece.endswith(b"\n") else b"\n")
        yield Patch(path, body, b"\nBinary files " in body)


def _whole(store: Store, of: list[reading.Part], writer: pack.Writer) -> str:
    """Give one tree that holds the nested ones at their places."""
    if len(of) == 1:
        return of[0].tree
    files = {os.fsencode(one.path): (one.mode, bytes.fromhex(one.oid)) for one in reading.files_of(store, of)}
    root, made = objects.trees(files)
    for oid, data in made:
        writer.add(pack.packed("tree", data, oid))
    return root.hex()


def _turned(change: Change) -> bool:
    return (
        change.before is not None
        and change.after is not None
        and (change.before.mode == objects.LINK) != (change.after.mode == objects.LINK)
    )


def _change(path: str, before: TreeFile | None, after: TreeFile | None) -> Change | None:
    if before is None or after is None:
        return Change(path, "added" if before is None else "removed", before, after)
    if before.oid != after.oid:
        return Change(path, "changed", before, after)
    return Change(path, "mode", before, after) if before.mode != after.mode else None
