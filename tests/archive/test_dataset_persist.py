"""Data sets and archives that persist 3.2.1 wrote: read as they are, and continued in our own format.

``persist-3.2.1.zip`` holds them, one for each way of writing that persist has.
"""

import math
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest

from reprokit.archive import Archive, DataSet

np = pytest.importorskip("numpy")

KINDS = [f"{scope}_{how}" for scope in ("scoped", "flat") for how in ("npy", "npz", "hdf5")]
ITEMS = {"nxs", "x_0", "x_1", "nest", "shared", "named", "only"}


@pytest.fixture
def written(tmp_path):
    with zipfile.ZipFile(Path(__file__).with_name("persist-3.2.1.zip")) as file:
        file.extractall(tmp_path)
    return tmp_path


@pytest.fixture(params=KINDS)
def kind(request):
    if request.param.endswith("hdf5"):
        pytest.importorskip("h5py")
    return request.param


def check_set(ds):
    assert set(ds) >= ITEMS
    assert ds["nxs"] == "Particle numbers"
    assert ds["x_0"] == (10, 1.2)
    assert (ds["x_1"]["a"] == np.arange(3)).all()
    assert ds["named"] == "inf"
    assert (ds["nest"], ds["only"], ds.only) == (None, "a note", None)
    assert ds.nxs == [10, 20]
    assert (ds.x_0 == np.arange(10) * 1.5).all()
    assert (ds.x_1 == np.arange(1000) * 1.5).all()
    assert (ds.named, ds.nest["b"], ds.nest["c"]) == (3.0, [1, 2, (3, 4)], 1 + 2j)
    assert (ds.nest["d"] == np.ones((20, 20))).all()
    assert math.isnan(ds.nest["e"])
    assert ds.nest["f"] == -math.inf
    assert ds.shared == [[1], [1]]
    first, second = ds.shared
    assert first is second


@pytest.mark.parametrize("trust", [False, True])
def test_a_data_set_is_read(written, kind, trust):
    before = {path: path.read_bytes() for path in written.rglob("*") if path.is_file()}
    check_set(DataSet(f"set_{kind}", path=written, trust=trust))
    assert {path: path.read_bytes() for path in written.rglob("*") if path.is_file()} == before


def test_a_data_set_is_continued(written, kind):
    ds = DataSet(f"set_{kind}", "w", path=written)
    check_set(ds)
    assert ds._insert(np.arange(500), info="new") == ["x_2"]
    ds.x_0 = np.arange(10) * 1.5
    for seen in (ds, DataSet(f"set_{kind}", path=written)):
        check_set(seen)
        assert seen["x_2"] == "new"
        assert set(seen) == ITEMS | {"x_2"}
    code = f"import sys; sys.path.insert(0, {str(written)!r}); import set_{kind} as scan; from set_{kind} import x_1, x_2; print(scan.x_2.sum(), scan.x_1.sum(), len(scan._info_dict))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["124750", "749250.0", "8"], done.stderr


@pytest.mark.parametrize("trust", [False, True])
@pytest.mark.parametrize("package", ["package", "module"])
def test_an_archive_is_read(written, kind, package, trust):
    path = written / f"{package}_{kind}{'' if package == 'package' else '.py'}"
    found = Archive.load(path, trust=trust, allow=["numpy.sin"])
    assert (found["x"], found["f"], found["c"], found["s"], found["t"], found["o"]) == (
        3,
        1.5,
        1 + 2j,
        {1, 2},
        (),
        None,
    )
    assert found["y"][0] is found["y"][1]
    assert found["d"]["a"] is found["y"][0]
    assert (found["big"] == np.arange(1000)).all()
    assert (found["small"] == np.arange(5)).all()
    assert (found["text"], found["b"]) == ("a\nb'\"\\", b"\x00\xff")
    assert found["function"] is np.sin
    assert found["cls"] is OrderedDict
    assert math.isnan(found["n"])
