"""Trees that will not hold still, disks that are full, processes that are killed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reprokit.code.tree import TreeStore
from reprokit.code.trees import blob, pack
from reprokit.errors import ReprokitError
from tests.code.test_tree import contents, keep, paths, store, vault_of
from tests.conftest import SOURCE, git

ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0
KEEP = """
import sys
from pathlib import Path
from reprokit.code.tree import TreeStore
root, vault = Path(sys.argv[1]), Path(sys.argv[2])
print(TreeStore(vault / "code.git").keep(root, max_file_size=10**7, vault=vault).digest)
"""


def start(root, vault, **options):
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.Popen([sys.executable, "-c", KEEP, root, vault], env=env, stdout=subprocess.PIPE, **options)


def fsck(vault):
    """Check every object and ref; a git that outlived its killed parent may be putting packs together meanwhile."""
    for last in (False, False, True):
        with contextlib.suppress(*(() if last else (subprocess.CalledProcessError,))):
            git(vault / "code.git", "--git-dir=.", "fsck", "--strict", "--full")
            return
        time.sleep(1)


# --- what may lie in a folder ----------------------------------------------------------------------------------------


def test_odd_names_come_out_as_they_went_in(project, tmp_path):
    names = [
        b"new\nline.py", b"caf\xe9.py", b"-rf", b"--", b"\xe2\x80\xaegnp.py", b"x" * 255, b"a\\b", b"a:b", b"git~1", b".git.", b"CON", b"*",
        b"[a]", b"!neg", b"#hash", b" lead", b"trail ", b"\"quoted\"", b"tab\there", b"\x01", b".gitfoo", b"\xef\xbb\xbfbom", b"Readme", b"README",
    ]  # fmt: skip
    for number, name in enumerate(names):
        (project.root / os.fsdecode(name)).write_text(str(number))
    deep = project.root
    for _ in range(20):
        deep /= "d" * 100
    deep.mkdir(parents=True)
    (deep / "deep.py").write_text("deep")
    (project.root / ".GIT").write_text("reserved")
    info = keep(project.root)
    assert {one.path: one.reason for one in info.left_out} == {".GIT": "git reserves the name"}
    store(project.root).export(info.digest, tmp_path / "out")
    (project.root / ".GIT").unlink()
    assert contents(tmp_path / "out") == {p: c for p, c in contents(project.root).items() if not p.startswith(".git/")}
    for number, name in enumerate(names):
        assert store(project.root).read(info.digest, os.fsdecode(name)) == str(number).encode()
    assert keep(project.root).files == info.files


def test_a_file_that_becomes_a_folder_and_back(project):
    for path, kind in [("a", "file"), ("a", "folder"), ("a", "file"), ("a", "link"), ("a", "folder")]:
        target = project.root / path
        shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink(missing_ok=True)
        if kind == "folder":
            target.mkdir()
            (target / "in.py").write_text("1")
        elif kind == "link":
            target.symlink_to("pipeline.py")
        else:
            target.write_text(kind)
        assert paths(project.root) == ["a/in.py" if kind == "folder" else "a", "pipeline.py"]
        assert keep(project.root) == keep(project.root, project.root.parent / f"fresh {time.monotonic_ns()}")


def test_links_are_kept_as_links(project, tmp_path):
    root = project.root
    (root / "loop").symlink_to("loop")
    (root / "up").symlink_to("..")
    (root / "self").symlink_to(".")
    (root / "abs").symlink_to("/etc/passwd")
    (root / "odd").symlink_to(os.fsdecode(b"no\xff\n"))
    info = keep(root)
    assert info.files == 6
    store(root).export(info.digest, tmp_path / "out")
    assert os.readlink(tmp_path / "out" / "up") == ".."
    assert os.readlink(os.fsencode(tmp_path / "out" / "odd")) == b"no\xff\n"


def test_sockets_and_pipes_are_no_source(project, monkeypatch):
    (project.root / "tracked.py").write_text("1")
    project.commit_all()
    before = keep(project.root)
    (project.root / "tracked.py").unlink()
    os.mkfifo(project.root / "tracked.py")
    os.mkfifo(project.root / "pipe")
    monkeypatch.chdir(project.root)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        info = keep(project.root)
    assert info.files == before.files - 1
    assert info.left_out[0].reason == "no regular file"


@pytest.fixture
def nobody(tmp_path):
    """Be a user who may not read everything; root may."""
    if not ROOT_USER:
        yield
        return
    keep_warm = tmp_path / "warm"
    keep_warm.mkdir()
    keep(keep_warm)  # imports what the other user may not read
    changed = []
    for folder in tmp_path.parents:
        if not folder.stat().st_mode & 0o001:
            changed.append((folder, folder.stat().st_mode & 0o777))
            folder.chmod(folder.stat().st_mode | 0o011)
    os.chown(tmp_path, 12345, 12345)
    os.seteuid(12345)
    try:
        yield
    finally:
        os.seteuid(0)
        for folder, mode in changed:
            folder.chmod(mode)


def test_what_cannot_be_read_is_listed(tmp_path, nobody):
    root = tmp_path / "r"
    (root / "shut").mkdir(parents=True)
    for name in ("shut/in.py", "a.py", "secret.py"):
        (root / name).write_text("1")
    before = keep(root)
    (root / "secret.py").chmod(0)
    (root / "shut").chmod(0)
    told = [("secret.py", "unreadable: Permission denied"), ("shut/", "unreadable: Permission denied")]
    try:
        os.utime(root / "secret.py", (1, 1))
        for vault in (vault_of(root), tmp_path / "fresh"):
            info = keep(root, vault)
            assert [(one.path, one.reason) for one in info.left_out] == told
            assert info.files == 1
    finally:
        (root / "shut").chmod(0o755)
        (root / "secret.py").chmod(0o644)
    assert keep(root) == before


def test_pointers_of_git_lfs_are_named(project, tmp_path):
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n"
    (project.root / "model.bin").write_text(pointer)
    (project.root / "no.bin").write_text(pointer.replace("oid", "old"))
    (project.root / ".gitattributes").write_text("*.bin filter=lfs diff=lfs merge=lfs -text\n")
    for _ in range(2):
        info = keep(project.root)
        (one,) = info.left_out
        assert (one.path, one.size, one.digest) == ("model.bin", 12345, "sha256:" + "ab" * 32)
        assert "Git LFS" in one.reason
    assert store(project.root).read(info.digest, "model.bin") == pointer.encode()
    (project.root / "model.bin").write_bytes(b"x" * 12345)  # as with the filter on: the content is on disk
    assert keep(project.root).left_out == []


def test_large_files_are_packed_without_being_held(project, monkeypatch, tmp_path):
    monkeypatch.setattr(blob, "_LARGE", 1000)
    (project.root / "big.bin").write_bytes(os.urandom(3_000_000))
    info = keep(project.root, max_file_size=10**7)
    fsck(vault_of(project.root))
    store(project.root).export(info.digest, tmp_path / "out")
    assert (tmp_path / "out" / "big.bin").read_bytes() == (project.root / "big.bin").read_bytes()


@pytest.mark.parametrize("size", [0, 1, 15, 16, 2047, 2048, 262_143, 262_144])
def test_headers_of_every_length(tmp_path, size):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "f").write_bytes(b"x" * size)
    keep(tmp_path / "r")
    fsck(vault_of(tmp_path / "r"))


def test_a_pack_of_more_than_two_gigabytes_is_indexed_as_git_does(tmp_path, monkeypatch):
    """With the border moved down, for packs of that size take a while."""
    (tmp_path / "pack").mkdir()
    monkeypatch.setattr(pack, "_FAR", 1 << 31)
    with pack.Writer(tmp_path) as writer:
        made = [pack.packed("blob", bytes([number]) * 100) for number in range(10)]
        for one in made:
            writer.add(one)
        writer._found[made[3].oid] = (1 << 33, 1)
        data = writer._index(b"\0" * 32)
    names = sorted(one.oid for one in made)
    at = 8 + 1024 + 10 * 32 + 10 * 4
    offsets = [int.from_bytes(data[at + 4 * i : at + 4 * i + 4], "big") for i in range(10)]
    assert offsets[names.index(made[3].oid)] == 1 << 31
    assert int.from_bytes(data[at + 40 : at + 48], "big") == 1 << 33


# --- rules that change -----------------------------------------------------------------------------------------------

actions = st.lists(
    st.sampled_from(
        [
            "ignore a",
            "ignore all",
            "ignore none",
            "exclude",
            "nested ignore",
            "force",
            "unforce",
            "edit",
            "touch",
            "same size",
            "git init",
            "rm git",
        ]
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@example(["ignore a", "git init", "edit"])
@example(["git init", "nested ignore", "rm git"])
@given(actions)
def test_a_kept_index_follows_the_rules_as_a_fresh_one_does(make_repo, tmp_path_factory, done):
    root = make_repo(tmp_path_factory.mktemp("t") / "r", {"a.py": "1", "b.py": "2", "d/c.py": "3", "d/a.py": "4"})
    for number, action in enumerate(done):
        if action.startswith("ignore"):
            text = {"a": "a.py\n.gitignore\n", "all": "*.py\n", "none": ""}[action.split()[1]]
            (root / ".gitignore").write_text(text)
        elif action == "exclude":
            (root / ".git" / "info").mkdir(exist_ok=True)
            (root / ".git" / "info" / "exclude").write_text("b.py\n")
        elif action == "nested ignore":
            (root / "d" / ".gitignore").write_text("*\n")
        elif action == "force":
            (root / "forced.log").write_text("f")
            (root / ".git" / "info").mkdir(exist_ok=True)
            (root / ".git" / "info" / "exclude").write_text("*.log\n")
            git(root, "add", "-f", "forced.log")
        elif action == "unforce":
            git(root, "rm", "-q", "--cached", "--ignore-unmatch", "-r", "forced.log", "d")
        elif action == "edit":
            (root / "a.py").write_text(f"{number}" * number)
        elif action == "touch":
            os.utime(root / "b.py", (number, number))
        elif action == "same size":
            (root / "b.py").write_text(f"{number}")
        elif action == "git init":
            git(root / "d", "init", "-q")
        elif action == "rm git":
            shutil.rmtree(root / "d" / ".git", ignore_errors=True)
        assert keep(root) == keep(root, root.parent / f"fresh {number}"), action


def test_a_change_in_the_same_second_and_of_the_same_size_is_seen(project):
    """Git compares whole seconds, so such a file has to be compared by content."""
    seen = set()
    for number in range(10, 60):
        (project.root / "pipeline.py").write_text(f"X = {number}\n")
        seen.add(keep(project.root).digest)
    assert len(seen) == 50


def test_a_change_between_reading_a_file_and_writing_the_index_is_seen(project, monkeypatch):
    """An index that is younger than the change would pass for one that has seen it, were it not dated back."""
    target = project.root / "pipeline.py"
    real = os.replace

    def slow(source, goal):
        if str(goal).endswith(".idx"):
            monkeypatch.undo()
            before = target.stat()
            target.write_text("X = 9\n")
            os.utime(target, ns=(before.st_mtime_ns, before.st_mtime_ns))
            time.sleep(1.1)
        real(source, goal)

    while time.time() % 1 > 0.5:  # all within one second, or the change would show
        time.sleep(0.05)
    target.write_text("X = 8\n")
    monkeypatch.setattr(os, "replace", slow)
    one = keep(project.root)
    two = keep(project.root)
    assert store(project.root).read(one.digest, "pipeline.py") == b"X = 8\n"
    assert store(project.root).read(two.digest, "pipeline.py") == b"X = 9\n"


def test_the_users_config_does_not_bend_a_tree(project, monkeypatch, tmp_path):
    (project.root / "link").symlink_to("pipeline.py")
    (project.root / "a.txt").write_bytes(b"a\r\nb\n")
    (project.root / "run.sh").write_text("x")
    (project.root / "run.sh").chmod(0o755)
    one = keep(project.root)
    config = tmp_path / "config"
    config.write_text("[core]\n\tsymlinks = false\n\tfileMode = false\n\tautocrlf = true\n\tcompression = 0\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.symlinks")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "false")
    assert keep(project.root) == one == keep(project.root, tmp_path / "fresh")
    store(project.root).export(one.digest, tmp_path / "out")
    assert contents(tmp_path / "out") == {p: c for p, c in contents(project.root).items() if not p.startswith(".git/")}


def test_an_index_whose_files_are_settled_says_so(project):
    old = time.time() - 100
    os.utime(project.root / "pipeline.py", (old, old))
    one = keep(project.root)
    (project.root / "pipeline.py").write_text("X = 2\n")
    two = keep(project.root)
    os.utime(project.root / "pipeline.py", (old, old))
    assert keep(project.root) == two != one


def test_the_users_own_exclude_file_counts(project, monkeypatch, tmp_path):
    (tmp_path / "mine").write_text("*.local\n")
    config = tmp_path / "config"
    config.write_text(f"[core]\n\texcludesFile = {tmp_path / 'mine'}\n")
    (project.root / "x.local").write_text("x")
    assert "x.local" in paths(project.root)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    assert "x.local" not in paths(project.root)
    (tmp_path / "mine").write_text("")
    assert "x.local" in paths(project.root)


def test_the_repository_cannot_name_a_file_to_be_copied_into_the_vault(project, tmp_path):
    (tmp_path / "private").write_text("a secret of the user's\n")
    git(project.root, "config", "core.excludesFile", str(tmp_path / "private"))
    keep(project.root)
    info = vault_of(project.root) / "code.git" / "info"
    assert not any("secret" in path.read_text() for path in info.iterdir())


# --- things that happen meanwhile ------------------------------------------------------------------------------------


def test_a_file_that_is_written_without_end(project, monkeypatch):
    """It is left out when it does not hold still, and never kept half."""
    target = project.root / "log.txt"
    real = os.fstat

    def growing(descriptor):
        found = real(descriptor)
        if os.path.samestat(found, os.stat(target)):
            with open(target, "ab") as stream:
                stream.write(b"line\n")
        return found

    target.write_text("begin\n")
    monkeypatch.setattr(os, "fstat", growing)
    info = keep(project.root)
    monkeypatch.undo()
    assert [(one.path, one.reason) for one in info.left_out] == [("log.txt", blob.CHANGED)]
    assert keep(project.root).left_out == []


def test_files_that_come_go_and_change_meanwhile(project):
    """Whatever is kept is a whole version of each file."""
    stop = threading.Event()
    folder = project.root / "busy"
    folder.mkdir()

    def work():
        rng = random.Random(1)
        while not stop.is_set():
            path = folder / f"f{rng.randrange(30)}"
            with contextlib.suppress(OSError):
                if rng.random() < 0.3:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
                elif rng.random() < 0.2:
                    path.mkdir()
                    (path / "x").write_text("folder")
                else:
                    scratch = folder.parent / ".git" / "scratch"
                    scratch.write_text(f"{rng.random()}" * 500)
                    os.replace(scratch, path)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        digests = {keep(project.root).digest for _ in range(15)}
    finally:
        stop.set()
        thread.join()
    fsck(vault_of(project.root))
    for digest in digests:
        for one in store(project.root).files(digest):
            data = store(project.root).read(digest, one.path)
            assert len(data) == one.size
            if one.path.startswith("busy/") and data != b"folder":
                assert data == data[: len(data) // 500] * 500


def test_eight_processes_keep_one_tree_with_nested_ones(project, make_repo):
    for number in range(100):
        (project.root / f"m{number}.py").write_text(f"N = {number}\n")
    make_repo(project.root / "inner", {f"i{number}.py": "1\n" for number in range(50)})
    vault = vault_of(project.root)
    started = [start(project.root, vault) for _ in range(8)]
    found = {process.communicate(timeout=100)[0].decode().strip() for process in started}
    assert len(found) == 1
    assert found == {keep(project.root, max_file_size=10**7).digest}
    fsck(vault)
    assert not [path for path in (vault / "code.git" / "objects" / "pack").iterdir() if path.name.startswith("tmp")]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)])
def test_after_a_kill_the_next_one_works_and_every_ref_is_whole(project, make_repo, seed):
    rng = random.Random(seed)
    make_repo(project.root / "inner", {f"i{number}.py": "1\n" * 999 for number in range(50)})
    vault = vault_of(project.root)
    wait = 0.25
    for number in range(8 if seed == 0 else 30):
        for name in range(60):
            (project.root / f"m{name}.py").write_text(f"N = {number}\n" * rng.randrange(2000))
        process = start(project.root, vault)
        try:
            process.communicate(timeout=rng.uniform(0.02, 2 * wait))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        if (vault / "code.git").exists():
            fsck(vault)
            for one in TreeStore(vault / "code.git").trees():
                TreeStore(vault / "code.git").files(one.digest)
    info = keep(project.root, max_file_size=10**7)
    assert info == keep(project.root, project.root.parent / "fresh", max_file_size=10**7)


def test_a_state_that_does_not_belong_to_its_index_is_not_believed(project):
    """As when a process was killed between writing the one and the other."""
    keep(project.root)
    indexes = vault_of(project.root) / "code.git" / "indexes"
    (state,) = indexes.glob("*.json")
    before = state.read_bytes()
    (project.root / "pipeline.py").write_text("X = 2\n")
    two = keep(project.root)
    state.write_bytes(before)
    assert keep(project.root) == two


@pytest.mark.skipif(not ROOT_USER or not shutil.which("mount"), reason="mounting needs root")
def test_a_full_disk_is_an_error_and_leaves_nothing_half(project, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        one = keep(project.root, small)
        (project.root / "big.bin").write_bytes(os.urandom(2_000_000))
        for _ in range(2):
            with pytest.raises(OSError, match="space"):
                keep(project.root, small, max_file_size=10**7)
        tree = TreeStore(small / "code.git")
        assert [found.digest for found in tree.trees()] == [one.digest]
        assert not [p for p in (small / "code.git" / "objects" / "pack").iterdir() if p.name.startswith("tmp")]
        (project.root / "big.bin").write_bytes(b"small")
        assert keep(project.root, small).files == 2
        fsck(small)
    finally:
        subprocess.run(["umount", small], check=True)


# --- upkeep ----------------------------------------------------------------------------------------------------------


def test_many_small_changes_are_put_together(project):
    """A pack each would cost two files each."""
    digests = []
    for number in range(60):
        (project.root / "pipeline.py").write_text(f"X = {number}\n" + "filler = 'the same'\n" * 200)
        digests.append(keep(project.root).digest)
    bare = vault_of(project.root) / "code.git"
    assert len(list((bare / "objects" / "pack").glob("*.pack"))) < 30
    assert len(list((bare / "refs" / "trees").iterdir())) < 30
    fsck(vault_of(project.root))
    for number, digest in enumerate(digests):
        assert store(project.root).read(digest, "pipeline.py").startswith(f"X = {number}\n".encode())
    assert {one.digest for one in store(project.root).trees()} == set(digests)
    (project.root / "pipeline.py").write_text("X = 3\n" + "filler = 'the same'\n" * 200)
    assert keep(project.root).digest == digests[3]


def test_readers_and_writers_do_not_mind_packs_that_go(project, tmp_path):
    """Eight processes, each with trees of its own, and the packs of all put together meanwhile."""
    code = """
