"""Digests of tables, sparse matrices and labelled arrays."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import pytest

from reprokit.capture.values import UnknownValueError, tell

np = pytest.importorskip("numpy")


def digest(value: object) -> str:
    return tell(value).digest


def different(*values: object) -> bool:
    """Tell whether no two of the values share a digest."""
    return len({digest(value) for value in values}) == len(values)


def frames(pd):
    s = pd.Series
    zone = pd.date_range("2026", periods=2, tz="Europe/Paris")
    named = s([1, 2])
    named.attrs["unit"] = "m"
    return [
        s([1, 2]), s([1, 2], name="x"), s([1, 2], dtype="int32"), s([1, 2], dtype="Int64"), s([1, None], dtype="Int64"), s([1.0, 2.0]), s([1, 2], index=[1, 2]), s([1, 2], index=[1.0, 2.0]),
        s([1, 2], index=["a", "b"]), s(["1", "2"]), s(["1", "2"], dtype=object), s([1, 2], dtype=object), s(["1", None]), s(["1", "2"], dtype="string[python]"),
        s(["1", "2"], dtype="category"), s(["1", "2"], dtype=pd.CategoricalDtype(["2", "1"])), s(["1", "2"], dtype=pd.CategoricalDtype(["1", "2"], ordered=True)),
        s([True, False]), s([True, None], dtype="boolean"), s([True, False], dtype="boolean"), s([0.0, 1.0], dtype="Sparse[float]"), s([0.0, 1.0]), s(zone), s(zone.tz_localize(None)),
        s(zone.tz_convert("UTC")), s(zone.tz_localize(None).astype("M8[s]")), s(pd.to_timedelta([1, 2], "s")), s(pd.period_range("2026", periods=2, freq="M")),
        s(pd.period_range("2026-01", periods=2, freq="D")), s(pd.interval_range(0, 2)), s(pd.interval_range(0, 2, closed="left")), named, s([1, 2]).set_flags(allows_duplicate_labels=False),
        pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"b": [1, 2]}), pd.DataFrame({"a": [1, 2], "b": [3, 4]}), pd.DataFrame({"b": [3, 4], "a": [1, 2]}), pd.DataFrame({"a": [1], "b": [2]}),
        pd.DataFrame({"a": [1, 2]}, index=[0, 2]), pd.DataFrame([[1, 2]]), pd.DataFrame([[1, 2]], columns=["0", "1"]), pd.DataFrame(), pd.DataFrame(index=[0]), pd.DataFrame(columns=["a"]),
        pd.DataFrame([[1, 2]], columns=pd.Index(["a", "b"], name="c")), pd.DataFrame([[1, 2]], columns=["a", "a"]),
        pd.Index([1, 2]), pd.Index([1, 2], name="x"), pd.RangeIndex(1, 3), pd.Index(["a", "b"]), zone, zone._with_freq(None), pd.MultiIndex.from_tuples([(1, "a"), (2, "b")]),
        pd.MultiIndex.from_tuples([(1, "a"), (2, "b")], names=["x", "y"]), pd.Timestamp("2026"), pd.Timestamp("2026", tz="UTC"), pd.Timestamp("2026").as_unit("s"), pd.Timedelta(1),
        pd.NaT, pd.NA, pd.Period("2026"), pd.Interval(0, 1), pd.array([1, 2]), pd.Categorical(["a"]), pd.offsets.Day(1), pd.Int64Dtype(), pd.DataFrame({"a": [[1]]}), pd.DataFrame({"a": [[2]]}),
    ]  # fmt: skip


def test_frames_differ_by_names_order_types_and_index():
    """streamlit #6236, #7086, pandas #46705: names, order and types of columns were no part of the key."""
    pd = pytest.importorskip("pandas")
    assert different(*frames(pd))


