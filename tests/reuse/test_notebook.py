"""Functions that notebook cells define and define anew."""

from __future__ import annotations

import pytest

from tests.reuse.conftest import write

pytest.importorskip("IPython")

CELLS = """
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()

    def cell(text):
        done = shell.run_cell(text, store_history=True)
        done.raise_error()

    cell("import reprokit as rk")
    cell("RATE = 2\\ndef helper(x):\\n    return x * RATE")
    cell("@rk.cache\\ndef f(x):\\n    print('RUN')\\n    return helper(x)")
"""


@pytest.fixture
def cells(project, session):
    write(project, {"reprokit.toml": ""})

    def run(*cells):
        told = session(CELLS + "".join(f"    cell({text!r})\n" for text in cells))
        return [line for line in told if not line.startswith("Out[")]

    return run


def test_the_same_cells_in_a_new_kernel_give_the_result(cells):
    assert cells("print(f(3))", "print(f(3))") == ["RUN", "6", "6"]
    assert cells("print(f(3))") == ["6"]


def test_a_helper_that_is_defined_anew_counts_when_it_does_something_else(cells):
    assert cells(
        "print(f(3))",
        "def helper(x):\n    # the same\n    return x*RATE",
        "print(f(3))",
        "def helper(x):\n    return x * RATE + 1",
        "print(f(3))",
        "RATE = 5",
        "print(f(3))",
        "RATE = 2\ndef helper(x):\n    return x * RATE",
        "print(f(3))",
    ) == ["RUN", "6", "6", "RUN", "7", "RUN", "16", "6"]


def test_the_function_itself_defined_anew(cells):
    assert cells(
        "print(f(3))",
        "@rk.cache\ndef f(x):\n    print('RUN')\n    return helper(x) - 1",
        "print(f(3))",
        "@rk.cache\ndef f(x):\n\n    print('RUN')\n    return helper(x)",
        "print(f(3))",
    ) == ["RUN", "6", "RUN", "5", "6"]
