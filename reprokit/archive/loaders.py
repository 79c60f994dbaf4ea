"""The few lines in a saved archive that read its data files: fixed text, which safe loading compares and never runs."""

from __future__ import annotations

VERSION = 1
MAPPED = 64 << 20  # bytes above which an array is mapped instead of read

_HEAD = """\
def _load(layout):
    import os
    import numpy
    here = os.path.dirname(os.path.abspath(__file__))
    where = os.path.join(here, layout['where'])
    held = os.open(where, os.O_RDONLY) if os.name == 'posix' else None
    arrays, packed = {}, []
    try:
        before = os.stat(where if held is None else held)
"""

_NPY = f"""\
        for name in layout['names']:
            path = os.path.join(where, name + '.npy')
            mapped = 'c' if os.path.getsize(path) > {MAPPED} else None
            arrays[name] = numpy.asarray(numpy.load(path, mmap_mode=mapped, allow_pickle=False))
        if layout['packed']:
            data = numpy.load(os.path.join(where, 'packed.npy'), allow_pickle=False)
            for dtype, shape, order, offset, count in layout['packed']:
                block = numpy.ndarray((count, *shape[::-1 if order == 'F' else 1]), dtype, data, offset)
                rows = [block[i, ...] for i in range(count)]
                packed += [row.T for row in rows] if order == 'F' else rows
"""

_NPZ = """\
        with numpy.load(where, allow_pickle=False) as data:
            for name in layout['names']:
                arrays[name] = data[name]
"""

_HDF5 = """\
        import h5py
        with h5py.File(where, 'r') as data:
            for name in layout['names']:
                arrays[name] = data[name][...]
"""

_TAIL = """\
        after = os.stat(where)
    finally:
        if held is not None:
            os.close(held)
    for name, (dtype, shape, order) in layout['raw'].items():
        arrays[name] = numpy.ndarray(shape, dtype, arrays[name], order=order)
    with open(__file__, encoding='utf-8') as source:
        same = source.readline().strip() == layout['archive']
    if not same or (before.st_dev, before.st_ino) != (after.st_dev, after.st_ino):
        raise ImportError('this archive was saved anew while it was being read; import it again', path=__file__)
    return arrays, packed
"""

LOADERS = {"npy": _HEAD + _NPY + _TAIL, "npz": _HEAD + _NPZ + _TAIL, "hdf5": _HEAD + _HDF5 + _TAIL}
CALL = "_arrays, _packed = _load(_layout)\n"
CLEAN = "del _layout, _load, _packed\n"
