"""Reproducibility for scientific Python: traceable, reusable and re-creatable files from ordinary functions.

The names below are loaded on first use, so ``import reprokit`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit._version import __version__
from reprokit.lazy import attach

if TYPE_CHECKING:
    from reprokit.catalog.vault import Vault as Vault
    from reprokit.context import Context as Context
    from reprokit.context import current as current
    from reprokit.decorators.artifact import Artifact as Artifact
    from reprokit.decorators.cache import cache as cache
    from reprokit.decorators.monitor import monitor as monitor
    from reprokit.decorators.run import run as run
    from reprokit.decorators.snapshot_code import snapshot_code as snapshot_code
    from reprokit.decorators.why import why as why
    from reprokit.errors import ReprokitError as ReprokitError
    from reprokit.snapshot import at as at

_HOMES = {
    "Artifact": "reprokit.decorators.artifact",
    "Context": "reprokit.context",
    "ReprokitError": "reprokit.errors",
    "Vault": "reprokit.catalog.vault",
    "at": "reprokit.snapshot",
    "cache": "reprokit.decorators.cache",
    "current": "reprokit.context",
    "monitor": "reprokit.decorators.monitor",
    "run": "reprokit.decorators.run",
    "snapshot_code": "reprokit.decorators.snapshot_code",
    "why": "reprokit.decorators.why",
}

__all__ = [
    "Artifact",
    "Context",
    "ReprokitError",
    "Vault",
    "__version__",
    "at",
    "cache",
    "current",
    "monitor",
    "run",
    "snapshot_code",
    "why",
]

__getattr__, __dir__ = attach(__name__, _HOMES)
