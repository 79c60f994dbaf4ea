"""Arrays: .npy, .npz, HDF5, Parquet."""

from __future__ import annotations

import math
import warnings
import zipfile

import h5py
import netCDF4
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from reprokit import embed
from reprokit.reproduce.compare import Tolerance, files
from reprokit.reproduce.compare import npy as of_npy
from reprokit.reproduce.compare.blocks import blocks
from tests.reproduce.compared import npy, outcomes, write

pd = pytest.importorskip("pandas")

TAG = embed.Tag("1a2b3c4", "9f" * 32)
ANY = hnp.scalar_dtypes().filter(lambda d: d.kind != "O") | hnp.array_dtypes(max_size=3)


def save(tmp_path, a, b):
    return write(tmp_path / "a.npy", npy(a)), write(tmp_path / "b.npy", npy(b))


@settings(max_examples=60, deadline=None)
@given(array=ANY.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0))))
def test_an_array_is_identical_to_itself_in_other_bytes(tmp_path_factory, array):
    folder = tmp_path_factory.mktemp("same")
    swapped = array.astype(array.dtype.newbyteorder("S"))
    a, b = save(folder, array, swapped)
    found = outcomes(a, b)
    assert (found.kind, found.outcome) == ("npy", "identical")
    assert found.said == ("" if a.read_bytes() == b.read_bytes() else "same values, other bytes")


@settings(max_examples=60, deadline=None)
@given(
    array=hnp.arrays(
        np.float64, st.integers(1, 200), elements=st.floats(-1e100, 1e100).filter(lambda x: abs(x) > 1e-100)
    ),
    place=st.integers(0, 199),
    rtol=st.sampled_from([1e-12, 1e-6, 1e-3]),
    factor=st.sampled_from([0.5, 2.0]),
)
def test_a_change_below_the_tolerance_is_within_and_one_above_differs(tmp_path_factory, array, place, rtol, factor):
    folder = tmp_path_factory.mktemp("near")
    place %= array.size
    other = array.copy()
    other[place] *= 1 + rtol * factor
    a, b = save(folder, array, other)
    found = outcomes(a, b, Tolerance(rtol=rtol))
    assert found.outcome == ("within tolerance" if factor < 1 else "differs")
    assert found.details["count"] == 1
    assert found.details["place"] == f"[{place}]"
    assert found.details["max_rel"] == pytest.approx(rtol * factor, rel=0.05, abs=1e-15)
    assert outcomes(a, b).outcome == "differs"
    assert outcomes(a, b, Tolerance(atol=abs(other[place] - array[place]) * (1 + 1e-9))).outcome == "within tolerance"


@settings(max_examples=80, deadline=None)
@given(data=st.data(), rtol=st.sampled_from([0.0, 1e-3, 0.5]), atol=st.sampled_from([0.0, 1.0]))
def test_counts_are_those_of_the_rule_applied_number_by_number(tmp_path_factory, data, rtol, atol):
    dtype = data.draw(st.sampled_from(["f4", "f8", "i1", "i8", "u8", "c16", "f2"]))
    elements = None
    if dtype in ("f4", "f8", "f2"):
        elements = st.sampled_from([0.0, -0.0, 1.0, 1.0005, 2.0, -3.0, math.nan, math.inf, -math.inf])
    shape = data.draw(st.integers(1, 12))
    a, b = (data.draw(hnp.arrays(dtype, shape, elements=elements)) for _ in range(2))
    expected = differing = nans = 0
    for x, y in zip(a.tolist(), b.tolist(), strict=True):
        if x == y or (x != x and y != y):
            continue
        differing += 1
        nans += (x != x) != (y != y)
        try:
            near = abs(x - y) <= max(rtol * max(abs(x), abs(y)), atol) and math.isfinite(abs(x - y))
        except OverflowError:
            near = False
        expected += not near
    found = outcomes(*save(tmp_path_factory.mktemp("rule"), a, b), Tolerance(rtol=rtol, atol=atol))
    if dtype != "c16":  # NumPy's size of complex numbers overflows earlier than Python's
        assert found.details.get("beyond", 0) == expected
        assert found.details.get("nans", 0) == nans
    assert found.details.get("count", 0) == differing
    assert (found.outcome == "identical") == (differing == 0)


