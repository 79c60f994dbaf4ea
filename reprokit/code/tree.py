"""The private store of source trees: a bare git repository in the vault, one commit a distinct tree.

The user's repository is only read.  The store has its own index for each project root, so an unchanged tree costs one
stat walk; its own attributes, which win over those of the tree, so bytes stay exact and no filter runs; and its own
config, so no other one is read.  A repository within the tree is a tree of its own: the outer digest covers its digest, and
the outer commit names its commit as a parent, so that git keeps it as long.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit import git
from reprokit.code.trees import blob, diff, index, left_out, nested, objects, pack, reading, walk
from reprokit.code.trees.reading import KeptTree, TreeFile
from reprokit.code.trees.store import Store
from reprokit.errors import GitError
from reprokit.model import digest as digests
from reprokit.model.records import LeftOut, NestedTree, SnapshotInfo
from reprokit.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reprokit.code.trees.store import Slot

KIND = "reprokit/tree/1"
__all__ = ["KIND", "KeptTree", "TreeFile", "TreeStore"]


class _Kept(NamedTuple):
    info: SnapshotInfo
    commit: str


class TreeStore:
    """Keeps source trees by digest.

    Parameters
    ----------
    path
        The bare repository; made on first use.
    """

    def __init__(self, path: Path) -> None:
        self._store = Store(path)
        self.path = self._store.path

    # --- keeping -----------------------------------------------------------------------------------------------------

    def keep(
        self,
        root: Path,
        *,
        max_file_size: int,
        vault: Path | None = None,
        include: tuple[str, ...] = (),
        exclude: tuple[str, ...] = (),
        template: str | None = None,
    ) -> SnapshotInfo:
        """Keep the tree below `root` as it is on disk: tracked, changed and new files that ``.gitignore`` lets through.

        Repositories within it are kept as trees of their own, by their own rules, and listed under ``nested``.  Left out,
        and listed with the reason: files over `max_file_size` bytes, secrets by name, what cannot be read.  The vault, byte
        code, side-cars and tagged artifacts are no source.

        Returns
        -------
        SnapshotInfo
            The digest covers the tree, the trees nested in it, and what was left out (by content where that is no
            secret).

        Raises
        ------
        GitError
            When git is missing or cannot read the tree.
        OSError
            When the store cannot be written.
        """
        self._store.ensure()
        choice = walk.Choice(max_file_size, vault, tuple(include), tuple(exclude), template)
        return self._keep(Path(os.path.abspath(root)), choice).info

    def _keep(self, root: Path, choice: walk.Choice) -> _Kept:
        place = git.locate(root)
        chosen = (choice.include, choice.exclude, choice.max_file_size)
        told = repr((os.fspath(root), *chosen, choice.prefix if choice.include or choice.exclude else ""))
        key = hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]
        with self._store.hold(key) as slot:
            known = slot.load()
            now = slot.now()
            try:
                found = walk.look(self._store, root, place, choice, slot, known)
            except (GitError, ValueError):
                if not slot.index.exists():
                    raise
                slot.forget()  # an index that git cannot read
                known = {}
                found = walk.look(self._store, root, place, choice, slot, known)
            inner = self._nested(root, choice, found, known)
            kept, packs = self._commit(root, place, slot, known, found, inner, now)
            slot.save(known)
        self._store.put_together(packs)
        return kept

    def _nested(
        self, root: Path, choice: walk.Choice, found: walk.Found, known: dict[str, Any]
    ) -> list[tuple[str, NestedTree, _Kept | None]]:
        """Keep the repositories within a tree, each under its own lock and index."""
        before, after = known.get("nested", {}), {}
        made: list[tuple[str, NestedTree, _Kept | None]] = []
        for path in sorted(found.nested):
            place = git.locate(root / path)
            kept = self._keep(root / path, _within(choice, path))
            if choice.include and not kept.info.files:
                continue
            own = place if place is not None and place.top == root / path else None
            mark = [kept.info.digest, *(nested.mark(own) if own else ())]
            cached = before.get(path)
            if cached is None or cached[0] != json.loads(json.dumps(mark)):
                state = nested.ask(own, choice.vault) if own else nested.State(None, None)
                cached = [mark, state.commit, state.dirty]
            after[path] = cached
            record = NestedTree(
                path=printable(path), digest=kept.info.digest, commit=cached[1], dirty=cached[2],
                files=kept.info.files, size=kept.info.size,
            )  # fmt: skip
            made.append((path, record, kept))
        for path, commit in found.absent.items():
            record = NestedTree(path=printable(path), commit=commit, reason="not checked out")
            made.append((path, record, None))
        known["nested"] = after
        return sorted(made, key=lambda one: os.fsencode(one[0]))

    def _commit(
        self,
        root: Path,
        place: git.Place | None,
        slot: Slot,
        known: dict[str, Any],
        found: walk.Found,
        inner: list[tuple[str, NestedTree, _Kept | None]],
        now: int,
    ) -> tuple[_Kept, int]:
        """Give the tree a commit and a ref; the ref is written last, so what is visible is whole."""
        packs = 0
        changed = bool(found.add or found.remove) or "tree" not in known
        if not changed:
            kept = self._made(known, found, inner)
            commit = self._store.ask_again(digests.hex_of(kept.digest))
            if commit is not None:
                slot.settle(known, now)
                return _Kept(kept, commit), packs
        objects_known = pack.Known(self._store.objects)
        with pack.Writer(self._store.objects) as writer:
            entries = self._update(root, slot, known, found, objects_known, writer)
            kept = self._made(known, found, inner)
            digits = digests.hex_of(kept.digest)
            commit = self._store.ask_again(digits)
            if commit is None:
                told = _told(known, found, inner)
                message = f"{KIND}\n\n{told}\n\nfiles: {kept.files}\nsize: {kept.size}\n"
                parents = [bytes.fromhex(one.commit) for _, _, one in inner if one is not None]
                data = objects.commit(bytes.fromhex(known["tree"]), parents, int(time.time()), message)
                made = pack.packed("commit", data)
                writer.add(made)
                commit = made.oid.hex()
                packs = objects_known.packs + 1
            writer.finish()
        known["index"] = index.write(slot.index, entries)
        slot.written(known, now, max(map(index.seconds_of, entries.values()), default=0))
        walk.remember(root, place, found, known, entries)
        if packs:
            self._store.set_ref(digits, commit)
        return _Kept(kept, commit), packs

    def _update(
        self,
        root: Path,
        slot: Slot,
        known: dict[str, Any],
        found: walk.Found,
        objects_known: pack.Known,
        writer: pack.Writer,
    ) -> dict[bytes, bytes]:
        """Bring the index's entries up to date, and pack what the store lacks; `known` learns the tree."""
        entries = index.read(slot.index) if slot.index.exists() else {}
        warnings, pointers = known.setdefault("warnings", {}), known.setdefault("pointers", {})
        for path in (*found.remove, *found.add):
            entries.pop(os.fsencode(path), None)
            warnings.pop(path, None)
            pointers.pop(path, None)
        # A tree may have been removed from the store since: each file is read again whose object is not there.
        lost = [path for path, entry in entries.items() if index.oid_of(entry) not in objects_known]
        top = os.fsencode(root)
        for one in blob.read_all(top, sorted({*map(os.fsencode, found.add), *lost}), objects_known):
            path = os.fsdecode(one.path)
            entries.pop(one.path, None)
            reason = one.reason or self._put(top, one, writer)
            if reason:
                found.left_out.append(LeftOut(path=printable(path), reason=reason))
            elif one.entry:
                entries[one.path] = one.entry
                if one.secrets:
                    warnings[path] = one.secrets
                if one.pointer:
                    pointers[path] = list(one.pointer)
        for folder in walk.folders(entries):  # a file that became a folder meanwhile
            entries.pop(folder, None)
        tree, made = objects.trees({path: (index.mode_of(e), index.oid_of(e)) for path, e in entries.items()})
        for oid, data in made:
            if oid not in objects_known:
                writer.add(pack.packed("tree", data, oid))
        known.update(tree=tree.hex(), files=len(entries), size=sum(map(index.size_of, entries.values())))
        return entries

    def _put(self, top: bytes, one: blob.Blob, writer: pack.Writer) -> str:
        if one.packed is not None:
            writer.add(one.packed)
        elif one.large:
            try:
                writer.add_stream(os.fsdecode(os.path.join(top, one.path)), one.large, index.oid_of(one.entry))
            except (ValueError, FileNotFoundError):
                return blob.CHANGED
        return ""

    def _made(
        self, known: dict[str, Any], found: walk.Found, inner: list[tuple[str, NestedTree, _Kept | None]]
    ) -> SnapshotInfo:
        """Put the record of a tree together."""
        told = _told(known, found, inner)
        digest = digests.of_parts(KIND, known["tree"].encode(), told.encode())
        left = _left(known, found)
        warnings = [
            f"{printable(path)}: looks like a secret ({', '.join(names)})"
            for path, names in sorted(known.get("warnings", {}).items())
        ]
        problem = known.get("rules", {}).get("problem")
        if problem:
            warnings.append(f"files that are tracked though ignored, and submodules, are not known: {problem}")
        files, size = known["files"], known["size"]
        for path, _, kept in inner:
            if kept is not None:
                prefix = printable(path) + "/"
                files += kept.info.files
                size += kept.info.size or 0
                left += [_prefixed(one, prefix) for one in kept.info.left_out]
                warnings += [prefix + one for one in kept.info.warnings]
        return SnapshotInfo(
            digest=digest, ref=f"refs/trees/{digests.hex_of(digest)}", files=files, size=size, left_out=left,
            warnings=warnings, nested=[record for _, record, _ in inner],
        )  # fmt: skip

    # --- reading -----------------------------------------------------------------------------------------------------

    def trees(self) -> list[KeptTree]:
        """List the kept trees, the newest first; raises `GitError`."""
        return reading.trees(self._store)

    def resolve(self, prefix: str) -> str:
        """Give the digest of the one kept tree whose digest begins like this, with ``sha256:`` in front or not.

        Raises
        ------
        TreeNotFoundError, AmbiguousTreeError
            When there is none, or more than one.
        """
        return reading.resolve(self._store, prefix)

    def files(self, digest: str) -> list[TreeFile]:
        """List the files of a kept tree, those of nested ones too: path, size in bytes, mode and the name of the object.

        Raises
        ------
        TreeNotFoundError
            When there is no such tree.
        """
        return reading.files(self._store, digest)

    def read(self, digest: str, path: str) -> bytes:
        """Give the bytes of one file of a kept tree; of a link, where it leads.

        Raises
        ------
        TreeNotFoundError
            When there is no such tree, or no such file in it.
        """
        return reading.read(self._store, digest, path)

    def export(self, digest: str, folder: Path, *, check: Callable[[Path], None] | None = None) -> None:
        """Write a kept tree with all that is nested in it into a folder: exact bytes, modes and links.

        It appears at one instant, or not at all; `check` may look at it before, and raise.

        Raises
        ------
        FileExistsError
            When the folder is there and not empty.
        TreeNotFoundError
            When there is no such tree.
        """
        reading.export(self._store, digest, Path(folder), check)

    def diff(self, before: str, after: str) -> Iterator[diff.Change | diff.Patch]:
        """Compare two kept trees: first each file that differs, by path, then how the content of each differs.

        Raises
        ------
        TreeNotFoundError
            When there is no such tree.
        """
        return diff.compare(self._store, before, after)


