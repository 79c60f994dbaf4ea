"""``snapshot.capture``: which code goes into a snapshot, and what a crash leaves."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
import yaml

from reprokit import snapshot
from reprokit.errors import ReprokitError, ReprokitWarning, SnapshotExistsError, UncapturableError
from tests.conftest import SOURCE, git


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write modules into a folder on `sys.path`, and import them from there."""
    root = tmp_path / "work"
    root.mkdir()
    monkeypatch.syspath_prepend(str(root))
    before = set(sys.modules)

    def put(**files):
        for name, text in files.items():
            path = root / name.replace("__dot__", ".").replace("__in__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text)) if isinstance(text, str) else path.write_bytes(text)
        importlib.invalidate_caches()
        return root

    yield put
    for name in set(sys.modules) - before:
        del sys.modules[name]


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def package(write, name="pack", value="1"):
    files = {
        f"{name}__in____init____dot__py": f"from .core import VALUE\nfrom {name} import sub\n",
        f"{name}__in__core__dot__py": f"VALUE = {value}\n",
        f"{name}__in__sub__in____init____dot__py": "",
        f"{name}__in__sub__in__deep__dot__py": f"from {name}.core import VALUE\n",
        f"{name}__in__data__in__table__dot__csv": b"1,2\r\n\xff",
    }
    return write(**files)


# --- what is captured ------------------------------------------------------------------------------------------------


def test_a_package_with_subpackages_and_data_keeps_exact_bytes(write, tmp_path):
    root = package(write)
    import pack

    path = snapshot.capture(pack, tmp_path / "snap")
    assert tree(path / "pack") == tree(root / "pack")
    assert path == tmp_path / "snap"


def test_a_single_file_module(write, tmp_path):
    write(alone__dot__py="X = 1\n")
    import alone

    path = snapshot.capture(alone, tmp_path / "snap")
    assert sorted(tree(path)) == ["__init__.py", "alone.py"]
    assert snapshot.load(path, "single_file").alone.X == 1


def test_a_namespace_package(write, tmp_path):
    write(spread__in__one__dot__py="from spread import two\nX = two.Y\n", spread__in__two__dot__py="Y = 5\n")
    import spread

    path = snapshot.capture(spread, tmp_path / "snap")
    assert snapshot.load(path, "namespace_snap").spread.__name__.endswith(".spread")
    assert importlib.import_module("namespace_snap.spread.one").X == 5


def test_a_submodule_stands_for_its_package_and_a_function_for_its_module(write, tmp_path):
    package(write)
    write(tool__dot__py="def work(): return 3\n")
    import pack.sub.deep
    import tool

    path = snapshot.capture([pack.sub.deep, tool.work], tmp_path / "snap")
    snap = snapshot.load(path, "two_kinds")
    assert (snap.pack.VALUE, snap.tool.work()) == (1, 3)


def test_several_modules_go_into_one_snapshot_at_once_or_one_by_one(write, tmp_path):
    package(write)
    write(first__dot__py="import second\nX = second.Y\n", second__dot__py="Y = 2\n")
    import first
    import pack
    import second

    path = snapshot.capture([first, second], tmp_path / "snap")
    snapshot.capture(pack, path)
    snap = snapshot.load(path, "several")
    assert (snap.first.X, snap.second.Y, snap.pack.VALUE) == (2, 2, 1)


def test_what_git_ignores_and_byte_code_stay_out_and_patterns_choose(write, tmp_path):
    root = package(write)
    write(
        __dot__gitignore="*.log\nbuild/\n",
        pack__in__a__dot__log="x",
        pack__in__b__dot__log="x",
        pack__in__build__in__made__dot__py="",
        pack__in____pycache____in__x__dot__pyc=b"x",
        pack__in__old__dot__pyc=b"x",
    )
    git(root, "init", "-q")
    git(root, "add", "-f", "pack/b.log")
    import pack

    path = snapshot.capture(pack, tmp_path / "one")
    inside = {name.removeprefix("pack/") for name in tree(path)}
    assert "b.log" in inside  # committed though ignored
    assert inside.isdisjoint({"a.log", "build/made.py", "old.pyc"})
    path = snapshot.capture(pack, tmp_path / "two", include="a.log", exclude=["pack/data/*", "b.log"])
    inside = {name.removeprefix("pack/") for name in tree(path)}
    assert "a.log" in inside
    assert inside.isdisjoint({"b.log", "data/table.csv"})


@pytest.mark.parametrize("repository", [True, False])
def test_gitignore_counts_within_the_package_without_a_repository_too(write, tmp_path, repository):
    root = package(write)
    write(pack__in____dot__gitignore="*.csv\n", pack__in__keep__dot__txt="")
    if repository:
        git(root, "init", "-q")
    import pack

    inside = set(tree(snapshot.capture(pack, tmp_path / "snap")))
    assert "pack/keep.txt" in inside
    assert "pack/data/table.csv" not in inside


def test_a_package_that_is_ignored_as_a_whole_is_captured_nevertheless(write, tmp_path):
    root = package(write)
    write(__dot__gitignore="pack/\n")
    git(root, "init", "-q")
    import pack

    assert "pack/core.py" in tree(snapshot.capture(pack, tmp_path / "snap"))


def test_secrets_by_name_stay_out_and_are_told(write, tmp_path):
    package(write)
    write(pack__in____dot__env="PASSWORD=x", pack__in__id_rsa="x")
    import pack

    with pytest.warns(ReprokitWarning, match=r"pack/\.env, pack/id_rsa"):
        path = snapshot.capture(pack, tmp_path / "snap")
    assert not any(name.endswith((".env", "id_rsa")) for name in tree(path))


def test_links_inside_stay_links_and_others_become_what_they_lead_to(write, tmp_path):
    root = package(write)
    (tmp_path / "outside.txt").write_text("outside")
    (root / "pack" / "out.txt").symlink_to(tmp_path / "outside.txt")
    (root / "pack" / "in.py").symlink_to("core.py")
    import pack

    path = snapshot.capture(pack, tmp_path / "snap")
    assert os.readlink(path / "pack" / "in.py") == "core.py"
    assert not (path / "pack" / "out.txt").is_symlink()
    assert (path / "pack" / "out.txt").read_text() == "outside"


def test_the_folder_is_plain_source_that_python_imports_without_us(write, tmp_path):
    package(write)
    import pack

    path = snapshot.capture(pack, tmp_path / "snap")
    code = (
        f"import sys; sys.path[:0] = [{str(path)!r}, {str(tmp_path)!r}]; import snap, pack; from snap import *; "
        "print(snap.pack.core.VALUE, pack.VALUE, 'reprokit' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "1", "False"]


def test_a_module_run_as_main(tmp_path):
    script = tmp_path / "train.py"
    script.write_text(
        "import sys\nfrom reprokit import snapshot\ndef model(): return 'kept'\n"
        "if __name__ == '__main__':\n    snapshot.capture(sys.modules['__main__'], 'by_module')\n"
        "    snapshot.capture(model, 'by_function')\n"
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "train.py"], cwd=tmp_path, env=env, check=True)
    for name in ("by_module", "by_function"):
        assert snapshot.load(tmp_path / name, f"main_{name}").train.model() == "kept"


def test_functions_and_classes_of_notebook_cells(tmp_path):
    pytest.importorskip("IPython")
    cells = [
        "import math\nfrom json import dumps as to_json\nSCALE = (2, 3)",
        "def helper(x):\n    return math.floor(x) * SCALE[0]",
        "class Base:\n    pass",
        "import functools\n@functools.lru_cache\ndef model(x):\n    # half\n    return Holder(helper(x)).value, to_json([1])\ndef writes(path):\n    open(path, 'w').close()",
        "class Holder(Base):\n    def __init__(self, value):\n        self.value = value",
        "import threading\nlock = threading.Lock()\ndef bad(): return lock",
        "from reprokit import snapshot\nsnapshot.capture([model, Base, writes], 'snap')",
        "try:\n    snapshot.capture(bad, 'no')\nexcept Exception as error:\n    print(type(error).__name__, error)",
        "raise SystemExit if False else KeyError('cells are not run again')",
    ]
    script = (
        "import json, sys\nfrom IPython.core.interactiveshell import InteractiveShell\nshell = InteractiveShell.instance()\n"
        "for cell in json.load(sys.stdin): shell.run_cell(cell, store_history=True)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps(cells),
        cwd=tmp_path,
        env=env,
        text=True,
        capture_output=True,
        check=True,
    )
    snap = snapshot.load(tmp_path / "snap", "notebook_snap")
    assert snap.interactive.model(2.5) == (4, "[1]")
    snap.interactive.writes(tmp_path / "written")
    assert (tmp_path / "written").exists()
    assert "# half" in (tmp_path / "snap" / "interactive.py").read_text()
    assert "UncapturableError lock: bad needs it, and a lock can't be written as source" in done.stdout


def test_a_module_that_was_imported_apart_is_captured_under_its_own_name(write, tmp_path):
    package(write)
    import pack

    first = snapshot.load(snapshot.capture(pack, tmp_path / "a"), "taken_a")
    again = snapshot.load(snapshot.capture(first.pack.sub, tmp_path / "b"), "taken_b")
    assert again.pack.sub.__name__.endswith(".pack.sub")


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [json, sys, yaml, math := importlib.import_module("math")], ids=lambda m: m.__name__)
def test_installed_and_standard_modules_are_refused_by_name(module, tmp_path):
    with pytest.raises(UncapturableError, match=module.__name__):
        snapshot.capture(module, tmp_path / "snap")
    assert not (tmp_path / "snap").exists()


