"""Resident memory that fifty versions of a package take in one process, in bytes."""

import gc
import sys
from pathlib import Path

import psutil

from reprokit.ship import plain

own = psutil.Process()
files = sorted(Path(sys.argv[1]).iterdir())
gc.collect()
before = own.memory_info().rss
for path in files:
    plain.loads(path.read_bytes())(1)
gc.collect()
print(own.memory_info().rss - before)
