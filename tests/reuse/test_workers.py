"""Cached functions on workers: of process pools, Dask and Ray, sent with their code or found by their names."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import ship
from reprokit.catalog import scan
from reprokit.errors import WorkerError
from reprokit.recorder import project as projects
from tests.conftest import SOURCE
from tests.reuse.calls import lines, load, lock_files, logged, until

WORK = """
    import os, signal, time
    import reprokit as rk

    def note(text):
        with open("ROOT/log.txt", "a") as stream:
            stream.write(f"{text}\\n")

    @rk.cache
    def slow(x):
        note(x)
        while not os.path.exists("ROOT/go"):
            time.sleep(0.005)
        return x * 10

    @rk.cache
    def quick(x):
        note(x)
        return [x]

    @rk.cache
    async def patient(x):
        note(x)
        return x + 1

    @rk.cache
    def dies(x):
        note(x)
        if not os.path.exists("ROOT/died"):
            os.close(os.open("ROOT/died", os.O_WRONLY | os.O_CREAT | os.O_APPEND))
            os.kill(os.getpid(), signal.SIGKILL)
        return x * 10

    @rk.Artifact("out", config={"a": 1}, exists="reuse")
    def make(x, out):
        note(x)
        with open(out, "w") as stream:
            stream.write(str(x))
        return str(out)
"""
CLUSTER = """
    import sys
    from distributed import LocalCluster

    if __name__ == "__main__":
        with LocalCluster(n_workers=2, threads_per_worker=3, dashboard_address=None, silence_logs=False) as cluster:
            print(cluster.scheduler_address, flush=True)
            sys.stdin.read()
"""


@pytest.fixture
def work(project, monkeypatch):
    (project.root / ".gitignore").write_text("vault\n__pycache__\nlog.txt\ngo\ndied\nout*\n")
    module = load(project, monkeypatch, WORK.replace("ROOT", str(project.root)), "cached_work")
    project.commit_all()
    return module


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    """Give the address of a cluster of two processes, which stand elsewhere."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "cluster.py").write_text(textwrap.dedent(CLUSTER))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "cluster.py"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    address = process.stdout.readline().strip()
    assert address, (folder / "log").read_text()
    yield address, folder
    process.stdin.close()
    process.stdout.close()
    process.wait(30)


@pytest.fixture(scope="module")
def ray(tmp_path_factory):
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    module = pytest.importorskip("ray")
    folder = tempfile.mkdtemp(prefix="rk", dir="/tmp")  # sockets below it have short names only
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("ray")))
        patch.setenv("PYTHONPATH", str(SOURCE))
        module.init(
            num_cpus=3,
            object_store_memory=100 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=folder,
        )
    yield module
    module.shutdown()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["processes", "dask", "ray"])
def target(request, monkeypatch):
    """Give what `reprokit.ship.executor` takes, for each engine."""
    with contextlib.ExitStack() as stack:
        if request.param == "processes":
            spawn = multiprocessing.get_context("spawn")
            yield stack.enter_context(ProcessPoolExecutor(3, mp_context=spawn))
        elif request.param == "dask":
            address, folder = request.getfixturevalue("dask")
            monkeypatch.setenv("TMPDIR", str(folder))
            monkeypatch.setattr(tempfile, "tempdir", str(folder))
            client = stack.enter_context(importlib.import_module("distributed").Client(address))
            client.wait_for_workers(2, timeout=60)
            yield client
        else:
            request.getfixturevalue("ray")
            stack.enter_context(warnings.catch_warnings())
            warnings.filterwarnings("ignore", category=ResourceWarning)
            yield "ray"


def children(project):
    return scan.runs(project.vault)[0].children


def test_the_same_call_on_all_workers_is_computed_once_and_each_answer_is_recorded(project, work, target):
    with rk.run("sweep"), ship.executor(target) as ex:
        futures = [ex.submit(work.slow, 4) for _ in range(6)]
        until(logged)
        (project.root / "go").touch()
        assert [future.result() for future in futures] == [40] * 6
        assert ex.submit(work.patient, 1).result() == ex.submit(work.patient, 1).result() == 2
    assert logged() == ["4", "1"]
    assert len(lines(project)) == 2
    assert lock_files(project) == []
    found = [one for one in children(project) if one.begin.function.endswith("slow")]
    assert [one.status for one in found] == ["complete"] * 6
    (made,) = (one for one in found if not one.end.reused_from)
    assert {one.end.reused_from for one in found} == {None, made.begin.run_id}
    assert len({one.begin.closure_digest for one in found}) == 1
    shown = project.reprokit("show")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("slow") >= 6


