"""Cached functions in modules of a project, and programs that call them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from tests.conftest import SOURCE

SLOW = """
    import os, sys, time
    import reprokit as rk

    def note(text):
        with open("log.txt", "a") as stream:  # a file that is appended to counts for nothing
            stream.write(f"{text}\\n")

    def hold(name):
        while not os.path.exists(name):
            time.sleep(0.005)

    @rk.cache
    def slow(x):
        note(x)
        hold("go")
        return x * 10
"""


def load(project, monkeypatch, source, name="work"):
    """Import a module that is written into the project, anew."""
    (project.root / f"{name}.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(str(project.root))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module(name)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def launch(root, code, *args, **options):
    """Start a program in the project."""
    env = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{root}", **options.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        cwd=root,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def ended(process):
    """Wait for a program that has to end well; give what it printed."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, f"{out}{err}"
    assert not err, err
    return out


def until(told, seconds=60.0):
    """Ask until the answer is true."""
    end = time.monotonic() + seconds
    while not (answer := told()):
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)
    return answer


def logged(root="."):
    """Give what the functions noted: a line each time that one was really called."""
    path = Path(root, "log.txt")
    return path.read_text().split() if path.exists() else []


def lock_files(project):
    """Give what is left of the right to compute."""
    return list(project.vault.glob("reuse/**/*.lock"))


def lines(project):
    """Give the lines by which results are found."""
    return [line for path in project.vault.glob("reuse/*/*.jsonl") for line in path.read_bytes().splitlines() if line]
