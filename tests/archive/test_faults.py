"""Faults while archives are written and read: kill -9, full disks, read-only folders, many processes, odd names."""

import ctypes
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from reprokit.archive import Archive, DataSet
from reprokit.errors import ArchiveError

np = pytest.importorskip("numpy")

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0

#: Starts fast, for it is forked off a process that has imported everything: one line in, one process that writes for ever.
FORKER = """
import itertools, os, sys, time
import numpy as np
from reprokit.archive import Archive, DataSet

pause = 0

def archives(folder, how, first):
    for version in itertools.count(first):
        time.sleep(pause)
        archive = Archive()
        archive.insert(version=version, big=np.full(20_000, version), small=[np.full(30, version + i) for i in range(20)],
                       nest={"a": [version] * 50, "b": {"c": np.full((40, 40), version)}})
        archive.save(folder, name="run", data_format=how, package=how != "module", force=True)

def modules(folder, how, first):
    for version in itertools.count(first):
        time.sleep(pause)
        archive = Archive()
        archive.insert(version=version, big=np.full(2_000, version), small=[], nest={"a": [version], "b": {"c": np.full(200, version)}})
        archive.save(folder, name="run", data_format="npy", package=False, force=True)

def items(folder, how, first):
    ds = DataSet(os.path.join(folder, "scan"), "w")
    for version in itertools.count(first):
        ds._insert(np.full(200, version), version, info=version)
        ds.same = [np.full(300, version), version]
        ds["same"] = version
        if version % 7 == 6:
            del ds.x_1

for line in sys.stdin:
    what, folder, how, first = line.rstrip("\\n").split("|")
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        {"archives": archives, "modules": modules, "items": items}[what](folder, how, int(first))
    print(pid, flush=True)
    os.waitpid(pid, 0)
    print("gone", flush=True)
"""


