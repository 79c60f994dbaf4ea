"""Arguments and return values kept as archives."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest

import reprokit as rk
from reprokit.archive import Archive
from reprokit.errors import RecordingWarning

np = pytest.importorskip("numpy")


@rk.monitor(include_args=True, include_return_value=True)
def fit(data, *, window=3, token=None, path="x"):
    data.append(1)
    return {"mean": np.arange(1000.0), "window": window, "data": data}


def test_arguments_are_kept_as_they_were_and_the_result_as_it_is(project):
    data = [1.5, (2, None)]
    result = fit(data, window=5)
    folder = project.folders[-1]
    assert project.pre()["args_archive"] == "args"
    assert project.post()["return_archive"] == "return_value"
    kept = Archive.load(folder / "args")
    assert kept["args"] == ([1.5, (2, None)],)
    assert kept["kwargs"] == {"window": 5}
    value = Archive.load(folder / "return_value")["value"]
    assert (value["mean"] == result["mean"]).all()
    assert value["data"] == [1.5, (2, None), 1]


def test_the_archive_is_imported_without_reprokit(project):
    fit([])
    code = f"import sys; sys.path.insert(0, {str(project.folders[-1])!r}); import return_value as r; print(r.value['mean'][3])"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "3.0\n"


def test_child_runs_have_archives_of_their_own(project):
    with rk.run("outer"):
        fit([1])
        fit([2])
    begins = [step for step in project.steps() if step["event"] == "begin"]
    ends = [step for step in project.steps() if step["event"] == "end"]
    folder = project.folders[-1]
    assert [Archive.load(folder / step["args_archive"])["args"] for step in begins] == [([1],), ([2],)]
    assert [Archive.load(folder / step["return_archive"])["value"]["data"] for step in ends] == [[1, 1], [2, 1]]


def test_secrets_by_name_are_left_out(project):
    fit([], token="hunter2hunter2")
    kept = Archive.load(project.folders[-1] / "args")
    assert "token" not in kept["kwargs"]
    assert not any(b"hunter2hunter2" in path.read_bytes() for path in project.vault.rglob("*") if path.is_file())


def test_what_looks_like_a_secret_makes_no_archive(project):
    with pytest.warns(RecordingWarning, match="looks like a secret"):
        fit([], path="https://user:sekretpw99@example.org/")
    assert project.pre()["args_archive"] is None
    assert not any(b"sekretpw99" in path.read_bytes() for path in project.vault.rglob("*") if path.is_file())


def test_what_no_archive_can_hold_is_a_fault_and_the_result_is_untouched(project):
    @rk.monitor(include_return_value=True)
    def connect():
        return sys.stdout

    with pytest.warns(RecordingWarning, match="the return value"):
        assert connect() is sys.stdout
    assert project.post()["return_archive"] is None
    assert project.post()["status"] == "complete"


def test_nothing_is_archived_unless_asked_or_when_the_call_fails(project):
    @rk.monitor
    def plain(x):
        return [x]

    @rk.monitor(include_return_value=True)
    def fails():
        raise KeyError

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain(1)
        with pytest.raises(KeyError):
            fails()
    for folder in project.folders:
        assert not (folder / "args").exists()
        assert not (folder / "return_value").exists()
