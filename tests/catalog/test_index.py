"""The index: always what the run folders say, whatever happened to it, to them, or in between."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.capture import describe
from reprokit.catalog import find, scan
from reprokit.catalog.index import Index, ask, columns, index, place, schema
from reprokit.errors import AmbiguousRunError, RecordError, RunNotFoundError
from reprokit.model import canonical, records
from tests.catalog.made_up import START, MadeVault, artifact
from tests.conftest import SOURCE

ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture
def made(tmp_path):
    return MadeVault(tmp_path / "vault")


def dump(vault):
    """Everything that an index says, without its own numbers."""
    with Index.open(vault) as opened:
        return _dump(opened.db)


def _dump(db):
    of = "(SELECT folder || '/' || run_id FROM runs WHERE id = run)"
    columns_ = 'kind, function, what, status, started, duration, "commit", config_hash, host, user, python, children'
    columns_ += ", reused_from, reusable, reused, reused_at, saved"
    queries = (
        f"SELECT run_id, (SELECT run_id FROM runs r WHERE r.id = runs.root), parent_id, folder, {columns_} FROM runs",
        f"SELECT {of}, names.name, typeof(value), value, shown FROM facts JOIN names ON names.id = facts.name",
        f'SELECT {of}, role, path, artifacts.name, hex(digest), size, "commit", config_hash, seen FROM artifacts',
        f"SELECT {of}, event, text FROM marks",
        "SELECT folder, problem FROM problems",
        "SELECT folder, steps, process FROM open_runs",
        "SELECT value FROM progress WHERE key = 'listing'",
    )
    return [sorted(map(repr, db.execute(query))) for query in queries]


def rebuilt(vault):
    index.remove(vault)
    return dump(vault)


def status_of(vault):
    with Index.open(vault) as opened:
        return dict(opened.db.execute("SELECT run_id, status FROM runs"))


# --- what it says ------------------------------------------------------------------------------------------------------


def test_it_says_of_each_run_what_its_folder_says(project):
    project.python(
        "import reprokit as rk\n"
        "@rk.monitor\n@rk.Artifact('o', config={'lr': 0.1, 'layers': [1, {'n': 'a'}]}, allow_dirty=True)\n"
        "def save(x, o, flag=True):\n"
        "    open(o, 'w').write(str(x)); rk.current().record('rmse', x / 2); rk.current().record('loss', 0.5, step=1)\n"
        "@rk.monitor\ndef fails(): raise KeyError('no')\n"
        "for x in range(3): save(x, f'o{x}.txt', flag=False)\n"
        "with rk.run('block'):\n    save(7, 'inner.txt')\n"
        "try: fails()\nexcept KeyError: pass\n"
    )
    truth = scan.runs(project.vault)
    assert len(truth) == 5
    with Index.open(project.vault) as opened:
        assert opened.problems() == []
        for run in truth:
            for one in (run, *run.children):
                rows = opened.db.execute("SELECT * FROM runs WHERE run_id = ?", (one.run_id,))
                row = dict(zip([c[0] for c in rows.description], rows.fetchone(), strict=True))
                assert row["status"] == one.status
                assert row["function"] == one.function
                assert row["what"] == one.what
                assert row["folder"] == run.folder.name
                assert row["started"] == one.started.timestamp()
                assert row["duration"] == one.duration
                assert row["commit"] == one.commit
                assert row["config_hash"] == one.config_hash
                assert row["parent_id"] == one.parent_id
                found = opened.run(row["id"])
                assert type(found) is type(one)
                assert found.run_id == one.run_id
                assert found.values == one.values
                facts = {
                    name: json.loads(shown) if shown else value
                    for name, value, shown in opened.db.execute(
                        "SELECT names.name, value, shown FROM facts JOIN names ON names.id = facts.name WHERE run = ?",
                        (row["id"],),
                    )
                }
                if one.function and one.function.endswith("save"):
                    x = one.args[0]
                    assert facts == {
                        "config.lr": 0.1,
                        "config.layers.0": 1,
                        "config.layers.1.n": "a",
                        "arg.0": x,
                        "arg.1": one.args[1],
                        **({"arg.flag": False} if "flag" in one.kwargs else {}),
                        "value.rmse": x / 2,
                        "series.loss": 0.5,
                    }
                made = opened.db.execute(
                    "SELECT role, path, digest FROM artifacts WHERE run = ?", (row["id"],)
                ).fetchall()
                assert [(role, path, columns.digest(digest)) for role, path, digest in made] == [
                    (a.role, a.path, a.digest) for a in one.artifacts
                ]


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20,
))  # fmt: skip
def test_each_number_and_text_of_a_value_is_a_fact_by_its_place(value):
    found: list[columns.Fact] = []
    columns.facts("config", value, found)
    assert [fact for fact in found if fact[0] == "config" or fact[0].startswith("config.")] == found
    leaves = []

    def walk(one):
        if isinstance(one, dict):
            for item in one.values():
                walk(item)
        elif isinstance(one, list):
            for item in one:
                walk(item)
        else:
            leaves.append(one)

    walk(value)
    assert len(found) == len(leaves)
    for (_, kept, shown), leaf in zip(found, leaves, strict=True):
        if shown is not None:
            assert json.loads(shown) == leaf
        else:
            assert kept == leaf
            assert type(kept) is type(leaf)


def test_numbers_that_canonical_json_has_no_word_for_can_be_asked_for():
    found: list[columns.Fact] = []
    config = {"big": 2**60, "huge": 10**30, "inf": float("-inf"), "zero": -0.0, "nan": float("nan")}
    columns.facts("config", canonical.plain(config), found)
    values = {name: value for name, value, _ in found}
    assert values["config.big"] == 2**60
    assert values["config.huge"] == 1e30
    assert values["config.inf"] == float("-inf")
    assert values["config.zero"] == 0
    assert values["config.nan"] == "nan"
    columns.facts("value", {name: describe.result(value) for name, value in config.items()}, found := [])
    values = {name: value for name, value, _ in found}
    assert values == {
        "value.big": 2**60,
        "value.huge": 1e30,
        "value.inf": float("-inf"),
        "value.zero": 0,
        "value.nan": "nan",
    }


def test_facts_of_a_run_are_bounded_in_number_depth_and_length():
    found: list[columns.Fact] = []
    columns.facts("config", {"many": list(range(100_000)), "long": "x" * 100_000}, found)
    assert len(found) == columns.MOST
    deep: object = 1
    for _ in range(900):
        deep = [deep]
    columns.facts("config", deep, found := [])
    assert found == []
    columns.facts("config", "x" * 5000, found)
    assert len(found[0][1]) == columns.LONGEST


# --- bringing it up to date --------------------------------------------------------------------------------------------


def test_what_is_new_is_entered_and_equals_an_index_built_anew(made):
    assert dump(made.path)[0] == []
    first = made.run(config={"lr": 0.1}, artifacts=[artifact()], values={"rmse": 2.5}, children=[{}, {"status": None}])
    made.run("other.thing", config={"lr": 0.2})
    assert len(dump(made.path)[0]) == 4
    made.mark(first, "1" * 32, "note", "of nobody")
    run_id = scan.Run(first).run_id
    made.mark(first, run_id, "tag", "paper")
    made.mark(first, run_id, "note", "figure 3")
    kept = dump(made.path)
    assert len(kept[3]) == 2
    assert kept == rebuilt(made.path)


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from("run unjournaled open end mark remove copy damage mend rebuild steps hit again".split()),
        st.integers(0, 9),
    ),
    max_size=14,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(OPERATIONS)
def test_an_index_kept_up_to_date_equals_one_built_anew(tmp_path_factory, operations):
    vault = MadeVault(tmp_path_factory.mktemp("v") / "vault")
    folders: list = []
    alive = records.ProcessId(host=_node(), pid=os.getpid(), started=None, boot_id=None)
    for what, number in operations:
        chosen = folders[number % len(folders)] if folders else None
        if what in ("run", "unjournaled") or chosen is None:
            more = {"journal": what != "unjournaled", "config": {"n": number}, "artifacts": [artifact(f"{number}.png")]}
            folders.append(vault.run(**more, children=[{}] * (number % 3)))
        elif what == "open":
            folders.append(vault.run(ended=False, process=alive))
        elif what == "end" and not (chosen / "post-run-info.json").exists() and chosen.exists():
            template = vault.run(values={"late": number})
            folders.append(template)
            shutil.copy(template / "post-run-info.json", chosen)
            if number % 2:
                vault.journal("close", "0" * 32, chosen)
        elif what == "remove":
            shutil.rmtree(chosen, ignore_errors=True)
        elif what == "copy" and chosen.exists():
            copy = chosen.with_name(f"{chosen.name}-copy{len(folders)}")
            shutil.copytree(chosen, copy)
            folders.append(copy)
        elif what == "damage" and chosen.exists():
            (chosen / "pre-run-info.json").write_bytes(b"{")
            vault.journal("mark", "0" * 32, chosen)
        elif what == "mend" and chosen.exists():
            shutil.copy(vault.run() / "pre-run-info.json", chosen)
            vault.journal("mark", "0" * 32, chosen)
        elif (
            what == "steps" and (chosen / "pre-run-info.json").exists() and not (chosen / "post-run-info.json").exists()
        ):
            with open(chosen / "steps-h-1-bb.jsonl", "ab") as stream:
                stream.write(b"torn")
        elif what in ("mark", "hit", "again"):
            tell(vault, folders, what, chosen, number)
        elif what == "rebuild":
            index.remove(vault.path)
        if number % 2:
            dump(vault.path)
    assert dump(vault.path) == rebuilt(vault.path)


def tell(vault, folders, what, chosen, number):
    """Mark a run, or use its result once more, in one of the ways that this is recorded."""
    run_id = run_id_of(chosen)
    if what == "mark":
        if chosen.exists():
            vault.mark(chosen, "0" * 32, "tag", f"t{number}")
    elif what == "hit":
        at = f"2026-01-{number + 1:02}T00:00:00+00:00"
        vault.journal("reuse", run_id, chosen, saved=number / 3, timestamp=at)
    else:
        folders.append(vault.run(end={"reused_from": run_id}, children=[{"end": {"reused_from": "0" * 32}}]))


def run_id_of(folder):
    """Give a run's id, or one that no run has."""
    try:
        return scan.Run(folder).run_id
    except RecordError:
        return "0" * 32


