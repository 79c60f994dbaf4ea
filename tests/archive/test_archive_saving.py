"""Saved archives: layout, importing without reprokit, replacing, backups, bytes."""

import hashlib
import importlib.util
import os
import pathlib
import subprocess
import sys

import pytest

from reprokit.archive import Archive
from reprokit.errors import ArchiveError, MissingExtraError
from tests.archive import samples

np = pytest.importorskip("numpy")

FORMATS = ["npy", "npz", *(["hdf5"] if importlib.util.find_spec("h5py") else [])]


def filled(**options):
    archive = Archive(array_threshold=2, **options)
    m, n = np.arange(10.0), np.arange(12).reshape(3, 4)
    archive.insert(M=m, N=n, x=[m, n, {"a": (1, 2)}])
    return archive


def imported(folder, code, isolated="-I"):
    """Run code in an interpreter that knows no reprokit."""
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); sys.modules['reprokit'] = None; sys.dont_write_bytecode = True\n"
    done = subprocess.run([sys.executable, isolated, "-W", "error", "-c", start + code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("package", [True, False])
def test_a_saved_archive_is_imported_without_reprokit(tmp_path, data_format, package):
    path = filled().save(tmp_path / "new" / "deep", "run1", data_format=data_format, package=package)
    assert path == tmp_path / "new" / "deep" / ("run1" if package else "run1.py")
    code = "import run1\nprint(run1.M.sum(), run1.N.shape, run1.x[0] is run1.M, run1.x[1] is run1.N, sorted(n for n in vars(run1) if n[0] != '_'))"
    assert imported(path.parent, code) == "45.0 (3, 4) True True ['M', 'N', 'x']"
    assert imported(path.parent, "import run1; run1.M[0] = 5; print(run1.x[0][0])") == "5.0", "arrays can be written to"


def test_numpy_is_needed_for_arrays_only(tmp_path):
    archive = Archive()
    archive.insert(x={"a": [1, {2, 3}]}, y=1.5)
    archive.save(tmp_path, "plain")
    assert imported(tmp_path, "import plain; print(plain.x, 'numpy' in sys.modules)") == "{'a': [1, {2, 3}]} False"


@pytest.mark.parametrize("data_format", FORMATS)
def test_equal_objects_make_equal_bytes(tmp_path, data_format):
    def digest(folder):
        found = hashlib.sha256()
        for place, folders, files in sorted(os.walk(folder)):
            folders.sort()
            for name in sorted(files):
                found.update(name.encode() + pathlib.Path(place, name).read_bytes())
        return found.hexdigest()

    first = digest(filled().save(tmp_path / "a", "run", data_format=data_format))
    again = filled()
    str(again)
    assert digest(again.save(tmp_path / "b", "run", data_format=data_format)) == first
    assert digest(again.save(tmp_path / "b", "run", data_format=data_format, force=True)) == first


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("package", [True, False])
@pytest.mark.parametrize("backup_data", [True, False])
def test_replacing_keeps_backups_when_asked_to(tmp_path, data_format, package, backup_data):
    for number in range(3):
        archive = filled(backup_data=backup_data)
        archive.insert(number=number)
        path = archive.save(tmp_path, "it", data_format=data_format, package=package, force=True)
        assert Archive.load(path)["number"] == number
        assert Archive.load(path, trust=True)["x"][0].sum() == 45
    backups = sorted(name for _, _, files in os.walk(tmp_path) for name in files if name.endswith(".bak"))
    source = "__init__.py" if package else "it.py"
    assert (f"{source}.bak" in backups and f"{source}_1.bak" in backups) == backup_data
    assert bool([name for name in backups if "arr" in name]) == backup_data
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")], "nothing is left beside"


def test_what_else_lies_in_a_package_stays(tmp_path):
    path = filled().save(tmp_path, "it")
    (path / "sub").mkdir()
    (path / "sub" / "notes.txt").write_text("mine")
    (path / "more.py").write_text("y = 1\n")
    filled().save(tmp_path, "it", force=True, data_format="npz")
    assert (path / "sub" / "notes.txt").read_text() == "mine"
    assert (path / "more.py").exists()
    assert not (path / "_arrays").exists()
    assert (path / "_arrays.npz").exists()


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("package", [True, False])
def test_nothing_is_replaced_unasked(tmp_path, data_format, package):
    folder = tmp_path / "d"
    options = {"data_format": data_format, "package": package}
    path = filled().save(folder, "it", **options)
    with pytest.raises(ValueError, match=r"^File .*(it/__init__|it)\.py exists and force=False\.$"):
        filled().save(folder, "it", **options)
    (path / "__init__.py" if package else path).unlink()
    with pytest.raises(ValueError, match=r"^File .*it.*_arrays.* exists and force=False\.$"):
        filled().save(folder, "it", **options)
    (tmp_path / "file").write_text("noop")
    for force in (True, False):
        with pytest.raises(ValueError, match=r"^File dirname=.* exists and is not a directory\.$"):
            filled().save(tmp_path / "file", "it", force=force, **options)


def test_a_file_in_the_place_of_a_package(tmp_path):
    (tmp_path / "it").write_text("noop")
    with pytest.raises(ValueError, match=r"^File dirname/name=.* exists and is not a directory\.$"):
        filled().save(tmp_path, "it")
    path = filled().save(tmp_path, "it", force=True)
    assert path.is_dir()
    assert (tmp_path / "it.bak").read_text() == "noop"


@pytest.mark.parametrize("package", [True, False])
def test_an_archive_of_one_item_is_that_item(tmp_path, package):
    archive = Archive(single_item_mode=True)
    shared = [1]
    archive.insert(my_x=[shared, shared])
    path = archive.save(tmp_path, package=package)
    assert imported(tmp_path, "import my_x; print(my_x, my_x[0] is my_x[1])") == "[[1], [1]] True"
    for trust in (True, False):
        found = Archive.load(path, trust=trust)
        assert found == {"my_x": [[1], [1]]}
        assert found.my_x[0] is found["my_x"][1]


def test_names_and_formats_that_there_are_not(tmp_path):
    with pytest.raises(ValueError, match=r"^Must provide name unless single_item_mode=True$"):
        filled().save(tmp_path)
    for name in ("a/b", "..", "class", "a b", ""):
        with pytest.raises(ArchiveError):
            filled().save(tmp_path, name)
    with pytest.raises(NotImplementedError, match=r"Expected data_format in \['hdf5', 'npz', 'npy'\], got 'x'"):
        filled().save(tmp_path, "it", data_format="x")
    assert os.listdir(tmp_path) == []


def test_an_object_that_cannot_be_written_leaves_the_old_version(tmp_path):
    path = filled().save(tmp_path, "it")
    archive = filled()
    archive.insert(bad=samples.Opaque())
    with pytest.raises(ArchiveError, match="bad: "):
        archive.save(tmp_path, "it", force=True)
    assert Archive.load(path)["M"].sum() == 45


def test_hdf5_may_be_compressed(tmp_path):
    h5py = pytest.importorskip("h5py")
    archive = Archive(array_threshold=2)
    archive.insert(x=np.zeros((300, 300)), nothing=np.zeros((0, 5)), point=np.array(1.0))
    path = archive.save(
        tmp_path, "it", data_format="hdf5", hdf5={"compression": "gzip", "chunks": (100, 100), "shuffle": True}
    )
    with h5py.File(path / "_arrays.hd5") as file:
        assert file["array_0"].compression == "gzip"
        assert file["array_0"].chunks == (100, 100)
    assert Archive.load(path)["x"].shape == (300, 300)
    with pytest.raises(ArchiveError, match="unknown options"):
        archive.save(tmp_path, "it", data_format="hdf5", hdf5={"speed": 1}, force=True)


def test_hdf5_needs_h5py(tmp_path):
    code = (
        "import sys; sys.modules['h5py'] = None\nimport numpy as np\nfrom reprokit.archive import Archive\n"
        f"a = Archive(array_threshold=1); a.insert(x=np.zeros(5))\na.save({str(tmp_path)!r}, 'it', data_format='hdf5')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert MissingExtraError.__name__ in done.stderr
    assert "reprokit[arrays]" in done.stderr


def test_many_small_arrays_share_a_file(tmp_path):
    kinds = ["<f8", ">i4", "<M8[s]", "|b1", "<U3"]
    arrays = [np.zeros((2, 3), kinds[number // 20 % 5], order="CF"[number // 10 % 2]) for number in range(200)]
    for number, one in enumerate(arrays):
        one[0, 1] = one.dtype.type(str(number % 9)) if one.dtype.kind == "U" else number
    point = np.array(7.0)
    named = {f"k{number}": one for number, one in enumerate(arrays)}
    archive = Archive(array_threshold=0)
    archive.insert(
        listed=arrays, named=named, other=[point, *[np.full(4, i) for i in range(40)]], mixed={"a": arrays[3], 1: point}
    )
    path = archive.save(tmp_path, "it")
    assert sorted(os.listdir(path / "_arrays")) == ["packed.npy"]
    for trust in (True, False):
        found = Archive.load(path, trust=trust)
        assert found["listed"][5] is found["named"]["k5"]
        assert found["mixed"][1] is found["other"][0]
        for one, other in zip([*arrays, point], [*found["listed"], found["other"][0]], strict=True):
            assert samples.same(one, other)


def test_many_neighbours_are_one_slice(tmp_path):
    archive = Archive(array_threshold=10)
    arrays = [np.full(20, number) for number in range(100)]
    archive.insert(listed=arrays)
    path = archive.save(tmp_path, "it")
    assert "listed = [*_packed[0:100]]" in (path / "__init__.py").read_text()
    assert [one[0] for one in Archive.load(path)["listed"]] == list(range(100))


def test_large_arrays_are_mapped(tmp_path):
    archive = Archive(array_threshold=10)
    archive.insert(x=np.arange(1000), empty=np.zeros((0, 20)))
    path = archive.save(tmp_path, "it")
    for trust in (True, False):
        mapped = Archive.load(path, trust=trust, mmap=True)["x"]
        assert isinstance(mapped.base, np.memmap)
        assert type(mapped) is np.ndarray
        mapped[0] = 7
        read = Archive.load(path, trust=trust, mmap=False)["x"]
        assert read[0] == 0, "what is written to a mapped array stays in memory"
        assert not isinstance(read.base, np.memmap)


@pytest.mark.parametrize("told", [True, False], ids=["the source differs", "the source is the same"])
def test_an_archive_that_is_saved_anew_while_it_is_read_is_one_version(tmp_path, told):
    """A writer at full speed beside a reader."""
    code = (
        "import itertools, numpy as np\nfrom reprokit.archive import Archive\n"
        "for i in itertools.count():\n"
        "    a = Archive(array_threshold=1); a.insert(**{f'x{k}': np.full(50, i) for k in range(9)})\n"
        f"    {'a.insert(v=i)' if told else 'pass'}\n"
        f"    a.save({str(tmp_path)!r}, 'it', force=True)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code])
    try:
        while not (tmp_path / "it").exists():
            assert writer.poll() is None
        seen = set()
        while len(seen) < 60:
            for trust in (True, False):
                found = Archive.load(tmp_path / "it", trust=trust)
                versions = {int(one) for name, array in found.items() for one in np.unique(array)}
                assert len(versions) == 1
                seen |= versions
        assert writer.poll() is None
    finally:
        writer.kill()
        writer.wait()


def test_items_are_attributes_too(tmp_path):
    found = Archive.load(filled().save(tmp_path, "it"))
    assert found.M is found["M"]
    assert "N" in dir(found)
    with pytest.raises(AttributeError, match="holds no 'nothing'"):
        found.nothing
    with pytest.raises(ArchiveError, match="there is no archive"):
        Archive.load(tmp_path / "nowhere")
