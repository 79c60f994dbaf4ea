"""Records with packages of our choice, projects and wheels that need nothing to be built, and whether there is a registry."""

import functools
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import msgspec
import pytest

from reprokit.capture import host
from reprokit.model.records import ContextRecord, Package
from reprokit.reproduce.environment import uv

BACKEND = """
import os, zipfile

def _make(folder, name, files):
    path = os.path.join(folder, name)
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in files.items():
            archive.writestr(inside, text)
    return name

def _told():
    return {
        "NAME-VERSION.dist-info/METADATA": "Metadata-Version: 2.1\\nName: NAME\\nVersion: VERSION\\n",
        "NAME-VERSION.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "NAME-VERSION.dist-info/RECORD": "",
    }

def build_wheel(folder, config_settings=None, metadata_directory=None):
    text = open("src/NAME.py").read()
    return _make(folder, "NAME-VERSION-py3-none-any.whl", {"NAME.py": text, **_told()})

def build_editable(folder, config_settings=None, metadata_directory=None):
    BROKEN
    return _make(folder, "NAME-VERSION-py3-none-any.whl", {"NAME.pth": os.path.abspath("src"), **_told()})
"""


def python(version=None):
    """The recorded interpreter: this one's, or one of pyenv's of that version."""
    return version or host.platform_info().python.version


def record(*packages, version=None, root="/nowhere/project", **more):
    """A context with these packages: "six==1.15.0", or `Package`."""
    platform = host.platform_info()
    info = platform.python
    if version is not None:
        info = msgspec.structs.replace(info, version=version, base_prefix=None, executable=None)
    fields = {
        "root_directory": str(root), "cwd": None, "platform": msgspec.structs.replace(platform, python=info),
        "environment_variables": {}, "git": {}, "files": {}, "cpu": None, "config_hash": "0" * 64, "reprokit_version": "0.1.0",
    }  # fmt: skip
    found = [one if isinstance(one, Package) else Package(**_split(one)) for one in packages]
    return ContextRecord(**{**fields, **more}, packages=found)


def _split(text):
    name, _, version = text.partition("==")
    return {"name": name, "version": version}


def from_folder(name, version, path, *, editable):
    direct = {"url": Path(path).as_uri(), "dir_info": {"editable": True} if editable else {}}
    return Package(name=name, version=version, direct_url=direct)


def from_git(name, version, url, commit):
    return Package(name=name, version=version, direct_url={"url": url, "vcs_info": {"vcs": "git", "commit_id": commit}})


def project_files(name, version, said, *, broken=False):
    """Files of a project with a build system of its own, which needs no index; `said` is what its module holds."""
    backend = BACKEND.replace("NAME", name).replace("VERSION", version)
    toml = '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n'
    return {
        "pyproject.toml": f'{toml}[project]\nname = "{name}"\nversion = "{version}"\n',
        "own.py": backend.replace("BROKEN", "raise RuntimeError('no compiler')" if broken else "pass"),
        f"src/{name}.py": f"SAID = {said!r}\n",
    }


def write(folder, files):
    for name, text in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def wheel(folder, name, version):
    """Make a wheel with one empty module."""
    folder.mkdir(exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name.replace('-', '_')}.py", "")
        archive.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{stem}.dist-info/RECORD", "")


def run(interpreter, code, **options):
    done = subprocess.run(
        [str(interpreter), "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@functools.cache
def registry():
    """Whether packages can be had here; asked once."""
    binary = uv.find()
    if binary is None:
        return False
    variables = {**os.environ, "UV_HTTP_TIMEOUT": "5", "UV_HTTP_RETRIES": "0"}
    command = [binary, "pip", "compile", "--quiet", "--no-deps", "--python", sys.executable, "-"]
    done = subprocess.run(command, input=b"six==1.15.0\n", env=variables, capture_output=True, check=False)
    return done.returncode == 0


def has_python(version):
    root = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions" / version / "bin" / "python"
    return root.exists()


needs_registry = pytest.mark.skipif(
    "not __import__('tests.reproduce.recorded').reproduce.recorded.registry()", reason="no registry can be reached"
)
