"""Virtual environments by ``uv``."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from reprokit.reproduce.environment import indexes
from reprokit.reproduce.environment.outcome import Failure, environ

if TYPE_CHECKING:
    from pathlib import Path


@functools.cache
def find() -> str | None:
    """Find uv: the module's (extra ``[env]``), else that on PATH."""
    try:
        import uv

        return os.fsdecode(uv.find_uv_bin())
    except (ImportError, FileNotFoundError):
        return shutil.which("uv")


class Uv:
    """Makes environments and installs into them with uv, as the user's configuration has it."""

    name = "uv"

    def __init__(self, binary: str) -> None:
        self._binary = binary

    def make(self, folder: Path, interpreter: Path) -> Failure | None:
        """Make an empty environment."""
        return self._run("venv", "--no-project", "--python", str(interpreter), str(folder))

    def install(self, python: Path, file: Path, *, wheels: Path | None, offline: bool) -> Failure | None:
        """Install what a requirements file lists, and nothing else."""
        where = ["--find-links", str(wheels), "--no-index"] if wheels else []
        return self._run(
            "pip", "install", "--no-deps", "--python", str(python), "--requirement", str(file), *where,
            *(["--offline"] if offline else []),
        )  # fmt: skip

    def finish(self, python: Path, wanted: frozenset[str]) -> None:
        """There is nothing to tidy: uv's environments hold only what was asked for."""

    def locked(self, file: Path, python_version: str, *, offline: bool) -> str | Failure:
        """Give the ``pylock.toml`` of exact requirements, for all platforms."""
        done = self._done(
            "pip", "compile", "--no-deps", "--no-header", "--universal", "--format", "pylock.toml",
            "--python-version", python_version, *(["--offline"] if offline else []), str(file), portable=True,
        )  # fmt: skip
        return Failure.of(done) or done.stdout.decode()

    def _run(self, *arguments: str) -> Failure | None:
        return Failure.of(self._done(*arguments))

    def _done(self, *arguments: str, portable: bool = False) -> subprocess.CompletedProcess[bytes]:
        command = [self._binary, "--quiet", "--color", "never", "--no-progress", *arguments]
        variables = environ("UV_")
        variables.update(indexes.for_uv(variables, portable=portable))
        return subprocess.run(command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, check=False)
