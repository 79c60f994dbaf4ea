"""What is damaged is reported, what is whole is not, and checking changes nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess

import pytest

from reprokit.capture.files import digest_path
from reprokit.catalog import scan
from reprokit.catalog.verify import verify
from reprokit.errors import RunNotFoundError, VaultError
from reprokit.vault import marks
from tests.catalog import vaults
from tests.catalog.made_up import MadeVault
from tests.catalog.made_up import artifact as made_artifact
from tests.conftest import git

DOCUMENTS = ("context.json", "pre-run-info.json", "post-run-info.json")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("verify") / "project"
    vaults.build(root)
    return root


@pytest.fixture
def root(made, tmp_path):
    return vaults.copied(made, tmp_path / "project")


def artifact(root, stem):
    return max(root.glob(f"{stem}-*.txt"), key=os.path.getmtime)


def failures(report):
    return {(one.kind, os.path.basename(one.path)) for one in report.failures}


def run_of(root, name, index=0):
    return [run for run in scan.runs(root / "vault") if (run.function or "").endswith(name)][index]


def tree_of(root):
    return {
        path: (path.lstat().st_mtime_ns, path.lstat().st_size)
        for path in root.rglob("*")
        if path.name != "__pycache__" and path.suffix != ".pyc"
    }


def test_a_whole_vault_has_no_failure_and_is_not_touched(root):
    before = tree_of(root)
    report = verify(root / "vault")
    assert report.ok
    assert report.findings == []
    assert report.runs == 6
    assert report.files >= 8
    assert tree_of(root) == before


def test_a_run_that_was_replaced_is_no_failure_of_the_earlier_one(root):
    """Both processes wrote one.txt of another commit; a third run replaces what the second made."""
    vaults.record(root, "third")
    assert verify(root / "vault").ok
    raws = [run for run in scan.runs(root / "vault") if run.kwargs.get("x") == "second" or "second" in run.args]
    report = verify(root / "vault", raws[0].run_id)
    assert report.ok
    assert [one.kind for one in report.notes if one.kind == "replaced"] == ["replaced"]


def test_changed_missing_and_moved_artifacts(root):
    changed, missing, moved = artifact(root, "one"), artifact(root, "two"), artifact(root, "table")
    size, times = changed.stat().st_size, changed.stat()
    changed.write_bytes(b"x" * size)
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))  # neither size nor time tells
    missing.unlink()
    (root / "figures").mkdir()
    moved.rename(root / "figures" / "final.txt")
    report = verify(root / "vault")
    assert failures(report) == {("changed", changed.name), ("missing", missing.name)}
    told = {one.path: one.sentence for one in report.notes if one.kind == "moved"}
    assert "figures/final.txt" in told[moved.name]


def test_inputs_are_notes_unless_asked_for(root):
    (root / "data.csv").write_text("changed\n")
    report = verify(root / "vault")
    assert report.ok
    assert ("note", "input changed", "data.csv") in vaults.facts(report)
    assert failures(verify(root / "vault", inputs=True)) == {("input changed", "data.csv")}
    (root / "data.csv").unlink()
    assert ("note", "input missing", "data.csv") in vaults.facts(verify(root / "vault"))


def test_one_run_is_checked_by_itself(root):
    artifact(root, "one").write_text("changed")
    assert verify(root / "vault", run_of(root, "save").run_id).ok
    outer = next(run for run in scan.runs(root / "vault") if run.kind == "block")
    assert failures(verify(root / "vault", outer.run_id)) == {("changed", artifact(root, "one").name)}
    fine, hurt = sorted(outer.children, key=lambda child: "one" in str(child.args))
    assert verify(root / "vault", fine.run_id).ok
    assert not verify(root / "vault", hurt.run_id[:12]).ok
    marks.tag(outer, ["paper"])
    assert not verify(root / "vault", "paper").ok
    with pytest.raises(RunNotFoundError):
        verify(root / "vault", "nothing")


def test_a_file_is_claimed_by_content_name_or_side_car(root, monkeypatch):
    monkeypatch.chdir(root)
    vault, path = root / "vault", artifact(root, "two")
    assert [one.kind for one in verify(vault, path.name).findings] == ["recorded"]
    shutil.copyfile(path, "mail.txt")
    (found,) = verify(vault, "mail.txt").findings
    assert (found.kind, found.severity) == ("moved", "note")
    assert path.name in found.sentence
    path.write_text("other")
    assert failures(verify(vault, path)) == {("changed", path.name)}
    shutil.move(path, "sub-" + path.name)  # by its side-car
    shutil.move(str(path) + ".run.json", "sub-" + path.name + ".run.json")
    (found,) = verify(vault, "sub-" + path.name).findings
    assert found.kind == "changed"
    assert "side-car" in found.sentence
    (root / "notes.md").write_text("mine")
    assert failures(verify(vault, "notes.md")) == {("unrecorded", "notes.md")}
    assert failures(verify(vault, "gone.txt")) == {("missing", "gone.txt")}


def test_files_that_look_like_ours_and_are_not_recorded(root):
    path = artifact(root, "one")
    shutil.copyfile(path, root / path.name.replace("one", "stranger"))
    record = json.loads((root / f"{path.name}.run.json").read_bytes())
    (root / "foreign.txt").write_text("x")
    (root / "foreign.txt.run.json").write_text(json.dumps({**record, "run_id": "f" * 32}))
    report = verify(root / "vault")
    assert report.ok
    assert {os.path.basename(one.path) for one in report.notes if one.kind == "unrecorded"} == {
        path.name.replace("one", "stranger"),
        "foreign.txt",
    }


def test_side_cars_that_are_missing_or_tell_something_else(root):
    one, two, table = (root / f"{artifact(root, stem).name}.run.json" for stem in ("one", "two", "table"))
    one.unlink()
    two.write_bytes(two.read_bytes()[:-9])
    table.write_bytes((root / f"{artifact(root, 'raw').name}.run.json").read_bytes())
    report = verify(root / "vault")
    assert failures(report) == {("side-car", two.name), ("side-car", table.name)}
    assert ("note", "side-car missing", one.name) in vaults.facts(report)
    assert not [f for f in verify(root / "vault", sidecars=False).notes if f.kind == "side-car missing"]


def test_two_runs_that_claim_one_file(root):
    """The one whose content is there is believed; a record that claims it with another digest is the failure."""
    outer = next(run for run in scan.runs(root / "vault") if run.kind == "block")
    path = outer.folder / "post-run-info.json"
    post = json.loads(path.read_bytes())
    child = outer.children[0].artifacts[0]
    post["artifacts"] = [{"path": child.path, "digest": "sha256:" + "0" * 64, "size": 3, "role": "generated"}]
    path.write_text(json.dumps(post))
    assert ("damaged", "post-run-info.json") in failures(verify(root / "vault"))


# --- the vault's own records -----------------------------------------------------------------------------------------


def test_every_cut_of_twenty_records_is_reported(made, tmp_path):
    """Also those that leave valid JSON, such as one without its last line feed."""
    root = vaults.copied(made, tmp_path / "project")
    rng = random.Random(6)
    cut = 0
    for folder in sorted((root / "vault" / "runs").iterdir()):
        for name in (*DOCUMENTS, "steps"):
            path = next(folder.glob("steps-*"), None) if name == "steps" else folder / name
            if path is None:
                continue
            whole = path.read_bytes()
            ends = rng.sample(range(len(whole) - 1), 12)
            if name == "steps":
                ends += [whole.index(b"\n") + 1, 0]  # whole lines are gone
            else:
                ends.append(len(whole) - 1)  # JSON without its line feed; for a line that takes nothing away
            for end in ends:
                path.unlink()  # a context may be linked to others
                path.write_bytes(whole[:end])
                assert damage(root, folder), (path, end)
            path.unlink()
            path.write_bytes(whole)
            assert not damage(root, folder)
            cut += 1
    assert cut >= 20


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_cut_at_every_byte_is_reported(made, tmp_path):
    """Three documents of a run at each of their bytes."""
    root = vaults.copied(made, tmp_path / "project")
    folder = min((root / "vault" / "runs").iterdir())
    for name in DOCUMENTS:
        whole = (folder / name).read_bytes()
        (folder / name).unlink()
        for end in range(len(whole)):
            (folder / name).write_bytes(whole[:end])
            assert damage(root, folder), (name, end)
        (folder / name).write_bytes(whole)


def damage(root, folder):
    """Check one run's records as `verify` does; a note of a torn line counts."""
    from reprokit.catalog import survey
    from reprokit.catalog.ledger import Ledger
    from reprokit.catalog.verify import records
    from reprokit.catalog.verify import vault as checks
    from reprokit.vault.layout import Vault

    ledger = Ledger(root / "vault")
    try:
        list(checks.journals(Vault(root / "vault"), ledger))
        seen = survey.Surveyor().read(folder)
        run_id = seen.pre.run_id if seen.pre else ""
        rows = ledger.db.execute("SELECT name, digest FROM documents WHERE run_id = ?", (run_id,))
        return list(records.check(seen, dict(rows)))
    finally:
        ledger.close()


