"""What a process other than the root run's finds around it: its interpreter and packages need not be the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit._version import __version__
from reprokit.model.records import ContextRecord
from reprokit.recorder.opening import EMPTY_HASH

if TYPE_CHECKING:
    from reprokit.recorder.facts import Facts
    from reprokit.recorder.project import Project


def describe(project: Project, facts: Facts, commit: str) -> ContextRecord:
    """Describe this process as ``context.json`` describes that of the root run."""
    return ContextRecord(
        root_directory=str(project.root),
        cwd=None,
        platform=facts.platform,
        environment_variables={},
        git=facts.git,
        files={},
        cpu=facts.cpu,
        memory=facts.memory,
        gpus=facts.gpus,
        packages=facts.packages,
        commit=commit,
        config_hash=EMPTY_HASH,
        reprokit_version=__version__,
    )
