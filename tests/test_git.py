"""Running git: what it may execute, where a repository is, what its answers mean."""

from __future__ import annotations

import io
import os
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit import git as git_module
from reprokit.capture import git as git_capture
from reprokit.errors import GitError
from tests.conftest import git

ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def mark(tmp_path):
    """A file that exists once a program named by a hostile repository ran."""
    return tmp_path / "mark"


@pytest.fixture
def evil(tmp_path, mark):
    script = tmp_path / "evil.sh"
    script.write_text(f"#!/bin/sh\ntouch '{mark}'\ncat\n")
    script.chmod(0o755)
    return str(script)


def look(root):
    """Capture and write the patch, as a run does."""
    info = git_capture.capture(root, dirty="all")
    diff = git_capture.write_diff(root, root.parent / "p.diff", max_size=10**7)
    return info, diff


# --- output and errors -----------------------------------------------------------------------------------------------


def test_output_is_bytes_untouched(make_repo):
    root = make_repo(files={"a.bin": b"\xff\r\n\0no newline"})
    assert git_module.run(root, "cat-file", "blob", "HEAD:a.bin") == b"\xff\r\n\0no newline"
    assert git_module.run(root, "hash-object", "--stdin", stdin=b"x") == git_module.run(
        root, "hash-object", "--stdin", stdin=b"x"
    )


def test_an_error_is_one_line_with_the_word_of_the_command(make_repo):
    root = make_repo()
    with pytest.raises(GitError) as caught:
        git_module.run(root, "rev-parse", "--verify", "nothing^{commit}")
    text = str(caught.value)
    assert "\n" not in text
    assert "rev-parse" in text
    assert "fatal:" not in text


def test_a_missing_folder_and_a_missing_git_are_told_apart(make_repo, tmp_path, monkeypatch):
    with pytest.raises(GitError, match="no such folder"):
        git_module.run(tmp_path / "gone", "status")
    root = make_repo()
    with pytest.raises(GitError, match="no such folder"):
        git_module.run(root / "a.txt", "status")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GitError, match="not installed or not on PATH"):
        git_module.run(root, "status")


@pytest.mark.skipif(not ROOT_USER, reason="changing owners needs root")
def test_the_remedy_for_dubious_ownership_names_the_repository_not_the_folder_within(make_repo):
    root = make_repo(files={"sub/a.py": "1\n"})
    for path in (root, root / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(GitError) as caught:
        git_module.run(root / "sub", "status")
    assert f"--add safe.directory {root}`" in str(caught.value)


@pytest.mark.skipif(not ROOT_USER, reason="changing owners needs root")
def test_trust_given_by_the_environment_counts(make_repo, monkeypatch):
    """Containers set safe.directory that way."""
    root = make_repo()
    for path in (root, root / ".git"):
        os.chown(path, 12345, 12345)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    assert git_capture.capture(root, dirty="all").dirty is False


def test_output_is_copied_up_to_a_limit(make_repo):
    root = make_repo(files={"a.bin": b"x" * 200_000})
    target = io.BytesIO()
    assert git_module.start(root, "cat-file", "blob", "HEAD:a.bin").copy_to(target, 200_000) == 200_000
    assert target.getvalue() == b"x" * 200_000
    assert git_module.start(root, "cat-file", "blob", "HEAD:a.bin").copy_to(io.BytesIO(), 199_999) is None
    with pytest.raises(GitError):
        git_module.start(root, "cat-file", "blob", "HEAD:none").copy_to(io.BytesIO(), 10)


def test_variables_that_would_lead_elsewhere_or_talk_are_dropped(make_repo, monkeypatch, tmp_path, evil, mark):
    root = make_repo()
    (root / "a.txt").write_text("b\n")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", evil)
    monkeypatch.setenv("GIT_TRACE", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(root))
    (root / "sub").mkdir()
    assert git_module.run(root / "sub", "rev-parse", "--show-toplevel").decode().strip() == str(root.resolve())
    assert git_capture.capture(root, dirty="all").changed == ["a.txt"]
    assert not mark.exists()


# --- a hostile repository --------------------------------------------------------------------------------------------


def everywhere(root):
    """Let each attribute name the driver, and make a change that git has to compare by content."""
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "attributes").write_text("* filter=evil diff=evil\n")
    (root / "a.txt").write_text("b\n")
    os.utime(root / "a.txt", (1, 1))
    (root / "new.py").write_text("1\n")


