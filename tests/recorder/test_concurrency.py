"""No run is lost, none shared: processes, threads and tasks recording into one vault at once."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading

import reprokit as rk
from reprokit.context import peek
from tests.conftest import SOURCE


def test_eight_processes_fifty_runs_each(project):
    code = """
import sys, reprokit as rk
@rk.monitor
@rk.snapshot_code
@rk.Artifact("o", allow_dirty=True)
def f(n, o): open(o, "w").write(str(n))
for n in range(50):
    f(n, f"out-{sys.argv[1]}.{n}.txt")
"""
    (project.root / "script.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    started = [
        subprocess.Popen([sys.executable, "script.py", str(i)], cwd=project.root, env=env, stderr=subprocess.PIPE)
        for i in range(8)
    ]
    for process in started:
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err.decode()
        assert err == b""
    found = json.loads(project.reprokit("runs", "--json").stdout)
    assert len(found) == 400
    assert len({run["run_id"] for run in found}) == 400
    assert {run["status"] for run in found} == {"complete"}
    assert len({run["folder"] for run in found}) == 400
    assert len(list(project.root.glob("out-*.txt"))) == 400
    assert len({run["commit"] for run in found}) == 1
    lines = [
        json.loads(line) for path in (project.vault / "journal").iterdir() for line in path.read_text().splitlines()
    ]
    assert len([line for line in lines if line["event"] == "close"]) == 400


def test_sixteen_threads_in_one_root_write_whole_lines(project):
    @rk.monitor
    def leaf(n):
        return n

    def work(context_copy):
        for n in range(50):
            context_copy.run(leaf, n)

    @rk.monitor
    def root():
        import contextvars

        threads = [threading.Thread(target=work, args=(contextvars.copy_context(),)) for _ in range(16)]
        [t.start() for t in threads]
        [t.join() for t in threads]

    root()
    assert len(project.folders) == 1
    assert [s for _, _, s in project.ended()] == ["complete"] * 800
    assert project.post()["children"] == 800


def test_two_hundred_tasks(project):
    @rk.monitor
    async def task(n):
        mine = rk.current().run_id
        for _ in range(3):
            await asyncio.sleep(0)
            assert rk.current().run_id == mine
        return mine

    async def main():
        return await asyncio.gather(*(task(n) for n in range(200)))

    ids = asyncio.run(main())
    assert len(set(ids)) == 200
    assert len(project.folders) == 200
    assert peek() is None
