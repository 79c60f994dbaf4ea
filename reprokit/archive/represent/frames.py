"""pandas: frames, series, indexes and their arrays, column by column."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from reprokit.archive import form
from reprokit.archive.form import Form, Split
from reprokit.archive.graph import UnsupportedError
from reprokit.archive.represent.registry import libraries
from reprokit.archive.represent.standard import state_fills

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft

pd: Any = sys.modules["pandas"]  # who has such objects has loaded it


def for_pandas(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent pandas' own classes."""
    if cls.__module__.partition(".")[0] != "pandas":
        return None
    for kind, function in _KINDS:
        if issubclass(cls, kind):
            return function
    return None


def _of_frame(draft: Draft, obj: Any) -> Form:
    """Write a frame as a dict of numbered columns, then name them: two columns may have one name."""
    columns = [_values(obj.iloc[:, number]) for number in range(obj.shape[1])]
    made = {"index": obj.index, "columns": obj.columns}
    numbered = dict(enumerate(columns))
    begin = form.call(draft.use("pandas", "DataFrame"), [numbered], {"index": obj.index, "copy": False})
    pieces = (begin.pieces[0], *begin.pieces[1:-1], ").set_axis(", ", axis=1)")
    whole = Form("call", pieces, [*begin.children, made["columns"]], depth=2)
    return _with_attributes(draft, obj, whole)


def _of_series(draft: Draft, obj: Any) -> Form:
    whole = form.call(
        draft.use("pandas", "Series"), [_values(obj)], {"index": obj.index, "name": obj.name, "copy": False}
    )
    return _with_attributes(draft, obj, whole)


def _with_attributes(draft: Draft, obj: Any, whole: Form) -> Form:
    if not obj.attrs:
        return whole
    fills = state_fills(draft, obj, {"attrs": obj.attrs})
    return Form("split", (), split=lambda: Split(whole, fills))


def _values(obj: Any) -> Any:
    """Give the array behind a series or an index: NumPy's own where there is one."""
    array = obj.array
    return array.to_numpy() if type(array) is pd.arrays.NumpyExtensionArray else array


def _of_range(draft: Draft, obj: Any) -> Form:
    return form.call(draft.use("pandas", "RangeIndex"), [obj.start, obj.stop, obj.step], {"name": obj.name})


def _of_multi(draft: Draft, obj: Any) -> Form:
    keywords = {
        "levels": list(obj.levels),
        "codes": [np.asarray(code) for code in obj.codes],
        "names": list(obj.names),
        "verify_integrity": True,
    }
    return form.call(draft.use("pandas", "MultiIndex"), (), keywords)


def _of_index(draft: Draft, obj: Any) -> Form:
    name = type(obj).__name__
    keywords: dict[str, Any] = {"name": obj.name}
    values = _values(obj)
    if name in ("DatetimeIndex", "TimedeltaIndex") and obj.freq is not None:
        keywords["freq"] = obj.freq.freqstr
    elif isinstance(values, np.ndarray):
        keywords["dtype"] = values.dtype
    return form.call(draft.use("pandas", name), [values], keywords)


def _of_categorical(draft: Draft, obj: Any) -> Form:
    return form.call(f"{draft.use('pandas', 'Categorical')}.from_codes", [np.asarray(obj.codes)], {"dtype": obj.dtype})


def _of_category_type(draft: Draft, obj: Any) -> Form:
    return form.call(draft.use("pandas", "CategoricalDtype"), [obj.categories, obj.ordered])


def _of_times(draft: Draft, obj: Any) -> Form:
    """Write times with a zone as UTC and the zone, without it as NumPy's."""
    kind = "DatetimeIndex" if isinstance(obj, pd.arrays.DatetimeArray) else "TimedeltaIndex"
    plain = obj._ndarray
    index = f"{draft.use('pandas', kind)}("
    zone = getattr(obj, "tz", None)
    if zone is None:
        return Form("call", (index, ").array"), [plain], depth=2)
    return Form("call", (index, ").tz_localize('UTC').tz_convert(", ").array"), [plain, zone], depth=2)


