"""Forty random walkers on two processes: each task is recorded as a child of this run.

The distance from the start grows with the square root of the number of steps.
"""

from __future__ import annotations

import statistics
from concurrent.futures import ProcessPoolExecutor

from walkers.walk import distance

import reprokit as rk
from reprokit import ship

WALKERS, STEPS = 40, 10_000


def main() -> None:
    with rk.run("random walks", config={"walkers": WALKERS, "steps": STEPS}) as ctx:
        with ship.executor(ProcessPoolExecutor(2)) as ex:
            found = list(ex.map(distance, range(WALKERS), [STEPS] * WALKERS, chunksize=5, progress=True))
        spread = statistics.fmean(one * one for one in found) ** 0.5
        ctx.record("distance", spread)
    print(
        f"{WALKERS} walkers got {spread:.0f} steps away (root mean square); the square root of {STEPS} is {STEPS**0.5:.0f}"
    )
    print(f"look      reprokit show {ctx.run_id[:8]}")


if __name__ == "__main__":
    main()
