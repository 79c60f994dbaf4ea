"""A call that was made before is answered by its result, and by nothing else."""

from __future__ import annotations

import json
import os

import pytest

from tests.conftest import git
from tests.reuse.conftest import write

PREP = """
    def clean(x):
        return x * 2
"""
LIB = """
    import reprokit as rk
    from prep import clean

    CFG = {"lr": 0.1}

    @rk.Artifact("outpath", config=CFG, exists="reuse")
    def train(data_path, outpath):
        print("RUN")
        with open(data_path) as source, open(outpath, "w") as target:
            target.write(f"{source.read()}{clean(2)}")
        return {"path": outpath, "lr": CFG["lr"]}
"""
CALL = "from lib import train; print(train('data.csv', 'model.txt')['path'])"


@pytest.fixture
def made(project, session):
    """A project in which train() ran once."""
    write(project, {"prep.py": PREP, "lib.py": LIB, "data.csv": "a,b\n"})
    assert session(CALL)[0] == "RUN"
    return project


def name(project, hexadecimal="9c9ba942d8"):
    return f"model-{project.commit}-{hexadecimal}.txt"


def entries(project):
    return [
        json.loads(line.partition(" ")[2])
        for path in project.vault.glob("reuse/*/*.jsonl")
        for line in path.read_text().splitlines()
        if line
    ]


def journal(project, event):
    lines = [line for path in project.vault.glob("journal/*") for line in path.read_text().splitlines()]
    return [one for one in map(json.loads, lines) if one["event"] == event]


def test_the_same_call_in_another_process_gives_the_same_file_and_value(made, session):
    before = (made.root / name(made)).stat()
    assert session(CALL) == [name(made)]
    assert session("from lib import train; print(train(outpath='model.txt', data_path='data.csv'))") == [
        str({"path": name(made), "lr": 0.1})
    ]
    after = (made.root / name(made)).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert len(made.folders) == 1
    hits = journal(made, "reuse")
    assert [one["run_id"] for one in hits] == [made.pre()["run_id"]] * 2
    assert all(one["saved"] >= 0 and one["folder"] == made.folders[0].name for one in hits)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("prep.py", "x * 2", "x * 3"),
        ("lib.py", "0.1", "0.2"),
        ("lib.py", "source.read()", "source.read(3)"),
        ("lib.py", "clean(2)", "clean(3)"),
        ("data.csv", "a,b", "a,c"),
        ("lib.py", '"lr": CFG["lr"]', '"lr": 1'),
    ],
)
def test_a_change_of_what_it_depends_on_has_it_run(made, session, file, old, new):
    text = (made.root / file).read_text()
    assert old in text
    write(made, {file: text.replace(old, new)})
    assert session(CALL)[0] == "RUN"
    write(made, {file: text})  # and back: the first result is still known
    assert session(CALL) == [name(made)]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("prep.py", "return x * 2", "# twice\n\n    return x*2"),
        ("lib.py", "def train(", "# here\ndef train("),
        ("lib.py", "def train(data_path, outpath):", 'def train(data_path, outpath):\n    "Say what it does."'),
        ("lib.py", "import reprokit as rk", "import reprokit as rk\nimport json\nUNUSED = 3"),
        ("README", "", "hello"),
    ],
)
def test_a_change_of_anything_else_has_it_not_run(made, session, file, old, new):
    path = made.root / file
    text = path.read_text() if path.exists() else ""
    first = (made.root / name(made)).read_text()
    write(made, {file: text.replace(old, new) if old else new})
    assert session(CALL) == [name(made)]
    assert (made.root / name(made)).read_text() == first


# --- under another commit ----------------------------------------------------------------------------------------------


def test_under_another_commit_the_file_gets_its_new_name_a_side_car_and_a_record(made, session):
    original = made.pre()["run_id"]
    write(made, {"README": "hello"})
    assert session(CALL) == [name(made)]
    sidecar = json.loads((made.root / f"{name(made)}.run.json").read_text())
    assert (sidecar["reused_from"], sidecar["run_id"]) == (original, made.pre()["run_id"])
    assert made.pre()["run_id"] != original
    post = made.post()
    assert (post["status"], post["reused_from"], post["reuse"]) == ("complete", original, None)
    roles = {one["path"]: (one["role"], one["digest"]) for one in post["artifacts"]}
    assert roles[name(made)] == ("generated", made.post(0)["artifacts"][0]["digest"])
    assert roles["data.csv"][0] == "used"
    # From now on that file is there as well, and a hit writes nothing.
    assert session(CALL) == [name(made)]
    assert len(made.folders) == 2
    assert {one["run_id"] for one in journal(made, "reuse")} == {original}