def test_what_was_computed_here_is_known_there_and_the_other_way_round(project, work, target):
    assert work.quick(1) == [1]
    with ship.executor(target) as ex:
        assert ex.submit(work.quick, 1).result() == [1]
        assert ex.submit(work.quick, 2).result() == [2]
    assert work.quick(2) == [2]
    assert logged() == ["1", "2"]


def test_an_artifact_is_made_once(project, work, target):
    with ship.executor(target) as ex:
        made = {
            future.result() for future in [ex.submit(work.make, 7, str(project.root / "out.txt")) for _ in range(5)]
        }
        (path,) = made
        assert Path(path).read_text() == "7"
        assert f"-{project.commit}-" in path
    assert logged() == ["7"]
    project.commit_all()
    projects.current()._facts = None  # a new process
    again = work.make(7, "out.txt")
    assert f"-{project.commit}-" in again
    assert Path(again).read_text() == "7"
    assert logged() == ["7"]


def test_a_worker_that_is_killed_while_it_computes(project, work, target):
    """The others take over; the engine runs the lost task again, or says that it is lost."""
    with ship.executor(target) as ex:
        futures = [ex.submit(work.dies, 4) for _ in range(3)]
        for future in futures:
            try:
                assert future.result() == 40
            except (WorkerError, BrokenProcessPool):  # a pool of processes is lost with one of them
                assert isinstance(target, ProcessPoolExecutor)
    assert work.dies(4) == 40
    assert logged() in (["4", "4"], ["4"] * 3)
    assert len(lines(project)) >= 1
    assert lock_files(project) == []


def test_workers_of_a_plain_pool_compute_once(project, work):
    spawn = multiprocessing.get_context("spawn")
    with (
        rk.run("sweep"),
        ProcessPoolExecutor(3, mp_context=spawn, initializer=os.chdir, initargs=(project.root,)) as pool,
    ):
        futures = [pool.submit(work.slow, 4) for _ in range(6)]
        until(logged)
        (project.root / "go").touch()
        assert [future.result() for future in futures] == [40] * 6
    assert logged() == ["4"]
    assert lock_files(project) == []


def test_plain_tasks_of_dask_compute_once(project, work, dask):
    distributed = pytest.importorskip("distributed")
    source = textwrap.dedent(
        """
        import importlib, os, sys
        def task(root, number):
            os.chdir(root)
            root in sys.path or sys.path.insert(0, root)
            return importlib.import_module("cached_work").slow(4)
        """
    )
    space = {"__name__": "__main__"}
    exec(source, space)
    with distributed.Client(dask[0]) as client:
        client.wait_for_workers(2, timeout=60)
        futures = [client.submit(space["task"], str(project.root), number) for number in range(6)]
        until(logged)
        (project.root / "go").touch()
        assert client.gather(futures) == [40] * 6
        client.run(os.chdir, str(dask[1]))
        client.run(lambda root: (sys.path.remove(root), sys.modules.pop("cached_work")), str(project.root))
    assert logged() == ["4"]
    assert len(scan.runs(project.vault)) == 1
    assert lock_files(project) == []


def test_plain_tasks_of_ray_compute_once(project, work, ray):
    def task(root):
        import importlib
        import os
        import sys

        os.chdir(root)
        sys.path.insert(0, root)
        return importlib.import_module("cached_work").slow(4)

    task.__module__ = "__main__"
    remote = ray.remote(max_calls=1)(task)
    references = [remote.remote(str(project.root)) for _ in range(3)]
    until(logged)
    (project.root / "go").touch()
    assert ray.get(references) == [40] * 3
    assert logged() == ["4"]
    assert lock_files(project) == []


def test_a_worker_on_another_machine_computes(project, work, tmp_path):
    """The vault is not there: nothing is looked up, nothing kept, and it is no error."""
    assert work.quick(1) == [1]
    disk = tmp_path / "disk"
    disk.mkdir()
    with (
        rk.run("sweep"),
        ship.executor(ProcessPoolExecutor(1, initializer=_be_elsewhere, initargs=(str(disk),))) as ex,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        assert [ex.submit(work.quick, 1).result() for _ in range(2)] == [[1], [1]]
        written = ex.submit(work.make, 7, str(disk / "out.txt")).result()
        again = ex.submit(work.make, 7, str(disk / "out.txt")).result()
    assert written == again
    assert Path(written).read_text() == "7"
    assert logged() == ["1", "1", "1", "7", "7"]
    assert [one.status for one in children(project)] == ["complete"] * 4
    assert [one.name for one in disk.iterdir() if one.name.startswith("vault")] == []
    assert len(lines(project)) == 1


def _be_elsewhere(folder):
    from reprokit import process

    os.chdir(folder)
    process.machine = lambda: "another"
