"""Repositories that the contestants work in: many small source files, one commit, a clean tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median

from benchmarks.environments import variables

CONTESTANTS = Path(__file__).parent / "contestants"
IGNORED = ("vault/", "out/", "sacred_runs/", "mlruns/", "joblib/", "floor/", "*.db", "*.run.json", "__pycache__/")

#: capsula's own configuration for ``capsula run``, with what reprokit records too.  Without ``CpuContext``, which takes
#: a second a call and would decide every ratio.
CAPSULA = """\
[pre-run]
contexts = [{ type = "CwdContext" }, { type = "PlatformContext" }, { type = "GitRepositoryContext", name = "fixture" }]
reporters = [{ type = "JsonDumpReporter" }]
[in-run]
watchers = [{ type = "UncaughtExceptionWatcher" }, { type = "TimeWatcher" }]
reporters = [{ type = "JsonDumpReporter" }]
[post-run]
reporters = [{ type = "JsonDumpReporter" }]
"""


def repository(folder: Path, files: int) -> Path:
    """Make a repository of `files` committed source files beside the contestants' scripts."""
    folder.mkdir(parents=True)
    for script in CONTESTANTS.glob("*.py"):
        shutil.copy(script, folder / script.name)
    (folder / ".gitignore").write_text("\n".join(IGNORED) + "\n", "utf-8")
    (folder / "pyproject.toml").write_text('[project]\nname = "fixture"\nversion = "1"\n', "utf-8")
    (folder / "capsula.toml").write_text(CAPSULA, "utf-8")
    (folder / "reprokit.toml").write_text("", "utf-8")  # else reprokit would take capsula.toml for its own
    made = sum(1 for _ in folder.iterdir())
    for number in range(files - made):
        package = folder / "src" / f"package{number // 100:03}"
        if number % 100 == 0:
            package.mkdir(parents=True)
        text = f'"""Module {number}."""\n\n\ndef value():\n    return {number}\n' + "# filler\n" * (number % 40)
        (package / f"module{number:05}.py").write_text(text, "utf-8")
    for command in (
        ("init", "-q"),
        ("add", "-A"),
        ("-c", "user.name=bench", "-c", "user.email=bench@invalid", "commit", "-q", "-m", "fixture"),
        ("remote", "add", "origin", "https://example.invalid/fixture.git"),
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, env=variables(), stdin=subprocess.DEVNULL)
    (folder / "out").mkdir()
    return folder


def copies(source: Path, names: tuple[str, ...]) -> dict[str, Path]:
    """Give each contestant a repository of its own, with git's index fresh."""
    made = {}
    for name in names:
        made[name] = Path(shutil.copytree(source, source.parent / f"{source.name}-{name}", symlinks=True))
        subprocess.run(["git", "status"], cwd=made[name], check=True, env=variables(), stdout=subprocess.DEVNULL)
    return made


def spread(folder: Path) -> None:
    """Ask ext4 to put each folder in `folder` into a block group of its own.

    There a new file passes over every inode of its group that was deleted in the last minutes, at up to 600 us a file, so
    contestants of one group would wait for what another one, or an earlier benchmark, has deleted.
    """
    if shutil.which("chattr"):
        subprocess.run(["chattr", "+T", str(folder)], check=False, stderr=subprocess.DEVNULL)


def creation(place: Path, files: int = 20) -> float:
    """Median seconds that making an empty file takes in a contestant's repository; the files stay."""
    taken = []
    for _ in range(files):
        path = place / "out" / f"probe-{os.urandom(8).hex()}"
        started = time.perf_counter()
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        taken.append(time.perf_counter() - started)
    return median(taken)


def settle(places: list[Path], patience: float, enough: float = 60e-6) -> float:
    """Wait until making a file is cheap in all `places`, at most `patience` seconds; give what the dearest one takes."""
    end = time.monotonic() + patience
    while (dearest := max(creation(place) for place in places)) > enough and time.monotonic() < end:
        time.sleep(5)
    return dearest