def _node():
    from reprokit.capture import host

    return host.platform_info().node


def test_a_run_whose_journal_line_a_power_cut_took_is_found_by_listing(made):
    made.run()
    dump(made.path)
    lost = made.run(journal=False)
    assert lost.name in str(dump(made.path)[0])


def test_a_folder_that_was_removed_by_hand_is_forgotten(made):
    gone, stays = made.run(), made.run()
    dump(made.path)
    shutil.rmtree(gone)
    assert [stays.name in row for row in dump(made.path)[0]] == [True]
    shutil.rmtree(made.path / "runs")
    assert dump(made.path)[0] == []


def test_nothing_is_written_when_nothing_is_new(made):
    made.run()
    for path in (made.path / "runs", made.path / "journal"):
        os.utime(path, (1, 1))  # else they are so new that they are listed once more
    dump(made.path)
    before = (made.path / "index.sqlite").stat().st_mtime_ns
    dump(made.path)
    assert (made.path / "index.sqlite").stat().st_mtime_ns == before


def test_an_open_run_is_running_until_its_process_is_gone_and_then_interrupted(project):
    script = project.root / "s.py"
    script.write_text(
        "import reprokit as rk, sys\nwith rk.run('long'):\n    print('in', flush=True); sys.stdin.readline()\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    started = [
        subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout.readline() == b"in\n"
    assert list(status_of(project.vault).values()) == ["running", "running"]
    started[0].communicate(b"\n")
    assert sorted(status_of(project.vault).values()) == ["complete", "running"]
    os.kill(started[1].pid, signal.SIGKILL)
    started[1].communicate()
    assert sorted(status_of(project.vault).values()) == ["complete", "interrupted"]
    assert dump(project.vault) == rebuilt(project.vault)


def test_the_journals_tell_what_is_new_where_listing_is_too_slow_to_be_done_each_time(made):
    made.run()
    with Index.open(made.path) as opened:
        opened.db.execute(
            "INSERT OR REPLACE INTO progress VALUES('listing_took', 9.0), ('listed_at', ?)", (time.time(),)
        )
    told, lost = made.run(), made.run(journal=False)
    said = str(dump(made.path)[0])
    assert told.name in said
    assert lost.name not in said
    with Index.open(made.path) as opened:
        opened.db.execute("UPDATE progress SET value = ? WHERE key = 'listed_at'", (time.time() - 40,))
    assert lost.name in str(dump(made.path)[0])


# --- an index that was harmed --------------------------------------------------------------------------------------------


def harm(path, how):
    data = path.read_bytes()
    if how == "garbage":
        path.write_bytes(b"not a database" * 1000)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif how == "version":
        db = sqlite3.connect(path)
        db.execute(f"PRAGMA user_version = {schema.FORMAT + 1}")
        db.close()
    elif how == "tables":
        db = sqlite3.connect(path)
        db.execute("DROP TABLE facts")
        db.execute("DROP TABLE progress")
        db.close()
    elif how == "pages":
        path.write_bytes(data[:8192] + b"\xff" * (len(data) - 8192))
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "alien journal":
        path.write_bytes(data[:100])
        path.with_name(path.name + "-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + b"\0" * 1000)


@pytest.mark.parametrize("how", "garbage empty cut version tables pages alien-journal folder".split())
def test_a_harmed_index_is_built_anew_and_loses_nothing(made, how):
    for number in range(60):
        made.run(config={"n": number, "text": "x" * 200}, artifacts=[artifact(f"{number}.png")])
    whole = dump(made.path)
    harm(made.path / "index.sqlite", how.replace("-", " "))
    assert ask(made.path, lambda opened: _dump(opened.db)) == whole
    if how != "folder":
        assert dump(made.path) == whole


def test_an_index_cut_at_any_place_is_built_anew(made):
    for number in range(20):
        made.run(config={"n": number})
    whole = dump(made.path)
    data = (made.path / "index.sqlite").read_bytes()
    for length in random.Random(1).sample(range(len(data)), 40):
        (made.path / "index.sqlite").write_bytes(data[:length])
        assert ask(made.path, lambda opened: _dump(opened.db)) == whole, length


def test_an_index_that_is_deleted_while_in_use_harms_nobody(made):
    for _ in range(5):
        made.run()
    with Index.open(made.path) as opened:
        (made.path / "index.sqlite").unlink()
        assert opened.db.execute("SELECT count(*) FROM runs").fetchone() == (5,)
        made.run()
        assert len(dump(made.path)[0]) == 6
        assert opened.db.execute("SELECT count(*) FROM runs").fetchone() == (5,)


def _use(vault, number, report):
    from reprokit.catalog.index import Index

    made, seen = MadeVault(vault), []
    for count in range(12):
        made.run(folder=f"r-{number}-{count}", run_id=f"{number:016x}{count:016x}")
        if count == 5 and number == 0:
            os.unlink(vault / "index.sqlite")
        with Index.open(vault) as opened:
            own = opened.db.execute("SELECT count(*) FROM runs WHERE folder GLOB ?", (f"r-{number}-*",)).fetchone()[0]
            seen.append((own, opened.db.execute("PRAGMA integrity_check").fetchone()[0]))
    report.put((number, seen))


def test_ten_processes_query_and_write_at_once(made):
    context = multiprocessing.get_context("spawn" if sys.platform == "win32" else "fork")
    report = context.Queue()
    workers = [context.Process(target=_use, args=(made.path, number, report)) for number in range(10)]
    for worker in workers:
        worker.start()
    told = dict(report.get(timeout=100) for _ in workers)
    for worker in workers:
        worker.join()
    assert told == {number: [(count + 1, "ok") for count in range(12)] for number in range(10)}
    assert len(dump(made.path)[0]) == 120
    assert dump(made.path) == rebuilt(made.path)


def test_writers_killed_at_any_instant_leave_an_index_that_works(made):
    for _ in range(30):
        made.run(config={"text": "x" * 500})
    code = f"from reprokit.catalog.index import Index; print('go', flush=True)\nwhile True: Index.open({str(made.path)!r}).close()"
    dice = random.Random(2)
    for round_ in range(8):
        made.run(run_id=f"{round_:032x}")
        if round_ % 3 == 0:
            index.remove(made.path)
        process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCE)}
        )
        process.stdout.readline()
        time.sleep(dice.random() * 0.03)
        process.kill()
        process.communicate()
        assert len(dump(made.path)[0]) == 31 + round_
    assert dump(made.path) == rebuilt(made.path)
    assert not [name for name in os.listdir(made.path) if name.endswith("-journal")]


