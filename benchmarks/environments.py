"""Virtual environments of the contestants, kept under the cache folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]

#: sqlalchemy and alembic are what mlflow-skinny needs for its sqlite store; persist fails with NumPy 2.
PEERS = (
    "capsula==0.8.0", "sacred", "mlflow-skinny", "sqlalchemy", "alembic", "joblib", "persist==3.2.1", "numpy<2", "h5py",
)  # fmt: skip

#: What the rows about archives store, and store it with, and the engines that tasks are sent to.
BESIDE = ("numpy", "pandas", "h5py", "joblib", "dask[distributed]", "ray")

#: What neither side should be slowed by: telemetry, log lines, pip's look at its own version.
QUIET = {
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
}


def variables() -> dict[str, str]:
    """Environment variables that every contestant runs with."""
    dropped = ("PYTHON", "REPROKIT_", "GIT_", "VIRTUAL_ENV", "COVERAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {**kept, **QUIET}


class Environment:
    """A virtual environment of this interpreter's version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.bin / "python"

    def install(self, *requirements: str, options: tuple[str, ...] = ()) -> None:
        """Make the environment when it isn't there, and install into it."""
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(self.folder)], check=True, env=variables())
        command = [str(self.python), "-m", "pip", "install", "-qq", *options, *requirements]
        subprocess.run(command, check=True, env=variables(), stdin=subprocess.DEVNULL)

    def versions(self, *names: str) -> dict[str, str]:
        """Give the installed version of each distribution."""
        code = "import sys, json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in sys.argv[1:]}))"
        done = subprocess.run([str(self.python), "-c", code, *names], check=True, capture_output=True, env=variables())
        import json

        found: dict[str, str] = json.loads(done.stdout)
        return found


def peers(cache: Path) -> Environment:
    """The peers, from the registry; installed once per list of requirements and version of Python."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    environment = Environment(cache / f"peers-{version}")
    mark = environment.folder / "requirements.txt"
    if not mark.exists() or mark.read_text("utf-8").split() != list(PEERS):
        environment.install(*PEERS)
        mark.write_text("\n".join(PEERS), "utf-8")
    return environment


def reprokit(cache: Path) -> Environment:
    """This checkout, installed as a user installs it: not editable, with its own dependencies and `BESIDE` only."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    environment = Environment(cache / f"reprokit-{version}")
    environment.install(str(CHECKOUT), *BESIDE)
    environment.install(str(CHECKOUT), options=("--no-deps", "--force-reinstall"))  # the version may be the same
    return environment