def test_how_a_frame_is_kept_in_blocks_does_not_count():
    pd = pytest.importorskip("pandas")
    whole = pd.DataFrame(np.arange(12.0).reshape(4, 3), columns=list("abc"))
    grown = pd.DataFrame({"a": whole["a"].to_numpy().copy()})
    for name in "bc":
        grown[name] = whole[name].to_numpy().copy()
    assert (
        digest(whole)
        == digest(grown)
        == digest(whole.copy())
        == digest(pd.concat([whole, whole], ignore_index=True)[:4])
        == digest(whole[list("cba")][list("abc")])
    )
    for value in frames(pd):
        assert (
            digest(value) == digest(value) == digest(copy.deepcopy(value)) == digest(pickle.loads(pickle.dumps(value)))
        ), value


def test_looking_at_a_frame_changes_nothing():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=pd.Index(["p", "q"], name="i"))
    before = digest(frame)
    assert frame.loc["q", "a"] == 2
    assert frame.index.is_unique
    assert str(frame)
    assert frame.T is not None
    assert digest(frame) == before
    frame.loc["q", "a"] = 3
    assert digest(frame) != before


def test_what_lies_under_a_missing_value_does_not_count():
    pd = pytest.importorskip("pandas")
    first, second = pd.array([1, 2, 3]), pd.array([1, 5, 3])
    first[1] = second[1] = pd.NA
    second._data[1] = 99
    assert digest(first) == digest(second)


