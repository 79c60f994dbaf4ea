"""Tasks on a Dask cluster: an executor over a client, and plain clients that were extended.

The cluster's processes stand in a folder that holds an older ``pack``; the driver's projects are elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import ship
from reprokit.catalog import scan
from reprokit.errors import ShipError, UnshippableError, WorkerError

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")

SOURCE = Path(__file__).parent.parent.parent

CLUSTER = """
import sys

from distributed import LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=int(sys.argv[1]), threads_per_worker=1, dashboard_address=None, silence_logs=False) as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""

OLD = "def version():\n    return 'old'\n"

PACKAGE = {
    "pack/__init__.py": "def version():\n    return 'new'\n",
    "pack/numbers.py": """
        import os
        import signal
        import time
        from dataclasses import dataclass
        from pack.table import FACTOR

        @dataclass
        class Point:
            x: int

            def up(self, y):
                from pack import late
                return self.x + y + late.SHIFT

        def scale(x):
            from pack import late
            return FACTOR * x + late.SHIFT

        def where():
            import pack
            return __name__, __file__, pack.version()

        def process():
            return os.getpid()

        def point(x):
            return Point(x)

        def x_of(point):
            assert isinstance(point, Point)
            return point.x

        def total(nested):
            return sum(nested["all"]) + nested["deep"]["one"]

        def data():
            import importlib.resources
            return importlib.resources.files("pack").joinpath("data.txt").read_text()

        def fail(x):
            raise ValueError(f"no {x}")

        def rest(seconds):
            time.sleep(seconds)
            return seconds

        def mark(path, release):
            open(path, "w").close()
            while not os.path.exists(release):
                time.sleep(0.01)

        def die():
            os.kill(os.getpid(), signal.SIGKILL)

        def die_once(x, path):
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                return x
            die()
    """,
    "pack/table.py": "FACTOR = 10\n",
    "pack/late.py": "SHIFT = 1\n",
    "pack/broken.py": "x = 1\ny = x / 0  # cannot work\n",
    "pack/fine.py": "def go():\n    from pack import broken\n    return broken\n",
    "pack/data.txt": "held\n",
    ".gitignore": "vault\n",
}


class Cluster:
    """Processes that know nothing of the driver: a scheduler, workers, and nannies that start workers anew."""

    def __init__(self, folder, workers=2, path=SOURCE):
        self.folder = folder
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        (folder / "pack").mkdir()
        (folder / "pack" / "__init__.py").write_text(OLD)
        (folder / "cluster.py").write_text(CLUSTER)
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "cluster.py", str(workers)],
                cwd=folder,
                env=environment(self.temporary, path),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.address = self._process.stdout.readline().strip()
        assert self.address, (folder / "log").read_text()

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


def environment(temporary, path=SOURCE):
    return {**os.environ, "PYTHONPATH": str(path), "TMPDIR": str(temporary)}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _own_temporary_folder(cluster, monkeypatch):
    """The driver shares the workers' machine, and so their temporary folder."""
    use_temporary_folder(monkeypatch, cluster.temporary)


def use_temporary_folder(monkeypatch, folder):
    import tempfile

    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster.address) as made:
        made.wait_for_workers(2, timeout=90)  # those that a test before has killed are started anew
        yield made


@pytest.fixture
def project(make_project):
    return make_project(PACKAGE).enter()


@pytest.fixture
def extended():
    """Dask is taken back what it was taught when the test ends."""
    yield ship.extend_dask
    ship.extend_dask(undo=True)


def children(project):
    return scan.runs(project.root / "vault")[0].children


def until(told, seconds=30.0):
    end = time.monotonic() + seconds
    while not told():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def scheduler_keys(dask_scheduler):
    return [str(key) for key in dask_scheduler.tasks]


def scheduler_plugins(dask_scheduler):
    return list(dask_scheduler.worker_plugins)


def cargo_of_executors(name):
    return name.startswith("reprokit-") and ("-bundle-" in name or "-manifest-" in name) and "-extend-" not in name


# --- the executor: what runs -------------------------------------------------------------------------------------------


