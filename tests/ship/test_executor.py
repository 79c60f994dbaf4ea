"""Tasks on process pools: the driver's code, the driver's run, and what comes back."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import io
import multiprocessing
import os
import signal
import sys
import time
import zipfile
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import pytest

import reprokit as rk
from reprokit import ship
from reprokit.catalog import scan
from reprokit.errors import BundleTooLargeError, CodeMismatchError, ReprokitWarning, SecretsError, UnshippableError

PACKAGE = {
    "pack/__init__.py": "",
    "pack/numbers.py": """
        from dataclasses import dataclass
        from pack.table import FACTOR

        @dataclass
        class Point:
            x: int

        def scale(x):
            from pack import late
            return FACTOR * x + late.SHIFT

        def where():
            return __name__, __file__

        def point(x):
            return Point(x)

        def fail(x):
            raise ValueError(f"no {x}")

        def data():
            import importlib.resources
            return importlib.resources.files("pack").joinpath("data.txt").read_text()
    """,
    "pack/table.py": "FACTOR = 10\n",
    "pack/late.py": "SHIFT = 1\n",
    "pack/data.txt": "held\n",
    ".gitignore": "vault\n",
}


@pytest.fixture
def project(make_project):
    return make_project(PACKAGE).enter()


@pytest.fixture
def pool():
    with ProcessPoolExecutor(2) as made:
        yield made


def runs(project):
    """The root runs of a project, newest first."""
    return scan.runs(project.root / "vault")


def children(project):
    return runs(project)[0].children


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_functions_of_local_packages_run_on_workers_however_they_are_started(project, method):
    numbers = project.load("pack.numbers")
    with ship.executor(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method))) as ex:
        assert list(ex.map(numbers.scale, range(3))) == [1, 11, 21]
        name, file = ex.submit(numbers.where).result()
        assert name.startswith("_reprokit_")
        assert not file.startswith(str(project.root))
        assert ex.submit(numbers.data).result() == "held\n"


def test_each_task_is_a_child_run_of_the_run_that_sent_it(project, pool):
    numbers = project.load("pack.numbers")
    with rk.run("sweep") as ctx, ship.executor(pool) as ex:
        assert ex.submit(numbers.scale, 4).result() == 41
    (run,) = runs(project)
    (child,) = run.children
    assert run.pre.function == "sweep"
    assert run.post.children == 1
    assert child.begin.parent_id == ctx.run_id == child.begin.root_id
    assert child.begin.function == "pack.numbers.scale"
    assert child.begin.args == [4]
    assert child.begin.process.pid != os.getpid()
    assert child.begin.bundle.startswith("sha256:")
    assert child.begin.environment.startswith("sha256:")
    assert child.begin.closure_digest.startswith("sha256:")
    assert child.status == "complete"
    told = list(run.folder.glob("context-*.json"))
    assert [path.name for path in told] == [f"context-{child.begin.environment[7:23]}.json"]


def test_without_an_open_run_the_executor_is_one(project, pool):
    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex:
        assert rk.current().function == "ProcessPoolExecutor"
        ex.submit(numbers.scale, 1).result()
    (run,) = runs(project)
    assert (run.pre.kind, run.pre.function, run.status) == ("block", "ProcessPoolExecutor", "complete")
    assert len(run.children) == 1


def test_nothing_is_recorded_when_the_user_says_so(project, pool):
    numbers = project.load("pack.numbers")
    with ship.executor(pool, record=False) as ex:
        assert ex.submit(numbers.scale, 1).result() == 11
    assert not (project.root / "vault").exists()


def test_results_of_local_classes_are_the_drivers_own(project, pool):
    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex:
        found = ex.submit(numbers.point, 3).result()
    assert type(found) is numbers.Point
    assert found == numbers.Point(3)


def test_errors_come_back_with_the_workers_traceback_and_are_recorded(project, pool):
    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex:
        future = ex.submit(numbers.fail, 7)
        with pytest.raises(ValueError, match="no 7") as caught:
            future.result()
        assert future.exception() is caught.value
    assert 'raise ValueError(f"no {x}")' in str(caught.value.__cause__)
    (child,) = children(project)
    assert child.status == "failed"
    assert child.end.exception_info.error_message == "no 7"


def test_the_context_travels(make_project, pool):
    project = make_project(
        {
            "pack/__init__.py": "",
            "pack/work.py": """
            import reprokit as rk

            def task(x):
                ctx = rk.current()
                ctx.record("x", x)
                ctx.record("loss", 0.5, step=1)
                return ctx.run_id, ctx.parent_id

            @rk.monitor(include_return_value=True)
            def inner(x):
                return x + 1

            def outer(x):
                return inner(x)

            @rk.monitor(include_args=True)
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
    with rk.run("main") as ctx, ship.executor(pool) as ex:
        run_id, parent_id = ex.submit(work.task, 5).result()
        assert ex.submit(work.outer, 1).result() == 2
        written = ex.submit(work.write, "out.txt", text="hello").result()
    assert parent_id == ctx.run_id
    found = {child.begin.function: child for child in children(project)}
    assert found["pack.work.task"].begin.run_id == run_id
    assert found["pack.work.task"].end.values == {"x": 5}
    assert found["pack.work.task"].end.series == {"loss": [[1, 0.5]]}
    assert found["pack.work.inner"].begin.parent_id == found["pack.work.outer"].begin.run_id
    assert found["pack.work.inner"].end.return_value == 2
    commit = runs(project)[0].pre.commit
    assert os.path.basename(written).startswith(f"out-{commit}-")
    assert (project.root / written).read_text() == "hello"
    child = found["pack.work.write"]  # decorated: its own decorators open the run, once
    assert len([one for one in children(project) if one.begin.function == "pack.work.write"]) == 1
    assert child.end.artifacts[0].path == written
    assert child.end.artifacts[0].role == "generated"
    assert (project.root / f"{written}.run.json").exists()
    assert (runs(project)[0].folder / child.begin.args_archive).exists()


