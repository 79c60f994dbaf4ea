"""HDF5 and NetCDF-4: an attribute ``reprokit`` of the root group, ASCII, 128 bytes, null-terminated.

Always of one size, so that another tag takes the place of the earlier one without moving anything.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from reprokit.embed import hdf5_reading
from reprokit.embed.tag import KEY
from reprokit.errors import MissingExtraError

if TYPE_CHECKING:
    from reprokit.embed.source import Source
    from reprokit.embed.tag import Tag
    from reprokit.embed.target import Target

_SIZE = 192  # bytes: the longest tag and its null


def mine(head: bytes) -> bool:
    """Tell HDF5; a user block (MATLAB's has 512 bytes) may stand before it (HDF5 specification, II.A)."""
    return any(head.startswith(hdf5_reading.MAGIC, start) for start in hdf5_reading.starts(len(head)))


def read(source: Source) -> Tag | None:
    """Find the attribute, without any library."""
    return hdf5_reading.find(source)


def write(source: Source, text: bytes, target: Target) -> bool:
    """Copy the file, and let h5py write the attribute into the copy."""
    h5py = _h5py()
    hdf5_reading.check(source)
    _refuse_open_elsewhere(source)
    target.take(source, 0, source.size)
    target.stream.flush()
    try:
        with h5py.File(target.path, "r+", locking="best-effort") as file:
            _set(h5py, file.id, text)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise source.damaged(f"h5py can't write into it ({error})") from error
    return True


def _h5py() -> Any:
    try:
        return importlib.import_module("h5py")
    except ImportError as error:
        raise MissingExtraError("h5py", "embed") from error


def _set(h5py: Any, root: Any, text: bytes) -> None:
    numpy = importlib.import_module("numpy")
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(_SIZE)
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    value = numpy.array(text.ljust(_SIZE, b"\0"), dtype=f"S{_SIZE}")
    if h5py.h5a.exists(root, KEY):
        attribute = h5py.h5a.open(root, KEY)
        if attribute.get_type().equal(kind) and attribute.shape == ():
            attribute.write(value, mtype=kind)
            return
        h5py.h5a.delete(root, KEY)
    attribute = h5py.h5a.create(root, KEY, kind, h5py.h5s.create(h5py.h5s.SCALAR))
    attribute.write(value, mtype=kind)


def _refuse_open_elsewhere(source: Source) -> None:
    """Refuse a file that somebody has open for writing: what is on disk then is not yet a file.

    HDF5 itself takes this lock; where there is none (Windows), it refuses by itself.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(source.stream.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise source.damaged("it is open for writing elsewhere; close it first") from error
    except OSError:  # a file system without locks
        return