def test_workers_run_the_drivers_code_and_their_own_older_copy_stays_as_it_is(project, client):
    def own_copy():
        import pack

        return pack.version(), pack.__name__

    numbers = project.load("pack.numbers")
    with ship.executor(client) as ex:
        assert list(ex.map(numbers.scale, range(5))) == [1, 11, 21, 31, 41]
        name, file, version = ex.submit(numbers.where).result()
        assert ex.submit(numbers.data).result() == "held\n"
    assert name.startswith("_reprokit_")
    assert not file.startswith(str(project.root))
    assert version == "new"
    assert set(client.run(own_copy).values()) == {("old", "pack")}


def test_each_task_is_a_child_run_with_the_digest_of_the_code_that_ran(project, client):
    numbers = project.load("pack.numbers")
    with rk.run("sweep") as ctx, ship.executor(client) as ex:
        assert ex.submit(numbers.scale, 4).result() == 41
        with pytest.raises(ValueError, match="no 7"):
            ex.submit(numbers.fail, 7).result()
    good, bad = sorted(children(project), key=lambda child: child.begin.function, reverse=True)
    assert good.begin.parent_id == bad.begin.parent_id == ctx.run_id
    assert (good.status, bad.status) == ("complete", "failed")
    assert good.begin.args == [4]
    assert good.begin.process.pid != os.getpid()
    assert good.begin.bundle.startswith("sha256:")
    assert good.begin.bundle == bad.begin.bundle


def test_records_and_artifacts_of_workers_come_back(make_project, client):
    project = make_project(
        {
            "pack/__init__.py": "",
            "pack/work.py": """
                import reprokit as rk

                def task(x):
                    rk.current().record("x", x)

                @rk.monitor
                @rk.Artifact("path", config={"a": 1})
                def write(path, text):
                    with open(path, "w") as stream:
                        stream.write(text)
                    return str(path)
            """,
            ".gitignore": "vault\n*.txt*\n",
        }
    ).enter()
    work = project.load("pack.work")
    with ship.executor(client) as ex:
        ex.submit(work.task, 5).result()
        written = ex.submit(work.write, str(project.root / "out.txt"), text="hello").result()
    found = {child.begin.function: child for child in children(project)}
    assert found["pack.work.task"].end.values == {"x": 5}
    assert Path(written).read_text() == "hello"
    assert found["pack.work.write"].end.artifacts[0].role == "generated"


def test_results_of_local_classes_are_the_drivers_own(project, client):
    numbers = project.load("pack.numbers")
    with ship.executor(client) as ex:
        assert type(ex.submit(numbers.point, 3).result()) is numbers.Point


def test_futures_of_the_client_are_put_in_place_at_any_depth(project, client):
    numbers = project.load("pack.numbers")
    one, two = client.scatter(5), client.submit(abs, -7)
    with ship.executor(client) as ex:
        assert ex.submit(numbers.scale, two).result() == 71
        assert ex.submit(numbers.total, {"all": [one, two, 1], "deep": {"one": one}}).result() == 18
        assert ex.submit(numbers.scale, ex.submit(numbers.scale, 1)).result() == 111
        done = ex.submit(numbers.scale, 2)
        done.result()
        assert ex.submit(numbers.scale, done).result() == 211


def test_a_future_of_another_client_is_refused(project, client, cluster):
    numbers = project.load("pack.numbers")
    with distributed.Client(cluster.address, set_as_default=False) as other, ship.executor(client) as ex:
        with pytest.raises(UnshippableError, match="another Dask client"):
            ex.submit(numbers.scale, other.scatter(1))


def test_each_task_runs_what_was_submitted_though_the_package_is_edited(project, client):
    numbers = project.load("pack.numbers")
    with ship.executor(client) as ex:
        first = [ex.submit(numbers.scale, 1) for _ in range(4)]
        project.write({"pack/table.py": "FACTOR = 1000\n"})
        project.forget()
        again = project.load("pack.numbers")
        second = [ex.submit(again.scale, 1) for _ in range(4)]
        assert {future.result() for future in first} == {11}
        assert {future.result() for future in second} == {1001}
    assert len({child.begin.bundle for child in children(project)}) == 2


