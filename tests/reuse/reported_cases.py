"""Reads the cases of ``reported/*.md`` and replays them: what its cache answers, beside what the same code says without one."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.conftest import IDENTITY, SOURCE, git

FOLDER = Path(__file__).parent / "reported"
_CASE = re.compile(
    r"^### (?P<id>\w+) (?P<tool>[^\n]+?)(?: \[(?P<marks>[\w ]+)\])?\n\n"
    r"(?:Reported: (?P<reports>[^\n]+)\n\n)?(?P<what>[^\n]+)\n\n(?P<does>[^\n]+)\n\n```text\n(?P<replay>.*?)```$",
    re.MULTILINE | re.DOTALL,
)
_STEP = re.compile(r"^(===|-->) ?(.*)\n", re.MULTILINE)
_START = "import sys; sys.path.insert(0, '.'); import m; from m import *; p = print\n"
_SLOW = 100.0  # seconds after which a session is taken to hang
IGNORED = "vault/\n__pycache__/\n*.txt\n*.cfg\ngo.py\ndamage.py\n"
_DAMAGE = """
import glob, os
def files():
    found = [*glob.glob("vault/blobs/**", recursive=True), *glob.glob("vault/reuse/**", recursive=True)]
    return [path for path in found if os.path.isfile(path)]
