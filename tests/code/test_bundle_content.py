"""What goes into the bundle of a project, what stays behind, and which modules are local."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import time

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.code.bundles import archive, current
from reprokit.code.bundles.bundle import MEMBER, Meta, digest_of, sha256
from reprokit.errors import BundleTooLargeError, SecretsError, ShipError
from tests.code.bundling import bundle, importing, members, write
from tests.conftest import git

PACKAGE = {"pack/__init__.py": "", "pack/core.py": "X = 1\n", "pack/data/table.csv": "a,b\n"}


@pytest.fixture
def root(tmp_path):
    return write(tmp_path / "project", PACKAGE)


def test_packages_go_in_whole_with_their_data(root):
    made = bundle(root)
    assert members(made) == {"pack/__init__.py": b"", "pack/core.py": b"X = 1\n", "pack/data/table.csv": b"a,b\n"}
    assert made.tops == {"pack"}
    assert made.roots == ("",)
    assert (made.files, made.size, made.warnings) == (3, 10, ())


def test_single_modules_and_namespace_packages_go_in_and_plain_data_folders_do_not(root):
    write(
        root,
        {
            "tool.py": "",
            "space/deep/mod.py": "",
            "space/deep/beside.txt": "",
            "space/other/plain.txt": "",
            "data/x.csv": "",
        },
    )
    write(root, {"README.md": "", "not-importable/x.py": ""})
    made = bundle(root)
    assert set(members(made)) - set(PACKAGE) == {"tool.py", "space/deep/mod.py", "space/deep/beside.txt"}
    assert made.tops == {"pack", "tool", "space"}


def test_a_src_layout_is_looked_into_though_nothing_put_it_on_the_path(tmp_path):
    made = bundle(write(tmp_path, {"src/inner/__init__.py": "", "src/inner/a.py": "", "train.py": ""}))
    assert made.roots == ("", "src")
    assert made.tops == {"src", "inner", "train"}


def test_folders_of_sys_path_inside_the_project_come_first(tmp_path):
    write(tmp_path, {"lib/python/inner.py": "", "top.py": ""})
    with importing(tmp_path / "lib" / "python"):
        made = bundle(tmp_path)
    assert made.roots == ("lib/python", "")
    assert {"inner", "top", "lib"} <= made.tops


def test_environments_vaults_snapshots_caches_and_byte_code_stay_behind(root, tmp_path):
    from reprokit import snapshot

    write(
        root,
        {
            "env/pyvenv.cfg": "",
            "env/lib/thing.py": "",
            "vault/checkouts/x/mod.py": "",
            "pack/__pycache__/core.pyc": b"1",
        },
    )
    write(
        root, {"pack/.pytest_cache/x.py": "", "pack/core.pyc": b"", "pack/out.png.run.json": "{}", "pack/out.png": b"1"}
    )
    write(root, {"pack/plot-1a2b3c4-44136fa355.png": b"1", "build/lib/pack/core.py": ""})
    write(tmp_path, {"other/mod.py": "X = 1\n"})
    with importing(tmp_path / "other"):
        import mod

        snapshot.capture(mod, root / "snap")
    assert (root / "snap" / "mod.py").exists()
    assert members(bundle(root, vault=root / "vault")).keys() == PACKAGE.keys()


def test_installed_and_shadowed_names_are_not_the_projects(root, tmp_path):
    """A folder of the project that this process doesn't mean by that name is no local package."""
    write(root, {"json/__init__.py": "", "sys.py": "", "elsewhere_too/__init__.py": ""})
    write(tmp_path / "first", {"elsewhere_too/__init__.py": ""})
    with importing(tmp_path / "first", root):
        import elsewhere_too  # noqa: F401

        assert bundle(root).tops == {"pack"}


# --- git, patterns ---------------------------------------------------------------------------------------------------


def test_what_gitignore_names_stays_behind_and_is_told_about(root):
    git(root, "init", "-q")
    write(
        root,
        {
            ".gitignore": "*.ckpt\n/pack/private.py\ncache/\n",
            "pack/w.ckpt": "1",
            "pack/private.py": "",
            "pack/cache/x.txt": "",
        },
    )
    made = bundle(root)
    assert members(made).keys() == PACKAGE.keys()
    left = msgspec.json.decode(archive_meta(made))["left"]
    assert left == {"pack.private": ".gitignore names it; include=... sends it along"}


