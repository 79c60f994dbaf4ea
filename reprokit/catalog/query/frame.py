"""A list of runs as a data frame of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reprokit.errors import MissingPackageError

if TYPE_CHECKING:
    import pandas as pd

    from reprokit.catalog.query.run_list import RunList

_COLUMNS = (
    "id", "started", "what", "function", "kind", "status", "duration", "commit", "dirty", "config_hash", "host", "user",
    "python", "folder", "children", "reproduction_of", "reused_from", "reused", "reused_at", "saved",
)  # fmt: skip
_TIMES = {"started": "timestamp", "reused_at": "reused_time"}  # columns of times, and where rows have their seconds


def make(found: RunList) -> pd.DataFrame:
    """Make a data frame; facts are columns of the type that all their values have, else of objects.

    Raises
    ------
    MissingPackageError
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingPackageError("pandas", "to_frame()") from error
    made: dict[str, Any] = {}
    for name in _COLUMNS:
        column = found.column(name)
        if name in _TIMES:
            seconds = pd.Series([getattr(row, _TIMES[name]) for row in found.rows], dtype="float64")
            made[name] = pd.to_datetime(seconds, unit="s", utc=True)
        else:
            made[name] = _typed(column, name in ("status", "kind"))
    made["tags"] = pd.Series(found.column("tag"), dtype=object)
    facts = found.facts()
    for name in sorted({name for one in facts for name in one}):
        made[name] = _typed([one.get(name) for one in facts])
    return pd.DataFrame(made)


def _typed(column: list[Any], few: bool = False) -> Any:
    import pandas as pd

    kinds = {type(value) for value in column if value is not None}
    whole = None not in column
    if few:
        kind: Any = "category"
    elif kinds == {bool}:
        kind = "bool" if whole else "boolean"
    elif kinds == {int} and all(value is None or -(2**63) <= value < 2**63 for value in column):
        kind = "int64" if whole else "Int64"
    elif kinds and kinds <= {int, float}:
        kind = "float64"
    else:
        kind = object
    return pd.Series(column, dtype=kind)
