"""The source that a run executed, beside what lies in the project now.  Both are parsed, neither is imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog.diff import lines
from reprokit.catalog.diff.parts import FILE, LARGEST, NUMBER, Finder
from reprokit.catalog.diff.trees import Missing, read, tree_of
from reprokit.catalog.lineage.configuration import Configuration
from reprokit.catalog.lineage.present import WorkingTree
from reprokit.errors import ReprokitError
from reprokit.model.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.diff.lines import Span
    from reprokit.catalog.diff.trees import Tree

_CONTEXT = 3  # unchanged lines around a change


class Sources:
    """Where parts of the code stand, and how they differ from those of an earlier run.

    Parameters
    ----------
    facts
        Of the run; None when there is none to compare with.
    root
        The project's folder now.
    labels
        The parts that are going to be asked about.
    script
        File of the function now, relative to the project.
    python_path
        Entries of ``sys.path`` in the project now, relative to it.
    scratch
        An empty folder.

    Attributes
    ----------
    missing : str
        Why the source of then is not at hand; empty when it is.
    """

    def __init__(
        self,
        facts: Facts | None,
        root: Path,
        labels: Iterable[str],
        script: str | None,
        python_path: list[str],
        scratch: Path,
    ) -> None:
        self.missing = ""
        self._then: Tree | None = None
        if facts is not None:
            try:
                self._then = tree_of(facts, scratch / "tree")
            except (Missing, ReprokitError, OSError) as error:
                self.missing = str(error)
        paths = dict.fromkeys([*(self._then.files if self._then else ()), *_guessed(labels, python_path)])
        if script:
            paths[script] = None
        self._now = WorkingTree(root, paths)
        before = (facts.context.python_path if facts.context else []) if facts else []
        self._before = Finder(self._then, before, script_of(facts)) if self._then and facts else None
        self._after = Finder(self._now, python_path or before, script)

    def path(self, label: str) -> str | None:
        """Give the file of a part, where it lies now, else where it lay; None when no tree tells."""
        for finder in (self._after, self._before):
            place = finder.find(label) if finder is not None else None
            if place is not None:
                return printable(place.path)
        return None

    def configurations(self, function: str) -> tuple[Configuration | None, Configuration]:
        """Give what the decorators of a function say in the source of then, None without it, and in that of now."""
        then = None
        if self._then is not None and self._before is not None:
            then = Configuration(self._then, self._before, function)
        return then, Configuration(self._now, self._after, function)

    def unseen(self, labels: Iterable[str]) -> list[str]:
        """Give the parts that the source of then doesn't show: of notebooks, of what was made while it ran."""
        return [label for label in labels if self._before is not None and self._before.find(label) is None]

    def diff(self, labels: Iterable[str]) -> str:
        """Give the unified diff of some parts; empty when their lines are the same, or not known."""
        if self._before is None or self._then is None:
            return ""
        before: dict[str, list[Span]] = {}
        after: dict[str, list[Span]] = {}
        for label in labels:
            for finder, spans in ((self._before, before), (self._after, after)):
                place = finder.find(label)
                if place is not None and place.spans:
                    spans.setdefault(place.path, []).extend(place.spans)
        told = [
            line
            for path in sorted({*before, *after})
            for line in self._patch(self._then, path, before.get(path, []), after.get(path, []))
        ]
        return "\n".join(told)

    def _patch(self, then: Tree, path: str, before: list[Span], after: list[Span]) -> list[str]:
        held: list[bytes | None] = []
        for tree in (then, self._now):
            if path not in tree.files:
                held.append(None)
                continue
            data = dict(read(tree, [path]))[path] if tree.files[path].size <= LARGEST else None
            if data is None or lines.is_binary(data):
                return []
            held.append(data)
        a, b = (lines.split(data) if data is not None else [] for data in held)
        found = lines.changes(a, b)
        shown = lines.hunks(
            a, b, found, lambda one: lines.touches(one.a, before) or lines.touches(one.b, after), _CONTEXT
        )
        if not shown:
            return []
        name = printable(path)
        first, second = (f"{side}/{name}" for side in "ab")
        return [
            f"--- {first if held[0] is not None else '/dev/null'}",
            f"+++ {second if held[1] is not None else '/dev/null'}",
            *shown,
        ]


def script_of(facts: Facts | None) -> str | None:
    """Give the file of a run's function, relative to the project as it was."""
    file = facts.call.source_file if facts and facts.call else None
    root = facts.root_directory if facts else None
    return relative(file, root) if file and root else None


def relative(file: str, root: str) -> str:
    """Give a path as source trees have it."""
    inside = file[len(root) :].strip("/\\") if file.startswith(root) else file
    return inside.replace("\\", "/")


def _guessed(labels: Iterable[str], python_path: list[str]) -> Iterator[str]:
    """Give the files in which parts may lie that no earlier tree has."""
    for label in labels:
        if label.startswith(FILE):
            yield label[len(FILE) :]
            continue
        inside = NUMBER.sub("", label).partition(":")[0].replace(".", "/")
        for root in python_path or ["", "src", "lib", "python"]:
            start = f"{root}/" if root not in ("", ".") else ""
            yield f"{start}{inside}.py"
            yield f"{start}{inside}/__init__.py"
