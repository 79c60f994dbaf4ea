"""Repositories within a tree are trees of their own, and the outer one covers them."""

from __future__ import annotations

import os
import shutil

import pytest

from reprokit.code.tree import TreeStore
from tests.code.test_tree import contents, keep, paths, store, vault_of
from tests.conftest import git

ALLOW = ("-c", "protocol.file.allow=always")


def head(root):
    return git(root, "rev-parse", "HEAD").strip()


def source(root):
    """What is on disk, without the repositories' own folders."""
    return {path: found for path, found in contents(root).items() if ".git" not in path.split("/")}


@pytest.fixture
def library(make_repo, tmp_path):
    return make_repo(tmp_path / "library", {"lib.py": "Y = 1\n", ".gitignore": "*.log\n"})


@pytest.fixture
def outer(project, library):
    git(project.root, *ALLOW, "submodule", "add", "-q", str(library), "deps/lib")
    project.commit_all()
    return project.root


def test_every_kind_of_repository_within_a_tree(outer, make_repo, library, tmp_path):
    """Submodule, clone, worktree, one in another, one without commit, one that is not checked out."""
    make_repo(outer / "clone", {"c.py": "C = 1\n"})
    make_repo(outer / "clone" / "deep" / "er", {"d.py": "D = 1\n"})
    git(outer, "worktree", "add", "-q", "-b", "side", "side")
    (outer / "young").mkdir()
    git(outer / "young", "init", "-q")
    (outer / "young" / "y.py").write_text("Y")
    git(outer, *ALLOW, "submodule", "add", "-q", str(library), "away")
    git(outer, "commit", "-q", "-m", "more")
    git(outer, "submodule", "deinit", "-q", "-f", "away")
    info = keep(outer)
    found = {one.path: one for one in info.nested}
    assert list(found) == ["away", "clone", "deps/lib", "side", "young"]
    assert found["away"].digest is None
    assert found["away"].reason == "not checked out"
    assert found["away"].commit == found["deps/lib"].commit == head(library)
    assert (found["clone"].dirty, found["clone"].files) == (True, 2)  # for it holds a new folder
    assert found["deps/lib"].dirty is False
    assert found["side"].commit is not None
    assert (found["young"].commit, found["young"].dirty) == (None, True)
    assert "clone/deep/er/d.py" in paths(outer)
    store(outer).export(info.digest, tmp_path / "out")
    assert contents(tmp_path / "out") == {p: c for p, c in source(outer).items() if not p.startswith("away/")}
    assert info.files == len(contents(tmp_path / "out"))
    assert info.size == sum(one.size for one in store(outer).files(info.digest))
    assert store(outer).read(info.digest, "clone/deep/er/d.py") == b"D = 1\n"
    assert {one.digest for one in store(outer).trees()} >= {one.digest for one in info.nested if one.digest}


def test_the_outer_digest_covers_content_and_not_commits(outer):
    lib = outer / "deps" / "lib"
    one = keep(outer)
    git(lib, "commit", "-q", "--allow-empty", "-m", "next")
    two = keep(outer)
    assert two.digest == one.digest  # it would run the same
    assert two.nested[0].commit == head(lib) != one.nested[0].commit
    (lib / "lib.py").write_text("Y = 2\n")
    three = keep(outer)
    assert three.digest != one.digest
    assert three.nested[0].dirty
    git(lib, "commit", "-q", "-am", "two")
    assert keep(outer).digest == three.digest
    assert keep(outer).nested[0].dirty is False


def test_a_submodule_that_is_not_checked_out_is_covered_by_its_commit(outer, library, tmp_path):
    git(outer, "submodule", "deinit", "-q", "-f", "deps/lib")
    one = keep(outer)
    git(library, "commit", "-q", "--allow-empty", "-m", "next")
    git(outer, "update-index", "--cacheinfo", f"160000,{head(library)},deps/lib")
    assert keep(outer).digest != one.digest
    shutil.rmtree(outer / "deps")
    assert keep(outer).nested[0].commit == head(library)
    store(outer).export(one.digest, tmp_path / "out")
    assert not (tmp_path / "out" / "deps").exists()


