"""A recorded run is repeated elsewhere, compared, and nothing of the user's is touched."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import reproduce as reproduce_module
from reprokit.catalog import find, scan
from reprokit.errors import ReproduceError
from tests.conftest import SOURCE, git

MODULE = """
import dataclasses, random, sys
import reprokit as rk
import helpers

@rk.monitor(include_return_value=True)
@rk.snapshot_code
@rk.Artifact("out", config={"a": 1}, allow_dirty=True)
def draw(src, out, times=2):
    text = open(rk.current().use(src)).read()
    value = helpers.scale(float(text)) * times
    rk.current().record("value", value)
    rk.current().record("dice", random.random())
    open(out, "w").write(f"{value}\\n")
    return value

@rk.monitor(include_args=True)
@rk.Artifact("out", allow_dirty=True)
def keep(values, out):
    open(out, "w").write(repr(sorted(values)))

@rk.monitor
@rk.Artifact("out", allow_dirty=True)
def inexact(values, out):
    open(out, "w").write(repr(sorted(values)))

@rk.monitor
@rk.Artifact("out", allow_dirty=True)
def fails(out):
    open(out, "w").write("half")
    raise ValueError("as always")

@rk.monitor
@rk.snapshot_code
@rk.Artifact("out", allow_dirty=True)
async def later(out):
    open(out, "w").write("later")

@dataclasses.dataclass
class Model:
    slope: float
    @rk.monitor(include_args=True)
    @rk.snapshot_code
    @rk.Artifact("out", allow_dirty=True)
    def predict(self, x, out):
        open(out, "w").write(str(self.slope * x))
    @staticmethod
    @rk.monitor
    @rk.snapshot_code
    @rk.Artifact("out", allow_dirty=True)
    def static(out):
        open(out, "w").write("static")
"""
HELPERS = "def scale(x):\n    return x * 2\n"


@pytest.fixture
def lab(project):
    """A project with a module, a helper and a file of data, all committed."""
    (project.root / "work.py").write_text(MODULE)
    (project.root / "helpers.py").write_text(HELPERS)
    (project.root / "data.csv").write_text("21")
    (project.root / ".gitignore").write_text("data.csv\n__pycache__\nscript.py\n*-*.txt*\n")
    project.commit_all()
    return project


def state(root):
    """Everything in a project but its vault: names, bytes, times of files; git's index, refs and objects too."""
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in ("vault", "__pycache__")]
        for name in names:
            path = Path(folder, name)
            found[str(path.relative_to(root))] = (
                hashlib.sha256(path.read_bytes()).hexdigest(),
                path.stat().st_mtime_ns,
            )
    return found


def reproduce(project, *args, **options):
    """Run the command; the project must be the same afterwards."""
    before = state(project.root)
    done = project.reprokit("reproduce", *args, **options)
    assert state(project.root) == before
    assert "Traceback" not in done.stderr, done.stderr
    return done


def verdicts(project, *args, code=0, **options):
    done = reproduce(project, *args, "--json", **options)
    assert done.returncode == code, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["reproduced"] is (code == 0)
    return {one["name"]: one["outcome"] for one in document["outputs"]}, document


def draw(project, *args):
    project.python(f"import work\nwork.draw('data.csv', 'fig.txt', {', '.join(args)})\n")
    return next(project.root.glob("fig-*.txt"))


# --- it comes out the same ------------------------------------------------------------------------------------------------


def test_a_function_of_a_module_is_called_again_from_the_file_that_it_made(lab):
    path = draw(lab, "3")
    found, document = verdicts(lab, path.name)
    assert found == {
        "fig.txt": "identical",
        "value value": "identical",
        "value dice": "identical",  # the global generator was put back
        "return value": "identical",
    }
    assert document["verdict"] == "REPRODUCED"
    new = scan.find(lab.vault, document["new_run_id"])
    old = scan.find(lab.vault, document["run_id"])
    assert new.pre.reproduction_of == old.run_id
    assert new.commit == old.commit
    assert [a.path for a in new.artifacts] == [a.path for a in old.artifacts]
    assert not Path(new.pre.root_directory).exists()


