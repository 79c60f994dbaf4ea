"""The environment variables of a run: what is set again, what is taken away, and which secrets have to be given."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit.model.redact import REDACTED

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from reprokit.model.records import ContextRecord

# They say where an environment lay on the machine that recorded; the new one lies elsewhere.
_PLACES = frozenset(("VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "CONDA_PREFIX"))


def variables(
    recorded: ContextRecord, environ: Mapping[str, str] | None = None, snapshot: Path | None = None
) -> tuple[dict[str, str], list[str]]:
    """Give the variables that a run had, and the names of those whose value no record holds.

    Parameters
    ----------
    recorded
        Context of the run.
    environ
        Where secrets are looked for by name; this process's environment by default.
    snapshot
        Folder that stands for the project's; entries of ``PYTHONPATH`` inside the project are moved there.

    Returns
    -------
    tuple
        Variables to set; secrets that are missing, by name.
    """
    environ = os.environ if environ is None else environ
    secret = {name for name in recorded.environment_variables if _place(name) in recorded.redacted}
    values: dict[str, str] = {}
    missing: list[str] = []
    for name, value in recorded.environment_variables.items():
        if name in _PLACES:
            continue
        if name in secret or REDACTED in value:
            if name in environ:
                values[name] = environ[name]
            else:
                missing.append(name)
        elif name == "PYTHONPATH" and snapshot is not None:
            values[name] = _moved(value, recorded.root_directory, snapshot)
        else:
            values[name] = value
    return values, missing


def unset(recorded: ContextRecord, environ: Mapping[str, str] | None = None) -> list[str]:
    """Name the variables that are set here, change results, and were not set for the run."""
    from reprokit.capture.environment import DEFAULT_VARIABLES

    environ = os.environ if environ is None else environ
    return sorted((DEFAULT_VARIABLES - recorded.environment_variables.keys()) & environ.keys())


def _place(name: str) -> str:
    return f"environment_variables[{name!r}]"


def _moved(value: str, root: str, snapshot: Path) -> str:
    separator = ";" if ";" in value or root[1:2] == ":" else ":"
    moved = []
    for entry in value.split(separator):
        path, base = entry.replace("\\", "/").rstrip("/"), root.replace("\\", "/").rstrip("/")
        inside = path == base or path.startswith(f"{base}/")
        moved.append(str(snapshot.joinpath(*path[len(base) :].strip("/").split("/"))) if inside else entry)
    return os.pathsep.join(moved)
