"""Files that a source tree does not hold, and why; and what is to be said of those that it holds."""

from __future__ import annotations

import hashlib
import os
import re
import stat as modes
from typing import TYPE_CHECKING, Any

from reprokit.code import source
from reprokit.model.records import LeftOut
from reprokit.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCANNED = 200_000  # bytes up to which a text file is looked through for secrets
# No secret in use is shorter than this, and source has few words so long.
_SHORTEST = 20
_WORDS = bytes(120 if chr(c).isalnum() or c in b"_-" else 32 for c in range(128)) + b" " * 128
_LONG = b"x" * _SHORTEST
_RANDOM = re.compile(rb"[0-9][A-Za-z]|[A-Za-z][0-9]|[A-Za-z]{20}")
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:[^\n]*\n)*?oid sha256:([0-9a-f]{64})\nsize ([0-9]+)\n"
)
_LONGEST_POINTER = 1024  # bytes, by the specification of Git LFS
IN_LFS = "content is in Git LFS; the tree holds its pointer"


def why_left_out(
    root: str, path: str, stat: os.stat_result | OSError, max_file_size: int, known: dict[str, Any]
) -> LeftOut | None:
    """Tell why a file stays out of a tree, None when it does not.

    Parameters
    ----------
    stat
        What the system says of it.
    known
        Remembers digests of large files.
    """
    if source.is_secret(path):
        return LeftOut(path=printable(path), reason="secret by name")
    if ".git" in path.lower().split("/"):
        return LeftOut(path=printable(path), reason="git reserves the name")
    if isinstance(stat, OSError):
        if isinstance(stat, (FileNotFoundError, NotADirectoryError)):
            return None  # gone since the walk; reading passes over it as well
        return LeftOut(path=printable(path), reason=f"unreadable: {stat.strerror}")
    if modes.S_ISLNK(stat.st_mode):
        return None
    if not modes.S_ISREG(stat.st_mode):
        return LeftOut(path=printable(path), reason="no regular file")
    if stat.st_size > max_file_size:
        shown = printable(path)
        stamp = [stat.st_size, stat.st_mtime_ns, stat.st_ino]
        large = known.setdefault("large", {})  # a digest of gigabytes is worth remembering
        if large.get(shown, [None])[0] != stamp:
            large[shown] = [stamp, _digest(os.path.join(root, path))]
        return LeftOut(path=shown, reason="larger than max-file-size", size=stat.st_size, digest=large[shown][1])
    return None


def _digest(path: str) -> str | None:
    try:
        with open(path, "rb") as stream:
            return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except OSError:
        return None


def pointer(data: bytes) -> tuple[str, int] | None:
    """Read a pointer of Git LFS: digest and size of what it stands for."""
    if len(data) > _LONGEST_POINTER:
        return None
    found = _POINTER.match(data)
    return (f"sha256:{found[1].decode()}", int(found[2])) if found else None


def secrets_in(texts: Sequence[bytes]) -> list[list[str]]:
    """Name the formats of secrets in what `suspicious` gave of each of several files."""
    from reprokit.model import redact

    # Most files hold none, and looking through many short texts takes longer than through one long one.
    if not any(texts) or not redact.find(b"\n".join(texts).decode(errors="replace")):
        return [[] for _ in texts]
    return [redact.find(text.decode(errors="replace")) if text else [] for text in texts]


def suspicious(data: bytes) -> bytes:
    """Give the part of a small text file that may hold a secret.

    Those are lines with a word of 20 letters, digits, ``_`` or ``-`` that looks random: one in a hundred.
    """
    if len(data) > _SCANNED or b"\0" in data:
        return b""
    return data if b"PRIVATE KEY" in data else _suspicious_lines(data)


def _suspicious_lines(data: bytes) -> bytes:
    words = data.translate(_WORDS)
    found = []
    at = words.find(_LONG)
    while at >= 0:
        end = words.find(b" ", at)
        end = len(data) if end < 0 else end
        if _RANDOM.search(data, at, end):
            begin = data.rfind(b"\n", 0, at) + 1
            end = data.find(b"\n", end)
            end = len(data) if end < 0 else end
            found.append(data[begin:end])
        at = words.find(_LONG, end)
    return b"\n".join(found)
