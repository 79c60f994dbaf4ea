"""Source code kept as plain folders, and imported apart: `capture`, `load`, `at`.

>>> from reprokit import snapshot
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.code import PREFIX, collect, switch
from reprokit.code.apart import face as faces
from reprokit.code.apart import finder, stamps
from reprokit.errors import ReprokitWarning, SnapshotExistsError, UncapturableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import ModuleType

    from reprokit.code.apart.face import Face
    from reprokit.code.collect import Captured

__all__ = ["at", "capture", "load"]

_FIRST_WORDS = "Source code as it was captured by reprokit"
_INIT = (
    f'"""{_FIRST_WORDS}'
    ''': {names}.

`reprokit.snapshot.load` imports it apart from other versions of the same modules.  Without reprokit, put this folder on
`sys.path` and import them.
"""

import importlib

__all__ = {modules}


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"{{__name__}}.{{name}}")
    raise AttributeError(f"module {{__name__!r}} has no attribute {{name!r}}")
'''
)


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
    found = collect.collect(given, _patterns(include), _patterns(exclude))
    with _alone(target):
        there = _modules_in(target)
        taken = tuple(one.name for one in found if one.name in there)
        if taken and not overwrite:
            raise SnapshotExistsError(str(target), taken)
        _tell_left_out(found)
        for tree in finder.trees_below(os.path.realpath(target)):
            tree.pin()
        with switch.scratch_beside(target) as scratch:
            new = scratch / "new"
            new.mkdir()
            for one in found:
                _write(one, new)
            replaced = {one.name for one in found}
            names = sorted({*there, *replaced})
            (new / "__init__.py").write_text(
                _INIT.format(names=", ".join(names), modules=f"[{', '.join(map(_quoted, names))}]"), encoding="utf-8"
            )
            if _is_snapshot_alone(target, there):
                _take_over(target, new, set(there) - replaced)
                switch.switch(new, target)
            else:
                _place(new, target, {name: there[name] for name in taken})
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
    folder = os.path.realpath(path)
    known = stamps.stamps(folder)
    told = hashlib.sha256(os.fsencode(folder))
    for file in sorted(known):
        told.update(repr((file, *known[file])).encode("utf-8", "surrogateescape"))
    prefix = f"{PREFIX}{told.hexdigest()[:16]}"
    called = os.path.basename(folder) if name is None else name
    if name is None:
        faces.check_name(called, folder)
    face = faces.open_tree(
        prefix, folder, [folder], f"the snapshot {folder}", known, package=_package_name(Path(folder)), run_init=True
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
    from reprokit import settings
    from reprokit.catalog import kept

    return kept.open_code(run, Path(vault) if vault is not None else settings.current().vault)


# --- capturing -------------------------------------------------------------------------------------------------------


def _patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _quoted(name: str) -> str:
    return f'"{name}"'


def _tell_left_out(found: list[Captured]) -> None:
    left = [path for one in found for path in one.left_out]
    if left:
        import warnings

        warnings.warn(f"left out of the snapshot, as secrets by name: {', '.join(left)}", ReprokitWarning, stacklevel=3)


def _write(one: Captured, folder: Path) -> None:
    if one.text is not None:
        (folder / f"{one.name}.py").write_text(one.text, encoding="utf-8")
    for inside, file in one.files.items():
        target = folder / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        if file.is_symlink() and _stays_inside(file, inside):
            os.symlink(os.readlink(file), target)
        elif file.is_file():
            shutil.copy2(file, target)


def _stays_inside(link: Path, inside: str) -> bool:
    """Tell whether a link's target is part of the snapshot too; others are replaced by what they lead to."""
    to = os.readlink(link)
    place = os.path.normpath(os.path.join(os.path.dirname(inside), to))
    return not os.path.isabs(to) and place.split(os.sep, 1)[0] == inside.split("/", 1)[0]


def _modules_in(folder: Path) -> dict[str, str]:
    """Give the modules that a folder holds, and the entry of each."""
    found: dict[str, str] = {}
    with contextlib.suppress(FileNotFoundError):
        for entry in sorted(os.listdir(folder)):
            name, suffix = os.path.splitext(entry)
            if suffix == ".py" and name != "__init__":
                found[name] = entry
            elif entry.isidentifier() and entry != "__pycache__" and (folder / entry).is_dir():
                found[entry] = entry
    return found


def _package_name(folder: Path) -> str | None:
    """Give the name of a folder that is a package; None for a snapshot, whose ``__init__.py`` lists modules at most."""
    try:
        tree = ast.parse((folder / "__init__.py").read_bytes())
    except (FileNotFoundError, SyntaxError, ValueError):
        return None
    if (ast.get_docstring(tree) or "").startswith(_FIRST_WORDS):
        return None
    imports = all(isinstance(node, ast.ImportFrom) and node.level == 1 and not node.module for node in tree.body)
    return None if imports else folder.name


def _is_snapshot_alone(folder: Path, modules: dict[str, str]) -> bool:
    try:
        return set(os.listdir(folder)) <= {*modules.values(), "__init__.py", "__pycache__"}
    except FileNotFoundError:
        return True


def _take_over(old: Path, new: Path, names: set[str]) -> None:
    """Copy what an existing snapshot holds besides."""
    if not old.exists():
        return
    there = _modules_in(old)
    for name in names:
        entry = old / there[name]
        if entry.is_dir():
            shutil.copytree(entry, new / entry.name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(entry, new / entry.name)
    shutil.copymode(old, new)


def _place(new: Path, target: Path, replaced: dict[str, str]) -> None:
    """Put modules into a folder that holds other things as well; the list of modules comes last."""
    entries = sorted(os.listdir(new), key=lambda entry: entry == "__init__.py")
    for entry in entries:
        switch.switch(new / entry, target / entry)
        was = replaced.get(entry.partition(".")[0])
        if was is not None and was != entry:  # a package that was a single file, or the other way round
            os.rename(target / was, new / was)


@contextlib.contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Keep other processes of this user from writing the same snapshot."""
    import tempfile

    from filelock import FileLock

    key = hashlib.sha256(os.fsencode(os.path.realpath(target))).hexdigest()[:16]
    user = os.getuid() if hasattr(os, "getuid") else "user"
    with FileLock(Path(tempfile.gettempdir()) / f"reprokit-{user}-{key}.lock"):
        yield
