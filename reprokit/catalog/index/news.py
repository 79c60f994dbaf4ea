"""What a vault holds that its index does not: told by the journals, and by listing the run folders now and then.

The journals say at a look which runs opened, ended or were marked since, at the cost of a stat for each one that a living
process may still write.  What no journal line tells of (a line that a power cut took, a folder that was removed or
copied in by hand) changes the listing of ``runs/``; that is read again when the folder's time has changed, on a disk
where listing takes long at most every half minute.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit import process
from reprokit.capture import host
from reprokit.catalog.index import columns, gather, hits
from reprokit.vault import runfolder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from reprokit.vault.layout import Vault

_RACY = 2_000_000_000  # nanoseconds: a folder may change once more within the tick of its time
_QUICK = 0.25  # seconds that a listing may take to be done at each change
_PAUSE = 30.0  # seconds between two listings that take longer
_BLOCK = 1 << 24  # bytes that are read at once
_IDLE = 86_400  # seconds after which another machine's journal is taken to be ended


class News(msgspec.Struct):
    """What is to be written into the index."""

    changed: set[str] = set()  # run folders to be read (again)
    gone: set[str] = set()
    journals: dict[str, tuple[int, bool]] = {}  # name -> bytes read, ended
    progress: dict[str, str | int | float] = {}
    hits: dict[str, hits.Hits] = {}  # run -> how often its result was used again
    version: int = -1  # of the index that was looked at

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone or self.journals or self.progress)


def find(db: sqlite3.Connection, vault: Vault) -> News:
    """Compare a vault with its index."""
    news = News(version=version(db))
    progress = dict(db.execute("SELECT key, value FROM progress"))
    _read_journals(db, vault, progress, news)
    _look_at_open_runs(db, vault, news)
    _list_runs(db, vault, progress, news)
    return news


def version(db: sqlite3.Connection) -> int:
    """Give a number that changes when another connection writes (https://sqlite.org/pragma.html#pragma_data_version)."""
    return int(db.execute("PRAGMA data_version").fetchone()[0])


def start(vault: Vault) -> News:
    """Say how far an index reaches that is about to be built from all run folders.  Called before they are listed.

    What the journals tell of results that were used again stands nowhere else, so that is read.
    """
    news = News()
    news.progress["journals"] = 0
    for name in _journal_names(vault):
        read = 0
        try:
            for block in _blocks(vault.journal / name, 0):
                read += len(block)
                if hits.MARK in block:
                    for line in block.splitlines():
                        if hits.MARK in line:
                            hits.read(line, news.hits)
        except OSError:
            continue
        news.journals[name] = (read, False)
    return news


def _journal_names(vault: Vault) -> list[str]:
    try:
        names = os.listdir(vault.journal)
    except FileNotFoundError:
        return []
    return [columns.text(name) for name in names if name.endswith(".jsonl") and not name.startswith(".")]


def _blocks(path: os.PathLike[str], read: int) -> Iterator[bytes]:
    """Give what follows in a journal, in blocks of whole lines; the last line may still be being written."""
    with open(path, "rb") as stream:
        stream.seek(read)
        rest = b""
        while data := stream.read(_BLOCK):
            whole = data.rfind(b"\n") + 1
            if whole:
                yield rest + data[:whole]
            rest = data[whole:] if whole else rest + data


def _read_journals(db: sqlite3.Connection, vault: Vault, progress: dict[str, Any], news: News) -> None:
    changed_at = _time_of(vault.journal)
    live: dict[str, int] = dict(db.execute("SELECT name, read FROM journals WHERE NOT ended"))
    if changed_at != progress.get("journals"):
        known = {name for (name,) in db.execute("SELECT name FROM journals")}
        live.update((name, 0) for name in _journal_names(vault) if name not in known)
        _note_time(progress, "journals", changed_at, news)
    for name, read in live.items():
        _read_journal(vault, name, read, news)


def _read_journal(vault: Vault, name: str, read: int, news: News) -> None:
    path = vault.journal / name
    ended = _ended(name, path)  # first: what is written before the end is then read below
    try:
        begun = read
        if os.stat(path).st_size > read:
            for block in _blocks(path, read):
                for line in block.splitlines():
                    _read_line(line, news)
                read += len(block)
        if read == begun and not ended:
            return
    except FileNotFoundError:
        ended = True
    except OSError:
        return
    news.journals[name] = (read, ended)


def _read_line(line: bytes, news: News) -> None:
    if hits.MARK in line and hits.read(line, news.hits):
        return  # no folder has changed
    try:
        told = json.loads(line)
        folder = told["folder"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # torn, or not ours; the listing finds what it was about
    if isinstance(folder, str) and folder and os.path.basename(folder) == folder and not folder.startswith("."):
        if told.get("event") == "remove":
            news.gone.add(folder)
            news.changed.discard(folder)
        else:
            news.changed.add(folder)


def _ended(name: str, path: os.PathLike[str]) -> bool:
    """Tell whether nobody will append to a journal any more, as far as can be seen from here."""
    machine, _, rest = name.rpartition("-")[0].rpartition("-")
    if machine == host.platform_info().node and rest.isdigit():
        return process.exists(int(rest)) is False
    try:
        return time.time() - os.stat(path).st_mtime > _IDLE
    except OSError:
        return True


def _look_at_open_runs(db: sqlite3.Connection, vault: Vault, news: News) -> None:
    """Read runs again that had no end: they may have one now, or more child runs, or their process has died."""
    for folder, steps, process_id in db.execute("SELECT folder, steps, process FROM open_runs"):
        if folder not in news.changed and folder not in news.gone:
            path = vault.runs / folder
            if (
                runfolder.is_complete(path)
                or gather.steps_size(str(path)) != steps
                or host.is_alive(gather.process_of(process_id)) is False
                or not path.is_dir()
            ):
                news.changed.add(folder)


def _list_runs(db: sqlite3.Connection, vault: Vault, progress: dict[str, Any], news: News) -> None:
    changed_at = _time_of(vault.runs)
    if changed_at == progress.get("runs"):
        return
    took, listed_at, now = progress.get("listing_took", 0.0), progress.get("listed_at", 0.0), time.time()
    if took > _QUICK and 0 <= now - listed_at < _PAUSE:
        return
    begun = time.perf_counter()
    names = list_runs(vault)
    expected = progress.get("listing", 0) + sum_of_changes(db, news)
    if checksum(names) != expected:
        known = known_folders(db)
        there = {os.fsdecode(name) for name in names}
        news.changed |= there - known
        news.gone |= known - there
        news.changed -= news.gone
    _note_time(progress, "runs", changed_at, news)
    spent = time.perf_counter() - begun
    if max(spent, took) > _QUICK:
        news.progress.update(listing_took=spent, listed_at=now)


def sum_of_changes(db: sqlite3.Connection, news: News) -> int:
    """Give what the sum of the listing changes by when the index has taken in the news."""
    new = sum(checksum([os.fsencode(folder)]) for folder in news.changed if not is_known(db, folder))
    return new - sum(checksum([os.fsencode(folder)]) for folder in news.gone if is_known(db, folder))


def is_known(db: sqlite3.Connection, folder: str) -> bool:
    """Tell whether the index holds anything of a run folder."""
    query = "SELECT EXISTS(SELECT 1 FROM runs WHERE folder = ?1) OR EXISTS(SELECT 1 FROM problems WHERE folder = ?1)"
    return bool(db.execute(query, (folder,)).fetchone()[0])


def known_folders(db: sqlite3.Connection) -> set[str]:
    """Give the names of all folders that the index knows, readable or not."""
    query = "SELECT folder FROM runs WHERE parent_id IS NULL UNION SELECT folder FROM problems"
    return {name for (name,) in db.execute(query)}


def list_runs(vault: Vault) -> list[bytes]:
    """List the names of all run folders; one that is no text was made by nobody of ours."""
    try:
        names = os.listdir(os.fsencode(vault.runs))
    except (FileNotFoundError, NotADirectoryError):
        return []
    # Looking at all names at once takes a tenth of looking at each.
    together = b"/".join([b"", *names])
    if together.isascii() and b"/." not in together:
        return names
    return [name for name in names if not name.startswith(b".") and _is_text(name)]


def _is_text(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def checksum(names: list[bytes]) -> int:
    """Sum up a listing, whatever its order: comparing it with all that an index knows takes longer than listing."""
    return sum(map(zlib.crc32, names))


def _time_of(folder: os.PathLike[str]) -> int:
    try:
        return os.stat(folder).st_mtime_ns
    except OSError:
        return -1


def _note_time(progress: dict[str, Any], key: str, changed_at: int, news: News) -> None:
    """Remember a folder's time, unless it is so new that a change might not show in it."""
    kept = changed_at if abs(time.time_ns() - changed_at) > _RACY else 0
    if kept != progress.get(key):
        news.progress[key] = kept
