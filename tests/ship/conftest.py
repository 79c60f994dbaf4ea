"""Fixtures: small projects in folders of their own, and interpreters that know nothing of them."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent.parent
TIMEOUT = 60


class LocalProject:
    """A folder with local packages, as a driver has it."""

    def __init__(self, root, monkeypatch):
        self.root = root
        self._monkeypatch = monkeypatch
        self._tops = set()

    def write(self, files):
        """Write files, by path relative to the project; text is dedented."""
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
        return self

    def git(self, *args):
        """Run git in the project."""
        subprocess.run(["git", *args], cwd=self.root, check=True, capture_output=True)

    def enter(self, *tops, path=""):
        """Make this the project of the test's own process: working folder and import path."""
        self._monkeypatch.chdir(self.root)
        self._monkeypatch.syspath_prepend(str(self.root / path))
        self._tops.update(tops or self._found())
        return self

    def load(self, name):
        """Import a module of the project here."""
        self._tops.add(name.partition(".")[0])
        return importlib.import_module(name)

    def forget(self):
        """Take the project's modules out of this process, as if it had not imported them."""
        for name in list(sys.modules):
            if name.partition(".")[0] in self._tops:
                del sys.modules[name]

    def driver(self, code, *args, check=True, name="script.py", **options):
        """Run a script of the project in an interpreter of its own."""
        (self.root / name).write_text(textwrap.dedent(code))
        return python([str(self.root / name), *map(str, args)], self.root, check=check, **options)

    def _found(self):
        return {path.stem for path in self.root.iterdir() if path.suffix == ".py" or path.is_dir()}


def python(args, cwd, *, check=True, **options):
    """Run an interpreter that can import this reprokit, and nothing else that is not installed."""
    env = {**os.environ, "PYTHONPATH": str(SOURCE), **options.pop("env", {})}
    done = subprocess.run(
        [sys.executable, *args],
        cwd=cwd,
        env=env,
        text=True,
        timeout=TIMEOUT,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )
    assert not check or done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done


@pytest.fixture(autouse=True, scope="session")
def _own_temporary_folder(tmp_path_factory):
    """Bundles are unpacked below the temporary folder: one of this session, so that no test finds those of another run."""
    with pytest.MonkeyPatch.context() as patch:
        folder = str(tmp_path_factory.mktemp("tmp"))
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture
def make_project(tmp_path, monkeypatch):
    """Make a project in a folder of its own, a git repository unless told otherwise.

    It holds a module that no other one has, so that its bundle is one that no process has seen.
    """
    made = []

    def make(files=None, *, name="project", git=True):
        root = tmp_path / name
        root.mkdir()
        project = LocalProject(root, monkeypatch).write(
            {"reprokit.toml": "", "only_here.py": f"NUMBER = {os.urandom(8).hex()!r}\n", **(files or {})}
        )
        if git:
            project.git("init", "-q", "-b", "main")
            project.git("add", "-A")
            project.git("commit", "-q", "-m", "first")
        made.append(project)
        return project

    yield make
    for project in made:
        project.forget()


@pytest.fixture
def empty(tmp_path):
    """A folder with nothing in it, for a worker to stand in."""
    folder = tmp_path / "empty"
    folder.mkdir()
    return folder


@pytest.fixture
def worker(empty, tmp_path):
    """Run code in a clean interpreter in an empty folder; what it reads is in ``data``, what it prints is given back.

    The workers of a test share a temporary folder, in which no bundle lies at first.
    """
    folder = tmp_path / "worker-tmp"
    folder.mkdir()

    def run(code, data=b"", *, cwd=None, check=True, **options):
        options["env"] = {"TMPDIR": str(folder), **options.get("env", {})}
        path = tmp_path / "data.pkl"
        path.write_bytes(data)
        start = f"import sys; data = open({str(path)!r}, 'rb').read()\n"
        done = python(["-c", start + textwrap.dedent(code)], cwd or empty, check=check, **options)
        return done.stdout.strip() if check else done

    return run
