"""A tag and its one written form: ``commit=1a2b3c4 config=<64 hex digits>``."""

from __future__ import annotations

import re

import msgspec

from reprokit.errors import EmbedError

KEY = b"reprokit"
TEXT = (
    rb"commit=([0-9A-Za-z][0-9A-Za-z._-]{0,99}) config=([0-9a-f]{64})"  # ASCII, and nothing that a format would escape
)
_TEXT = re.compile(TEXT)


class Tag(msgspec.Struct, frozen=True):
    """Which code and which configuration made a file; nothing that differs between two equal runs."""

    commit: str  # as in file names: "1a2b3c4", "1a2b3c4-dirty-9f86d08" or "nogit"
    config_hash: str  # 64 hex digits


def encode(tag: Tag) -> bytes:
    """Give the written form.

    Raises
    ------
    EmbedError
        When commit or config hash have another form than names of artifacts have.
    """
    text = f"commit={tag.commit} config={tag.config_hash}".encode("utf-8", "backslashreplace")
    if _TEXT.fullmatch(text) is None:
        raise EmbedError(repr(tag), "a tag takes a commit as in file names and a config hash of 64 hex digits")
    return text


def decode(text: bytes) -> Tag | None:
    """Read the written form; None for anything else."""
    found = _TEXT.fullmatch(text)
    return Tag(found[1].decode(), found[2].decode()) if found else None