def test_a_nested_repository_follows_its_own_rules(outer, make_repo):
    (outer / ".gitignore").write_text("*.tmp\nignored/\n")
    make_repo(outer / "ignored", {"i.py": "1\n"})
    lib = outer / "deps" / "lib"
    for name in ("a.tmp", "a.log", "token.pem"):
        (lib / name).write_text("x")
        (outer / name).write_text("x")
    assert paths(outer) == [
        ".gitignore", ".gitmodules", "a.log", "deps/lib/.gitignore", "deps/lib/a.tmp", "deps/lib/lib.py", "pipeline.py",
    ]  # fmt: skip
    assert [one.path for one in keep(outer).left_out] == ["token.pem", "deps/lib/token.pem"]


def test_patterns_speak_of_the_outermost_root(outer):
    assert paths(outer, include=("deps/*",)) == ["deps/lib/.gitignore", "deps/lib/lib.py"]
    assert paths(outer, include=("*.py",)) == ["deps/lib/lib.py", "pipeline.py"]
    assert paths(outer, exclude=("deps/lib/lib.py",)) == [".gitmodules", "deps/lib/.gitignore", "pipeline.py"]
    assert paths(outer, include=("pipeline.py",)) == ["pipeline.py"]
    assert keep(outer, include=("pipeline.py",)).nested == []
    assert paths(outer, exclude=("deps",)) == [".gitmodules", "pipeline.py"]


def test_a_folder_that_becomes_a_repository_and_back(project):
    folder = project.root / "sub"
    folder.mkdir()
    (folder / "s.py").write_text("S = 1\n")
    plain = keep(project.root)
    git(folder, "init", "-q")
    nested = keep(project.root)
    assert [one.path for one in nested.nested] == ["sub"]
    assert nested.digest == keep(project.root, project.root.parent / "fresh").digest != plain.digest
    shutil.rmtree(folder / ".git")
    assert keep(project.root) == plain


@pytest.mark.parametrize("broken", ["empty folder", "link to nowhere", "nonsense"])
def test_what_git_takes_for_no_repository_is_a_folder(project, broken):
    folder = project.root / "sub"
    folder.mkdir()
    (folder / "s.py").write_text("S = 1\n")
    before = keep(project.root)
    if broken == "empty folder":
        (folder / ".git").mkdir()
    else:
        (folder / ".git").write_text("gitdir: /nowhere/at/all\n" if "link" in broken else "nonsense")
    assert keep(project.root) == before == keep(project.root, project.root.parent / "fresh")


def test_git_keeps_the_nested_trees_as_long_as_the_outer_one(outer):
    info = keep(outer)
    bare = vault_of(outer) / "code.git"
    shutil.rmtree(bare / "refs" / "trees" / "none", ignore_errors=True)
    (bare / "refs" / "trees" / info.nested[0].digest.partition(":")[2]).unlink()
    git(bare, "--git-dir=.", "gc", "-q", "--prune=now")
    git(bare, "--git-dir=.", "fsck", "--strict")
    assert store(outer).read(info.digest, "deps/lib/lib.py") == b"Y = 1\n"


def test_what_git_has_removed_is_kept_anew(outer):
    """An index that remembers a tree is no proof that the store still holds it."""
    info = keep(outer)
    bare = vault_of(outer) / "code.git"
    shutil.rmtree(bare / "refs" / "trees")
    git(bare, "--git-dir=.", "gc", "-q", "--prune=now")
    assert keep(outer) == info
    git(bare, "--git-dir=.", "fsck", "--strict")
    assert store(outer).read(info.digest, "deps/lib/lib.py") == b"Y = 1\n"