def test_a_writable_file_is_copied_and_a_read_only_one_is_linked(made, session):
    first = made.root / name(made)
    write(made, {"README": "1"})
    session(CALL)
    second = made.root / name(made)
    assert first.stat().st_ino != second.stat().st_ino
    second.chmod(0o444)
    write(made, {"README": "2"})
    session(CALL)
    third = made.root / name(made)
    assert third.stat().st_ino == second.stat().st_ino
    assert first.read_text() == third.read_text()


@pytest.mark.parametrize(("link", "shared"), [("always", True), ("never", False)])
def test_the_settings_say_which_files_are_linked(made, session, link, shared):
    first = made.root / name(made)
    first.chmod(0o444 if link == "never" else 0o644)
    write(made, {"reprokit.toml": f'[reuse]\nlink = "{link}"\n'})
    session(CALL)
    assert (first.stat().st_ino == (made.root / name(made)).stat().st_ino) is shared


def test_when_the_earlier_name_is_gone_any_other_will_do(made, session):
    first = made.root / name(made)
    write(made, {"README": "1"})
    session(CALL)
    first.unlink()
    write(made, {"README": "2"})
    assert session(CALL) == [name(made)]
    for path in made.root.glob("model-*.txt"):
        path.unlink()
    write(made, {"README": "3"})
    assert session(CALL)[0] == "RUN"


def test_the_vault_s_copy_gives_a_file_back_and_what_stands_there_is_kept(made, session):
    write(made, {"lib.py": LIB.replace('exists="reuse"', 'exists="reuse", copy=True')})
    assert session(CALL) == [name(made)]  # put there by the run before; kept now
    path = made.root / name(made)
    content = path.read_text()
    for other in made.root.glob("model-*.txt"):
        other.write_text("retouched")
    assert session(CALL) == [name(made)]
    assert path.read_text() == content
    blobs = [one.read_text() for one in made.vault.glob("blobs/sha256/*/*") if one.is_file()]
    assert "retouched" in blobs


def test_a_file_that_was_changed_is_made_again_where_no_copy_is_left(made, session):
    path = made.root / name(made)
    content = path.read_text()
    path.write_text("retouched")
    assert session(CALL)[0] == "RUN"
    assert path.read_text() == content


def test_what_somebody_made_of_a_file_is_kept_before_it_is_made_again(made, session):
    path = made.root / name(made)
    path.write_text("retouched")
    told = session("import warnings; warnings.simplefilter('error')\n" + CALL)
    assert told[0] == "RUN"
    kept = [one.read_text() for one in made.vault.glob("blobs/sha256/*/*") if one.is_file()]
    assert kept == ["retouched"]


def test_a_change_that_leaves_size_and_time_is_noticed_by_the_next_process_and_by_this_one(made, session):
    path = made.root / name(made)
    state, content = path.stat(), path.read_text()
    path.write_text("x" * len(content))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert session(CALL)[0] == "RUN"
    assert path.read_text() == content
    assert session(
        """
        import os
        from lib import train
        path = train('data.csv', 'model.txt')['path']
        state = os.stat(path)
        with open(path, 'r+') as stream:
            stream.write('x')
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        train('data.csv', 'model.txt')
        """
    ) == ["RUN"]


def test_a_result_whose_run_is_no_longer_recorded_is_not_used(made, session):
    import shutil

    shutil.rmtree(made.folders[0])
    assert session(CALL)[0] == "RUN"


def test_a_failed_or_interrupted_run_counts_for_nothing(project, session):
    write(
        project,
        {
            "lib.py": """
                import os
                import reprokit as rk

                @rk.Artifact("outpath", exists="reuse")
                def save(outpath):
                    print("RUN", flush=True)
                    with open(outpath, "w") as stream:
                        stream.write("half")
                    if os.path.exists("fail"):
                        raise ValueError("failed")
                    if os.path.exists("die"):
                        os._exit(3)
                """
        },
    )
    call = "from lib import save; save('o.txt')"
    for why in ("fail", "die"):
        (project.root / why).touch()
        for _ in range(2):
            assert session(call, check=False) == ["RUN"]
        (project.root / why).unlink()
    assert session(call) == ["RUN"]
    assert session(call) == []


# --- forms of outputs ----------------------------------------------------------------------------------------------------