def test_what_was_submitted_runs_though_the_package_is_edited_meanwhile(project, pool):
    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex:
        first = ex.submit(numbers.scale, 1)
        project.write({"pack/table.py": "FACTOR = 1000\n"})
        project.forget()
        again = project.load("pack.numbers")
        second = ex.submit(again.scale, 1)
        assert (first.result(), second.result()) == (11, 1001)
        old = ex.submit(numbers.point, 1)
        assert type(old.result()).__name__ == "Point"
    digests = {child.begin.bundle for child in children(project)}
    assert len(digests) == 2


def test_a_worker_that_dies_leaves_an_interrupted_child(make_project):
    project = make_project(
        {
            "pack.py": """
            import os, signal
            def die():
                os.kill(os.getpid(), signal.SIGKILL)
        """,
            ".gitignore": "vault\n",
        }
    ).enter()
    pack = project.load("pack")
    with ship.executor(ProcessPoolExecutor(1)) as ex:
        future = ex.submit(pack.die)
        with pytest.raises(concurrent.futures.process.BrokenProcessPool):
            future.result()
    (child,) = children(project)
    assert child.status == "interrupted"
    assert "died" in child.end.reason
    assert child.begin.function == "pack.die"
    assert child.begin.process.pid != os.getpid()


def test_tasks_that_never_began_leave_no_child_when_the_pool_breaks(make_project):
    project = make_project(
        {
            "pack.py": """
            import os, signal, time
            def die():
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGKILL)
        """,
            ".gitignore": "vault\n",
        }
    ).enter()
    pack = project.load("pack")
    with ship.executor(ProcessPoolExecutor(1)) as ex:
        futures = [ex.submit(pack.die) for _ in range(5)]
        for future in futures:
            assert isinstance(future.exception(), concurrent.futures.BrokenExecutor)
    assert [child.status for child in children(project)] == ["interrupted"]


def test_chunks_hold_several_calls_and_each_is_a_child(project, pool):
    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex:
        assert list(ex.map(numbers.scale, range(7), chunksize=3)) == [1, 11, 21, 31, 41, 51, 61]
        results = ex.map(numbers.fail, range(3), chunksize=2)
        with pytest.raises(ValueError, match="no 0"):
            next(results)
    assert len([child for child in children(project) if child.begin.function.endswith("scale")]) == 7


