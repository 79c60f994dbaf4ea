"""Timing: processes from outside, calls from inside, contestants in turn."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.environments import variables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


def process(command: Sequence[str | Path], cwd: Path) -> float:
    """Seconds of wall clock from start to end of a process."""
    started = time.perf_counter()
    _run(command, cwd)
    return time.perf_counter() - started


def answer(command: Sequence[str | Path], cwd: Path) -> float:
    """The number that a process prints."""
    return float(_run(command, cwd).split()[-1])


def _run(command: Sequence[str | Path], cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, check=False, env=variables(), stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def in_turn(contestants: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Median of each contestant, one after the other in each round, so that a slow minute is slow for all.

    Each round starts with another one: whoever follows a heavy writer waits for its pages too.
    """
    if hasattr(os, "sync"):
        os.sync()  # what making the repositories left to write is not the contestants'
    names = list(contestants)
    taken: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds + 1):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            seconds = contestants[name]()
            if number:  # the first round warms caches
                taken[name].append(seconds)
    return {name: median(values) for name, values in taken.items()}


class Worker:
    """A process that makes calls of one contestant when told to."""

    def __init__(self, python: Path, contestant: str, cwd: Path, stack: ExitStack) -> None:
        log = stack.enter_context(open(cwd / "out" / f"{contestant}.log", "wb"))
        self._name = contestant
        self._log = cwd / "out" / f"{contestant}.log"
        self._process = subprocess.Popen(
            [python, "worker.py", contestant],
            cwd=cwd,
            env=variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        stack.callback(self._end)
        self._line()

    def calls(self, number: int) -> float:
        """Median seconds of `number` calls."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        return median(json.loads(self._line()))

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended:\n{self._log.read_text('utf-8', 'replace')}")
        return line

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)


def calls(workers: Mapping[str, tuple[Path, str, Path]], rounds: int, each: Mapping[str, int]) -> dict[str, float]:
    """Median seconds of a call of each worker, `each` of them per round, in turn."""
    with ExitStack() as stack:
        started = {name: Worker(*where, stack) for name, where in workers.items()}
        return in_turn({name: lambda w=w, n=each[name]: w.calls(n) for name, w in started.items()}, rounds)
