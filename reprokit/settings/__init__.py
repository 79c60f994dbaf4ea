"""Settings: ``reprokit.toml``, ``[tool.reprokit]`` in ``pyproject.toml`` or ``capsula.toml``, then ``REPROKIT_*``.

One frozen value comes out.  The tables ``[capture]`` and ``[monitor]`` have the keys of capsula 0.0.19; our own keys
stand at the top level.  ``-`` and ``_`` in keys are the same.
"""

from __future__ import annotations

from reprokit.settings.project_root import current, find_root
from reprokit.settings.sources import FILES, PREFIX, load
from reprokit.settings.values import FileRule, OutputRule, Settings, Tolerance

__all__ = ["FILES", "PREFIX", "FileRule", "OutputRule", "Settings", "Tolerance", "current", "find_root", "load"]
