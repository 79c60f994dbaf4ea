"""Restore a tree beside ``git worktree add``, and compare two arrays beside reading them: ``FOLDER``; seconds and bytes as JSON."""

import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from reprokit.code.tree import TreeStore

folder = Path(sys.argv[1])
FILES, SIZE, NUMBERS = 5_000, 10_000, int(sys.argv[2])
project = folder / "project"
chance = random.Random(1)
words = ["".join(chance.choices("abcdefghijklmnoprstuvwz", k=chance.randint(3, 9))) for _ in range(3000)]
for number in range(FILES):
    path = project / f"d{number // 100}" / f"f{number}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(" ".join(chance.choices(words, k=SIZE // 7))[:SIZE])
for command in (("init", "-q"), ("add", "-A"), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")):
    subprocess.run(["git", *command], cwd=project, check=True)
store = TreeStore(folder / "code.git")
kept = store.keep(project, max_file_size=50_000_000)


def timed(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


restored, worktree = [], []
for number in range(6):
    restored.append(timed(lambda number=number: store.export(kept.digest, folder / f"r{number}")))
    command = ["git", "worktree", "add", "-q", "--detach", str(folder / f"w{number}")]
    worktree.append(timed(lambda command=command: subprocess.run(command, cwd=project, check=True)))
    shutil.rmtree(folder / f"r{number}")
    shutil.rmtree(folder / f"w{number}")

first, second = folder / "a.npy", folder / "b.npy"
values = np.random.default_rng(1).random(NUMBERS)
np.save(first, values)
np.save(second, values * (1 + 1e-9))
del values
# VmHWM, for what getrusage tells counts the parent before the exec as well.
COMPARE = """
import sys, time
from pathlib import Path
from reprokit.reproduce import compare
import numpy
started = time.perf_counter()
found = compare.files("a", Path(sys.argv[1]), Path(sys.argv[2]), compare.Tolerance(rtol=1e-6))
took = time.perf_counter() - started
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(took, int(peak) * 1024, found.outcome)
"""
READ = """
import sys, time, numpy
started = time.perf_counter()
for path in sys.argv[1:]:
    numpy.load(path)
print(time.perf_counter() - started)
"""


def said(program):
    command = [sys.executable, "-c", program, first, second]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


compared, read, memory = [], [], 0.0
for _ in range(4):
    told = said(COMPARE)
    assert told[2] == "within"
    compared.append(float(told[0]))
    memory = max(memory, float(told[1]))
    read.append(float(said(READ)[0]))
print(
    json.dumps(
        {
            "restored": median(restored[1:]), "worktree": median(worktree[1:]), "compared": median(compared[1:]),
            "read": median(read[1:]), "memory": memory,
        }
    )
)  # fmt: skip
