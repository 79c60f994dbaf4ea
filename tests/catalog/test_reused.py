"""Results that were used again: counted, found, traced and compared as what they are."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from datetime import UTC, timedelta
from pathlib import Path

import pytest

from reprokit.catalog import lineage, query, whence
from reprokit.catalog.diff import diff
from reprokit.catalog.index import Index, index, news
from reprokit.catalog.lineage import stale
from reprokit.catalog.run import Child, Run
from reprokit.catalog.vault import Vault
from reprokit.cli import listing
from reprokit.model import records as r
from reprokit.recorder import sidecars
from tests.catalog.made_up import DIGEST, artifact
from tests.catalog.reused_vaults import MADE_AT, ReuseVault, digest_of, id_of
from tests.conftest import git


@pytest.fixture
def made(tmp_path):
    return ReuseVault(tmp_path)


def columns_of(made, *names, **wanted):
    with Index.open(made.path) as opened:
        return listing.cells(query.runs(opened, **wanted), names)


# --- counting --------------------------------------------------------------------------------------------------------


def test_each_way_of_using_a_result_again_counts_for_the_run_that_made_it(made):
    folder = made.computed()
    made.hit(folder)
    made.hit(folder, saved=18.0, name="other-4194001-00.jsonl")
    made.again(folder)
    made.run("outer", children=[{"end": {"reused_from": id_of(folder)}}])
    made.computed("never used")
    assert columns_of(made, "id", "reused", "saved", reused=True) == [[id_of(folder), 4, 182.0 + 18.0 + 2 * 182.0]]
    found = Vault(made.path).find(id_of(folder))
    assert (found.reused, found.saved) == (4, 564.0)
    assert found.reuse.key == digest_of("a")
    assert found.reused_at == MADE_AT + timedelta(days=2)
    assert found.summary()["reused"] == 4


def test_the_result_of_a_child_run_counts_for_the_child_run(made):
    child = "c" * 32
    folder = made.run("outer", children=[{"run_id": child, "end": {"reuse": r.ReuseInfo(key=DIGEST)}}])
    made.hit(folder, run_id=child, saved=2.0)
    again = made.again(folder, run_id=child)
    assert columns_of(made, "id", "reused", "saved", reused=True) == [[child, 2, 2.25]]
    found = Vault(made.path).find(child)
    assert isinstance(found, Child)
    assert (found.reused, found.saved, found.reuse.key) == (2, 2.25, DIGEST)
    assert Run(again).reused_from == child
    assert Run(again).reused == 0


def test_lines_are_counted_once_however_often_the_index_is_asked_and_in_whatever_pieces_they_come(made, monkeypatch):
    monkeypatch.setattr(news, "_BLOCK", 100)  # bytes: less than a line
    folder = made.computed()
    for number in range(7):
        made.hit(folder, saved=0.1)
        if number % 2:
            assert columns_of(made, "reused", reused=True) == [[number + 1]]
    journal = made.path / "journal" / "gone-4194000-00.jsonl"
    whole = journal.read_bytes()
    journal.write_bytes(whole + whole.splitlines()[-1][:-20])  # being written
    assert columns_of(made, "reused", reused=True) == [[7]]
    index.remove(made.path)
    assert columns_of(made, "reused", "saved", reused=True) == [[7, 0.7]]
    journal.write_bytes(whole + whole.splitlines()[-1] + b"\n")
    assert columns_of(made, "reused", "saved", reused=True) == [[8, 0.8]]


def test_uses_are_counted_and_not_kept_one_by_one(made):
    folders = [made.computed(f"{number}") for number in range(3)]
    columns_of(made, "id")
    size = os.path.getsize(made.path / "index.sqlite")
    for number in range(3_000):
        made.hit(folders[number % 3])
    assert columns_of(made, "reused", reused=True) == [[1000]] * 3
    assert os.path.getsize(made.path / "index.sqlite") == size
    with Index.open(made.path) as opened:
        assert opened.db.execute("SELECT count(*) FROM hits").fetchone() == (3,)


def test_a_use_reads_no_run_again(made, monkeypatch):
    from reprokit.catalog.index import gather

    folder = made.computed()
    made.run()
    columns_of(made, "id")
    monkeypatch.setattr(gather.Gatherer, "gather", None)
    made.hit(folder)
    assert columns_of(made, "reused", reused=True) == [[1]]


def test_uses_that_are_gone_no_longer_count(made):
    folder = made.computed()
    again = made.again(folder)
    assert columns_of(made, "reused", reused=True) == [[1]]
    shutil.rmtree(again)
    assert columns_of(made, "reused", "saved", "reused_at") == [[0, None, None]]


@pytest.mark.parametrize(
    "line",
    [
        b'{"event":"reuse"}',
        b'{"event":"reuse","run_id":5,"timestamp":"x","folder":"f"}',
        b'{"event":"reuse","run_id":"\\ud800","timestamp":"x","saved":1e999}',
        b'{"event":"reuse","run_id":"RUN","timestamp":"x","saved":-5}',
        b'{"event":"reuse","run_id":"RUN","timestamp":"0001-01-01T00:00:00+23:00","saved":1e300}',
        b'{"event": "reuse", "folder": "../../x", "run_id": ' + b"[" * 100_000,
    ],
)
def test_hostile_lines_hurt_nothing(made, line):
    folder = made.computed()
    made.hit(folder)
    with open(made.path / "journal" / "x-4194001-00.jsonl", "ab") as stream:
        stream.write(line.replace(b"RUN", id_of(folder).encode()) + b"\n")
    counted = 2 if b'RUN"' in line else 1
    assert columns_of(made, "reused", "saved", reused=True) == [[counted, 182.0]]
    index.remove(made.path)
    assert columns_of(made, "reused", "saved", reused=True) == [[counted, 182.0]]


# --- listing ---------------------------------------------------------------------------------------------------------


def test_uses_can_be_asked_for_and_sorted_by(made):
    often, once, _ = (made.computed(key, function=f"f.{key}") for key in "abc")
    for _ in range(3):
        made.hit(often, saved=1.0)
    made.hit(once, saved=50.0)
    made.again(once, function="f.b")

    def asked(where, **more):
        return [what for (what,) in columns_of(made, "what", where=where, **more)]

    assert asked("reused >= 3") == ["f.a"]
    assert asked("saved > 1min") == ["f.b"]
    assert asked("saved > 1", sort="saved") == ["f.a", "f.b"]
    assert asked("not has saved and not has reused_from") == ["f.c"]
    assert asked(f"reused_from = '{id_of(once)[:8]}'") == ["f.b"]
    assert asked("has reused_from") == ["f.b"]
    assert asked("reused_at = 2026-01-03") == ["f.a"]
    assert columns_of(made, "what", "reused", reused=True) == [["f.b", 2], ["f.a", 3]]
    assert columns_of(made, "what", reused=True, where="function = 'a'") == [["f.a"]]
    assert [run.what for run in Vault(made.path).runs(reused=True)] == ["f.b", "f.a"]


def test_frames_and_pages_tell_of_uses(made):
    pd = pytest.importorskip("pandas")
    folder = made.computed()
    again = made.again(folder)
    runs = Vault(made.path).runs(sort="started")
    frame = runs.to_frame()
    assert list(frame["reused"]) == [1, 0]
    assert list(frame["reused_from"]) == [None, id_of(folder)]
    assert frame["reused_at"].dtype == pd.to_datetime([0], utc=True).dtype or frame["reused_at"].dt.tz is not None
    assert frame["reused_at"].isna().tolist() == [False, True]
    page = runs._repr_html_()
    assert f"reused from {id_of(folder)[:8]}" in page
    assert "used again" in page
    assert id_of(folder) in Run(again)._repr_html_()
    assert "used again" not in Vault(made.path).runs(where="has reused_from")._repr_html_()


# --- where a file comes from -----------------------------------------------------------------------------------------


def reused_file(made, text="picture"):
    """A file that one run made and another gave a second name; the first was removed."""
    data = artifact("data.csv", digest_of("1,2"), role="used", size=3)
    (made.root / "data.csv").write_text("1,2")
    old = made.file("fig-1a2b3c4-abababab.txt", text)
    folder = made.computed(artifacts=[old], inputs=[data], commit="1a2b3c4")
    new = made.file("fig-9f8e7d6-abababab.txt", text)
    again = made.again(folder, artifacts=[new, data], commit="9f8e7d6")
    os.unlink(made.root / old.path)
    path = made.root / new.path
    write_sidecar(made, path, folder, again)
    return folder, again, path


def write_sidecar(made, path, folder, again):
    """Write what leads from a file to the run that gave it its name, and to the one that made it."""
    sidecar = r.SideCar(
        run_id=id_of(again), root_id=id_of(again), function="analysis.fit", commit="9f8e7d6", config_hash="ab" * 32,
        artifact=Run(again).artifacts[0], started_at=MADE_AT.isoformat(), status="complete", vault="vault",
        run_folder=again.name, reused_from=id_of(folder), reprokit_version="0",
    )  # fmt: skip
    made.write(Path(sidecars.path_of(str(path))), sidecar)


def origin_of(made, path):
    with Index.open(made.path) as opened:
        return whence.whence(opened, path)


def test_a_reused_file_comes_from_both_runs_by_content(made):
    folder, again, path = reused_file(made)
    origin = origin_of(made, path)
    assert (origin.how, origin.changed) == ("content", False)
    assert origin.run.run_id == id_of(folder)
    assert origin.named_by.run_id == id_of(again)
    assert origin.artifact.path == "fig-1a2b3c4-abababab.txt"
    assert origin.summary()["named_by"] == id_of(again)
    assert origin.also == []


def test_the_run_that_gave_the_name_is_the_one_that_the_side_car_names_else_the_first(made):
    folder, again, path = reused_file(made)
    name = Run(again).artifacts[0]
    later = made.again(folder, artifacts=[name], started=MADE_AT + timedelta(days=9))
    assert origin_of(made, path).named_by.run_id == id_of(again)
    os.unlink(sidecars.path_of(str(path)))
    assert origin_of(made, path).named_by.run_id == id_of(again)
    write_sidecar(made, path, folder, later)
    assert origin_of(made, path).named_by.run_id == id_of(later)


def test_a_copy_under_a_third_name_comes_from_the_run_that_made_the_content(made):
    folder, again, path = reused_file(made)
    shutil.copy(path, made.root / "slide.txt")
    origin = origin_of(made, made.root / "slide.txt")
    assert (origin.run.run_id, origin.named_by) == (id_of(folder), None)
    assert origin.also == [id_of(again)]


def test_a_reused_file_comes_from_both_runs_by_its_side_car_and_by_its_name(made):
    folder, again, path = reused_file(made)
    path.write_text("changed")
    for how in ("side-car", "name"):
        origin = origin_of(made, path)
        assert (origin.how, origin.changed) == (how, True)
        assert (origin.run.run_id, origin.named_by.run_id) == (id_of(folder), id_of(again))
        if how == "side-car":
            os.unlink(sidecars.path_of(str(path)))


def test_a_reused_file_comes_from_both_runs_by_the_tag_inside(made):
    import zlib

    from reprokit import embed

    def chunk(kind, data):
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    plain = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", b"\0\0\0\1\0\0\0\1\x08\0\0\0\0")
    plain += chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND", b"")
    path = made.root / "fig-9f8e7d6-abababab.png"
    path.write_bytes(plain)
    embed.write(path, embed.Tag("1a2b3c4", "ab" * 32))
    assert embed.read(path).commit == "1a2b3c4"
    told = {"commit": "1a2b3c4", "config_hash": "ab" * 32}
    folder = made.computed(artifacts=[artifact("fig-1a2b3c4-abababab.png", **told)])
    again = made.again(folder, artifacts=[artifact(path.name, **told)])
    origin = origin_of(made, path)
    assert origin.how == "embedded tag"
    assert (origin.run.run_id, origin.named_by.run_id) == (id_of(folder), id_of(again))


def test_a_reused_file_whose_maker_is_gone_says_so(made):
    folder, again, path = reused_file(made)
    gone = id_of(folder)
    shutil.rmtree(folder)
    origin = origin_of(made, path)
    assert (origin.run.run_id, origin.named_by) == (id_of(again), None)
    assert origin.run.reused_from == gone


def test_a_lineage_leads_through_both_runs_to_the_inputs(made):
    folder, again, path = reused_file(made)
    with Index.open(made.path) as opened:
        found = lineage.trace(opened, str(path))
        assert {run.run_id for run in found.runs.values()} == {id_of(folder), id_of(again)}
        edges = {(edge.run, edge.kind, edge.path) for edge in found.edges}
        assert edges == {
            (id_of(again), "generated", "fig-9f8e7d6-abababab.txt"),
            (id_of(folder), "generated", "fig-1a2b3c4-abababab.txt"),
            (id_of(again), "used", "data.csv"),
            (id_of(folder), "used", "data.csv"),
        }
        assert found.runs[id_of(again)].reused_from == id_of(folder)
        assert f"(reused from run {id_of(folder)[:8]})" in found._repr_html_()
        assert found.files[found.focus].paths[0] == path.name
        below = lineage.trace(opened, str(made.root / "data.csv"), up=False)
        assert {run.run_id for run in below.runs.values()} == {id_of(folder), id_of(again)}


def test_a_reused_file_is_stale_by_the_code_of_the_run_that_made_it(project):
    """The second run recorded no closure: what the first one reached counts, and other writes before the reuse don't."""
    project.python(
        "import reprokit as rk\n@rk.monitor\n@rk.snapshot_code\n@rk.Artifact('o', config={}, allow_dirty=True)\n"
        "def save(o):\n    open(o, 'w').write(str(FACTOR))\nFACTOR = 2\nsave('fig.txt')\n"
    )
    (path,) = project.root.glob("fig-*.txt")
    made = ReuseVault(project.root)
    (first,) = (made.path / "runs").iterdir()
    wrote = Run(first).artifacts[0]
    new = artifact("fig-9f8e7d6-44136fa355.txt", wrote.digest, size=wrote.size)
    shutil.copy(path, project.root / new.path)
    began = Run(first).started
    made.run(
        "__main__.save", started=began + timedelta(seconds=2), artifacts=[artifact(new.path)]
    )  # undone by the next
    made.again(first, artifacts=[new], started=began + timedelta(seconds=5), function="__main__.save")

    def reasons():
        with Index.open(made.path) as opened:
            found = stale.mark(lineage.trace(opened, str(project.root / new.path)), opened)
        return [one for told in found.stale.values() for one in told]

    assert reasons() == []
    script = next(project.root.glob("*.py"))
    script.write_text(script.read_text().replace("FACTOR = 2", "FACTOR = 3"))
    assert any("FACTOR" in one for one in reasons())


