"""The interpreter's surroundings: installed packages and the environment variables that matter."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from reprokit.capture import host
from reprokit.code import distributions
from reprokit.model import canonical
from reprokit.model.records import Package
from reprokit.model.redact import Redactor, strip_url
from reprokit.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Variables that change results or say where a job ran; settings add to them.
# fmt: off
DEFAULT_VARIABLES = frozenset((
    "PYTHONHASHSEED", "PYTHONPATH", "PYTHONOPTIMIZE", "VIRTUAL_ENV", "CONDA_DEFAULT_ENV", "CONDA_PREFIX",
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "NUMBA_NUM_THREADS",
    "MKL_CBWR", "OPENBLAS_CORETYPE", "CUDA_VISIBLE_DEVICES", "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE",
    "TF_DETERMINISTIC_OPS", "XLA_FLAGS", "JAX_PLATFORMS", "JAX_ENABLE_X64", "TZ", "LANG", "LC_ALL", "LC_NUMERIC",
    "SOURCE_DATE_EPOCH", "SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "PBS_JOBID", "LSB_JOBID", "JOB_ID",
    "RANK", "WORLD_SIZE",
))
# fmt: on

_known: tuple[Any, list[Package]] | None = None


def packages() -> list[Package]:
    """List the installed packages: what an import would find first, sorted by name."""
    global _known
    folders = _import_path()
    key = tuple((folder, stamp) for folder, stamp in folders)
    if _known is None or _known[0] != key:
        found: dict[str, Package] = {}
        for folder, _ in folders:
            for one in distributions.listed(folder):
                name = distributions.normal(one.name)
                if name not in found:
                    found[name] = Package(name=one.name, version=one.version, direct_url=_direct_url(one.path))
        _known = (key, [found[name] for name in sorted(found)])
    return _known[1]


def digest() -> str:
    """Name interpreter and packages: ``sha256:`` of the canonical JSON of what decides how code runs here.

    Two processes with the same digest have the same implementation, version and platform of Python, and the same
    distributions in the same versions.
    """
    platform = host.platform_info()
    found = {
        "implementation": platform.python.implementation,
        "version": platform.python.version,
        "flags": platform.python.flags,
        "system": platform.system,
        "machine": platform.machine,
        "packages": {package.name: package.version for package in packages()},
    }
    return f"sha256:{canonical.config_hash(found)}"


def _import_path() -> list[tuple[str, int]]:
    found = []
    for entry in dict.fromkeys(one for one in sys.path if isinstance(one, str)):  # import passes others over, too
        try:
            found.append((entry or os.curdir, os.stat(entry or os.curdir).st_mtime_ns))
        except (OSError, ValueError):  # gone, or no path at all
            continue
    return found


def _direct_url(folder: str) -> dict[str, Any] | None:
    """Read where a package was installed from, when that was no index (PEP 610)."""
    try:
        with open(os.path.join(folder, "direct_url.json"), "rb") as stream:
            data = stream.read(65_536)
    except OSError:
        return None
    import json

    try:
        found = json.loads(data)
        json.dumps(found, ensure_ascii=False).encode()  # lone surrogates, which no record can hold
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    if isinstance(found.get("url"), str):
        # A query holds what signs the download or lets it in; the address does without.
        found["url"] = strip_url(found["url"].partition("?")[0])
    return dict(Redactor().value("", found)[0])


def variables(
    names: Iterable[str], environ: Mapping[str, str], redactor: Redactor
) -> tuple[dict[str, str], list[str], dict[str, str]]:
    """Give the allow-listed environment variables.

    Returns
    -------
    tuple
        Values by name, with secrets taken out; the names whose value was one; and for each name that the settings ask
        for and that is not set, the reason why it is missing.
    """
    kept: dict[str, str] = {}
    secret: list[str] = []
    missing: dict[str, str] = {}
    for name in sorted(DEFAULT_VARIABLES.intersection(environ)):
        kept[name] = environ[name]
    for name in names:
        if name in environ:
            kept[name] = environ[name]
        else:
            missing[f"environment_variables[{name!r}]"] = "not set"
    for name, value in kept.items():
        clean, places = redactor.value(name, value)
        if places:
            secret.append(name)
        kept[name] = printable(clean)
    return kept, secret, missing
