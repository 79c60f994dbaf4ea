"""Snapshots as plain folders: what they hold, and putting modules into them at one instant."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import os
import shutil
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock

from reprokit.code import switch
from reprokit.code.apart import finder, locate
from reprokit.code.source import SNAPSHOT
from reprokit.errors import ReprokitWarning, SnapshotExistsError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.code.collect import Captured

_INIT = (
    f'"""{SNAPSHOT}'
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


def put(found: list[Captured], target: Path, *, overwrite: bool) -> None:
    """Put captured modules into a snapshot, beside those that it holds.

    Raises
    ------
    SnapshotExistsError
        When it holds one of them, and `overwrite` is false.
    """
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


def _quoted(name: str) -> str:
    return f'"{name}"'


def _tell_left_out(found: list[Captured]) -> None:
    left = [path for one in found for path in one.left_out]
    if left:
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
            elif entry.isidentifier() and entry != "__pycache__" and locate.has_source(str(folder / entry)):
                found[entry] = entry
    return found


def package_name(folder: Path) -> str | None:
    """Give the name of a folder that is a package; None for a snapshot, whose ``__init__.py`` lists modules at most."""
    try:
        tree = ast.parse((folder / "__init__.py").read_bytes())
    except (FileNotFoundError, SyntaxError, ValueError):
        return None
    if (ast.get_docstring(tree) or "").startswith(SNAPSHOT):
        return None
    imports = all(isinstance(node, ast.ImportFrom) and node.level == 1 and not node.module for node in tree.body)
    return None if imports else folder.name


def _is_snapshot_alone(folder: Path, modules: dict[str, str]) -> bool:
    try:
        entries = set(os.listdir(folder))
    except FileNotFoundError:
        return True
    if entries and ("__init__.py" not in entries or package_name(folder) is not None):
        return False
    return entries <= {*modules.values(), "__init__.py", "__pycache__"}


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
    """Keep other processes of this user from writing the same snapshot, where there is a place for a lock."""
    key = hashlib.sha256(os.fsencode(os.path.realpath(target))).hexdigest()[:16]
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            locks = Path(platformdirs.user_cache_dir("reprokit")) / "locks"
            locks.mkdir(parents=True, exist_ok=True)
            stack.enter_context(FileLock(locks / f"{key}.lock"))
        yield
