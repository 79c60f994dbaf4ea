"""The same call at once, in threads, tasks and processes: one computes, the others wait, whatever becomes of it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reprokit.errors import RecordingWarning
from tests.reuse.calls import SLOW, ended, launch, lines, load, lock_files, logged, until

POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
CALL = """
    import sys
    from work import slow
    print("calling", flush=True)
    print(slow(int(sys.argv[1])))
"""


@pytest.fixture
def work(project, monkeypatch):
    return load(project, monkeypatch, SLOW)


def go(name="go"):
    Path(name).touch()


def threads(count, function, *args):
    """Call a function in threads that begin together; give what comes of each."""
    barrier = threading.Barrier(count)

    def one():
        barrier.wait()
        return function(*args)

    pool = ThreadPoolExecutor(count)
    futures = [pool.submit(one) for _ in range(count)]
    pool.shutdown(wait=False)
    return futures


# --- one computes ------------------------------------------------------------------------------------------------------


def test_eight_processes_compute_once(project, work):
    started = [launch(project.root, CALL, 4) for _ in range(8)]
    assert [process.stdout.readline() for process in started] == ["calling\n"] * 8
    until(logged)
    go()
    assert [ended(process) for process in started] == ["40\n"] * 8
    assert logged() == ["4"]
    assert len(lines(project)) == 1
    assert lock_files(project) == []


def test_sixteen_threads_compute_once(project, work):
    futures = threads(16, work.slow, 4)
    until(logged)
    go()
    assert [future.result(60) for future in futures] == [40] * 16
    assert logged() == ["4"]
    assert lock_files(project) == []


ASYNC = (
    SLOW
    + """
    import asyncio

    @rk.cache
    async def patient(x):
        note(x)
        while not os.path.exists("go"):
            await asyncio.sleep(0.001)
        return [x]
"""
)


def test_a_hundred_tasks_compute_once_and_the_loop_goes_on(project, monkeypatch):
    work = load(project, monkeypatch, ASYNC)

    async def main():
        tasks = [asyncio.create_task(work.patient(4)) for _ in range(100)]
        for _ in range(50):  # as often as this the loop comes by while one computes and 99 wait
            await asyncio.sleep(0.002)
        assert not any(task.done() for task in tasks)
        go()
        return await asyncio.gather(*tasks)

    found = asyncio.run(main())
    assert found == [[4]] * 100
    assert len({id(one) for one in found}) == 100  # each gets an object of its own
    assert logged() == ["4"]
    assert lock_files(project) == []


def test_a_task_that_is_called_off_while_it_waits_or_computes_leaves_the_others_to_it(project, monkeypatch):
    work = load(project, monkeypatch, ASYNC)

    async def main():
        tasks = [asyncio.create_task(work.patient(4)) for _ in range(10)]
        while not logged():
            await asyncio.sleep(0.001)
        tasks[5].cancel()
        tasks[0].cancel()
        await asyncio.wait(tasks[:1])
        while len(logged()) < 2:
            await asyncio.sleep(0.001)
        go()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = asyncio.run(main())
    assert [type(one) for one in found].count(asyncio.CancelledError) == 2
    assert [one for one in found if isinstance(one, list)] == [[4]] * 8
    assert logged() == ["4", "4"]
    assert lock_files(project) == []


def test_tasks_of_trio_compute_once(project, monkeypatch):
    trio = pytest.importorskip("trio")
    work = load(
        project,
        monkeypatch,
        ASYNC.replace("asyncio", "trio").replace("@rk.cache\n    async", "@rk.cache(assume_pure=True)\n    async"),
    )
    found = []

    async def one():
        found.append(await work.patient(4))

    async def main():
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(one)
            for _ in range(50):
                await trio.sleep(0.002)
            go()

    trio.run(main)
    assert found == [[4]] * 50
    assert logged() == ["4"]


POOL = """
    import multiprocessing, sys, threading
    from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
    from work import slow

    def many(x):
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(slow, [x] * 4))

    if __name__ == "__main__":
        with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context(sys.argv[1])) as pool:
            print(list(pool.map(slow, [4] * 12)), [found for found in pool.map(many, [5] * 4)])
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_pools_of_processes_with_threads_in_them_compute_once(project, work, method):
    if sys.platform == "win32" and method == "fork":
        pytest.skip("needs fork")
    go()
    done = project.python(textwrap.dedent(POOL), method)
    assert done.stdout == f"{[40] * 12} {[[50] * 4] * 4}\n"
    assert not done.stderr
    assert logged() == ["4", "5"]
    assert lock_files(project) == []


