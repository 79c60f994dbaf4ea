"""Bundles on a worker's disk: hostile archives, wrong bytes, many processes at once, death in the middle, and sweeping."""

from __future__ import annotations

import io
import os
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
import zlib

import pytest

from reprokit.code.bundles import archive, place, store, unpack, uses
from reprokit.code.bundles.bundle import MEMBER, Meta, digest_of, sha256
from reprokit.errors import BundleMissingError, CodeMismatchError, ReprokitError, WorkerError
from tests.code.bundling import OPEN, packed, run, start

FILES = {"pack/__init__.py": b"X = 1\n", "pack/data.bin": bytes(300)}


@pytest.fixture(autouse=True)
def temp(tmp_path, monkeypatch):
    """A folder for temporary files of this test's own."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def here():
    return lambda: place.folder()


_unique = iter(range(10_000))


def fresh(files=FILES, **options):
    """Pack files so that no other test has the same digest."""
    return packed({**files, "pack/unique.txt": f"{os.getpid()} {next(_unique)}".encode()}, **options)


def hostile(members, meta=None):
    """Make an archive member by member, with the digest that its content would have."""
    target = io.BytesIO()
    meta = Meta(tops=("pack",)).encode() if meta is None else meta
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(MEMBER, meta)
        for name, data, mode in members:
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = mode << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            opened.writestr(info, data)
    digest = digest_of(meta, [(name, bool(mode & 0o100), sha256(data)) for name, data, mode in members])
    return digest, target.getvalue()


FILE = stat.S_IFREG | 0o644


@pytest.mark.parametrize(
    "members",
    [
        [("../outside.py", b"", FILE)],
        [("pack/../../outside.py", b"", FILE)],
        [("/tmp/outside.py", b"", FILE)],
        [("C:/outside.py", b"", FILE)],
        [("pack\\outside.py", b"", FILE)],
        [("pack/a\0.py", b"", FILE)],
        [("./pack.py", b"", FILE)],
        [("pack//a.py", b"", FILE)],
        [("pack/", b"", FILE)],
        [("pack/link", b"/etc/passwd", stat.S_IFLNK | 0o777)],
        [("pack/device", b"", stat.S_IFCHR | 0o666)],
        [("pack/pipe", b"", stat.S_IFIFO | 0o666)],
        [("pack/a.py", b"1", FILE), ("pack/a.py", b"2", FILE)],
        [("pack", b"1", FILE), ("pack/a.py", b"2", FILE)],
    ],
    ids=lambda members: repr(members[-1][0]),
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_archives_are_refused_whatever_their_digest(members, tmp_path, temp):
    digest, data = hostile(members)
    store.add(digest, data)
    with pytest.raises(CodeMismatchError):
        store.tree(digest)
    assert not (tmp_path / "outside.py").exists()
    assert not any(path.name == digest for path in temp.rglob("*"))
    assert not list(temp.rglob("outside*"))


def test_archives_that_lie_about_sizes_or_are_damaged_are_refused():
    digest, data = fresh()
    for made in (
        b"",
        b"no zip",
        data[:-30],
        data[: len(data) // 2],
        data[:60] + b"\0\0\0\0" + data[64:],
        _longer(data),
        _bomb(),
    ):
        store.add(digest, made)
        with pytest.raises(CodeMismatchError):
            store.tree(digest)
    store.add(digest, data)  # after all of these the right one is taken
    assert store.tree(digest).module("pack").X == 1


def _longer(data):
    """Say that a file is shorter than it is."""
    at = data.rindex(b"PK\1\2")
    size = struct.unpack_from("<L", data, at + 24)[0]
    return data[: at + 24] + struct.pack("<L", max(size - 1, 0)) + data[at + 28 :]


def _bomb():
    """Say that a file is larger than any disk: it is not even begun."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = archive.Piece(False, 0xEFFFFFFF, b"", 0, packer.compress(bytes(1_000_000)) + packer.flush())
    return archive.write({"pack/zeros.bin": zeros}, Meta().encode())


def test_a_bomb_is_not_even_begun(monkeypatch):
    monkeypatch.setattr(zipfile.ZipFile, "open", None)
    with pytest.raises(CodeMismatchError, match="bytes can hold"):
        list(archive.read(_bomb(), "0" * 64))