def test_a_task_that_submits_tasks_does_not_wait_for_its_own_slot(make_project, client):
    project = make_project(
        {
            "pack/__init__.py": "",
            "pack/nested.py": """
                from distributed import get_client
                import reprokit.ship as ship

                def half(x):
                    from pack import late
                    return x / late.TWO

                def both(x):
                    with ship.executor(get_client()) as ex:
                        return sum(ex.map(half, [x, x]))
            """,
            "pack/late.py": "TWO = 2\n",
            ".gitignore": "vault\n",
        }
    ).enter()
    nested = project.load("pack.nested")
    with ship.executor(client) as ex:
        assert list(ex.map(nested.both, range(4), timeout=60)) == [0, 1, 2, 3]  # twice as many as there are slots
    by_name = {}
    for child in children(project):
        by_name.setdefault(child.begin.function, []).append(child)
    assert len(by_name["pack.nested.both"]) == 4
    halves = by_name["pack.nested.half"]
    assert len(halves) == 8
    assert {half.begin.parent_id for half in halves} == {both.begin.run_id for both in by_name["pack.nested.both"]}


def test_an_import_error_on_the_worker_shows_the_packages_own_lines(project, client):
    fine = project.load("pack.fine")
    with ship.executor(client) as ex:
        error = ex.submit(fine.go).exception()
    assert isinstance(error, ZeroDivisionError)
    assert "y = x / 0  # cannot work" in str(error.__cause__)


def test_unpicklable_arguments_are_named(project, client):
    import threading

    numbers = project.load("pack.numbers")
    with ship.executor(client) as ex, pytest.raises(UnshippableError, match="lock"):
        ex.submit(numbers.scale, {"lock": threading.Lock()})


DRIVER = """
    import sys
    from distributed import Client
    from reprokit import ship
    from tool import number

    with Client(sys.argv[1]) as client, ship.executor(client, record=False) as ex:
        print(sum(ex.map(number, range(50))))
"""


def test_two_projects_with_a_package_of_the_same_name_use_one_worker_at_once(make_project, cluster):
    texts = {"one": "def number(x):\n    from tool import late\n    return late.N\n", "two": None}
    running = []
    for name, n in (("one", 1), ("two", 2)):
        project = make_project({"tool/__init__.py": texts["one"], "tool/late.py": f"N = {n}\n"}, name=name)
        (project.root / "script.py").write_text(textwrap.dedent(DRIVER))
        running.append(
            subprocess.Popen(
                [sys.executable, "script.py", cluster.address],
                cwd=project.root,
                env=environment(cluster.temporary),
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    assert [process.communicate(timeout=60)[0].strip() for process in running] == ["50", "100"]


# --- the executor: cargo -----------------------------------------------------------------------------------------------


def test_cargo_is_delivered_once_and_taken_back_at_the_end_and_the_client_stays_open(project, client):
    assert not any(map(cargo_of_executors, client.run_on_scheduler(scheduler_plugins)))  # left by other tests
    numbers = project.load("pack.numbers")
    with ship.executor(client) as ex:
        ex.submit(numbers.scale, 1).result()
        delivered = list(filter(cargo_of_executors, client.run_on_scheduler(scheduler_plugins)))
        ex.submit(numbers.scale, 2).result()
        assert list(filter(cargo_of_executors, client.run_on_scheduler(scheduler_plugins))) == delivered
        assert ["bundle" in name for name in sorted(delivered)] == [True, False]
    assert not any(map(cargo_of_executors, client.run_on_scheduler(scheduler_plugins)))
    assert client.submit(abs, -1).result() == 1


def test_a_worker_that_starts_later_has_the_bundle_before_any_task(project, client):
    def known(digest):
        from reprokit.code.bundles import store

        return store.has(digest)

    numbers = project.load("pack.numbers")
    with ship.executor(client) as ex:
        assert ex.submit(numbers.scale, 1).result() == 11
        before = set(client.scheduler_info()["workers"])
        with contextlib.suppress(distributed.KilledWorker):
            ex.submit(numbers.die).result()
        until(lambda: len(set(client.scheduler_info()["workers"]) - before) == 2, 30)
        (digest,) = {child.begin.bundle.partition(":")[2] for child in children(project)}
        new = [address for address in client.scheduler_info()["workers"] if address not in before]
        assert all(client.run(known, digest, workers=new).values())


def test_a_worker_without_reprokit_is_told_of_and_lives_on(project, tmp_path):
    (tmp_path / "bare").mkdir()
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] == 'reprokit':\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, No())\n"
    )
    bare = Cluster(tmp_path / "bare", 1, blocked)
    numbers = project.load("pack.numbers")
    try:
        with distributed.Client(bare.address) as client:
            pid = client.run(os.getpid)
            with ship.executor(client) as ex, pytest.raises(WorkerError, match=r"tcp://.*install reprokit"):
                ex.submit(numbers.scale, 1)
            assert client.run(os.getpid) == pid
            assert client.submit(abs, -1).result() == 1
            with ship.executor(client, workers=list(pid)) as ex:  # then only a task that comes there tells
                with pytest.raises(WorkerError, match="install reprokit"):
                    ex.submit(numbers.scale, 1).result()
            assert client.run(os.getpid) == pid
    finally:
        bare.close()