@pytest.mark.skipif(not ROOT_USER or not sys.platform.startswith("linux"), reason="mounting needs root")
def test_a_vault_that_can_only_be_read_gets_its_index_in_the_users_cache(made, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made.run()
    target = tmp_path / "readonly"
    target.mkdir()
    if subprocess.run(["mount", "--bind", made.path, target], capture_output=True, check=False).returncode:
        pytest.skip("no mounting here")
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", target], check=True)
        assert len(dump(target)[0]) == 1
        made.run()
        assert len(dump(target)[0]) == 2
        assert not (made.path / "index.sqlite").exists()
        assert [path.name for path in (tmp_path / "cache").rglob("index.sqlite")] == ["index.sqlite"]
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")  # and where there is no cache either, it lives in memory
        assert len(dump(target)[0]) == 2
    finally:
        subprocess.run(["umount", "-l", target], check=True)


def test_network_file_systems_are_told_by_the_innermost_mount():
    table = (
        b"1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        b"2 1 0:5 / /home rw shared:1 - nfs4 server:/home rw\n"
        b"3 2 0:6 / /home/ada/my\\040disk rw - btrfs /dev/sdb rw\n"
    )
    assert place._innermost("/home/ada/x", table) == "nfs4"
    assert place._innermost("/home/ada/my disk/vault", table) == "btrfs"
    assert place._innermost("/homework", table) == "ext4"


# --- records that were harmed ----------------------------------------------------------------------------------------------


def test_records_cut_at_every_byte_are_named_and_hide_no_other(made):
    other = made.run(config={"a": 1})
    victim = made.run(artifacts=[artifact()], values={"x": 1.0}, children=[{}])
    for name in ("pre-run-info.json", "post-run-info.json", "context.json", "steps-h-1-aa.jsonl"):
        data = (victim / name).read_bytes()
        for length in range(0, len(data) - 2, 1 if len(data) < 1500 else 7):
            (victim / name).write_bytes(data[:length])
            index.remove(made.path)
            with Index.open(made.path) as opened:
                assert opened.db.execute("SELECT count(*) FROM runs WHERE folder = ?", (other.name,)).fetchone() == (1,)
                if not (name.startswith("steps") and length in (0, *_ends(data))):
                    assert any(str(victim / name) in problem for problem in opened.problems()), (name, length)
        (victim / name).write_bytes(data)


def _ends(data):
    return [place for place, byte in enumerate(data, 1) if byte in b"\n}" and data[:place].rstrip().endswith(b"}")]


def test_bit_flips_never_hide_another_run_nor_raise(made):
    other = made.run()
    victim = made.run(artifacts=[artifact()], values={"x": 1.0}, children=[{}, {"artifacts": [artifact("b.png")]}])
    dice = random.Random(3)
    paths = sorted(path for path in victim.iterdir())
    originals = {path: path.read_bytes() for path in paths}
    for number in range(250):
        path = paths[number % len(paths)]
        data = bytearray(originals[path])
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        made.journal("mark", "0" * 32, victim)
        with Index.open(made.path) as opened:
            assert opened.db.execute("SELECT count(*) FROM runs WHERE folder = ?", (other.name,)).fetchone() == (1,)
        path.write_bytes(originals[path])


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 500,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"schema": "reprokit/pre-run-info/99"}',
        b"null",
        b"\xff\xfe",
        b'{"schema": "reprokit/pre-run-info/1", "run_id": 5}',
    ],
)
def test_odd_records_are_named_with_their_file(made, damage):
    made.run()
    victim = made.run()
    (victim / "pre-run-info.json").write_bytes(damage)
    with Index.open(made.path) as opened:
        assert opened.db.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        (problem,) = opened.problems()
        assert str(victim / "pre-run-info.json") in problem