def test_the_larger_of_two_numbers_is_the_measure(tmp_path):
    """As `math.isclose` has it, so that old and new may change places."""
    a, b = save(tmp_path, np.array([1.0]), np.array([2.0]))
    assert outcomes(a, b, Tolerance(rtol=0.5)).outcome == "within tolerance"
    assert outcomes(a, b, Tolerance(rtol=0.49)).outcome == "differs"


def test_nan_is_nan_at_the_same_place_and_a_difference_against_a_number(tmp_path):
    a = np.array([1.0, np.nan, 3.0, np.nan])
    assert outcomes(*save(tmp_path, a, np.array([1.0, np.nan, 3.0, np.nan]))).outcome == "identical"
    found = outcomes(*save(tmp_path, a, np.array([1.0, 2.0, 3.0, np.nan])), Tolerance(rtol=1, atol=1e9))
    assert (found.outcome, found.details["nans"]) == ("differs", 1)
    assert found.said == "1 of 4 values differs at [1]; 1 NaN against numbers"


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (np.arange(3), np.arange(3.0), "dtype int64 -> float64"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "shape (2, 3) -> (3, 2)"),
        (np.zeros((2, 3), "f4"), np.zeros(6), "dtype float32 -> float64, shape (2, 3) -> (6,)"),
        (np.array([2**63 - 1, 0]), np.array([-(2**63), 0]), "1 of 2 values differs, by up to 1.84e+19 (rel 2) at [0]"),
        (np.array(["a", "b"]), np.array(["a", "c"]), "1 of 2 values differs at [1]"),
        (
            np.array([[1, 2], [3, 4]]),
            np.array([[1, 2], [3, 5]]),
            "1 of 4 values differs, by up to 1 (rel 0.2) at [1, 1]",
        ),
        (np.array(["2026-01-01"], "M8[D]"), np.array(["NaT"], "M8[D]"), "1 of 1 value differs at [0]"),
        (
            np.array([(1, 2.0), (3, 4.0)], [("n", "i4"), ("x", "f8")]),
            np.array([(1, 2.0), (3, 4.5)], [("n", "i4"), ("x", "f8")]),
            "1 of 4 values differs, by up to 0.5 (rel 0.1) at [1]; first in field x",
        ),
    ],
)
def test_what_is_said_of_arrays(tmp_path, a, b, said):
    found = outcomes(*save(tmp_path, a, b))
    assert (found.outcome, found.said) == ("differs", said)


def test_rows_against_columns_are_compared_by_value(tmp_path):
    a = np.arange(600.0).reshape(20, 30)
    same = outcomes(*save(tmp_path, a, np.asfortranarray(a)))
    assert (same.outcome, same.said) == ("identical", "same values, other bytes")
    other = np.asfortranarray(a.copy())
    other[7, 11] += 1
    assert outcomes(*save(tmp_path, a, other)).details["place"] == "[7, 11]"


def test_places_in_columns_are_named_right(tmp_path):
    a = np.asfortranarray(np.arange(24.0).reshape(2, 3, 4))
    b = a.copy(order="F")
    b[1, 0, 3] = 99
    assert outcomes(*save(tmp_path, a, b)).details["place"] == "[1, 0, 3]"


def test_large_arrays_are_compared_on_several_cores_with_the_same_result(tmp_path, monkeypatch):
    a = np.random.default_rng(1).standard_normal(700_001)
    b = a.copy()
    b[[5, 350_000, 700_000]] += [1e-9, 2.0, np.nan]
    paths = save(tmp_path, a, b)
    alone = outcomes(*paths)
    monkeypatch.setattr(of_npy, "_PARALLEL", 0)
    assert outcomes(*paths) == alone
    assert alone.details["count"] == 3
    assert alone.details["place"] == "[350000]"


def test_the_end_of_a_large_file_counts(tmp_path, monkeypatch):
    """Large arrays skip the look at their bytes; identical ones are told so all the same."""
    from reprokit.reproduce.compare import registry

    monkeypatch.setattr(registry, "_STREAMED", 0)
    a = np.arange(1000.0)
    assert outcomes(*save(tmp_path, a, a)).said == ""
    b = a.copy()
    b[-1] = -1
    assert outcomes(*save(tmp_path, a, b)).outcome == "differs"


def npz(path, compressed=False, **arrays):
    (np.savez_compressed if compressed else np.savez)(path, **arrays)
    return path