def archive_meta(made):
    return next(content for member, content in archive.read(made.data, made.digest) if member.path == MEMBER)


def test_gitignore_is_followed_without_a_repository_and_inside_nested_ones(root):
    write(root, {".gitignore": "secret_notes.txt\n", "pack/secret_notes.txt": "1"})
    write(root, {"pack/nested/__init__.py": "", "pack/nested/.gitignore": "*.log\n", "pack/nested/a.log": ""})
    git(root / "pack" / "nested", "init", "-q")
    names = members(bundle(root)).keys()
    assert "pack/nested/__init__.py" in names
    assert not {"pack/secret_notes.txt", "pack/nested/a.log"} & names


def test_a_changed_gitignore_counts_at_once(root):
    git(root, "init", "-q")
    write(root, {"pack/w.ckpt": "1"})
    assert "pack/w.ckpt" in members(bundle(root))
    write(root, {".gitignore": "*.ckpt\n"})
    assert "pack/w.ckpt" not in members(bundle(root))
    git(root, "add", "-f", "pack/w.ckpt")
    assert "pack/w.ckpt" in members(bundle(root))


def test_version_files_that_build_tools_write_go_in_though_git_ignores_them(root):
    git(root, "init", "-q")
    write(root, {".gitignore": "_version.py\n", "pack/_version.py": "version = '1'\n"})
    assert "pack/_version.py" in members(bundle(root))


def test_an_imported_module_that_git_ignores_is_warned_about(root):
    git(root, "init", "-q")
    write(root, {".gitignore": "ignored_mod.py\n", "pack/ignored_mod.py": ""})
    with importing(root):
        import pack.ignored_mod  # noqa: F401

        assert any("pack/ignored_mod.py is imported here" in told for told in bundle(root).warnings)


def test_include_brings_back_and_exclude_leaves_out(root):
    git(root, "init", "-q")
    write(
        root,
        {".gitignore": "*.ckpt\n", "pack/w.ckpt": "1", "conf/a.yaml": "", "conf/.env": "", "pack/tests/test_a.py": ""},
    )
    made = bundle(root, include=("*.ckpt", "conf/"), exclude=("pack/tests",))
    assert members(made).keys() - PACKAGE.keys() == {"pack/w.ckpt", "conf/a.yaml"}


# --- limits, secrets, odd files --------------------------------------------------------------------------------------


def test_a_bundle_that_is_too_large_lists_its_ten_largest_files(root):
    write(root, {f"pack/f{number:02}.bin": bytes(1000 + number) for number in range(12)})
    with pytest.raises(BundleTooLargeError) as caught:
        bundle(root, max_size=5000)
    _, size, limit, largest = caught.value.args
    assert (size, limit) == (12 * 1000 + 66 + 10, 5000)
    assert largest == tuple((f"pack/f{number:02}.bin", 1000 + number) for number in range(11, 1, -1))
    assert "max-bundle-size" in str(caught.value)
    with pytest.raises(BundleTooLargeError):  # and says so again
        bundle(root, max_size=5000)
    for number in range(12):
        (root / f"pack/f{number:02}.bin").unlink()
    assert members(bundle(root, max_size=5000)).keys() == PACKAGE.keys()


def test_files_over_max_file_size_stay_behind_with_a_warning(root):
    write(root, {"pack/weights.bin": bytes(2000)})
    made = bundle(root, max_file_size=1000)
    assert members(made).keys() == PACKAGE.keys()
    assert made.warnings == ("not in the bundle, larger than max-file-size: pack/weights.bin",)


def test_secrets_by_name_stay_behind_and_text_that_looks_like_one_is_refused(root):
    write(root, {"pack/.env": "A=1", "pack/server.pem": "x"})
    made = bundle(root)
    assert members(made).keys() == PACKAGE.keys()
    assert made.warnings == ("not in the bundle, secret by name: pack/.env, pack/server.pem",)
    key = "AKIA" + "IOSFODNN7ABCDEFG"
    write(root, {"pack/conf.py": f"KEY = '{key}'\n"})
    for _ in range(2):
        with pytest.raises(SecretsError, match=r"pack/conf\.py"):
            bundle(root)
    made = bundle(root, allow_secrets=True)
    assert "pack/conf.py" in members(made)
    assert "pack/.env" not in members(made)
    write(root, {"pack/conf.py": "KEY = ''\n"})
    assert "pack/conf.py" in members(bundle(root))


