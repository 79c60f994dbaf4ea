"""Secrets are taken out of output that comes in pieces."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.model.secret_blocks import Blocks

if TYPE_CHECKING:
    from reprokit.model.redact import Redactor


class StreamRedactor:
    """Takes secrets out of output that comes in arbitrary pieces.

    Whole lines are looked at, so a secret across two pieces is seen; a line longer than `LONGEST_LINE` is looked at in
    parts.  What goes on over lines (a private key, an indented block, a table) is followed from its first line to its last.
    """

    LONGEST_LINE = 1 << 20  # bytes
    _OVERLAP = 8192  # bytes; longer than any known format

    __slots__ = ("_blocks", "_parts", "_redactor", "_size")

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._parts: list[bytes] = []  # of a line that has no end yet; joined once, for it may come byte by byte
        self._size = 0
        self._blocks = Blocks("<redacted>", redactor.is_secret_name)

    def feed(self, chunk: bytes) -> bytes:
        """Take a piece; give what can be written already."""
        self._parts.append(chunk)
        self._size += len(chunk)
        ends = b"\n" in chunk or b"\r" in chunk
        if not ends and self._size <= self.LONGEST_LINE:
            return b""
        data = b"".join(self._parts)
        cut = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 if ends else self._cut(data)
        self._parts, self._size = [data[cut:]], len(data) - cut
        return self._clean(data[:cut])

    def close(self) -> bytes:
        """Give what is left."""
        rest, self._parts, self._size = b"".join(self._parts), [], 0
        return self._clean(rest) if rest else b""

    def _cut(self, data: bytes) -> int:
        """Find a place in a line without end where no secret is cut in two."""
        for step in range(1, 33):
            cut = len(data) - self._OVERLAP - step * 509
            near = data[cut - self._OVERLAP : cut + self._OVERLAP].decode("latin-1")
            left, right = near[: self._OVERLAP], near[self._OVERLAP :]
            if self._redactor.text(left)[0] + self._redactor.text(right)[0] == self._redactor.text(near)[0]:
                return cut
        return len(data) - self._OVERLAP

    def _clean(self, data: bytes) -> bytes:
        text = data.decode("utf-8", "surrogateescape")
        made, count = self._redactor.lines(text, self._blocks)
        return made.encode("utf-8", "surrogateescape") if count else data
