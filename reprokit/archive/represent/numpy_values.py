"""NumPy: arrays, scalars, types, random generators."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from reprokit.archive import form
from reprokit.archive.form import Form, Split
from reprokit.archive.graph import UnsupportedError
from reprokit.archive.represent.references import reference
from reprokit.archive.represent.registry import exactly, libraries

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.archive.draft import Draft

_READABLE = 1000  # elements up to which the source shows numbers; more are base64
_VIEWS = (np.matrix, np.recarray)


def dtype_text(draft: Draft, dtype: np.dtype[Any]) -> str:
    """Give the expression for a dtype: ``'<f8'``, or ``_dtype({...})`` for one with fields.

    Raises
    ------
    UnsupportedError
        A dtype of another library.
    """
    if dtype.kind == "T":
        if hasattr(dtype, "na_object") or not dtype.coerce:  # type: ignore[attr-defined]
            raise UnsupportedError(
                "a StringDType with na_object or coerce=False cannot be archived; use an object array"
            )
        return f"{draft.use('numpy.dtypes', 'StringDType')}()"
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"({dtype_text(draft, base)}, {shape!r})"
    if dtype.names is None:
        if dtype.kind not in "biufcSUVMmO":
            raise UnsupportedError(f"dtype {dtype} is not NumPy's own; register a representer for its arrays")
        return repr(dtype.str)
    described: Any = dtype.fields
    fields = [described[name] for name in dtype.names]
    formats = ", ".join([dtype_text(draft, field[0]) for field in fields])
    offsets = [field[1] for field in fields]
    parts = f"'names': {list(dtype.names)!r}, 'formats': [{formats}], 'offsets': {offsets!r}"
    titles = [field[2] if len(field) > 2 else None for field in fields]
    if any(title is not None for title in titles):
        parts += f", 'titles': {titles!r}"
    aligned = ", align=True" if dtype.isalignedstruct else ""
    record = f"({reference(draft, dtype.type)}, " if dtype.type is not np.void else ""
    made = f"{draft.use('numpy', 'dtype')}({{{parts}, 'itemsize': {dtype.itemsize}}}{aligned})"
    return f"{draft.use('numpy', 'dtype')}({record}{made}))" if record else made


@exactly(np.ndarray, np.memmap)
def _of_array(draft: Draft, obj: np.ndarray[Any, Any]) -> Form:
    array = obj if type(obj) is np.ndarray else obj.view(np.ndarray)
    if array.dtype.hasobject and array.dtype.kind != "T":
        return _of_objects(draft, array)
    if array.size > draft.threshold and array.dtype.kind != "T":
        return Form("data", (draft.array_name(obj if type(obj) is np.ndarray else array), ""))
    return form.text(array_text(draft, array))


def array_text(draft: Draft, array: np.ndarray[Any, Any]) -> str:
    """Give the expression for an array in the source."""
    dtype = dtype_text(draft, array.dtype)
    order = _order(array)
    if _shows(array):
        values = repr(array.tolist())
        if array.dtype.kind == "f" and ("n" in values):
            values = values.replace("inf", draft.use("math", "inf")) if "inf" in values else values
            values = values.replace("nan", draft.use("math", "nan")) if "nan" in values else values
        suffix = ", order='F'" if order == "F" else ""
        return f"{draft.use('numpy', 'array')}({values}, dtype={dtype}{suffix})"
    data = base64.b64encode(array.tobytes(order)).decode()
    made = f"{draft.use('numpy', 'frombuffer')}({draft.use('builtins', 'bytearray')}({draft.use('base64', 'b64decode')}('{data}')), dtype={dtype})"
    if array.size == 0 or array.dtype.itemsize == 0:
        made = f"{draft.use('numpy', 'empty')}({array.shape!r}, dtype={dtype}"
        return f"{made}, order='F')" if order == "F" else f"{made})"
    if order == "F":
        return f"{made}.reshape({array.shape!r}, order='F')"
    return made if array.ndim == 1 else f"{made}.reshape({array.shape!r})"


def _order(array: np.ndarray[Any, Any]) -> Literal["C", "F"]:
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _shows(array: np.ndarray[Any, Any]) -> bool:
    """Whether nested lists say the values exactly, and a person may read them."""
    if array.dtype.kind == "T":
        return bool(array.size)
    if not 0 < array.size <= _READABLE:
        return False
    if array.dtype.kind == "f" and np.isnan(array).any():
        again = np.where(np.isnan(array), np.array(np.nan, array.dtype), array).astype(array.dtype)
        if again.tobytes() != array.tobytes():  # NaN comes in many bit patterns
            return False
    widest = 4096 if array.dtype.kind in "SU" else 8
    return array.dtype.kind in "biufSU" and 0 < array.dtype.itemsize <= widest


def _of_objects(draft: Draft, array: np.ndarray[Any, Any]) -> Form:
    if array.dtype != np.dtype(object):
        raise UnsupportedError("a structured array with fields of objects cannot be archived; split it into its fields")
    maker = draft.use("numpy", "fromiter")
    order = _order(array)
    children = list(array.ravel(order))
    shape = "" if array.ndim == 1 else f".reshape({array.shape!r}{', order=' + repr('F') if order == 'F' else ''})"

    def split() -> Split:
        begin = form.text(f"{draft.use('numpy', 'empty')}({array.shape!r}, dtype='|O', order='{order}')")
        fills = [
            Form("call", ("", f".__setitem__({place!r}, ", ")"), [array, array[place]])
            for place in np.ndindex(array.shape)
        ]
        return Split(begin, fills)

    return Form(
        "sequence",
        (f"{maker}([", f"], dtype='|O'){shape}"),
        children,
        depth=3,
        split=split if array.base is None else None,
    )


def _of_view(draft: Draft, obj: Any) -> Form:
    """Write matrices and record arrays as views of plain arrays."""
    plain = obj.view(np.ndarray)
    if type(obj) is np.recarray and plain.dtype.type is np.record:
        plain = plain.view(np.dtype(np.void, plain.dtype)) if plain.dtype.names is None else plain
    return Form("call", ("", f".view({reference(draft, type(obj))})"), [plain])


@exactly(np.ma.MaskedArray)
def _of_masked(draft: Draft, obj: Any) -> Form:
    keywords: dict[str, Any] = {"mask": obj.mask if obj.mask is not np.ma.nomask else False}
    if obj._fill_value is not None:
        keywords["fill_value"] = np.ndarray.__getitem__(np.asarray(obj._fill_value), ())
    if obj.hardmask:
        keywords["hard_mask"] = True
    return form.call(draft.use("numpy.ma", "MaskedArray"), [np.ma.getdata(obj, subok=False)], keywords)


@exactly(type(np.ma.masked))
def _of_masked_constant(draft: Draft, obj: Any) -> Form:
    return form.text(draft.use("numpy.ma", "masked"), cheap=True)


def _of_scalar(draft: Draft, obj: Any) -> Form:
    kind = obj.dtype.kind
    cls = type(obj)
    if kind in "biu" and cls.__module__ == "numpy":
        return form.text(f"{reference(draft, cls)}({obj.item()!r})")
    if kind in "fc" and isinstance(obj.item(), float | complex) and obj.dtype.itemsize <= 16:
        return form.text(f"{reference(draft, cls)}({draft.atom(obj.item())})")
    if kind in "SU":
        return form.text(f"{reference(draft, cls)}({obj.item()!r})")
    if obj.dtype.hasobject:
        raise UnsupportedError("a structured scalar with objects cannot be archived; split it into its fields")
    return form.text(f"{array_text(draft, np.array([obj], dtype=obj.dtype))}[0]")


def _of_dtype(draft: Draft, obj: Any) -> Form:
    written = dtype_text(draft, obj)
    return form.text(written if written.startswith("_") else f"{draft.use('numpy', 'dtype')}({written})")


@exactly(np.random.Generator)
def _of_generator(draft: Draft, obj: Any) -> Form:
    return form.call(draft.use("numpy.random", "Generator"), [obj.bit_generator])


@exactly(np.random.RandomState)
def _of_random_state(draft: Draft, obj: Any) -> Form:
    state = obj.get_state(legacy=False)
    begin = Form("call", (f"{draft.use('numpy.random', 'RandomState')}(", ")"), [obj._bit_generator])
    fill = Form("call", ("", ".set_state(", ")"), [obj, state])
    return Form("split", (), split=lambda: Split(begin, [fill]))


@exactly(np.random.SeedSequence)
def _of_seed_sequence(draft: Draft, obj: Any) -> Form:
    keywords = {"spawn_key": obj.spawn_key, "pool_size": obj.pool_size, "n_children_spawned": obj.n_children_spawned}
    return form.call(draft.use("numpy.random", "SeedSequence"), [obj.entropy], keywords)


def _of_bit_generator(draft: Draft, obj: Any) -> Form:
    seed = getattr(obj, "seed_seq", None)
    given = [seed] if isinstance(seed, np.random.SeedSequence) else [0]
    begin = form.call(reference(draft, type(obj)), given)
    setter = f"{draft.use('builtins', 'object')}.__setattr__"
    fill = Form("call", (f"{setter}(", ", 'state', ", ")"), [obj, obj.state])
    return Form("split", (), split=lambda: Split(begin, [fill]))


def for_numpy(cls: type) -> Callable[[Draft, Any], Form] | None:
    """Represent scalars, dtypes, bit generators and views of arrays."""
    if issubclass(cls, np.generic):
        return _of_scalar
    if issubclass(cls, np.dtype):
        return _of_dtype
    if issubclass(cls, np.random.BitGenerator) and cls.__module__.startswith("numpy."):
        return _of_bit_generator
    if cls in _VIEWS:
        return _of_view
    return None


libraries.append(for_numpy)