def _within(choice: walk.Choice, path: str) -> walk.Choice:
    return walk.Choice(
        choice.max_file_size, choice.vault, choice.include, choice.exclude, choice.template, f"{choice.prefix}{path}/"
    )


def _prefixed(one: LeftOut, prefix: str) -> LeftOut:
    return LeftOut(path=prefix + one.path, reason=one.reason, size=one.size, digest=one.digest)


def _left(known: dict[str, Any], found: walk.Found) -> list[LeftOut]:
    pointers = known.get("pointers", {})
    left = [
        LeftOut(path=printable(path), reason=left_out.IN_LFS, size=size, digest=digest)
        for path, (digest, size) in pointers.items()
    ]
    return sorted([*found.left_out, *left], key=lambda one: one.path)


def _told(known: dict[str, Any], found: walk.Found, inner: list[tuple[str, NestedTree, _Kept | None]]) -> str:
    """Write down, for digest and commit, what the tree does not hold itself: path, why, and the digest where known."""
    rows: list[list[str | None]] = [[one.path, one.reason, one.digest] for one in _left(known, found)]
    for path, record, _ in inner:
        reason = nested.NESTED if record.digest else f"{nested.ABSENT}{record.commit}"
        rows.append([path, reason, record.digest])
    return json.dumps(rows, ensure_ascii=True, separators=(",", ":"))
