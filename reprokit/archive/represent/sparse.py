"""SciPy's sparse arrays and matrices, all seven formats."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from reprokit.archive import form
from reprokit.archive.represent.references import reference
from reprokit.archive.represent.registry import libraries

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft
    from reprokit.archive.form import Form

sp: Any = sys.modules["scipy.sparse"]  # who has such objects has loaded it
_FORMATS = ("csr", "csc", "bsr", "coo", "dia", "lil", "dok")
_KINDS = frozenset(
    getattr(sp, f"{name}_{kind}") for name in _FORMATS for kind in ("matrix", "array") if hasattr(sp, f"{name}_{kind}")
)


def for_sparse(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent SciPy's own classes."""
    return _of_sparse if cls in _KINDS else None


def _of_sparse(draft: Draft, obj: Any) -> Form:
    cls = _use(draft, type(obj))
    shape = {"shape": tuple(map(int, obj.shape))}
    if obj.format in ("csr", "csc", "bsr"):
        return form.call(cls, [(obj.data, obj.indices, obj.indptr)], shape)
    if obj.format == "coo":
        places = getattr(obj, "coords", None)
        return form.call(cls, [(obj.data, tuple(places) if places is not None else (obj.row, obj.col))], shape)
    if obj.format == "dia":
        return form.call(cls, [(obj.data, obj.offsets)], shape)
    kind = "matrix" if type(obj).__name__.endswith("matrix") else "array"
    if obj.format == "lil":
        rows = [np.asarray(row, dtype=np.int64) for row in obj.rows]
        indices = np.concatenate([np.empty(0, np.int64), *rows])
        data = np.concatenate([np.empty(0, obj.dtype), *[np.asarray(row, dtype=obj.dtype) for row in obj.data]])
        indptr = np.cumsum([0, *[len(row) for row in rows]])
        inner = _use(draft, getattr(sp, f"csr_{kind}"))
        parts: tuple[Any, ...] = (data, indices, indptr)
    else:
        keys = list(obj.keys())
        places = np.array([key if isinstance(key, tuple) else (key,) for key in keys], dtype=np.int64).reshape(
            len(keys), len(obj.shape)
        )
        inner = _use(draft, getattr(sp, f"coo_{kind}"))
        parts = (
            np.array(list(obj.values()), dtype=obj.dtype),
            tuple(places[:, axis].copy() for axis in range(len(obj.shape))),
        )
    size = shape["shape"]
    return form.Form("call", (f"{cls}({inner}(", f", shape={size!r}))"), [parts], depth=2)


def _use(draft: Draft, cls: type) -> str:
    return draft.use("scipy.sparse", cls.__name__) if getattr(sp, cls.__name__, None) is cls else reference(draft, cls)


libraries.append(for_sparse)