# --- the executor: faults ----------------------------------------------------------------------------------------------


def test_a_killed_worker_leaves_one_interrupted_child_and_the_retry_is_another(project, client, tmp_path):
    numbers = project.load("pack.numbers")
    flag = str(tmp_path / "flag")
    with ship.executor(client) as ex:
        assert list(ex.map(numbers.die_once, range(8), [flag] * 8)) == list(range(8))
    found = children(project)
    (lost,) = [child for child in found if child.status == "interrupted"]
    assert len([child for child in found if child.status == "complete"]) == 8
    assert "the Dask worker tcp://" in lost.end.reason
    assert "died while it ran the task" in lost.end.reason


def test_notes_of_another_machine_are_read_by_a_worker_there(project, client, tmp_path, monkeypatch):
    use_temporary_folder(monkeypatch, tmp_path)  # so that the driver cannot see them itself
    numbers = project.load("pack.numbers")
    with ship.executor(client) as ex:
        assert list(ex.map(numbers.die_once, range(4), [str(tmp_path / "flag")] * 4)) == list(range(4))
    (lost,) = [child for child in children(project) if child.status == "interrupted"]
    assert "died while it ran the task" in lost.end.reason


def test_a_task_that_kills_each_worker_fails_and_each_attempt_is_recorded(project, client):
    numbers = project.load("pack.numbers")
    with ship.executor(client) as ex:
        error = ex.submit(numbers.die).exception(60)
    assert isinstance(error, distributed.KilledWorker)
    assert [child.status for child in children(project)] == ["interrupted"] * 4


def test_a_task_that_waits_can_be_called_off_and_one_that_runs_cannot(project, client, tmp_path):
    numbers = project.load("pack.numbers")
    release = str(tmp_path / "release")
    with ship.executor(client) as ex:
        running = [ex.submit(numbers.mark, str(tmp_path / f"runs{i}"), release) for i in range(2)]
        waiting = [ex.submit(numbers.mark, str(tmp_path / f"waits{i}"), release) for i in range(6)]
        until(lambda: len(list(tmp_path.glob("runs*"))) == 2)
        assert [future.cancel() for future in running] == [False, False]
        assert all(future.cancel() for future in waiting)
        assert all(future.cancelled() for future in waiting)
        time.sleep(0.3)  # until the workers have heard of it
        Path(release).touch()
        assert [future.result() for future in running] == [None, None]
    assert not list(tmp_path.glob("waits*"))
    assert [child.status for child in children(project)] == ["complete"] * 2


def test_a_restart_of_the_cluster_fails_its_tasks_and_later_ones_work(project, tmp_path):
    (tmp_path / "own").mkdir()
    own = Cluster(tmp_path / "own")
    numbers = project.load("pack.numbers")
    try:
        with distributed.Client(own.address) as client, ship.executor(client) as ex:
            future = ex.submit(numbers.rest, 30)
            until(lambda: client.run_on_scheduler(scheduler_keys))
            client.restart(wait_for_workers=False)
            assert isinstance(future.exception(30), WorkerError)
            assert re.search("restarted|dropped", str(future.exception()))  # older versions of Dask give no reason
            assert ex.submit(numbers.scale, 1).result(60) == 11
    finally:
        own.close()
    assert "interrupted" in {child.status for child in children(project)}


def test_tasks_do_not_hang_when_the_client_is_closed(project, cluster):
    numbers = project.load("pack.numbers")
    client = distributed.Client(cluster.address)
    ex = ship.executor(client)
    future = ex.submit(numbers.rest, 1)
    client.close()
    assert isinstance(future.exception(20), WorkerError)
    with pytest.raises(WorkerError, match="closed"):
        ex.submit(numbers.scale, 1)
    ex.shutdown()


