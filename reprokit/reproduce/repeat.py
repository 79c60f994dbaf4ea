"""Repeating a run: restore, start, compare, say how it came out."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from reprokit import settings
from reprokit.catalog import find
from reprokit.catalog.index import ask
from reprokit.errors import ReproduceError
from reprokit.reproduce import plan as plans
from reprokit.reproduce import restore, start
from reprokit.reproduce.judge import Ended, judge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reprokit.catalog.run import Child, Run
    from reprokit.reproduce.plan import Plan
    from reprokit.reproduce.result import Reproduction
    from reprokit.settings import Settings


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to repeat a run.

    Attributes
    ----------
    rebuild : bool
        Whether the recorded environment is built, instead of taking the present one.
    wheels : Path or None
        A folder of wheels to build it from.
    offline : bool
        Whether the network is left alone.
    best_effort : bool
        Whether to go on with what there is.
    rtol, atol : float or None
        Tolerances for numbers; None: as the settings say.
    keep : Path or None
        Folder to restore into, which stays.
    show_output : bool
        Whether what the run prints appears.
    in_process : bool
        Whether a function is called in this process, its code imported apart.
    report : Path or None
        A page to write, with all outputs side by side.
    """

    rebuild: bool = False
    wheels: Path | None = None
    offline: bool = False
    best_effort: bool = False
    rtol: float | None = None
    atol: float | None = None
    keep: Path | None = None
    show_output: bool = False
    in_process: bool = False
    report: Path | None = None


def run(
    wanted: str | Run | Child,
    *,
    vault: str | os.PathLike[str] | None = None,
    given: Mapping[str, str] | None = None,
    env: Literal["current", "rebuild"] = "current",
    wheels: str | os.PathLike[str] | None = None,
    offline: bool = False,
    best_effort: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    into: str | os.PathLike[str] | None = None,
    in_process: bool = False,
    whole: bool = False,
) -> Reproduction:
    """Run a recorded run again in a folder of its own, and compare.

    Parameters
    ----------
    wanted
        A run, or the beginning of its id, a tag, ``@``, or a file that it made.
    vault
        By default that of the project that the working folder belongs to.
    given
        Where inputs lie: path or name -> file.
    env
        ``"rebuild"`` builds the recorded environment first.
    wheels, offline
        A folder of wheels to build it from; whether the network is left alone.
    best_effort
        Whether to go on with what there is.
    rtol, atol
        Tolerances of numbers; None: as the settings say.
    into
        A new folder to restore into, which stays.
    in_process
        Whether a function is called in this process, its code imported apart.
    whole
        Whether the process is started as it was, even where a function could be called alone.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError
    ReproduceError
        When something is missing; it says what, and how to get it.
    EnvironmentBuildError
        When the environment can't be built.
    """
    found = settings.current()
    place = Path(os.path.abspath(vault)) if vault is not None else found.vault
    named = given_inputs(given or {})
    rebuild = env == "rebuild"
    told = wanted if isinstance(wanted, str) else wanted.run_id
    made = ask(place, lambda index: plans.make(index, find.one(index, told), given=named, rebuild=rebuild, whole=whole))
    options = Options(
        rebuild=rebuild, wheels=Path(wheels) if wheels else None, offline=offline, best_effort=best_effort, rtol=rtol,
        atol=atol, keep=Path(into) if into else None, in_process=in_process,
    )  # fmt: skip
    return repeat(made, found, options)


def repeat(plan: Plan, chosen: Settings, options: Options) -> Reproduction:
    """Carry out a plan and compare.

    The user's project is left as it is; what the run writes goes to a folder of its own, and its record into the vault.

    Raises
    ------
    ReproduceError
        When something is missing, and the best effort is not asked for.
    EnvironmentBuildError
        When the environment can't be built.
    """
    if plan.blocking and not options.best_effort:
        raise ReproduceError(f"run {plan.run.run_id[:8]}", f"can't be repeated: {'; '.join(plan.blocking)}")
    if plan.call is None:
        raise ReproduceError(f"run {plan.run.run_id[:8]}", "can't be repeated: there is nothing to start")
    with restore.scratch(options.keep) as scratch:
        fresh = scratch / (Path(plan.run.root.pre.root_directory).name or "project")
        notes = restore.restore(plan, fresh)
        notes += [f"best effort: {one}" for one in plan.blocking]
        python = None
        if options.rebuild:
            python, told = start.build(
                plan, fresh, wheels=options.wheels, offline=options.offline, best_effort=options.best_effort
            )
            notes += told
        began = time.time()
        code, printed = start.start(
            plan, scratch, fresh, python=python, in_process=options.in_process, show_output=options.show_output
        )
        ended = Ended(began, code, printed)
        found = ask(plan.vault, lambda index: judge(index, plan, fresh, ended, chosen, options.rtol, options.atol))
        found = msgspec.structs.replace(found, notes=[*found.notes, *notes])
        if options.report is not None:  # now: the files of this time are about to go
            from reprokit.reproduce import report

            options.report.write_text(report.html(found), "utf-8")
        return found


def given_inputs(told: Mapping[str, str]) -> dict[str, Path]:
    """Check the inputs that a user names.

    Raises
    ------
    ReproduceError
        When one is not there.
    """
    found = {}
    for name, path in told.items():
        place = Path(path).resolve()
        if not place.exists():
            raise ReproduceError(path, f"is not there; --input {name}=PATH names the file to use for {name}")
        found[name] = place
    return found