def test_every_bit_flip_in_a_document_is_reported(made, tmp_path):
    """1,000 flips: a document that still parses has another digest than the journal's."""
    root = vaults.copied(made, tmp_path / "project")
    rng = random.Random(66)
    folders = sorted((root / "vault" / "runs").iterdir())
    for _ in range(1000):
        path = rng.choice(folders) / rng.choice(DOCUMENTS)
        whole = path.read_bytes()
        at, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        path.unlink()
        path.write_bytes(whole[:at] + bytes([whole[at] ^ bit]) + whole[at + 1 :])
        assert [one for one in damage(root, path.parent) if one.kind in ("damaged", "missing")] or "unchecked" in {
            one.kind for one in damage(root, path.parent)
        }, (path, at, bit)
        path.write_bytes(whole)


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 4096,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"schema": "reprokit/post-run-info/99"}',
        b"\xff\xfe",
        "long",
        "tail",
    ],
    ids=["empty", "nul", "depth", "objects", "future", "bytes", "100 MB", "NUL tail"],
)
def test_hostile_documents_are_named_and_hide_nothing_else(root, damage):
    folders = sorted((root / "vault" / "runs").iterdir())
    path = folders[2] / "post-run-info.json"
    whole = path.read_bytes()
    if damage == "long":
        with open(path, "r+b") as stream:
            stream.truncate(100_000_000)
    else:
        path.write_bytes(whole + b"\0\0" if damage == "tail" else damage)
    artifact(root, "table").unlink()
    report = verify(root / "vault")
    assert ("damaged", "post-run-info.json") in failures(report)
    assert {one.path for one in report.failures if one.kind == "damaged"} == {str(path)}
    assert report.runs == 6


