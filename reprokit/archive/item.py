"""One item of a data set on disk: a module, and perhaps a data file, that appear, change and go at one instant.

The module is put in place last, and names the data file that belongs to it: a replaced item gets a data file of another
name.  So a reader sees the old item or the new one, whenever the writer dies.
"""

from __future__ import annotations

import glob
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.archive import names
from reprokit.archive.archive import Archive
from reprokit.archive.arrays import EXTENSIONS, Layout
from reprokit.archive.lock import CANDIDATE, is_abandoned
from reprokit.archive.notes import TEMPORARY, temporary, unhurried
from reprokit.archive.package import compose
from reprokit.archive.safe.evaluate import Evaluator
from reprokit.archive.safe.reader import parse
from reprokit.archive.safe.resolve import Resolver
from reprokit.archive.safe.statements import Program
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 200  # bytes of a name: 255 less what the names of data files and backups add
_GAP = 3  # so many numbers without data mean that there are no more


@dataclass(frozen=True)
class Options:
    """How items are written and read, see `DataSet`."""

    array_threshold: float
    data_format: str
    backup_data: bool
    scoped: bool
    trust: bool
    allow: tuple[Any, ...]
    mmap: bool | None
    durable: bool


class Pending:
    """An item that is written and not yet in place."""

    def __init__(self, folder: str, name: str, source: bytes, data: str, options: Options) -> None:
        self._folder = folder
        self._name = name
        self._module = os.path.join(folder, f"{name}.py")
        self._data = data  # name of its data file or folder; "" without
        self._options = options
        self._placed = False
        self._replaces = os.path.lexists(self._module)
        self._temporary = temporary(folder)
        try:
            with open(self._temporary, "xb", buffering=0) as file:
                written = 0
                while written < len(source):
                    written += file.write(source[written:])
                if options.durable:
                    os.fsync(file.fileno())
            if self._replaces:
                self._look_newer()
        except BaseException:
            _remove(self._temporary)
            raise

    def _look_newer(self) -> None:
        """Let whole seconds differ: by them and by the size Python tells whether its bytecode is of this source."""
        before = os.lstat(self._module).st_mtime
        if int(os.stat(self._temporary).st_mtime) <= int(before):
            os.utime(self._temporary, (int(before) + 1, int(before) + 1))

    def place(self) -> None:
        """Let readers see the item."""
        if self._replaces and self._options.backup_data:
            os.link(self._module, _free(self._module, ".bak"))
        os.replace(self._temporary, self._module)
        self._placed = True

    def clean(self) -> None:
        """Remove the data of what was replaced."""
        if self._replaces and not self._options.backup_data:
            for found in _data_files(self._folder, self._name):
                if os.path.basename(found) != self._data:
                    _remove(found)

    def undo(self) -> None:
        """Remove what was written; an item that has replaced another one already stays."""
        if self._placed and self._replaces:
            return
        _remove(self._module if self._placed else self._temporary)
        if self._data:
            _remove(os.path.join(self._folder, self._data))


def check_name(name: object) -> None:
    """Refuse what no item can be called.

    Raises
    ------
    ArchiveError
        See `names.check`; or the name is too long for a file.
    """
    names.check(name)  # type: ignore[arg-type]
    if name == "env":
        raise ArchiveError("'env' is what `Archive.insert` calls its own argument; choose another name")
    if len(os.fsencode(str(name))) > _LONGEST:
        raise ArchiveError(f"{str(name)[:40]!r}...: items are files, whose names may have {_LONGEST} bytes at most")


def check_case(folder: str, name: str) -> None:
    """Refuse a new name whose file is that of another item already, where the file system ignores case.

    Raises
    ------
    ArchiveError
        It is.
    """
    path = os.path.join(folder, f"{name}.py")
    if os.path.lexists(path) and f"{name}.py" not in os.listdir(folder):
        raise ArchiveError(f"{name!r}: this file system takes it for an item whose name differs in case only")


def write(folder: str, name: str, value: Any, options: Options) -> Pending:
    """Write an item beside what is there; it counts once it is placed."""
    archive = Archive(single_item_mode=True, scoped=options.scoped)
    archive.insert(**{name: value})
    prepared = archive.prepare(options.array_threshold)
    layout = Layout(archive.data, options.data_format)
    body = prepared.source(layout.expression)
    body = body[: body.rindex("try: del __builtins__")] + f"import sys as _sys\n_sys.modules[__name__] = {name}\n"
    data = ""
    try:
        if layout.arrays:
            data = _unused_data(folder, name, EXTENSIONS[options.data_format])
            files = layout.write(Path(folder, data))
            for path in [*files, Path(folder, data)] if options.durable else ():
                sync(path)
        return Pending(folder, name, compose(layout, body, data), data, options)
    except BaseException:
        if data:
            _remove(os.path.join(folder, data))
        raise