def test_a_reused_file_is_not_stale_because_an_input_lay_elsewhere_when_it_was_made(made):
    """Empty files are told apart by their paths; the one that counts is where the input lay at the reuse."""
    (made.root / "new.csv").write_text("")
    then, now = (artifact(f"{name}.csv", digest_of(""), role="used", size=0) for name in ("old", "new"))
    folder = made.computed(artifacts=[made.file("fig-1a2b3c4-abababab.txt", "picture")], inputs=[then])
    new = made.file("fig-9f8e7d6-abababab.txt", "picture")
    made.again(folder, artifacts=[new, now])

    def reasons():
        with Index.open(made.path) as opened:
            return stale.mark(lineage.trace(opened, str(made.root / new.path)), opened).stale

    assert reasons() == {}
    (made.root / "new.csv").unlink()
    assert "input new.csv is gone" in str(reasons())


# --- comparing, repeating --------------------------------------------------------------------------------------------


def test_a_reused_run_is_compared_as_what_the_original_ran(made):
    folder = made.computed(config={"lr": 1}, kwargs={"n": 1}, values={"rmse": 1.0})
    again = made.again(folder, config={"lr": 1}, commit="9f8e7d6")
    other = made.computed("b", config={"lr": 2}, kwargs={"n": 1}, values={"rmse": 2.0})
    found = diff(Run(again), Run(other), made.path)
    assert found.a.run_id == id_of(folder)
    assert found.aspect("values").same is False
    assert f"gave the result of run {id_of(folder)[:8]}" in found.notes[0]
    assert diff(Run(again), Run(folder), made.path).same
    shutil.rmtree(folder)
    lost = diff(Run(again), Run(other), made.path)
    assert lost.a.run_id == id_of(again)
    assert "no longer holds" in lost.notes[0]


