"""What compares which files, tolerances of outputs, damage and hostile content."""

from __future__ import annotations

import bz2
import gzip
import importlib
import lzma
import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprokit.errors import SettingsError
from reprokit.protocols import Comparator
from reprokit.reproduce.compare import Tolerance, files, register, registry, tolerance_for
from reprokit.reproduce.verdict import Verdict
from reprokit.settings import load
from tests.conftest import SOURCE
from tests.reproduce.compared import npy, outcomes, write

MAGICS = [
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"RIFF\0\0\0\0WEBP", b"BM", b"P6 3 3 255\n",
    b"\x93NUMPY\x01\0v\0", b"\x93NUMPY\x03\0", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n", b"PAR1", b"%PDF-1.7\n",
    b'<svg xmlns="http://www.w3.org/2000/svg">', b"# reprokit archive, format 1, 0\n", b"{", b"[", b"",
]  # fmt: skip
SUFFIXES = ["", ".json", ".yaml", ".toml", ".csv", ".npz", ".jsonl", ".svg"]


@settings(max_examples=250, deadline=None)
@given(
    magic=st.sampled_from(MAGICS),
    suffix=st.sampled_from(SUFFIXES),
    tails=st.lists(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), min_size=2, max_size=2, unique=True),
)
def test_random_bytes_behind_each_magic_are_a_verdict(tmp_path_factory, magic, suffix, tails):
    folder = tmp_path_factory.mktemp("r")
    a, b = (write(folder / f"{n}{suffix}", magic + tail) for n, tail in enumerate(tails))
    found = outcomes(a, b, Tolerance(rtol=0.1))
    assert found.said
    assert outcomes(a, a).outcome == "identical"


@pytest.mark.parametrize("kind", ["png", "npy", "npz", "h5", "parquet", "pdf"])
def test_whole_files_with_flipped_bytes_are_a_verdict(tmp_path, kind):
    """Cut short, or with a byte changed anywhere, against the sound file."""
    sound = made(tmp_path)[kind]
    data = sound.read_bytes()
    for n in range(40):
        place = (n * 7919) % len(data)
        bad = data[:place] if n % 4 == 0 else data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        outcomes(sound, write(tmp_path / f"bad.{kind}", bad))


def made(folder):
    import h5py
    import pandas as pd
    import pikepdf
    from PIL import Image

    array = np.arange(600.0).reshape(20, 30)
    Image.fromarray(array.astype(np.uint8)).save(folder / "a.png")
    np.save(folder / "a.npy", array)
    np.savez_compressed(folder / "a.npz", x=array, y=array[0])
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("x", data=array, compression="gzip")
        file.attrs["n"] = 3
    pd.DataFrame(array[:, :3], columns=list("abc")).to_parquet(folder / "a.parquet")
    pdf = pikepdf.new()
    pdf.add_blank_page()
    pdf.pages[0].Contents = pdf.make_stream(b"0 0 m 9 9 l S")
    pdf.save(folder / "a.pdf")
    return {path.suffix[1:]: path for path in folder.glob("a.*")}


def test_missing_extra_and_gone(tmp_path):
    here = write(tmp_path / "a.npy", npy(np.arange(3)))
    from reprokit.capture.files import digest_path

    digest = digest_path(str(here))[0]
    strict = Tolerance()
    assert files("o", here, None, strict) == Verdict(
        name="o", outcome="missing", kind="npy", said="it was not made this time"
    )
    assert files("o", None, here, strict).outcome == "extra"
    assert files("o", tmp_path / "gone", here, strict).outcome == "extra"
    assert files("o", None, here, strict, digest=digest).outcome == "identical"
    found = files("o", None, here, strict, digest="sha256:" + "0" * 64)
    assert found.outcome == "differs"
    assert found.said == "the earlier file is gone, so how it differs cannot be told"
    assert files("o", None, None, strict, digest=digest).outcome == "missing"


def test_what_a_file_is_its_bytes_say_and_not_its_name(tmp_path):
    a, b = write(tmp_path / "a.json", npy(np.arange(3))), write(tmp_path / "b.png", npy(np.arange(3)[::-1]))
    assert outcomes(a, b).kind == "npy"
    text = write(tmp_path / "c.npy", "hello\n")
    assert files("o", a, text, Tolerance()).said.startswith("npy -> text; ")


@pytest.mark.parametrize(("name", "a", "b"), [("t.csv", "x\n1.0\n", "x\n1.00\n"), ("t.yaml", "a: 1", "a:   1")])
def test_kept_content_without_a_name_is_what_the_output_is_called(tmp_path, name, a, b):
    """A blob is called by its digest."""
    found = files(name, write(tmp_path / "cdef01", a), write(tmp_path / name, b), Tolerance())
    assert (found.kind, found.outcome) == (name[2:], "identical")
    assert files(name, write(tmp_path / "cd", a), write(tmp_path / "ef", b), Tolerance()).outcome == "identical"