def test_npz_members_are_compared_by_name_packed_or_not(tmp_path):
    x, y = np.arange(10.0), np.eye(3)
    a, b = npz(tmp_path / "a.npz", x=x, y=y), npz(tmp_path / "b.npz", compressed=True, y=y, x=x)
    found = outcomes(a, b)
    assert (found.kind, found.outcome, found.said) == ("npz", "identical", "same arrays, other bytes")
    embed.write(b, TAG)
    assert outcomes(a, b).outcome == "identical"
    near = npz(tmp_path / "near.npz", x=x, y=y * (1 + 1e-9))
    assert outcomes(a, near, Tolerance(rtol=1e-6)).outcome == "within tolerance"
    found = outcomes(a, near)
    assert found.said == "y: 3 of 9 values differ, by up to 1e-09 (rel 1e-09) at [0, 0]"
    ignoring = outcomes(a, near, Tolerance(ignore=("y",)))
    assert (ignoring.outcome, ignoring.said) == ("within tolerance", "not compared: y")
    fewer = npz(tmp_path / "fewer.npz", x=x)
    assert files("o", a, fewer, Tolerance()).said == "y: missing"
    assert files("o", fewer, a, Tolerance()).said == "y: extra"
    turned = npz(tmp_path / "turned.npz", x=x, y=np.asfortranarray(np.array(y)))
    assert outcomes(a, turned).outcome == "identical"


def test_a_member_of_objects_is_not_read(tmp_path):
    a, b = (npz(tmp_path / name, x=np.array([value], object)) for name, value in (("a.npz", "u"), ("b.npz", "v")))
    assert "object arrays are not read" in outcomes(a, b).said


def hdf5(path, **options):
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "run"
        file.attrs["scale"] = options.get("scale", 2.0)
        group = file.create_group("g")
        x = np.arange(10_000.0).reshape(100, 100)
        x[3, 4] += options.get("shift", 0.0)
        group.create_dataset("x", data=x, **options.get("layout", {}))
        group["names"] = options.get("names", ["a", "b"])
        group["self"] = group  # a group that is its own member
    return path


def test_hdf5_is_compared_by_what_its_objects_hold(tmp_path):
    a = hdf5(tmp_path / "a.h5")
    b = hdf5(tmp_path / "b.h5", layout={"chunks": (30, 7), "compression": "gzip", "shuffle": True})
    embed.write(b, TAG)
    found = outcomes(a, b)
    assert (found.kind, found.outcome, found.said) == ("hdf5", "identical", "same objects, other bytes")
    moved = hdf5(tmp_path / "moved.h5", shift=1.0, layout={"chunks": (30, 7)})
    found = outcomes(a, moved)
    assert found.said == "g/x: 1 of 10,000 values differs, by up to 1 (rel 0.003) at [3, 4]"
    assert outcomes(a, moved, Tolerance(atol=1)).outcome == "within tolerance"
    assert outcomes(a, hdf5(tmp_path / "s.h5", scale=3.0)).said.startswith("@scale: 1 of 1 value differs")
    assert outcomes(a, hdf5(tmp_path / "n.h5", names=["a", "c"])).said == "g/names: 1 of 2 values differs at [1]"
    ignoring = outcomes(a, hdf5(tmp_path / "i.h5", scale=3.0), Tolerance(ignore=("@scale",)))
    assert ignoring.outcome == "within tolerance"


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 9), min_size=0, max_size=4),
    chunks=st.lists(st.integers(1, 5), min_size=4, max_size=4),
    budget=st.integers(1, 2000),
)
def test_blocks_cover_an_array_once(shape, chunks, budget):
    seen = np.zeros(shape, int)
    for block in blocks(tuple(shape), 8, budget, tuple(chunks[: len(shape)])):
        seen[block] += 1
    assert (seen == 1).all()


def test_hdf5_links_lead_nowhere(tmp_path):
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = [1]
    for name, inside in (("a.h5", "x"), ("b.h5", "y")):
        with h5py.File(tmp_path / name, "w") as file:
            file["link"] = h5py.ExternalLink("secret.h5", inside)
            file["soft"] = h5py.SoftLink("/link")
            file["void"] = h5py.SoftLink("/nowhere")
    found = outcomes(tmp_path / "a.h5", tmp_path / "b.h5")
    assert found.said == (
        "link: a link to x in secret.h5, which is not followed -> a link to y in secret.h5, which is not followed"
    )
    layout = h5py.VirtualLayout((1,), "i8")
    layout[:] = h5py.VirtualSource(str(secret), "x", (1,))
    for name in ("v.h5", "w.h5"):
        with h5py.File(tmp_path / name, "w") as file:
            file.create_virtual_dataset("v", layout)
            file["z"] = name
    assert "keeps its data in other files" in outcomes(tmp_path / "v.h5", tmp_path / "w.h5").said


