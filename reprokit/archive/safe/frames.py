"""Constructors and methods of pandas and xarray that safe loading calls."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

_PANDAS = frozenset(
    {
        "DataFrame", "Series", "Index", "RangeIndex", "MultiIndex", "DatetimeIndex", "TimedeltaIndex", "PeriodIndex",
        "CategoricalIndex", "IntervalIndex", "PeriodIndex.from_ordinals", "Categorical.from_codes", "CategoricalDtype",
        "StringDtype", "array", "Timestamp", "Timedelta", "Period", "Interval", "arrays.IntervalArray.from_arrays",
        "arrays.IntegerArray", "arrays.FloatingArray", "arrays.BooleanArray", "api.types.pandas_dtype",
    }
)  # fmt: skip
_XARRAY = frozenset({"Variable", "IndexVariable", "DataArray", "Dataset"})
_METHODS = frozenset({"set_axis", "tz_localize", "tz_convert", "as_unit"})
_OWNERS = frozenset({"DataFrame", "DatetimeIndex", "TimedeltaIndex", "Timestamp", "Timedelta"})


def constant(module: str, name: str) -> Any:
    """Give a safe value of pandas; `MISSING` if there is none."""
    from reprokit.archive.safe.table import MISSING

    if module == "pandas" and name in ("NA", "NaT"):
        return getattr(importlib.import_module(module), name)
    return MISSING


def function(module: str, name: str) -> Callable[..., Any] | None:
    """Give a safe constructor; None if there is none."""
    if name not in {"pandas": _PANDAS, "xarray": _XARRAY}.get(module, ()):
        return None
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)

    def make(*args: Any, **keywords: Any) -> Any:
        for one in (*args, *keywords.values()):
            if type(one) is list and any(type(part) in (list, tuple, dict) for part in one):
                raise ArchiveError(f"{module}.{name}", "takes no lists of lists here")
        return found(*args, **keywords)

    return make


def method(owner: Any, name: str) -> Callable[..., Any] | None:
    """Give a safe method of an object of pandas; None if there is none."""
    if name in _METHODS and _is_pandas(owner):
        return getattr(owner, name)  # type: ignore[no-any-return]
    return None


def attribute(owner: Any, name: str) -> Any:
    """Give the array behind an index; None for anything else."""
    return owner.array if name == "array" and _is_pandas(owner) else None


def _is_pandas(owner: Any) -> bool:
    cls = type(owner)
    pandas = sys.modules.get("pandas")
    return (
        pandas is not None
        and cls.__module__.partition(".")[0] == "pandas"
        and cls.__name__ in {*_OWNERS, "PeriodIndex"}
    )