class Forker:
    """Starts writers and kills them."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", FORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
        )

    def kill_after(self, seconds, what, folder, how, first):
        """Let a writer write for a while and kill it in the middle."""
        self._process.stdin.write(f"{what}|{folder}|{how}|{first}\n")
        self._process.stdin.flush()
        pid = int(self._process.stdout.readline())
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
        assert self._process.stdout.readline() == "gone\n"

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def forker():
    made = Forker()
    yield made
    made.close()


def version_of(folder):
    """Load what lies there; all of it is of one version."""
    found = Archive.load(os.path.join(folder, "run.py" if os.path.exists(os.path.join(folder, "run.py")) else "run"))
    version = found["version"]
    assert (found["big"] == version).all()
    assert all((array == version + i).all() for i, array in enumerate(found["small"]))
    assert set(found["nest"]["a"]) == {version}
    assert (found["nest"]["b"]["c"] == version).all()
    return version


KILLS = [pytest.param(20, id="20"), pytest.param(200, id="200", marks=pytest.mark.slow)]


@pytest.mark.parametrize("times", KILLS)
@pytest.mark.parametrize(
    ("what", "how"), [("archives", "npy"), ("archives", "npz"), ("archives", "hdf5"), ("modules", "module")]
)
def test_an_archive_is_whole_whenever_its_writer_is_killed(tmp_path, forker, what, how, times):
    if how == "hdf5":
        pytest.importorskip("h5py")
    chance, version = random.Random(times), 0
    for number in range(times):
        forker.kill_after(chance.uniform(0, 0.02), what, tmp_path, how, version * 10 + number)
        if not any(name.startswith("run") for name in os.listdir(tmp_path)):
            assert version == 0
            continue
        found = version_of(tmp_path)
        assert found >= version
        version = found
    forker.kill_after(0.3, what, tmp_path, how, 10**6)
    assert version_of(tmp_path) >= 10**6
    archive = Archive()
    archive.insert(version=0, big=np.zeros(5), small=[], nest={"a": [0], "b": {"c": np.zeros(1)}})
    archive.save(tmp_path, name="run", package=how != "module", force=True)
    assert version_of(tmp_path) == 0
    left = [name for name in os.listdir(tmp_path) if not name.startswith(("run", "__pycache__"))]
    assert len(left) <= 1, left  # what killed writers left is removed by those after them


@pytest.mark.parametrize("times", KILLS)
def test_every_item_of_a_data_set_is_whole_whenever_a_writer_is_killed(tmp_path, forker, times):
    chance, before = random.Random(times), {}
    for number in range(times):
        forker.kill_after(chance.uniform(0, 0.03), "items", tmp_path, "", number * 1000)
        if not os.path.exists(tmp_path / "scan"):
            continue
        ds = DataSet(tmp_path / "scan")
        notes = ds._info_dict
        assert set(before) - {"x_1"} <= set(notes)
        for name, note in notes.items():
            value = getattr(ds, name)
            if name == "same":
                assert set(value[0]) == {value[1]}
                assert note is None or value[1] - note in {0, 1} or value[1] % 1000 == 0
            elif isinstance(value, int):
                assert value == note
            else:
                assert set(value) == {note}
        assert all(notes[name] == note for name, note in before.items() if name not in {"same", "x_1"})
        before = notes
    with DataSet(tmp_path / "scan", "w", timeout=1) as ds:  # the lock of the dead one is broken
        ds.last = 1
        assert ds._insert(2)
    left = [path for path in (tmp_path / "scan").iterdir() if path.name.startswith(".")]
    assert not [path for path in left if path.stat().st_size], (
        "what killed writers left is swept up, once it tells its owner"
    )


# Full disks and folders that cannot be written

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def mount(folder, options, flags=0):
    folder.mkdir(exist_ok=True)
    if not ROOT or _LIBC is None or _LIBC.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", flags, options.encode()):
        pytest.skip("mounting is not allowed here")
    return folder


@pytest.fixture
def small_disk(tmp_path):
    """A disk of one MiB."""
    folder = mount(tmp_path / "disk", "size=1m")
    yield folder
    _LIBC.umount2(os.fsencode(folder), 2)


def used(folder):
    found = os.statvfs(folder)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


@pytest.mark.parametrize("how", ["npy", "npz", "hdf5"])
@pytest.mark.parametrize("package", [True, False])
def test_a_full_disk_leaves_the_earlier_archive(small_disk, how, package):
    if how == "hdf5":
        pytest.importorskip("h5py")
    first, second = Archive(), Archive()
    first.insert(x=np.arange(2000.0), y=1)
    first.save(small_disk, name="run", data_format=how, package=package)
    before = used(small_disk)
    second.insert(x=np.random.default_rng(1).random(1_000_000), y=2)
    with pytest.raises(OSError):
        second.save(small_disk, name="run", data_format=how, package=package, force=True)
    assert used(small_disk) <= before + 8192
    path = small_disk / ("run" if package else "run.py")
    assert Archive.load(path)["y"] == 1
    assert (Archive.load(path)["x"] == np.arange(2000.0)).all()
    third = Archive()
    third.insert(x=3)
    third.save(small_disk, name="run", data_format=how, package=package, force=True)
    assert Archive.load(path)["x"] == 3


def test_a_full_disk_leaves_the_earlier_items(small_disk):
    ds = DataSet(small_disk / "scan", "w")
    chance = np.random.default_rng(1)
    with pytest.raises(OSError):
        for number in range(10_000):
            ds._insert(chance.random(500), info=number)
    full = len(ds)
    assert 20 < full < 1000
    for _ in range(5):
        with pytest.raises(OSError):
            ds._insert(np.zeros(100_000), 1, info="big")
    assert len(ds) == len(DataSet(small_disk / "scan")) == full
    assert all(len(getattr(ds, name)) == 500 and ds[name] == int(name[2:]) for name in ds)
    with pytest.raises(OSError):
        while True:
            ds["x_0"] = "long" * 300
    assert ds["x_0"] in {0, "long" * 300}
    for number in range(1, 11):
        delattr(ds, f"x_{number}")
    assert ds._insert(np.arange(500), info="again")
    assert len(DataSet(small_disk / "scan")) == full - 9
    assert not [name for name in os.listdir(small_disk / "scan") if name.startswith(".")]


def test_a_list_of_items_that_cannot_grow_stays_as_it_was(tmp_path):
    """Part of the lines of an insert may fit; none of them counts."""
    pytest.importorskip("resource")
    code = f"""
