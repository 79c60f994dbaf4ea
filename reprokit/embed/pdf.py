"""PDF: the key ``/reprokit`` of the document information dictionary, as an incremental update (ISO 32000-2, 7.5.6).

The original stays byte for byte; behind it stand the information dictionary with one key more, and its cross-reference.
"""

from __future__ import annotations

import hashlib
import importlib
import re
from typing import TYPE_CHECKING, Any

from reprokit.embed import pdf_reading
from reprokit.embed.tag import KEY
from reprokit.errors import MissingExtraError

if TYPE_CHECKING:
    from reprokit.embed.source import Source
    from reprokit.embed.tag import Tag
    from reprokit.embed.target import Target

MAGIC = b"%PDF-"
_TAIL = 1 << 16  # bytes in which the end of a file is looked for
_START = re.compile(rb"startxref[ \t\r\n\0\f]+(\d{1,18})[ \t\r\n\0\f]+%%EOF")
_NAME = "/" + KEY.decode()
# What describes a section's own cross-reference, and not the document.
_OWN = ("/Type", "/Size", "/Index", "/Prev", "/W", "/Length", "/Filter", "/DecodeParms", "/XRefStm", "/Info", "/ID")
_FURTHEST = 10**10  # a classic table holds offsets of ten digits


def mine(head: bytes) -> bool:
    """Tell a PDF."""
    return head.startswith(MAGIC)


def read(source: Source) -> Tag | None:
    """Find the newest entry, without any library."""
    return pdf_reading.find(source)


def write(source: Source, text: bytes, target: Target) -> bool:
    """Copy the file without an update of ours, and append the new one."""
    pikepdf = _pikepdf()
    if pdf_reading.holds(source, b"/ByteRange"):  # a signature over the file's bytes
        return False
    earlier = pdf_reading.own_update(source)
    if earlier is not None:
        end, old = earlier
        target.take(source, 0, end)
        # Only what we would write ourselves is cut off.
        if _update(pikepdf, source, target, end, old) == source.exactly(end, source.size - end):
            update = _update(pikepdf, source, target, end, text)
            if update is not None:
                target.put(update)
            return update is not None
        target.drop()
    target.take(source, 0, source.size)
    update = _update(pikepdf, source, target, source.size, text)
    if update is not None:
        target.put(update)
    return update is not None


def _pikepdf() -> Any:
    try:
        return importlib.import_module("pikepdf")
    except ImportError as error:
        raise MissingExtraError("pikepdf", "embed") from error


def _update(pikepdf: Any, source: Source, target: Target, end: int, text: bytes) -> bytes | None:
    """Make the update for the `end` bytes in `target`; None when the document is encrypted."""
    target.stream.flush()
    tail = source.exactly(max(0, end - _TAIL), min(end, _TAIL))
    places = _START.findall(tail)
    if not places:
        raise source.damaged("the PDF has no end")
    previous = int(places[-1])
    try:
        with pikepdf.open(target.path, attempt_recovery=False) as pdf:
            if pdf.is_encrypted:
                return None
            table = source.upto(previous, 4) == b"xref"
            gap = b"" if tail.endswith((b"\n", b"\r")) else b"\n"
            return gap + _section(pdf, text, previous, end + len(gap), table=table)
    except pikepdf.PasswordError:
        return None
    except (pikepdf.PdfError, pikepdf.ForeignObjectError, RuntimeError, TypeError, AttributeError) as error:
        raise source.damaged(f"the PDF is damaged ({error})") from error


def _section(pdf: Any, text: bytes, previous: int, start: int, *, table: bool) -> bytes:
    """Write the information dictionary, the cross-reference and the trailer.

    Raises
    ------
    ValueError
        When the document has none that can be extended.
    """
    trailer = pdf.trailer
    size = int(trailer["/Size"])
    number, generation, content = size, 0, b"<< >>"
    info = trailer.get("/Info")
    if info is not None:
        if info.is_indirect:
            number, generation = info.objgen
        if _NAME in info:
            del info[_NAME]
        content = info.unparse(resolved=True)
    if not content.endswith(b">>") or not (0 < number <= size):
        raise ValueError("no information dictionary that a key can be added to")
    size = max(size, number + 1)
    out = b"%%%s %d\n" % (KEY, start)
    place = start + len(out)
    out += b"%d %d obj\n%s /%s (%s) >>\nendobj\n" % (number, generation, content[:-2].rstrip(), KEY, text)
    entries = b"".join(
        b" %s %s" % (key.encode(), _written(value))
        for key, value in sorted(trailer.items())
        if key not in _OWN and value is not None
    )
    entries += b" /Info %d %d R /Prev %d" % (number, generation, previous) + _identifier(trailer, text)
    xref = start + len(out)
    if xref >= _FURTHEST:
        raise ValueError("larger than a PDF's table of contents can say")
    if table:
        out += b"xref\n%d 1\n%010d %05d n \ntrailer\n<< /Size %d%s >>\n" % (number, place, generation, size, entries)
    else:  # 7.5.8: behind a cross-reference stream comes another; it lists itself
        rows = sorted([(number, place, generation), (size, xref, 0)])
        data = b"".join(b"\1" + at.to_bytes(8, "big") + gen.to_bytes(2, "big") for _, at, gen in rows)
        index = b" ".join(b"%d 1" % row[0] for row in rows)
        out += b"%d 0 obj\n<< /Type /XRef /Size %d /Index [ %s ] /W [ 1 8 2 ] /Length %d%s >>\nstream\n%s\nendstream\nendobj\n" % (
            size, size + 1, index, len(data), entries, data,
        )  # fmt: skip
    return out + b"startxref\n%d\n%%%%EOF\n" % xref


def _written(value: Any) -> bytes:
    """Write a value as PDF does; pikepdf gives numbers and truth values as Python's own."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    written: bytes = value.unparse() if hasattr(value, "unparse") else str(value).encode()
    return written


def _identifier(trailer: Any, text: bytes) -> bytes:
    """Give the file's identifier (14.4): the first part stays, the second follows the content."""
    if "/ID" not in trailer:
        return b""
    first, second = (bytes(part) for part in trailer["/ID"])
    changed = hashlib.sha256(second + text).digest()[:16]
    return b" /ID [ <%s> <%s> ]" % (first.hex().encode(), changed.hex().encode())
