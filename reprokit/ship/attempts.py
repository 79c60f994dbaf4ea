"""Which tasks a process of this machine was at when it died.

Each worker notes the task that it begins in a file of its own, and clears the note when it ends; a note that outlives its
process names a task that was lost.  A note costs two writes of forty bytes, no fsync: only the process may die, not the
machine, for the engine of a machine that dies tells so itself.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from reprokit.capture import host
from reprokit.code.bundles import place
from reprokit.errors import WorkerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reprokit.model.records import ProcessId

_NOTE = struct.Struct("<12sdd")  # number of the task, when it began (seconds since the epoch), start of its process
_FOLDER = "attempts"
_EMPTY = bytes(_NOTE.size)

_lock = threading.Lock()
_owner = 0
_descriptor = -1
_free: list[int] = []
_slots = 0


class Attempt(NamedTuple):
    """A task that a process has begun."""

    number: bytes
    began: datetime
    process: ProcessId


def note(number: bytes) -> int:
    """Note that a task begins; give what `clear` takes, -1 when nothing can be noted."""
    global _owner, _descriptor, _slots
    pid = os.getpid()
    try:
        with _lock:
            if _owner != pid:
                path = os.path.join(place.folder(_FOLDER), f"{pid}-{os.urandom(4).hex()}")
                _descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
                _owner, _slots = pid, 0
                _free.clear()
            if _free:
                slot = _free.pop()
            else:
                slot, _slots = _slots, _slots + 1
        os.pwrite(_descriptor, _NOTE.pack(number, time.time(), host.process_id().started or 0.0), slot * _NOTE.size)
    except (OSError, AttributeError, WorkerError):  # no such folder can be made, or a system without pwrite
        return -1
    return slot


def clear(slot: int) -> None:
    """Take a note back."""
    if slot < 0:
        return
    try:
        os.pwrite(_descriptor, _EMPTY, slot * _NOTE.size)
    except OSError:
        return
    with _lock:
        _free.append(slot)


def noted(numbers: Iterable[bytes]) -> list[Attempt]:
    """Find attempts at these tasks that have not ended."""
    wanted = set(numbers)
    found: list[Attempt] = []
    try:
        files = list(Path(place.folder(_FOLDER)).iterdir())
    except (OSError, WorkerError):
        return found
    for path in files:
        found.extend(_read(path, wanted))
    return found


def _read(path: Path, wanted: set[bytes]) -> list[Attempt]:
    pid = path.name.partition("-")[0]
    found: list[Attempt] = []
    try:
        data = path.read_bytes()
        if pid.isdigit():
            for number, began, started in _NOTE.iter_unpack(data[: len(data) // _NOTE.size * _NOTE.size]):
                if number in wanted:
                    process = msgspec.structs.replace(host.process_id(), pid=int(pid), started=started or None)
                    found.append(Attempt(number, datetime.fromtimestamp(began, UTC).astimezone(), process))
        if not found and _is_over(pid, path):
            path.unlink()
    except OSError:  # swept by another driver meanwhile
        pass
    return found


def _is_over(pid: str, path: Path) -> bool:
    from reprokit import process

    day = 86_400.0  # seconds; other drivers may still ask for what this one does not
    return pid.isdigit() and process.exists(int(pid)) is False and path.stat().st_mtime < time.time() - day


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
