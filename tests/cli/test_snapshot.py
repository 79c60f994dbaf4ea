"""``reprokit snapshot``, and the functions behind it."""

from __future__ import annotations

import json
import os

import pytest

import reprokit as rk
from reprokit import snapshot
from reprokit.errors import SecretsError, TreeNotFoundError


@rk.snapshot_code(refresh="call")
def keep():
    return rk.current().snapshot


@pytest.fixture
def two(project):
    """Two kept trees of a project."""
    (project.root / "pipeline.py").write_text("X = 1\n")
    (project.root / "gone.py").write_text("")
    (project.root / "run.sh").write_text("echo\n")
    (project.root / "data.bin").write_bytes(b"\0\1")
    first = keep()
    (project.root / "pipeline.py").write_text("X = 2\n")
    (project.root / "gone.py").unlink()
    (project.root / "run.sh").chmod(0o755)
    (project.root / "data.bin").write_bytes(b"\0\2")
    (project.root / "new\nname.py").write_text("\x1b[31m\n")
    return first, keep()


def test_list_and_show(project, two):
    table = project.reprokit("snapshot", "list").stdout.splitlines()
    assert table[0].split() == ["tree", "first", "kept", "files", "size", "nested", "left", "out"]
    listed = json.loads(project.reprokit("snapshot", "list", "--json").stdout)
    assert {one["digest"] for one in listed} == set(two)
    assert {one.digest for one in snapshot.trees()} == set(two)
    shown = json.loads(project.reprokit("snapshot", "show", two[1].removeprefix("sha256:")[:10], "--json").stdout)
    assert shown["digest"] == two[1]
    assert {one["path"]: one["mode"] for one in shown["files"]}["run.sh"] == "100755"
    run = project.pre()["run_id"]
    assert project.reprokit("snapshot", "show", run[:8]).stdout.startswith(f"{two[1]}  ")
    assert project.reprokit("snapshot", "show").stdout.startswith(f"{two[1]}  ")
    assert "\n" not in next(
        line for line in project.reprokit("snapshot", "show").stdout.split("\n") if "name.py" in line
    )


def test_diff_names_first_then_content(project, two):
    done = project.reprokit("snapshot", "diff", *two, text=False)
    names, _, patches = done.stdout.partition(b"\n\n")
    assert [line.split()[0] for line in names.split(b"\n")] == [b"M", b"D", b"A", b"M", b"m"]
    assert b"-X = 1\n+X = 2\n" in patches
    assert b"Binary files" in patches
    assert json.loads(project.reprokit("snapshot", "diff", *two, "--json").stdout) == [
        {"path": "data.bin", "kind": "changed"},
        {"path": "gone.py", "kind": "removed"},
        {"path": "new\nname.py", "kind": "added"},
        {"path": "pipeline.py", "kind": "changed"},
        {"path": "run.sh", "kind": "mode"},
    ]
    assert project.reprokit("snapshot", "diff", *two, "--names").stdout.count("\n") == 5
    assert project.reprokit("snapshot", "diff", two[1], two[1]).stdout == ""


def test_export(project, two, tmp_path):
    done = project.reprokit("snapshot", "export", two[0], str(tmp_path / "out"))
    assert done.stdout == f"{two[0]} -> {tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "pipeline.py").read_text() == "X = 1\n"
    assert snapshot.export("@", tmp_path / "other") == two[1]
    assert os.access(tmp_path / "other" / "run.sh", os.X_OK)
    done = project.reprokit("snapshot", "export", two[1], str(tmp_path / "out"))
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert (tmp_path / "out" / "pipeline.py").read_text() == "X = 1\n"


def test_a_tree_with_secrets_is_exported_only_when_told(project, tmp_path):
    (project.root / "upload.py").write_text("TOKEN = 'ghp_" + "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5'\n")
    digest = keep()
    with pytest.raises(SecretsError, match=r"upload\.py: .*allow_secrets"):
        snapshot.export(digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    done = project.reprokit("snapshot", "export", digest, str(tmp_path / "out"))
    assert "upload.py" in done.stderr
    assert done.returncode == 1
    project.reprokit("snapshot", "export", digest, str(tmp_path / "out"), "--allow-secrets")
    assert (tmp_path / "out" / "upload.py").exists()


def test_wrong_names_are_told_in_one_line(project, two):
    for wanted in ("zzz", "fffffffff", "../x", ""):
        done = project.reprokit("snapshot", "show", wanted)
        assert done.returncode == 1
        assert done.stderr.count("\n") == 1
        assert "Traceback" not in done.stderr
    with pytest.raises(TreeNotFoundError):
        snapshot.files("zzz")


def test_a_vault_without_trees_says_how_to_keep_one(project):
    assert "@reprokit.snapshot_code keeps one" in project.reprokit("snapshot", "list").stdout
    assert json.loads(project.reprokit("snapshot", "list", "--json").stdout) == []
    assert not project.vault.exists()


def test_a_run_without_a_tree_says_so(project):
    with rk.run("nothing"):
        pass
    done = project.reprokit("snapshot", "show", "@")
    assert "this run kept no tree" in done.stderr