def test_the_run_before_is_one_that_called_the_function(made):
    from reprokit.catalog.diff import choose

    first = made.computed("a")
    second = made.computed("b", started=MADE_AT + timedelta(hours=1))
    again = made.again(second)
    assert [run.run_id for run in choose.newest_two(made.path)] == [id_of(first), id_of(second)]
    assert choose.before(made.path, Run(again)).run_id == id_of(first)


def test_repeating_a_reused_run_repeats_the_original(made):
    from reprokit.reproduce import plan

    folder = made.computed()
    again = made.again(folder)
    with Index.open(made.path) as opened:
        planned = plan.make(opened, Run(again))
    assert planned.run.run_id == id_of(folder)
    assert f"used the result of run {id_of(folder)[:8]}" in " ".join(planned.notes)


# --- return values, and what is shown --------------------------------------------------------------------------------


def test_a_kept_return_value_is_found_by_each_run_that_gave_it(made):
    kept = made.returned("value = 3\n")
    folder = made.computed(returned=kept)
    again = made.again(folder)
    (path,) = {Run(folder).returned, Run(again).returned}
    assert (path / "__init__.py").read_text() == "value = 3\n"
    aspect = diff(Run(folder), Run(folder), made.path).aspect("return value")
    assert "blobs/sha256/" in str(aspect.notes)
    shutil.rmtree(path)
    assert Run(folder).returned is Run(again).returned is None


