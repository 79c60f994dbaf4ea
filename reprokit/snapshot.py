"""Source code kept as plain folders, and imported apart: `capture`, `load`, `at`.

>>> from reprokit import snapshot
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.code import PREFIX, collect, snapshot_folder
from reprokit.code.apart import face as faces
from reprokit.code.apart import stamps
from reprokit.errors import UncapturableError
from reprokit.recorder.plan import patterns

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from reprokit.code.apart.face import Face
    from reprokit.code.trees.diff import Change, Patch
    from reprokit.code.trees.reading import KeptTree, TreeFile

__all__ = ["at", "capture", "diff", "export", "files", "load", "trees"]


def capture(
    modules: Any,
    path: str | os.PathLike[str],
    overwrite: bool = False,
    *,
    include: str | Iterable[str] = (),
    exclude: str | Iterable[str] = (),
) -> Path:
    """Copy the source of modules into a folder that anyone can read and import.

    Parameters
    ----------
    modules
        A module or package, or a list of them.  A module inside a package stands for its whole top-level package; a
        function or class for its module, or, when it was defined in a notebook cell, for itself and what it needs.
    path
        The snapshot's folder; made when it is not there.  Other modules in it stay.
    overwrite
        Replace modules that the snapshot holds already.  They are replaced at one instant: a crash leaves the old or
        the new.  (All at once in a folder that holds a snapshot alone; else one by one.)
    include
        Patterns of files to take although ``.gitignore`` names them, such as ``"mypackage/data/*.csv"``.
    exclude
        Patterns of files to leave out.  Byte code, ``.git`` and secrets by name (``.env``, keys) never come along.

    Returns
    -------
    Path
        The folder, to be handed to `load`.

    Raises
    ------
    SnapshotExistsError
        When the snapshot holds a module of that name, and `overwrite` is false; nothing is changed then.
    UncapturableError
        For compiled extensions, for modules that are installed or come with the interpreter, and for what is no code.
    """
    given = list(modules) if isinstance(modules, (list, tuple, set, frozenset)) else [modules]
    if not given:
        raise UncapturableError("capture()", "was given no module")
    target = Path(os.path.abspath(path))
    found = collect.collect(given, patterns(include), patterns(exclude))
    snapshot_folder.put(found, target, overwrite=overwrite)
    return Path(path)


def load(path: str | os.PathLike[str], name: str | None = None) -> ModuleType:
    """Import a snapshot apart from every other version of its modules.

    Parameters
    ----------
    path
        The folder of a snapshot, or any folder that holds modules.
    name
        What ``import name`` calls it from now on; by default the folder's name.

    Returns
    -------
    ModuleType
        The snapshot; its attributes are the captured modules, imported when asked for.  As a context manager it makes
        imports by plain names inside the ``with`` block find them.

    Raises
    ------
    NotADirectoryError, FileNotFoundError
        When there is no such folder.
    ImportApartError
        When another module has that name.

    Notes
    -----
    A folder that is a package itself is loaded as one: inside it, its name means the folder.
    """
    place = os.path.realpath(path)
    known = stamps.stamps(place)
    told = hashlib.sha256(os.fsencode(place) + stamps.digest(place, known).encode())
    prefix = f"{PREFIX}{told.hexdigest()[:16]}"
    called = os.path.basename(place) if name is None else name
    if name is None:
        faces.check_name(called, place)
    face = faces.open_tree(
        prefix,
        place,
        [place],
        f"the snapshot {place}",
        known,
        package=snapshot_folder.package_name(Path(place)),
        run_init=True,
    )
    faces.name_tree(face, called)
    return face


def at(run: str = "@", *, vault: str | os.PathLike[str] | None = None) -> Face:
    """Give the code of a recorded run, beside today's.

    ``rk.at("7f3a").pipeline.plot(...)`` calls it as it was; ``with rk.at("7f3a"):`` makes ``import pipeline`` find that
    version inside the block.

    Parameters
    ----------
    run
        The beginning of a run's id, the name of its folder, ``"@"`` for the newest run, or the digest of a kept tree
        (``"sha256:..."``).
    vault
        The vault to look in; by default that of the present project.

    Returns
    -------
    ModuleType
        Its attributes are the top-level modules of the project as it was then, imported when asked for.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError
        When the vault has no such run, or several.
    GitError
        When the run's code was not kept, or is no longer there.
    """
    from reprokit.catalog import kept

    return kept.open_code(run, _vault(vault))


# --- kept trees ------------------------------------------------------------------------------------------------------


def trees(*, vault: str | os.PathLike[str] | None = None) -> list[KeptTree]:
    """List the source trees that a vault keeps, the newest first: digest, when, files and size in bytes.

    Parameters
    ----------
    vault
        By default that of the present project.

    Raises
    ------
    GitError
        When the store cannot be read.
    """
    from reprokit.catalog import kept

    return kept.store_of(_vault(vault)).trees()


def files(tree: str, *, vault: str | os.PathLike[str] | None = None) -> list[TreeFile]:
    """List the files of a kept tree: path, size in bytes, mode.

    Parameters
    ----------
    tree
        The beginning of its digest, or the run that kept it.
    vault
        By default that of the present project.

    Raises
    ------
    TreeNotFoundError, AmbiguousTreeError
        When none, or more than one, is meant.
    """
    from reprokit.catalog import kept

    place = _vault(vault)
    return kept.store_of(place).files(kept.find_tree(tree, place))


def export(
    tree: str,
    folder: str | os.PathLike[str],
    *,
    allow_secrets: bool = False,
    vault: str | os.PathLike[str] | None = None,
) -> str:
    """Write a kept tree into a folder: exact bytes, modes and links, repositories nested in it too.

    Parameters
    ----------
    tree
        The beginning of its digest, or the run that kept it.
    folder
        A new or empty folder; the tree appears in it at one instant.
    allow_secrets
        Export it although text in it looks like secrets.
    vault
        By default that of the present project.

    Returns
    -------
    str
        The digest of the tree.

    Raises
    ------
    TreeNotFoundError, AmbiguousTreeError
        When none, or more than one, is meant.
    SecretsError
        When it looks as if it held secrets.
    FileExistsError
        When the folder holds something.
    """
    from reprokit.catalog import kept

    return kept.export(tree, Path(folder), _vault(vault), allow_secrets=allow_secrets)


def diff(before: str, after: str, *, vault: str | os.PathLike[str] | None = None) -> Iterator[Change | Patch]:
    """Compare two kept trees.

    Parameters
    ----------
    before, after
        The beginnings of their digests, or the runs that kept them.
    vault
        By default that of the present project.

    Yields
    ------
    Change, Patch
        First each file that differs, by path; then how the content of each differs, as a unified diff.

    Raises
    ------
    TreeNotFoundError, AmbiguousTreeError
        When none, or more than one, is meant.
    """
    from reprokit.catalog import kept

    place = _vault(vault)
    return kept.store_of(place).diff(kept.find_tree(before, place), kept.find_tree(after, place))


def _vault(given: str | os.PathLike[str] | None) -> Path:
    from reprokit import settings

    return Path(given) if given is not None else settings.current().vault
