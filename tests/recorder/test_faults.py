"""Whatever goes wrong in recording, the function's result is its own and the user reads one clear line."""

from __future__ import annotations

import builtins
import os
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import errors
from reprokit.vault import atomic

ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0


@rk.monitor(include_return_value=True, capture_output=True)
@rk.snapshot_code
@rk.Artifact("o", allow_dirty=True, copy=True)
def make(n, o):
    Path(o).write_text(str(n))
    print("made", n)
    return n


def recorded_lines(caught):
    return [str(w.message) for w in caught if issubclass(w.category, errors.RecordingWarning)]


class Broken:
    """Makes the n-th system call that recording issues fail."""

    NAMES = ("open", "mkdir", "write", "fsync", "replace", "link", "scandir", "rename")

    def __init__(self, monkeypatch, number, code):
        self.left, self.code, self.hit = number, code, None
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self.wrap(name, getattr(os, name)))
        monkeypatch.setattr(builtins, "open", self.wrap("builtin open", builtins.open))

    def wrap(self, name, original):
        def call(*args, **kwargs):
            frame = sys._getframe(1)
            ours = (
                "/reprokit/" in frame.f_code.co_filename.replace(os.sep, "/")
                and "/tests/" not in frame.f_code.co_filename
            )
            if ours and self.hit is None:
                self.left -= 1
                if self.left < 0:
                    self.hit = f"{name} in {frame.f_code.co_name}"
                    raise OSError(self.code, os.strerror(self.code), str(args[0]) if args else None)
            return original(*args, **kwargs)

        return call


@pytest.mark.parametrize("code", [28, 5, 13, 24], ids=["ENOSPC", "EIO", "EACCES", "EMFILE"])
def test_a_fault_at_each_call_leaves_the_result_alone(make_repo, tmp_path, code):
    """Every call of a scripted run fails once; the result comes back and what is visible is whole."""
    from tests.conftest import Project

    make_repo(tmp_path / "template", {"a.py": "A = 1\n"})
    number = 0
    hits = []
    while True:
        root = tmp_path / f"r{number}"
        shutil.copytree(tmp_path / "template", root)
        with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            patch.chdir(root)
            broken = Broken(patch, number, code)
            assert make(number, "out.txt") == number
        outputs = list(root.glob("out-*.txt"))
        assert [p.read_text() for p in outputs] == [str(number)]
        assert (root / "a.py").read_text() == "A = 1\n"
        assert not list(root.rglob("*.tmp")), broken.hit
        for document in root.rglob("*.json"):
            assert document.read_bytes()
            __import__("json").loads(document.read_bytes())
        if broken.hit is None:
            break
        hits.append(broken.hit)
        lines = recorded_lines(caught)
        assert len(lines) <= 2, lines
        post = list(root.glob("vault/runs/*/post-run-info.json"))
        if post:
            assert Project(root).post()["status"] == "complete"
        number += 1
    assert number > 20
    assert len({h.split(" in ")[1] for h in hits}) > 5


def test_strict_mode_raises_before_the_function_starts(project, monkeypatch):
    monkeypatch.setenv("REPROKIT_STRICT", "1")
    (project.root / "vault").write_text("a file where the vault should be")
    ran = []
    with pytest.raises(errors.RecordingError, match="strict"):
        rk.monitor(lambda: ran.append(1))()
    assert not ran


def test_strict_mode_as_an_argument(project):
    (project.root / "vault").write_text("in the way")
    for strict in (rk.monitor(strict=True)(lambda: 1), rk.Artifact("o", strict=True)(lambda o="a": 1)):
        with pytest.raises(errors.RecordingError):
            strict()
    with pytest.raises(errors.RecordingError), rk.run("r", strict=True):
        raise AssertionError("must not run")


def test_a_vault_that_cannot_be_made_is_told_in_one_line(project):
    (project.root / "vault").write_text("in the way")
    with pytest.warns(errors.RecordingWarning, match="vault") as caught:
        assert rk.monitor(lambda: 5)() == 5
    assert len(recorded_lines(caught)) == 1


def test_artifacts_get_their_names_and_sidecars_when_the_vault_is_broken(project):
    (project.root / "vault").write_text("in the way")
    with pytest.warns(errors.RecordingWarning):
        make(1, "out.txt")
    (made,) = project.root.glob("out-*.txt")
    assert Path(f"{made}.run.json").exists()


def test_a_folder_of_that_name_that_is_no_vault_is_left_alone(project):
    project.vault.mkdir()
    (project.vault / "mine.txt").write_text("mine")
    with pytest.warns(errors.RecordingWarning, match=r"no vault \(it holds mine\.txt\)"):
        assert rk.monitor(lambda: 5)() == 5
    assert [p.name for p in project.vault.iterdir()] == ["mine.txt"]


