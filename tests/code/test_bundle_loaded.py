"""What this process has imported wins over what lies on disk; and when the driver's own code is that of a bundle."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time

import pytest

from reprokit.code.bundles import current
from tests.code.bundling import LIMITS, bundle, importing, members, run, write

ONE = "def f():\n    return 1\n"
TWO = "def f():\n    return 2\n"
THREE = "def f():\n    return 3\n"


@pytest.fixture
def root(tmp_path):
    folder = write(
        tmp_path / "project", {"pack/__init__.py": "", "pack/a.py": ONE, "pack/b.py": ONE, "pack/data.txt": "1"}
    )
    with importing(folder):
        yield folder


def source(made, name="pack/a.py"):
    return members(made)[name].decode()


def test_an_edited_module_stays_as_it_was_imported_and_others_are_as_on_disk(root):
    import pack.a

    before = bundle(root)
    write(root, {"pack/a.py": TWO, "pack/b.py": TWO, "pack/data.txt": "2"})
    after = bundle(root)
    assert [source(after, name) for name in ("pack/a.py", "pack/b.py", "pack/data.txt")] == [ONE, TWO, "2"]
    assert any("pack/a.py was edited after it was imported" in told for told in after.warnings)
    write(root, {"pack/b.py": ONE, "pack/data.txt": "1"})
    assert bundle(root).digest == before.digest
    assert pack.a.f() == 1


def test_a_reloaded_module_goes_in_as_it_was_reloaded(root):
    import pack.a

    bundle(root)
    write(root, {"pack/a.py": TWO + "# longer\n"})
    assert source(bundle(root)) == ONE
    importlib.reload(pack.a)
    assert source(bundle(root)) == TWO + "# longer\n"
    write(root, {"pack/a.py": THREE})
    assert source(bundle(root)) == TWO + "# longer\n"


def test_a_module_that_was_dropped_and_imported_again_is_another(root):
    import pack.a

    bundle(root)
    write(root, {"pack/a.py": TWO + "#\n"})
    del sys.modules["pack.a"], pack.a
    importlib.import_module("pack.a")
    assert source(bundle(root)) == TWO + "#\n"


def test_an_edit_before_anything_was_packed_is_noticed_and_told(root):
    """What the source was is not known, so the disk's goes in, and the warning says that the driver runs other code."""
    import pack.a  # noqa: F401

    write(root, {"pack/a.py": TWO})
    made = bundle(root)
    assert source(made) == TWO
    assert any("not what this process runs" in told for told in made.warnings)
    assert not current.is_home(made.digest)
    write(root, {"pack/a.py": ONE})  # undone
    made = bundle(root)
    assert (source(made), made.warnings) == (ONE, ())
    assert current.is_home(made.digest)


def test_a_module_that_is_imported_between_two_edits_is_found_in_the_earlier_bundle(root):
    bundle(root)
    import pack.a  # noqa: F401

    write(root, {"pack/a.py": TWO})
    made = bundle(root)
    assert source(made) == ONE
    assert current.is_home(made.digest)


def test_constants_count_as_well(root):
    write(root, {"pack/a.py": "N = 1\nOFF = -1\nT = (1, 2)\nM = 1\nM = 2\nL = 300\n"})
    import pack.a

    assert bundle(root).warnings == ()
    write(root, {"pack/b.py": "N = 1\n"})
    import pack.b  # noqa: F401

    write(root, {"pack/b.py": "N = 2\n"})
    assert any("pack/b.py" in told for told in bundle(root).warnings)


def test_code_that_was_patched_in_place_is_taken_as_it_runs(root):
    import pack.a

    bundle(root)
    write(root, {"pack/a.py": TWO})
    namespace = {}
    exec(compile(TWO, str(root / "pack" / "a.py"), "exec", dont_inherit=True), namespace)
    pack.a.f.__code__ = namespace["f"].__code__
    made = bundle(root)
    assert source(made) == TWO
    assert made.warnings == ()


def test_a_module_whose_file_is_gone_stays_in_the_bundle(root):
    write(root, {"alone.py": ONE})
    import alone  # noqa: F401
    import pack.a  # noqa: F401

    before = bundle(root)
    (root / "pack" / "a.py").unlink()
    (root / "alone.py").unlink()
    (root / "pack" / "b.py").unlink()
    after = bundle(root)
    assert members(before).keys() - members(after).keys() == {"pack/b.py"}
    assert "alone" in after.tops
    assert sum("removed after it was imported" in told for told in after.warnings) == 2


def test_a_file_that_does_not_compile_any_more_changes_nothing_for_who_runs_it(root):
    import pack.a  # noqa: F401

    bundle(root)
    write(root, {"pack/a.py": "def f(:\n"})
    assert source(bundle(root)) == ONE


