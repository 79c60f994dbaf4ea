"""npz, HDF5 and NetCDF, Parquet: arrays, tables, attributes and layout stay as they were."""

from __future__ import annotations

import io
import subprocess
import sys
import time
import zipfile

import h5py
import numpy as np
import pytest

from reprokit import embed
from reprokit.embed import npz as npz_format
from reprokit.errors import EmbedError, MissingExtraError
from tests.embed.specimens import HASH, OTHER, TAG, hdf5

TEXT = f"commit=1a2b3c4 config={HASH}"


# --- npz -----------------------------------------------------------------------------------------------------------


def test_npz_keeps_its_arrays_and_their_names(samples, put):
    path = put(samples["npz"])
    embed.write(path, TAG)
    with np.load(path) as data:
        assert data.files == ["a", "b"]
        assert (data["a"] == np.arange(12).reshape(3, 4)).all()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.comment == b"reprokit " + TEXT.encode()
    assert path.read_bytes()[: len(samples["npz"]) - 2] == samples["npz"][:-2]


def test_npz_written_to_a_pipe_compressed_or_with_one_member(put):
    """Streamed archives have data descriptors and zip64 fields."""
    for make in (np.savez_compressed, np.savez):
        out = io.BytesIO()
        out.seekable = lambda: False
        make(out, np.arange(1000))
        path = put(out.getvalue())
        assert embed.write(path, TAG)
        with np.load(path) as data:
            assert (data["arr_0"] == np.arange(1000)).all()


