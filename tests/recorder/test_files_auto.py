"""Files that a run opens are recorded as used and generated, without being named."""

# ruff: noqa: SIM115 - what is opened matters here, not that it is closed

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import reprokit as rk
from reprokit.capture.opened import hook, known
from reprokit.errors import RecordingWarning
from tests.conftest import SOURCE


@pytest.fixture(autouse=True)
def _no_cache_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setattr(known, "_known", known.Known(str(tmp_path / "cache" / "digests.txt")))


def digest(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def seen(artifacts):
    """Give what was seen as {role: {path: digest}}, and make sure that nothing is told twice."""
    found = {"used": {}, "generated": {}}
    for one in artifacts:
        if one["seen"]:
            assert one["path"] not in found[one["role"]]
            found[one["role"]][one["path"]] = one["digest"]
    return found


def of_run(project, function, *args, index=-1):
    """Run a function with files="auto" and give what was seen."""
    rk.monitor(files="auto")(function)(*args)
    post = project.post(index)
    assert post["faults"] == []
    return seen(post["artifacts"])


def write(path, data):
    Path(path).write_bytes(data)
    os.utime(path, ns=(10**18, 10**18))  # long ago


# --- what the standard library opens ------------------------------------------------------------------------------------


def test_what_is_read_is_used_and_what_is_written_is_generated(project):
    write("in.txt", b"in")

    def work():
        assert not Path("absent.txt").exists()
        with pytest.raises(FileNotFoundError):
            open("absent.txt")
        Path("out.txt").write_text(Path("in.txt").read_text() * 2)
        Path("out.txt").read_text()

    assert of_run(project, work) == {"used": {"in.txt": digest(b"in")}, "generated": {"out.txt": digest(b"inin")}}


def test_without_it_nothing_is_seen(project):
    write("in.txt", b"in")
    rk.monitor(lambda: Path("in.txt").read_bytes())()
    assert project.post()["artifacts"] == []


def test_files_outside_the_project_count(project, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    write(tmp_path / "data.csv", b"x")

    def work():
        Path(tmp_path, "data.csv").read_bytes()
        with tempfile.NamedTemporaryFile() as stream:
            stream.write(b"y")
        Path(tempfile.mkdtemp(), "z").write_bytes(b"z")

    assert of_run(project, work) == {"used": {str(tmp_path / "data.csv"): digest(b"x")}, "generated": {}}


def test_a_file_under_another_name_is_generated_under_the_last(project):
    def work():
        for step in (os.rename, os.replace, shutil.move):
            Path("tmp.part").write_text(step.__name__)
            step("tmp.part", f"{step.__name__}.txt")
        Path("folder.tmp").mkdir()
        Path("folder.tmp", "deep.txt").write_text("deep")
        os.rename("folder.tmp", "folder")
        os.link("move.txt", "linked.txt")

    assert set(of_run(project, work)["generated"]) == {
        "rename.txt", "replace.txt", "move.txt", "folder/deep.txt", "linked.txt",
    }  # fmt: skip


def test_a_rename_that_fails_generates_nothing(project):
    write("there.txt", b"old")

    def work():
        with pytest.raises(FileNotFoundError):
            os.rename("absent", "there.txt")

    assert of_run(project, work) == {"used": {}, "generated": {}}


def test_a_write_that_is_refused_generates_nothing(project):
    write("there.txt", b"old")

    def work():
        with pytest.raises(FileExistsError):
            open("there.txt", "x")
        with pytest.raises(OSError):
            open("no folder/there.txt", "w")

    assert of_run(project, work) == {"used": {}, "generated": {}}


def test_what_is_removed_again_is_no_output(project):
    def work():
        Path("scratch.txt").write_text("x")
        os.remove("scratch.txt")

    assert of_run(project, work) == {"used": {}, "generated": {}}


def test_an_input_that_is_overwritten_has_the_digest_of_what_was_read(project):
    write("state.txt", b"old")

    def work():
        old = Path("state.txt").read_bytes()
        Path("state.txt").write_bytes(old + b" and new")

    found = of_run(project, work)
    assert found == {"used": {"state.txt": digest(b"old")}, "generated": {"state.txt": digest(b"old and new")}}


def test_an_input_that_is_replaced_by_rename_has_the_digest_of_what_was_read(project):
    write("state.txt", b"old")

    def work():
        Path("state.tmp").write_bytes(Path("state.txt").read_bytes() * 2)
        os.replace("state.tmp", "state.txt")

    found = of_run(project, work)
    assert found == {"used": {"state.txt": digest(b"old")}, "generated": {"state.txt": digest(b"oldold")}}


def test_an_input_that_is_removed_is_still_used(project):
    write("in.txt", b"in")

    def work():
        Path("in.txt").read_bytes()
        os.unlink("in.txt")

    assert of_run(project, work) == {"used": {"in.txt": digest(b"in")}, "generated": {}}


def test_appending_uses_what_was_there(project):
    write("log.txt", b"one")

    def work():
        with open("log.txt", "a") as stream:
            stream.write("two")
        with open("new.txt", "a") as stream:
            stream.write("first")

    found = of_run(project, work)
    assert found["used"] == {"log.txt": digest(b"one")}
    assert found["generated"] == {"log.txt": digest(b"onetwo"), "new.txt": digest(b"first")}


def test_opened_for_update_and_left_as_it_was_is_only_used(project):
    write("in.bin", b"in")

    def work():
        with open("in.bin", "r+b") as stream:
            stream.read()

    assert of_run(project, work) == {"used": {"in.bin": digest(b"in")}, "generated": {}}


def test_the_same_bytes_written_anew_are_generated(project):
    write("out.txt", b"same")
    assert of_run(project, lambda: Path("out.txt").write_bytes(b"same"))["generated"] == {"out.txt": digest(b"same")}


def test_truncated_by_path(project):
    write("in.bin", b"1234")
    found = of_run(project, lambda: os.truncate("in.bin", 2))
    assert found == {"used": {"in.bin": digest(b"1234")}, "generated": {"in.bin": digest(b"12")}}


def test_what_another_program_changes_is_said_and_not_guessed(project):
    write("in.txt", b"in")

    @rk.monitor(files="auto")
    def work():
        Path("in.txt").read_bytes()
        subprocess.run([sys.executable, "-c", "open('in.txt', 'w').write('other')"], check=True)
        return 7

    with pytest.warns(RecordingWarning, match=r"in\.txt: the digest of what was read is not known"):
        assert work() == 7
    (record,) = project.post()["artifacts"]
    assert (record["role"], record["digest"], record["size"]) == ("used", None, 2)


def test_relative_paths_mean_the_folder_of_that_moment(project):
    (project.root / "deep").mkdir()
    write("deep/in.txt", b"deep")

    def work():
        os.chdir("deep")
        Path("in.txt").read_bytes()
        Path("../out.txt").write_text("out")
        os.chdir("..")

    found = of_run(project, work)
    assert found == {"used": {"deep/in.txt": digest(b"deep")}, "generated": {"out.txt": digest(b"out")}}


def test_descriptors_pathlike_and_bytes(project):
    write("a.txt", b"a")
    write("b.txt", b"b")

    def work():
        descriptor = os.open(Path("a.txt"), os.O_RDONLY)
        with open(descriptor, "rb") as stream:
            stream.read()
        with open(b"b.txt", "rb") as stream:
            stream.read()
        with open("c.txt", "w", opener=lambda path, flags: os.open(path, flags)) as stream:
            stream.write("c")
        read, write_end = os.pipe()
        os.close(write_end)
        with open(read, "rb") as stream:
            stream.read()
        os.close(os.open(".", os.O_RDONLY))
        Path(os.devnull).write_text("x")

    found = of_run(project, work)
    assert found == {"used": {"a.txt": digest(b"a"), "b.txt": digest(b"b")}, "generated": {"c.txt": digest(b"c")}}


def test_hostile_names(project):
    names = [b"new\nline", b"odd-\xff", b"-rf", b'quo"te\\', "\u202ebidi\U0001f9ea".encode(), b"a" * 255]
    for name in names:
        Path(os.fsdecode(name)).write_bytes(name)

    def work():
        for name in names:
            with open(os.path.join(b".", name), "rb") as stream:
                stream.read()

    assert len(of_run(project, work)["used"]) == len(names)


def test_odd_arguments_are_refused_by_python_and_by_nobody_else(project):
    def work():
        for given in ("nul\0", object(), 1.5):
            with pytest.raises((ValueError, TypeError)):
                open(given)
        with pytest.raises(OSError):
            open("x" * 5000)
        sys.audit("open", "not", "three", "arguments")

    rk.monitor(files="auto")(work)
    work()


def test_code_the_vault_secrets_and_sidecars_are_left_out(project):
    (project.root / "later.py").write_text("X = 1")
    write(".env", b"TOKEN=1")
    (project.root / ".git" / "marker").write_text("x")
    script = """
import sys
sys.path.insert(0, ".")
import reprokit as rk
@rk.monitor(files="auto")
def work():
    import later, inspect, xml.dom.minidom
    inspect.getsource(later)
    open(".env").read(); open(".git/marker").read(); open("x.run.json", "w").close()
    open("in.txt").read()
work()
"""
    write("in.txt", b"in")
    project.python(script)
    assert seen(project.post()["artifacts"]) == {"used": {"in.txt": digest(b"in")}, "generated": {}}


def test_named_files_keep_their_record(project):
    write("in.txt", b"in")
    project.commit_all()

    @rk.Artifact("path", allow_dirty=True)
    @rk.monitor(files="auto")
    def work(path):
        rk.current().use("in.txt").read_bytes()
        Path(path).write_text("out")
        Path("extra.txt").write_text("more")

    work("out.txt")
    records = project.post()["artifacts"]
    assert [(one["role"], one["seen"]) for one in records] == [
        ("generated", False),
        ("used", False),
        ("generated", True),
    ]
    assert records[2]["path"] == "extra.txt"


# --- which run a file belongs to ------------------------------------------------------------------------------------------


def test_a_child_that_asks_has_its_own_and_the_root_has_the_rest(project):
    write("in.txt", b"in")

    @rk.monitor(files="auto")
    def child():
        Path("in.txt").read_bytes()
        Path("child.txt").write_text("child")

    @rk.monitor
    def unasking():
        Path("other.txt").write_text("other")

    def root():
        child()
        unasking()
        Path("child.txt").read_bytes()
        Path("root.txt").write_text("root")

    found = of_run(project, root)
    assert found == {
        "used": {"child.txt": digest(b"child")},
        "generated": {"other.txt": digest(b"other"), "root.txt": digest(b"root")},
    }
    (inner,) = [seen(one["artifacts"]) for one in project.steps() if one.get("artifacts")]
    assert inner == {"used": {"in.txt": digest(b"in")}, "generated": {"child.txt": digest(b"child")}}


def test_what_a_child_names_is_not_told_by_the_root_as_well(project):
    project.commit_all()

    @rk.Artifact("path", allow_dirty=True)
    def child(path):
        Path(path).write_text("x")

    found = of_run(project, lambda: child("out.txt"))
    assert found == {"used": {}, "generated": {}}


def test_a_child_that_overwrites_what_the_root_has_read(project):
    write("state.txt", b"old")

    @rk.monitor(files="auto")
    def child():
        Path("state.txt").write_text("new")

    def root():
        Path("state.txt").read_bytes()
        child()

    assert of_run(project, root)["used"] == {"state.txt": digest(b"old")}


def test_tasks_that_run_at_once_see_only_their_own(project):
    async def both():
        first, second = asyncio.Event(), asyncio.Event()

        @rk.monitor(files="auto")
        async def work(name, mine, other):
            mine.set()
            await other.wait()
            Path(f"{name}.txt").write_text(name)
            await asyncio.sleep(0)
            await asyncio.to_thread(Path(f"{name}-thread.txt").write_text, name)

        async def bystander():
            await first.wait()
            Path("bystander.txt").write_text("x")

        await asyncio.gather(work("one", first, second), work("two", second, first), bystander())

    asyncio.run(both())
    found = [seen(project.post(index)["artifacts"])["generated"] for index in (0, 1)]
    assert sorted(map(sorted, found)) == [["one-thread.txt", "one.txt"], ["two-thread.txt", "two.txt"]]


def test_generators_see_what_they_open_and_not_what_their_consumer_does(project):
    @rk.monitor(files="auto")
    def work():
        Path("first.txt").write_text("1")
        yield 1
        Path("second.txt").write_text("2")
        yield 2

    for number in work():
        Path(f"consumer{number}.txt").write_text("x")
    assert set(seen(project.post()["artifacts"])["generated"]) == {"first.txt", "second.txt"}


def test_async_generators(project):
    async def consume():
        @rk.monitor(files="auto")
        async def work():
            for number in range(2):
                Path(f"{number}.txt").write_text("x")
                yield number

        async for number in work():
            Path(f"consumer{number}.txt").write_text("x")

    asyncio.run(consume())
    assert set(seen(project.post()["artifacts"])["generated"]) == {"0.txt", "1.txt"}


def test_recursion(project):
    @rk.monitor(files="auto")
    def work(depth):
        Path(f"{depth}.txt").write_text("x")
        if depth:
            work(depth - 1)

    work(2)
    assert set(seen(project.post()["artifacts"])["generated"]) == {"2.txt"}
    inner = [sorted(seen(one["artifacts"])["generated"]) for one in project.steps() if one.get("artifacts")]
    assert inner == [["0.txt"], ["1.txt"]]


def test_threads_that_a_run_starts_belong_to_it(project):
    with ThreadPoolExecutor(1) as before:
        before.submit(int).result()

        def work():
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda n: Path(f"{n}.txt").write_text("x"), range(3)))
            inner = threading.Thread(target=lambda: _in_thread(lambda: Path("deep.txt").write_text("x")))
            inner.start()
            inner.join()
            before.submit(Path("stranger.txt").write_text, "x").result()

        assert set(of_run(project, work)["generated"]) == {"0.txt", "1.txt", "2.txt", "deep.txt"}


