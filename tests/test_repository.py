"""The repository holds together: what is written here is what is committed, built and installed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_no_module_is_ignored_by_git():
    """A build leaves out what git ignores, so no pattern may match a module of the package, its tests or benchmarks."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    modules = [
        str(path.relative_to(ROOT))
        for name in ("reprokit", "tests", "benchmarks")
        for path in (ROOT / name).rglob("*.py")
    ]
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT,
        input="\n".join(modules),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, f"ignored: {done.stdout or done.stderr}"
