"""Text for records and for people."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Give text that is valid Unicode: bytes that are no UTF-8 (file names may hold them) become ``\xff``."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def seconds(count: float) -> str:
    """Seconds for people."""
    if count < 1:
        return f"{count * 1000:.3g} ms"
    if count < 120:
        return f"{count:.3g} s"
    minutes, rest = divmod(int(count), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
