"""Snapshots of source trees: unchanged, first, and many with small changes; beside git, copying, and what changed."""

from __future__ import annotations

import json
import random
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.environments import variables
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.rows import Setting

SIZES = ((500, 5_000_000), (5_000, 50_000_000))
CHANGES, CHANGED = 100, 5  # snapshots, and files that change before each

# Everything of one size in one process, in turn: a slow minute is slow for all.
_TIMES = """
import json, os, shutil, subprocess, sys, time
from pathlib import Path
from statistics import median
from reprokit.code.tree import TreeStore
root, work, rounds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

def seconds(act):
    started = time.perf_counter()
    act()
    return time.perf_counter() - started

def sizes(folder):
    found = [path.lstat() for path in folder.rglob("*") if ".git" not in path.relative_to(folder).parts]
    return sum(f.st_size for f in found), sum(f.st_blocks * 512 for f in found)

keep = lambda vault: TreeStore(vault / "code.git").keep(root, max_file_size=10**9, vault=vault)
status = lambda: subprocess.run(["git", "status"], cwd=root, stdout=subprocess.DEVNULL, check=True)
took = {"first": [], "copy": [], "again": [], "status": []}
for number in range(max(3, rounds // 8)):
    os.sync()
    took["first"].append(seconds(lambda: keep(work / f"vault{number}")))
    os.sync()
    took["copy"].append(seconds(lambda: shutil.copytree(root, work / f"copy{number}", ignore=shutil.ignore_patterns(".git"))))
store, tree, copy = sizes(work / "vault0"), sizes(root), sizes(work / "copy0")
time.sleep(2.1)  # files as young as an index have to be read again, by git and by us
vault = work / "vault0"
for number in range(rounds + 3):
    again, beside = seconds(lambda: keep(vault)), seconds(status)
    if number > 2:
        took["again"].append(again)
        took["status"].append(beside)
found = {name: median(values) for name, values in took.items()}
print(json.dumps({**found, "stored": store, "tree": tree, "copied": copy}))
"""
_SMALL = """
import json, os, random, subprocess, sys, time, zlib
from pathlib import Path
from statistics import median
from reprokit.code.tree import TreeStore
root, vault, changes, changed = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])

def sizes():
    found = [path.lstat() for path in vault.rglob("*")]
    return [sum(f.st_size for f in found), sum(f.st_blocks * 512 for f in found)]

keep = lambda: TreeStore(vault / "code.git").keep(root, max_file_size=10**9, vault=vault)
keep()
one, rng, whole, lines, took = sizes(), random.Random(2), 0, 0, []
files = sorted(path for path in root.rglob("*.py"))
for number in range(changes):
    for path in rng.sample(files, changed):
        text = path.read_text("utf-8").splitlines(keepends=True)
        line = f"    value_{number} = compute({rng.random()})\\n"
        text.insert(rng.randrange(len(text) + 1), line)
        path.write_text("".join(text), "utf-8")
        whole += len(zlib.compress(path.read_bytes(), 6))
        lines += len(line)
    started = time.perf_counter()
    keep()
    took.append(time.perf_counter() - started)
print(json.dumps({"one": one, "all": sizes(), "whole": whole, "lines": lines, "median": median(took), "most": max(took)}))
"""


def tree(folder: Path, files: int, total: int) -> Path:
    """Write and commit `files` files of `total` bytes: runs of lines of the standard library, every fiftieth random bytes."""
    top = Path(sysconfig.get_path("stdlib"))
    modules = [path.read_text("utf-8").splitlines(keepends=True) for path in sorted(top.glob("*.py"))]
    modules = [lines for lines in modules if len(lines) > 300]
    rng = random.Random(1)
    mean = total / files
    for number in range(files):
        package = folder / "src" / f"package{number // 50:03}"
        package.mkdir(parents=True, exist_ok=True)
        if number % 50 == 49:
            (package / f"table{number:05}.bin").write_bytes(rng.randbytes(int(mean)))
            continue
        size, text = min(mean * 8, max(200, rng.lognormvariate(0, 0.8) * mean * 0.73)), ""
        while len(text) < size:
            lines = rng.choice(modules)
            at = rng.randrange(len(lines))
            for line in lines[at:]:
                text += line
                if len(text) >= size:
                    break
        (package / f"module{number:05}.py").write_text(text, "utf-8")
    for command in (
        ("init", "-q"),
        ("add", "-A"),
        ("-c", "user.name=bench", "-c", "user.email=bench@invalid", "commit", "-q", "-m", "fixture"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, env=variables(), stdin=subprocess.DEVNULL)
    return folder


def _measured(setting: Setting, code: str, *args: str) -> dict[str, Any]:
    done = subprocess.run(
        [setting.own.python, "-c", code, *args], check=False, env=variables(), capture_output=True, text=True, cwd=setting.work
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def snapshots(setting: Setting) -> Iterator[Row]:
    """The first snapshot of a tree, and that of an unchanged one."""
    for files, total in SIZES[:1] if setting.quick else SIZES:
        root = tree(setting.work / f"tree-{files}", files, total)
        work = setting.work / f"kept-{files}"
        work.mkdir()
        found = _measured(setting, _TIMES, str(root), str(work), str(setting.rounds(40)))
        yield Row(f"snapshot of an unchanged tree, {files:,} files", found["again"], "git status", found["status"], 1.5)
        yield Row(f"first snapshot, {files:,} files", found["first"], "shutil.copytree", found["copy"], 2.5)
        yield Row("bytes of the store then", found["stored"][0], "of the tree", found["tree"][0], 0.4, unit="B")
        yield Row("the same on disk, in blocks", found["stored"][1], "of the copy", found["copied"][1], 0.4, unit="B")


def changes(setting: Setting) -> Iterator[Row]:
    """Many snapshots of a tree with a line more in a few files each."""
    files, total = SIZES[0]
    root = tree(setting.work / "tree-changes", files, total)
    found = _measured(setting, _SMALL, str(root), str(setting.work / "kept-changes"), str(CHANGES), str(CHANGED))
    what = f"{CHANGES} snapshots, {CHANGED} files changed before each"
    for number, how in ((0, "bytes"), (1, "blocks on disk")):
        one, every = found["one"][number], found["all"][number]
        yield Row(f"{what}: {how}", every, "one + the changed files", one + found["whole"], 1.2, unit="B")
        yield Row(f"the same: {how}", every, "one + the changed lines", one + found["lines"], unit="B")
    yield Row("one of them", found["median"], "the slowest", found["most"])


ALL = {"trees": snapshots, "changes": changes}