import sys, os
from pathlib import Path
from reprokit.code.tree import TreeStore
root, vault = Path(sys.argv[1]), Path(sys.argv[2])
store = TreeStore(vault / "code.git")
for number in range(15):
    (root / "x.py").write_text(f"{os.getpid()} {number}")
    digest = store.keep(root, max_file_size=10**6, vault=vault).digest
    assert store.read(digest, "x.py") == f"{os.getpid()} {number}".encode()
"""
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    started = []
    for number in range(8):
        (tmp_path / f"r{number}").mkdir()
        args = [sys.executable, "-c", code, tmp_path / f"r{number}", tmp_path / "v"]
        started.append(subprocess.Popen(args, env=env, stderr=subprocess.PIPE))
    assert {(process.communicate(timeout=100)[1], process.returncode) for process in started} == {(b"", 0)}
    fsck(tmp_path / "v")
    assert len(TreeStore(tmp_path / "v" / "code.git").trees()) == 120


def test_no_secret_hides_in_a_large_text(project):
    token = "ghp_" + "a1B2" * 9
    (project.root / "x.py").write_text("# filler line of no interest\n" * 500 + f"token = '{token}'\n")
    (project.root / "key.txt").write_text("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n")
    for _ in range(2):
        assert [line.split(":")[0] for line in keep(project.root).warnings] == ["key.txt", "x.py"]
    with contextlib.suppress(ReprokitError):
        (project.root / "key.txt").unlink()
    assert len(keep(project.root).warnings) == 1
