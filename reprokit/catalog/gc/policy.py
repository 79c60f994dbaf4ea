"""What a person asks for, and what follows from it: frozen values."""

from __future__ import annotations

import msgspec

SCHEMA = "reprokit/gc/1"
GRACE = 3600.0  # seconds for which what nobody refers to is left alone: a run may be about to


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are kept though nothing in the project refers to them.

    With neither ``keep_last`` nor ``keep_days`` nor ``only_tagged``, no run is removed.
    """

    keep_last: int | None = None  # the newest of each function, block or command
    keep_days: float | None = None
    keep_tagged: bool = True
    only_tagged: bool = False  # those without a tag may go
    grace: float = GRACE  # seconds
    results_unused: float | None = None  # days after which a result goes that was neither made nor used

    @property
    def removes_runs(self) -> bool:
        """Whether any run may be removed."""
        return self.keep_last is not None or self.keep_days is not None or self.only_tagged


class RunItem(msgspec.Struct, frozen=True, kw_only=True):
    """A run that goes."""

    run_id: str
    folder: str
    what: str
    started_at: str
    size: int  # bytes
    stamp: str  # of its folder: when this has changed, the run stays


class TreeItem(msgspec.Struct, frozen=True, kw_only=True):
    """A source tree that no run refers to."""

    digest: str
    commit: str


class BlobItem(msgspec.Struct, frozen=True, kw_only=True):
    """A kept artifact that no run refers to."""

    digest: str
    size: int  # bytes


class FileItem(msgspec.Struct, frozen=True, kw_only=True):
    """What a dead process left, or a cache that nobody has asked for in a month."""

    path: str
    size: int  # bytes
    why: str


class ResultItem(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a file of results that go; without lines, the file or lock itself."""

    path: str
    lines: tuple[str, ...]  # the beginning of each line's digest
    size: int  # bytes
    why: str
    run_id: str | None = None  # the root run that they go with


class LostRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose folder is gone without a word: the journal is told."""

    run_id: str
    folder: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What would be removed.

    Attributes
    ----------
    runs, trees, blobs, files, results, lost : tuple
        What goes.
    kept : dict of str to int
        How many runs stay, by the first reason for it.
    code : int
        Bytes of source code that go with the trees; what other trees share stays.
    size : int
        Bytes in all.
    repack : bool
        Whether the store of source trees holds objects that no tree has.
    """

    schema: str = SCHEMA
    vault: str
    root: str
    template: str | None = None
    policy: Policy
    runs: tuple[RunItem, ...] = ()
    trees: tuple[TreeItem, ...] = ()
    blobs: tuple[BlobItem, ...] = ()
    files: tuple[FileItem, ...] = ()
    results: tuple[ResultItem, ...] = ()
    lost: tuple[LostRun, ...] = ()
    kept: dict[str, int] = {}
    code: int = 0
    repack: bool = False
    size: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.runs or self.trees or self.blobs or self.files or self.results or self.lost or self.repack)
