"""Watching which files are opened, and hashing them: beside no hook, an empty one, and `hashlib.file_digest`."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

from benchmarks.environments import variables
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.rows import Setting

# A hook stays, so each state is measured once before the next begins; the least of many rounds, for there is no other floor.
_HOOK = """
import json, os, sys, time
folder, kind, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
names = [f"{folder}/f{n}" for n in range(1000)]
for name in names:
    open(name, "w").close()

def opens():
    started = time.perf_counter()
    for name in names:
        os.close(os.open(name, os.O_RDONLY))
    return (time.perf_counter() - started) / len(names)

none = min(opens() for _ in range(rounds))
if kind == "empty":
    def hook(event, args):
        pass
    sys.addaudithook(hook)
else:
    import reprokit as rk
    rk.monitor(files="auto")(lambda: None)()
outside = min(opens() for _ in range(rounds))
found = {"outside": outside - none}
if kind == "reprokit":
    firsts, agains = [], []
    for _ in range(5):
        with rk.run("opens", files="auto"):
            firsts.append(opens())
            agains.append(min(opens() for _ in range(3)))
    found |= {"first": min(firsts) - none, "again": min(agains) - none}
print(json.dumps(found))
"""
_HASH = """
import hashlib, json, os, sys, time
from statistics import median
from reprokit.capture import files
folder, size, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
one = f"{folder}/large.bin"
parts = [f"{folder}/part{n}.bin" for n in range(4)]
for name, length in [(one, size), *((part, size // 4) for part in parts)]:
    with open(name, "wb") as stream:
        for _ in range(length >> 20):
            stream.write(os.urandom(1 << 20))

def seconds(act):
    started = time.perf_counter()
    act()
    return time.perf_counter() - started

def beside():
    with open(one, "rb", buffering=0) as stream:
        hashlib.file_digest(stream, "sha256")

acts = {
    "own": lambda: files.digest_file(one),
    "file_digest": beside,
    "four": lambda: files.digest_ahead(parts),
    "in turn": lambda: [files.digest_file(part) for part in parts],
}
took = {name: [] for name in acts}
for _ in range(rounds):
    for name, act in acts.items():
        took[name].append(seconds(act))
print(json.dumps({name: median(values) for name, values in took.items()}))
"""
_START = """
import json, os, subprocess, sys, time
from statistics import median
from reprokit.capture.opened import logs
rounds, begin = int(sys.argv[1]), sys.argv[2]
bare = {**os.environ}
watched = {**bare, **logs.variables(begin, bare)}

def seconds(environment):
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], env=environment, check=True)
    return time.perf_counter() - started

took = [(seconds(watched), seconds(bare)) for _ in range(rounds + 1)][1:]
print(json.dumps([median(a for a, _ in took), median(b for _, b in took)]))
"""


def opened(setting: Setting) -> Iterator[Row]:
    """An ``open`` outside and inside a run, a watched interpreter's start, one large file and four."""
    place = setting.work / "opened"
    (place / "out").mkdir(parents=True)
    rounds = setting.rounds(60)
    own = _answer(setting, place, _HOOK, str(place / "out"), "reprokit", str(rounds))
    empty = _answer(setting, place, _HOOK, str(place / "out"), "empty", str(rounds))
    yield Row("an open outside a run, over no hook", own["outside"], "0.2 us", 0.2e-6, 1.0)
    yield Row("the same", own["outside"], "an empty hook, over no hook", empty["outside"], 1.5)
    yield Row("a file's first open inside a run, over no hook", own["first"], "10 us", 10e-6, 1.0)
    yield Row("a file's next open inside a run, over no hook", own["again"], "10 us", 10e-6, 1.0)
    watched, bare = _answer(setting, place, _START, str(setting.rounds(40)), str(place / "out" / "opened-"))
    yield Row("start of a watched interpreter, over a bare one", watched - bare, "5 ms", 5e-3, 1.0)
    size = 100 << 20 if setting.quick else 500 << 20
    took = _answer(setting, place, _HASH, str(place / "out"), str(size), str(setting.rounds(12)))
    yield Row(f"digest of {size >> 20} MiB", took["own"], "hashlib.file_digest", took["file_digest"], 1 / 0.95)
    goal = 0.7 if (os.cpu_count() or 1) > 1 else None
    yield Row("digests of four files at once", took["four"], "one after the other", took["in turn"], goal)


def _answer(setting: Setting, place: Path, code: str, *args: str) -> dict:
    command = [str(setting.own.python), "-c", code, *args]
    done = subprocess.run(command, cwd=place, env=variables(), check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
