"""What a bundle is: its files, what it says of itself, and the digest that names it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.errors import CodeMismatchError
from reprokit.model import digest as digests

if TYPE_CHECKING:
    from collections.abc import Iterable

KIND = "reprokit/bundle/1"
MEMBER = ".reprokit-bundle.json"  # what a bundle says of itself, beside its files


class Meta(msgspec.Struct, frozen=True, kw_only=True, rename={"format": "schema"}):
    """What a bundle says of itself; covered by its digest.

    Attributes
    ----------
    roots
        Folders in it where top-level modules are looked for, in this order.
    tops
        Names of its top-level modules.
    left
        Modules and packages that were left out, by name, and why: what a failing import is to say.
    """

    format: str = KIND
    roots: tuple[str, ...] = ("",)
    tops: tuple[str, ...] = ()
    left: dict[str, str] = {}

    def encode(self) -> bytes:
        """Write it as JSON, in one way only."""
        return msgspec.json.encode(self, order="sorted")


class Bundle(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The local packages of a project.

    Attributes
    ----------
    digest
        64 hex digits, over all that is in it.
    data
        A zip archive, the same bytes for the same content.
    size
        Of its files, in bytes.
    files
        How many they are.
    roots, tops
        Folders where modules are looked for, and the names of the top-level ones.
    warnings
        What somebody who sends it should know.
    """

    digest: str
    data: bytes
    size: int
    files: int
    roots: tuple[str, ...]
    tops: frozenset[str]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<{label(self.digest)}: {self.files} files, {self.size:,} bytes>"


def label(digest: str) -> str:
    """Give what messages call a bundle."""
    return f"bundle {digest[:7]}"


def digest_of(meta: bytes, files: Iterable[tuple[str, bool, bytes]]) -> str:
    """Digest (64 hex digits) of a bundle's content.

    Parameters
    ----------
    meta
        Its JSON, with roots and tops.
    files
        Path (POSIX separators), whether it can be executed, and SHA-256 of the content (32 bytes) of each.
    """
    parts = [meta]
    for path, executable, content in sorted(files):
        parts += (path.encode("utf-8", "surrogateescape"), b"x" if executable else b"-", content)
    return digests.hex_of(digests.of_parts(KIND, *parts))


def sha256(data: bytes) -> bytes:
    """Give the digest of a file's content, as `digest_of` takes it."""
    return hashlib.sha256(data).digest()


def decode(data: bytes, digest: str) -> Meta:
    """Read what a bundle says of itself.

    Raises
    ------
    CodeMismatchError
        When it is nothing that this version of reprokit understands.
    """
    try:
        meta = msgspec.json.decode(data, type=Meta)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise CodeMismatchError(label(digest), "a description of its content", str(error)) from error
    if meta.format != KIND:
        raise CodeMismatchError(label(digest), KIND, f"{meta.format}; use the same version of reprokit on both sides")
    for root in meta.roots:
        if not is_safe(root) and root:
            raise CodeMismatchError(label(digest), "folders inside of it", repr(root))
    return meta


def is_safe(path: Any) -> bool:
    """Tell whether a path stays where it is put, on every system: relative, with plain parts only."""
    if not isinstance(path, str) or not path or len(path) > 4096:
        return False
    if any(character in path for character in "\\:\0") or path[0] == "/":
        return False
    return all(part not in ("", ".", "..") for part in path.split("/"))
