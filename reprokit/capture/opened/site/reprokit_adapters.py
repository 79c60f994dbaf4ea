"""Libraries that open files without Python knowing: h5py, netCDF4, PyArrow.  (SQLite has an audit event.)

A library is touched when it is loaded, or as soon as it is.  What takes the place of its functions does the same as they
do, and says which file is meant.
"""

from __future__ import annotations

import functools
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing takes longer than all of this
    from collections.abc import Callable
    from typing import Any

_READ, _UPDATE = os.O_RDONLY, os.O_RDWR | os.O_CREAT
_REPLACE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_MODES = {"r": _READ, "r+": _UPDATE, "a": _UPDATE, "w": _REPLACE, "w-": _CREATE, "x": _CREATE}

_told: list[tuple[Callable[[Any, int | None], None], Callable[[str], None]]] = []


def install(tell: Callable[[Any, int | None], None], complain: Callable[[str], None]) -> None:
    """Touch the libraries that are loaded, and those that will be; once for each process.

    Parameters
    ----------
    tell
        Is called with a path and the flags of `os.open` before a file is opened; with None after one was written.
    complain
        Is called with a sentence when a library can't be watched.
    """
    if _told:
        return
    _told.append((tell, complain))
    waiting = []
    for name in _ADAPTERS:
        module = sys.modules.get(name)
        if module is None or getattr(getattr(module, "__spec__", None), "_initializing", False):
            waiting.append(name)
        else:
            _adapt(name, module)
    if waiting:
        sys.meta_path.insert(0, _Finder(waiting))


class _Finder:
    """Has a library adapted right after its import; finds nothing itself."""

    def __init__(self, waiting: list[str]) -> None:
        self._waiting = waiting

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name not in self._waiting:
            return None
        self._waiting.remove(name)  # before the others look for it: one of them may come back here
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find is not None and finder is not self else None
            if spec is not None:
                _follow(name, spec.loader)
                return spec
        self._waiting.append(name)  # not installed, or not yet
        return None


def _follow(name: str, loader: Any) -> None:
    original = getattr(loader, "exec_module", None)
    if original is None:
        return

    def exec_module(module: Any) -> None:
        del loader.exec_module
        original(module)
        _adapt(name, module)

    try:
        loader.exec_module = exec_module  # of this one loader: its class stays what it is
    except AttributeError:
        return


def _adapt(name: str, module: Any) -> None:
    try:
        _ADAPTERS[name](module)
    except Exception as error:  # noqa: BLE001 - a version that has changed inside; its user must not suffer
        _complain(f"{name} of this version cannot be watched ({type(error).__name__}: {error})")


def _h5py(module: Any) -> None:
    def before(_file: Any, name: Any, mode: Any = "r", *_: Any, **__: Any) -> None:
        _tell(name, _MODES.get(mode or "r", _UPDATE))

    _wrap(module.File, "__init__", before=before)


def _netcdf4(module: Any) -> None:
    def before(_dataset: Any, filename: Any, mode: Any = "r", *_: Any, **__: Any) -> None:
        _tell(filename, _MODES.get(mode.rstrip("s"), _UPDATE))  # "ws": unbuffered

    try:
        _wrap(module.Dataset, "__init__", before=before)
    except TypeError:  # before netCDF4 1.7.4 the class can't be changed
        _stand_in(module, "Dataset", before)


def _parquet(module: Any) -> None:
    def reads(_file: Any, source: Any, *_: Any, filesystem: Any = None, **__: Any) -> None:
        if _is_local(filesystem):
            _tell(_plain(source), _READ)

    def writes(_writer: Any, where: Any, _schema: Any = None, filesystem: Any = None, *_: Any, **__: Any) -> None:
        if _is_local(filesystem):
            _tell(_plain(where), _REPLACE)

    def has_read(_result: Any, dataset: Any, *_: Any, **__: Any) -> None:
        _tell_files(dataset)

    _wrap(module.ParquetFile, "__init__", before=reads)
    _wrap(module.ParquetWriter, "__init__", before=writes)
    _wrap(module.ParquetDataset, "__init__", after=has_read)


