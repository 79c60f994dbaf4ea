"""What was around the runs: packages, Python, hardware, random state, environment, system, place."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.catalog.diff import values
from reprokit.catalog.diff.call import REDACTED, is_damaged, why
from reprokit.catalog.diff.result import Row, settle
from reprokit.code.distributions import normal

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.diff.result import Aspect
    from reprokit.model.records import ContextRecord, Package

# Where a job ran, which says nothing of how.
_PLACES = frozenset(
    ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV", "SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "JOB_ID")
)
_ALL_FLAGS = 8  # of a processor; more that differ are counted


def _with_both(a: Facts, b: Facts, name: str, compare: Callable[[ContextRecord, ContextRecord], list[Row]]) -> Aspect:
    """Compare what both surroundings tell, or say which is not at hand."""
    if a.surroundings is None or b.surroundings is None:
        document = "surroundings" if "surroundings" in {**a.missing, **b.missing} else "context"
        return settle(name, "cause", [], reason=why(a, b, document), damaged=is_damaged(a, b, document))
    return settle(name, "cause", compare(a.surroundings, b.surroundings))


# --- packages --------------------------------------------------------------------------------------------------------


def packages(a: Facts, b: Facts) -> Aspect:
    """Compare installed packages; those that the function's code names come first."""
    named = {normal(name) for facts in (a, b) if facts.closure for name in facts.closure.packages}

    def compare(first: ContextRecord, second: ContextRecord) -> list[Row]:
        before, after = ({normal(one.name): one for one in record.packages} for record in (first, second))
        order = sorted(before.keys() | after.keys(), key=lambda name: (name not in named, name))
        rows = [_package(before.get(name), after.get(name), name in named) for name in order]
        return [row for row in rows if row is not None]

    return _with_both(a, b, "packages", compare)


def _package(a: Package | None, b: Package | None, named: bool) -> Row | None:
    one = a or b
    assert one is not None
    note = "the function's code names it" if named else ""
    if a is None or b is None:
        kind: Any = "added" if a is None else "removed"
        return Row(name=one.name, kind=kind, a=a and _version(a), b=b and _version(b), note=note)
    if a.version == b.version and a.direct_url == b.direct_url:
        return None
    first, second = _version(a), _version(b)
    if first == second:
        first, second = (f"{_version(side)} from {_url(side) or 'an index'}" for side in (a, b))
    return Row(name=one.name, kind="changed", a=first, b=second, note=note)


def _version(package: Package) -> str:
    commit = _vcs(package).get("commit_id")
    return f"{package.version} ({commit[:12]})" if isinstance(commit, str) else package.version


def _vcs(package: Package) -> dict[str, Any]:
    found = (package.direct_url or {}).get("vcs_info")
    return found if isinstance(found, dict) else {}


def _url(package: Package) -> str:
    return msgspec.json.encode(package.direct_url, order="sorted").decode() if package.direct_url else ""


# --- interpreter and machine -----------------------------------------------------------------------------------------


def python(a: Facts, b: Facts) -> Aspect:
    """Compare interpreters: what decides how code runs."""

    def compare(first: ContextRecord, second: ContextRecord) -> list[Row]:
        told = [
            {
                "implementation": one.implementation,
                "version": one.version,
                "flags": " ".join(one.flags),
                "compiler": one.compiler,
                "build": f"{one.build_no} {one.build_date}".strip(),
            }
            for one in (first.platform.python, second.platform.python)
        ]
        return _in_order(told)

    return _with_both(a, b, "python", compare)


def hardware(a: Facts, b: Facts) -> Aspect:
    """Compare processors, graphics cards and how many of them could be used."""

    def compare(first: ContextRecord, second: ContextRecord) -> list[Row]:
        rows = values.rows(_processor(first), _processor(second)) + _flags(first, second)
        return rows + values.rows(_gpus(first), _gpus(second), before="gpu")

    return _with_both(a, b, "hardware", compare)


def _processor(record: ContextRecord) -> dict[str, Any]:
    cpu = {name: value for name, value in (record.cpu or {}).items() if name != "flags"}
    return {"machine": record.platform.machine, "cpu": cpu}


def _gpus(record: ContextRecord) -> list[dict[str, Any]]:
    return [{"name": gpu.name, "memory": gpu.memory, "driver": gpu.driver, "cuda": gpu.cuda} for gpu in record.gpus]


