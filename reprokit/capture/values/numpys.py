"""NumPy: arrays by the bytes of their elements, scalars, dtypes and random generators."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from reprokit.capture.values import instances
from reprokit.capture.values.plain import END, INLINE, close, text
from reprokit.capture.values.unknown import Refused

if TYPE_CHECKING:
    from reprokit.capture.values.encoder import Encoder

_BLOCK = 1 << 16  # elements of an array in another order that are copied at a time


def find(kind: type) -> Callable[[Encoder, Any], bytes] | None:
    """Give the function for a class of NumPy's, or one that extends an array."""
    np: Any = sys.modules["numpy"]
    if issubclass(kind, np.ndarray):
        return _masked if issubclass(kind, np.ma.MaskedArray) else _array
    if issubclass(kind, np.generic):
        return _scalar
    if issubclass(kind, np.dtype):
        return _dtype
    if issubclass(kind, np.ufunc):
        return _ufunc
    random = sys.modules.get("numpy.random")
    if random is None:
        return None
    if issubclass(kind, random.Generator):
        return _generator
    if issubclass(kind, random.RandomState):
        return _random_state
    if issubclass(kind, random.BitGenerator):
        return _bits
    return _seeds if issubclass(kind, random.SeedSequence) else None


def _array(encoder: Encoder, value: Any) -> bytes:
    np: Any = sys.modules["numpy"]
    encoder.mutable = True
    kind = type(value)
    if kind is np.ndarray or kind is np.memmap:
        return elements(encoder, value)
    parts = [b"@array:", encoder.form(kind), elements(encoder, value.view(np.ndarray))]
    if kind not in (np.matrix, np.recarray):
        parts.append(instances.own_fields(encoder, value))
        if kind.__reduce__ is not np.ndarray.__reduce__ or kind.__reduce_ex__ is not np.ndarray.__reduce_ex__:
            parts.append(instances.instance(encoder, value))
    return close([*parts, END])


def elements(encoder: Encoder, value: Any) -> bytes:
    """Encode the dtype, shape and elements of an array; of its layout, whether it lies in Fortran's order."""
    flags = value.flags
    fortran = flags.f_contiguous and not flags.c_contiguous
    parts = [b"A", b"F" if fortran else b"C", _dtype(encoder, value.dtype), _shape(value)]
    parts.append(_content(encoder, value.T if fortran else value))
    return close(parts)


def _shape(value: Any) -> bytes:
    return b"%b;" % b",".join(b"%d" % size for size in value.shape)


def _content(encoder: Encoder, value: Any) -> bytes:
    np: Any = sys.modules["numpy"]
    dtype = value.dtype
    if dtype.hasobject or dtype.kind == "T":
        if dtype.names is not None:
            return close([b"@columns:", *(elements(encoder, value[name]) for name in dtype.names), END])
        return encoder.sequence(b"l", value.flat)
    if _is_dense(np, dtype):
        return _raw(np, value, dtype.itemsize)
    if dtype.names is not None:
        return close([b"@columns:", *(elements(encoder, value[name]) for name in dtype.names), END])
    if dtype.char in "gG":
        return _digest(_long_doubles(np, value), None)
    raise Refused(np.ndarray, f"has the dtype {dtype}, whose bytes are not known")


def _raw(np: Any, value: Any, itemsize: int) -> bytes:
    """Encode bytes as they lie, without a copy where they lie in order."""
    if not value.size or not itemsize:
        return _digest(iter(()), 0)
    if value.flags.c_contiguous:
        return _digest(iter((value.reshape(-1).view(np.uint8).data,)), value.nbytes)
    return _digest((block.view(np.uint8).data for block in _blocks(np, value)), value.nbytes)


def _blocks(np: Any, value: Any) -> Iterator[Any]:
    flags, operand = ["external_loop", "buffered", "zerosize_ok"], [["readonly", "contig"]]
    for block in np.nditer(value, flags, operand, order="C", buffersize=_BLOCK):
        yield np.ascontiguousarray(block)


def _digest(blocks: Iterator[Any], size: int | None) -> bytes:
    if size is not None and size <= INLINE:
        data = b"".join(blocks)
        return b"b%d:%b" % (len(data), data)
    state = sha256(b"b")
    for block in blocks:
        state.update(block)
    return b"D" + state.digest()


