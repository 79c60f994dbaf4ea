"""``reprokit lock``."""

import json
import os
import tomllib

import pytest

from tests.reproduce.recorded import needs_registry

CODE = "import reprokit as rk\nwith rk.run('r', allow_dirty=True) as run:\n    run.record('x', 1)\n"


@pytest.fixture
def recorded(project):
    """A project with one run."""
    project.python(CODE)
    return project


@needs_registry
def test_both_files_are_written_and_what_is_left_out_is_told(recorded):
    done = recorded.reprokit("lock", "@", "--output", "locks")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [os.path.join("locks", "pylock.toml"), os.path.join("locks", "requirements.txt")]
    packages = [one for one in recorded.context()["packages"] if one["name"] != "reprokit" and not one["direct_url"]]
    pins = (recorded.root / "locks" / "requirements.txt").read_text().splitlines()
    assert {f"{one['name'].lower()}=={one['version']}" for one in packages} <= set(pins)
    locked = tomllib.loads((recorded.root / "locks" / "pylock.toml").read_text())
    assert "click" in [one["name"] for one in locked["packages"]]
    assert "reprokit" not in [one["name"] for one in locked["packages"]]
    assert "left out" in done.stderr  # reprokit's own checkout, which no other machine has


@needs_registry
def test_files_that_are_there_are_replaced_only_when_asked(recorded):
    (recorded.root / "requirements.txt").write_text("mine\n")
    done = recorded.reprokit("lock", "@")
    assert (done.returncode, "--force" in done.stderr) == (2, True)
    assert (recorded.root / "requirements.txt").read_text() == "mine\n"
    assert not (recorded.root / "pylock.toml").exists()
    done = recorded.reprokit("lock", "@", "--force", "--json")
    told = json.loads(done.stdout)
    assert told["files"] == ["pylock.toml", "requirements.txt"]
    assert told["notes"]
    assert "click==" in (recorded.root / "requirements.txt").read_text()


def test_a_run_that_is_not_there_is_one_line(recorded):
    done = recorded.reprokit("lock", "nothing")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("reprokit: ")
