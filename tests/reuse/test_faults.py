"""Whatever happens to the vault or the disk: never a wrong answer, never an error of ours, and it is put right again."""

from __future__ import annotations

import builtins
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from pathlib import Path

import pytest

from reprokit.capture import files
from reprokit.errors import RecordingWarning
from reprokit.recorder import project as projects
from reprokit.recorder.reuse import returned, verified
from reprokit.vault import reuse
from reprokit.vault.blobs import blob_path
from tests.conftest import SOURCE, Project
from tests.reuse.calls import launch, lines, load, lock_files, logged, until

ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0
MOUNTS = pytest.mark.skipif(not ROOT_USER or not sys.platform.startswith("linux"), reason="mounting needs root")

WORK = """
    import reprokit as rk

    def note(text):
        with open("log.txt", "a") as stream:  # a file that is appended to counts for nothing
            stream.write(f"{text}\\n")

    @rk.cache
    def double(x):
        note("double")
        return {"double": 2 * x, "all": [x, x]}

    @rk.Artifact("out", config={"a": 1}, exists="reuse", allow_dirty=True)
    def make(x, out):
        note("make")
        with open(out, "w") as stream:
            stream.write(f"made of {x}\\n" * 20)
        return {"path": str(out), "x": x}

    @rk.Artifact("out", config={"a": 2}, exists="reuse", allow_dirty=True, copy=True)
    def kept(x, out):
        note("kept")
        with open(out, "w") as stream:
            stream.write(f"kept of {x}\\n" * 20)
"""
NUMBERS = """
    import numpy as np
    import reprokit as rk

    def note(text):
        with open("log.txt", "a") as stream:
            stream.write(f"{text}\\n")

    @rk.cache
    def numbers(x):
        note("numbers")
        return np.arange(200.0) * x
"""


@pytest.fixture
def work(project, monkeypatch):
    (project.root / ".gitignore").write_text("vault\n__pycache__\nlog.txt\n*-*-*.txt\n")
    module = load(project, monkeypatch, WORK)
    project.commit_all()
    return module


def forget():
    """Forget what this process knows of files, as if it were a new one."""
    reuse._known.clear()
    returned._known.clear()
    verified._seen.clear()


def calls():
    return len(logged())


def check_blobs(project):
    """What lies under a digest has it."""
    for path in project.vault.glob("blobs/sha256/??/*"):
        if not path.name.startswith("."):
            assert not path.is_symlink()
            assert files.digest_path(str(path))[0] == f"sha256:{path.parent.name}{path.name}"


def check_records(root):
    """What is visible is whole."""
    for document in root.glob("vault/runs/*/*.json"):
        json.loads(document.read_bytes())
    assert not list(root.rglob("*.tmp"))


def damages(data, rng, flips, every):
    """Give copies of bytes: cut at every place, and with a bit flipped."""
    for end in range(0, len(data), every):
        yield data[:end]
    for _ in range(flips):
        changed = bytearray(data)
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        yield bytes(changed)


