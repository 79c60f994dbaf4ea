"""The closure in the records of runs."""

from __future__ import annotations

import textwrap

import pytest

PIPELINE = """
import math
import reprokit as rk
import prep

SCALE = 2

def helper(x):
    return prep.clean(x) * SCALE

@rk.monitor
def fit(x):
    return helper(math.floor(x))

@rk.monitor
def outer():
    return [fit(n) for n in range(3)]

class Model:
    @rk.monitor
    def run(self):
        return self.step()
    def step(self):
        return 1

class Child(Model):
    def step(self):
        return 2

@rk.monitor(depends=["prep:other"])
@rk.snapshot_code(depends=[Model])
def named():
    return 1

@rk.monitor
def unclear(name):
    return globals()[name]
"""


@pytest.fixture
def scripts(project):
    (project.root / "pipeline.py").write_text(PIPELINE)
    (project.root / "prep.py").write_text("def clean(x):\n    return x\n\ndef other():\n    pass\n")

    def run(code):
        return project.python("import reprokit as rk, pipeline, prep\n" + textwrap.dedent(code)).stdout

    return run


def test_a_decorated_function_records_what_it_reaches(project, scripts):
    scripts("pipeline.fit(1.5)")
    found = project.context()["closure"]
    assert found["function"] == "pipeline:fit"
    assert {"pipeline:fit", "pipeline:helper", "pipeline:SCALE", "prep:clean"} <= set(found["parts"])
    assert "prep:other" not in found["parts"]
    assert found["unknown"] == []


def test_the_digest_changes_with_a_helper_and_not_with_a_comment(project, scripts):
    scripts("pipeline.fit(1)")
    (project.root / "prep.py").write_text(
        "# why\ndef clean(x):\n    '''Doc.'''\n    return x\n\ndef other():\n    return 5\n"
    )
    scripts("pipeline.fit(1)")
    (project.root / "prep.py").write_text("def clean(x):\n    return x + 1\n")
    scripts("pipeline.fit(1)")
    first, second, third = (project.context(index)["closure"] for index in range(3))
    assert first["digest"] == second["digest"] != third["digest"]
    changed = [name for name in first["parts"] if first["parts"][name] != third["parts"][name]]
    assert changed == ["prep:clean"]


def test_child_runs_name_their_closure_and_hold_it_once(project, scripts):
    scripts("pipeline.outer()")
    begins = [step for step in project.steps() if step["event"] == "begin"]
    assert len({step["closure_digest"] for step in begins}) == 1
    assert [("closure" in step) for step in begins] == [True, False, False]
    assert begins[0]["closure"]["digest"] == begins[0]["closure_digest"]
    assert project.context()["closure"]["function"] == "pipeline:outer"
    assert "prep:clean" in project.context()["closure"]["parts"]


def test_a_method_brings_the_class_that_it_is_called_on(project, scripts):
    scripts("pipeline.Model().run()\npipeline.Child().run()")
    one, two = (project.context(index)["closure"] for index in (0, 1))
    assert one["digest"] != two["digest"]
    assert any("Child" in name for name in two["parts"])


def test_what_is_named_by_hand_counts(project, scripts):
    scripts("pipeline.named()")
    parts = project.context()["closure"]["parts"]
    assert "prep:other" in parts
    assert any(name.startswith("pipeline:Model") for name in parts)


def test_what_cannot_be_followed_is_said(project, scripts):
    scripts("pipeline.unclear('SCALE')")
    (sentence,) = project.context()["closure"]["unknown"]
    assert "pipeline.py:" in sentence


def test_a_helper_that_was_replaced_at_run_time_is_noticed(project, scripts):
    scripts("pipeline.fit(1)\nprep.clean = lambda x: -x\npipeline.fit(1)")
    one, two = (project.context(index)["closure"]["digest"] for index in (0, 1))
    assert one != two


def test_blocks_and_commands_have_none(project):
    project.python("import reprokit as rk\nwith rk.run('block'): pass")
    assert project.context()["closure"] is None
    project.reprokit("monitor", "--allow-dirty", "--", "true")
    assert project.context()["closure"] is None


def test_code_that_was_imported_apart_has_the_closure_that_it_had(project, scripts):
    (project.root / ".gitignore").write_text("script.py\n")
    project.commit_all()
    scripts("pipeline.fit(1)")
    (project.root / "prep.py").write_text("def clean(x):\n    return x + 1\n")
    project.commit_all()
    first = project.pre(0)["run_id"]
    scripts(f"pipeline.fit(1)\nrk.at({first!r}).pipeline.fit(1)")
    digests = [project.context(index)["closure"]["digest"] for index in range(3)]
    assert digests[0] == digests[2] != digests[1]