def test_a_vault_from_a_newer_version_is_left_alone(project):
    project.vault.mkdir()
    newer = '{"schema": "reprokit/vault/99"}'
    (project.vault / "vault.json").write_text(newer)
    with pytest.warns(errors.RecordingWarning, match="reprokit/vault/99.*upgrade"):
        assert rk.monitor(lambda: 5)() == 5
    assert [p.name for p in project.vault.iterdir()] == ["vault.json"]
    assert (project.vault / "vault.json").read_text() == newer


def test_warnings_as_errors_do_not_cost_the_result(project, capsys):
    (project.root / "vault").write_text("in the way")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rk.monitor(lambda: 5)() == 5
    assert "cannot record" in capsys.readouterr().err


def test_a_function_that_deletes_its_working_folder(project, monkeypatch):
    doomed = project.root / "doomed"
    doomed.mkdir()
    monkeypatch.chdir(doomed)

    @rk.monitor
    def f():
        doomed.rmdir()
        return g()

    @rk.monitor
    def g():
        return 5

    assert f() == 5
    assert project.post()["status"] == "complete"
    assert rk.monitor(lambda: 6)() == 6  # and the next one, started from nowhere
    assert project.context()["cwd"] is None
    assert "cwd" in project.context()["unknown"]


def test_an_artifact_that_cannot_be_read_back_is_a_fault_not_an_error(project):
    @rk.Artifact("o")
    def f(o):
        os.symlink("nowhere", o)
        os.mkfifo("pipe")
        return 5

    assert f("out.txt") == 5
    assert project.post()["artifacts"][0]["role"] == "missing"


def test_a_broken_exception_text_is_survived(project):
    class Awful(Exception):
        def __str__(self):
            raise RuntimeError

    with pytest.raises(Awful):
        rk.monitor(lambda: (_ for _ in ()).throw(Awful()))()
    assert project.post()["exception_info"]["error_type"] == "Awful"


def test_a_recursion_error_is_the_functions_own(project):
    @rk.monitor
    def deep(n):
        return deep(n + 1)

    with pytest.raises(RecursionError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        deep(0)
    assert project.post()["status"] == "failed"


@pytest.mark.skipif(not ROOT_USER or not sys.platform.startswith("linux"), reason="mounting needs root")
@pytest.mark.parametrize("size", ["256k", "1m"])
def test_a_full_disk_tears_nothing_and_recovers(tmp_path, monkeypatch, size):
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], capture_output=True, check=False
    ).returncode:
        pytest.skip("no mounting here")
    try:
        monkeypatch.chdir(place)
        filler = place / "filler"
        run = rk.monitor(include_return_value=True)(lambda n: n)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for free in range(0, 60_000, 4096):
                filler.unlink(missing_ok=True)
                with open(filler, "wb") as stream:
                    stream.write(b"x" * max(os.statvfs(place).f_bavail * os.statvfs(place).f_frsize - free, 0))
                assert run(free) == free
                for document in place.rglob("vault/**/*.json"):
                    __import__("json").loads(document.read_bytes())
                assert not list(place.rglob("*.tmp"))
                shutil.rmtree(place / "vault", ignore_errors=True)
        assert any("No space left" in line for line in recorded_lines(caught))
        filler.unlink()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert run(1) == 1
        assert list(place.glob("vault/runs/*/post-run-info.json"))
    finally:
        os.chdir(tmp_path)
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(not ROOT_USER or not sys.platform.startswith("linux"), reason="mounting needs root")
def test_a_read_only_disk_is_told_once_per_run_and_browsing_works(project, tmp_path, monkeypatch):
    rk.monitor(lambda: 1)()
    place = tmp_path / "ro"
    place.mkdir()
    if subprocess.run(["mount", "--bind", str(project.root), str(place)], capture_output=True, check=False).returncode:
        pytest.skip("no mounting here")
    subprocess.run(["mount", "-o", "remount,ro,bind", str(place)], check=True)
    try:
        monkeypatch.chdir(place)
        with pytest.warns(errors.RecordingWarning, match="Read-only") as caught:
            assert rk.monitor(lambda: 5)() == 5
        assert len(recorded_lines(caught)) == 1
        done = project.reprokit("runs", cwd=place)
        assert done.returncode == 0
        assert "complete" in done.stdout
    finally:
        os.chdir(tmp_path)
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_atomic_write_leaves_the_old_content_when_it_fails(tmp_path, monkeypatch):
    target = tmp_path / "a.json"
    atomic.write(str(target), b"old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        atomic.write(str(target), b"new")
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
