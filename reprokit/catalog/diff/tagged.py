"""Paths that differ in nothing but our own tag: one file under the names that two states of the code gave it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from reprokit.model import naming

if TYPE_CHECKING:
    from reprokit.catalog.diff.facts import Facts

_CODE = (".py", ".pyi", ".pyx", ".ipynb")


def requested(path: str) -> str | None:
    """Give a tagged path as it was before tagging; None when it has no tag."""
    head, slash, name = path.rpartition("/")
    parsed = naming.parse(name)
    return f"{head}{slash}{parsed.requested}" if parsed else None


def is_same_file(first: Any, second: Any, a: Facts, b: Facts) -> bool:
    """Tell whether two arguments name the same content under names that differ in the tag alone."""
    one, two = _path(first), _path(second)
    if one is None or two is None or requested(one) is None or requested(one) != requested(two):
        return False
    digest = _digest(one, a)
    return digest is not None and digest == _digest(two, b)


def _path(told: Any) -> str | None:
    if isinstance(told, dict) and str(told.get("$type", "")).startswith("pathlib."):
        told = told.get("text")
    return told if isinstance(told, str) else None


def _digest(path: str, facts: Facts) -> str | None:
    top = facts.root_directory or ""
    here = (facts.pre.cwd if facts.pre else facts.context.cwd if facts.context else None) or top
    place = os.path.normpath(os.path.join(here, path))
    return next((one.digest for one in facts.artifacts if os.path.normpath(os.path.join(top, one.path)) == place), None)


def paired(
    first: dict[str, str | None], second: dict[str, str | None]
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Give digests by path; those that differ in the tag alone stand under the path before tagging, in both."""
    only = [_by_request(one, other) for one, other in ((first, second), (second, first))]
    first, second = dict(first), dict(second)
    for path in sorted(only[0].keys() & only[1].keys()):
        old, new = (found[path] for found in only)
        twins = [(one, two) for one in old for two in new if first[one] is not None and first[one] == second[two]]
        twins += [(one, two) for one, two in zip(old, new, strict=False)]
        for one, two in twins:
            if one in first and two in second:
                name = _free(path, first, second)
                first[name], second[name] = first.pop(one), second.pop(two)
    return first, second


def _by_request(own: dict[str, str | None], other: dict[str, str | None]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in sorted(own.keys() - other.keys()):
        before = requested(path)
        if before is not None:
            found.setdefault(before, []).append(path)
    return found


def _free(path: str, *taken: dict[str, str | None]) -> str:
    number, made = 1, path
    while any(made in one for one in taken):
        number += 1
        made = f"{path} ({number})"
    return made


class Data:
    """What the runs, or child runs within them, used and made: compared as inputs and outputs, it is no code."""

    def __init__(self, *runs: Facts) -> None:
        self._paths: set[str] = set()
        for facts in runs:
            root = facts.run.root
            for end in (facts.end, root.post, *(child.end for child in root.children)):
                self._paths.update(one.path.rstrip("/") for one in (end.artifacts if end else ()))

    def __contains__(self, path: str) -> bool:
        path = path.removesuffix(naming.SIDECAR)
        if path.endswith(_CODE):
            return False
        parts = path.split("/")
        return any("/".join(parts[:count]) in self._paths for count in range(1, len(parts) + 1))
