"""The catalogue: building an index, bringing it up to date, asking it, beside sqlite3 alone and MLflow."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

from benchmarks import measure
from benchmarks.environments import CHECKOUT, Environment, variables
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.rows import Setting

_SETTLED = 2.5  # seconds after which a folder's time tells reliably whether it changed


def _ask(environment: Environment, script: str, *args: object, cwd: Path) -> Any:
    path = CHECKOUT / "benchmarks" / "contestants" / script
    done = subprocess.run(
        [environment.python, path, *map(str, args)], cwd=cwd, env=variables(), capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{script} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def catalog(setting: Setting) -> Iterator[Row]:
    """Vaults of 10,000 runs with an artifact each, and of 100,000 runs with ten."""
    own = setting.own
    small, large = 2_000 if setting.quick else 10_000, 10_000 if setting.quick else 100_000
    place = setting.work / "catalog"
    vault = place / "small" / "vault"
    vault.mkdir(parents=True)
    (place / "small" / "reprokit.toml").write_text("")
    _ask(own, "catalog_vault.py", vault, small, 1, 0, cwd=place)
    built_small: float = _ask(own, "catalog_ask.py", vault, "build", cwd=place)["build"]
    time.sleep(_SETTLED)
    ours = _ask(own, "catalog_ask.py", vault, "ask", cwd=place)
    theirs = _ask(setting.peers, "catalog_mlflow.py", small, cwd=place)
    for name in ("latest", "metric", "parameter and tag", "config and value, by value"):
        yield Row(f"runs: {name}, of {small:,}", ours[name], "mlflow search_runs", theirs[name], 0.2)
    yield Row(f"runs: latest, of {small:,}", ours["latest"], "sqlite3 alone", ours["sqlite latest"])

    vault = place / "large" / "vault"
    vault.mkdir(parents=True)
    (place / "large" / "reprokit.toml").write_text("")
    for first in range(0, large, 10_000):
        _ask(own, "catalog_vault.py", vault, 10_000, 10, first, cwd=place)
    built: float = _ask(own, "catalog_ask.py", vault, "build", cwd=place)["build"]
    yield Row(f"index of {large:,} runs built", built, "5,000 runs/s", large / 5_000, 1.0)
    yield Row("the same, a run", built / large, f"a run of {small:,}", built_small / small)
    time.sleep(_SETTLED)
    took = _ask(own, "catalog_ask.py", vault, "ask", cwd=place)
    for name in ("by value", "newest", "few", "by duration"):
        yield Row(
            f"runs: config and value, {name}, of {large:,}", took[f"config and value, {name}"], "50 ms", 0.05, 1.0
        )
    artifacts = int(took["artifacts"])
    for name in ("by content", "by name", "of an unknown file"):
        yield Row(f"whence {name}, of {artifacts:,} artifacts", took[f"whence {name}"], "10 ms", 0.01, 1.0)
    command = [own.bin / "reprokit", "runs"]
    whole = measure.in_turn({"runs": lambda: measure.process(command, place / "large")}, setting.rounds(10))
    yield Row(f"reprokit runs, whole command, of {large:,}", whole["runs"], "250 ms", 0.25, 1.0)
    _ask(own, "catalog_vault.py", vault, 100, 10, large, cwd=place)
    caught: float = _ask(own, "catalog_ask.py", vault, "catch up", cwd=place)["catch up"]
    yield Row(f"100 new runs in {large:,}", caught, "100 ms", 0.1, 1.0)
    os.sync()
    shutil.rmtree(place)
