"""Cuts an array into blocks that fit into memory, along the chunks that it is stored in."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def blocks(
    shape: tuple[int, ...], itemsize: int, budget: int, chunks: tuple[int, ...] | None = None
) -> Iterator[tuple[slice, ...]]:
    """Give slices that cover an array, each of at most `budget` bytes where its chunks allow it."""
    size = list(chunks or [1] * len(shape))
    for axis in reversed(range(len(shape))):
        rest = math.prod(size) // size[axis] * max(1, itemsize)
        fits = max(1, budget // max(1, rest) // size[axis]) * size[axis]
        size[axis] = max(1, min(shape[axis], fits))
        if size[axis] < shape[axis]:
            break
    steps = [range(0, length, step) for length, step in zip(shape, size, strict=True)]
    for starts in itertools.product(*steps):
        yield tuple(slice(at, min(at + n, end)) for at, n, end in zip(starts, size, shape, strict=True))