def test_compiled_extensions_stay_behind_with_a_warning(root):
    write(root, {"pack/_fast.cpython-311-x86_64-linux-gnu.so": b"\x7fELF", "pack/pure.so": b"", "pack/pure.py": ""})
    made = bundle(root)
    assert members(made).keys() - PACKAGE.keys() == {"pack/pure.py"}
    assert "a compiled extension: pack/_fast" in made.warnings[0]


def test_links_inside_are_followed_as_content_and_those_that_lead_outside_are_not(root, tmp_path):
    write(tmp_path, {"outside/secret.py": "", "outside/more/x.py": ""})
    write(root, {"shared/lib.py": "L = 1\n", "pack/sub/__init__.py": ""})
    (root / "pack" / "linked.py").symlink_to("../shared/lib.py")
    (root / "pack" / "folder").symlink_to("../shared")
    (root / "pack" / "sub" / "circle").symlink_to("..")
    (root / "pack" / "stolen.py").symlink_to(tmp_path / "outside" / "secret.py")
    (root / "pack" / "away").symlink_to(tmp_path / "outside")
    (root / "pack" / "dangling.py").symlink_to("nowhere.py")
    made = bundle(root)
    found = members(made)
    assert found["pack/linked.py"] == found["pack/folder/lib.py"] == b"L = 1\n"
    assert not any("circle" in name or "stolen" in name or "away" in name or "dangling" in name for name in found)
    assert made.warnings == ("not in the bundle, a link that leads outside: pack/away, pack/stolen.py",)


def test_odd_files_stay_behind_and_hurt_nobody(root):
    os.mkfifo(root / "pack" / "pipe")
    (root / "pack" / "back\\slash.py").touch()
    (root / os.fsdecode(b"pack/not-utf8-\xff.txt")).touch()
    (root / "pack" / "new\nline.txt").touch()
    made = bundle(root)
    assert members(made).keys() - PACKAGE.keys() == {"pack/new\nline.txt"}
    assert len(made.warnings) == 2


def test_executable_files_keep_their_bit_and_it_is_part_of_the_digest(root):
    before = bundle(root)
    (root / "pack" / "core.py").chmod(0o755)
    after = bundle(root)
    assert before.digest != after.digest
    assert {member.path for member, _ in archive.read(after.data, after.digest) if member.executable} == {
        "pack/core.py"
    }


# --- modules from elsewhere ------------------------------------------------------------------------------------------


def test_modules_that_are_named_go_in_wherever_they_lie(root, tmp_path):
    elsewhere = write(
        tmp_path / "site-packages",
        {"mine/__init__.py": "", "mine/x.py": "", "single_one.py": "", "spread/part/__init__.py": ""},
    )
    write(tmp_path / "site-packages", {"spread/foreign/__init__.py": ""})
    with importing(elsewhere):
        local = ("mine.x", "single_one", "spread.part")
        made = bundle(root, local=local)
        assert members(made).keys() - PACKAGE.keys() == {
            ".elsewhere/mine/__init__.py", ".elsewhere/mine/x.py", ".elsewhere/single_one.py", ".elsewhere/spread/part/__init__.py",
        }  # fmt: skip
        assert made.tops == {"pack", "mine", "single_one", "spread"}
        assert made.roots == ("", ".elsewhere")
        importlib.import_module("mine.x")

        assert current.is_local("mine.x", root, ("mine",))
        assert not current.is_local("mine.x", root)
        assert not current.is_local("mine.x", root, ("min",))
    with pytest.raises(ShipError, match="no_such_module_anywhere"):
        bundle(root, local=("no_such_module_anywhere",))
    with pytest.raises(ShipError, match="no Python source"):
        bundle(root, local=("math",))


def test_local_modules_are_those_of_the_project(root, tmp_path):
    write(root, {"alone.py": "", "space2/mod.py": "", "lib/site-packages/installed_here.py": ""})
    with importing(root, root / "lib" / "site-packages"):
        for name in ("alone", "installed_here", "pack.core", "space2.mod"):
            importlib.import_module(name)
        made = type(sys)("pack.core.made_by_code")
        sys.modules[made.__name__] = made
        local = ["alone", "pack", "pack.core", "space2", "space2.mod", made.__name__]
        assert [name for name in local if not current.is_local(name, root)] == []
        foreign = ["os", "json", "pytest", "installed_here", "__main__", "not_imported_at_all", "reprokit"]
        assert [name for name in foreign if current.is_local(name, root)] == []
        assert not current.is_local("pack", tmp_path / "proj")  # no prefix of a name is a folder
        del sys.modules[made.__name__]
    assert not current.is_local("pack", root)  # another answer once another module has the name, or none