def test_modules_imported_from_unwatched_places_bring_them_in(root, monkeypatch):
    from reprokit.code.bundles import select

    monkeypatch.setattr(select, "_MOST_WATCHED", 0)
    write(root, {"space/sub/x.txt": ""})
    assert "space" not in bundle(root).tops
    write(root, {"space/sub/mod.py": ""})
    importlib.import_module("space.sub.mod")
    assert "space" in bundle(root).tops


def test_a_project_that_is_reached_through_a_link_is_the_same(root, tmp_path):
    import pack.a  # noqa: F401

    (tmp_path / "link").symlink_to(root)
    linked = tmp_path / "link"
    assert bundle(linked).digest == bundle(root).digest
    assert current.is_local("pack.a", linked)
    write(root, {"pack/a.py": TWO})
    assert source(bundle(linked)) == ONE


def test_a_script_that_was_edited_while_it_runs_is_sent_as_it_runs(tmp_path):
    script = """
        import json, sys, time
        from pathlib import Path
        from tests.code.bundling import bundle, members
        root = Path(__file__).parent
        before = bundle(root)
        text = Path(__file__).read_bytes()
        Path(__file__).write_bytes(text + b"# edited")
        after = bundle(root)
        print(json.dumps([before.digest == after.digest, members(after)["script.py"] == text, list(after.warnings)]))
        """
    write(tmp_path / "project", {"script.py": script})
    same, kept, warnings = run(f"import runpy, sys; sys.argv = ['x']; sys.path.insert(0, {str(tmp_path / 'project')!r})\n"
                               f"runpy.run_path({str(tmp_path / 'project' / 'script.py')!r}, run_name='__main__')", tmp_path)  # fmt: skip
    assert same
    assert kept
    assert "edited after it was imported" in warnings[0]


# --- home ------------------------------------------------------------------------------------------------------------


def test_a_bundle_is_home_while_its_code_is_what_is_loaded(root):
    import pack.a

    one = bundle(root)
    assert current.is_home(one.digest)
    assert not current.is_home("0" * 64)
    write(root, {"pack/data.txt": "2"})  # data are no code
    two = bundle(root)
    assert current.is_home(one.digest)
    assert current.is_home(two.digest)
    write(root, {"pack/a.py": TWO})
    assert current.is_home(one.digest)  # edited, not loaded
    importlib.reload(pack.a)
    assert not current.is_home(one.digest)  # at once, though nobody has packed since
    assert not current.is_home(two.digest)
    three = bundle(root)
    assert current.is_home(three.digest)
    write(root, {"pack/a.py": ONE})
    importlib.reload(pack.a)
    assert current.is_home(one.digest)  # loaded again


def test_a_module_that_is_imported_later_from_changed_source_is_not_home(root):
    one = bundle(root)
    assert current.is_home(one.digest, "pack.a")
    write(root, {"pack/a.py": TWO})
    assert not current.is_home(one.digest, "pack.a")
    import pack.a  # noqa: F401

    assert not current.is_home(one.digest)


def test_a_forked_child_is_not_home_and_can_pack_for_itself(root):
    made = bundle(root)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            told = f"{current.is_home(made.digest)} {bundle(root).digest == made.digest} {current.is_home(made.digest)}"
            os.write(writer, told.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"False True True"
    assert current.is_home(made.digest)


def test_a_fork_while_another_thread_packs_leaves_the_child_able_to_work(root):
    stop = threading.Event()
    numbers = iter(range(100_000))

    def edit():
        while not stop.is_set():
            write(root, {"pack/data.txt": str(next(numbers))})
            bundle(root)

    thread = threading.Thread(target=edit)
    thread.start()
    try:
        for _ in range(20):
            child = os.fork()
            if child == 0:
                try:
                    bundle(root)
                    os._exit(0)
                finally:
                    os._exit(1)
            deadline = time.monotonic() + 20
            while (ended := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
                time.sleep(0.01)
            if ended == (0, 0):
                os.kill(child, 9)
                os.waitpid(child, 0)
            assert ended[1] == 0
    finally:
        stop.set()
        thread.join()


# --- how often the disk is asked -------------------------------------------------------------------------------------


def test_the_disk_is_asked_again_after_50_ms_or_by_those_who_must_be_sure(root):
    made = bundle(root)
    write(root, {"pack/b.py": TWO})
    began = time.monotonic()
    soon = current.bundle(root, **LIMITS)
    if time.monotonic() - began < 0.03:  # else the machine was too busy to tell
        assert soon is made
    time.sleep(0.06)
    assert source(current.bundle(root, **LIMITS), "pack/b.py") == TWO
    write(root, {"pack/b.py": THREE})
    assert source(bundle(root), "pack/b.py") == THREE


def test_threads_that_pack_at_once_get_one_bundle(root):
    found = []
    threads = [threading.Thread(target=lambda: found.append(bundle(root))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(made) for made in found}) == 1
