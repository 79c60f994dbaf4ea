"""Text that records can hold."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Give text that is valid Unicode: bytes that are no UTF-8 (file names may hold them) become ``\xff``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
