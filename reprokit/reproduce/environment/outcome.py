"""What an installer said, without what must not be shown, and what it is started with."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import msgspec

from reprokit.model.redact import Redactor, strip_url

if TYPE_CHECKING:
    import subprocess

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s'\"<>`]+")
_UNREACHABLE = re.compile(
    r"error sending request|dns error|tcp connect error|NewConnectionError|Max retries exceeded|ConnectTimeout"
    r"|Temporary failure in name resolution|Name or service not known|Network is unreachable",
    re.IGNORECASE,
)
# What would move an installation elsewhere, or change which versions it takes.
_DROPPED = frozenset(
    ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE")
)
_STEERING = frozenset(
    (
        "PYTHON", "SYSTEM_PYTHON", "TARGET", "PREFIX", "ROOT", "USER", "REQUIRE_VIRTUALENV", "CONSTRAINT", "OVERRIDE",
        "BUILD_CONSTRAINT", "REQUIRE_HASHES", "COMPILE_BYTECODE", "PROJECT_ENVIRONMENT", "EXCLUDE_NEWER", "PRERELEASE",
        "UPLOADED_PRIOR_TO", "REQUIREMENT", "EDITABLE", "UPGRADE", "PRE", "EXTRA_REQUIREMENTS", "DRY_RUN", "REPORT",
        "VENV_SEED", "VENV_CLEAR", "WORKING_DIR", "WORKING_DIRECTORY", "PROJECT",
    )
)  # fmt: skip


class Failure(msgspec.Struct, frozen=True):
    """An installer failed."""

    said: str  # without user names, passwords and tokens
    unreachable: bool  # the registry could not be asked at all

    @classmethod
    def of(cls, done: subprocess.CompletedProcess[bytes]) -> Failure | None:
        """Read how a process ended; None when well."""
        if done.returncode == 0:
            return None
        text = (done.stderr or done.stdout or b"").decode(errors="replace")
        return cls(clean(text) or f"ended with {done.returncode}", bool(_UNREACHABLE.search(text)))


def clean(text: str) -> str:
    """Take user info, queries and tokens out of what an installer said, and put it in one line."""
    text = _URL.sub(lambda found: strip_url(found[0]), text)
    lines = [line.strip() for line in Redactor().text(text)[0].splitlines()]
    kept = [re.sub(r"\A(?:error|cause|ERROR): ?", "", line) for line in lines if line and not _is_noise(line)]
    told = "; ".join(kept)
    # uv's resolver explains itself at length.
    told = re.sub(r"No solution found when resolving dependencies; ", "", told)
    told = re.sub(r"Because (.{1,300}?) and you require [^;]*? are unsatisfiable\.?", r"\1", told)
    return told if len(told) <= 600 else f"{told[:300]} ... {told[-295:]}"


def _is_noise(line: str) -> bool:
    return line.startswith(("Using Python", "Looking in", "[notice]", "hint: See", "Defaulting to user"))


def environ(prefix: str) -> dict[str, str]:
    """Give the variables for an installer: the user's own, without what would install elsewhere or other versions."""
    steering = {f"{prefix}{name}" for name in _STEERING}
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED and name not in steering}
    return {**kept, "GIT_TERMINAL_PROMPT": "0"}