def test_a_change_in_any_row_of_a_large_frame_is_seen():
    """streamlit #14622: 55,000 rows were sampled."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": np.zeros(55_000), "b": ["x"] * 55_000})
    before = digest(frame)
    frame.loc[31_234, "b"] = "y"
    assert digest(frame) != before


def test_arrow_backed_columns():
    pd, pa = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    whole = pd.Series([1, None, 3], dtype="int64[pyarrow]")
    assert digest(whole) == digest(pd.concat([whole[:1], whole[1:]]).set_axis(whole.index))
    nested = pd.Series([["a"], None], dtype=pd.ArrowDtype(pa.list_(pa.string())))
    text = pd.Series(["a", None], dtype="string[pyarrow]")
    assert different(whole, nested, text, text.astype("string[python]"), whole.astype("Int64"))


def test_the_file_of_a_frame_is_refused_with_its_place():
    pd = pytest.importorskip("pandas")
    with pytest.raises(UnknownValueError) as caught:
        tell({"x": pd.DataFrame({"a": [1], "b": [iter([])]})})
    assert caught.value.args[0].startswith("['x'][:, 1]")


def test_arrow_tables_however_they_are_cut():
    pa = pytest.importorskip("pyarrow")
    columns = {
        "i": pa.array([1, None, 3, 4]), "s": pa.array(["a", None, "", "dd"]), "b": pa.array([True, None, False, True]), "l": pa.array([[1], None, [], [2]]), "f": pa.array([1.0, 2.0, None, 4.0]),
        "t": pa.array([1, 2, 3, None], pa.timestamp("ns", "UTC")), "L": pa.array(["a", None, "", "dd"], pa.large_string()), "d": pa.array(["x", "y", "x", None]).dictionary_encode(),
        "st": pa.array([{"a": 1}, None, {"a": 2}, {"a": None}]), "n": pa.nulls(4), "y": pa.array([b"a", None, b"", b"dd"]), "h": pa.array([1, 2, None, 4], pa.float16()), "dt": pa.array([1, 2, None, 4], pa.date32()),
    }  # fmt: skip
    table = pa.table(columns)
    cut = pa.concat_tables([table.slice(0, 1), table.slice(1, 2), table.slice(3)])
    assert cut.column(0).num_chunks == 3
    assert digest(table) == digest(cut) == digest(pa.concat_tables([pa.table(columns), table]).slice(4))
    for name, column in columns.items():
        for place in range(4):
            values = column.to_pylist() if name != "t" else column.cast("int64").to_pylist()
            if name in "nh":
                continue
            values[place] = None if values[place] is not None else values[0]
            changed = pa.array(values, column.type) if name != "d" else pa.array(values).dictionary_encode()
            assert digest(changed) != digest(column), (name, place)
    assert different(
        table, table.to_batches()[0], table.drop(["i"]), table.rename_columns([*table.column_names[:-1], "z"]), table.replace_schema_metadata({"a": "b"}), pa.array(["ab", "c"]), pa.array(["a", "bc"]),
        pa.array([1]), pa.array([1], "int32"), pa.chunked_array([[1]]), pa.array([None, 1]), pa.array([0, 1]), pa.scalar(1), pa.scalar(1, "int32"), pa.array([], "int32"), pa.array([], "int64"),
        pa.int32(), pa.int64(), pa.schema([("a", "int32")]), pa.schema([("b", "int32")]), pa.struct([("a", "int32")]), pa.array([[1], [2]]), pa.array([[1, 2], []]),
    )  # fmt: skip
    hidden = pa.Array.from_buffers(pa.int64(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([1, 99]))])
    assert digest(hidden) == digest(pa.array([1, None]))


def test_polars_frames_however_they_are_cut():
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(
        {
            "a": [1, None, 3],
            "b": ["x", None, ""],
            "c": [True, False, None],
            "d": [[1], None, []],
            "e": [1.5, 2.5, None],
            "f": [{"q": 1}, None, {"q": 2}],
        }
    )
    cut = pl.concat([frame[:1], frame[1:]], rechunk=False)
    assert cut.n_chunks() > 1
    assert digest(frame) == digest(cut) == digest(frame.clone()) == digest(pickle.loads(pickle.dumps(frame)))
    s = pl.Series
    times = s([1, 2]).cast(pl.Datetime("ns"))
    assert different(
        frame, frame.rename({"a": "z"}), frame.select("b", "a", "c", "d", "e", "f"), frame[:2], s([1]), s([1], dtype=pl.Int32), s("x", [1]), s([1.0]), s(["1"]), s([None]), s([None], dtype=pl.Int64),
        s([True]), s(["a"], dtype=pl.Categorical), s(["a"], dtype=pl.Enum(["a"])), s(["a"], dtype=pl.Enum(["a", "b"])), s(["ab", ""]), s(["a", "b"]), times, times.cast(pl.Datetime("us")), times.dt.replace_time_zone("UTC"),
        s([1]).cast(pl.Date), s([1]).cast(pl.Time), s([1]).cast(pl.Duration("ms")), pl.DataFrame(), pl.DataFrame({"a": []}), s([[1], [2]]), s([[1, 2], []]), s([b"a"]), s([0, None]), s([None, 0]), s([-0.0]), s([0.0]),
    )  # fmt: skip
    for value in (frame.lazy(), pl.col("a"), s([times])):
        with pytest.raises(UnknownValueError):
            tell(value)


def test_polars_without_numpy():
    pytest.importorskip("polars")
    program = "import polars as pl, sys\n{}\nfrom reprokit.capture.values import tell\nprint(tell(pl.DataFrame({{'a': [1, None], 'b': [1.5, 2.5], 'c': [True, None]}})).digest)"
    told = {
        subprocess.run([sys.executable, "-c", program.format(line)], capture_output=True, check=True).stdout
        for line in ("", "import numpy")
    }
    assert len(told) == 1


def test_sparse_matrices_count_as_they_are_stored():
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[0, 1.0], [2.0, 0]])
    formats = ["csr", "csc", "coo", "bsr", "dia", "dok", "lil"]
    assert different(
        *(sparse.csr_matrix(dense).asformat(name) for name in formats),
        *(sparse.csr_matrix(dense * 3).asformat(name) for name in formats),
        sparse.csr_array(dense),
        dense,
    )
    for name in formats:
        value = sparse.csr_matrix(dense).asformat(name)
        before = digest(value)
        assert digest(value.copy()) == before
        assert value.sum() == 3
        assert (value @ dense).shape == (2, 2)
        assert digest(value) == before
    value = sparse.csr_matrix(dense)
    assert value.has_sorted_indices  # remembered in the matrix
    assert digest(value) == digest(sparse.csr_matrix(dense))


def test_labelled_arrays(tmp_path):
    xr = pytest.importorskip("xarray")
    data = xr.DataArray([[1, 2], [3, 4]], dims=["x", "y"], coords={"x": [1, 2]}, name="a", attrs={"u": 1})
    other = data.copy()
    other.attrs["u"] = 2
    whole = xr.Dataset({"a": data})
    assert digest(data) == digest(data.copy()) == digest(pickle.loads(pickle.dumps(data)))
    assert digest(whole) == digest(whole.copy(deep=True)) != digest(whole.assign_attrs(v=1))
    assert different(
        data, other, data.rename("b"), data.rename(x="z"), data.drop_vars("x"), data.assign_coords(x=[1, 3]), data + 1, data.T, data.variable, whole, whole.rename(a="b"), data.astype(float), data.to_numpy(),
        data.assign_coords(x=["a", "b"]), data.assign_coords(t=("x", np.array([1, 2], "M8[ns]"))), data.expand_dims("k"),
    )  # fmt: skip
    before = digest(data)
    assert data.sel(x=2) is not None
    assert str(data)
    assert digest(data) == before
    pytest.importorskip("netCDF4")
    whole.to_netcdf(tmp_path / "a.nc")
    with xr.open_dataset(tmp_path / "a.nc") as opened:
        with pytest.raises(UnknownValueError, match="not loaded"):
            tell(opened)
        assert digest(opened.load()) == digest(opened)


def test_lazy_collections_are_not_computed():
    da = pytest.importorskip("dask.array")

    def fail(block):
        raise AssertionError("was computed")

    lazy = da.ones(4, chunks=2).map_blocks(fail, dtype=float, meta=np.ones(0))
    try:
        told = tell(lazy)
    except UnknownValueError:
        return
    assert told == tell(lazy)
    assert digest(da.ones(4, chunks=2)) != digest(da.zeros(4, chunks=2))


LOADED = """
import sys
from reprokit.capture.values import tell
import dataclasses, datetime, enum, pathlib
class A: pass
a = A(); a.x = [1, {2: datetime.datetime(2026, 1, 1)}, pathlib.Path("a"), {3}, A]
tell(a)
print(sorted({name.partition(".")[0] for name in sys.modules} & {"numpy", "pandas", "torch", "scipy", "polars", "pyarrow", "xarray", "PIL"}))
"""


def test_no_library_is_imported_for_the_occasion():
    done = subprocess.run(
        [sys.executable, "-c", LOADED], env=dict(os.environ), capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == "[]"


def test_a_configuration_of_omegaconf_counts_by_what_reading_it_gives(monkeypatch):
    """Hydra's remember when they started, and each part of one holds on to the whole."""
    conf = pytest.importorskip("omegaconf").OmegaConf
    monkeypatch.setenv("RATE", "1")

    def made(rate=0.1, seed=1, more=3):
        return conf.create({"model": {"rate": rate, "seed": "${seed}", "from": "${oc.env:RATE}"}, "seed": seed, "l": [1, {"a": more}, None, "???"]})  # fmt: skip

    one, other = made(), made()
    other._metadata.resolver_cache["now"]["%H"] = "12"
    assert digest(one) == digest(other) == digest(copy.deepcopy(one))
    assert tell(one).mutable
    assert digest(made().model) == digest(made(more=4).model)
    assert different(one, made(rate=0.2), made(seed=2), made(more=4), one.model, one.l, conf.to_container(one))
    assert different(one.model, made(seed=2).model)
    before = digest(one)
    monkeypatch.setenv("RATE", "2")
    assert digest(one) != before
    closed = made()
    conf.set_struct(closed, True)
    assert different(one, closed)
    with pytest.raises(UnknownValueError):
        tell(conf.create({"a": "${nowhere}"}))
