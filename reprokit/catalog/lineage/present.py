"""The code that lies in the project now, beside the code that a run executed.  Both are parsed, neither is imported."""

from __future__ import annotations

import ast
import os
import tempfile
import textwrap
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from reprokit.catalog.diff import facts as diff_facts
from reprokit.catalog.diff.parts import Finder
from reprokit.catalog.diff.trees import File, Missing, read, tree_of
from reprokit.catalog.lineage.configuration import Configuration, Unknown
from reprokit.errors import ReprokitError
from reprokit.model import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reprokit.catalog.diff.lines import Span
    from reprokit.catalog.diff.trees import Tree
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import ClosureInfo

_OURS = frozenset(("Artifact", "cache", "monitor", "snapshot_code"))
_OPAQUE = ("bytecode",)  # kinds of parts that no source tells


class Findings(NamedTuple):
    """What is other now than when a run executed."""

    changed: list[str]  # sentences
    unknown: str | None = None  # why not all could be looked at


class WorkingTree:
    """The files of a project as they lie there, by the paths that another tree has.

    Answers as kept trees do; the objects' names are those of the files.
    """

    algorithm = "none"

    def __init__(self, root: Path, paths: Iterable[str]) -> None:
        self._root = root
        files: dict[str, File] = {}
        for path in paths:
            try:
                state = os.stat(root / path)
            except (OSError, ValueError):
                continue
            files[path] = File(state.st_mode, path, state.st_size)
        self.files: Mapping[str, File] = files

    def batch(self, oids: Sequence[str]) -> bytes:
        """Give the files in the form of ``git cat-file --batch``."""
        found = b""
        for path in oids:
            data = (self._root / path).read_bytes()
            found += b"- blob %d\n%s\n" % (len(data), data)
        return found


def look(run: Run | Child, vault: Path, root: Path) -> Findings:
    """Compare what a run's function reached, and its configuration, with what lies in the project now."""
    facts = diff_facts.of(run, vault)
    closure = facts.closure
    if closure is None:
        return Findings([], "what its code reached is not recorded")
    with tempfile.TemporaryDirectory(prefix="reprokit-") as scratch:
        try:
            then = tree_of(facts, Path(scratch) / "tree")
            now = WorkingTree(root, then.files)
            file = getattr(facts.call, "source_file", None) or ""
            script = file[len(str(facts.root_directory)) :].lstrip("/\\") if facts.root_directory else None
            path = facts.context.python_path if facts.context else []
            finders = Finder(then, path, script), Finder(now, path, script)
            changed = _changed_parts(closure, then, now, *finders)
            configured = _configuration(closure.function, run, now, finders[1], root)
        except (Missing, ReprokitError, OSError) as error:
            return Findings([], f"its code of then is not at hand: {error}")
    return Findings([*changed, *configured])


def _changed_parts(closure: ClosureInfo, then: Tree, now: Tree, before: Finder, after: Finder) -> list[str]:
    changed = []
    for label in closure.parts:
        if closure.kinds.get(label) in _OPAQUE:
            continue
        old, new = before.find(label), after.find(label)
        if old is None:
            continue
        if new is None or not new.spans:
            changed.append(f"code: {label} is no longer there")
        elif _content(then, old.path, old.spans) != _content(now, new.path, new.spans):
            changed.append(f"code: {label} changed")
    return changed


def _content(tree: Tree, path: str, spans: list[Span]) -> str | bytes:
    """Give what the lines do: their syntax without comments, docstrings, layout and decorators of ours."""
    data = dict(read(tree, [path]))[path] or b""
    if not path.endswith(".py"):
        return data
    lines = data.decode("utf-8", "surrogateescape").splitlines()
    text = "\n".join(textwrap.dedent("\n".join(lines[first:last])) for first, last in spans)
    parsed = _parsed(text)
    if parsed is None:
        return text
    for node in ast.walk(parsed):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
            if not isinstance(node, ast.Module):
                node.decorator_list = [one for one in node.decorator_list if _name(one) not in _OURS]
    return ast.dump(parsed)


def _parsed(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _name(decorator: ast.expr) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""


# --- configuration -----------------------------------------------------------------------------------------------------


def _configuration(function: str, run: Run | Child, now: Tree, finder: Finder, root: Path) -> list[str]:
    """Compare the configuration that the decorators name now, where it is written plainly or in a file."""
    named = Configuration(now, finder, function)
    try:
        plain = named.value(root) if named.found else None
    except Unknown:
        return []
    if not named.found or canonical.hash_of_plain({} if plain is None else plain) == run.config_hash:
        return []
    return [f"config: {_differences(run.config, {} if plain is None else plain)}"]


def _differences(old: Any, new: Any) -> str:
    from reprokit.catalog.index import columns

    before: list[columns.Fact] = []
    after: list[columns.Fact] = []
    columns.facts("", old, before)
    columns.facts("", new, after)
    then, now = ({name[1:]: shown or value for name, value, shown in found} for found in (before, after))
    keys = [key for key in {**then, **now} if then.get(key, ...) != now.get(key, ...)]
    told = [f"{key} {_shown(then, key)} -> {_shown(now, key)}" for key in keys[:3]]
    return ", ".join(told) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "") if told else "it changed"


def _shown(values: dict[str, Any], key: str) -> str:
    return str(values[key]) if key in values else "nothing"
