"""In every state of a repository the function runs, and the record says what is unknown and why."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import errors
from tests.conftest import Project, git

run = rk.monitor(lambda: 5)
ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0


def only(project):
    (info,) = project.context()["git"].values()
    return info


def at(monkeypatch, root):
    monkeypatch.chdir(root)
    return Project(Path(root))


@pytest.mark.filterwarnings("ignore::reprokit.errors.RecordingWarning")
def test_no_repository(tmp_path, monkeypatch):
    project = at(monkeypatch, tmp_path)
    assert run() == 5
    assert project.context()["git"] == {}
    assert project.pre()["commit"] == "nogit"


@pytest.mark.filterwarnings("ignore::reprokit.errors.RecordingWarning")
def test_no_commit(tmp_path, monkeypatch):
    git(tmp_path, "init", "-q", "-b", "main")
    project = at(monkeypatch, tmp_path)
    assert run() == 5
    assert only(project)["sha"] is None
    assert "no commit" in only(project)["unknown"]["sha"]
    assert only(project)["branch"] == "main"
    assert project.pre()["commit"] == "nogit"


def test_detached_head(project):
    git(project.root, "checkout", "-q", "--detach")
    assert run() == 5
    assert only(project)["detached"]
    assert only(project)["branch"] == "HEAD"
    assert only(project)["sha"].startswith(project.commit)


@pytest.mark.filterwarnings("ignore::reprokit.errors.RecordingWarning")
def test_bare(make_repo, tmp_path, monkeypatch):
    git(tmp_path, "clone", "-q", "--bare", str(make_repo()), "bare.git")
    project = at(monkeypatch, tmp_path / "bare.git")
    assert run() == 5
    assert only(project)["bare"]
    assert len(only(project)["sha"]) == 40
    assert "bare" in only(project)["unknown"]["dirty"]


def test_worktree(project, tmp_path, monkeypatch):
    git(project.root, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = at(monkeypatch, tmp_path / "side")
    (side.root / "pipeline.py").write_text("X = 5\n")
    assert run() == 5
    assert only(side)["branch"] == "side"
    assert only(side)["changed"] == ["pipeline.py"]
    assert (side.folders[-1] / only(side)["diff"]).exists()


def test_submodule_dirty_and_absent(make_repo, project, tmp_path, monkeypatch):
    library = make_repo(tmp_path / "library", {"lib.py": "Y = 1\n"})
    git(project.root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "lib")
    project.commit_all()
    (project.root / "lib" / "lib.py").write_text("Y = 2\n")
    assert run() == 5
    assert only(project)["dirty"]
    assert only(project)["submodules"] == ["lib"]
    git(tmp_path, "clone", "-q", str(project.root), "absent")
    absent = at(monkeypatch, tmp_path / "absent")
    assert run() == 5
    assert only(absent)["dirty"] is False


def test_shallow(project, tmp_path, monkeypatch):
    project.commit_all()
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{project.root}", "shallow")
    shallow = at(monkeypatch, tmp_path / "shallow")
    assert run() == 5
    assert only(shallow)["shallow"]


def conflict(project):
    git(project.root, "checkout", "-q", "-b", "other")
    (project.root / "pipeline.py").write_text("X = 2\n")
    project.commit_all()
    git(project.root, "checkout", "-q", "main")
    (project.root / "pipeline.py").write_text("X = 3\n")
    project.commit_all()


@pytest.mark.parametrize(
    ("command", "operation"), [("merge", "merge"), ("rebase", "rebase"), ("cherry-pick", "cherry-pick")]
)
def test_an_operation_in_progress(project, command, operation):
    conflict(project)
    with pytest.raises(Exception, match="non-zero"):
        git(project.root, command, "other")
    assert run() == 5
    assert only(project)["operation"] == operation
    assert only(project)["dirty"]
    assert (project.folders[-1] / only(project)["diff"]).stat().st_size
    with pytest.raises(errors.DirtyRepositoryError):
        rk.Artifact("o")(lambda o: o)("a.txt")


@pytest.mark.skipif(not ROOT_USER, reason="changing owners needs root")
def test_a_repository_of_somebody_else(project):
    for path in (project.root, project.root / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.warns(errors.RecordingWarning, match=r"safe\.directory"):
        assert run() == 5
    assert only(project)["sha"] is None
    assert "safe.directory" in only(project)["unknown"]["sha"]


@pytest.mark.filterwarnings("ignore::reprokit.errors.RecordingWarning")
def test_git_is_absent(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert run() == 5
    assert "not installed" in only(project)["unknown"]["sha"]
    assert project.pre()["commit"] == "nogit"


def test_a_corrupt_index(project):
    (project.root / ".git" / "index").write_bytes(b"DIRC garbage")
    with pytest.warns(errors.RecordingWarning, match="nogit"):
        assert run() == 5
    assert only(project)["sha"].startswith(project.commit)
    assert only(project)["dirty"] is None
    assert "dirty" in only(project)["unknown"]


@pytest.mark.filterwarnings("ignore::reprokit.errors.RecordingWarning")
def test_a_missing_object(project):
    shutil.rmtree(project.root / ".git" / "objects")
    (project.root / ".git" / "objects").mkdir()
    assert run() == 5
    assert only(project)["unknown"]


def test_names_that_are_no_utf_8(project):
    name = os.fsdecode(b"caf\xe9\n.py")
    (project.root / name).write_bytes(b"Z = 1")
    with rk.run("r", snapshot_code=True, allow_dirty=True) as ctx:
        assert "-dirty-" in ctx.artifact("a.txt").name
    assert only(project)["changed"] == ["caf\\xe9\n.py"]
    assert project.context()["snapshot"]["files"] == 2


def test_symlinked_root(project, tmp_path, monkeypatch):
    (tmp_path / "link").symlink_to(project.root)
    link = at(monkeypatch, tmp_path / "link")
    assert run() == 5
    assert only(link)["sha"].startswith(project.commit)


def test_subfolder_of_a_repository_records_at_its_top(project, monkeypatch):
    (project.root / "sub").mkdir()
    monkeypatch.chdir(project.root / "sub")

    @rk.Artifact("o")
    def f(o):
        Path(o).write_text("x")

    f("a.txt")
    assert project.post()["artifacts"][0]["path"] == f"sub/a-{project.commit}-44136fa355.txt"
    assert (project.root / "sub" / f"a-{project.commit}-44136fa355.txt.run.json").exists()


def test_further_repositories_of_the_settings(make_repo, project, tmp_path):
    make_repo(tmp_path / "other", {"o.py": "O = 1\n"})
    (tmp_path / "other" / "o.py").write_text("O = 2\n")
    (project.root / "reprokit.toml").write_text('[capture.git.repositories]\nmine = "."\nother = "../other"\n')
    assert run() == 5
    found = project.context()["git"]
    assert set(found) == {"mine", "other"}
    assert found["other"]["path"] == "../other"
    assert found["other"]["dirty"]
    assert (project.folders[-1] / "other.diff").read_text().count("O = 2") == 1


def test_a_hostile_repository_runs_nothing(project, tmp_path):
    """Programs named in the repository's own config, attributes and hooks leave a mark; none may appear."""
    mark = tmp_path / "mark"
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch {mark}\ncat\n")
    script.chmod(0o755)
    for key in (
        "core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.clean", "filter.evil.smudge", "filter.evil.process",
        "core.pager", "core.sshCommand", "core.editor", "gpg.program", "credential.helper", "core.askPass", "alias.status", "uploadpack.packObjectsHook",
    ):  # fmt: skip
        git(project.root, "config", key, f"!{script}" if key.startswith("alias") else str(script))
    (project.root / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil\n")
    (project.root / ".gitattributes").write_text("* filter=evil diff=evil\n")
    for hook in ("post-index-change", "pre-commit", "reference-transaction", "post-checkout", "fsmonitor-watchman"):
        shutil.copy(script, project.root / ".git" / "hooks" / hook)
    mark.unlink(missing_ok=True)
    (project.root / "pipeline.py").write_text("X = 77\n")
    (project.root / "new.py").write_text("N = 1\n")
    with rk.run("r", snapshot_code=True, allow_dirty=True) as ctx:
        ctx.artifact("a.txt")
    assert only(project)["dirty"]
    assert project.post()["faults"] == []
    assert not mark.exists()


def test_the_users_repository_is_untouched(project):
    (project.root / "pipeline.py").write_text("X = 2\n")
    (project.root / "staged.py").write_text("S = 1\n")
    git(project.root, "add", "staged.py")
    git(project.root, "stash", "push", "-q", "pipeline.py")
    (project.root / "pipeline.py").write_text("X = 3\n")
    (project.root / "new.py").write_text("N = 1\n")

    def look():
        found = {}
        for path in sorted((project.root / ".git").rglob("*")):
            stat = path.lstat()
            found[str(path)] = (stat.st_mtime_ns, stat.st_size, path.read_bytes() if path.is_file() else None)
        return found

    before = look()
    with rk.run("r", snapshot_code=True, allow_dirty=True) as ctx:
        ctx.artifact("a.txt")
    assert look() == before