def test_every_changed_byte_is_found(tmp_path):
    """Wrong bytes give another digest, or no archive; never other code."""
    digest, data = packed({"pack/__init__.py": b"X = 12345\n"})
    refused = 0
    for at in range(0, len(data), 3):
        wrong = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
        try:
            content = list(archive.read(wrong, digest))
            files = [(one.path, one.executable, sha256(held)) for one, held in content if one.path != MEMBER]
            meta = next(held for one, held in content if one.path == MEMBER)
            assert digest_of(meta, files) != digest or dict(_plain(wrong, digest)) == dict(_plain(data, digest))
        except CodeMismatchError:
            refused += 1
    assert refused > len(data) / 6


def _plain(data, digest):
    return [(one.path, (one.executable, held)) for one, held in archive.read(data, digest)]


def test_a_bundle_of_another_content_than_its_digest_is_refused_and_leaves_nothing(temp):
    digest, _ = fresh()
    _, other = fresh({"pack/__init__.py": b"raise SystemExit\n"})
    store.add(digest, other)
    with pytest.raises(CodeMismatchError, match=digest[:7]):
        store.tree(digest)
    assert not store.has(digest)
    with pytest.raises(BundleMissingError):
        store.tree(digest)
    assert not [path for path in temp.rglob("*") if path.suffix == ".py"]


def test_names_that_differ_by_case_only_are_kept_apart_where_the_disk_can(tmp_path):
    (tmp_path / "a").touch()
    digest, data = fresh({"pack/__init__.py": b"", "pack/mod.py": b"X = 1\n", "pack/Mod.py": b"X = 2\n"})
    store.add(digest, data)
    if (tmp_path / "A").exists():
        with pytest.raises(CodeMismatchError, match="twice"):
            store.tree(digest)
    else:
        assert [store.tree(digest).module(f"pack.{name}").X for name in ("mod", "Mod")] == [1, 2]


def test_a_later_version_of_the_format_and_roots_outside_are_refused():
    for meta in (
        b'{"schema":"reprokit/bundle/99"}',
        b"[]",
        b"\xff",
        Meta(roots=("../..",)).encode(),
        Meta(roots=("/etc",)).encode(),
    ):
        digest, data = hostile([("pack.py", b"", FILE)], meta)
        store.add(digest, data)
        with pytest.raises(CodeMismatchError):
            store.tree(digest)


# --- the folder ------------------------------------------------------------------------------------------------------


def test_what_is_unpacked_is_what_was_packed_in_a_private_folder(here):
    digest, data = fresh()
    store.add(digest, data)
    folder = store.tree(digest).folder
    assert folder == os.path.join(here(), digest)
    for path in (folder, here(), os.path.dirname(here())):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(f"{folder}/pack/__init__.py").st_mode) == 0o600
    assert store.data_of(digest) == data
    assert digest not in store._data  # on disk, and no longer in memory


def test_a_folder_that_somebody_has_edited_is_made_anew(here, tmp_path):
    digest, data = fresh()
    folder = os.path.join(here(), digest)
    for damage in (
        lambda: unpack.Path(folder, "pack", "__init__.py").write_text("X = 2\n"),
        lambda: os.unlink(f"{folder}/pack/__init__.py"),
        lambda: unpack.Path(folder, "pack", "more.py").touch(),
        lambda: os.chmod(f"{folder}/pack/__init__.py", 0o700),
        lambda: shutil.rmtree(folder),
    ):
        unpack.unpacked(digest, lambda: data)
        damage()
        assert unpack.attested(digest, unpack.Path(folder)) is None
        found = unpack.unpacked(digest, lambda: store.data_of(digest))  # from the archive beside it
        assert unpack.attested(digest, unpack.Path(found.folder)) is not None


def test_a_folder_of_somebody_else_is_refused(temp, monkeypatch):
    digest, data = fresh()
    folder = temp / f"reprokit-{os.getuid()}"
    folder.symlink_to(temp)
    with pytest.raises(WorkerError, match="no folder"):
        store.tree(_added(digest, data))
    folder.unlink()
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    (temp / "reprokit-12345").mkdir()
    with pytest.raises(WorkerError, match="belongs to user"):
        store.tree(digest)
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    assert store.tree(digest).module("pack").X == 1
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def _added(digest, data):
    store.add(digest, data)
    return digest


def test_a_disk_that_cannot_be_written_is_a_clear_error(temp, here, monkeypatch):
    digest, data = fresh()
    store.add(digest, data)
    monkeypatch.setattr(unpack.switch.tempfile, "mkdtemp", _no_space)
    with pytest.raises(WorkerError, match=r"No space left on device.*TMPDIR"):
        store.tree(digest)


def _no_space(*args, **options):
    raise OSError(28, "No space left on device")


# --- what is here ----------------------------------------------------------------------------------------------------