import resource, signal
from reprokit.archive import DataSet
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ds = DataSet({str(tmp_path / "scan")!r}, "w")
ds._insert(1, 2, info="n" * 100)
seen = DataSet({str(tmp_path / "scan")!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
try:
    ds._insert(*range(100), info="n" * 100)
except OSError:
    assert list(seen) == list(ds) == ["x_0", "x_1"], list(seen)
    ds._insert(a=1)
    print(*seen, seen.a)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert done.stdout.split() == ["x_0", "x_1", "a", "1"], done.stderr
    assert not [name for name in os.listdir(tmp_path / "scan") if name.startswith((".", "x_2"))]


@pytest.fixture
def locked_folder(tmp_path):
    """A folder that nobody can write in, with an archive and a data set; root ignores modes, so a disk of its own."""
    folder = tmp_path / "fixed"
    folder.mkdir()
    if ROOT:
        mount(folder, "size=1m")
    try:
        archive = Archive()
        archive.insert(x=np.arange(500))
        archive.save(folder, name="run")
        DataSet(folder / "scan", "w")._insert(np.arange(500), info="n")
        if ROOT:
            assert not _LIBC.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 1 | 32, b"")  # MS_RDONLY | MS_REMOUNT
        else:
            for place in (folder / "scan", folder):
                place.chmod(0o555)
        yield folder
    finally:
        if ROOT:
            _LIBC.umount2(os.fsencode(folder), 2)  # MNT_DETACH
        else:
            for place in (folder, folder / "scan"):
                place.chmod(0o755)


def test_a_read_only_folder_is_read_and_refuses_to_be_written(locked_folder):
    assert (Archive.load(locked_folder / "run")["x"] == np.arange(500)).all()
    for mode in "rw":
        ds = DataSet(locked_folder / "scan", mode, timeout=0)
        assert (ds.x_0 == np.arange(500)).all()
        assert ds["x_0"] == "n"
    for act in (lambda: ds._insert(1), lambda: ds.__setitem__("x_0", 1), lambda: delattr(ds, "x_0")):
        with pytest.raises(OSError):
            act()
    archive = Archive()
    archive.insert(x=2)
    for name in ("run", "other"):
        with pytest.raises(OSError):
            archive.save(locked_folder, name=name, force=True)
    with pytest.raises(OSError):
        DataSet(locked_folder / "other", "w")
    assert sorted(os.listdir(locked_folder)) == ["run", "scan"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(locked_folder)!r}); import scan.x_0, run; print(scan.x_0.sum(), run.x.sum())"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["124750", "124750"], done.stderr


# Many at once

WRITER = """
import sys
import numpy as np
from reprokit.archive import DataSet
folder, who = sys.argv[1:]
ds = DataSet(folder, "w")
for number in range(100):
    if number % 2:
        ds._insert(np.full(150, number), info=(who, number))
    else:
        setattr(ds, f"{who}_{number}", [who, number, np.full(5, number)])
        ds[f"{who}_{number}"] = (who, number)
    if number % 10 == 0:
        ds.common = [who] * 200
print("done")
"""


def test_four_writers_lose_nothing_and_readers_see_whole_items(tmp_path):
    folder = tmp_path / "scan"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(folder), who], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        for who in "abcd"
    ]  # fmt: skip
    seen = {}
    while any(writer.poll() is None for writer in writers):
        if not folder.exists():
            continue
        ds = DataSet(folder)
        notes = ds._info_dict
        assert set(seen) <= set(notes)
        for name in random.sample(sorted(notes), min(len(notes), 20)):
            value = getattr(ds, name)
            if name.startswith("x_"):
                assert value.shape == (150,)
                assert set(value) == {notes[name][1]}
        if "common" in ds:
            assert len(set(ds.common)) == 1
        seen = notes
    for writer in writers:
        out, err = writer.communicate()
        assert out.strip() == "done", err
    ds = DataSet(folder)
    assert len(ds) == 401
    assert sorted(note for note in ds._info_dict.values() if note) == sorted(
        (who, n) for who in "abcd" for n in range(100)
    )
    for who in "abcd":
        for number in range(0, 100, 2):
            assert getattr(ds, f"{who}_{number}")[:2] == [who, number]
    for number in range(200):
        assert set(getattr(ds, f"x_{number}")) == {ds[f"x_{number}"][1]}
    assert not [name for name in os.listdir(folder) if name.startswith(".") or name == "_locked"]


