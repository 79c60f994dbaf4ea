"""A pair of files of each kind: the same content in other bytes, and other content."""

from __future__ import annotations

import io
import json
import warnings

import numpy as np

from reprokit.reproduce.compare import Tolerance, files

STRICT = Tolerance()


def outcomes(old, new, tolerance=STRICT):
    """Compare both ways; which of two files is the earlier one makes no difference to the outcome."""
    there, back = files("out", old, new, tolerance), files("out", new, old, tolerance)
    assert (there.outcome, there.kind) == (back.outcome, back.kind)
    json.dumps(there.details, allow_nan=False)  # raises for what JSON can't hold
    assert "\n" not in there.said
    return there


def write(path, data):
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def npy(array):
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy's, of newer versions of the format
        np.save(out, array, allow_pickle=False)
    return out.getvalue()
