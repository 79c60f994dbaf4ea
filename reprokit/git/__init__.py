"""The one place that runs git: fixed switches, bytes in and out, nothing of a hostile repository executed.

git is run as a process.  GitPython is there for those who want its object model (`open_repository`); importing it costs
80 ms, its object calls several times what one ``git status`` does, and its text handling loses bytes of patches.
"""

from reprokit.git.process import Process, open_repository, outputs, run, start
from reprokit.git.repository import (
    STATUS,
    Entry,
    Place,
    Status,
    filter_switches,
    locate,
    operation,
    parse_remotes,
    parse_status,
    submodules,
)

__all__ = [
    "STATUS",
    "Entry",
    "Place",
    "Process",
    "Status",
    "filter_switches",
    "locate",
    "open_repository",
    "operation",
    "outputs",
    "parse_remotes",
    "parse_status",
    "run",
    "start",
    "submodules",
]