def _long_doubles(np: Any, value: Any) -> Iterator[Any]:
    """Give the bytes of extended floats that mean something: of 16 (or 12), x86 uses ten."""
    used = 10 if np.finfo(np.longdouble).nmant == 63 else np.dtype("g").itemsize
    for block in _blocks(np, value):
        native = block.astype(block.dtype.newbyteorder("="), copy=False)
        yield native.view(np.uint8).reshape(-1, np.dtype("g").itemsize)[:, :used].tobytes()


def _is_dense(np: Any, dtype: Any) -> bool:
    """Tell whether each byte of an element says something."""
    if dtype.subdtype is not None:
        return _is_dense(np, dtype.base)
    if dtype.names is None:
        return dtype.char not in "gGTO"
    parts = [dtype.fields[name][0] for name in dtype.names]
    offsets = {dtype.fields[name][1] for name in dtype.names}
    whole = len(offsets) == len(parts) and sum(part.itemsize for part in parts) == dtype.itemsize
    return whole and all(_is_dense(np, part) for part in parts)


def _dtype(encoder: Encoder, value: Any) -> bytes:
    own = value.type.__module__ == "numpy" and value.names is None and value.subdtype is None
    if own and value.kind != "T" and not value.metadata:  # not isbuiltin: that differs for what was unpickled
        return text(value.str)
    parts = [b"@dtype:", text(value.str), text(f"{value.type.__module__}.{value.type.__qualname__}")]
    if value.metadata:
        parts.append(encoder.pairs(b"d", value.metadata.items()))
    if value.subdtype is not None:
        parts += [_dtype(encoder, value.base), _shape(value)]
    elif value.names is not None:
        parts.append(b"%d,%d;" % (value.itemsize, value.isalignedstruct))
        for name in value.names:
            field, offset, *title = value.fields[name]
            parts += [text(name), b"%d;" % offset, _dtype(encoder, field), encoder.sequence(b"t", title)]
    elif value.kind == "T":
        missing = getattr(value, "na_object", "")  # none is not None
        parts += [encoder.value(missing), b"T" if value.coerce else b"F"]
    return close([*parts, END])


def _scalar(encoder: Encoder, value: Any) -> bytes:
    np: Any = sys.modules["numpy"]
    encoder.mutable = encoder.mutable or isinstance(value, np.void)
    parts = [b"@scalar:", elements(encoder, np.asarray(value))]
    if type(value) is not value.dtype.type:
        parts += [encoder.form(type(value)), instances.own_fields(encoder, value)]
    return close([*parts, END])


def _masked(encoder: Encoder, value: Any) -> bytes:
    """Encode data (what lies under the mask too), mask, and what is filled in; that is made when first asked for."""
    np: Any = sys.modules["numpy"]
    encoder.mutable = True
    data, mask, fill = value.view(np.ndarray), value._mask, value._fill_value
    if fill is None:
        fill = np.ma.empty(0, dtype=value.dtype).fill_value
    parts = [b"@masked:", encoder.form(type(value)), elements(encoder, data)]
    parts.append(b"N" if mask is np.ma.nomask else elements(encoder, mask))
    parts += [elements(encoder, np.asarray(fill, value.dtype)), b"T" if value.hardmask else b"F"]
    if type(value) not in (np.ma.MaskedArray, np.ma.mrecords.MaskedRecords if hasattr(np.ma, "mrecords") else None):
        parts.append(instances.instance(encoder, value))
    return close([*parts, END])


def _ufunc(encoder: Encoder, value: Any) -> bytes:
    for module in ("numpy", "scipy.special"):
        name: str = value.__name__
        if getattr(sys.modules.get(module), name, None) is value:
            return encoder.named(b"g", value, module, name)
    raise Refused(type(value), "is not a ufunc of NumPy's or SciPy's own")


def _generator(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    return close([b"@generator:", encoder.form(type(value)), encoder.value(value.bit_generator), END])


def _bits(encoder: Encoder, value: Any) -> bytes:
    """Encode the stream's state, and the seed that more streams are spawned from."""
    encoder.mutable = True
    seeds = getattr(value, "seed_seq", None)
    return close([b"@bits:", encoder.form(type(value)), encoder.value(value.state), encoder.value(seeds), END])


def _seeds(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    return close([b"@seeds:", encoder.form(type(value)), encoder.value(value.state), END])


def _random_state(encoder: Encoder, value: Any) -> bytes:
    encoder.mutable = True
    state = value.get_state(legacy=False)
    return close([b"@random:", encoder.form(type(value)), encoder.value(state), END])
