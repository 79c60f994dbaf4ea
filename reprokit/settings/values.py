"""The settings of a project, as one frozen value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec


class FileRule(msgspec.Struct, frozen=True):
    """What to do with a file: hash it, copy it or move it into the run folder."""

    hash: Literal["md5", "sha1", "sha256", "sha3"] | None = None
    copy: bool = False
    move: bool = False


class Tolerance(msgspec.Struct, frozen=True):
    """How far an output may be from what it was; two numbers are near enough when ``|a-b| <= max(rtol*max(|a|,|b|), atol)``.

    Attributes
    ----------
    rtol, atol : float
        Relative and absolute.
    ignore : tuple of str
        Names of parts that may differ, with ``*`` and ``?``: keys, columns, members, entries, lines of text.
    pixels : float
        The share of a picture's pixels that may differ by more than `levels`, from 0 to 1.
    levels : float
        How far a pixel may be, in steps of its channels.
    """

    rtol: float = 0.0
    atol: float = 0.0
    ignore: tuple[str, ...] = ()
    pixels: float = 0.0
    levels: float = 0.0


class OutputRule(msgspec.Struct, frozen=True):
    """What `Tolerance` has for outputs of some name; None: as for all others."""

    rtol: float | None = None
    atol: float | None = None
    ignore: tuple[str, ...] | None = None
    pixels: float | None = None
    levels: float | None = None


class Settings(msgspec.Struct, frozen=True):
    """All settings of a project.

    Attributes
    ----------
    root : Path
        The project root.
    source : Path or None
        The file they were read from.
    dirty
        What makes a repository dirty: ``"tracked"`` changes, those and new ``*.py`` files (``"source"``), or ``"all"``
        new files too.
    max_file_size, max_diff_size, max_bundle_size : int
        In bytes.
    reuse
        Whether results are used again where functions ask for it; else they are computed.
    reuse_python
        Whether a result made by another minor version of Python is used again: ``"minor"`` not, ``"any"`` yes.
    reuse_wait : float
        Seconds to wait for another process that computes the same call; then it is computed here too.
    reuse_link
        Which files that are used again under another name are hard links: ``"read-only"`` ones, all (``"always"``: nothing
        may change them in place), or none (``"never"``).  The others are copies, which share their blocks where they can.
    tolerance, outputs
        How near the outputs of a reproduced run have to come to the recorded ones: all of them, and those of some name.
    """

    root: Path
    source: Path | None = None
    vault_directory: str = "vault"
    run_template: str = "%Y%m%d_%H%M%S"
    include_cpu: bool = True
    pre_capture_commands: tuple[str, ...] = ()
    environment_variables: tuple[str, ...] = ()
    capture_files: Mapping[str, FileRule] = {}
    repositories: Mapping[str, str] = {}
    items: Mapping[str, Mapping[str, FileRule]] = {}
    dirty: Literal["tracked", "source", "all"] = "source"
    allow_dirty: bool = False
    strict: bool = False
    refresh: Literal["process", "call"] = "process"
    exists: Literal["replace", "keep", "error", "reuse"] = "replace"
    sidecar: bool = True
    template: str | None = None
    redact: tuple[str, ...] = ()
    max_file_size: int = 50_000_000
    max_diff_size: int = 100_000_000
    max_bundle_size: int = 100_000_000
    capture_random_state: bool = True
    capture_packages: bool = True
    files: Literal["auto"] | None = None
    reuse: bool = True
    reuse_python: Literal["minor", "any"] = "minor"
    reuse_wait: float = 86_400.0
    reuse_link: Literal["read-only", "always", "never"] = "read-only"
    tolerance: Tolerance = Tolerance(rtol=1e-15)  # a few units in the last place of a float
    outputs: Mapping[str, OutputRule] = {}

    @property
    def vault(self) -> Path:
        """The vault's folder."""
        return self.root / os.path.expanduser(self.vault_directory)