INTERRUPTED = """
    import sys, threading, time
    from distributed import Client
    from reprokit import ship
    from pack.numbers import mark, rest

    client = Client(sys.argv[1])
    with ship.executor(client) as ex:
        futures = [ex.submit(mark, sys.argv[2], sys.argv[3])] + [ex.submit(rest, 0.5) for _ in range(50)]
        [future.result() for future in futures]
"""


def test_an_interrupted_driver_leaves_no_tasks_behind(project, client, cluster, tmp_path):
    (project.root / "script.py").write_text(textwrap.dedent(INTERRUPTED))
    flag = tmp_path / "begun"
    driver = subprocess.Popen(
        [sys.executable, "script.py", cluster.address, str(flag), str(tmp_path / "release")],
        cwd=project.root,
        env=environment(cluster.temporary),
        stderr=subprocess.PIPE,
        text=True,
    )
    until(flag.exists, 30)
    driver.send_signal(signal.SIGINT)
    told = driver.communicate(timeout=30)[1]
    (tmp_path / "release").touch()
    assert driver.returncode != 0
    assert "KeyboardInterrupt" in told
    until(lambda: not [key for key in client.run_on_scheduler(scheduler_keys) if "mark" in key or "rest" in key])
    (run,) = scan.runs(project.root / "vault")
    assert run.status == "interrupted"
    assert "interrupted" in {child.status for child in run.children}


class Apart:
    """A scheduler that can be killed, and a worker with a nanny, each on its own."""

    def __init__(self, folder, port):
        self.address = f"tcp://127.0.0.1:{port}"
        self._folder, self._port = folder, port
        self.scheduler = self._start("distributed.cli.dask_scheduler", "--port", str(port), "--no-dashboard")
        self.worker = self._start("distributed.cli.dask_worker", self.address, "--nthreads", "1", "--no-dashboard")

    def _start(self, module, *args):
        with (self._folder / "log").open("a") as log:
            return subprocess.Popen(
                [sys.executable, "-m", module, *args],
                cwd=self._folder,
                env=environment(self._folder),
                stdout=log,
                stderr=log,
            )

    def kill_scheduler(self):
        self.scheduler.kill()
        self.scheduler.wait()

    def start_again(self):
        self.__init__(self._folder, self._port)

    def close(self):
        for process in (self.worker, self.scheduler):
            process.terminate()
            process.wait(20)


