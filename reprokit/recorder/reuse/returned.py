"""Return values, kept as archives in the vault's blobs and read back from there."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.archive.reading import read_source
from reprokit.capture import files
from reprokit.errors import ArchiveError
from reprokit.model import digest as digests
from reprokit.recorder.reuse import verified
from reprokit.vault import blobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reprokit.model.redact import Redactor
    from reprokit.vault.layout import Vault

ITEM = "value"
_LARGE = 100  # elements from which an array goes to a data file
_MOST = 256  # compiled archives that a process remembers

_known: dict[str, Known] = {}  # by folder


class Known(msgspec.Struct, frozen=True):
    """An archive that this process has compared with its digest."""

    source: str
    code: CodeType
    stamps: tuple[tuple[str, tuple[int, ...]], ...]  # of its files


def keep(value: Any, vault: Vault, redactor: Redactor) -> str:
    """Keep a value; give the digest of its archive.

    Raises
    ------
    ArchiveError, OSError
        When it can't be kept.
    """
    from reprokit.archive import Archive

    # What has no other form, such as a fitted model, is pickled: giving a result back executes its archive anyway.
    archive = Archive(array_threshold=_LARGE, allow_pickle=True)
    archive.insert(**{ITEM: value})
    source = str(archive)
    if redactor.text(source)[0] != source:
        raise ArchiveError("what looks like a secret is in it")
    vault.blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=".value-", dir=vault.blobs))
    try:
        made = archive.save(scratch, ITEM)
        digest, _ = files.digest_folder(str(made))
        there = blobs.blob_path(vault.blobs, digest)
        if os.path.lexists(there) and not _is_whole(str(there), digest):  # what was damaged makes room
            with contextlib.suppress(FileNotFoundError):  # another process did it
                os.rename(there, scratch / "damaged")
        blobs.keep(vault.blobs, made, digest, move=True)
        return digest
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def load(digest: str, vault: Vault) -> Any:
    """Give a value back, a new one each time.

    Its archive is compared with its digest the first time in a process, and then executed, as `import` would do.

    Raises
    ------
    ArchiveError
        When it is not there, or is damaged.
    """
    hexadecimal = digests.hex_of(digest)
    folder = f"{vault.path}/blobs/sha256/{hexadecimal[:2]}/{hexadecimal[2:]}"
    known = _known.get(folder)
    if known is None or any(_stamp(path) != stamp for path, stamp in known.stamps):
        known = _read(folder, digest)
    module = ModuleType("_reprokit_returned")
    module.__file__ = known.source
    module.__path__ = [folder]
    exec(known.code, vars(module))  # noqa: S102 - an archive is source; it is what it was when this project made it
    return vars(module)[ITEM]


def _read(folder: str, digest: str) -> Known:
    before = time.time_ns()
    names = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    stamps = tuple((path, _stamp(path)) for path in names)
    if not _is_whole(folder, digest):
        raise ArchiveError(folder, f"the archive of the return value is {'damaged' if names else 'gone'}")
    source = os.path.join(folder, "__init__.py")
    code = compile(read_source(Path(source)), source, "exec", dont_inherit=True)
    known = Known(source, code, stamps)
    if all(stamp and verified.is_settled(max(stamp[1:3]), before) for _, stamp in stamps):
        if len(_known) >= _MOST:
            _known.clear()
        _known[folder] = known
    return known


def _is_whole(folder: str, digest: str) -> bool:
    try:
        return files.digest_folder(folder)[0] == digest
    except OSError:
        return False


def _stamp(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Put the present names of outputs where the value, or a plain container in it, holds those of the earlier run."""
    kind = type(value)
    if kind is str:
        return names.get(value, value)
    if kind is list or kind is tuple:
        items = [renamed(item, names) for item in value]
        return kind(items) if any(one is not other for one, other in zip(items, value, strict=True)) else value
    if kind is dict:
        made = {key: renamed(item, names) for key, item in value.items()}
        return made if any(made[key] is not value[key] for key in value) else value
    if isinstance(value, os.PathLike) and kind.__module__.startswith("pathlib"):
        text = os.fspath(value)
        return kind(names[text]) if text in names else value
    return value