def test_threads_and_processes_together_compute_once(project, work):
    started = [launch(project.root, CALL, 4) for _ in range(3)]
    assert [process.stdout.readline() for process in started] == ["calling\n"] * 3
    futures = threads(5, work.slow, 4)
    until(logged)
    go()
    assert [future.result(60) for future in futures] == [40] * 5
    assert [ended(process) for process in started] == ["40\n"] * 3
    assert logged() == ["4"]
    assert lock_files(project) == []


def test_calls_with_other_arguments_do_not_wait(project, monkeypatch):
    work = load(project, monkeypatch, SLOW.replace('hold("go")', 'hold(f"go{x}")'))
    (first,) = threads(1, work.slow, 1)
    until(logged)
    go("go2")
    assert work.slow(2) == 20
    assert not first.done()
    go("go1")
    assert first.result(60) == 10


def test_an_artifact_is_made_once(project, monkeypatch):
    work = load(
        project,
        monkeypatch,
        SLOW
        + """
    @rk.Artifact("out", config={"a": 1}, exists="reuse", allow_dirty=True)
    def make(x, out):
        note(x)
        hold("go")
        with open(out, "w") as stream:
            stream.write(str(x))
        return out
""",
    )
    project.commit_all()
    futures = threads(8, work.make, 4, "out.txt")
    until(logged)
    go()
    assert len({future.result(60) for future in futures}) == 1
    (made,) = project.root.glob("out-*.txt")
    assert made.read_text() == "4"
    assert logged() == ["4"]
    assert lock_files(project) == []


# --- whatever becomes of it ----------------------------------------------------------------------------------------------


def test_when_the_computing_process_is_killed_another_one_takes_over(project, work):
    first = launch(project.root, CALL, 4)
    until(logged)
    others = [launch(project.root, CALL, 4) for _ in range(2)]
    assert [process.stdout.readline() for process in others] == ["calling\n"] * 2
    assert logged() == ["4"]
    first.kill()
    first.communicate()
    until(lambda: len(logged()) == 2)  # one of them has begun: the time to wait is a day
    go()
    assert [ended(process) for process in others] == ["40\n"] * 2
    assert logged() == ["4", "4"]
    assert lock_files(project) == []


@POSIX
def test_a_child_that_outlives_the_killed_process_holds_nobody_up(project, monkeypatch):
    """The lock of a file is shared with children that were forked; it has to end with the process that took it."""
    load(
        project,
        monkeypatch,
        SLOW.replace(
            'hold("go")',
            'if not os.path.exists("forked"):\n'
            "            open('forked', 'a').close()\n"
            "            if os.fork() == 0:\n"
            "                os.close(1), os.close(2)\n"
            '                hold("end")\n'
            "                os._exit(0)\n"
            '            note("forked")\n'
            '        hold("go")',
        ),
    )
    first = launch(project.root, CALL, 4)
    until(lambda: len(logged()) == 2)
    first.kill()
    first.communicate()
    go()
    try:
        assert ended(launch(project.root, CALL, 4)) == "calling\n40\n"
    finally:
        go("end")
    assert logged() == ["4", "forked", "4"]


@POSIX
def test_a_forked_child_that_leaves_the_function_does_not_end_its_parents_flight(project, monkeypatch):
    (project.root / "reprokit.toml").write_text("[reuse]\nwait = 0.3\n")
    load(
        project,
        monkeypatch,
        SLOW.replace(
            'hold("go")',
            'if not os.path.exists("forked"):\n'
            "            open('forked', 'a').close()\n"
            "            pid = os.fork()\n"
            "            if pid == 0:\n"
            "                sys.exit(0)\n"
            "            os.waitpid(pid, 0)\n"
            '            note("forked")\n'
            '            hold("go")',
        ),
    )
    first = launch(project.root, CALL, 4)
    until(lambda: len(logged()) == 2)
    second = launch(project.root, CALL, 4)
    _, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert "has been computing the same call for 0.3 s" in err  # so the right was not given away
    go()
    first.communicate(timeout=60)
    assert logged() == ["4", "forked", "4"]


def test_when_the_function_raises_the_next_one_computes(project, monkeypatch):
    """Each gets an exception of its own, and no two compute at the same time."""
    work = load(
        project,
        monkeypatch,
        SLOW
        + """
    import threading
    inside = threading.Lock()

    @rk.cache(assume_pure=True)
    def fail(x):
        assert inside.acquire(blocking=False)
        note(x)
        time.sleep(0.01)
        inside.release()
        raise ValueError(x)
""",
    )
    futures = threads(6, work.fail, 4)
    errors = [future.exception(60) for future in futures]
    assert [type(error) for error in errors] == [ValueError] * 6, errors
    assert len({id(error) for error in errors}) == 6
    assert logged() == ["4"] * 6
    assert lines(project) == []
    assert lock_files(project) == []


