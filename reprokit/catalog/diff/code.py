"""The code of two runs: what the function reaches first, then the rest."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog.diff import trees
from reprokit.catalog.diff.call import is_damaged, why
from reprokit.catalog.diff.parts import Finder
from reprokit.catalog.diff.patches import Writer
from reprokit.catalog.diff.result import Aspect, Row, settle
from reprokit.catalog.diff.tagged import Data
from reprokit.catalog.diff.trees import Missing, tree_of
from reprokit.errors import GitError, TreeNotFoundError

if TYPE_CHECKING:
    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.diff.lines import Span
    from reprokit.catalog.diff.result import CodeShown, Kind, Patch, Role
    from reprokit.catalog.diff.trees import Changed, Tree
    from reprokit.model.records import ClosureInfo

REACHED, REST = "code", "other code"
_TOLD = 3  # sentences about what could not be followed


def code(a: Facts, b: Facts, shown: CodeShown, context: int) -> tuple[list[Aspect], list[Patch]]:
    """Compare the code of two runs; give the aspects and the unified diffs."""
    with tempfile.TemporaryDirectory(prefix="reprokit-") as scratch:
        try:
            pair = None if _same_tree(a, b) else _pair(a, b, Path(scratch))
        except (Missing, GitError, TreeNotFoundError) as error:
            return _without_trees(a, b, str(error)), []
        if a.closure is None or b.closure is None:
            return _whole(a, b, pair, shown, context)
        return _reached(a, b, pair, shown, context)


class Pair:
    """Two trees and the files that differ between them."""

    def __init__(self, a: Tree, b: Tree, data: Data) -> None:
        self.a, self.b = a, b
        self.changed = [one for one in trees.compare(a, b) if one.path not in data]


def _pair(a: Facts, b: Facts, scratch: Path) -> Pair:
    found: list[Tree] = []
    for name, facts in (("A", a), ("B", b)):
        try:
            found.append(tree_of(facts, scratch / name))
        except Missing as error:
            raise Missing(f"{name}: {error}") from error
    return Pair(found[0], found[1], Data(a, b))


def _same_tree(a: Facts, b: Facts) -> bool:
    """Tell from the records alone that the trees are the same."""
    if a.snapshot and b.snapshot:
        return a.snapshot.digest == b.snapshot.digest
    first, second = trees.own_repository(a), trees.own_repository(b)
    if first is None or second is None or first.sha is None or a.root_directory != b.root_directory:
        return False
    clean = first.dirty is False and second.dirty is False and first.diff_digest == second.diff_digest
    patched = first.diff_digest is not None and first.diff_digest == second.diff_digest
    return first.sha == second.sha and (clean or patched)


# --- with trees ------------------------------------------------------------------------------------------------------


def _reached(a: Facts, b: Facts, pair: Pair | None, shown: CodeShown, context: int) -> tuple[list[Aspect], list[Patch]]:
    assert a.closure is not None
    assert b.closure is not None
    rows = part_rows(a.closure, b.closure)
    notes = _notes(a, b)
    if pair is None:
        return [settle(REACHED, "cause", rows, notes=notes), settle(REST, "circumstance", [])], []
    spans, rows = _place(a, b, pair, rows)
    writer = Writer(pair.a, pair.b, pair.changed, spans, shown, context)
    patches = writer.write()
    rest = [_file_row(one) for one in writer.rest]
    aspect = settle(REACHED, "cause", rows, notes=notes)
    role: Role = "cause" if a.closure.unknown or b.closure.unknown else "circumstance"
    left, told = _left_out(a, b)
    return [aspect, settle(REST, role, rest + left, notes=told)], patches


def part_rows(a: ClosureInfo, b: ClosureInfo) -> list[Row]:
    """Give the parts that are not the same in two closures."""
    rows = []
    for label in sorted(a.parts.keys() | b.parts.keys()):
        first, second = a.parts.get(label), b.parts.get(label)
        if first == second:
            continue
        kind = {**a.kinds, **b.kinds}.get(label, "function")
        note = "" if kind == "function" else kind
        change: Kind = "added" if first is None else "removed" if second is None else "changed"
        rows.append(Row(name=label, kind=change, note=note))
    if not rows and a.digest != b.digest and a.packages == b.packages:
        rows = [Row(name=b.function, kind="changed", note="put together in another way from the same parts")]
    return rows


def _notes(a: Facts, b: Facts) -> list[str]:
    notes = []
    for name, facts in (("A", a), ("B", b)):
        stale = facts.context.stale if facts.context else []
        if stale:
            notes.append(
                f"{name}: {', '.join(stale[:_TOLD])} was edited after being imported; the trees hold what lay there"
            )
    unknown = list(dict.fromkeys(sentence for facts in (a, b) if facts.closure for sentence in facts.closure.unknown))
    if unknown:
        more = f" ... and {len(unknown) - _TOLD} more" if len(unknown) > _TOLD else ""
        notes.append(f"could not be followed: {'; '.join(unknown[:_TOLD])}{more}")
    return notes


def _place(
    a: Facts, b: Facts, pair: Pair, rows: list[Row]
) -> tuple[tuple[dict[str, list[Span]], dict[str, list[Span]]], list[Row]]:
    """Find the lines of the parts that are not the same, and say where they are."""
    from msgspec.structs import replace

    finders = [Finder(tree, _python_path(facts), _script(facts)) for tree, facts in ((pair.a, a), (pair.b, b))]
    spans: tuple[dict[str, list[Span]], dict[str, list[Span]]] = ({}, {})
    made = []
    for row in rows:
        found = None
        for finder, of, absent in zip(finders, spans, ("added", "removed"), strict=True):
            place = finder.find(row.name) if row.kind != absent else None
            if place is not None:
                found = place
                of.setdefault(place.path, []).extend(place.spans)
        if found is None:
            where = "its source is not in the trees"
        else:
            line = found.spans[0][0] + 1 if found.spans else 1
            where = f"{found.path}:{line}"
        made.append(replace(row, note=", ".join(filter(None, (row.note, where)))))
    return spans, made


def _python_path(facts: Facts) -> list[str]:
    return facts.context.python_path if facts.context else []


def _script(facts: Facts) -> str | None:
    """Give the file of the run's function, relative to the project."""
    file = facts.call.source_file if facts.call else None
    root = facts.root_directory
    if not file or not root:
        return None
    return file[len(root) :].strip("/\\").replace("\\", "/") if file.startswith(root) else file