def test_unpicklable_arguments_are_named(project, pool):
    import threading

    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex, pytest.raises(UnshippableError, match=r"argument 1\['lock'\]"):
        ex.submit(numbers.scale, {"lock": threading.Lock()})


def test_an_import_error_on_the_worker_shows_the_packages_own_lines(make_project, pool):
    project = make_project(
        {
            "pack/__init__.py": "",
            "pack/fine.py": "def go():\n    from pack import broken\n    return broken\n",
            "pack/broken.py": "x = 1\ny = x / 0  # cannot work\n",
            ".gitignore": "vault\n",
        }
    ).enter()
    fine = project.load("pack.fine")
    with ship.executor(pool) as ex:
        error = ex.submit(fine.go).exception()
    assert isinstance(error, ZeroDivisionError)
    assert "y = x / 0  # cannot work" in str(error.__cause__)


def test_another_version_of_a_package_is_told_or_refused(project, pool, monkeypatch):
    from reprokit.ship import sending

    numbers = project.load("pack.numbers")
    true = sending._closure

    def older(*args):
        import msgspec

        return msgspec.structs.replace(true(*args), packages={"wrapt": "0.1"})

    monkeypatch.setattr(sending, "_closure", older)
    with ship.executor(pool) as ex:
        assert ex.submit(numbers.scale, 1).result() == 11
    (fault,) = children(project)[0].end.faults
    assert "wrapt" in fault.where
    assert "0.1" in fault.error
    with ship.executor(ProcessPoolExecutor(1), strict=True) as ex, pytest.raises(CodeMismatchError, match="wrapt"):
        ex.submit(numbers.scale, 1).result()


def test_workers_that_lack_the_cargo_are_given_it(project, tmp_path):
    numbers = project.load("pack.numbers")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with ship.executor(ProcessPoolExecutor(1, initializer=_use_temporary_folder, initargs=(str(elsewhere),))) as ex:
        assert list(ex.map(numbers.scale, range(3))) == [1, 11, 21]
    assert len(children(project)) == 3


def _use_temporary_folder(folder):
    import tempfile

    tempfile.tempdir = folder


def test_tasks_may_send_tasks(make_project, pool):
    project = make_project(
        {
            "pack.py": """
            from concurrent.futures import ProcessPoolExecutor
            import reprokit.ship as ship

            def leaf(x):
                return x * 2

            def branch(x):
                with ship.executor(ProcessPoolExecutor(1)) as ex:
                    return sum(ex.map(leaf, range(x)))
        """,
            ".gitignore": "vault\n",
        }
    ).enter()
    pack = project.load("pack")
    with ship.executor(pool) as ex:
        assert ex.submit(pack.branch, 3).result() == 6
    found = children(project)
    (branch,) = [one for one in found if one.begin.function == "pack.branch"]
    leaves = [one for one in found if one.begin.function == "pack.leaf"]
    assert len(leaves) == 3
    assert {one.begin.parent_id for one in leaves} == {branch.begin.run_id}


def test_two_projects_with_a_package_of_one_name_share_workers(make_project, pool):
    first = make_project({"pack.py": "def me():\n    return 'first'\n", ".gitignore": "vault\n"}, name="first").enter()
    one = first.load("pack")
    with ship.executor(pool) as ex:
        a = ex.submit(one.me)
        assert a.result() == "first"
        first.forget()
        second = make_project({"pack.py": "def me():\n    return 'second'\n", ".gitignore": "vault\n"}, name="second")
        second.enter()
    # `pool` was shut down with its executor: a new one with one worker serves both
    with ProcessPoolExecutor(1) as shared:
        other = second.load("pack")
        ex2 = ship.executor(shared)
        assert ex2.submit(other.me).result() == "second"
        second.forget()
        os.chdir(first.root)
        sys.path.insert(0, str(first.root))
        ex1 = ship.executor(shared)
        assert ex1.submit(one.me).result() == "first"
        ex1.shutdown(wait=True)


