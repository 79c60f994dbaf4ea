"""Interpreters on this machine: the recorded version, or the nearest one."""

from __future__ import annotations

import ast
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reprokit.errors import EnvironmentBuildError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.model.records import PythonInfo

# Without `platform` and `json`, which take longer to import than the interpreter to start.
_ASK = (
    "import sys; print(ascii((sys.implementation.name, sys.version.split()[0], "
    "getattr(sys, '_base_executable', None) or sys.executable, sys.path)))"
)
_NAMES = {"cpython": "CPython", "pypy": "PyPy", "graalpy": "GraalVM"}  # as `platform.python_implementation` has them
_PATIENCE = 20  # seconds


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A Python that answered."""

    executable: Path  # outside of virtual environments
    implementation: str
    version: str
    path: list[str] = []  # its sys.path, when it was asked with site
    note: str = ""  # how it differs from the recorded one

    @property
    def minor(self) -> str:
        """Such as "3.11"."""
        return ".".join(self.version.split(".")[:2])


def ask(executable: Path | str, *, site: bool = False) -> Interpreter | None:
    """Ask an interpreter what it is, without user site and variables; None when it does not answer as one.

    Parameters
    ----------
    site
        Also let it find its installed packages, for its ``sys.path``; that runs what their ``.pth`` files hold.
    """
    command = [str(executable), "-I", *([] if site else ["-S"]), "-c", _ASK]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL, check=True)
        kind, version, base, path = ast.literal_eval(done.stdout.decode())
    except (OSError, ValueError, SyntaxError, subprocess.SubprocessError):
        return None
    return Interpreter(
        executable=Path(base),
        implementation=_NAMES.get(kind, str(kind)),
        version=str(version),
        path=[str(one) for one in path],
    )


def running() -> Interpreter:
    """Describe the interpreter that runs this, the one below when it is a virtual environment's."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return Interpreter(
        executable=Path(base), implementation=platform.python_implementation(), version=platform.python_version()
    )


def find(recorded: PythonInfo, *, best_effort: bool = False) -> Interpreter:
    """Find the recorded interpreter: of exactly its version, else of the same minor version, with a note.

    Parameters
    ----------
    best_effort
        Take the running one when there is none of that minor version.

    Raises
    ------
    EnvironmentBuildError
        When there is none of the same minor version.
    """
    wanted = recorded.version
    if not re.fullmatch(r"\d+\.\d+[0-9A-Za-z.+-]*", wanted):
        raise EnvironmentBuildError(f"{wanted!r}, the recorded version of Python, is none")
    minor = ".".join(wanted.split(".")[:2])
    near: Interpreter | None = None
    for one in _candidates(recorded, minor):
        if one.implementation != recorded.implementation:
            continue
        if one.version == wanted:
            return one
        if one.minor == minor and (near is None or _far(one.version, wanted) < _far(near.version, wanted)):
            near = one
    name = "Python" if recorded.implementation == "CPython" else recorded.implementation
    if near is not None:
        note = f"{name} {wanted} is not here: {near.version} is used (`uv python install {wanted}` may get it)"
        return msgspec.structs.replace(near, note=note)
    lacks = f"no {name} {minor} is here (looked for {wanted} on PATH, in pyenv, by uv); `uv python install {wanted}` or `pyenv install {wanted}` may get it"
    if not best_effort:
        raise EnvironmentBuildError(lacks)
    here = running()
    return msgspec.structs.replace(here, note=f"{lacks}; {here.version} is used")


def _candidates(recorded: PythonInfo, minor: str) -> Iterator[Interpreter]:
    """Give interpreters that may do, the likeliest first; the dear ways of looking come last."""
    here = running()
    same_place = recorded.base_prefix in (None, sys.base_prefix) or not os.path.isdir(recorded.base_prefix)
    if same_place:  # one that needs no process to be asked
        yield here
    asked: set[str] = set()
    for path in _paths(recorded, minor):
        real = os.path.realpath(path)
        if real not in asked and os.path.isfile(real):
            asked.add(real)
            if (found := ask(path)) is not None:
                yield found
    if not same_place:
        yield here
    for told in (_by_uv(recorded, minor), _by_launcher(minor)):
        if told and os.path.realpath(told) not in asked and (found := ask(told)) is not None:
            yield found


def _paths(recorded: PythonInfo, minor: str) -> Iterator[str]:
    name = "pypy" if recorded.implementation == "PyPy" else "python"
    names = [f"{name}{minor}", f"{name}3", name]
    if recorded.base_prefix:
        for one in names:
            yield os.path.join(recorded.base_prefix, "bin", one)
        yield os.path.join(recorded.base_prefix, f"{name}.exe")
    if recorded.executable:
        yield recorded.executable
    versions = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    try:
        folders = sorted(one for one in os.listdir(versions) if one.startswith(f"{minor}."))
    except OSError:
        folders = []
    for folder in sorted(folders, key=lambda one: one != recorded.version):
        yield str(versions / folder / "bin" / name)
    for one in names:
        yield from _on_path(one)


def _on_path(name: str) -> Iterator[str]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        if folder and not folder.rstrip("/").endswith("/shims"):  # pyenv's are scripts; its versions were looked at
            found = shutil.which(name, path=folder)
            if found:
                yield found


def _by_uv(recorded: PythonInfo, minor: str) -> str | None:
    from reprokit.reproduce.environment import uv

    binary = uv.find()
    if binary is None:
        return None
    kind = "pypy" if recorded.implementation == "PyPy" else "cpython"
    return _answer(
        [binary, "python", "find", "--no-project", "--no-python-downloads", f"{kind}@{recorded.version}"]
    ) or _answer([binary, "python", "find", "--no-project", "--no-python-downloads", f"{kind}@{minor}"])


def _by_launcher(minor: str) -> str | None:
    if os.name != "nt" or not shutil.which("py"):
        return None
    return _answer(["py", f"-{minor}", "-I", "-S", "-c", "import sys; print(sys.executable)"])


def _answer(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, stdin=subprocess.DEVNULL, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace").strip() or None


def _far(version: str, wanted: str) -> int:
    def patch(text: str) -> int:
        found = re.match(r"\d+\.\d+\.(\d+)", text)
        return int(found[1]) if found else 0

    return abs(patch(version) - patch(wanted))
