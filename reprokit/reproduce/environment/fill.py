"""Fills an environment with packages, all at once where that works, else as many as can be had."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from reprokit.errors import EnvironmentBuildError
from reprokit.reproduce.environment import cache, lines, linked
from reprokit.reproduce.environment.interpreters import Interpreter
from reprokit.reproduce.environment.lines import Missing
from reprokit.reproduce.environment.outcome import Failure
from reprokit.reproduce.environment.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class BackEnd(Protocol):
    """What makes environments and installs into them."""

    @property
    def name(self) -> str: ...
    def make(self, folder: Path, interpreter: Path) -> Failure | None: ...
    def install(self, python: Path, file: Path, *, wheels: Path | None, offline: bool) -> Failure | None: ...
    def finish(self, python: Path, wanted: frozenset[str]) -> None: ...


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be built, and from where."""

    wanted: list[Wanted]
    interpreter: Interpreter
    wheels: Path | None
    offline: bool
    snapshot: Path | None
    python_path: list[str]
    best_effort: bool

    @property
    def lies_in_snapshot(self) -> bool:
        """Whether part of the environment stays in the snapshot's folder."""
        return self.snapshot is not None and any(one.inside is not None for one in self.wanted)

    def packages_in(self, folder: Path) -> Path:
        """Give the folder that packages are installed into."""
        return cache.packages_of(folder, self.interpreter.version, self.interpreter.implementation)

    def digest(self, reprokit: str) -> str:
        """Name what will come out: interpreter, packages and their origins, the running reprokit.  Hex digits."""
        wheels = []
        if self.wheels is not None and self.wheels.is_dir():
            stats = ((one.name, one.stat()) for one in os.scandir(self.wheels) if one.name.endswith(".whl"))
            wheels = sorted((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
        interpreter = [os.path.realpath(self.interpreter.executable), self.interpreter.version]
        snapshot = str(self.snapshot) if self.lies_in_snapshot else None
        named = [2, interpreter, sorted(self.wanted, key=lambda one: one.name), wheels, snapshot, reprokit]
        return hashlib.sha256(msgspec.json.encode(named)).hexdigest()


class Filled(msgspec.Struct, frozen=True):
    """How an installation ended."""

    missing: list[Missing]
    notes: list[str]


def fill(plan: Plan, todo: list[Wanted], folder: Path, back_end: BackEnd) -> Filled:
    """Install packages into the environment in `folder`.

    Raises
    ------
    EnvironmentBuildError
        When the registry can't be reached; with `Plan.best_effort` what the installer has in its cache is installed then.
    """
    missing: list[Missing] = []
    asked: dict[str, Wanted] = {}
    for one in todo:
        found = lines.line(one, snapshot=plan.snapshot, wheels=plan.wheels)
        if isinstance(found, Missing):
            missing.append(found)
        else:
            asked[found] = one
    notes: list[str] = []
    python = cache.python_of(folder)
    offline = plan.offline

    def attempt(part: Sequence[str]) -> Failure | None:
        with tempfile.TemporaryDirectory(prefix="reprokit-") as place:
            file = Path(place, "requirements.txt")
            file.write_text("".join(f"{line}\n" for line in part), encoding="utf-8")
            return back_end.install(python, file, wheels=plan.wheels, offline=offline)

    failure = attempt(list(asked)) if asked else None
    if failure is not None and failure.unreachable and not plan.best_effort:
        raise EnvironmentBuildError(
            f"the registry can't be reached ({failure.said}); offline=True installs what is in the installer's cache, "
            "wheels=FOLDER from a folder"
        )
    if failure is not None and failure.unreachable:
        notes.append(f"the registry can't be reached; only what was in the cache is installed ({failure.said})")
        offline = True
        failure = attempt(list(asked))
    if failure is not None:
        failed = apart(list(asked), attempt, failure)
        for line, reason in failed.items():
            one = asked[line]
            if line.startswith("-e ") and plan.snapshot is not None:
                notes.append(linked.link(one, plan.snapshot, plan.packages_in(folder), plan.python_path, reason.said))
                continue
            remedy = lines.remedy(one, wheels=plan.wheels, offline=offline)
            missing.append(Missing(name=one.name, version=one.version, reason=reason.said, remedy=remedy))
    strange, said = _strange(list(asked.values()), {one.name for one in missing}, plan.packages_in(folder))
    return Filled(missing + strange, notes + said)


def apart(asked: list[str], attempt: Callable[[list[str]], Failure | None], failure: Failure) -> dict[str, Failure]:
    """Find out which requirements fail, when all of them together did: halves of halves, for most of them do not."""
    if len(asked) == 1:
        return {asked[0]: failure}
    failed: dict[str, Failure] = {}
    middle = len(asked) // 2
    for half in (asked[:middle], asked[middle:]):
        said = attempt(half)
        if said is not None:
            failed.update(apart(half, attempt, said))
    return failed


def _strange(asked: list[Wanted], missing: set[str], packages: Path) -> tuple[list[Missing], list[str]]:
    """Compare what is installed with what was asked for: a user's own overrides may have steered an installer."""
    from packaging.version import Version

    present = cache.installed(packages)
    strange: list[Missing] = []
    notes: list[str] = []
    for one in asked:
        if one.name in missing:
            continue
        version = present.get(one.name)
        if version is None:
            strange.append(Missing(name=one.name, version=one.version, reason="it was installed and is not there"))
        elif Version(version) != Version(one.version):
            if one.kind == "index":
                reason = f"{version} was installed in its place"
                strange.append(
                    Missing(
                        name=one.name,
                        version=one.version,
                        reason=reason,
                        remedy="is it overridden in the installer's configuration?",
                    )
                )
            else:  # versions that are made up from a repository's state
                notes.append(f"{one.name} says that it is {version}; {one.version} was recorded")
    return strange, notes
