"""``with run(...)``: blocks as runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import errors
from reprokit.model import canonical

CONFIG = {"window": 12}
HASH = canonical.config_hash(CONFIG)[:10]


def test_block_names_uses_and_records(project):
    Path("data.csv").write_text("1\n")
    with rk.run("fit", config=CONFIG) as ctx:
        path = ctx.artifact("model.pkl")
        assert path == Path(f"model-{project.commit}-{HASH}.pkl")
        path.write_text("model")
        assert ctx.use("data.csv") == Path("data.csv")
        ctx.record("rmse", 0.12)
        for step in range(3):
            ctx.record("loss", 1 / (step + 1), step=step)
        assert rk.current() is ctx
        assert ctx.elapsed >= 0
    post = project.post()
    assert post["status"] == "complete"
    assert post["values"] == {"rmse": 0.12}
    assert [s for s, _ in post["series"]["loss"]] == [0, 1, 2]
    assert {a["path"]: a["role"] for a in post["artifacts"]} == {str(path): "generated", "data.csv": "used"}
    assert project.context()["config"] == CONFIG
    assert project.pre()["function"] == "fit"
    assert project.pre()["kind"] == "block"
    with pytest.raises(errors.NoRunError):
        rk.current()


def test_asking_for_an_artifact_again_gives_the_same_path(project):
    with rk.run("r", exists="error") as ctx:
        ctx.artifact("a.txt").write_text("1")
        assert ctx.artifact("a.txt").read_text() == "1"
    assert len(project.post()["artifacts"]) == 1


def test_the_recorded_value_is_that_of_the_moment(project):
    with rk.run("r") as ctx:
        values = [1]
        ctx.record("values", values)
        values.append(2)
    assert project.post()["values"] == {"values": [1]}


def test_a_decorated_function_inside_is_a_child(project):
    @rk.Artifact("o")
    def save(o):
        Path(o).write_text("x")

    with rk.run("outer") as ctx:
        save("a.txt")
        with rk.run("inner") as inner:
            assert inner.parent_id == ctx.run_id
            assert inner.root_id == ctx.run_id
    assert [f for f, _, _ in project.ended()][-1] == "inner"
    assert len(project.folders) == 1
    assert project.post()["children"] == 2


def test_dirty_tree_is_refused_where_a_name_is_needed_and_only_there(project):
    Path("pipeline.py").write_text("X = 2\n")
    with rk.run("fit") as ctx, pytest.raises(errors.DirtyRepositoryError):
        ctx.artifact("model.pkl")
    with rk.run("fit", allow_dirty=True) as ctx:
        assert "-dirty-" in ctx.artifact("model.pkl").name


def test_an_exception_passes_through(project):
    with pytest.raises(ZeroDivisionError), rk.run("fit"):
        1 / 0
    assert project.post()["status"] == "failed"


def test_async_with(project):
    async def main():
        async with rk.run("fit") as ctx:
            await asyncio.sleep(0)
            assert rk.current() is ctx

    asyncio.run(main())
    assert project.post()["status"] == "complete"
    assert project.pre()["source_file"] == __file__


def test_one_object_may_be_entered_again(project):
    block = rk.run("again")
    for _ in range(2):
        with block:
            pass
    assert len(project.folders) == 2


def test_use_of_a_missing_file_is_an_error(project):
    with rk.run("fit") as ctx, pytest.raises(FileNotFoundError):
        ctx.use("nothing.csv")


def test_snapshot(project):
    with rk.run("fit", snapshot_code=True) as ctx:
        digest = ctx.snapshot
    assert project.context()["snapshot"]["digest"] == digest
    assert (project.vault / "code.git" / project.context()["snapshot"]["ref"]).exists()


@pytest.mark.parametrize("bad", ["", None, 3])
def test_name_is_needed(bad):
    with pytest.raises(TypeError):
        rk.run(bad)


@pytest.mark.parametrize("name", ["a/b", "..", "x" * 300, "tab\tnew\nline", "ünï", "-rf"])
def test_odd_names_make_safe_folders(project, name):
    with rk.run(name):
        pass
    (folder,) = project.folders
    assert folder.parent == project.vault / "runs"
    assert project.pre()["function"] == name
