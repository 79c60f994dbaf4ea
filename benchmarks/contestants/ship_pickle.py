"""Pickles of a function in a package of 100 files: reprokit's and cloudpickle's, their sizes and times, as JSON."""

import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median

import cloudpickle
import pack.start

from reprokit import settings, ship
from reprokit.ship import task
from reprokit.ship.pickling import pickler

CHILD = """
import json, pickle, sys, time
from statistics import median
data = open(sys.argv[1], 'rb').read()
{loads}
took = []
for _ in range(201):
    t = time.perf_counter(); load(data); took.append(time.perf_counter() - t)
print(json.dumps([took[0], median(took[1:])]))
"""


def timed(call, rounds=200):
    took = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        took.append(time.perf_counter() - started)
    return median(took)


def once(call):
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def zipped():
    with zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(Path("pack").rglob("*")):
            archive.write(path)


def loaded(data, loads):
    """Seconds of the first load in a new process that has no such package, and of a later one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "data")
        path.write_bytes(data)
        done = subprocess.run(
            [sys.executable, "-c", CHILD.format(loads=loads), path], cwd=folder, check=True, capture_output=True
        )
        return json.loads(done.stdout)


ship.dumps  # noqa: B018 - loads reprokit's modules, which is not what is measured
zip_first = once(zipped)
first = once(lambda: ship.dumps(pack.start.main))
zip_again = timed(zipped, 10)
again = timed(lambda: ship.dumps(pack.start.main))
found = settings.current()
sender = pickler.Sender(
    found.root, max_size=10**9, max_file_size=10**9, allow_secrets=True, vault=found.vault
)  # as an executor has it
by_digest = timed(lambda: sender.dumps((pack.start.main, (1,), {})))
payload, _, bundle = sender.dumps((pack.start.main, (1,), {}))
wire = task.encode(task.Task(manifest=bytes(32), number=bytes(12), parent=bytes(16), payload=payload))
start_first, start_again = loaded(
    ship.dumps(pack.start.main),
    "import reprokit.ship.plain, reprokit.code.apart.face\nload = reprokit.ship.plain.loads",
)
reference = len(cloudpickle.dumps((pack.start.main, (1,), {})))
for name, module in list(sys.modules.items()):
    if name.partition(".")[0] == "pack":
        cloudpickle.register_pickle_by_value(module)
value = timed(lambda: cloudpickle.dumps(pack.start.main), 10)
value_size = len(cloudpickle.dumps(pack.start.main))
_, value_loads = loaded(cloudpickle.dumps(pack.start.main), "load = pickle.loads")
print(
    json.dumps(
        {
            "zip": min(zip_first, zip_again),
            "first": first,
            "dumps": again,
            "by digest": by_digest,
            "start": start_first,
            "loads": start_again,
            "bytes": len(wire),
            "reference bytes": reference,
            "value dumps": value,
            "value loads": value_loads,
            "value bytes": value_size,
            "bundle": bundle,
        }
    )
)
