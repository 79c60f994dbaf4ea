"""`rk.why`: whether a call would be answered by an earlier run, and what differs when not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

import reprokit as rk
from reprokit.catalog.why import Why
from tests.catalog.why_project import FILES, WhyProject
from tests.conftest import SOURCE


@pytest.fixture
def project(make_repo, monkeypatch):
    root = make_repo(files=FILES)
    monkeypatch.chdir(root)
    made = WhyProject(root)
    made.install("1.0")
    return made


def asked(project, code):
    """Run a script that prints; give its lines."""
    return project.python(f"import reprokit as rk\n{code}").stdout.splitlines()


# --- hits, and what a question leaves alone ----------------------------------------------------------------------------


def test_before_any_run_it_says_that_none_is_recorded(project):
    assert project.why()["reasons"] == ["no run of train is recorded"]
    assert project.why()["run_id"] is None


def test_a_hit_names_the_run_and_has_no_reasons(project):
    project.run()
    found = project.why()
    assert found["hit"] is True
    assert found["reasons"] == []
    assert found["diff"] == ""
    assert found["run_id"] == project.pre()["run_id"]
    assert found["started"] == project.pre()["timestamp"]


def test_the_question_runs_nothing_records_nothing_and_places_no_file(project):
    project.run()
    before = project.state()
    project.why()
    project.why(n=2)
    project.why("data.csv", "other.pkl")
    (project.root / project.made()).rename(project.root / "kept.bin")
    moved = {path: told for path, told in project.state().items() if "kept.bin" not in path}
    project.why()
    assert {path: told for path, told in project.state().items() if "kept.bin" not in path} == moved
    assert moved.keys() == {path for path in before if not path.endswith(".pkl")}


def test_what_it_says_is_what_the_call_does(project):
    project.run()
    assert project.why()["hit"] is True
    project.run()
    assert len(project.folders) == 1
    project.edit("pkg/config.py", "WINDOW = 3", "WINDOW = 2")
    assert project.why()["hit"] is False
    project.run()
    assert len(project.folders) == 2
    assert project.why()["hit"] is True


# --- what differs, by group --------------------------------------------------------------------------------------------

CHANGES = {
    "helper": (("pkg/prep.py", "row.strip()", "row.lower()"), "helper `clean` in pkg/prep.py changed"),
    "constant": (("pkg/config.py", "WINDOW = 3", "WINDOW = 4"), "constant `WINDOW` in pkg/config.py changed"),
    "itself": (("steps.py", "fit(rows) * n", "fit(rows) + n"), "the function itself changed"),
    "class": (("pkg/model.py", "bias = 1", "bias = 2"), "class `Model` in pkg/model.py changed"),
    "method": (("pkg/model.py", "len(rows) + ", "len(rows) - "), "class `Model` in pkg/model.py changed"),
    "config": (("pkg/config.py", '"lr": 0.1', '"lr": 0.2'), "config.lr 0.1 -> 0.2"),
    "nested config": (("pkg/config.py", '"depth": 2', '"depth": 3'), "config.model.depth 2 -> 3"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_part_is_named_first_and_its_lines_are_shown(project, name):
    (file, old, new), sentence = CHANGES[name]
    project.run()
    project.edit(file, old, new)
    found = project.why()
    assert found["hit"] is False
    assert found["reasons"][0] == sentence
    before, after = (
        next(line for line in text.splitlines() if one in line) for text, one in _sides(project, file, old, new)
    )
    if "config" in name:
        assert "--- a/config\n+++ b/config\n" in found["diff"]
    else:
        assert f"--- a/{file}\n+++ b/{file}\n" in found["diff"]
        assert f"\n-{before}\n+{after}" in found["diff"]


def _sides(project, file, old, new):
    return [(FILES[file], old), ((project.root / file).read_text(), new)]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("pkg/prep.py", "def clean", "# why\n\n\ndef clean"),
        ("pkg/prep.py", "    return [row", '    """Clean."""\n    return [row'),
        ("pkg/prep.py", "return 1", "return 2"),
        ("pkg/config.py", "UNUSED = 1", "UNUSED = 2"),
    ],
)
def test_comments_docstrings_and_what_is_not_reached_leave_it_a_hit(project, file, old, new):
    project.run()
    project.edit(file, old, new)
    assert project.why()["hit"] is True


def test_a_helper_that_is_new_and_one_that_is_no_longer_used(project):
    project.run()
    project.edit("pkg/prep.py", "def unused():\n    return 1", "def trim(row):\n    return row")
    project.edit("pkg/prep.py", "row.strip() for row in rows][:WINDOW]", "trim(row) for row in rows]")
    found = project.why()
    assert found["reasons"] == [
        "helper `clean` in pkg/prep.py changed",
        "helper `trim` in pkg/prep.py is now used",
        "constant `WINDOW` in pkg/config.py is no longer used",
    ]
    assert "+def trim(row):" in found["diff"]


def test_other_arguments_are_shown_as_the_record_shows_them(project):
    project.run()
    assert project.why(n=2)["reasons"] == ["argument n: 1 -> 2"]
    (project.root / "more.csv").write_text("a\nb\nc\nd\n")
    assert project.why("more.csv", "model.pkl")["reasons"] == ['argument data_path: "data.csv" -> "more.csv"']


def test_another_package_version_is_named(project):
    project.run()
    project.install("1.1")
    assert project.why()["reasons"] == ["outside 1.0 -> 1.1"]


def test_another_suffix_of_the_output_is_named_and_another_stem_is_none(project):
    project.run()
    assert project.why("data.csv", "model.txt")["reasons"] == ["the output's suffix .pkl -> .txt"]
    assert project.why("data.csv", "other.pkl")["hit"] is True


def test_inputs_that_are_changed_or_gone_are_named(project):
    project.run()
    (project.root / "data.csv").write_text("x\n")
    assert project.why()["reasons"] == ["data.csv has other content"]
    (project.root / "data.csv").unlink()
    assert project.why()["reasons"][0] == "data.csv is no longer there"


def test_an_output_that_is_gone_is_named(project):
    project.run()
    made = project.made()
    (project.root / made).unlink()
    assert project.why()["reasons"] == [f"{made}, which it made, is gone or was changed"]


def test_all_that_differs_is_told_in_order(project):
    project.run()
    project.edit("pkg/prep.py", "row.strip()", "row.lower()")
    project.edit("pkg/config.py", '"lr": 0.1', '"lr": 0.2')
    project.install("2.0")
    (project.root / "data.csv").write_text("x\n")
    assert project.why("data.csv", "model.txt", n=5)["reasons"] == [
        "helper `clean` in pkg/prep.py changed",
        "config.lr 0.1 -> 0.2",
        "argument n: 1 -> 5",
        "outside 1.0 -> 2.0",
        "the output's suffix .pkl -> .txt",
        "data.csv has other content",
    ]


def test_another_python_is_named(project):
    """The record of an interpreter of another minor version, by the key that its calls have."""
    project.run()
    folder = project.folders[-1] / "post-run-info.json"
    text = folder.read_text()
    mine = f"cpython-{sys.version_info.major}.{sys.version_info.minor}"
    assert mine in text
    other = json.loads(text)
    other["reuse"]["python"] = "cpython-3.2"
    other["reuse"]["key"] = f"sha256:{'0' * 64}"
    folder.write_text(json.dumps(other))
    for path in (project.vault / "reuse").rglob("*.jsonl"):
        path.unlink()
    mine = mine.replace("cpython-", "")
    assert project.why()["reasons"][0] == f"Python 3.2 -> {mine}"


# --- arguments that only digests tell -----------------------------------------------------------------------------------

SCALE = "import reprokit as rk\n@rk.cache\ndef scale(data, by=1):\n    return len(data) * by\n"


def test_an_array_is_said_to_have_changed_with_its_shape_where_that_differs(project):
    pytest.importorskip("numpy")
    (project.root / "lib.py").write_text(SCALE)
    asked(project, "import lib, numpy as np\nlib.scale(np.zeros(300_000))")
    found = asked(
        project,
        "import lib, numpy as np\nprint(rk.why(lib.scale, np.ones(300_000)).reasons[0])\n"
        "print(rk.why(lib.scale, np.zeros(5)).reasons[0])",
    )
    assert found == ["argument data changed", "argument data changed (shape [300000] -> [5])"]


def test_a_callback_that_runs_other_code_now_is_named_with_what_changed(project):
    (project.root / "lib.py").write_text(
        "import reprokit as rk\n@rk.cache\ndef apply(callback, x):\n    return callback(x)\n"
    )
    (project.root / "calls.py").write_text(
        "def inner(x):\n    return x + 1\ndef square(x):\n    return inner(x) ** 2\n"
    )
    project.commit_all()
    asked(project, "import lib, calls\nlib.apply(calls.square, 2)")
    (project.root / "calls.py").write_text(
        "def inner(x):\n    return x + 2\ndef square(x):\n    return inner(x) ** 2\n"
    )
    code = "import lib, calls\nw = rk.why(lib.apply, calls.square, 2)\nprint(w.reasons)\nprint(w.diff)"
    found = asked(project, code)
    assert found[0] == "('argument callback now runs other code: helper `inner` in calls.py changed',)"
    assert "+    return x + 2" in found


def test_a_secret_argument_is_not_shown(project):
    (project.root / "lib.py").write_text("import reprokit as rk\n@rk.cache\ndef get(password, n):\n    return n\n")
    asked(project, "import lib\nlib.get('hunter2hunter2', 1)")
    found = asked(project, "import lib\nw = rk.why(lib.get, 'swordfish99', 1)\nprint(w)")
    assert "an argument that is a secret changed" in found[1]
    assert "hunter2" not in "\n".join(found)
    assert "swordfish" not in "\n".join(found)


# --- earlier runs whose result can't be given ------------------------------------------------------------------------------


def test_a_run_that_changed_its_argument_is_told(project):
    (project.root / "lib.py").write_text(
        "import reprokit as rk\n@rk.cache\ndef add(x):\n    x.append(1)\n    return len(x)\n"
    )
    asked(project, "import lib, warnings\nwarnings.simplefilter('ignore')\nlib.add([1])")
    found = asked(project, "import lib\nprint(rk.why(lib.add, [1]).reasons[0])")
    run_id = project.pre()["run_id"]
    assert found == [f"run {run_id[:8]} did the same, and its result is not used again: it changed argument x"]


def test_a_failed_run_is_told_and_one_that_ended_well_is_preferred_to_it(project):
    (project.root / "lib.py").write_text(
        "import reprokit as rk\n@rk.cache\ndef f(x):\n    if x == 0:\n        raise ValueError('no luck')\n    return x\n"
    )
    asked(project, "import contextlib, lib\nwith contextlib.suppress(ValueError): lib.f(0)")
    failed = project.pre()["run_id"][:8]
    question = "import lib\nprint(list(rk.why(lib.f, {}).reasons))"
    assert asked(project, question.format(0)) == [f"['run {failed} did the same, and it failed: ValueError: no luck']"]
    assert asked(project, question.format(7)) == [
        f"['argument x: 0 -> 7', 'besides, run {failed} failed: ValueError: no luck']"
    ]
    asked(project, "import lib\nlib.f(1)")
    assert asked(project, question.format(2)) == ["['argument x: 1 -> 2']"]
    assert asked(project, question.format(0)) == [f"['run {failed} did the same, and it failed: ValueError: no luck']"]


def test_whether_the_arguments_of_a_run_without_an_end_are_the_same_is_not_guessed(project):
    pytest.importorskip("numpy")
    (project.root / "lib.py").write_text("import reprokit as rk\n@rk.cache\ndef f(x):\n    raise ValueError\n")
    asked(
        project, "import contextlib, lib, numpy as np\nwith contextlib.suppress(ValueError): lib.f(np.zeros(300_000))"
    )
    found = asked(project, "import lib, numpy as np\nprint(rk.why(lib.f, np.ones(300_000)).reasons[0])")
    assert found == ["whether argument x is the same is not recorded"]


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        ({}, {"SEED": "2"}, 'environment variable SEED: not set -> "2"'),
        ({"SEED": "1"}, {}, "environment variable SEED changed"),
        ({"SEED": "1"}, {"SEED": "2"}, "environment variable SEED changed"),
    ],
)
def test_an_environment_variable_that_the_code_reads_is_named(project, then, now, said):
    project.run(env=then)
    assert project.why(env=then)["hit"] is True
    assert project.why(env=now)["reasons"] == [said]
    done = project.ask(project.made(), "--json", **now)
    assert json.loads(done.stdout)["reasons"] == [said]


SLOW = """
import reprokit as rk, sys, time
@rk.cache
def slow(x):
    print("begun", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, "it was killed, or its end can't be read: what it made cannot be known"),
        (signal.SIGINT, "it was interrupted"),
    ],
)
def test_a_run_that_was_killed_or_interrupted_is_told(project, number, said):
    (project.root / "lib.py").write_text(SLOW)
    process = subprocess.Popen(
        [sys.executable, "-c", "import lib; lib.slow(1)"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert process.stdout.readline() == b"begun\n"
    running = asked(project, "import lib\nprint(rk.why(lib.slow, 1).reasons[0])")[0]
    process.send_signal(number)
    process.wait()
    process.stdout.close()
    run = f"run {project.pre()['run_id'][:8]} did the same, and "
    assert running == f"{run}it has not ended"
    assert asked(project, "import lib\nprint(rk.why(lib.slow, 1).reasons[0])")[0].startswith(run + said)


def test_a_result_that_the_vault_no_longer_lists_is_told(project):
    project.run()
    for path in (project.vault / "reuse").rglob("*.jsonl"):
        path.unlink()
    assert project.why()["reasons"][0].startswith(
        f"run {project.pre()['run_id'][:8]} did the same, and it is no longer among"
    )


def test_a_run_from_before_reuse_was_asked_for_is_told(project):
    lib = "import reprokit as rk\n{}\ndef f(x):\n    return x\n"
    (project.root / "lib.py").write_text(lib.format("@rk.monitor"))
    asked(project, "import lib\nlib.f(1)")
    (project.root / "lib.py").write_text(lib.format("@rk.monitor\n@rk.cache"))
    found = asked(project, "import lib\nprint(rk.why(lib.f, 1).reasons[0])\nprint(rk.why(lib.f, 2).reasons[0])")
    assert "did the same, and it was made when its result was not to be used again" in found[0]
    assert found[1] == "argument x: 1 -> 2"


def test_of_several_runs_the_one_that_differs_least_is_compared(project):
    project.run(n=1)
    first = project.pre()["run_id"]
    project.edit("pkg/config.py", "WINDOW = 3", "WINDOW = 4")
    project.edit("pkg/prep.py", "row.strip()", "row.lower()")
    project.run(n=2)
    project.edit("pkg/config.py", "WINDOW = 4", "WINDOW = 3")
    project.edit("pkg/prep.py", "row.lower()", "row.strip()")
    found = project.why(n=2)
    assert found["run_id"] == first
    assert found["reasons"] == ["argument n: 1 -> 2"]


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_dirty_repository_is_told_first_and_then_what_differs(project):
    project.edit("steps.py", ", allow_dirty=True", "")
    project.commit_all()
    project.run()
    project.edit("pkg/prep.py", "row.strip()", "row.lower()")
    found = project.why()
    assert found["hit"] is False
    assert "1 uncommitted change(s): pkg/prep.py; commit them, or pass allow_dirty=True" in found["reasons"][0]
    assert found["reasons"][1] == "helper `clean` in pkg/prep.py changed"
    assert "+    return [row.lower()" in found["diff"]
    project.edit("pkg/prep.py", "row.lower()", "row.strip()")
    assert project.why()["hit"] is True
    project.edit("pkg/prep.py", "return 1", "return 2")  # dirty, and no part of what the function reaches
    assert len(project.why()["reasons"]) == 1


def test_code_that_cannot_be_followed_is_told_with_the_remedy(project):
    (project.root / "lib.py").write_text("import reprokit as rk\n@rk.cache\ndef f(name):\n    return eval(name)\n")
    found = asked(project, "import lib\nprint(rk.why(lib.f, 'x').reasons[0])")[0]
    assert found.startswith("it is called each time: what it runs can't be followed: ")
    assert "depends=" in found
    assert "assume_pure=True" in found


def test_an_argument_that_nobody_can_read_is_told(project):
    (project.root / "lib.py").write_text("import reprokit as rk\n@rk.cache\ndef f(x):\n    return 1\n")
    found = asked(project, "import lib, threading\nprint(rk.why(lib.f, threading.Lock()).reasons[0])")[0]
    assert found.startswith("it is called each time: argument x: ")


def test_reuse_that_the_settings_switch_off_is_told(project):
    project.run()
    (project.root / "reprokit.toml").write_text("[reuse]\nenabled = false\n")
    assert project.why()["reasons"][0].startswith("the settings switch reuse off ([reuse] enabled = false")


def test_functions_whose_results_are_never_used_again_are_type_errors():
    @rk.monitor
    def watched():
        pass

    @rk.Artifact("out")
    def written(out):
        pass

    @rk.Artifact("out", exists="reuse")
    def steps(out):
        yield 1

    for function in (watched, written, len, print, lambda: 1):
        with pytest.raises(TypeError, match=r"put @rk\.cache or @rk\.Artifact"):
            rk.why(function, *(["x"] if function is written else []))
    with pytest.raises(TypeError, match="generator"):
        rk.why(steps, "x")


def test_a_call_that_does_not_fit_is_the_type_error_of_the_call(project):
    @rk.cache
    def f(x):
        return x

    with pytest.raises(TypeError, match="missing a required argument: 'x'"):
        rk.why(f)
    with pytest.raises(TypeError, match="unexpected keyword"):
        rk.why(f, 1, y=2)


# --- source that is not at hand -----------------------------------------------------------------------------------------


def test_source_of_then_that_is_gone_is_told_and_the_rest_stands(project):
    project.edit("pkg/prep.py", "row.strip()", "row.title()")  # dirty: the tree is in the vault alone
    project.run()
    shutil.rmtree(project.vault / "code.git")
    for path in project.folders[-1].glob("*.diff"):
        path.unlink()
    project.edit("pkg/prep.py", "row.title()", "row.lower()")
    found = project.why()
    assert found["reasons"][0] == "helper `clean` in pkg/prep.py changed"
    assert found["reasons"][1].startswith("the lines cannot be shown: of run ")
    assert found["diff"] == ""


def test_code_that_was_edited_after_it_was_imported_is_told(project):
    (project.root / "lib.py").write_text(
        "import reprokit as rk\ndef g(x):\n    return x\n@rk.cache\ndef f(x):\n    return g(x)\n"
    )
    asked(project, "import lib\nlib.f(1)")
    found = asked(
        project,
        "import lib, pathlib\np = pathlib.Path('lib.py')\np.write_text(p.read_text().replace('return x', 'return x + 1'))\n"
        "w = rk.why(lib.f, 1)\nprint(w.hit, w.reasons)",
    )[0]
    assert "False ('helper `g` changed" in found.replace(" in lib.py", "")
    assert "what runs is not the source that lies in lib.py now" in found


# --- kinds of callables -------------------------------------------------------------------------------------------------

KINDS = """
import functools, reprokit as rk
class Model:
    def __init__(self, w): self.w = w
    @rk.cache
    def fit(self, x): return self.w * x
    @classmethod
    @rk.cache
    def below(cls, x): return x
    @rk.cache
    @classmethod
    def above(cls, x): return x
    @staticmethod
    @rk.cache
    def plain(x): return x
@rk.cache
async def later(x): return x
def loud(function):
    @functools.wraps(function)
    def inner(*args): return function(*args)
    return inner
@loud
@rk.cache
def wrapped(x): return x
"""
ASK_KINDS = """
import asyncio, functools, kinds as k
for n in (1, 2):
    print([w.hit for w in (
        rk.why(k.Model(3).fit, n), rk.why(k.Model.fit, k.Model(3), n), rk.why(k.Model.below, n), rk.why(k.Model.above, n),
        rk.why(k.Model.plain, n), rk.why(k.later, n), rk.why(functools.partial(k.later, n)), rk.why(k.wrapped, n),
        rk.why(k.Model(4).fit, n),
    )])
print(rk.why(k.Model(4).fit, 1).reasons)
print(rk.why(k.Model(3).fit, 2).reasons)
"""


def test_methods_async_functions_partials_and_decorators_of_others(project):
    (project.root / "kinds.py").write_text(KINDS)
    asked(
        project,
        "import asyncio, kinds as k\nk.Model(3).fit(1); k.Model.below(1); k.Model.above(1); k.Model.plain(1)\n"
        "asyncio.run(k.later(1)); k.wrapped(1)",
    )
    hit, miss, own, other = asked(project, ASK_KINDS)
    assert hit == str([True] * 8 + [False])
    assert miss == str([False] * 9)
    assert own == "('the instance that it is called on holds something else',)"
    assert other == "('argument x: 1 -> 2',)"


def test_a_child_run_is_found_and_compared(project):
    (project.root / "lib.py").write_text(SCALE)
    script = "import lib\nwith rk.run('outer', allow_dirty=True):\n    lib.scale([1, 2])\n"
    asked(project, script)
    hit, reasons = asked(
        project, "import lib\nprint(rk.why(lib.scale, [1, 2]).hit)\nprint(rk.why(lib.scale, [1], by=2).reasons)"
    )
    assert hit == "True"
    assert reasons == "('argument data: [1, 2] -> [1]', 'argument by: 1 -> 2')"


# --- how it looks --------------------------------------------------------------------------------------------------------


def test_its_text_is_for_people_and_moves_no_cursor(project):
    (project.root / "lib.py").write_text(SCALE)
    asked(project, "import lib\nlib.scale('a')")
    found = asked(project, "import lib\nw = rk.why(lib.scale, '\\x1b[2Jb')\nprint(repr(w))\nprint(w._repr_html_())")
    assert found[0].startswith("scale: would not be given again, compared with run ")
    assert found[1].startswith('  argument data: "a" -> ')
    assert "\x1b" not in "\n".join(found)
    assert "<li>argument data: &quot;a&quot; -&gt;" in found[2]


def test_an_answer_cannot_be_changed():
    answer = Why(hit=True, what="f")
    with pytest.raises(AttributeError):
        answer.hit = False
