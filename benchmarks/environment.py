"""An environment of 40 packages built again, beside ``uv pip sync`` alone; uv's cache is warm for both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.environments import CHECKOUT, variables
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.rows import Setting

#: What reprokit needs.
NEEDED = (
    "wrapt", "gitpython", "gitdb", "smmap", "pyyaml", "msgspec", "rfc8785", "click", "rich", "markdown-it-py", "mdurl",
    "pygments", "cloudpickle", "psutil", "filelock", "platformdirs", "packaging",
)  # fmt: skip
#: Beside it NumPy, pandas and Dask with what they need, and small packages, up to 40.
PACKAGES = (
    *NEEDED, "numpy", "pandas", "dask", "h5py", "joblib", "attrs", "idna", "certifi", "urllib3", "charset-normalizer",
    "requests", "jinja2", "markupsafe", "tomli", "zipp", "iniconfig", "pluggy", "toolz", "six", "tornado",
)  # fmt: skip
COUNT = 40


def environment(setting: Setting) -> Iterator[Row]:
    """Built and reused, in turn with ``uv venv`` and ``uv pip sync``."""
    place = setting.work / "environment"
    place.mkdir()
    uv, pins = shutil.which("uv"), place / "requirements.txt"
    if uv is None:
        print("    no uv on PATH: no rows about environments", flush=True)
        return
    python = str(setting.own.python)
    kept = {name: value for name, value in variables().items() if not name.startswith(("PIP_", "UV_"))}
    # pip's indexes are handed on to uv by reprokit; uv alone would not ask them.
    env = {
        **kept,
        "PIP_CONFIG_FILE": os.devnull,
        "XDG_CACHE_HOME": str(place / "cache"),
        "UV_CACHE_DIR": str(place / "uv"),
    }

    def run(*command: object) -> str:
        return subprocess.run(
            [*map(str, command)], cwd=place, env=env, check=True, capture_output=True, text=True
        ).stdout

    (place / "wanted.txt").write_text("\n".join(PACKAGES))
    told = run(uv, "pip", "compile", "-q", "--no-header", "--no-annotate", "--python", python, place / "wanted.txt")
    # What reprokit needs comes first, for it would be added otherwise.
    lines = sorted(
        (one for one in told.splitlines() if "==" in one), key=lambda one: one.partition("==")[0] not in NEEDED
    )
    lines = lines[:COUNT]
    pins.write_text("\n".join(lines))
    script = CHECKOUT / "benchmarks" / "contestants" / "environment_build.py"
    run(python, script, pins, 1)  # fills uv's cache
    own, reused, alone, whole = [], [], [], []
    for number in range(setting.rounds(12)):
        times = json.loads(run(python, script, pins, 1).splitlines()[-1])
        own += times["build"]
        reused += times["reuse"]
        # Both are new folders: uv asks the interpreter of one that it has not seen.
        target = place / f"alone-{number}"
        begun = time.perf_counter()
        run(uv, "venv", "-q", "--no-project", "--python", python, target)
        made = time.perf_counter()
        run(uv, "pip", "sync", "-q", "--python", target / "bin" / "python", pins)
        ended = time.perf_counter()
        alone.append(ended - made)
        whole.append(ended - begun)
        shutil.rmtree(target)
    what = f"environment of {len(lines)} packages"
    yield Row(f"{what} built", median(own), "uv pip sync", median(alone), 1.3)
    yield Row(f"{what} built", median(own), "uv venv, uv pip sync", median(whole))
    yield Row(f"{what} used again", median(reused), "uv venv, uv pip sync", median(whole))
    os.sync()
    shutil.rmtree(place)
