"""Arrays in data files: ``.npy``, ``.npz`` or HDF5; many small ones together in one file."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.archive.loaders import CALL, LOADERS
from reprokit.errors import ArchiveError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Mapping

EXTENSIONS = {"npy": "", "npz": ".npz", "hdf5": ".hd5"}
_SMALL = 64 << 10  # bytes up to which an array may share a file
_MANY = 32  # small arrays from which on they do
_ALIGNED = 64  # bytes between which packed arrays of another type or shape begin
_HDF5_SUFFIXES = (".hd5", ".hf5", ".hdf5", ".h5")
HDF5_OPTIONS = frozenset({"chunks", "compression", "compression_opts", "shuffle", "fletcher32"})


class Layout:
    """Which array goes where.

    Attributes
    ----------
    packed : dict
        From the name of an array to its number among those that share ``packed.npy``.
    runs : list of tuple
        ``(dtype, shape, order, offset, count)`` of equal neighbours in that file.
    raw : dict
        Dtype, shape and order of arrays that the format has no word for; the file holds their bytes.
    """

    def __init__(self, arrays: Mapping[str, Any], data_format: str) -> None:
        check_format(data_format)
        self.arrays = dict(arrays)
        self.format = data_format
        self.packed: dict[str, int] = {}
        self.runs: list[tuple[str, tuple[int, ...], str, int, int]] = []
        self.raw: dict[str, tuple[Any, tuple[int, ...], str]] = {}
        self._blocks: list[tuple[int, list[Any]]] = []
        if data_format == "npy":
            small = [name for name, one in self.arrays.items() if one.nbytes <= _SMALL and _is_simple(one.dtype)]
            if len(small) >= _MANY:
                self._pack(small)
        for name, one in self.arrays.items():
            if name not in self.packed and not _fits(one, data_format):
                self.raw[name] = (dtype_literal(one.dtype), one.shape, _order(one))

    def _pack(self, names: list[str]) -> None:
        offset = 0
        last: tuple[str, tuple[int, ...], str] | None = None
        for number, name in enumerate(names):
            one = self.arrays[name]
            kind = (one.dtype.str, one.shape, _order(one))
            if kind != last:
                offset = -(-offset // _ALIGNED) * _ALIGNED
                self.runs.append((*kind, offset, 0))
                self._blocks.append((offset, []))
                last = kind
            self.runs[-1] = (*kind, self.runs[-1][3], self.runs[-1][4] + 1)
            self._blocks[-1][1].append(one if kind[2] == "C" else one.T)
            offset += one.nbytes
            self.packed[name] = number
        self._end = offset

    @property
    def names(self) -> list[str]:
        """The arrays that have a file, or a dataset, of their own."""
        return [name for name in self.arrays if name not in self.packed]

    def expression(self, name: str) -> str:
        """Give the expression for an array in the source."""
        number = self.packed.get(name)
        return f"_arrays[{name!r}]" if number is None else f"_packed[{number}]"

    def table(self, where: str, archive: str) -> str:
        """Give the statement that tells the loader what is where."""
        parts = [f"'archive': {archive!r}", f"'where': {where!r}", f"'format': {self.format!r}"]
        parts += [f"'names': {self.names!r}", f"'packed': {self.runs!r}", f"'raw': {self.raw!r}"]
        return "_layout = {" + ", ".join(parts) + "}\n"

    def loader(self, where: str, archive: str) -> str:
        """Give the source that reads the arrays; empty if there are none."""
        return self.table(where, archive) + LOADERS[self.format] + CALL if self.arrays else ""

    def write(self, path: Path, options: Mapping[str, Any] | None = None) -> list[Path]:
        """Write the data: the folder ``npy`` asks for, or the file; give the files."""
        numpy = sys.modules["numpy"]
        ready = {name: self._bytes(numpy, name) if name in self.raw else self.arrays[name] for name in self.names}
        if self.format == "npz":
            with open(path, "wb") as file:
                numpy.savez(file, **ready)
            return [path]
        if self.format == "hdf5":
            _write_hdf5(path, ready, options or {})
            return [path]
        path.mkdir(parents=True, exist_ok=True)
        files = []
        for name, one in ready.items():
            files.append(path / f"{name}.npy")
            numpy.save(files[-1], one, allow_pickle=False)
        if self.packed:
            files.append(path / "packed.npy")
            self._write_packed(numpy, files[-1])
        return files

    def _bytes(self, numpy: Any, name: str) -> Any:
        return numpy.frombuffer(self.arrays[name].tobytes(self.raw[name][2]), numpy.uint8)

    def _write_packed(self, numpy: Any, path: Path) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (self._end,)}
        with open(path, "wb") as file:
            numpy.lib.format.write_array_header_1_0(file, header)
            written = 0
            for offset, block in self._blocks:
                file.write(bytes(offset - written))
                data = b"".join([one.tobytes() for one in block])
                file.write(data)
                written = offset + len(data)


def check_format(data_format: str) -> None:
    """Refuse a format that there is not.

    Raises
    ------
    NotImplementedError
        As `persist` raises it.
    MissingExtraError
        HDF5 without h5py.
    """
    if data_format not in EXTENSIONS:
        raise NotImplementedError(f"Expected data_format in {['hdf5', 'npz', 'npy']}, got {data_format!r}")
    if data_format == "hdf5":
        hdf5()


def hdf5() -> Any:
    """Give h5py."""
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise MissingExtraError("h5py", "arrays") from error


def _write_hdf5(path: Path, arrays: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    unknown = set(options) - HDF5_OPTIONS
    if unknown:
        raise ArchiveError("hdf5", f"unknown options {sorted(unknown)}; there are {sorted(HDF5_OPTIONS)}")
    with hdf5().File(path, "w", track_order=False) as file:
        for name, one in arrays.items():
            # one byte a year: no times, so that equal arrays make equal files
            file.create_dataset(name, data=one, track_times=False, **(dict(options) if one.size and one.ndim else {}))


def _order(array: Any) -> str:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _is_simple(dtype: Any) -> bool:
    return dtype.names is None and dtype.subdtype is None and dtype.kind in "biufcSUMm" and not dtype.metadata


def _fits(array: Any, data_format: str) -> bool:
    """Whether a format gives an array back as it is."""
    dtype = array.dtype
    if data_format == "hdf5":
        plain = dtype.names is None and dtype.subdtype is None and (dtype.kind in "iuf" or dtype.str == "|b1")
        return plain and dtype.itemsize <= 8 and _order(array) == "C" and not dtype.metadata
    if _is_simple(dtype):
        return True
    numpy = sys.modules["numpy"]
    try:
        return bool(
            dtype.names and numpy.dtype(dtype.descr) == dtype and not dtype.metadata and dtype.type is numpy.void
        ) and (not dtype.isalignedstruct)
    except ValueError:  # fields that overlap
        return False


def dtype_literal(dtype: Any) -> Any:
    """Give what ``numpy.dtype`` makes an equal dtype of, in literals."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return (dtype_literal(base), shape)
    if dtype.names is None:
        return dtype.str
    fields = [dtype.fields[name] for name in dtype.names]
    found = {
        "names": list(dtype.names),
        "formats": [dtype_literal(field[0]) for field in fields],
        "offsets": [field[1] for field in fields],
        "itemsize": dtype.itemsize,
    }
    if any(len(field) > 2 for field in fields):
        found["titles"] = [field[2] if len(field) > 2 else None for field in fields]
    if dtype.isalignedstruct:
        found["aligned"] = True
    return found