def test_a_document_of_100_megabytes_is_refused_unread(made):
    victim = made.run()
    with open(victim / "post-run-info.json", "r+b") as stream:
        stream.truncate(100_000_000)
    with Index.open(made.path) as opened:
        assert "too many for a record" in opened.problems()[0]
        assert status_of(made.path) == {scan.Run(victim).run_id: "interrupted"}


def test_a_nul_tail_after_a_whole_record_is_damage(made):
    victim = made.run()
    path = victim / "pre-run-info.json"
    path.write_bytes(path.read_bytes() + b"\0" * 4096)
    with Index.open(made.path) as opened:
        assert str(path) in opened.problems()[0]


def test_hostile_names_and_values_are_only_text(made):
    evil = "../../x\x1b[31m\u202e<script>alert(1)</script>'); DROP TABLE runs; --"
    made.run(evil, folder="evil", config={evil: evil, "\ud7ff": [evil]}, values={evil: 1}, kwargs={evil: None})
    (made.path / "runs" / "odd name; rm -rf").mkdir()
    (made.path / "runs" / os.fsdecode(b"not \xff utf-8")).mkdir()
    (made.path / "runs" / ".hidden").mkdir()
    (made.path / "runs" / "a file").write_bytes(b"")
    with Index.open(made.path) as opened:
        assert opened.db.execute("SELECT what FROM runs").fetchall() == [(evil,)]
        assert [problem.partition(": ")[0].rpartition("runs/")[2] for problem in opened.problems()] == [
            "a file/pre-run-info.json",
            "odd name; rm -rf",
        ]
    assert dump(made.path) == rebuilt(made.path)