def test_hostile_names_are_survived(root, monkeypatch):
    """Control characters, bytes that are no UTF-8, a null character in a recorded path, a link as a run folder."""
    folder = min((root / "vault" / "runs").iterdir())
    shutil.copytree(folder, folder.with_name("evil\x1b[31m\n<b>"))
    os.symlink("/", root / "vault" / "runs" / "link")
    post = json.loads((folder / "post-run-info.json").read_bytes())
    for path in ("../../../../etc/passwd", "a\0b", "/dev/zero", "x\u202e", "caf\\xe9.txt"):
        post["artifacts"].append({"path": path, "digest": "sha256:" + "1" * 64, "size": 1, "role": "generated"})
    (folder / "post-run-info.json").write_text(json.dumps(post))
    report = verify(root / "vault")
    assert ("duplicate", "runs") in failures(report)
    assert ("unreadable", "zero") in failures(report)
    assert ("missing", "x\u202e") in failures(report)


def test_names_that_are_no_utf8_are_found(root):
    name = os.path.join(os.fsencode(root), b"caf\xe9.csv")
    with open(name, "w") as stream:
        stream.write("x")
    (root / "script.py").write_text(
        "import os, reprokit as rk\n"
        "with rk.run('odd', allow_dirty=True) as ctx:\n"
        "    ctx.use(os.fsdecode(b'caf\\xe9.csv'))\n"
    )
    vaults.record(root)
    assert verify(root / "vault", inputs=True).ok
    with open(name, "w") as stream:
        stream.write("y")
    assert [one.kind for one in verify(root / "vault", inputs=True).failures] == ["input changed"]


def test_journals_that_are_torn_or_damaged(root):
    path = next((root / "vault" / "journal").iterdir())
    with open(path, "ab") as stream:
        stream.write(b'{"schema": "reprokit/jour')
    report = verify(root / "vault")
    assert report.ok
    assert [one.kind for one in report.notes] == ["leftover"]
    path.write_bytes(b"nonsense\n" + path.read_bytes())
    assert [one.kind for one in verify(root / "vault").failures] == ["damaged"]


def test_a_run_folder_that_was_removed_by_hand(root):
    run = run_of(root, "save")
    shutil.rmtree(run.folder)
    (found,) = verify(root / "vault").failures
    assert found.kind == "run missing"
    assert found.run_id == run.run_id


def test_blobs_that_are_changed_or_missing(root):
    blobs = sorted(path for path in (root / "vault" / "blobs").rglob("*") if path.is_file())
    data = bytearray(blobs[0].read_bytes())
    data[0] ^= 1
    blobs[0].write_bytes(data)
    blobs[1].unlink()
    kinds = sorted(one.kind for one in verify(root / "vault").failures)
    assert kinds == ["blob changed", "blob missing"]
    owner = next(
        run for run in scan.runs(root / "vault") for a in run.artifacts if a.blob and a.blob.endswith(blobs[0].name)
    )
    assert [one.kind for one in verify(root / "vault", owner.run_id).failures] == ["blob changed"]


def test_a_tree_that_is_missing_from_the_store(root):
    refs = sorted((root / "vault" / "code.git" / "refs" / "trees").iterdir())
    refs[0].unlink()
    report = verify(root / "vault")
    assert {one.kind for one in report.failures} == {"tree missing"}
    assert {one.path for one in report.failures} == {f"sha256:{refs[0].name}"}


