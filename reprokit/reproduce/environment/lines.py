"""Requirements as installers read them, and why some packages can't be asked for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reprokit.reproduce.environment.wanted import Wanted, local_path

if TYPE_CHECKING:
    from collections.abc import Iterable

_PROJECT_FILES = ("pyproject.toml", "setup.py", "setup.cfg")


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A package that can't be installed."""

    name: str
    version: str
    reason: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}: {self.reason}" + (f"; {self.remedy}" if self.remedy else "")


def exact(wanted: Wanted) -> str:
    """The requirement of a released version."""
    return f"{wanted.name}=={wanted.version}"


def line(wanted: Wanted, *, snapshot: Path | None, wheels: Path | None) -> str | Missing:
    """Give the line of a requirements file for a package, or why there is none."""
    if wanted.kind == "index" or (wheels is not None and has_wheel(wheels, wanted)):
        return exact(wanted)
    found = _elsewhere(wanted, snapshot)
    if isinstance(found, str):
        return found
    remedy = found.remedy or f"a wheel of {wanted.name} {wanted.version} in a folder of wheels would do"
    return msgspec.structs.replace(found, remedy=remedy)


def at_revision(wanted: Wanted, *, recorded: bool = False) -> str:
    """The requirement of a revision; `recorded`: from where the record has it, whatever lies on this machine."""
    below = f"#subdirectory={wanted.subdirectory}" if wanted.subdirectory else ""
    url = wanted.url
    if wanted.repository and (url is None or (not recorded and Path(wanted.repository, ".git").exists())):
        url = Path(wanted.repository).as_uri()  # it has the commit for sure, pushed or not
    return f"{wanted.name} @ {wanted.vcs}+{url}@{wanted.revision}{below}"


def archived(wanted: Wanted) -> str:
    """The requirement of an archive by its address."""
    parts = [f"sha256={wanted.sha256}"] if wanted.sha256 else []
    parts += [f"subdirectory={wanted.subdirectory}"] if wanted.subdirectory else []
    return f"{wanted.name} @ {wanted.url}" + (f"#{'&'.join(parts)}" if parts else "")


def has_wheel(folder: Path, wanted: Wanted) -> bool:
    """Tell whether a folder holds a wheel of this version."""
    from packaging.utils import parse_wheel_filename
    from packaging.version import Version

    begin = wanted.name.replace("-", "_")
    for name in _names(folder):
        if not name.endswith(".whl") or name.lower().replace("-", "_").replace(".", "_")[: len(begin)] != begin:
            continue
        try:
            found, version, *_ = parse_wheel_filename(name)
            if found == wanted.name and version == Version(wanted.version):
                return True
        except ValueError:
            continue
    return False


def remedy(wanted: Wanted, *, wheels: Path | None, offline: bool) -> str:
    """Say what could be done about a version that could not be had."""
    _, _, label = wanted.version.partition("+")
    if wheels is not None:
        return f"put its wheel into {wheels}"
    if offline:
        return "once without offline, and it stays in the installer's cache; or a folder of wheels"
    if label:
        return (
            f"'+{label}' says that it came from an index of its own: name that with UV_INDEX or PIP_EXTRA_INDEX_URL, "
            "or give a folder of wheels"
        )
    if wanted.kind == "index":
        return "when the index lists it no longer, a folder that holds its wheel would do"
    return ""


def _elsewhere(wanted: Wanted, snapshot: Path | None) -> str | Missing:
    lacks = Missing(name=wanted.name, version=wanted.version, reason=wanted.note or "where it came from is not known")
    replace = msgspec.structs.replace
    if wanted.kind == "vcs":
        return at_revision(wanted)
    if wanted.kind == "archive":
        return archived(wanted)
    if wanted.kind == "unknown":
        return lacks
    if wanted.inside is not None:
        return _inside(wanted, wanted.inside, snapshot)
    if wanted.kind == "local file":
        path = Path(local_path(wanted.url or ""))
        if not path.is_file():
            return replace(lacks, reason=f"it was installed from {path}, which is not there")
        return _file(wanted, path)
    if wanted.revision is not None:
        return at_revision(wanted)
    what = "editable" if wanted.editable else "copied"
    reason = f"it was installed ({what}) from {local_path(wanted.url or '')}, outside the project, and no revision was recorded"
    return replace(lacks, reason=reason)


def _inside(wanted: Wanted, inside: str, snapshot: Path | None) -> str | Missing:
    lacks = Missing(name=wanted.name, version=wanted.version, reason="")
    where = inside or "the project itself"
    if snapshot is None:
        reason = f"it was installed from {where}; that needs the restored snapshot"
        return msgspec.structs.replace(lacks, reason=reason)
    root = snapshot.resolve()
    path = (root / inside).resolve()
    if not path.is_relative_to(root):
        return msgspec.structs.replace(lacks, reason=f"{where} leads out of the snapshot")
    if wanted.kind == "local file":
        if not path.is_file():
            return msgspec.structs.replace(lacks, reason=f"{where} is not in the snapshot")
        return _file(wanted, path)
    if not any((path / name).is_file() for name in _PROJECT_FILES):
        return msgspec.structs.replace(lacks, reason=f"the snapshot holds no project at {where}")
    return f"-e {path.as_uri()}" if wanted.editable else f"{wanted.name} @ {path.as_uri()}"


def _file(wanted: Wanted, path: Path) -> str | Missing:
    from reprokit.capture.files import digest_file

    if wanted.sha256 and digest_file(str(path))[0] != f"sha256:{wanted.sha256}":
        return Missing(name=wanted.name, version=wanted.version, reason=f"{path} is not the file that was installed")
    return f"{wanted.name} @ {path.resolve().as_uri()}"


def _names(folder: Path) -> Iterable[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return ()