def runs_nothing(root, mark):
    info, diff = look(root)
    assert info.sha
    assert info.changed == ["a.txt", "new.py"]
    assert diff.size
    assert not mark.exists()


def test_the_mark_appears_when_git_runs_plain(make_repo, evil, mark):
    """Without this the tests below would show nothing."""
    root = make_repo()
    git(root, "config", "filter.evil.clean", evil)
    everywhere(root)
    git(root, "status")
    assert mark.exists()


@pytest.mark.parametrize(
    "key",
    [
        "core.fsmonitor", "diff.external", "diff.evil.textconv", "diff.evil.command", "filter.evil.clean", "filter.evil.smudge",
        "filter.evil.process", "core.pager", "pager.status", "core.editor", "core.askPass", "core.sshCommand", "core.gitProxy",
    ],
)  # fmt: skip
def test_no_program_of_the_local_config_runs(make_repo, evil, mark, key):
    root = make_repo()
    git(root, "config", key, evil)
    everywhere(root)
    mark.unlink(missing_ok=True)
    runs_nothing(root, mark)


def test_no_required_filter_stops_the_capture(make_repo, evil, mark):
    root = make_repo()
    git(root, "config", "filter.evil.clean", evil)
    git(root, "config", "filter.evil.required", "true")
    everywhere(root)
    runs_nothing(root, mark)


def test_no_hook_runs(make_repo, evil, mark, tmp_path):
    root = make_repo()
    everywhere(root)
    for name in ("post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc", "post-checkout"):
        (root / ".git" / "hooks").mkdir(exist_ok=True)
        os.symlink(evil, root / ".git" / "hooks" / name)
    runs_nothing(root, mark)


@pytest.mark.parametrize(
    "text",
    [
        '[core] [filter "evil"] clean = {evil}\n',
        '[core][FILTER "evil"]\n\tclean = {evil}\n',
        "[filter.evil]\n\tclean = {evil}\n",
        "\ufeff[filter.evil]\n\tclean = {evil}\n",
    ],
)
def test_a_filter_is_found_however_the_config_writes_it(make_repo, evil, mark, text):
    root = make_repo()
    path = root / ".git" / "config"
    text = text.format(evil=evil)
    path.write_text(text + path.read_text() if text.startswith("\ufeff") else path.read_text() + text)
    everywhere(root)
    runs_nothing(root, mark)


@pytest.mark.parametrize("name", ["a=b", "a.b", "Evil", "e vil", "\u00e9", "a=b.clean"])
def test_a_filter_is_switched_off_whatever_its_name(make_repo, evil, mark, name):
    root = make_repo()
    git(root, "config", f"filter.{name}.clean", evil)
    everywhere(root)
    attribute = name if " " not in name else "evil"
    (root / ".git" / "info" / "attributes").write_text(f"* filter={attribute}\n")
    runs_nothing(root, mark)


def test_a_filter_of_an_included_file_and_of_the_worktree_config_is_switched_off(make_repo, evil, mark, tmp_path):
    root = make_repo()
    (tmp_path / "more").write_text(f'[filter "evil"]\n\tclean = {evil}\n')
    git(root, "config", "include.path", str(tmp_path / "more"))
    everywhere(root)
    runs_nothing(root, mark)
    git(root, "config", "--unset", "include.path")
    git(root, "config", "extensions.worktreeConfig", "true")
    git(root, "config", "--worktree", "filter.evil.clean", evil)
    runs_nothing(root, mark)


