"""A project with runs of every kind, made once by a real process and copied for each test."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time

from tests.conftest import IDENTITY, SOURCE, git

SCRIPT = """
import glob, os, sys
import reprokit as rk

@rk.monitor(include_args=True, include_return_value=True)
@rk.snapshot_code
@rk.Artifact("o", config={"a": 1}, allow_dirty=True, copy=True)
def save(x, o, uses=()):
    for path in uses:
        rk.current().use(path)
    open(o, "w").write(str(x))
    return {"x": x}

raw = sys.argv[1]
save(raw, "raw.txt")                                                   # made, then used by the next
made = max(glob.glob("raw-*.txt"), key=os.path.getmtime)
save("table", "table.txt", uses=[made, "data.csv"])
with rk.run("outer", config={"b": 2}, allow_dirty=True) as ctx:        # two child runs
    save("one", "one.txt")
    save("two", "two.txt")
    ctx.record("rmse", 0.5)
"""


def build(root):
    """Make the project: six root runs in two processes, of two versions of the code."""
    root.mkdir(parents=True)
    (root / "script.py").write_text(SCRIPT)
    (root / "data.csv").write_text("1,2\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    record(root, "first")
    (root / "script.py").write_text(SCRIPT + "\n# changed\n")
    git(root, "commit", "-q", "-am", "second")
    record(root, "second")


def record(root, *args):
    env = {**os.environ, **IDENTITY, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "script.py", *args], cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def copied(source, target):
    shutil.copytree(source, target, symlinks=True)
    return target


def age(vault, seconds=7 * 86_400):
    """Make everything that has no reference look as if it were old."""
    when = time.time() - seconds
    for place in (vault / "blobs", vault / "code.git", vault / "journal"):
        for folder, _, names in os.walk(place):
            for name in names:
                os.utime(os.path.join(folder, name), (when, when))


def run_ids(vault):
    from reprokit.catalog import scan

    return {run.run_id for run in scan.runs(vault)}


def facts(report):
    """Kinds of findings, with the paths' last parts."""
    return sorted((one.severity, one.kind, os.path.basename(one.path)) for one in report.findings)
