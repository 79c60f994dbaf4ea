"""Two runs compared: what differs is found, what is the same is said to be, what cannot be known is not guessed."""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import sys

import msgspec
import pytest

from reprokit.catalog import scan
from reprokit.catalog.diff import call, choose, diff
from reprokit.catalog.diff.result import mirrored
from reprokit.catalog.run import Run
from reprokit.errors import RunNotFoundError
from tests.conftest import Project, git

FILES = {
    ".gitignore": "/vault/\n*.txt\n/script.py\n__pycache__/\n",
    "pkg/__init__.py": "",
    "pkg/deep.py": '''SCALE = 2


def base(x):
    """What is far away."""
    return x * SCALE


def beside(x):
    return -x


class Model:
    def fit(self, x):
        return base(x) + 1
''',
    "pkg/mid.py": "from pkg.deep import Model, base\n\n\ndef middle(x):\n    return Model().fit(base(x))\n",
    "pkg/other.py": "def unrelated():\n    return 1\n",
    "pipeline.py": """import reprokit as rk
from pkg.mid import middle
import settings


@rk.monitor
@rk.Artifact("out", config=settings.CONFIG, allow_dirty=True)
def fit(window, out="r.txt", factor=1.0):
    value = middle(window) * factor
    rk.current().record("rmse", value)
    for step in range(3):
        rk.current().record("loss", value + step, step=step)
    open(out, "w").write(str(value))
""",
    "settings.py": 'CONFIG = {"model": {"lr": 0.1, "layers": [8, 4]}, "name": "a"}\n',
}
RUN = "from pipeline import fit\nfit(3)\n"


def kept(text):
    return text.replace("@rk.monitor\n", "@rk.monitor\n@rk.snapshot_code\n")


@pytest.fixture
def walk(make_repo, monkeypatch):
    """A project whose function reaches code two modules away."""
    root = make_repo(files=FILES)
    monkeypatch.chdir(root)
    return Project(root)


@pytest.fixture
def kept_walk(make_repo, monkeypatch):
    """The same with snapshots."""
    root = make_repo(files={**FILES, "pipeline.py": kept(FILES["pipeline.py"])})
    monkeypatch.chdir(root)
    return Project(root)


def change(project, path, old, new):
    text = (project.root / path).read_text()
    assert old in text
    (project.root / path).write_text(text.replace(old, new))


def runs(project):
    return list(reversed(scan.runs(project.vault)))


def compared(project, **options):
    a, b = runs(project)[-2:]
    return diff(a, b, project.vault, **options)


def names(aspect):
    return [row.name for row in aspect.rows if row.kind != "same"]


def text_of(found, *, reached):
    return "\n".join(patch.text for patch in found.patches if patch.reached == reached)


def edit(project, index, name, change_it):
    path = project.folders[index] / f"{name}.json"
    document = json.loads(path.read_bytes())
    change_it(document)
    path.unlink()  # equal contexts are hard links of one file
    path.write_text(json.dumps(document))


# --- code ------------------------------------------------------------------------------------------------------------


def test_a_function_two_modules_away_is_named_and_shown_before_the_rest(kept_walk):
    kept_walk.python(RUN)
    change(kept_walk, "pkg/deep.py", "return x * SCALE", "return x * SCALE + 1")
    change(kept_walk, "pkg/deep.py", "return -x", "return +x")
    change(kept_walk, "pkg/other.py", "return 1", "return 2")
    kept_walk.python(RUN)
    found = compared(kept_walk)
    assert names(found.aspect("code")) == ["pkg.deep:base"]
    assert found.aspect("code").rows[0].note == "pkg/deep.py:4"
    assert names(found.aspect("other code")) == ["pkg/deep.py", "pkg/other.py"]
    reached, rest = text_of(found, reached=True), text_of(found, reached=False)
    assert "+    return x * SCALE + 1" in reached
    assert "return +x" not in reached
    assert "+    return +x" in rest
    assert "+    return 2" in rest
    assert [patch.reached for patch in found.patches] == [True, False, False]
    assert found.aspect("outputs").same is False
    assert found.verdict.startswith("outputs, values and series differ; most likely because of: code reached by the")
    assert "pkg.deep:base" in found.verdict
    assert not found.same


