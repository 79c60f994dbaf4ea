"""Sessions: new processes that run code in a project, forked from one that has loaded this library and nothing of the project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import NamedTuple

from tests.conftest import SOURCE

PARENT = """
import json, os, sys, tempfile, traceback, warnings
import reprokit.cli, reprokit.recorder.reuse.call, reprokit.recorder.root, reprokit.recorder.seen, reprokit.archive.archive
import reprokit.code.closure, reprokit.code.reach.walk, reprokit.decorators.cache, reprokit.decorators.artifact
import reprokit.recorder.reuse.outcome, reprokit.archive.package, reprokit.catalog.vault, reprokit.capture.values
import reprokit.model.secret_commands, reprokit.capture.host, tomllib, rfc8785
for line in sys.stdin:
    asked = json.loads(line)
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            code = 1
            try:
                os.chdir(asked["folder"])
                for name, value in asked["env"].items():
                    os.environ[name] = value
                sys.path.insert(0, asked["folder"])
                sys.argv = sys.orig_argv = ["session.py"]
                exec(compile(asked["code"], "<session>", "exec"), {"__name__": "session"})
                code = 0
            except BaseException:
                traceback.print_exc()
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
        _, status = os.waitpid(pid, 0)
        out.seek(0), err.seek(0)
        told = {"code": os.waitstatus_to_exitcode(status), "out": out.read().decode(), "err": err.read().decode()}
    print(json.dumps(told), flush=True)
"""


class Told(NamedTuple):
    """What a session printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()


class Sessions:
    """Runs code in new processes, some thirty a second."""

    def __init__(self):
        environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
        self._parent = subprocess.Popen(
            [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def __call__(self, folder, code, check=True, **env):
        """Run code in a folder; give the lines that it printed."""
        asked = {"folder": str(folder), "code": textwrap.dedent(code), "env": env}
        self._parent.stdin.write(json.dumps(asked) + "\n")
        self._parent.stdin.flush()
        told = Told(**json.loads(self._parent.stdout.readline()))
        assert not check or told.code == 0, told.err
        return told

    def close(self):
        self._parent.stdin.close()
        self._parent.stdout.close()
        self._parent.wait()