# --- identity --------------------------------------------------------------------------------------------------------


def test_the_same_content_is_the_same_bundle_wherever_it_lies(root, tmp_path):
    shutil.copytree(root, tmp_path / "copy")
    one, other = bundle(root), bundle(tmp_path / "copy")
    assert (one.digest, one.data) == (other.digest, other.data)
    assert len(one.digest) == 64


def test_the_same_object_comes_back_until_something_changes(root):
    made = bundle(root)
    assert bundle(root) is made
    write(root, {"unrelated.txt": "1"})
    assert bundle(root) is made
    write(root, {"pack/core.py": "X = 2\n"})
    changed = bundle(root)
    assert changed.digest != made.digest
    write(root, {"pack/core.py": "X = 3\n"})  # of the same size, and perhaps within one tick of the clock
    assert bundle(root).digest not in (made.digest, changed.digest)
    write(root, {"pack/core.py": "X = 1\n"})
    assert bundle(root).digest == made.digest


def test_a_second_edit_within_one_tick_of_the_clock_is_noticed(root):
    """The stamp is the same then: a file that was changed a moment before it was read is read again."""
    for _attempt in range(5):
        path = write(root, {"pack/core.py": "X = 5\n"}) / "pack" / "core.py"
        told = path.stat()
        before = bundle(root)
        was_fast = time.time_ns() - told.st_mtime_ns < 30_000_000
        path.write_text("X = 6\n")
        os.utime(path, ns=(told.st_atime_ns, told.st_mtime_ns))
        after = bundle(root)
        assert before.digest != after.digest or not was_fast
        if was_fast:
            return
    pytest.skip("the machine is too busy")


def test_new_files_and_folders_are_noticed(root):
    bundle(root)
    (root / "fresh").mkdir()
    assert "fresh" not in bundle(root).tops
    write(root, {"fresh/__init__.py": ""})
    assert "fresh" in bundle(root).tops
    write(root, {"pack/data/deep/er/x.txt": ""})
    assert "pack/data/deep/er/x.txt" in members(bundle(root))
    shutil.rmtree(root / "pack" / "data")
    assert "pack/data/table.csv" not in members(bundle(root))


_paths = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}){0,2}\.(py|txt)", fullmatch=True)
_files = st.dictionaries(_paths, st.tuples(st.booleans(), st.binary(max_size=40)), max_size=6)
_metas = st.builds(Meta, roots=st.lists(_paths, max_size=3).map(tuple), tops=st.lists(_paths, max_size=3).map(tuple))


def _digest(meta, files):
    return digest_of(meta.encode(), [(path, bit, sha256(data)) for path, (bit, data) in files.items()])


@given(_files, _metas, _files, _metas)
def test_equal_digests_mean_equal_content(one, about_one, other, about_other):
    assert (_digest(about_one, one) == _digest(about_other, other)) == ((one, about_one) == (other, about_other))


@given(_files)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_an_archive_gives_back_what_was_packed(files):
    meta = Meta().encode()
    pieces = {path: archive.piece(data, executable=bit) for path, (bit, data) in files.items()}
    data = archive.write(pieces, meta)
    assert data == archive.write(dict(reversed(pieces.items())), meta)
    if not _clash(files):
        read = {member.path: (member.executable, content) for member, content in archive.read(data, "0" * 64)}
        assert read == {MEMBER: (False, meta), **files}


def _clash(files):
    return any(other.startswith(f"{path}/") for path in files for other in files)


def test_archives_beyond_the_plain_format_are_written_too(monkeypatch):
    monkeypatch.setattr(archive, "_MOST_FILES", 1)
    data = archive.write({"a/b.py": archive.piece(b"1", executable=True)}, b"{}")
    assert [(member.path, member.executable, content) for member, content in archive.read(data, "0" * 64)] == [
        (MEMBER, False, b"{}"),
        ("a/b.py", True, b"1"),
    ]
