"""Reads data files that somebody else may have made: only inside the archive's folder, only numbers."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import re
import stat
import zipfile
from typing import TYPE_CHECKING, Any

from reprokit.archive import loaders
from reprokit.archive.arrays import hdf5
from reprokit.archive.reading import ReplacedError
from reprokit.archive.safe.refusal import refuse
from reprokit.errors import ArchiveError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

_NAME = re.compile(r"[^\W\d]\w{0,200}\Z")
_WHERE = re.compile(r"\w[\w-]{0,200}(\.(npz|hd5|hf5|hdf5|h5))?\Z")
_EXPANSION = 1100  # bytes that a stored byte of HDF5 may become: more than deflate can make
_FILTERS = frozenset({1, 2, 3, 32000})  # deflate, shuffle, fletcher32, lzf: other numbers load plug-ins
_EMPTY = 100_000  # arrays without elements that there may be
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)


def numpy() -> Any:
    """Give NumPy."""
    try:
        return importlib.import_module("numpy")
    except ImportError as error:
        raise MissingExtraError("numpy", "arrays") from error


class Table:
    """What the source says about its data files, checked."""

    def __init__(self, found: Any) -> None:
        if not (isinstance(found, dict) and set(found) == {"archive", "where", "format", "names", "packed", "raw"}):
            raise ArchiveError("_layout", "is no table of data files")
        self.archive = str(found["archive"])
        self.where = found["where"]
        self.format = found["format"]
        self.names = found["names"]
        self.packed = found["packed"]
        self.raw = found["raw"]
        _check_where(self.where)
        _check_names(self.names)
        if self.format not in loaders.LOADERS or not isinstance(self.packed, list) or not isinstance(self.raw, dict):
            raise ArchiveError("_layout", "is no table of data files")


def read(table: Table, folder: Path, mmap: bool | None) -> tuple[dict[str, Any], list[Any]]:
    """Read the arrays that a table names.

    Raises
    ------
    ArchiveError
        A file that is damaged, holds objects, or lies outside `folder`.
    """
    if table.format != "npy":
        return _read(table, folder, mmap)
    path = os.path.join(folder, table.where)
    with _told(path), _same_folder(path):
        return _read(table, folder, mmap)


def _read(table: Table, folder: Path, mmap: bool | None) -> tuple[dict[str, Any], list[Any]]:
    found = read_files(table.format, folder, table.where, table.names, mmap)
    for name, described in table.raw.items():
        if name not in found:
            raise ArchiveError("_layout", f"describes {name!r}, of which there is no data")
        found[name] = _viewed(found[name], described)
    if not table.packed:
        return found, []
    path = os.path.join(folder, table.where, "packed.npy")
    with _told(path):
        return found, _packed(table, folder, path)


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Turn what libraries say about damaged files into one kind of error."""
    try:
        yield
    except (FileNotFoundError, ArchiveError, ImportError):
        raise
    except (
        OSError,
        ValueError,
        LookupError,
        EOFError,
        TypeError,
        OverflowError,
        MemoryError,
        zipfile.BadZipFile,
    ) as error:
        raise ArchiveError(path, f"cannot be read: {error or type(error).__name__}") from error


def read_files(kind: str, folder: Path, where: str, names: Sequence[str], mmap: bool | None) -> dict[str, Any]:
    """Read arrays by name from the folder or file `where`."""
    _check_where(where)
    _check_names(names)
    path = os.path.join(folder, where)
    with _told(path):
        if kind == "npy":
            with _same_folder(path):
                return {name: _read_npy(folder, os.path.join(path, f"{name}.npy"), mmap) for name in names}
        with _opened(folder, path) as file:
            return _read_npz(file, path, names) if kind == "npz" else _read_hdf5(file, path, names)


