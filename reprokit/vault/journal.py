"""The journal: one line when a root run opens and one when it closes.

Each process appends to a file of its own, so there are no locks and it is safe on a network file system.  The run
folders are the truth; a line that a power cut took is found again by listing them.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from reprokit.errors import RecordError
from reprokit.model.records import JournalLine
from reprokit.vault import atomic, documents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.model.records import Record


_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


class Appender:
    """Appends records as lines to one file that only this process writes.

    After a fork the child writes a file of its own: the name holds the process number.
    """

    def __init__(self, folder: Path, prefix: str, host: str) -> None:
        self._folder, self._prefix, self._host = folder, prefix, host
        self._owner = 0
        self._descriptor = -1
        self._lock = threading.RLock()

    def append(self, record: Record) -> None:
        """Append one line."""
        self.append_lines(documents.encode(record, pretty=False))

    def append_lines(self, lines: bytes) -> None:
        """Append whole lines, by a single write call, so that those of threads never mix."""
        pid = os.getpid()
        if self._owner != pid:  # new here, or forked: a thread that is gone may hold the parent's lock
            self._lock = threading.RLock()
            self._owner, self._descriptor = pid, -1
        with self._lock:
            if self._descriptor >= 0 and os.fstat(self._descriptor).st_nlink == 0:  # somebody removed the vault
                descriptor, self._descriptor = self._descriptor, -1
                os.close(descriptor)
            if self._descriptor < 0:
                path = self._folder / f"{self._prefix}{self._host}-{pid}-{os.urandom(4).hex()}.jsonl"
                self._descriptor = os.open(path, _FLAGS, 0o600)
            atomic.write_all(self._descriptor, lines)

    def close(self, *, sync: bool = False) -> None:
        """Close the file, if this process has one open; `sync` makes it last first."""
        if self._owner != os.getpid():
            return
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1
            if descriptor >= 0:
                try:
                    if sync:
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)


def lines_of(folder: Path, prefix: str) -> Iterator[JournalLine]:
    """Give the lines of the journals whose names begin like this; damaged ones are passed over."""
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(prefix) and name.endswith(".jsonl"))
    except OSError:
        return
    for name in names:
        try:
            lines = (folder / name).read_bytes().splitlines()
        except OSError:
            continue
        for line in lines:
            try:
                yield documents.decode(line, JournalLine, name)
            except RecordError:
                continue
