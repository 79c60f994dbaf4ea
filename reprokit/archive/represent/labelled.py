"""xarray: variables, data arrays, datasets."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from reprokit.archive import form
from reprokit.archive.represent.registry import libraries

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft
    from reprokit.archive.form import Form

xr: Any = sys.modules["xarray"]  # who has such objects has loaded it


def for_xarray(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent xarray's own classes."""
    if cls is xr.Dataset:
        return _of_dataset
    if cls is xr.DataArray:
        return _of_data_array
    return _of_variable if cls in (xr.Variable, xr.IndexVariable) else None


def _of_variable(draft: Draft, obj: Any) -> Form:
    values = obj.to_index() if isinstance(obj, xr.IndexVariable) and obj.dtype == object else obj.values
    return form.call(draft.use("xarray", type(obj).__name__), [tuple(obj.dims), values, dict(obj.attrs)])


def _of_data_array(draft: Draft, obj: Any) -> Form:
    keywords = {
        "coords": {name: one.variable for name, one in obj.coords.items()},
        "dims": tuple(obj.dims),
        "name": obj.name,
        "attrs": dict(obj.attrs),
    }
    return form.call(draft.use("xarray", "DataArray"), [obj.values], keywords)


def _of_dataset(draft: Draft, obj: Any) -> Form:
    variables = {name: one.variable for name, one in obj.data_vars.items()}
    coordinates = {name: one.variable for name, one in obj.coords.items()}
    return form.call(draft.use("xarray", "Dataset"), [variables, coordinates, dict(obj.attrs)])


libraries.append(for_xarray)
