"""Running a recorded run again: the whole command, restoring the code, comparing outputs."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from benchmarks import measure
from benchmarks.environments import CHECKOUT, variables
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.rows import Setting

_SECOND = """
import time
import reprokit as rk

@rk.monitor
@rk.snapshot_code
@rk.Artifact("out", config={"a": 1})
def work(out):
    time.sleep(1)
    open(out, "w").write("done")

if __name__ == "__main__":
    import analysis
    analysis.work("out.txt")
"""


def reproduce(setting: Setting) -> Iterator[Row]:
    """A function that takes a second; 5,000 files of 10 kB; two arrays of a gigabyte."""
    place = setting.work / "reproduce"
    place.mkdir()
    (place / "analysis.py").write_text(_SECOND)
    for command in (("init", "-q"), ("add", "-A"), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")):
        subprocess.run(["git", *command], cwd=place, check=True, env=variables())
    subprocess.run([setting.own.python, "analysis.py"], cwd=place, check=True, env=variables())
    command = [setting.own.bin / "reprokit", "reproduce", "@"]
    took = measure.in_turn({"reproduce": lambda: measure.process(command, place)}, setting.rounds(8))
    yield Row("reproduce a run of 1 s", took["reproduce"], "1 s + 0.5 s", 1.5, 1.0)
    script = CHECKOUT / "benchmarks" / "contestants" / "reproduce_parts.py"
    parts = setting.work / "parts"
    parts.mkdir()
    numbers = 10_000_000 if setting.quick else 125_000_000
    done = subprocess.run(
        [setting.own.python, script, parts, str(numbers)], cwd=parts, env=variables(), capture_output=True, text=True, check=True
    )  # fmt: skip
    found = json.loads(done.stdout.splitlines()[-1])
    yield Row("restore 5,000 files, 50 MB", found["restored"], "git worktree add", found["worktree"], 1.5)
    yield Row(
        f"compare two arrays of {numbers * 8 / 1e9:g} GB", found["compared"], "np.load of both", found["read"], 2.0
    )
    yield Row("memory for that", found["memory"], "200 MB", 200e6, 1.0, unit="B")
