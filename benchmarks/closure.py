"""Closure digests: of a function that reaches 200 others in 20 modules, cold and again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import measure
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.rows import Setting

MODULES, FUNCTIONS = 20, 10

# The module's first half is what each of the measurements below does after it.
_START = """
import ast, os, sys, time
from pathlib import Path
import many
from many import start
from reprokit.code import closure
root = Path.cwd()
modules = [module for name, module in sys.modules.items() if name.startswith("many.")]
"""
_COLD = """
import {loads}
t = time.perf_counter()
closure.of(start.main, root=root, cache={cache})
print(time.perf_counter() - t)
"""
_LOADS = "reprokit.code.reach.classes, reprokit.code.reach.walk, reprokit.code.reach.installed"
_DERIVES = "reprokit.code.reach.derive"
_FIRST = """
t = time.perf_counter()
closure.of(start.main, root=root, cache={cache})
print(time.perf_counter() - t)
"""
_AGAIN = """
found = closure.of(start.main, root=root)
assert len(found.parts) > 200 and not found.unknown, (len(found.parts), found.unknown)
t = time.perf_counter()
for _ in range(1000): closure.of(start.main, root=root)
print((time.perf_counter() - t) / 1000)
"""
_PARSE = """
t = time.perf_counter()
for module in modules: ast.parse(Path(module.__file__).read_bytes())
print(time.perf_counter() - t)
"""
_STAT = """
t = time.perf_counter()
for _ in range(1000): [os.stat(module.__file__) for module in modules]
print((time.perf_counter() - t) / 1000)
"""


def project(folder: Path) -> Path:
    """Write a package of 20 modules with 10 functions each, all of which ``many.start.main`` reaches."""
    package = folder / "many"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for number in range(MODULES):
        lines = [
            "import math",
            f"from many import step{number + 1} as after" if number + 1 < MODULES else "",
            "LIMIT = 3",
            "",
        ]
        for one in range(FUNCTIONS):
            onward = (
                f"f{one + 1}(value)" if one + 1 < FUNCTIONS else "after.f0(value)" if number + 1 < MODULES else "value"
            )
            lines += [f"def f{one}(x, scale={one}):", '    """One step."""', f"    value = math.floor(x * scale) + LIMIT  # {one}",
                      "    if value > 10:", f"        return {onward}", "    return [value] * 2", ""]  # fmt: skip
        (package / f"step{number}.py").write_text("\n".join(lines))
    (package / "start.py").write_text("from many.step0 import f0\n\ndef main(x):\n    return f0(x)\n")
    return folder


def closure(setting: Setting) -> Iterator[Row]:
    """The closure of a function in a project whose modules are loaded."""
    place = project(setting.work / "closure")
    measure.process([setting.own.python, "-m", "compileall", "-q", "many"], place)  # as an import would

    def timed(code: str) -> Callable[[], float]:
        return lambda: measure.answer([setting.own.python, "-c", _START + code], place)

    took = measure.in_turn(
        {
            "known": timed(_COLD.format(loads=_LOADS, cache="root / 'kept'")),  # the first round fills it
            "new": timed(_COLD.format(loads=f"{_LOADS}, {_DERIVES}", cache=None)),
            "first": timed(_FIRST.format(cache="root / 'kept'")),
            "again": timed(_AGAIN),
            "parse": timed(_PARSE),
            "stat": timed(_STAT),
        },
        setting.rounds(20),
    )
    yield Row("closure of 200 functions, cold, files known", took["known"], "5 ms", 5e-3, 1.0)
    yield Row("the same, with the imports it needs", took["first"], "ast.parse of the modules", took["parse"])
    yield Row("closure of 200 functions, cold, files new", took["new"], "ast.parse of the modules", took["parse"])
    yield Row("closure of 200 functions, nothing changed", took["again"], "50 us", 50e-6, 1.0)
    yield Row("the same", took["again"], "one stat of each module", took["stat"])