def _in_thread(act):
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_a_forked_process_tells_what_it_opens(project):
    write("in.txt", b"in")
    script = """
import os, multiprocessing, reprokit as rk
from pathlib import Path
def part(n):
    Path("in.txt").read_bytes()
    Path(f"{n}.txt").write_text("x")
@rk.monitor(files="auto")
def work():
    if os.fork() == 0:
        Path("forked.txt").write_text("x")
        os._exit(0)
    os.wait()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(part, range(3))
work()
"""
    project.python(script)
    found = seen(project.post()["artifacts"])
    assert found["used"] == {"in.txt": digest(b"in")}
    assert set(found["generated"]) == {"forked.txt", "0.txt", "1.txt", "2.txt"}
    assert not list(project.folders[-1].glob("opened-*"))


def test_runs_in_a_pool_of_processes_see_their_own(project):
    (project.root / "tasks.py").write_text(
        "import reprokit as rk\nfrom pathlib import Path\n"
        "@rk.monitor(files='auto')\ndef task(n):\n    Path(f'{n}.txt').write_text('x')\n    return n\n"
    )
    script = """
import reprokit as rk, reprokit.ship as ship, multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
import tasks
if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))
    with rk.run("sweep", files="auto"), ship.executor(pool) as ex:
        assert list(ex.map(tasks.task, range(3))) == [0, 1, 2]
        Path("driver.txt").write_text("x")
"""
    project.python(script)
    assert set(seen(project.post()["artifacts"])["generated"]) == {"driver.txt"}
    inner = [name for one in project.steps() if one.get("artifacts") for name in seen(one["artifacts"])["generated"]]
    assert sorted(inner) == ["0.txt", "1.txt", "2.txt"]


