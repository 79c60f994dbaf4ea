"""Which root it is, when things change under a running process, and settings that are odd in a way of their own."""

from __future__ import annotations

import os

import pytest

from reprokit import settings
from reprokit.errors import SettingsError


def test_a_nearer_mark_that_comes_later_is_noticed(tmp_path, monkeypatch):
    (tmp_path / "reprokit.toml").touch()
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert settings.current().root == tmp_path
    (inner / "reprokit.toml").touch()
    assert settings.current().root == inner


def test_a_first_mark_here_is_noticed_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert settings.current().root == tmp_path
    (tmp_path / "reprokit.toml").write_text("strict = true\n")
    assert settings.current().strict


def test_the_variable_wins_over_a_root_that_was_found_before(tmp_path, monkeypatch):
    (tmp_path / "reprokit.toml").touch()
    inner = tmp_path / "inner"
    inner.mkdir()
    monkeypatch.chdir(inner)
    assert settings.current().root == tmp_path
    monkeypatch.setenv("REPROKIT_ROOT", str(inner))
    assert settings.current().root == inner


def test_a_relative_variable_follows_the_working_folder(tmp_path, monkeypatch):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        monkeypatch.setenv("REPROKIT_ROOT", ".")
        assert settings.current().root == tmp_path / name


def test_a_mistyped_root_is_an_error_and_makes_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("REPROKIT_ROOT", str(tmp_path / "tpyo"))
    with pytest.raises(SettingsError, match="REPROKIT_ROOT"):
        settings.current()
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("text", ["tool = 5", "x = [", "[tool.other]\nreprokti = 1"])
def test_a_pyproject_that_is_not_about_us_is_not_our_business(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    assert settings.load(tmp_path, {}).vault == tmp_path / "vault"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[tool]\nreprokit = 5"),
        ("reprokit.toml", "x = " + "[" * 5_000),
        ("reprokit.toml", "max-file-size = '" + "9" * 400 + " MB'"),
    ],
)
def test_every_mistake_is_a_settings_error(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsError, match=name):
        settings.load(tmp_path, {})


@pytest.mark.parametrize("value", ["\u00b2", "9" * 5_000, "", "-1", "1e3", "MB"])
def test_every_mistake_in_a_size_variable_is_a_settings_error(tmp_path, value):
    with pytest.raises(SettingsError, match="REPROKIT_MAX_FILE_SIZE"):
        settings.load(tmp_path, {"REPROKIT_MAX_FILE_SIZE": value})


def test_a_byte_order_mark_is_read_over(tmp_path):
    (tmp_path / "reprokit.toml").write_bytes(b"\xef\xbb\xbfstrict = true\n")
    assert settings.load(tmp_path, {}).strict
