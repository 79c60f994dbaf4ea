"""The patch that leads from the commit to what is on disk applies byte for byte."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from reprokit import git as git_module
from reprokit.capture import git as git_capture
from reprokit.errors import CaptureError, GitError
from tests.conftest import git


def applied(root, tmp_path, *, config=(), **options):
    """Write the patch, apply it to a clean checkout, and give both trees."""
    target = tmp_path / "p.diff"
    diff = git_capture.write_diff(root, target, max_size=10**8, vault=root / "vault", **options)
    assert diff.digest == "sha256:" + hashlib.sha256(target.read_bytes()).hexdigest()
    clone = tmp_path / "clone"
    git(tmp_path, *config, "clone", "-q", str(root), str(clone))
    if target.stat().st_size:
        git(clone, *config, "apply", "--whitespace=nowarn", str(target))
    return clone, diff


def files(root):
    found = {}
    for path in root.rglob("*"):
        if ".git" in path.relative_to(root).parts or "vault" in path.relative_to(root).parts:
            continue
        if path.is_symlink():
            found[os.fsencode(path.relative_to(root))] = os.readlink(path)
        elif path.is_file():
            found[os.fsencode(path.relative_to(root))] = (path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


def test_every_kind_of_change_in_one_patch(make_repo, tmp_path):
    root = make_repo(
        files={
            "edit.py": "a\nb\nc\n", "staged.py": "s\n", "both.py": "1\n2\n3\n4\n5\n6\n7\n8\n9\n", "gone.py": "g\n", "binary": bytes(range(256)),
            "mode.sh": "m\n", "crlf.txt": b"a\r\nb\r\n", "nonl": b"x", "moved.py": "m\n" * 30, "becomes-link": "x",
        }
    )  # fmt: skip
    (root / "edit.py").write_bytes(b"a\nB\nc")
    (root / "staged.py").write_text("S\n")
    git(root, "add", "staged.py")
    (root / "both.py").write_text("0\n2\n3\n4\n5\n6\n7\n8\n9\n")
    git(root, "add", "both.py")
    (root / "both.py").write_text("0\n2\n3\n4\n5\n6\n7\n8\n10\n")
    (root / "gone.py").unlink()
    (root / "binary").write_bytes(bytes(reversed(range(256))) * 9)
    (root / "mode.sh").chmod(0o755)
    (root / "crlf.txt").write_bytes(b"a\r\nB\r\nc")
    (root / "nonl").write_bytes(b"x\n")
    git(root, "mv", "moved.py", "there.py")
    (root / "becomes-link").unlink()
    (root / "becomes-link").symlink_to("edit.py")
    (root / "new.py").write_bytes(b"\xff\xfe no utf-8")
    (root / "empty.py").touch()
    (root / "sub dir").mkdir()
    (root / "sub dir" / "q\"uo'te\n\t.txt").write_text("odd")
    (root / os.fsdecode(b"caf\xe9")).write_text("latin")
    (root / "link").symlink_to("edit.py")
    (root / "exec").write_text("#!/bin/sh\n")
    (root / "exec").chmod(0o755)
    status = git(root, "status", "--porcelain")
    clone, diff = applied(root, tmp_path)
    assert files(clone) == files(root)
    assert diff.left_out == ()
    assert git(root, "status", "--porcelain") == status


@pytest.mark.parametrize("value", ["true", "input", "false"])
def test_line_ends_under_autocrlf(make_repo, tmp_path, monkeypatch, value):
    config = tmp_path / "gitconfig"
    config.write_text(f"[core]\n\tautocrlf = {value}\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    root = make_repo(files={"a.txt": b"a\nb\n"})
    git(root, "rm", "-q", "--cached", "a.txt")
    git(root, "reset", "-q", "--hard")
    end = b"\r\n" if value == "true" else b"\n"
    (root / "a.txt").write_bytes(b"a" + end + b"B" + end)
    clone, _ = applied(root, tmp_path)
    assert files(clone) == files(root)


def test_vault_outputs_secrets_and_large_files_stay_out(make_repo, tmp_path):
    root = make_repo(files={"a.py": "a\n", "big.txt": "b\n", "conf/.env": "old\n"})
    (root / "a.py").write_text("A\n")
    (root / "big.txt").write_text("b" * 5000)
    git(root, "add", "big.txt")
    (root / "conf" / ".env").write_text("TOKEN=1\n")
    (root / "vault").mkdir()
    for name in (
        "vault/x",
        "p-nogit-44136fa355.txt",
        "p-nogit-44136fa355.txt.run.json",
        "o.txt",
        "o.txt.run.json",
        ".env",
    ):
        (root / name).write_text("x")
    clone, diff = applied(root, tmp_path, max_file_size=1000)
    found = files(clone)
    assert found[b"a.py"][0] == b"A\n"
    assert found[b"big.txt"][0] == b"b\n"
    assert found[b"conf/.env"][0] == b"old\n"
    assert set(found) == {b"a.py", b"big.txt", b"conf/.env"}
    assert [line.split(":")[0] for line in diff.left_out] == [".env", "big.txt", "conf/.env"]


def test_a_patch_beyond_the_limit_is_refused_and_leaves_nothing(make_repo, tmp_path):
    root = make_repo()
    (root / "new.txt").write_text("line\n" * 10_000)
    with pytest.raises(CaptureError, match="max-diff-size"):
        git_capture.write_diff(root, tmp_path / "p.diff", max_size=1000)
    assert not [p for p in tmp_path.iterdir() if "diff" in p.name]


def test_a_sha256_repository(tmp_path):
    root = tmp_path / "r"
    root.mkdir()
    git(root, "init", "-q", "-b", "main", "--object-format=sha256")
    (root / "a.py").write_text("a\n")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "x")
    (root / "a.py").write_text("b\n")
    (root / "n.bin").write_bytes(bytes(range(256)))
    info = git_capture.capture(root, dirty="source")
    assert len(info.sha) == 64
    clone, _ = applied(root, tmp_path)
    assert files(clone) == files(root)


def test_sparse_checkout_is_clean(make_repo):
    root = make_repo(files={"a/x.py": "1\n", "b/y.py": "2\n"})
    git(root, "sparse-checkout", "set", "a")
    assert not (root / "b").exists()
    assert git_capture.capture(root, dirty="all").dirty is False


def test_what_makes_a_repository_dirty(make_repo):
    root = make_repo(files={"a.py": "1\n", ".gitignore": "*.log\n"})

    def dirty(mode):
        return git_capture.capture(root, dirty=mode, vault=root / "vault").changed

    (root / "vault").mkdir()
    for name in ("vault/x.py", "x.log", "p-nogit-44136fa355.py", "y.txt.run.json"):
        (root / name).write_text("x")
    assert dirty("all") == []
    (root / "notes.txt").write_text("x")
    assert (dirty("tracked"), dirty("source"), dirty("all")) == ([], [], ["notes.txt"])
    (root / "sub").mkdir()
    (root / "sub" / "new.py").write_text("x")
    assert (dirty("tracked"), dirty("source")) == ([], ["sub/new.py"])
    (root / "a.py").write_text("2\n")
    git(root, "add", "a.py")
    assert dirty("tracked") == ["a.py"]


def test_many_changes_are_counted_and_cut(make_repo):
    root = make_repo()
    for index in range(1200):
        (root / f"m{index}.py").touch()
    info = git_capture.capture(root, dirty="source")
    assert info.changed_count == 1200
    assert len(info.changed) == 1000


def test_remotes_lose_their_credentials_and_odd_names_are_readable(make_repo):
    root = make_repo()
    git(root, "remote", "add", "origin", "https://u:p@host/x.git")
    git(root, "config", "remote.o\u00e9.url", "git@host:y")
    found = {r.name: r.url for r in git_capture.capture(root, dirty="source").remotes}
    assert found["oé"] == "git@host:y"
    assert found["origin"] == "https://host/x.git"


def test_git_lfs_filters_are_left_on_and_others_off(make_repo):
    root = make_repo()
    git(root, "config", "filter.lfs.clean", "git-lfs clean -- %f")
    git(root, "config", "filter.evil.clean", "touch /tmp/x")
    git(root, "config", "filter.evil.required", "true")
    switches = git_module.filter_switches(git_module.locate(root))
    assert "filter.evil.clean=" in switches
    assert "filter.evil.required=false" in switches
    assert not any("lfs" in switch for switch in switches)


def test_environment_of_a_hook_does_not_lead_astray(make_repo, monkeypatch, tmp_path):
    root = make_repo()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert git_capture.capture(root, dirty="source").dirty is False


def test_gitpython_object(make_repo, tmp_path):
    root = make_repo()
    assert git_module.open_repository(root).head.commit.message.strip() == "first"
    (tmp_path / "none").mkdir()
    with pytest.raises(GitError):
        git_module.open_repository(tmp_path / "none")


def test_a_change_of_the_same_size_within_the_second_of_the_last_add_is_in_the_diff(make_repo, tmp_path):
    """Git tells such files from unchanged ones by the time of its index, so a copy of that has to keep it."""
    time.sleep(1 - time.time() % 1)
    root = make_repo(files={"a.py": "x = 1\n"})
    (root / "a.py").write_text("x = 2\n")
    time.sleep(1 - time.time() % 1)
    target = tmp_path / "p.diff"
    git_capture.write_diff(root, target, max_size=10**8, vault=root / "vault")
    assert b"+x = 2" in target.read_bytes()
