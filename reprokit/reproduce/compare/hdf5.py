"""HDF5 and NetCDF-4: groups, datasets and attributes by path; no link leads out of a file, no filter is loaded for it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from reprokit.embed.tag import KEY, decode
from reprokit.reproduce.compare.blocks import blocks
from reprokit.reproduce.compare.npy import namer
from reprokit.reproduce.compare.numbers import Tally, library
from reprokit.reproduce.compare.words import UnreadableError, change, combine, plain
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_BLOCK = 1 << 22  # bytes
_MOST = 1_000_000  # objects
_CHUNK = 1 << 28  # bytes of a chunk, which is unpacked whole
_FREE = 1 << 30  # bytes that a dataset may unpack to in any case
_EXPANSION = 2000  # beyond that, how many times what is stored
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # deflate, shuffle, fletcher32, szip, nbit, scaleoffset, lzf: they are built in
_OWN = ("_NCProperties",)  # which versions of libraries wrote the file


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two files."""
    h5py = library("h5py")
    library("numpy")
    with h5py.File(old, "r", locking=False) as first, h5py.File(new, "r", locking=False) as second:
        return combine(name, "hdf5", _Pair(h5py, tolerance).parts(first, second), tolerance, noun="object")


class _Pair:
    def __init__(self, h5py: Any, tolerance: Tolerance) -> None:
        self.h5py = h5py
        self.np = library("numpy")
        self.tolerance = tolerance
        self.seen: set[tuple[int, int]] = set()

    def parts(self, first: Any, second: Any) -> Iterator[Verdict]:
        """Walk through both; a group that is its own member is looked at once."""
        waiting = [("", first, second)]
        while waiting:
            path, old, new = waiting.pop()
            key = tuple(self.h5py.h5o.get_info(one.id).addr for one in (old, new))
            if key in self.seen:
                continue
            self.seen.add(key)
            if len(self.seen) > _MOST:
                raise UnreadableError(f"it holds more than {_MOST:,} objects")
            yield from self._attributes(path, old, new)
            names = sorted({*old, *new})
            below = []
            for member in names:
                place = f"{path}/{member}" if path else member
                verdict = self._member(place, old, new, member)
                if verdict is not None:
                    yield verdict
                else:
                    below.append((place, old[member], new[member]))
            waiting += reversed(below)

    def _member(self, place: str, old: Any, new: Any, name: str) -> Verdict | None:
        """Compare members that are no groups; None when both are."""
        if name not in old.keys() or name not in new.keys():  # noqa: SIM118 - `in` of a group follows links
            return Verdict(name=place, outcome="missing" if name in old.keys() else "extra")  # noqa: SIM118
        links = [one.get(name, getlink=True) for one in (old, new)]
        if not all(isinstance(one, self.h5py.HardLink) for one in links):
            told = [self._link(one) for one in links]
            if told[0] == told[1]:
                return Verdict(name=place, outcome="identical")
            return Verdict(name=place, outcome="differs", said=f"{told[0]} -> {told[1]}")
        objects = [one[name] for one in (old, new)]
        kinds = [self._kind(one) for one in objects]
        if kinds[0] != kinds[1]:
            return Verdict(name=place, outcome="differs", said=f"{kinds[0]} -> {kinds[1]}")
        if kinds[0] == "group":
            return None
        parts = [*self._attributes(place, *objects)]
        parts.append(self._data(place, *objects) if kinds[0] == "dataset" else self._type(place, *objects))
        bad = [one for one in parts if one.outcome != "identical"]
        return next((one for one in bad if one.outcome != "within tolerance"), bad[0]) if bad else parts[-1]

    def _link(self, link: Any) -> str:
        if isinstance(link, self.h5py.ExternalLink):
            return f"a link to {plain(link.path)} in {plain(link.filename)}, which is not followed"
        return f"a link to {plain(link.path)}" if isinstance(link, self.h5py.SoftLink) else "no link"

    def _kind(self, one: Any) -> str:
        if isinstance(one, self.h5py.Dataset):
            return "dataset"
        return "group" if isinstance(one, self.h5py.Group) else "type"

    def _type(self, place: str, old: Any, new: Any) -> Verdict:
        same = old.dtype == new.dtype
        said = "" if same else f"type {old.dtype} -> {new.dtype}"[:200]
        return Verdict(name=place, outcome="identical" if same else "differs", said=said)

    def _data(self, place: str, old: Any, new: Any) -> Verdict:
        if old.dtype.newbyteorder("=") != new.dtype.newbyteorder("="):
            return Verdict(name=place, outcome="differs", said=f"dtype {old.dtype} -> {new.dtype}"[:200])
        if old.shape != new.shape:
            return Verdict(name=place, outcome="differs", said=f"shape {old.shape} -> {new.shape}")
        try:
            for one in (old, new):
                self._check(one)
        except UnreadableError as error:
            return Verdict(name=place, outcome="differs", said=str(error))
        if old.shape is None:
            return Verdict(name=place, outcome="identical")
        tally = self._tally(old, new)
        named = namer(old.shape)
        return Verdict(name=place, outcome=tally.outcome, said=tally.said(named), details=tally.details(named))

    def _tally(self, old: Any, new: Any) -> Tally:
        np = self.np
        tally = Tally(old.dtype, self.tolerance)
        if not math.prod(old.shape):
            return tally
        chunks = old.chunks or None
        for block in blocks(old.shape, old.dtype.itemsize, _BLOCK, chunks):
            a, b = (np.asarray(one[block]) for one in (old, new))
            start = sum(part.start * math.prod(old.shape[axis + 1 :]) for axis, part in enumerate(block))
            whole = all(part == slice(0, end) for part, end in list(zip(block, old.shape, strict=True))[1:])
            if not whole and not np.array_equal(a, b):  # so that places are those of the whole
                self._scattered(tally, a, b, block, old.shape)
            else:
                tally.add(_flat(np, a), _flat(np, b), start)
        return tally

    def _scattered(self, tally: Tally, a: Any, b: Any, block: tuple[slice, ...], shape: tuple[int, ...]) -> None:
        """Count a block that isn't a run of whole rows, a run of its last axis at a time."""
        np = self.np
        for inner in np.ndindex(*a.shape[:-1]):
            places = [*(part.start + at for part, at in zip(block, inner, strict=False)), block[-1].start]
            flat = 0
            for at, length in zip(places, shape, strict=True):
                flat = flat * length + at
            tally.add(_flat(np, a[inner]), _flat(np, b[inner]), flat)

    def _check(self, one: Any) -> None:
        """Refuse what lies elsewhere, needs code to be read, or isn't believed."""
        if one.is_virtual or one.external:
            raise UnreadableError(f"{plain(one.name)} keeps its data in other files, which are not read")
        self._check_type(one.dtype, plain(one.name))
        plist = one.id.get_create_plist()
        filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if not filters <= _FILTERS:
            raise UnreadableError(
                f"{plain(one.name)} needs filters that are not built in: {sorted(filters - _FILTERS)}"
            )
        if one.shape is None:
            return
        if one.chunks and math.prod(one.chunks) * one.dtype.itemsize > _CHUNK:
            raise UnreadableError(f"{plain(one.name)} lies in chunks of more than {_CHUNK:,} bytes")
        if one.nbytes > _FREE + _EXPANSION * one.id.get_storage_size():
            raise UnreadableError(
                f"{plain(one.name)} says that it holds {one.nbytes:,} bytes, far more than are stored"
            )

    def _check_type(self, dtype: Any, name: str) -> None:
        """Objects are texts or lists of numbers; references would be addresses."""
        if dtype.hasobject and self._refers(dtype):
            raise UnreadableError(f"{name} holds references, which are not followed")

    def _attributes(self, place: str, old: Any, new: Any) -> Iterator[Verdict]:
        first, second = old.attrs, new.attrs
        for name in sorted({*first.keys(), *second.keys()}):
            if name in _OWN or (not place and name == KEY.decode() and self._is_tag(first, second, name)):
                continue
            shown = f"{place}@{name}"
            if name not in first or name not in second:
                yield Verdict(name=shown, outcome="missing" if name in first else "extra")
                continue
            types = [one.get_id(name).dtype for one in (first, second)]
            if any(one.hasobject and self._refers(one) for one in types):
                continue
            verdict = self._values(shown, first[name], second[name])
            if verdict is not None:
                yield verdict

    def _refers(self, dtype: Any) -> bool:
        """Tell references, which are addresses; NetCDF-4 keeps its dimension scales by them, which are there by name too."""
        if dtype.names is not None:
            return any(self._refers(dtype[name]) for name in dtype.names)
        inner = self.h5py.check_vlen_dtype(dtype)
        if inner is not None and not isinstance(inner, type):
            return self._refers(inner)
        return self.h5py.check_ref_dtype(dtype) is not None

    def _is_tag(self, first: Any, second: Any, name: str) -> bool:
        for one in (first, second):
            value = one.get(name)
            text = value.encode() if isinstance(value, str) else bytes(value) if value is not None else None
            if text is not None and decode(text.rstrip(b"\0 ")) is None:
                return False
        return True

    def _values(self, name: str, a: Any, b: Any) -> Verdict | None:
        np = self.np
        x, y = np.asarray(a), np.asarray(b)
        if x.dtype.newbyteorder("=") != y.dtype.newbyteorder("=") and not (
            x.dtype.kind in "SUO" and y.dtype.kind in "SUO"
        ):
            return Verdict(name=name, outcome="differs", said=f"dtype {x.dtype} -> {y.dtype}"[:200])
        if x.shape != y.shape:
            return Verdict(name=name, outcome="differs", said=f"shape {x.shape} -> {y.shape}")
        if x.ndim == 0 and x.dtype.kind in "SUO":
            return (
                None if x.item() == y.item() else Verdict(name=name, outcome="differs", said=change(x.item(), y.item()))
            )
        tally = Tally(x.dtype, self.tolerance)
        tally.add(_flat(np, x), _flat(np, y), 0)
        if not tally.differing:
            return None
        place = namer(x.shape)
        said = tally.said(place)
        return Verdict(name=name, outcome=tally.outcome, said=said, details=tally.details(place))


def _flat(np: Any, block: Any) -> Any:
    """Give values in a row, texts as texts and not as objects, in this machine's order of bytes."""
    found = np.ascontiguousarray(block).reshape(-1)
    if found.dtype.hasobject and found.dtype.names is None:
        told = np.empty(found.size, object)
        for place, one in enumerate(found):
            told[place] = one if isinstance(one, str | bytes) else (str(one.dtype), one.tobytes())
        return told
    return found if found.dtype.isnative else found.astype(found.dtype.newbyteorder("="))
