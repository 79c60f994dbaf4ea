"""The bundle of one project as it changes: files are read when they change, and what is loaded wins over what lies on disk."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from reprokit.code.bundles import archive, importable, running, stamp
from reprokit.code.bundles.bundle import Bundle, Meta, digest_of, sha256
from reprokit.code.bundles.select import Selector
from reprokit.code.trees import left_out
from reprokit.errors import ReprokitError, SecretsError

if TYPE_CHECKING:
    from reprokit.code.bundles.archive import Piece
    from reprokit.code.bundles.running import Import
    from reprokit.code.bundles.select import Choice, Selection
    from reprokit.code.bundles.stamp import Stamp

_MOST_PACKED = 256  # versions whose content is remembered


class _OnDisk(NamedTuple):
    """A file as it was read."""

    path: str
    stamp: Stamp
    piece: Piece
    changed: int  # ns


class _Loaded(NamedTuple):
    """What is known of the source of an imported file."""

    imports: tuple[Import, ...]
    piece: Piece | None  # None: it is not known
    against: bytes  # SHA-256 of the content on disk that this was found out with; empty when there was none


class Project:
    """The bundle of a project, for one set of options; whoever uses it holds its lock.

    Parameters
    ----------
    root
        Its folder.
    choice
        What goes in.
    allow_secrets
        Whether text may look like secrets.

    Raises
    ------
    ShipError
        When a module that is named as local can't be found.
    """

    def __init__(self, root: str, choice: Choice, *, allow_secrets: bool) -> None:
        self.lock = threading.RLock()
        self.checked = float("-inf")  # monotonic seconds
        self.bundle: Bundle | None = None
        self._root, self._choice, self._allow_secrets = root, choice, allow_secrets
        self._borders = importable.below(root)
        named = importable.outside(choice.local, self._borders)
        self._imports = running.Imports(self._borders, importable.places(named))
        self._path: list[str] = []  # sys.path as it was when the files were selected
        self._selection: Selection | None = None
        self._inside: dict[str, str] = {}  # where files lie -> where in the bundle; stays when they are gone
        self._strange: set[str] = set()  # imported, and not selected
        self._disk: dict[str, _OnDisk] = {}
        self._earlier: dict[str, Piece] = {}  # what sources were before they were last edited
        self._suspects: dict[bytes, tuple[str, ...]] = {}  # SHA-256 -> formats of secrets
        self._stamps: dict[str, Stamp | None] | None = None  # of all selected files, once they are read
        self._unreadable: dict[str, str] = {}
        self._loaded: dict[str, _Loaded] = {}
        self._answers: dict[str, bool] = {}  # of `runs`, while nothing is imported
        self._changed = True  # since the bundle was made
        self._packed: dict[str, dict[str, bytes]] = {}  # digest -> SHA-256 of each file

    def refresh(self) -> Bundle:
        """Give the bundle of what this process runs, and of what lies on disk where it runs nothing of it.

        Raises
        ------
        BundleTooLargeError, SecretsError, ShipError
        """
        self._look_at_imports()
        if (
            self._selection is None
            or self._path != sys.path
            or not stamp.are(self._selection.watched)
            or self._has_strange()
        ):
            self._select()
        assert self._selection is not None
        self._look_at_files(self._selection)
        if self._changed or self.bundle is None:
            self._changed = True  # until it is made, should that fail
            self._look_at_loaded()
            self.bundle = self._pack(self._selection)
            self._changed = False
        self.checked = time.monotonic()
        return self.bundle

    def runs(self, digest: str, module: str | None = None) -> bool:
        """Tell whether all that this process has imported of a bundle is what the bundle holds.

        With the name of a module that is not imported, also whether importing it would get what the bundle holds.
        """
        packed = self._packed.get(digest)
        if packed is None:
            return False
        if module is not None and module not in sys.modules:
            try:
                return self.refresh().digest == digest and self._matches(packed)
            except (ReprokitError, OSError):
                return False
        if self._look_at_imports() and self._selection is not None:
            self._look_at_files(self._selection)
            self._look_at_loaded()
        if digest not in self._answers:
            self._answers[digest] = self._matches(packed)
        return self._answers[digest]

    def _matches(self, packed: dict[str, bytes]) -> bool:
        for inside, loaded in self._loaded.items():
            differs = loaded.piece is None or loaded.piece.sha256 != packed.get(inside, loaded.piece.sha256)
            if inside in packed and differs and any(one.name != "__main__" for one in loaded.imports):
                return False
        return True

    # --- what is there ---

    def _select(self) -> None:
        path = list(sys.path)
        self._selection = Selector(self._root, self._choice).select()
        self._path = path
        plain, real = self._borders[0], self._borders[-1]
        for inside, (where, _) in self._selection.files.items():
            self._inside[where] = inside
            if plain != real and where.startswith(plain):
                self._inside[real + where[len(plain) :]] = inside
        self._stamps = None
        self._strange = self._imports.by_path.keys() - self._inside.keys()
        self._changed = True

    def _has_strange(self) -> bool:
        """Tell whether something was imported from where nothing was found."""
        return not self._imports.by_path.keys() <= self._inside.keys() | self._strange

    def _look_at_imports(self) -> bool:
        if self._imports.is_current() or not self._imports.update():
            return False
        self._changed = True
        return True

    def _look_at_files(self, selection: Selection) -> None:
        """Read the files that have changed."""
        if stamp.are(self._stamps):
            return
        disk = self._disk
        waiting = []
        for inside, (path, _) in selection.files.items():
            known = disk.get(inside)
            if known is None or stamp.of_path(path) != known.stamp or known.path != path:
                waiting.append((inside, path))
        for inside in disk.keys() - selection.files.keys():
            del disk[inside]
            self._changed = True
        if waiting:
            self._read(waiting)
        self._stamps = (
            {known.path: known.stamp for known in disk.values()} if len(disk) == len(selection.files) else None
        )

    def _read(self, waiting: list[tuple[str, str]]) -> None:
        texts: dict[bytes, bytes] = {}
        for inside, path in waiting:
            known = self._disk.get(inside)
            now = time.time_ns()
            try:
                with open(path, "rb") as stream:
                    told = stamp.of(os.fstat(stream.fileno()))
                    data = stream.read()
            except OSError as error:
                self._changed |= self._disk.pop(inside, None) is not None or inside not in self._unreadable
                self._unreadable[inside] = error.strerror or "unreadable"
                continue
            self._unreadable.pop(inside, None)
            settled = stamp.settled(told, now) if told.size == len(data) else stamp.NEVER
            executable = bool(told.mode & 0o100)
            if known is not None and (known.piece.executable, known.piece.sha256) == (executable, sha256(data)):
                self._disk[inside] = known._replace(path=path, stamp=settled, changed=told.changed)
                continue
            self._changed = True
            piece = archive.piece(data, executable=executable)
            if known is not None and path.endswith(".py"):
                self._earlier[inside] = known.piece
            self._disk[inside] = _OnDisk(path, settled, piece, told.changed)
            if not self._allow_secrets:
                texts[piece.sha256] = left_out.suspicious(data)
        for content, found in zip(texts, left_out.secrets_in(list(texts.values())), strict=True):
            if found:
                self._suspects[content] = tuple(found)

    # --- what is loaded ---

    def _look_at_loaded(self) -> None:
        """Find out what content of each imported file this process runs."""
        now: dict[str, _Loaded] = {}
        for path, imports in self._imports.by_path.items():
            inside = self._inside.get(path)
            if inside is not None:
                loaded = self._source_of(inside, path, tuple(imports))
                if loaded is not None:
                    now[inside] = loaded
        self._loaded = now
        self._answers.clear()

    def _source_of(self, inside: str, path: str, imports: tuple[Import, ...]) -> _Loaded | None:
        disk = self._disk.get(inside)
        before = self._loaded.get(inside)
        content = disk.piece.sha256 if disk is not None else b""
        if before is not None and before.imports == imports:
            if before.against == content:
                return before
            if disk is None or (before.piece is not None and before.piece.sha256 == content):
                return before._replace(against=content)
            # Edited since the import.  What was loaded stays what it was, unless somebody has patched it in place.
            is_patched = before.piece is None or not _run(imports, path, before.piece, 0)
            if is_patched and _run(imports, path, disk.piece, disk.changed):
                return _Loaded(imports, disk.piece, content)
            return before._replace(against=content)
        if disk is not None and (running.is_older(disk.changed) or _run(imports, path, disk.piece, disk.changed)):
            return _Loaded(imports, disk.piece, content)
        for earlier in (before.piece if before is not None else None, self._earlier.get(inside)):
            if earlier is not None and _run(imports, path, earlier, 0):
                return _Loaded(imports, earlier, content)
        return _Loaded(imports, None, content) if disk is not None else None

    # --- the bundle ---

    def _pack(self, selection: Selection) -> Bundle:
        pieces = {inside: known.piece for inside, known in self._disk.items()}
        warnings = [*selection.warnings, *(f"{path} can't be read: {why}" for path, why in self._unreadable.items())]
        tops: set[str] = set(selection.tops)
        for inside, loaded in self._loaded.items():
            disk = self._disk.get(inside)
            if disk is None and any(os.path.lexists(path) for path in self._places(inside)):
                continue  # there, and no longer wanted
            if loaded.piece is None:
                warnings.append(
                    f"{inside} was edited after it was imported, and what it was then is not known: the bundle holds what "
                    "lies on disk, which is not what this process runs; reload it, or start anew"
                )
            elif disk is None or disk.piece.sha256 != loaded.piece.sha256:
                pieces[inside] = loaded.piece
                what = "edited" if disk is not None else "removed"
                warnings.append(f"{inside} was {what} after it was imported: the bundle holds what this process runs")
                if disk is None:
                    tops |= importable.tops(
                        [inside], selection.roots, lambda name: importable.is_ours(name, self._borders)
                    )
        meta = Meta(roots=selection.roots, tops=tuple(sorted(tops)), left=selection.left).encode()
        digest = digest_of(meta, ((inside, one.executable, one.sha256) for inside, one in pieces.items()))
        self._refuse_secrets(digest, pieces)
        self._packed[digest] = {inside: one.sha256 for inside, one in pieces.items()}
        while len(self._packed) > _MOST_PACKED:
            del self._packed[next(iter(self._packed))]
        last = self.bundle
        if last is not None and (last.digest, last.warnings) == (digest, tuple(warnings)):
            return last
        return Bundle(
            digest=digest,
            data=last.data if last is not None and last.digest == digest else archive.write(pieces, meta),
            size=sum(one.size for one in pieces.values()),
            files=len(pieces),
            roots=selection.roots,
            tops=frozenset(tops),
            warnings=tuple(warnings),
        )

    def _places(self, inside: str) -> list[str]:
        return [path for path, known in self._inside.items() if known == inside]

    def _refuse_secrets(self, digest: str, pieces: dict[str, Piece]) -> None:
        if self._allow_secrets or not self._suspects:
            return
        found = {inside: self._suspects.get(one.sha256) for inside, one in sorted(pieces.items())}
        told = tuple(f"{inside}: {', '.join(formats)}" for inside, formats in found.items() if formats)
        if told:
            raise SecretsError(f"sha256:{digest}", told)


def _run(imports: tuple[Import, ...], path: str, piece: Piece, changed: int) -> bool:
    return all(running.runs(one, path, piece.content, changed) for one in imports)
