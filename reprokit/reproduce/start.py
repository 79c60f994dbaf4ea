"""The process that repeats a run: its interpreter, its variables, and who it stands for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from reprokit.catalog.run import Child
from reprokit.errors import ReproduceError
from reprokit.recorder.replayed import VARIABLE, Identity, Was
from reprokit.reproduce import inputs, inside
from reprokit.reproduce.entry import Spec
from reprokit.reproduce.environment.variables import unset, variables

if TYPE_CHECKING:
    from reprokit.model.records import SnapshotInfo
    from reprokit.reproduce.plan import Plan


def start(
    plan: Plan, scratch: Path, fresh: Path, *, python: Path | None, in_process: bool, show_output: bool
) -> tuple[int, str]:
    """Start the run in the fresh folder and wait for its end; give the exit code, and what it printed.

    Parameters
    ----------
    scratch
        Where the process finds what to do; `fresh` lies in it.
    python
        The interpreter of a rebuilt environment; None for the present one.
    """
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
    environ = _environment(plan, scratch, fresh, python)
    if in_process:
        return inside.call(plan, spec, cwd, environ)
    command = [
        str(python or sys.executable),
        *plan.call.flags,
        "-P",
        "-m",
        "reprokit.reproduce.entry",
        str(scratch / "spec.json"),
    ]
    output = scratch / "output.txt"
    with open(output, "wb") as stream:
        target = None if show_output else stream
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


def build(plan: Plan, fresh: Path, *, wheels: Path | None, offline: bool, best_effort: bool) -> tuple[Path, list[str]]:
    """Build the recorded environment; give its interpreter, and what there is to know about it."""
    from reprokit.reproduce.environment.build import build as build_environment

    context = plan.facts.surroundings or plan.facts.context
    if context is None:
        raise ReproduceError(f"run {plan.run.run_id[:8]}", "has no readable record of its environment")
    built = build_environment(context, wheels=wheels, offline=offline, snapshot=fresh, best_effort=best_effort)
    return built.python, built.notes