SHORT_AND_LONG = pytest.mark.parametrize(
    ("flips", "cuts"), [(12, 12), pytest.param(500, None, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)


def survives(path, call, want, flips, cuts, *, again=True):
    """Damage a file in every way: the answer stays right, and the call after that is answered without the function."""
    data = path.read_bytes()
    rng = random.Random(8)
    every = 1 if cuts is None else max(1, len(data) // cuts)
    for number, bad in enumerate(damages(data, rng, flips, every)):
        path.write_bytes(bad)
        if number % 2:
            forget()
        assert call() == want
        if again:
            before = calls()
            assert call() == want
            assert calls() == before, "it was not put right"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    assert call() == want


# --- damaged files -----------------------------------------------------------------------------------------------------


def entry_files(project):
    return list(project.vault.glob("reuse/*/*.jsonl"))


def archive_files(project, suffix):
    return [path for path in project.vault.glob(f"blobs/sha256/??/*/**/*{suffix}") if path.is_file()]


@SHORT_AND_LONG
def test_damage_to_the_line_by_which_a_result_is_found(project, work, flips, cuts):
    want = work.double(4)
    (path,) = entry_files(project)
    survives(path, lambda: work.double(4), want, flips, cuts)
    assert want == {"double": 8, "all": [4, 4]}


@SHORT_AND_LONG
def test_damage_to_the_runs_record(project, work, flips, cuts):
    want = work.double(4)
    survives(project.folders[0] / "post-run-info.json", lambda: work.double(4), want, flips, cuts and 6)


@SHORT_AND_LONG
def test_damage_to_the_archive_of_the_return_value(project, work, flips, cuts):
    want = work.double(4)
    (path,) = archive_files(project, ".py")
    survives(path, lambda: work.double(4), want, flips, cuts)
    check_blobs(project)


@SHORT_AND_LONG
def test_damage_to_the_data_of_an_array(project, monkeypatch, flips, cuts):
    pytest.importorskip("numpy")
    work = load(project, monkeypatch, NUMBERS)
    want = [3.0 * n for n in range(200)]
    assert work.numbers(3).tolist() == want
    (path,) = archive_files(project, ".npy")
    survives(path, lambda: work.numbers(3).tolist(), want, flips, cuts)
    check_blobs(project)


@SHORT_AND_LONG
def test_damage_to_an_artifact(project, work, flips, cuts):
    work.make(4, "out.txt")
    (path,) = project.root.glob("out-*.txt")
    survives(path, lambda: (work.make(4, "out.txt")["x"], path.read_text()), (4, "made of 4\n" * 20), flips, cuts)


@SHORT_AND_LONG
def test_damage_to_an_artifact_that_the_vault_keeps_calls_nothing(project, work, flips, cuts):
    work.kept(4, "out.txt")
    (path,) = project.root.glob("out-*.txt")
    survives(path, lambda: (work.kept(4, "out.txt"), path.read_text()), (None, "kept of 4\n" * 20), flips, cuts)
    assert calls() == 1


@SHORT_AND_LONG
def test_damage_to_a_blob_whose_artifact_is_gone(project, work, flips, cuts):
    """It is made again, and so is the blob."""
    work.kept(4, "out.txt")
    (path,) = project.root.glob("out-*.txt")
    (blob,) = (one for one in project.vault.glob("blobs/sha256/??/*") if one.is_file())

    def call():
        path.unlink(missing_ok=True)
        work.kept(4, "out.txt")
        return path.read_text()

    survives(blob, call, "kept of 4\n" * 20, flips, cuts)


def test_a_line_with_a_flipped_bit_is_none(project, work):
    work.make(4, "out.txt")
    (path,) = entry_files(project)
    data, right = path.read_bytes(), reuse.read(str(path))
    assert len(right) == 1
    rng = random.Random(8)
    for bad in damages(data, rng, 1000, len(data)):
        path.write_bytes(bad)
        assert reuse.read(str(path)) in ([], right)


def test_a_line_of_a_later_version_is_left_alone(project, work):
    want = work.double(4)
    (path,) = entry_files(project)
    text = path.read_bytes().split(b" ", 1)[1].replace(b"reprokit/reuse/1", b"reprokit/reuse/99")
    later = hashlib.sha256(text.rstrip(b"\n")).hexdigest()[:16].encode() + b" " + text
    assert b"/99" in later
    path.write_bytes(later)
    assert work.double(4) == want
    assert calls() == 2
    assert work.double(4) == want
    assert calls() == 2
    assert path.read_bytes().startswith(later)


def test_a_huge_file_of_lines(project, work):
    """Nobody can read it within bounds; the next result begins it anew."""
    want = work.double(4)
    (path,) = entry_files(project)
    with path.open("r+b") as stream:
        stream.truncate(100_000_000)
    assert work.double(4) == want
    assert calls() == 2
    assert work.double(4) == want
    assert calls() == 2


@pytest.mark.parametrize("what", ["folder", "fifo", "dangling link"])
def test_something_else_where_the_lines_should_be(project, work, what):
    want = work.double(4)
    (path,) = entry_files(project)
    path.unlink()
    replaced(path, what)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        assert work.double(4) == want
        assert work.double(4) == want


def replaced(path, what, other=None):
    """Put something else at a path."""
    if what == "folder":
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    elif what == "link":
        path.symlink_to(other)
    elif what == "dangling link":
        path.symlink_to("nowhere")
    elif what == "hard link":
        os.link(other, path)
    elif what == "fifo":
        os.mkfifo(path)


# --- what stands where an artifact should be ---------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["folder", "link", "dangling link", "hard link"])
@pytest.mark.parametrize("name", ["make", "kept"])
@pytest.mark.parametrize("commit", ["same", "other"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs the file system of POSIX")
def test_something_else_where_the_artifact_should_be(project, work, what, name, commit):
    """The artifact comes back; what stood there is kept, and what a link leads to stays as it is."""
    call = getattr(work, name)
    call(4, "out.txt")
    (path,) = project.root.glob("out-*.txt")
    content = path.read_text()
    other = project.root / "mine.csv"
    other.write_text("mine")
    if commit == "other":
        project.commit_all()
        projects.current()._facts = None  # a new process
        path = Path(str(path).replace(path.name.split("-")[1], project.commit))
    else:
        path.unlink()
    replaced(path, what, other)
    given = commit == "other" or name == "kept"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        try:
            call(4, "out.txt")
        except IsADirectoryError:  # the function's own
            assert not given
            return
    assert calls() == (1 if given and what != "dangling link" else 2)
    assert path.read_text() == content
    if given:  # else the function has written through the link
        assert other.read_text() == "mine"
    check_blobs(project)
    other.write_text("changed")
    check_blobs(project)


def test_what_was_changed_by_hand_is_kept_before_it_is_replaced(project, work):
    work.kept(4, "out.txt")
    (path,) = project.root.glob("out-*.txt")
    path.write_text("changed by hand")
    work.kept(4, "out.txt")
    assert calls() == 1
    assert path.read_text() == "kept of 4\n" * 20
    digest = hashlib.sha256(b"changed by hand").hexdigest()
    assert (project.vault / "blobs" / "sha256" / digest[:2] / digest[2:]).read_text() == "changed by hand"
    check_blobs(project)


# --- a fault at each call of the system --------------------------------------------------------------------------------


class Broken:
    """Makes the n-th call fail that recording makes to the system, itself or through a library."""

    NAMES = (
        "open", "mkdir", "write", "read", "fsync", "replace", "rename", "link", "unlink", "utime",
        "stat", "lstat", "fstat", "scandir", "listdir", "chmod",
    )  # fmt: skip
    wide = f"{SOURCE}{os.sep}reprokit{os.sep}"
    own = (f"{wide}recorder{os.sep}reuse", f"{wide}vault")  # a path that can't be looked at fails the function, too
    LIBRARIES = (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))

    def __init__(self, patch, number, code):
        self.left, self.code, self.hit = number, code, None
        for name in self.NAMES:
            patch.setattr(os, name, self.wrap(name, getattr(os, name)))
        for name, module in list(sys.modules.items()):  # not the builtin: what functions call would be ours
            if name.startswith("reprokit."):
                patch.setattr(module, "open", self.wrap("builtin open", builtins.open), raising=False)
        fcntl = pytest.importorskip("fcntl")
        patch.setattr(fcntl, "flock", self.wrap("flock", fcntl.flock))

    def wrap(self, name, original):
        def call(*args, **kwargs):
            if self.hit is None:
                frame = sys._getframe(1)
                while frame is not None and frame.f_code.co_filename.startswith(("<", *self.LIBRARIES)):
                    frame = frame.f_back
                if frame is not None and frame.f_code.co_filename.startswith(
                    self.wide if "stat" not in name else self.own
                ):
                    self.left -= 1
                    if self.left < 0:
                        self.hit = f"{name} for {frame.f_code.co_name}"
                        raise OSError(self.code, os.strerror(self.code), str(args[0]) if args else None)
            return original(*args, **kwargs)

        return call


CASES = {
    "hit": ("double", "same"),
    "computed": ("double", "none"),
    "artifact in place": ("kept", "same"),
    "artifact put in place": ("kept", "other"),
    "artifact made": ("kept", "none"),
}


def chosen():
    """Give each case with one error, at every fifth call, for the short form; and with all errors for the long one."""
    for number, case in enumerate(CASES):
        for place, code in enumerate(("ENOSPC", "EIO", "EACCES", "EMFILE")):
            if place == number % 4:
                yield pytest.param(case, code, 5, id=f"{case}-{code}")
            stride = 1 if code == "EIO" else 3
            yield pytest.param(case, code, stride, marks=pytest.mark.slow, id=f"{case}-{code}-long")


@pytest.mark.parametrize(("case", "code", "stride"), list(chosen()))
def test_a_fault_at_each_call_leaves_the_answer_right(project, work, tmp_path, case, code, stride):
    """Each call to the system fails once: the answer is right, and afterwards the same call is answered without a word."""
    name, commit = CASES[case]

    def call():
        if name == "double":
            return work.double(4)
        work.kept(4, "out.txt")
        (made,) = Path().glob(f"out-{project.commit}-*.txt")
        return made.read_text()

    want = {"double": 8, "all": [4, 4]} if name == "double" else "kept of 4\n" * 20
    if commit != "none":
        assert call() == want
    if commit == "other":
        project.commit_all()
        projects.current()._facts = None  # a new process
    shutil.copytree(project.root, tmp_path / "before", symlinks=True)
    hits = []
    while True:
        projects.current().facts()  # what a process asks git is no part of it
        forget()
        before = calls()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with pytest.MonkeyPatch.context() as patch:
                broken = Broken(patch, len(hits) * stride, getattr(errno, code))
                found = call()
        told = [str(one.message) for one in caught if issubclass(one.category, RecordingWarning)]
        assert found == want, broken.hit
        assert len(told) <= 2, (broken.hit, told)
        check_records(project.root)
        check_blobs(project)
        if broken.hit is None:
            assert told == [], hits[-1]
            assert calls() == before + (commit == "none")
            break
        hits.append(broken.hit)
        now = calls()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            assert call() == want, broken.hit
            again = calls()
            assert call() == want, broken.hit
        assert again - now <= 1, broken.hit
        assert calls() == again, broken.hit
        assert broken.hit.endswith(("_attempts", " end")) or lock_files(project) == [], broken.hit
        for path in [project.vault, *project.root.glob("*-*.txt*"), project.root / "log.txt"]:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copytree(tmp_path / "before", project.root, symlinks=True, dirs_exist_ok=True)
    assert len(hits) * stride > 8, hits


# --- disks -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Give a function that mounts a small disk."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = []

    def mount(*options):
        if subprocess.run(["mount", *options, str(place)], capture_output=True, check=False).returncode:
            pytest.skip("no mounting here")
        mounted.append(place)
        return place

    yield mount
    os.chdir(tmp_path)
    for one in mounted:
        subprocess.run(["umount", "-l", str(one)], check=True)


@MOUNTS
def test_a_full_disk_at_each_phase_and_after_it_was_freed(disk, monkeypatch):
    place = disk("-t", "tmpfs", "-o", "size=1m", "tmpfs")
    monkeypatch.chdir(place)
    work = load(Project(place), monkeypatch, WORK.replace("log.txt", f"{place.parent}/log.txt"))
    filler = place / "filler"
    told = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert work.double(1)["double"] == 2
        for number, free in enumerate(range(0, 60_000, 4096), 2):
            filler.unlink(missing_ok=True)
            with filler.open("wb") as stream:
                stream.write(b"x" * max(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize - free, 0))
            assert work.double(1)["double"] == 2  # a hit
            for _ in range(2):
                assert work.double(number) == {"double": 2 * number, "all": [number] * 2}
            check_records(place)
            check_blobs(Project(place))
        told = [str(one.message) for one in caught if issubclass(one.category, RecordingWarning)]
        assert logged(place.parent).count("double") > 10
    assert any("No space left" in line for line in told)
    filler.unlink()
    forget()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecordingWarning)
        assert work.double(999)["double"] == 1998
    before = len(logged(place.parent))
    assert work.double(999)["double"] == 1998
    assert work.double(1)["double"] == 2
    assert len(logged(place.parent)) == before


@MOUNTS
def test_hits_on_a_read_only_disk(project, disk, tmp_path, monkeypatch):
    """They are given, and one line says that this can't be recorded; what was never made is computed."""
    log = tmp_path / "logs"
    log.mkdir()
    work = load(project, monkeypatch, WORK.replace("log.txt", f"{log}/log.txt"))
    (project.root / ".gitignore").write_text("vault\n")
    project.commit_all()
    want = work.double(4)
    work.make(4, "out.txt")
    place = disk("--bind", str(project.root))
    subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
    script = f"""
        import sys, warnings
        warnings.simplefilter("always")
        import work
        assert work.double(4) == {want!r}
        print("given", file=sys.stderr)
        assert work.make(4, "out.txt")["x"] == 4
        print("given", file=sys.stderr)
        assert work.double(5) == {{"double": 10, "all": [5, 5]}}
    """
    process = launch(place, script)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    told = err.split("given")
    assert [one.count("RecordingWarning") for one in told] == [1, 1, 1], err
    assert all("Read-only file system" in one for one in told)
    assert logged(log) == ["double", "make", "double"]


@pytest.mark.skipif(not ROOT_USER, reason="only root may be somebody else")
def test_hits_of_a_vault_that_belongs_to_another_user(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="rk") as folder:
        root = Path(folder)
        root.chmod(0o755)
        monkeypatch.chdir(root)
        subprocess.run(["git", "init", "-q", "."], check=True)
        work = load(Project(root), monkeypatch, WORK)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            work.double(4)
        for path in [root, *root.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        (root / "log.txt").chmod(0o666)
        process = launch(root, AS_ANOTHER)
        out, err = process.communicate(timeout=60)
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755)
        assert process.returncode == 0, err
        assert out == "{'double': 8, 'all': [4, 4]}\n{'double': 10, 'all': [5, 5]}\n"
        first, second = err.split("given\n")
        assert first.count("RecordingWarning") == 1, err
        assert 1 <= second.count("RecordingWarning") <= 2, err  # git does not trust that folder either
        assert "Permission denied" in first
        assert logged(root) == ["double"] * 3


AS_ANOTHER = """
    import os, sys, warnings
    warnings.simplefilter("ignore")
    import work
    from reprokit.recorder import project
    from reprokit.recorder.reuse import returned, verified
    from reprokit.vault import reuse

    os.chmod("vault/runs", 0o000)
    work.double(4)  # what it imports, another user may not read
    work.double(6)
    project._projects.clear()
    for one in reuse._known, returned._known, verified._seen:
        one.clear()
    os.chmod("vault/runs", 0o555)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    warnings.simplefilter("always")
    print(work.double(4))
    print("given", file=sys.stderr)
    print(work.double(5))
"""


def test_the_vault_is_removed_in_between(project, work):
    want = work.double(4)
    work.make(4, "out.txt")
    for _ in range(3):
        shutil.rmtree(project.vault)
        before = calls()
        assert work.double(4) == want
        assert work.double(4) == want
        work.make(4, "out.txt")
        work.make(4, "out.txt")
        assert calls() == before + 2
    check_records(project.root)
    check_blobs(project)


def test_a_part_of_the_vault_is_removed_in_between(project, work):
    want = work.double(4)
    work.kept(4, "out.txt")
    for name in ("reuse", "blobs", "runs", "journal", "closures"):
        shutil.rmtree(project.vault / name, ignore_errors=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecordingWarning)
            assert work.double(4) == want
            work.kept(4, "out.txt")
        before = calls()
        assert work.double(4) == want
        work.kept(4, "out.txt")
        assert calls() == before
    check_records(project.root)
    check_blobs(project)


# --- kill -9 -----------------------------------------------------------------------------------------------------------

WRITERS = """
    import itertools, os, random, signal, sys, work
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    work.double(-1), work.kept(-1, "first.txt")  # what is found out once a process
    for line in sys.stdin:
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        try:
            rng = random.Random(int(line))
            while True:
                x = rng.randrange(40)
                assert work.double(x) == {"double": 2 * x, "all": [x, x]}
                work.kept(x, f"out{x}.txt")
                assert work.make(x, f"made{x}.txt")["x"] == x
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            os._exit(1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("rounds", [40, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_kill_at_random_instants_with_two_writers(project, work, rounds):
    """What is visible is whole, and every answer is right afterwards."""
    rng = random.Random(8)
    started = launch(project.root, WRITERS, stdin=subprocess.PIPE)
    for number in range(rounds):
        pids = []
        for one in range(2):
            started.stdin.write(f"{2 * number + one}\n")
            started.stdin.flush()
            pids.append(int(started.stdout.readline()))
        for pid in rng.sample(pids, 2):
            time.sleep(rng.random() * 0.06)
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))  # noqa: B023 - asked at once
        check_blobs(project)
        for path in entry_files(project):
            damaged = []
            for entry in reuse.read(str(path), damaged):
                assert (project.vault / "runs" / entry.folder / "post-run-info.json").exists()
                for digest in [entry.returned, *(one.blob for one in entry.outputs)]:
                    assert digest is None or blob_path(project.vault / "blobs" / "sha256", digest).exists()
            assert len(damaged) <= 1
    _, err = started.communicate(timeout=60)
    assert "Error" not in err, err
    assert len(lines(project)) > 10
    for document in project.vault.glob("runs/*/*.json"):
        json.loads(document.read_bytes())
    shown = project.reprokit("runs", "--json")
    assert shown.returncode == 0
    assert {run["status"] for run in json.loads(shown.stdout)} <= {"complete", "interrupted"}
    code = """
        import glob, work
        for x in range(40):
            for _ in range(2):
                assert work.double(x) == {"double": 2 * x, "all": [x, x]}
                work.kept(x, f"out{x}.txt")
                assert work.make(x, f"made{x}.txt")["x"] == x
                for name, word in (("out", "kept"), ("made", "made")):
                    (path,) = (p for p in glob.glob(f"{name}{x}-*.txt"))
                    assert open(path).read() == f"{word} of {x}\\n" * 20
    """
    process = launch(project.root, code)
    _, err = process.communicate(timeout=110)
    assert process.returncode == 0, err