def test_bundles_are_remembered_lent_and_missed(here):
    digest, data = fresh()
    assert not store.has(digest)
    with pytest.raises(BundleMissingError):
        store.data_of(digest)
    asked = []
    store.lend(digest, lambda: asked.append(1) or data)
    assert store.has(digest)
    assert asked == []
    assert store.data_of(digest) == data
    tree = store.tree(digest)
    assert asked == [1]
    assert store.tree(digest) is tree
    assert store.digest_of(tree.module("pack").__name__) == digest
    assert [store.digest_of(name) for name in ("pack", "_reprokit_", "_reprokit_00.pack")] == [None] * 3
    assert tree.label == f"bundle {digest[:7]}"
    assert tree.prefix == f"_reprokit_{digest[:32]}"


def test_a_lender_that_fails_is_asked_again():
    digest, data = fresh()
    answers = [OSError("gone"), data]

    def fetch():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    store.lend(digest, fetch)
    with pytest.raises(BundleMissingError, match="gone"):
        store.tree(digest)
    assert store.tree(digest).module("pack").X == 1


def test_getting_one_bundle_may_need_another_thread_that_gets_another():
    first, second = fresh(), fresh()

    def fetch():
        thread = threading.Thread(target=lambda: store.tree(_added(*second)))
        thread.start()
        thread.join(20)
        assert second[0] in store._trees
        return first[1]

    store.lend(first[0], fetch)
    assert store.tree(first[0]).module("pack").X == 1


def test_a_bundle_that_was_on_disk_when_it_was_given_stays_there(here, tmp_path):
    digest, data = fresh()
    (tmp_path / "b.bin").write_bytes(data)
    run(OPEN + "print(1)", tmp_path, digest, tmp_path / "b.bin")
    store.add(digest, data)
    age(here(), digest, 30)
    uses.sweep()
    assert store.data_of(digest) == data


def test_many_archives_do_not_stay_in_memory(monkeypatch, here):
    monkeypatch.setattr(store, "_MOST_HELD", 3000)
    made = [fresh() for _ in range(20)]
    for digest, data in made:
        store.add(digest, data)
    assert sum(len(store._data.get(digest, b"")) for digest, _ in made) <= 3000
    assert all(store.data_of(digest) == data for digest, data in made)
    assert store.tree(made[0][0]).module("pack").X == 1


def test_an_archive_that_went_bad_on_disk_is_replaced_by_the_next_that_is_sent(here):
    digest, data = fresh()
    with open(os.path.join(here(), f"{digest}.zip"), "wb") as stream:
        stream.write(data[:100])
    store.add(digest, data)  # nothing new: it seems to be here
    with pytest.raises(CodeMismatchError):
        store.tree(digest)
    store.add(digest, data)
    assert store.tree(digest).module("pack").X == 1