def test_the_readable_form_ends_with_the_verdict(lab):
    path = draw(lab)
    done = reproduce(lab, path.name)
    assert done.stdout.strip().endswith("REPRODUCED")
    for said in ("restored from snapshot", "same as recorded", "same digest", "work.draw(...)", "fig.txt"):
        assert said in done.stdout
    listed = json.loads(lab.reprokit("runs", "--columns", "id,reproduced", "--json").stdout)
    assert [len(one["reproduced"]) for one in listed] == [1]  # the repetition is not listed
    assert listed[0]["reproduced"][0].startswith("reproduced on ")
    assert "1 of 1" in lab.reprokit("runs").stdout
    assert "reproduced" in lab.reprokit("show", path.name).stdout


def test_a_script_is_started_again_with_its_blocks_and_arguments(lab):
    script = (
        "import sys, random, reprokit as rk\nimport work\n"
        "with rk.run('first', allow_dirty=True) as ctx:\n    ctx.record('dice', random.random())\n"
        "with rk.run('second', snapshot_code=True, allow_dirty=True) as ctx:\n"
        "    work.draw('data.csv', 'fig.txt')\n"
        "    open(ctx.artifact('sum.txt'), 'w').write(sys.argv[1])\n"
        "    ctx.record('dice', random.random())\n"
    )
    (lab.root / ".gitignore").write_text("data.csv\n*-*.txt*\n")
    lab.python(script, "seven")
    found, document = verdicts(lab, "@")
    assert found == {"sum.txt": "identical", "fig.txt": "identical", "value dice": "identical"}
    new = scan.find(lab.vault, document["new_run_id"])
    assert new.function == "second"
    assert new.pre.argv[1:] == scan.find(lab.vault, document["run_id"]).pre.argv[1:]
    first = next(run for run in scan.runs(lab.vault) if run.function == "first")
    assert verdicts(lab, first.run_id[:8])[0] == {"value dice": "identical"}


def test_a_child_run_is_called_alone(lab):
    lab.python("import reprokit as rk, work\nwith rk.run('whole'):\n    work.draw('data.csv', 'fig.txt', 5)\n")
    child = scan.find(lab.vault, "@").children[0]
    found, document = verdicts(lab, child.run_id[:12], code=1)
    # Of child runs no random state is recorded.
    assert found == {
        "fig.txt": "identical",
        "value value": "identical",
        "value dice": "differs",
        "return value": "identical",
    }
    assert scan.find(lab.vault, document["new_run_id"]).pre.reproduction_of == child.run_id


def test_a_child_run_of_a_script_is_called_without_running_the_script(lab):
    (lab.root / ".gitignore").write_text("data.csv\n*-*.txt*\n")
    lab.python(
        "import reprokit as rk\n"
        "@rk.monitor\n@rk.snapshot_code\n@rk.Artifact('o', allow_dirty=True)\ndef save(x, o):\n    open(o, 'w').write(str(x))\n"
        "if __name__ == '__main__':\n    with rk.run('whole'):\n        save(1, 'one.txt'); save(2, 'two.txt')\n"
    )
    child = scan.find(lab.vault, "@").children[1]
    found, document = verdicts(lab, child.run_id[:12])
    assert found == {"two.txt": "identical"}
    assert len(scan.find(lab.vault, document["new_run_id"]).artifacts) == 1


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("keep({3, 1, 2}, 'kept.txt')", "kept"),
        ("Model(2.5).predict(4, 'pred.txt')", "pred"),
        ("Model.static('st.txt')", "st"),
    ],
)
def test_archived_arguments_and_instances_and_static_methods(lab, call, name):
    lab.python(f"import work\nwork.{call}\n")
    assert verdicts(lab, "@")[0] == {f"{name}.txt": "identical"}


