"""The archive: named objects, and the source that rebuilds them."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.archive import names
from reprokit.archive.draft import Draft
from reprokit.archive.emit import Writer, Written
from reprokit.archive.pause import paused
from reprokit.archive.represent.registry import represent
from reprokit.errors import ArchiveError, DuplicateError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Collection, Iterable, Mapping

    from reprokit.archive.items import Items


class Archive:
    """Python objects that are written as source, with large arrays in data files beside it.

    Parameters
    ----------
    array_threshold : float, optional
        Arrays with more elements go to data files.  None keeps all of them in the source of ``str(archive)``, and
        sends those of more than 1000 elements to data files when the archive is saved.
    check_on_insert : bool
        Whether `insert` finds out what cannot be written.  Else `save` and ``str`` do.
    backup_data : bool
        Whether `save` keeps what it replaces, as ``<name>.bak``, ``<name>_1.bak``, ...
    single_item_mode : bool
        The archive holds one item, and a saved archive *is* that item when imported.
    allowed_names : collection of str
        Names that items may have although they begin with an underscore.
    gname_prefix : str
        How the names of shared objects begin.
    scoped : bool
        Whether an object's own ``get_persistent_rep`` is evaluated in a function of its own; else the names that it
        uses are replaced in its expression.
    allow_pickle : bool
        Whether what has no other form is pickled.  Unpickling runs code: safe loading refuses such archives.

    flat, tostring, robust_replace : bool
        Options of `persist` for what needs none here; they change nothing.

    Attributes
    ----------
    data : dict
        The arrays for data files, by name.
    data_name : str
        The name under which the source finds them.

    Examples
    --------
    >>> archive = Archive()
    >>> shared = [1, 2]
    >>> archive.insert(a={"x": shared, "y": shared}, b=-0.0)
    >>> rebuilt = {}
    >>> exec(str(archive), rebuilt)
    >>> rebuilt["a"]["x"] is rebuilt["a"]["y"]
    True
    """

    data_name = "_arrays"

    def __init__(
        self,
        *,
        array_threshold: float | None = None,
        check_on_insert: bool = False,
        backup_data: bool = False,
        single_item_mode: bool = False,
        allowed_names: Iterable[str] | None = None,
        gname_prefix: str = "_g",
        scoped: bool = True,
        allow_pickle: bool = False,
        flat: bool = True,
        tostring: bool = True,
        robust_replace: bool = True,
    ) -> None:
        if not (isinstance(gname_prefix, str) and gname_prefix.isidentifier() and gname_prefix.startswith("_")):
            raise ArchiveError(f"gname_prefix={gname_prefix!r}: an identifier that begins with an underscore is needed")
        self.array_threshold = array_threshold
        self.check_on_insert = check_on_insert
        self.backup_data = backup_data
        self.single_item_mode = single_item_mode
        self.allowed_names = list(allowed_names or ())
        self.gname_prefix = gname_prefix
        self.scoped = scoped
        self.allow_pickle = allow_pickle
        self.data: dict[str, Any] = {}
        self._own_data: set[str] = set()
        self._items: dict[str, Any] = {}
        self._envs: dict[str, Mapping[str, Any]] = {}

    def insert(self, v: Any = None, /, env: Mapping[str, Any] | None = None, **items: Any) -> None:
        """Put named objects into the archive; all of them, or after an error none.

        Parameters
        ----------
        env : mapping, optional
            What names in the ``repr`` of objects mean; handed to ``get_persistent_rep``.
        **items
            The objects.

        Raises
        ------
        DuplicateError
            Another object has that name.
        ArchiveError
            A name that no item can have, or (with `check_on_insert`) an object that cannot be written.
        """
        if v is not None:
            raise ArchiveError(f"Insert objects with a key: insert(x=3), not insert({v})")
        if env is not None and not hasattr(env, "keys"):
            raise ArchiveError("env is the mapping of names in repr strings; no item can have that name")
        if self.single_item_mode:
            if len(items) != 1:
                raise ArchiveError(f"Can't insert {len(items)} items when single_item_mode=True")
            (name,) = items
            if self._items and name not in self._items:
                held = next(iter(self._items))
                raise ArchiveError(f"Can't insert {name!r} into single_item_mode=True archive with {held!r}.")
        for name, obj in items.items():
            names.check(name, self.allowed_names, self.gname_prefix)
            if name in self._items and self._items[name] is not obj and not _same_atom(self._items[name], obj):
                raise DuplicateError(name)
        if self.check_on_insert:
            Prepared(self._draft(items, env), items, self.data_name)
        for name, obj in items.items():
            self._items[name] = obj
            if env:
                self._envs[name] = env

    def names(self) -> list[str]:
        """Give the names of the items, in the order in which they were inserted."""
        return list(self._items)

    def unique_name(self, name: str) -> str:
        """Give `name` if no item has it, else ``name_0``, ``name_1``, ..."""
        return names.unique(name, self._items)

    def make_persistent(self) -> tuple[list[tuple[str, str | None, str]], list[tuple[str, str]]]:
        """Give what the source is made of.

        Returns
        -------
        imports : list of tuple
            ``(module, name, private name)``; None for the name is the module itself.
        definitions : list of tuple
            ``(name, expression)``, each of earlier ones only; a statement that fills a two-step object has no name.
        """
        prepared = self.prepare()
        statements = prepared.write().statements
        imports = [(module, name, alias) for (module, name), alias in prepared.draft.imports.items()]
        return imports, [_definition(one) for one in statements]

    def __str__(self) -> str:
        """Give source that rebuilds the items when executed, and leaves nothing else."""
        return self.prepare().source().rstrip("\n")

    def __repr__(self) -> str:
        return f"<Archive of {', '.join(self._items) or 'nothing'}>"

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def prepare(self, threshold: float | None = None) -> Prepared:
        """Walk through the items, and put the arrays for data files into `data`."""
        draft = self._draft(self._items, threshold=threshold)
        prepared = Prepared(draft, self._items, self.data_name)
        self._keep_data(draft)
        return prepared

    def save_data(
        self, datafile: str | os.PathLike[str] | None = None, filename: str | None = None, data_format: str = "npy"
    ) -> tuple[str | None, list[str]]:
        """Write the arrays in `data` to files.

        Parameters
        ----------
        datafile : path, optional
            The folder (``npy``) or the file to write; with `filename`, the folder that holds it.
        filename : str, optional
            Name of the file or folder in `datafile`.
        data_format : {'npy', 'npz', 'hdf5'}
            How they are written.

        Returns
        -------
        source : str or None
            Source that reads the arrays into ``_arrays``.
        files : list of str
            What was written.
        """
        from reprokit.archive import arrays

        if not self.data:
            return None, []
        if datafile is None:
            warnings.warn(
                f"Data arrays {sorted(self.data)} exist but no datafile specified. "
                "Save data manually and populate in _arrays dict.",
                UserWarning,
                stacklevel=2,
            )
            return None, []
        folder = Path(datafile)
        if filename is None and data_format != "npy":
            folder, filename = folder.parent, folder.name
        return arrays.save_loose(self.data, folder, filename, data_format, self.data_name, backup=self.backup_data)

    def save(
        self,
        dirname: str | os.PathLike[str],
        name: str | None = None,
        *,
        package: bool = True,
        arrays_name: str = "_arrays",
        data_format: str = "npy",
        force: bool = False,
        clear_on_reload: bool = True,
        hdf5: Mapping[str, Any] | None = None,
    ) -> Path:
        """Write the archive as a package or a module that can be imported without reprokit.

        A new version is built beside and put in place at one instant.

        Parameters
        ----------
        dirname : path
            The folder to hold it; made when missing.
        name : str
            Its name; in single-item mode that of the item unless given.
        package : bool
            ``<dirname>/<name>/__init__.py`` with ``<arrays_name>`` beside it, or ``<dirname>/<name>.py`` with
            ``<name><arrays_name>``.
        arrays_name : str
            Name of the folder or file of arrays, without suffix.
        data_format : {'npy', 'npz', 'hdf5'}
            A ``.npy`` file an array (many small ones in one file); one ``.npz``; one HDF5 file.
        force : bool
            Whether to replace what is there.
        clear_on_reload : bool
            An option of `persist` without meaning here.
        hdf5 : mapping, optional
            Options for HDF5 datasets: ``chunks``, ``compression``, ``compression_opts``, ``shuffle``, ``fletcher32``.

        Returns
        -------
        pathlib.Path
            The package's folder, or the module's file.

        Raises
        ------
        ArchiveError
            An object that cannot be written, or files that are in the way.
        MissingExtraError
            ``data_format="hdf5"`` without h5py.
        """
        from reprokit.archive import package as saving

        if name is None:
            if not self.single_item_mode:
                raise ArchiveError("Must provide name unless single_item_mode=True")
            if not self._items:
                raise ArchiveError("the archive holds no item; insert one")
            (name,) = self._items
        place = saving.Place(
            folder=Path(dirname),
            name=name,
            package=package,
            arrays_name=arrays_name,
            data_format=data_format,
            hdf5=dict(hdf5 or {}),
        )
        return saving.save(self, place, force=force)

    @staticmethod
    def load(
        path: str | os.PathLike[str],
        *,
        trust: bool = False,
        allow: Iterable[str | type] = (),
        mmap: bool | None = None,
    ) -> Items:
        """Read a saved archive.

        Without `trust`, nothing of it is executed: its source is parsed, and what the archive format knows is built.

        Parameters
        ----------
        path : path
            The package's folder, its ``__init__.py``, or the module's file.
        trust : bool
            Whether to execute the archive's source, as ``import`` does.
        allow : iterable of str or of classes and functions
            What else the archive may import and call: ``"package.module.Class"``, or the class itself.
        mmap : bool, optional
            Whether ``.npy`` arrays are mapped (copy on write) instead of read; None maps those above 64 MiB.

        Returns
        -------
        Items
            A dict of the items by name, which also gives them as attributes.

        Raises
        ------
        ArchiveError
            It is no archive, is damaged, or asks for something that is not allowed.
        """
        from reprokit.archive import reading

        return reading.load(Path(path), trust=trust, allow=tuple(allow), mmap=mmap)

    def _draft(
        self, items: Collection[str], env: Mapping[str, Any] | None = None, *, threshold: float | None = None
    ) -> Draft:
        merged: dict[str, Any] = {}
        for one in self._envs.values():
            merged.update(one)
        merged.update(env or {})
        if threshold is None:
            threshold = math.inf if self.array_threshold is None else self.array_threshold
        preset = {name: array for name, array in self.data.items() if name not in self._own_data}
        return Draft(
            {*items, *self.allowed_names},
            prefix=self.gname_prefix,
            threshold=threshold,
            preset=preset,
            scoped=self.scoped,
            allow_pickle=self.allow_pickle,
            env=merged,
        )

    def _keep_data(self, draft: Draft) -> None:
        for name in self._own_data:
            self.data.pop(name, None)
        self._own_data = set(draft.arrays) - set(self.data)
        self.data.update(draft.arrays)


class Prepared:
    """Items that have been walked through: what cannot be written has been found, arrays are known."""

    def __init__(self, draft: Draft, items: Mapping[str, Any], data_name: str) -> None:
        self.draft = draft
        self._items = dict(items)
        self._data_name = data_name
        self._writer = Writer(draft, lambda obj: represent(draft, obj))
        with paused():
            self._nests = self._writer.collect(self._items)

    def write(self, expression: Callable[[str], str] | None = None) -> Written:
        """Give the source in parts; once."""
        with paused():
            return self._writer.write(self._items, self._nests, expression)

    def source(self, expression: Callable[[str], str] | None = None) -> str:
        """Give the source; `expression` says how an array in a data file is reached."""
        return self.write(expression).source(self._data_name) + "\n"


def _same_atom(one: Any, other: Any) -> bool:
    """Whether two atoms are the same value: small ints are one object, others are not."""
    return type(one) is type(other) and type(one) in (int, str, bytes, bool, float) and repr(one) == repr(other)


def _definition(statement: str) -> tuple[str, str]:
    name, _, expression = statement.partition(" = ")
    return (name, expression) if name.isidentifier() else ("", statement)
