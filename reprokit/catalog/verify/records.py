"""A run's own records: documents, lines, archives and files in its folder."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.capture import files
from reprokit.catalog.run import moment
from reprokit.catalog.verify.report import Finding, failure, note
from reprokit.errors import ReprokitError
from reprokit.vault.runfolder import CONTEXT, POST_RUN, PRE_RUN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.catalog.survey import Surveyed
    from reprokit.model.records import FileInfo

_REMEDY = "restore this file from a backup, or remove the run's folder and run `reprokit gc --yes`"
_OPENING = timedelta(hours=1)  # after which a run that has not opened never will
_AHEAD = timedelta(days=1)  # by which a time may be ahead: zones and clocks


def check(seen: Surveyed, recorded: dict[str, str]) -> Iterator[Finding]:
    """Check the records of a run.

    Parameters
    ----------
    seen
        Its folder as it was read.
    recorded
        Digests of its documents, as the journal has them; empty when it has none.
    """
    folder, pre = seen.folder, seen.pre
    run_id = pre.run_id if pre else None
    for problem in seen.problems:
        if problem.torn:
            told = "the last line is cut short, as a crash leaves it; the lines before it are whole"
            yield note("leftover", problem.path, told, run_id)
        else:
            yield failure("damaged", problem.path, f"{problem.sentence}; {_REMEDY}", run_id)
    if pre is None:
        yield from _without_pre_run(seen)
        return
    yield from _digests(seen, recorded)
    yield from _belonging(seen)
    yield from _steps(seen)
    yield from _clock(seen)
    yield from _archives(seen)
    yield from _files(seen)
    if POST_RUN in seen.digests and not recorded:
        yield note(
            "unchecked",
            str(folder),
            "no journal holds the digests of its documents (a crash right after the run's end, or an older version)",
            run_id,
        )


def _without_pre_run(seen: Surveyed) -> Iterator[Finding]:
    if any(Path(problem.path).name == PRE_RUN or problem.path == str(seen.folder) for problem in seen.problems):
        return
    if POST_RUN in seen.digests or any(name.startswith("steps-") for name in seen.names):
        yield failure("missing", str(seen.folder / PRE_RUN), f"the run's own record is not there; {_REMEDY}")
    else:
        told = "a run is opening here, or was killed while it opened; `reprokit gc --yes` removes what is left of it"
        yield note("leftover", str(seen.folder), told)


def _digests(seen: Surveyed, recorded: dict[str, str]) -> Iterator[Finding]:
    assert seen.pre is not None
    damaged = {Path(problem.path).name for problem in seen.problems}
    for name, digest in sorted(recorded.items()):
        path = str(seen.folder / os.path.basename(name))
        found = seen.digests.get(name)
        if name in damaged:
            continue
        if found is None:
            yield failure("missing", path, f"the journal tells of it, and it is not there; {_REMEDY}", seen.pre.run_id)
        elif found != digest:
            yield failure(
                "damaged",
                path,
                f"it is not what was written: its digest is another than the journal's; {_REMEDY}",
                seen.pre.run_id,
            )
    if CONTEXT not in seen.names and CONTEXT not in recorded:
        yield note(
            "unchecked", str(seen.folder / CONTEXT), "there is no context: it could not be written", seen.pre.run_id
        )


def _belonging(seen: Surveyed) -> Iterator[Finding]:
    assert seen.pre is not None
    if seen.post is not None and seen.post.run_id != seen.pre.run_id:
        told = f"it belongs to run {seen.post.run_id[:8]}; {_REMEDY}"
        yield failure("damaged", str(seen.folder / POST_RUN), told, seen.pre.run_id)


def _steps(seen: Surveyed) -> Iterator[Finding]:
    """Count the child runs that ended: lines have no checksum, and whole ones may be gone."""
    assert seen.pre is not None
    if seen.post is None:
        return
    found = sum(step.event == "end" for step in seen.steps)
    if found < seen.post.children:
        told = f"{seen.post.children} child runs ended, and {found} of them are on record; {_REMEDY}"
        yield (note if seen.post.faults else failure)("damaged", str(seen.folder), told, seen.pre.run_id)


def _clock(seen: Surveyed) -> Iterator[Finding]:
    assert seen.pre is not None
    began = moment(seen.pre.timestamp)
    if began > datetime.now(UTC) + _AHEAD:
        told = f"it began at {seen.pre.timestamp[:40]}, which is still to come: a clock was wrong, and order by time with it"
        yield note("clock", str(seen.folder), told, seen.pre.run_id)
    if began.year < 1990:
        yield note("clock", str(seen.folder), f"it has no usable time ({seen.pre.timestamp[:40]!r})", seen.pre.run_id)
    elif seen.post is not None and moment(seen.post.timestamp) < began:
        told = "it ended before it began: the clock was set back meanwhile; its duration is right, it is taken apart"
        yield note("clock", str(seen.folder), told, seen.pre.run_id)


def _archives(seen: Surveyed) -> Iterator[Finding]:
    """Look at archives of arguments and return values, without building what they hold."""
    assert seen.pre is not None
    names = [
        (seen.pre.run_id, seen.pre.args_archive),
        (seen.pre.run_id, seen.post.return_archive if seen.post else None),
    ]
    names += [(step.run_id, name) for step in seen.steps for name in (step.args_archive, step.return_archive)]
    for run_id, name in names:
        if name is None:
            continue
        from reprokit.archive.show import summarize

        path = seen.folder / os.path.basename(name)
        try:
            summarize(path)
        except (ReprokitError, OSError, ImportError, ValueError) as error:
            yield failure("archive", str(path), f"the archive can't be read ({error})", run_id)


def _files(seen: Surveyed) -> Iterator[Finding]:
    """Check files that lie in the run's folder and whose digests are in its records."""
    assert seen.pre is not None
    kept: dict[str, FileInfo | None] = dict(seen.context.files) if seen.context else {}
    if seen.post is not None:
        kept.update(seen.post.files)
    rows = [(seen.pre.run_id, kept), *((step.run_id, step.files) for step in seen.steps)]
    for run_id, infos in rows:
        for info in infos.values():
            if info is not None and info.kept_as and info.hash and info.hash_algorithm:
                path = seen.folder / os.path.basename(info.kept_as)
                yield from _compared(path, info.hash, info.hash_algorithm, run_id)
    for one in seen.context.git.values() if seen.context else ():
        if one.diff and one.diff_digest:
            path = seen.folder / os.path.basename(one.diff)
            yield from _compared(path, one.diff_digest.rpartition(":")[2], "sha256", seen.pre.run_id)


def _compared(path: Path, wanted: str, algorithm: str, run_id: str) -> Iterator[Finding]:
    try:
        if path.is_dir():
            found = files.digest_folder(str(path))[0].rpartition(":")[2]
        elif path.exists() and not path.is_file():  # opening a named pipe would wait for its writer
            raise OSError(errno.EINVAL, "neither a file nor a folder")
        else:
            found = files.hash_as(str(path), algorithm)
    except FileNotFoundError:
        yield failure("missing", str(path), f"the run kept this file, and it is not there; {_REMEDY}", run_id)
    except OSError as error:
        yield failure("unreadable", str(path), f"it can't be read ({error.strerror or error})", run_id)
    else:
        if found != wanted:
            yield failure(
                "damaged", str(path), f"the run kept this file, and its content is another now; {_REMEDY}", run_id
            )
