"""``rk.at``: the code of recorded runs, and what is recorded when it runs; files edited after their import."""

from __future__ import annotations

import shutil
import textwrap

import pytest

from tests.conftest import git

PIPELINE = """
import reprokit as rk
from prep import scale

@rk.Artifact("outpath", allow_dirty=True)
@rk.snapshot_code
@rk.monitor
def save(x, outpath):
    with open(outpath, "w") as stream:
        stream.write(str(scale(x)))

@rk.snapshot_code
def fit(x):
    return scale(x)

@rk.monitor
def outer(x):
    return fit(x)
"""


@pytest.fixture
def scripts(project):
    """A project with two modules, committed, and a way to run statements in it."""
    (project.root / "pipeline.py").write_text(PIPELINE)
    (project.root / "prep.py").write_text("def scale(x):\n    return 2 * x\n")
    (project.root / ".gitignore").write_text("script.py\n")
    project.commit_all()

    def run(code, **options):
        return project.python(textwrap.dedent(code), **options).stdout.split("\n")[:-1]

    run("import pipeline; pipeline.save(3, 'first.txt')")
    return run


def change(project, factor):
    (project.root / "prep.py").write_text(f"def scale(x):\n    return {factor} * x\n")


def test_the_code_of_a_run_beside_todays(project, scripts):
    change(project, 5)
    out = scripts(
        f"""
        import reprokit as rk, pipeline
        old = rk.at({project.pre()["run_id"][:6]!r})
        print(old.pipeline.fit(1), pipeline.fit(1), old.prep.scale(1))
        with old:
            from prep import scale
            print(scale(1))
        import prep
        print(prep.scale(1))
        """
    )
    assert out == ["2 5 2", "2", "5"]


def test_a_dirty_run_comes_back_as_it_was(project, scripts):
    change(project, 7)
    (project.root / "new_module.py").write_text("NEW = 'untracked'\n")
    scripts("import pipeline; pipeline.fit(1)")
    dirty = project.pre()["run_id"]
    git(project.root, "checkout", "-q", "--", "prep.py")
    (project.root / "new_module.py").unlink()
    assert scripts(f"import reprokit as rk\nc = rk.at({dirty!r}); print(c.prep.scale(1), c.new_module.NEW)") == [
        "7 untracked"
    ]


def test_a_clean_run_without_a_snapshot_comes_back_from_its_commit(project, scripts):
    (project.root / ".gitattributes").write_text("*.py text eol=crlf\n*.py filter=evil\n")
    (project.root / "link.py").symlink_to("prep.py")
    project.commit_all()
    scripts("import reprokit as rk\nwith rk.run('clean'): pass")
    assert project.context()["snapshot"] is None
    run = project.pre()["run_id"]
    change(project, 9)
    project.commit_all()
    git(project.root, "config", "filter.evil.smudge", f"touch {project.root}/evil")
    assert scripts(f"import reprokit as rk\nc = rk.at({run!r}); print(c.prep.scale(1), c.link.scale(1))") == ["2 2"]
    assert not (project.root / "evil").exists()


def test_a_dirty_run_without_a_snapshot_is_refused_with_the_remedy(project, scripts):
    change(project, 7)
    scripts("import reprokit as rk\nwith rk.run('dirty'): pass")
    done = project.python("import reprokit as rk\nrk.at()", check=False)
    assert "kept no snapshot of its code and had no clean commit" in done.stderr
    assert "put @snapshot_code on" in done.stderr


@pytest.mark.parametrize("layout", ["src", "scripts"])
def test_modules_are_found_where_the_run_found_them(project, layout):
    (project.root / layout).mkdir()
    (project.root / layout / "deeper.py").write_text("WHERE = 'then'\n")
    (project.root / layout / "main.py").write_text(
        "import reprokit as rk, deeper\nwith rk.run('r', snapshot_code=True): pass\n"
    )
    project.commit_all()
    if layout == "scripts":
        project.python(f"import runpy, sys\nsys.path.insert(0, '{layout}')\nrunpy.run_path('{layout}/main.py')")
        assert layout in project.context()["python_path"]
    else:
        project.python("import sys\nsys.path.insert(0, 'src')\nimport main")
    (project.root / layout / "deeper.py").write_text("WHERE = 'today'\n")
    out = project.python("import reprokit as rk\nprint(rk.at().deeper.WHERE)").stdout
    assert out == "then\n"


def test_the_code_of_a_monitored_script(project):
    (project.root / "scripts").mkdir()
    (project.root / "scripts" / "tool.py").write_text("import aid\ndef f():\n    return aid.V\n")
    (project.root / "scripts" / "aid.py").write_text("V = 'then'\n")
    project.commit_all()
    assert project.reprokit("monitor", "--", "python", "scripts/tool.py").returncode == 0
    (project.root / "scripts" / "aid.py").write_text("V = 'today'\n")
    assert project.python("import reprokit as rk\nprint(rk.at().tool.f())").stdout == "then\n"


def test_runs_of_old_code_are_recorded_as_runs_of_old_code(project, scripts):
    first = project.context()
    change(project, 5)
    scripts("import reprokit as rk\nrk.at().pipeline.save(1, 'again.txt')")
    context, pre = project.context(), project.pre()
    assert pre["function"] == "pipeline.save"
    assert (context["commit"], context["snapshot"]) == (first["commit"], first["snapshot"])
    assert context["git"] == {}
    assert "imported apart, from run" in context["unknown"]["git"]
    assert context["stale"] == []
    assert (project.root / f"again-{first['commit']}-44136fa355.txt").read_text() == "2"


