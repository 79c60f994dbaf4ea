"""A recorded environment beside the present one; environment variables; interpreters."""

import os
import sys
from pathlib import Path

import pytest

from reprokit.capture import environment, host
from reprokit.errors import EnvironmentBuildError
from reprokit.model.records import ClosureInfo, Package
from reprokit.reproduce.environment import interpreters
from reprokit.reproduce.environment.differences import differences
from reprokit.reproduce.environment.variables import unset, variables
from tests.reproduce.recorded import has_python, record, run


def test_the_same_environment_has_no_differences():
    found = differences(record(*environment.packages()))
    assert (found.same, found.lines) == (True, [])


def test_differences_are_told_python_first_then_what_the_code_names():
    packages = [one for one in environment.packages() if one.name not in ("click", "wrapt", "rich")]
    packages += [
        Package(name="click", version="1.0"),
        Package(name="Wrapt", version="0.1"),
        Package(name="zzz", version="3"),
    ]
    closure = ClosureInfo(function="m:f", digest="sha256:0", parts={}, packages={"wrapt": "0.1"})
    found = differences(record(*packages, version="3.9.1", closure=closure))
    version = {one.name: one.version for one in environment.packages()}
    assert found.lines == [
        f"Python 3.9.1 -> {host.platform_info().python.version}",
        f"Wrapt 0.1 -> {version['wrapt']}",
        f"click 1.0 -> {version['click']}",
        "zzz 3 missing",
        f"rich {version['rich']} added",
    ]


def test_another_spelling_of_a_name_or_version_is_no_difference():
    spelt = [
        Package(name=one.name.upper().replace("-", "_"), version=f"{one.version}.0") if one.name == "click" else one
        for one in environment.packages()
    ]
    assert differences(record(*spelt)).same


def test_another_interpreter_is_asked_and_not_imported(tmp_path):
    """A bare environment of this Python lacks everything that is installed here, and that is told."""
    import subprocess

    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "bare")], check=True)
    packages = tmp_path / "bare" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    told = packages / "six-1.15.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Name: six\nVersion: 1.15.0\n")
    found = differences(record("six==1.16.0", "attrs==1"), tmp_path / "bare" / "bin" / "python")
    assert found.lines == ["six 1.16.0 -> 1.15.0", "attrs 1 missing"]
    with pytest.raises(EnvironmentBuildError, match="does not run"):
        differences(record(), tmp_path / "nothing")


def test_variables_are_set_as_recorded_and_secrets_are_asked_for_by_name(tmp_path):
    recorded = record(
        environment_variables={
            "OMP_NUM_THREADS": "2", "API_TOKEN": "<redacted>", "URL": "https://<redacted>@x", "VIRTUAL_ENV": "/old",
            "PYTHONPATH": os.pathsep.join(["/nowhere/project/src", "/nowhere/project", "/nowhere/projects", "/usr/x"]),
        },
        redacted=["environment_variables['API_TOKEN']"],
    )  # fmt: skip
    values, missing = variables(recorded, {"URL": "mine"}, snapshot=tmp_path)
    assert missing == ["API_TOKEN"]
    moved = os.pathsep.join([str(tmp_path / "src"), str(tmp_path), "/nowhere/projects", "/usr/x"])
    assert values == {"OMP_NUM_THREADS": "2", "URL": "mine", "PYTHONPATH": moved}
    assert unset(recorded, {"MKL_NUM_THREADS": "4", "OMP_NUM_THREADS": "8", "HOME": "/"}) == ["MKL_NUM_THREADS"]


def test_this_interpreter_is_found_without_a_process(monkeypatch):
    monkeypatch.setattr("subprocess.run", lambda *a, **k: pytest.fail("a process was started"))
    found = interpreters.find(host.platform_info().python)
    assert (found.version, found.note) == (host.platform_info().python.version, "")


@pytest.mark.parametrize("version", ["3.12.1", "3.13.0"])
def test_the_exact_version_is_found_in_pyenv(version):
    if not has_python(version):
        pytest.skip(f"pyenv has no {version}")
    found = interpreters.find(record(version=version).platform.python)
    assert (found.version, found.note) == (version, "")
    assert run(found.executable, "import sys; print(sys.version.split()[0])") == version


def test_another_patch_release_is_taken_with_a_note():
    here = host.platform_info().python.version
    other = f"{'.'.join(here.split('.')[:2])}.99"
    found = interpreters.find(record(version=other).platform.python)
    assert found.minor == ".".join(here.split(".")[:2])
    assert other in found.note
    assert found.version in found.note


def test_without_the_minor_version_it_is_said_how_to_get_it():
    with pytest.raises(EnvironmentBuildError, match=r"no Python 3\.99 is here.*uv python install 3\.99\.1"):
        interpreters.find(record(version="3.99.1").platform.python)
    found = interpreters.find(record(version="3.99.1").platform.python, best_effort=True)
    assert found.version == host.platform_info().python.version
    assert "no Python 3.99" in found.note
    with pytest.raises(EnvironmentBuildError, match="is none"):
        interpreters.find(record(version="--help").platform.python)


def test_an_executable_that_is_no_python_is_passed_over(tmp_path):
    fake = tmp_path / "python"
    fake.write_text('#!/bin/sh\necho \'__import__("os").system("id")\'\n')
    fake.chmod(0o755)
    assert interpreters.ask(fake) is None
    assert interpreters.ask(Path(sys.executable)).version == host.platform_info().python.version
