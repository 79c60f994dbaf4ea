"""Arrays in ``.npy`` files: dtype and shape, then values, in blocks and on several cores; objects are not read."""

from __future__ import annotations

import ast
import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from reprokit.reproduce.compare.numbers import Tally, library
from reprokit.reproduce.compare.words import SAME, UnreadableError
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reprokit.settings.values import Tolerance

MAGIC = b"\x93NUMPY"
_LONGEST = 1 << 18  # bytes of a header
_BLOCK = 1 << 18  # bytes; what is computed from two fits into a core's cache
_TILE = 1 << 24  # bytes of arrays that lie in different orders
_PARALLEL = 1 << 24  # bytes from which it takes less time on several cores
_WORKERS = 4


class Header(NamedTuple):
    """What stands before the values."""

    dtype: Any
    shape: tuple[int, ...]
    fortran: bool
    start: int  # bytes before the first value

    @property
    def values(self) -> int:
        """How many there are."""
        return math.prod(self.shape)


def read_header(stream: BinaryIO, available: int | None) -> Header:
    """Read a header (NEP 1); `available` is the size of the file in bytes, when known.

    Raises
    ------
    UnreadableError
        When it is no array, damaged, or one of objects.
    """
    np = library("numpy")
    head = stream.read(8)
    if len(head) < 8 or not head.startswith(MAGIC) or head[6] not in (1, 2, 3):
        raise UnreadableError("it does not begin as an array does")
    width = 2 if head[6] == 1 else 4
    length = int.from_bytes(stream.read(width), "little")
    if length > _LONGEST:
        raise UnreadableError("its header is too long")
    text = stream.read(length)
    if len(text) != length:
        raise UnreadableError("it ends too early")
    told = ast.literal_eval(text.decode("utf-8" if head[6] == 3 else "latin-1").strip())
    if not isinstance(told, dict) or set(told) != {"descr", "fortran_order", "shape"}:
        raise UnreadableError("its header is damaged")
    shape = told["shape"]
    if not isinstance(shape, tuple) or not all(type(one) is int and one >= 0 for one in shape):
        raise UnreadableError("its header is damaged")
    dtype = np.lib.format.descr_to_dtype(told["descr"])
    if dtype.hasobject:
        raise UnreadableError("object arrays are not read, for that would run what is pickled in them")
    found = Header(dtype, shape, bool(told["fortran_order"]) and len(shape) > 1, 8 + width + length)
    if available is not None and found.start + found.values * dtype.itemsize > available:
        raise UnreadableError(
            f"it says that it holds {found.values * dtype.itemsize:,} bytes, and has {available - found.start:,}"
        )
    return found


def unlike(old: Header, new: Header) -> str:
    """Say how dtype or shape differ; the order of a number's bytes is none of its content."""
    told = []
    if old.dtype.newbyteorder("=") != new.dtype.newbyteorder("="):
        told.append(f"dtype {old.dtype} -> {new.dtype}"[:200])
    if old.shape != new.shape:
        told.append(f"shape {old.shape} -> {new.shape}")
    return ", ".join(told)


