"""Reading kept trees: listing, naming, comparing, exporting."""

from __future__ import annotations

import os
import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.code.tree import TreeStore
from reprokit.code.trees.diff import Change, Patch
from reprokit.errors import AmbiguousTreeError, ReprokitError, TreeNotFoundError
from tests.code.test_tree import contents, keep, store, vault_of
from tests.conftest import git


def edit(root, number):
    (root / "pipeline.py").write_text(f"X = {number}\n")
    return keep(root)


def test_trees_are_listed_with_what_they_hold_newest_first(project, tmp_path):
    assert TreeStore(tmp_path / "none").trees() == []
    (project.root / ".env").write_text("x")
    one = keep(project.root)
    (listed,) = store(project.root).trees()
    assert (listed.digest, listed.files, listed.size, listed.left_out) == (one.digest, 1, 6, 1)
    assert abs(listed.when - time.time()) < 60
    two = edit(project.root, 2)
    assert {found.digest for found in store(project.root).trees()} == {one.digest, two.digest}
    git(vault_of(project.root) / "code.git", "--git-dir=.", "pack-refs", "--all")
    assert {found.digest for found in store(project.root).trees()} == {one.digest, two.digest}
    assert edit(project.root, 2) == two
    edit(project.root, 3)
    assert len(store(project.root).trees()) == 3


def test_a_digest_is_found_by_its_beginning(project):
    digests = [edit(project.root, number).digest for number in range(20)]
    git(vault_of(project.root) / "code.git", "--git-dir=.", "pack-refs", "--all")
    digests += [edit(project.root, number).digest for number in range(20, 30)]
    tree = store(project.root)
    for digest in digests:
        assert tree.resolve(digest) == tree.resolve(digest[7:]) == tree.resolve(digest[:40]) == digest
    firsts = [digest[7] for digest in digests]
    twice = next(first for first in firsts if firsts.count(first) > 1)
    with pytest.raises(AmbiguousTreeError, match="type more digits"):
        tree.resolve(twice)
    for wrong in ("", "sha256:", "xyz", "sha256:" + "0" * 64, "0" * 65, "../HEAD", "--all"):
        with pytest.raises(TreeNotFoundError) as caught:
            tree.resolve(wrong)
        assert repr(wrong) in str(caught.value)
    assert isinstance(caught.value, ReprokitError)
    assert isinstance(caught.value, LookupError)


@pytest.mark.parametrize(
    "path", ["", "none", "sub", "/etc/passwd", "../x", "./pipeline.py", "sub/../pipeline.py", "a\0b"]
)
def test_a_file_that_is_not_there(project, path):
    (project.root / "sub").mkdir()
    (project.root / "sub" / "x.py").write_text("1")
    digest = keep(project.root).digest
    with pytest.raises(TreeNotFoundError):
        store(project.root).read(digest, path)


def test_export_takes_an_empty_folder_and_no_other(project, tmp_path):
    digest = keep(project.root).digest
    tree = store(project.root)
    (tmp_path / "empty").mkdir()
    tree.export(digest, tmp_path / "empty")
    tree.export(digest, tmp_path / "new" / "deep")
    assert contents(tmp_path / "empty") == contents(tmp_path / "new" / "deep") != {}
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for name in ("empty", "file", "link"):
        with pytest.raises(FileExistsError, match="choose another"):
            tree.export(digest, tmp_path / name)
    assert (tmp_path / "file").read_text() == "x"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "empty").stat().st_mode & 0o777 == 0o777 & ~mask


