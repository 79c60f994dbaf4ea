"""Files that are no plain ones, that change meanwhile, or that have a name of ours."""

from __future__ import annotations

import os
import socket

import pytest

from reprokit.capture import files
from reprokit.settings import FileRule

pipes = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


@pipes
@pytest.mark.timeout(10)
def test_a_pipe_is_refused_at_once_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="neither a file nor a folder"):
        files.digest_path(str(tmp_path / "pipe"))


@pipes
@pytest.mark.timeout(10)
def test_a_folder_with_pipes_and_sockets_has_a_digest(tmp_path, monkeypatch):
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "a.txt").write_bytes(b"a")
    plain = files.digest_folder(str(folder))
    os.mkfifo(folder / "pipe")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        digest, size = files.digest_folder(str(folder))
    assert size == plain[1] == 1
    assert digest != plain[0]


def test_a_file_that_is_written_while_it_is_read_is_said(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"x" * files._SMALL)
    os.utime(path, ns=(1, 1))
    started = files._opener

    def opened_and_written(name, flags):
        found = started(name, flags)
        calls.append(name)
        return found

    calls: list[str] = []
    monkeypatch.setattr(files, "_opener", opened_and_written)
    real = os.fstat

    def late(descriptor):
        found = real(descriptor)
        if calls:  # between the first look and the end of reading, another process appends
            with open(path, "ab") as stream:
                stream.write(b"more")
            calls.clear()
        return found

    monkeypatch.setattr(files.os, "fstat", late)
    with pytest.raises(OSError, match="written while its digest was taken"):
        files.digest_file(str(path))


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no proc file system here")
def test_a_file_that_has_no_size_beforehand_is_read():
    digest, size = files.digest_file("/proc/version")
    assert size > 0
    assert digest.startswith("sha256:")


@pytest.mark.parametrize(
    "name", ["context.json", "Context.JSON", "pre-run-info.json", "post-run-info.json", "stdout.txt", "steps-x.jsonl"]
)
@pytest.mark.parametrize("rule", [FileRule(copy=True), FileRule(move=True)])
def test_a_kept_file_never_takes_a_name_of_ours(tmp_path, name, rule):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / name).write_text("mine")
    kept = files.keep(rule, tmp_path / name, run).kept_as
    assert kept != name
    assert (run / kept).read_text() == "mine"


def test_a_moved_file_called_context_json_survives_the_run(project):
    import reprokit as rk

    (project.root / "context.json").write_text("mine")
    (project.root / "reprokit.toml").write_text('[capture.files]\n"context.json" = { move = true }\n')
    rk.monitor(lambda: None)()
    assert project.context()["files"]["context.json"]["kept_as"] == "context-2.json"
    assert (project.folders[-1] / "context-2.json").read_text() == "mine"


def test_a_folder_that_holds_the_run_folder_is_not_copied_into_it(tmp_path):
    run = tmp_path / "out" / "vault" / "run"
    run.mkdir(parents=True)
    with pytest.raises(OSError, match="holds the run folder"):
        files.keep(FileRule(copy=True), tmp_path / "out", run)
    assert not list(run.iterdir())


def test_a_link_that_is_moved_becomes_the_file_that_it_points_to(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "real.txt").write_text("x")
    link = tmp_path / "data" / "link.txt"
    link.symlink_to("real.txt")
    run = tmp_path / "run"
    run.mkdir()
    kept = files.keep(FileRule(move=True), link, run)
    assert (run / kept.kept_as).read_text() == "x"
    assert not (run / kept.kept_as).is_symlink()
    assert not link.is_symlink()
    assert (tmp_path / "data" / "real.txt").read_text() == "x"
