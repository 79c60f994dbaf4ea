"""Virtual environments by ``venv`` and pip, where there is no uv."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from reprokit.reproduce.environment.outcome import Failure, environ

if TYPE_CHECKING:
    from pathlib import Path

_BROUGHT = frozenset(("pip", "setuptools", "wheel"))  # what ensurepip may bring along


class Pip:
    """Makes environments with the interpreter's own ``venv``, and installs with the pip that comes with it."""

    name = "pip"

    def make(self, folder: Path, interpreter: Path) -> Failure | None:
        """Make an environment that holds pip."""
        return Failure.of(_done([str(interpreter), "-I", "-m", "venv", str(folder)]))

    def install(self, python: Path, file: Path, *, wheels: Path | None, offline: bool) -> Failure | None:
        """Install what a requirements file lists, and nothing else."""
        where = ["--no-index", "--find-links", str(wheels)] if wheels else ["--no-index"] if offline else []
        return Failure.of(_pip(python, "install", "--no-deps", "--no-compile", "--requirement", str(file), *where))

    def finish(self, python: Path, wanted: frozenset[str]) -> None:
        """Remove what ensurepip brought and the record does not list."""
        extra = sorted(_BROUGHT - wanted)
        if extra:
            _pip(python, "uninstall", "--yes", *extra)


def report(python: Path, file: Path) -> list[dict[str, Any]] | Failure:
    """Ask pip which files it would install, with their hashes (its installation report)."""
    done = _pip(
        python, "install", "--no-deps", "--dry-run", "--ignore-installed", "--quiet", "--report", "-",
        "--requirement", str(file),
    )  # fmt: skip
    failure = Failure.of(done)
    if failure is not None:
        return failure
    found: list[dict[str, Any]] = json.loads(done.stdout)["install"]
    return found


def _pip(python: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return _done([str(python), "-I", "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments])


def _done(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, env=environ("PIP_"), stdin=subprocess.DEVNULL, capture_output=True, check=False)
