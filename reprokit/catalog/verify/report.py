"""What a check found, as frozen values that are JSON as they are."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = "reprokit/verify/1"

Kind = Literal[
    "recorded",  # the run that made a file that was asked for
    "missing",  # what a run generated is not there
    "changed",  # it has another content
    "moved",  # it lies elsewhere, with the content that was recorded
    "replaced",  # a later run made it anew
    "unrecorded",  # it looks like ours, and no run of this vault made it
    "unreadable",  # it can't be read now
    "unchecked",  # there is nothing to check it against, or it is not on this machine
    "input missing",
    "input changed",
    "side-car missing",
    "side-car",  # it tells something else than the record
    "damaged",  # a record of the vault
    "blob missing",
    "blob changed",
    "archive",
    "tree missing",
    "tree damaged",
    "run missing",  # its folder was removed by hand
    "duplicate",
    "leftover",
    "clock",
]
Severity = Literal["failure", "note"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it was recorded, or that a reader should know."""

    kind: Kind
    severity: Severity
    path: str
    run_id: str | None = None
    sentence: str  # what it is, and the remedy


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a check.

    Attributes
    ----------
    wanted : str or None
        The run or file that was asked for; None: everything.
    ok : bool
        Whether no finding is a failure.
    runs, files, size
        How many root runs were read, and how many files and bytes were hashed.
    """

    schema: str = SCHEMA
    vault: str
    wanted: str | None
    ok: bool
    runs: int
    files: int
    size: int
    findings: list[Finding]

    @property
    def failures(self) -> list[Finding]:
        """What is wrong."""
        return [one for one in self.findings if one.severity == "failure"]

    @property
    def notes(self) -> list[Finding]:
        """What is worth knowing, and no failure."""
        return [one for one in self.findings if one.severity == "note"]


def failure(kind: Kind, path: str, sentence: str, run_id: str | None = None) -> Finding:
    """Make a finding that fails the check."""
    return Finding(kind=kind, severity="failure", path=path, run_id=run_id, sentence=sentence)


def note(kind: Kind, path: str, sentence: str, run_id: str | None = None) -> Finding:
    """Make a finding that fails nothing."""
    return Finding(kind=kind, severity="note", path=path, run_id=run_id, sentence=sentence)
