"""The one place that runs git: fixed switches, bytes in and out, nothing of a hostile repository executed.

git is run as a process.  GitPython is there for those who want its object model (`open_repository`); importing it costs
80 ms, its object calls several times what one ``git status`` does, and its text handling loses bytes of patches.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from reprokit.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import git

# Each of these settings can make git run a program that a repository names.
_SWITCHES = (
    "--no-pager",
    "--no-optional-locks",
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.quotePath=false",
    "-c", "diff.external=",
    "-c", "submodule.recurse=false",
    "-c", "protocol.allow=never",
)  # fmt: skip
_DROPPED = re.compile(
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|EXTERNAL_DIFF|"
    r"DIFF_OPTS|TRACE\w*|CONFIG|CONFIG_PARAMETERS|CONFIG_COUNT|CEILING_DIRECTORIES|ASKPASS|EDITOR|LITERAL_PATHSPECS)\Z"
)
_FILTER = re.compile(rb"^\s*\[\s*(?:filter|include|includeif)\b", re.IGNORECASE | re.MULTILINE)
_CONFIG_LINE = re.compile(r"filter\.(.+)\.(clean|smudge|process|required)\Z", re.DOTALL)
_LFS = {"git-lfs clean -- %f", "git-lfs smudge -- %f", "git-lfs filter-process"}


def run(
    root: str | os.PathLike[str],
    *args: str,
    stdin: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    switches: Sequence[str] = (),
) -> bytes:
    """Run git in a folder and give its output.

    Raises
    ------
    GitError
        When git is missing or fails; the message is git's, in one line, with the remedy where there is a known one.
    """
    return start(root, *args, stdin=stdin, environ=environ, switches=switches).output()


class Process:
    """A git command under way."""

    def __init__(self, process: subprocess.Popen[bytes], root: str, word: str, stdin: bytes | None) -> None:
        self._process, self._root, self._word, self._stdin = process, root, word, stdin

    def output(self) -> bytes:
        """Wait for the end and give the output; raises `GitError`."""
        out, err = self._process.communicate(self._stdin)
        if self._process.returncode:
            raise GitError(self._root, f"git {self._word}: {_said(err, self._root, self._process.returncode)}")
        return out

    def copy_to(self, target: IO[bytes], most: int) -> int | None:
        """Write the output to a file, at most `most` bytes; give its length, or None when there is more.

        Raises
        ------
        GitError
            When git fails.
        """
        out = self._process.stdout
        assert out is not None
        size = 0
        while chunk := out.read(1 << 16):
            size += len(chunk)
            if size > most:
                self._process.kill()
                self._process.communicate()
                return None
            target.write(chunk)
        _, err = self._process.communicate()
        if self._process.returncode:
            raise GitError(self._root, f"git {self._word}: {_said(err, self._root, self._process.returncode)}")
        return size


def start(
    root: str | os.PathLike[str],
    *args: str,
    stdin: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    switches: Sequence[str] = (),
) -> Process:
    """Start git in a folder; two commands can so run side by side.  Raises `GitError`."""
    word = args[0] if args else ""
    try:
        process = subprocess.Popen(
            ["git", *_SWITCHES, *switches, *args],
            cwd=root,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_environment(), **(environ or {})},
        )
    except FileNotFoundError as error:
        if error.filename not in ("git", None) or not os.path.isdir(root):
            raise GitError(str(root), f"git {word}: there is no such folder") from error
        raise GitError(str(root), f"git {word}: git is not installed or not on PATH") from error
    except OSError as error:
        raise GitError(str(root), f"git {word}: {error.strerror or str(error)}") from error
    return Process(process, str(root), word, stdin)


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not (name.startswith("GIT_") and _DROPPED.match(name))}
    kept.update(LC_ALL="C", GIT_OPTIONAL_LOCKS="0", GIT_TERMINAL_PROMPT="0")
    return kept


def _said(err: bytes, root: str, code: int) -> str:
    lines = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
    text = next(
        (line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else f"exit code {code}"
    )
    text = text.removeprefix("fatal: ").removeprefix("error: ")
    if "dubious ownership" in text:
        return f"the folder belongs to another user; `git config --global --add safe.directory {root}` trusts it"
    return text


def open_repository(root: str | os.PathLike[str]) -> git.Repo:
    """Give GitPython's object for the repository that holds `root`.

    Raises
    ------
    GitError
        When there is none.
    """
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    import git as gitpython
    from git.exc import InvalidGitRepositoryError, NoSuchPathError

    try:
        return gitpython.Repo(root, search_parent_directories=True)
    except (InvalidGitRepositoryError, NoSuchPathError) as error:
        raise GitError(str(root), "git rev-parse: not a git repository") from error


# --- where -----------------------------------------------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True):
    """A repository on disk, found without running git."""

    top: Path  # working tree, or the repository itself when bare
    git_dir: Path
    common_dir: Path  # differs from git_dir in a linked worktree
    bare: bool = False


def locate(start_at: str | os.PathLike[str]) -> Place | None:
    """Find the repository that holds a folder; only files are looked at."""
    folder = Path(os.path.abspath(start_at))
    for candidate in (folder, *folder.parents):
        dot_git = candidate / ".git"
        if dot_git.is_dir():
            return _place(candidate, dot_git)
        if dot_git.is_file():
            try:
                text = dot_git.read_text(errors="surrogateescape")
            except OSError:
                return Place(candidate, dot_git, dot_git)
            target = text.partition("gitdir:")[2].strip()
            return _place(candidate, Path(os.path.normpath(candidate / target)))
        if (candidate / "HEAD").is_file() and (candidate / "objects").is_dir() and (candidate / "refs").is_dir():
            return Place(candidate, candidate, candidate, bare=True)
    return None


def _place(top: Path, git_dir: Path) -> Place:
    try:
        common = Path(os.path.normpath(git_dir / (git_dir / "commondir").read_text().strip()))
    except OSError:
        common = git_dir
    return Place(top, git_dir, common)


def operation(git_dir: Path) -> str | None:
    """Name the operation that is in progress, such as a merge."""
    marks = {
        "rebase-merge": "rebase",
        "rebase-apply": "rebase",
        "MERGE_HEAD": "merge",
        "CHERRY_PICK_HEAD": "cherry-pick",
        "REVERT_HEAD": "revert",
        "BISECT_LOG": "bisect",
    }
    return next((word for mark, word in marks.items() if (git_dir / mark).exists()), None)


def filter_switches(place: Place) -> tuple[str, ...]:
    """Switch off the filters that the repository's own config defines: comparing files would run them.

    Those of the user's global config are the user's, and Git LFS is left on.
    """
    try:
        local = (place.common_dir / "config").read_bytes()
    except OSError:
        return ()
    worktree = place.git_dir / "config.worktree"
    if worktree.exists():
        local += worktree.read_bytes()
    if not _FILTER.search(local):
        return ()
    listed = run(place.top, "config", "-z", "--local", "--includes", "--get-regexp", r"^filter\.") if local else b""
    off: list[str] = []
    for entry in listed.decode(errors="surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        found = _CONFIG_LINE.match(key)
        if found and value not in _LFS:
            off += ["-c", f"{key}={'false' if found[2] == 'required' else ''}"]
    return tuple(off)


# --- status ----------------------------------------------------------------------------------------------------------


class Entry(msgspec.Struct, frozen=True):
    """A path that differs from HEAD."""

    path: str
    state: str  # two letters as git has them, "??" for untracked, "u" in front when unmerged
    submodule: str = "N..."
    origin: str | None = None  # before a rename


class Status(msgspec.Struct, frozen=True):
    """What one ``git status`` tells."""

    oid: str | None  # None: no commit yet
    branch: str | None  # None: detached
    entries: tuple[Entry, ...]


STATUS = ("status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all", "--no-renames")


def parse_status(data: bytes) -> Status:
    """Read the output of `STATUS` (git-status(1), porcelain format version 2)."""
    oid = branch = None
    entries: list[Entry] = []
    fields = iter(data.decode("utf-8", "surrogateescape").split("\0"))
    for line in fields:
        kind = line[:2]
        if kind == "# ":
            _, key, value = line.split(" ", 2)
            if key == "branch.oid" and value != "(initial)":
                oid = value
            elif key == "branch.head" and value != "(detached)":
                branch = value
        elif kind == "1 ":
            parts = line.split(" ", 8)
            entries.append(Entry(parts[8], parts[1], parts[2]))
        elif kind == "2 ":
            parts = line.split(" ", 9)
            entries.append(Entry(parts[9], parts[1], parts[2], next(fields, None)))
        elif kind == "u ":
            parts = line.split(" ", 10)
            entries.append(Entry(parts[10], "u" + parts[1], parts[2]))
        elif kind == "? ":
            entries.append(Entry(line[2:], "??"))
    return Status(oid, branch, tuple(entries))


def parse_remotes(data: bytes) -> list[tuple[str, str]]:
    """Read the output of ``git config -z --get-regexp`` for remote URLs."""
    found = []
    for entry in data.decode("utf-8", "surrogateescape").split("\0"):
        key, _, value = entry.partition("\n")
        if key.startswith("remote.") and key.endswith(".url"):
            found.append((key[len("remote.") : -len(".url")], value))
    return found
