"""Environments that are really built: other versions, other Pythons, from an index, repositories, snapshots and wheels."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from reprokit._version import __version__
from reprokit.capture import environment, host
from reprokit.errors import EnvironmentBuildError
from reprokit.reproduce.environment import own, uv
from reprokit.reproduce.environment.build import build
from reprokit.reproduce.environment.differences import differences
from tests.conftest import SOURCE, git
from tests.reproduce.recorded import (
    from_folder,
    from_git,
    has_python,
    needs_registry,
    project_files,
    record,
    run,
    wheel,
    write,
)

needs_uv = pytest.mark.skipif(uv.find() is None, reason="uv is not there")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    if (binary := uv.find()) is not None:  # uv's own cache stays where it is
        told = subprocess.run([binary, "cache", "dir"], check=True, capture_output=True, text=True)
        monkeypatch.setenv("UV_CACHE_DIR", told.stdout.strip())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def wheels(tmp_path):
    """A folder with wheels of what this reprokit needs, and of "tiny" 1.0."""
    folder = tmp_path / "wheels"
    for one in own.lacking([])[0]:
        wheel(folder, one.name, one.version)
    wheel(folder, "tiny", "1.0")
    return folder


def folders(tmp_path):
    return sorted(one.name for one in (tmp_path / "cache" / "reprokit" / "environments").iterdir() if one.is_dir())


# --- from the registry ---------------------------------------------------------------------------------------------


@needs_registry
@pytest.mark.parametrize("version", [None, "3.12.1", "3.13.0"])
def test_the_recorded_versions_are_installed_for_the_recorded_python(version):
    """The environment differs from the current one, holds just what was recorded, and runs this reprokit."""
    if version is not None and not has_python(version):
        pytest.skip(f"pyenv has no {version}")
    before = list(environment.packages())
    recorded = record("six==1.15.0", "attrs==22.1.0", f"reprokit=={__version__}", version=version)
    built = build(recorded)
    said = run(
        built.python,
        "import sys, six, attr, reprokit, git, rich.markdown; print(sys.version.split()[0], six.__version__, attr.__version__, reprokit.__version__, "
        "reprokit.run.__name__, sys.prefix)",
    )
    wanted = version or host.platform_info().python.version
    assert said == f"{wanted} 1.15.0 22.1.0 {__version__} run {built.folder}"
    found = differences(recorded, built.python)
    assert found.python is None
    assert [change for change in found.packages if change.kind != "added"] == []  # added: what reprokit needs
    environment._known = None
    assert environment.packages() == before
    script = subprocess.run(
        [built.folder / "bin" / "reprokit", "--version"], capture_output=True, text=True, check=True
    )
    assert __version__ in script.stdout


@needs_registry
def test_an_older_numpy_computes_there():
    built = build(record("numpy==1.26.4"))
    assert run(built.python, "import numpy; print(numpy.__version__, numpy.arange(5).sum())") == "1.26.4 10"


@needs_registry
def test_what_can_not_be_had_is_all_named_and_the_rest_goes_on_with_best_effort():
    recorded = record("six==1.15.0", "attrs==22.9.9", "torch==2.3.0+cu121", "reprokit-no-such-thing==1")
    with pytest.raises(EnvironmentBuildError) as caught:
        build(recorded)
    said = str(caught.value)
    assert len(caught.value.missing) == 3
    assert "no version of attrs==22.9.9" in said
    assert "torch" in said
    assert "index of its own" in said
    assert "reprokit-no-such-thing" in said
    assert "six" not in said
    built = build(recorded, best_effort=True)
    assert sorted(one.name for one in built.missing) == ["attrs", "reprokit-no-such-thing", "torch"]
    assert run(built.python, "import six; print(six.__version__)") == "1.15.0"


@needs_registry
@pytest.mark.slow
def test_forty_packages_of_this_environment_are_built_again():
    packages = [one for one in environment.packages() if one.direct_url is None and one.name != "torch"][:40]
    recorded = record(*packages)
    built = build(recorded)
    assert {one.kind for one in differences(recorded, built.python).packages} <= {"added"}


@needs_registry
@pytest.mark.slow
def test_pip_builds_the_same_environment():
    recorded = record("six==1.15.0", "attrs==22.1.0")
    first = build(recorded, tool="pip")
    assert run(first.python, "import six, reprokit; print(six.__version__)") == "1.15.0"
    assert [change for change in differences(recorded, first.python).packages if change.kind != "added"] == []


# --- from repositories and snapshots -------------------------------------------------------------------------------


@needs_registry
def test_a_repository_is_installed_at_the_recorded_revision_after_it_has_moved_on(make_repo, tmp_path):
    root = make_repo(tmp_path / "lib", project_files("mylib", "0.1", "then"))
    commit = git(root, "rev-parse", "HEAD").strip()
    write(root, project_files("mylib", "0.2", "now"))
    git(root, "commit", "-qam", "on")
    bare = tmp_path / "lib.git"
    git(tmp_path, "clone", "-q", "--bare", str(root), str(bare))
    built = build(record(from_git("mylib", "0.1", bare.as_uri(), commit)))
    assert run(built.python, "import mylib; print(mylib.SAID)") == "then"


@needs_registry
def test_an_editable_outside_the_project_is_installed_from_its_recorded_revision(make_repo, tmp_path):
    from reprokit.model.records import GitInfo

    root = make_repo(tmp_path / "lib", project_files("mylib", "0.1", "then"))
    commit = git(root, "rev-parse", "HEAD").strip()
    write(root, project_files("mylib", "0.1", "now"))
    package = from_folder("mylib", "0.1", root, editable=True)
    with pytest.raises(EnvironmentBuildError, match=r"mylib 0\.1: .*outside the project, and no revision was recorded"):
        build(record(package))
    state = {"lib": GitInfo(path=str(root), sha=commit, branch="main", dirty=True)}
    built = build(record(package, git=state))
    assert run(built.python, "import mylib; print(mylib.SAID)") == "then"
    assert any("uncommitted changes" in note for note in built.notes)


@needs_registry
@pytest.mark.parametrize("editable", [True, False])
def test_the_project_itself_is_installed_from_the_snapshot(tmp_path, editable):
    """Never from the recorded folder, which has moved on; and each snapshot folder has an environment of its own."""
    original, first, second = tmp_path / "original", tmp_path / "first", tmp_path / "second"
    for folder in (original, first, second):
        write(folder, project_files("mine", "0.3", folder.name))
    recorded = record(from_folder("mine", "0.3", original, editable=editable), root=original)
    built = build(recorded, snapshot=first)
    assert run(built.python, "import mine; print(mine.SAID)") == "first"
    assert run(build(recorded, snapshot=second).python, "import mine; print(mine.SAID)") == "second"
    assert build(recorded, snapshot=first).reused
    shutil.rmtree(first)
    write(tmp_path / "third", project_files("mine", "0.3", "third"))
    build(recorded, snapshot=tmp_path / "third")
    assert not built.folder.exists()  # nothing can use it again
    with pytest.raises(EnvironmentBuildError, match="needs the restored snapshot"):
        build(recorded)


@needs_registry
def test_an_editable_that_can_not_be_built_is_put_on_the_path_and_said(tmp_path):
    snapshot = tmp_path / "snapshot"
    write(snapshot, project_files("mine", "0.3", "linked", broken=True))
    recorded = record(from_folder("mine", "0.3", "/nowhere/project", editable=True), python_path=["", "src"])
    built = build(recorded, snapshot=snapshot)
    said = run(built.python, "import mine; from importlib.metadata import version; print(mine.SAID, version('mine'))")
    assert said == "linked 0.3"
    assert any("no compiler" in note and "on the path" in note for note in built.notes)
    assert [one for one in differences(recorded, built.python).packages if one.kind != "added"] == []


# --- without an index ----------------------------------------------------------------------------------------------


@needs_uv
def test_a_folder_of_wheels_is_enough_and_no_index_is_asked(wheels, monkeypatch):
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    built = build(record("tiny==1.0"), wheels=wheels)
    assert run(built.python, "import tiny, sys; print(tiny.__file__.startswith(sys.prefix))") == "True"
    with pytest.raises(EnvironmentBuildError, match=r"tiny 2\.0: .*put its wheel into"):
        build(record("tiny==2.0"), wheels=wheels)
    wheel(wheels, "tiny", "2.0")
    assert not build(record("tiny==2.0"), wheels=wheels).reused


def test_pip_stands_in_where_there_is_no_uv(wheels):
    recorded = record("tiny==1.0")
    built = build(recorded, wheels=wheels, tool="pip")
    assert [one for one in differences(recorded, built.python).packages if one.name in ("pip", "setuptools")] == []
    assert run(built.python, "import tiny, sys; print(tiny.__file__.startswith(sys.prefix))") == "True"


@pytest.mark.slow
def test_pip_names_what_can_not_be_had(wheels):
    with pytest.raises(EnvironmentBuildError) as caught:
        build(record("tiny==1.0", "tiny-two==2.0"), wheels=wheels, tool="pip")
    (missing,) = caught.value.missing
    assert missing.startswith("tiny-two 2.0: ")


@needs_uv
def test_offline_names_what_the_cache_lacks(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    with pytest.raises(EnvironmentBuildError) as caught:
        build(record("six==1.15.0", "attrs==22.1.0"), offline=True)
    named = {one.split()[0] for one in caught.value.missing}
    assert {"six", "attrs"} <= named
    assert "cache" in str(caught.value)


@needs_uv
def test_a_registry_that_can_not_be_reached_is_said_without_its_password(tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty"))
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://ada:s3cr3t-pa55@127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(EnvironmentBuildError, match="the registry can't be reached") as caught:
        build(record("six==1.15.0"))
    assert "s3cr3t" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)
    assert folders(tmp_path) == [one for one in folders(tmp_path) if one.startswith("reprokit-")]


# --- the cache -----------------------------------------------------------------------------------------------------


@needs_uv
def test_an_environment_is_built_once_and_looked_at_before_it_is_used_again(wheels, tmp_path):
    recorded = record("tiny==1.0")
    first = build(recorded, wheels=wheels)
    assert (first.reused, build(recorded, wheels=wheels).reused) == (False, True)
    where = tmp_path / "cache" / "reprokit" / "environments"
    packages = next(first.folder.glob("lib/python*/site-packages"))
    for spoil in (
        lambda env, packages: shutil.rmtree(packages / "tiny-1.0.dist-info"),
        lambda env, packages: (packages / "tiny-1.0.dist-info").rename(packages / "tiny-1.1.dist-info"),
        lambda env, packages: env.python.unlink(),
        lambda env, packages: next(where.glob("*.json")).unlink(),
        lambda env, packages: next(where.glob("*.json")).write_bytes(b"{}"),
        lambda env, packages: next(iter(packages.glob("reprokit-*.pth"))).unlink(),
    ):
        spoil(first, packages)
        again = build(recorded, wheels=wheels)
        assert (again.folder == first.folder, again.reused) == (False, False)
        assert not first.folder.exists()
        assert run(again.python, "import tiny, reprokit; print(1)") == "1"
        first, packages = again, next(again.folder.glob("lib/python*/site-packages"))
    shutil.rmtree(next(where.glob("reprokit-*")))  # the copy of reprokit is made again by itself
    assert build(recorded, wheels=wheels).reused
    assert run(first.python, "import tiny, reprokit; print(1)") == "1"


@needs_uv
def test_what_was_missing_is_tried_again_and_completes_the_environment(wheels, tmp_path, monkeypatch):
    (tmp_path / "simple").mkdir()
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "simple").as_uri())
    monkeypatch.setenv("UV_FIND_LINKS", str(wheels))
    recorded = record("tiny==1.0", "late==1.0")
    assert [one.name for one in build(recorded, best_effort=True).missing] == ["late"]
    wheel(wheels, "late", "1.0")
    built = build(recorded, best_effort=True)
    assert (built.missing, built.reused) == ([], False)
    assert run(built.python, "import late, tiny; print(1)") == "1"
    assert build(recorded).reused


BUILD = """
import sys
from pathlib import Path
from reprokit.reproduce.environment.build import build
from tests.reproduce.recorded import record
built = build(record("tiny==1.0"), wheels=Path(sys.argv[1]), progress=lambda said: print(said, flush=True))
print(built.reused, flush=True)
"""


def building(wheels, tmp_path):
    script = tmp_path / "build.py"
    script.write_text(textwrap.dedent(BUILD))
    return subprocess.Popen(
        [sys.executable, script, wheels],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )


@needs_uv
def test_several_processes_at_once_build_once(wheels, tmp_path):
    started = [building(wheels, tmp_path) for _ in range(3)]
    said = [process.communicate(timeout=60)[0].split()[-1] for process in started]
    assert sorted(said) == ["False", "True", "True"]


@needs_uv
@pytest.mark.parametrize("after", [0.0, 0.02, 0.06])
def test_a_killed_build_leaves_nothing_that_is_used(wheels, tmp_path, after):
    process = building(wheels, tmp_path)
    assert process.stdout.readline().startswith("making an environment")
    time.sleep(after)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not list((tmp_path / "cache" / "reprokit" / "environments").glob("*.json"))
    built = build(record("tiny==1.0"), wheels=wheels)
    assert run(built.python, "import tiny, reprokit; print(1)") == "1"


@needs_uv
def test_nothing_of_the_surroundings_steers_the_installation(wheels, tmp_path, monkeypatch):
    """Not another target, nor constraints, nor a virtual environment that is active."""
    (tmp_path / "constraints.txt").write_text("tiny==0.5\n")
    for name, value in (
        ("UV_TARGET", tmp_path / "target"), ("UV_CONSTRAINT", tmp_path / "constraints.txt"), ("PYTHONPATH", tmp_path),
        ("UV_OVERRIDE", tmp_path / "constraints.txt"), ("VIRTUAL_ENV", tmp_path / "active"),
        ("UV_REQUIRE_HASHES", "1"), ("UV_PYTHON", "3.8"), ("UV_COMPILE_BYTECODE", "1"),
    ):  # fmt: skip
        monkeypatch.setenv(name, str(value))
    built = build(record("tiny==1.0"), wheels=wheels)
    assert Path(run(built.python, "import tiny; print(tiny.__file__)")).is_relative_to(built.folder)
    assert not (tmp_path / "target").exists()
