"""The parts of watching files by themselves: remembered digests, what is left out, several digests at once, speed of doing nothing."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.capture import files
from reprokit.capture.opened import hook, known, logs
from reprokit.capture.opened.leave_out import LeaveOut
from reprokit.capture.opened.site import reprokit_adapters, reprokit_opened
from tests.conftest import SOURCE

LONG_AGO = (10**18, 10**18)


def large(path, byte=b"x", times=LONG_AGO):
    path.write_bytes(byte * known.LARGE)
    if times:
        os.utime(path, ns=times)
    return str(path)


def counting(monkeypatch):
    """Count how often a file is really read."""
    calls = []
    real = files.digest_file
    monkeypatch.setattr(files, "digest_file", lambda path: (calls.append(path), real(path))[1])
    return calls


# --- remembered digests ---------------------------------------------------------------------------------------------------


def test_another_process_need_not_read_a_large_input_again(tmp_path, monkeypatch):
    path = large(tmp_path / "in.bin")
    calls = counting(monkeypatch)
    first = known.Known(str(tmp_path / "cache" / "digests.txt")).digest(path)
    again = known.Known(str(tmp_path / "cache" / "digests.txt")).digest(path)
    assert first == again == (f"sha256:{hashlib.sha256(b'x' * known.LARGE).hexdigest()}", known.LARGE)
    assert calls == [path]


def test_the_digest_is_that_of_what_is_there(tmp_path, monkeypatch):
    """Whatever of path, size, mtime or inode differs, the file is read."""
    place = str(tmp_path / "digests.txt")
    path = Path(large(tmp_path / "in.bin"))
    known.Known(place).digest(str(path))
    expected = {}
    for change in ("mtime", "inode", "size", "path"):
        if change == "mtime":
            path.write_bytes(b"y" * known.LARGE)
            os.utime(path, ns=(10**18, 10**18 + 1))
        elif change == "inode":
            large(tmp_path / "other", b"z", (10**18, 10**18 + 1))
            os.replace(tmp_path / "other", path)
        elif change == "size":
            path.write_bytes(b"z" * (known.LARGE + 1))
            os.utime(path, ns=(10**18, 10**18 + 1))
        else:
            path = path.rename(tmp_path / "moved.bin")
        expected[change] = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
        assert known.Known(place).digest(str(path))[0] == expected[change], change


def test_a_file_that_was_just_written_is_not_remembered(tmp_path, monkeypatch):
    place = str(tmp_path / "digests.txt")
    path = large(tmp_path / "in.bin", times=None)
    calls = counting(monkeypatch)
    remembered = known.Known(place)
    remembered.digest(path)
    remembered.digest(path)
    assert len(calls) == 2


def test_small_files_are_not_looked_up(tmp_path):
    (tmp_path / "small").write_bytes(b"x")
    known.Known(str(tmp_path / "digests.txt")).digest(str(tmp_path / "small"))
    assert not (tmp_path / "digests.txt").exists()


def test_damage_at_every_byte_gives_the_right_digest(tmp_path):
    place = tmp_path / "digests.txt"
    path = large(tmp_path / "in.bin")
    right = known.Known(str(place)).digest(path)
    whole = place.read_bytes()
    for at in range(len(whole)):
        for damaged in (whole[:at], whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]):
            place.write_bytes(damaged)
            one = known.Known(str(place))
            one._lines = dict(one._read())
            found = [line for line in one._lines.values() if known._is_whole(line)]
            assert all(line[:97] in whole for line in found)
    place.write_bytes(whole[:50])
    assert known.Known(str(place)).digest(path) == right
    assert known.Known(str(place)).digest(path) == right
    assert place.read_bytes().endswith(whole)  # it heals behind what is torn


def test_without_a_cache_folder_digests_are_computed(tmp_path):
    (tmp_path / "file").write_text("x")
    path = large(tmp_path / "in.bin")
    assert known.Known(str(tmp_path / "file" / "digests.txt")).digest(path)[1] == known.LARGE


def test_it_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(known, "_LONGEST", 10)
    one = known.Known(str(tmp_path / "digests.txt"))
    one._lines = {}
    for number in range(50):
        one._remember(f"{number:032x}".encode(), "sha256:" + "0" * 64)
    assert len(list(known.Known(str(tmp_path / "digests.txt"))._read())) <= 11
    assert sorted(os.listdir(tmp_path)) == ["digests.txt"]


def _remember_many(place, start):
    one = known.Known(place)
    one._lines = {}
    for number in range(start, start + 200):
        one._remember(f"{number:032x}".encode(), "sha256:" + f"{number:064x}")


def test_many_processes_append_at_once(tmp_path):
    place = str(tmp_path / "digests.txt")
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_remember_many, args=(place, 200 * n)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    found = dict(known.Known(place)._read())
    assert len(found) == 800
    assert all(known._is_whole(line) for line in found.values())


# --- several digests at once ----------------------------------------------------------------------------------------------


def test_several_large_files_at_once_have_the_digests_that_they_have_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_LARGE", 1000)
    paths = []
    for number in range(6):
        (tmp_path / str(number)).write_bytes(bytes([number]) * (1000 + number))
        paths.append(str(tmp_path / str(number)))
    (tmp_path / "small").write_bytes(b"x")
    found = files.digest_ahead([*paths, str(tmp_path / "small"), str(tmp_path), str(tmp_path / "absent"), paths[0]])
    assert found == {path: files.digest_file(path) for path in paths}


def test_one_large_file_is_left_to_the_caller(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_LARGE", 1000)
    (tmp_path / "one").write_bytes(b"x" * 1000)
    assert files.digest_ahead([str(tmp_path / "one"), str(tmp_path / "one")]) == {}


def test_a_file_that_cannot_be_read_is_left_to_the_caller(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_LARGE", 1000)
    paths = [str(tmp_path / name) for name in ("a", "b", "c")]
    for path in paths:
        Path(path).write_bytes(b"x" * 1000)

    def digest(path):
        if path.endswith("b"):
            raise OSError(5, "broken on purpose")
        return files.digest_file(path)

    assert set(files.digest_ahead(paths, digest)) == {paths[0], paths[2]}


# --- what is left out -----------------------------------------------------------------------------------------------------


@pytest.fixture
def leave_out(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/scratch/tmp")
    return LeaveOut("/home/ada/project", ["/home/ada/project/vault"], ["/home/ada/project/named.txt"], [])


@pytest.mark.parametrize(
    "path",
    [
        "/scratch/tmp/x", "/home/ada/project/vault/runs/x", "/home/ada/project/named.txt", "/etc/hosts",
        "/home/ada/project/a/__pycache__/x.pyc", "/home/ada/project/.git/HEAD", "/home/ada/project/plot.png.run.json",
        "/home/ada/project/.env", "/home/ada/.ssh/id_rsa", "/usr/share/zoneinfo/UTC", "/home/ada/font.TTF",
        os.path.expanduser("~/.cache/matplotlib/fontlist-v330.json"),
    ],
)  # fmt: skip
def test_left_out(leave_out, path):
    assert leave_out(path)


@pytest.mark.parametrize(
    "path",
    [
        "/data/co2.csv", "/home/ada/project/data.csv", "/home/ada/project/.gitignore", "/scratch/tmpfile",
        "/home/ada/project/vaulted.csv", "/home/ada/project/named.txt2", "/home/ada/other/x.parquet",
        os.path.expanduser("~/.cache/huggingface/hub/model.safetensors"),
    ],
)  # fmt: skip
def test_counts(leave_out, path):
    assert not leave_out(path)


def test_a_project_in_a_temporary_folder_counts_and_what_lies_beside_it_does_not(monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", "/scratch/tmp")
    leave_out = LeaveOut("/scratch/tmp/project", [], [], [])
    assert not leave_out("/scratch/tmp/project/x.csv")
    assert leave_out("/scratch/tmp/project2/x.csv")
    monkeypatch.setattr(tempfile, "tempdir", "/scratch/tmp/project/tmp")
    assert LeaveOut("/scratch/tmp/project", [], [], [])("/scratch/tmp/project/tmp/x")


def test_files_in_a_named_folder_are_left_out(tmp_path):
    (tmp_path / "out").mkdir()
    leave_out = LeaveOut(str(tmp_path), [], [str(tmp_path / "out")], [])
    assert leave_out(str(tmp_path / "out" / "part.txt"))


def test_the_interpreters_folders_are_those_of_this_interpreter():
    outside = reprokit_opened.interpreter()
    assert os.__file__.startswith(outside)
    assert pytest.__file__.startswith(outside)
    assert not {"/", "/usr/", "/usr/local/", "//"} & set(outside)


# --- logs -----------------------------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(st.text(), st.integers(), st.none(), st.booleans(), st.lists(st.text(), max_size=2))))
def test_a_log_line_is_json_that_means_the_same(values):
    import json

    assert json.loads(reprokit_opened._json(values)) == values
    assert "\n" not in reprokit_opened._json(values)


@given(st.binary(min_size=1))
def test_a_path_of_any_bytes_survives_a_log(path):
    import json

    assert os.fsencode(json.loads(reprokit_opened._json(os.fsdecode(path)))) == path


@pytest.mark.parametrize(
    ("given_", "path", "reads"),
    [
        (":memory:", None, True), ("", None, True), ("file::memory:?cache=shared", None, True), ("a.db", "a.db", False),
        ("file:a%20b.db?mode=ro", "a b.db", True), ("file:///x/a.db?immutable=1", "/x/a.db", True),
        ("file://localhost/x/a.db", "/x/a.db", False), ("file:m?mode=memory", None, True), (b"a.db", "a.db", False),
        (Path("a.db"), "a.db", False),
    ],
)  # fmt: skip
def test_names_of_databases(given_, path, reads):
    found, flags = reprokit_opened.database(given_)
    assert found == path
    assert (flags & (os.O_WRONLY | os.O_RDWR) == 0) is reads


def test_the_variables_keep_the_path_that_was_there():
    given_ = {"PYTHONPATH": os.pathsep.join(("/a", "/b"))}
    once = logs.variables("/run/opened-", given_)
    twice = logs.variables("/run/opened-", once)
    assert once == twice
    assert once["PYTHONPATH"].split(os.pathsep)[1:] == ["/a", "/b"]


# --- adapters -------------------------------------------------------------------------------------------------------------


def test_a_class_that_cannot_be_changed_gets_a_stand_in_that_makes_the_same(monkeypatch):
    """As netCDF4.Dataset was before 1.7.4."""
    import pickle
    import types

    module = types.ModuleType("stood_in")
    module.Dataset = bytearray  # also a class in C
    monkeypatch.setitem(sys.modules, "stood_in", module)
    told = []
    reprokit_adapters._stand_in(module, "Dataset", lambda _, name: told.append(name))
    made = module.Dataset(b"x.nc")
    assert told == [b"x.nc"]
    assert type(made) is bytearray
    assert isinstance(made, module.Dataset)
    assert not isinstance(b"", module.Dataset)
    assert issubclass(bytearray, module.Dataset)
    assert pickle.loads(pickle.dumps(module.Dataset)) is module.Dataset

    class Mine(module.Dataset):
        pass

    assert type(Mine(b"y.nc")) is Mine
    assert not isinstance(made, Mine)
    assert told == [b"x.nc", b"y.nc"]


# --- the hook -------------------------------------------------------------------------------------------------------------


def test_no_hook_is_there_until_a_run_asks_and_then_only_one(tmp_path):
    script = """
import sys
added = []
real = sys.addaudithook
sys.addaudithook = lambda hook: (added.append(hook), real(hook))
import reprokit as rk
rk.monitor(lambda: None)()
assert not added
for _ in range(3):
    rk.monitor(files="auto")(lambda: None)()
assert len(added) == 1
"""
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, check=True, timeout=60)


def test_quiet_ends_with_its_function_also_after_an_error():
    @hook.quietly
    def inner():
        assert hook.is_quiet()
        raise KeyError

    with pytest.raises(KeyError):
        inner()
    assert not hook.is_quiet()


def test_what_a_command_loads_needs_nothing_but_the_standard_library():
    """It runs in interpreters that have no reprokit, without its site-packages."""
    site = Path(hook.__file__).parent / "site"
    code = "import reprokit_opened, reprokit_adapters, sys; print('reprokit' in sys.modules, 'typing' in sys.modules)"
    env = {"PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