def test_old_code_called_inside_a_run_of_today_is_named_by_its_own_commit(project, scripts):
    first = project.pre()["commit"]
    change(project, 5)
    scripts(
        """
        import reprokit as rk, pipeline
        old = rk.at().pipeline
        with rk.run('compare'):
            old.save(1, 'old.txt')
            pipeline.save(1, 'new.txt')
        """
    )
    begins = [step for step in project.steps() if step["event"] == "begin"]
    assert begins[0]["commit"] == first
    assert begins[1]["commit"].startswith(f"{first}-dirty-")
    assert begins[0]["snapshot"]["digest"] != begins[1]["snapshot"]["digest"]
    assert (project.root / f"old-{first}-44136fa355.txt").read_text() == "2"


def test_old_code_that_calls_its_own_decorated_functions_makes_child_runs(project, scripts):
    change(project, 5)
    scripts("import reprokit as rk\nprint(rk.at().pipeline.outer(1))")
    assert project.pre()["function"] == "pipeline.outer"
    assert [(function, status) for function, _, status in project.ended()] == [("pipeline.fit", "complete")]
    assert project.steps()[0]["snapshot"] == project.context(0)["snapshot"]


def test_code_of_a_loaded_folder_never_takes_todays_names(project, scripts):
    change(project, 5)
    out = scripts(
        """
        import pipeline, prep
        from reprokit import snapshot
        snap = snapshot.load(snapshot.capture([pipeline, prep], 'snap'))
        snap.pipeline.save(1, 'snap.txt')
        print(snap.pipeline.fit(1))
        """
    )
    assert out == ["5"]
    commit = project.pre()["commit"]
    assert commit.startswith(f"{project.commit}-dirty-")
    assert project.context()["snapshot"]["files"] == 3
    assert (project.root / f"snap-{commit}-44136fa355.txt").exists()


def test_a_snapshot_in_the_project_makes_it_no_dirtier(project, scripts):
    scripts("import pipeline\nfrom reprokit import snapshot\nsnapshot.capture(pipeline, 'kept/code')")
    scripts("import pipeline; pipeline.fit(1)")
    assert project.pre()["commit"] == project.commit
    (project.root / "kept" / "mine.py").write_text("")
    scripts("import pipeline; pipeline.fit(1)")
    assert project.pre()["commit"].startswith(f"{project.commit}-dirty")


def test_an_edited_or_removed_checkout_is_made_again(project, scripts):
    change(project, 5)
    scripts("import reprokit as rk\nrk.at()")
    (folder,) = [path for path in (project.vault / "checkouts").iterdir() if path.is_dir()]
    (folder / "prep.py").write_text("def scale(x): return 'edited'\n")
    assert scripts("import reprokit as rk\nprint(rk.at().prep.scale(1))") == ["2"]
    shutil.rmtree(folder)
    assert scripts("import reprokit as rk\nprint(rk.at().prep.scale(1))") == ["2"]


def test_run_not_found(project, scripts):
    done = project.python("import reprokit as rk\nrk.at('ffff')", check=False)
    assert "RunNotFoundError: no run 'ffff'" in done.stderr


# --- files that are no longer what runs -------------------------------------------------------------------------------


def edited(project, code):
    """Run a script that edits files after their import; give what the record says."""
    project.python(code)
    return project.context()["stale"]


BODY = """
import time, pathlib
import prep, reprokit as rk
time.sleep(0.15)
{edit}
with rk.run("r"):
    pass
"""


@pytest.mark.parametrize(
    ("edit", "stale"),
    [
        ("pass", []),
        ("pathlib.Path('prep.py').write_text('def scale(x):\\n    return 3 * x\\n')", ["prep.py"]),
        ("pathlib.Path('prep.py').write_text('# moved\\ndef scale(x):\\n    return 2 * x\\n')", ["prep.py"]),
        ("pathlib.Path('prep.py').touch()", []),
        ("pathlib.Path('prep.py').unlink()", ["prep.py"]),
        ("pathlib.Path('prep.py').write_text('def scale(x:')", ["prep.py"]),
        ("pathlib.Path('other.py').write_text('X = 1')", []),
        ("p = pathlib.Path('script.py'); p.write_text(p.read_text() + '# more')", []),
        ("p = pathlib.Path('script.py'); p.write_text(p.read_text() + 'print(1)')", ["script.py"]),
        ("p = pathlib.Path('other.py'); p.write_text('X = 1'); import other; p.write_text('X = 2')", ["other.py"]),
        ("p = pathlib.Path('other.py'); p.write_text('X = 1'); import other", []),
    ],
)
def test_files_edited_after_their_import_are_recorded(project, scripts, edit, stale):
    assert edited(project, BODY.format(edit=edit)) == stale


def test_a_stale_file_is_told_by_a_warning(project, scripts):
    code = BODY.format(edit="pathlib.Path('prep.py').write_text('def scale(x): return 0\\n')")
    done = project.python(code)
    assert "prep.py was edited after this process had imported it" in done.stderr


def test_methods_decorated_functions_and_classes_are_compared(project):
    (project.root / "shapes.py").write_text(
        "import functools\nimport reprokit as rk\nclass A:\n    @property\n    def x(self): return 1\n    @classmethod\n    def y(cls): return 1\n"
        "@functools.lru_cache\ndef z(): return 1\n@rk.monitor\ndef w(): return 1\n"
    )
    for line in ("def x(self): return 1", "def y(cls): return 1", "def z(): return 1", "def w(): return 1"):
        edit = (
            f"p = pathlib.Path('shapes.py'); t = p.read_text(); p.write_text(t.replace({line!r}, {line[:-1] + '2'!r}))"
        )
        body = BODY.format(edit=edit).replace("import prep", "import shapes") + "\np.write_text(t)\n"
        assert edited(project, body) == ["shapes.py"], line