def test_a_function_is_called_in_this_process_beside_todays_code(lab):
    path = draw(lab)
    (lab.root / "helpers.py").write_text(HELPERS.replace("2", "9"))
    found, _ = verdicts(lab, path.name, "--in-process")
    assert found["fig.txt"] == "identical"
    assert found["value value"] == "identical"
    (lab.root / ".gitignore").write_text("data.csv\n*-*.txt*\n")
    lab.python("import reprokit as rk\nwith rk.run('block', snapshot_code=True, allow_dirty=True): pass\n")
    done = reproduce(lab, "@", "--in-process")
    assert done.returncode == 1
    assert "leave out --in-process" in done.stderr


def test_a_coroutine_function_is_awaited(lab):
    lab.python("import asyncio, work\nasyncio.run(work.later('later.txt'))\n")
    assert verdicts(lab, "@")[0] == {"later.txt": "identical"}


def test_an_exception_that_was_recorded_is_reproduced_too(lab):
    lab.python("import work\ntry: work.fails('f.txt')\nexcept ValueError: pass\n")
    found, document = verdicts(lab, "@")
    assert found == {"exception": "identical", "f.txt": "identical"}
    assert "as always" in document["outputs"][0]["said"]


def test_a_monitored_command_runs_in_the_fresh_folder(lab):
    (lab.root / "tool.py").write_text(
        "import sys\nopen(sys.argv[2], 'w').write(open(sys.argv[1]).read() * 2)\nprint('made')\n"
    )
    git(lab.root, "add", "tool.py")
    lab.commit_all()
    done = lab.reprokit(
        "monitor",
        "--artifact",
        "twice.txt",
        "--files",
        "auto",
        "--",
        sys.executable,
        "tool.py",
        "data.csv",
        "twice.txt",
    )
    assert done.returncode == 0, done.stderr
    found, document = verdicts(lab, "@")
    assert found == {"exit code": "identical", "twice.txt": "identical"}
    assert document["new_run_id"] != document["run_id"]


def test_a_notebook_function_is_called_from_its_kept_cell(lab):
    pytest.importorskip("IPython")
    lab.python(
        "from IPython.core.interactiveshell import InteractiveShell\n"
        "shell = InteractiveShell.instance()\n"
        "shell.run_cell('''import reprokit as rk\nFACTOR = 3\ndef times(x):\n    return x * FACTOR\n''')\n"
        "shell.run_cell('''@rk.monitor\n@rk.snapshot_code\n@rk.Artifact(\"o\", allow_dirty=True)\n"
        "def cell(x, o):\n    open(o, \"w\").write(str(times(x)))\n''')\n"
        "shell.run_cell('cell(14, \"cell.txt\")')\n"
    )
    run = scan.find(lab.vault, "@")
    assert "FACTOR = 3" in (run.folder / "interactive.py").read_text()
    found, _ = verdicts(lab, "@")
    assert found == {"cell.txt": "identical"}


# --- it does not -----------------------------------------------------------------------------------------------------------


def test_code_that_was_edited_since_changes_nothing_for_it_runs_what_was_recorded(lab):
    (lab.root / "helpers.py").write_text(HELPERS.replace("2", "4"))  # uncommitted when it runs
    path = draw(lab)
    content = path.read_text()
    for number in range(3):
        (lab.root / "helpers.py").write_text(HELPERS.replace("2", str(5 + number)))
        lab.commit_all()
    (lab.root / "helpers.py").unlink()
    assert verdicts(lab, path.name)[0]["fig.txt"] == "identical"
    assert path.read_text() == content


def test_a_run_without_snapshot_is_restored_from_commit_and_kept_changes(lab):
    module = MODULE.replace("@rk.snapshot_code\n", "")
    (lab.root / "work.py").write_text(module)
    lab.commit_all()
    (lab.root / "helpers.py").write_text(HELPERS.replace("2", "7"))
    lab.python("import reprokit as rk, helpers\nwith rk.run('plain') as ctx:\n    ctx.record('v', helpers.scale(1))\n")
    (lab.root / ".gitignore").write_text("data.csv\n")
    (lab.root / "helpers.py").write_text(HELPERS)
    done = reproduce(lab, "@", "--plan")
    assert "its uncommitted changes" in done.stdout
    lab.python("x = 1")  # script.py is ignored, so no commit has it
    found = reproduce(lab, "@")
    assert found.returncode == 1
    assert "script.py" in found.stdout