def test_compiled_extensions_are_refused_by_name(write, tmp_path):
    package(write)
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    (tmp_path / "work" / "pack" / f"fast{suffix}").write_bytes(b"\x7fELF")
    import pack

    with pytest.raises(UncapturableError, match=rf"pack: holds a compiled extension, fast\{suffix}"):
        snapshot.capture(pack, tmp_path / "snap")
    assert "pack/core.py" in tree(snapshot.capture(pack, tmp_path / "snap", exclude="*.so"))


@pytest.mark.parametrize("given", [[], 3, "pack", [None]])
def test_what_is_no_code_is_refused(given, tmp_path):
    with pytest.raises(UncapturableError):
        snapshot.capture(given, tmp_path / "snap")


# --- what is there already -------------------------------------------------------------------------------------------


def test_an_existing_module_is_kept_unless_told(write, tmp_path):
    package(write)
    import pack

    path = snapshot.capture(pack, tmp_path / "snap")
    before = tree(path)
    (tmp_path / "work" / "pack" / "core.py").write_text("VALUE = 2\n")
    with pytest.raises(RuntimeError, match="holds pack already; pass overwrite=True") as caught:
        snapshot.capture(pack, path)
    assert isinstance(caught.value, SnapshotExistsError)
    assert isinstance(caught.value, ReprokitError)
    assert tree(path) == before
    assert os.listdir(tmp_path) == ["work", "snap"] or sorted(os.listdir(tmp_path)) == ["snap", "work"]
    (tmp_path / "work" / "pack" / "sub" / "deep.py").unlink()
    snapshot.capture(pack, path, overwrite=True)
    assert (path / "pack" / "core.py").read_text() == "VALUE = 2\n"
    assert not (path / "pack" / "sub" / "deep.py").exists()


