"""The running reprokit, for environments that a run is to be recorded in: no index is asked for it.

A copy of its modules is kept beside the environments, named by their content, and a ``.pth`` file leads there; so an editable
installation shows no other folder of its checkout, and an update leaves older environments as they are.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import sys
from pathlib import Path

from reprokit._version import __version__
from reprokit.code import distributions
from reprokit.reproduce.environment.wanted import Wanted

NAME = "reprokit"
_PTH = "reprokit-running.pth"
_REQUIRES = re.compile(r"Requires-Dist: *(?P<name>[A-Za-z0-9._-]+) *(?:\[[^]]*\])?(?P<asked>[^;]*);?(?P<marker>.*)\Z")
_SOURCE = Path(__file__).parents[2]


def digest() -> str:
    """Name the running reprokit by the content of its files: hex digits."""
    state = hashlib.sha256()
    for path in _files():
        data = path.read_bytes()
        state.update(f"{path.relative_to(_SOURCE).as_posix()}\0{len(data)}\0".encode())
        state.update(data)
    return state.hexdigest()


def copy(where: Path, named: str) -> Path:
    """Make the copy, unless it is there; `named` is its `digest`."""
    folder = where / f"{NAME}-{named[:16]}"
    if folder.is_dir():
        return folder
    temporary = where / f".{NAME}-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        for path in _files():
            target = temporary / NAME / path.relative_to(_SOURCE)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        _describe(temporary)
        try:
            temporary.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was first
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def install(packages: Path, python: Path, copied: Path) -> None:
    """Let an environment find the copy, and give it the ``reprokit`` command."""
    (packages / _PTH).write_text(f"{copied}\n", encoding="utf-8")
    if os.name == "nt":
        script = python.with_name(f"{NAME}.cmd")
        script.write_text(f'@"{python}" -m reprokit %*\r\n', encoding="utf-8")
        return
    script = python.with_name(NAME)
    # A path with spaces or of more than 127 bytes fits in no #! line.
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(str(python))} -m reprokit "$@"\n', encoding="utf-8")
    script.chmod(0o755)


def leads_to(packages: Path, copied: Path) -> bool:
    """Tell whether an environment finds the copy."""
    try:
        return (packages / _PTH).read_text("utf-8").strip() == str(copied) and copied.is_dir()
    except OSError:
        return False


def lacking(wanted: list[Wanted]) -> tuple[list[Wanted], list[str]]:
    """Give what the running reprokit needs and the record does not list, in the versions that are here, with notes."""
    present = {one.name: one for one in wanted}
    here = _installed()
    more: dict[str, Wanted] = {}
    notes: list[str] = []
    todo = [NAME]
    while todo:
        for name, asked in _needs(here.get(todo.pop())):
            if name in present:
                if not _satisfied(asked, present[name].version):
                    notes.append(
                        f"reprokit here asks for {name}{asked}; {present[name].version} was recorded and is used"
                    )
            elif name in here and name not in more:
                more[name] = Wanted(name=name, version=here[name].version, kind="index")
                todo.append(name)
    if more:
        told = ", ".join(one.said for one in more.values())
        notes.append(f"added, for reprokit needs them here and the record does not list them: {told}")
    return list(more.values()), notes


def _installed() -> dict[str, distributions.Distribution]:
    found: dict[str, distributions.Distribution] = {}
    for folder in sys.path:
        for one in distributions.listed(folder or os.curdir):
            found.setdefault(distributions.normal(one.name), one)
    return found


def _needs(one: distributions.Distribution | None) -> list[tuple[str, str]]:
    """Read names and version specifiers of what a distribution requires, without its extras."""
    found = []
    for line in _metadata(one).splitlines() if one else ():
        if not line:
            break
        match = _REQUIRES.match(line)
        if match is None or "extra" in match["marker"]:
            continue
        if match["marker"] and not _holds(match["marker"]):
            continue
        found.append((distributions.normal(match["name"]), match["asked"].strip(" ()")))
    return found


def _holds(marker: str) -> bool:
    from packaging.markers import InvalidMarker, Marker

    try:
        return Marker(marker.strip()).evaluate()
    except InvalidMarker:
        return True


def _satisfied(asked: str, version: str) -> bool:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(asked).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True


def _metadata(one: distributions.Distribution) -> str:
    try:
        return Path(one.path, "METADATA").read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _files() -> list[Path]:
    found = []
    for folder, folders, names in os.walk(_SOURCE):
        folders[:] = sorted(one for one in folders if one != "__pycache__")
        found += [Path(folder, name) for name in sorted(names) if not name.endswith((".pyc", ".pyo"))]
    return found


def _describe(folder: Path) -> None:
    told = folder / f"{NAME}-{__version__}.dist-info"
    told.mkdir()
    found = _installed().get(NAME)
    text = _metadata(found) if found is not None and found.version == __version__ else ""
    head = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {__version__}\n"
    (told / "METADATA").write_text(text or head, encoding="utf-8")
    (told / "entry_points.txt").write_text(f"[console_scripts]\n{NAME} = {NAME}.cli:main\n", encoding="utf-8")