def test_threads_that_open_one_bundle_at_once_get_one_tree():
    digest, data = fresh()
    store.add(digest, data)
    found = []
    threads = [threading.Thread(target=lambda: found.append(store.tree(digest))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(map(id, found))) == 1


# --- processes -------------------------------------------------------------------------------------------------------

WAIT = """
import sys
sys.stdin.readline()
"""


def test_eight_processes_that_open_one_new_bundle_at_once_unpack_it_once(tmp_path):
    digest, data = fresh({**FILES, **{f"pack/m{number}.py": b"Y = 2\n" * 50 for number in range(60)}})
    (tmp_path / "b.bin").write_bytes(data)
    code = WAIT + "from reprokit.code.bundles import unpack\nmade = []\nreal = unpack._make\n"
    code += "unpack._make = lambda *args: made.append(1) or real(*args)\n" + OPEN
    code += "print(json.dumps([tree.module('pack.m7').Y, len(made), len(store._data)]))"
    processes = [start(code, tmp_path, digest, tmp_path / "b.bin", stdin=subprocess.PIPE) for _ in range(8)]
    for process in processes:
        process.stdin.write(b"go\n")
        process.stdin.flush()
    told = [process.communicate(timeout=100) for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, told
    answers = [eval(out) for out, _ in told]
    assert [answer[0] for answer in answers] == [2] * 8
    assert sum(answer[1] for answer in answers) == 1
    assert sum(answer[2] for answer in answers) == 0


def test_death_in_the_middle_of_unpacking_leaves_nothing_that_counts(tmp_path):
    digest, data = fresh({**FILES, **{f"pack/m{number}.py": b"Y = 2\n" for number in range(40)}})
    (tmp_path / "b.bin").write_bytes(data)
    slow = "import os, time\nfrom reprokit.code.bundles import unpack\nreal = unpack._write\ncount = [0]\n"
    slow += "def write(*args):\n    real(*args)\n    count[0] += 1\n    if count[0] == 20:\n        print('half', flush=True)\n        time.sleep(60)\n"
    slow += "unpack._write = write\n"
    process = start(slow + OPEN, tmp_path, digest, tmp_path / "b.bin")
    assert process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    bundles = next((tmp_path / "temp").iterdir()) / "bundles"
    assert not (bundles / digest).exists()
    assert any(path.is_dir() for path in bundles.iterdir())  # what it was at
    code = OPEN + "print(json.dumps(tree.module('pack.m39').Y))"
    assert run(code, tmp_path, digest, tmp_path / "b.bin") == 2
    assert [path.name for path in bundles.iterdir() if path.is_dir()] == [digest]  # and that is gone


def test_forked_children_use_what_the_parent_opened_and_open_their_own():
    digest, data = fresh()
    other, more = fresh()
    store.add(digest, data)
    store.add(other, more)
    tree = store.tree(digest)
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = store.tree(digest) is tree and store.tree(other).module("pack").X == 1 == tree.module("pack").X
        finally:
            os._exit(0 if good else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_fork_while_a_thread_opens_bundles_does_not_lock_the_child_up():
    made = [fresh() for _ in range(30)]
    thread = threading.Thread(target=lambda: [store.tree(_added(*one)) for one in made])
    thread.start()
    children = []
    while thread.is_alive() and len(children) < 20:
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            try:
                store.tree(_added(*made[-1]))
                os._exit(0)
            finally:
                os._exit(1)
        children.append(child)
    thread.join()
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


# --- sweeping --------------------------------------------------------------------------------------------------------


def age(folder, digest, days):
    then = time.time() - days * 86400
    for path in (f"{folder}/{digest}.zip", f"{folder}/{digest}"):
        os.utime(path, (then, then))


def test_bundles_that_nobody_used_for_a_week_are_removed_and_those_in_use_are_not(here, tmp_path, temp):
    used, data = fresh()
    store.tree(_added(used, data))
    abandoned, data = fresh()
    recent, other = fresh()
    for digest, content in ((abandoned, data), (recent, other)):
        path = tmp_path / f"{digest}.bin"
        path.write_bytes(content)
        run(OPEN + "print(1)", tmp_path, digest, path)  # by processes that have ended
    for digest in (used, abandoned):
        age(here(), digest, 8)
    age(here(), recent, 6)
    left = [f"{here()}/.{abandoned[:40]}.reprokit-00000000-1-x", f"{here()}/.removed-x"]
    for path in left:
        os.mkdir(path)
        os.utime(path, (1, 1))
    store.tree(_added(*fresh()))  # whoever unpacks sweeps
    there = os.listdir(here())
    assert {used, f"{used}.zip", recent, f"{recent}.zip"} <= set(there)
    assert not [name for name in there if abandoned in name or name.startswith((".removed", ".1"))]
    assert not any(os.path.exists(path) for path in left)


def test_a_forked_child_keeps_what_its_dead_parent_opened(tmp_path, here):
    digest, data = fresh()
    path = tmp_path / "b.bin"
    path.write_bytes(data)
    code = (
        OPEN
        + "import os\nif os.fork() == 0:\n    os.close(1); os.close(2)\n    sys.stdin.readline()\nelse:\n    print('opened', flush=True)\n"
    )
    process = start(code, tmp_path, digest, path, stdin=subprocess.PIPE)
    assert process.stdout.readline() == b"opened\n"
    assert process.wait(20) == 0
    age(here(), digest, 8)
    uses.sweep()
    assert digest in os.listdir(here())
    process.stdin.close()
    process.stdout.close()
    process.stderr.close()
    deadline = time.monotonic() + 20
    while digest in os.listdir(here()) and time.monotonic() < deadline:
        time.sleep(0.05)
        uses.sweep()
    assert digest not in os.listdir(here())


def test_an_opened_bundle_is_young_again(tmp_path, here):
    digest, data = fresh()
    path = tmp_path / "b.bin"
    path.write_bytes(data)
    run(OPEN + "print(1)", tmp_path, digest, path)
    age(here(), digest, 8)
    run(OPEN + "print(1)", tmp_path, digest, path)
    uses.sweep()
    assert digest in os.listdir(here())


def test_errors_of_bundles_are_reprokits_own():
    assert issubclass(CodeMismatchError, (ReprokitError, ImportError))
    assert issubclass(BundleMissingError, LookupError)
    assert sys.version_info >= (3, 11)