def test_another_result_is_told_with_where_it_differs(lab):
    (lab.root / "work.py").write_text(MODULE.replace("* times", "* times + __import__('time').time()"))
    path = draw(lab)
    found, document = verdicts(lab, path.name, code=1)
    assert found["fig.txt"] == "differs"
    assert found["value value"] == "differs"
    assert document["verdict"] == "NOT REPRODUCED"
    loose, _ = verdicts(lab, path.name, "--rtol", "0.5")
    assert loose["value value"] == "within tolerance"
    assert loose["fig.txt"] == "within tolerance"


def test_an_output_that_is_not_written_this_time_is_missing(lab):
    (lab.root / "work.py").write_text(
        MODULE.replace(
            '    open(out, "w").write(f"{value}\\n")',
            '    if not __import__("os").environ.get("REPROKIT_REPRODUCE"): open(out, "w").write("x")',
        )
    )
    path = draw(lab)
    assert verdicts(lab, path.name, code=1)[0]["fig.txt"] == "missing"


def test_a_changed_input_is_taken_from_where_its_content_lies_now(lab):
    path = draw(lab)
    shutil.move(lab.root / "data.csv", lab.root / "old.csv")
    (lab.root / "data.csv").write_text("99")
    done = reproduce(lab, path.name, "--plan")
    assert done.returncode == 1
    assert "--input data.csv=PATH" in done.stdout
    assert reproduce(lab, path.name).returncode == 1
    found, document = verdicts(lab, path.name, "--input", f"data.csv={lab.root / 'old.csv'}")
    assert found["fig.txt"] == "identical"
    os.makedirs(lab.root / "elsewhere")
    shutil.copy(lab.root / "old.csv", lab.root / "elsewhere" / "data.csv")  # found by name and digest
    assert verdicts(lab, path.name)[0]["fig.txt"] == "identical"
    other, document = verdicts(lab, path.name, "--input", f"data.csv={lab.root / 'data.csv'}", code=1)
    assert other["fig.txt"] == "differs"
    assert any("another content" in line["said"] for line in document["plan"])


def test_missing_arguments_are_named_with_the_remedy(lab):
    lab.python("import work\nimport reprokit as rk\nwork.inexact({1, 2}, 'i.txt')\n", check=True)
    ignored = reproduce(lab, "@", "--plan")  # no commit and no snapshot has script.py
    assert ignored.returncode == 1
    assert "git ignores it" in ignored.stdout
    (lab.root / ".gitignore").write_text("data.csv\n*-*.txt*\n")
    lab.python("import work\nimport reprokit as rk\nwork.inexact({1, 2}, 'i.txt')\n", check=True)
    done = reproduce(lab, "@", "--plan", "--json")
    document = json.loads(done.stdout)
    # The whole script is started again instead; a child run is repeated with the run around it.
    assert document["runs"].startswith("python")
    lab.python("import work\nimport reprokit as rk\nwith rk.run('b'):\n    work.inexact({1, 2}, 'i.txt')\n")
    child = scan.find(lab.vault, "@").children[0]
    found, document = verdicts(lab, child.run_id[:12])
    assert found == {"i.txt": "identical"}
    assert document["run_id"] == child.root.run_id
    assert any("include_args=True" in note and "as a whole" in note for note in document["notes"])
    lab.python("import work\nimport reprokit as rk\nwith rk.run('b'):\n    work.inexact({1, 2}, 'i.txt')\n")
    child = scan.find(lab.vault, "@").children[0]
    pre = child.folder / "pre-run-info.json"
    document = json.loads(pre.read_text())
    pre.write_text(json.dumps({**document, "argv": ["python", "-"]}))  # as if it had come from standard input
    done = reproduce(lab, child.run_id[:12], "--plan")
    assert done.returncode == 1
    assert "include_args=True" in done.stdout
    assert "standard input" in done.stdout