FORMS = """
    import os
    import reprokit as rk

    @rk.Artifact("paths", exists="reuse")
    def many(paths):
        print("RUN")
        for number, path in enumerate(paths.values() if isinstance(paths, dict) else paths):
            with open(path, "w") as stream:
                stream.write(str(number))
        return paths

    @rk.Artifact("folder", exists="reuse")
    def tree(folder):
        print("RUN")
        os.makedirs(os.path.join(folder, "sub"))
        for place in ("a", "sub/b"):
            with open(os.path.join(folder, place), "w") as stream:
                stream.write(place)

    @rk.Artifact("path", exists="reuse")
    def by_suffix(path):
        print("RUN")
        with open(path, "w") as stream:
            stream.write(os.path.splitext(path)[1])

    @rk.Artifact("path", exists="reuse")
    def beside(path):
        print("RUN")
        with open(path, "w") as stream:
            stream.write("1")
        with open(rk.current().artifact("log.txt"), "w") as stream:
            stream.write("2")
        with open("plain.dat", "w") as stream:
            stream.write("3")

    @rk.cache
    def around():
        print("RUN")
        beside("inner.txt")
        return 5
"""


def test_lists_and_dicts_of_outputs_come_back_each_under_its_name(project, session):
    write(project, {"lib.py": FORMS})
    code = "from lib import many; print(*many(['a.txt', 'b.txt'])); print(many({'x': 'out/c.txt', 'y': 'd.txt'})['x'])"
    (project.root / "out").mkdir()
    session(code)
    write(project, {"README": "1"})
    told = session(code)
    assert "RUN" not in told
    first, second = told[0].split()
    assert [(project.root / one).read_text() for one in (first, second, told[1])] == ["0", "1", "0"]
    assert all(project.commit in one for one in (first, second, told[1]))


def test_a_folder_comes_back_whole(project, session):
    write(project, {"lib.py": FORMS, ".gitignore": "vault/\nout*\n__pycache__\n"})
    session("from lib import tree; tree('out')")
    write(project, {"README": "1"})
    assert session("from lib import tree; tree('out')") == []
    (folder,) = project.root.glob(f"out-{project.commit}-*/")
    assert (folder / "sub" / "b").read_text() == "sub/b"
    (folder / "sub" / "b").write_text("other")
    for other in project.root.glob("out-*/"):
        (other / "a").unlink()
    assert session(
        "import shutil, glob; from lib import tree; [shutil.rmtree(f) for f in glob.glob('out-*/')]; tree('out')"
    ) == ["RUN"]


def test_a_path_with_another_suffix_is_another_call_and_one_with_another_stem_is_not(project, session):
    write(project, {"lib.py": FORMS, ".gitignore": "vault/\n*-*\n__pycache__\n"})
    assert (
        session("from lib import by_suffix; by_suffix('a.txt'); by_suffix('a.csv'); by_suffix('b.txt')") == ["RUN"] * 2
    )
    (path,) = project.root.glob("b-*.txt")
    assert path.read_text() == ".txt"


def test_outputs_that_no_argument_names_have_to_be_there_too(project, session):
    write(project, {"lib.py": FORMS, ".gitignore": "vault/\n*-*\n__pycache__\n*.dat\n"})
    call = "from lib import beside; beside('a.txt')"
    assert session(call) == ["RUN"]
    assert session(call) == []
    (project.root / "plain.dat").unlink()
    assert session(call) == ["RUN"]
    write(project, {"README": "1"})
    assert session(call) == []
    (log,) = project.root.glob(f"log-{project.commit}-*.txt")
    assert log.read_text() == "2"


def test_outputs_of_runs_inside_are_outputs(project, session):
    write(project, {"lib.py": FORMS, ".gitignore": "vault/\n*-*\n__pycache__\n*.dat\n"})
    call = "from lib import around; print(around())"
    assert session(call) == ["RUN", "RUN", "5"]
    assert session(call) == ["5"]
    write(project, {"README": "1"})
    assert session(call) == ["5"]
    assert len(list(project.root.glob(f"inner-{project.commit}-*.txt"))) == 1
    for path in project.root.glob("inner-*.txt"):
        path.unlink()
    assert session(call) == ["RUN", "RUN", "5"]


def test_nothing_is_used_again_when_the_settings_forbid_it_and_all_when_they_ask_for_it(made, session):
    assert session(CALL, REPROKIT_REUSE="0")[0] == "RUN"
    write(made, {"lib.py": LIB.replace(', exists="reuse"', "")})
    assert session(CALL)[0] == "RUN"
    assert session(CALL, REPROKIT_EXISTS="reuse") == [name(made)]  # what the decorators say is no part of the code


def test_a_dirty_repository_is_refused_as_ever(made, session):
    (made.root / "prep.py").write_text("def clean(x):\n    return 0\n")
    told = session(CALL, check=False)
    assert told == []
    git(made.root, "checkout", "-q", "prep.py")
    assert session(CALL) == [name(made)]
