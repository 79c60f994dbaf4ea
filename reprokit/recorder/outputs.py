"""The outputs of a run: named before it, looked at after it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.capture import files
from reprokit.errors import ArtifactExistsError, MissingKeywordError, NamingError, ReprokitError
from reprokit.model import naming
from reprokit.model.records import ArtifactRecord
from reprokit.model.text import printable
from reprokit.recorder import sidecars
from reprokit.vault import blobs, clone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reprokit.recorder.faults import Faults
    from reprokit.recorder.plan import ArtifactSpec, Subject
    from reprokit.recorder.project import Project


class Naming(msgspec.Struct, frozen=True):
    """What goes into the names of one ``@Artifact``."""

    commit: str
    config_hash: str
    template: str | None
    exists: str
    copy: bool
    sidecar: bool
    embed: bool = False


class Expected(msgspec.Struct):
    """An output that a run was told to write, and what stood there before."""

    path: str  # absolute
    requested: str
    keyword: str | None
    naming: Naming
    before: files.Stamp | None = None
    earlier_digest: str | None = None  # what the side-car there says, or what stood there
    earlier_run: str | None = None
    unsigned: bool = False  # no side-car says which run made what stood there


def rewrite(
    spec: ArtifactSpec,
    subject: Subject,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name_path: Callable[[str, str | None], str],
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Replace the paths in a call's arguments by tagged ones.

    Raises
    ------
    MissingKeywordError
        When the call holds no such argument.
    NamingError
        When a path cannot take a tag.
    """
    positional: list[Any] | None = None
    for keyword in spec.names:
        if keyword in kwargs:
            kwargs = {**kwargs, keyword: _tagged(kwargs[keyword], keyword, subject, name_path)}
            continue
        index = subject.positions.get(keyword)
        if index is not None and index < len(args):
            positional = list(args) if positional is None else positional
            positional[index] = _tagged(args[index], keyword, subject, name_path)
        elif keyword in subject.defaults:
            kwargs = {**kwargs, keyword: _tagged(subject.defaults[keyword], keyword, subject, name_path)}
        else:
            raise MissingKeywordError(subject.function or subject.name, keyword, subject.parameters)
    return (args if positional is None else tuple(positional)), kwargs


def _tagged(value: Any, keyword: str, subject: Subject, name_path: Callable[[str, str | None], str]) -> Any:
    """Tag a path, or each path of a list, tuple or dict; the types stay."""
    if isinstance(value, str) and value:
        return name_path(value, keyword)
    if isinstance(value, Path):
        return type(value)(name_path(str(value), keyword))
    if isinstance(value, bytes) and value:
        return os.fsencode(name_path(os.fsdecode(value), keyword))
    if isinstance(value, os.PathLike):
        return Path(name_path(os.fsdecode(value), keyword))
    if isinstance(value, dict):
        return {key: _tagged(item, keyword, subject, name_path) for key, item in value.items()}
    if isinstance(value, list):
        return [_tagged(item, keyword, subject, name_path) for item in value]
    if isinstance(value, tuple):
        items = [_tagged(item, keyword, subject, name_path) for item in value]
        return type(value)(*items) if hasattr(value, "_fields") else tuple(items)
    if value is None or value == "":
        raise MissingKeywordError(subject.function or subject.name, keyword, subject.parameters)
    raise NamingError(
        str(type(value).__name__),
        f"{subject.name}() got this for {keyword!r}; a path, or a list, tuple or dict of paths, is needed",
    )


def expected_already(requested: str, how: Naming, known: Iterable[Expected]) -> bool:
    """Tell whether a run expects this output by now; what lies there is then its own."""
    return any(other.requested == requested and other.naming == how for other in known)


def tagged_path(requested: str, how: Naming) -> str:
    """Put commit and hash into a path."""
    return naming.tag(requested, how.commit, how.config_hash, how.template)