def test_missing_code_is_named_and_the_best_effort_says_what_it_lacked(lab):
    path = draw(lab)
    shutil.rmtree(lab.vault / "code.git")
    shutil.rmtree(lab.root / ".git")
    (lab.root / "reprokit.toml").write_text("")
    done = lab.reprokit("reproduce", path.name)
    assert done.returncode == 1
    assert "code is not at hand" in done.stdout + done.stderr
    effort = lab.reprokit("reproduce", path.name, "--best-effort", "--json")
    assert effort.returncode == 1
    assert any("code was not restored" in note for note in json.loads(effort.stdout)["notes"])


def test_a_missing_secret_is_asked_for_by_name(lab):
    (lab.root / "reprokit.toml").write_text('[capture]\nenvironment-variables = ["LAB_TOKEN"]\n')
    lab.commit_all()
    script = "import reprokit as rk, os\nwith rk.run('s', snapshot_code=True) as ctx:\n    ctx.record('n', len(os.environ['LAB_TOKEN']))\n"
    (lab.root / ".gitignore").write_text("data.csv\n")
    lab.python(script, env={"LAB_TOKEN": "hunter2hunter2"})
    plan = reproduce(lab, "@", "--plan")
    assert "LAB_TOKEN" in plan.stdout
    assert plan.returncode == 1
    assert verdicts(lab, "@", env={"LAB_TOKEN": "hunter2hunter2"})[0] == {"value n": "identical"}


def test_the_environment_that_differs_is_told(lab):
    path = draw(lab)
    run = find.named(lab.vault, path.name)
    document = json.loads((run.folder / "context.json").read_bytes())
    document["packages"][0]["version"] = "0.0.1"
    document["platform"]["python"]["version"] = "3.10.1"
    (run.folder / "context.json").unlink()
    (run.folder / "context.json").write_text(json.dumps(document))
    done = reproduce(lab, path.name)
    assert "differs here: Python 3.10.1 ->" in done.stdout
    assert "--env rebuild" in done.stdout
    assert done.returncode == 0


def test_what_a_record_holds_in_part_is_not_compared_and_said_so(lab):
    pytest.importorskip("numpy")
    (lab.root / "work.py").write_text(
        "import numpy as np, reprokit as rk\n"
        "@rk.monitor\n@rk.snapshot_code\ndef go():\n"
        "    ctx, dice = rk.current(), np.random.default_rng()\n"
        "    ctx.record('large', dice.random(200_000))\n    ctx.record('n', np.float32(0.5))\n"
    )
    lab.python("import work\nwork.go()\n")
    found, document = verdicts(lab, "@")
    assert found == {"value n": "identical"}
    assert any("value large was not kept whole" in note for note in document["notes"])
    (lab.root / "work.py").write_text((lab.root / "work.py").read_text().replace("200_000", "20"))
    lab.python("import work\nwork.go()\n")
    assert verdicts(lab, "@", code=1)[0]["value large"] == "differs"  # a small array has a digest


def test_numbers_of_numpy_are_numbers_in_records_queries_and_tolerances(lab):
    pytest.importorskip("numpy")
    (lab.root / "work.py").write_text(
        "import numpy as np, time, reprokit as rk\n"
        "@rk.monitor\n@rk.snapshot_code\ndef go():\n"
        "    rk.current().record('rmse', np.float32(0.5) + np.float64(time.time() % 1) * 1e-6)\n"
        "    rk.current().record('loss', np.float64(0.25), step=1)\n"
        "    rk.current().record('bad', np.float64('nan'))\n"
    )
    lab.python("import work\nwork.go()\n")
    for where in ("value.rmse < 0.6", "series.loss = 0.25", "value.bad = 'nan'"):
        assert len(json.loads(lab.reprokit("runs", "--where", where, "--json").stdout)) == 1, where
    found, _ = verdicts(lab, "@", "--rtol", "1e-3")
    assert found == {"value rmse": "within tolerance", "value bad": "identical", "series loss": "identical"}


