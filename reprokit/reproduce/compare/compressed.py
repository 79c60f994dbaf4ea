"""Packed files (gzip, bzip2, xz): what is in them; the time and name that gzip keeps don't count."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tempfile
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from reprokit.reproduce.compare import binary, kinds, registry
from reprokit.reproduce.compare.words import SAME, UnreadableError

if TYPE_CHECKING:
    from reprokit.reproduce.verdict import Verdict
    from reprokit.settings.values import Tolerance

_BLOCK = 1 << 20  # bytes
_FREE = 1 << 28  # bytes that a file may unpack to in any case
_EXPANSION = 100  # beyond that, how many times its size


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Unpack both into a temporary folder, and compare what they hold under the name without its last suffix."""
    inner = PurePath(name).with_suffix("").name if PurePath(name).suffix else name
    with tempfile.TemporaryDirectory(prefix="reprokit-") as folder:
        first, second = (_unpacked(path, Path(folder, side), inner) for side, path in (("old", old), ("new", new)))
        if any(kinds.is_packed(kinds.head(path)) for path in (first, second)):  # packed twice, or a thousand times
            found = binary.compare(name, first, second)
        else:
            found = registry.files(inner, first, second, tolerance)
    said = found.said or SAME.format("content")
    return msgspec.structs.replace(found, name=name, said=said)


def _unpacked(path: Path, folder: Path, name: str) -> Path:
    folder.mkdir()
    target = folder / (PurePath(name).name or "content")
    most = _FREE + _EXPANSION * os.path.getsize(path)
    with _opened(path) as packed, open(target, "xb") as unpacked:
        while block := packed.read(_BLOCK):
            most -= len(block)
            if most < 0:
                raise UnreadableError("it unpacks to far more than is believed")
            unpacked.write(block)
    return target


def _opened(path: Path) -> BinaryIO:
    head = kinds.head(path)
    if head.startswith(b"\x1f\x8b"):
        return gzip.open(path)  # type: ignore[return-value]
    return bz2.open(path) if head.startswith(b"BZh") else lzma.open(path)  # type: ignore[return-value]
