"""What ``.gitignore`` names below a folder: git is asked once, and again when what it answers by has changed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from reprokit import git
from reprokit.errors import GitError

_ASKED = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--directory")
_ALL = "./"  # what git says when the folder as a whole is ignored
UNKNOWN = "git is not here to say what .gitignore names, so nothing is left out for that"


class Ignored(NamedTuple):
    """The answer of git.

    Attributes
    ----------
    paths
        Relative to the folder; a folder's ends with a slash.
    watched
        Files by which git answers.
    warning
        Why it could not be asked.
    """

    paths: frozenset[str] = frozenset()
    watched: tuple[str, ...] = ()
    warning: str | None = None

    def __contains__(self, path: object) -> bool:
        return path in self.paths


class Asked:
    """A question to git that is being answered while something else is done."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._place = git.locate(folder)
        self._process: git.Process | None = None
        if self._place is not None and not self._place.bare:
            try:
                self._process = git.start(folder, *_ASKED, environ=self._place.pinned())
            except GitError:
                self._process = None

    def answer(self) -> Ignored:
        """Wait for the answer."""
        watched = self._watched()
        if self._process is not None:
            try:
                found = _split(self._process.output())
                if _ALL not in found:
                    return Ignored(frozenset(found), watched)
            except (
                GitError
            ):  # a repository of another user, or a damaged one: its exclude files can be read all the same
                pass
        return self._without_repository(watched)

    def _without_repository(self, watched: tuple[str, ...]) -> Ignored:
        if self._place is None and not _has_exclude_file(self._folder):
            return Ignored(frozenset(), watched)
        try:
            with tempfile.TemporaryDirectory() as scratch:
                git.run(self._folder, "init", "-q", "--bare", scratch)
                environ = {"GIT_DIR": scratch, "GIT_WORK_TREE": self._folder}
                return Ignored(frozenset(_split(git.run(self._folder, *_ASKED, environ=environ))), watched)
        except (GitError, OSError):
            return Ignored(frozenset(), watched, UNKNOWN)

    def _watched(self) -> tuple[str, ...]:
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
        found = [os.path.join(home, "git", "ignore"), os.path.join(self._folder, ".gitignore")]
        if self._place is not None:
            found += [
                os.path.join(self._place.git_dir, "index"),
                os.path.join(self._place.common_dir, "info", "exclude"),
            ]
            for above in Path(self._folder).parents:
                if not above.is_relative_to(self._place.top):
                    break
                found.append(str(above / ".gitignore"))
        return tuple(found)


def _has_exclude_file(folder: str) -> bool:
    """Tell whether there is an exclude file where a project without a repository may have one."""
    try:
        with os.scandir(folder) as entries:
            below = [entry.path for entry in entries if entry.name.isidentifier() and entry.is_dir()]
    except OSError:
        return False
    return any(os.path.exists(os.path.join(place, ".gitignore")) for place in (folder, *below))


def _split(listed: bytes) -> list[str]:
    return [os.fsdecode(path) for path in listed.split(b"\0") if path]
