"""What holds for every family: tags are found again and replaced, equal files stay equal, and nothing else is touched."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from reprokit import embed
from reprokit.embed import formats
from reprokit.errors import EmbedError
from tests.conftest import SOURCE
from tests.embed.specimens import FAMILIES, HASH, OTHER, TAG

every = pytest.mark.parametrize("family", FAMILIES)


@every
def test_what_was_written_is_read_whatever_the_file_is_called(family, samples, put):
    path = put(samples[family], "no.suffix")
    assert embed.read(path) is None
    assert embed.write(path, TAG) is True
    assert embed.read(str(path)) == TAG


@every
def test_the_same_tag_twice_gives_the_same_bytes(family, samples, put):
    path = put(samples[family])
    embed.write(path, TAG)
    once = path.read_bytes()
    assert once != samples[family]
    assert embed.write(path, TAG)
    assert path.read_bytes() == once


@every
def test_another_tag_takes_the_place_of_the_earlier_one_as_if_that_had_never_been(family, samples, put):
    path, fresh = put(samples[family]), put(samples[family], "fresh")
    embed.write(path, OTHER)
    embed.write(path, TAG)
    embed.write(fresh, TAG)
    assert path.read_bytes() == fresh.read_bytes()
    assert OTHER.commit.encode() not in path.read_bytes()


@every
def test_files_made_twice_are_equal_after_tagging(family, put):
    """The whole way: the library writes, the tag goes in; nothing of the second run differs."""
    one, two = put(FAMILIES[family](), "one"), put(FAMILIES[family](), "two")
    embed.write(one, TAG)
    embed.write(two, TAG)
    assert one.read_bytes() == two.read_bytes()


@every
def test_reading_needs_no_library_and_the_recorder_none_either(family, samples, put):
    """Commit and config hash are found by Python's own means: no h5py, pikepdf, pillow, numpy or pyarrow."""
    path = put(samples[family])
    embed.write(path, TAG)
    code = (
        "import sys\nfrom reprokit import embed\nprint(embed.read(sys.argv[1]).commit)\n"
        "print([m for m in ('h5py', 'pikepdf', 'PIL', 'numpy', 'pyarrow', 'xml', 'zipfile') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == [TAG.commit, "[]"]


@every
def test_nothing_but_commit_and_config_hash_goes_in(family, samples, put):
    """Neither the path, nor the user, nor a time: the file is the same from any folder and at any hour."""
    path = put(samples[family])
    (path.parent / "elsewhere").mkdir()
    other = put(samples[family], "elsewhere/another-name")
    os.utime(other, (1, 1))
    embed.write(path, TAG)
    embed.write(other, TAG)
    assert path.read_bytes() == other.read_bytes()
    assert path.parent.name.encode() not in path.read_bytes()


@every
def test_mode_and_links_stay_and_nothing_is_left_behind(family, samples, put):
    path = put(samples[family])
    path.chmod(0o640)
    link = path.with_name("link")
    link.symlink_to(path.name)
    os.utime(path, (1, 1))
    embed.write(link, TAG)
    assert link.is_symlink()
    assert embed.read(path) == TAG
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.stat().st_mtime > 1
    assert sorted(p.name for p in path.parent.iterdir()) == ["file", "link"]


@every
def test_another_name_of_the_file_keeps_the_untagged_content(family, samples, put):
    path = put(samples[family])
    os.link(path, path.with_name("kept"))
    embed.write(path, TAG)
    assert path.with_name("kept").read_bytes() == samples[family]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x,y\n1,2\n",
        b'{"a": 1}',
        b"\x1f\x8b\x08\0" + b"svgz" * 9,
        b"<!DOCTYPE html><html><svg/></html>",
        b"<?xml version='1.0'?><notsvg/>",
        b"CDF\x01" + bytes(60),
        b"PK\x03\x04" + bytes(22) + b"\x05\0\0\0a.txt",
        b"PARE" + bytes(20) + b"PARE",
        b"II*\0" + bytes(40),
    ],
    ids=lambda data: data[:12].decode("latin-1").encode("ascii", "backslashreplace").decode(),
)
def test_other_formats_are_left_alone_byte_for_byte(data, put):
    path = put(data, "plot.png")
    before = path.stat()
    assert embed.write(path, TAG) is False
    assert embed.read(path) is None
    assert path.read_bytes() == data
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_folders_pipes_and_missing_files_have_no_tag(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert embed.write(tmp_path, TAG) is False
    assert embed.write(tmp_path / "pipe", TAG) is False
    assert embed.read(tmp_path) is None
    assert embed.read(tmp_path / "pipe") is None
    assert embed.read(tmp_path / "missing") is None
    with pytest.raises(FileNotFoundError):
        embed.write(tmp_path / "missing", TAG)


@pytest.mark.parametrize(
    "tag",
    [
        embed.Tag("1a2b3c4", "short"),
        embed.Tag("a b", HASH),
        embed.Tag("", HASH),
        embed.Tag("x)", HASH),
        embed.Tag("\udc80", HASH),
        embed.Tag("a" * 101, HASH),
    ],
)
def test_a_tag_that_names_could_not_hold_is_refused(tag, samples, put):
    path = put(samples["png"])
    with pytest.raises(EmbedError, match="config hash of 64"):
        embed.write(path, tag)
    assert path.read_bytes() == samples["png"]


@every
@pytest.mark.parametrize("commit", ["nogit", "a" * 100, "1a2b3c4-dirty"])
def test_commits_of_every_length_fit(family, commit, samples, put):
    path = put(samples[family])
    embed.write(path, embed.Tag(commit, HASH))
    assert embed.read(path).commit == commit


@every
def test_a_folder_that_takes_no_files_leaves_the_file_as_it_was(family, samples, put, tmp_path, monkeypatch):
    """The disk is full: a limit on file sizes refuses the new version."""
    path = put(samples[family])
    code = (
        "import resource, signal, sys\nfrom reprokit import embed\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try:\n import h5py, pikepdf\nexcept ImportError: pass\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try:\n embed.write(sys.argv[1], embed.Tag('1a2b3c4', sys.argv[2]))\n"
        "except (OSError, embed.formats.EmbedError) as e: print(type(e).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code.replace("from reprokit import embed", "from reprokit import embed\nimport reprokit.embed.formats", 1), str(path), HASH],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() in ("OSError", "EmbedError")
    assert path.read_bytes() == samples[family]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_written_meanwhile_is_not_replaced(samples, put):
    from reprokit.embed.source import opened
    from reprokit.embed.target import beside, settle

    path = put(samples["png"])
    with opened(path) as source, beside(source) as target:
        formats.png.write(source, b"commit=x config=" + HASH.encode(), target)
        path.write_bytes(b"newer")
        with pytest.raises(EmbedError, match="written while"):
            settle(source, target)
    assert path.read_bytes() == b"newer"
    assert [p.name for p in path.parent.iterdir()] == ["file"]
