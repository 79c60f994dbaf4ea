"""A result is not used again when an environment variable that its code reads has changed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from reprokit.model.redact import Redactor
from reprokit.recorder.reuse import key
from tests.conftest import SOURCE

HELPER = """
import os as o
from os import environ as E
NAME = "MODE"
def mode(): return E.get(NAME, "none")
def secret(): return o.getenv("API_TOKEN")
class Given:
    def __call__(self): return E.get("GIVEN")
def given(): return E.get("GIVEN")
"""
SCRIPT = """
import sys
import reprokit as rk
import helper

@rk.cache
def plain(x):
    print("ran", flush=True)
    return [x, helper.mode()]

@rk.Artifact("path", exists="reuse", allow_dirty=True)
def written(path):
    print("ran", flush=True)
    with open(path, "w") as stream: stream.write(helper.mode())

@rk.cache
def hidden():
    print("ran", flush=True)
    return len(helper.secret() or "")

@rk.cache
def brought(f):
    print("ran", flush=True)
    return f()

@rk.cache
def computed(name):
    print("ran", flush=True)
    import os
    return os.environ.get(name)

calls = {
    "plain": lambda: plain(1), "written": lambda: written("out.txt"), "hidden": hidden,
    "brought": lambda: brought(helper.given), "computed": lambda: computed("MODE"),
}
print(calls[sys.argv[1]]())
"""


@pytest.fixture
def call(project):
    """Call a function in a process of its own: what it printed, and whether the function ran."""
    (project.root / "helper.py").write_text(HELPER)
    (project.root / "script.py").write_text(SCRIPT)

    def call(name="plain", **environment):
        base = {one: value for one, value in os.environ.items() if one not in {"MODE", "API_TOKEN", "GIVEN"}}
        done = subprocess.run(
            [sys.executable, "script.py", name], cwd=project.root, env={**base, "PYTHONPATH": str(SOURCE), **environment},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        *ran, value = done.stdout.splitlines()
        return bool(ran), value

    return call


def recorded(project):
    return [
        json.loads(path.read_text())["reuse"] for path in (project.root / "vault/runs").glob("*/post-run-info.json")
    ]


@pytest.mark.parametrize("name", ["plain", "written"])
def test_another_value_is_another_call(call, name):
    first = call(name, MODE="dev")
    assert first[0]
    assert call(name, MODE="dev") == (False, first[1])
    assert call(name, MODE="prod")[0]
    assert not call(name, MODE="prod")[0]


def test_earlier_values_are_remembered(call):
    assert call(MODE="dev") == (True, "[1, 'dev']")
    assert call(MODE="prod") == (True, "[1, 'prod']")
    assert call(MODE="dev") == (False, "[1, 'dev']")


def test_empty_is_not_absent(call):
    assert call() == (True, "[1, 'none']")
    assert call(MODE="") == (True, "[1, '']")
    assert call() == (False, "[1, 'none']")
    assert call(MODE="") == (False, "[1, '']")


def test_other_variables_do_not_matter(call):
    assert call(MODE="dev")[0]
    path = os.pathsep.join([os.environ["PATH"], "/nowhere"])
    assert call(MODE="dev", PATH=path, OTHER="1", LANG="C") == (False, "[1, 'dev']")


def test_what_code_reads_that_arguments_bring_along_counts(call):
    assert call("brought", GIVEN="a") == (True, "a")
    assert call("brought", GIVEN="a") == (False, "a")
    assert call("brought", GIVEN="b") == (True, "b")


def test_names_that_cannot_be_told_forbid_reuse(call):
    assert call("computed", MODE="a") == (True, "a")
    assert call("computed", MODE="a") == (True, "a")


def test_records_hold_digests_and_none_of_secrets(call, project):
    assert call(MODE="dev")[0]
    (info,) = recorded(project)
    assert info["environment"] == key.environment_of([closure("MODE")], Redactor())[1]
    assert call("hidden", API_TOKEN="abc")[0]
    assert not call("hidden", API_TOKEN="abc")[0]
    assert call("hidden", API_TOKEN="abd")[0]
    assert not [info for info in recorded(project) if "API_TOKEN" in info.get("environment", {})]


def closure(*names):
    return key.ClosureInfo(function="m:f", digest="sha256:0", parts={}, environment=list(names))


@pytest.fixture(autouse=True)
def dev(monkeypatch):
    monkeypatch.setenv("MODE", "dev")


def test_secrets_are_digested_slowly(monkeypatch):
    monkeypatch.setenv("API_TOKEN", "dev")
    monkeypatch.setenv("URL", "postgres://me:hunter2hunter2@host/db")
    digests, shown = key.environment_of([closure("MODE", "API_TOKEN"), closure("URL", "MODE")], Redactor())
    assert list(digests) == ["API_TOKEN", "MODE", "URL"]
    assert digests["API_TOKEN"] != digests["MODE"]
    assert shown == {"MODE": digests["MODE"]}


def test_names_that_no_variable_has_are_absent():
    digests, _ = key.environment_of([closure("a=b", "\0", "\ud800", "")], Redactor())
    assert len({*digests.values()}) == 1


def test_without_variables_the_key_is_what_it_was():
    assert key.environment_of([closure()], Redactor()) == ({}, {})