def test_netcdf_dimensions_and_library_versions_are_no_difference(tmp_path):
    paths = tmp_path / "a.nc", tmp_path / "b.nc"
    for path, zlib in zip(paths, (False, True), strict=True):
        with netCDF4.Dataset(path, "w") as file:
            file.createDimension("t", 4)
            file.createVariable("t", "f8", ("t",))[:] = range(4)
            file.createVariable("x", "f4", ("t",), zlib=zlib)[:] = range(4)
    assert outcomes(*paths).outcome == "identical"


def test_parquet_is_compared_by_columns(tmp_path):
    table = pd.DataFrame(
        {"n": [1, 2, 3], "x": [1.0, np.nan, 3.0], "s": ["a", None, "c"], "c": pd.Categorical(list("uvu"))}
    )
    a, b = tmp_path / "a.parquet", tmp_path / "b.parquet"
    table.to_parquet(a)
    table.to_parquet(b, compression="gzip", row_group_size=2)
    embed.write(b, TAG)
    found = outcomes(a, b)
    assert (found.kind, found.outcome, found.said) == ("parquet", "identical", "same columns, other bytes")
    table.assign(x=[1.0, np.nan, 3.0 + 1e-9]).to_parquet(b)
    assert outcomes(a, b, Tolerance(rtol=1e-6)).outcome == "within tolerance"
    assert outcomes(a, b).said == "x: 1 of 3 values differs, by up to 1e-09 (rel 3e-10) at row 2"
    table.assign(s=["a", "b", "c"]).to_parquet(b)
    assert outcomes(a, b).said == 's: row 1: null -> "b"'
    table.assign(x=[1.0, 2.0, 3.0]).to_parquet(b)
    assert outcomes(a, b, Tolerance(rtol=1)).said == "x: row 1: null -> 2"
    table.astype({"n": "float64"}).to_parquet(b)
    assert outcomes(a, b).said == "n: type int64 -> double"
    table[:2].to_parquet(b)
    assert outcomes(a, b).said == "3 -> 2 rows"
    table.rename(columns={"s": "t"}).to_parquet(b)
    assert files("o", a, b, Tolerance()).said == "column 's' is missing, column 't' is new"


def test_lists_and_records_in_parquet_are_compared_by_value(tmp_path):
    def table(path, last, codec):
        rows = [{"p": [1.0, float("nan")], "q": "a"}, {"p": [last], "q": "b"}]
        pq.write_table(pa.table({"r": rows}), path, compression=codec)
        return path

    a = table(tmp_path / "a", 2.0, "none")
    assert outcomes(a, table(tmp_path / "b", 2.0, "gzip")).outcome == "identical"
    other = table(tmp_path / "c", 2.0 + 1e-9, "gzip")
    assert outcomes(a, other).said == "r: row 1: p.0 2.0 -> 2.000000001 (rel 5e-10)"
    assert outcomes(a, other, Tolerance(rtol=1e-6)).outcome == "within tolerance"


def test_parquet_row_groups_of_other_sizes_are_aligned(tmp_path):
    n = 200_000
    x = np.arange(n)
    y = x.copy()
    y[123_456] += 1
    for name, data, size in (("a", x, 70_000), ("b", y, 33_333)):
        pq.write_table(pa.table({"x": data}), tmp_path / name, row_group_size=size)
    assert (
        outcomes(tmp_path / "a", tmp_path / "b").said
        == "x: 1 of 200,000 values differs, by up to 1 (rel 8e-06) at row 123456"
    )


def test_a_zip_archive_that_unpacks_to_too_much_is_not_read(tmp_path, monkeypatch):
    from reprokit.reproduce.compare import npz as of_npz

    monkeypatch.setattr(of_npz, "_FREE", 1000)
    a, b = (npz(tmp_path / f"{n}.npz", compressed=True, x=np.full(2_000_000, n)) for n in (1, 2))
    assert "would unpack to 16,000,128 bytes" in outcomes(a, b).said
    with zipfile.ZipFile(a, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile's own, of the second name
        archive.writestr("x.npy", npy(np.arange(2)))
        archive.writestr("x.npy", npy(np.arange(3)))
    assert "two members" in outcomes(a, npz(tmp_path / "c.npz", x=np.arange(2))).said