def _whole(a: Facts, b: Facts, pair: Pair | None, shown: CodeShown, context: int) -> tuple[list[Aspect], list[Patch]]:
    """Compare whole trees, for what the function reaches is not known."""
    notes = _notes(a, b)
    if a.call and b.call and any(facts.run.kind == "function" for facts in (a, b)):
        notes.insert(0, "what the function reaches is not recorded, so this is all of the code")
    if pair is None:
        reason = "files were edited after being imported" if any(f.context and f.context.stale for f in (a, b)) else ""
        return [settle(REACHED, "cause", _digests(a, b), notes=notes, reason=reason)], []
    writer = Writer(pair.a, pair.b, pair.changed, None, shown, context)
    patches = writer.write()
    left, told = _left_out(a, b)
    rows = [_file_row(one) for one in writer.rest] + left
    return [settle(REACHED, "cause", rows, notes=notes + told)], patches


def _file_row(one: Changed) -> Row:
    if one.a is None or one.b is None:
        return Row(name=one.path, kind="added" if one.a is None else "removed")
    if one.a.oid == one.b.oid:
        return Row(name=one.path, kind="changed", a=f"{one.a.mode:06o}", b=f"{one.b.mode:06o}", note="mode alone")
    return Row(name=one.path, kind="changed")


def _left_out(a: Facts, b: Facts) -> tuple[list[Row], list[str]]:
    """Compare the files that the snapshots do not hold, by their digests."""
    if a.snapshot is None or b.snapshot is None:
        return [], []
    first, second = ({one.path: one for one in facts.snapshot.left_out} for facts in (a, b) if facts.snapshot)
    rows, doubtful = [], []
    data = Data(a, b)
    for path in sorted(path for path in first.keys() & second.keys() if path not in data):
        one, two = first[path], second[path]
        if one.digest is None or two.digest is None:
            doubtful.append(path)
        elif one.digest != two.digest:
            note = f"not in the snapshots: {two.reason}"
            rows.append(Row(name=path, kind="changed", a=one.digest, b=two.digest, note=note))
    told = f"not in the snapshots, so not compared: {', '.join(doubtful[:5])}"
    return rows, [f"{told}{f' ... {len(doubtful)} in all' if len(doubtful) > 5 else ''}"] if doubtful else []


# --- without -----------------------------------------------------------------------------------------------------------


def _without_trees(a: Facts, b: Facts, reason: str) -> list[Aspect]:
    """Say what the records alone tell."""
    notes = _notes(a, b)
    unseen = f"the lines cannot be shown: {reason}"
    if a.closure and b.closure:
        rows = part_rows(a.closure, b.closure)
        return [
            settle(REACHED, "cause", rows, notes=[*notes, unseen] if rows else notes),
            settle(REST, "circumstance", [], reason=reason),
        ]
    rows = _digests(a, b)
    if a.closure_digest and b.closure_digest:
        return [settle(REACHED, "cause", rows, notes=notes), settle(REST, "circumstance", [], reason=reason)]
    damaged = is_damaged(a, b, "context")
    told = why(a, b, "context") if damaged else reason
    return [settle(REACHED, "cause", rows, reason=told, notes=notes, damaged=damaged)]


def _digests(a: Facts, b: Facts) -> list[Row]:
    """Compare closures by their digests, when that is all there is."""
    first, second = a.closure_digest, b.closure_digest
    if not first or not second or first == second:
        return []
    return [Row(name="closure", kind="changed", a=first, b=second, note="what the function reaches")]


def commit(a: Facts, b: Facts) -> Aspect:
    """Compare commits and branches: what is behind the code that was compared."""
    rows = []
    first, second = ((facts.context.git if facts.context else {}) for facts in (a, b))
    if a.context is None or b.context is None:
        return settle("commit", "circumstance", [], reason=why(a, b, "context"), damaged=is_damaged(a, b, "context"))
    for name in dict.fromkeys([*first, *second]):
        one, two = first.get(name), second.get(name)
        for fact in ("sha", "branch", "dirty", "operation"):
            old, new = getattr(one, fact, None), getattr(two, fact, None)
            if old != new:
                rows.append(Row(name=f"{name}.{fact}", kind="changed", a=old, b=new))
    reason = "" if first or second else "there was no repository"
    return settle("commit", "circumstance", rows, reason=reason)


def stale(a: Facts, b: Facts) -> Aspect | None:
    """Name files that were edited after they had been imported; None when there were none."""
    first, second = (set(facts.context.stale) if facts.context else set() for facts in (a, b))
    rows = [
        Row(name=path, kind="unknown", a=path in first, b=path in second, note="edited after being imported")
        for path in sorted(first | second)
    ]
    return settle("edited while loaded", "cause", rows) if rows else None
