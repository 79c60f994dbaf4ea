"""Which run made a file: found by content, tag inside, side-car or name, wherever the file went."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile

import pytest

from reprokit.catalog import inside, recipe, whence
from reprokit.catalog.index import Index
from tests.catalog.made_up import MadeVault, artifact
from tests.conftest import git

MAKE = """
import sys, reprokit as rk
@rk.monitor
@rk.snapshot_code
@rk.Artifact("o", config={"n": int(sys.argv[1])}, allow_dirty=True)
def save(text, o):
    open(o, "w").write(text)
with rk.run("outer"):
    save(sys.argv[2], "fig.txt")
"""


def ask(vault, path):
    with Index.open(vault) as index:
        return whence.whence(index, path)


def made(project, number="1", text="picture"):
    project.python(MAKE, number, text)
    return max(project.root.glob("fig-*.txt"), key=lambda path: path.stat().st_mtime_ns)


def test_a_file_is_found_by_its_content_after_a_rename_a_move_and_without_its_side_car(project, tmp_path):
    path = made(project)
    mail = tmp_path / "mail" / "Figure 3 (final).txt"
    mail.parent.mkdir()
    shutil.move(path, mail)
    origin = ask(project.vault, mail)
    assert origin.how == "content"
    assert origin.changed is False
    assert origin.run.function == "__main__.save"
    assert origin.run.root.what == "outer"
    assert origin.artifact.path == path.name
    assert origin.also == []


def test_the_command_tells_code_config_environment_and_how_to_make_it_again(project, tmp_path):
    path = made(project)
    slide = tmp_path / "slide.txt"
    shutil.copy(path, slide)
    done = project.reprokit("whence", str(slide))
    assert done.returncode == 0, done.stderr
    assert "__main__.save" in done.stdout
    assert f"written as {path.name}" in done.stdout
    assert git(project.root, "rev-parse", "HEAD").strip() in done.stdout
    assert '{"n": 1}' in done.stdout
    assert "packages" in done.stdout
    assert "snapshot export" in done.stdout
    as_json = json.loads(project.reprokit("whence", "--json", str(slide)).stdout)
    assert as_json["how"] == "content"
    assert as_json["changed"] is False
    assert len(as_json["run"]) == 32


def test_the_commands_that_it_prints_make_the_same_file_again(project):
    path = made(project, text="again")
    wanted = path.read_text()
    for line in project.reprokit("whence", path.name).stdout.splitlines():
        if line.startswith(("again", " " * 13)):
            command = line[13:].strip()
            if command.startswith("cd "):
                os.chdir(command[3:])
            else:
                words = command.split()
                if words[0] == "reprokit":
                    assert project.reprokit(*words[1:]).returncode == 0
                else:
                    subprocess.run(words, check=True, env={**os.environ, "PYTHONPATH": _source()})
    again = project.root / "restored" / path.name.replace(path.name.split("-", 1)[1], "")
    (found,) = again.parent.glob("fig-*.txt")
    assert found.read_text() == wanted


def _source():
    from tests.conftest import SOURCE

    return str(SOURCE)


def test_a_changed_file_is_found_by_its_side_car_and_said_to_be_changed(project):
    path = made(project)
    path.write_text("retouched")
    origin = ask(project.vault, path)
    assert (origin.how, origin.changed) == ("side-car", True)
    os.remove(f"{path}.run.json")
    origin = ask(project.vault, path)
    assert (origin.how, origin.changed) == ("name", True)
    assert "was changed since" in project.reprokit("whence", path.name).stdout


def test_a_file_that_is_gone_is_found_by_its_name(project):
    path = made(project)
    path.unlink()
    os.remove(f"{path}.run.json")
    origin = ask(project.vault, path)
    assert (origin.how, origin.changed, origin.digest) == ("name", None, None)


def test_a_name_whose_stem_no_run_made_under_its_tag_is_of_no_run(project):
    path = made(project)
    other = path.with_name(path.name.replace("fig-", "picture-"))
    path.rename(other)
    other.write_text("changed")
    origin = ask(project.vault, other)
    assert (origin.how, origin.run, origin.changed) == (None, None, None)
    assert [(one.what, one.path) for one in origin.candidates] == [("__main__.save", path.name)]
    done = project.reprokit("whence", other.name)
    assert done.returncode == 1
    assert "under the commit and config in its name these files were made" in done.stdout
    assert path.name in done.stdout
    assert "changed since" not in done.stdout


def test_a_side_car_answers_for_its_file(project):
    path = made(project)
    origin = ask(project.vault, f"{path}.run.json")
    assert (origin.how, origin.path, origin.changed) == ("content", str(path), False)


TWO = """
import reprokit as rk
from PIL import Image
@rk.Artifact("o", config={"n": 5}, embed=True, allow_dirty=True)
def draw(o, color="red"): Image.new("RGB", (4, 4), color).save(o)
@rk.Artifact("o", config={"n": 5}, embed=True, allow_dirty=True)
def chart(o): Image.new("RGB", (4, 4), "blue").save(o)
draw("fig.png")
chart("map.png")
draw("fig.png", color="green")
"""


def test_several_functions_under_one_tag_are_all_named_unless_the_name_tells(project, tmp_path):
    pytest.importorskip("PIL")
    project.python(TWO)
    (path,) = project.root.glob("fig-*.png")
    (other,) = project.root.glob("map-*.png")

    def edited(name, folder=tmp_path):
        target = folder / name
        target.write_bytes(path.read_bytes() + b"trailing")
        return target

    slide = edited("slide.png")
    origin = ask(project.vault, slide)
    assert (origin.how, origin.run, origin.changed) == ("embedded tag", None, None)
    assert [(one.what, one.path) for one in origin.candidates] == [
        ("__main__.draw", path.name),
        ("__main__.chart", other.name),
    ]
    done = project.reprokit("whence", str(slide))
    assert done.returncode == 0, done.stderr
    assert "was made by one of these, same commit and config:" in done.stdout
    assert "changed since" not in done.stdout
    assert len(json.loads(project.reprokit("whence", "--json", str(slide)).stdout)["candidates"]) == 2
    done = project.reprokit("show", str(slide))
    assert done.returncode == 1
    assert "fits 2 runs" in done.stderr
    for name, function, changed in (("fig.png", "draw", None), ("map.png", "chart", None), (path.name, "draw", True)):
        origin = ask(project.vault, edited(name))
        assert (origin.run.function, origin.changed) == (f"__main__.{function}", changed)
    renamed = edited("renamed.png")
    shutil.copy(f"{other}.run.json", f"{renamed}.run.json")
    assert ask(project.vault, renamed).run.function == "__main__.chart"
    talk = tmp_path / "talk.pptx"
    with zipfile.ZipFile(talk, "w") as document:
        document.write(slide, "ppt/media/image1.png")
    done = project.reprokit("whence", str(talk))
    assert "one of these" in done.stdout


def test_of_equal_names_in_several_folders_the_place_decides(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    name = "fig-1a2b3c4-44136fa355.png"
    vault.run("first.draw", artifacts=[artifact(f"a/{name}")])
    vault.run("second.draw", artifacts=[artifact(f"b/{name}")])
    for folder, what in (("a", "first.draw"), ("b", "second.draw")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("edited")
        assert ask(vault.path, tmp_path / folder / name).run.what == what
    (tmp_path / name).write_text("edited")
    origin = ask(vault.path, tmp_path / name)
    assert origin.run is None
    assert {one.what for one in origin.candidates} == {"first.draw", "second.draw"}


def test_a_document_without_made_files_says_so(project, tmp_path):
    made(project)
    talk = tmp_path / "talk.pptx"
    with zipfile.ZipFile(talk, "w") as document:
        document.writestr("ppt/media/image1.png", b"of nobody")
    done = project.reprokit("whence", str(talk))
    assert done.returncode == 1
    assert "files inside it were looked at" in done.stdout


def test_a_changed_picture_is_found_by_the_tag_inside_it(project, tmp_path):
    pytest.importorskip("PIL")
    project.python(
        "import reprokit as rk\nfrom PIL import Image\n"
        "@rk.Artifact('o', config={'n': 5}, embed=True, allow_dirty=True)\n"
        "def draw(o): Image.new('RGB', (4, 4), 'red').save(o)\n"
        "draw('fig.png')\n"
    )
    (path,) = project.root.glob("fig-*.png")
    assert ask(project.vault, path).how == "content"
    slide = tmp_path / "slide.png"
    slide.write_bytes(path.read_bytes() + b"trailing")  # what a mail program or a slide may add
    origin = ask(project.vault, slide)
    assert (origin.how, origin.changed) == ("embedded tag", True)
    assert origin.run.config == {"n": 5}


def test_several_runs_that_made_the_same_are_all_told_and_the_one_of_that_name_comes_first(project):
    first = made(project, "1", "same")
    second = made(project, "2", "same")
    assert ask(project.vault, first).run.config == {"n": 1}
    origin = ask(project.vault, second)
    assert origin.run.config == {"n": 2}
    assert len(origin.also) == 1


def test_a_file_that_runs_only_read_says_which(project):
    (project.root / "data.csv").write_text("1,2")
    project.python("import reprokit as rk\nwith rk.run('reads') as ctx: ctx.use('data.csv')\n")
    origin = ask(project.vault, "data.csv")
    assert origin.run is None
    assert len(origin.used_by) == 1
    done = project.reprokit("whence", "data.csv")
    assert done.returncode == 1
    assert "it was read by" in done.stdout


def test_a_file_of_another_vault_is_told_from_its_side_car(project, tmp_path):
    path = made(project)
    other = tmp_path / "other"
    other.mkdir()
    (other / "reprokit.toml").write_text("")
    MadeVault(other / "vault")
    for name in (path.name, f"{path.name}.run.json"):
        shutil.copy(project.root / name, other / name)
    origin = ask(other / "vault", other / path.name)
    assert origin.run is None
    assert (origin.how, origin.changed) == ("side-car", False)
    done = project.reprokit("whence", path.name, cwd=other)
    assert done.returncode == 1
    assert "__main__.save" in done.stdout
    assert "--vault" in done.stderr
    assert project.reprokit("whence", path.name, "--vault", str(project.vault), cwd=other).returncode == 0


def test_a_folder_is_found_by_all_that_is_in_it(project, tmp_path):
    project.python(
        "import os, reprokit as rk\n@rk.Artifact('o', allow_dirty=True)\n"
        "def save(o):\n    os.makedirs(o)\n    open(o + '/a', 'w').write('1')\nsave('out')\n"
    )
    (path,) = [path for path in project.root.glob("out-*") if path.is_dir()]
    copy = tmp_path / "elsewhere"
    shutil.copytree(path, copy)
    assert ask(project.vault, copy).how == "content"
    (copy / "b").write_text("2")
    assert ask(project.vault, copy).run is None


def test_pictures_in_slides_are_found_by_their_content(project, tmp_path):
    first, second = made(project, "1", "one"), made(project, "2", "two")
    talk = tmp_path / "talk.pptx"
    with zipfile.ZipFile(talk, "w", zipfile.ZIP_DEFLATED) as document:
        document.writestr("ppt/slides/slide1.xml", "<p/>")
        document.write(first, "ppt/media/image1.png")
        document.write(second, "ppt/media/image2.png")
        document.writestr("ppt/media/image3.png", b"of nobody")
    done = project.reprokit("whence", str(talk))
    assert done.returncode == 0, done.stderr
    assert "holds 2 file(s)" in done.stdout
    assert first.name in done.stdout
    document = json.loads(project.reprokit("whence", "--json", str(talk)).stdout)
    assert [one["member"] for one in document["inside"]] == ["ppt/media/image1.png", "ppt/media/image2.png"]
    data = talk.read_bytes()
    for length in range(0, len(data), 37):
        talk.write_bytes(data[:length] + b"\xff" * 20)
        assert project_inside(project.vault, talk) <= {"ppt/media/image1.png", "ppt/media/image2.png"}


def project_inside(vault, path):
    with Index.open(vault) as index:
        return {one.member for one in inside.inside(index, path)}


def test_a_document_that_unpacks_to_far_more_than_it_is_stays_within_bounds(project, tmp_path, monkeypatch):
    made(project)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as document:
        for number in range(20):
            document.writestr(f"{number}", b"\0" * 3_000_000)
    monkeypatch.setattr(inside, "_ALL", 10_000_000)
    unpacked = []
    real = inside.whence.whence
    monkeypatch.setattr(inside.whence, "whence", lambda index, path: unpacked.append(path) or real(index, path))
    assert project_inside(project.vault, bomb) == set()
    assert len(unpacked) == 3


def test_what_an_interrupted_run_was_writing_leads_to_it(tmp_path):
    vault = MadeVault(tmp_path / "vault")
    vault.run(
        run_id="ee" * 16, ended=False, artifacts=[artifact("half-1a2b3c4-44136fa355.png", digest=None, size=None)]
    )
    half = tmp_path / "half-1a2b3c4-44136fa355.png"
    half.write_bytes(b"torn")
    origin = ask(vault.path, half)
    assert (origin.how, origin.run.run_id, origin.changed) == ("name", "ee" * 16, None)


def test_an_unknown_file_says_what_was_tried(project):
    (project.root / "unknown.bin").write_bytes(b"?")
    done = project.reprokit("whence", "unknown.bin")
    assert done.returncode == 1
    assert "no run" in done.stdout
    assert "side-car" in done.stdout
    assert project.reprokit("whence", "nowhere.bin").returncode == 1
    done = project.reprokit("whence", "odd\x1bname\udcff", text=False)
    assert b"Traceback" not in done.stderr
    assert b"\x1b" not in done.stdout


def test_hostile_files_beside_it_run_nothing_and_raise_nothing(project):
    path = made(project)
    path.write_text("changed")
    side = project.root / f"{path.name}.run.json"
    for content in (b"", b"\0", b"[" * 100_000, b'{"schema": "reprokit/run/99"}', b'{"run_id": "../x"}'):
        side.write_bytes(content)
        assert ask(project.vault, path).how == "name"
    side.unlink()
    os.mkfifo(side)
    assert ask(project.vault, path).how == "name"


def test_a_recipe_without_code_says_nothing_rather_than_something_wrong(project):
    project.python("import reprokit as rk\nwith rk.run('x'): pass\n")  # script.py itself is uncommitted, no snapshot
    with Index.open(project.vault) as index:
        run = index.run(1)
    lines = recipe.recipe(run)
    assert lines == [] or any(line.startswith("git -C restored apply") for line in lines)
