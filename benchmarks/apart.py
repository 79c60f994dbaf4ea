"""Importing a package of a hundred modules apart, beside importing it as Python does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmarks import measure
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.rows import Setting

MODULES, MEMBERS = 100, 15
_MEMBER = """
def f{n}(x, y={n}):
    '''Doc.'''
    z = [x + {n} for x in range(y)]
    return sum(z) * x

class C{n}:
    a = {n}

    def m(self):
        return self.a
"""
_CLOCK = "t = time.perf_counter(); {act}; print(time.perf_counter() - t)"


def package(folder: Path) -> Path:
    """Write a package that imports all of its modules; each imports two from the standard library and one of its own."""
    inside = folder / "hundred"
    inside.mkdir(parents=True)
    inside.joinpath("__init__.py").write_text("".join(f"from hundred import m{n}\n" for n in range(MODULES)))
    body = "".join(_MEMBER.format(n=n) for n in range(MEMBERS))
    for n in range(MODULES):
        inside.joinpath(f"m{n}.py").write_text(f"import os, sys\nfrom hundred import m{n // 2}\n{body}")
    return folder


def apart(setting: Setting) -> Iterator[Row]:
    """Fresh processes with byte code at hand; the import of reprokit itself is not counted."""
    place = package(setting.work / "apart")
    measure.process([setting.own.python, "-m", "compileall", "-q", "hundred"], place)  # as an import would
    start = f"import sys, time; sys.path.insert(0, {str(place)!r}); "

    def timed(before: str, act: str) -> Callable[[], float]:
        return lambda: measure.answer([setting.own.python, "-c", before + _CLOCK.format(act=act)], setting.work)

    loads = "from reprokit import snapshot; import reprokit.code.apart.lookups; "
    took = measure.in_turn(
        {
            "plain": timed(start, "import hundred"),
            "apart": timed(start + loads, f"snapshot.load({str(place)!r}, 'snap').hundred"),
            "both": timed(start + loads + "import hundred; ", f"snapshot.load({str(place)!r}, 'snap').hundred"),
        },
        setting.rounds(20),
    )
    yield Row("import 100 modules apart", took["apart"], "plain import", took["plain"], 1.3)
    yield Row("the same, beside today's", took["both"], "plain import", took["plain"])