def _flags(a: ContextRecord, b: ContextRecord) -> list[Row]:
    """Give the processors' abilities that only one has: libraries choose their code by them."""
    first, second = (_known_flags(record) for record in (a, b))
    if first == second:
        return []
    only = [" ".join(sorted(one)[:_ALL_FLAGS]) + (f" ... {len(one)} in all" if len(one) > _ALL_FLAGS else "")
            for one in (first - second, second - first)]  # fmt: skip
    return [Row(name="cpu.flags", kind="changed", a=only[0], b=only[1], note="what the other one lacks")]


def _known_flags(record: ContextRecord) -> set[str]:
    found = (record.cpu or {}).get("flags")
    return set(map(str, found)) if isinstance(found, list) else set()


def system(a: Facts, b: Facts) -> Aspect:
    """Compare operating systems."""

    def compare(first: ContextRecord, second: ContextRecord) -> list[Row]:
        return _in_order(
            [
                {"system": one.system, "release": one.release, "version": one.version, "platform": one.platform}
                for one in (first.platform, second.platform)
            ]
        )

    return _with_both(a, b, "system", compare)


def _in_order(told: list[dict[str, Any]]) -> list[Row]:
    a, b = told
    return [Row(name=name, kind="changed", a=a[name], b=b[name]) for name in a if a[name] != b[name]]


# --- what differs from process to process ----------------------------------------------------------------------------


def random_state(a: Facts, b: Facts) -> Aspect:
    """Compare the states of the global random generators when the runs began, by digests."""
    if a.pre is None or b.pre is None:
        child = a.child or b.child
        reason = "it is recorded of root runs only" if child else why(a, b, "call")
        return settle("random state", "chance", [], reason=reason, damaged=not child)
    first, second = ({name: _digest(state) for name, state in pre.random_state.items()} for pre in (a.pre, b.pre))
    reason = "" if first or second else "none is recorded"
    return settle("random state", "chance", values.rows(first, second), reason=reason)


def _digest(state: Any) -> str:
    return f"sha256:{hashlib.sha256(msgspec.json.encode(state, order='sorted')).hexdigest()[:12]}"


def environment(a: Facts, b: Facts) -> Aspect:
    """Compare the environment variables that matter to results."""
    return _variables(a, b, "environment", places=False)


def _variables(a: Facts, b: Facts, name: str, *, places: bool) -> Aspect:
    def compare(first: ContextRecord, second: ContextRecord) -> list[Row]:
        before, after = (
            {key: value for key, value in record.environment_variables.items() if (key in _PLACES) == places}
            for record in (first, second)
        )
        hidden = [key for key in sorted(before) if before[key] == REDACTED == after.get(key)]
        doubtful = [
            Row(name=key, kind="unknown", a=REDACTED, b=REDACTED, note="a secret was taken out") for key in hidden
        ]
        return values.rows(before, after) + doubtful

    if a.away or b.away:
        return settle(name, "cause", [], reason="variables of workers are not recorded")
    return _with_both(a, b, name, compare)


def captures(a: Facts, b: Facts) -> Aspect | None:
    """Compare what plug-ins found before the runs; None when there were none."""
    first, second = (facts.context.captures if facts.context and not facts.child else {} for facts in (a, b))
    return settle("other captures", "cause", values.rows(first, second)) if first or second else None


def worker(a: Facts, b: Facts) -> Aspect | None:
    """Compare the code and the surroundings that workers had; None when none was at work."""
    if not (a.away or b.away):
        return None
    told = [
        {"bundle": getattr(facts.call, "bundle", None), "environment": getattr(facts.call, "environment", None)}
        for facts in (a, b)
    ]
    return settle("worker", "cause", _in_order(told))


def place(a: Facts, b: Facts) -> Aspect:
    """Compare where the runs were: what says nothing of a result by itself."""
    told = [_place(facts) for facts in (a, b)]
    rows = _in_order(told)
    variables = _variables(a, b, "place", places=True)
    return settle("place", "circumstance", rows + (variables.rows if variables.same is False else []))


def _place(facts: Facts) -> dict[str, Any]:
    around, process = facts.surroundings, facts.call.process if facts.call else None
    return {
        "host": process.host if process else around.platform.node if around else None,
        "user": around.platform.user if around else None,
        "memory": around.memory if around else None,
        "python": around.platform.python.executable if around else None,
        "project": facts.root_directory,
        "folder": facts.context.cwd if facts.context else None,
        "reprokit": facts.context.reprokit_version if facts.context else None,
    }
