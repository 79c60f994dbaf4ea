"""One run's folder: what is written there, in which order, and reading it back."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from reprokit.errors import RecordError
from reprokit.model import digest
from reprokit.model.records import ContextRecord, MarkRecord, PostRunInfo, PreRunInfo, StepRecord
from reprokit.vault import atomic, documents
from reprokit.vault.journal import Appender

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.model.records import Record

CONTEXT = "context.json"
PRE_RUN = "pre-run-info.json"
POST_RUN = "post-run-info.json"
STEPS = "steps-"
MARKS = "marks-"

R = TypeVar("R", StepRecord, MarkRecord)


class Written(NamedTuple):
    """A document that is on disk."""

    path: str
    digest: str


class RunFolder:
    """Writes the documents of one root run."""

    __slots__ = ("_host", "_lock", "_steps", "digests", "path")

    def __init__(self, path: Path, host: str) -> None:
        self.path = path
        self.digests: dict[str, str] = {}  # of the documents as they were written
        self._host = host
        self._steps: Appender | None = None
        self._lock = threading.Lock()

    def write_context(self, record: ContextRecord, same_as: Written | None) -> Written:
        """Write ``context.json`` and tell where.

        `same_as` is an equal document that this process wrote before: a hard link to it costs no second copy and no
        fsync.  Where the file system has no links, or that file is gone, the record is written again.
        """
        path = os.path.join(self.path, CONTEXT)
        if same_as is not None:
            try:
                os.link(same_as.path, path)
            except OSError:
                pass
            else:
                self.digests[CONTEXT] = same_as.digest
                return Written(path, same_as.digest)
        self._write(CONTEXT, record)
        return Written(path, self.digests[CONTEXT])

    def write_pre_run(self, record: PreRunInfo) -> None:
        """Write ``pre-run-info.json``; afterwards the folder and both documents last."""
        self._write(PRE_RUN, record)
        atomic.sync_folder(str(self.path))

    def write_post_run(self, record: PostRunInfo) -> None:
        """Write ``post-run-info.json``: the commit point of the run."""
        if self._steps is not None:
            self._steps.close(sync=True)
        self._write(POST_RUN, record)
        atomic.sync_folder(str(self.path))

    def _write(self, name: str, record: Record) -> None:
        data = documents.encode(record)
        atomic.write(os.path.join(self.path, name), data)
        self.digests[name] = digest.of_bytes(data)

    def append_step(self, record: StepRecord) -> None:
        """Append the line of a child run."""
        self.append_lines(documents.encode(record, pretty=False))

    def append_lines(self, lines: bytes) -> None:
        """Append whole lines of child runs."""
        steps = self._steps
        if steps is None:
            with self._lock:
                if self._steps is None:
                    self._steps = Appender(self.path, STEPS, self._host)
                steps = self._steps
        steps.append_lines(lines)

    def steps(self) -> Iterator[StepRecord]:
        """Give the lines of child runs that are written, by any process."""
        return read_steps(self.path)

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


def read_steps(folder: str | os.PathLike[str], damaged: list[RecordError] | None = None) -> Iterator[StepRecord]:
    """Give the lines of all steps files, each file's in order.

    A torn last line is what a crash leaves, so damaged lines are passed over and, when a list is given, named there.
    """
    return _lines(folder, STEPS, StepRecord, damaged)


def read_marks(folder: str | os.PathLike[str], damaged: list[RecordError] | None = None) -> Iterator[MarkRecord]:
    """Give the lines of all marks files; damaged ones are treated as `read_steps` does."""
    return _lines(folder, MARKS, MarkRecord, damaged)


def _lines(
    folder: str | os.PathLike[str], prefix: str, kind: type[R], damaged: list[RecordError] | None
) -> Iterator[R]:
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(prefix) and name.endswith(".jsonl"))
    except FileNotFoundError:
        return
    for name in names:
        path = os.path.join(folder, name)
        try:
            stream = open(path, "rb")  # noqa: SIM115 - the generator may be left half-way; the file closes with it
        except OSError as error:
            if damaged is not None:
                damaged.append(RecordError(path, f"cannot be read: {error.strerror or error}"))
            continue
        with stream:
            for number, line in enumerate(stream, 1):
                try:
                    yield documents.decode(line, kind, f"{path}:{number}")
                except RecordError as error:
                    if damaged is not None:
                        damaged.append(error)
