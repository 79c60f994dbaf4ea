"""Constructors of NumPy and SciPy that safe loading calls, with limits."""

from __future__ import annotations

import importlib
from functools import cache
from typing import TYPE_CHECKING, Any

from reprokit.archive.safe.data import numpy
from reprokit.errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable

_ATOMS = (bool, int, float, complex, str, bytes)
_MOST = 64 << 20  # bytes that an empty array may take; data come from files and text
_ELEMENTS = 50_000_000  # elements that nested lists may have, each counted as often as it is met
_SPARSE = ("csr", "csc", "bsr", "coo", "dia", "lil", "dok")


def constant(module: str, name: str) -> Any:
    """Give a class of NumPy, to be used as a value; None if there is none."""
    if module == "re" and name.startswith("RegexFlag."):
        import re

        return re.RegexFlag.__members__.get(name.partition(".")[2])
    if module == "numpy" and name in {"dtype", "ndarray", "matrix", "recarray", "record", "void"}:
        return getattr(numpy(), name)
    if module == "numpy.rec" and name == "recarray":
        return numpy().recarray
    if module == "numpy.ma" and name == "masked":
        return numpy().ma.masked
    if module == "numpy" and _is_scalar(name):
        return getattr(numpy(), name)
    return None


def _is_scalar(name: str) -> bool:
    found = numpy().__dict__.get(name)
    return isinstance(found, type) and issubclass(found, numpy().generic)


def function(module: str, name: str) -> Callable[..., Any] | None:
    """Give a safe constructor of NumPy or SciPy; None if there is none."""
    if module == "scipy.sparse":
        kind, _, form = name.partition("_")
        return _sparse(name, kind) if kind in _SPARSE and form in ("array", "matrix") else None
    if module == "numpy" and _is_scalar(name):
        return _scalar(name)
    if module.startswith("numpy.random.") or module == "numpy.random":
        return _random(name)
    return _functions().get((module, name))


def _scalar(name: str) -> Callable[[Any], Any]:
    def make(value: Any) -> Any:
        if type(value) not in _ATOMS:
            raise ArchiveError(f"numpy.{name}", f"takes no {type(value).__name__} here")
        return getattr(numpy(), name)(value)

    return make


def _dtype(*args: Any, align: bool = False) -> Any:
    return numpy().dtype(*args, align=align)


def _array(values: Any, dtype: Any = None, order: str = "K") -> Any:
    if type(values) not in (list, *_ATOMS):
        raise ArchiveError("numpy.array", "is made of lists of numbers here")
    if type(values) is list and _count(values) > _ELEMENTS:
        raise ArchiveError("numpy.array", f"more than {_ELEMENTS} elements are no text that an archive holds")
    return numpy().array(values, dtype=dtype, order=order)


def _count(values: list[Any]) -> int:
    """Count the elements of nested lists; a list that is in many others is looked at once."""
    counts: dict[int, int] = {}
    entered: set[int] = set()
    todo = [values]
    while todo:
        one = todo[-1]
        if id(one) in counts:
            todo.pop()
            continue
        inner = [part for part in one if type(part) is list]
        missing = [part for part in inner if id(part) not in counts]
        if missing:
            if id(one) in entered:
                raise ArchiveError("numpy.array", "a list contains itself")
            entered.add(id(one))
            todo += missing
            continue
        counts[id(one)] = len(one) - len(inner) + sum(counts[id(part)] for part in inner)
        todo.pop()
    return counts[id(values)]


def _frombuffer(data: Any, dtype: Any) -> Any:
    if type(data) not in (bytearray, bytes):
        raise ArchiveError("numpy.frombuffer", "takes bytes here")
    return numpy().frombuffer(data, dtype=dtype)


def _fromiter(values: Any, dtype: Any) -> Any:
    if type(values) is not list:
        raise ArchiveError("numpy.fromiter", "takes a list here")
    return numpy().fromiter(values, dtype=dtype)


def _empty(shape: Any, dtype: Any, order: str = "C") -> Any:
    kind = numpy().dtype(dtype)
    count = 1
    for length in shape:
        if type(length) is not int or length < 0:
            raise ArchiveError("numpy.empty", f"cannot have the shape {shape!r}")
        count *= length
    if count * max(kind.itemsize, 1) > _MOST:
        raise ArchiveError("numpy.empty", f"{count} elements are more than an archive makes without data")
    return numpy().empty(shape, dtype=kind, order=order)


def _masked(data: Any, mask: Any = False, fill_value: Any = None, hard_mask: Any = None) -> Any:
    return numpy().ma.MaskedArray(data, mask=mask, fill_value=fill_value, hard_mask=hard_mask)


def _string_dtype() -> Any:
    return numpy().dtypes.StringDType()


@cache
def _functions() -> dict[tuple[str, str], Callable[..., Any]]:
    return {
        ("numpy", "array"): _array,
        ("numpy", "dtype"): _dtype,
        ("numpy", "frombuffer"): _frombuffer,
        ("numpy", "fromiter"): _fromiter,
        ("numpy", "empty"): _empty,
        ("numpy.ma", "MaskedArray"): _masked,
        ("numpy.dtypes", "StringDType"): _string_dtype,
    }


def _random(name: str) -> Callable[..., Any] | None:
    np = numpy()
    if name in ("PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"):
        return lambda seed: getattr(np.random, name)(_seed(seed))
    if name in ("Generator", "RandomState"):
        return lambda bits: getattr(np.random, name)(_bits(bits))
    if name == "SeedSequence":
        return _seed_sequence
    return None


def _seed(seed: Any) -> Any:
    if type(seed) is not int and not isinstance(seed, numpy().random.SeedSequence):
        raise ArchiveError("numpy.random", "a generator is made of a SeedSequence here")
    return seed


def _bits(bits: Any) -> Any:
    if not isinstance(bits, numpy().random.BitGenerator):
        raise ArchiveError("numpy.random", "a generator is made of a bit generator here")
    return bits


def _seed_sequence(entropy: Any, spawn_key: Any = (), pool_size: int = 4, n_children_spawned: int = 0) -> Any:
    if type(pool_size) is not int or not 4 <= pool_size <= 1024:
        raise ArchiveError("SeedSequence", f"pool_size={pool_size!r} is not what generators have")
    return numpy().random.SeedSequence(
        entropy, spawn_key=spawn_key, pool_size=pool_size, n_children_spawned=n_children_spawned
    )


def _sparse(name: str, kind: str) -> Callable[..., Any]:
    def make(content: Any, shape: Any = None, dtype: Any = None) -> Any:
        sparse: Any = importlib.import_module("scipy.sparse")
        plain = type(content) is tuple or sparse.issparse(content)
        if not plain:
            raise ArchiveError(f"scipy.sparse.{name}", f"is not made of {type(content).__name__} here")
        found: Any = getattr(sparse, name)(content, shape=shape, dtype=dtype)
        if kind in ("csr", "csc", "bsr"):
            found.check_format(full_check=True)  # indices beyond the end would be followed
        return found

    return make
