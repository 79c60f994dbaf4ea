"""How far random walkers get."""

from __future__ import annotations

import random

import reprokit as rk
from walkers.steps import step


def distance(seed: int, steps: int = 10_000) -> float:
    """Give the distance of one walker from its start after some steps."""
    chance = random.Random(seed)  # noqa: S311 - no secrets here
    x = y = 0.0
    for _ in range(steps):
        dx, dy = step(chance)
        x, y = x + dx, y + dy
    found = (x * x + y * y) ** 0.5
    rk.current().record("distance", found)
    return found
