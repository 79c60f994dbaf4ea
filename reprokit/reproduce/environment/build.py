"""Builds the environment of a record: its Python, its packages in exactly their versions, and the running reprokit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from reprokit._version import __version__
from reprokit.errors import EnvironmentBuildError
from reprokit.reproduce.environment import cache, fill, interpreters, own, uv
from reprokit.reproduce.environment.lines import Missing
from reprokit.reproduce.environment.pip import Pip
from reprokit.reproduce.environment.wanted import Wanted, requirements

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.model.records import ContextRecord

Tool = Literal["uv", "pip"]


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """An environment that is there.

    Attributes
    ----------
    python
        Its interpreter.
    folder
        Where it lies, in the user's cache.
    notes
        What is not as recorded, and what was made of it; a sentence each.
    missing
        Packages that it lacks; only with ``best_effort``.
    reused
        Whether it was there already.
    """

    python: Path
    folder: Path
    notes: list[str] = []
    missing: list[Missing] = []
    reused: bool = False


def build(
    recorded: ContextRecord,
    *,
    wheels: Path | None = None,
    offline: bool = False,
    snapshot: Path | None = None,
    progress: Callable[[str], None] | None = None,
    best_effort: bool = False,
    tool: Tool | None = None,
) -> Built:
    """Build the virtual environment of a record, or give the one that was built before.

    Parameters
    ----------
    recorded
        Context of a run.
    wheels
        A folder of wheels, which alone is installed from; no index is asked.
    offline
        Install only what the installer has in its cache.
    snapshot
        Folder with the restored code; packages that were installed from the project are installed from there.
    progress
        Told what is being done, a sentence each.
    best_effort
        Go on without packages that can't be had, and with another Python when there is none of the recorded minor version.
    tool
        What builds it; by default uv where it is, else ``venv`` and pip.

    Raises
    ------
    EnvironmentBuildError
        When the interpreter or packages can't be had; it names all of them, and what could be done.
    """
    tell = progress or (lambda _: None)
    interpreter = interpreters.find(recorded.platform.python, best_effort=best_effort)
    wanted = [one for one in requirements(recorded) if one.name != own.NAME]
    more, notes = own.lacking(wanted)
    notes = [*_said(recorded, interpreter, wanted), *notes]
    plan = fill.Plan(
        wanted=[*wanted, *more],
        interpreter=interpreter,
        wheels=wheels.resolve() if wheels else None,
        offline=offline,
        snapshot=snapshot.resolve() if snapshot else None,
        python_path=recorded.python_path,
        best_effort=best_effort,
    )
    if plan.wheels is not None and not plan.wheels.is_dir():
        raise EnvironmentBuildError(f"{plan.wheels}, the folder of wheels, is not there")
    named = own.digest()
    slot = cache.Slot(cache.root(), plan.digest(named))
    with slot.held():
        copied = own.copy(slot.where, named)
        mark = _usable(slot, plan, copied)
        reused = mark is not None and not mark.missing
        if mark is None or mark.missing:
            if mark is None:
                slot.clear()
                cache.sweep(slot)
            mark = _made(slot, plan, mark, copied, _back_end(tool), tell)
            slot.finish(mark)
    folder = slot.folder(mark)
    missing = [f"{one}" for one in mark.missing]
    return Built(
        python=cache.python_of(folder),
        folder=folder,
        notes=[*notes, *mark.notes, *missing],
        missing=mark.missing,
        reused=reused,
    )


def _usable(slot: cache.Slot, plan: fill.Plan, copied: Path) -> cache.Mark | None:
    """Look at what was built before; None when it is not finished, or no longer what it says."""
    mark = slot.read()
    if mark is None:
        return None
    folder = slot.folder(mark)
    packages = plan.packages_in(folder)
    if cache.installed(packages) != mark.packages or not cache.runs(folder, plan.interpreter.version):
        return None
    return mark if own.leads_to(packages, copied) else None


def _made(
    slot: cache.Slot,
    plan: fill.Plan,
    before: cache.Mark | None,
    copied: Path,
    back_end: fill.BackEnd,
    tell: Callable[[str], None],
) -> cache.Mark:
    """Make an environment, or complete the one that was made `before`."""
    folder = slot.folder(before)
    python = cache.python_of(folder)
    try:
        if before is None:
            tell(f"making an environment of Python {plan.interpreter.version} with {back_end.name}")
            failure = back_end.make(folder, plan.interpreter.executable)
            if failure is not None:
                raise EnvironmentBuildError(f"{back_end.name} can't make an environment: {failure.said}")
            todo = plan.wanted
        else:  # what was missing may have come
            lacking = {one.name for one in before.missing}
            todo = [one for one in plan.wanted if one.name in lacking]
        tell(f"installing {len(todo)} packages with {back_end.name}")
        filled = fill.fill(plan, todo, folder, back_end)
        back_end.finish(python, frozenset(one.name for one in plan.wanted))
        if filled.missing and not plan.best_effort:
            raise EnvironmentBuildError("the recorded environment can't be built", tuple(map(str, filled.missing)))
        own.install(plan.packages_in(folder), python, copied)
    except BaseException:
        if before is None:
            slot.clear()
        raise
    old = before.notes if before else []
    return cache.Mark(
        digest=slot.digest,
        folder=folder.name,
        python=plan.interpreter.version,
        packages=cache.installed(plan.packages_in(folder)),
        missing=filled.missing,
        notes=[*old, *filled.notes],
        tool=back_end.name,
        snapshot=str(plan.snapshot) if plan.lies_in_snapshot else None,
    )


def _back_end(tool: Tool | None) -> fill.BackEnd:
    binary = None if tool == "pip" else uv.find()
    if binary is not None:
        return uv.Uv(binary)
    if tool == "uv":
        from reprokit.errors import MissingExtraError

        raise MissingExtraError("uv", "env")
    return Pip()


def _said(recorded: ContextRecord, interpreter: interpreters.Interpreter, wanted: list[Wanted]) -> list[str]:
    """Say what will not be as recorded, before anything is done."""
    from reprokit.capture import host

    notes = [interpreter.note] if interpreter.note else []
    before, here = recorded.platform, host.platform_info()
    if (before.system, before.machine) != (here.system, here.machine):
        notes.append(
            f"recorded on {before.system} {before.machine}; this is {here.system} {here.machine}: the same versions, but other builds of them"
        )
    own_version = next((one.version for one in recorded.packages if one.name.lower() == own.NAME), None)
    if own_version is not None and own_version != __version__:
        notes.append(f"reprokit {own_version} was recorded; {__version__}, which runs this, records again")
    notes += [f"{one.said}: {one.note}" for one in wanted if one.note and one.kind != "unknown"]
    return notes
