"""Files that nobody named and that a run was seen to open become records of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit.capture import files
from reprokit.capture.opened import hook, known, logs
from reprokit.capture.opened.leave_out import LeaveOut, imported
from reprokit.capture.opened.site.reprokit_opened import LIMIT, stamp
from reprokit.errors import RecordError
from reprokit.model.records import ArtifactRecord
from reprokit.vault.runfolder import read_steps

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from reprokit.capture.opened.site.reprokit_opened import Seen
    from reprokit.recorder.faults import Faults
    from reprokit.recorder.project import Project

_WHERE = "the files that it opened"


class Watching:
    """Looks at what one run opens, from its start to its end.

    Parameters
    ----------
    run_id
        Of the run.
    project
        Its project.
    folder
        The root run's folder, where other processes tell what they open; None: nowhere.
    lists
        Whether it is also to look at which folders are listed.

    Attributes
    ----------
    logs : set of str
        Paths, as in records, of files that were only appended to.
    listed : dict
        Folder -> the names that it held.
    absent : list of str
        Files in the project that were looked for and were not there.
    """

    def __init__(self, run_id: str, project: Project, folder: Path | None, *, lists: bool = False) -> None:
        self._project = project
        self._folder = folder
        self._begin = None if folder is None else os.path.join(folder, f"opened-{run_id[:8]}-")
        # The digest is asked for inside an audit hook, where what we open must not count.
        self._watch = hook.Watch(run_id, project.root, hook.quietly(known.digest), self._begin, lists=lists)
        self.logs: set[str] = set()
        self.listed: dict[str, list[str]] = {}
        self.absent: list[str] = []

    def start(self) -> None:
        """Begin, in this process."""
        hook.start(self._watch)

    def stop(self) -> None:
        """End it; `records` tells what was found."""
        hook.stop(self._watch)

    def variables(self) -> dict[str, str]:
        """Give the environment variables by which a command's interpreters tell what they open."""
        return {} if self._begin is None else logs.variables(self._begin, dict(os.environ))

    def records(self, named: Iterable[str], faults: Faults, *, command: bool = False) -> list[ArtifactRecord]:
        """Describe what was opened, in the order of paths: first what was used, then what was generated.

        Parameters
        ----------
        named
            Absolute paths that have a record of this run.
        command
            Whether another program ran, so that all is told by its interpreters.
        """
        watch, code = self._watch, set[str]()
        joined = None if self._begin is None else logs.join(self._begin, watch)
        named = {*named, *watch.named}
        if joined is not None:
            code, watch.more = joined.code, watch.more + joined.more
            watch.faults += joined.faults
            if joined.paths and self._folder is not None:
                named |= self._of_child_runs(self._folder)
        if command and (joined is None or not joined.paths):
            faults.add(
                _WHERE, "none of the command's programs told: they are not Python, or were started with -I, -E or -S"
            )
        left_out = LeaveOut(
            str(self._project.root), [str(self._project.vault.path)], named, code | imported(watch.files)
        )
        counting = {path: seen for path, seen in sorted(watch.files.items()) if not left_out(path)}
        self.logs = {self._project.relative(path) for path, seen in counting.items() if seen.log}
        self.listed = {path: names for path, names in watch.listed.items() if not left_out(os.path.join(path, ""))}
        inside = str(self._project.root) + os.sep
        self.absent = sorted(path for path in watch.absent if path.startswith(inside) and not left_out(path))
        found = _Found(self._project, counting, faults)
        records = found.used() + found.generated()
        if watch.more:
            faults.add(
                _WHERE, f"more than {LIMIT:,} files; the run opened others, {watch.more:,} times, that are not listed"
            )
        for fault in dict.fromkeys(watch.faults):
            faults.add(_WHERE, fault)
        if joined is not None:
            logs.remove(joined.paths)
        watch.files.clear()
        return records

    def _of_child_runs(self, folder: Path) -> set[str]:
        """Give the files that runs in other processes have recorded as theirs."""
        damaged: list[RecordError] = []
        root = self._project.root
        return {str(root / record.path) for step in read_steps(folder, damaged) for record in step.artifacts}


class _Found:
    """What was found, beside what is there now."""

    def __init__(self, project: Project, counting: dict[str, Seen], faults: Faults) -> None:
        self._project = project
        self._seen = counting
        self._faults = faults
        self._now = {path: stamp(path) for path in counting}
        unchanged = [path for path, seen in counting.items() if self._is_as_read(path, seen)]
        written = [path for path, seen in counting.items() if self._was_written(path, seen)]
        self._digests = files.digest_ahead(unchanged, known.digest) | files.digest_ahead(written)

    def _is_as_read(self, path: str, seen: Seen) -> bool:
        return seen.read is not None and seen.digest is None and self._now[path] == seen.read

    def _was_written(self, path: str, seen: Seen) -> bool:
        """Tell whether a file that was opened for writing is there, and is not what stood there before."""
        now = self._now[path]
        return seen.written and now is not None and (seen.mapped or now != seen.before)

    def used(self) -> list[ArtifactRecord]:
        return [self._used(path, seen) for path, seen in self._seen.items() if seen.read is not None]

    def _used(self, path: str, seen: Seen) -> ArtifactRecord:
        assert seen.read is not None
        digest: str | None = None
        size = seen.read[0]
        trouble = seen.trouble
        if seen.digest is not None:
            digest, size = seen.digest
        elif trouble is None and self._is_as_read(path, seen):
            try:
                digest, size = self._digests.get(path) or known.digest(path)
            except OSError as error:
                trouble = f"it cannot be read: {error.strerror}"
        elif trouble is None:
            gone = self._now[path] is None
            trouble = (
                f"it was {'removed' if gone else 'changed'} after it had been read, in a way that could not be seen"
            )
        if digest is None:
            self._faults.add(self._project.relative(path), f"the digest of what was read is not known: {trouble}")
        return self._record(path, digest, size, "used")

    def generated(self) -> list[ArtifactRecord]:
        found = []
        for path, seen in self._seen.items():
            if not self._was_written(path, seen):
                continue
            with self._faults.at(self._project.relative(path)):
                digest, size = self._digests.get(path) or files.digest_file(path)
                if not (seen.kept and seen.digest is not None and seen.digest[0] == digest):
                    found.append(self._record(path, digest, size, "generated"))
        return found

    def _record(self, path: str, digest: str | None, size: int, role: str) -> ArtifactRecord:
        owner = self._project
        return ArtifactRecord(
            path=owner.relative(path),
            digest=digest,
            size=size,
            role="used" if role == "used" else "generated",
            host=owner.elsewhere,
            seen=True,
        )