def test_recursion_and_mutual_recursion(project, monkeypatch):
    work = load(
        project,
        monkeypatch,
        SLOW
        + """
    @rk.cache
    def fibonacci(n):
        note(n)
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    @rk.cache
    def even(n):
        note(n)
        return n == 0 or odd(n - 1)

    @rk.cache
    def odd(n):
        note(n)
        return n != 0 and even(n - 1)
""",
    )
    assert work.fibonacci(10) == 55
    assert sorted(map(int, logged())) == list(range(11))
    os.unlink("log.txt")
    assert [future.result(60) for future in threads(4, work.even, 7)] == [False] * 4
    assert work.odd(6) is False
    assert sorted(map(int, logged())) == list(range(8))
    assert lock_files(project) == []


def test_a_call_that_comes_to_itself_again_does_not_wait_for_itself(project, monkeypatch):
    work = load(
        project,
        monkeypatch,
        SLOW
        + """
    @rk.cache
    def outer(x):
        note(x)
        return x if os.path.getsize("log.txt") > 4 else through(x)

    @rk.cache
    def through(x):
        return outer(x)
""",
    )
    assert work.outer(4) == 4
    assert logged() == ["4"] * 3
    assert work.outer(4) == 4
    assert lock_files(project) == []


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_who_has_waited_long_enough_computes_too_and_is_told(project, monkeypatch, kind):
    (project.root / "reprokit.toml").write_text("[reuse]\nwait = 0.2\n")
    first_holds = 'os.path.getsize("log.txt") > 2 or '
    work = load(
        project,
        monkeypatch,
        ASYNC.replace('hold("go")', 'os.path.getsize("log.txt") > 2 or hold("go")').replace(
            'while not os.path.exists("go")', f'while not ({first_holds}os.path.exists("go"))'
        ),
    )
    if kind == "threads":
        (first,) = threads(1, work.slow, 4)
        until(logged)
        with pytest.warns(RecordingWarning, match=r"slow: another .* for 0\.2 s; it is computed here too"):
            assert work.slow(4) == 40
        go()
        assert first.result(60) == 40
        assert work.slow(4) == 40
    else:

        async def main():
            first = asyncio.create_task(work.patient(4))
            while not logged():
                await asyncio.sleep(0.001)
            with pytest.warns(RecordingWarning, match=r"patient: another .* for 0\.2 s; it is computed here too"):
                assert await work.patient(4) == [4]
            go()
            assert await first == [4]
            assert await work.patient(4) == [4]

        asyncio.run(main())
    assert logged() == ["4", "4"]
    assert lock_files(project) == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals of POSIX")
def test_an_interrupt_ends_the_waiting_and_nothing_else(project, work):
    def interrupt(number, frame):
        raise KeyboardInterrupt

    (first,) = threads(1, work.slow, 4)
    until(logged)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        with pytest.raises(KeyboardInterrupt):
            work.slow(4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    go()
    assert first.result(60) == 40
    assert work.slow(4) == 40
    assert logged() == ["4"]
    assert [run.name for run in project.folders if not (run / "post-run-info.json").exists()] == []
    assert lock_files(project) == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signals of POSIX")
def test_an_interrupt_while_it_computes_lets_the_next_one_compute(project, work):
    process = launch(project.root, CALL, 4)
    until(logged)
    (waiting,) = threads(1, work.slow, 4)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    until(lambda: len(logged()) == 2)
    go()
    assert waiting.result(60) == 40
    assert work.slow(4) == 40
    assert logged() == ["4", "4"]
    assert lock_files(project) == []


def test_lock_files_do_not_pile_up(project, monkeypatch):
    """Neither of results nor of calls that raise, whose result can't be kept, or that changed what they were given."""
    work = load(
        project,
        monkeypatch,
        SLOW
        + """
    @rk.cache
    def good(x): return x

    @rk.cache
    def bad(x): raise ValueError

    @rk.cache
    def odd(x): return (one for one in [x])

    @rk.cache
    def changes(x): x.append(1); return 1
""",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(3):
            work.good(number)
            with pytest.raises(ValueError):
                work.bad(number)
            work.odd(number)
            work.changes([number])
    assert len(lines(project)) == 3
    assert lock_files(project) == []
