"""Results that are used again, beside `joblib.Memory`; digests of arrays; and finding one result among a million."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

from benchmarks import measure
from benchmarks.environments import variables
from benchmarks.report import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.rows import Setting

_WORK = """
import reprokit as rk

FACTOR = 3

def scaled(x):
    return x * FACTOR

@rk.cache
def value(x, y=1, name="plain"):
    return {"x": scaled(x), "y": y, "name": name}

@rk.Artifact("outpath", config={"rate": 0.1}, exists="reuse")
def file(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(scaled(x)))
"""
_HITS = """
import json, sys, time
from statistics import median
import joblib
from work import file, scaled, value
rounds = int(sys.argv[1])

@joblib.Memory("joblib", verbose=0).cache
def beside(x, y=1, name="plain"):
    return {"x": scaled(x), "y": y, "name": name}

acts = {"value": lambda: value(3), "file": lambda: file(3, "out/three.txt"), "joblib": lambda: beside(3)}
took = {name: [] for name in acts}
for act in acts.values():
    act()
    time.sleep(0.1)  # what was written a moment ago is read again each time
    act()
for _ in range(rounds):
    for name, act in acts.items():
        started = time.perf_counter()
        for _ in range(100):
            act()
        took[name].append((time.perf_counter() - started) / 100)
print(json.dumps({name: median(values) for name, values in took.items()}))
"""
_FIRST = {
    "value": "from work import value; value(3)",
    "joblib": """
import joblib
from work import scaled
@joblib.Memory("joblib", verbose=0).cache
def beside(x, y=1, name="plain"):
    return {"x": scaled(x), "y": y, "name": name}
beside(3)
""",
}
_ARRAY = """
import hashlib, json, sys, time
from statistics import median
import numpy
from reprokit.capture import values
array = numpy.random.default_rng(1).random(100_000_000 // 8)
acts = {"own": lambda: values.tell(array), "plain": lambda: hashlib.sha256(array)}
took = {name: [] for name in acts}
for _ in range(int(sys.argv[1])):
    for name, act in acts.items():
        started = time.perf_counter()
        act()
        took[name].append(time.perf_counter() - started)
print(json.dumps({name: median(values) for name, values in took.items()}))
"""
# The keys' files are links to a few, for a million files of one block each would say more of the disk than of the look-up.
_LOOK_UP = """
import hashlib, json, os, random, sys, time
from pathlib import Path
from statistics import median
from reprokit.model.records import REUSE_SCHEMA, ArtifactRecord, ReuseEntry
from reprokit.vault import reuse
folder, most = Path(sys.argv[1]), int(sys.argv[2])

def key(number):
    return f"sha256:{hashlib.sha256(str(number).encode()).hexdigest()}"

def fill(first, last):
    for number in range(first, last):
        place = reuse.place(folder, key(number))
        if number % 50_000 == 0 or number == first:
            output = ArtifactRecord(path="out/a.txt", digest=key(0), size=3, role="generated", keyword="outpath")
            reuse.append(place, ReuseEntry(schema=REUSE_SCHEMA, key=key(number), run_id="0" * 32, folder="f", timestamp="", seconds=1.0, outputs=[output]))
            held = place
            continue
        try:
            os.link(held, place)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(place))
            os.link(held, place)

def look_up(last):
    took = []
    for number in random.Random(1).sample(range(last), 1000):
        started = time.perf_counter()
        (entry,) = reuse.read(reuse.place(folder, key(number)))
        took.append(time.perf_counter() - started)
    return median(took)

fill(0, 1000)
look_up(1000)
few = look_up(1000)
fill(1000, most)
look_up(most)
print(json.dumps([few, look_up(most)]))
"""


def reuse(setting: Setting) -> Iterator[Row]:
    """A hit in a process that had one before, the first in a new process, an array as argument, and look-ups."""
    place = setting.work / "reuse"
    (place / "out").mkdir(parents=True)
    (place / "reprokit.toml").write_text("")
    (place / "work.py").write_text(_WORK)
    took = _answer(setting, place, _HITS, str(setting.rounds(30)))
    yield Row("a result given again", took["value"], "joblib.Memory, a hit", took["joblib"], 2.0)
    yield Row("a file given again", took["file"], "joblib.Memory, a hit", took["joblib"], 2.0)
    whole = measure.in_turn(
        {
            name: lambda code=code: measure.process([setting.own.python, "-c", code], place)
            for name, code in _FIRST.items()
        },
        setting.rounds(20),
    )
    yield Row("the first in a process, whole process", whole["value"], "joblib.Memory, a hit", whole["joblib"])
    took = _answer(setting, place, _ARRAY, str(setting.rounds(20)))
    yield Row("digest of an array argument of 100 MB", took["own"], "hashlib.sha256 of its bytes", took["plain"], 1.1)
    most = 100_000 if setting.quick else 1_000_000
    few, many = _answer(setting, place, _LOOK_UP, str(place / "entries"), str(most))
    yield Row(f"finding a result among {most:,}", many, "among 1,000", few, 1.25)


def _answer(setting: Setting, place: Path, code: str, *args: str) -> dict:
    command = [str(setting.own.python), "-W", "ignore", "-c", code, *args]
    done = subprocess.run(command, cwd=place, env=variables(), check=False, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])