def read(folder: str, name: str, options: Options) -> Any:
    """Read an item; what is replaced meanwhile is read again.

    Raises
    ------
    ArchiveError
        It is damaged or not there, or asks for something that is not allowed.
    """
    path = os.path.join(folder, f"{name}.py")
    if os.path.islink(path):
        raise ArchiveError(path, "is a link; items are files in the data set's own folder")
    found = unhurried(lambda: Archive.load(path, trust=options.trust, allow=options.allow, mmap=options.mmap))
    if name not in found:
        raise ArchiveError(path, f"it holds no {name!r}")
    return found[name]


def remove(folder: str, name: str) -> None:
    """Remove an item's files; a reader who has just opened them keeps what it has."""
    _remove(os.path.join(folder, f"{name}.py"))
    for found in _data_files(folder, name):
        _remove(found)
    for found in glob.glob(os.path.join(glob.escape(folder), "__pycache__", f"{name}.*.pyc")):
        _remove(found)


def sweep(folder: str) -> None:
    """Remove what writers left that died.  The caller holds the lock: no other writer is at work."""
    with os.scandir(folder) as entries:
        left = [entry.path for entry in entries if entry.name.startswith((TEMPORARY, CANDIDATE))]
    for path in left:
        if os.path.basename(path).startswith(TEMPORARY) or is_abandoned(path):
            _remove(path)


def source(note: Any, options: Options) -> str:
    """Give the source of an archive that holds a note, arrays included."""
    archive = Archive(scoped=options.scoped)
    archive.insert(note=note)
    return str(archive)


def evaluate(text: str, options: Options) -> Any:
    """Give the note that `source` wrote.

    Raises
    ------
    ArchiveError
        It is damaged, or asks for something that is not allowed.
    """
    found: dict[str, Any] = {}
    if options.trust:
        exec(text, found)  # noqa: S102  # trust=True
    else:
        try:
            Program(Evaluator(Resolver(options.allow), found)).run(unhurried(lambda: parse(text)).body)
        except (RecursionError, MemoryError) as error:
            raise ArchiveError("the note", f"cannot be read: {type(error).__name__}") from None
    if "note" not in found:
        raise ArchiveError("the note", "its source holds no note")
    return found["note"]


def old_notes(folder: str, options: Options) -> dict[str, tuple[Any, bool]]:
    """Give the notes of a data set that persist 3.2.1 wrote, and whether there is an item of that name."""
    path = os.path.join(folder, "__init__.py")
    if not os.path.lexists(path):
        return {}  # persist writes it with the first note
    found = Archive.load(path, trust=options.trust, allow=options.allow).get("_info_dict")
    if not isinstance(found, dict):
        raise ArchiveError(path, "it holds no _info_dict, so this is no data set of persist")
    for name in found:
        check_name(name)
    return {name: (note, os.path.lexists(os.path.join(folder, f"{name}.py"))) for name, note in found.items()}


def _unused_data(folder: str, name: str, extension: str) -> str:
    """Give a name for data that nothing has: each version's source finds its own, whatever comes after it."""
    number = 0
    while any(os.path.lexists(os.path.join(folder, _data(name, number, each))) for each in EXTENSIONS.values()):
        number += 1
    return _data(name, number, extension)


def _data_files(folder: str, name: str) -> Iterator[str]:
    """Give the data of an item, without a look at all files of the folder: numbers are taken from 0 on."""
    number, missed = 0, 0
    while missed < _GAP:
        missed += 1
        for extension in EXTENSIONS.values():
            path = os.path.join(folder, _data(name, number, extension))
            if os.path.lexists(path):
                missed = 0
                yield path
        number += 1


def _data(name: str, number: int, extension: str) -> str:
    return f"{name}_data{f'_{number}' if number else ''}{extension}"


def _free(path: str, suffix: str) -> str:
    number = 0
    while os.path.lexists(f"{path}{f'_{number}' if number else ''}{suffix}"):
        number += 1
    return f"{path}{f'_{number}' if number else ''}{suffix}"


def _remove(path: str) -> None:
    try:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)
    except FileNotFoundError:
        pass


def sync(path: str | os.PathLike[str]) -> None:
    """Have a file, or the names in a folder, survive a power failure."""
    if os.name == "nt" and os.path.isdir(path):
        return  # folders cannot be opened there
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def state(path: str) -> tuple[int, int, int] | None:
    """Give what differs when a file has been replaced; None without one."""
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
