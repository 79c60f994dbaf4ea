"""Archives: the objects that they hold, by path, read as `Archive.load` does without running anything."""

from __future__ import annotations

import dataclasses
import types
from typing import TYPE_CHECKING, Any

from reprokit.archive import Archivable, Archive
from reprokit.reproduce.compare import folder
from reprokit.reproduce.compare.npy import namer, native
from reprokit.reproduce.compare.numbers import Tally, library
from reprokit.reproduce.compare.value import Apart, Walk
from reprokit.reproduce.compare.words import change
from reprokit.reproduce.verdict import Verdict
from reprokit.settings.values import Tolerance

if TYPE_CHECKING:
    from pathlib import Path

_BLOCK = 1 << 16  # values that are looked at together


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two archives.

    Raises
    ------
    ArchiveError
        When one can't be read without running it.
    """
    if old.is_dir() and new.is_dir():
        files = folder.compare(name, old, new, Tolerance())
        if files.outcome == "identical" and not files.said:
            return Verdict(name=name, kind="archive", outcome="identical")
    first, second = Archive.load(old), Archive.load(new)
    walk = Walk(tolerance, leaf=_leaf, opened=_opened)
    return walk.run(dict(first), dict(second)).verdict(name, "archive", same="objects")


def _opened(value: Any) -> Any:
    """Give what an object holds, as a mapping of names or a list; None when it is compared as it is."""
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    if isinstance(value, Archivable):
        return dict(value.items())
    if module == "pandas" and kind.__name__ in ("DataFrame", "Series"):
        return _table(value)
    if module == "pandas" and kind.__name__.endswith("Index"):
        return {"names": list(value.names), "values": value.to_numpy(), "dtype": str(getattr(value, "dtype", ""))}
    if module == "scipy" and hasattr(value, "tocoo"):
        packed = value.tocoo()
        return {"shape": packed.shape, "row": packed.row, "col": packed.col, "data": packed.data}
    if kind.__name__ == "MaskedArray" and module == "numpy":
        return {"data": value.data, "mask": value.mask}
    if module == "numpy" and kind.__name__ == "ndarray" and value.dtype == object:
        return {"shape": value.shape, "items": value.reshape(-1).tolist()}
    if isinstance(value, types.MappingProxyType):
        return dict(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
    if (
        "__eq__" not in {name for one in kind.__mro__[:-1] for name in vars(one)}
        and hasattr(value, "__dict__")
        and not isinstance(value, type | types.FunctionType)
    ):
        return dict(vars(value))
    return None


def _table(value: Any) -> dict[str, Any]:
    if type(value).__name__ == "Series":
        return {"name": value.name, "index": value.index, "values": value.to_numpy(), "dtype": str(value.dtype)}
    columns = [value.iloc[:, place] for place in range(value.shape[1])]
    titles = [str(one) for one in value.columns]
    named = titles if len({*titles}) == len(titles) else [str(place) for place in range(len(titles))]
    data = {
        title: {"dtype": str(one.dtype), "values": one.to_numpy()} for title, one in zip(named, columns, strict=True)
    }
    return {"columns": value.columns, "index": value.index, "data": data}


def _leaf(a: Any, b: Any, tolerance: Tolerance) -> Apart | None:
    if type(a).__module__ == "numpy" and hasattr(a, "dtype"):
        return _arrays(a, b, tolerance)
    try:
        same = a is b or bool(a == b)
    except Exception:  # noqa: BLE001 - whatever compares itself may fail
        same = False
    return None if same or _both_nan(a, b) else Apart(True, change(a, b))


def _both_nan(a: Any, b: Any) -> bool:
    try:
        return bool(a != a and b != b)  # noqa: PLR0124
    except Exception:  # noqa: BLE001
        return False


def _arrays(a: Any, b: Any, tolerance: Tolerance) -> Apart | None:
    np = library("numpy")
    a, b = np.asarray(a), np.asarray(b)
    if a.dtype.newbyteorder("=") != b.dtype.newbyteorder("="):
        return Apart(True, f"dtype {a.dtype} -> {b.dtype}"[:200])
    if a.shape != b.shape:
        return Apart(True, f"shape {a.shape} -> {b.shape}")
    tally = Tally(a.dtype, tolerance)
    first, second = (native(np.ascontiguousarray(one).reshape(-1)) for one in (a, b))
    for start in range(0, first.size, _BLOCK):
        tally.add(first[start : start + _BLOCK], second[start : start + _BLOCK], start)
    if not tally.differing:
        return None
    return Apart(tally.beyond > 0, tally.said(namer(a.shape)), tally.max_abs, tally.max_rel)
