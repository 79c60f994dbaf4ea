"""One step, in a random direction."""

from __future__ import annotations

import math
from random import Random


def step(chance: Random) -> tuple[float, float]:
    """Give a step of length one."""
    angle = chance.uniform(0.0, 2 * math.pi)
    return math.cos(angle), math.sin(angle)
