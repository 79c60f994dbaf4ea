"""``.npz``: members by name, each read in blocks, packed or not; order, times and comments of the zip archive don't count."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any

from reprokit.reproduce.compare import npy
from reprokit.reproduce.compare.numbers import Tally, library
from reprokit.reproduce.compare.words import UnreadableError, combine
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_FREE = 4 << 30  # bytes that a file may unpack to in any case
_TURNED = 1 << 25  # bytes
_EXPANSION = 200  # beyond that, how many times its size


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two files."""
    with zipfile.ZipFile(old) as first, zipfile.ZipFile(new) as second:
        return combine(name, "npz", _members(first, second, tolerance), tolerance, noun="array")


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """List members by name.

    Raises
    ------
    UnreadableError
        When it would unpack to too much, or two members have one name.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in found:
            raise UnreadableError(f"it holds two members called {info.filename!r}")
        found[info.filename] = info
    size = sum(info.file_size for info in found.values())
    if size > _FREE + _EXPANSION * sum(info.compress_size for info in found.values()):
        raise UnreadableError(f"it would unpack to {size:,} bytes, which is not believed")
    return found


def _members(first: zipfile.ZipFile, second: zipfile.ZipFile, tolerance: Tolerance) -> Iterator[Verdict]:
    ours, theirs = members(first), members(second)
    for member in dict.fromkeys((*ours, *theirs)):
        shown = member.removesuffix(".npy")
        if member not in theirs:
            yield Verdict(name=shown, kind="npy", outcome="missing")
        elif member not in ours:
            yield Verdict(name=shown, kind="npy", outcome="extra")
        else:
            yield _member(shown, first, second, ours[member], theirs[member], tolerance)


def _member(
    name: str,
    first: zipfile.ZipFile,
    second: zipfile.ZipFile,
    old: zipfile.ZipInfo,
    new: zipfile.ZipInfo,
    tolerance: Tolerance,
) -> Verdict:
    with first.open(old) as one, second.open(new) as other:
        try:
            heads = npy.read_header(one, old.file_size), npy.read_header(other, new.file_size)  # type: ignore[arg-type]
        except UnreadableError as error:
            return _unread(name, first, second, old, new, str(error))
        told = npy.unlike(*heads)
        if told:
            return Verdict(name=name, kind="npy", outcome="differs", said=told)
        if heads[0].fortran != heads[1].fortran:
            return _turned(name, (one, other), heads, tolerance)
        tally = npy.stream(one, other, heads[0].dtype, heads[1].dtype, 0, heads[0].values, tolerance)
    place = npy.namer(heads[0].shape, fortran=heads[0].fortran)
    return Verdict(name=name, kind="npy", outcome=tally.outcome, said=tally.said(place), details=tally.details(place))


def _turned(name: str, streams: tuple[Any, Any], heads: tuple[npy.Header, npy.Header], tolerance: Tolerance) -> Verdict:
    """Compare arrays of which one lies in rows and the other in columns: that takes one of them whole.

    Raises
    ------
    UnreadableError
        When they are too large for that.
    """
    np = library("numpy")
    tally = Tally(heads[0].dtype, tolerance)
    size = heads[0].values * heads[0].dtype.itemsize
    if size > _TURNED:
        raise UnreadableError(f"{name} lies in rows in one file and in columns in the other, and has {size:,} bytes")
    blocks = [
        np.ascontiguousarray(np.ndarray(head.shape, head.dtype, stream.read(size), order="F" if head.fortran else "C"))
        for stream, head in zip(streams, heads, strict=True)
    ]
    tally.add(npy.native(blocks[0].reshape(-1)), npy.native(blocks[1].reshape(-1)), 0)
    place = npy.namer(heads[0].shape)
    return Verdict(name=name, kind="npy", outcome=tally.outcome, said=tally.said(place), details=tally.details(place))


def _unread(
    name: str, first: zipfile.ZipFile, second: zipfile.ZipFile, old: zipfile.ZipInfo, new: zipfile.ZipInfo, why: str
) -> Verdict:
    """Compare the bytes of members that are no arrays, or arrays of objects."""
    with first.open(old) as one, second.open(new) as other:
        while True:
            block = one.read(1 << 20)
            if block != other.read(1 << 20):
                return Verdict(name=name, outcome="differs", said=f"its bytes differ ({why})")
            if not block:
                return Verdict(name=name, outcome="identical")
