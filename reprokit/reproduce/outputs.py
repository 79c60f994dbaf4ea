"""The outputs of a run beside those of its repetition."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reprokit.capture import files
from reprokit.catalog.index import columns
from reprokit.catalog.run import Child, Run
from reprokit.reproduce import compare
from reprokit.reproduce.verdict import Verdict
from reprokit.vault import blobs

if TYPE_CHECKING:
    from reprokit.catalog.index import Index
    from reprokit.model.records import ArtifactRecord, PostRunInfo, StepRecord
    from reprokit.settings import Settings

Files = dict[str, tuple[Path | None, Path | None]]


class Comparison:
    """Compares a recorded run with the one that repeated it.

    Parameters
    ----------
    project, fresh
        The folders that the two runs' paths are relative to.
    """

    def __init__(
        self, index: Index, project: Path, fresh: Path, settings: Settings, rtol: float | None, atol: float | None
    ) -> None:
        self._index = index
        self._project, self._fresh = project, fresh
        self._recorded = ""
        self._settings, self._rtol, self._atol = settings, rtol, atol
        self.verdicts: list[Verdict] = []
        self.notes: list[str] = []  # what could not be compared, and why
        self.files: Files = {}

    def runs(self, old: Run | Child, new: Run | Child) -> None:
        """Compare everything that the records and the disk tell."""
        self._recorded = old.root.pre.root_directory
        self._ending(old, new)
        self._configuration(old, new)
        self._artifacts(old, new)
        before, after = _end(old), _end(new)
        self._values(old.values, new.values, "value")
        self._values(old.series, new.series, "series")
        if before is not None and after is not None and old.status == "complete":
            self._returned(old, new, before, after)

    def _tolerance(self, name: str) -> compare.Tolerance:
        return compare.tolerance_for(self._settings, name, rtol=self._rtol, atol=self._atol)

    # --- how it ended ----------------------------------------------------------------------------------------------

    def _ending(self, old: Run | Child, new: Run | Child) -> None:
        before, after = _end(old), _end(new)
        raised, raises = (one.exception_info if one is not None else None for one in (before, after))
        if raised is not None or raises is not None:
            then = f"{raised.error_type}: {raised.error_message}" if raised else "nothing"
            now = f"{raises.error_type}: {raises.error_message}" if raises else "nothing"
            same = then == now
            said = f"raised {then}, as recorded" if same else f"raised {then} then, {now} now"
            self.verdicts.append(
                Verdict(name="exception", outcome="identical" if same else "differs", said=said, kind="value")
            )
        elif old.status in ("complete", "failed", "exited") and new.status != old.status:
            said = f"it was {old.status}, and is {new.status} now"
            self.verdicts.append(Verdict(name="status", outcome="differs", said=said, kind="value"))
        codes = [getattr(one, "exit_code", None) for one in (before, after)]
        if codes != [None, None] and raised is None and raises is None:
            self.verdicts.append(compare.values("exit code", codes[0], codes[1], self._tolerance("exit code")))

    def _configuration(self, old: Run | Child, new: Run | Child) -> None:
        """Say when the run had another configuration: what a script sets before is not there when a function is alone."""
        if old.config_hash == new.config_hash or isinstance(old, Child) != isinstance(new, Child):
            return
        found = compare.values("config", old.config, new.config, compare.Tolerance())
        said = f"{found.said or 'another one'}; --whole runs what the script had done before"
        self.verdicts.append(Verdict(name="config", outcome="differs", said=said, kind="value"))

    # --- files -----------------------------------------------------------------------------------------------------

    def _artifacts(self, old: Run | Child, new: Run | Child) -> None:
        then, now = _generated(old, seen=True), _generated(new, seen=True)
        now = _renamed(then, now)
        named = {path for path, record in now.items() if not record.seen}
        for path in sorted(then.keys() | (now.keys() & (named | then.keys()))):
            record = then.get(path) or now[path]
            name = self._called(record)
            if name in self.files:
                name = path
            before = self._then(then[path]) if path in then else None
            after = self._fresh / now[path].path if path in now else None
            self.files[name] = before, after
            digest = then[path].digest if path in then else None
            self.verdicts.append(compare.files(name, before, after, self._tolerance(name), digest=digest))

    def _called(self, record: ArtifactRecord) -> str:
        """Name an output as it was asked for, relative to the project."""
        asked = record.requested or record.path
        for root in (self._recorded, str(self._fresh)):
            if asked.startswith(root + os.sep):
                return asked[len(root) + 1 :]
        return asked

    def _then(self, record: ArtifactRecord) -> Path | None:
        """Find the file that the recorded run made: in its place, in the vault, or wherever its content lies now."""
        if record.digest is None:
            return None
        places = [self._project / record.path, blobs.blob_path(self._index.vault.blobs, record.digest)]
        query = "SELECT DISTINCT path FROM artifacts WHERE digest = ? LIMIT 50"
        rows = self._index.db.execute(query, (columns.packed(record.digest),))
        places += [self._project / path for (path,) in rows]
        for place in places:
            try:
                if files.digest_path(str(place))[0] == record.digest:
                    return place
            except OSError:
                continue
        return None

    # --- values ----------------------------------------------------------------------------------------------------

    def _values(self, then: dict[str, Any], now: dict[str, Any], word: str) -> None:
        for name in dict.fromkeys([*then, *now]):
            told = f"{word} {name}"
            if name not in now:
                self.verdicts.append(Verdict(name=told, outcome="missing", said="was not recorded", kind="value"))
            elif name not in then:
                self.verdicts.append(Verdict(name=told, outcome="extra", said="was not recorded before", kind="value"))
            elif _is_told(then[name]) and _is_told(now[name]):
                self.verdicts.append(compare.values(told, then[name], now[name], self._tolerance(told)))
            else:
                self.notes.append(f"{told} was not kept whole, so it is not compared; record numbers or small arrays")

    def _returned(
        self, old: Run | Child, new: Run | Child, before: PostRunInfo | StepRecord, after: PostRunInfo | StepRecord
    ) -> None:
        name = "return value"
        if old.returned is not None and new.returned is not None:
            self.verdicts.append(compare.files(name, old.returned, new.returned, self._tolerance(name)))
        elif not (_is_told(before.return_value) and _is_told(after.return_value)):
            self.notes.append("the return value was not kept whole, so it is not compared")
        elif before.return_value is not None or after.return_value is not None:
            self.verdicts.append(compare.values(name, before.return_value, after.return_value, self._tolerance(name)))


def _is_told(value: Any) -> bool:
    """Tell whether a record holds a value, or at least a digest of it, and not only what kind of thing it was."""
    if isinstance(value, dict):
        if "$type" in value:
            return any(fact in value for fact in ("text", "digest", "value", "items")) and all(
                _is_told(value[fact]) for fact in ("value", "items") if fact in value
            )
        return all(_is_told(one) for one in value.values())
    return not isinstance(value, list) or all(_is_told(one) for one in value)


def _renamed(then: dict[str, ArtifactRecord], now: dict[str, ArtifactRecord]) -> dict[str, ArtifactRecord]:
    """Pair outputs that were asked for by one name when their tags differ."""
    asked = {record.requested: path for path, record in then.items() if record.requested and path not in now}
    found = {}
    for path, record in now.items():
        other = asked.get(record.requested) if path not in then and record.requested else None
        found[other or path] = record
    return found


def _end(run: Run | Child) -> PostRunInfo | StepRecord | None:
    return run.end if isinstance(run, Child) else run.post


def _generated(run: Run | Child, *, seen: bool) -> dict[str, ArtifactRecord]:
    """Give what a run and its child runs generated, by path."""
    family: list[Run | Child] = [run]
    if not isinstance(run, Child):
        family += run.children
    return {
        record.path: record
        for one in family
        for record in one.artifacts
        if record.role == "generated" and (seen or not record.seen)
    }


def outside(run: Run | Child, fresh: Path) -> list[str]:
    """Name the files that a run wrote outside its folder, as far as they were seen."""
    found = _generated(run, seen=True)
    return [path for path in found if os.path.isabs(path) and not path.startswith(str(fresh) + os.sep)]
