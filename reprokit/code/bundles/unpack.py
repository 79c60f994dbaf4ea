"""Bundles as folders, so that Python can import them: written once per host, and attested by each process that opens them."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reprokit.code import switch
from reprokit.code.apart import stamps
from reprokit.code.bundles import archive, place, uses
from reprokit.code.bundles.bundle import MEMBER, Meta, decode, digest_of, label, sha256
from reprokit.errors import CodeMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable

_MTIME = 315532800  # 1980-01-01: the same on each host and after each repair, so that nothing seems to have changed


class Unpacked(NamedTuple):
    """A bundle as a folder."""

    folder: str
    meta: Meta
    known: dict[str, stamps.Stamp]  # of its files, by absolute path
    contents: dict[str, bytes]  # SHA-256 of them


def unpacked(digest: str, fetch: Callable[[], bytes]) -> Unpacked:
    """Give the folder of a bundle, unpacked when no process has done so, its content compared with the digest.

    Parameters
    ----------
    digest
        Of the bundle.
    fetch
        Gives the archive, if it is needed.

    Raises
    ------
    CodeMismatchError
        When the archive is not what the digest names, or tries to write elsewhere.
    OSError
        When the folder cannot be written.
    """
    target = Path(place.folder(), digest)
    uses.note(digest)
    found = attested(digest, target)
    if found is not None:
        return found
    data = fetch()  # what may take long, or come from another process, is no business of the lock
    place.forget()
    target = Path(place.folder(), digest)
    with place.locked(digest):
        found = attested(digest, target)  # another process was faster
        if found is not None:
            return found
        found = _make(digest, data, target)
        keep(digest, data)
    uses.sweep()
    return found


def kept(digest: str) -> str:
    """Give the path of a bundle's archive, which lies beside its folder, so that tasks can send tasks."""
    return os.path.join(place.folder(), f"{digest}.zip")


def keep(digest: str, data: bytes) -> None:
    """Have an archive on disk."""
    path = kept(digest)
    if os.path.exists(path):
        return
    scratch = f"{path}.{os.getpid()}-{threading.get_ident()}"
    with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(data)
    os.replace(scratch, path)


def attested(digest: str, folder: Path) -> Unpacked | None:
    """Read a folder; None when it is not there, or holds anything but the bundle of this digest."""
    top = str(folder)
    files: list[tuple[str, bool, bytes]] = []
    contents: dict[str, bytes] = {}
    meta = b""
    try:
        known = stamps.stamps(top)
        for path in known:
            inside = path[len(top) + 1 :].replace(os.sep, "/")
            with open(path, "rb") as stream:
                data = stream.read()
                executable = bool(os.fstat(stream.fileno()).st_mode & 0o100)
            if inside == MEMBER:
                meta = data
            else:
                contents[path] = sha256(data)
                files.append((inside, executable, contents[path]))
    except OSError:
        return None
    if digest_of(meta, files) != digest:
        return None
    return Unpacked(top, decode(meta, digest), known, contents)


def _make(digest: str, data: bytes, target: Path) -> Unpacked:
    with switch.scratch_beside(target) as scratch:
        made = scratch / "tree"
        made.mkdir(mode=0o700)
        files: list[tuple[str, bool, bytes]] = []
        meta = b""
        folders = {""}
        for member, content in archive.read(data, digest):
            _write(str(made), member, content, folders, digest)
            if member.path == MEMBER:
                meta = content
            else:
                files.append((member.path, member.executable, sha256(content)))
        if digest_of(meta, files) != digest:
            raise CodeMismatchError(f"the content of {label(digest)}", digest, digest_of(meta, files))
        decode(meta, digest)
        if os.path.lexists(target):  # somebody has edited it, or has begun to remove it
            os.rename(target, scratch / "old")
        os.rename(made, target)
    found = attested(digest, target)
    if found is None:
        raise CodeMismatchError(f"{target} as it was written", digest, "other content; is the disk full, or damaged?")
    return found


def _write(top: str, member: archive.Member, content: bytes, folders: set[str], digest: str) -> None:
    path = os.path.join(top, *member.path.split("/"))
    above = member.path.rpartition("/")[0]
    if above not in folders:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        folders.add(above)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except FileExistsError as error:  # two names that differ by case or accents only, where that is no difference
        raise CodeMismatchError(
            f"the archive of {label(digest)}", "each file once", f"{member.path!r} twice"
        ) from error
    with open(handle, "wb", closefd=True) as stream:
        stream.write(content)
    if member.executable:
        os.chmod(path, 0o700)
    os.utime(path, (_MTIME, _MTIME))
