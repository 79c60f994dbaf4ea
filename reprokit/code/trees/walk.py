"""What differs between a private index and the disk, found by one stat walk of git and sorted out."""

from __future__ import annotations

import os
import re
import stat as modes
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.code import source
from reprokit.code.trees import index, left_out, nested, rules
from reprokit.model.records import LeftOut
from reprokit.model.text import printable

if TYPE_CHECKING:
    from reprokit import git
    from reprokit.code.trees.store import Slot, Store

_SHUT = re.compile(r"could not open directory '(.*?)/?': (.*)")


class Choice(msgspec.Struct, frozen=True):
    """Which files of a root are kept."""

    max_file_size: int
    vault: Path | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    template: str | None = None
    prefix: str = ""  # of a nested repository, with a slash: patterns speak of the outermost root


class Found(msgspec.Struct):
    """What is to be done to the index, and what stays out of it."""

    add: list[str] = []
    remove: list[str] = []
    left_out: list[LeftOut] = []
    nested: list[str] = []
    absent: dict[str, str] = {}  # submodules that are not checked out, with the commit that should be
    excluded: Path = Path()  # the exclude file of the walk


def look(store: Store, root: Path, place: git.Place | None, choice: Choice, slot: Slot, known: dict[str, Any]) -> Found:
    """Find what changed on disk since the index was written.

    `known` is brought up to date with what the user's repository says, which is asked only when its files differ.

    Raises
    ------
    GitError
        When git fails, as on an index that is damaged.
    OSError
        When the store cannot be written.
    """
    said = msgspec.convert(known.get("rules", {}), rules.Rules)
    excluded = rules.excludes(store, root, place, choice.vault, said)
    remove: set[str] = set()
    mark = rules.mark(root, place, _watched(known, said), excluded)
    if known.get("mark") != mark:
        watched = _watched(known, said)
        said = rules.ask(root, place)
        asked = rules.excludes(store, root, place, choice.vault, said)
        if asked != excluded or _watched(known, said) != watched:
            excluded = asked
            mark = rules.mark(root, place, _watched(known, said), excluded)
        remove = _reconcile(store, root, excluded, slot, said, known)
        known.update(mark=mark, rules=msgspec.to_builtins(said))
    walk = store.start(
        "ls-files", "-z", "-t", "--others", "--modified", "--deleted", "--exclude-standard",
        root=root, index=slot.index, switches=("-c", f"core.excludesFile={excluded}"),
    )  # fmt: skip
    states: dict[str, str] = {}
    for line in walk.output().decode("utf-8", "surrogateescape").split("\0"):
        if line:
            states[line[2:]] = "R" if line[0] == "R" else states.get(line[2:], line[0])
    for path in known.get("pending", ()):
        if os.path.lexists(os.path.join(root, path)):
            states.setdefault(path, "?")
    states.update(dict.fromkeys(remove, "R"))
    found = _sort(root, choice, states, known, frozenset(said.forced))
    found.excluded = excluded
    found.absent = {
        path: commit
        for path, commit in said.submodules.items()
        if source.chosen(choice.prefix + path, choice.include, choice.exclude) and nested.absent(root, path)
    }
    for path, reason in _SHUT.findall(walk.warnings.decode("utf-8", "surrogateescape")):
        found.left_out.append(LeftOut(path=printable(path) + "/", reason=f"unreadable: {reason}"))
    return found


def folders(entries: dict[bytes, bytes]) -> set[bytes]:
    """Give every folder that holds one of the files, but for the root."""
    found: set[bytes] = set()
    for path in entries:
        folder = path.rpartition(b"/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition(b"/")[0]
    return found


def remember(
    root: Path, place: git.Place | None, found: Found, known: dict[str, Any], entries: dict[bytes, bytes]
) -> None:
    """Note in `known` what `look` compares the next time."""
    said = msgspec.convert(known.get("rules", {}), rules.Rules)
    known["pending"] = [path for path in said.forced if os.fsencode(path) not in entries]
    names = sorted(map(os.fsdecode, folders(entries)))
    if names != known.get("folders", []):
        known["folders"] = names
        known["mark"] = rules.mark(root, place, _watched(known, said), found.excluded)


def _watched(known: dict[str, Any], said: rules.Rules) -> list[str]:
    """Give the folders whose exclude files matter: those of the index, and those of tracked files."""
    return ["", *sorted({*known.get("folders", ()), *said.folders})]


def _reconcile(
    store: Store, root: Path, excluded: Path, slot: Slot, said: rules.Rules, known: dict[str, Any]
) -> set[str]:
    """Make an index of earlier rules follow those of today; give the files that are to leave it."""
    if not slot.index.exists():
        known["pending"] = list(said.forced)
        return set()
    entries = index.read(slot.index)
    inside = tuple(
        os.fsencode(folder) + b"/"
        for folder in known.get("folders", ())
        if os.path.lexists(os.path.join(root, folder, ".git"))
    )
    kept = {path: entry for path, entry in entries.items() if not path.startswith(inside)} if inside else entries
    if len(kept) < len(entries):  # git does not see a repository where the index has files
        known["index"] = index.write(slot.index, kept)
        known.pop("tree", None)
    known["pending"] = [path for path in said.forced if os.fsencode(path) not in kept]
    ignored = store.start(
        "ls-files", "-z", "-c", "-i", "--exclude-standard",
        root=root, index=slot.index, switches=("-c", f"core.excludesFile={excluded}"),
    ).output()  # fmt: skip
    return {path for path in ignored.decode("utf-8", "surrogateescape").split("\0") if path} - set(said.forced)


def _sort(root: Path, choice: Choice, states: dict[str, str], known: dict[str, Any], forced: frozenset[str]) -> Found:
    inside = source.relative_to(choice.vault, root) if choice.vault is not None else None
    outputs = source.beside_sidecars(states)
    repositories = tuple(path for path in states if path.endswith("/"))
    found = Found()
    top = os.fspath(root)
    for path, state in states.items():
        whole = choice.prefix + path.rstrip("/")
        if state == "R":
            found.remove.append(path)
            continue
        if source.within(path.rstrip("/"), inside) or (path.startswith(repositories) and path not in repositories):
            continue  # what the outer repository tracks within another one is part of that one's tree
        if path.endswith("/"):
            if not source.is_derived(path.rstrip("/"), choice.template) and not _excluded(whole, choice):
                found.nested.append(path.rstrip("/"))
            continue
        stat = _stat(top, path)
        if not isinstance(stat, OSError) and modes.S_ISDIR(stat.st_mode):
            found.remove.append(path)  # the files in it are listed by themselves
        elif (
            state == "?" and path not in forced and (source.is_derived(path, choice.template) or path in outputs)
        ) or not source.chosen(whole, choice.include, choice.exclude):
            continue
        else:
            reason = left_out.why_left_out(top, path, stat, choice.max_file_size, known)
            if reason is None:
                found.add.append(path)
            else:
                found.left_out.append(reason)
                if state != "?":
                    found.remove.append(path)
    return found


def _excluded(path: str, choice: Choice) -> bool:
    return not source.chosen(path, (), choice.exclude)


def _stat(top: str, path: str) -> os.stat_result | OSError:
    try:
        return os.lstat(f"{top}{os.sep}{path}")
    except OSError as error:
        return error
