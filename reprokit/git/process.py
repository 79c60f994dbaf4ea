"""git as a process: fixed switches, bytes in and out."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from functools import lru_cache
from typing import IO, TYPE_CHECKING

from reprokit.errors import GitError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import git

# Each of these settings can make git run a program that a repository names, or write what it should only read.
_SWITCHES = (
    "--no-pager",
    "--no-optional-locks",
    "-c", "core.fsmonitor=false",
    "-c", f"core.hooksPath={os.devnull}",
    "-c", "core.quotePath=false",
    "-c", "core.splitIndex=false",
    "-c", "diff.external=",
    "-c", f"diff.orderFile={os.devnull}",
    "-c", "submodule.recurse=false",
    "-c", "protocol.allow=never",
)  # fmt: skip
_DROPPED = re.compile(
    r"GIT_(DIR|WORK_TREE|INDEX_FILE|OBJECT_DIRECTORY|ALTERNATE_OBJECT_DIRECTORIES|COMMON_DIR|NAMESPACE|PREFIX|EXTERNAL_DIFF|"
    r"DIFF_OPTS|TRACE\w*|CONFIG|CONFIG_PARAMETERS|CEILING_DIRECTORIES|ASKPASS|EDITOR|\w*_PATHSPECS|ATTR_SOURCE|"
    r"SHALLOW_FILE|GRAFT_FILE|REPLACE_REF_BASE|DEFAULT_HASH|PROXY_COMMAND|SSH|SSH_COMMAND)\Z"
)
EMPTY = "REPROKITEMPTY"  # names that hold a "=" cannot be given by -c, only by --config-env
_SET = {
    "LC_ALL": "C",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",  # git 2.45; the older ones stop at the protocol
    "GIT_ALLOW_PROTOCOL": "none",  # unlike protocol.allow, no protocol.<name>.allow of a repository beats it
    EMPTY: "",
}
_OWNER = re.compile(r"safe\.directory (.+)")


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
        self.warnings = b""  # what it wrote to stderr, once it has ended

    def output(self, *, none: int | None = None) -> bytes:
        """Wait for the end and give the output; exit code `none` means that there is nothing.  Raises `GitError`."""
        out, err = self._process.communicate(self._stdin)
        self._ended(err, none)
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
        self._ended(err, None)
        return size

    def _ended(self, err: bytes, none: int | None) -> None:
        self.warnings = err
        code = self._process.returncode
        if code and code != none:
            raise GitError(self._root, f"git {self._word}: {_said(err, code)}")


def start(
    root: str | os.PathLike[str],
    *args: str,
    stdin: bytes | None = None,
    environ: Mapping[str, str] | None = None,
    switches: Sequence[str] = (),
) -> Process:
    """Start git in a folder; two commands can so run side by side.  Raises `GitError`."""
    word = args[0] if args else ""
    program = _program(os.environ.get("PATH", os.defpath))
    if program is None:
        raise GitError(str(root), f"git {word}: git is not installed or not on PATH")
    try:
        process = subprocess.Popen(
            [program, *_SWITCHES, *switches, *args],
            cwd=root,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_environment(), **(environ or {})},
        )
    except OSError as error:
        if not os.path.isdir(root):
            raise GitError(str(root), f"git {word}: there is no such folder") from error
        _program.cache_clear()
        raise GitError(str(root), f"git {word}: {error.strerror or str(error)}") from error
    return Process(process, str(root), word, stdin)


def outputs(processes: Sequence[Process]) -> list[bytes]:
    """Wait for several commands and give what they wrote; raises the first `GitError` when all have ended."""
    made, failed = [], []
    for process in processes:
        try:
            made.append(process.output())
        except GitError as error:
            failed.append(error)
    if failed:
        raise failed[0]
    return made


@lru_cache(maxsize=8)
def _program(path: str) -> str | None:
    """Find git; never in the folder that it is run in, as an empty entry of PATH would have it."""
    return shutil.which("git", path=os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry)))


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not (name.startswith("GIT_") and _DROPPED.match(name))}
    kept.update(_SET)
    return kept


def _said(err: bytes, code: int) -> str:
    lines = [line for line in err.decode(errors="replace").splitlines() if line.strip()]
    text = next(
        (line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else f"exit code {code}"
    )
    text = text.removeprefix("fatal: ").removeprefix("error: ")
    if "dubious ownership" in text:
        remedy = next((found[1] for line in lines if (found := _OWNER.search(line))), "<folder>")
        return f"the folder belongs to another user; `git config --global --add safe.directory {remedy}` trusts it"
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
