"""The store of source trees: exact, private, and the same digest for the same tree."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.code import source
from reprokit.code.tree import TreeStore
from reprokit.errors import TreeNotFoundError
from tests.conftest import SOURCE, git

LIMIT = 1_000_000


def vault_of(root):
    """A vault beside the tree, so that another one does not find it there."""
    return root.parent / f"vault of {root.name}"


def keep(root, vault=None, **options):
    vault = vault or vault_of(root)
    return TreeStore(vault / "code.git").keep(
        root, max_file_size=options.pop("max_file_size", LIMIT), vault=vault, **options
    )


def store(root):
    return TreeStore(vault_of(root) / "code.git")


def paths(root, **options):
    return [one.path for one in store(root).files(keep(root, **options).digest)]


def contents(folder):
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = os.readlink(path)
        elif path.is_file():
            found[str(path.relative_to(folder))] = (path.read_bytes(), bool(path.stat().st_mode & 0o100))
    return found


def test_what_comes_out_is_what_was_on_disk(project, tmp_path):
    """Committed, staged, unstaged, new and removed files; bytes, modes, links and odd names."""
    root = project.root
    (root / ".gitattributes").write_text("* text eol=crlf ident filter=lfs\n*.u16 working-tree-encoding=UTF-16\n")
    (root / "gone.py").write_text("")
    project.commit_all()
    wanted = {
        "pipeline.py": b"X = 2\r\n$Id$\r\n",
        "staged.py": b"S",
        "sub/new.bin": bytes(range(256)) * 40,
        "no newline": b"x",
        "empty": b"",
        "sp ace\n\t'\".py": b"1",
        "-rf": b"dash",
        os.fsdecode(b"caf\xe9"): b"latin",
        "t.u16": "ü".encode("utf-16"),
    }
    for name, data in wanted.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(data)
    git(root, "add", "staged.py")
    (root / "sub" / "run.sh").write_text("#!/bin/sh\n")
    (root / "sub" / "run.sh").chmod(0o755)
    (root / "link").symlink_to("sub/new.bin")
    (root / "dangling").symlink_to("nowhere")
    (root / "gone.py").unlink()
    info = keep(root)
    store(root).export(info.digest, tmp_path / "out")
    before = {k: v for k, v in contents(root).items() if not k.startswith(".git/")}
    assert contents(tmp_path / "out") == before
    assert info.files == len(before)
    assert "gone.py" not in before
    assert store(root).read(info.digest, "pipeline.py") == wanted["pipeline.py"]
    listed = {one.path: (one.size, one.mode) for one in store(root).files(info.digest)}
    assert listed["sub/new.bin"] == (256 * 40, 0o100644)
    assert listed["sub/run.sh"][1] == 0o100755
    assert listed["link"][1] == 0o120000
    git(root, "--git-dir", str(vault_of(root) / "code.git"), "fsck", "--strict")


def test_same_tree_same_digest_in_any_vault(project, tmp_path):
    one = keep(project.root)
    assert keep(project.root) == one
    assert keep(project.root, tmp_path / "other") == one
    (project.root / "pipeline.py").write_text("X = 2\n")
    two = keep(project.root)
    assert two.digest != one.digest
    (project.root / "pipeline.py").write_text("X = 1\n")
    assert keep(project.root).digest == one.digest
    assert len(list((vault_of(project.root) / "code.git" / "refs" / "trees").iterdir())) == 2


names = st.sampled_from(["a.py", "b.py", "d/c.py", "d/e/f.txt"])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(names, st.none() | st.binary(max_size=5)), max_size=6))
def test_after_any_edits_a_kept_index_sees_what_a_fresh_one_sees(project, edits):
    for name, data in edits:
        path = project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(data)
    fresh = project.root.parent / f"fresh-{os.urandom(4).hex()}"
    assert keep(project.root) == keep(project.root, fresh)


def test_ignored_files_stay_out_and_forced_ones_in(project):
    root = project.root
    (root / ".gitignore").write_text("*.log\nbuild/\n")
    (root / "forced.log").write_text("f")
    (root / "a.log").write_text("a")
    (root / "build").mkdir()
    (root / "build" / "x.py").write_text("x")
    (root / "private.txt").write_text("p")
    (root / ".git" / "info" / "exclude").write_text("private.txt\n")
    git(root, "add", "-f", "forced.log")
    project.commit_all()
    (root / "__pycache__").mkdir()
    (root / "__pycache__" / "x.pyc").write_bytes(b"")
    found = paths(root)
    assert found == [".gitignore", "forced.log", "pipeline.py"]
    (root / "forced.log").write_text("changed")
    assert store(root).read(keep(root).digest, "forced.log") == b"changed"


def test_outputs_are_no_source(project):
    before = keep(project.root).digest
    for name in (
        "plot-1a2b3c4-44136fa355.png",
        "plot-1a2b3c4-44136fa355.png.run.json",
        "odd_name.txt",
        "odd_name.txt.run.json",
    ):
        (project.root / name).write_text("x")
    (project.root / "out-nogit-44136fa355").mkdir()
    (project.root / "out-nogit-44136fa355" / "part.txt").write_text("x")
    assert keep(project.root).digest == before
    (project.root / "notes.txt").write_text("x")
    assert keep(project.root).digest != before


def test_large_files_and_secrets_are_left_out_and_listed(project):
    root = project.root
    (root / "big.bin").write_bytes(b"x" * 2000)
    (root / ".env").write_text("A=1")
    (root / ".env.example").write_text("A=")
    one = keep(root, max_file_size=1000)
    assert {o.path: o.reason for o in one.left_out} == {
        "big.bin": "larger than max-file-size",
        ".env": "secret by name",
    }
    assert [one.path for one in store(root).files(one.digest)] == [".env.example", "pipeline.py"]
    (root / "big.bin").write_bytes(b"y" * 2000)
    assert keep(root, max_file_size=1000).digest != one.digest
    (root / "big.bin").write_bytes(b"small")
    assert keep(root, max_file_size=1000).files == 3
    (root / "big.bin").write_bytes(b"z" * 3000)
    grown = keep(root, max_file_size=1000)
    assert grown.files == 2
    assert grown.left_out[1].size == 3000


def test_include_and_exclude(project):
    (project.root / "src").mkdir()
    for name in ("src/a.py", "src/b.txt", "c.py"):
        (project.root / name).write_text("x")
    assert paths(project.root, include=("src",)) == [
        "src/a.py",
        "src/b.txt",
    ]
    assert paths(project.root, include=("*.py",), exclude=("src/*",)) == ["c.py", "pipeline.py"]


def test_without_a_repository_it_works_the_same(tmp_path):
    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    (tmp_path / "b.log").write_text("x")
    info = keep(tmp_path)
    assert [one.path for one in store(tmp_path).files(info.digest)] == [".gitignore", "a.py"]


def test_eight_processes_at_once_agree(project):
    for index in range(200):
        (project.root / f"m{index}.py").write_text(f"N = {index}\n")
    code = """
