"""Fixtures: real git repositories, and projects whose records can be looked at."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
    "GIT_CONFIG_GLOBAL": os.devnull,
}
SOURCE = Path(__file__).parent.parent

if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # a shell starts jobs in the background like that, and programs inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith("REPROKIT_"):
            monkeypatch.delenv(name)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)
    # Tests edit files within a second, which leaves .pyc files in force.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv(
        "PATH", str(Path(sys.executable).parent), prepend=os.pathsep
    )  # `python` is the one that runs the tests


def git(root, *args, **options):
    """Run git and give its output as text."""
    done = subprocess.run(["git", *args], cwd=root, check=True, capture_output=True, **options)
    return done.stdout.decode(errors="surrogateescape")


@pytest.fixture
def make_repo(tmp_path):
    """Make a git repository with one commit."""

    def make(path=None, files=None):
        root = Path(path) if path else tmp_path / "repo"
        root.mkdir(parents=True, exist_ok=True)
        git(root, "init", "-q", "-b", "main")
        for name, content in (files or {"a.txt": "a\n"}).items():
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content if isinstance(content, bytes) else content.encode())
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "first")
        return root

    return make


class Project:
    """A repository that a test works in, and what was recorded there."""

    def __init__(self, root):
        self.root = root
        self.vault = root / "vault"

    @property
    def commit(self):
        return git(self.root, "rev-parse", "HEAD").strip()[:7]

    @property
    def folders(self):
        runs = self.vault / "runs"
        return sorted(runs.iterdir(), key=_opened) if runs.exists() else []

    def document(self, name, index=-1):
        return json.loads((self.folders[index] / f"{name}.json").read_bytes())

    def context(self, index=-1):
        return self.document("context", index)

    def pre(self, index=-1):
        return self.document("pre-run-info", index)

    def post(self, index=-1):
        return self.document("post-run-info", index)

    def steps(self, index=-1):
        lines = [line for path in sorted(self.folders[index].glob("steps-*")) for line in path.read_text().splitlines()]
        return [json.loads(line) for line in lines]

    def ended(self, index=-1):
        """Child runs as (function, parent, status), by their begin and end lines."""
        steps = self.steps(index)
        ends = {s["run_id"]: s for s in steps if s["event"] == "end"}
        return [
            (b["function"], b["parent_id"], ends.get(b["run_id"], {}).get("status"))
            for b in steps
            if b["event"] == "begin"
        ]

    def python(self, code, *args, check=True, **options):
        """Run a script in the project with this reprokit."""
        script = self.root / "script.py"
        script.write_text(code)
        env = {**os.environ, "PYTHONPATH": str(SOURCE), **options.pop("env", {})}
        done = subprocess.run(
            [sys.executable, str(script), *args],
            cwd=self.root,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            **options,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def reprokit(self, *args, **options):
        """Run the command line in the project."""
        env = {**os.environ, "PYTHONPATH": str(SOURCE), **options.pop("env", {})}
        return subprocess.run(
            [sys.executable, "-m", "reprokit", *args],
            cwd=options.pop("cwd", self.root),
            env=env,
            capture_output=True,
            text=options.pop("text", True),
            timeout=60,
            **options,
        )

    def commit_all(self):
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "-m", "more", "--allow-empty")


def _opened(folder):
    return json.loads((folder / "pre-run-info.json").read_bytes())["timestamp"]


@pytest.fixture
def project(make_repo, monkeypatch):
    """A clean repository as the working folder."""
    root = make_repo(files={"pipeline.py": "X = 1\n"})
    monkeypatch.chdir(root)
    return Project(root)
