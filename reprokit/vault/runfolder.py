"""One run's folder: what is written there, in which order, and reading it back."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.errors import RecordError
from reprokit.model.records import ContextRecord, PostRunInfo, PreRunInfo, StepRecord
from reprokit.vault import atomic, documents
from reprokit.vault.journal import Appender

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTEXT = "context.json"
PRE_RUN = "pre-run-info.json"
POST_RUN = "post-run-info.json"


class RunFolder:
    """Writes the documents of one root run."""

    __slots__ = ("_host", "_lock", "_steps", "path")

    def __init__(self, path: Path, host: str) -> None:
        self.path = path
        self._host = host
        self._steps: Appender | None = None
        self._lock = threading.Lock()

    def write_context(self, record: ContextRecord, same_as: str | None) -> str:
        """Write ``context.json`` and give its path.

        `same_as` is the path of an equal document that this process wrote before: a hard link to it costs no second
        copy and no fsync.  Where the file system has no links, or that file is gone, the record is written again.
        """
        path = os.path.join(self.path, CONTEXT)
        if same_as is not None:
            try:
                os.link(same_as, path)
            except OSError:
                pass
            else:
                return path
        atomic.write(path, documents.encode(record))
        return path

    def write_pre_run(self, record: PreRunInfo) -> None:
        """Write ``pre-run-info.json``; afterwards the folder and both documents last."""
        atomic.write(os.path.join(self.path, PRE_RUN), documents.encode(record))
        atomic.sync_folder(str(self.path))

    def write_post_run(self, record: PostRunInfo) -> None:
        """Write ``post-run-info.json``: the commit point of the run."""
        if self._steps is not None:
            self._steps.close(sync=True)
        atomic.write(os.path.join(self.path, POST_RUN), documents.encode(record))
        atomic.sync_folder(str(self.path))

    def append_step(self, record: StepRecord) -> None:
        """Append the line of a child run."""
        self.append_lines(documents.encode(record, pretty=False))

    def append_lines(self, lines: bytes) -> None:
        """Append whole lines of child runs."""
        steps = self._steps
        if steps is None:
            with self._lock:
                if self._steps is None:
                    self._steps = Appender(self.path, "steps-", self._host)
                steps = self._steps
        steps.append_lines(lines)

    def put(self, name: str, data: bytes) -> None:
        """Write a file that belongs to a child run; one that is there already stays.

        Raises
        ------
        RecordError
            When the name leads out of the folder.
        """
        path = self.path / name
        if os.path.isabs(name) or ".." in Path(name).parts or not name:
            raise RecordError(str(self.path), f"a child run's file cannot be called {name!r}")
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            atomic.write(str(path), data)


def is_complete(folder: Path) -> bool:
    """Tell whether the run's record was committed."""
    return (folder / POST_RUN).exists()


def read_context(folder: Path) -> ContextRecord:
    """Read ``context.json``; raises `RecordError` or ``FileNotFoundError``."""
    return documents.read(folder / CONTEXT, ContextRecord)


def read_pre_run(folder: Path) -> PreRunInfo:
    """Read ``pre-run-info.json``; raises `RecordError` or ``FileNotFoundError``."""
    return documents.read(folder / PRE_RUN, PreRunInfo)


def read_post_run(folder: Path) -> PostRunInfo | None:
    """Read ``post-run-info.json``; None while the run is open or when it was killed.  Raises `RecordError`."""
    try:
        return documents.read(folder / POST_RUN, PostRunInfo)
    except FileNotFoundError:
        return None


def read_steps(folder: Path, damaged: list[RecordError] | None = None) -> Iterator[StepRecord]:
    """Give the lines of all steps files, each file's in order.

    A torn last line is what a crash leaves, so damaged lines are passed over and, when a list is given, named there.
    """
    for path in sorted(folder.glob("steps-*.jsonl")):
        for number, step in enumerate(_lines(path), 1):
            try:
                yield documents.decode(step, StepRecord, f"{path}:{number}")
            except RecordError as error:
                if damaged is not None:
                    damaged.append(error)


def _lines(path: Path) -> Iterator[Any]:
    with open(path, "rb") as stream:
        yield from stream
