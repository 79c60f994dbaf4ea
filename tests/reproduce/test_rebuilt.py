"""From recording in one environment to an identical file in another that was built from the record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reprokit.reproduce.environment import uv
from tests.conftest import SOURCE, git
from tests.reproduce.recorded import has_python, needs_registry

SCRIPT = """
import sys, MODULE, reprokit as rk

@rk.monitor
@rk.snapshot_code
@rk.Artifact("out", allow_dirty=True)
def tell(out):
    text = f"{MODULE.__version__} on {sys.version_info[0]}.{sys.version_info[1]}"
    rk.current().record("told", text)
    open(out, "w").write(text)

tell("told.txt")
"""


@needs_registry
@pytest.mark.parametrize(
    ("package", "version", "python"),
    [
        ("six", "1.15.0", None),
        pytest.param("numpy", "1.26.4", "3.12.1", marks=pytest.mark.slow),
        pytest.param("numpy", "2.1.3", "3.13.0", marks=pytest.mark.slow),
    ],
)
def test_a_run_of_another_environment_is_repeated_in_that_environment(
    project, package, version, python, tmp_path, monkeypatch
):
    binary = uv.find()
    if binary is None:
        pytest.skip("uv is not there")
    if python is not None and not has_python(python):
        pytest.skip(f"pyenv has no {python}")
    cache = subprocess.run([binary, "cache", "dir"], check=True, capture_output=True, text=True).stdout.strip()
    monkeypatch.setenv("UV_CACHE_DIR", cache)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "venv"
    wanted = str(Path.home() / ".pyenv" / "versions" / python / "bin" / "python") if python else sys.executable
    subprocess.run([binary, "venv", "-q", "-p", wanted, place], check=True)
    subprocess.run([binary, "pip", "install", "-q", "-p", place, SOURCE, f"{package}=={version}"], check=True)
    (project.root / "tell.py").write_text(SCRIPT.replace("MODULE", package))
    project.commit_all()
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [place / "bin" / "python", "tell.py"], cwd=project.root, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (made,) = project.root.glob("told-*.txt")
    assert made.read_text().startswith(version)
    before = git(project.root, "status", "--porcelain")
    here = project.reprokit("reproduce", made.name, "--json")
    assert here.returncode == 1  # another version is installed here, or none
    again = project.reprokit("reproduce", made.name, "--env", "rebuild", "--json")
    assert again.returncode == 0, again.stdout + again.stderr
    outcomes = {one["name"]: one["outcome"] for one in json.loads(again.stdout)["outputs"]}
    assert outcomes == {"told.txt": "identical", "value told": "identical"}
    assert git(project.root, "status", "--porcelain") == before
