"""Besides runs and source trees: blobs, what dead processes left, caches, and journals that tell of nothing."""

from __future__ import annotations

import os
import platform
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit import process
from reprokit.catalog.gc.policy import BlobItem, FileItem
from reprokit.catalog.verify import vault as vaults
from reprokit.code.trees.removal import GC_PACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.catalog.ledger import Ledger
    from reprokit.vault.layout import Vault

REMOVED = ".removed-"  # begins the name of what is being removed: from then on it is none of the vault's
_OPENING = 24  # times the grace: a run that could not write its first record may still write its last one
_CACHE = 30 * 86_400.0  # seconds
_TOLD = 7 * 86_400.0  # seconds for which an index has the time to learn what was removed


def blobs(vault: Vault, ledger: Ledger, grace: float, now: float) -> list[BlobItem]:
    """Find blobs that no run that stays, and no result that stays, refers to; raises `OSError`."""
    found: list[BlobItem] = []
    if not vault.blobs.is_dir():
        return found
    wanted = "SELECT 1 FROM refers JOIN kept USING (root_id) WHERE kind = 'blob' AND value = ?1 "
    wanted += "UNION ALL SELECT 1 FROM stays WHERE digest = ?1 LIMIT 1"
    ledger.db.execute("CREATE INDEX IF NOT EXISTS refers_by_value ON refers(kind, value)")
    for folder in sorted(os.listdir(vault.blobs)):
        place = vault.blobs / folder
        if len(folder) != 2 or not place.is_dir():
            continue
        for name in sorted(os.listdir(place)):
            digest = f"sha256:{folder}{name}"
            if name.startswith(".") or ledger.db.execute(wanted, (digest,)).fetchone():
                continue
            facts = (place / name).lstat()
            if facts.st_mtime <= now - grace:
                found.append(BlobItem(digest=digest, size=size_of(place / name)))
    return found


def leftovers(vault: Vault, opening: list[Path], grace: float, now: float) -> Iterator[FileItem]:
    """Find what dead processes left: temporary files, runs that never opened, what an earlier removal didn't finish."""
    for path in vaults.temporary(vault):
        removed = path.name.startswith(REMOVED)
        if removed or _age(path, now) >= grace:
            why = "an earlier removal was interrupted" if removed else "a temporary file of a process that is gone"
            yield FileItem(path=_inside(vault, path), size=size_of(path), why=why)
    for path in opening:
        if _age(path, now) >= _OPENING * grace:
            yield FileItem(path=_inside(vault, path), size=size_of(path), why="a run that was killed while it opened")
    for path in _odd_blobs(vault):
        if _age(path, now) >= grace:
            yield FileItem(path=_inside(vault, path), size=size_of(path), why="a blob that was never finished")
    for path, age in _packs(vault):
        if _age(path, now) >= age * grace:
            yield FileItem(path=_inside(vault, path), size=size_of(path), why="a pack that was never finished")


def _packs(vault: Vault) -> Iterator[tuple[Path, int]]:
    """Give what is no whole pack of the store, and whether somebody may still be writing it."""
    place = vault.code / "objects" / "pack"
    names = sorted(os.listdir(place)) if place.is_dir() else []
    for name in names:
        if name.startswith(GC_PACK):
            yield place / name, 0  # only one gc is at work at a time
        elif name.startswith(("tmp_", ".tmp-")) or (
            name.endswith(".pack") and name.removesuffix(".pack") + ".idx" not in names
        ):
            yield place / name, 1


def _odd_blobs(vault: Vault) -> Iterator[Path]:
    if vault.blobs.is_dir():
        for folder in sorted(os.listdir(vault.blobs)):
            place = vault.blobs / folder
            if len(folder) == 2 and place.is_dir():
                yield from (place / name for name in sorted(os.listdir(place)) if name.startswith("."))


def caches(vault: Vault, now: float) -> Iterator[FileItem]:
    """Find what can be made again and was not used for a month."""
    place = vault.path / "checkouts"
    for name in sorted(os.listdir(place)) if place.is_dir() else ():
        if name.endswith(".stamp") and _age(place / name, now) >= _CACHE:
            for one in (name, name.removesuffix(".stamp"), name.removesuffix(".stamp") + ".lock"):
                if os.path.lexists(place / one):
                    told = "a checkout that was not used for a month; it is made again when asked for"
                    yield FileItem(path=_inside(vault, place / one), size=size_of(place / one), why=told)
    for name in sorted(os.listdir(vault.closures)) if vault.closures.is_dir() else ():
        if _age(vault.closures / name, now) >= _CACHE:
            told = "kept facts about a source file that was not read for a month"
            yield FileItem(path=_inside(vault, vault.closures / name), size=size_of(vault.closures / name), why=told)


def journals(found: dict[Path, set[str]], alive: set[str], grace: float, now: float) -> Iterator[FileItem]:
    """Find journals of dead processes of this machine whose runs are all gone.

    The line that a run was removed outlives those that it was there, else the run would be missed.
    """
    counts = Counter(run_id for run_ids in found.values() for run_id in run_ids)
    for path, run_ids in found.items():
        if run_ids & alive or not _is_dead(path.name):
            continue
        try:
            told = b'"event":"remove"' in path.read_bytes()
        except OSError:
            continue
        if told and any(counts[run_id] > 1 for run_id in run_ids):
            continue
        if _age(path, now) >= (_TOLD if told else grace):
            yield FileItem(path=f"journal/{path.name}", size=size_of(path), why="a journal whose runs are all gone")


def _is_dead(name: str) -> bool:
    """Tell whether the process that wrote a journal is gone; of another machine's that can't be told."""
    host, _, rest = name.rpartition("-")[0].rpartition("-")
    return host == platform.node() and rest.isdigit() and process.exists(int(rest)) is False


def _age(path: Path, now: float) -> float:
    """Seconds since a file was written, or read where the system notes that; 0 when it is gone."""
    try:
        facts = path.lstat()
    except OSError:
        return 0.0
    return now - max(facts.st_mtime, facts.st_atime if path.suffix == ".stamp" else 0.0)


def size_of(path: Path) -> int:
    """Bytes that go with a file or folder."""
    try:
        facts = path.lstat()
        if not path.is_dir() or path.is_symlink():
            return facts.st_size if facts.st_nlink == 1 else 0
        with os.scandir(path) as entries:
            return sum(size_of(Path(entry.path)) for entry in entries)
    except OSError:
        return 0


def _inside(vault: Vault, path: Path) -> str:
    return path.relative_to(vault.path).as_posix()