def test_an_object_that_is_missing_from_the_store(root):
    """Every object by itself is made to vanish once; the tree that needs it is named."""
    store = root / "vault" / "code.git"
    unpack(store)
    loose = sorted(path for path in (store / "objects").glob("??/*") if path.is_file())
    assert len(loose) >= 6
    for path in loose:
        data = path.read_bytes()
        path.unlink()
        assert {one.kind for one in verify(root / "vault").failures} <= {"tree damaged", "tree missing"}
        assert not verify(root / "vault").ok
        path.write_bytes(data)
    assert verify(root / "vault").ok


def test_a_flipped_bit_in_a_pack_is_reported(root):
    pack = next((root / "vault" / "code.git" / "objects" / "pack").glob("*.pack"))
    whole = pack.read_bytes()
    pack.chmod(0o644)
    for at in range(20, len(whole) - 32, max((len(whole) - 52) // 8, 1)):
        pack.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        report = verify(root / "vault")
        assert [one for one in report.findings if one.kind.startswith("tree")], at
    pack.write_bytes(whole)
    assert verify(root / "vault").ok


def test_a_ref_that_leads_to_another_tree_is_reported(root):
    """Its objects are whole, so only the digest computed anew tells."""
    refs = sorted((root / "vault" / "code.git" / "refs" / "trees").iterdir())
    refs[0].write_text(refs[1].read_text())
    report = verify(root / "vault")
    assert {(one.kind, one.path) for one in report.failures} == {("tree damaged", f"sha256:{refs[0].name}")}
    run = next(
        r for r in scan.runs(root / "vault") if r.context.snapshot and r.context.snapshot.digest.endswith(refs[0].name)
    )
    assert [one.kind for one in verify(root / "vault", run.run_id).failures] == ["tree damaged"]


def test_archives_and_leftovers(root):
    run = run_of(root, "save")
    (run.folder / "args" / "__init__.py").write_text("this is no archive (")
    (run.folder / ".1-0-aa-context.json.tmp").write_text("half")
    (root / "vault" / "runs" / "20261120_101530-x-00000000").mkdir()
    report = verify(root / "vault")
    assert failures(report) == {("archive", "args")}
    assert [one.kind for one in report.notes] == ["leftover", "leftover"]


def test_clocks_that_were_wrong_are_noted(root):
    """The document is rewritten with its checksum, so that the time is all that is odd."""
    import hashlib

    run = run_of(root, "save")
    path = run.folder / "pre-run-info.json"
    before = path.read_bytes()
    after = before.replace(run.pre.timestamp.encode(), b"2099" + run.pre.timestamp.encode()[4:])
    path.write_bytes(after)
    for journal in (root / "vault" / "journal").iterdir():
        text = journal.read_bytes()
        old, new = (hashlib.sha256(data).hexdigest().encode() for data in (before, after))
        journal.write_bytes(text.replace(old, new))
    report = verify(root / "vault")
    assert report.ok
    assert [one.kind for one in report.notes] == ["clock", "clock"]


def test_where_there_is_no_vault(tmp_path):
    with pytest.raises(VaultError, match="reprokit init"):
        verify(tmp_path / "nothing")


def unpack(store):
    packs = list((store / "objects" / "pack").glob("*.pack"))
    for pack in packs:
        data = pack.read_bytes()
        for suffix in (".idx", ".pack"):
            pack.with_suffix(suffix).unlink()
        subprocess.run(
            ["git", "unpack-objects", "-q"], cwd=store, input=data, check=True, env={**os.environ, "GIT_DIR": "."}
        )
    git(store, "--git-dir=.", "fsck", "--full")


def test_a_folder_stands_for_the_recorded_files_in_it(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    paths = ["results/a.txt", "results/deep/b.txt", "results2/c.txt", "d.txt"]
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    records = []
    for path in paths:
        digest, size = digest_path(str(tmp_path / path))
        records.append(made_artifact(path, digest, size=size, seen=True))
    vault.run(artifacts=records)
    report = verify(vault.path, tmp_path / "results")
    assert (report.ok, report.files) == (True, 2)
    (tmp_path / "results2" / "c.txt").write_text("changed")
    assert verify(vault.path, tmp_path / "results").ok
    (tmp_path / "results" / "deep" / "b.txt").write_text("changed")
    assert failures(verify(vault.path, tmp_path / "results")) == {("changed", "b.txt")}
    shutil.rmtree(tmp_path / "results")
    assert failures(verify(vault.path, tmp_path / "results")) == {("missing", "a.txt"), ("missing", "b.txt")}
    (tmp_path / "empty").mkdir()
    assert failures(verify(vault.path, tmp_path / "empty")) == {("unrecorded", "empty")}


def test_the_path_of_a_runs_folder_stands_for_the_run(root):
    run = scan.runs(root / "vault")[0]
    report = verify(root / "vault", run.folder)
    assert (report.ok, report.runs) == (True, 1)
