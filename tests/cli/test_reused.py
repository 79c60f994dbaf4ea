"""What the commands say of results that were used again."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from datetime import timedelta

import pytest

from reprokit.model import records as r
from tests.catalog.made_up import DIGEST, artifact
from tests.catalog.reused_vaults import NOW, ReuseVault, aged, id_of


@pytest.fixture
def made(project):
    return ReuseVault(project.root)


def said(project, *words, code=0):
    done = project.reprokit(*words)
    assert done.returncode == code, done.stderr
    return done.stdout


def facts(project, *words):
    """The lines of a table of two columns."""
    found: dict[str, str] = {}
    for line in said(project, *words).splitlines():
        name, _, told = line.partition("  ")
        found[name.strip()] = told.strip()
    return found


def rows(text):
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_runs_reused_lists_how_often_when_last_and_what_was_saved(project, made):
    often, once = made.computed("a", function="f.often"), made.computed("b", function="f.once")
    for _ in range(3):
        made.hit(often, saved=1.0, at=NOW)
    made.hit(once, saved=50.0, at=NOW - timedelta(days=1))
    made.run("f.never")
    head, first, second = rows(said(project, "runs", "--reused"))
    assert head == ["id", "what", "commit", "took", "reused", "last", "saved"]
    assert (first[1], first[3], first[4], first[-1]) == ("f.once", "3 min 02 s", "1", "50 s")
    assert (second[1], second[4], second[-1]) == ("f.often", "3", "3 s")
    told = json.loads(said(project, "runs", "--reused", "--json"))
    assert [(one["function"], one["reused"], one["saved"]) for one in told] == [
        ("f.once", 1, 50.0),
        ("f.often", 3, 3.0),
    ]
    assert told[1]["reused_at"].startswith(NOW.isoformat()[:19])
    (row, _) = csv.DictReader(io.StringIO(said(project, "runs", "--reused", "--csv")))
    assert (row["what"], row["reused"], row["saved"]) == ("f.once", "1", "50.0")
    assert [row[0] for row in rows(said(project, "runs", "--reused", "--sort", "-reused", "--columns", "what"))] == [
        "what", "f.often", "f.once",
    ]  # fmt: skip
    assert len(rows(said(project, "runs", "--reused", "-n", "1"))) == 3  # head, one, "more"
    assert "--tree" in project.reprokit("runs", "--reused", "--tree").stderr


def test_runs_reused_says_how_to_get_there_when_there_are_none(project, made):
    made.run()
    assert "exists='reuse'" in said(project, "runs", "--reused")


def test_a_reused_run_is_listed_as_one(project, made):
    folder = made.computed()
    made.again(folder)
    made.again(folder, status="failed")
    assert sorted(row[3] for row in rows(said(project, "runs"))[1:]) == ["complete", "failed", "reused"]
    told = json.loads(said(project, "runs", "--json", "--columns", "status,reused_from"))
    assert {"status": "complete", "reused_from": id_of(folder)} in told
    made.run("outer", children=[{"end": {"reused_from": id_of(folder)}}])
    assert any(row[3:4] == ["reused"] and row[2] == "analysis.step" for row in rows(said(project, "runs", "--tree")))


def test_show_tells_how_often_a_result_was_used_and_of_how_many_calls(project, made):
    folder = made.computed(function="f.fit", returned=made.returned("value = 1\n"))
    made.computed("b", function="f.fit")
    made.computed("c", function="f.fit", status="failed", entry=False)
    made.run("f.fit")  # nobody asked for reuse
    for _ in range(2):
        made.hit(folder, at=NOW)
    told = facts(project, "show", id_of(folder))
    assert told["used again"].startswith("2 times, last 20")
    assert told["used again"].endswith("saved 6 min 04 s")
    assert told["hit rate"] == "50% of 4 calls of f.fit"
    facts_ = json.loads(said(project, "show", id_of(folder), "--json"))["reuse"]
    assert (facts_["reused"], facts_["saved"], facts_["hits"], facts_["computed"]) == (2, 364.0, 2, 2)
    assert "/blobs/sha256/" in facts_["returned"]
    assert facts(project, "show", id_of(made.computed("d")))["used again"] == "not yet"
    assert "used again" not in facts(project, "show", id_of(made.run()))


def test_show_tells_where_a_reused_result_is_from(project, made):
    folder = made.computed(function="f.fit")
    again = made.again(folder, function="f.fit")
    told = facts(project, "show", id_of(again))
    assert told["reused from"] == f"run {id_of(folder)[:8]} (took 3 min 02 s)"
    assert told["status"] == "complete, reused"
    assert told["hit rate"] == "50% of 2 calls of f.fit"
    child = "c" * 32
    made.run("outer", children=[{"run_id": child, "end": {"reused_from": id_of(folder)}}])
    assert facts(project, "show", child)["reused from"] == told["reused from"]
    gone = id_of(folder)
    shutil.rmtree(folder)
    assert facts(project, "show", child)["reused from"] == f"run {gone[:8]}, which the vault no longer holds"


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({"refused": "it reads the clock"}, "it reads the clock"),
        ({"mutated": ["data.csv", "x"]}, "the function changed what it was given: data.csv, x"),
    ],
)
def test_show_tells_why_a_result_is_not_used_again(project, made, info, reason):
    folder = made.computed(info=info, entry=False)
    told = facts(project, "show", id_of(folder))
    assert told["not used again"] == reason
    assert "used again" not in told


def test_whence_and_lineage_name_both_runs(project, made):
    old = made.file("fig-1a2b3c4-abababab.txt", "picture")
    data = artifact("data.csv", DIGEST, role="used", size=3)
    folder = made.computed(artifacts=[old], inputs=[data], commit="1a2b3c4", function="f.draw")
    new = made.file("fig-9f8e7d6-abababab.txt", "picture")
    again = made.again(folder, artifacts=[new, data], commit="9f8e7d6", function="f.draw")
    os.unlink(project.root / old.path)
    told = facts(project, "whence", new.path)
    assert told["made by"].startswith(f"f.draw, run {id_of(folder)[:8]}")
    assert told["named by"].startswith(f"f.draw, run {id_of(again)[:8]}")
    assert told["named by"].endswith("at 9f8e7d6: reused")
    assert told["code"] == "1a2b3c4"
    assert told["input"].startswith("data.csv")
    assert json.loads(said(project, "whence", new.path, "--json"))["named_by"] == id_of(again)
    drawn = said(project, "lineage", new.path, "--up")
    assert f"run {id_of(again)[:8]} (reused from run {id_of(folder)[:8]})" in drawn
    assert drawn.count("data.csv") == 2
    gone = id_of(folder)
    shutil.rmtree(folder)
    assert facts(project, "whence", new.path)["reused from"].startswith(
        f"run {gone[:8]}, which the vault no longer holds"
    )


def test_diff_says_that_another_run_is_compared(project, made):
    folder, other = made.computed(values={"x": 1}), made.computed("b", values={"x": 2})
    again = made.again(folder)
    told = project.reprokit("diff", id_of(again)[:12], id_of(other)[:12]).stdout
    assert f"run {id_of(again)[:8]} gave the result of run {id_of(folder)[:8]}" in told
    assert "x: 1 -> 2" in told


def test_gc_says_which_results_go_and_why(project, made):
    made.computed("a", started=NOW - timedelta(days=50), returned=made.returned("a"))
    made.computed("b", started=NOW)
    aged(made.vault)
    told = said(project, "gc", "--results-unused", "30d")
    assert "1 line of results: it was neither made nor used for so long" in told
    assert "removed 0 runs, 0 source trees, 1 blobs, 1 lines of results" in said(
        project, "gc", "--results-unused", "4w", "--yes"
    )
    assert said(project, "gc", "--results-unused", "30d").startswith("kept")
    for wrong in ("soon", "yesterday", "2026-01-01", "-3d"):
        done = project.reprokit("gc", "--results-unused", wrong)
        assert done.returncode == 2
        assert "Traceback" not in done.stderr


def test_verify_names_a_damaged_result(project, made):
    path = made.offer("a", id_of(made.computed("a")), made.path / "runs" / "x")
    path.write_bytes(path.read_bytes().replace(b'"seconds":182', b'"seconds":183', 1))
    done = project.reprokit("verify")
    assert done.returncode == 1
    assert f"{path}:1" in done.stdout
    assert "gc --yes" in done.stdout


def test_reproduce_plans_the_original(project, made):
    folder = made.computed()
    again = made.again(folder)
    told = project.reprokit("reproduce", id_of(again), "--plan").stdout
    assert f"used the result of run {id_of(folder)[:8]}" in told


def test_records_of_reuse_hold_no_control_characters_on_the_screen(project, made):
    folder = made.computed(info={"refused": "\x1b[31mred"}, entry=False)
    again = made.run("f", end={"reused_from": "\x1b]0;x\x07" + "0" * 24, "reuse": r.ReuseInfo(refused="\u202e")})
    for run in (folder, again):
        told = said(project, "show", id_of(run))
        assert not {"\x1b", "\x07", "\u202e"} & set(told)
