"""What other processes tell of the files that they open: logs in the run's folder, joined when the run ends."""

from __future__ import annotations

import glob
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from reprokit.capture.opened.site.reprokit_opened import Listener

VARIABLE = "REPROKIT_OPENED"  # beginning of the path of such a log, for a monitored command
_SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")
_LARGEST = 100_000_000  # bytes of one log


class Joined(NamedTuple):
    """What was joined.

    Attributes
    ----------
    paths
        The logs.
    code
        Files that are source of modules.
    more
        Files that were opened beyond the limit.
    faults
        What went wrong in those processes.
    """

    paths: list[str]
    code: set[str]
    more: int
    faults: list[str]


def variables(begin: str, environ: dict[str, str]) -> dict[str, str]:
    """Give the variables that have a command's interpreters tell what they open."""
    path = [_SITE, *(entry for entry in environ.get("PYTHONPATH", "").split(os.pathsep) if entry and entry != _SITE)]
    return {VARIABLE: begin, "PYTHONPATH": os.pathsep.join(path)}


def join(begin: str, listener: Listener) -> Joined:
    """Take in the logs whose paths begin so, in the order of time; a torn last line is what a killed process leaves."""
    found = Joined(sorted(glob.glob(f"{glob.escape(begin)}*.jsonl")), set(), 0, [])
    more = 0
    acts: list[list[Any]] = []
    for path in found.paths:
        for facts in _lines(path, found.faults):
            if facts[1] == "fault":
                found.faults.append(str(facts[2]))
            elif facts[1] == "end":
                found.code.update(map(str, facts[2]))
                more += int(facts[3])
            elif facts[1] == "process":
                found.code.update(map(str, facts[3:4]))
            else:
                acts.append(facts)
    for facts in sorted(acts, key=lambda one: one[0]):
        try:
            listener.replay(*facts[1:])
        except (TypeError, ValueError, IndexError):
            found.faults.append(f"a line that says nothing: {facts!r:.100}")
    return found._replace(more=more)


def remove(paths: list[str]) -> None:
    """Remove logs that were joined; who still writes there writes into the void."""
    for path in paths:
        try:
            os.unlink(path)
        except OSError:
            continue


def _lines(path: str, faults: list[str]) -> list[list[Any]]:
    try:
        with open(path, "rb") as stream:
            data = stream.read(_LARGEST)
    except OSError as error:
        faults.append(f"{path}: {error.strerror}")
        return []
    found = []
    lines = data.split(b"\n")
    for number, line in enumerate(lines[:-1], 1):
        try:
            facts = json.loads(line)
            if not (isinstance(facts[0], int) and isinstance(facts[2], (str, list))):
                raise TypeError
        except (ValueError, TypeError, LookupError, RecursionError):
            faults.append(f"{os.path.basename(path)}:{number} is damaged")
            continue
        found.append(facts)
    return found