def test_an_include_without_filters_changes_nothing(make_repo, tmp_path, mark):
    root = make_repo()
    (tmp_path / "more").write_text("[user]\n\tname = x\n")
    git(root, "config", "include.path", str(tmp_path / "more"))
    everywhere(root)
    runs_nothing(root, mark)


@pytest.mark.parametrize("declared", [True, False])
def test_no_filter_of_a_submodule_runs(make_repo, evil, mark, tmp_path, declared):
    root = make_repo()
    library = make_repo(tmp_path / "library", {"lib.py": "Y = 1\n"})
    if declared:
        git(root, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "lib")
    else:
        git(root, "clone", "-q", str(library), "lib")
        git(root, "-c", "advice.addEmbeddedRepo=false", "add", "lib")
    git(root, "commit", "-q", "-m", "sub")
    lib = root / "lib"
    git(lib, "config", "filter.evil.clean", evil)
    git_dir = git_module.locate(lib).git_dir
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text("* filter=evil\n")
    (lib / "lib.py").write_text("Y = 2\n")
    info, _ = look(root)
    assert not mark.exists()
    assert info.dirty is declared


def test_a_missing_object_is_not_fetched_by_a_program_of_the_config(make_repo, tmp_path, mark):
    root = make_repo()
    evil = tmp_path / "remote.sh"  # one that ends: git waits for the answer of another
    evil.write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    evil.chmod(0o755)
    (root / "a.txt").write_text("b\n")
    blob = git(root, "rev-parse", "HEAD:a.txt").strip()
    (root / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    for key, value in {
        "core.repositoryFormatVersion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.promisor": "true",
        "remote.origin.url": f"ext::{evil}",
        "protocol.ext.allow": "always",
    }.items():
        git(root, "config", key, value)
    assert git_capture.capture(root, dirty="all").changed == ["a.txt"]
    with pytest.raises(GitError):
        git_capture.write_diff(root, root.parent / "p.diff", max_size=10**7)
    assert not mark.exists()
    subprocess.run(["git", "diff"], cwd=root, capture_output=True, check=False)
    assert mark.exists()  # it would have


@pytest.mark.parametrize("inner", ["empty", "bare with a link for HEAD", "bare with a commondir"])
def test_no_other_repository_than_the_one_that_was_looked_at_is_taken(make_repo, evil, mark, inner):
    """Its config would go unread, and its filters would run."""
    root = make_repo(files={"a.txt": "a\n", "sub/b.txt": "b\n"})
    git(root, "config", "filter.evil.clean", evil)
    everywhere(root)
    sub = root / "sub"
    if inner == "empty":
        (sub / ".git").mkdir()
    else:
        shutil.copytree(root / ".git", root / ".git" / "moved")
        for name in os.listdir(root / ".git" / "moved"):
            shutil.move(root / ".git" / "moved" / name, sub / name)
        git(sub, "--git-dir=.", "config", "core.bare", "false")
        git(sub, "--git-dir=.", "config", "core.worktree", str(sub))
        (sub / "HEAD").unlink()
        if "link" in inner:
            (sub / "HEAD").symlink_to("refs/heads/none")
        else:
            (sub / "HEAD").write_text("ref: refs/heads/main\n")
            (sub / "kept").mkdir()
            for name in ("objects", "refs", "config"):
                shutil.move(sub / name, sub / "kept" / name)
            (sub / "commondir").write_text("kept\n")
    mark.unlink(missing_ok=True)
    git_capture.capture(sub, dirty="all")
    assert not mark.exists()


def test_a_program_called_git_in_the_project_is_not_run(make_repo, mark, monkeypatch):
    root = make_repo()
    (root / "git").write_text(f"#!/bin/sh\ntouch '{mark}'\n")
    (root / "git").chmod(0o755)
    monkeypatch.chdir(root)
    monkeypatch.setenv("PATH", os.pathsep.join(["", ".", os.environ["PATH"]]))
    assert git_capture.capture(root, dirty="all").changed == ["git"]
    assert not mark.exists()


def test_an_extension_of_git_lfs_switches_git_lfs_off(make_repo, tmp_path, monkeypatch):
    config = tmp_path / "gitconfig"
    config.write_text('[filter "lfs"]\n\tprocess = git-lfs filter-process\n\trequired = true\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    root = make_repo()
    place = git_module.locate(root)
    git(root, "config", "filter.lfs.process", "git-lfs filter-process")
    assert git_module.filter_switches(place) == ()
    git(root, "config", "lfs.extension.evil.clean", "anything")
    assert "filter.lfs.process=" in git_module.filter_switches(place)
    assert "filter.lfs.required=false" in git_module.filter_switches(place)


def test_a_filter_that_the_repository_redefines_is_the_users_again(make_repo, evil, mark, tmp_path, monkeypatch):
    config = tmp_path / "gitconfig"
    config.write_text('[filter "upper"]\n\tclean = tr a-z A-Z\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    root = make_repo(files={".gitattributes": "*.txt filter=upper\n", "a.txt": "abc\n"})
    git(root, "config", "filter.upper.clean", evil)
    (root / "a.txt").write_text("aBc\n")
    os.utime(root / "a.txt", (1, 1))
    assert git_capture.capture(root, dirty="all").dirty is False
    assert not mark.exists()


def test_submodules_within_submodules_are_asked_one_by_one(make_repo, tmp_path):
    inner = make_repo(tmp_path / "inner", {"i.py": "1\n"})
    middle = make_repo(tmp_path / "middle", {"m.py": "1\n"})
    root = make_repo()
    allow = ("-c", "protocol.file.allow=always")
    git(middle, *allow, "submodule", "add", "-q", str(inner), "inner")
    git(middle, "commit", "-q", "-m", "sub")
    git(root, *allow, "submodule", "add", "-q", str(middle), "middle")
    git(root, *allow, "submodule", "update", "-q", "--init", "--recursive")
    git(root, "commit", "-q", "-m", "sub")
    assert git_capture.capture(root, dirty="all").dirty is False
    (root / "middle" / "inner" / "new.txt").write_text("x")
    assert git_capture.capture(root, dirty="source").dirty is False
    assert git_capture.capture(root, dirty="all").changed == ["middle"]
    (root / "middle" / "inner" / "i.py").write_text("2\n")
    assert git_capture.capture(root, dirty="tracked").submodules == ["middle"]
    assert git_capture.capture(root, dirty="tracked").dirty


def test_gitmodules_that_lead_out_of_the_tree_are_passed_over(make_repo, evil, mark, tmp_path):
    outside = make_repo(tmp_path / "outside")
    root = make_repo()
    (root / "link").symlink_to(outside)
    text = "".join(f'[submodule "{n}"]\n\tpath = {p}\n' for n, p in enumerate(["../outside", "link", "", ".", "-x"]))
    (root / ".gitmodules").write_text(text)
    assert git_module.submodules(git_module.locate(root)) == []
    assert git_capture.capture(root, dirty="all").changed == [".gitmodules", "link"]


@pytest.mark.parametrize("key", ["diff.submodule", "diff.context", "diff.orderFile", "diff.relative", "diff.noprefix"])
def test_config_of_the_repository_does_not_bend_the_patch(make_repo, tmp_path, key):
    root = make_repo(files={"a.txt": "1\n2\n3\n4\n5\n6\n7\n8\n9\n"})
    (root / "a.txt").write_text("1\n2\n3\n4\nfive\n6\n7\n8\n9\n")
    git_capture.write_diff(root, tmp_path / "plain.diff", max_size=10**7)
    value = {"diff.context": "0", "diff.orderFile": "/nowhere", "diff.submodule": "diff"}.get(key, "true")
    git(root, "config", key, value)
    git_capture.write_diff(root, tmp_path / "bent.diff", max_size=10**7)
    assert (tmp_path / "bent.diff").read_bytes() == (tmp_path / "plain.diff").read_bytes()


def test_a_global_filter_is_the_users_and_runs(make_repo, tmp_path, monkeypatch):
    config = tmp_path / "gitconfig"
    config.write_text('[filter "upper"]\n\tclean = tr a-z A-Z\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    root = make_repo(files={".gitattributes": "*.txt filter=upper\n", "a.txt": "abc\n"})
    (root / "a.txt").write_text("aBc\n")
    os.utime(root / "a.txt", (1, 1))
    assert git_capture.capture(root, dirty="all").dirty is False


# --- where a repository is -------------------------------------------------------------------------------------------


def said(root, *args):
    return os.path.realpath(os.path.join(root, git(root, "rev-parse", *args).strip()))


def test_location_is_what_git_says(make_repo, tmp_path):
    root = make_repo(files={"sub/deep/a.py": "1\n"})
    git(root, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    git(tmp_path, "clone", "-q", "--separate-git-dir", str(tmp_path / "apart.git"), str(root), str(tmp_path / "apart"))
    git(tmp_path, "clone", "-q", "--bare", str(root), "bare.git")
    for folder in (root, root / "sub" / "deep", tmp_path / "side", tmp_path / "apart"):
        place = git_module.locate(folder)
        assert os.path.realpath(place.top) == said(folder, "--show-toplevel")
        assert os.path.realpath(place.git_dir) == said(folder, "--absolute-git-dir")
        assert os.path.realpath(place.common_dir) == said(folder, "--git-common-dir")
        assert not place.bare
    assert git_module.locate(tmp_path / "bare.git" / "objects").bare
    assert git_module.locate(tmp_path) is None


def test_an_empty_or_broken_dot_git_is_reported_not_raised(tmp_path):
    (tmp_path / ".git").write_text("nonsense")
    info = git_capture.capture(tmp_path, dirty="all")
    assert info.sha is None
    assert info.unknown


def test_an_operation_of_each_kind_is_named(tmp_path):
    assert git_module.operation(tmp_path) is None
    for mark, word in (("BISECT_LOG", "bisect"), ("REVERT_HEAD", "revert"), ("MERGE_HEAD", "merge")):
        (tmp_path / mark).touch()
        assert git_module.operation(tmp_path) == word
    (tmp_path / "rebase-merge").mkdir()
    assert git_module.operation(tmp_path) == "rebase"


# --- reading answers -------------------------------------------------------------------------------------------------

paths = st.binary(min_size=1, max_size=12).filter(lambda b: b"\0" not in b).map(os.fsdecode)
oid = "0" * 40


@given(st.lists(st.tuples(st.sampled_from("12u?"), paths, paths), max_size=8), st.booleans())
def test_any_path_survives_the_status_format(rows, commit):
    lines = [
        "# branch.oid " + (oid if commit else "(initial)"),
        "# branch.head " + ("main" if commit else "(detached)"),
    ]
    lines += ["# branch.ab +1 -0"]
    for kind, path, origin in rows:
        if kind == "1":
            lines.append(f"1 .M N... 100644 100644 100644 {oid} {oid} {path}")
        elif kind == "2":
            lines += [f"2 R. N... 100644 100644 100644 {oid} {oid} R100 {path}", origin]
        elif kind == "u":
            lines.append(f"u UU N... 100644 100644 100644 100644 {oid} {oid} {oid} {path}")
        else:
            lines.append(f"? {path}")
    told = git_module.parse_status("".join(line + "\0" for line in lines).encode("utf-8", "surrogateescape"))
    assert [entry.path for entry in told.entries] == [path for _, path, _ in rows]
    assert [entry.origin for entry in told.entries] == [o if kind == "2" else None for kind, _, o in rows]
    assert [entry.state == "??" for entry in told.entries] == [kind == "?" for kind, _, _ in rows]
    assert (told.oid, told.branch) == ((oid, "main") if commit else (None, None))


def test_names_of_remotes_may_hold_dots_and_their_urls_newlines():
    data = b"remote.a.b.url\nhttps://x\0remote.o.url\ny\nz\0remote.o.fetch\n+refs\0"
    assert git_module.parse_remotes(data) == [("a.b", "https://x"), ("o", "y\nz")]
