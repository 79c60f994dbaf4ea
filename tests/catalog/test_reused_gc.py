"""Results leave a vault with their runs, or because nobody used them; checking names what is wrong with them."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import shutil
import signal
from datetime import timedelta

import pytest
from filelock import FileLock

from reprokit.catalog import entries, scan
from reprokit.catalog.gc import plan, remove
from reprokit.catalog.verify import verify
from reprokit.errors import UnreadableVaultError
from reprokit.vault import reuse
from reprokit.vault.blobs import blob_path
from tests.catalog.reused_vaults import NOW, ReuseVault, aged, digest_of, id_of

LONG_AGO, LATELY = NOW - timedelta(days=50), NOW - timedelta(days=5)


@pytest.fixture
def made(tmp_path):
    return ReuseVault(tmp_path)


def keys_of(made):
    """The keys that have a result, and how many each."""
    found: dict[str, int] = {}
    for path in entries.files(made.vault):
        if not entries.is_lock(path):
            for line in entries.lines(path):
                found[line.entry.key] = found.get(line.entry.key, 0) + 1
    return found


def lost(made):
    return sorted(one.kind for one in verify(made.path).failures)


def collect(made, **policy):
    aged(made.vault)
    return remove(plan(made.path, **policy))


# --- removing --------------------------------------------------------------------------------------------------------


def test_without_a_policy_every_result_stays(made):
    made.computed("a", returned=made.returned("a"))
    made.computed("b", info={"refused": "it reads the clock"}, entry=False, returned=made.returned("b"))
    aged(made.vault)
    assert plan(made.path).is_empty


def test_a_run_that_goes_takes_its_results_with_it_and_no_others(made):
    kept = made.returned("shared")
    old = made.computed("a", started=LONG_AGO, returned=kept)
    made.computed("b", started=LONG_AGO, returned=made.returned("alone"))
    new = made.computed("a", started=LATELY, returned=kept)
    planned = plan(made.path, keep_last=1)
    assert sorted(len(one.lines) for one in planned.results) == [1, 1]
    done = collect(made, keep_last=1)
    assert (done.runs, done.results, done.blobs, done.left) == (2, 2, 1, [])
    assert not old.exists()
    assert keys_of(made) == {digest_of("a"): 1}
    (line,) = entries.lines(next(entries.files(made.vault)))
    assert line.entry.run_id == id_of(new)
    assert blob_path(made.vault.blobs, kept).exists()
    assert lost(made) == []
    assert plan(made.path, keep_last=1).is_empty


def test_the_results_of_child_runs_go_with_the_root_run(made):
    child = "c" * 32
    outer = made.run("outer", started=LONG_AGO, children=[{"run_id": child}])
    made.offer("a", child, outer)
    made.run("outer", started=LATELY)
    assert collect(made, keep_last=1).results == 1
    assert keys_of(made) == {}


def test_lines_whose_runs_are_gone_damaged_ones_empty_files_and_idle_locks_go(made):
    folder = made.computed("a")
    path = made.offer("a", "f" * 32, folder)
    with open(path, "ab") as stream:
        stream.write(b"\ntorn")
    other = made.offer("b", "e" * 32, folder)
    for name in ("empty.jsonl", "idle.jsonl.lock", "held.jsonl.lock"):
        (other.parent / name).touch()
    with open(f"{other}.lock", "wb"):
        pass
    with FileLock(other.parent / "held.jsonl.lock"):
        aged(made.vault)
        done = remove(plan(made.path))
    assert done.results == 3
    assert [one for one in done.left if "held" in one] == done.left
    assert keys_of(made) == {digest_of("a"): 1}
    assert sorted(os.listdir(other.parent)) == ["held.jsonl.lock"]
    aged(made.vault)
    remove(plan(made.path))
    assert os.listdir(other.parent) == []
    assert lost(made) == []


def test_what_was_written_a_moment_ago_stays(made):
    folder = made.computed("a")
    path = made.offer("b", "f" * 32, folder)  # a run that is being copied here
    (path.parent / "new.jsonl.lock").touch()
    assert plan(made.path).is_empty


def test_results_that_nobody_made_or_used_for_long_go_and_their_runs_stay(made):
    kept = {key: made.returned(key) for key in ("unused", "hit", "again", "new", "refused")}
    made.computed("unused", started=LONG_AGO, returned=kept["unused"])
    made.hit(made.computed("hit", started=LONG_AGO, returned=kept["hit"]), at=LATELY)
    made.again(made.computed("again", started=LONG_AGO, returned=kept["again"]), started=LATELY)
    made.computed("new", started=LATELY, returned=kept["new"])
    runs = len(scan.runs(made.path))
    done = collect(made, results_unused=30)
    assert (done.runs, done.results, done.blobs) == (0, 1, 2)
    assert sorted(keys_of(made)) == sorted(digest_of(key) for key in ("hit", "again", "new"))
    assert {key for key, digest in kept.items() if blob_path(made.vault.blobs, digest).exists()} == {
        "hit",
        "again",
        "new",
    }
    assert len(scan.runs(made.path)) == runs
    assert lost(made) == []
    assert [one.kind for one in verify(made.path).notes if one.kind == "blob missing"] == ["blob missing"]
    assert collect(made, results_unused=0.001).results == 3
    assert keys_of(made) == {}


def test_a_run_whose_result_a_kept_run_gave_stays(made):
    """Else nobody could tell, or repeat, what made the file."""
    original = made.computed("a", started=LONG_AGO)
    made.computed("b", started=LONG_AGO)
    made.again(original, started=LATELY)
    planned = plan(made.path, keep_last=1)
    assert len(planned.runs) == 1
    assert planned.kept["made what a kept run gave as its result"] == 1


def test_journals_that_tell_of_uses_stay_as_long_as_a_run_that_was_used(made):
    child = "c" * 32
    outer = made.run("outer", children=[{"run_id": child}])
    made.hit(outer, run_id=child, name=f"{os.uname().nodename}-4194000-00.jsonl")
    journal = made.path / "journal" / f"{os.uname().nodename}-4194000-00.jsonl"
    os.utime(journal, (1, 1))
    assert plan(made.path).is_empty
    shutil.rmtree(outer)
    assert [one.path for one in plan(made.path).files] == [f"journal/{journal.name}"]


def test_a_file_that_a_writer_holds_is_left_and_done_the_next_time(made):
    path = made.offer("a", "f" * 32, made.computed("a"))
    aged(made.vault)
    planned = plan(made.path)
    with FileLock(f"{path}.lock"):
        done = remove(planned)
    assert (done.results, len(done.left)) == (0, 1)
    assert keys_of(made) == {digest_of("a"): 2}
    aged(made.vault)
    assert remove(plan(made.path)).results == 1


def test_lines_of_a_newer_version_stay(made):
    path = made.offer("a", "f" * 32, made.computed("a"))
    line = path.read_bytes().split(b"\n")[-2][17:].replace(b"reprokit/reuse/1", b"reprokit/reuse/9")
    newer = reuse._checksum(line) + b" " + line
    path.write_bytes(path.read_bytes() + b"\n" + newer + b"\n")
    assert collect(made).results == 1
    assert newer in path.read_bytes()
    assert lost(made) == []


def test_results_that_cannot_be_read_forbid_removing(made):
    path = made.offer("a", "f" * 32, made.computed("a"))
    path.unlink()
    path.mkdir()
    with pytest.raises(UnreadableVaultError):
        plan(made.path, keep_last=0)


# --- writers meanwhile, kills ----------------------------------------------------------------------------------------


def _write(made, number):
    folder = made.computed(f"own {number}", entry=False)
    for _ in range(150):
        path = reuse.place(made.vault.reuse, digest_of("a"))
        with FileLock(f"{path}.lock"):
            made.offer("a", id_of(folder), folder)


def test_no_line_is_lost_while_others_write(made):
    made.computed("a")
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_write, args=(made, number)) for number in range(2)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        made.offer("a", "f" * 32, made.path / "runs" / "gone")
        remove(plan(made.path, grace=0.0))
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    path = reuse.place(made.vault.reuse, digest_of("a"))
    there = [line.entry.run_id for line in entries.lines(made.vault.reuse / path) if line.entry]
    assert len([run_id for run_id in there if run_id != "f" * 32]) == 301


def _killed_at(vault, number):
    """Remove in a forked process that kills itself right before its n-th change."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            left = [number]

            def killing(function):
                def call(*args, **kwargs):
                    left[0] -= 1
                    if left[0] < 0:
                        os.kill(os.getpid(), signal.SIGKILL)
                    return function(*args, **kwargs)

                return call

            for name in ("rename", "replace", "unlink", "rmdir", "write", "fsync"):
                setattr(os, name, killing(getattr(os, name)))
            remove(plan(vault, keep_last=1, results_unused=30))
        os._exit(0)
    return os.waitpid(child, 0)[1]