def test_a_journal_line_can_name_no_folder_outside_the_vault(made, tmp_path):
    made.run()
    outside = MadeVault(tmp_path / "elsewhere").run()
    with open(made.path / "journal" / "h-4194001-00.jsonl", "ab") as stream:
        stream.writelines(
            json.dumps({"event": "open", "run_id": "0" * 32, "folder": folder}).encode() + b"\n"
            for folder in (f"../../elsewhere/runs/{outside.name}", str(outside), "..", "", ".x", "a/b")
        )
        stream.write(b'["no mapping"]\n{"folder": 5}\n' + b"[" * 100_000 + b"\n{torn")
    assert len(dump(made.path)[0]) == 1
    assert dump(made.path)[4] == []


def test_clocks_that_jump_change_the_order_and_nothing_else(made):
    for days in (0, -1, 3650, -30_000, 0):
        made.run(started=START + timedelta(days=days), folder=f"d{days}-{time.monotonic_ns()}")
    made.run(folder="no time")
    broken = made.path / "runs" / "no time" / "pre-run-info.json"
    document = json.loads(broken.read_bytes())
    broken.write_text(json.dumps({**document, "timestamp": "yesterday"}))
    assert len(dump(made.path)[0]) == 6
    with Index.open(made.path) as opened:
        assert find.one(opened, "@").folder.name.startswith("d3650")
    assert dump(made.path) == rebuilt(made.path)


