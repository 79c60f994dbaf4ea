"""Repeating a run: restore, start, compare, say how it came out."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from reprokit import settings
from reprokit.catalog import find
from reprokit.catalog.index import Index, ask
from reprokit.catalog.run import Child
from reprokit.errors import ReproduceError, VaultError
from reprokit.recorder.replayed import VARIABLE, Identity, Was
from reprokit.reproduce import inputs, inside, outputs, restore
from reprokit.reproduce import plan as plans
from reprokit.reproduce.entry import Spec
from reprokit.reproduce.environment.variables import unset, variables
from reprokit.reproduce.result import Reproduction
from reprokit.reproduce.verdict import Verdict
from reprokit.vault import marks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reprokit.catalog.run import Run
    from reprokit.model.records import SnapshotInfo
    from reprokit.reproduce.plan import Plan
    from reprokit.settings import Settings

_TAIL = 15  # lines of what it printed, told when it failed


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
    wanted: str,
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
) -> Reproduction:
    """Run a recorded run again in a folder of its own, and compare.

    Parameters
    ----------
    wanted
        A run: the beginning of its id, a tag, ``@``, or a file that it made.
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
    made = ask(place, lambda index: plans.make(index, find.one(index, wanted), given=named, rebuild=rebuild))
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
        notes = [*plan.notes, *restore.restore(plan, fresh)]
        notes += [f"best effort: {one}" for one in plan.blocking]
        python = None
        if options.rebuild:
            python, told = _build(plan, fresh, options)
            notes += told
        began = time.time()
        code, printed = _start(plan, scratch, fresh, options, python)
        found = ask(plan.vault, lambda index: _judge(index, plan, chosen, options, fresh, began, code, printed, notes))
        if options.report is not None:  # now: the files of this time are about to go
            from reprokit.reproduce import report

            options.report.write_text(report.html(found), "utf-8")
        return found


def _build(plan: Plan, fresh: Path, options: Options) -> tuple[Path, list[str]]:
    """Build the recorded environment; give its interpreter, and what there is to know about it."""
    from reprokit.reproduce.environment.build import build

    context = plan.facts.surroundings or plan.facts.context
    if context is None:
        raise ReproduceError(f"run {plan.run.run_id[:8]}", "has no readable record of its environment")
    built = build(
        context, wheels=options.wheels, offline=options.offline, snapshot=fresh, best_effort=options.best_effort
    )
    return built.python, built.notes


# --- the process -------------------------------------------------------------------------------------------------------


def _start(plan: Plan, scratch: Path, fresh: Path, options: Options, built: Path | None) -> tuple[int, str]:
    assert plan.call is not None
    pre = plan.run.root.pre
    below = os.path.relpath(pre.cwd, pre.root_directory) if pre.cwd else "."
    cwd = fresh if below.startswith("..") else fresh / below
    cwd.mkdir(parents=True, exist_ok=True)
    context = plan.facts.context
    spec = Spec(
        call=plan.call,
        python_path=[str(fresh / path) if path else str(fresh) for path in (context.python_path if context else [""])],
        protected=str(plan.project),
        vault=str(plan.vault),
        moved=str(fresh),
        parent=os.getpid(),
    )
    (scratch / "spec.json").write_bytes(msgspec.json.encode(spec))
    (scratch / "identity.json").write_bytes(msgspec.json.encode(_identity(plan, fresh)))
    environ = _environment(plan, scratch, fresh, built)
    if options.in_process:
        return inside.call(plan, spec, cwd, environ)
    python = str(built or sys.executable)
    command = [python, *plan.call.flags, "-P", "-m", "reprokit.reproduce.entry", str(scratch / "spec.json")]
    output = scratch / "output.txt"
    with open(output, "wb") as stream:
        target = None if options.show_output else stream
        process = subprocess.Popen(
            command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL,
            stdout=target, stderr=target and subprocess.STDOUT,
        )  # fmt: skip
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
            raise
    return code, output.read_bytes().decode(errors="replace")


