"""Pictures in slides and reports: which runs made what a zip-based document (pptx, docx, odp, epub, zip) holds."""

from __future__ import annotations

import os
import re
import tempfile
import zipfile
import zlib
from typing import TYPE_CHECKING, NamedTuple

from reprokit.catalog import whence
from reprokit.model import naming

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.catalog.index import Index
    from reprokit.catalog.whence import Origin

_MOST = 10_000  # members that are looked at
_LARGEST = 1 << 28  # bytes of a member, unpacked
_ALL = 1 << 31  # bytes of all members together
_CHUNK = 1 << 20  # bytes
_EXT = re.compile(r"\.[A-Za-z0-9.]{1,20}\Z")
_BAD = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, ValueError, EOFError, OSError)


class Found(NamedTuple):
    """A member of a document that a run made, or one of several."""

    member: str
    origin: Origin


def inside(index: Index, path: str | os.PathLike[str]) -> list[Found]:
    """Look for files that runs made within a document; empty when it is none, or holds none.

    Their content and the tags inside them count: what they are called there says nothing.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="reprokit-") as scratch:
        for name, copy in _members(path, scratch):
            origin = whence.whence(index, copy)
            if (origin.run is not None or origin.candidates) and origin.how in ("content", "embedded tag"):
                found.append(Found(name, origin))
            os.unlink(copy)
    return found


def is_document(path: str | os.PathLike[str]) -> bool:
    """Tell whether files within a file can be looked at."""
    try:
        return zipfile.is_zipfile(path)
    except _BAD:
        return False


def _members(path: str | os.PathLike[str], scratch: str) -> Iterator[tuple[str, str]]:
    """Unpack a document's files one after the other, within bounds; what cannot be read is passed over."""
    left = _ALL
    try:
        document = zipfile.ZipFile(path)
    except _BAD:
        return
    with document:
        for number, member in enumerate(document.infolist()[:_MOST]):
            if member.is_dir() or not 0 < member.file_size <= min(left, _LARGEST):
                continue
            ext = naming.split(member.filename)[1]  # tells the kind of file, and may be anything
            copy = os.path.join(scratch, f"{number}{ext if _EXT.match(ext) else ''}")
            try:
                with document.open(member) as source, open(copy, "xb") as target:
                    while chunk := source.read(_CHUNK):
                        target.write(chunk)
                        left -= len(chunk)
            except _BAD:
                continue
            yield member.filename, copy