def save_loose(
    arrays: Mapping[str, Any], folder: Path, filename: str | None, data_format: str, data_name: str, *, backup: bool
) -> tuple[str, list[str]]:
    """Write arrays to where the caller says; give source that reads them, and the files."""
    from reprokit.archive.package import keep_backup

    check_format(data_format)
    layout = Layout(arrays, data_format)
    layout.packed, layout.runs = {}, []
    if data_format != "npy":
        if filename is None:
            raise ArchiveError(f"Must specify filename for data_format={data_format!r}")
        suffixes = (".npz",) if data_format == "npz" else _HDF5_SUFFIXES
        if not filename.lower().endswith(suffixes):
            filename += EXTENSIONS[data_format]
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / filename if filename else folder
    if backup:
        for old in [path] if path.is_file() else sorted(path.glob("*.npy")):
            keep_backup(old)
    files = layout.write(path)
    where = os.fspath(path)
    table = layout.table(where, "").replace("_layout = ", "layout = ")
    body = LOADERS[data_format].split("\n", 1)[1]
    check = "    with open(__file__, encoding='utf-8') as source:\n        same = source.readline().strip() == layout['archive']\n"
    for text, by in (
        ("    here = os.path.dirname(os.path.abspath(__file__))\n", f"    {table}"),
        ("os.path.join(here, layout['where'])", "layout['where']"),
        (check, "    same = True\n"),
        ("path=__file__", "path=where"),
        ("return arrays, packed", "return arrays"),
    ):
        assert text in body
        body = body.replace(text, by)
    source = f"def {data_name}():\n{body}{data_name} = {data_name}()\n"
    return source, [os.fspath(file) for file in files]
