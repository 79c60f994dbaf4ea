"""The comparisons; each gives its rows."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import (
    apart,
    archives,
    catalog,
    closure,
    environment,
    fixtures,
    measure,
    opened,
    reproduce,
    reuse,
    ship,
    trees,
)
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

    def places(self, source: Path, names: tuple[str, ...]) -> dict[str, Path]:
        """Give each contestant a copy of `source`, once the file system makes files in all of them equally fast."""
        made = fixtures.copies(source, names)
        dearest = fixtures.settle(list(made.values()), 10 if self.quick else 330)
        print(f"    making a file takes up to {dearest * 1e6:.0f} us", file=sys.stderr, flush=True)
        return made


def imports(setting: Setting) -> Iterator[Row]:
    """``import reprokit`` beside wrapt alone and the peers, timed inside fresh processes."""

    def timed(environment: Environment, statement: str) -> Callable[[], float]:
        code = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
        return lambda: measure.answer([environment.python, "-c", code], setting.work)

    def whole(statement: str) -> Callable[[], float]:
        return lambda: measure.process([setting.own.python, "-c", statement], setting.work)

    names = "import reprokit; reprokit.Artifact, reprokit.monitor, reprokit.snapshot_code, reprokit.run"
    took = measure.in_turn(
        {
            "reprokit": timed(setting.own, "import reprokit"),
            "names": timed(setting.own, names),
            "wrapt": timed(setting.own, "import wrapt"),
            "capsula": timed(setting.peers, "import capsula"),
            "sacred": timed(setting.peers, "import sacred"),
            "mlflow-skinny": timed(setting.peers, "import mlflow"),
            "whole process": whole(names),
            "whole process, wrapt": whole("import wrapt"),
            "bare": whole("pass"),
        },
        setting.rounds(20),
    )
    yield Row("import reprokit", took["reprokit"], "import wrapt", took["wrapt"], 1.25)
    yield Row("import reprokit and use the decorators' names", took["names"], "import wrapt", took["wrapt"], 1.25)
    for peer in ("capsula", "sacred", "mlflow-skinny"):
        yield Row("import reprokit and use the decorators' names", took["names"], f"import {peer}", took[peer])
    bare, beside = took["bare"], took["whole process, wrapt"]
    yield Row("the same, whole process", took["whole process"], "import wrapt", beside)
    yield Row("the same, less a bare interpreter", took["whole process"] - bare, "import wrapt", beside - bare)


def whole_process(setting: Setting) -> Iterator[Row]:
    """A script with one decorated call, over the same script without; each in a repository of its own."""
    places = setting.places(setting.small, ("script-reprokit", "script-stack", "script-capsula"))
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
        for name, place in setting.places(source, names).items():
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
    small, large = "reprokit 20", f"reprokit {many}"
    yield Row(f"root call, {many} files", took[large], "reprokit, 20 files", took[small], 1.2, 0.8)
    # The disk's part in it need not be the same in both places; what the floor takes there shows it.
    yield Row(f"floor, {many} files", took[f"floor {many}"], "floor, 20 files", took["floor 20"])


def child_calls(setting: Setting) -> Iterator[Row]:
    """Child calls inside an open run."""
    places = setting.places(setting.small, ("child", "child_bare", "plain", "joblib"))
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
    over, joblib = took["child"] - took["plain"], took["joblib"] - took["plain"]
    yield Row("the same, over the plain function", over, "joblib.Memory, a miss", joblib)
    yield Row("child call without artifact", took["bare"], "100 us", 100e-6, 1.0)


def first_call(setting: Setting) -> Iterator[Row]:
    """The first call in a process, beside one ``git status`` and the imports that the call needs."""
    for size, source in (("20", setting.small), (f"{setting.files:,}", setting.large)):
        (place,) = setting.places(source, (f"first-{size.replace(',', '')}",)).values()
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
    places = setting.places(setting.small, ("monitor", "capsula-run"))
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
    (place,) = setting.places(setting.small, ("memory",)).values()
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
    "snapshot": trees.snapshots,
    "changes": trees.changes,
    "apart": apart.apart,
    "closure": closure.closure,
    "ship": ship.ship,
    "catalog": catalog.catalog,
    "reproduce": reproduce.reproduce,
    "environment": environment.environment,
    "opened": opened.opened,
    "reuse": reuse.reuse,
    **archives.ALL,
}
