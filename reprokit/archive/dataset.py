"""A folder of many objects: each a module of its own, written when assigned and loaded when asked for."""

from __future__ import annotations

import os
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from reprokit.archive import item, notes, shell
from reprokit.archive.item import Options
from reprokit.archive.lock import Lock
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class ClosedError(ArchiveError, OSError):
    """The data set has been closed."""


class DataSet:
    """Objects in a folder, each under its name, with a note; the folder is a package that Python imports by itself.

    Attributes are the objects: ``ds.x = array`` writes it to disk at once, and ``ds.x`` reads it from there each time
    (nothing is cached, so that sets larger than memory work; changing an object that was read changes no file).
    Items in square brackets are the notes, small objects that are read when the data set is opened:
    ``ds["x"] = "density in 1/m^3"``.  Names that begin with an underscore are no items, but the methods and settings
    of the data set itself.

    Parameters
    ----------
    module_name : str or path
        The folder, and the name of the package; relative to `path`.
    mode : {'r', 'w'}
        Read only, or read and write; ``'w'`` makes the folder where there is none.
    path : str or path
        The folder in which the data set lies.
    synchronize : bool
        If True, what other processes have written is seen at each access, and the lock is held for each change only.
        If False, the data set is read once and, with ``mode='w'``, locked from opening to closing.
    array_threshold : int
        Arrays of more elements go to a data file.
    data_format : {'npy', 'npz', 'hdf5'}
        Format of data files.
    backup_data : bool
        Keep what a replaced item was, as ``<file>.bak``.
    name_prefix : str
        What the names begin with that `_insert` makes up.
    timeout : float
        Seconds to wait for another writer.
    scoped : bool
        Write source in which each object has a scope of its own, see `Archive`.
    trust : bool
        Run the items' code to load them, as an import does, instead of evaluating it safely.
    allow : iterable of str or type
        Classes and functions that a safe load may call besides the known ones.
    mmap : bool, optional
        Whether arrays come as memory maps; by default above a size, see `Archive.load`.
    durable : bool
        Have each change survive a power failure too (``fsync``: 0.5 to 10 ms each).  Without it, a change survives the
        death of its process at any moment, but not the machine's within the next seconds.

    Raises
    ------
    ArchiveError
        (a ``ValueError``) When there is no such data set, or the folder holds something else.
    LockedError
        (an ``OSError``) When another process keeps it locked.

    Examples
    --------
    >>> ds = DataSet("scan", "w")
    >>> ds.nxs = [10, 20]
    >>> ds["nxs"] = "Particle numbers"
    >>> ds._insert([1.0, 2.0], info=(10, 1.2))
    ['x_0']
    >>> print(ds)
    DataSet './scan' containing ['nxs', 'x_0']
    >>> ds.x_0, ds["x_0"]
    ([1.0, 2.0], (10, 1.2))
    """

    _lock_file_name = "_locked"

    def __init__(
        self,
        module_name: str | os.PathLike[str],
        mode: str = "r",
        path: str | os.PathLike[str] = ".",
        synchronize: bool = True,
        _reload: bool = False,
        array_threshold: int = 100,
        data_format: str = "npy",
        backup_data: bool = False,
        name_prefix: str = "x_",
        timeout: float = 60,
        scoped: bool = True,
        *,
        trust: bool = False,
        allow: Iterable[Any] = (),
        mmap: bool | None = None,
        durable: bool = False,
    ) -> None:
        if mode not in {"r", "w"}:
            raise NotImplementedError(f"mode={mode!r} is unknown: 'r' reads, 'w' reads and writes")
        item.check_name(f"{name_prefix}0")
        self._module_name = os.fspath(module_name)
        self._mode = mode
        self._path = os.fspath(path)
        self._synchronize = synchronize
        self._array_threshold = array_threshold
        self._data_format = data_format
        self._backup_data = backup_data
        self._name_prefix = name_prefix
        self._timeout = timeout
        self._scoped = scoped
        self._options = Options(
            array_threshold, data_format, backup_data, scoped, trust, tuple(allow), mmap, durable
        )  # fmt: skip
        self._folder = os.path.join(self._path, self._module_name)
        self._closed = False
        self._next = 0  # the names with smaller numbers are taken
        self._old_state: tuple[int, ...] | None = None
        self._checked = False  # whether the package's source is ours
        shell.open_folder(self._folder, mode)
        self._notes = notes.Notes(os.path.join(self._folder, shell.NOTES_FILE))
        self._guard = Lock(os.path.join(self._folder, self._lock_file_name), timeout)
        self._finalizer = weakref.finalize(self, self._guard.close)
        if mode == "w" and not synchronize:
            self._guard.pin()
        try:
            self._load()
        except BaseException:
            self._finalizer()
            raise

    # Items

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_"):
            self._refresh()
            if name in self._notes.lines:
                return self._import(name)
            if name == "close":  # unless an item has this name
                return self._close
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            object.__setattr__(self, name, value)
        else:
            self._store({name: value}, None)

    def __delattr__(self, name: str) -> None:
        """Remove an item and its note."""
        if name.startswith("_"):
            object.__delattr__(self, name)
            return
        with self._ds_lock():
            if name not in self._notes.lines:
                raise AttributeError(f"no item {name!r} in {self}", name=name, obj=self)
            self._append([f"del {name}"])
            item.remove(self._folder, name)

    def _insert(self, /, *values: Any, info: Any = None, **items: Any) -> list[str]:
        """Store objects, each with the note `info`, all of them or none.

        Parameters
        ----------
        *values
            Objects that get new names: `name_prefix` and a number.
        info
            Their note.
        **items
            Objects with the names that they get.

        Returns
        -------
        list of str
            The names.
        """
        with self._ds_lock():
            named = {**items, **dict(zip(self._unused(len(values)), values, strict=True))}
            self._store(named, notes.write(info, self._source))
            return list(named)

    def _store(self, named: dict[str, Any], note: str | None) -> None:
        """Write items; then their lines, which is what makes new ones visible."""
        with self._ds_lock():
            lines = self._notes.lines
            for name in named:
                item.check_name(name)
                if name not in lines:
                    item.check_case(self._folder, name)
            written: list[item.Pending] = []
            try:
                for name, value in named.items():
                    written.append(item.write(self._folder, name, value, self._options))
                for each in written:
                    each.place()
                if self._options.durable:
                    item.sync(self._folder)
                added = []
                for name in named:
                    text = note if note is not None else self._notes.text(name) if name in lines else "None"
                    line = notes.line(name, text, item=True)
                    if line != f"{name} = {lines.get(name)}":
                        added.append(line)
                self._append(added)
            except BaseException:
                for each in written:
                    each.undo()
                raise
            for each in written:
                each.clean()

    def _import(self, name: str) -> Any:
        """Read an item; None for a name that has a note alone."""
        if not self._notes.has_item(name):
            return None
        return item.read(self._folder, name, self._options)

    def _unused(self, count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            name = f"{self._name_prefix}{self._next}"
            self._next += 1
            if name not in self._notes.lines:
                found.append(name)
        return found

    # Notes

    def __getitem__(self, name: str) -> Any:
        """Give the note of a name."""
        self._refresh()
        return self._note(name)

    def __setitem__(self, name: str, info: Any) -> None:
        """Write the note of a name."""
        with self._ds_lock():
            item.check_name(name)
            text = notes.write(info, self._source)
            self._append([notes.line(name, text, item=name in self._notes.lines and self._notes.has_item(name))])

    def __delitem__(self, name: str) -> None:
        """Remove a note; a name that has nothing else is gone."""
        with self._ds_lock():
            if name not in self._notes.lines:
                raise KeyError(name)
            self._append([notes.line(name, "None", item=True) if self._notes.has_item(name) else f"del {name}"])

    @property
    def _info_dict(self) -> dict[str, Any]:
        """The notes of all names, in the order in which they came."""
        self._refresh()
        return {name: self._note(name) for name in list(self._notes.lines)}

    def _note(self, name: str) -> Any:
        return notes.read(self._notes.text(name), lambda source: item.evaluate(source, self._options))

    def _source(self, note: Any) -> str:
        return item.source(note, self._options)

    def _append(self, lines: list[str]) -> None:
        if lines:
            self._notes.append(lines, durable=self._options.durable)
            self._notes.renew()

    # The whole

    def __contains__(self, name: object) -> bool:
        self._refresh()
        return name in self._notes.lines

    def __iter__(self) -> Iterator[str]:
        self._refresh()
        return iter(list(self._notes.lines))

    def __len__(self) -> int:
        self._refresh()
        return len(self._notes.lines)

    def __bool__(self) -> bool:
        return True

    def __dir__(self) -> list[str]:
        return list(self)

    def _keys(self) -> list[str]:
        return sorted(self)

    def __str__(self) -> str:
        return f"{type(self).__name__} {self._folder!r} containing {sorted(self)}"

    def __repr__(self) -> str:
        shown = ("module_name", "path", "synchronize", "array_threshold", "backup_data", "name_prefix")
        settings = [f"{key}={self.__dict__[f'_{key}']!r}" for key in shown]
        return f"{type(self).__name__}({', '.join(settings)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close()

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._synchronize:
            raise ArchiveError(self._folder, "a data set with synchronize=False cannot be sent to another process")
        o = self._options
        keywords = {"trust": o.trust, "allow": o.allow, "mmap": o.mmap, "durable": o.durable}
        plain = (self._module_name, self._mode, self._path, True, False, self._array_threshold, self._data_format,
                 self._backup_data, self._name_prefix, self._timeout, self._scoped)  # fmt: skip
        return _reopen, (type(self), plain, keywords)

    # Locking and keeping up

    def _load(self) -> None:
        """Read the list of items and notes."""
        if not self._notes.refresh():
            self._load_old()

    def _load_old(self) -> None:
        """Read the notes of a data set that persist wrote, when its file has changed."""
        state = item.state(os.path.join(self._folder, "__init__.py"))
        if state != self._old_state or not self._notes.lines:
            found = item.old_notes(self._folder, self._options)
            self._notes.take_over(
                {name: (notes.write(note, self._source), there) for name, (note, there) in found.items()}
            )
            self._old_state = state

    def _refresh(self) -> None:
        if self._synchronize:
            self._load()

    def _lock(self) -> None:
        """Lock the data set for writing, see `_ds_lock`."""
        if self._closed:
            raise ClosedError(self._folder, "this data set has been closed; open it again")
        self._guard.acquire()

    def _unlock(self) -> None:
        """Give the lock back."""
        self._guard.release()

    @contextmanager
    def _ds_lock(self) -> Iterator[None]:
        """Hold the lock; around many changes, so that they take it once.

        Raises
        ------
        ArchiveError
            When the data set is read-only.
        LockedError
            When another process has kept the lock for `timeout` seconds.
        """
        if self._mode == "r":
            raise ArchiveError(self._folder, "opened in read-only mode; open it with mode='w' to change it")
        self._lock()
        try:
            if self._guard.depth == 1:
                self._begin()
            yield
        finally:
            self._unlock()

    def _begin(self) -> None:
        """Before a change: see what others have changed, and clean up after writers that died."""
        if not self._notes.refresh(surely=True):
            self._load()
            self._notes.renew(force=True)
        if not self._checked or self._guard.broke:
            shell.renew(self._folder)
            item.sweep(self._folder)
            self._checked = True
            self._guard.broke = False

    def _close(self) -> None:
        """Give the lock back; what was written is on disk already."""
        self._closed = True
        self._finalizer()


def _reopen(cls: type[DataSet], plain: tuple[Any, ...], keywords: dict[str, Any]) -> DataSet:
    return cls(*plain, **keywords)
