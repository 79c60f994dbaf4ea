"""Which comparator looks at two files, and what is said when it can't."""

from __future__ import annotations

import functools
import importlib
import os
import stat
import warnings
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.reproduce.compare import binary, kinds
from reprokit.reproduce.compare.words import MissingLibraryError, plain
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reprokit.protocols import Comparator
    from reprokit.settings.values import Tolerance

    Compare = Callable[[str, Path, Path, Tolerance], Verdict]

GROUP = "reprokit.comparators"  # entry points: a class or function that makes a comparator
_HOMES = {
    "csv": "csv_table", "json": "document", "jsonl": "document", "yaml": "document", "toml": "document",
    **{one: one for one in ("archive", "compressed", "folder", "hdf5", "image", "npy", "npz", "parquet", "pdf", "svg", "text")},
}  # fmt: skip
_TEXTS = ("json", "jsonl", "yaml", "toml", "csv", "svg", "archive", "text")
_STREAMED = 1 << 26  # bytes from which arrays aren't read once more to see whether their bytes are the same
_registered: list[Comparator] = []


def register(comparator: Comparator) -> None:
    """Make a comparator known in this process; it is asked before all others, the last one first."""
    _registered.insert(0, comparator)


def files(name: str, old: Path | None, new: Path | None, tolerance: Tolerance, *, digest: str | None = None) -> Verdict:
    """Compare an output with what it was; whatever is wrong with either of them is said, never raised.

    Parameters
    ----------
    name
        What the verdict is called.
    old, new
        The two files or folders; None, or a path where nothing is, for what doesn't exist.
    tolerance
        How near they have to be, see `tolerance_for`.
    digest
        Of the earlier one, as recorded; used when `old` is gone.
    """
    old = old if old is not None and os.path.lexists(old) else None
    new = new if new is not None and os.path.lexists(new) else None
    try:
        if old is None:
            return _without_old(name, new, digest)
        if new is None:
            return Verdict(name=name, outcome="missing", said="it was not made this time", kind=_kind(old))
        return _both(name, old, new, tolerance)
    except OSError as error:
        return Verdict(name=name, outcome="differs", said=f"cannot be read: {plain(error.strerror or error)}")


def _without_old(name: str, new: Path | None, digest: str | None) -> Verdict:
    if new is None:
        said = "it was not made this time" if digest else "there is none, and there was none"
        return Verdict(name=name, outcome="missing", said=said)
    if digest is None:
        return Verdict(name=name, outcome="extra", said="it was not made before", kind=_kind(new))
    from reprokit.capture.files import digest_path

    if digest_path(os.fspath(new))[0] == digest:
        return Verdict(name=name, outcome="identical", kind=_kind(new))
    said = "the earlier file is gone, so how it differs cannot be told"
    return Verdict(name=name, outcome="differs", said=said, kind=_kind(new))


def _both(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    modes = [stat.S_IFMT(os.stat(path).st_mode) for path in (old, new)]
    if modes[0] != modes[1] or modes[0] not in (stat.S_IFREG, stat.S_IFDIR):
        told = [_MODES.get(mode, "no regular file") for mode in modes]
        if told[0] == told[1]:
            return Verdict(name=name, outcome="differs", said="neither is a regular file, so they are not read")
        return Verdict(name=name, outcome="differs", said=f"{told[0]} -> {told[1]}")
    if modes[0] == stat.S_IFDIR:
        both = kinds.is_archive(old) and kinds.is_archive(new)
        return _guarded(name, "archive" if both else "folder", old, new, tolerance)
    heads = kinds.head(old), kinds.head(new)
    names = [() if path.suffix else (name, other.name) for path, other in ((old, new), (new, old))]
    sniffed = kinds.kind(old, heads[0], *names[0]), kinds.kind(new, heads[1], *names[1])
    large_arrays = sniffed == ("npy", "npy") and os.path.getsize(old) >= _STREAMED
    if not large_arrays and binary.same(old, new):
        return Verdict(name=name, outcome="identical", kind=_shown(sniffed[0]))
    plugged = _plugged(heads, name, old, new)
    if plugged is not None:
        return _guarded(name, plugged.kind, old, new, tolerance, plugged.compare)
    if sniffed[0] != sniffed[1]:
        if not set(sniffed) <= set(_TEXTS):
            said = binary.compare(name, old, new).said
            return Verdict(name=name, outcome="differs", said=f"{_called(sniffed[0])} -> {_called(sniffed[1])}; {said}")
        sniffed = "text", "text"
    return _guarded(name, sniffed[0], old, new, tolerance)


_MODES = {stat.S_IFREG: "a file", stat.S_IFDIR: "a folder"}


def _guarded(
    name: str, kind: str, old: Path, new: Path, tolerance: Tolerance, compare: Compare | None = None
) -> Verdict:
    """Compare, and where that can't be done compare text or bytes and say why."""
    if kind == "bytes" and compare is None:
        return binary.compare(name, old, new)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compare = compare or _compare_of(kind)
            return compare(name, old, new, tolerance)
    except MissingLibraryError as error:
        why = f"{error} is not installed, so only bytes were compared"
    except Exception as error:  # noqa: BLE001 - damaged or hostile files: whatever a library makes of them
        why = f"cannot be read as {kind}: {plain(error or type(error).__name__)[:200]}"
    if kind == "archive" and os.path.isdir(old):
        found = _guarded(name, "folder", old, new, tolerance)
        return msgspec.structs.replace(found, said="; ".join(filter(None, [found.said, why])))
    if kind == "folder":
        return Verdict(name=name, outcome="differs", said=why, kind=kind)
    if kind in _TEXTS and kind != "text":
        found = _guarded(name, "text", old, new, tolerance)
    else:
        found = binary.compare(name, old, new)
    return msgspec.structs.replace(found, said="; ".join(filter(None, [found.said, why])))


def _compare_of(kind: str) -> Compare:
    module: Any = importlib.import_module(f"reprokit.reproduce.compare.{_HOMES[kind]}")
    compare: Compare = functools.partial(module.compare, kind=kind) if _HOMES[kind] == "document" else module.compare
    return compare


def _plugged(heads: tuple[bytes, bytes], name: str, old: Path, new: Path) -> Comparator | None:
    names = [path.name if path.suffix else os.path.basename(name) for path in (old, new)]
    for one in (*_registered, *_installed()):
        try:
            if one.mine(heads[0], names[0]) and one.mine(heads[1], names[1]):
                return one
        except Exception as error:  # noqa: BLE001 - somebody else's code
            warnings.warn(f"comparator {one!r}: {error!r}; it is left out", RuntimeWarning, stacklevel=2)
    return None


@functools.cache
def _installed() -> tuple[Comparator, ...]:
    """Give the comparators that installed packages offer."""
    from importlib.metadata import entry_points

    found: list[Comparator] = []
    for point in entry_points(group=GROUP):
        try:
            found.append(point.load()())
        except Exception as error:  # noqa: BLE001 - somebody else's code
            warnings.warn(f"comparator {point.value}: {error!r}; it is left out", RuntimeWarning, stacklevel=2)
    return tuple(found)


def _kind(path: Path) -> str:
    if path.is_dir():
        return "archive" if kinds.is_archive(path) else "folder"
    try:
        return kinds.kind(path, kinds.head(path)) if path.is_file() else "bytes"
    except OSError:
        return "bytes"


def _shown(kind: str) -> str:
    return "json" if kind == "jsonl" else kind


def _called(kind: str) -> str:
    return {"bytes": "other bytes", "image": "a picture", "json": "JSON", "csv": "a table", "compressed": "packed"}.get(
        kind, kind
    )
