"""Whole-or-nothing writes: temporary file in the same folder, fsync, ``os.replace``, fsync of the folder."""

from __future__ import annotations

import itertools
import os

_numbers = itertools.count()
_DIRECTORY = getattr(os, "O_DIRECTORY", None)
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


def write(path: str, data: bytes, *, mode: int = 0o600, sync: bool = True) -> None:
    """Put `data` at `path`; a reader sees the old content or the new, never a part.

    The folder's entry is not synced here, so that several files share one `sync_folder`.

    Raises
    ------
    OSError
        When the disk refuses; nothing is left behind then.
    """
    folder, name = os.path.split(path)
    # The name is cut so that a legal 255-byte name stays legal with the prefix.
    temporary = os.path.join(folder, f".{os.getpid()}-{next(_numbers)}-{os.urandom(4).hex()}-{name[:40]}.tmp")
    descriptor = os.open(temporary, _FLAGS, mode)
    try:
        try:
            write_all(descriptor, data)
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)
    except BaseException:
        _remove(temporary)
        raise


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of `data`; the system may take it in parts."""
    written = os.write(descriptor, data)
    if written != len(data):
        view = memoryview(data)
        while written < len(data):
            written += os.write(descriptor, view[written:])


def sync_folder(folder: str) -> None:
    """Make the names in `folder` last; where folders can't be opened (Windows), the system does so by itself."""
    if _DIRECTORY is None:
        return
    descriptor = os.open(folder, os.O_RDONLY | _DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass
