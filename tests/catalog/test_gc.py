"""What is needed stays, what isn't goes, and a kill at any instant hurts nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from filelock import FileLock

from reprokit.catalog import scan
from reprokit.catalog.gc import plan, remove
from reprokit.catalog.verify import verify
from reprokit.errors import BusyVaultError, UnreadableVaultError
from reprokit.vault import blobs, marks
from tests.catalog import vaults
from tests.catalog.made_up import MadeVault


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("gc") / "project"
    vaults.build(root)
    vaults.age(root / "vault")
    return root


@pytest.fixture
def root(made, tmp_path):
    return vaults.copied(made, tmp_path / "project")


def files_of(root, stem):
    return sorted(root.glob(f"{stem}-*.txt"), key=os.path.getmtime)


def drop_files(root, *stems):
    for stem in stems or ("raw", "table", "one", "two"):
        for path in files_of(root, stem):
            path.unlink()


def of(root, text, index=-1):
    """The run, oldest first, whose arguments hold a text."""
    found = [run for run in reversed(scan.runs(root / "vault")) if text in str(run.args)]
    return found[index]


def gone(root, **policy):
    return {run.run_id for run in plan(root / "vault", **policy).runs}


def snapshot_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file() and ".lock" not in p.name}


# --- what stays ------------------------------------------------------------------------------------------------------


def test_without_a_policy_no_run_goes_and_planning_changes_nothing(root):
    drop_files(root)
    before = snapshot_of(root / "vault")
    made = plan(root / "vault")
    assert made.runs == ()
    assert made.is_empty
    plan(root / "vault", keep_last=0)
    assert snapshot_of(root / "vault") == before


def test_runs_whose_files_are_there_stay_whatever_the_policy(root):
    assert gone(root, keep_last=0, keep_days=0) == set()


def test_runs_whose_files_are_gone_go(root):
    drop_files(root, "one", "two")
    outers = {run.run_id for run in scan.runs(root / "vault") if run.kind == "block"}
    assert gone(root, keep_last=0) == outers
    assert len(gone(root, keep_last=1)) == 1


def test_what_kept_runs_used_keeps_its_maker(root):
    """The raw files are gone, but the tables were made of them."""
    drop_files(root, "raw")
    assert gone(root, keep_last=0) == set()
    drop_files(root, "table")
    kept = {run.run_id for run in scan.runs(root / "vault") if run.kind == "block"}
    assert vaults.run_ids(root / "vault") - gone(root, keep_last=0) == kept


def test_tagged_runs_stay_unless_told(root):
    drop_files(root)
    outer = next(run for run in scan.runs(root / "vault") if run.kind == "block")
    marks.tag(outer.children[0], ["paper"])  # a child's tag keeps the root
    raw = of(root, "first", 0)
    marks.tag(raw, ["old"])
    marks.tag(raw, ["old"], remove=True)
    everyone = vaults.run_ids(root / "vault")
    assert gone(root, keep_last=0) == everyone - {outer.run_id}
    assert gone(root, only_tagged=True) == everyone - {outer.run_id}
    assert gone(root, keep_last=0, keep_tagged=False) == everyone


def test_young_runs_stay(root):
    drop_files(root)
    assert gone(root, keep_days=1) == set()
    assert len(gone(root, keep_days=0)) == 6


def test_moved_files_and_files_that_were_made_anew(root):
    raw, table = of(root, "first", 0), of(root, "table", 0)
    (root / "kept").mkdir()
    files_of(root, "raw")[0].rename(root / "kept" / "renamed.txt")
    drop_files(root, "table")
    assert raw.run_id not in gone(root, keep_last=0)
    assert table.run_id in gone(root, keep_last=0)
    before = len(vaults.run_ids(root / "vault"))
    vaults.record(root, "second")  # the same code, the same files, byte for byte
    again = gone(root, keep_last=0)
    assert len(vaults.run_ids(root / "vault")) == before + 3
    # Each file keeps the run that made it last; the one before it told nothing else.
    assert of(root, "second", -1).run_id not in again
    assert of(root, "second", 0).run_id in again


def test_open_runs_stay_and_so_does_the_newest_of_a_living_process(root):
    code = (
        "import sys, reprokit as rk\n"
        "for _ in range(3): rk.monitor(lambda: None)()\n"
        "with rk.run('open', allow_dirty=True):\n"
        "    print('now', flush=True); sys.stdin.readline()\n"
    )
    (root / "other.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(vaults.SOURCE)}
    with subprocess.Popen([sys.executable, "other.py"], cwd=root, env=env, stdin=-1, stdout=-1) as process:
        try:
            assert process.stdout.readline() == b"now\n"
            drop_files(root)
            made = plan(root / "vault", keep_last=0)
            kept = vaults.run_ids(root / "vault") - {run.run_id for run in made.runs}
            assert [r.what for r in scan.runs(root / "vault") if r.run_id in kept] == ["open"]
            assert made.kept == {"running": 1}
            remove(made)
            assert vaults.run_ids(root / "vault") == kept
        finally:
            process.communicate(b"\n")
    assert verify(root / "vault").ok
    assert scan.runs(root / "vault")[0].status == "complete"


def test_a_run_of_another_machine_that_has_not_ended_stays(root):
    drop_files(root)
    run = scan.runs(root / "vault")[0]
    (run.folder / "post-run-info.json").unlink()
    path = run.folder / "pre-run-info.json"
    pre = json.loads(path.read_bytes())
    pre["process"]["host"] = "elsewhere"
    path.write_text(json.dumps(pre))
    for journal in (root / "vault" / "journal").iterdir():
        lines = [line for line in journal.read_text().splitlines(keepends=True) if run.run_id not in line]
        journal.write_text("".join(lines))
    assert run.run_id not in gone(root, keep_last=0)


# --- what goes -------------------------------------------------------------------------------------------------------


def test_removing_takes_trees_and_blobs_along_and_leaves_users_files(root):
    vault = root / "vault"
    first = of(root, "first", 0)
    for stem in ("raw", "table", "one", "two"):
        files_of(root, stem)[0].unlink()
    vaults.age(vault)
    sidecars = sorted(root.glob("*.run.json"))
    made = plan(vault, keep_last=0)
    assert len(made.runs) == 3
    assert len(made.trees) == 1
    assert f"sha256:{blobs_of(first)}" in {blob.digest for blob in made.blobs}
    done = remove(made)
    assert (done.runs, done.trees, done.left) == (3, 1, [])
    assert done.size > 0
    assert len(vaults.run_ids(vault)) == 3
    assert sorted(root.glob("*.run.json")) == sidecars
    assert verify(vault).ok
    after = plan(vault, keep_last=0)
    assert (after.runs, after.trees, after.blobs, after.repack, after.lost) == ((), (), (), False, ())
    assert {file.why for file in after.files} == {"a journal whose runs are all gone"}
    assert len(list((vault / "code.git" / "objects" / "pack").glob("*.pack"))) == 1


def blobs_of(run):
    return next(one.blob for one in run.artifacts if one.blob).rpartition(":")[2]


def test_everything_goes_and_the_vault_is_still_one(root):
    vault = root / "vault"
    drop_files(root)
    for path in root.glob("*.run.json"):
        path.unlink()
    vaults.age(vault)
    remove(plan(vault, keep_last=0))
    assert not any((vault / "runs").iterdir())
    assert not [path for path in (vault / "blobs").rglob("*") if path.is_file()]
    assert not list((vault / "code.git" / "objects" / "pack").glob("*.pack"))
    assert verify(vault).findings == []
    vaults.record(root, "third")  # and the same code can be kept again
    assert len(vaults.run_ids(vault)) == 3
    assert verify(vault).ok


def test_what_was_kept_or_asked_for_just_now_stays(root):
    """A tree and a blob that no run refers to yet: the record of the run that asked for them is still to come."""
    vault = root / "vault"
    drop_files(root)
    kept = next(path for path in (vault / "blobs").rglob("*") if path.is_file())
    source = root.parent / "again"
    shutil.copyfile(kept, source)
    vaults.age(vault)
    assert len(plan(vault, keep_last=0).trees) == 2
    blobs.keep(vault / "blobs" / "sha256", source, f"sha256:{kept.parent.name}{kept.name}")
    from reprokit.code.tree import TreeStore

    info = TreeStore(vault / "code.git").keep(root, max_file_size=10**8, vault=vault, exclude=("vault/**",))
    made = plan(vault, keep_last=0)
    done = remove(made)
    assert kept.exists()
    assert info.digest in {one.digest for one in TreeStore(vault / "code.git").trees()}
    assert done.runs == 6


def test_a_tree_is_not_dropped_while_another_is_kept(root):
    vault = root / "vault"
    drop_files(root)
    vaults.age(vault)
    made = plan(vault, keep_last=0)
    held = next((vault / "code.git" / "indexes").glob("*.held"))
    import reprokit.code.trees.removal as removal

    before, removal._WAIT = removal._WAIT, 0.05
    try:
        with FileLock(held):
            done = remove(made)
    finally:
        removal._WAIT = before
    assert done.trees == 0
    assert any("source trees" in one for one in done.left)
    assert done.runs == 6
    assert remove(plan(vault, keep_last=0)).trees == 2


def test_keeping_trees_waits_for_removal_and_both_are_whole(root):
    """Processes keep trees while another removes; no tree that a run refers to is lost."""
    vault = root / "vault"
    drop_files(root)
    vaults.age(vault)
    context = multiprocessing.get_context("fork")
    keepers = [context.Process(target=_keep_trees, args=(root, number)) for number in range(2)]
    for keeper in keepers:
        keeper.start()
    for _ in range(6):
        remove(plan(vault, keep_last=0, grace=0.5))
    for keeper in keepers:
        keeper.join()
        assert keeper.exitcode == 0
    assert hurt(vault) == []


def test_no_tree_is_kept_while_others_are_removed(root):
    """Who removes closes a door; who keeps waits there, even for a project that has no index yet."""
    import threading

    from reprokit.code.tree import TreeStore

    place = root.parent / "fresh"
    place.mkdir()
    (place / "code.py").write_text("X = 1\n")
    store = TreeStore(root / "vault" / "code.git")
    before = {one.digest for one in store.trees()}
    keeper = threading.Thread(target=lambda: store.keep(place, max_file_size=10**8))
    with FileLock(root / "vault" / "code.git" / "indexes" / "removal.held"):
        keeper.start()
        keeper.join(0.3)
        assert keeper.is_alive()
        assert {one.digest for one in store.trees()} == before
    keeper.join()
    assert len(store.trees()) == len(before) + 1


def test_runs_are_recorded_while_others_are_removed(root):
    """Other processes record while this one removes all that it may; nothing that a run refers to is lost."""
    vault = root / "vault"
    code = "import os, subprocess, sys\nfor n in range(3): subprocess.run([sys.executable, 'script.py', sys.argv[1] + str(n)], check=True)\n"
    (root / "many.py").write_text(code)
    env = {**os.environ, "PYTHONPATH": str(vaults.SOURCE)}
    started = [
        subprocess.Popen([sys.executable, "many.py", str(n)], cwd=root, env=env, stderr=subprocess.DEVNULL)
        for n in range(2)
    ]
    rounds = 0
    while any(process.poll() is None for process in started):
        remove(plan(vault, keep_last=0, grace=1.0))
        rounds += 1
    assert [process.wait() for process in started] == [0, 0]
    assert rounds > 3
    assert [one for one in hurt(vault) if one.kind not in ("changed", "side-car")] == []


def hurt(vault):
    """What is wrong, but for the files that a test removed."""
    return [one for one in verify(vault).failures if not (one.kind == "missing" and one.path.endswith(".txt"))]


def _keep_trees(root, number):
    from reprokit.code.tree import TreeStore

    place = root.parent / f"other-{number}"
    place.mkdir()
    store = TreeStore(root / "vault" / "code.git")
    for version in range(25):
        (place / "code.py").write_text(f"X = {version % 5}\n" * 50)
        digest = store.keep(place, max_file_size=10**8).digest
        if store.read(digest, "code.py") != f"X = {version % 5}\n".encode() * 50:
            os._exit(1)


def test_leftovers_of_dead_processes_go_without_a_policy(root):
    vault = root / "vault"
    folder = next(path for path in (vault / "runs").iterdir())
    old = time.time() - 3 * 86_400
    left = [folder / ".1-0-aa-context.json.tmp", vault / ".2-0-bb-vault.json.tmp"]
    for path in left:
        path.write_text("half")
    young = folder / ".3-0-cc-context.json.tmp"
    young.write_text("half")
    for name in (".removed-20200101_000000-x-00000000", "20261120_101530-x-00000000"):
        (vault / "runs" / name).mkdir()
        left.append(vault / "runs" / name)
    checkout = vault / "checkouts" / "abc"
    checkout.mkdir(parents=True)
    (vault / "checkouts" / "abc.stamp").write_text("x")
    left += [checkout, vault / "checkouts" / "abc.stamp"]
    for path in left:
        ago = old if "checkouts" not in str(path) else time.time() - 60 * 86_400
        os.utime(path, (ago, ago))
    made = plan(vault)
    assert {vault / file.path for file in made.files} == set(left)
    remove(made)
    assert not any(path.exists() for path in left)
    assert young.exists()
    assert len(vaults.run_ids(vault)) == 6


def test_journals_of_dead_processes_go_when_their_runs_are_gone(root):
    vault = root / "vault"
    drop_files(root)
    before = set((vault / "journal").iterdir())
    remove(plan(vault, keep_last=0))
    vaults.age(vault, 86_400 * 8)
    remove(plan(vault))
    left = set((vault / "journal").iterdir())
    assert left  # the lines that tell of the removal stay until nothing else tells of those runs
    assert not before & left
    assert verify(vault).failures == []


def test_a_folder_that_was_removed_by_hand_is_told_to_the_journal(root):
    vault = root / "vault"
    shutil.rmtree(of(root, "first", 0).folder)
    assert [one.kind for one in verify(vault).failures] == ["run missing"]
    made = plan(vault)
    assert len(made.lost) == 1
    remove(made)
    assert verify(vault).ok


def test_a_run_that_was_tagged_since_the_plan_stays(root):
    drop_files(root)
    made = plan(root / "vault", keep_last=0)
    run = of(root, "first", 0)
    marks.tag(run, ["late"])
    remove(made)
    assert vaults.run_ids(root / "vault") == {run.run_id}
    assert scan.find(root / "vault", run.run_id).tags == ["late"]


def test_links_in_run_folders_are_not_followed(root):
    drop_files(root)
    precious = root.parent / "precious"
    precious.mkdir()
    (precious / "thesis.tex").write_text("x")
    run = of(root, "first", 0)
    os.symlink(precious, run.folder / "link")
    (run.folder / "locked").mkdir()
    (run.folder / "locked" / "file").write_text("x")
    (run.folder / "locked").chmod(0o500)
    done = remove(plan(root / "vault", keep_last=0))
    assert done.left == []
    assert (precious / "thesis.tex").exists()


# --- refusing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["context.json", "pre-run-info.json", "post-run-info.json", "journal", "vault.json"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_what_cannot_be_read_forbids_removing(root, name, damage):
    drop_files(root)
    vault = root / "vault"
    path = of(root, "first", 0).folder / name
    path = {"journal": next((vault / "journal").iterdir()), "vault.json": vault / name}.get(name, path)
    whole = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 3] + (b"\n" if name == "journal" else b""))
    elif damage == "flip":
        path.write_bytes(
            re.sub(rb"(?<![0-9a-f])20(?![0-9a-f]{20})", b"30", whole) if name != "vault.json" else whole[1:]
        )
    if name == "journal" and damage != "cut":  # lines that are gone take away checksums, and no run
        return
    before = snapshot_of(vault)
    with pytest.raises(UnreadableVaultError, match="reprokit verify"):
        plan(vault, keep_last=0)
    assert snapshot_of(vault) == before


def test_a_store_of_trees_that_cannot_be_read_forbids_removing(root):
    drop_files(root)
    pack = next((root / "vault" / "code.git" / "objects" / "pack").glob("*.pack"))
    pack.chmod(0o644)
    pack.write_bytes(b"PACK" + b"\0" * 100)
    with pytest.raises(UnreadableVaultError):
        plan(root / "vault", keep_last=0)


def test_one_at_a_time(root):
    drop_files(root)
    made = plan(root / "vault", keep_last=0)
    with FileLock(root / "vault" / ".gc.lock"):
        with pytest.raises(BusyVaultError, match="another"):
            remove(made)
    assert len(vaults.run_ids(root / "vault")) == 6


# --- kills -----------------------------------------------------------------------------------------------------------

_EVENTS = ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "subprocess.Popen", "os.utime", "open")


def _killed_at(vault, number):
    """Remove in a forked process that kills itself right before its n-th change; give its exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            made = plan(vault, keep_last=0, keep_tagged=True)
            count = 0

            def hook(event, args):
                nonlocal count
                if event not in _EVENTS or (event == "open" and not isinstance(args[2], int)):
                    return
                if event == "open" and not args[2] & (os.O_WRONLY | os.O_RDWR):
                    return
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            sys.addaudithook(hook)
            remove(made)
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]


def _check_kill(made, place, number):
    root = vaults.copied(made, place)
    vault = root / "vault"
    drop_files(root)
    marks.tag(of(root, "first", 0), ["kept"])
    status = _killed_at(vault, number)
    assert hurt(vault) == [], number
    wanted = {run.run_id for run in scan.runs(vault)} - gone(root, keep_last=0)
    remove(plan(vault, keep_last=0))
    assert vaults.run_ids(vault) == wanted
    assert len(wanted) == 1
    assert hurt(vault) == [], number
    rest = plan(vault, keep_last=0)
    assert (rest.runs, rest.trees, rest.lost, rest.repack) == ((), (), (), False), number
    assert not [path for path in (vault / "runs").iterdir() if path.name.startswith(".")]
    shutil.rmtree(root)
    return os.WIFSIGNALED(status)


def test_a_kill_at_any_instant_hurts_nothing_and_the_next_call_finishes(made, tmp_path):
    """Right before the n-th change, for thirty n spread over all of them."""
    last = 0
    for step, number in enumerate([*range(1, 11), *range(11, 500, 5)]):
        if not _check_kill(made, tmp_path / str(step), number):
            break
        last = number
    assert last > 60


@pytest.mark.slow
def test_a_kill_at_every_instant(made, tmp_path):
    number = 1
    while _check_kill(made, tmp_path / str(number), number):
        number += 1
    assert number > 60


# --- repetitions -----------------------------------------------------------------------------------------------------


def repeated(tmp_path):
    """Give a vault with two originals and three repetitions of the older one's child run, the last of the second repetition."""
    vault = MadeVault(tmp_path / "project" / "vault")
    vault.run(run_id="aa" * 16, children=[{"run_id": "ab" * 16}])
    vault.run(run_id="bb" * 16)
    for run_id, of in (("c1" * 16, "ab" * 16), ("c2" * 16, "aa" * 16), ("c3" * 16, "c2" * 16)):
        folder = vault.run(run_id=run_id)
        path = folder / "pre-run-info.json"
        path.write_text(json.dumps({**json.loads(path.read_bytes()), "reproduction_of": of}))
    return vault


def test_repetitions_never_count_and_go_with_what_they_repeat(tmp_path):
    vault = repeated(tmp_path)
    root = vault.path.parent
    repetitions = {f"c{number}" * 16 for number in (1, 2, 3)}
    assert gone(root, keep_last=1) == {"aa" * 16, *repetitions}
    assert gone(root, keep_last=2) == set()
    assert gone(root, keep_last=0) == {"aa" * 16, "bb" * 16, *repetitions}
    since = (time.time() - scan.find(vault.path, "bb" * 16).started.timestamp()) / 86_400 + 1e-6
    assert gone(root, keep_days=since) == {"aa" * 16, *repetitions}  # though they are younger
    marks.tag(scan.find(vault.path, "c1" * 16), ["evidence"])
    assert gone(root, keep_last=1) == {"aa" * 16, "c2" * 16, "c3" * 16}
    marks.tag(scan.find(vault.path, "aa" * 16), ["paper"])
    assert gone(root, keep_last=1) == set()
    remove(plan(vault.path, keep_last=1, keep_tagged=False))
    assert vaults.run_ids(vault.path) == {"bb" * 16}


def test_a_repetition_whose_original_was_removed_before_goes(tmp_path):
    vault = repeated(tmp_path)
    shutil.rmtree(scan.find(vault.path, "aa" * 16).folder)
    assert gone(vault.path.parent, keep_last=5) == {f"c{number}" * 16 for number in (1, 2, 3)}


def test_what_an_open_run_repeats_stays(tmp_path):
    vault = repeated(tmp_path)
    folder = scan.find(vault.path, "c1" * 16).folder
    (folder / "post-run-info.json").unlink()
    path = folder / "pre-run-info.json"
    pre = json.loads(path.read_bytes())
    pre["process"]["host"] = "elsewhere"
    path.write_text(json.dumps(pre))
    assert gone(vault.path.parent, keep_last=0) == {"bb" * 16}
