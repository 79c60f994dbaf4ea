"""A project whose function has all that a result may depend on, asked by processes that each see the code as it is then."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from tests.conftest import SOURCE, Project

FILES = {
    "pkg/__init__.py": "",
    "pkg/config.py": 'WINDOW = 3\nUNUSED = 1\nCFG = {"lr": 0.1, "model": {"depth": 2}}\n',
    "pkg/prep.py": (
        "from pkg.config import WINDOW\n\n\ndef clean(rows):\n    return [row.strip() for row in rows][:WINDOW]\n\n\n"
        "def unused():\n    return 1\n"
    ),
    "pkg/model.py": (
        "class Model:\n    bias = 1\n\n    def fit(self, rows):\n        return len(rows) + self.bias\n\n"
        "    def show(self):\n        return 'model'\n"
    ),
    "steps.py": """\
import os
import outside
import reprokit as rk
from pkg.config import CFG
from pkg.model import Model
from pkg.prep import clean


@rk.Artifact("outpath", config=CFG, exists="reuse", allow_dirty=True)
def train(data_path, outpath, n=1, callback=None):
    with open(data_path) as stream:
        rows = clean(stream)
    fitted = Model().fit(rows) * n
    if n == 0:
        raise ValueError("no luck")
    with open(outpath, "w") as stream:
        stream.write(f"{rows} {fitted} {outside.NAME} {os.environ.get('SEED')}")
    return fitted
""",
    "asks.py": """\
import json, sys
import reprokit as rk
import steps
args, kwargs = json.loads(sys.argv[2]), json.loads(sys.argv[3])
if sys.argv[1] == "run":
    print(json.dumps(steps.train(*args, **kwargs)))
else:
    print(json.dumps(rk.why(steps.train, *args, **kwargs).to_dict()))
""",
    "data.csv": "a\nb\nc\nd\n",
    ".gitignore": "data.csv\n*.pkl\n*.txt\n*.run.json\nsite-packages\n",
}
ARGS = ("data.csv", "model.pkl")


class WhyProject(Project):
    """The project; `run` and `why` are processes of their own."""

    def install(self, version):
        """Put a package into the project's ``site-packages``, as an installer would."""
        site = self.root / "site-packages"
        for old in site.glob("outside-*.dist-info"):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        info = site / f"outside-{version}.dist-info"
        info.mkdir(parents=True)
        (site / "outside.py").write_text("NAME = 'outside'\n")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: outside\nVersion: {version}\n")
        (info / "RECORD").write_text(f"outside.py,,\noutside-{version}.dist-info/METADATA,,\n")

    def edit(self, name, old, new):
        text = (self.root / name).read_text()
        assert text.count(old) == 1, (name, old)
        (self.root / name).write_text(text.replace(old, new))

    def process(self, *argv, check=True, **env):
        """Run Python in the project."""
        path = os.pathsep.join([str(SOURCE), str(self.root / "site-packages")])
        told = {**os.environ, "PYTHONPATH": path, **env}
        done = subprocess.run(
            [sys.executable, *argv], cwd=self.root, env=told, capture_output=True, text=True, timeout=60
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def run(self, *args, check=True, env=None, **kwargs):
        """Call the function; tell what it returned."""
        done = self.process("asks.py", "run", json.dumps(args or ARGS), json.dumps(kwargs), check=check, **(env or {}))
        return json.loads(done.stdout) if done.returncode == 0 else done.stderr

    def why(self, *args, env=None, **kwargs):
        """Ask for the function, as a dictionary."""
        done = self.process("asks.py", "why", json.dumps(args or ARGS), json.dumps(kwargs), **(env or {}))
        return json.loads(done.stdout)

    def ask(self, *argv, **env):
        """Run ``reprokit why``."""
        return self.process("-m", "reprokit", "why", *map(str, argv), check=False, **env)

    def made(self, pattern="model-*.pkl"):
        """Give the newest artifact's name."""
        return max(self.root.glob(pattern), key=os.path.getmtime).name

    def state(self):
        """Give all that a question must leave alone: every file outside caches, with its time."""
        kept = [path for path in self.root.rglob("*") if path.is_file() and not self._passes(path)]
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in kept}

    def _passes(self, path):
        inside = path.relative_to(self.root).parts
        return inside[0] in (".git", "site-packages") or inside[:2] in {("vault", one) for one in _CACHES}


_CACHES = ("closures", "index.sqlite", "index.sqlite-wal", "index.sqlite-shm", "index.lock", "code.git", ".gitignore")