def _environment(plan: Plan, scratch: Path, fresh: Path, built: Path | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REPROKIT_")}
    context = plan.facts.surroundings or plan.facts.context
    if context is not None:
        for name in unset(context, os.environ):
            kept.pop(name, None)
        kept.update(variables(context, os.environ, fresh)[0])
    kept["REPROKIT_ROOT"] = str(fresh)
    kept["REPROKIT_VAULT_DIRECTORY"] = str(plan.vault)
    kept[VARIABLE] = str(scratch / "identity.json")
    if built is not None:  # its commands are found before those of the present environment
        kept["PATH"] = os.pathsep.join([str(built.parent), kept.get("PATH", "")])
        kept["VIRTUAL_ENV"] = str(built.parent.parent)
    else:
        home = Path(__file__).resolve().parents[2]
        if home.name not in ("site-packages", "dist-packages"):  # a checkout, which the new process may not know of
            kept["PYTHONPATH"] = os.pathsep.join(filter(None, [kept.get("PYTHONPATH"), str(home)]))
    return kept


def _identity(plan: Plan, fresh: Path) -> Identity:
    facts, root = plan.facts, plan.run.root
    context = facts.context
    git = context.git if context else {}
    return Identity(
        root=str(fresh),
        name=next(iter(git), fresh.name),
        git=git,
        snapshot=_snapshot(plan),
        argv=root.pre.argv,
        runs=_runs(plan),
        folder=str(root.folder),
    )


def _runs(plan: Plan) -> list[Was]:
    """Say which runs the process had: all of them when it is started as it was, else the one that is called alone."""
    run = plan.run
    assert plan.call is not None
    if isinstance(run, Child):
        return [Was(run_id=run.run_id, function=run.function, kind=run.kind)]
    together = [run] if plan.call.mode in ("function", "command") else inputs.same_process(run)
    return [
        Was(run_id=one.run_id, function=one.function, kind=one.kind, random_state=one.pre.random_state)
        for one in together
    ]


def _snapshot(plan: Plan) -> SnapshotInfo | None:
    from reprokit.model.records import SnapshotInfo

    if plan.facts.snapshot is not None:
        return plan.facts.snapshot
    if plan.source is None or plan.source.tree is None:
        return None
    digest = plan.source.tree
    return SnapshotInfo(digest=digest, ref=f"refs/trees/{digest.partition(':')[2]}", files=0)


# --- what came of it ---------------------------------------------------------------------------------------------------


def _judge(
    index: Index,
    plan: Plan,
    chosen: Settings,
    options: Options,
    fresh: Path,
    began: float,
    code: int,
    printed: str,
    notes: list[str],
) -> Reproduction:
    new = _new_run(index, plan.run.run_id, began)
    told = Reproduction(
        run_id=plan.run.run_id, what=plan.run.what, lines=plan.lines, notes=notes, recorded_took=plan.run.duration
    )
    if new is None:
        tail = "\n".join(printed.splitlines()[-_TAIL:])
        said = f"it ended with {code} before the run began{':' if tail else ''}\n{tail}".strip()
        verdict = Verdict(name="run", outcome="missing", said=said, kind="value")
        return msgspec.structs.replace(told, verdicts=[verdict])
    comparison = outputs.Comparison(index, plan.project, fresh, chosen, options.rtol, options.atol)
    comparison.runs(plan.run, new)
    verdicts = comparison.verdicts or [
        Verdict(
            name="run",
            outcome="identical",
            said="it ended as recorded, and neither left anything to compare",
            kind="value",
        )
    ]
    wrote = outputs.outside(new, fresh)
    if wrote:
        notes = [*notes, f"it wrote outside its folder: {', '.join(wrote[:5])}{' ...' if len(wrote) > 5 else ''}"]
    found = msgspec.structs.replace(
        told, new_run_id=new.run_id, verdicts=verdicts, files=comparison.files, notes=notes, took=new.duration
    )
    try:
        marks.verdict(new, "reproduced" if found.reproduced else "not reproduced")
    except VaultError as error:
        found = msgspec.structs.replace(found, notes=[*found.notes, f"the verdict could not be kept: {error}"])
    return found


def _new_run(index: Index, run_id: str, began: float) -> Run | Child | None:
    query = "SELECT id FROM runs WHERE reproduction_of = ? AND started >= ? ORDER BY started DESC LIMIT 1"
    for (row,) in index.db.execute(query, (run_id, began - 1)):
        return index.run(row)
    return None


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