def test_a_file_that_the_function_does_not_reach_is_no_cause(kept_walk):
    kept_walk.python(RUN)
    change(kept_walk, "pkg/other.py", "return 1", "return 2")
    change(kept_walk, "pkg/deep.py", '"""What is far away."""', '"""What is further away."""')
    kept_walk.python(RUN)
    found = compared(kept_walk)
    assert found.aspect("code").same is True
    assert found.aspect("other code").same is False
    assert found.aspect("other code").role == "circumstance"
    assert found.same
    assert not any(patch.reached for patch in found.patches)
    assert "no difference in the results" in found.verdict


def test_parts_that_came_and_went_and_constants_are_told(kept_walk):
    kept_walk.python(RUN)
    change(kept_walk, "pkg/deep.py", "SCALE = 2", "SCALE = 3\nSHIFT = 5")
    change(kept_walk, "pkg/deep.py", "return base(x) + 1", "return beside(x) + SHIFT")
    change(kept_walk, "pkg/mid.py", "Model().fit(base(x))", "Model().fit(x)")
    kept_walk.python(RUN)
    rows = {row.name: row for row in compared(kept_walk).aspect("code").rows}
    assert {name: row.kind for name, row in rows.items()} == {
        "pkg.deep:Model": "changed",
        "pkg.deep:SCALE": "removed",
        "pkg.deep:SHIFT": "added",
        "pkg.deep:base": "removed",
        "pkg.deep:beside": "added",
        "pkg.mid:middle": "changed",
    }
    assert rows["pkg.deep:SHIFT"].note == "constant, pkg/deep.py:2"


