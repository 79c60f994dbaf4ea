"""``reprokit runs``: what people, spreadsheets and programs see."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
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


LONG = """
import reprokit as rk

for number in range(3):
    with rk.run("analysis.of.a.long.name", config={"lr": number}) as run:
        for name in ("rmse", "accuracy", "epochs", "loss"):
            run.record(name, number + 0.123456)
"""


def test_on_80_columns_no_id_status_or_time_is_cut_and_values_fold(project, monkeypatch):
    project.python(LONG)
    monkeypatch.setenv("COLUMNS", "80")
    lines = project.reprokit("runs").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == ["id", "when", "what", "status", "took", "values"]
    runs = json.loads(project.reprokit("runs", "--json").stdout)
    found = [line for line in lines[1:] if line[0] != " "]
    assert [line.split()[0] for line in found] == [run["run_id"][:8] for run in runs]
    assert all(re.search(r"^\w{8}  \d\d-\d\d \d\d:\d\d  \S.*  complete  [\d.]+ m?s ", line) for line in found)
    text = "".join(re.sub(r"^.* m?s +", "", line) if line[0] != " " else line.strip() for line in lines[1:])
    assert text.count("epochs=") == 3
    monkeypatch.setenv("COLUMNS", "88")
    head = project.reprokit("runs").stdout.splitlines()[0].split()
    assert head == ["id", "when", "what", "status", "commit", "took", "values"]
    monkeypatch.setenv("COLUMNS", "20")  # too little: lines are longer, nothing is lost
    assert runs[0]["run_id"][:8] in project.reprokit("runs").stdout
    monkeypatch.delenv("COLUMNS")
    assert "config" in project.reprokit("runs").stdout.splitlines()[0]


def test_on_a_terminal_of_80_columns_nothing_that_must_not_is_cut(project):
    project.python(LONG)
    outer, inner = pty.openpty()
    try:
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        env = {**os.environ, "PYTHONPATH": str(SOURCE), "TERM": "xterm"}
        command = [sys.executable, "-m", "reprokit", "runs"]
        process = subprocess.Popen(command, cwd=project.root, env=env, stdin=inner, stdout=inner)
        seen = read_until(outer, b"loss=0.123456").decode()
        assert process.wait(30) == 0
    finally:
        os.close(outer)
        os.close(inner)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", seen).splitlines()
    assert max(map(len, lines)) <= 80
    assert (
        len([line for line in lines if re.match(r"\w{8}  \d\d-\d\d \d\d:\d\d  .*  complete  [\d.]+ m?s ", line)]) == 3
    )


@pytest.fixture
def repeated(made):
    """Three runs, the newest of which repeats the oldest."""
    path = made.folders[-1] / "pre-run-info.json"
    told = json.loads(path.read_bytes())
    told["reproduction_of"] = json.loads((made.folders[0] / "pre-run-info.json").read_bytes())["run_id"]
    path.write_text(json.dumps(told))
    for index in made.vault.glob("index.sqlite*"):
        index.unlink()
    return made, told["run_id"], told["reproduction_of"]


def test_runs_that_repeat_others_are_listed_when_they_are_wanted(repeated):
    project, again, original = repeated

    def found(*args):
        return [run["run_id"] for run in json.loads(project.reprokit("runs", "--json", *args).stdout)]

    assert len(found()) == 2
    assert again not in found()
    assert original in found()
    assert found("--repetitions")[0] == again
    assert found("--where", f"reproduction_of = '{original[:8]}'") == [again]
    assert len(found("--where", "not has reproduction_of")) == 2
    assert (len(found("--children")), len(found("--children", "--repetitions"))) == (2 + 15, 3 + 15 + 30)
    assert "... 1 more; --limit 2 shows all" in project.reprokit("runs", "--limit", "1").stdout
    done = project.reprokit("runs", "--where", f"id = '{again}'")
    assert "no runs fit these conditions, of 2" in done.stdout
    assert "--repetitions lists them" in done.stdout
    head, newest, *others = rows(project.reprokit("runs", "--repetitions"))
    assert (head[-1], newest[-1]) == ("repeats", original[:8])
    assert all(original[:8] not in one[1:] for one in others)
    assert "repeats" not in rows(project.reprokit("runs"))[0]


def test_a_repetition_without_a_verdict_is_none_that_was_tried(repeated):
    project, again, _ = repeated
    assert "reproduced" not in rows(project.reprokit("runs"))[0]
    assert json.loads(project.reprokit("runs", "--json", "--where", "has reproduced").stdout) == []
    folder = project.folders[-1]
    mark = {
        "schema": "reprokit/mark/1",
        "event": "verdict",
        "run_id": again,
        "text": "reproduced",
        "timestamp": "2026-01-01T00:00:00+00:00",
    }
    (folder / "marks-h-1-aa.jsonl").write_text(json.dumps(mark) + "\n")
    for index in project.vault.glob("index.sqlite*"):
        index.unlink()
    table = rows(project.reprokit("runs"))
    assert table[0][-1] == "reproduced"
    assert table[-1][-1] == "1 of 1"


def test_a_function_is_found_by_the_end_of_its_name_and_by_a_pattern_for_it(made):
    def found(*args):
        return len(json.loads(made.reprokit("runs", "--children", "--json", *args).stdout))

    assert found("--function", "st*") == found("--function", "step") == found("--function", "__main__.st?p") == 45
    assert found("--where", "function = 'step'") == found("--where", "function like 's*'") == 45
    assert found("--where", "function != 'step'") == found("--function", "f*") == 3
    assert found("--function", "tep") == found("--function", "main__*x") == 0
