"""State of a repository, and the patch that leads from its commit to what is on disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat as modes
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from reprokit import git
from reprokit.code import source
from reprokit.errors import CaptureError, GitError
from reprokit.model.records import GitInfo, GitRemote
from reprokit.model.redact import strip_url
from reprokit.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable

Dirty = Literal["tracked", "source", "all"]

_MOST_NAMES = 1_000  # changed files that a record lists; the count is exact


class Asked(msgspec.Struct, frozen=True):
    """A question to git that is under way."""

    result: Callable[[], GitInfo | None]


class Diff(msgspec.Struct, frozen=True):
    """A patch that was written."""

    digest: str
    size: int  # bytes
    left_out: tuple[str, ...]  # changed files that it does not hold, with the reason


def capture(root: Path, *, dirty: Dirty, vault: Path | None = None) -> GitInfo | None:
    """Find out the state of the repository that holds `root`; None when there is none.

    What cannot be known is None, with the reason under ``unknown``.

    Parameters
    ----------
    dirty
        What makes it dirty: ``"tracked"`` changes, those and new ``*.py`` files (``"source"``), or ``"all"`` new files.
    vault
        Left out of account, like side-cars and tagged artifacts.
    """
    return begin(root, dirty=dirty, vault=vault).result()


def begin(root: Path, *, dirty: Dirty, vault: Path | None = None) -> Asked:
    """Start what `capture` does, to collect it later: git works while the caller does."""
    place = git.locate(root)
    if place is None:
        return Asked(lambda: None)
    try:
        switches = git.filter_switches(place)
        environ = place.pinned()
        status = git.start(root, *git.STATUS, switches=switches, environ=environ) if not place.bare else None
        remotes = git.start(root, "config", "-z", "--get-regexp", r"^remote\..*\.url$", environ=environ)
    except (GitError, OSError) as error:
        reason = str(error)
        return Asked(lambda: _unreadable(root, place, reason))
    return Asked(lambda: _collect(root, place, status, remotes, dirty, vault))


def _collect(
    root: Path, place: git.Place, status: git.Process | None, remotes: git.Process, dirty: Dirty, vault: Path | None
) -> GitInfo:
    unknown: dict[str, str] = {}
    try:
        urls = [
            GitRemote(name=printable(name), url=printable(strip_url(url)))
            for name, url in git.parse_remotes(remotes.output(none=1))
        ]
    except GitError as error:
        urls = []
        unknown["remotes"] = str(error)
    if status is None:
        return _bare(root, place, urls)
    try:
        told = git.parse_status(status.output())
    except GitError as error:
        return _without_status(root, place, urls, str(error))
    try:
        told = with_submodules(place, told)
    except (GitError, OSError) as error:
        unknown["submodules"] = str(error)
    changed = [printable(entry.path) for entry in told.entries if _counts(entry, dirty, place, vault)]
    if told.oid is None:
        unknown["sha"] = "it has no commit yet"
    return GitInfo(
        path=_shown(place, root),
        sha=told.oid,
        branch=printable(told.branch) if told.branch else "HEAD",
        remotes=urls,
        detached=told.branch is None,
        shallow=(place.common_dir / "shallow").exists(),
        operation=git.operation(place.git_dir),
        dirty=bool(changed) if told.oid else None,
        changed=changed[:_MOST_NAMES],
        changed_count=len(changed),
        submodules=[printable(e.path) for e in told.entries if e.submodule.startswith("S")],
        unknown=unknown,
    )


def with_submodules(place: git.Place, told: git.Status) -> git.Status:
    """Add what differs inside the submodules that are checked out: each is asked as a repository of its own.

    What ``submodule.<name>.ignore`` hides counts too: a run executes it.

    Raises
    ------
    GitError, OSError
        When one cannot be asked.
    """
    asked = []
    for path in git.submodules(place):
        inner = git.locate(place.top / path)
        if inner is not None and not inner.bare:
            switches = git.filter_switches(inner)
            asked.append((path, inner, git.start(inner.top, *git.STATUS, switches=switches, environ=inner.pinned())))
    if not asked:
        return told
    entries = {entry.path: entry for entry in told.entries}
    for (path, inner, _), out in zip(asked, git.outputs([status for _, _, status in asked]), strict=True):
        inside = with_submodules(inner, git.parse_status(out)).entries
        modified = "M" if any(entry.state != "??" and not _untracked_only(entry) for entry in inside) else "."
        untracked = "U" if any(entry.state == "??" or _untracked_only(entry) for entry in inside) else "."
        if inside:
            outer = entries.get(path, git.Entry(path, ".M", "S..."))
            entries[path] = msgspec.structs.replace(outer, submodule=f"{outer.submodule[:2]}{modified}{untracked}")
    return msgspec.structs.replace(told, entries=tuple(entries.values()))


def _untracked_only(entry: git.Entry) -> bool:
    return entry.submodule.startswith("S") and "C" not in entry.submodule and "M" not in entry.submodule


def _counts(entry: git.Entry, dirty: Dirty, place: git.Place, vault: Path | None) -> bool:
    """Tell whether a path that differs makes the repository dirty."""
    if source.within(entry.path, source.relative_to(vault, place.top) if vault is not None else None):
        return False
    if entry.state != "??":
        return not _untracked_only(entry) or dirty == "all"  # with nothing but new files a submodule runs the same code
    if source.is_derived(entry.path.rstrip("/")):
        return False
    if dirty == "source":  # a captured folder is a result, not a part of the program
        return entry.path.endswith(".py") and not source.in_snapshot(place.top, entry.path)
    return dirty == "all"


def _without_status(root: Path, place: git.Place, remotes: list[GitRemote], reason: str) -> GitInfo:
    """Tell what there is to know when ``git status`` fails, as with a damaged index."""
    try:
        sha: str | None = git.run(root, "rev-parse", "--verify", "-q", "HEAD", environ=place.pinned()).decode().strip()
    except GitError:
        sha = None
    return GitInfo(
        path=_shown(place, root),
        sha=sha,
        branch="",
        remotes=remotes,
        operation=git.operation(place.git_dir),
        dirty=None,
        unknown={"dirty": reason} if sha else {"sha": reason, "dirty": reason},
    )


def _bare(root: Path, place: git.Place, remotes: list[GitRemote]) -> GitInfo:
    reason = "the repository is bare, there is no working tree"
    return msgspec.structs.replace(_without_status(root, place, remotes, reason), bare=True)


def _unreadable(root: Path, place: git.Place, reason: str) -> GitInfo:
    return GitInfo(path=_shown(place, root), sha=None, branch="", dirty=None, unknown={"sha": reason, "dirty": reason})


def _shown(place: git.Place, root: Path) -> str:
    inside = source.relative_to(place.top, root)
    return printable(inside if inside is not None else str(place.top))


# --- the patch -------------------------------------------------------------------------------------------------------


def write_diff(
    root: Path, target: Path, *, max_size: int, vault: Path | None = None, max_file_size: int = 50_000_000
) -> Diff:
    """Write the patch that ``git apply`` takes, byte for byte: staged, unstaged and new files, binary ones too.

    The user's index and objects are not touched: the changes are staged in a private index, their objects written to a
    temporary folder.

    Raises
    ------
    CaptureError
        When the patch is larger than `max_size` bytes.
    GitError, OSError
        When it can't be made.
    """
    place = git.locate(root)
    if place is None or place.bare:
        raise GitError(str(root), "git diff: no working tree")
    switches = git.filter_switches(place)
    told = git.parse_status(git.run(place.top, *git.STATUS, switches=switches, environ=place.pinned()))
    paths, left = _to_stage(told, place, vault, max_file_size)
    with tempfile.TemporaryDirectory(prefix="reprokit-") as scratch:
        index = Path(scratch) / "index"
        objects = Path(scratch) / "objects"
        objects.mkdir()
        if (place.git_dir / "index").exists():
            shutil.copyfile(place.git_dir / "index", index)
            # With a time of its own, git would take a file that was changed within the second of the last `git add`,
            # and kept its size, for one that was added since (git's "racy" entries).
            shutil.copystat(place.git_dir / "index", index)
        environ = {
            **place.pinned(),
            "GIT_INDEX_FILE": str(index),
            "GIT_OBJECT_DIRECTORY": str(objects),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(place.common_dir / "objects"),
        }
        if paths:
            git.run(
                place.top, "update-index", "-z", "--add", "--remove", "--stdin", environ=environ, switches=switches,
                stdin=b"".join(os.fsencode(path) + b"\0" for path in paths),
            )  # fmt: skip
        # What stays out must be as in HEAD, else a staged half of it would be in the patch.
        if left:
            git.run(
                place.top, "reset", "-q", "--pathspec-from-file=-", "--pathspec-file-nul", environ=environ, switches=switches,
                stdin=b"".join(b":(top,literal)" + os.fsencode(path) + b"\0" for path in left),
            )  # fmt: skip
        _stream(place.top, target, max_size, environ, switches)
    digest = hashlib.sha256()
    with open(target, "rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    names = tuple(f"{printable(path)}: {reason}" for path, reason in sorted(left.items()))
    return Diff(f"sha256:{digest.hexdigest()}", target.stat().st_size, names)


def _to_stage(
    told: git.Status, place: git.Place, vault: Path | None, max_file_size: int
) -> tuple[list[str], dict[str, str]]:
    vault_inside = source.relative_to(vault, place.top) if vault is not None else None
    outputs = source.beside_sidecars(entry.path for entry in told.entries)
    paths, left = [], {}
    for entry in told.entries:
        path = entry.path
        if path.endswith("/") or source.within(path, vault_inside):
            continue
        if entry.state == "??" and (source.is_derived(path) or path in outputs):
            continue
        reason = _too_much(os.path.join(place.top, path), path, max_file_size)
        if reason:
            left[path] = reason
        else:
            paths.append(path)
    return paths, left


def _too_much(absolute: str, path: str, max_file_size: int) -> str | None:
    if source.is_secret(path):
        return "secret by name"
    try:
        found = os.lstat(absolute)
    except OSError:
        return None  # removed: the patch says so
    if modes.S_ISREG(found.st_mode) and found.st_size > max_file_size:
        return "larger than max-file-size"
    return None


def _stream(top: Path, target: Path, max_size: int, environ: dict[str, str], switches: tuple[str, ...]) -> None:
    process = git.start(
        top, "diff-index", "--cached", "--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames",
        "--src-prefix=a/", "--dst-prefix=b/", "--ignore-submodules=dirty", "--submodule=short", "-U3", f"-O{os.devnull}", "HEAD", "--",
        environ=environ, switches=switches,
    )  # fmt: skip
    scratch = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with open(scratch, "xb") as stream:
            size = process.copy_to(stream, max_size)
            stream.flush()
            os.fsync(stream.fileno())
        if size is None:
            raise CaptureError(f"the diff is larger than max-diff-size ({max_size} bytes); commit, or raise the limit")
        os.replace(scratch, target)
    finally:
        scratch.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    """Quote a path for a list of object folders (git's environment variables separate them by ``:``)."""
    text = str(path)
    if os.pathsep not in text and not text.startswith('"'):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