@pytest.mark.parametrize("how", ["npy", "hdf5", "module"])
def test_a_reader_sees_the_old_or_the_new_version(tmp_path, how):
    if how == "hdf5":
        pytest.importorskip("h5py")
    code = FORKER.split("for line in sys.stdin")[0] + (
        f"pause = 0.01\n{'modules' if how == 'module' else 'archives'}({str(tmp_path)!r}, {how!r}, 0)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 60
        while not any(name in {"run", "run.py"} for name in os.listdir(tmp_path)) and time.monotonic() < deadline:
            time.sleep(0.01)
        versions, deadline = [], time.monotonic() + 60
        while (len(versions) < 100 or len(set(versions)) < 10) and time.monotonic() < deadline:
            versions.append(version_of(tmp_path))
    finally:
        writer.kill()
        writer.wait()
    assert versions == sorted(versions)
    assert len(set(versions)) >= 10


def test_a_reader_of_an_item_that_is_replaced_sees_the_old_or_the_new(tmp_path):
    code = f"""
import itertools
import numpy as np
from reprokit.archive import DataSet
ds = DataSet({str(tmp_path / "scan")!r}, "w")
for version in itertools.count():
    ds.x = np.full(1000, version)
    ds.y = [version, {{"a": np.full(200, version), "b": np.full(2, version)}}]
"""
    writer = subprocess.Popen([sys.executable, "-c", code], env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + 60
        while not (tmp_path / "scan" / "y.py").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        ds, found = DataSet(tmp_path / "scan"), []
        for _ in range(200):
            x, y = ds.x, ds.y
            assert len(set(x)) == 1
            assert {y[0]} == set(y[1]["a"]) == set(y[1]["b"])
            found += [int(x[0]), y[0]]
    finally:
        writer.kill()
        writer.wait()
    assert found[::2] == sorted(found[::2])
    assert len(set(found)) > 5


# Names

NAMES = ["dict", "list", "len", "numpy", "np", "os", "sys", "math", "type", "match", "case", "self", "x_data", "arrays", "data",
         "array_0", "é", "变量", "Ω", "version", "load", "name", "cls", "object", "print", "collections", "run", "l" * 100]  # fmt: skip


@pytest.mark.parametrize("scoped", [True, False])
@pytest.mark.parametrize("package", [True, False])
def test_names_of_builtins_and_modules_are_as_good_as_any(tmp_path, scoped, package):
    shared, archive = [1, 2], Archive(scoped=scoped)
    values = {
        name: {"n": number, "a": np.full(200, number), "s": shared, "c": complex(number, 1), "t": {number}}
        for number, name in enumerate(NAMES)
    }
    archive.insert(**values)
    archive.save(tmp_path, name="held", package=package)
    found = Archive.load(tmp_path / ("held" if package else "held.py"))
    assert list(found) == NAMES
    for number, name in enumerate(NAMES):
        assert found[name]["n"] == number
        assert (found[name]["a"] == number).all()
        assert found[name]["s"] is found["dict"]["s"]
        assert found[name]["c"] == complex(number, 1)
        assert found[name]["t"] == {number}
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
import held
for number, name in enumerate({NAMES!r}):
    value = getattr(held, name)
    assert value["n"] == number and value["a"].sum() == 200 * number and value["t"] == {{number}}, name
    assert value["s"] is held.dict["s"]
"""
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr


@pytest.mark.parametrize(
    "name", ["class", "None", "_x", "__name__", "__builtins__", "a b", "", "1", "a.b", "ﬁ", "x\0", "../x", "\u202ex"]
)
def test_what_is_no_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError):
        Archive().insert(**{name: 1})


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "a/b", "..", ".", "", "a b", "class", "x\0", "l" * 300, "a.b"])
def test_an_archive_gets_no_name_that_leads_elsewhere(tmp_path, name):
    archive = Archive()
    archive.insert(x=np.arange(500))
    (tmp_path / "in").mkdir()
    with pytest.raises((ArchiveError, OSError, ValueError)):
        archive.save(tmp_path / "in", name=name)
    assert os.listdir(tmp_path) == ["in"]
    assert not [entry for entry in os.listdir(tmp_path / "in") if not entry.startswith("__pycache__")]


@pytest.mark.parametrize(
    "folder", ["with space", "é变", "line\nbreak", "quote'\"", "{brace}", "%s", "-dash", "l" * 200]
)
def test_folders_may_have_any_name(tmp_path, folder):
    archive = Archive()
    archive.insert(x=np.arange(500))
    archive.save(tmp_path / folder, name="run")
    shutil.move(tmp_path / folder, tmp_path / "moved")
    assert (Archive.load(tmp_path / "moved" / "run")["x"] == np.arange(500)).all()
    DataSet(tmp_path / folder / "scan", "w")._insert(np.arange(500))
    shutil.move(tmp_path / folder / "scan", tmp_path / "scan")
    assert (DataSet(tmp_path / "scan").x_0 == np.arange(500)).all()