import sys
from pathlib import Path
from reprokit.code.tree import TreeStore
print(TreeStore(Path("vault/code.git")).keep(Path.cwd(), max_file_size=10**6, vault=Path.cwd() / "vault").digest)
"""
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=project.root, env=env, stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    found = {process.communicate(timeout=60)[0] for process in started}
    assert len(found) == 1
    assert found != {b""}


def test_a_lock_that_a_killed_git_left_is_no_obstacle(project):
    keep(project.root)
    (index,) = [p for p in (vault_of(project.root) / "code.git" / "indexes").iterdir() if "." not in p.name]
    Path(f"{index}.lock").touch()
    (project.root / "new.py").write_text("1")
    assert keep(project.root).files == 2


def test_a_damaged_state_is_made_anew(project):
    one = keep(project.root)
    for path in (vault_of(project.root) / "code.git" / "indexes").iterdir():
        path.write_bytes(b"garbage")
    assert keep(project.root) == one
    index = next(path for path in (vault_of(project.root) / "code.git" / "indexes").iterdir() if not path.suffix)
    index.write_bytes(b"garbage" + index.read_bytes()[-32:])  # of which the checksum still fits
    assert keep(project.root) == one


@pytest.mark.parametrize("bad", ["", "HEAD", "sha256:zz", "sha256:" + "0" * 64, "--help"])
def test_unknown_trees_are_refused(project, bad, tmp_path):
    keep(project.root)
    with pytest.raises(TreeNotFoundError):
        store(project.root).export(bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        "a/.env.local",
        "prod.env",
        "id_rsa",
        "id_ed25519",
        "x.pem",
        "server.key",
        ".netrc",
        ".pypirc",
        "credentials.json",
        "secrets.toml",
    ],
)
def test_secret_file_names(name):
    assert source.is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        ".env.example",
        "environment.py",
        "keys.py",
        "id_rsa.pub",
        "key.py",
        "tokenizer.json",
        "credentials.py",
        "secrets.py",
        "monkey",
    ],
)
def test_harmless_file_names(name):
    assert not source.is_secret(name)
