"""Machine, packages, variables, random state, arguments, files: what is found out, and what never goes wrong."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit import process as processes
from reprokit.capture import arguments, environment, files, host
from reprokit.capture import random as random_state
from reprokit.model.redact import Redactor
from reprokit.settings import FileRule

np = pytest.importorskip("numpy")

# --- host --------------------------------------------------------------------------------------------------------------


def test_platform_has_capsulas_keys_as_text():
    found = msgspec.to_builtins(host.platform_info())
    for key in ("machine", "node", "platform", "release", "version", "system", "processor"):
        assert isinstance(found[key], str)
    assert found["python"]["version"] == ".".join(map(str, sys.version_info[:3]))
    assert found["python"]["executable_architecture"]["bits"] == "64bit"


def test_cpu_and_memory():
    assert host.cpu()["count"] == os.cpu_count()
    assert host.memory() > 2**20
    assert isinstance(host.gpus(), list)


def test_a_process_is_alive_until_it_ends():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own = host.process_id()
    its = msgspec.structs.replace(own, pid=process.pid, started=processes.started(process.pid))
    assert host.is_alive(own)
    assert host.is_alive(its)
    assert host.is_alive(msgspec.structs.replace(its, started=its.started - 1)) is False
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert host.is_alive(its) is False  # a zombie has ended
    process.communicate()
    assert host.is_alive(its) is False
    assert host.is_alive(msgspec.structs.replace(own, host="another")) is None
    assert host.is_alive(msgspec.structs.replace(own, boot_id="another")) is False


def test_resources_grow():
    before = host.resources_before()
    sum(i * i for i in range(10**6))
    found = host.resources_since(before)
    assert found.wall_time > 0
    assert found.cpu_user >= 0
    assert found.peak_memory > 2**20


# --- environment -------------------------------------------------------------------------------------------------------


def test_packages_are_those_that_importlib_metadata_finds():
    def normal(name):
        return re.sub(r"[-_.]+", "-", name).lower()

    wanted = {}
    for one in importlib.metadata.distributions():
        wanted.setdefault(normal(one.metadata["Name"]), one.version)
    assert {normal(p.name): p.version for p in environment.packages()} == wanted


def test_direct_urls_lose_their_credentials(tmp_path, monkeypatch):
    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: mine\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(
        json.dumps({"url": "https://u:pw@host/mine.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}})
    )
    odd = tmp_path / "odd.egg-info"
    odd.mkdir()
    (odd / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: Odd.Name\nVersion: 2.0\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "absent"), *sys.path])
    found = {p.name: p for p in environment.packages()}
    assert found["mine"].version == "1.0"
    assert found["mine"].direct_url["url"] == "https://host/mine.git"
    assert found["Odd.Name"].version == "2.0"


def test_variables_are_allow_listed_and_cleaned():
    environ = {"PYTHONHASHSEED": "0", "HOME": "/h", "A_TOKEN": "abc12345", "URL": "https://u:p@h/", "PATH": "/bin"}
    kept, secret, missing = environment.variables(["HOME", "A_TOKEN", "URL", "NONE"], environ, Redactor())
    assert kept == {"PYTHONHASHSEED": "0", "HOME": "/h", "A_TOKEN": "<redacted>", "URL": "https://<redacted>@h/"}
    assert set(secret) == {"A_TOKEN", "URL"}
    assert missing == {"environment_variables['NONE']": "not set"}


# --- random state ------------------------------------------------------------------------------------------------------


@given(st.integers(), st.integers(0, 20))
def test_random_state_comes_back_exactly(seed, draws):
    random.seed(seed)
    np.random.seed(seed % 2**32)
    for _ in range(draws):
        random.gauss(0, 1), np.random.standard_normal()
    found = json.loads(json.dumps(random_state.state()))
    wanted = [random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.rand()]
    assert random_state.restore(found) == ["random", "numpy"]
    assert [random.gauss(0, 1), random.random(), np.random.standard_normal(), np.random.rand()] == wanted


# --- arguments ---------------------------------------------------------------------------------------------------------

exact = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=100), inner, max_size=4),
    max_leaves=15,
)


@given(exact)
def test_what_json_holds_exactly_is_kept_exactly(value):
    plain, is_exact = arguments.describe(value)
    assert is_exact
    assert plain == value
    assert json.loads(json.dumps(plain)) == value


class Unhappy:
    def __repr__(self):
        raise ValueError


class WrongRepr:
    def __repr__(self):
        return 5


class Hostile:
    __class__ = property(lambda self: 1 / 0)


class Huge:
    def __repr__(self):
        return "x" * 10**7


@dataclass
class Plain:
    x: int


def cyclic():
    value = [1]
    value.append(value)
    return value


ODD = [
    math.nan, math.inf, 10**400, 2**53, b"abc", (1, 2), {1, 2}, {1: 2}, "\udcff", "x" * 20_000, list(range(5000)), Unhappy(), WrongRepr(), Hostile(), Huge(),
    Plain(1), cyclic(), np.zeros((2, 3)), np.float64(1.5), np.array(object()), Path("a"), int, len, sys, lambda: 1, object(), range(3), iter([]), 1 + 2j,
    {"deep": [[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]},
]  # fmt: skip


@pytest.mark.parametrize("index", range(len(ODD)))
def test_everything_else_is_described_and_never_aborts(index):
    value = ODD[index]
    plain, is_exact = arguments.describe(value)
    assert not is_exact
    data = json.dumps(plain)
    assert len(data) < 100_000
    assert "0x" not in data
    data.encode()


def test_descriptions_say_what_matters():
    assert arguments.describe(np.zeros((2, 3), "f4"))[0] == {
        "$type": "numpy.ndarray",
        "dtype": "float32",
        "shape": [2, 3],
    }
    assert arguments.describe(Path("a/b"))[0]["text"] == "a/b"
    assert arguments.describe(b"abc")[0]["digest"] == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    assert arguments.describe((1, "a"))[0] == {"$type": "tuple", "len": 2, "items": [1, "a"]}
    assert arguments.describe(Plain(1))[0]["repr"].endswith("Plain(x=1)")


def test_a_call_lists_what_is_inexact_and_redacted():
    call = arguments.call((1, (2,)), {"password": "hunter22", "x": math.nan, "n": 5}, Redactor())
    assert call.inexact == ["args[1]", "kwargs['x']"]
    assert call.kwargs["password"] == "<redacted>"
    assert call.redacted == ["kwargs['password']"]


# --- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 2**20 - 1, 2**20, 2**20 + 1, 3 * 2**20])
def test_digest_of_a_file_is_its_sha256(tmp_path, size):
    data = os.urandom(size)
    (tmp_path / "f").write_bytes(data)
    assert files.digest_file(str(tmp_path / "f")) == (f"sha256:{hashlib.sha256(data).hexdigest()}", size)


def tree(root, content):
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            path.mkdir()
        elif isinstance(data, str):
            path.symlink_to(data)
        else:
            path.write_bytes(data)
    return str(root)


BASE = {"a.txt": b"a", "d/b.txt": b"b", "empty": None, "link": "a.txt"}


def test_digest_of_a_folder_covers_names_content_links_and_empty_folders(tmp_path):
    base, size = files.digest_folder(tree(tmp_path / "base", BASE))
    assert size == 2
    assert files.digest_folder(tree(tmp_path / "again", dict(reversed(BASE.items()))))[0] == base
    changes = [
        {**BASE, "a.txt": b"A"}, {**BASE, "c.txt": b""}, {**BASE, "link": "d/b.txt"}, {k: v for k, v in BASE.items() if k != "empty"},
        {"a.txt": b"a", "d/b.txt": b"b", "empty": b"", "link": "a.txt"}, {"a.txt": b"b", "d/b.txt": b"a", "empty": None, "link": "a.txt"},
    ]  # fmt: skip
    found = {files.digest_folder(tree(tmp_path / str(i), change))[0] for i, change in enumerate(changes)}
    assert len(found) == len(changes)
    assert base not in found


def test_a_stamp_changes_when_something_is_written(tmp_path):
    root = tmp_path / "r"
    tree(root, BASE)
    before = files.stamp(str(root))
    (root / "d" / "b.txt").read_bytes()
    assert files.stamp(str(root)) == before
    (root / "d" / "b.txt").write_bytes(b"longer")
    assert files.stamp(str(root)) != before
    assert files.stamp(str(root / "nothing")) is None


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", "sha3"])
def test_capsulas_algorithms(tmp_path, algorithm):
    (tmp_path / "f").write_bytes(b"x")
    name = {"sha3": "sha3_256"}.get(algorithm, algorithm)
    assert files.hash_as(str(tmp_path / "f"), algorithm) == hashlib.new(name, b"x").hexdigest()


def test_files_of_one_name_do_not_meet_in_the_run_folder(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    names = []
    for folder in "abc":
        path = tmp_path / folder / "f.txt"
        path.parent.mkdir()
        path.write_text(folder)
        names.append(files.keep(FileRule(copy=True), path, run).kept_as)
    assert names == ["f.txt", "f-2.txt", "f-3.txt"]
    assert [(run / name).read_text() for name in names] == ["a", "b", "c"]
    moved = files.keep(FileRule("md5", move=True), tmp_path / "a" / "f.txt", run)
    assert not (tmp_path / "a" / "f.txt").exists()
    assert moved.hash == hashlib.md5(b"a").hexdigest()


# --- configuration files ---------------------------------------------------------------------------------------------


def test_a_path_that_no_file_can_have_is_a_config_error():
    from reprokit.capture import config
    from reprokit.errors import ConfigError

    with pytest.raises(ConfigError, match="null"):
        config.resolve("a\0.yaml")
