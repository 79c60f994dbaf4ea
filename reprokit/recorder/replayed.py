"""A run that is being reproduced: its process learns what the recorded one was, and names its files as that one did."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import random
from reprokit.model.records import GitInfo, SnapshotInfo
from reprokit.recorder.facts import Facts, link_or_copy
from reprokit.vault import documents

if TYPE_CHECKING:
    from reprokit.capture.git import Asked
    from reprokit.recorder.plan import SnapshotSpec, Subject

VARIABLE = "REPROKIT_REPRODUCE"  # path of an `Identity`
ALONE = "__reprokit_main__"  # what a script is called whose function is called without running the script


class Was(msgspec.Struct, frozen=True, kw_only=True):
    """One of the recorded process's root runs."""

    run_id: str
    function: str | None
    kind: str
    random_state: dict[str, Any] = {}


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What the recorded process was.

    Attributes
    ----------
    root : str
        The fresh folder that stands for its project.
    name : str
        Of its repository in the record.
    git : dict
        Its repositories, as recorded.
    snapshot : SnapshotInfo or None
        Its source tree.
    argv : list of str
        Its command line.
    runs : list of Was
        Its root runs, in the order in which they began.
    folder : str
        The recorded run's folder, which has the patches that `git` names.
    """

    root: str
    name: str
    git: dict[str, GitInfo] = {}
    snapshot: SnapshotInfo | None = None
    argv: list[str] = []
    runs: list[Was] = []
    folder: str = ""


class _Open:
    """The identity that this process has, and which of the recorded runs have had their turn."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self._waiting = list(identity.runs)

    def next(self, subject: Subject) -> Was | None:
        """Give the recorded run whose turn it is, when a root run of this function opens."""
        name = subject.function
        if name is not None and name.startswith(f"{ALONE}."):
            name = f"__main__.{name[len(ALONE) + 1 :]}"
        for number, was in enumerate(self._waiting):
            if (was.function, was.kind) == (name, subject.kind):
                return self._waiting.pop(number)
        return None


def identity_of(root: Path) -> Identity | None:
    """Give the identity that a project has in this process, None for all but the one that is reproduced."""
    found = _current()
    return found.identity if found is not None and found.identity.root == str(root) else None


def repeated(root: Path, subject: Subject) -> Was | None:
    """Give the recorded run that the root run of `subject`, which opens now, repeats; its random state is put back."""
    found = _current()
    if found is None or found.identity.root != str(root):
        return None
    was = found.next(subject)
    if was is not None and was.random_state:
        random.restore(was.random_state)
    return was


def _current() -> _Open | None:
    path = os.environ.get(VARIABLE)
    return _read(path) if path else None


@lru_cache(maxsize=4)
def _read(path: str) -> _Open | None:
    try:
        return _Open(msgspec.json.decode(documents.read_bytes(path), type=Identity))
    except (OSError, msgspec.DecodeError):
        return None


class RestoredFacts(Facts):
    """Facts of the fresh folder: commit and tree are those of the recorded run."""

    def __init__(self, identity: Identity, *args: Any) -> None:
        self._identity = identity
        super().__init__(*args)

    def _collect(self, asked: Asked) -> tuple[str, GitInfo | None]:
        asked.result()
        self.git.update(self._identity.git)
        return self._identity.name, self._identity.git.get(self._identity.name)

    def tree(self, spec: SnapshotSpec | None = None) -> SnapshotInfo:
        """Give the recorded tree; one is kept anew when none was."""
        return self._identity.snapshot or super().tree(spec)

    def require_clean(self) -> None:
        """Accept what the recorded run was accepted with."""

    def write_diffs(self, folder: Path) -> None:
        """Put the recorded patches into a run folder."""
        for info in self.git.values():
            if info.diff and os.path.isfile(os.path.join(self._identity.folder, info.diff)):
                link_or_copy(os.path.join(self._identity.folder, info.diff), folder / info.diff)