def test_a_tracked_input_that_changed_since_is_restored_with_the_code(lab):
    (lab.root / ".gitignore").write_text("__pycache__\nscript.py\n*-*.txt*\n")
    lab.commit_all()  # data.csv is tracked now
    path = draw(lab)
    (lab.root / "data.csv").write_text("99")
    lab.commit_all()
    found, document = verdicts(lab, path.name)
    assert found["fig.txt"] == "identical"
    assert any(line["label"] == "input" and "among the code" in line["said"] for line in document["plan"])


def test_folders_of_outputs_that_git_does_not_keep_are_there(lab):
    (lab.root / ".gitignore").write_text("data.csv\n__pycache__\nscript.py\nresults/\n")
    lab.commit_all()
    os.makedirs(lab.root / "results" / "deep")
    lab.python("import work\nwork.draw('data.csv', 'results/deep/fig.txt')\n")
    assert verdicts(lab, "@")[0]["results/deep/fig.txt"] == "identical"


CHAIN = """
import reprokit as rk
@rk.Artifact("out", allow_dirty=True)
def prepare(src, out):
    open(out, "w").write(open(rk.current().use(src)).read() * 2)
@rk.Artifact("out", allow_dirty=True)
def finish(src, out):
    open(out, "w").write(open(rk.current().use(src)).read() + "!")
if __name__ == "__main__":
    import glob
    prepare("data.csv", "mid.txt")
    finish(sorted(glob.glob("mid-*.txt"))[0], "end.txt")
"""


def test_inputs_of_earlier_runs_of_the_process_are_restored_too(lab):
    (lab.root / ".gitignore").write_text("data.csv\n*-*.txt*\n")
    lab.python(CHAIN)
    (made,) = lab.root.glob("end-*.txt")
    found, document = verdicts(lab, made.name)
    assert found == {"end.txt": "identical"}
    assert [line["what"] for line in document["plan"] if line["label"] == "input"] == ["data.csv"]
    (lab.root / "data.csv").unlink()
    done = reproduce(lab, made.name, "--plan")
    assert done.returncode == 1
    assert "--input data.csv=PATH" in done.stdout


def test_a_configuration_that_a_script_set_is_missed_alone_and_there_with_the_whole(lab):
    (lab.root / ".gitignore").write_text("data.csv\n*-*.txt*\n")
    (lab.root / "work.py").write_text(
        "import reprokit as rk\nCONFIG = {'k': 2}\n"
        "@rk.monitor\n@rk.snapshot_code\n@rk.Artifact('out', config=lambda call: CONFIG, allow_dirty=True)\n"
        "def save(out):\n    open(out, 'w').write(str(CONFIG['k']))\n"
    )
    lab.python("import work\nwork.CONFIG['k'] = 3\nwork.save('k.txt')\n")
    found, document = verdicts(lab, "@", code=1)
    assert found == {"config": "differs", "k.txt": "differs"}
    assert "k 2" in json.dumps(document) or "--whole" in json.dumps(document)
    run = next(run for run in scan.runs(lab.vault) if run.pre.reproduction_of is None)
    assert verdicts(lab, run.run_id[:12], "--whole")[0] == {"k.txt": "identical"}


# --- faults ----------------------------------------------------------------------------------------------------------------


def test_a_function_that_writes_to_an_absolute_path_in_the_project_is_led_to_the_fresh_folder(lab):
    lab.python(f"import work\nwork.draw({str(lab.root / 'data.csv')!r}, {str(lab.root / 'abs.txt')!r})\n")
    assert verdicts(lab, "@")[0]["abs.txt"] == "identical"


