"""SVG: a processing instruction ``<?reprokit ...?>`` before the root element.

It is no element, so no style sheet, script or drawing program counts it among the children of anything.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, NamedTuple

from reprokit.embed.tag import KEY, Tag, decode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.embed.source import Source
    from reprokit.embed.target import Target

_PROLOG = 1 << 18  # bytes in which the root element has to begin
_NAME = KEY.decode()
# Possessive (`*+`): a hostile prolog is read in linear time.
_SUBSET = r"""\[(?:<!--.*?-->|<\?.*?\?>|<(?!!--|\?)|"[^"]*+"|'[^']*+'|[^\]"'<])*+\]"""
_ITEM = re.compile(
    rf"""(?P<space>[ \t\r\n]++)|(?P<ours><\?{_NAME}[ \t\r\n]++(?P<text>[^?]*+)\?>\n?)|(?P<pi><\?.*?\?>)|(?P<comment><!--.*?-->)"""
    rf"""|(?P<doctype><!DOCTYPE(?:"[^"]*+"|'[^']*+'|[^\[>"'])*+(?:{_SUBSET}[ \t\r\n]*+)?>)|(?P<root><(?:[\w.-]++:)?svg(?=[ \t\r\n/>]))""",
    re.DOTALL,
)
_DECLARED = re.compile(r"""<\?xml[ \t\r\n][^?]*?encoding[ \t\r\n]*=[ \t\r\n]*["']([A-Za-z0-9._-]+)["']""")
_WIDE = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_NOT_ASCII = ("iso2022", "utf_7", "hz", "utf_16", "utf_32", "utf-7", "utf-16", "utf-32")  # 7-bit escapes and wide units


class _Prolog(NamedTuple):
    text: str  # a character for each unit
    root: int  # where the root element begins, in units
    ours: tuple[re.Match[str], ...]
    width: int  # bytes a unit
    offset: int  # bytes of the byte order mark
    encoding: str

    def place(self, unit: int) -> int:
        """Give the byte at which a unit begins."""
        return self.offset + unit * self.width


def mine(head: bytes) -> bool:
    """Tell what could be XML; the root element tells whether it is SVG."""
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        head = head.removeprefix(mark)
    return head.replace(b"\0", b"").lstrip(b" \t\r\n").startswith(b"<")


def read(source: Source) -> Tag | None:
    """Find the last tag before the root element."""
    prolog = _prolog(source)
    for one in reversed(prolog.ours if prolog else ()):
        if found := decode(one["text"].encode("latin-1").strip()):
            return found
    return None


def write(source: Source, text: bytes, target: Target) -> bool:
    """Insert the instruction as text; every other byte is copied."""
    prolog = _prolog(source)
    if prolog is None:
        return False
    start = 0
    for one in prolog.ours:
        target.take(source, start, prolog.place(one.start()))
        start = prolog.place(one.end())
    target.take(source, start, prolog.place(prolog.root))
    target.put(f"<?{_NAME} {text.decode()}?>\n".encode(prolog.encoding))
    target.take(source, prolog.place(prolog.root), source.size)
    return True


def _prolog(source: Source) -> _Prolog | None:
    """Read up to the root element; None when that is no ``svg``, or the encoding is none that ASCII fits into."""
    head = source.upto(0, _PROLOG)
    offset, width, encoding = _encoding(head)
    units = head[offset:]
    if width == 2:
        units = _narrowed(units, encoding)
    text = units.decode("latin-1")
    declared = _DECLARED.match(text)
    if declared and width == 1 and not _fits(declared[1]):
        return None
    ours: list[re.Match[str]] = []
    for item in _items(text):
        if item.lastgroup == "root":
            return _Prolog(text, item.start(), tuple(ours), width, offset, encoding)
        if item["ours"] is not None:
            ours.append(item)
    return None


def _items(text: str) -> Iterator[re.Match[str]]:
    start = 0
    while item := _ITEM.match(text, start):
        yield item
        start = item.end()


def _encoding(head: bytes) -> tuple[int, int, str]:
    """Give the length of the byte order mark, the width of a unit in bytes, and the codec."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return 4, 1, "ascii"  # its zero bytes are no prolog of ours
    for mark, codec in _WIDE.items():
        if head.startswith(mark):
            return len(mark), 2, codec
    if len(head) > 1 and (not head[0]) != (not head[1]):
        return 0, 2, "utf-16-le" if head[0] else "utf-16-be"
    return (3 if head.startswith(codecs.BOM_UTF8) else 0), 1, "ascii"


def _narrowed(units: bytes, codec: str) -> bytes:
    """Give a byte for each 16-bit unit; what is not ASCII becomes a question mark."""
    low, high = (units[0::2], units[1::2]) if codec.endswith("le") else (units[1::2], units[0::2])
    return bytes(a if not b and a < 128 else 63 for a, b in zip(low, high, strict=False))


def _fits(name: str) -> bool:
    try:
        return not codecs.lookup(name).name.startswith(_NOT_ASCII)
    except LookupError:
        return False