def test_npz_with_a_comment_keeps_it(samples, put):
    path = put(samples["npz"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"from the lab"
    embed.write(path, OTHER)
    embed.write(path, TAG)
    with zipfile.ZipFile(path) as archive:
        assert archive.comment == b"from the lab\nreprokit " + TEXT.encode()
    assert embed.read(path) == TAG


def test_npz_whose_comment_is_full_is_refused(samples, put):
    path = put(samples["npz"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"c" * 65_500
    before = path.read_bytes()
    with pytest.raises(EmbedError, match="no room"):
        embed.write(path, TAG)
    assert path.read_bytes() == before


def test_other_archives_that_begin_with_an_array_are_left_alone(put):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.npy", b"x")
        archive.writestr("model.bin", b"x")
    path = put(out.getvalue())
    assert embed.write(path, TAG) is False
    assert path.read_bytes() == out.getvalue()


def test_large_npz_is_tagged_in_place_as_a_small_one_is(tmp_path):
    """Nothing of the data is written anew, and the bytes are those that copying gives."""
    path, linked = tmp_path / "large.npz", tmp_path / "linked.npz"
    for name in (path, linked):
        np.savez(name, x=np.zeros(npz_format.LARGE // 8 + 1))
    (tmp_path / "second-name").hardlink_to(linked)
    inode = path.stat().st_ino
    for tag in (OTHER, TAG):  # the second is shorter
        assert embed.write(path, tag)
        embed.write(linked, tag)
    assert path.stat().st_ino == inode
    assert embed.read(path) == TAG
    with np.load(path) as data:
        assert data["x"].shape == (npz_format.LARGE // 8 + 1,)
    assert subprocess.run(["cmp", path, linked]).returncode == 0
    assert embed.read(tmp_path / "second-name") is None


def test_large_npz_on_a_full_disk_is_as_it_was(tmp_path):
    path = tmp_path / "large.npz"
    np.savez(path, x=np.zeros(npz_format.LARGE // 8 + 1))
    size = path.stat().st_size
    end = path.read_bytes()[-200:]
    code = (
        "import resource, signal, sys\nfrom reprokit import embed\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nembed.write\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size + 50}, {size + 50}))\n"
        "try:\n embed.write(sys.argv[1], embed.Tag('1a2b3c4', sys.argv[2]))\nexcept OSError: print('refused')"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path), HASH], capture_output=True, text=True, check=True)
    assert done.stdout == "refused\n"
    assert path.stat().st_size == size
    assert path.read_bytes()[-200:] == end


# --- HDF5 and NetCDF -----------------------------------------------------------------------------------------------


def tree(path):
    found = {}
    with h5py.File(path) as file:
        found["/"] = dict(file.attrs)

        def visit(name, item):
            found[name] = (dict(item.attrs), item[()].tolist() if isinstance(item, h5py.Dataset) else None)

        file.visititems(visit)
    return found


FORMS = {
    "earliest": {},
    "latest": {"libver": "latest"},
    "v108": {"libver": ("v108", "v108")},
    "matlab": {"userblock_size": 512},
    "large userblock": {"userblock_size": 4096, "libver": "latest"},
    "ordered": {"track_order": True},
    "paged": {"fs_strategy": "page", "fs_persist": True},
}


@pytest.mark.parametrize("form", FORMS)
def test_hdf5_of_every_form_keeps_data_and_attributes(form, put):
    path, plain = put(hdf5(**FORMS[form])), put(hdf5(**FORMS[form]), "plain")
    assert embed.write(path, TAG)
    assert embed.read(path) == TAG
    before, after = tree(plain), tree(path)
    assert after["/"].pop("reprokit").decode() == TEXT
    assert after == before
    once = path.read_bytes()
    embed.write(path, TAG)
    assert path.read_bytes() == once
    embed.write(plain, OTHER)
    embed.write(plain, TAG)
    assert (plain.read_bytes() == once) is (form != "paged")  # such files remember in which order space became free


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("count", [7, 8, 9, 60, 1500])
def test_hdf5_with_many_attributes(libver, count, tmp_path):
    """Beyond eight, newer files keep them in a heap of their own."""
    path = tmp_path / "many.h5"
    with h5py.File(path, "w", libver=libver) as file:
        for number in range(count):
            file.attrs[f"a{number}"] = "v" * (number % 40)
    for tag in (OTHER, TAG):
        assert embed.write(path, tag)
        assert embed.read(path) == tag
    with h5py.File(path) as file:
        assert len(file.attrs) == count + 1
        assert file.attrs["a6"] == "vvvvvv"


def test_hdf5_attribute_that_another_program_wrote_is_replaced(samples, put):
    path = put(samples["hdf5"])
    with h5py.File(path, "r+") as file:
        file.attrs["reprokit"] = [1, 2, 3]
    assert embed.read(path) is None
    embed.write(path, TAG)
    assert embed.read(path) == TAG


def test_an_attribute_of_another_group_is_not_taken_for_the_files_own(samples, put):
    path = put(samples["hdf5"])
    with h5py.File(path, "r+") as file:
        file["g"].attrs["reprokit"] = np.bytes_(TEXT)
    assert embed.read(path) is None


def test_hdf5_is_reproducible_across_seconds(put):
    """No time goes in: not even with object headers that could hold one."""
    one, two = put(hdf5(libver="latest"), "one"), put(hdf5(libver="latest"), "two")
    embed.write(one, TAG)
    time.sleep(1.1)
    embed.write(two, TAG)
    assert one.read_bytes() == two.read_bytes()


def test_hdf5_open_for_writing_is_refused_and_open_for_reading_is_not(samples, put):
    path = put(samples["hdf5"])
    with h5py.File(path, "r+"):
        with pytest.raises(EmbedError, match="open for writing elsewhere"):
            embed.write(path, TAG)
    assert path.read_bytes() == samples["hdf5"]
    with h5py.File(path, "r") as file:
        assert embed.write(path, TAG)
        assert file["g/x"][1, 1] == 4


def test_netcdf4_gets_a_global_attribute_and_netcdf3_is_left_alone(tmp_path):
    netCDF4 = pytest.importorskip("netCDF4")
    for form, taken in (("NETCDF4", True), ("NETCDF4_CLASSIC", True), ("NETCDF3_CLASSIC", False)):
        path = tmp_path / f"{form}.nc"
        with netCDF4.Dataset(path, "w", format=form) as data:
            data.title = "ours"
            data.createDimension("x", 3)
            data.createVariable("v", "f8", ("x",))[:] = [1, 2, 3]
        before = path.read_bytes()
        assert embed.write(path, TAG) is taken
        assert taken or path.read_bytes() == before
        with netCDF4.Dataset(path) as data:
            assert data.ncattrs() == (["title", "reprokit"] if taken else ["title"])
            assert not taken or data.reprokit.rstrip("\0") == TEXT
            assert data["v"][:].tolist() == [1, 2, 3]
        assert embed.read(path) == (TAG if taken else None)


def test_without_h5py_the_remedy_is_named(samples, put, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    path = put(samples["hdf5"])
    with pytest.raises(MissingExtraError, match=r"reprokit\[embed\]"):
        embed.write(path, TAG)
    assert path.read_bytes() == samples["hdf5"]


# --- Parquet -------------------------------------------------------------------------------------------------------


def test_parquet_keeps_its_table_and_its_row_groups(samples, put):
    pq = pytest.importorskip("pyarrow.parquet")
    path, plain = put(samples["parquet"]), put(samples["parquet"], "plain")
    embed.write(path, TAG)
    before, after = pq.ParquetFile(plain), pq.ParquetFile(path)
    assert after.read().equals(before.read())
    assert after.metadata.metadata == {**before.metadata.metadata, b"reprokit": TEXT.encode()}
    assert after.metadata.metadata[b"note"] == b"mine"
    for group in range(2):
        assert after.metadata.row_group(group).to_dict() == before.metadata.row_group(group).to_dict()
    assert (after.metadata.created_by, after.metadata.num_rows) == (before.metadata.created_by, 3)
    footer = len(samples["parquet"]) - 8 - int.from_bytes(samples["parquet"][-8:-4], "little")
    assert path.read_bytes()[:footer] == samples["parquet"][:footer]


@pytest.mark.parametrize("count", [0, 13, 14, 15, 200])
@pytest.mark.parametrize("schema", [True, False])
def test_parquet_with_few_and_many_entries(count, schema, put):
    """Lists of fifteen entries are written in another form, and a file may have none."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"x": [1.5]}).replace_schema_metadata({f"k{i}": "v" for i in range(count)})
    out = io.BytesIO()
    pq.write_table(table, out, store_schema=schema)
    path = put(out.getvalue())
    for tag in (OTHER, TAG):
        assert embed.write(path, tag)
    found = pq.read_metadata(path).metadata
    assert found.pop(b"reprokit").decode() == TEXT
    assert found == (pq.read_metadata(io.BytesIO(out.getvalue())).metadata or {})
    assert pq.read_table(path).equals(table)


def test_parquet_of_pandas_keeps_frame_index_and_attrs(tmp_path):
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"a": [1, 2], "b": pd.Categorical(["x", "y"])}, index=pd.Index(["p", "q"], name="site"))
    frame.attrs["unit"] = "m"
    frame.to_parquet(tmp_path / "one")
    frame.to_parquet(tmp_path / "two", compression="zstd", use_content_defined_chunking=False)
    for name in ("one", "two"):
        embed.write(tmp_path / name, TAG)
        back = pd.read_parquet(tmp_path / name)
        pd.testing.assert_frame_equal(back, frame)
        assert back.attrs == frame.attrs


def test_parquet_with_page_index_and_bloom_filters_nested_and_wide(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {f"c{i}": [[{"a": i, "b": [True, None]}], None] for i in range(60)}
    pq.write_table(pa.table(columns), tmp_path / "w", write_page_index=True, write_statistics=True, row_group_size=1)
    embed.write(tmp_path / "w", TAG)
    assert pq.read_table(tmp_path / "w").to_pydict() == columns


def test_parquet_with_an_encrypted_or_signed_footer_is_left_alone(tmp_path):
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Kms(encryption.KmsClient):
        def __init__(self, config):
            super().__init__()

        def wrap_key(self, key, master):
            return key.hex()

        def unwrap_key(self, key, master):
            return bytes.fromhex(key)

    for plain in (True, False):
        factory = encryption.CryptoFactory(Kms)
        how = encryption.EncryptionConfiguration(footer_key="f", column_keys={"k": ["x"]}, plaintext_footer=plain)
        properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
        path = tmp_path / f"{plain}.parquet"
        with pq.ParquetWriter(path, pa.schema({"x": pa.int64()}), encryption_properties=properties) as writer:
            writer.write_table(pa.table({"x": [1, 2]}))
        before = path.read_bytes()
        assert before.startswith(b"PAR1" if plain else b"PARE")
        assert embed.write(path, TAG) is False
        assert path.read_bytes() == before
