"""A list of runs: lazy, immutable, a data frame, and harmless HTML."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest

from reprokit.catalog import query
from reprokit.catalog.index import Index
from reprokit.catalog.query import ask
from reprokit.catalog.run import Child, Run
from reprokit.errors import MissingPackageError, QueryError
from tests.conftest import SOURCE

MADE = """
import reprokit as rk

@rk.monitor
def step(n, deep=False):
    if deep:
        step(n)
    return n

for number, lr in enumerate((0.1, 0.01, None)):
    config = {"lr": lr, "flag": number == 1, "layers": [{"size": number}], "learning rate": "fast"}
    with rk.run("<script>alert(1)</script>" if number == 2 else "fit", config=config) as run:
        step(number, deep=True)
        if number < 2:
            run.record("rmse", number + 0.5)
            run.record("epochs", number)
            run.record("note", '"><img src=x onerror=alert(1)>\\x1b[31m\\u202e')
"""


@pytest.fixture(scope="module")
def vault(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    (root / "reprokit.toml").write_text("")
    (root / "made.py").write_text(MADE)
    env = {"PYTHONPATH": str(SOURCE), "PATH": "/usr/bin:/bin", "HOME": str(root)}
    subprocess.run([sys.executable, "-W", "ignore", "made.py"], cwd=root, env=env, check=True)
    return root / "vault"


@pytest.fixture
def index(vault):
    with Index.open(vault) as opened:
        yield opened


def test_runs_come_newest_first_and_are_run_objects(index):
    found = query.runs(index)
    assert len(found) == 3
    assert [type(run) for run in found] == [Run] * 3
    started = [run.started for run in found]
    assert started == sorted(started, reverse=True)
    assert found[-1].values["rmse"] == 0.5
    assert [row.run_id for row in found.rows] == [run.run_id for run in found]


def test_a_slice_is_a_list_and_nothing_can_be_put_into_it(index):
    found = query.runs(index)
    assert isinstance(found[:2], query.RunList)
    assert [run.run_id for run in found[1:]] == [found[1].run_id, found[2].run_id]
    assert found[0] in found
    with pytest.raises(TypeError):
        found[0] = found[1]
    with pytest.raises(IndexError):
        found[3]
    assert "3 runs" in repr(found)


def test_documents_are_read_when_they_are_asked_for(index, vault):
    found = query.runs(index)
    folder = vault / "runs" / found.rows[0].folder
    away = folder.with_name("away")
    folder.rename(away)
    try:
        assert found.rows[0].status == "complete"
        assert found.column("config.flag") == [False, True, False]
        with pytest.raises(OSError, match=re.escape(folder.name)):
            found[0].run_id
    finally:
        away.rename(folder)


def test_conditions_join(index):
    def found(**conditions):
        return [run.values.get("epochs") for run in query.runs(index, **conditions)]

    now = datetime.now(UTC)
    assert found(where="config.lr < 0.05 and value.rmse < 3") == [1]
    assert found(function="fit") == [1, 0]
    assert found(function="f?t") == [1, 0]
    assert found(status="failed") == []
    assert found(status=("failed", "complete"), limit=1) == [None]
    assert found(sort="value.rmse") == [0, 1, None]
    assert found(sort=("-value.rmse", "started")) == [1, 0, None]
    assert found(sort="-config.flag,started") == [1, 0, None]
    assert len(found(since="1d")) == len(found(since=now - timedelta(hours=1))) == len(found(since="yesterday")) == 3
    assert found(until=now - timedelta(hours=1)) == found(since=timedelta(0)) == found(until="2020-01-01") == []
    assert len(found(until=now.astimezone().date())) == 3
    assert found(tag="best") == []
    assert len(found(commit="nogit")) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"where": "config.lr <"},
        {"status": "faild"},
        {"since": "soon"},
        {"sort": "colour"},
        {"limit": -1},
        {"tag": "\ud800"},
    ],
)
def test_a_wrong_condition_is_a_query_error(index, wrong):
    with pytest.raises(QueryError):
        query.runs(index, **wrong)


def test_child_runs_are_found_when_they_are_wanted(index):
    found = query.runs(index, where="arg.0 = 1", children=True)
    assert [type(run) for run in found] == [Child, Child]
    assert {run.function for run in found} == {"__main__.step"}
    assert not query.runs(index, where="arg.0 = 1")


def test_a_tree_holds_children_below_their_parents_and_says_how_many_are_left_out(index):
    roots = query.runs(index, function="fit")
    found, depths, left = ask.with_children(index, roots, 20)
    assert depths == [0, 1, 2, 0, 1, 2]
    assert left == [0] * 6
    assert [row.parent_id for row in found.rows[:3]] == [None, found.rows[0].run_id, found.rows[1].run_id]
    found, depths, left = ask.with_children(index, roots, 1)
    assert depths == [0, 1, 0, 1]
    assert left == [0, 1, 0, 1]


def test_facts_outlive_the_index_and_reach_other_threads(vault):
    with Index.open(vault) as index:
        found = query.runs(index, function="fit")
        seen = []
        thread = threading.Thread(target=lambda: seen.append(found.column("config.lr")))
        thread.start()
        thread.join()
    assert seen == [[0.01, 0.1]]
    assert found.column("value.rmse") == [1.5, 0.5]
    assert found.facts()[0]["config.layers.0.size"] == 1


def test_columns_have_the_types_of_what_was_recorded(index):
    found = query.runs(index, sort="started")
    assert found.column("config.flag") == [False, True, False]
    assert found.column("config.flag")[1] is True
    assert found.column("config.learning rate") == ["fast"] * 3
    assert found.column("value.nothing") == [None] * 3
    assert found.column("tag") == [[], [], []]
    assert found.column("dirty") == [False] * 3
    with pytest.raises(QueryError, match="did you mean"):
        found.column("durration")


def test_a_data_frame_has_typed_columns(index):
    pd = pytest.importorskip("pandas")
    frame = query.runs(index, sort="started").to_frame()
    assert list(frame["value.epochs"].array) == [0, 1, pd.NA]
    kinds = {name: str(kind) for name, kind in frame.dtypes.items()}
    assert kinds["started"].startswith("datetime64")
    assert kinds["started"].endswith("UTC]")
    assert kinds["duration"] == kinds["config.lr"] == kinds["value.rmse"] == "float64"
    assert kinds["config.flag"] == kinds["dirty"] == "bool"
    assert kinds["config.layers.0.size"] == kinds["children"] == "int64"
    assert kinds["value.epochs"] == "Int64"
    assert frame["started"].is_monotonic_increasing
    empty = query.runs(index, status="failed").to_frame()
    assert len(empty) == 0
    assert "id" in empty


def test_without_pandas_a_data_frame_names_what_to_install(index):
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from reprokit.catalog import query; from reprokit.catalog.index import Index; from reprokit.errors import *\n"
        "with Index.open(sys.argv[1]) as index:\n"
        "    try: query.runs(index).to_frame()\n"
        "    except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(index.vault.path)],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(MissingPackageError.__name__), done.stderr
    assert "pip install pandas" in done.stdout


def test_html_is_escaped_in_lists_in_runs_and_in_child_runs(index):
    found = query.runs(index)
    shown = [found._repr_html_(), *(run._repr_html_() for run in found), found[0].children[0]._repr_html_()]
    for page in shown:
        assert page.startswith(("<p>", "<table>"))
        tags = set(re.findall(r"<\s*([a-zA-Z]+)", page))
        assert tags <= {"p", "table", "thead", "tbody", "tr", "th", "td"}
        assert "\x1b" not in page
        assert "\u202e" not in page
    assert "&lt;script&gt;" in shown[0]
    assert "&lt;img" in shown[0]
    assert "&lt;img" in shown[2]
    assert "3 runs" in shown[0]
    assert query.runs(index, status="failed")._repr_html_() == "<p>no runs</p>"


def test_a_run_that_cannot_be_read_shows_why(tmp_path):
    (tmp_path / "<b>").mkdir()
    page = Run(tmp_path / "<b>")._repr_html_()
    assert "no pre-run-info.json" in page
    assert "<b>" not in page