def test_a_script_that_would_overwrite_files_of_the_project_is_stopped(lab):
    (lab.root / ".gitignore").write_text("data.csv\n")
    (lab.root / "precious.txt").write_text("1")
    lab.commit_all()
    lab.python(
        f"import reprokit as rk, os\nROOT = {str(lab.root)!r}\n"
        "with rk.run('bad', snapshot_code=True, allow_dirty=True) as ctx:\n"
        "    ctx.record('x', 1)\n    open(ROOT + '/precious.txt', 'a').write('2')\n"
    )
    (lab.root / "precious.txt").write_text("1")
    found, document = verdicts(lab, "@", code=1)
    assert found["exception"] == "differs"
    assert "writes nothing into the project" in json.dumps(document)
    assert (lab.root / "precious.txt").read_text() == "1"


SLOW = """
import sys
from reprokit.reproduce import restore
real = restore.restore
def slow(plan, folder):
    found = real(plan, folder)
    (folder / "wait").write_text("30")
    return found
restore.restore = slow
from reprokit.cli import main
main(["reproduce", sys.argv[1]])
"""


def test_a_reproduction_that_is_killed_leaves_an_interrupted_run_and_the_project_as_it_was(lab):
    waiting = MODULE.replace(
        "    text = open", "    import time; time.sleep(float(open('wait').read()))\n    text = open"
    )
    (lab.root / "work.py").write_text(waiting)
    (lab.root / "wait").write_text("0")
    lab.commit_all()
    path = draw(lab)
    run = find.named(lab.vault, path.name)
    before = state(lab.root)
    scratch = lab.root.parent / "tmp"
    scratch.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TMPDIR": str(scratch)}
    with subprocess.Popen([sys.executable, "-c", SLOW, run.run_id[:12]], cwd=lab.root, env=environment) as process:
        assert until(lambda: len(scan.runs(lab.vault)) == 2)
        process.kill()
    assert until(lambda: scan.find(lab.vault, "@").status != "running")
    newest = scan.find(lab.vault, "@")
    assert newest.status == "interrupted"
    assert newest.pre.reproduction_of == run.run_id
    assert state(lab.root) == before
    done = lab.reprokit("reproduce", path.name, env={"TMPDIR": str(scratch)})  # sweeps what that one left
    assert done.returncode == 0, done.stdout
    assert os.listdir(scratch) == []


def until(holds):
    """Wait for something, a minute at most."""
    deadline = time.monotonic() + 60
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_command_that_deletes_files_does_so_in_the_fresh_folder_and_what_it_wrote_elsewhere_is_listed(lab, tmp_path):
    outside = lab.root.parent / "outside.log"
    (lab.root / "precious.txt").write_text("1")
    (lab.root / "tool.py").write_text(
        "import os, sys\nos.remove('precious.txt')\n"
        f"open({str(outside)!r}, 'a').write('x')\nopen(sys.argv[1], 'w').write('made')\n"
    )
    lab.commit_all()
    command = ["monitor", "--files", "auto", "--artifact", "m.txt", "--", sys.executable, "tool.py", "m.txt"]
    done = lab.reprokit(*command)
    assert done.returncode == 0, done.stderr
    git(lab.root, "checkout", "--", "precious.txt")
    scratch = lab.root.parent / "tmp"  # what lies in the system's folder for temporary files is left out
    scratch.mkdir()
    found, document = verdicts(lab, "@", env={"TMPDIR": str(scratch)})
    assert found["m.txt"] == "identical"
    assert (lab.root / "precious.txt").exists()
    assert outside.read_text() == "xx"
    assert any("wrote outside its folder" in note and "outside.log" in note for note in document["notes"])


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="mounting needs root")
def test_a_full_disk_is_told_in_one_line_and_harms_nothing(lab, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    (lab.root / "large.bin").write_bytes(random.Random(1).randbytes(3_000_000))
    lab.commit_all()
    path = draw(lab)
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True, check=False
    ).returncode:
        pytest.skip("no mounting here")
    try:
        done = reproduce(lab, path.name, env={"TMPDIR": str(small)})
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) == 1
        assert "space" in done.stderr
        assert os.listdir(small) == []
    finally:
        subprocess.run(["umount", "-l", small], check=True)
    assert len(scan.runs(lab.vault)) == 1
    assert verdicts(lab, path.name)[0]["fig.txt"] == "identical"


