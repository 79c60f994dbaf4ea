"""Which tolerance an output has: the project's, that of its name, and what was said on the command line."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import msgspec

from reprokit.settings.values import OutputRule, Settings, Tolerance

if TYPE_CHECKING:
    from collections.abc import Iterable


def tolerance_for(settings: Settings, name: str, *, rtol: float | None = None, atol: float | None = None) -> Tolerance:
    """Give the tolerance for an output.

    Parameters
    ----------
    settings
        Of the project: ``[reproduce]`` and ``[reproduce.output.NAME]``.
    name
        The output's path as it was asked for, POSIX separators, or ``value rmse``; a pattern in the settings fits the
        whole of it or its last part.  Where several fit, what stands later wins.
    rtol, atol
        As the command line says; they win over everything.
    """
    found = settings.tolerance
    for pattern, rule in settings.outputs.items():
        if fnmatchcase(name, pattern) or fnmatchcase(name.rpartition("/")[2], pattern):
            found = msgspec.structs.replace(found, **_given(rule))
    return msgspec.structs.replace(found, **_given(OutputRule(rtol=rtol, atol=atol)))


def _given(rule: OutputRule) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(rule).items() if value is not None}


def ignores(patterns: Iterable[str], name: str) -> bool:
    """Tell whether a part may differ: a pattern fits its name, or the name of a part that it is in."""
    return any(
        fnmatchcase(name, one) or fnmatchcase(name, f"{one}.*") or fnmatchcase(name, f"{one}/*") for one in patterns
    )