def test_an_export_that_fails_leaves_nothing(project, tmp_path):
    (project.root / "big.bin").write_bytes(os.urandom(100_000))
    digest = keep(project.root).digest
    for pack in (vault_of(project.root) / "code.git" / "objects" / "pack").glob("*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:5000])
    with pytest.raises(ReprokitError):
        store(project.root).export(digest, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_tree_whose_link_stands_where_a_nested_tree_belongs_is_not_exported(project, make_repo, tmp_path):
    """No store that this library writes has one; a file of somebody else may."""
    make_repo(project.root / "inner", {"i.py": "1\n"})
    info = keep(project.root)
    bare = vault_of(project.root) / "code.git"
    (project.root / "bad").mkdir()
    (project.root / "bad" / "inner").symlink_to(tmp_path)
    evil = keep(project.root / "bad", vault_of(project.root))
    tree = git(bare, "--git-dir=.", "rev-parse", f"{evil.ref}^{{tree}}").strip()
    commit = git(bare, "--git-dir=.", "cat-file", "commit", info.ref).split("\n", 1)
    forged = subprocess.run(
        ["git", "--git-dir=.", "hash-object", "-t", "commit", "-w", "--stdin"],
        input=f"tree {tree}\n{commit[1]}".encode(), cwd=bare, check=True, capture_output=True,
    ).stdout.decode()  # fmt: skip
    (bare / info.ref).write_text(forged)
    with pytest.raises(ReprokitError, match="link"):
        store(project.root).export(info.digest, tmp_path / "out")
    assert not (tmp_path / "i.py").exists()


# --- differences -----------------------------------------------------------------------------------------------------


def compare(root, before, after):
    found = list(store(root).diff(before.digest, after.digest))
    changes = [one for one in found if isinstance(one, Change)]
    assert found[: len(changes)] == changes  # names first
    return {one.path: one.kind for one in changes}, {one.path: one for one in found[len(changes) :]}


def test_every_kind_of_difference(project, make_repo):
    root = project.root
    inner = make_repo(root / "inner", {"i.py": "I = 1\n", "gone.py": "1\n"})
    for name, data in {
        "gone.txt": b"1\n",
        "mode.sh": b"m\n",
        "bin": b"\0\1",
        "turn": b"t\n",
        "nonl": b"x",
        "folder": b"f\n",
    }.items():
        (root / name).write_bytes(data)
    before = keep(root)
    (root / "pipeline.py").write_text("X = 2\n")
    (root / "gone.txt").unlink()
    (root / "mode.sh").chmod(0o755)
    (root / "bin").write_bytes(b"\0\2")
    (root / "turn").unlink()
    (root / "turn").symlink_to("bin")
    (root / "nonl").write_bytes(b"y")
    (root / "folder").unlink()
    (root / "folder").mkdir()
    (root / "folder" / "in.py").write_text("1\n")
    (root / os.fsdecode(b"n\xe9w\n.py")).write_bytes(b"\xff\n")
    (inner / "i.py").write_text("I = 2\n")
    (inner / "gone.py").unlink()
    kinds, patches = compare(root, before, keep(root))
    assert kinds == {
        "pipeline.py": "changed", "gone.txt": "removed", "mode.sh": "mode", "bin": "changed", "turn": "changed", "nonl": "changed",
        "folder": "removed", "folder/in.py": "added", os.fsdecode(b"n\xe9w\n.py"): "added", "inner/i.py": "changed", "inner/gone.py": "removed",
    }  # fmt: skip
    assert set(patches) == set(kinds)
    assert b"-X = 1\n+X = 2\n" in patches["pipeline.py"].data
    assert b"--- a/inner/i.py\n+++ b/inner/i.py\n" in patches["inner/i.py"].data
    assert b"\\ No newline at end of file" in patches["nonl"].data
    assert patches["bin"].binary
    assert b"Binary files" in patches["bin"].data
    assert not patches["pipeline.py"].binary
    assert b"new mode 100755" in patches["mode.sh"].data
    assert b"+\xff\n" in patches[os.fsdecode(b"n\xe9w\n.py")].data


def test_a_tree_does_not_differ_from_itself(project):
    one = keep(project.root)
    assert list(store(project.root).diff(one.digest, one.digest)) == []
    with pytest.raises(TreeNotFoundError):
        store(project.root).diff(one.digest, "sha256:" + "0" * 64)


def test_attributes_and_config_of_a_tree_do_not_bend_a_comparison(project):
    (project.root / ".gitattributes").write_text("*.py binary\n*.py diff=evil\n")
    one, two = keep(project.root), edit(project.root, 2)
    _, patches = compare(project.root, one, two)
    assert b"+X = 2" in patches["pipeline.py"].data


lines = st.lists(st.sampled_from([b"a\n", b"b\n", b"diff --git a/x b/x\n", b"c", b"--- a\n", b"\0"]), max_size=6).map(
    b"".join
)
trees = st.dictionaries(st.sampled_from(["p", "q.py", "d/e", "d/f", "x y"]), lines, max_size=4)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(trees, trees)
def test_patches_lead_from_one_tree_to_the_other(tmp_path_factory, one, other):
    """`git apply` takes what `diff` gives, where nothing is binary."""
    base = tmp_path_factory.mktemp("t")
    tree = TreeStore(base / "v" / "code.git")
    digests = []
    for name, files in (("one", one), ("other", other)):
        (base / name).mkdir()
        for path, data in files.items():
            (base / name / path).parent.mkdir(exist_ok=True)
            (base / name / path).write_bytes(data)
        digests.append(tree.keep(base / name, max_file_size=10**6).digest)
    found = list(tree.diff(*digests))
    assert {c.path for c in found if isinstance(c, Change)} == {
        p for p in one.keys() | other.keys() if one.get(p) != other.get(p)
    }
    patches = [p for p in found if isinstance(p, Patch)]
    if patches and not any(p.binary for p in patches):
        subprocess.run(
            ["git", "apply", "-"],
            cwd=base / "one",
            input=b"".join(p.data for p in patches),
            check=True,
            capture_output=True,
        )
        assert contents(base / "one") == contents(base / "other")
