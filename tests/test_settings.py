"""Settings: capsula's keys and ours, from files and the environment; mistakes name file, key and the nearest valid one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from reprokit import settings
from reprokit.errors import SettingsError
from tests.conftest import git

CAPSULA = """
[capture]
vault-directory = 'records'
capsule-template = '%Y_%m'
include-cpu = false
pre-capture-commands = ['true']
environment-variables = ['HOME']

[capture.files]
"pyproject.toml" = { hash = "sha256", copy = true }
"requirements.txt" = { hash = "md5", move = true }

[capture.git.repositories]
"here" = '.'

[monitor]
[monitor.item.calculate-pi-cli.files]
"examples/pi_cli.png" = { hash = "sha3", move = true }
"""


@pytest.mark.parametrize("name", ["reprokit.toml", "capsula.toml", "pyproject.toml"])
def test_capsulas_tables_are_understood(tmp_path, name):
    text = CAPSULA
    if name == "pyproject.toml":
        text = text.replace("[capture", "[tool.reprokit.capture").replace("[monitor", "[tool.reprokit.monitor")
    (tmp_path / name).write_text(text)
    found = settings.load(tmp_path, {})
    assert found.source == tmp_path / name
    assert found.vault == tmp_path / "records"
    assert found.run_template == "%Y_%m"
    assert found.include_cpu is False
    assert found.pre_capture_commands == ("true",)
    assert found.environment_variables == ("HOME",)
    assert found.capture_files["pyproject.toml"] == settings.FileRule("sha256", copy=True)
    assert found.repositories == {"here": "."}
    assert found.items["calculate-pi-cli"]["examples/pi_cli.png"] == settings.FileRule("sha3", move=True)


def test_no_file_works_and_reprokit_toml_wins(tmp_path):
    assert settings.load(tmp_path, {}).vault == tmp_path / "vault"
    (tmp_path / "capsula.toml").write_text("[capture]\nvault-directory = 'c'\n")
    assert settings.load(tmp_path, {}).vault == tmp_path / "c"
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert settings.load(tmp_path, {}).vault == tmp_path / "c"
    (tmp_path / "pyproject.toml").write_text("[tool.reprokit.capture]\nvault_directory = 'p'\n")
    assert settings.load(tmp_path, {}).vault == tmp_path / "p"
    (tmp_path / "reprokit.toml").write_text("strict = true\n")
    assert settings.load(tmp_path, {}).vault == tmp_path / "vault"


def test_environment_wins_over_files(tmp_path):
    (tmp_path / "reprokit.toml").write_text("strict = false\ndirty = 'all'\nmax-file-size = '1 kB'\n")
    environ = {
        "REPROKIT_STRICT": "1",
        "REPROKIT_DIRTY": "tracked",
        "REPROKIT_MAX_FILE_SIZE": "2 MiB",
        "REPROKIT_REDACT": "a, b",
    }
    environ |= {
        "REPROKIT_VAULT_DIRECTORY": "/elsewhere",
        "REPROKIT_ROOT": "x",
        "REPROKIT_PARENT": "y",
        "REPROKIT_RUN_DIR": "z",
    }
    found = settings.load(tmp_path, environ)
    assert (found.strict, found.dirty, found.max_file_size, found.redact) == (True, "tracked", 2 * 2**20, ("a", "b"))
    assert found.vault == Path("/elsewhere")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("strickt = true", ["strickt", "did you mean 'strict'"]),
        ("[captrue]", ["captrue", "did you mean 'capture'"]),
        ("[capture]\nvalt-directory = 'x'", ["capture.valt-directory", "did you mean 'vault-directory'"]),
        ("[capture]\ninclude-cpu = 1", ["capture.include-cpu", "1 is no true or false"]),
        ("[capture]\nenvironment-variables = 'HOME'", ["capture.environment-variables", "list of strings"]),
        ("[capture.files]\n'a' = { hash = 'sha512' }", ["capture.files.a.hash", "'sha512'", "sha256"]),
        ("[capture.files]\n'a' = { copy = true, move = true }", ["capture.files.a", "exclude each other"]),
        ("[capture.files]\n'a' = { hsh = 'md5' }", ["capture.files.a.hsh", "did you mean 'hash'"]),
        ("[monitor.item.x]\nfile = 1", ["monitor.item.x.file", "did you mean 'files'"]),
        ("dirty = 'yes'", ["dirty", "'yes'", "'source'"]),
        ("max-file-size = 'big'", ["max-file-size", "50 MB"]),
        ("max-file-size = -1", ["max-file-size"]),
        ("template = '{stem}'", ["template", "{commit}"]),
        ("capture = 5", ["capture", "table"]),
        ("strict = true\nstrict = false\nx = 1", ["not TOML", "line 2"]),
        ("x = [", ["not TOML"]),
    ],
)
def test_mistakes_name_file_key_and_remedy(tmp_path, text, parts):
    (tmp_path / "reprokit.toml").write_text(text)
    with pytest.raises(SettingsError) as caught:
        settings.load(tmp_path, {})
    for part in [str(tmp_path / "reprokit.toml"), *parts]:
        assert part in str(caught.value)


def test_mistakes_in_pyproject_name_the_whole_key(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.reprokit]\nstrikt = true\n")
    with pytest.raises(SettingsError, match=r"tool\.reprokit\.strikt"):
        settings.load(tmp_path, {})


def test_a_file_that_is_no_utf_8(tmp_path):
    (tmp_path / "reprokit.toml").write_bytes(b"x = '\xff'")
    with pytest.raises(SettingsError, match="not UTF-8"):
        settings.load(tmp_path, {})


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("REPROKIT_STRCT", "1", "REPROKIT_STRICT"),
        ("REPROKIT_STRICT", "maybe", "'maybe' is no true or false"),
        ("REPROKIT_EXISTS", "x", "'keep'"),
    ],
)
def test_mistakes_in_variables(tmp_path, name, value, part):
    with pytest.raises(SettingsError) as caught:
        settings.load(tmp_path, {name: value})
    assert name in str(caught.value)
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("text", "size"), [("50 MB", 50_000_000), ("1KiB", 1024), ("2g", 2 * 10**9), ("7", 7), ("1.5 kB", 1500), (12, 12)]
)
def test_sizes(tmp_path, text, size):
    (tmp_path / "reprokit.toml").write_text(f"max-file-size = {text!r}\n")
    assert settings.load(tmp_path, {}).max_file_size == size


def test_a_bundle_may_have_100_mb_unless_told_otherwise(tmp_path):
    assert settings.load(tmp_path, {}).max_bundle_size == 100_000_000
    (tmp_path / "reprokit.toml").write_text("max-bundle-size = '250 MB'\n")
    assert settings.load(tmp_path, {}).max_bundle_size == 250_000_000
    assert settings.load(tmp_path, {"REPROKIT_MAX_BUNDLE_SIZE": "1 GB"}).max_bundle_size == 10**9


def test_root_is_the_first_marked_folder_upwards(tmp_path):
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    script = tmp_path / "scripts" / "s.py"
    script.parent.mkdir()
    assert settings.find_root(inner) == inner
    (tmp_path / "scripts" / "reprokit.toml").touch()
    assert settings.find_root(inner, script) == tmp_path / "scripts"
    git(tmp_path, "init", "-q")
    assert settings.find_root(inner, script) == tmp_path
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.other]\n")
    assert settings.find_root(inner) == tmp_path
    (tmp_path / "a" / "pyproject.toml").write_text("[tool.reprokit]\n")
    assert settings.find_root(inner) == tmp_path / "a"
    (inner / "capsula.toml").touch()
    assert settings.find_root(inner) == inner


def test_current_follows_the_working_folder_files_and_variables(tmp_path, monkeypatch):
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "reprokit.toml").write_text("")
    monkeypatch.chdir(one)
    first = settings.current()
    assert first.root == one
    assert settings.current() is first
    (one / "reprokit.toml").write_text("strict = true\n")
    assert settings.current().strict
    monkeypatch.setenv("REPROKIT_STRICT", "0")
    assert not settings.current().strict
    monkeypatch.chdir(two)
    assert settings.current().root == two
    monkeypatch.setenv("REPROKIT_ROOT", str(one))
    assert settings.current().root == one


def test_a_deleted_working_folder_keeps_the_last_project(tmp_path, monkeypatch):
    (tmp_path / "reprokit.toml").write_text("")
    doomed = tmp_path / "doomed"
    doomed.mkdir()
    monkeypatch.chdir(doomed)
    assert settings.current().root == tmp_path
    doomed.rmdir()
    assert settings.current().root == tmp_path


def test_a_script_started_from_elsewhere_finds_its_own_project(project, tmp_path):
    import subprocess

    from tests.conftest import SOURCE

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (project.root / "s.py").write_text(
        "import reprokit as rk\nprint(rk.Artifact('o', allow_dirty=True)(lambda o: o)('a.txt'))\n"
    )
    done = subprocess.run(
        [sys.executable, str(project.root / "s.py")],
        cwd=elsewhere,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    assert project.commit in done.stdout
    assert len(project.folders) == 1


def test_a_key_that_is_given_in_both_spellings_is_refused(tmp_path):
    (tmp_path / "reprokit.toml").write_text("allow-dirty = true\nallow_dirty = false\n")
    with pytest.raises(SettingsError, match=r"given twice: 'allow-dirty'"):
        settings.load(tmp_path, {})
