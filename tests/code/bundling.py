"""Projects to make bundles of, and clean interpreters to open them in."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import textwrap
import zipfile

from reprokit.code.bundles import archive, current
from reprokit.code.bundles.bundle import MEMBER, Meta, digest_of
from tests.conftest import SOURCE

LIMITS = {"max_size": 100_000_000, "max_file_size": 50_000_000, "allow_secrets": False, "vault": None}


def write(root, files):
    """Write files, by path below a folder."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else textwrap.dedent(content).encode())
    return root


def bundle(root, **options):
    """Make the bundle of a project as it is now."""
    return current.bundle(root, **{**LIMITS, "sure": True, **options})


def members(made):
    """Give the files of a bundle by path, its own member aside."""
    with zipfile.ZipFile(io.BytesIO(made.data)) as opened:
        return {name: opened.read(name) for name in opened.namelist() if name != MEMBER}


def packed(files, roots=("",), tops=("pack",), left=None):
    """Pack files; give digest and archive."""
    meta = Meta(roots=roots, tops=tops, left=left or {}).encode()
    pieces = {name: archive.piece(data) for name, data in files.items()}
    digest = digest_of(meta, [(name, one.executable, one.sha256) for name, one in pieces.items()])
    return digest, archive.write(pieces, meta)


@contextlib.contextmanager
def importing(*folders):
    """Have folders on `sys.path`, and forget afterwards what was imported from them."""
    before, path = set(sys.modules), list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders]
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = path
        mine = [name for name in set(sys.modules) - before if _lies_in(sys.modules[name], folders)]
        for name in mine:
            del sys.modules[name]


def _lies_in(module, folders):
    if module.__name__.startswith("_reprokit_"):
        return False
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), "")
    return str(place).startswith(tuple(f"{folder}{os.sep}" for folder in folders))


def start(code, place, *args, stdin=subprocess.DEVNULL):
    """Start a clean interpreter in an empty folder, with `place` for temporary files."""
    empty = place / "empty"
    empty.mkdir(parents=True, exist_ok=True)
    (place / "temp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        cwd=empty,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(place / "temp")},
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(code, place, *args):
    """Run a clean interpreter; give what it printed last, read as JSON."""
    process = start(code, place, *args)
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err.decode()
    return json.loads(out.decode().splitlines()[-1])


OPEN = """
import json, sys
from reprokit.code.bundles import store
digest, path = sys.argv[1:3]
with open(path, "rb") as stream:
    store.add(digest, stream.read())
tree = store.tree(digest)
"""


def on_worker(made, place, code):
    """Open a bundle in a clean interpreter, as `tree`, and run code there."""
    path = place / f"{made.digest[:8]}.bin"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.data)
    return run(OPEN + textwrap.dedent(code), place, made.digest, path)