def _dataset(module: Any) -> None:
    def has_read(dataset: Any, *_: Any, **__: Any) -> None:
        _tell_files(dataset)

    inner = "_filesystem_dataset"  # what dataset() ends in, also where that was imported by name
    _wrap(module, inner if hasattr(module, inner) else "dataset", after=has_read)
    inner = "_filesystemdataset_write"
    write = getattr(module, inner)

    @functools.wraps(write)
    def written(*args: Any, **kwargs: Any) -> Any:
        base_dir = args[1] if len(args) > 3 and _is_local(args[3]) else None
        earlier = {} if base_dir is None else _stamps(base_dir)
        try:
            return write(*args, **kwargs)
        finally:
            if base_dir is not None:
                for path, stamp in _stamps(base_dir).items():
                    if earlier.get(path) != stamp:
                        _tell(path, None)

    setattr(module, inner, written)


def _pandas(module: Any) -> None:
    # to_parquet hands PyArrow an open file; read_parquet hands it the path.
    def writes(path: Any, fs: Any, storage_options: Any = None, mode: str = "rb", is_dir: bool = False) -> None:
        if fs is None and not is_dir and "w" in mode and isinstance(path, (str, os.PathLike)):
            _tell(_plain(os.path.expanduser(path)), _REPLACE)

    if hasattr(module, "_get_path_or_handle"):
        _wrap(module, "_get_path_or_handle", before=writes)


_ADAPTERS: dict[str, Callable[[Any], None]] = {
    "h5py": _h5py,
    "netCDF4": _netcdf4,
    "pyarrow.parquet": _parquet,
    "pyarrow.dataset": _dataset,
    "pandas.io.parquet": _pandas,
}


def _wrap(
    owner: Any, name: str, before: Callable[..., None] | None = None, after: Callable[..., None] | None = None
) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if before is not None:
            _try(before, *args, **kwargs)
        result = original(*args, **kwargs)
        if after is not None:
            _try(after, result, *args, **kwargs)
        return result

    setattr(owner, name, wrapper)


def _stand_in(module: Any, name: str, before: Callable[..., None]) -> None:
    """Put a class in place of one that can't be changed; what it makes are objects of the original."""
    original = getattr(module, name)

    class Kind(type(original)):  # type: ignore[misc]
        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            _try(before, None, *args, **kwargs)
            return original(*args, **kwargs) if cls is stand_in else super().__call__(*args, **kwargs)

        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, original) if cls is stand_in else bool(super().__instancecheck__(value))

        def __subclasscheck__(cls, value: Any) -> bool:
            return issubclass(value, original) if cls is stand_in else bool(super().__subclasscheck__(value))

    stand_in = Kind(name, (original,), {"__module__": module.__name__, "__doc__": original.__doc__})
    setattr(module, name, stand_in)


def _try(act: Callable[..., None], *args: Any, **kwargs: Any) -> None:
    try:
        act(*args, **kwargs)
    except Exception:  # noqa: BLE001 - the library itself says what is wrong with its arguments
        return


def _tell(path: Any, flags: int | None) -> None:
    if isinstance(path, (str, bytes, os.PathLike)):
        _told[0][0](path, flags)


def _complain(text: str) -> None:
    _told[0][1](text)


def _tell_files(dataset: Any) -> None:
    if _is_local(getattr(dataset, "filesystem", None)):
        for path in getattr(dataset, "files", ()):
            _tell(path, _READ)


def _is_local(filesystem: Any) -> bool:
    return filesystem is None or type(filesystem).__name__ == "LocalFileSystem"


def _plain(source: Any) -> Any:
    if isinstance(source, str) and "://" in source:
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(source)
        return unquote(parts.path) if parts.scheme == "file" else None
    return source


def _stamps(folder: Any) -> dict[str, tuple[int, int, int]]:
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(place, name)
            try:
                stat = os.stat(path)
            except OSError:  # removed meanwhile, or a link to nothing
                continue
            found[path] = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    return found
