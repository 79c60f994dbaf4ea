"""What a file is: its first bytes say it, and for kinds of text its name."""

from __future__ import annotations

import os
import re
import zipfile
from typing import TYPE_CHECKING

from reprokit.embed import hdf5

if TYPE_CHECKING:
    from pathlib import Path

HEAD = (1 << 16) + 8  # bytes: HDF5 may begin behind a user block
_IMAGES = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|II\*\0|MM\0\*|II\+\0|MM\0\+|RIFF....WEBP|BM.{8}|P[1-6][\s#]",
    re.DOTALL,
)
_SVG = re.compile(rb"<(?:[\w.-]+:)?svg[\s/>]")
_SUFFIXES = {
    ".json": "json", ".geojson": "json", ".ipynb": "json", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".csv": "csv", ".tsv": "csv",
}  # fmt: skip
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
ARCHIVE = b"# reprokit archive, format "


def kind(path: Path, head: bytes, *names: str) -> str:
    """Tell what a file is by its first bytes, or by what it is called: kept content has no name of its own."""
    if _IMAGES.match(head):
        return "image"
    for magic, found in ((b"\x93NUMPY", "npy"), (b"%PDF-", "pdf"), (b"PAR1", "parquet")):
        if head.startswith(magic):
            return found
    if hdf5.mine(head):
        return "hdf5"
    if is_packed(head):
        return "compressed"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "npz" if _holds_arrays(path) else "bytes"
    return _text(head, (path.name, *names))


def head(path: Path) -> bytes:
    """Read the first bytes of a file.

    Raises
    ------
    OSError
        When it can't be read.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | getattr(os, "O_NONBLOCK", 0))) as stream:
        return stream.read(HEAD)


def is_packed(head: bytes) -> bool:
    """Tell what is packed by gzip (RFC 1952), bzip2 or xz."""
    return head.startswith((b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\0"))


def is_archive(folder: Path) -> bool:
    """Tell the folder of an archive: a package that says so in its first line."""
    try:
        return head(folder / "__init__.py").startswith(ARCHIVE)
    except OSError:
        return False


def _holds_arrays(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return path.suffix.lower() == ".npz"
    return path.suffix.lower() == ".npz" or (bool(names) and all(name.endswith(".npy") for name in names))


def _text(head: bytes, names: tuple[str, ...]) -> str:
    if _CONTROL.search(head):
        return "bytes"
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4 or len(head) < HEAD:  # else a character is cut
            return "bytes"
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"<") and _SVG.search(head):
        return "svg"
    if start.startswith(ARCHIVE):
        return "archive"
    suffixes = [os.path.splitext(name)[1].lower() for name in names]
    found = next((_SUFFIXES[one] for one in suffixes if one in _SUFFIXES), "text")
    return "json" if found == "text" and start.startswith((b"{", b"[")) else found