@pytest.mark.slow
def test_another_scheduler_on_the_same_port_takes_over(project, tmp_path):
    """Slow: the client and the workers take seconds to notice.  `test_a_restart_of_the_cluster...` is the short form."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    apart = Apart(tmp_path, port)
    numbers = project.load("pack.numbers")
    try:
        with distributed.Client(apart.address, timeout=30) as client:
            client.wait_for_workers(1, timeout=30)
            with ship.executor(client) as ex:
                assert ex.submit(numbers.scale, 1).result(30) == 11
                future = ex.submit(numbers.rest, 60)
                time.sleep(0.3)
                apart.kill_scheduler()
                error = future.exception(30)
                assert isinstance(error, WorkerError)
                assert "scheduler" in str(error)
                apart.worker.terminate()
                apart.worker.wait(30)
                apart.start_again()
                client.wait_for_workers(1, timeout=60)
                assert ex.submit(numbers.scale, 2).result(60) == 21
    finally:
        apart.close()


def test_an_asynchronous_client_is_refused(project, cluster):
    async def attempt():
        async with distributed.Client(cluster.address, asynchronous=True) as client:
            with pytest.raises(ShipError, match="asynchronous=False"):
                ship.executor(client)

    asyncio.run(attempt())


def test_options_are_those_of_submit(project, client):
    numbers = project.load("pack.numbers")
    worker = next(iter(client.scheduler_info()["workers"]))
    (pid,) = client.run(os.getpid, workers=[worker]).values()
    with ship.executor(client, workers=[worker], record=False) as ex:
        assert {ex.submit(numbers.process).result() for _ in range(6)} == {pid}
    with pytest.raises(TypeError, match="speed"):
        ship.executor(client, speed=3)


def test_a_thousand_tasks_are_answered_once_each(project, client):
    numbers = project.load("pack.numbers")
    answers = []
    with ship.executor(client) as ex:
        futures = [ex.submit(numbers.scale, i) for i in range(1000)]
        for future in futures:
            future.add_done_callback(answers.append)
        assert [future.result() for future in futures] == [10 * i + 1 for i in range(1000)]
    assert len(answers) == len({id(future) for future in answers}) == 1000
    assert len(children(project)) == 1000


# --- plain Dask, extended ----------------------------------------------------------------------------------------------


def test_plain_submit_map_compute_and_delayed_carry_local_functions(project, client, extended):
    import dask.bag

    numbers = project.load("pack.numbers")
    extended()
    assert client.submit(numbers.scale, 1).result() == 11
    assert client.gather(client.map(numbers.scale, range(3))) == [1, 11, 21]
    assert dask.delayed(numbers.scale)(dask.delayed(numbers.scale)(1)).compute() == 111
    assert dask.bag.from_sequence(range(3), npartitions=2).map(numbers.scale).compute() == [1, 11, 21]
    assert set(client.run(numbers.scale, 2).values()) == {21}
    name, file, version = client.submit(numbers.where).result()
    assert (name.startswith("_reprokit_"), version) == (True, "new")
    assert not file.startswith(str(project.root))


def test_local_instances_travel_as_arguments_and_results(project, client, extended):
    import operator

    numbers = project.load("pack.numbers")
    extended()
    one, two = numbers.Point(1), numbers.Point(2)
    assert client.submit(numbers.x_of, one).result() == 1
    assert client.submit(operator.attrgetter("x"), two).result() == 2
    assert client.submit(two.up, 5).result() == 8
    assert client.submit(len, {"a": one, "b": [two, one]}).result() == 2
    found = client.submit(list, [one, client.submit(numbers.point, 3)]).result()
    assert found == [one, numbers.Point(3)]
    assert {type(point) for point in found} == {numbers.Point}
    scattered = client.scatter(two, broadcast=True)
    assert client.submit(numbers.x_of, scattered).result() == 2


def test_the_scheduler_imports_nothing_of_the_projects(project, client, extended):
    def loaded(dask_scheduler):
        import sys

        return [name for name in sys.modules if name.startswith("_reprokit_") and name.endswith("numbers")]

    numbers = project.load("pack.numbers")
    extended()
    assert client.submit(numbers.x_of, numbers.Point(1)).result() == 1
    assert client.run_on_scheduler(loaded) == []


def test_a_bundle_goes_to_each_worker_once_and_not_with_graphs(project, client, extended, monkeypatch):
    numbers = project.load("pack.numbers")
    project.write({"pack/big.bin": os.urandom(300_000)})
    extended()
    assert client.submit(numbers.scale, 1).result() == 11
    sent = []
    plain = client._send_to_scheduler
    monkeypatch.setattr(client, "_send_to_scheduler", lambda message: (sent.append(message), plain(message)))
    assert client.gather(client.map(numbers.scale, range(10, 20))) == [10 * i + 1 for i in range(10, 20)]
    graphs = [message for message in sent if message["op"] == "update-graph"]
    header, frames = graph_of(graphs[0])
    assert sum(map(len, frames)) + len(str(header)) < 10_000
    plugins = [name for name in client.run_on_scheduler(scheduler_plugins) if "extend" in name]
    assert len(plugins) == len(set(plugins))
    held = client.run(lambda dask_worker: [name for name in dask_worker.plugins if "extend" in name])
    assert all(sorted(names) == sorted(plugins) for names in held.values())


def graph_of(message):
    if "expr_ser" in message:
        return message["expr_ser"].header, message["expr_ser"].frames
    return message["graph_header"], message["graph_frames"]


def test_plain_submits_run_what_was_submitted_though_the_package_is_edited(project, client, extended):
    numbers = project.load("pack.numbers")
    extended()
    first = client.submit(numbers.scale, 1)
    assert first.result() == 11
    project.write({"pack/table.py": "FACTOR = 1000\n"})
    project.forget()
    again = project.load("pack.numbers")
    second = client.submit(again.scale, 1)  # Dask would take the same name and arguments for the same task
    assert (first.result(), second.result()) == (11, 1001)


def test_an_object_that_cannot_be_imported_fails_its_task_and_not_the_worker(make_project, client, extended):
    project = make_project(
        {
            "pack/__init__.py": "",
            "pack/picky.py": "import os\nif os.path.isdir('pack'):\n    raise RuntimeError('not here')  # says why\ndef go(x):\n    return x\n",
            ".gitignore": "vault\n",
        }
    )
    project.enter(path="pack/..")
    os.chdir(project.root.parent)  # where no folder is named pack
    picky = project.load("pack.picky")
    os.chdir(project.root)
    extended()
    before = client.run(os.getpid)
    with pytest.raises(RuntimeError, match="not here") as caught:
        client.submit(picky.go, 1).result()
    assert "raise RuntimeError('not here')  # says why" in "".join(caught.value.__notes__)
    assert client.run(os.getpid) == before
    assert client.submit(abs, -1).result() == 1


def test_asynchronous_clients_carry_local_code_too(project, cluster, extended):
    numbers = project.load("pack.numbers")
    extended()

    async def go():
        async with distributed.Client(cluster.address, asynchronous=True) as client:
            first = await client.submit(numbers.scale, 1)
            return [first, *await client.gather(client.map(numbers.scale, range(3)))]

    assert asyncio.run(go()) == [11, 1, 11, 21]


def test_tasks_of_plain_dask_may_submit_tasks(make_project, client, extended):
    project = make_project(
        {
            "pack/__init__.py": "",
            "pack/nested.py": """
                from distributed import worker_client

                def one(x):
                    return x + 1

                def many(n):
                    with worker_client() as client:
                        return sum(client.gather(client.map(one, range(n))))
            """,
        }
    ).enter()
    nested = project.load("pack.nested")
    extended()
    assert client.submit(nested.many, 4).result(60) == 10


MAIN = """
    import sys
    from distributed import Client
    from reprokit import ship

    class Here:
        def __init__(self, x):
            self.x = x

    def inner(x):
        from tool import late
        return Here(late.N + x)

    with Client(sys.argv[1]) as client:
        ship.extend_dask()
        found = client.gather(client.map(inner, range(3)))
        assert all(type(one) is Here for one in found)
        print([one.x for one in found], client.submit(lambda one: one.x, Here(7)).result())