def test_threads_are_workers_too(project):
    numbers = project.load("pack.numbers")
    with ship.executor(ThreadPoolExecutor(2)) as ex:
        assert sorted(ex.map(numbers.scale, range(50))) == [10 * x + 1 for x in range(50)]
    assert len(children(project)) == 50


def test_an_interrupted_driver_leaves_no_task_behind(project):
    script = """
        import os, signal, sys, threading, time
        from concurrent.futures import ProcessPoolExecutor
        import reprokit.ship as ship
        import pack.slow

        if __name__ == "__main__":
            threading.Timer(1.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            with ship.executor(ProcessPoolExecutor(1)) as ex:
                futures = [ex.submit(pack.slow.sleep, 60) for _ in range(4)]
                futures[0].result()
    """
    project.write({"pack/slow.py": "import time\n\ndef sleep(s):\n    time.sleep(s)\n"})
    began = time.monotonic()
    done = project.driver(script, check=False)
    assert time.monotonic() - began < 30
    assert "KeyboardInterrupt" in done.stderr
    (run,) = runs(project)
    assert run.status == "interrupted"
    assert [child.status for child in run.children] == ["interrupted"]
    assert "KeyboardInterrupt" in run.children[0].end.reason
    assert done.returncode in (-signal.SIGINT, 1, 130)


def test_main_functions_travel_by_value_and_find_the_projects_code(project):
    script = """
        from concurrent.futures import ProcessPoolExecutor
        import multiprocessing
        import reprokit.ship as ship

        BASE = 100

        class Box:
            def __init__(self, x):
                self.x = x

        def local(x):
            import pack.numbers
            return Box(BASE + pack.numbers.scale(x))

        if __name__ == "__main__":
            with ship.executor(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))) as ex:
                box = ex.submit(local, 1).result()
                assert type(box) is Box, type(box)
                print(box.x, ex.submit(lambda: BASE + 1).result())
    """
    done = project.driver(script)
    assert done.stdout.split() == ["111", "101"]


def test_a_bar_is_shown_on_a_terminal_only(project, pool, capfd):
    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex:
        assert list(ex.map(numbers.scale, range(3), progress=True)) == [1, 11, 21]
    out, err = capfd.readouterr()
    assert not out
    assert not err


def test_what_is_no_executor_is_refused_by_name():
    with pytest.raises(TypeError, match="not int"):
        ship.executor(3)


def test_workers_of_another_python_refuse_the_task_and_say_so(project, monkeypatch):
    from reprokit.ship import sending, task

    numbers = project.load("pack.numbers")
    spawn = multiprocessing.get_context("spawn")
    monkeypatch.setattr(sending, "Manifest", functools.partial(task.Manifest, python="CPython 3.4"))
    with ship.executor(ProcessPoolExecutor(1, mp_context=spawn)) as ex:
        with pytest.raises(CodeMismatchError, match=r"expected CPython 3\.4, found CPython 3"):
            ex.submit(numbers.scale, 1).result()


def test_a_bundle_that_was_changed_on_the_way_is_refused(project):
    from reprokit.ship import cargo

    numbers = project.load("pack.numbers")
    with ship.executor(ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))) as ex:
        true = cargo.leave

        def tampering(name, data):
            true(name, _with(data, "pack/table.py", b"FACTOR = 11\n") if name.startswith("bundle") else data)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cargo, "leave", tampering)
            future = ex.submit(numbers.scale, 1)
        with pytest.raises(CodeMismatchError):
            future.result()


def test_a_worker_on_another_machine_names_its_host_for_what_it_wrote(make_project, tmp_path):
    project = make_project(
        {
            "pack.py": """
            import reprokit as rk

            @rk.Artifact("path")
            def write(path):
                with open(path, "w") as stream:
                    stream.write("there")
                return str(path)
        """,
            ".gitignore": "vault\n",
        }
    ).enter()
    pack = project.load("pack")
    disk = tmp_path / "disk"
    disk.mkdir()
    with ship.executor(ProcessPoolExecutor(1, initializer=_be_elsewhere, initargs=(str(disk),))) as ex:
        written = ex.submit(pack.write, str(disk / "a.txt")).result()
    (child,) = children(project)
    (artifact,) = child.end.artifacts
    assert artifact.path == written
    assert artifact.host == os.uname().nodename
    assert not (disk / "vault").exists()


