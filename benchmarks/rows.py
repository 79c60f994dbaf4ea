"""The comparisons; each gives its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import fixtures, measure
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.environments import Environment


@dataclass(frozen=True)
class Setting:
    """Where and how long to measure."""

    own: Environment
    peers: Environment
    work: Path
    small: Path  # repository of 20 files
    large: Path  # repository of `files` files
    files: int
    quick: bool

    def rounds(self, number: int) -> int:
        """Fewer when it has to be quick."""
        return max(3, number // 4) if self.quick else number


def imports(setting: Setting) -> Iterator[Row]:
    """``import reprokit`` beside wrapt alone and the peers, timed inside fresh processes."""

    def timed(environment: Environment, statement: str) -> Callable[[], float]:
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        return lambda: measure.answer([environment.python, "-c", code], setting.work)

    names = "import reprokit; reprokit.Artifact, reprokit.monitor, reprokit.snapshot_code, reprokit.run"
    took = measure.in_turn(
        {
            "reprokit": timed(setting.own, "import reprokit"),
            "names": timed(setting.own, names),
            "wrapt": timed(setting.own, "import wrapt"),
            "capsula": timed(setting.peers, "import capsula"),
            "sacred": timed(setting.peers, "import sacred"),
            "mlflow-skinny": timed(setting.peers, "import mlflow"),
        },
        setting.rounds(20),
    )
    yield Row("import reprokit", took["reprokit"], "import wrapt", took["wrapt"], 1.25)
    yield Row("import reprokit and use the decorators' names", took["names"], "import wrapt", took["wrapt"], 1.25)
    for peer in ("capsula", "sacred", "mlflow-skinny"):
        yield Row("import reprokit and use the decorators' names", took["names"], f"import {peer}", took[peer])


def whole_process(setting: Setting) -> Iterator[Row]:
    """A script with one decorated call, over the same script without; each in a repository of its own."""
    places = fixtures.copies(setting.small, ("script-reprokit", "script-stack", "script-capsula"))
    own, peers = setting.own.python, setting.peers.python

    def script(python: Path, name: str, place: str) -> Callable[[], float]:
        return lambda: measure.process([python, f"{name}.py"], places[place])

    took = measure.in_turn(
        {
            "own plain": script(own, "use_plain", "script-reprokit"),
            "reprokit": script(own, "use_reprokit", "script-reprokit"),
            "stack": script(own, "use_reprokit_stack", "script-stack"),
            "peers plain": script(peers, "use_plain", "script-capsula"),
            "capsula": script(peers, "use_capsula", "script-capsula"),
        },
        setting.rounds(20),
    )
    over = took["reprokit"] - took["own plain"]
    capsula = took["capsula"] - took["peers plain"]
    yield Row("script with one call, over the plain script", over, "capsula", capsula, 0.6)
    yield Row("the same with snapshot_code", took["stack"] - took["own plain"], "capsula", capsula)


def root_calls(setting: Setting) -> Iterator[Row]:
    """A root call after the first, in both repositories."""
    many = f"{setting.files:,}"
    names = ("floor", "reprokit", "reprokit_stack", "capsula", "sacred", "mlflow")
    workers, each = {}, {}
    for size, source in (("20", setting.small), (many, setting.large)):
        for name, place in fixtures.copies(source, names).items():
            mine = name.startswith(("reprokit", "floor"))
            workers[f"{name} {size}"] = ((setting.own if mine else setting.peers).python, f"use_{name}", place)
            each[f"{name} {size}"] = 20
    took = measure.calls(workers, setting.rounds(24), each)
    others = {
        "capsula": ("capsula", 0.2),
        "sacred": ("sacred", 0.3),
        "mlflow": ("mlflow, sqlite", 0.1),
        "floor": ("floor: three JSON files", 2.0),
    }
    for size in ("20", many):
        own = took[f"reprokit {size}"]
        for name, (title, goal) in others.items():
            yield Row(f"root call, {size} files", own, title, took[f"{name} {size}"], goal)
        yield Row(
            f"the same with snapshot_code, {size} files",
            took[f"reprokit_stack {size}"],
            "floor: three JSON files",
            took[f"floor {size}"],
        )
    yield Row(f"root call, {many} files", took[f"reprokit {many}"], "reprokit, 20 files", took["reprokit 20"], 1.2, 0.8)


def child_calls(setting: Setting) -> Iterator[Row]:
    """Child calls inside an open run."""
    places = fixtures.copies(setting.small, ("child", "child_bare", "plain", "joblib"))
    took = measure.calls(
        {
            "plain": (setting.own.python, "use_plain", places["plain"]),
            "child": (setting.own.python, "use_child", places["child"]),
            "bare": (setting.own.python, "use_child_bare", places["child_bare"]),
            "joblib": (setting.peers.python, "use_joblib", places["joblib"]),
        },
        setting.rounds(30),
        {"plain": 40, "child": 40, "bare": 200, "joblib": 40},
    )
    yield Row("child call with one artifact", took["child"], "joblib.Memory, a miss", took["joblib"], 0.5)
    yield Row("child call without artifact", took["bare"], "100 us", 100e-6, 1.0)


def first_call(setting: Setting) -> Iterator[Row]:
    """The first call in a process, beside one ``git status`` and the imports that the call needs."""
    for size, source in (("20", setting.small), (f"{setting.files:,}", setting.large)):
        (place,) = fixtures.copies(source, (f"first-{size.replace(',', '')}",)).values()
        modules = setting.work / f"modules-{size}.json"

        def first(what: str, place: Path = place, modules: Path = modules) -> Callable[[], float]:
            return lambda: measure.answer([setting.own.python, "first_call.py", what, modules], place)

        took = measure.in_turn(
            {what: first(what) for what in ("reprokit", "stack", "floor")}, setting.rounds(12 if size == "20" else 8)
        )
        beside = "git status + imports"
        yield Row(f"first call, {size} files", took["reprokit"], beside, took["floor"], 1.5)
        yield Row(f"first call with snapshot_code, {size} files", took["stack"], beside, took["floor"])


def commands(setting: Setting) -> Iterator[Row]:
    """``reprokit monitor -- true`` beside ``capsula run true``."""
    places = fixtures.copies(setting.small, ("monitor", "capsula-run"))
    took = measure.in_turn(
        {
            "reprokit": lambda: measure.process(
                [setting.own.bin / "reprokit", "monitor", "--", "true"], places["monitor"]
            ),
            "capsula": lambda: measure.process([setting.peers.bin / "capsula", "run", "true"], places["capsula-run"]),
        },
        setting.rounds(16),
    )
    yield Row("reprokit monitor -- true", took["reprokit"], "capsula run true", took["capsula"], 0.5)


def memory(setting: Setting) -> Iterator[Row]:
    """Growth of the process over many child calls in one run."""
    calls = 10_000 if setting.quick else 100_000
    (place,) = fixtures.copies(setting.small, ("memory",)).values()
    grown = measure.answer([setting.own.python, "memory.py", str(calls)], place)
    yield Row(f"memory after {calls:,} child calls", grown, "20 MB", 20e6, 1.0, unit="B")


ALL = {
    "imports": imports,
    "process": whole_process,
    "root": root_calls,
    "child": child_calls,
    "first": first_call,
    "command": commands,
    "memory": memory,
}
