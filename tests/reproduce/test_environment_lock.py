"""pylock.toml and requirements.txt, as installers read them."""

import subprocess
import sys
import tomllib

import pytest

from reprokit.model.records import Package
from reprokit.reproduce.environment import uv
from reprokit.reproduce.environment.lock import lock
from tests.reproduce.recorded import from_folder, from_git, needs_registry, project_files, record, run, write

COMMIT = "1e8c00ffdc65a4ddce04a2a98d0610859716f087"


@pytest.fixture
def bare(tmp_path):
    """An empty environment of this Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    return tmp_path / "bare" / "bin" / "python"


def names(locked):
    return [one["name"] for one in tomllib.loads(locked.pylock)["packages"]]


def valid(text):
    """The file follows the specification, as `packaging` checks it."""
    pylock = pytest.importorskip("packaging.pylock")
    found = pylock.Pylock.from_dict(tomllib.loads(text))
    found.validate()
    return found


@needs_registry
def test_uv_installs_from_the_pylock_and_checks_its_hashes(tmp_path, bare):
    made = lock(record("six==1.15.0", "attrs==22.1.0"))
    found = valid(made.pylock)
    assert [(one.name, str(one.version)) for one in found.packages] == [("attrs", "22.1.0"), ("six", "1.15.0")]
    assert all(len(wheel.hashes["sha256"]) == 64 for one in found.packages for wheel in one.wheels)
    assert made.notes == []
    file = tmp_path / "pylock.toml"
    file.write_text(made.pylock)
    command = [uv.find(), "pip", "install", "--quiet", "--python", str(bare), "-r", str(file)]
    subprocess.run(command, check=True, capture_output=True)
    assert run(bare, "import six, attr; print(six.__version__, attr.__version__)") == "1.15.0 22.1.0"
    (wheel,) = found.packages[1].wheels
    file.write_text(made.pylock.replace(wheel.hashes["sha256"], "0" * 64))
    refused = subprocess.run([*command, "--reinstall", "--refresh"], check=False, capture_output=True, text=True)
    assert refused.returncode != 0
    assert "ash" in refused.stderr


@needs_registry
def test_pip_installs_from_the_requirements(tmp_path):
    made = lock(record("six==1.15.0", from_git("mine", "0.3", "https://host/x.git", COMMIT)))
    file = tmp_path / "requirements.txt"
    file.write_text(made.requirements)
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--target",
        str(tmp_path / "t"),
        "-r",
        str(file),
    ]
    subprocess.run(command, check=True, capture_output=True)
    assert sorted(one.name for one in (tmp_path / "t").glob("*.dist-info")) == ["six-1.15.0.dist-info"]
    assert f"# not from an index: mine @ git+https://host/x.git@{COMMIT}" in made.requirements


@needs_registry
def test_wheels_of_all_platforms_are_locked():
    (found,) = valid(lock(record("numpy==1.26.4", version="3.11.7")).pylock).packages
    said = " ".join(wheel.url for wheel in found.wheels)
    assert all(system in said for system in ("manylinux", "macosx", "win_amd64"))


@needs_registry
def test_what_the_index_lacks_is_left_out_and_named():
    made = lock(record("six==1.15.0", "attrs==22.9.9", "torch==2.3.0+cu121"))
    assert names(made) == ["six"]
    assert [note.split(": ")[0] for note in made.notes] == ["attrs 22.9.9", "torch 2.3.0+cu121"]
    assert all(f"# {note}\n" in made.pylock for note in made.notes)
    assert "torch==2.3.0+cu121\n" in made.requirements


@needs_registry
def test_without_uv_pip_gives_the_hashes(monkeypatch):
    monkeypatch.setattr(uv, "find", lambda: None)
    (found,) = valid(lock(record("six==1.15.0")).pylock).packages
    (wheel,) = found.wheels
    assert wheel.hashes["sha256"] == "8b74bedcbbbaca38ff6d7491d76f2b06b3592611af620f8426e82dddb04a5ced"


def test_what_came_from_no_index_is_locked_as_what_it_is(tmp_path, bare):
    """A repository by its commit, an archive by its hash, a folder of the project by its path; uv installs the folder."""
    root = tmp_path / "project"
    write(root, project_files("mine", "0.3", "here"))
    archive = {"url": "https://user:hidden@host/a.tar.gz", "archive_info": {"hashes": {"sha256": "a" * 64}}}
    recorded = record(
        Package(name="packed", version="1", direct_url=archive),
        from_folder("mine", "0.3", root, editable=True),
        from_git("lib", "2", "ssh://host/lib.git", COMMIT),
        from_folder("elsewhere", "1", "/other", editable=False),
        root=root,
    )
    made = lock(recorded, folder=tmp_path / "out")
    lib, mine, packed = valid(made.pylock).packages
    assert (lib.vcs.type, lib.vcs.url, lib.vcs.commit_id) == ("git", "ssh://git@host/lib.git", COMMIT)
    assert (mine.directory.path, mine.directory.editable) == ("../project", True)
    assert packed.archive.hashes == {"sha256": "a" * 64}
    assert ["elsewhere" in note for note in made.notes] == [True]
    assert "hidden" not in made.pylock + made.requirements
    if uv.find() is not None:
        alone = lock(record(from_folder("mine", "0.3", root, editable=True), root=root), folder=tmp_path / "out")
        write(tmp_path / "out", {"pylock.toml": alone.pylock})
        file = str(tmp_path / "out" / "pylock.toml")
        subprocess.run(
            [uv.find(), "pip", "install", "-q", "--python", str(bare), "-r", file], check=True, capture_output=True
        )
        assert run(bare, "import mine; print(mine.SAID)") == "here"


def test_offline_what_is_in_no_cache_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    made = lock(record("six==1.15.0", "attrs==22.1.0"), offline=True)
    assert names(made) == []
    assert [note.split(":")[0] for note in made.notes] == ["attrs 22.1.0", "six 1.15.0"]
    assert made.requirements.splitlines()[1:] == ["attrs==22.1.0", "six==1.15.0"]


def test_reprokit_is_never_taken_from_an_index_where_that_name_is_another_projects():
    made = lock(record("reprokit==0.1.0"))
    assert names(made) == []
    assert "another project" in made.notes[0]
    assert not [one for one in made.requirements.splitlines() if not one.startswith("#")]


def test_a_hostile_record_adds_no_line():
    """Neither to the requirements nor to the lock's comments and tables."""
    evil = "x\n--index-url=https://evil\n[[packages]]\nname = 'evil'"
    direct = {"url": evil, "dir_info": {"editable": True}}
    made = lock(record(Package(name=evil, version=evil), Package(name="a", version="1", direct_url=direct)))
    assert names(made) == []
    assert all(one.startswith("#") for one in made.requirements.splitlines())
