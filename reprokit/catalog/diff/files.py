"""Files that runs read and wrote, by path and digest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.catalog.diff import tagged
from reprokit.catalog.diff.call import is_damaged, why
from reprokit.catalog.diff.result import Row, settle

if TYPE_CHECKING:
    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.diff.result import Aspect, Role
    from reprokit.model.records import ArtifactRecord

_SHOWN = 19  # characters of a digest: "sha256:" and 12 digits


def inputs(a: Facts, b: Facts) -> Aspect:
    """Compare the files that the runs used, and those that the settings name."""
    return _compare(a, b, "inputs", used=True)


def outputs(a: Facts, b: Facts) -> Aspect:
    """Compare the files that the runs generated, by the paths that were asked for."""
    return _compare(a, b, "outputs", used=False)


def _compare(a: Facts, b: Facts, name: str, *, used: bool) -> Aspect:
    role: Role = "cause" if used else "result"
    if a.end is None or b.end is None:
        return settle(name, role, [], reason=why(a, b, "end"), damaged=is_damaged(a, b, "end"))
    first, second = (_digests(facts, used=used) for facts in (a, b))
    if used:  # outputs stand under the paths that were asked for anyway
        first, second = tagged.paired(first, second)
    found = [_row(path, first, second) for path in sorted({**first, **second})]
    rows = _moved([row for row in found if row is not None])
    reason = "" if first or second else "none is recorded"
    return settle(name, role, rows, reason=reason, notes=_differing(a, b) if not used else [])


def _digests(facts: Facts, *, used: bool) -> dict[str, str | None]:
    """Give digests by path; None: not there, or not known."""
    found: dict[str, str | None] = {}
    for one in facts.artifacts:
        if (one.role == "used") == used:
            found[_numbered(one.path if used else one.requested or one.path, found)] = _digest(one)
    if used:
        for path, info in facts.items.items():
            if path not in found:
                found[path] = f"{info.hash_algorithm}:{info.hash}" if info and info.hash else None
    return found


def _digest(one: ArtifactRecord) -> str | None:
    return "not written" if one.role == "missing" else one.digest


def _numbered(path: str, taken: dict[str, str | None]) -> str:
    """Tell apart what a run wrote to one path under several tags."""
    number, made = 1, path
    while made in taken:
        number += 1
        made = f"{path} ({number})"
    return made


def _row(path: str, first: dict[str, str | None], second: dict[str, str | None]) -> Row | None:
    if path not in second:
        return Row(name=path, kind="removed", a=first[path])
    if path not in first:
        return Row(name=path, kind="added", b=second[path])
    if first[path] is None or second[path] is None:
        return Row(name=path, kind="unknown", a=first[path], b=second[path], note="its digest is not recorded")
    if first[path] != second[path]:
        return Row(name=path, kind="changed", a=first[path], b=second[path])
    return None


def _moved(rows: list[Row]) -> list[Row]:
    """Pair what is only in one run with the same content under another path in the other."""
    gone = [row for row in rows if row.kind == "removed" and row.a]
    new = [row for row in rows if row.kind == "added" and row.b]
    made = [row for row in rows if row not in gone and row not in new]
    for row in gone:
        twin = next((other for other in new if other.b == row.a), None)
        if twin is None or row.a == "not written":
            made.append(row)
        else:
            new.remove(twin)
            made.append(Row(name=row.name, kind="moved", a=row.name, b=twin.name, note="the same content"))
    return sorted([*made, *new], key=lambda row: row.name)


def _differing(a: Facts, b: Facts) -> list[str]:
    """Say which outputs the recorder itself found to differ from an earlier run's under the same tag."""
    return [
        f"{one.path}: under the same tag, run {one.differs_from[:8]} had made other content"
        for facts in (a, b)
        for one in facts.artifacts
        if one.differs_from
    ]


def short(digest: str | None) -> str | None:
    """Give the beginning of a digest."""
    return digest[:_SHOWN] if digest else digest
