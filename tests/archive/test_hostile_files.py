"""Data files and folders of an enemy: nothing outside is read, nothing is unpickled, nothing hangs, what is damaged is told."""

import io
import os
import pickle
import stat
import struct
import threading
import time
import zipfile

import pytest

from reprokit.archive import Archive, DataSet
from reprokit.errors import ArchiveError

np = pytest.importorskip("numpy")

SECRET = 123456789


@pytest.fixture
def marker(tmp_path):
    path = tmp_path / "marker"
    yield path
    assert not path.exists()


@pytest.fixture
def secret(tmp_path):
    """Arrays of someone else, in a folder where the archive has no business."""
    folder = tmp_path / "private"
    folder.mkdir()
    for name in ("array_0", "packed"):
        np.save(folder / f"{name}.npy", np.full(500, SECRET))
    np.savez(folder / "secret.npz", array_0=np.full(500, SECRET))
    return folder


def saved(tmp_path, how="npy", many=False):
    """Save an archive and give its folder."""
    archive = Archive(array_threshold=100)
    archive.insert(
        x=[np.full(40 * (1 + number % 3) + 100, number) for number in range(40)] if many else np.arange(500), y=1
    )
    return archive.save(tmp_path / "in", name="run", data_format=how)


def refused(load):
    """Give the sentence with which loading is refused."""
    with pytest.raises((ArchiveError, OSError)) as caught:
        load()
    sentence = str(caught.value)
    assert 10 < len(sentence) < 2000
    assert str(SECRET) not in sentence
    return sentence