def test_a_kill_at_any_instant_tears_nothing_and_the_next_call_finishes(made, tmp_path):
    kept = made.returned("kept")
    made.computed("a", started=LONG_AGO, returned=made.returned("old"))
    made.computed("a", started=LATELY, returned=kept)
    made.computed("b", function="f.once", started=LONG_AGO, returned=made.returned("unused"))
    aged(made.vault)
    for number in range(200):
        copy = ReuseVault(shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-{number}", symlinks=True))
        status = _killed_at(copy.path, number)
        assert lost(copy) == [], number
        aged(copy.vault)
        remove(plan(copy.path, keep_last=1, results_unused=30))
        assert keys_of(copy) == {digest_of("a"): 1}, number
        assert lost(copy) == []
        assert [path.name for path in copy.vault.blobs.glob("*/*")] == [blob_path(copy.vault.blobs, kept).name]
        assert not list(copy.vault.reuse.rglob(".*"))
        shutil.rmtree(copy.root)
        if status == 0:
            break
    assert number > 5


# --- checking --------------------------------------------------------------------------------------------------------


def test_each_damaged_line_is_named_with_its_place(made):
    made.computed("a", started=LONG_AGO)
    path = made.offer("a", id_of(made.computed("a", entry=False)), made.path / "runs" / "x")
    whole = path.read_bytes()
    assert lost(made) == []
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        found = verify(made.path).failures
        assert [one.kind for one in found] == ["damaged"] * len(found), at
        assert found or whole[at : at + 1] == b"\n", at
        assert all(one.path.startswith(f"{path}:") for one in found)
    path.write_bytes(whole)


def test_a_result_at_the_wrong_place_is_named(made):
    path = made.offer("a", id_of(made.computed("a")), made.path / "runs" / "x")
    other = path.with_name("0" * 62 + ".jsonl")
    os.rename(path, other)
    assert lost(made) == ["damaged", "damaged"]
    assert collect(made).results == 2


def test_a_return_value_that_is_gone_or_changed_is_named(made):
    kept = made.returned("a")
    folder = made.computed("a", returned=kept)
    assert lost(made) == []
    place = blob_path(made.vault.blobs, kept)
    (place / "__init__.py").write_text("b")
    assert lost(made) == ["blob changed"]
    assert [one.kind for one in verify(made.path, id_of(folder)).failures] == ["blob changed"]
    shutil.rmtree(place)
    assert lost(made) == ["blob missing"]
    assert [one.kind for one in verify(made.path, id_of(folder)).failures] == ["blob missing"]


def test_a_line_without_its_run_is_a_leftover(made):
    made.offer("a", "f" * 32, made.computed("a"))
    report = verify(made.path)
    assert report.ok
    assert [one.run_id for one in report.notes if one.kind == "leftover"] == ["f" * 32]