def cut():
    for path in files():
        os.chmod(path, 0o600); os.truncate(path, os.path.getsize(path) // 2)
def flip():
    for path in files():
        os.chmod(path, 0o600); held = bytearray(open(path, "rb").read())
        if held:
            held[len(held) // 2] ^= 1; open(path, "wb").write(held)
def wipe():
    for path in files():
        try: os.remove(path)
        except OSError: pass
"""


class Step(NamedTuple):
    """One thing that is done in a project: a file is written or edited, a session is run, ``why`` is asked."""

    kind: str
    told: str
    body: str


class Case(NamedTuple):
    """A report, and its replay."""

    id: str
    tool: str
    marks: frozenset[str]
    reports: tuple[str, ...]
    what: str
    does: str
    steps: tuple[Step, ...]

    @property
    def is_committed(self) -> bool:
        """Whether the project's files are committed before each session: names of artifacts need that."""
        return any("Artifact(" in step.body for step in self.steps)

    @property
    def modules(self) -> tuple[str, ...]:
        """Libraries that it takes long to load."""
        text = "".join(step.body for step in self.steps)
        return ("numpy", "pandas") if re.search(r"import (numpy|pandas)", text) else ()


def read() -> list[Case]:
    """Read all cases, in their order."""
    found = []
    for path in sorted(FOLDER.glob("*.md")):
        text = path.read_text()
        cases = list(_CASE.finditer(text))
        assert len(cases) == text.count("\n### "), f"{path.name}: a case is written in another form"
        for case in cases:
            marks = frozenset((case["marks"] or "").split())
            reports = tuple(re.findall(r"\[([^\]]+#\d+)\]", case["reports"] or ""))
            found.append(
                Case(
                    case["id"], case["tool"], marks, reports, case["what"], case["does"], tuple(_steps(case["replay"]))
                )
            )
    return found


def _steps(replay: str):
    signs = list(_STEP.finditer(replay))
    for sign, after in itertools.zip_longest(signs, signs[1:]):
        body = replay[sign.end() : after.start() if after else None]
        if sign[1] == "-->":
            yield Step("words", sign[2], "")
            continue
        kind, _, told = sign[2].partition(" ")
        yield (
            Step(kind, told, body) if kind in ("edit", "session", "bare", "script", "why") else Step("file", kind, body)
        )


def agrees(expected: list[str], words: list[str]) -> bool:
    """Tell whether a session printed what was expected, where ``RUN?`` may be there or not."""
    if not expected:
        return not words
    first, *rest = expected
    if first == "RUN?":
        return agrees(rest, words) or (words[:1] == ["RUN"] and agrees(rest, words[1:]))
    return words[:1] == [first] and agrees(rest, words[1:])


class Told(NamedTuple):
    """What a session printed, and how it ended."""

    words: list[str]
    status: int
    errors: str

    @property
    def values(self) -> list[str]:
        return [word for word in self.words if word != "RUN"]


class Prepared:
    """Processes that have loaded the library, from which sessions are forked.

    There are two, with other addresses and another hash seed: what is the same by chance in sessions of one is not in the other's.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rk-"))
        self._looking = threading.Lock()
        self._started: dict[tuple[str, tuple[str, ...]], subprocess.Popen[str]] = {}
        self.start("1", ())
        self.start("2", ())

    def start(self, seed: str, modules: tuple[str, ...]) -> Path:
        """Start one unless there is one already; give its socket."""
        door = self._folder / f"{seed}-{'-'.join(modules)}"
        with self._looking:
            if (seed, modules) not in self._started:
                self._started[seed, modules] = subprocess.Popen(
                    [sys.executable, str(FOLDER / "prepared.py"), str(door), *modules],
                    env={**_environment(self._folder), "PYTHONHASHSEED": seed},
                    stdout=subprocess.PIPE,
                    text=True,
                )
        return door

    def run(self, folder: Path, script: str, seed: str, modules: tuple[str, ...], more: dict[str, str]) -> Told:
        """Run a script as a new process."""
        door = self.start(seed, modules)
        with self._looking:
            ready = self._started[seed, modules].stdout
            if not ready.closed:
                assert ready.readline() == "ready\n"
                ready.close()
        out, errors = folder.parent / f"{folder.name}.out", folder.parent / f"{folder.name}.err"
        environment = {**_environment(folder), "PYTHONHASHSEED": seed, **more}
        asked = {
            "folder": str(folder),
            "script": script,
            "environment": environment,
            "out": str(out),
            "err": str(errors),
        }
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(str(door))
            line.settimeout(_SLOW)
            line.sendall(json.dumps(asked).encode() + b"\n")
            answers = line.makefile()
            session = int(answers.readline())
            try:
                status = int(answers.readline())
            except BaseException:
                os.killpg(session, signal.SIGKILL)
                raise
        return Told(out.read_text().split(), status, errors.read_text())

    def close(self) -> None:
        for one in self._started.values():
            one.kill()
            one.wait()
            one.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _environment(folder: Path) -> dict[str, str]:
    return {
        **IDENTITY,
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(SOURCE),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


class Replay:
    """One case, played in a project where results are used again, and in one where they are not."""

    def __init__(self, case: Case, prepared: Prepared, folder: Path, repository: Path, *, asks_why: bool) -> None:
        self.case = case
        self.differs = False  # whether an answer ever was another than without reuse
        self._prepared, self._asks_why = prepared, asks_why
        self._seeds = itertools.cycle("12")
        self._sides = [folder / "reused", folder / "computed"]
        for side in self._sides:
            shutil.copytree(repository, side)
            (side / "damage.py").write_text(_DAMAGE)

    def play(self) -> list[str]:
        """Replay it; give what was not as expected."""
        found: list[str] = []
        told: list[Told] = []
        with ThreadPoolExecutor(2) as pool:
            for number, step in enumerate(self.case.steps):
                if step.kind in ("file", "edit"):
                    for side in self._sides:
                        (_write if step.kind == "file" else _edit)(side, step)
                elif step.kind == "words":
                    found += self._judge(step.told.split(), *told, number)
                elif step.kind == "why":
                    found += self._why(step) if self._asks_why else []
                else:
                    seed = next(self._seeds)
                    told = list(
                        pool.map(lambda side, step=step, seed=seed: self._session(side, step, seed), self._sides)
                    )
        return found

    def _session(self, side: Path, step: Step, seed: str) -> Told:
        more = dict(one.split("=", 1) for one in step.told.split() if "=" in one)
        if side.name == "computed":
            more["REPROKIT_REUSE"] = "0"
        script = step.told.split()[0] if step.kind == "script" else "go.py"
        if step.kind != "script":
            text = "p = print\n" if step.kind == "bare" else _START
            spawns = "spawn" in step.body
            body = step.body.replace("\n", "\n    ") if spawns else step.body
            (side / "go.py").write_text(f"{text}if __name__ == '__main__':\n    {body}\n" if spawns else text + body)
        if self.case.is_committed:
            git(side, "add", "-A")
            git(side, "commit", "-q", "-m", "more", "--allow-empty")
        return self._prepared.run(side, script, more.pop("PYTHONHASHSEED", seed), self.case.modules, more)

    def _judge(self, expected: list[str], reused: Told, computed: Told, number: int) -> list[str]:
        found = []
        where = f"{self.case.id}, step {number}"
        if not agrees(expected, reused.words):
            found.append(f"{where}: expected {expected}, got {reused.words}\n{reused.errors}")
        if reused.status != computed.status:
            found.append(f"{where}: ends with {reused.status}, without reuse with {computed.status}\n{reused.errors}")
        if reused.values != computed.values:
            self.differs = True
            if "limit" not in self.case.marks:
                found.append(f"{where}: gives {reused.values}, without reuse {computed.values}\n{computed.errors}")
        return found

    def _why(self, step: Step) -> list[str]:
        call, _, words = step.told.partition(": ")
        asked = Step("session", "", f"import reprokit; p(reprokit.why({call}))\n")
        told = self._session(self._sides[0], asked, next(self._seeds))
        missing = [word for word in words.split() if word not in " ".join(told.words)]
        return (
            [f"{self.case.id}: why({call}) says nothing of {missing}: {told.words}\n{told.errors}"] if missing else []
        )


def _write(side: Path, step: Step) -> None:
    path = side / step.told
    path.parent.mkdir(parents=True, exist_ok=True)
    imported = {"m.py": "import reprokit as rk\n", "main.py": "import reprokit as rk\np = print\n"}
    path.write_text(imported.get(step.told, "") + step.body)


def _edit(side: Path, step: Step) -> None:
    name, _, change = f"{step.told}\n{step.body}".rstrip("\n").partition(": ")
    old, _, new = change.partition(" ==> ")
    text = (side / name).read_text()
    assert old in text, f"{name} has no {old!r}"
    (side / name).write_text(text.replace(old, new))