def test_csv_and_json_hold_what_the_table_does(made):
    folder = made.computed()
    made.hit(folder)
    with Index.open(made.path) as opened:
        found = query.runs(opened, reused=True)
        (row,) = csv.DictReader(io.StringIO(listing.as_csv(found, listing.CSV_REUSED)))
        assert (row["reused"], row["saved"], row["reused_at"]) == ("1", "182.0", "2026-01-03T12:00:00+00:00")
        told = json.loads(json.dumps(found[0].summary()))
    assert told["reused_at"] == (MADE_AT + timedelta(days=1)).astimezone(UTC).isoformat()


# --- as it is recorded -----------------------------------------------------------------------------------------------

REAL = """
import reprokit as rk

@rk.monitor
@rk.Artifact("o", config={"a": 1}, exists="reuse")
def save(x, o):
    with open(o, "w") as stream:
        stream.write(str(x))
    return [x]

save(3, "out.txt")
with rk.run("outer"):
    save(3, "out.txt")
"""


def test_what_the_recorder_writes_is_counted_found_and_whole(project):
    (project.root / "script.py").write_text(REAL)
    (project.root / ".gitignore").write_text("*.txt\n*.run.json\n")
    for message in ("first", "second", "third"):
        git(project.root, "add", "-A")
        git(project.root, "commit", "-q", "--allow-empty", "-m", message)
        project.python(REAL)
    vault = Vault(project.vault)
    (made,) = vault.runs(reused=True)
    hits = vault.runs(where="has reused_from", children=True)
    assert made.reused == 5
    assert {run.reused_from for run in hits} == {made.run_id}
    assert made.returned is not None
    assert len(list(project.root.glob("out-*.txt"))) == 3
    for path in project.root.glob("out-*.txt"):
        origin = vault.whence(path)
        assert origin.run.run_id == made.run_id
        assert (origin.named_by is None) == (path.name == made.artifacts[0].path)
    assert vault.verify().ok
    assert vault.gc().is_empty
