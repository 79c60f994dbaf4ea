"""A recorded environment as files that installers read: PEP 751's ``pylock.toml``, and ``requirements.txt``."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.model.text import printable
from reprokit.reproduce.environment import lines, own, uv
from reprokit.reproduce.environment.fill import apart
from reprokit.reproduce.environment.lines import Missing
from reprokit.reproduce.environment.outcome import Failure
from reprokit.reproduce.environment.pylock import document, entry, tables
from reprokit.reproduce.environment.wanted import Wanted, requirements

if TYPE_CHECKING:
    from reprokit.model.records import ContextRecord


class Locked(msgspec.Struct, frozen=True, kw_only=True):
    """The two files.

    Attributes
    ----------
    pylock, requirements
        Their texts.
    notes
        What is left out of `pylock`, and why; a sentence each.
    """

    pylock: str
    requirements: str
    notes: list[str] = []


def lock(recorded: ContextRecord, *, offline: bool = False, folder: Path | None = None) -> Locked:
    """Write down the packages of a record.

    Hashes are those that the index gives, for the wheels of all platforms; without uv, for this platform's by this
    interpreter's pip.  What was installed from a repository, an archive or a folder is named as such.

    Parameters
    ----------
    recorded
        Context of a run.
    offline
        Ask no index: only what uv has in its cache gets hashes, and the rest is left out of `Locked.pylock`.
    folder
        Where the file will lie; folders of the project are named relative to it.
    """
    wanted = sorted(requirements(recorded), key=lambda one: one.name)
    found, lacking = _from_index(
        [one for one in wanted if one.kind == "index" and one.name != own.NAME], recorded, offline
    )
    notes = [f"{one} (left out of pylock.toml)" for one in lacking]
    for one in wanted:
        if one.kind == "index" and one.name != own.NAME:
            continue
        told = entry(one, recorded.root_directory, folder)
        if isinstance(told, Missing):
            notes.append(f"{told} (left out of pylock.toml)")
        else:
            found[one.name] = told
    notes += [f"{one.said}: {one.note}" for one in wanted if one.note and one.kind != "unknown"]
    python = recorded.platform.python
    head = f"the environment of a recorded run: {python.implementation} {python.version}, {recorded.platform.system} {recorded.platform.machine}"
    return Locked(
        pylock=document(found, python.version, [head, *notes]),
        requirements=_requirements(wanted, [printable(head)]),
        notes=notes,
    )


def _requirements(wanted: list[Wanted], head: list[str]) -> str:
    pins = [lines.exact(one) for one in wanted if one.kind == "index" and one.name != own.NAME]
    rest = [_origin(one) for one in wanted if one.kind != "index" or one.name == own.NAME]
    return "".join(f"{line}\n" for line in [*(f"# {one}" for one in head), *pins, *rest])


def _origin(one: Wanted) -> str:
    """Say in a comment where a package came from."""
    if one.name == own.NAME and one.kind == "index":
        told = f"{lines.exact(one)} (that name belongs to another project on the public index)"
    elif one.kind == "vcs" or one.revision is not None:
        told = lines.at_revision(one, recorded=True)
    elif one.kind == "archive":
        told = lines.archived(one)
    elif one.url is not None:
        told = f"{'-e ' if one.editable else ''}{one.name} @ {one.url} ({one.version})"
    else:
        told = f"{one.said} ({one.note or 'origin not known'})"
    return f"# not from an index: {printable(' '.join(told.split()))}"


def _from_index(wanted: list[Wanted], recorded: ContextRecord, offline: bool) -> tuple[dict[str, str], list[Missing]]:
    """Give the tables of packages that an index has, by name, and those that it has not."""
    binary = uv.find()
    by_line = {lines.exact(one): one for one in wanted}
    found: dict[str, str] = {}

    def attempt(part: list[str]) -> Failure | None:
        with tempfile.TemporaryDirectory(prefix="reprokit-") as place:
            file = Path(place, "requirements.in")
            file.write_text("".join(f"{line}\n" for line in part), encoding="utf-8")
            if binary is None:
                return _by_pip(file)
            text = uv.Uv(binary).locked(file, _release(recorded.platform.python.version), offline=offline)
            if isinstance(text, Failure):
                return text
            found.update(tables(text))
            return None

    def _by_pip(file: Path) -> Failure | None:
        told = _report(file)
        if isinstance(told, Failure):
            return told
        found.update(told)
        return None

    if not wanted:
        return {}, []
    if binary is None and offline:
        reason = Failure("hashes are known to an index only, and none is asked", unreachable=True)
        return {}, [_lacking(one, reason, offline) for one in wanted]
    failure = attempt(list(by_line))
    if failure is None:
        return found, []
    if failure.unreachable:
        return {}, [_lacking(one, failure, offline) for one in wanted]
    failed = apart(list(by_line), attempt, failure)
    return found, [_lacking(by_line[line], reason, offline) for line, reason in failed.items()]


def _report(file: Path) -> dict[str, str] | Failure:
    import sys

    from reprokit.reproduce.environment import pip, pylock

    told = pip.report(Path(sys.executable), file)
    if isinstance(told, Failure):
        return told
    found: dict[str, str] = {}
    for one in told:
        metadata: dict[str, Any] = one["metadata"]
        name, text = pylock.from_report(metadata, one["download_info"])
        found[name] = text
    return found


def _lacking(one: Wanted, reason: Failure, offline: bool) -> Missing:
    remedy = lines.remedy(one, wheels=None, offline=offline)
    return Missing(name=one.name, version=one.version, reason=f"no hashes: {reason.said}", remedy=remedy)


def _release(version: str) -> str:
    """The part of a version that uv takes: "3.13.0" of "3.13.0rc1"."""
    found = re.match(r"\d+\.\d+(?:\.\d+)?", version)
    return found[0] if found else version