def test_other_things_in_the_folder_stay(write, tmp_path):
    package(write)
    import pack

    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "model.bin").write_bytes(b"big")
    (tmp_path / "results" / "outputs").mkdir()
    inode = (tmp_path / "results").stat().st_ino
    for _ in range(2):
        path = snapshot.capture(pack, tmp_path / "results", overwrite=True)
    assert (path / "model.bin").read_bytes() == b"big"
    assert (path / "outputs").is_dir()
    assert "outputs" not in (path / "__init__.py").read_text()
    assert (tmp_path / "results").stat().st_ino == inode
    assert (path / "pack" / "core.py").exists()


def test_a_package_replaces_a_single_file_of_its_name(write, tmp_path):
    write(kind__dot__py="X = 'file'\n")
    import kind

    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "other.bin").write_bytes(b"")
    path = snapshot.capture(kind, folder)
    (tmp_path / "work" / "kind.py").unlink()
    write(kind__in____init____dot__py="X = 'package'\n")
    del sys.modules["kind"]
    import kind

    snapshot.capture(kind, path, overwrite=True)
    assert not (path / "kind.py").exists()
    assert snapshot.load(path, "kinds").kind.X == "package"


def test_killed_at_any_time_leaves_the_old_or_the_new(write, tmp_path):
    root = package(write)
    script = tmp_path / "again.py"
    script.write_text(
        "import sys\nsys.path.insert(0, sys.argv[1])\nimport pack\nfrom reprokit import snapshot\nprint('go', flush=True)\n"
        "for n in range(10_000):\n"
        "    for name in ('core', 'sub/deep'):\n"
        "        open(f'{sys.argv[1]}/pack/{name}.py', 'w').write(f'VALUE = {n}  #' + 'x' * 100_000)\n"
        "    snapshot.capture(pack, sys.argv[2], overwrite=True)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    target = tmp_path / "snap"
    for kill in range(8):
        for name in ("core", "sub/deep"):
            (root / "pack" / f"{name}.py").write_text("VALUE = -1\n")
        process = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "work"), str(target)], env=env, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        if not kill:
            while not target.exists():
                time.sleep(0.001)
        time.sleep(0.005 + 0.013 * kill)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        found = tree(target)
        assert {"__init__.py", "pack/__init__.py", "pack/core.py", "pack/sub/deep.py"} <= set(found)
        assert found["pack/core.py"] == found["pack/sub/deep.py"]
    for name in ("core", "sub/deep"):  # the last one may have been killed as it wrote them
        (root / "pack" / f"{name}.py").write_text("VALUE = -1\n")
    import pack

    snapshot.capture(pack, target, overwrite=True)
    assert not list(tmp_path.glob(".snap*"))


def test_eight_processes_capture_into_one_snapshot(write, tmp_path):
    root = tmp_path / "work"
    for number in range(8):
        write(**{f"part{number}__dot__py": f"X = {number}\n"})
    code = (
        "import sys, importlib; sys.path.insert(0, sys.argv[1]); from reprokit import snapshot; "
        "snapshot.capture(importlib.import_module(sys.argv[2]), sys.argv[3])"
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(root), f"part{n}", str(tmp_path / "snap")], env=env)
        for n in range(8)
    ]
    assert [process.wait() for process in started] == [0] * 8
    snap = snapshot.load(tmp_path / "snap", "eight")
    assert [getattr(snap, f"part{n}").X for n in range(8)] == list(range(8))
