"""The sentence at the top: what came out differently, and what explains it best."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reprokit.catalog.diff.result import Aspect, Row

_NAMED = 3  # rows of an aspect that are named
_WORDS = {
    "code": "code reached by the function",
    "other code": "code elsewhere",
    "packages": "packages",
    "inputs": "inputs",
    "edited while loaded": "files edited after being imported",
}
_HINT = (
    "what records don't hold remains: private random generators, the order of threads, times, files that nobody named, "
    "services on the network"
)


def verdict(aspects: list[Aspect]) -> str:
    """Say in one or two sentences what differs and why, most likely first."""
    results = [one for one in aspects if one.role == "result"]
    differing = [one.name for one in results if one.same is False]
    followed = any(one.name == "other code" for one in aspects)
    causes = [_cause(one, followed) for one in aspects if one.role == "cause" and one.same is False]
    chance = [one.name for one in aspects if one.role == "chance" and one.same is False]
    doubtful = [one.name for one in aspects if one.role == "cause" and one.same is None and one.reason != _NOTHING]
    unsure = f"; not comparable: {_list(doubtful)}" if doubtful else ""
    rest = next((one for one in aspects if one.name == "other code" and one.same is False), None)
    if rest is not None and rest.role != "cause":
        files = f"{len(rest.rows)} file{'s' if len(rest.rows) > 1 else ''}"
        unsure += (
            f"; what the function reaches is the same, elsewhere {files} differ{'s' if len(rest.rows) == 1 else ''}"
            if not _differs("code", aspects)
            else ""
        )
    if not differing:
        return _without_difference(results, causes, "" if not doubtful else " that could be compared") + unsure
    head = f"{_list(differing)} {'differ' if len(differing) > 1 or differing[0].endswith('s') else 'differs'}"
    if causes:
        return f"{head}; most likely because of: {_list(causes)}{unsure}"
    if chance:
        return (
            f"{head}; of what was recorded, only the state of the global random generators explains it "
            f"(unless the function seeds them itself){unsure}"
        )
    if doubtful:
        return f"{head}; nothing that could be compared explains it{unsure}; beyond that, {_HINT}"
    return f"{head}; nothing that was recorded explains the difference{unsure}; {_HINT}"


_NOTHING = "none is recorded"


def _differs(name: str, aspects: list[Aspect]) -> bool:
    return any(one.name == name and one.same is not True for one in aspects)


def _without_difference(results: list[Aspect], causes: list[str], bound: str) -> str:
    known = [one.name for one in results if one.same and one.name != "ending"]
    ended = any(one.same for one in results)
    if known:
        head = f"no difference in the results ({_list(known)})"
    elif ended:
        head = "the runs ended alike, and no results were recorded"
    else:
        head = "the results cannot be compared"
    if not causes:
        return f"{head}, and none in what they depend on{bound}"
    return f"{head}, {'although' if known else 'and'} these differ: {_list(causes)}"


def _cause(one: Aspect, followed: bool) -> str:
    rows = [row for row in one.rows if row.kind not in ("same", "unknown")]
    name = "code" if one.name == "code" and not followed else _WORDS.get(one.name, one.name)
    named = ", ".join(_name(row, one.name) for row in rows[:_NAMED])
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    if one.name in ("config", "arguments", "python", "environment") and rows:
        return f"{name} {named}{more}"
    return f"{name} ({named}{more})" if rows else name


def _name(row: Row, aspect: str) -> str:
    if aspect in ("packages", "python") and row.a and row.b:
        return f"{row.name} {row.a} -> {row.b}"
    return row.name


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""
