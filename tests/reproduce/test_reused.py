"""Runs whose results are used again are reproduced like others: the function is called."""

from __future__ import annotations

import pytest

from tests.reuse.conftest import write

LIB = """
    import reprokit as rk

    @rk.cache
    def twice(x):
        print("RUN")
        return {"x": [2 * x]}

    @rk.Artifact("out", exists="reuse")
    def save(x, out):
        print("RUN")
        with open(out, "w") as stream:
            stream.write(str(x))
"""


@pytest.fixture
def made(project):
    write(project, {"lib.py": LIB, ".gitignore": "vault/\n__pycache__/\n*-*.txt*\nscript.py\n"})
    project.python("from lib import *\ntwice(2)\nsave(3, 'a.txt')\n")
    return project


def test_the_value_that_was_kept_for_later_calls_is_compared(made):
    (cached,) = [folder for folder in made.folders if "twice" in folder.name]
    done = made.reprokit("reproduce", cached.name[-8:])
    assert done.returncode == 0, done.stderr
    assert "return value  identical" in done.stdout
    assert "REPRODUCED" in done.stdout


def test_a_file_that_was_used_again_is_made_by_the_code_of_the_run_that_made_it(made):
    write(made, {"README": "1"})
    assert made.python("from lib import *\nsave(3, 'a.txt')\n").stdout == ""
    (path,) = made.root.glob(f"a-{made.commit}-*.txt")
    done = made.reprokit("reproduce", path.name)
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout.partition("a.txt")[2]