def test_no_repository_is_touched(outer):
    (outer / "deps" / "lib" / "lib.py").write_text("Y = 2\n")
    (outer / "staged.py").write_text("1")
    git(outer, "add", "staged.py")

    def look():
        return {
            str(path): (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
            for path in sorted((outer / ".git").rglob("*"))
        }

    before = look()
    keep(outer)
    keep(outer)
    assert look() == before


def test_nothing_of_a_hostile_repository_runs(outer, make_repo, tmp_path):
    mark = tmp_path / "mark"
    evil = tmp_path / "evil.sh"
    evil.write_text(f"#!/bin/sh\ntouch '{mark}'\ncat\n")
    evil.chmod(0o755)
    clone = make_repo(outer / "clone", {"c.py": "C = 1\n"})
    for root in (outer, outer / "deps" / "lib", clone):
        for key in (
            "core.fsmonitor", "filter.evil.clean", "filter.evil.smudge", "filter.evil.process", "filter.a=b.clean", "diff.external",
            "diff.evil.textconv", "core.sshCommand", "core.pager", "core.editor", "core.askPass", "alias.status",
        ):  # fmt: skip
            git(root, "config", key, f"!{evil}" if key.startswith("alias") else str(evil))
        folder = root / git(root, "rev-parse", "--git-dir").strip()
        (folder / "info").mkdir(exist_ok=True)
        (folder / "info" / "attributes").write_text("*.py filter=evil diff=evil\n* filter=a=b\n")
        (folder / "hooks").mkdir(exist_ok=True)
        for hook in ("post-index-change", "reference-transaction", "fsmonitor-watchman", "post-checkout"):
            shutil.copy(evil, folder / "hooks" / hook)
        (root / ".gitattributes").write_text("* filter=evil diff=evil\n")
        for path in root.glob("*.py"):
            path.write_text("N = 1\n")
            os.utime(path, (1, 1))
    mark.unlink(missing_ok=True)
    info = keep(outer)
    assert [one.dirty for one in info.nested] == [True, True]
    store(outer).export(info.digest, tmp_path / "out")
    git(clone, "commit", "-q", "-n", "--allow-empty", "-m", "x", env={**os.environ, "GIT_CONFIG_COUNT": "0"})
    mark.unlink(missing_ok=True)
    (outer / "deps" / "lib" / "lib.py").write_text("N = 2\n")
    other = keep(outer)
    list(store(outer).diff(info.digest, other.digest))
    assert not mark.exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="changing owners needs root")
def test_a_nested_repository_of_somebody_else_is_kept_and_said_to_be_unknown(project, make_repo):
    other = make_repo(project.root / "other", {"o.py": "1\n"})
    for path in (other, other / ".git"):
        os.chown(path, 12345, 12345)
    (one,) = keep(project.root).nested
    assert (one.files, one.commit, one.dirty) == (1, None, None)


def test_odd_names_of_nested_repositories(project, make_repo, tmp_path):
    for name in (b"new\nline", b"caf\xe9", b"-dash", b"a b", b"\xe2\x80\xaerev"):
        make_repo(project.root / os.fsdecode(name), {"x.py": "1\n"})
    info = keep(project.root)
    assert len(info.nested) == 5
    store(project.root).export(info.digest, tmp_path / "out")
    assert contents(tmp_path / "out") == source(project.root)
    assert store(project.root).read(info.digest, os.fsdecode(b"caf\xe9/x.py")) == b"1\n"


def test_the_vault_in_a_nested_repository_stays_out(project, make_repo):
    inner = make_repo(project.root / "inner", {"i.py": "1\n"})
    vault = inner / "vault"
    tree = TreeStore(vault / "code.git")
    one = tree.keep(project.root, max_file_size=10**6, vault=vault)
    assert [found.path for found in tree.files(one.digest)] == ["inner/i.py", "pipeline.py"]
    assert tree.keep(project.root, max_file_size=10**6, vault=vault) == one
    assert one.nested[0].dirty is False
