"""Packages whose metadata is hostile, and an import path that holds odd things."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from reprokit import process
from reprokit.capture import environment, host
from reprokit.capture import random as random_state


def install(folder, name, direct_url):
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(direct_url)


def urls(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(folder)])
    found = environment.packages()
    msgspec.json.encode(found)
    return {p.name: p.direct_url for p in found}


def test_urls_keep_no_secret_in_query_user_or_path(tmp_path, monkeypatch):
    key = "ghp_" + "a1B2c3D4e5" * 3 + "zz9988"
    for name, url in {
        "query": "https://host/x.whl?access_token=abcdef123456&x=1",
        "user": f"git+https://ada:{key}@host/x",
        "path": f"https://host/{key}/x.whl",
    }.items():
        install(tmp_path, name, json.dumps({"url": url}))
    found = urls(tmp_path, monkeypatch)
    assert found["query"] == {"url": "https://host/x.whl"}
    assert found["user"] == {"url": "git+https://host/x"}
    assert key not in str(found)


def test_what_makes_a_package_findable_again_stays(tmp_path, monkeypatch):
    told = {
        "url": "https://host/x.git",
        "vcs_info": {"vcs": "git", "commit_id": "f" * 40, "requested_revision": "main"},
        "archive_info": {"hash": "sha256=" + "0a" * 32, "hashes": {"sha256": "0a" * 32}},
        "subdirectory": "python",
    }
    install(tmp_path, "x", json.dumps(told))
    assert urls(tmp_path, monkeypatch) == {"x": told}


@pytest.mark.parametrize("text", ['{"url": "file:///\\ud800"}', "[" * 60_000, "{", "5", "null", "\x00"])
def test_metadata_that_no_record_can_hold_is_left_out(tmp_path, monkeypatch, text):
    install(tmp_path, "x", text)
    assert urls(tmp_path, monkeypatch) == {"x": None}


@pytest.mark.parametrize("odd", [Path("/"), None, 5, b"/", "\0", "/dev/null"])
def test_an_import_path_may_hold_anything(monkeypatch, odd):
    wanted = environment.packages()
    monkeypatch.setattr(sys, "path", [odd, *sys.path])
    assert environment.packages() == wanted


def test_a_random_module_of_the_users_own_is_passed_over(monkeypatch):
    import types

    pytest.importorskip("numpy.random")  # it imports the real one when it is first needed
    monkeypatch.setitem(sys.modules, "random", types.ModuleType("random"))
    assert "random" not in random_state.state()


def test_random_state_never_starts_a_gpu_driver(monkeypatch):
    """A process that forks after its driver was started can't use the GPU any more."""
    import types

    asked = []
    torch = types.ModuleType("torch")
    torch.get_rng_state = lambda: types.SimpleNamespace(numpy=lambda: types.SimpleNamespace(tobytes=lambda: b"s"))
    torch.cuda = types.SimpleNamespace(is_available=lambda: asked.append(1) or False, is_initialized=lambda: False)
    monkeypatch.setitem(sys.modules, "torch", torch)
    assert random_state.state()["torch"] == {"cpu": "cw=="}
    assert not asked


def test_a_broken_gpu_library_is_no_gpu(monkeypatch):
    import types

    broken = types.ModuleType("pynvml")  # has none of the functions
    monkeypatch.setitem(sys.modules, "pynvml", broken)
    monkeypatch.setattr(host, "_DRIVERS", ("/",))
    assert host.gpus.__wrapped__() == []


def test_a_generator_of_another_kind_is_left_alone():
    np = pytest.importorskip("numpy")
    before = np.random.get_state(legacy=False)
    found = random_state.state()
    other = np.random.get_bit_generator()
    try:
        np.random.set_bit_generator(np.random.PCG64(3))
        assert "numpy" not in random_state.restore(found)
        assert np.random.get_state(legacy=False)["bit_generator"] == "PCG64"
    finally:
        np.random.set_bit_generator(other)
        np.random.set_state(before)
    assert "numpy" in random_state.restore(found)


def test_a_version_that_holds_an_underscore_is_read_from_the_metadata(tmp_path, monkeypatch):
    info = tmp_path / "mine-1.0_local.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0+local\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    assert [(p.name, p.version) for p in environment.packages()] == [("mine", "1.0+local")]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")
def test_processes_live_where_proc_is_hidden_too(monkeypatch, tmp_path):
    import subprocess

    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        there = msgspec.structs.replace(host.process_id(), pid=child.pid, started=None)
        assert host.is_alive(there)
        monkeypatch.setattr(process, "PROC", str(tmp_path))
        assert host.is_alive(there)
    finally:
        child.communicate()
    assert host.is_alive(there) is False
