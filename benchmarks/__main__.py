"""Measure reprokit beside its peers, and print ratios.

``python -m benchmarks`` from the root of the repository; the peers come from the package index at the first run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks import environments, fixtures, report, rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"which: {', '.join(rows.ALL)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, 2,000 instead of 20,000 files")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the rows to FILE")
    parser.add_argument(
        "--table", metavar="FILE", type=Path, help="also write the table to FILE, for the documentation"
    )
    parser.add_argument("--cache", metavar="DIR", type=Path, default=environments.CHECKOUT / ".benchmarks",
                        help="virtual environments and fixtures; on a real disk (default: %(default)s)")  # fmt: skip
    options = parser.parse_args()
    unknown = set(options.rows) - set(rows.ALL)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; choose from {', '.join(rows.ALL)}")
    cache = options.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    if file_system(cache) in {"tmpfs", "ramfs"}:
        parser.error(f"{cache} lies in memory, where fsync costs nothing; give --cache on a disk")

    say("environments")
    own, peers = environments.reprokit(cache), environments.peers(cache)
    found: list[report.Row] = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the repositories below are removed then too
    work = Path(tempfile.mkdtemp(prefix="work-", dir=cache))
    fixtures.spread(work)
    try:
        say("repositories")
        large = 2_000 if options.quick else 20_000
        small_one = fixtures.repository(work / "small", 20)
        large_one = fixtures.repository(work / "large", large)
        setting = rows.Setting(own, peers, work, small_one, large_one, large, options.quick)
        for name in options.rows or rows.ALL:
            say(name)
            found += rows.ALL[name](setting)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    facts = machine(own, peers, cache)
    conditions = ", ".join(f"{name} {value}" for name, value in facts.items())
    print(f"{conditions}\n\n{report.table(found)}")
    missed = sum(row.met is False for row in found)
    print(f"\n{sum(row.met is True for row in found)} goals met, {missed} missed")
    if options.json:
        options.json.write_text(json.dumps(report.document(found, facts), indent=2) + "\n", "utf-8")
    if options.table:
        options.table.write_text(f"Measured with {conditions}.\n\n{report.table(found)}\n", "utf-8")
    return 1 if missed else 0


def say(what: str) -> None:
    """Tell on stderr what is being done."""
    print(f"... {what}", file=sys.stderr, flush=True)


def file_system(folder: Path) -> str:
    """Name the file system's type, "unknown" where the system has no mount table to read."""
    best = ("", "unknown")
    try:
        lines = Path("/proc/self/mounts").read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return best[1]
    for line in lines:
        _, point, kind, *_ = line.split()
        if folder.is_relative_to(point) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]


def machine(own: environments.Environment, peers: environments.Environment, cache: Path) -> dict[str, str]:
    """What the figures hold for."""
    git = subprocess.run(["git", "--version"], check=True, capture_output=True, text=True).stdout.split()[2]
    names = ("capsula", "sacred", "mlflow-skinny", "joblib")
    return {
        "Python": platform.python_version(),
        "git": git,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "file system": file_system(cache),
        **own.versions("reprokit", "wrapt"),
        **peers.versions(*names),
    }


if __name__ == "__main__":
    sys.exit(main())
