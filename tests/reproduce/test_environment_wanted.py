"""What a record asks for, and how installers are asked."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.model.records import GitInfo, GitRemote, Package
from reprokit.reproduce.environment import indexes, lines
from reprokit.reproduce.environment.lines import Missing
from reprokit.reproduce.environment.outcome import clean
from reprokit.reproduce.environment.wanted import requirements
from tests.reproduce.recorded import from_folder, from_git, record

COMMIT = "1e8c00ffdc65a4ddce04a2a98d0610859716f087"


def one(package, **more):
    (found,) = requirements(record(package, **more))
    return found


def line(package, snapshot=None, wheels=None, **more):
    return lines.line(one(package, **more), snapshot=snapshot, wheels=wheels)


def test_a_package_without_origin_is_pinned_exactly():
    assert line("Foo.Bar==1.0+cu121") == "foo-bar==1.0+cu121"


def test_a_revision_is_asked_for_by_its_commit():
    assert line(from_git("mine", "0.3", "https://host/x.git", COMMIT)) == f"mine @ git+https://host/x.git@{COMMIT}"


def test_ssh_addresses_get_back_the_account_that_records_leave_out():
    assert line(from_git("mine", "0.3", "ssh://host/x.git", COMMIT)).startswith("mine @ git+ssh://git@host/x.git@")


def test_an_archive_is_asked_for_with_its_hash():
    direct = {"url": "https://host/x.tar.gz", "archive_info": {"hash": f"sha256={'a' * 64}"}}
    assert line(Package(name="x", version="1", direct_url=direct)) == f"x @ https://host/x.tar.gz#sha256={'a' * 64}"


def test_what_conda_built_is_asked_for_at_the_index_with_a_note():
    found = one(
        Package(name="numpy", version="1.26.4", direct_url={"url": "file:///croot/numpy_1/work", "dir_info": {}})
    )
    assert (found.kind, bool(found.note)) == ("index", True)


def test_an_editable_of_the_project_is_taken_from_the_snapshot(tmp_path):
    (tmp_path / "sub dir").mkdir()
    (tmp_path / "sub dir" / "pyproject.toml").write_text("")
    package = from_folder("mine", "1", "/nowhere/project/sub dir", editable=True)
    assert line(package, snapshot=tmp_path) == f"-e {tmp_path.as_uri()}/sub%20dir"
    assert "snapshot" in line(package).reason
    assert "no project" in line(from_folder("mine", "1", "/nowhere/project/x", editable=True), snapshot=tmp_path).reason


def test_no_path_leads_out_of_the_snapshot(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "setup.py").write_text("")
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    (snapshot / "link").symlink_to("../outside")
    found = line(from_folder("mine", "1", "/nowhere/project/link", editable=True), snapshot=snapshot)
    assert isinstance(found, Missing)
    above = Package(name="m", version="1", direct_url={"url": "file:///nowhere/project/../outside", "dir_info": {}})
    assert isinstance(line(above, snapshot=snapshot), Missing)


def git_info(path, sha=COMMIT, remote="host:group/x.git", dirty=False):
    return {
        "x": GitInfo(
            path=str(path), sha=sha, branch="main", dirty=dirty, remotes=[GitRemote(name="origin", url=remote)]
        )
    }


def test_an_editable_outside_is_taken_at_the_revision_that_was_recorded():
    package = from_folder("lib", "1", "/home/ada/libs/x/py", editable=True)
    found = one(package, git=git_info("/home/ada/libs/x", dirty=True))
    assert (found.revision, found.url, found.subdirectory) == (COMMIT, "ssh://git@host/group/x.git", "py")
    assert "uncommitted" in found.note
    assert isinstance(line(package), Missing)  # when no revision was recorded
    assert isinstance(line(package, git=git_info("/home/ada/other")), Missing)


def test_a_wheel_of_the_version_stands_in_for_any_origin(tmp_path):
    (tmp_path / "mine-1.0-py3-none-any.whl").write_bytes(b"")
    package = from_folder("mine", "1", "/elsewhere", editable=True)
    assert line(package, wheels=tmp_path) == "mine==1"
    assert isinstance(line(from_folder("mine", "2", "/elsewhere", editable=True), wheels=tmp_path), Missing)


@pytest.mark.parametrize(
    "url", ["ext::sh -c id", "git+ext::sh", "https://host/x\n--index-url=https://evil", "--upload-pack=id", "$(id)"]
)
def test_addresses_that_would_run_or_add_something_are_never_asked_for(url):
    assert isinstance(line(from_git("mine", "1", url, COMMIT)), Missing)


@given(
    name=st.text(max_size=20), version=st.text(max_size=20), url=st.text(max_size=40), commit=st.text(max_size=20),
    how=st.sampled_from(["vcs_info", "archive_info", "dir_info", "none"]),
)  # fmt: skip
def test_whatever_a_record_holds_it_gives_one_requirement_and_no_option(name, version, url, commit, how):
    info = {"vcs": "git", "commit_id": commit, "editable": True, "hash": commit}
    direct = None if how == "none" else {"url": url, how: info, "subdirectory": commit}
    found = line(Package(name=name, version=version, direct_url=direct), snapshot=Path("/nowhere"))
    if isinstance(found, str):
        assert not any(not character.isprintable() for character in found)
        assert found[0].isalnum()
        assert found.isprintable()


def test_indexes_that_pip_is_told_of_are_handed_to_uv_unless_it_has_its_own(tmp_path, monkeypatch):
    (tmp_path / "pip.conf").write_text(
        "[global]\nindex-url = https://mine/simple\nextra-index-url =\n  https://more/simple\n  file:///disk/simple\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    environ = {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf"), "PIP_FIND_LINKS": "/wheels /more"}
    found = indexes.for_uv(environ)
    assert found == {
        "UV_DEFAULT_INDEX": "https://mine/simple", "UV_INDEX": "https://more/simple file:///disk/simple",
        "UV_FIND_LINKS": "/wheels,/more", "UV_INDEX_STRATEGY": "unsafe-best-match",
    }  # fmt: skip
    portable = indexes.for_uv(environ, portable=True)
    assert (portable["UV_INDEX"], "UV_FIND_LINKS" in portable) == ("https://more/simple", False)
    assert indexes.for_uv({**environ, "UV_DEFAULT_INDEX": "https://own/simple"}) == {}
    (tmp_path / "pyproject.toml").write_text("[[tool.uv.index]]\nurl = 'https://own/simple'\n")
    assert indexes.for_uv(environ) == {}


def test_what_an_installer_says_is_shown_without_passwords_and_in_one_line():
    said = clean("error: Failed to fetch:\n  cause: https://ada:s3cr3t-pa55@host/simple/x/?token=abc (404)\n")
    assert said == "Failed to fetch:; https://host/simple/x/ (404)"
