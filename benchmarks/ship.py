"""Shipping: pickles of a function in a package of 100 files, and tasks on process pools, Dask and Ray."""

from __future__ import annotations

import json
import random
import subprocess
from typing import TYPE_CHECKING, Any

from benchmarks.environments import CHECKOUT, variables
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.rows import Setting

FILES, FUNCTIONS, TASKS, VERSIONS = 100, 28, 1000, 50
_ENGINES = {"pool": ("process pool", 0.4), "dask": ("Dask", 0.85), "ray": ("Ray", 0.6)}
_WRITE = """
import sys, pathlib
import pack.start
from reprokit import ship
pathlib.Path(sys.argv[1]).write_bytes(ship.dumps(pack.start.main))
"""


def project(folder: Path, version: int = 0) -> Path:
    """Write a package of 100 files and a megabyte, all of which ``pack.start`` imports."""
    package = folder / "pack"
    package.mkdir(parents=True)
    (folder / "reprokit.toml").write_text("")
    (folder / ".gitignore").write_text("vault\n")
    (package / "__init__.py").write_text("")
    chance = random.Random(1)
    words = ["".join(chance.choices("abcdefghijklmnoprstuvwz", k=chance.randint(3, 9))) for _ in range(3000)]
    for number in range(FILES - 2):
        lines = [f"VERSION = {version}"]
        for one in range(FUNCTIONS):
            first, second, third, *said = chance.choices(words, k=40)
            lines += ["", f"def f{one}({first}_, {second}1={one}):", f'    """{" ".join(said)}."""',
                      f"    {third}2 = {first}_ * {second}1 + {number}", f"    return [{third}2] if {first}_ else {third}2"]  # fmt: skip
        (package / f"m{number}.py").write_text("\n".join(lines) + "\n")
    imports = "\n".join(f"from pack import m{number}" for number in range(FILES - 2))
    (package / "start.py").write_text(
        f"{imports}\n\ndef trivial(x):\n    return x\n\ndef main(x):\n    return m1.VERSION + x\n"
    )
    for command in (("init", "-q"), ("add", "-A"), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")):
        subprocess.run(["git", *command], cwd=folder, check=True, env=variables())
    return folder


def _run(setting: Setting, script: str, *args: object, cwd: Path) -> str:
    path = CHECKOUT / "benchmarks" / "contestants" / script
    environ = {**variables(), **({"PYTHONPATH": str(cwd)} if (cwd / "pack").exists() else {}), "TMPDIR": str(setting.work), "RAY_TMPDIR": "/tmp",
               "RAY_USAGE_STATS_ENABLED": "0"}  # fmt: skip
    done = subprocess.run(
        [setting.own.python, path, *map(str, args)], cwd=cwd, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{script} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout.splitlines()[-1]


def ship(setting: Setting) -> Iterator[Row]:
    """What a task carries, what a new version costs a worker, and how many tasks an engine gets done."""
    place = project(setting.work / "ship")
    found: dict[str, Any] = json.loads(_run(setting, "ship_pickle.py", cwd=place))
    yield Row("bytes of a task", found["bytes"], "by reference, and 300", found["reference bytes"] + 300, 1.0, unit="B")
    yield Row("the same", found["bytes"], "cloudpickle by value", found["value bytes"], unit="B")
    yield Row("first dumps of a function", found["first"], "zipping its package", found["zip"], 1.5)
    yield Row("dumps, self-contained", found["dumps"], "0.5 ms", 0.5e-3, 1.0)
    yield Row("dumps, as an executor does", found["by digest"], "0.5 ms", 0.5e-3, 1.0)
    yield Row("the same", found["by digest"], "cloudpickle by value", found["value dumps"])
    yield Row("loads", found["loads"], "1 ms", 1e-3, 1.0)
    yield Row("the same", found["loads"], "cloudpickle by value", found["value loads"])
    yield Row("first loads of a version: unpack, check, import", found["start"], "100 ms", 0.1, 1.0)
    kept = setting.work / "versions"
    kept.mkdir()
    for version in range(VERSIONS):
        one = project(setting.work / f"version{version}", version)
        command = [setting.own.python, "-c", _WRITE, kept / str(version)]
        subprocess.run(command, cwd=one, check=True, env={**variables(), "TMPDIR": str(setting.work)})
    memory = float(_run(setting, "ship_versions.py", kept, cwd=kept))
    yield Row(f"memory of {VERSIONS} versions", memory, "200 MB", 200e6, 1.0, unit="B")
    for engine, what, peer in (
        ("dask", "a version's first result on Dask", "Client.upload_file"),
        ("ray", "a version's first result on Ray, which is started", "runtime_env py_modules"),
    ):
        first = {
            way: float(_run(setting, "ship_first.py", engine, way, place, cwd=kept)) for way in ("peer", "reprokit")
        }
        yield Row(what, first["reprokit"], peer, first["peer"])
    for engine, (name, share) in _ENGINES.items():
        took = json.loads(_run(setting, "ship_tasks.py", engine, TASKS, setting.rounds(12), cwd=place))
        yield Row(f"{TASKS} tasks on {name}", took["ours"], f"{name} by itself", took["bare"], 1 / share)