def test_two_folders_with_one_run_are_both_listed_and_the_id_is_ambiguous(made):
    folder = made.run()
    shutil.copytree(folder, folder.with_name("copy"))
    run_id = scan.Run(folder).run_id
    with Index.open(made.path) as opened:
        assert opened.db.execute("SELECT count(*) FROM runs WHERE run_id = ?", (run_id,)).fetchone() == (2,)
        with pytest.raises(AmbiguousRunError):
            find.one(opened, run_id)
        assert find.one(opened, "copy").folder.name == "copy"


def test_a_vault_that_another_tool_wrote_by_the_published_schemas_is_read(tmp_path):
    """Only the required keys, other keys beside them, no journal, no vault.json, no ``schema``."""
    folder = tmp_path / "vault" / "runs" / "mine"
    folder.mkdir(parents=True)
    run_id = "f" * 32
    pre = {
        "run_id": run_id, "root_id": run_id, "kind": "function", "root_directory": str(tmp_path), "cwd": None,
        "timestamp": "2026-11-01T10:00:00+01:00", "process": {"host": "x", "pid": 1, "started": None},
        "config_hash": "0" * 64, "function": "julia.solve", "extra": {"anything": [1]},
    }  # fmt: skip
    post = {
        "run_id": run_id, "status": "complete", "root_directory": str(tmp_path), "run_time": "PT2M", "more": 1,
        "timestamp": "2026-11-01T10:02:00+01:00", "values": {"err": 1e-3},
    }  # fmt: skip
    (folder / "pre-run-info.json").write_text(json.dumps(pre))
    (folder / "post-run-info.json").write_text(json.dumps(post))
    with Index.open(tmp_path / "vault") as opened:
        row = opened.db.execute("SELECT run_id, function, status, duration FROM runs").fetchone()
        assert row == (run_id, "julia.solve", "complete", 120.0)
        assert find.one(opened, "ffff").values == {"err": 1e-3}


