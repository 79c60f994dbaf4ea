"""Source trees: whether each that a run refers to is there, whole, and still has its digest."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reprokit.catalog.verify.report import Finding, failure, note
from reprokit.code.tree import KIND
from reprokit.code.trees import nested, objects
from reprokit.code.trees.store import REFS, Store
from reprokit.errors import GitError
from reprokit.model import digest as digests

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_REMEDY = "restore code.git from a backup; the other trees are untouched"
# git gives up on large objects (and says they are corrupt) unless it may take them into memory.
_LARGE = ("-c", "core.bigFileThreshold=512m")
_HEAD = re.compile(rb"([0-9a-f]{40,64}) (\w+) (\d+)\n")
_AT_ONCE = 32 << 20  # bytes of objects that are held in memory


class Kept(NamedTuple):
    """A tree as its ref and commit tell."""

    digits: str
    commit: str
    tree: str
    parents: list[str]
    when: int  # first kept, in seconds since the epoch
    message: str


def check(path: Path, wanted: dict[str, str]) -> Iterator[Finding]:
    """Check all trees of a store.

    Parameters
    ----------
    path
        The bare repository.
    wanted
        Digests that runs refer to, and one run that does so for each.
    """
    store = Store(path)
    if not (path / "HEAD").exists():
        for digest, run_id in sorted(wanted.items()):
            yield failure("tree missing", digest, f"code.git is not there, and with it this tree; {_REMEDY}", run_id)
        return
    try:
        problems = _fsck(store)
        found = kept(store)
    except GitError as error:
        yield failure("tree damaged", str(path), f"{error}; {_REMEDY}")
        return
    by_commit = {one.commit: one for one in found}
    bad = set()
    for one in found:
        digest = f"sha256:{one.digits}"
        told = _wrong(store, one, by_commit) or (_broken(store, one) if problems else "")
        if told:
            bad.add(digest)
            yield failure("tree damaged", digest, f"{told}; {_REMEDY}", wanted.get(digest))
    there = {f"sha256:{one.digits}" for one in found}
    for digest, run_id in sorted(wanted.items()):
        if digest not in there:
            yield failure("tree missing", digest, f"the vault no longer holds this tree; {_REMEDY}", run_id)
    if problems and not bad:
        told = f"git fsck: {problems[0]}; no kept tree is hurt, and `reprokit gc --yes` packs the rest anew"
        yield note("tree damaged", str(path), told)


def check_one(path: Path, digest: str, run_id: str) -> Iterator[Finding]:
    """Check one tree and those nested in it, and hash everything that it holds."""
    store = Store(path)
    try:
        found = kept(store, digests.hex_of(digest)) if (path / "HEAD").exists() and digests.is_digest(digest) else []
    except GitError as error:
        yield failure("tree damaged", digest, f"{error}; {_REMEDY}", run_id)
        return
    if not found:
        yield failure("tree missing", digest, f"the vault no longer holds this tree; {_REMEDY}", run_id)
        return
    told = _wrong(store, found[0], {}) or _broken(store, found[0])
    if told:
        yield failure("tree damaged", digest, f"{told}; {_REMEDY}", run_id)


def kept(store: Store, digits: str = "") -> list[Kept]:
    """Give all trees that have a ref, or one; raises `GitError`."""
    form = "%(refname:lstrip=2)%00%(objectname)%00%(tree)%00%(parent)%00%(committerdate:unix)%00%(contents)%00"
    out = store.run("for-each-ref", f"--format={form}", f"{REFS}/{digits}" if digits else f"{REFS}/")
    fields = out.decode("utf-8", "surrogateescape").split("\0")
    rows = zip(*(fields[at::6] for at in range(6)), strict=False)
    return [
        Kept(name.strip(), commit, tree, parents.split(), int(when) if when.isdigit() else 0, message)
        for name, commit, tree, parents, when, message in rows
    ]


def _fsck(store: Store) -> list[str]:
    """Let git check all objects and what holds them together; give what it complains of."""
    process = store.start("fsck", "--full", "--no-dangling", "--no-progress", switches=_LARGE)
    said = ""
    try:
        said = process.output().decode("utf-8", "replace")
    except GitError as error:
        said = error.args[1]
    said += "\n" + process.warnings.decode("utf-8", "replace")
    ours = ("notice:", "dangling", "unreachable", "warning:")
    return [line for line in said.splitlines() if line.strip() and not line.startswith(ours)]


def _wrong(store: Store, one: Kept, by_commit: dict[str, Kept]) -> str:
    """Compute a tree's digest anew; give what is wrong, or nothing."""
    told = one.message.split("\n")[2] if one.message.count("\n") >= 2 else ""
    if digests.of_parts(KIND, one.tree.encode(), told.encode()) != f"sha256:{one.digits}":
        return "its digest is not that of its content"
    try:
        rows = [row for row in json.loads(told) if row[1] == nested.NESTED and row[2]]
    except (ValueError, IndexError, TypeError):
        return "what it says of itself can't be read"
    if len(rows) != len(one.parents):
        return "it names its nested trees wrongly"
    for row, parent in zip(rows, one.parents, strict=True):
        inner = by_commit.get(parent)
        if inner is None:
            try:
                inner = _commit(store, parent, digests.hex_of(str(row[2])))
            except (GitError, ValueError) as error:
                return f"the tree nested in it at {row[0]} can't be read ({error})"
            problem = _wrong(store, inner, by_commit)
            if problem:
                return f"the tree nested in it at {row[0]}: {problem}"
        if f"sha256:{inner.digits}" != row[2]:
            return f"another tree is nested in it at {row[0]} than was kept"
    return ""


def _commit(store: Store, oid: str, digits: str) -> Kept:
    tree, parents, when, message = objects.parse_commit(store.run("cat-file", "commit", oid))
    return Kept(digits, oid, tree, parents, when, message)


def _broken(store: Store, one: Kept) -> str:
    """Hash every object of a tree; give what is wrong, or nothing."""
    try:
        listed = store.run("rev-list", "--objects", "--no-object-names", one.commit)
        oids = sorted(set(listed.decode("ascii", "replace").split()))
        for oid, found in hashed(store, oids):
            if found != oid:
                return f"object {oid[:12]} is {'missing' if found is None else 'not what its name says'}"
    except GitError as error:
        return f"{error.args[1]}"
    return ""


def hashed(store: Store, oids: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    """Read objects and hash them anew; None for one that is missing.  Raises `GitError` when git can't go on."""
    part: list[str] = []
    held = 0
    asked = store.start("cat-file", "--batch-check", stdin="".join(f"{oid}\n" for oid in oids).encode()).output()
    for line in asked.decode("ascii", "replace").splitlines():
        oid, *told = line.split()
        if told[-1] == "missing":
            yield oid, None
            continue
        part.append(oid)
        held += int(told[-1])
        if held >= _AT_ONCE:
            yield from _hashed(store, part)
            part, held = [], 0
    if part:
        yield from _hashed(store, part)


def _hashed(store: Store, part: list[str]) -> Iterator[tuple[str, str | None]]:
    stdin = "".join(f"{oid}\n" for oid in part).encode()
    out = memoryview(store.start("cat-file", "--batch", stdin=stdin, switches=_LARGE).output())
    at = 0
    for oid in part:
        head = _HEAD.match(out, at)
        if head is None:
            raise GitError(str(store.path), f"git cat-file: object {oid[:12]} can't be read")
        at = head.end()
        size = int(head[3])
        state = hashlib.sha256(b"%s %d\0" % (head[2], size))
        state.update(out[at : at + size])
        at += size + 1
        yield oid, state.hexdigest()