@contextlib.contextmanager
def _same_folder(path: str) -> Iterator[None]:
    """Make sure that a folder is not replaced; while it is held open, no other gets its number."""
    flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    held = os.open(path, flags) if os.name == "posix" else None
    try:
        before = os.stat(path if held is None else held)
        yield
        after = os.stat(path)
    finally:
        if held is not None:
            os.close(held)
    if (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
        raise ReplacedError(f"{path}: was saved anew while it was being read")


def _check_where(where: Any) -> None:
    if not (isinstance(where, str) and _WHERE.match(where)):
        raise ArchiveError("_layout", f"data in {where!r}: only a file or folder beside the source is read")


def _check_names(names: Any) -> None:
    if not (isinstance(names, list) and all(isinstance(one, str) and _NAME.match(one) for one in names)):
        raise ArchiveError("_layout", "arrays have names of letters, digits and underscores")


@contextlib.contextmanager
def _opened(folder: Path, path: str) -> Iterator[BinaryIO]:
    """Open a file; links have to lead to one in the archive's folder, and nothing may change meanwhile."""
    real = _inside(folder, path)
    descriptor = os.open(real, _FLAGS)
    with open(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        again = os.stat(_inside(folder, path))
        if not stat.S_ISREG(found.st_mode) or (found.st_dev, found.st_ino) != (again.st_dev, again.st_ino):
            raise ReplacedError(f"{path}: was replaced while it was being opened")
        yield file


def _inside(folder: Path, path: str) -> str:
    """Follow links; what they lead to has to lie in the archive's folder, and to be a file."""
    real = os.path.realpath(path)
    home = os.path.realpath(folder)
    if os.path.commonpath([real, home]) != home:
        raise ArchiveError(path, f"leads to {real}, outside of the archive; only data inside of it are read")
    if not stat.S_ISREG(os.stat(real).st_mode):
        raise ArchiveError(path, "is no ordinary file")
    return real


def _read_npy(folder: Path, path: str, mmap: bool | None) -> Any:
    with _opened(folder, path) as file:
        size = os.fstat(file.fileno()).st_size
        shape, fortran, dtype = _header(file, path, size)
        if (mmap or (mmap is None and size > loaders.MAPPED)) and math.prod(shape) * dtype.itemsize:
            np = numpy()
            return np.asarray(np.memmap(file, dtype, "c", file.tell(), shape, "F" if fortran else "C"))
        file.seek(0)
        return numpy().load(file, allow_pickle=False)


def _header(file: BinaryIO, path: str, size: int) -> tuple[tuple[int, ...], bool, Any]:
    """Read a header of the .npy format and compare it with how many bytes there are."""
    form: Any = numpy().lib.format
    version = form.read_magic(file)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ArchiveError(path, f"is in version {version} of the .npy format")
    if version == (1, 0):
        shape, fortran, dtype = form.read_array_header_1_0(file)
    else:
        file.seek(0)
        form.read_magic(file)
        shape, fortran, dtype = form.read_array_header_2_0(file) if version == (2, 0) else _header_3(form, file)
    if dtype.hasobject:
        raise refuse(
            f"{path}: an array of objects, which are pickled,", remedy="pass trust=True only if you know who made it"
        )
    count = math.prod(shape)
    if min(shape, default=0) < 0:
        raise ArchiveError(path, f"says that its shape is {shape}")
    if count * dtype.itemsize > size - file.tell():
        raise ArchiveError(path, f"says that it holds {count} x {dtype.itemsize} bytes; there are {size - file.tell()}")
    return shape, fortran, dtype


def _header_3(form: Any, file: BinaryIO) -> Any:
    return form._read_array_header(file, version=(3, 0)) if hasattr(form, "_read_array_header") else _no_header()


def _no_header() -> Any:
    raise ArchiveError("the data", "are in version 3.0 of the .npy format, which this NumPy does not read safely")


def _packed(table: Table, folder: Path, path: str) -> list[Any]:
    np = numpy()
    data = _read_npy(folder, path, None)
    if data.dtype != np.uint8 or data.ndim != 1:
        raise ArchiveError("packed.npy", "holds no bytes")
    found: list[Any] = []
    for run in table.packed:
        try:
            kind, shape, order, offset, count = run
            dtype = np.dtype(kind)
            lengths = (count, *shape[:: -1 if order == "F" else 1])
            if dtype.hasobject or min((offset, *lengths)) < 0 or count + len(found) > data.size + _EMPTY:
                raise ArchiveError("packed.npy", f"cannot hold {run!r}")
            block = np.ndarray(lengths, dtype, data, offset)
        except (ValueError, TypeError, OverflowError) as error:
            raise ArchiveError("packed.npy", f"does not hold {run!r}: {error}") from error
        rows = [block[i, ...] for i in range(count)]
        found += [row.T for row in rows] if order == "F" else rows
    return found


def _viewed(data: Any, described: Any) -> Any:
    np = numpy()
    try:
        kind, shape, order = described
        dtype = np.dtype(kind)
        if dtype.hasobject or data.dtype != np.uint8:
            raise ArchiveError("_layout", f"cannot give {described!r}")
        return np.ndarray(shape, dtype, data, order=order)
    except (ValueError, TypeError, OverflowError) as error:
        raise ArchiveError("_layout", f"does not fit its data: {error}") from error


def _read_npz(opened: BinaryIO, path: str, names: Sequence[str]) -> dict[str, Any]:
    found = {}
    with zipfile.ZipFile(opened) as packed:
        for name in names:
            entry = packed.getinfo(f"{name}.npy")
            if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1:
                raise ArchiveError(path, f"{name}: archives hold their arrays uncompressed")
            with packed.open(entry) as file:
                _header(file, path, entry.file_size)  # type: ignore[arg-type]
            with packed.open(entry) as file:
                found[name] = numpy().lib.format.read_array(file, allow_pickle=False)
    return found


def _read_hdf5(opened: BinaryIO, path: str, names: Sequence[str]) -> dict[str, Any]:
    library = hdf5()
    np = numpy()
    found = {}
    with library.File(opened, "r") as file:
        for name in names:
            if not isinstance(file.get(name, getlink=True), library.HardLink):
                raise refuse(
                    f"{path}: {name} is a link to elsewhere, which", remedy="only data in the file itself are read"
                )
            data = file[name]
            if not isinstance(data, library.Dataset) or data.is_virtual or data.external:
                raise refuse(
                    f"{path}: {name} keeps its data elsewhere, which", remedy="only data in the file itself are read"
                )
            if data.dtype.hasobject or data.shape is None:
                raise refuse(f"{path}: {name} is of type {data.dtype}, which", remedy="archives hold plain arrays")
            plist = data.id.get_create_plist()
            filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
            if not filters <= _FILTERS:
                raise refuse(
                    f"{path}: {name} needs filters {sorted(filters - _FILTERS)}, which", remedy="gzip and lzf are read"
                )
            if data.nbytes > _EXPANSION * data.id.get_storage_size() + (1 << 20):
                raise ArchiveError(path, f"{name} says that it holds {data.nbytes} bytes, far more than are stored")
            found[name] = np.asarray(data[...])
    return found