class Runs:
    """Leaves the marker when unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


# Arrays that hold pickles


def pickled(marker):
    data = np.empty(500, object)
    data[:] = [Runs(marker)] * 500
    return data


@pytest.mark.parametrize("mmap", [None, True, False])
@pytest.mark.parametrize("many", [False, True])
def test_a_pickle_in_an_npy_file_is_not_loaded(tmp_path, marker, many, mmap):
    folder = saved(tmp_path, many=many)
    for path in (folder / "_arrays").glob("*.npy"):
        np.save(path, pickled(marker), allow_pickle=True)
    refused(lambda: Archive.load(folder, mmap=mmap))
    for path in (folder / "_arrays").glob("*.npy"):
        path.write_bytes(pickle.dumps(Runs(marker)))
    refused(lambda: Archive.load(folder, mmap=mmap))


def test_a_pickle_in_an_npz_file_is_not_loaded(tmp_path, marker):
    folder = saved(tmp_path, "npz")
    np.savez(folder / "_arrays.npz", array_0=pickled(marker))
    refused(lambda: Archive.load(folder))
    (folder / "_arrays.npz").write_bytes(pickle.dumps(Runs(marker)))
    refused(lambda: Archive.load(folder))


def header(text):
    """An ``.npy`` file whose header is this text."""
    text = text.encode("latin-1").ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(4000)


HEADERS = {
    "objects": "{'descr': '|O', 'fortran_order': False, 'shape': (500,), }",
    "objects in fields": "{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (500,), }",
    "more than the file": "{'descr': '<i8', 'fortran_order': False, 'shape': (5000,), }",
    "far more": "{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999,), }",
    "overflow": "{'descr': '<i8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 4294967296), }",
    "negative": "{'descr': '<i8', 'fortran_order': False, 'shape': (-500,), }",
    "shape of text": "{'descr': '<i8', 'fortran_order': False, 'shape': ('500',), }",
    "order of text": "{'descr': '<i8', 'fortran_order': 'x', 'shape': (500,), }",
    "no dtype": "{'descr': 'zwei', 'fortran_order': False, 'shape': (500,), }",
    "wide dtype": "{'descr': '<U2000000000', 'fortran_order': False, 'shape': (500,), }",
    "code": "{'descr': __import__('os').system('touch marker'), 'fortran_order': False, 'shape': (500,), }",
    "more keys": "{'descr': '<i8', 'fortran_order': False, 'shape': (500,), 'more': 1}",
    "fewer keys": "{'descr': '<i8'}",
    "no dictionary": "[1, 2, 3]",
    "brackets": "[" * 50 + "]" * 50,
    "nothing": "",
}  # fmt: skip


@pytest.mark.parametrize("mmap", [None, True])
@pytest.mark.parametrize("text", HEADERS.values(), ids=HEADERS)
def test_a_hostile_header_is_refused(tmp_path, marker, text, mmap, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path)
    (folder / "_arrays" / "array_0.npy").write_bytes(header(text))
    refused(lambda: Archive.load(folder, mmap=mmap))


def test_a_header_of_four_gigabytes_is_not_read(tmp_path):
    folder = saved(tmp_path)
    path = folder / "_arrays" / "array_0.npy"
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", 0xFFFFFFF0) + b"{" * 1000)
    refused(lambda: Archive.load(folder))


@pytest.mark.parametrize("how", ["npy", "packed", "npz", "hdf5"])
@pytest.mark.parametrize("left", [0, 1, 7, 100, 0.5, 0.9, -1])
def test_a_truncated_data_file_is_told(tmp_path, how, left):
    if how == "hdf5":
        pytest.importorskip("h5py")
    folder = saved(tmp_path, "npy" if how == "packed" else how, many=how == "packed")
    (path,) = [path for path in folder.rglob("*") if path.suffix in {".npy", ".npz", ".hd5"}]
    size = path.stat().st_size
    os.truncate(path, size + left if left < 0 else left if isinstance(left, int) else int(size * left))
    refused(lambda: Archive.load(folder))


@pytest.mark.parametrize("how", ["npy", "npz", "hdf5"])
def test_a_missing_data_file_is_told(tmp_path, how):
    if how == "hdf5":
        pytest.importorskip("h5py")
    folder = saved(tmp_path, how)
    for path in list(folder.rglob("*")):
        if path.suffix in {".npy", ".npz", ".hd5"}:
            path.unlink()
    refused(lambda: Archive.load(folder))


# What the source says of data files

TABLES = {
    "outside": ("'where': '_arrays'", "'where': '../../private'"),
    "absolute": ("'where': '_arrays'", "'where': {private!r}"),
    "outside, by name": ("['array_0']", "['../../../private/array_0']"),
    "absolute, by name": ("['array_0']", "[{private!r} + '/array_0']"),
    "absolute name": ("['array_0']", "[{private_array!r}]"),
    "NUL": ("['array_0']", "['array_0\\0']"),
    "a device": ("'where': '_arrays'", "'where': '/dev'"),
    "a home folder": ("'where': '_arrays'", "'where': '~'"),
    "no text": ("'where': '_arrays'", "'where': 5"),
    "bytes": ("'where': '_arrays'", "'where': b'_arrays'"),
    "a URL": ("'where': '_arrays'", "'where': 'http://127.0.0.1:9/'"),
    "many names": ("['array_0']", "['array_0'] * 10**11"),
    "no format": ("'format': 'npy'", "'format': 'pickle'"),
    "raw objects": ("'raw': {}", "'raw': {'array_0': ('|O', (500,), 'C')}"),
    "raw objects in fields": ("'raw': {}", "'raw': {'array_0': ({'names': ['a'], 'formats': ['|O']}, (500,), 'C')}"),
    "raw, too large": ("'raw': {}", "'raw': {'array_0': ('<i8', (99999999999,), 'C')}"),
    "raw, overflow": ("'raw': {}", "'raw': {'array_0': ('<i8', (4294967296, 4294967296, 4), 'C')}"),
    "raw, negative": ("'raw': {}", "'raw': {'array_0': ('<i8', (-500,), 'C')}"),
    "code": ("'raw': {}", "'raw': __import__('os').system('touch marker')"),
}  # fmt: skip
PACKED = {
    "offset beyond": lambda run: (*run[:3], 10**9, run[4]),
    "offset far beyond": lambda run: (*run[:3], 10**30, run[4]),
    "negative offset": lambda run: (*run[:3], -8, run[4]),
    "count beyond": lambda run: (*run[:4], 10**9),
    "count overflow": lambda run: (*run[:4], 2**61),
    "negative count": lambda run: (*run[:4], -3),
    "shape beyond": lambda run: (run[0], (10**12,), *run[2:]),
    "shape overflow": lambda run: (run[0], (2**32, 2**32, 2**32), *run[2:]),
    "negative shape": lambda run: (run[0], (-1,), *run[2:]),
    "many dimensions": lambda run: (run[0], (1,) * 100, *run[2:]),
    "objects": lambda run: ("|O", *run[1:]),
    "objects in fields": lambda run: ([("a", "|O")], *run[1:]),
    "no dtype": lambda run: ("zwei", *run[1:]),
    "wide dtype": lambda run: ("<U2000000000", *run[1:]),
    "offset of text": lambda run: (*run[:3], "0", run[4]),
    "too few": lambda run: run[:3],
    "nothing in many": lambda run: (run[0], (0,), run[2], 0, 10**10),
}  # fmt: skip


@pytest.mark.parametrize("change", TABLES.values(), ids=TABLES)
def test_the_source_cannot_point_elsewhere(tmp_path, marker, secret, change, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = saved(tmp_path)
    source = (folder / "__init__.py").read_text("utf-8")
    old, new = change
    assert old in source
    new = new.replace("{private!r}", repr(str(secret))).replace("{private_array!r}", repr(str(secret / "array_0")))
    (folder / "__init__.py").write_text(source.replace(old, new), "utf-8")
    refused(lambda: Archive.load(folder))


@pytest.mark.parametrize("change", PACKED.values(), ids=PACKED)
def test_packed_arrays_stay_within_their_file(tmp_path, change):
    folder = saved(tmp_path, many=True)
    source = (folder / "__init__.py").read_text("utf-8")
    before, rest = source.split("'packed': ", 1)
    table, after = rest.split(", 'raw':", 1)
    runs = eval(table)
    runs[1] = change(runs[1])
    (folder / "__init__.py").write_text(f"{before}'packed': {runs!r}, 'raw':{after}", "utf-8")
    refused(lambda: Archive.load(folder))


def test_the_loader_in_the_source_cannot_be_changed(tmp_path, marker):
    """It is compared, not run: a change in any line of it is refused, or without effect."""
    folder = saved(tmp_path)
    source = (folder / "__init__.py").read_text("utf-8")
    lines = source.split("\n")
    first, last = (
        lines.index("def _load(layout):"),
        next(n for n, line in enumerate(lines) if "= _load(_layout)" in line),
    )
    for number in range(first + 1, last + 1):
        indent = lines[number][: len(lines[number]) - len(lines[number].lstrip())]
        changed = [*lines[:number], f"{indent}open({str(marker)!r}, 'w').close()", *lines[number:]]
        (folder / "__init__.py").write_text("\n".join(changed), "utf-8")
        refused(lambda: Archive.load(folder))
    (folder / "__init__.py").write_text(source.replace("allow_pickle=False", "allow_pickle=True"), "utf-8")
    refused(lambda: Archive.load(folder))


# Links, pipes, devices


@pytest.mark.parametrize("what", ["file", "folder", "packed", "npz", "source", "package"])
def test_links_are_not_followed_outside(tmp_path, secret, what):
    folder = saved(tmp_path, "npz" if what == "npz" else "npy", many=what == "packed")
    path, target = {
        "file": (folder / "_arrays" / "array_0.npy", secret / "array_0.npy"),
        "packed": (folder / "_arrays" / "packed.npy", secret / "packed.npy"),
        "folder": (folder / "_arrays", secret),
        "npz": (folder / "_arrays.npz", secret / "secret.npz"),
        "source": (folder / "__init__.py", secret / "x.py"),
        "package": (folder / "_arrays" / "array_0.npy", "/proc/self/environ"),
    }[what]
    (secret / "x.py").write_text(f"x = {SECRET}\n")
    path.rename(path.with_name("moved"))
    path.symlink_to(target)
    refused(lambda: Archive.load(folder))


def test_a_link_to_the_whole_archive_is_the_users_own(tmp_path):
    """Who names a link asks for what it points to."""
    folder = saved(tmp_path)
    (tmp_path / "link").symlink_to(folder)
    assert (Archive.load(tmp_path / "link")["x"] == np.arange(500)).all()


def test_saving_over_a_hard_link_leaves_the_other_name_alone(tmp_path):
    archive = Archive()
    archive.insert(x=1)
    path = archive.save(tmp_path, name="run", package=False)
    os.link(path, tmp_path / "other.py")
    before = (tmp_path / "other.py").read_bytes()
    archive = Archive()
    archive.insert(x=2)
    archive.save(tmp_path, name="run", package=False, force=True)
    assert (tmp_path / "other.py").read_bytes() == before
    ds = DataSet(tmp_path / "scan", "w")
    ds.x = 1
    os.link(tmp_path / "scan" / "x.py", tmp_path / "another.py")
    before = (tmp_path / "another.py").read_bytes()
    ds.x = 2
    assert (tmp_path / "another.py").read_bytes() == before


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "socket"])
@pytest.mark.parametrize("which", ["data", "packed", "npz", "hdf5", "source"])
def test_what_is_no_file_is_refused_and_does_not_hang(tmp_path, what, which):
    if which == "hdf5":
        pytest.importorskip("h5py")
    folder = saved(tmp_path, which if which in {"npz", "hdf5"} else "npy", many=which == "packed")
    path = {
        "data": folder / "_arrays" / "array_0.npy",
        "packed": folder / "_arrays" / "packed.npy",
        "npz": folder / "_arrays.npz",
        "hdf5": folder / "_arrays.hd5",
        "source": folder / "__init__.py",
    }[which]
    path.unlink()
    if what == "pipe":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    elif what == "socket":
        os.mknod(path, 0o600 | stat.S_IFSOCK)
    else:
        try:
            os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("only root makes devices")
    refused(lambda: Archive.load(folder))


# npz and HDF5


def npz(folder, members):
    with zipfile.ZipFile(folder / "_arrays.npz", "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members:
            file.writestr(name, data)


def npy(array):
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def test_odd_members_of_an_npz_file_are_refused(tmp_path, secret, recwarn):
    folder = saved(tmp_path, "npz")
    for members in (
        [],
        [("other.npy", npy(np.arange(500)))],
        [("array_0", b"text")],
        [("array_0.npy", b"text")],
        [("../array_0.npy", npy(np.arange(500)))],
        [("/array_0.npy", npy(np.arange(500)))],
        [("array_0.npy", npy(np.arange(500))[:-100])],
        [("array_0.npy", header("{'descr': '<i8', 'fortran_order': False, 'shape': (99999999999,), }"))],
        [("array_0.npy", header("{'descr': '|O', 'fortran_order': False, 'shape': (500,), }"))],
    ):
        npz(folder, members)
        refused(lambda: Archive.load(folder))


def test_a_compressed_bomb_is_not_inflated(tmp_path):
    """4 GB of zeros in 4 MB."""
    folder = saved(tmp_path, "npz")
    with (
        zipfile.ZipFile(folder / "_arrays.npz", "w", zipfile.ZIP_DEFLATED) as file,
        file.open("array_0.npy", "w", force_zip64=True) as member,
    ):
        member.write(header("{'descr': '<i8', 'fortran_order': False, 'shape': (536870912,), }")[:128])
        for _ in range(256):
            member.write(bytes(1 << 20))  # a 16th of what the header says
    refused(lambda: Archive.load(folder))


def h5(folder, fill):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "_arrays.hd5", "w") as file:
        fill(h5py, file)


HDF5 = {
    "external link": lambda h5py, file, outside: file.__setitem__("array_0", h5py.ExternalLink(outside, "array_0")),
    "soft link": lambda h5py, file, outside: (file.__setitem__("a", np.full(500, SECRET)), file.__setitem__("array_0", h5py.SoftLink("/a"))),
    "soft link to nothing": lambda h5py, file, outside: file.__setitem__("array_0", h5py.SoftLink("/a")),
    "loop": lambda h5py, file, outside: file.__setitem__("array_0", h5py.SoftLink("/array_0")),
    "virtual": lambda h5py, file, outside: _virtual(h5py, file, outside),
    "external storage": lambda h5py, file, outside: file.create_dataset("array_0", (500,), "<i8", external=[(outside, 0, 4000)]),
    "group": lambda h5py, file, outside: file.create_group("array_0"),
    "type": lambda h5py, file, outside: file.__setitem__("array_0", np.dtype("<i8")),
    "objects": lambda h5py, file, outside: file.create_dataset("array_0", data=["a"] * 500, dtype=h5py.string_dtype()),
    "references": lambda h5py, file, outside: file.create_dataset("array_0", (500,), h5py.ref_dtype),
    "too large": lambda h5py, file, outside: file.create_dataset("array_0", (10**12,), "<i8", chunks=(1000,)),
    "overflow": lambda h5py, file, outside: file.create_dataset("array_0", (2**32, 2**31), "<i8", chunks=(10, 10)),
    "nothing": lambda h5py, file, outside: None,
    "empty": lambda h5py, file, outside: file.create_dataset("array_0", data=h5py.Empty("<i8")),
    "name in a link": lambda h5py, file, outside: file.create_group("b").__setitem__("array_0", h5py.ExternalLink(outside, "array_0")),
}  # fmt: skip


def _virtual(h5py, file, outside):
    layout = h5py.VirtualLayout((500,), "<i8")
    layout[:] = h5py.VirtualSource(outside, "array_0", (500,))
    file.create_virtual_dataset("array_0", layout)


@pytest.mark.parametrize("fill", HDF5.values(), ids=HDF5)
def test_hdf5_files_stay_within_themselves(tmp_path, secret, fill):
    h5py = pytest.importorskip("h5py")
    with h5py.File(secret / "secret.h5", "w") as file:
        file["array_0"] = np.full(500, SECRET)
    folder = saved(tmp_path, "hdf5")
    h5(folder, lambda h5py, file: fill(h5py, file, str(secret / "secret.h5")))
    refused(lambda: Archive.load(folder))


# Replaced between the check and the use


def swapping(acts, seconds=1.0):
    """Do the acts in turn in a thread while the caller goes on."""
    stop = threading.Event()

    def work():
        while not stop.is_set():
            for act in acts:
                act()

    thread = threading.Thread(target=work)
    thread.start()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            yield
    finally:
        stop.set()
        thread.join()


def test_a_source_that_is_swapped_while_it_is_read_runs_nothing(tmp_path, marker):
    folder = tmp_path / "run"
    folder.mkdir()
    good, bad, path = tmp_path / "good.py", tmp_path / "bad.py", folder / "__init__.py"

    def put(text):
        def act():
            good.write_text(text)
            os.replace(good, path)

        return act

    acts = [put("x = 1\n"), put(f"x = open({str(marker)!r}, 'w')\n")]
    acts[0]()
    seen = set()
    for _ in swapping(acts):
        try:
            seen.add(Archive.load(folder)["x"])
        except (ArchiveError, OSError):
            seen.add("refused")
        assert not marker.exists()
    assert seen <= {1, "refused"}
    assert not bad.exists()


def test_a_data_file_that_becomes_a_link_while_it_is_read_shows_nothing(tmp_path, secret):
    folder = saved(tmp_path)
    path, kept = folder / "_arrays" / "array_0.npy", tmp_path / "kept.npy"
    kept.write_bytes(path.read_bytes())

    def link():
        (tmp_path / "l").symlink_to(secret / "array_0.npy")
        os.replace(tmp_path / "l", path)

    def file():
        (tmp_path / "f").write_bytes(kept.read_bytes())
        os.replace(tmp_path / "f", path)

    seen = set()
    for _ in swapping([link, file]):
        try:
            found = Archive.load(folder)["x"]
            assert SECRET not in found
            seen.add(int(found.sum()))
        except (ArchiveError, OSError):
            seen.add("refused")
    assert "refused" in seen


# Data sets


@pytest.fixture
def scan(tmp_path):
    DataSet(tmp_path / "in" / "scan", "w")._insert(x=np.arange(500), y=1, info="n")
    return tmp_path / "in" / "scan"


LISTS = {
    "path as name": "../../private/x = 1  # item\n",
    "absolute name": "/etc/passwd = 1  # item\n",
    "private name": "__init__ = 1  # item\n",
    "dotted name": "x.y = 1  # item\n",
    "code": "open({marker!r}, 'w').close()\n",
    "import": "import os; os.system('touch {marker}')\n",
    "no UTF-8": b"x = '\xff'\n",
    "two statements": "x\n",
    "delete more": "delete x\n",
}  # fmt: skip


@pytest.mark.parametrize("lines", LISTS.values(), ids=LISTS)
def test_the_list_of_items_is_no_code(scan, marker, lines):
    with open(scan / "_notes.py", "ab") as file:
        file.write(lines if isinstance(lines, bytes) else lines.format(marker=str(marker)).encode())
    refused(lambda: DataSet(scan))


NOTES = {
    "call": "open({marker!r}, 'w')",
    "import": "__import__('os').system('touch {marker}')",
    "source": "_note(\"note = open({marker!r}, 'w')\")",
    "call in _note": "_note(open({marker!r}, 'w'))",
    "source, nested": "_note('_note(\"1\")')",
    "no source": "_note(5)",
    "two": "_note('note = 1'), _note('note = 2')",
    "brackets": "[" * 5000 + "]" * 5000,
    "unary": "-" * 50_000 + "1",
    "power": "9**9**9",
    "multiplication": "'a' * 10**11",
    "f-string": "f'{{open({marker!r}, 'w')}}'",
    "nothing": "",
    "statement": "1; open({marker!r}, 'w')",
    "unhashable": "{{[]: 1}}",
}  # fmt: skip


@pytest.mark.parametrize("note", NOTES.values(), ids=NOTES)
def test_notes_are_no_code(scan, marker, note):
    with open(scan / "_notes.py", "a", encoding="utf-8") as file:
        file.write(f"z = {note.format(marker=str(marker))}\n")
    ds = DataSet(scan)
    assert ds["y"] == "n"
    refused(lambda: ds["z"])


@pytest.mark.parametrize("what", ["list", "item", "data", "list as pipe", "item as pipe", "list as folder"])
def test_links_and_pipes_in_a_data_set_lead_nowhere(scan, tmp_path, secret, what):
    (secret / "_notes.py").write_text("# reprokit/dataset/1 generation 0\nprivate = 5  # item\n")
    (secret / "x.py").write_text(f"x = {SECRET}\n")
    path = scan / ("_notes.py" if "list" in what else "x.py" if "item" in what else "x_data")
    path.rename(tmp_path / "moved")
    if "pipe" in what:
        os.mkfifo(path)
    elif "folder" in what:
        path.mkdir()
    else:
        path.symlink_to(secret / path.name if what != "data" else secret)
    refused(lambda: DataSet(scan).x)


def test_an_item_that_names_something_else_is_told(scan):
    (scan / "y.py").write_text("z = 1\n")
    refused(lambda: DataSet(scan).y)
    (scan / "y.py").unlink()
    refused(lambda: DataSet(scan).y)


def test_reading_a_data_set_runs_nothing(scan, marker):
    text = f"open({str(marker)!r}, 'w').close()\n"
    for name in ("__init__.py", "y.py", "numpy.py", "conftest.py"):
        (scan / name).write_text(text)
    ds = DataSet(scan)
    assert (ds.x == np.arange(500)).all()
    assert ds._info_dict == {"x": "n", "y": "n"}
    refused(lambda: ds.y)


def test_saving_through_a_link_does_not_write_outside(tmp_path):
    """What a module's data, temporary files and locks are called may be there already, as a link to elsewhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "run_arrays").symlink_to(outside)
    (tmp_path / "in" / "run.py").symlink_to(outside / "run.py")
    archive = Archive(array_threshold=100)
    archive.insert(x=np.arange(500))
    archive.save(tmp_path / "in", name="run", package=False, force=True)
    assert os.listdir(outside) == []
    assert (Archive.load(tmp_path / "in" / "run.py")["x"] == np.arange(500)).all()
    ds = DataSet(tmp_path / "in" / "scan", "w")
    for name in ("x.py", "x_data", "x_data.npz"):
        (tmp_path / "in" / "scan" / name).symlink_to(outside / name)
    ds.x = np.arange(500)
    assert (ds.x == np.arange(500)).all()
    assert os.listdir(outside) == []
