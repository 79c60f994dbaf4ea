"""Saves archives as packages and modules: built beside, put in place at one instant."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.archive import loaders, names
from reprokit.archive.arrays import EXTENSIONS, Layout, check_format
from reprokit.code.switch import scratch_beside, switch
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from reprokit.archive.archive import Archive

_IN_SOURCE = 1000  # elements that an array in the source has at most, unless array_threshold says otherwise
_IS_DATA = re.compile(r"(_\d+)?(\.npz|\.hd5)?")
_END = "try: del __builtins__, _arrays\nexcept NameError: pass\n"
HEADER = f"# reprokit archive, format {loaders.VERSION}, "


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and how an archive is saved, see `Archive.save`."""

    folder: Path
    name: str
    package: bool = True
    arrays_name: str = "_arrays"
    data_format: str = "npy"
    hdf5: dict[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> Path:
        """What is replaced at one instant: the package's folder, or the module's file."""
        return self.folder / (self.name if self.package else f"{self.name}.py")

    @property
    def source(self) -> Path:
        return self.target / "__init__.py" if self.package else self.target

    @property
    def home(self) -> Path:
        """The folder that holds the data."""
        return self.target if self.package else self.folder

    @property
    def data(self) -> str:
        """Name of the folder or file of arrays."""
        return f"{'' if self.package else self.name}{self.arrays_name}{EXTENSIONS[self.data_format]}"


def save(archive: Archive, place: Place, *, force: bool) -> Path:
    """Save an archive; see `Archive.save`."""
    _check_names(place)
    check_format(place.data_format)
    threshold = _IN_SOURCE if archive.array_threshold is None else archive.array_threshold
    prepared = archive.prepare(threshold)
    layout = Layout(archive.data, place.data_format)
    body = prepared.source(layout.expression)
    if archive.single_item_mode:
        (item,) = archive.names()
        body = body.removesuffix(_END)
        body += f"import sys as _sys\n_sys.modules[__name__] = {item}\n"
    _check_free(place, force=force, data=bool(layout.arrays))
    place.folder.mkdir(parents=True, exist_ok=True)
    with scratch_beside(place.target) as made:
        if place.package:
            _save_package(archive, place, layout, body, made)
        else:
            _save_module(archive, place, layout, body, made)
    return place.target


def compose(layout: Layout, body: str, where: str) -> bytes:
    """Give the whole source, with the format's version and the digest of the rest in the first line."""
    rest = layout.table(where, "") + LOADER_MARK if layout.arrays else ""
    digest = hashlib.sha256((rest + body).encode()).hexdigest()[:16]
    header = f"{HEADER}{digest}"
    if not layout.arrays:
        return f"{header}\n{body}".encode()
    return f"{header}\n{layout.loader(where, header)}{body.replace(_END, loaders.CLEAN + _END)}".encode()


LOADER_MARK = f"loader {loaders.VERSION}\n"


def _save_package(archive: Archive, place: Place, layout: Layout, body: str, made: Path) -> None:
    new = made / "new"
    new.mkdir()
    old = place.target
    if layout.arrays:
        layout.write(new / place.data, place.hdf5)
    (new / "__init__.py").write_bytes(compose(layout, body, place.data))
    if os.path.lexists(old) and not old.is_dir():
        keep_backup(old)
    elif old.is_dir():
        _carry_over(archive, place, old, new)
        shutil.copymode(old, new)
    switch(new, old)


def _carry_over(archive: Archive, place: Place, old: Path, new: Path) -> None:
    """Link what else lies in the package into its new version, and, when asked to, what is replaced."""
    ours = {"__init__.py", "__pycache__", place.data}
    ours |= {place.arrays_name + extension for extension in EXTENSIONS.values()}
    for entry in sorted(os.scandir(old), key=lambda one: one.name):
        if entry.name in ours:
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.copytree(entry.path, new / entry.name, symlinks=True, copy_function=_link)
        else:
            _link(entry.path, os.fspath(new / entry.name))
    for folder in (place.arrays_name,):
        for kept in sorted((old / folder).glob("*.bak")) if (old / folder).is_dir() else ():
            (new / folder).mkdir(exist_ok=True)
            _link(os.fspath(kept), os.fspath(new / folder / kept.name))
    if archive.backup_data:
        for file in [old / "__init__.py", *_data_files(old / place.data)]:
            if file.is_file():
                inside = file.relative_to(old)
                (new / inside).parent.mkdir(exist_ok=True)
                _link(os.fspath(file), os.fspath(_backup_name(new / inside)))


def _save_module(archive: Archive, place: Place, layout: Layout, body: str, made: Path) -> None:
    """Save a module; its data get another name than those of the version there, so that each source finds its own."""
    used = _data_in_use(place)
    where = place.data
    if layout.arrays:
        stem, extension = f"{place.name}{place.arrays_name}", EXTENSIONS[place.data_format]
        number = 0
        while where in used:
            number += 1
            where = f"{stem}_{number}{extension}"
        layout.write(made / where, place.hdf5)
        with contextlib.suppress(OSError):
            _remove(place.folder / where)
        os.rename(made / where, place.folder / where)
    new = made / "new.py"
    new.write_bytes(compose(layout, body, where))
    if archive.backup_data and place.source.is_file():
        _link(os.fspath(place.source), os.fspath(_backup_name(place.source)))
    os.replace(new, place.source)
    for name in used - {where}:
        for file in _data_files(place.folder / name):
            if archive.backup_data:
                os.rename(file, _backup_name(file))
            else:
                file.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (place.folder / name).rmdir()
    for stale in (place.folder / "__pycache__").glob(f"{place.name}.*.pyc"):
        stale.unlink(missing_ok=True)


def _data_in_use(place: Place) -> set[str]:
    """Give the names of the data that the module there reads, and of those that nothing reads any more."""
    stem = f"{place.name}{place.arrays_name}"
    found = set()
    for entry in os.scandir(place.folder):
        rest = entry.name.removeprefix(stem)
        if rest != entry.name and _IS_DATA.fullmatch(rest):
            found.add(entry.name)
    return found


def _data_files(path: Path) -> list[Path]:
    return sorted(path.glob("*.npy")) if path.is_dir() else [path] if path.is_file() else []


def _check_names(place: Place) -> None:
    for what, name in (("name", place.name), ("arrays_name", place.arrays_name)):
        if not isinstance(name, str) or not name.isidentifier():
            raise ArchiveError(f"{what}={name!r}: no module can have that name; take letters, digits and underscores")
    names.check(place.name, (place.name,))


def _check_free(place: Place, *, force: bool, data: bool) -> None:
    """Refuse what is in the way."""
    folder = os.fspath(place.folder)
    if os.path.lexists(folder) and not place.folder.is_dir():
        raise ArchiveError(f"File dirname={folder} exists and is not a directory.")
    if force:
        return
    if place.source.exists():
        raise ArchiveError(f"File {place.source} exists and force=False.")
    if data and os.path.lexists(place.home / place.data):
        raise ArchiveError(f"File {place.home / place.data} exists and force=False.")
    if place.package and os.path.lexists(place.target) and not place.target.is_dir():
        raise ArchiveError(f"File dirname/name={place.target} exists and is not a directory.")


def _backup_name(path: Path) -> Path:
    number = 0
    while True:
        kept = path.with_name(f"{path.name}{f'_{number}' if number else ''}.bak")
        if not os.path.lexists(kept):
            return kept
        number += 1


def keep_backup(path: Path) -> None:
    """Move a file to ``<name>.bak``, or to ``<name>_1.bak``, ... if there is one."""
    os.rename(path, _backup_name(path))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
