"""Which files the code of a module or package consists of, and which modules cannot be captured."""

from __future__ import annotations

import inspect
import os
import sys
import tempfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit import git
from reprokit.code import interactive, source
from reprokit.code.apart import finder
from reprokit.code.foreign import is_foreign
from reprokit.errors import GitError, UncapturableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DROPPED = (".pyc", ".pyo")


class Captured(NamedTuple):
    """The code of one top-level module."""

    name: str
    files: dict[str, Path]  # path within the snapshot (POSIX separators) -> file to copy
    text: str | None = None  # what was defined in no file
    left_out: tuple[str, ...] = ()  # secrets by name


def collect(given: Iterable[Any], include: tuple[str, ...] = (), exclude: tuple[str, ...] = ()) -> list[Captured]:
    """Find the code of modules, packages, functions and classes.

    A module inside a package stands for its whole top-level package.  Functions and classes that were defined in a
    notebook cell or at the prompt go into one module, ``interactive``, with what they need from there.

    Raises
    ------
    UncapturableError
        For compiled extensions, for modules that are installed or come with the interpreter, and for what is no code.
    """
    found: dict[str, Captured] = {}
    cells: list[Any] = []
    for one in given:
        module = _module_of(one)
        if module is None:
            cells.append(one)
            continue
        top, name = _top(module)
        if name not in found:
            found[name] = _files_of(top, name, include, exclude)
    if cells:
        found[interactive.NAME] = Captured(interactive.NAME, {}, interactive.source_of(cells))
    return list(found.values())


def _module_of(given: Any) -> ModuleType | None:
    """Give the module that holds an object, None when it was defined at the prompt."""
    if isinstance(given, ModuleType):
        if given.__name__ == "__main__" and getattr(given, "__file__", None) is None:
            raise UncapturableError("__main__", "has no file; pass the functions and classes that you want to keep")
        return given
    plain = inspect.unwrap(given) if callable(given) else given
    name = getattr(plain, "__module__", None)
    if not callable(given) or not isinstance(name, str):
        raise UncapturableError(repr(given)[:80], "is no module, function or class")
    module = sys.modules.get(name)
    if module is None:
        raise UncapturableError(getattr(plain, "__qualname__", repr(plain)), f"its module {name!r} is not imported")
    if name == "__main__" and interactive.is_interactive(plain):
        return None
    return module


def _top(module: ModuleType) -> tuple[ModuleType, str]:
    """Give the top-level module or package that a module belongs to, and its name."""
    name = module.__name__
    if name == "__main__":
        spec = getattr(module, "__spec__", None)
        if spec is None or spec.name == "__main__":  # a script
            return module, Path(str(module.__file__)).stem
        name = spec.name.removesuffix(".__main__")
        if "." not in name and not getattr(spec, "parent", ""):
            return module, name
    tree = finder.tree_of(name)
    plain = tree.plain(name) if tree else name
    top = plain.partition(".")[0]
    if top == plain and module.__name__ != "__main__":
        return module, top
    return sys.modules.get(tree.private(top) if tree else top, module), top


def _files_of(module: ModuleType, name: str, include: tuple[str, ...], exclude: tuple[str, ...]) -> Captured:
    file = getattr(module, "__file__", None)
    folders = [Path(folder) for folder in getattr(module, "__path__", ())]
    if file is None and not folders:
        raise UncapturableError(name, "is built into the interpreter; only Python source can be captured")
    for place in folders or [Path(str(file))]:
        why = _why_not(place)
        if why:
            raise UncapturableError(name, why)
    if not folders:
        path = Path(str(file))
        if path.suffix != ".py":
            raise UncapturableError(name, f"{path} is no Python source")
        return Captured(name, {f"{name}.py": path})
    files: dict[str, Path] = {}
    left: list[str] = []
    for folder in folders:
        for inside in _listing(folder, include):
            within = f"{name}/{inside}"
            if not source.chosen(within, (), exclude):
                continue
            if source.is_secret(within):
                left.append(within)
            elif within.endswith(tuple(EXTENSION_SUFFIXES)):
                raise UncapturableError(
                    name,
                    f"holds a compiled extension, {inside}, which is no source; exclude=({inside!r},) leaves it out",
                )
            else:
                files.setdefault(within, folder / inside)
    return Captured(name, files, None, tuple(left))


def _why_not(place: Path) -> str | None:
    if place.name.endswith(tuple(EXTENSION_SUFFIXES)):
        return f"{place} is a compiled extension; only Python source can be captured"
    if not place.exists():
        return f"{place} is no longer there"
    if is_foreign(str(place)):
        return (
            "is installed or comes with the interpreter, so it is outside your project; its version is in each record"
        )
    return None


def _listing(folder: Path, include: tuple[str, ...]) -> Iterator[str]:
    """List a folder's files but for byte code and what ``.gitignore`` names; `include` brings files of those back."""
    wanted = set(_not_ignored(folder))
    for path in _walk(folder):
        if path.endswith(_DROPPED):
            continue
        if path in wanted or (include and source.chosen(path, include, ())):
            yield path


def _walk(folder: Path) -> Iterator[str]:
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in ("__pycache__", ".git"))
        for name in sorted(names):
            yield os.path.relpath(os.path.join(here, name), folder).replace(os.sep, "/")


def _not_ignored(folder: Path) -> list[str]:
    listed = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", ".")
    try:
        if git.locate(folder) is not None:
            found = _split(git.run(folder, *listed))
            if found:
                nested = [path for path in found if path.endswith("/") or (folder / path / ".git").exists()]
                inner = [f"{n.rstrip('/')}/{p}" for n in nested for p in _not_ignored(folder / n)]
                return found + inner
        with tempfile.TemporaryDirectory() as scratch:  # in no repository, or ignored as a whole
            git.run(folder, "init", "-q", "--bare", scratch)
            environ = {"GIT_DIR": scratch, "GIT_WORK_TREE": str(folder)}
            return _split(git.run(folder, *listed, environ=environ))
    except GitError:  # no git: everything
        return list(_walk(folder))


def _split(listed: bytes) -> list[str]:
    return [os.fsdecode(path) for path in listed.split(b"\0") if path]