def test_a_run_repeats_the_same_way_twice_and_a_repetition_leads_to_its_original(lab):
    path = draw(lab)
    first = verdicts(lab, path.name)[1]
    second = verdicts(lab, first["new_run_id"][:12])[1]
    assert second["run_id"] == first["run_id"]
    assert lab.reprokit("whence", path.name, "--json").returncode == 0
    assert json.loads(lab.reprokit("whence", path.name, "--json").stdout)["run"] == first["run_id"]
    assert lab.reprokit("verify").returncode == 0
    listed = json.loads(
        lab.reprokit("runs", "--where", "has reproduced", "--columns", "id,reproduced", "--json").stdout
    )
    assert [(one["id"], len(one["reproduced"])) for one in listed] == [(first["run_id"], 2)]


def test_from_python(lab):
    path = draw(lab)
    result = reproduce_module.run(path.name)
    assert result.reproduced
    assert reproduce_module.run(rk.Vault().runs()[0]).reproduced
    assert {one.name: one.outcome for one in result.verdicts}["fig.txt"] == "identical"
    assert "REPRODUCED" in result._repr_html_()
    with pytest.raises(ReproduceError, match="is not there"):
        reproduce_module.run(path.name, given={"data.csv": "/nowhere"})


def test_wrong_input_is_one_line(lab):
    draw(lab)
    for args in (
        ["zzz"],
        ["nothing.png"],
        ["@", "--input", "x"],
        ["@", "--input", "x=/nowhere"],
        ["@", "--input", "nosuch=data.csv"],
        ["@", "--into", "."],
        ["@", "--rtol", "-1"],
        ["@", "--report", "/no/such/folder/page.html"],
    ):
        done = reproduce(lab, *args)
        assert done.returncode in (1, 2)
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()


def test_into_keeps_the_folder_and_the_report_needs_nothing_else(lab, tmp_path):
    path = draw(lab)
    page = tmp_path / "page.html"
    done = lab.reprokit("reproduce", path.name, "--into", str(tmp_path / "again"), "--report", str(page))
    assert done.returncode == 0, done.stderr
    assert list((tmp_path / "again").rglob("fig-*.txt"))
    assert "REPRODUCED" in page.read_text()
    assert "http://" not in page.read_text().replace("http://www.w3.org", "")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs another user")
def test_a_vault_of_another_user_is_asked_about(lab):
    path = draw(lab)
    os.chown(lab.vault, 12345, 12345)
    done = lab.reprokit("reproduce", path.name, input="n\n")
    assert done.returncode == 1
    assert "belongs to another user" in done.stdout + done.stderr
    assert len(scan.runs(lab.vault)) == 1
    assert lab.reprokit("reproduce", path.name, "--yes").returncode == 0


def test_the_plan_changes_nothing_at_all(lab):
    path = draw(lab)
    before = state(lab.root.parent)
    done = lab.reprokit("reproduce", path.name, "--plan")
    assert done.returncode == 0
    assert {name: one for name, one in state(lab.root.parent).items() if "vault" not in name} == {
        name: one for name, one in before.items() if "vault" not in name
    }
    assert len(scan.runs(lab.vault)) == 1


def test_damaged_records_are_told_in_one_line_or_repeated_without_them(lab):
    path = draw(lab)
    run = find.named(lab.vault, path.name)
    dice = random.Random(4)
    for name in ("context.json", "pre-run-info.json", "post-run-info.json"):
        data = (run.folder / name).read_bytes()
        for length in dice.sample(range(len(data)), 2):
            (run.folder / name).unlink()
            (run.folder / name).write_bytes(data[:length])
            done = reproduce(lab, run.run_id[:12], "--plan")
            assert done.returncode in (0, 1)
        (run.folder / name).write_bytes(data)