def expect(requested: str, keyword: str | None, how: Naming, project: Project, faults: Faults) -> tuple[str, Expected]:
    """Name one output and look at what stands there.

    Returns
    -------
    tuple
        The tagged path as the function gets it (relative stays relative), and the expectation.

    Raises
    ------
    ArtifactExistsError
        When something stands there and may not be replaced.
    NamingError
        When the path cannot take a tag.
    """
    tagged = tagged_path(requested, how)
    expected = Expected(path=os.path.abspath(tagged), requested=requested, keyword=keyword, naming=how)
    before = files.stamp(expected.path)
    if before is None:
        return tagged, expected
    if how.exists == "error":
        raise ArtifactExistsError(tagged)
    if how.exists == "keep":
        _keep_earlier(expected, tagged, project)
        return tagged, expected
    with faults.at(f"other names of {tagged}"):
        if not before.is_dir and os.lstat(expected.path).st_nlink > 1:
            before = _unshared(expected.path)
    expected.before = before
    with faults.at(f"what {tagged} held before"):
        earlier = sidecars.read(expected.path)
        if earlier is not None and earlier.artifact.digest:
            expected.earlier_digest, expected.earlier_run = earlier.artifact.digest, earlier.run_id
        else:
            expected.earlier_digest, _ = files.digest_path(expected.path)
            expected.unsigned = True
    if how.exists == "reuse" and expected.earlier_run is not None:
        with faults.at(f"what became of {tagged}"):
            _keep_retouched(expected, tagged, project, faults)
    return tagged, expected


def _keep_retouched(expected: Expected, tagged: str, project: Project, faults: Faults) -> None:
    """Keep what somebody made of an output, for the function is called because it is no longer what a run made."""
    digest, _ = files.digest_path(expected.path)
    if digest != expected.earlier_digest:
        project.ensure_vault()
        blobs.keep(project.vault.blobs, Path(expected.path), digest)
        faults.notes.append(
            f"{tagged} was changed since it was made, and is made again; what stood there is kept as {digest}"
        )


def _unshared(path: str) -> files.Stamp | None:
    """Give a file an inode of its own: another commit's artifact may be a link to it, and must not be written with it."""
    found = os.stat(path)
    clone.put(Path(path), Path(path))
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return files.stamp(path)


def _keep_earlier(expected: Expected, tagged: str, project: Project) -> None:
    try:
        project.ensure_vault()
        digest, _ = files.digest_path(expected.path)
        blobs.keep(project.vault.blobs, Path(expected.path), digest, move=True)
    except (OSError, ReprokitError) as error:
        raise ArtifactExistsError(tagged, f"the earlier version cannot be kept in the vault ({error})") from error
    expected.earlier_digest = digest


def found(expected: Expected, project: Project, faults: Faults, known: tuple[str, int] | None = None) -> ArtifactRecord:
    """Look at one output after the run.

    A file that stood there before and did not change was *used*; one that is new or was written is *generated*.

    Parameters
    ----------
    known
        Its digest and size, when they were taken already.
    """
    how = expected.naming
    record = ArtifactRecord(
        path=project.relative(expected.path),
        digest=None,
        size=None,
        role="missing",
        requested=printable(expected.requested),
        keyword=expected.keyword,
        commit=how.commit,
        config_hash=how.config_hash,
        host=project.elsewhere,
    )
    after = None
    with faults.at(f"artifact {expected.requested}"):
        after = files.stamp(expected.path)
    if after is None:
        return record
    used = expected.before == after
    embedded = how.embed and not used and _embed(expected, faults)
    digest = size = blob = None
    with faults.at(f"artifact {expected.requested}"):
        digest, size = known or files.digest_path(expected.path)
        if how.copy and not used:
            project.ensure_vault()
            blobs.keep(project.vault.blobs, Path(expected.path), digest)
            blob = digest
    replaced = None
    if not used and digest and expected.earlier_digest != digest:
        replaced = expected.earlier_digest
    differs = expected.earlier_run or ("unknown" if expected.unsigned else None) if replaced else None
    if differs:
        whose = f"run {differs[:8]}" if differs != "unknown" else "an earlier run"
        faults.notes.append(
            f"{record.path} differs from what {whose} made under the same tag: same code, same config, another result; "
            "put what it depends on into config= or args=, or look for randomness"
        )
    return msgspec.structs.replace(
        record,
        digest=digest,
        size=size,
        role="used" if used else "generated",
        folder=after.is_dir,
        embedded=embedded,
        blob=blob,
        replaced=replaced,
        differs_from=differs,
    )


def _embed(expected: Expected, faults: Faults) -> bool:
    """Write the tag inside a file that the run generated; a file that can't take it stays as it is."""
    from reprokit import embed

    with faults.at(f"the tag inside {expected.requested}"):
        return embed.write(expected.path, embed.Tag(expected.naming.commit, expected.naming.config_hash))
    return False
