"""Recording faults: kept in the record, told in one line, never the caller's exception."""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from reprokit.errors import RecordingError, RecordingWarning, ReprokitError
from reprokit.model.records import Fault

if TYPE_CHECKING:
    from types import TracebackType

    from reprokit.model.redact import Redactor


class Faults:
    """Collects what could not be recorded in one run.

    ``with faults.at("git"):`` turns an exception inside into an entry; in strict mode, and before the function started,
    into a `RecordingError`.  Secrets are taken out of what is said.
    """

    __slots__ = ("_clean", "found", "notes", "started", "strict")

    def __init__(self, *, strict: bool, redactor: Redactor) -> None:
        self._clean = redactor.text
        self.strict = strict
        self.started = False  # the function runs or ran: nothing may be raised from here on
        self.found: list[Fault] = []
        self.notes: list[str] = []  # findings that are no faults: told, not raised

    def at(self, where: str) -> _Guard:
        """Guard a block."""
        return _Guard(self, where)

    def add(self, where: str, error: BaseException | str) -> None:
        """Enter a fault; in strict mode, before the function started, raise it."""
        where = self._clean(where)[0]
        text = self._clean(error if isinstance(error, str) else _sentence(error))[0]
        self.found.append(Fault(where=where, error=text))
        if self.strict and not self.started:
            raise RecordingError(where, text) from (None if isinstance(error, str) else error)

    def tell(self) -> None:
        """Give one warning for all of them."""
        told, self.notes = self.notes, []
        if self.found:
            first = self.found[0]
            more = f" (and {len(self.found) - 1} more)" if len(self.found) > 1 else ""
            told.insert(0, f"cannot record {first.where}: {first.error}{more}")
        for line in told:
            warn(line)


class _Guard:
    __slots__ = ("_faults", "_where")

    def __init__(self, faults: Faults, where: str) -> None:
        self._faults = faults
        self._where = where

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if error is None or not isinstance(error, Exception):
            return False
        if isinstance(error, RecordingError):
            return False
        self._faults.add(self._where, error)
        return True


def warn(line: str) -> None:
    """Warn without ever raising: under ``-W error`` the line goes to stderr, for the result must not be lost."""
    try:
        warnings.warn(f"reprokit: {line}", RecordingWarning, stacklevel=2)
    except RecordingWarning:
        try:
            sys.stderr.write(f"reprokit: {line}\n")
        except Exception:  # noqa: BLE001 - stderr may be closed; there is nobody left to tell
            return


def _sentence(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - an error whose text fails is still a fault
        text = ""
    if isinstance(error, OSError) and not isinstance(error, ReprokitError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return (
        text
        if isinstance(error, ReprokitError) and text
        else f"{type(error).__name__}: {text}"
        if text
        else type(error).__name__
    )