# --- finding one -------------------------------------------------------------------------------------------------------


def test_one_run_is_found_by_id_folder_tag_file_and_as_the_newest(made, monkeypatch):
    child = "c" * 32
    folder = made.run(
        run_id="a1" * 16, artifacts=[artifact("out/fig-1a2b3c4-abababab.png")], children=[{"run_id": child}]
    )
    newest = made.run(run_id="a2" * 16)
    made.mark(folder, "a1" * 16, "tag", "paper")
    made.mark(newest, "a2" * 16, "tag", "twice")
    made.mark(folder, child, "tag", "twice")
    monkeypatch.chdir(made.path.parent)
    with Index.open(made.path) as opened:
        for wanted in ("a1", "a1a1", folder.name, "paper", "out/fig-1a2b3c4-abababab.png", "fig-1a2b3c4-abababab.png"):
            assert find.one(opened, wanted).run_id == "a1" * 16, wanted
        assert find.one(opened, "@").run_id == "a2" * 16
        assert find.one(opened, "cc").run_id == child
        for wanted in ("a", "twice"):
            with pytest.raises(AmbiguousRunError, match="fits 2 runs"):
                find.one(opened, wanted)
        for wanted in ("", "zzz", "0" * 32, "../x", "nothing.png", "%", "a1*"):
            with pytest.raises(RunNotFoundError):
                find.one(opened, wanted)


def test_a_tag_that_was_taken_back_finds_nothing(made):
    folder = made.run(run_id="a1" * 16)
    made.mark(folder, "a1" * 16, "tag", "paper")
    made.mark(folder, "a1" * 16, "untag", "paper")
    with Index.open(made.path) as opened, pytest.raises(RunNotFoundError):
        find.one(opened, "paper")


def test_reading_runs_nothing_that_a_vault_holds(made, tmp_path):
    """Pickles, modules, hooks and templates in a run's folder stay what they are: bytes."""
    witness = tmp_path / "ran"
    folder = made.run(config={"__reduce__": ["os.system", f"touch {witness}"]})
    (folder / "sitecustomize.py").write_text(f"open({str(witness)!r}, 'w')")
    (folder / "context.pkl").write_bytes(b"cposix\nsystem\n(S'touch " + str(witness).encode() + b"'\ntR.")
    (made.path / "config").write_text(f"[core]\n\tfsmonitor = touch {witness}\n")
    (tmp_path / "reprokit.toml").write_text("")
    for command in (["runs"], ["show", "@"], ["runs", "--json"]):
        subprocess.run(
            [sys.executable, "-m", "reprokit", *command], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(SOURCE)},
            capture_output=True, check=True,
        )  # fmt: skip
    assert not witness.exists()


def test_asking_of_a_vault_that_is_not_there_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with Index.open(tmp_path / "nowhere") as opened:
        assert opened.db.execute("SELECT count(*) FROM runs").fetchone() == (0,)
    assert list(tmp_path.iterdir()) == []
