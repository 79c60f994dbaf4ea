"""The artifact of an earlier run under a new name: what of it is shared, and that a change never reaches the earlier one."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from reprokit.recorder import project as projects
from tests.reuse.calls import load, logged

WORK = """
    import os
    import reprokit as rk

    def note(text):
        with open("log.txt", "a") as stream:
            stream.write(f"{text}\\n")

    @rk.Artifact("out", config={"a": 1}, exists="reuse")
    def make(out):
        note("make")
        with open(out, "w") as stream:
            stream.write("made\\n")

    @rk.Artifact("out", config={"a": 2}, exists="reuse")
    def sealed(out):
        note("sealed")
        with open(out, "w") as stream:
            stream.write("made\\n")
        os.chmod(out, 0o444)

    @rk.Artifact("out", config={"a": 3}, exists="reuse")
    def folder(out):
        note("folder")
        os.makedirs(f"{out}/sub")
        for name, mode in (("a.txt", 0o644), ("sub/b.txt", 0o444)):
            with open(f"{out}/{name}", "w") as stream:
                stream.write(name)
            os.chmod(f"{out}/{name}", mode)
        os.symlink("a.txt", f"{out}/link")
"""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="modes of POSIX")


@pytest.fixture
def again(project, monkeypatch):
    """Make an artifact, then ask for it under another commit; give both paths."""

    def ask(name, path="out.txt", link=None):
        (project.root / ".gitignore").write_text("vault\nlog.txt\nout*\n")
        if link is not None:
            (project.root / "reprokit.toml").write_text(f'[reuse]\nlink = "{link}"\n')
        work = load(project, monkeypatch, WORK)
        project.commit_all()
        first = project.commit
        getattr(work, name)(path)
        project.commit_all()
        projects.current()._facts = None  # a new process
        getattr(work, name)(path)
        assert logged() == [name]
        folder, stem = os.path.split(path)
        pattern = f"{stem.partition('.')[0]}-{{}}-??????????{Path(stem).suffix}"
        (old,) = (project.root / folder).glob(pattern.format(first))
        (new,) = (project.root / folder).glob(pattern.format(project.commit))
        assert old != new
        return old, new

    return ask


def shared(one, other):
    return one.stat().st_ino == other.stat().st_ino


def test_a_writable_artifact_gets_a_file_of_its_own(again):
    old, new = again("make")
    assert not shared(old, new)
    with new.open("r+") as stream:
        stream.write("MINE")
    assert old.read_text() == "made\n"


@POSIX
def test_a_read_only_artifact_is_linked(again):
    """Who may not write it can't change the earlier one; who replaces it does not either."""
    old, new = again("sealed")
    assert shared(old, new)
    assert stat.S_IMODE(new.stat().st_mode) == 0o444
    beside = new.with_name("beside")
    beside.write_text("mine")
    beside.replace(new)
    assert old.read_text() == "made\n"


@POSIX
@pytest.mark.parametrize(("name", "link", "is_shared"), [
    ("make", "always", True), ("make", "never", False), ("sealed", "never", False), ("sealed", "always", True),
])  # fmt: skip
def test_the_setting_decides(again, name, link, is_shared):
    old, new = again(name, link=link)
    assert shared(old, new) is is_shared
    assert new.read_text() == "made\n"
    assert stat.S_IMODE(new.stat().st_mode) == stat.S_IMODE(old.stat().st_mode)


@POSIX
def test_a_linked_artifact_that_was_changed_in_place_is_never_given(project, again, monkeypatch):
    """Both names show the change then; neither has the recorded digest, so it is made again."""
    old, new = again("make", link="always")
    with new.open("r+") as stream:
        stream.write("MINE")
    assert old.read_text() == "MINE\n"
    sys.modules["work"].make("out.txt")
    assert logged() == ["make", "make"]
    assert new.read_text() == "made\n"


@POSIX
def test_a_folder_is_copied_with_its_read_only_files_linked(again):
    old, new = again("folder", "out")
    assert (new / "a.txt").read_text() == "a.txt"
    assert (new / "sub" / "b.txt").read_text() == "sub/b.txt"
    assert os.readlink(new / "link") == "a.txt"
    assert not shared(old / "a.txt", new / "a.txt")
    assert shared(old / "sub" / "b.txt", new / "sub" / "b.txt")
    (new / "a.txt").write_text("mine")
    (new / "more.txt").write_text("mine")
    assert (old / "a.txt").read_text() == "a.txt"
    assert not (old / "more.txt").exists()


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0 or not sys.platform.startswith("linux"),
    reason="mounting needs root",
)
def test_on_another_file_system_it_is_copied(project, monkeypatch):
    (project.root / ".gitignore").write_text("vault\nlog.txt\nout*\n")
    work = load(project, monkeypatch, WORK)
    project.commit_all()
    disk = project.root / "out-disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(disk)], capture_output=True, check=False).returncode:
        pytest.skip("no mounting here")
    try:
        for name in ("make", "sealed"):
            getattr(work, name)("out.txt")
            getattr(work, name)("out-disk/out.txt")
        assert logged() == ["make", "sealed"]
        for old in project.root.glob("out-*-*.txt"):
            new = disk / old.name
            assert new.read_text() == "made\n"
            assert stat.S_IMODE(new.stat().st_mode) == stat.S_IMODE(old.stat().st_mode)
            assert new.stat().st_dev != old.stat().st_dev
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


SEALED = """
    import os
    import reprokit as rk

    @rk.Artifact("out", config={"a": 1}, exists="reuse")
    def sealed(x, out):
        if os.path.exists(out):
            os.chmod(out, 0o644)
        with open(out, "w") as stream:
            stream.write(f"made of {x}\\n")
        os.chmod(out, 0o444)
"""


def test_a_later_call_does_not_write_through_the_link(project, monkeypatch):
    (project.root / ".gitignore").write_text("vault\nout*\n")
    work = load(project, monkeypatch, SEALED)
    project.commit_all()
    work.sealed(1, "out.txt")
    (old,) = project.root.glob("out-*.txt")
    project.commit_all()
    projects.current()._facts = None  # a new process
    work.sealed(1, "out.txt")  # a hit: the new name is a hard link
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # same tag, other content: said
        work.sealed(2, "out.txt")  # the arguments are no part of the name
    assert old.read_text() == "made of 1\n"
