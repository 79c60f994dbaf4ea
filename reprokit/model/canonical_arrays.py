"""The canonical form of NumPy's scalars and arrays; called only where NumPy is loaded."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

TAG = "$reprokit:"


def is_one(value: Any) -> bool:
    """Tell whether a value is a scalar or an array of NumPy's own; what a subclass adds (a unit, say) nobody knows here."""
    np = sys.modules["numpy"]
    own = (np.ndarray, np.memmap, np.recarray, np.matrix, np.ma.MaskedArray)
    return isinstance(value, np.generic) or type(value) in own


def form(value: Any, plain: Callable[[Any, str], Any]) -> Any:
    """Give the form: scalars are the Python value they hold, arrays dtype, shape and digest of their bytes.

    Parameters
    ----------
    plain
        Gives the form of a part, and is told its place.
    """
    np = sys.modules["numpy"]
    return _scalar(np, value, plain) if isinstance(value, np.generic) else _array(np, value, plain)


def _scalar(np: Any, value: Any, plain: Callable[[Any, str], Any]) -> Any:
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return {f"{TAG}scalar": [value.dtype.str, str(value)]}
    item = value.item()
    if isinstance(item, np.generic):  # long doubles: their text, for some of their bytes mean nothing
        return {f"{TAG}scalar": [value.dtype.str, str(item)]}
    return plain(item, "")


def _array(np: Any, value: Any, plain: Callable[[Any, str], Any]) -> Any:
    """Give dtype, shape and digest of an array's bytes; its parts where the bytes say less or more."""
    if isinstance(value, np.ma.MaskedArray):
        # What lies under the mask does not count.
        parts = [np.asarray(value.filled(np.zeros((), value.dtype))), np.ma.getmaskarray(value)]
        return {f"{TAG}masked": [plain(part, "") for part in parts]}
    value = np.asarray(value)
    shape = list(value.shape)
    if value.dtype.names is not None and not _is_dense(value.dtype):  # bytes between the fields are chance
        pairs = [[name, plain(value[name], f"[{name!r}]")] for name in value.dtype.names]
        return {f"{TAG}array": ["fields", shape, pairs]}
    if value.dtype.kind == "T":  # texts elsewhere in memory
        return {f"{TAG}array": ["text", shape, plain(value.tolist(), "")]}
    if value.dtype.hasobject or value.dtype.char in "gG":
        return plain(value.tolist(), "")
    little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
    kind = little.dtype.str if little.dtype.names is None else str(little.dtype.descr)
    return {f"{TAG}array": [kind, shape, hashlib.sha256(little.tobytes()).hexdigest()]}


def _is_dense(dtype: Any) -> bool:
    """Tell whether each byte of a structured array belongs to a field, and says what it holds."""
    if dtype.names is None:
        return dtype.base.char not in "gGTO" and (dtype.base.names is None or _is_dense(dtype.base))
    parts = [dtype.fields[name][0] for name in dtype.names]
    return sum(part.itemsize for part in parts) == dtype.itemsize and all(_is_dense(part) for part in parts)
