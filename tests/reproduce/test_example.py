"""The example, from its picture alone, after the repository moved elsewhere and on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import SOURCE, git

ENVIRON = {**os.environ, "PYTHONPATH": str(SOURCE), "MPLBACKEND": "agg"}


def test_the_picture_of_the_example_leads_back_to_an_identical_picture(tmp_path):
    """Recorded on one path with uncommitted edits; then moved, ten commits on, the files gone, the picture renamed."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("numpy")
    first, second = tmp_path / "first", tmp_path / "elsewhere" / "second"
    (first / "examples" / "data").mkdir(parents=True)
    shutil.copy(SOURCE / "examples" / "mauna_loa.py", first / "examples")
    for path in (SOURCE / "examples" / "data").iterdir():
        shutil.copy(path, first / "examples" / "data")
    git(first, "init", "-q")
    git(first, "add", "-A")
    git(first, "commit", "-q", "-m", "first")
    script = first / "examples" / "mauna_loa.py"
    script.write_text(script.read_text() + "\n# an edit that no commit has\n")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=first, env=ENVIRON, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (picture,) = (first / "examples" / "results").glob("co2-*.png")
    assert "-dirty-" in picture.name
    slide = tmp_path / "slide.png"
    shutil.copy(picture, slide)
    shutil.rmtree(picture.parent)
    second.parent.mkdir()
    shutil.move(first, second)
    git(second, "checkout", "-q", "--", ".")
    for number in range(10):
        (second / "examples" / "mauna_loa.py").write_text(f"# {number}\n")
        git(second, "commit", "-q", "-a", "-m", str(number))
    before = git(second, "status", "--porcelain=v2", "--branch", "--untracked-files=all")
    again = tmp_path / "again"
    done = subprocess.run(
        [sys.executable, "-m", "reprokit", "reproduce", str(slide), "--into", str(again)],
        cwd=second, env=ENVIRON, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.strip().endswith("NOT REPRODUCED") is False, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
    (made,) = again.rglob("co2-*.png")
    assert made.read_bytes() == slide.read_bytes()
    assert made.name == picture.name
    assert git(second, "status", "--porcelain=v2", "--branch", "--untracked-files=all") == before
