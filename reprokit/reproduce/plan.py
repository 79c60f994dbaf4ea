"""What there is to repeat a run with, what is missing, and how to get it.  Making a plan changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog import reused
from reprokit.catalog.diff import facts as facts_of
from reprokit.code.tree import TreeStore
from reprokit.errors import GitError, ReprokitError
from reprokit.model import naming
from reprokit.reproduce import call as calls
from reprokit.reproduce import inputs as search
from reprokit.reproduce.code import Code, Source
from reprokit.reproduce.result import Line
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import GitInfo
    from reprokit.reproduce.call import Call
    from reprokit.reproduce.environment.differences import Differences
    from reprokit.reproduce.inputs import Input


@dataclass(frozen=True)
class Plan:
    """How a run is going to be repeated.

    Attributes
    ----------
    blocking : list of str
        Why it can't be; empty when it can.
    """

    run: Run | Child
    facts: Facts
    vault: Path
    project: Path  # where it lies now
    call: Call | None
    source: Source | None
    inputs: list[Input]
    differences: Differences | None
    together: bool  # all root runs of the recorded process are repeated
    lines: list[Line] = field(default_factory=list)
    blocking: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def make(
    index: Index,
    run: Run | Child,
    *,
    given: Mapping[str, Path] | None = None,
    rebuild: bool = False,
    whole: bool = False,
) -> Plan:
    """Find out how a run can be repeated.

    Parameters
    ----------
    index
        Of its vault.
    run
        A root run; or a child run, which is repeated alone, or, when that can't be, with the root run around it.
    given
        Inputs by path or name, where the user says they lie.
    rebuild
        Whether the recorded environment is going to be built.
    whole
        Whether the process is started as it was, even where a function could be called alone.

    Raises
    ------
    RecordError
        When its record cannot be read at all.
    """
    vault = index.vault.path
    lines: list[Line] = []
    blocking: list[str] = []
    notes: list[str] = []
    run = _original(index, run, notes)
    facts = facts_of.of(run, vault)
    call, lacking = calls.call_of(facts, whole=whole)
    if call is None and run is not run.root:
        around = facts_of.of(run.root, vault)
        call, more = calls.call_of(around, whole=whole)
        if call is not None:
            notes.append(f"{'; '.join(lacking)}; so {run.root.what}, the run around {run.what}, is repeated as a whole")
            run, facts, lacking = run.root, around, more
        else:
            lacking += more
    recorded = Path(run.root.pre.root_directory)
    project = recorded if recorded.is_dir() else vault.parent
    source = _source(facts, project, lines, blocking)
    differences = _environment(facts, lines, rebuild=rebuild)
    _variables(facts, lines, blocking)
    lines += [Line(label="call", what=run.what, said=one, state="missing") for one in lacking]
    blocking += lacking
    if call is not None and call.mode == "script" and source is not None and not Code(source, vault).has(call.target):
        said = "is not in the code that was kept; git ignores it, or it lies outside the project"
        lines.append(Line(label="script", what=call.target, said=said, state="missing"))
        blocking.append(f"{call.target} {said}")
    together = call is not None and call.mode in ("script", "module", "code")
    code = Code(source, vault) if source is not None else None
    in_code = code.holds if code is not None else _nowhere
    inputs = search.find(index, run, project, given or {}, whole=together, in_code=in_code)
    for wanted in inputs:
        lines.append(wanted.line())
        if wanted.missing:
            blocking.append(f"input {wanted.path} is missing: {wanted.remedy()}")
    unknown = [
        name for name in given or {} if not any(one.path == name or one.path.endswith(f"/{name}") for one in inputs)
    ]
    if unknown:
        blocking.append(f"it has no input {', '.join(unknown)}; --plan lists those that it has")
    states = sorted(run.root.pre.random_state) if run is run.root else []
    if states:
        lines.append(
            Line(label="random state", what=", ".join(states), said="restored; private generators can't be seen")
        )
    if facts.end is None or run.status in ("running", "interrupted"):
        notes.append(f"the recorded run was {run.status}, so there is little to compare with")
    return Plan(
        run=run, facts=facts, vault=vault, project=project, call=call, source=source, inputs=inputs,
        differences=differences, together=together, lines=lines, blocking=blocking, notes=notes,
    )  # fmt: skip


def _nowhere(path: str, digest: str) -> bool:
    return False


def _original(index: Index, run: Run | Child, notes: list[str]) -> Run | Child:
    """Give the run that executed what a run gave, as far as the vault still has it.

    A repetition's folder is gone, so what it repeated is repeated; what used a result again executed nothing.
    """
    seen: set[str] = set()
    while (of := run.root.pre.reproduction_of) is not None and of not in seen:
        seen.add(of)
        row = index.db.execute("SELECT id FROM runs WHERE run_id = ?", (of,)).fetchone()
        if row is None:
            break
        notes.append(f"run {run.run_id[:8]} repeated run {of[:8]}, which is the one that is repeated")
        run = index.run(row[0])
    made = reused.origin(index, run)
    if made is not None:
        notes.append(
            f"run {run.run_id[:8]} used the result of run {made.run_id[:8]}, which is the one that is repeated"
        )
    return made or run


def _source(facts: Facts, project: Path, lines: list[Line], blocking: list[str]) -> Source | None:
    said = facts.run.commit or "no commit"
    store = TreeStore(Vault(facts.vault).code)
    problem = "it kept no snapshot"
    wanted = facts.snapshot.digest if facts.snapshot else naming.tree_in(facts.run.commit)
    if wanted is not None:
        try:
            digest = store.resolve(wanted)
        except ReprokitError as error:
            problem = f"its snapshot is gone ({error})"
        else:
            changed = facts.context.git if facts.context else {}
            dirty = next(iter(changed.values()), None)
            more = f" + {dirty.changed_count} changed file(s)" if dirty is not None and dirty.dirty else ""
            short = digest.rpartition(":")[2][:7]
            lines.append(
                Line(label="code", what=f"{said.partition('-')[0]}{more}", said=f"restored from snapshot {short}")
            )
            _left_out(facts, lines)
            return Source(tree=digest)
    own = next(iter(facts.context.git.values()), None) if facts.context else None
    found, why = _commit(facts, own, project)
    if found is not None and own is not None and own.sha is not None:
        patched = " + its uncommitted changes" if found.patch else ""
        lines.append(Line(label="code", what=f"{own.sha[:7]}{patched}", said="restored from the repository's commit"))
        return found
    told = f"{problem}; {why}"
    lines.append(Line(label="code", what=said, said=told, state="missing", remedy="record with @rk.snapshot_code"))
    blocking.append(f"its code is not at hand: {told}")
    return None


def _commit(facts: Facts, own: GitInfo | None, project: Path) -> tuple[Source | None, str]:
    from reprokit import git

    if own is None or own.sha is None:
        return None, "there was no commit"
    patch = facts.run.folder / own.diff if own.diff and "/" not in own.diff else None
    if own.dirty is None or (own.dirty and not (patch is not None and patch.is_file())):
        return None, "its uncommitted changes were not kept"
    for root in dict.fromkeys((project, facts.vault.parent)):
        try:
            git.run(root, "cat-file", "-e", f"{own.sha}^{{commit}}")
        except (GitError, OSError):
            continue
        return Source(commit=own.sha, patch=patch if own.dirty else None, root=root), ""
    return None, f"no repository here has commit {own.sha[:12]}"


def _left_out(facts: Facts, lines: list[Line]) -> None:
    left = facts.snapshot.left_out[:20] if facts.snapshot else []
    lines += [
        Line(label="left out", what=one.path, said=f"the snapshot does not hold it: {one.reason}", state="other")
        for one in left
        if one.digest is None
    ]


def _environment(facts: Facts, lines: list[Line], *, rebuild: bool) -> Differences | None:
    from reprokit.reproduce.environment.differences import differences

    context = facts.surroundings or facts.context
    if context is None:
        lines.append(Line(label="environment", what="?", said="its record cannot be read", state="other"))
        return None
    python = context.platform.python
    what = f"{'Python' if python.implementation == 'CPython' else python.implementation} {python.version}, {len(context.packages)} packages"
    if rebuild:
        lines.append(Line(label="environment", what=what, said="will be built"))
        return None
    found = differences(context)
    if found.same:
        lines.append(Line(label="environment", what=what, said="same as recorded"))
    else:
        shown = found.lines
        more = f" ... {len(shown) - 5} more" if len(shown) > 5 else ""
        lines.append(
            Line(label="environment", what=what, said=f"differs here: {', '.join(shown[:5])}{more}", state="other",
                 remedy="--env rebuild builds the recorded one")
        )  # fmt: skip
    return found


def _variables(facts: Facts, lines: list[Line], blocking: list[str]) -> None:
    """Name the environment variables whose value no record holds."""
    from reprokit.reproduce.environment.variables import variables

    context = facts.surroundings or facts.context
    for name in variables(context, os.environ)[1] if context is not None else ():
        said = "was a secret, so no record holds it"
        lines.append(Line(label="variable", what=name, said=said, state="missing", remedy=f"set {name} before"))
        blocking.append(f"environment variable {name} was a secret: set it, then try again")