def test_without_snapshots_commits_are_compared(walk):
    walk.python(RUN)
    change(walk, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    change(walk, "pkg/other.py", "return 1", "return 2")
    walk.commit_all()
    walk.python(RUN)
    found = compared(walk)
    assert names(found.aspect("code")) == ["pkg.deep:base"]
    assert "+    return x + SCALE + 0" in text_of(found, reached=True)
    assert "+    return 2" in text_of(found, reached=False)
    assert names(found.aspect("commit")) == ["repo.sha"]


def test_without_snapshots_uncommitted_changes_are_taken_from_the_kept_patches(walk):
    walk.python(RUN)
    change(walk, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    (walk.root / "new.py").write_text("NEW = 1\n")
    walk.python(RUN)
    before = git(walk.root, "status", "--porcelain"), git(walk.root, "count-objects", "-v")
    found = compared(walk)
    assert "+    return x + SCALE + 0" in text_of(found, reached=True)
    assert "+NEW = 1" in text_of(found, reached=False)
    assert (git(walk.root, "status", "--porcelain"), git(walk.root, "count-objects", "-v")) == before


def test_a_snapshot_and_a_commit_are_compared_by_content(walk):
    walk.python(RUN)
    (walk.root / "pipeline.py").write_text(kept(FILES["pipeline.py"]))
    change(walk, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    walk.python(RUN)
    found = compared(walk)
    assert names(found.aspect("code")) == ["pkg.deep:base"]
    assert names(found.aspect("other code")) == ["pipeline.py"]


def test_a_patch_that_was_changed_afterwards_is_not_trusted(walk):
    change(walk, "pkg/deep.py", "return x * SCALE", "return x - SCALE - 0")
    walk.python(RUN)
    change(walk, "pkg/deep.py", "return x - SCALE - 0", "return x + SCALE + 0")
    walk.python(RUN)
    next(walk.folders[0].glob("*.diff")).write_text("")
    found = compared(walk)
    assert names(found.aspect("code")) == ["pkg.deep:base"]
    assert found.patches == []
    assert any("was changed since" in note for note in found.aspect("code").notes)
    assert found.aspect("other code").same is None


def test_without_a_repository_closures_still_tell(tmp_path, monkeypatch):
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    project = Project(tmp_path)
    (tmp_path / "reprokit.toml").write_text("")
    project.python(RUN)
    change(project, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    project.python(RUN)
    found = compared(project)
    assert names(found.aspect("code")) == ["pkg.deep:base"]
    assert any("no snapshot, and there was no commit" in note for note in found.aspect("code").notes)
    assert found.aspect("other code").same is None
    assert found.aspect("commit").reason == "there was no repository"


def test_when_the_store_of_snapshots_is_gone_the_commit_helps(kept_walk):
    kept_walk.python(RUN)
    change(kept_walk, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    kept_walk.python(RUN)
    shutil.rmtree(kept_walk.vault / "code.git")
    assert "+    return x + SCALE + 0" in text_of(compared(kept_walk), reached=True)


def test_a_project_in_a_folder_of_a_repository_that_has_moved_since(make_repo, monkeypatch):
    root = make_repo(
        files={f"lab/{name}": text for name, text in FILES.items()} | {"lab/reprokit.toml": "", "top.py": ""}
    )
    project = Project(root / "lab")
    monkeypatch.chdir(project.root)
    project.python(RUN)
    (root / "top.py").write_text("X = 1\n")
    change(project, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    git(root, "commit", "-qam", "more")
    project.python(RUN)
    moved = Project(root.rename(root.with_name("moved")) / "lab")
    found = compared(moved)
    assert [patch.path for patch in found.patches] == ["pkg/deep.py"]
    assert "+    return x + SCALE + 0" in text_of(found, reached=True)


def test_blocks_are_compared_by_their_whole_trees(walk):
    code = "import reprokit as rk\nwith rk.run('block') as ctx:\n    ctx.record('x', 1)\n"
    walk.python(code)
    change(walk, "pkg/other.py", "return 1", "return 2")
    walk.commit_all()
    walk.python(code)
    found = compared(walk)
    assert names(found.aspect("code")) == ["pkg/other.py"]
    assert found.aspect("code").role == "cause"
    with pytest.raises(KeyError):
        found.aspect("other code")


def test_binary_and_large_files_are_named_and_not_shown(kept_walk):
    kept_walk.python(RUN)
    (kept_walk.root / "data.bin").write_bytes(b"\0" * 100)
    (kept_walk.root / "large.csv").write_text("1,2,3\n" * 300_000)
    kept_walk.python(RUN)
    notes = {patch.path: patch.note for patch in compared(kept_walk).patches}
    assert notes["data.bin"] == "binary, not there -> 100 bytes"
    assert notes["large.csv"] == "too large to be shown, not there -> 1,800,000 bytes"


def test_lines_are_capped_unless_all_are_asked_for(kept_walk):
    kept_walk.python(RUN)
    (kept_walk.root / "long.py").write_text("".join(f"X{n} = {n}\n" for n in range(2000)))
    kept_walk.python(RUN)
    short = compared(kept_walk).patches[0]
    assert len(short.text.split("\n")) + short.more == 2003
    assert short.more > 1500
    assert compared(kept_walk, shown="full").patches[0].more == 0
    assert compared(kept_walk, shown="none").patches == []
    assert compared(kept_walk, shown="reached").patches == []


def test_hostile_settings_of_the_repository_run_nothing(walk):
    walk.python(RUN)
    change(walk, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    walk.python(RUN)
    marker = walk.root / "marker"
    program = walk.root / "program"
    program.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    program.chmod(0o755)
    for key in (
        "core.fsmonitor",
        "diff.external",
        "filter.x.clean",
        "filter.x.smudge",
        "diff.x.textconv",
        "core.pager",
    ):
        git(walk.root, "config", key, str(program))
    (walk.root / ".git" / "info").mkdir(exist_ok=True)
    (walk.root / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    for hook in ("post-index-change", "post-checkout", "pre-applypatch"):
        (walk.root / ".git" / "hooks").mkdir(exist_ok=True)
        (walk.root / ".git" / "hooks" / hook).symlink_to(program)
    assert "+    return x + SCALE + 0" in text_of(compared(walk), reached=True)
    assert not marker.exists()


# --- config, arguments, inputs, surroundings -------------------------------------------------------------------------


def test_config_keys_and_arguments(walk):
    walk.python(RUN)
    change(
        walk, "settings.py", '"lr": 0.1, "layers": [8, 4]}, "name": "a"', '"lr": 0.01, "layers": [8, 4, 2]}, "seed": 1'
    )
    walk.python("from pipeline import fit\nfit(4, factor=2.0)\n")
    found = compared(walk)
    config = {row.name: (row.kind, row.a, row.b) for row in found.aspect("config").rows}
    assert config == {
        "model.layers.2": ("added", None, 2),
        "model.lr": ("changed", 0.1, 0.01),
        "name": ("removed", "a", None),
        "seed": ("added", None, 1),
    }
    arguments = {row.name: (row.kind, row.a, row.b) for row in found.aspect("arguments").rows}
    assert arguments == {"args[0]": ("changed", 3, 4), "kwargs['factor']": ("added", None, 2.0)}
    assert "config model.layers.2, model.lr, name and 1 more and arguments args[0]" in found.verdict
    loss = next(row for row in found.aspect("series").rows)
    assert loss.note.startswith("first differ at step 0; 3 points; ")


def test_an_argument_of_which_only_a_description_is_kept_cannot_be_known(walk):
    code = """
import sys, numpy, pathlib, reprokit as rk
@rk.monitor(include_args=len(sys.argv) > 2)
def f(array, path, pair, *rest): pass
f(numpy.full(200, int(sys.argv[1])), pathlib.Path("a"), (1, 2), *[numpy.zeros(2)] * (len(sys.argv) > 3))
"""
    walk.python(code, "1")
    walk.python(code, "2")
    unsure = compared(walk).aspect("arguments")
    assert (unsure.same, names(unsure)) == (None, ["args[0]"])
    walk.python(code, "1", "archived")
    walk.python(code, "1", "archived")
    exact = compared(walk).aspect("arguments")
    assert (exact.same, exact.rows) == (True, [])
    assert "byte for byte" in exact.notes[0]
    walk.python(code, "2", "archived")
    assert compared(walk).aspect("arguments").same is None
    walk.python(code, "2", "archived", "more")
    assert compared(walk).aspect("arguments").rows[-1].kind == "added"


def test_secrets_that_were_taken_out_cannot_be_known_and_the_config_hash_tells(walk):
    code = """
import sys, reprokit as rk
@rk.monitor
def f(password): pass
f(sys.argv[1])
with rk.run("b", config={"api_key": sys.argv[1]}): pass
"""
    walk.python(code, "hunter2hunter2")
    walk.python(code, "swordfishswordfish")
    f1, b1, f2, b2 = runs(walk)
    assert diff(f1, f2, walk.vault).aspect("arguments").same is None
    config = diff(b1, b2, walk.vault).aspect("config")
    assert config.same is False
    assert "taken out as a secret" in config.rows[0].note


def test_inputs_by_path_and_digest(walk):
    code = """
import sys, reprokit as rk
with rk.run("b") as ctx:
    for path in sys.argv[1:]:
        ctx.use(path)
"""
    for name in ("same", "other", "moved", "gone"):
        (walk.root / f"{name}.txt").write_text(name)
    walk.python(code, "same.txt", "other.txt", "moved.txt", "gone.txt")
    (walk.root / "other.txt").write_text("now different")
    (walk.root / "moved.txt").rename(walk.root / "elsewhere.txt")
    walk.python(code, "same.txt", "other.txt", "elsewhere.txt")
    inputs = compared(walk).aspect("inputs")
    assert [(row.name, row.kind) for row in inputs.rows] == [
        ("gone.txt", "removed"),
        ("moved.txt", "moved"),
        ("other.txt", "changed"),
    ]
    assert inputs.rows[1].b == "elsewhere.txt"


BLOCK = """
import sys, reprokit as rk
with rk.run("b") as ctx:
    for path in sys.argv[2:]:
        ctx.use(path)
    ctx.record("x", sys.argv[1])
"""


def test_what_the_process_of_a_block_was_started_with_is_a_cause(walk):
    walk.python(BLOCK, "1")
    walk.python(BLOCK, "1")
    assert compared(walk).aspect("arguments").same is True
    walk.python(BLOCK, "2")
    found = compared(walk)
    assert [(row.name, row.a, row.b) for row in found.aspect("arguments").rows] == [("sys.argv[1]", "1", "2")]
    assert found.verdict == "values differ; most likely because of: arguments sys.argv[1]"
    assert not found.same


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["python", "-W", "ignore", "-u", "a.py", "b.py", "-c"], ["b.py", "-c"]),
        (["python", "-m", "pkg.mod", "--lr", "1"], ["--lr", "1"]),
        (["python", "-Xdev", "-c", "code", "1"], ["1"]),
        (["python", "-", "1"], ["1"]),
        (["python"], []),
        (["python", "-m", "ipykernel_launcher", "-f", "k.json"], None),
    ],
)
def test_the_words_of_a_command_line_are_those_behind_the_script(argv, words):
    assert call.words(argv) == words


def test_files_that_differ_in_our_tag_alone_are_the_same_file(walk):
    old, new = "in-1a2b3c4-44136fa355.txt", "in-ffffff0-0123456789.txt"
    (walk.root / old).write_text("same")
    (walk.root / new).write_text("same")
    walk.python(BLOCK, "1", old)
    walk.python(BLOCK, "1", new)
    found = compared(walk)
    assert found.aspect("arguments").same is True
    assert (found.aspect("inputs").same, found.aspect("inputs").rows) == (True, [])
    (walk.root / new).write_text("other")
    walk.python(BLOCK, "1", old)
    walk.python(BLOCK, "1", new)
    found = compared(walk)
    assert [(row.name, row.kind) for row in found.aspect("inputs").rows] == [("in.txt", "changed")]
    assert [(row.name, row.b) for row in found.aspect("arguments").rows] == [("sys.argv[2]", new)]


def test_code_of_a_run_whose_reach_is_not_known_is_just_code(walk):
    walk.python(BLOCK, "1")
    change(walk, "pkg/other.py", "return 1", "return 2")
    walk.python(BLOCK, "1")
    found = compared(walk)
    assert found.aspect("code").same is False
    assert "these differ: code (pkg/other.py)" in found.verdict


def test_files_that_the_runs_used_and_made_are_no_code(kept_walk):
    (kept_walk.root / "in.dat").write_text("1")
    code = "import reprokit as rk\nfrom pipeline import fit\nfit(3, out='r.dat')\n"
    used = 'rk.current().use("in.dat")\n    value = middle'
    (kept_walk.root / "pipeline.py").write_text(kept(FILES["pipeline.py"]).replace("value = middle", used))
    kept_walk.commit_all()
    kept_walk.python(code)
    (kept_walk.root / "in.dat").write_text("2")
    (kept_walk.root / "unused.dat").write_text("2")
    kept_walk.python(code)
    found = compared(kept_walk)
    assert names(found.aspect("inputs")) == ["in.dat"]
    assert names(found.aspect("other code")) == ["unused.dat"]
    assert [patch.path for patch in found.patches] == ["unused.dat"]


def test_a_repetition_is_compared_with_what_it_repeats_and_never_picked(walk):
    code = "import reprokit as rk\nfrom pipeline import fit\nwith rk.run('b'):\n    fit(1)\n    fit(2)\n"
    for _ in range(3):
        walk.python(code)
    original, other, again = runs(walk)
    edit(walk, 2, "pre-run-info", lambda document: document.update(reproduction_of=original.run_id))
    walk.python(code)
    newest = runs(walk)[-1]

    def ids(pair):
        return [run.run_id for run in pair]

    assert ids(choose.newest_two(walk.vault)) == [other.run_id, newest.run_id]
    assert choose.before(walk.vault, newest).run_id == other.run_id
    again = runs(walk)[2]
    assert choose.before(walk.vault, again).run_id == original.run_id
    for place in (0, 1):
        assert choose.before(walk.vault, again.children[place]).run_id == original.children[place].run_id
    edit(walk, 2, "pre-run-info", lambda document: document.update(reproduction_of="ab" * 16))
    for index in walk.vault.glob("index.sqlite*"):
        index.unlink()
    with pytest.raises(RunNotFoundError, match="abababab, which"):
        choose.before(walk.vault, runs(walk)[2])


def test_surroundings_are_compared_and_named_packages_come_first(walk):
    walk.python(RUN)
    walk.python(RUN)

    def other(document):
        document["packages"] = [
            {**one, "version": "0.0.1"} if one["name"] in ("msgspec", "click") else one for one in document["packages"]
        ]
        document["closure"]["packages"] = {"msgspec": "0.0.1"}
        document["platform"]["python"]["version"] = "3.99.0"
        document["cpu"]["count"] = 999
        document["cpu"]["flags"] = ["sse"]
        document["gpus"] = [{"name": "H200", "cuda": "13.0"}]
        document["environment_variables"]["OMP_NUM_THREADS"] = "7"
        document["environment_variables"]["SLURM_JOB_ID"] = "1"
        document["platform"]["release"] = "9.9"

    edit(walk, 1, "context", other)
    found = compared(walk)
    assert names(found.aspect("packages")) == ["msgspec", "click"]
    assert names(found.aspect("python")) == ["version"]
    assert names(found.aspect("hardware")) == ["cpu.count", "cpu.flags", "gpu.0"]
    assert names(found.aspect("environment")) == ["OMP_NUM_THREADS"]
    assert "SLURM_JOB_ID" in names(found.aspect("place"))
    assert names(found.aspect("system")) == ["release"]
    assert found.aspect("code").same is True
    order = [one.name for one in found.aspects]
    wanted = ["outputs", "code", "config", "arguments", "inputs", "packages", "python", "hardware", "random state"]
    assert [name for name in order if name in wanted] == wanted


def test_a_package_from_another_revision_differs_though_its_version_does_not(walk):
    walk.python(RUN)
    walk.python(RUN)

    def of(revision):
        def change_it(document):
            told = {"url": "https://example.org/p.git", "vcs_info": {"vcs": "git", "commit_id": revision * 40}}
            document["packages"] = [{"name": "p", "version": "1.0", "direct_url": told}]

        return change_it

    edit(walk, 0, "context", of("a"))
    edit(walk, 1, "context", of("b"))
    (row,) = compared(walk).aspect("packages").rows
    assert (row.a, row.b) == ("1.0 (aaaaaaaaaaaa)", "1.0 (bbbbbbbbbbbb)")


def test_nothing_recorded_explains_a_difference_but_chance(walk):
    code = """
import os, random, sys, reprokit as rk
random.seed(int(sys.argv[1]))
@rk.monitor
def f(): rk.current().record("x", os.urandom(8).hex())
f()
"""
    walk.python(code, "1")
    walk.python(code, "1")
    found = compared(walk)
    assert found.aspect("random state").same is True
    assert found.verdict.startswith("values differ; nothing that was recorded explains the difference")
    walk.python(code, "2")
    assert "random generators explains it" in compared(walk).verdict


def test_a_run_that_fails_is_told_from_one_that_does_not(walk):
    code = "import sys, reprokit as rk\n@rk.monitor\ndef f(x): return 1 / x\nf(int(sys.argv[1]))\n"
    walk.python(code, "1")
    walk.python(code, "0", check=False)
    ending = {row.name: (row.a, row.b) for row in compared(walk).aspect("ending").rows}
    assert ending["status"] == ("complete", "failed")
    assert ending["exception"][1] == "ZeroDivisionError: division by zero"


# --- child runs ------------------------------------------------------------------------------------------------------


def test_child_runs_are_compared_like_root_runs(walk):
    code = "import sys, reprokit as rk\nfrom pipeline import fit\nwith rk.run('outer'):\n    fit(1)\n    fit(2)\n"
    walk.python(code)
    change(walk, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    walk.python(code)
    first, second = runs(walk)
    same = diff(first.children[0], first.children[1], walk.vault)
    assert names(same.aspect("arguments")) == ["args[0]"]
    assert same.aspect("code").same is True
    assert same.aspect("random state").same is None
    found = diff(first.children[1], second.children[1], walk.vault)
    assert names(found.aspect("code")) == ["pkg.deep:base"]
    assert "+    return x + SCALE + 0" in text_of(found, reached=True)
    assert found.a.child


def test_the_surroundings_of_workers_are_their_own(walk):
    code = """
from concurrent.futures import ProcessPoolExecutor
import reprokit as rk
from reprokit import ship
from pipeline import fit
if __name__ == "__main__":
    with rk.run("outer"), ship.executor(ProcessPoolExecutor(1)) as pool:
        pool.submit(fit, 1).result()
"""
    walk.python(code)
    walk.python(code)
    for run in runs(walk):
        assert run.children[0].begin.environment
    a, b = (run.children[0] for run in runs(walk))
    assert diff(a, b, walk.vault).aspect("packages").same is True
    for path in walk.folders[1].glob("context-*.json"):
        path.unlink()
    packages = diff(a, b, walk.vault).aspect("packages")
    assert packages.same is None
    assert packages.reason.startswith("B: what its worker found")


# --- laws and damage -------------------------------------------------------------------------------------------------


def test_a_run_compared_with_itself_is_all_same(kept_walk):
    kept_walk.python(RUN)
    run = runs(kept_walk)[-1]
    found = diff(run, run, kept_walk.vault)
    assert all(one.same is not False for one in found.aspects)
    assert {one.name for one in found.aspects if one.same is None} == {"return value", "inputs"}
    assert {row.kind for one in found.aspects for row in one.rows} == {"same"}
    assert found.same
    assert found.patches == []


def test_the_comparison_the_other_way_round_is_the_mirror_image(kept_walk):
    kept_walk.python(RUN)
    change(kept_walk, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    change(kept_walk, "settings.py", '"lr": 0.1', '"rate": 0.1')
    (kept_walk.root / "new.py").write_text("")
    kept_walk.python("from pipeline import fit\nfit(4, factor=2)\n")
    a, b = runs(kept_walk)
    there, back = diff(a, b, kept_walk.vault), diff(b, a, kept_walk.vault)

    def bare(row):
        return msgspec.structs.replace(row, note="")

    assert [one.name for one in there.aspects] == [one.name for one in back.aspects]
    for one, other in zip(there.aspects, back.aspects, strict=True):
        assert one.same == other.same
        assert [bare(row) for row in one.rows] == [bare(mirrored(row)) for row in other.rows]
    assert [patch.path for patch in there.patches] == [patch.path for patch in back.patches]


DAMAGE = [b"", b"{", b"\0" * 50, b"[" * 50_000, b'{"schema": "reprokit/context/99"}', b"\xff"]


def test_damaged_records_are_named_and_the_rest_is_compared(walk):
    walk.python(RUN)
    change(walk, "settings.py", '"lr": 0.1', '"lr": 0.2')
    walk.python(RUN)
    a, b = walk.folders
    for name in ("context", "pre-run-info", "post-run-info"):
        path = b / f"{name}.json"
        whole = path.read_bytes()
        path.unlink()
        for damage in DAMAGE:
            path.write_bytes(damage)
            found = diff(Run(a), Run(b), walk.vault)
            assert any(path.name in problem for problem in found.problems)
            assert any(one.damaged for one in found.aspects)
            assert found.aspect("values").same is (None if name == "post-run-info" else True)
            assert found.aspect("arguments").same is (None if name == "pre-run-info" else True)
            assert found.aspect("packages").same is (None if name == "context" else True)
            assert msgspec.json.encode(found)
            assert "<div>" in found._repr_html_()
        path.write_bytes(whole)


ODD = [
    None,
    -1,
    0.5,
    "",
    "--output=x",
    "../x",
    "\x1b",
    "x" * 100,
    [],
    {},
    [[]],
    {"$type": []},
    10**30,
    True,
    "sha256:" + "0" * 64,
]


def places(value, path=()):
    for key, inside in value.items() if isinstance(value, dict) else enumerate(value):
        yield (*path, key)
        if isinstance(inside, (dict, list)):
            yield from places(inside, (*path, key))


@pytest.mark.parametrize("times", [24, pytest.param(600, marks=pytest.mark.slow)])
def test_whatever_records_say_a_comparison_comes_of_it(walk, times):
    walk.python(RUN)
    change(walk, "pkg/deep.py", "return x * SCALE", "return x + SCALE + 0")
    walk.python(RUN)
    a, b = walk.folders
    chance = random.Random(times)
    for name in ("context", "pre-run-info", "post-run-info"):
        path = b / f"{name}.json"
        whole = path.read_bytes()
        document = json.loads(whole)
        document.get("cpu", {}).pop("flags", None)
        document["packages"] = document.get("packages", [])[:2]
        known = list(places(document))
        path.unlink()
        for number in range(times):
            if number % 3:
                odd = copy.deepcopy(document)
                holder, place = odd, chance.choice(known)
                for key in place[:-1]:
                    holder = holder[key]
                holder[place[-1]] = chance.choice(ODD)
                path.write_text(json.dumps(odd))
            else:
                flipped = bytearray(whole)
                flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
                path.write_bytes(flipped)
            found = diff(Run(a), Run(b), walk.vault)
            assert json.loads(msgspec.json.encode(found))["verdict"]
            assert found._repr_html_()
        path.write_bytes(whole)
    assert not (walk.root / "x").exists()


def test_html_and_json_hold_no_markup_of_records(walk):
    walk.python("import reprokit as rk\nwith rk.run('<script>alert(1)</script>') as c: c.record('<b>', '</pre><i>')\n")
    walk.python("import reprokit as rk\nwith rk.run('<script>alert(2)</script>') as c: c.record('<b>', 2)\n")
    found = compared(walk)
    page = found._repr_html_()
    assert "<script>" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;" in page
    document = json.loads(msgspec.json.encode(found))
    assert document["schema"] == "reprokit/diff/1"


def test_comparing_imports_nothing_of_the_project(kept_walk):
    kept_walk.python(RUN)
    change(kept_walk, "pkg/deep.py", "SCALE = 2", "import os; os.mkdir('ran'); SCALE = 2")
    kept_walk.python(RUN)
    os.rmdir(kept_walk.root / "ran")
    before = set(sys.modules)
    assert compared(kept_walk).aspect("code").rows
    assert not (kept_walk.root / "ran").exists()
    assert not {"pkg", "pipeline"} & (set(sys.modules) - before)