def test_folders_are_compared_entry_by_entry(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for folder in (a, b):
        (folder / "in").mkdir(parents=True)
        write(folder / "in" / "x.npy", npy(np.arange(3)))
        write(folder / "fit.json", "{}" if folder is a else "{ }")
        (folder / "link").symlink_to("/etc/passwd")
    found = outcomes(a, b)
    assert (found.kind, found.outcome, found.said) == ("folder", "identical", "same entries, other bytes")
    write(b / "fit.json", "{}")
    assert outcomes(a, b).said == ""
    write(b / "in" / "x.npy", npy(np.array([0, 1, 3])))
    write(b / "new", "")
    found = files("o", a, b, Tolerance())
    assert found.said == "in/x.npy: 1 of 3 values differs, by up to 1 (rel 0.3) at [2]; 2 of 4 entries differ"
    assert [part["outcome"] for part in found.details["parts"]] == ["differs", "extra"]
    assert outcomes(a, b, Tolerance(ignore=("in", "new"))).outcome == "within tolerance"
    (b / "link").unlink()
    (b / "link").symlink_to("/etc/hosts")
    said = [part["said"] for part in files("o", a, b, Tolerance()).details["parts"]]
    assert "a link to /etc/passwd -> to /etc/hosts" in said
    assert files("o", a, b / "fit.json", Tolerance()).said == "a folder -> a file"


@pytest.mark.parametrize(("suffix", "module"), [(".gz", gzip), (".bz2", bz2), (".xz", lzma)])
def test_packed_files_are_compared_by_what_is_in_them(tmp_path, suffix, module):
    def packed(name, text, level=9):
        data = gzip.compress(text, level, mtime=level) if module is gzip else module.compress(text)
        return write(tmp_path / name, data)

    a = packed(f"a.csv{suffix}", b"x\n1.0\n")
    same = packed(f"b.csv{suffix}", b"x\n1.00\n" if module is not gzip else b"x\n1.0\n", 1)
    assert files(f"t.csv{suffix}", a, same, Tolerance()).outcome == "identical"
    found = files(f"t.csv{suffix}", a, packed(f"c.csv{suffix}", b"x\n1.5\n"), Tolerance())
    assert (found.name, found.kind, found.said) == (f"t.csv{suffix}", "csv", "x, row 1: 1.0 -> 1.5 (rel 0.3)")
    outcomes(a, write(tmp_path / f"cut.csv{suffix}", a.read_bytes()[:-9]))


def test_packed_bombs_are_bounded(tmp_path, monkeypatch):
    from reprokit.reproduce.compare import compressed

    monkeypatch.setattr(compressed, "_FREE", 1000)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    a, b = (write(tmp_path / f"{n}.gz", gzip.compress(bytes([n]) * 5_000_000)) for n in (1, 2))
    assert "far more than is believed" in outcomes(a, b).said
    assert list((tmp_path / "scratch").iterdir()) == []
    twice = [write(tmp_path / f"{n}.gz.gz", gzip.compress(path.read_bytes())) for n, path in enumerate((a, b))]
    assert outcomes(*twice).outcome == "differs"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    a = write(tmp_path / "a", "text")
    assert outcomes(a, tmp_path / "pipe").outcome == "differs"
    assert outcomes(tmp_path / "pipe", tmp_path / "pipe").outcome == "differs"


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    assert outcomes(tmp_path / "loop", write(tmp_path / "a", "text")).said.startswith("cannot be read: ")


@pytest.mark.parametrize(
    ("library", "kind"),
    [("numpy", "npy"), ("PIL", "png"), ("h5py", "h5"), ("pyarrow", "parquet")],
)
def test_without_a_library_bytes_are_compared_and_that_is_said(tmp_path, monkeypatch, library, kind):
    sound = made(tmp_path)[kind]
    other = write(tmp_path / "other", sound.read_bytes()[:-1] + b"!")
    real = importlib.import_module

    def without(name, *args):
        if name.partition(".")[0] == library:
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(importlib, "import_module", without)
    found = outcomes(sound, other)
    assert found.outcome == "differs"
    assert found.said.endswith(f"{library} is not installed, so only bytes were compared")


def test_comparing_imports_no_library_for_identical_files(tmp_path):
    a, b = (write(tmp_path / name, npy(np.arange(3))) for name in "ab")
    code = (
        "import sys; from pathlib import Path; from reprokit.reproduce.compare import files, Tolerance\n"
        f"print(files('o', Path({str(a)!r}), Path({str(b)!r}), Tolerance()).outcome, 'numpy' in sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.split() == ["identical", "False"]


def test_objects_are_not_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    class Runs:
        def __reduce__(self):
            return os.mkdir, ("ran",)

    for name, value in (("a.npy", 1), ("b.npy", 2)):
        np.save(tmp_path / name, np.array([Runs(), value], object), allow_pickle=True)
    found = outcomes(tmp_path / "a.npy", tmp_path / "b.npy")
    assert "object arrays are not read" in found.said
    assert not (tmp_path / "ran").exists()


class Sums:
    """A comparator as somebody else writes it: files of numbers, of which only the sum counts."""

    kind = "sums"

    def mine(self, head, name):
        return name.endswith(".sum")

    def compare(self, name, old, new, tolerance):
        sums = [sum(map(int, path.read_text().split())) for path in (old, new)]
        return Verdict(
            name=name, kind=self.kind, outcome="identical" if sums[0] == sums[1] else "differs", said=f"{sums}"
        )


@pytest.fixture
def plugged(monkeypatch):
    monkeypatch.setattr(registry, "_registered", [])
    register(Sums())


def test_a_comparator_of_ones_own(tmp_path, plugged):
    assert isinstance(Sums(), Comparator)
    a, b = write(tmp_path / "a.sum", "1 2 3"), write(tmp_path / "b.sum", "4 2")
    assert (outcomes(a, b).kind, outcomes(a, b).outcome) == ("sums", "identical")
    bad = write(tmp_path / "c.sum", "x")
    assert outcomes(a, bad).said.endswith("cannot be read as sums: invalid literal for int() with base 10: 'x'")


def test_a_comparator_of_an_installed_package(tmp_path):
    package = tmp_path / "lib"
    (package / "sums-1.0.dist-info").mkdir(parents=True)
    write(package / "sums-1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: sums\nVersion: 1.0\n")
    write(package / "sums-1.0.dist-info" / "entry_points.txt", "[reprokit.comparators]\nsums = sums:Sums\n")
    write(
        package / "sums.py",
        "from reprokit.reproduce.verdict import Verdict\nclass Sums:\n    kind = 'sums'\n"
        "    def mine(self, head, name): return name.endswith('.sum')\n"
        "    def compare(self, name, old, new, tolerance): return Verdict(name=name, kind='sums', outcome='identical')\n",
    )
    a, b = write(tmp_path / "a.sum", "1 2"), write(tmp_path / "b.sum", "3")
    code = (
        "from pathlib import Path; from reprokit.reproduce.compare import files, Tolerance\n"
        f"print(files('o', Path({str(a)!r}), Path({str(b)!r}), Tolerance()).kind)"
    )
    env = {**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{package}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == "sums"


RULES = """
[reproduce]
rtol = 1e-9
[reproduce.output."*.png"]
pixels = 0.001
levels = 2
[reproduce.output."fit*.json"]
rtol = 1e-6
ignore = ["created"]
[reproduce.output."out/fit2.json"]
atol = 0.5
"""


def test_tolerances_come_from_the_settings_and_the_command_line(tmp_path):
    write(tmp_path / "reprokit.toml", RULES)
    found = load(tmp_path, {})
    assert tolerance_for(found, "x.npy") == Tolerance(rtol=1e-9)
    assert tolerance_for(found, "plots/a.png") == Tolerance(rtol=1e-9, pixels=0.001, levels=2)
    assert tolerance_for(found, "out/fit1.json") == Tolerance(rtol=1e-6, ignore=("created",))
    assert tolerance_for(found, "out/fit2.json") == Tolerance(rtol=1e-6, ignore=("created",), atol=0.5)
    assert tolerance_for(found, "out/fit2.json", rtol=0.0) == Tolerance(rtol=0.0, ignore=("created",), atol=0.5)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[reproduce]\nrtl = 1", "did you mean 'rtol'"),
        ("[reproduce]\nrtol = -1", "number from 0 on"),
        ('[reproduce.output."a*"]\npixels = 2', 'reproduce.output."a*".pixels'),
        ('[reproduce.output."a*"]\nignore = "x"', "list of strings"),
        ('[reproduce.output]\n"a*" = 1', "no table"),
    ],
)
def test_wrong_rules_are_told_with_their_place(tmp_path, text, told):
    write(tmp_path / "reprokit.toml", text)
    with pytest.raises(SettingsError) as error:
        load(tmp_path, {})
    assert told in str(error.value)


def test_a_public_comparison_needs_no_more_than_two_paths(tmp_path):
    a, b = write(tmp_path / "a", b"\0\1\2"), write(tmp_path / "b", b"\0\1\3")
    assert outcomes(a, b).said == "bytes differ, first at 2 of 3"
    assert files("o", a, write(tmp_path / "c", b"\0"), Tolerance()).said == "3 bytes -> 1 byte, first at byte 1"
