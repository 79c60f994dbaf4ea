"""Damaged and hostile files: `read` answers, and `write` leaves alone what it doesn't understand."""

from __future__ import annotations

import io
import tempfile
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit import embed
from reprokit.embed import formats
from reprokit.embed.source import Source
from reprokit.errors import EmbedError
from tests.embed.specimens import FAMILIES, OTHER, TAG

every = pytest.mark.parametrize("family", FAMILIES)
MAGIC = {
    "png": b"\x89PNG\r\n\x1a\n",
    "jpeg": b"\xff\xd8\xff",
    "svg": b"<",
    "pdf": b"%PDF-1.7\n",
    "npz": b"PK\x03\x04",
    "hdf5": b"\x89HDF\r\n\x1a\n",
    "parquet": b"PAR1",
}
# In-process fuzzing of the C++ libraries behind these two would test those; they get a sample below.
PURE = [name for name in FAMILIES if name not in ("pdf", "hdf5")]


@pytest.fixture(scope="module")
def tagged(tmp_path_factory, samples):
    found = {}
    for name, data in samples.items():
        path = tmp_path_factory.mktemp("tagged") / "file"
        path.write_bytes(data)
        embed.write(path, TAG)
        found[name] = path.read_bytes()
    return found


def law(path, data):
    """A file is tagged and can be read back, or it is as it was."""
    path.write_bytes(data)
    embed.read(path)
    try:
        done = embed.write(path, OTHER)
    except EmbedError:
        done = False
    assert embed.read(path) == OTHER if done else path.read_bytes() == data
    assert [p.name for p in path.parent.iterdir()] == [path.name]


@every
def test_cut_anywhere_reading_gives_the_tag_or_nothing(family, tagged, tmp_path):
    data, path = tagged[family], tmp_path / "file"
    for cut in range(0, len(data), max(1, len(data) // 700)):
        path.write_bytes(data[:cut])
        assert embed.read(path) in (None, TAG)


@every
def test_with_any_bit_flipped_reading_gives_a_tag_or_nothing(family, tagged, tmp_path):
    data, path = tagged[family], tmp_path / "file"
    for at in range(0, len(data), max(1, len(data) // 700)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        found = embed.read(path)
        assert found is None or isinstance(found, embed.Tag)


@pytest.mark.parametrize("family", PURE)
def test_cut_anywhere_writing_tags_or_leaves_alone(family, samples, tmp_path):
    data = samples[family]
    for cut in range(0, len(data), max(1, len(data) // 150)):
        law(tmp_path / "file", data[:cut])


@pytest.mark.parametrize("family", ["pdf", "hdf5"])
def test_cut_writing_through_a_library_tags_or_leaves_alone(family, samples, tmp_path):
    data = samples[family]
    for cut in range(0, len(data), max(1, len(data) // 40)):
        law(tmp_path / "file", data[:cut])


@pytest.mark.parametrize("family", PURE)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_anywhere_writing_tags_or_leaves_alone(family, tagged, tmp_path, data):
    changed = bytearray(tagged[family])
    for at, mask in data.draw(st.lists(st.tuples(st.integers(0, len(changed) - 1), st.integers(1, 255)), max_size=4)):
        changed[at] ^= mask
    law(tmp_path / "file", bytes(changed))


@every
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(noise=st.binary(max_size=400))
def test_noise_behind_a_magic_number_is_left_alone_or_tagged(family, tmp_path, noise):
    law(tmp_path / "file", MAGIC[family] + noise)


@pytest.mark.parametrize(
    "data",
    [
        b"<!DOCTYPE svg [" + b"<!--" * 60_000,
        b"<!DOCTYPE svg [" + b'"' * 100_001,
        b"<!DOCTYPE svg " + b"'\"" * 100_000,
        b"<?" * 100_000,
        b"<!-- -->" * 30_000 + b"<svg/>",
        b"%PDF-1.5\n" + b"/ObjStm stream\n" * 20_000,
        b"%PDF-1.5\n" + b"/reprokit (commit=" * 60_000,
        b"\xff\xd8" + b"\xff" * 500_000,
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\x0dIHDR" + bytes(17) + b"\0\0\0\0tEXt\0\0\0\0" * 60_000,
        b"PAR1" + b"\x19\xfc\xff\xff\xff\xff\x0f" + b"\x1c" * 100_000 + (100_007).to_bytes(4, "little") + b"PAR1",
        b"PAR1" + b"\x19" * 100_000 + (100_000).to_bytes(4, "little") + b"PAR1",
    ],
    ids=[
        "comments",
        "quotes",
        "mixed",
        "instructions",
        "prolog",
        "streams",
        "entries",
        "fill",
        "chunks",
        "list",
        "deep",
    ],
)
def test_files_made_to_keep_a_reader_busy_end_soon(data, tmp_path):
    """The time limit of the test suite is what would notice one that doesn't."""
    law(tmp_path / "file", data)


def test_object_streams_that_unpack_to_gigabytes_are_not_unpacked(tmp_path):
    import zlib

    path = tmp_path / "file"
    bomb = zlib.compress(bytes(1 << 26))
    path.write_bytes(b"%PDF-1.5\n" + (b"1 0 obj << /Type /ObjStm >>\nstream\n" + bomb + b"\nendstream\n") * 20)
    tracemalloc.start()
    assert embed.read(path) is None
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@every
def test_a_file_of_ten_gigabytes_is_not_read_whole(family, tagged, tmp_path):
    """A sparse file whose middle is ten gigabytes of nothing: no more than a few blocks of it are held at a time."""
    path = tmp_path / "file"
    data = tagged[family]
    with open(path, "wb") as out:
        out.write(data[: len(data) // 2])
        out.seek(10 << 30)
        out.write(data[len(data) // 2 :])
    tracemalloc.start()
    embed.read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


@every
def test_the_tag_is_found_at_a_glance(family, tagged):
    """Reading touches the head and the tail, not the data between."""

    class Counting(io.FileIO):
        count = 0

        def read(self, size=-1):
            data = super().read(size)
            self.count += len(data)
            return data

    with tempfile.NamedTemporaryFile() as file:
        file.write(tagged[family])
        file.flush()
        with Counting(file.name) as stream:
            source = Source(file.name, stream)
            assert formats._format(source).read(source) == TAG
            assert 0 < stream.count <= 3 * max(len(tagged[family]), 65_600)
