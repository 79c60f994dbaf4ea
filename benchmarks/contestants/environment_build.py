"""Seconds to build an environment of given packages by the running reprokit, its installer's cache being warm."""

import json
import shutil
import sys
import time
from pathlib import Path

import msgspec

from reprokit.capture import host
from reprokit.model.records import ContextRecord, Package
from reprokit.reproduce.environment.build import build

file, rounds = Path(sys.argv[1]), int(sys.argv[2])
pins = [line.partition("==") for line in file.read_text().splitlines()]
recorded = ContextRecord(
    root_directory="/nowhere", cwd=None, platform=msgspec.structs.replace(host.platform_info()), environment_variables={},
    git={}, files={}, cpu=None, config_hash="0" * 64, reprokit_version="0",
    packages=[Package(name=name, version=version) for name, _, version in pins],
)  # fmt: skip
found = {"build": [], "reuse": []}
for _ in range(rounds):
    for seconds in found.values():
        started = time.perf_counter()
        built = build(recorded)
        seconds.append(time.perf_counter() - started)
    shutil.rmtree(built.folder)
print(json.dumps(found))