def namer(shape: tuple[int, ...], *, fortran: bool = False) -> Callable[[int], str]:
    """Give what names a place by its flat index: ``[3, 7]``."""

    def place(flat: int) -> str:
        found = []
        for length in shape if fortran else reversed(shape):
            found.append(flat % length)
            flat //= length
        return f"[{', '.join(map(str, found if fortran else reversed(found)))}]"

    return place


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two files."""
    with open(old, "rb") as first, open(new, "rb") as second:
        heads = [read_header(one, os.fstat(one.fileno()).st_size) for one in (first, second)]
    told = unlike(*heads)
    if told:
        return Verdict(name=name, kind="npy", outcome="differs", said=told, details=_form(*heads))
    if heads[0].fortran == heads[1].fortran:
        tally = _linear(old, new, heads[0], heads[1], tolerance)
    else:
        tally = _tiled(old, new, heads[0], heads[1], tolerance)
    place = namer(heads[0].shape, fortran=heads[0].fortran and heads[1].fortran)
    said = tally.said(place)
    if not said and not _same_bytes(old, new, heads):
        said = SAME.format("values")
    return Verdict(
        name=name, kind="npy", outcome=tally.outcome, said=said, details=_form(*heads) | tally.details(place)
    )


def _form(old: Header, new: Header) -> dict[str, Any]:
    return {"shape": [list(old.shape), list(new.shape)], "dtype": [str(old.dtype), str(new.dtype)]}


def _same_bytes(old: Path, new: Path, heads: list[Header]) -> bool:
    """Tell whether the files are the same bytes when the values are; -0.0 is rare, and looked for again."""
    from reprokit.reproduce.compare import binary

    return heads[0] == heads[1] and binary.same(old, new)


def _linear(old: Path, new: Path, first: Header, second: Header, tolerance: Tolerance) -> Tally:
    """Read both from beginning to end."""
    count = first.values
    size = count * first.dtype.itemsize
    workers = min(_WORKERS, os.cpu_count() or 1) if size >= _PARALLEL else 1
    step = -(-count // workers) if count else 0
    parts = [(start, min(start + step, count)) for start in range(0, count, step)] if step else []

    def part(ends: tuple[int, int]) -> Tally:
        with open(old, "rb", buffering=0) as one, open(new, "rb", buffering=0) as other:
            one.seek(first.start + ends[0] * first.dtype.itemsize)
            other.seek(second.start + ends[0] * second.dtype.itemsize)
            return stream(one, other, first.dtype, second.dtype, *ends, tolerance)

    made = Tally(first.dtype, tolerance)
    if len(parts) < 2:
        for ends in parts:
            made.merge(part(ends))
        return made
    with ThreadPoolExecutor(workers) as pool:
        for one in pool.map(part, parts):
            made.merge(one)
    return made


def stream(old: Any, new: Any, first: Any, second: Any, start: int, stop: int, tolerance: Tolerance) -> Tally:
    """Compare values `start` to `stop` of two opened files that are to be read from where they are.

    Raises
    ------
    UnreadableError
        When one ends too early.
    """
    np = library("numpy")
    tally = Tally(first, tolerance)
    width = first.itemsize
    if not width:
        tally.equal(stop - start)
        return tally
    rows = max(1, _BLOCK // width)
    buffers = bytearray(rows * width), bytearray(rows * width)
    while start < stop:
        count = min(rows, stop - start)
        if count < rows:
            buffers = bytearray(count * width), bytearray(count * width)
        for one, buffer in zip((old, new), buffers, strict=True):
            _fill(one, buffer)
        if buffers[0] == buffers[1] and first == second:
            tally.equal(count)
        else:
            a, b = np.frombuffer(buffers[0], first), np.frombuffer(buffers[1], second)
            tally.add(native(a), native(b), start)
        start += count
    return tally


def _fill(stream: Any, buffer: bytearray) -> None:
    view = memoryview(buffer)
    done = 0
    while done < len(buffer):
        count = stream.readinto(view[done:])
        if not count:
            raise UnreadableError("it ends too early")
        done += count


def native(block: Any) -> Any:
    """Give a block with the bytes of its numbers in this machine's order."""
    return block if block.dtype.isnative else block.astype(block.dtype.newbyteorder("="))


def _tiled(old: Path, new: Path, first: Header, second: Header, tolerance: Tolerance) -> Tally:
    """Compare arrays of which one lies in rows and the other in columns, a few rows at a time."""
    np = library("numpy")
    tally = Tally(first.dtype, tolerance)
    if not first.values or not first.dtype.itemsize:
        tally.equal(first.values)
        return tally
    a, b = (
        np.memmap(path, one.dtype, "r", one.start, one.shape, "F" if one.fortran else "C")
        for path, one in ((old, first), (new, second))
    )
    row = first.values // first.shape[0]
    rows = max(1, _TILE // (row * first.dtype.itemsize))
    for start in range(0, first.shape[0], rows):
        x, y = (np.ascontiguousarray(one[start : start + rows]).reshape(-1) for one in (a, b))
        for at in range(0, x.size, _BLOCK):
            tally.add(native(x[at : at + _BLOCK]), native(y[at : at + _BLOCK]), start * row + at)
        for one in (a, b):
            one._mmap.madvise(4)  # MADV_DONTNEED: pages that were read are given back
    return tally
