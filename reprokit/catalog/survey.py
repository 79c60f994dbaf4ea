"""Everything that a run's folder tells, read once and whole, with what can't be read: for checking and for removing."""

from __future__ import annotations

import hashlib
import os
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from reprokit.catalog.run import Child, Run
from reprokit.errors import RecordError
from reprokit.model.records import (
    ContextRecord,
    JournalLine,
    MarkRecord,
    PostRunInfo,
    PreRunInfo,
    Record,
    StepRecord,
)
from reprokit.vault import documents
from reprokit.vault.runfolder import CONTEXT, MARKS, POST_RUN, PRE_RUN, STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

R = TypeVar("R", bound=Record)
_KINDS: dict[str, type[Record]] = {CONTEXT: ContextRecord, PRE_RUN: PreRunInfo, POST_RUN: PostRunInfo}
_MOST_CONTEXTS = 16  # equal ones share bytes: most runs of a process do


class Problem(NamedTuple):
    """Something that can't be read."""

    path: str
    sentence: str
    torn: bool = False  # the last line of a file, cut short: what a crash leaves


@dataclass
class Surveyed:
    """A run's folder as it was read."""

    folder: Path
    pre: PreRunInfo | None = None
    post: PostRunInfo | None = None
    context: ContextRecord | None = None
    steps: list[StepRecord] = field(default_factory=list)
    marks: list[MarkRecord] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)  # of the documents, as they are on disk
    names: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def run(self) -> Run | None:
        """Give the run, with what was read; None when it has no pre-run info."""
        if self.pre is None:
            return None
        run = Run(self.folder)
        found: dict[str, Child] = {}
        for step in self.steps:
            child = found.setdefault(step.run_id, Child(run))
            if step.event == "begin":
                child.begin = step
            else:
                child.end = step
        children = [child for child in found.values() if child.begin]
        # What is cached is not read again; the folder may change meanwhile.
        run.__dict__.update(pre=self.pre, post=self.post, context=self.context, marks=self.marks, children=children)
        return run


class Surveyor:
    """Reads run folders; contexts that share their bytes are decoded once."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[str, ContextRecord] = OrderedDict()

    def read(self, folder: Path) -> Surveyed:
        """Read a run's folder; nothing in it is executed, and nothing raises."""
        made = Surveyed(folder)
        try:
            made.names = sorted(os.listdir(folder))
            if POST_RUN not in made.names:  # a run that ends right now writes lines and files first
                self._read_document(made, POST_RUN)
                made.names = sorted(os.listdir(folder))
        except FileNotFoundError:
            return made
        except OSError as error:
            made.problems.append(Problem(str(folder), f"cannot be listed: {error.strerror or error}"))
            return made
        # In the opposite order of writing: whoever sees the end of a run sees all that was written before it.
        for name in (POST_RUN, PRE_RUN, CONTEXT):
            if name not in made.digests:
                self._read_document(made, name)
        for name in made.names:
            if name.endswith(".jsonl") and name.startswith(STEPS):
                made.steps += read_lines(folder / name, StepRecord, made.problems)
            elif name.endswith(".jsonl") and name.startswith(MARKS):
                made.marks += read_lines(folder / name, MarkRecord, made.problems)
        made.marks.sort(key=lambda mark: mark.timestamp)
        return made

    def _read_document(self, made: Surveyed, name: str) -> None:
        path = made.folder / name
        try:
            data = documents.read_bytes(path)
            digest = made.digests[name] = f"sha256:{hashlib.sha256(data).hexdigest()}"
            if name == CONTEXT:
                made.context = self._contexts.get(digest) or documents.decode(data, ContextRecord, str(path))
                self._contexts[digest] = made.context
                if len(self._contexts) > _MOST_CONTEXTS:
                    self._contexts.popitem(last=False)
            elif name == PRE_RUN:
                made.pre = documents.decode(data, PreRunInfo, str(path))
            else:
                made.post = documents.decode(data, PostRunInfo, str(path))
        except FileNotFoundError:
            pass
        except RecordError as error:
            made.problems.append(Problem(str(path), str(error.args[1])))


def read_lines(path: Path, kind: type[R], problems: list[Problem]) -> Iterator[R]:
    """Give the records of a file of lines; what can't be read is named in `problems`."""
    try:
        with open(path, "rb") as stream:
            number = 0
            while line := stream.readline(documents.LARGEST + 1):
                number += 1
                if len(line) > documents.LARGEST:
                    problems.append(Problem(f"{path}:{number}", "the line is too long for a record"))
                    return
                try:
                    yield documents.decode(line, kind, f"{path}:{number}")
                except RecordError as error:
                    torn = not line.endswith(b"\n")
                    problems.append(Problem(f"{path}:{number}", str(error.args[1]), torn))
    except FileNotFoundError:
        return
    except OSError as error:
        problems.append(Problem(str(path), f"cannot be read: {error.strerror or error}"))


def folders(vault: Path, problems: list[Problem]) -> list[Path]:
    """Give all run folders by name; a listing that fails is named in `problems`, and never taken for an empty one."""
    try:
        with os.scandir(vault / "runs") as entries:
            names = [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(Problem(str(vault / "runs"), f"cannot be listed: {error.strerror or error}"))
        return []
    return [vault / "runs" / name for name in sorted(names)]


def journals(vault: Path, problems: list[Problem]) -> list[Path]:
    """Give all journal files by name."""
    try:
        names = [name for name in os.listdir(vault / "journal") if name.endswith(".jsonl")]
    except FileNotFoundError:
        return []
    except OSError as error:
        problems.append(Problem(str(vault / "journal"), f"cannot be listed: {error.strerror or error}"))
        return []
    return [vault / "journal" / name for name in sorted(names)]


def journal_lines(path: Path, problems: list[Problem]) -> Iterator[JournalLine]:
    """Give the lines of a journal file."""
    return read_lines(path, JournalLine, problems)
