"""Whether a file would be given again now: told from records and files alone, nothing of the project is executed."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog import whence
from reprokit.catalog.diff import facts as diff_facts
from reprokit.catalog.lineage import present
from reprokit.catalog.lineage.configuration import Unknown
from reprokit.catalog.why import earlier, interpreter, variables, words
from reprokit.catalog.why.call import config_diff
from reprokit.catalog.why.compare import OFF
from reprokit.catalog.why.result import Why
from reprokit.catalog.why.sources import Sources, script_of
from reprokit.errors import AmbiguousRunError, RunNotFoundError
from reprokit.model import canonical
from reprokit.model.redact import Redactor
from reprokit.model.text import printable
from reprokit.recorder.reuse import candidates, verified
from reprokit.vault import reuse
from reprokit.vault.blobs import blob_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.index import Index
    from reprokit.catalog.run import Child, Run
    from reprokit.model.records import ArtifactRecord, ClosureInfo, ReuseEntry
    from reprokit.settings import Settings

_CODE = "code: "  # how `present.look` begins what it says of code
_CHANGED, _GONE = " changed", " is no longer there"
_WITHOUT_SOURCE = ("bytecode", "class without source")


def why(index: Index, path: str | os.PathLike[str], settings: Settings) -> Why:
    """Tell whether the call that made a file would be answered with it now, if it was made again as it was.

    Parameters
    ----------
    path
        The file, under any name by which `whence` finds it.
    settings
        Of the project.

    Raises
    ------
    RunNotFoundError
        When no run of the vault made it.
    AmbiguousRunError
        When it can't be told which of several runs made it.
    OSError
        When it lies there and can't be read.
    """
    told = os.fspath(path)
    run = _made_by(index, told, settings)
    vault = index.vault.path
    found = diff_facts.of(run, vault)
    asked = _File(run, found, index, settings)
    reasons, diff = asked.answer()
    return Why(
        hit=not reasons,
        what=printable(told),
        reasons=tuple(dict.fromkeys(reasons)),
        diff=diff,
        run_id=run.run_id,
        started=found.call.timestamp if found.call is not None else None,
        seconds=run.duration,
    )


def _made_by(index: Index, path: str, settings: Settings) -> Run | Child:
    origin = whence.whence(index, path, settings.template)
    if origin.run is not None:
        return origin.run
    if origin.how is not None and origin.candidates:
        raise AmbiguousRunError(path, tuple(one.run_id for one in origin.candidates))
    raise RunNotFoundError(path, str(index.vault.path))


class _File:
    """A file's run, and what lies in its project now."""

    def __init__(self, run: Run | Child, facts: Facts, index: Index, settings: Settings) -> None:
        self._run, self._facts, self._settings = run, facts, settings
        self._vault = index.vault
        own = settings.vault == index.vault.path
        self._root = settings.root if own else _root(facts, index.vault.path)
        self._entry = earlier.entry_of(run, index.vault.path)

    def answer(self) -> tuple[list[str], str]:
        """Give what speaks against it, and the lines of the code that changed."""
        reasons = list(self._obstacles())
        code, diff = self._code()
        return [*reasons, *code, *self._surroundings(), *self._inputs(), *self._outputs()], diff

    def _obstacles(self) -> Iterator[str]:
        run = self._run
        if not self._settings.reuse:
            yield OFF
        if run.reused_from is not None:
            yield f"run {run.reused_from[:8]}, which made it, is no longer in the vault"
            return
        against = earlier.obstacle(self._facts, self._vault.path)
        if against is not None:
            yield against if against.startswith(earlier.REFUSED) else f"run {run.run_id[:8]}, which made it, {against}"

    def _code(self) -> tuple[list[str], str]:
        closure = self._facts.closure
        if closure is None:
            return ["whether its code changed cannot be known: what that reaches is not recorded"], ""
        found = present.look(self._run, self._vault.path, self._root)
        if found.unknown is not None:
            return [f"whether its code changed cannot be known: {found.unknown}"], ""
        changed = dict(_label(said) for said in found.changed if said.startswith(_CODE))
        context = self._facts.context
        with tempfile.TemporaryDirectory(prefix="reprokit-") as scratch:
            sources = Sources(
                self._facts,
                self._root,
                closure.parts,
                script_of(self._facts),
                context.python_path if context else [],
                Path(scratch),
            )
            ordered = sorted(changed.items(), key=lambda item: (item[0] == closure.function, item[0]))
            said = [self._part(label, end, closure, sources) for label, end in ordered]
            hidden = {label for label in closure.parts if closure.kinds.get(label) in _WITHOUT_SOURCE}
            hidden.update(sources.unseen(closure.parts))
            said += [f"whether {label} changed cannot be known: no source file holds it" for label in sorted(hidden)]
            configured, diff = self._configured(closure.function, sources)
            return [*said, *configured], "\n".join(filter(None, (sources.diff(changed), diff)))

    def _configured(self, function: str, sources: Sources) -> tuple[list[str], str]:
        """Compare the configuration that the decorators name: by value where the source tells it, else as source."""
        then, now = sources.configurations(function)
        if not now.found:
            return [], ""  # the function itself is gone, and that is said
        try:
            value = now.value(self._root)
        except Unknown:
            before, after = then.sources() if then is not None else {}, now.sources()
            labels = [label for label in {**before, **after} if before.get(label) != after.get(label)]
            named = [f"`{label.partition(':')[2]}` in {sources.path(label)}" for label in labels if ":" in label]
            said = (
                [f"what its config is made of changed: {', '.join(named) or 'the decorator itself'}"] if labels else []
            )
            return said, sources.diff(label for label in labels if ":" in label)
        plain = {} if value is None else value
        if canonical.hash_of_plain(plain) == self._run.config_hash:
            return [], ""
        redactor = Redactor(self._settings.redact)
        shown = redactor.value("config", plain)[0]
        said = words.config(self._facts.config or {}, shown)
        return said or ["the config changed in a value that is a secret"], config_diff(self._facts.config, shown)

    def _part(self, label: str, end: str, closure: ClosureInfo, sources: Sources) -> str:
        said = words.part(
            label,
            closure.kinds.get(label, "function"),
            "changed",
            sources.path(label),
            own=label == closure.function,
        )
        return said.removesuffix(_CHANGED) + end

    def _surroundings(self) -> Iterator[str]:
        """Compare environment variables with those here, packages and Python with the interpreter that would run it."""
        around, closure, info = self._facts.surroundings, self._facts.closure, self._run.reuse
        python = around.platform.python if around is not None else None
        now = interpreter.of_project(self._root, python)
        if closure is not None and closure.packages:
            there = now.versions(closure.packages)
            for name, version in sorted(closure.packages.items()):
                if name not in there:
                    yield f"{name} {version} is no longer installed in {now.prefix}"
                elif there[name] != version:
                    yield f"{name} {version} -> {there[name]}"
        if info is not None and info.key is not None:
            recorded = around.environment_variables if around is not None else {}
            now_shown = variables.shown(info.environment, Redactor(self._settings.redact))
            yield from variables.differing(info.environment, variables.digests(info.environment), recorded, now_shown)
            counts = self._settings.reuse_python == "minor"
            yield from words.python(info.python, now.python if counts else None)

    def _inputs(self) -> Iterator[str]:
        """Hash the inputs again, where they lay; list the folders that were listed."""
        used = (
            self._entry.inputs
            if self._entry is not None
            else [one for one in self._run.artifacts if one.role == "used"]
        )
        for one in used:
            now = verified.digest(os.path.join(self._root, one.path), hint=True)
            if one.digest is not None and now != one.digest:
                yield f"{one.path} {'has other content' if now else 'is no longer there'}"
        if self._entry is None:
            return
        own = candidates.own_names(self._entry.outputs)
        for told, names in self._entry.listed.items():
            path = told.rpartition("|")[2]
            if candidates.listing(os.path.join(self._root, path), own, self._settings.template) != names:
                yield f"{path} holds other files"

    def _outputs(self) -> Iterator[str]:
        """Look for what it made: where it lay, under the names that it got when it was given again, and in the vault."""
        entry = self._entry
        if entry is None:
            return
        places = self._places(entry)
        for one in entry.outputs:
            assert one.digest is not None
            paths = [*places.get(one.digest, []), str(blob_path(self._vault.blobs, one.digest))]
            if not any(verified.digest(path) == one.digest for path in paths):
                yield f"{one.path}, which it made, is gone or was changed"
        if entry.returned is not None:
            folder = str(blob_path(self._vault.blobs, entry.returned))
            if verified.digest(folder) != entry.returned:
                yield "what it returned is gone from the vault, or is damaged"

    def _places(self, entry: ReuseEntry) -> dict[str, list[str]]:
        """Give, by digest, where content lies that runs with this key made or were given."""
        found: dict[str, list[str]] = {}
        for other in reuse.read(reuse.place(self._vault.reuse, entry.key)):
            for one in _known(other.outputs):
                found.setdefault(one.digest or "", []).append(os.path.join(self._root, one.path))
        return found


def _known(records: list[ArtifactRecord]) -> Iterator[ArtifactRecord]:
    return (one for one in records if one.digest is not None)


def _root(facts: Facts, vault: Path) -> Path:
    """Give the project's folder: where it was, or, when it has moved with its vault, around the vault."""
    root = Path(facts.root_directory or "")
    return root if root.is_absolute() and root.is_dir() else vault.parent


def _label(said: str) -> tuple[str, str]:
    """Take apart what `present.look` says of a part: its label, and what became of it."""
    for end in (_GONE, _CHANGED):
        if said.endswith(end):
            return said[len(_CODE) : -len(end)], end
    return said[len(_CODE) :], _CHANGED
