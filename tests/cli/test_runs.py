"""``reprokit runs``: what people, spreadsheets and programs see."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import SOURCE

MADE = """
import reprokit as rk

@rk.monitor
def step(n): pass

for number, lr in enumerate((0.1, 0.01, 1)):
    with rk.run("fit", config={"lr": lr, "name": "=1+1"}) as run:
        for n in range(number * 15):
            step(n)
        run.record("rmse", number - 0.5)
        run.record("text", 'say "a,b"\\n@x')
"""


@pytest.fixture
def made(project):
    project.python(MADE)
    return project


def rows(done):
    assert done.returncode == 0, done.stderr
    return [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()]


def test_the_table_has_the_columns_that_are_wanted_in_the_order_that_is_wanted(made):
    head, *found = rows(made.reprokit("runs", "--columns", "id,config.lr,value.rmse", "--sort", "value.rmse"))
    assert head == ["id", "config.lr", "value.rmse"]
    assert [one[1:] for one in found] == [["0.1", "-0.5"], ["0.01", "0.5"], ["1", "1.5"]]
    head, *found = rows(made.reprokit("runs"))
    assert head == ["id", "when", "what", "status", "commit", "config", "took", "values"]
    assert len(found) == 3


def test_filters_narrow_and_say_so_when_nothing_fits(made):
    assert (
        len(rows(made.reprokit("runs", "--where", "config.lr < 0.5 and value.rmse > 0", "--status", "complete"))) == 2
    )
    assert len(rows(made.reprokit("runs", "--function", "fit", "--since", "yesterday", "--until", "today"))) == 4
    done = made.reprokit("runs", "--where", "config.lrr > 0.5")
    assert done.returncode == 0
    assert "no runs fit these conditions, of 3" in done.stdout
    assert "did you mean config.lr?" in done.stdout
    assert json.loads(made.reprokit("runs", "--tag", "best", "--json").stdout) == []
    done = made.reprokit("runs", "--function", "step")
    assert "--children" in done.stdout


def test_more_runs_than_are_shown_are_counted(made):
    assert "... 2 more; --limit 3 shows all" in made.reprokit("runs", "--limit", "1").stdout
    assert "... more" in made.reprokit("runs", "--limit", "1", "--where", "has config.lr").stdout


@pytest.mark.parametrize(
    ("args", "told", "caret"),
    [
        (["--where", "config.lr <"], "a value is missing", "  config.lr <\n             ^\n"),
        (["--where", "durration > 3"], "did you mean duration?", "  durration > 3\n  ^\n"),
        (["--status", "faild"], "did you mean 'failed'?", "  faild\n  ^\n"),
        (["--since", "soon"], "is no time", "  soon\n  ^\n"),
        (["--sort", "colour"], "unknown column 'colour'", "  colour\n  ^\n"),
        (["--columns", "id,colour"], "unknown column 'colour'", "  id,colour\n     ^\n"),
    ],
)
def test_a_wrong_question_is_exit_code_2_and_shows_where_it_is_wrong(project, args, told, caret):
    project.reprokit("init")
    done = project.reprokit("runs", *args)
    assert done.returncode == 2
    assert done.stderr.startswith("reprokit: ")
    assert told in done.stderr
    assert done.stderr.endswith(caret)


def test_ways_to_show_runs_exclude_each_other(project):
    for args in (["--json", "--csv"], ["--json", "--watch"], ["--csv", "--tree"], ["--tree", "--children"]):
        assert project.reprokit("runs", *args).returncode == 2


def test_json_holds_chosen_columns_and_child_runs(made):
    found = json.loads(made.reprokit("runs", "--json", "--columns", "id,config.lr,tags,values", "--limit", "1").stdout)
    assert found[0]["config.lr"] == 1
    assert found[0]["tags"] == []
    assert found[0]["values"]["rmse"] == 1.5
    found = json.loads(made.reprokit("runs", "--json", "--children", "--where", "arg.0 = 29").stdout)
    assert [run["function"] for run in found] == ["__main__.step"]
    assert found[0]["root_id"] == found[0]["parent_id"] != found[0]["run_id"]


def test_csv_is_read_back_as_it_was_and_holds_no_formula(made):
    done = made.reprokit("runs", "--csv", "--sort", "started", text=False)
    assert done.stdout.count(b"\r\n") == 4
    found = list(csv.DictReader(io.StringIO(done.stdout.decode(), newline="")))
    assert [run["value.rmse"] for run in found] == ["-0.5", "0.5", "1.5"]
    assert found[0]["value.text"] == 'say "a,b"\n@x'
    assert len(found[0]["id"]) == 32
    done = made.reprokit("runs", "--csv", "--columns", "id,config.name")
    assert [line.partition(",")[2] for line in done.stdout.splitlines()[1:]] == ["'=1+1"] * 3


def test_a_tree_shows_some_child_runs_and_counts_the_others(made):
    _, *found = rows(made.reprokit("runs", "--tree", "--columns", "what,status"))
    assert [one[0] for one in found].count("fit") == 3
    assert [one[0] for one in found].count("__main__.step") == 15 + 20
    assert "... 10 more" in " ".join(one[0] for one in found)


def test_uncommitted_changes_are_marked_and_told_in_full_to_programs(made):
    (made.root / "pipeline.py").write_text("X = 2\n")
    made.python("import reprokit as rk\nwith rk.run('dirty'): pass\n")
    _, newest, *_ = rows(made.reprokit("runs", "--columns", "commit"))
    assert newest == [f"{made.commit}*"]
    (run,) = json.loads(
        made.reprokit("runs", "--json", "--limit", "1", "--where", "dirty = true and started > 1h").stdout
    )
    assert run["commit"].startswith(f"{made.commit}-dirty")
    assert json.loads(made.reprokit("runs", "--json", "--where", "dirty = false").stdout) == []


def test_what_a_record_holds_reaches_a_terminal_harmless(project):
    project.python(
        "import reprokit as rk\nwith rk.run('a\\x1b[31m\\u202e\\n[red]b') as run: run.record('\\x1b]0;x', '\\x07')\n"
    )
    for args in ([], ["--columns", "what,function,values"], ["--tree"]):
        shown = project.reprokit("runs", *args).stdout
        assert "[red]b" in shown
        assert not set(shown) & set("\x1b\x07\u202e")


def test_damaged_runs_are_named_with_what_to_type_next(made):
    victim = made.folders[0]
    (victim / "pre-run-info.json").write_bytes(b"{")
    for index in made.vault.glob("index.sqlite*"):
        index.unlink()
    done = made.reprokit("runs")
    assert len(rows(done)) == 3
    assert f"{victim.name}/pre-run-info.json" in done.stderr
    assert "reprokit verify" in done.stderr


def watching(project, output):
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "COLUMNS": "120", "TERM": "xterm"}
    return subprocess.Popen(
        [sys.executable, "-m", "reprokit", "runs", "--watch"],
        cwd=project.root,
        env=env,
        stdout=output,
        stderr=subprocess.PIPE,
    )


def read_until(descriptor, wanted, seconds=30):
    seen, end = b"", time.monotonic() + seconds
    while wanted not in seen and time.monotonic() < end:
        if select.select([descriptor], [], [], 0.2)[0]:
            seen += os.read(descriptor, 65_536)
    assert wanted in seen
    return seen


def test_watching_into_a_pipe_prints_a_line_for_each_new_run_and_ends_on_interrupt(project):
    project.python("import reprokit as rk\nwith rk.run('first'): pass\n")
    process = watching(project, subprocess.PIPE)
    read_until(process.stdout.fileno(), b"first\n")
    project.python("import reprokit as rk\nwith rk.run('second'): pass\n")
    seen = read_until(process.stdout.fileno(), b"second\n")
    assert b"first" not in seen
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert (out, err) == (b"", b"")


def test_watching_on_a_terminal_refreshes_in_place_and_ends_on_interrupt(project):
    project.python("import reprokit as rk\nwith rk.run('first'): pass\n")
    outer, inner = pty.openpty()
    try:
        process = watching(project, inner)
        read_until(outer, b"first")
        project.python("import reprokit as rk\nwith rk.run('second'): pass\n")
        seen = read_until(outer, b"second")
        assert b"\x1b[1A" in seen  # upwards: the table before is written over
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert b"Traceback" not in err
    finally:
        os.close(outer)
        os.close(inner)
