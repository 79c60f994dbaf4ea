"""Digests: ``sha256:<hex>``, tagged and length-prefixed, so that no two values collide by concatenation."""

from __future__ import annotations

import hashlib
import re

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


def of_bytes(data: bytes) -> str:
    """Digest of plain bytes, the same that ``sha256sum`` prints."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def of_parts(kind: str, *parts: bytes) -> str:
    """Digest of several byte strings under a kind.

    Each part is preceded by its length as eight bytes, big-endian, and the kind is the first part.
    """
    state = hashlib.sha256()
    for part in (kind.encode(), *parts):
        state.update(len(part).to_bytes(8, "big"))
        state.update(part)
    return f"sha256:{state.hexdigest()}"


def is_digest(text: str) -> bool:
    """Tell whether `text` has the form of a digest."""
    return _DIGEST.match(text) is not None


def hex_of(digest: str) -> str:
    """The hex digits of a digest."""
    return digest.partition(":")[2]


def short(digest: str, digits: int = 7) -> str:
    """The first hex digits of a digest, for people."""
    return hex_of(digest)[:digits]