def _of_periods(draft: Draft, obj: Any) -> Form:
    maker = f"{draft.use('pandas', 'PeriodIndex')}.from_ordinals("
    return Form("call", (maker, ", freq=", ").array"), [obj.asi8, obj.freqstr], depth=2)


def _of_intervals(draft: Draft, obj: Any) -> Form:
    maker = f"{draft.use('pandas', 'arrays')}.IntervalArray.from_arrays"
    return form.call(maker, [obj.left, obj.right], {"closed": obj.closed})


def _of_nullable(draft: Draft, obj: Any) -> Form:
    name = type(obj).__name__
    return form.call(f"{draft.use('pandas', 'arrays')}.{name}", [obj._data, obj._mask])


def _of_other(draft: Draft, obj: Any) -> Form:
    """Write strings and what else has a dtype with a name as a list."""
    dtype = obj.dtype
    if isinstance(dtype, pd.StringDtype):
        missing = obj.isna()
        values = [None if gone else str(one) for one, gone in zip(obj, missing, strict=True)]
        return form.call(draft.use("pandas", "array"), [values], {"dtype": dtype})
    raise UnsupportedError(f"columns of type {dtype} cannot be archived; convert them with astype()")


def _of_string_type(draft: Draft, obj: Any) -> Form:
    keywords: dict[str, Any] = {"storage": obj.storage}
    if obj.na_value is not pd.NA:
        keywords["na_value"] = obj.na_value
    return form.call(draft.use("pandas", "StringDtype"), (), keywords)


def _of_other_type(draft: Draft, obj: Any) -> Form:
    return form.text(f"{draft.use('pandas', 'api')}.types.pandas_dtype({str(obj)!r})")


def _of_timestamp(draft: Draft, obj: Any) -> Form:
    """Write a moment by its number of units since 1970, the unit, and the zone."""
    name = draft.use("pandas", "Timestamp")
    made = Form("call", (f"{name}(", f").as_unit({obj.unit!r})"), [str(obj.to_numpy())])
    if obj.tz is None:
        return made
    return Form(
        "call",
        (f"{name}(", f").as_unit({obj.unit!r}).tz_localize('UTC').tz_convert(", ")"),
        [str(obj.to_numpy()), obj.tz],
    )


def _of_timedelta(draft: Draft, obj: Any) -> Form:
    return form.text(f"{draft.use('pandas', 'Timedelta')}({obj._value}, {obj.unit!r}).as_unit({obj.unit!r})")


def _of_period(draft: Draft, obj: Any) -> Form:
    return form.text(f"{draft.use('pandas', 'Period')}(ordinal={obj.ordinal}, freq={obj.freqstr!r})")


def _of_interval(draft: Draft, obj: Any) -> Form:
    return form.call(draft.use("pandas", "Interval"), [obj.left, obj.right, obj.closed])


def _of_missing(draft: Draft, obj: Any) -> Form:
    return form.text(draft.use("pandas", "NA" if obj is pd.NA else "NaT"), cheap=True)


_KINDS: tuple[tuple[Any, Callable[[Draft, Any], Form]], ...] = (
    (type(pd.NA), _of_missing),
    (type(pd.NaT), _of_missing),
    (pd.DataFrame, _of_frame),
    (pd.Series, _of_series),
    (pd.RangeIndex, _of_range),
    (pd.MultiIndex, _of_multi),
    (pd.Index, _of_index),
    (pd.Categorical, _of_categorical),
    (pd.CategoricalDtype, _of_category_type),
    ((pd.arrays.DatetimeArray, pd.arrays.TimedeltaArray), _of_times),
    (pd.arrays.PeriodArray, _of_periods),
    (pd.arrays.IntervalArray, _of_intervals),
    ((pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray), _of_nullable),
    (pd.api.extensions.ExtensionArray, _of_other),
    (pd.StringDtype, _of_string_type),
    (pd.api.extensions.ExtensionDtype, _of_other_type),
    (pd.Timestamp, _of_timestamp),
    (pd.Timedelta, _of_timedelta),
    (pd.Period, _of_period),
    (pd.Interval, _of_interval),
)

libraries.append(for_pandas)