"""


def test_functions_and_classes_of_a_script_travel_and_find_the_project(make_project, cluster):
    project = make_project({"tool/__init__.py": "", "tool/late.py": "N = 5\n"})
    done = project.driver(MAIN, cluster.address, env={"TMPDIR": str(cluster.temporary)})
    assert done.stdout.strip() == "[5, 6, 7] 7"


def test_what_was_taught_is_taken_back(project, client):
    import distributed.protocol.pickle as dasks
    from dask.base import normalize_token

    before = (dasks.pickle, dasks.cloudpickle, dasks._DaskPickler, distributed.Client._graph_to_futures)
    token = normalize_token._lookup[object]
    ship.extend_dask()
    ship.extend_dask()
    assert dasks.pickle is not before[0]
    ship.extend_dask(undo=True)
    ship.extend_dask(undo=True)
    assert (dasks.pickle, dasks.cloudpickle, dasks._DaskPickler, distributed.Client._graph_to_futures) == before
    assert normalize_token._lookup[object] is token
    assert client.submit(abs, -3).result() == 3


def test_clusters_of_threads_are_left_alone(project, extended):
    numbers = project.load("pack.numbers")
    extended()
    with (
        distributed.LocalCluster(1, processes=False, dashboard_address=":0") as threads,
        distributed.Client(threads) as client,
    ):
        point = numbers.Point(4)
        assert client.submit(numbers.x_of, point).result() == 4
        assert client.submit(numbers.where).result()[0] == "pack.numbers"
        with ship.executor(client) as ex:
            assert list(ex.map(numbers.scale, range(3))) == [1, 11, 21]
    assert len(children(project)) == 3


def test_without_dask_the_extra_is_named(worker):
    told = worker(
        """
        import sys
        sys.modules["distributed"] = None
        import reprokit.ship as ship
        try:
            ship.extend_dask()
        except ImportError as error:
            print(error)
        """
    )
    assert "pip install 'reprokit[dask]'" in told


logging.getLogger("distributed").setLevel(logging.CRITICAL)
