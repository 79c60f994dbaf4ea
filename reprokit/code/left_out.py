"""Files that a source tree does not hold, and why."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any

from reprokit import git
from reprokit.code import source
from reprokit.errors import GitError
from reprokit.model.records import LeftOut
from reprokit.model.text import printable

if TYPE_CHECKING:
    from pathlib import Path

_SCANNED = 200_000  # bytes up to which a text file is looked through for secrets


def tracked_though_ignored(root: Path) -> set[str]:
    """List files that the user committed although an exclude file names them: they are part of the tree."""
    place = git.locate(root)
    if place is None or place.bare:
        return set()
    try:
        out = git.run(root, "ls-files", "-z", "-c", "-i", "--exclude-standard")
    except GitError:
        return set()
    return {path for path in out.decode("utf-8", "surrogateescape").split("\0") if path}


def why_left_out(root: Path, path: str, max_file_size: int, known: dict[str, Any]) -> LeftOut | None:
    """Tell why a file stays out of a tree, None when it does not; `known` remembers digests of large files."""
    shown = printable(path)
    if source.is_secret(path):
        return LeftOut(path=shown, reason="secret by name")
    absolute = os.path.join(root, path)
    try:
        stat = os.lstat(absolute)
    except FileNotFoundError:
        return None  # gone since the walk; git passes over it as well
    except OSError as error:
        return LeftOut(path=shown, reason=f"unreadable: {error.strerror}")
    if os.path.islink(absolute):
        return None
    if not os.path.isfile(absolute):
        return LeftOut(path=shown, reason="no regular file")
    if stat.st_size > max_file_size:
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        large = known.setdefault("large", {})  # a digest of gigabytes is worth remembering
        if large.get(shown, [None])[0] != stamp:
            large[shown] = [stamp, _digest(absolute)]
        return LeftOut(path=shown, reason="larger than max-file-size", size=stat.st_size, digest=large[shown][1])
    return None if os.access(absolute, os.R_OK) else LeftOut(path=shown, reason="unreadable: Permission denied")


def nested(root: Path, path: str) -> LeftOut:
    """Describe a nested repository by the commit that is checked out there."""
    try:
        commit = git.run(root / path, "rev-parse", "HEAD").decode().strip()
    except GitError:
        commit = ""
    return LeftOut(path=printable(path), reason=f"nested repository{' at ' + commit if commit else ''}")


def _digest(path: str) -> str | None:
    try:
        with open(path, "rb") as stream:
            return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except OSError:
        return None


def secrets_in(path: str) -> list[str]:
    """Name the formats of secrets that a small text file holds."""
    from reprokit.model import redact

    try:
        if os.path.islink(path) or os.path.getsize(path) > _SCANNED:
            return []
        with open(path, "rb") as stream:
            data = stream.read()
    except OSError:
        return []
    return [] if b"\0" in data else redact.find(data.decode(errors="replace"))