def _with(bundle, path, content):
    """Give a bundle with other content in one file."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bundle)) as old, zipfile.ZipFile(made, "w") as new:
        for info in old.infolist():
            new.writestr(info, content if info.filename.endswith(path) else old.read(info))
    return made.getvalue()


def _be_elsewhere(folder):
    from reprokit import process

    os.chdir(folder)
    process.machine = lambda: "another"


def test_loky_is_an_executor_too(project):
    loky = pytest.importorskip("loky")
    numbers = project.load("pack.numbers")
    with ship.executor(loky.get_reusable_executor(max_workers=1)) as ex:
        assert list(ex.map(numbers.scale, range(3))) == [1, 11, 21]
    assert len(children(project)) == 3


def test_futures_behave_as_those_of_the_standard_library(project, pool):
    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex:
        good, bad = ex.submit(numbers.scale, 1), ex.submit(numbers.fail, 1)
        done, waiting = concurrent.futures.wait([good, bad], timeout=30)
        assert (len(done), len(waiting)) == (2, 0)
        assert good.exception() is None
        assert not good.failed
        assert bad.failed
        assert not good.cancel()
        called = []
        good.add_done_callback(called.append)
        assert called == [good]
    with pytest.raises(RuntimeError, match="after shutdown"):
        ex.submit(numbers.scale, 1)


def test_tasks_that_wait_can_be_called_off(project):
    project.write({"pack/slow.py": "import time\n\ndef sleep(s):\n    time.sleep(s)\n"})
    slow = project.load("pack.slow")
    with ship.executor(ProcessPoolExecutor(1)) as ex:
        futures = [ex.submit(slow.sleep, 0.5) for _ in range(8)]
        assert futures[-1].cancel()
        assert futures[-1].cancelled()
    assert len(children(project)) == 7


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal of POSIX")
def test_the_bar_tells_what_is_done_failed_and_running(project):
    script = """
        from concurrent.futures import ProcessPoolExecutor
        import reprokit.ship as ship
        import pack.numbers

        if __name__ == "__main__":
            with ship.executor(ProcessPoolExecutor(1)) as ex:
                list(ex.map(pack.numbers.scale, range(6), progress=True, chunksize=4))
                try:
                    list(ex.map(pack.numbers.fail, range(2), progress=True))
                except ValueError:
                    pass
    """
    terminal, inside = os.openpty()
    with os.fdopen(inside, "w") as stderr:
        project.driver(script, stderr=stderr, env={"TERM": "xterm", "COLUMNS": "120", "NO_COLOR": "1"})
    shown = b""
    with contextlib.suppress(OSError):  # the other side is closed
        while part := os.read(terminal, 65_536):
            shown += part
    os.close(terminal)
    assert b"6/6" in shown
    assert b"0 failed, 0 running" in shown
    assert b"2 failed, 0 running" in shown


def test_code_that_may_not_leave_is_refused_before_anything_is_sent(project, pool, monkeypatch):
    project.write({"pack/key.py": f'KEY = "AKIA{"Q3EGR7JHPLXZ" + "7KLM"}"\n'})
    numbers = project.load("pack.numbers")
    with ship.executor(pool, allow_secrets=False) as ex, pytest.raises(SecretsError, match=r"key\.py"):
        ex.submit(numbers.scale, 1)
    monkeypatch.setenv("REPROKIT_MAX_BUNDLE_SIZE", "100 B")
    with ship.executor(ThreadPoolExecutor(1)) as ex, pytest.raises(BundleTooLargeError, match="numbers"):
        ex.submit(numbers.scale, 1)


def test_what_stays_behind_is_told_once(project, pool):
    project.write({"pack/.env": "TOKEN=1\n"})
    numbers = project.load("pack.numbers")
    with ship.executor(pool) as ex:
        with pytest.warns(ReprokitWarning, match=r"secret by name: pack/\.env"):
            ex.submit(numbers.scale, 1).result()
        assert ex.submit(numbers.scale, 2).result() == 21
