"""What a function prints: passed through unchanged, and kept with secrets taken out."""

from __future__ import annotations

import os
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reprokit.model.redact import Redactor

NAMES = ("stdout", "stderr")

_lock = threading.RLock()
_captures: list[OutputCapture] = []
_passing = threading.local()  # the names of the streams that this thread is writing to


def _before_fork() -> None:
    """Write out what is buffered, else parent and child would both do it; no thread is half-way through a write."""
    _lock.acquire()
    for capture in _captures:
        capture.flush()


def _in_parent() -> None:
    _lock.release()


def _in_child() -> None:
    """Leave the parent's files to the parent: what a forked child prints is passed through and not recorded."""
    global _lock
    _lock = threading.RLock()
    _captures.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)


class OutputCapture:
    """Keeps what is printed to ``sys.stdout`` and ``sys.stderr`` while it is started and `is_mine` says yes.

    Text is what it sees: bytes that go to ``sys.stdout.buffer``, output of libraries in C and of other processes, and
    what is written to a stream that was fetched before the start (as handlers of ``logging`` do) passes it by.

    Parameters
    ----------
    folder
        Where ``stdout.txt`` and ``stderr.txt`` go; `prefix` comes before these names.
    is_mine
        Tells, at each write, whether it belongs to this capture: threads and asyncio tasks print side by side.
    """

    def __init__(self, folder: Path, is_mine: Callable[[], bool], redactor: Redactor, prefix: str = "") -> None:
        self._is_mine = is_mine
        self._paths = {name: folder / f"{prefix}{name}.txt" for name in NAMES}
        self._filters = {name: redactor.stream() for name in NAMES}
        self._files: dict[str, IO[bytes]] = {}
        self._error: Exception | None = None
        self._busy = False
        self._waiting: list[tuple[str, str]] = []

    def start(self) -> None:
        """Begin.

        Raises
        ------
        OSError
            When the files can't be made.
        """
        try:
            for name in NAMES:
                self._files[name] = open(self._paths[name], "xb")  # noqa: SIM115 - closed by stop
        except OSError:
            self._close()
            raise
        with _lock:
            _captures.append(self)
            for name in NAMES:
                stream = getattr(sys, name)
                if stream is not None and not isinstance(stream, _Tee):
                    setattr(sys, name, _Tee(stream, name))

    def stop(self) -> None:
        """End; raises the error that writing met, if any."""
        with _lock:
            if self in _captures:
                _captures.remove(self)
            if not _captures:
                for name in NAMES:
                    stream = getattr(sys, name)
                    if isinstance(stream, _Tee):
                        setattr(sys, name, stream._original)
            try:
                for name, stream in self._files.items():
                    self._write(name, stream, self._filters[name].close())
            finally:
                self._close()
        if self._error is not None:
            raise self._error

    def text(self, name: str, limit: int) -> str:
        """What was printed, at most `limit` bytes of it; the file holds all."""
        path = self._paths[name]
        with open(path, "rb") as stream:
            head = stream.read(limit)
        more = path.stat().st_size - len(head)
        text = head.decode(errors="replace")
        return text + f"\n... {more} more bytes in {path.name}" if more > 0 else text

    def take(self, name: str, text: str) -> None:
        """Keep a piece of output; never fails, for the one who prints has done nothing wrong."""
        if name not in self._files or self._error is not None or not self._is_mine():
            return
        self._waiting.append((name, text))
        if self._busy:  # a signal handler or finalizer prints while its thread is in here: its turn comes
            return
        self._busy = True
        try:
            while self._waiting:
                whose, piece = self._waiting.pop(0)
                data = self._filters[whose].feed(piece.encode("utf-8", "backslashreplace"))
                self._write(whose, self._files[whose], data)
        except Exception as error:  # noqa: BLE001 - see above
            self._error = error
        finally:
            self._busy = False

    def flush(self) -> None:
        """Hand what is buffered to the system."""
        for stream in self._files.values():
            if self._error is None:
                try:
                    stream.flush()
                except OSError as error:
                    self._error = error

    def _write(self, name: str, stream: IO[bytes], data: bytes) -> None:
        if data and self._error is None:
            try:
                stream.write(data)
            except OSError as error:
                self._error = error

    def _close(self) -> None:
        for stream in self._files.values():
            try:
                stream.close()
            except OSError as error:
                self._error = self._error or error
        self._files = {}


class _Tee:
    """Stands for the original stream; all but writing is its business."""

    def __init__(self, original: Any, name: str) -> None:
        self._original = original
        self._name = name

    def write(self, text: str) -> int:
        if self._name in vars(_passing):  # through a wrapper of the user's around an older one of us: kept there
            count: int = self._original.write(text)
            return count
        setattr(_passing, self._name, True)
        try:
            count = self._original.write(text)
        finally:
            delattr(_passing, self._name)
        with _lock:
            for capture in _captures:
                capture.take(self._name, text)
        return count

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        if name == "_original":  # a copy that is being made has none yet
            raise AttributeError(name)
        return getattr(self._original, name)

    def __iter__(self) -> Any:
        return iter(self._original)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *details: object) -> None:
        self._original.__exit__(*details)