# --- endings and faults ---------------------------------------------------------------------------------------------------


def test_a_run_that_fails_still_tells_what_it_opened(project):
    write("in.txt", b"in")

    @rk.monitor(files="auto")
    def work():
        Path("in.txt").read_bytes()
        Path("half.txt").write_text("half")
        raise ValueError("late")

    with pytest.raises(ValueError, match="late"):
        work()
    post = project.post()
    assert post["status"] == "failed"
    assert seen(post["artifacts"]) == {"used": {"in.txt": digest(b"in")}, "generated": {"half.txt": digest(b"half")}}


def test_what_goes_wrong_in_the_hook_is_a_fault_and_never_the_programs(project, monkeypatch):
    monkeypatch.setattr(hook.Watch, "heard", len)  # which takes no two arguments

    @rk.monitor(files="auto")
    def work():
        Path("out.txt").write_text("x")
        return Path("out.txt").read_text()

    with pytest.warns(RecordingWarning, match=r"open: TypeError: len"):
        assert work() == "x"


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_an_exception_of_a_signal_handler_is_not_swallowed(project, monkeypatch):
    """Time limits raise out of whatever runs, the hook too."""

    def too_late(*_):
        raise TimeoutError("too late")

    monkeypatch.setattr(hook, "_mine", functools.partial(signal.raise_signal, signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, too_late)
    try:

        @rk.monitor(files="auto")
        def work():
            open("in.txt")

        with pytest.raises(TimeoutError):
            work()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_beyond_the_limit_the_record_says_so(project, monkeypatch):
    from reprokit.capture.opened.site import reprokit_opened

    monkeypatch.setattr(reprokit_opened, "LIMIT", 20)
    folder = project.root / "many"
    folder.mkdir()

    @rk.monitor(files="auto")
    def work():
        for n in range(100):  # made and removed: they don't count
            (folder / f"tmp{n}").write_text("x")
            (folder / f"tmp{n}").unlink()
        for n in range(21):
            (folder / f"{n:03}.txt").write_text("x")

    with pytest.warns(RecordingWarning, match="opened others"):
        work()
    assert len(project.post()["artifacts"]) == 20


@pytest.mark.slow
def test_ten_thousand_and_one(project):
    folder = project.root / "many"
    folder.mkdir()

    @rk.monitor(files="auto")
    def work():
        for n in range(10_001):
            (folder / f"{n}.txt").write_text("x")

    with pytest.warns(RecordingWarning, match="more than 10,000 files"):
        work()
    assert len(project.post()["artifacts"]) == 10_000


def test_files_is_auto_or_nothing():
    with pytest.raises(TypeError, match='files="auto"'):
        rk.monitor(files="all")


def test_the_settings_ask_for_all_runs(project):
    (project.root / "reprokit.toml").write_text('[monitor]\nfiles = "auto"\n')
    rk.monitor(lambda: Path("out.txt").write_text("x"))()
    assert set(seen(project.post()["artifacts"])["generated"]) == {"out.txt"}


def test_a_block(project):
    with rk.run("fit", files="auto"):
        Path("out.txt").write_text("x")
    assert set(seen(project.post()["artifacts"])["generated"]) == {"out.txt"}


# --- libraries ------------------------------------------------------------------------------------------------------------


def test_sqlite(project):
    with sqlite3.connect("read.db") as db:
        db.execute("CREATE TABLE t(x)")
    db.close()
    shutil.copy("read.db", "written.db")
    for name in ("read.db", "written.db"):
        os.utime(name, ns=(10**18, 10**18))
    before = digest(Path("read.db").read_bytes())

    def work():
        for name in ("file:read.db?mode=ro", "read.db"):
            db = sqlite3.connect(name, uri=True)
            db.execute("SELECT * FROM t").fetchall()
            db.close()
        sqlite3.connect(":memory:").close()
        for name in ("written.db", "new.db"):
            db = sqlite3.connect(name)
            db.execute("CREATE TABLE u(x)")
            db.commit()
            db.close()

    found = of_run(project, work)
    assert found["used"] == {"read.db": before, "written.db": before}
    assert set(found["generated"]) == {"written.db", "new.db"}


def test_numpy(project):
    np = pytest.importorskip("numpy")
    np.save("in.npy", np.arange(10.0))
    np.arange(10.0).tofile("map.bin")
    for name in ("in.npy", "map.bin"):
        os.utime(name, ns=(10**18, 10**18))
    before = digest(Path("map.bin").read_bytes())

    def work():
        np.load("in.npy", mmap_mode="r").sum()
        np.savez("out.npz", a=np.ones(3))
        np.savetxt("out.txt", np.ones(3))
        mapped = np.memmap("map.bin", mode="r+", dtype=float)
        mapped[:] = 7
        mapped.flush()

    found = of_run(project, work)
    assert found["used"] == {"in.npy": digest(Path("in.npy").read_bytes()), "map.bin": before}
    assert set(found["generated"]) == {"out.npz", "out.txt", "map.bin"}


def test_pandas(project):
    pd = pytest.importorskip("pandas")
    write("in.csv", b"a,b\n1,2\n")
    found = of_run(project, lambda: pd.read_csv("in.csv").to_csv("out.csv"))
    assert set(found["used"]) == {"in.csv"}
    assert set(found["generated"]) == {"out.csv"}


def test_h5py(project):
    h5py = pytest.importorskip("h5py")
    for name in ("in.h5", "both.h5"):
        with h5py.File(name, "w") as file:
            file["x"] = [1, 2]
        os.utime(name, ns=(10**18, 10**18))
    before = digest(Path("both.h5").read_bytes())

    def work():
        with h5py.File("in.h5") as file:
            assert file["x"][1] == 2
        with h5py.File(Path("both.h5"), "a") as file:
            file["y"] = 3
        with h5py.File("out.h5", "w") as file:
            file["z"] = 4
        with h5py.File("core.h5", "w", driver="core", backing_store=False) as file:
            file["z"] = 4
        with pytest.raises(OSError):
            h5py.File("absent.h5")

    found = of_run(project, work)
    assert found["used"] == {"in.h5": digest(Path("in.h5").read_bytes()), "both.h5": before}
    assert set(found["generated"]) == {"both.h5", "out.h5"}


def test_netcdf(project):
    netCDF4 = pytest.importorskip("netCDF4")
    netCDF4.Dataset("in.nc", "w").close()
    os.utime("in.nc", ns=(10**18, 10**18))

    def work():
        netCDF4.Dataset("in.nc").close()
        with netCDF4.Dataset("out.nc", mode="w") as file:
            file.createDimension("t", 3)

    found = of_run(project, work)
    assert set(found["used"]) == {"in.nc"}
    assert set(found["generated"]) == {"out.nc"}


def test_parquet(project):
    pa = pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    frame = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    for name in ("one.parquet", "two.parquet", "three.parquet", "four.parquet"):
        frame.to_parquet(name)
    frame.to_parquet("folder", partition_cols=["a"])

    def work():
        pd.read_parquet("one.parquet").to_parquet("pandas.parquet")
        pq.write_table(pq.read_table("two.parquet"), Path("arrow.parquet"))
        pq.ParquetFile("three.parquet").read()
        pq.read_table(f"file://{project.root}/four.parquet")
        ds.dataset("folder", format="parquet").to_table()
        pq.write_to_dataset(pa.table(frame), "made", partition_cols=["a"])

    found = of_run(project, work)
    parts = {str(path) for path in Path("folder").rglob("*.parquet")}
    assert set(found["used"]) == {"one.parquet", "two.parquet", "three.parquet", "four.parquet"} | parts
    made = {str(path) for path in Path("made").rglob("*.parquet")}
    assert len(made) == 2
    assert set(found["generated"]) == {"pandas.parquet", "arrow.parquet"} | made


def test_a_library_that_is_loaded_in_the_run_is_watched_and_stays_what_it_is(project):
    pytest.importorskip("h5py")
    script = """
import reprokit as rk, sys
@rk.monitor(files="auto")
def work():
    import h5py
    with h5py.File("out.h5", "w") as file:
        file["x"] = 1
work()
import h5py, pickle, inspect
assert pickle.loads(pickle.dumps(h5py.File)) is h5py.File
assert "swmr" in inspect.signature(h5py.File.__init__).parameters
assert type(h5py.__loader__).__name__ == "SourceFileLoader" and "exec_module" not in vars(h5py.__loader__)
h5py.File("later.h5", "w").close()
"""
    project.python(script)
    assert set(seen(project.post()["artifacts"])["generated"]) == {"out.h5"}


# --- commands -------------------------------------------------------------------------------------------------------------


def command(project, code, *python, check=True, **options):
    (project.root / "tool.py").write_text(code)
    done = project.reprokit("monitor", "--files", "auto", "--", *(python or (sys.executable,)), "tool.py", **options)
    assert not check or done.returncode == 0, done.stderr
    return done


def test_a_command_tells_what_its_interpreters_open(project):
    write("in.txt", b"in")
    code = """
import subprocess, sys, os, json, csv
with open("state.txt", "w") as s: s.write(open("in.txt").read())
open("gone.txt", "w").close(); os.remove("gone.txt")
os.rename("state.txt", "out.txt")
if len(sys.argv) < 2:
    subprocess.run(f"cd sub && {sys.executable} -c \\"open('../in.txt'); open('../inner.txt', 'w')\\"", shell=True, check=True)
    if os.fork() == 0:
        open("forked.txt", "w").close()
        os._exit(0)
    os.wait()
print(sys.path[0], "site" in os.path.basename(sys.path[1]))
"""
    (project.root / "sub").mkdir()
    done = command(project, code)
    post = project.post()
    found = seen(post["artifacts"])
    assert found["used"] == {"in.txt": digest(b"in")}
    assert set(found["generated"]) == {"out.txt", "inner.txt", "forked.txt"}
    assert post["faults"] == []
    assert done.stdout.split() == [str(project.root), "False"]
    assert not list(project.folders[-1].glob("opened-*"))


@pytest.mark.parametrize("end", ["sys.exit(3)", "raise ValueError", "os._exit(4)", "os.kill(os.getpid(), 9)"])
def test_a_command_tells_however_it_ends(project, end):
    done = command(project, f"import os, sys\nopen('odd\\n\\udcff.txt', 'w').close()\n{end}\n", check=False)
    assert done.returncode != 0
    assert list(seen(project.post()["artifacts"])["generated"]) == ["odd\n\\xff.txt"]


def test_a_command_that_leaves_the_environment_alone_cannot_be_seen_and_that_is_said(project):
    command(project, "open('out.txt', 'w').close()", sys.executable, "-I")
    assert project.post()["artifacts"] == []
    (fault,) = project.post()["faults"]
    assert "-I, -E or -S" in fault["error"]


def test_a_sitecustomize_of_the_user_still_runs(project):
    (project.root / "own").mkdir()
    (project.root / "own" / "sitecustomize.py").write_text("import builtins\nbuiltins.OWN = __file__\n")
    path = os.pathsep.join((str(SOURCE), str(project.root / "own")))
    code = "import sys\nassert OWN == sys.modules['sitecustomize'].__file__\nopen('out.txt', 'w').write(OWN)\n"
    command(project, code, env={"PYTHONPATH": path})
    assert (project.root / "out.txt").read_text() == str(project.root / "own" / "sitecustomize.py")
    assert "out.txt" in seen(project.post()["artifacts"])["generated"]


def test_runs_inside_a_command_keep_their_own_files(project):
    code = """
import reprokit as rk
from pathlib import Path
@rk.monitor(files="auto")
def work():
    Path("run.txt").write_text("x")
@rk.Artifact("path", allow_dirty=True)
def named(path):
    Path(path).write_text("x")
work()
named("plot.txt")
Path("command.txt").write_text("x")
"""
    command(project, code)
    assert seen(project.post()["artifacts"]) == {"used": {}, "generated": {"command.txt": digest(b"x")}}


def test_a_command_with_a_library_that_bypasses_open(project):
    pytest.importorskip("h5py")
    command(project, "import h5py\nwith h5py.File('out.h5', 'w') as file: file['x'] = 1\n")
    assert set(seen(project.post()["artifacts"])["generated"]) == {"out.h5"}


OTHERS = sorted(Path("~/.pyenv/versions").expanduser().glob("3.*/bin/python"))


@pytest.mark.parametrize("python", [str(path) for path in OTHERS if int(path.parts[-3].split(".")[1]) >= 8], ids=str)
def test_interpreters_of_other_versions_tell_too(project, python):
    code = "open('out.txt', 'w').write('x')\nimport sqlite3; sqlite3.connect('out.db').execute('CREATE TABLE t(x)')\n"
    command(project, code, python)
    assert set(seen(project.post()["artifacts"])["generated"]) == {"out.txt", "out.db"}
    assert project.post()["faults"] == []


def test_nothing_of_it_breaks_a_command(project):
    """Without a folder to write in, the program runs as it would."""
    site = Path(hook.__file__).parent / "site"
    env = {**os.environ, "PYTHONPATH": str(site), "REPROKIT_OPENED": str(project.root / "absent" / "opened-")}
    code = "open('out.txt', 'w').write('x'); print(open('out.txt').read())"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("x\n", "")


def test_a_damaged_log_is_a_fault_and_the_rest_counts(project):
    write("in.txt", b"in")
    code = """
import os
open("in.txt").read()
begin = os.environ["REPROKIT_OPENED"]
with open(begin + "x.jsonl", "w") as log:
    log.write('{"no": "list"}\\n[1, "written"]\\n[1, "written", "/x", 1]\\n[' + "[" * 5000 + "\\n" + '[5, "read", "torn')
"""
    command(project, code)
    assert seen(project.post()["artifacts"])["used"] == {"in.txt": digest(b"in")}
    assert len(project.post()["faults"]) == 4
    assert json.dumps(project.post()["faults"]).count("damaged") == 3
