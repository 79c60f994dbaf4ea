"""A recorded environment beside the one that is here: the interpreter's version, the packages, the platform."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from reprokit.code.distributions import normal

if TYPE_CHECKING:
    from reprokit.model.records import ContextRecord


_FEW = 5


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A package that differs.  `recorded` is None when it is new, `here` when it is missing."""

    name: str
    recorded: str | None
    here: str | None
    named: bool = False  # the code that ran names it

    @property
    def kind(self) -> Literal["changed", "missing", "added"]:
        if self.here is None:
            return "missing"
        return "added" if self.recorded is None else "changed"

    def __str__(self) -> str:
        if self.here is None:
            return f"{self.name} {self.recorded} missing"
        if self.recorded is None:
            return f"{self.name} {self.here} added"
        return f"{self.name} {self.recorded} -> {self.here}"


class Differences(msgspec.Struct, frozen=True, kw_only=True):
    """How an environment differs from a recorded one.

    Attributes
    ----------
    python
        "Python 3.11.7 -> 3.12.1"; None when it is the same.
    packages
        Packages that differ: those that the code names first, then changed, missing and added ones.
    platform
        Sentences about system and machine.
    """

    python: str | None = None
    packages: list[Change] = []
    platform: list[str] = []

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.python or self.packages or self.platform)

    @property
    def lines(self) -> list[str]:
        """A sentence each, the most telling ones first; many added packages are one."""
        named = [str(change) for change in self.packages if change.named]
        others = [str(change) for change in self.packages if not change.named and change.kind != "added"]
        added = [str(change) for change in self.packages if not change.named and change.kind == "added"]
        if len(added) > _FEW:
            first = ", ".join(one.removesuffix(" added") for one in added[:_FEW])
            added = [f"{len(added)} packages added: {first} ..."]
        others += added
        return [*([self.python] if self.python else []), *named, *self.platform, *others]


def differences(recorded: ContextRecord, python: Path | None = None) -> Differences:
    """Compare a recorded environment with the running one, or with that of another interpreter.

    Nothing of it is imported: packages are told by their metadata's names.

    Parameters
    ----------
    recorded
        Context of a run.
    python
        Another interpreter, which is asked for its version and its path.

    Raises
    ------
    EnvironmentBuildError
        When the other interpreter doesn't run.
    """
    from reprokit.capture import host

    before, here = recorded.platform, host.platform_info()
    if python is None:
        from reprokit.capture import environment

        present = {normal(one.name): (one.name, one.version) for one in environment.packages()}
        kind, version = here.python.implementation, here.python.version
    else:
        kind, version, present = _ask(python)
    told = None
    if (kind, version) != (before.python.implementation, before.python.version):
        told = f"{_called(before.python.implementation, before.python.version)} -> {_called(kind, version, before.python.implementation)}"
    platform = [
        f"{what} {old} -> {new}"
        for what, old, new in (("system", before.system, here.system), ("machine", before.machine, here.machine))
        if old != new
    ]
    return Differences(python=told, packages=_changes(recorded, present), platform=platform)


def _called(kind: str, version: str, before: str | None = None) -> str:
    if kind == before:
        return version
    return f"{'Python' if kind == 'CPython' else kind} {version}"


def _changes(recorded: ContextRecord, present: dict[str, tuple[str, str]]) -> list[Change]:
    old = {normal(one.name): (one.name, one.version) for one in recorded.packages}
    named = {normal(name) for name in recorded.closure.packages} if recorded.closure else set()
    changes = [
        Change(
            name=(old.get(name) or present[name])[0],
            recorded=old[name][1] if name in old else None,
            here=present[name][1] if name in present else None,
            named=name in named,
        )
        for name in sorted(old.keys() | present.keys())
        if name not in old or name not in present or not _equal(old[name][1], present[name][1])
    ]
    order = {"changed": 0, "missing": 1, "added": 2}
    return sorted(changes, key=lambda change: (not change.named, order[change.kind], change.name))


def _equal(one: str, other: str) -> bool:
    if one == other:
        return True
    from packaging.version import InvalidVersion, Version

    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return False


def _ask(python: Path) -> tuple[str, str, dict[str, tuple[str, str]]]:
    from reprokit.code import distributions
    from reprokit.errors import EnvironmentBuildError
    from reprokit.reproduce.environment import interpreters

    found = interpreters.ask(python, site=True)
    if found is None:
        raise EnvironmentBuildError(f"{python} does not run, or is no Python 3")
    present: dict[str, tuple[str, str]] = {}
    for folder in found.path:
        for one in distributions.listed(folder):
            present.setdefault(normal(one.name), (one.name, one.version))
    return found.implementation, found.version, present
