"""What safe loading lets through when told to, and `archive show`."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest

from reprokit.archive import Archive, register
from reprokit.archive.show import summarize
from reprokit.errors import ArchiveError
from tests.archive import samples


def saved(folder, **items):
    archive = Archive()
    archive.insert(**items)
    return archive.save(folder, "it", force=True)


@pytest.mark.parametrize(
    "obj",
    [
        samples.Point(1, [2]),
        samples.Frozen(1),
        samples.Derived(4),
        samples.Colour.RED,
        samples.Right.READ | samples.Right.RUN,
        samples.Pair(1, 2),
        samples.MyDict(a=1),
        samples.Grid(1, 2),
        samples.function,
        samples.Outer.Inner,
        math.sin,
    ],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
def test_classes_and_functions_are_let_in_by_name_or_as_they_are(tmp_path, obj):
    path = saved(tmp_path, x=[obj])
    known = obj if callable(obj) else type(obj)
    with pytest.raises(ArchiveError, match=r"is refused by safe loading; pass allow=\["):
        Archive.load(path)
    for allow in ([known], [f"{known.__module__}.{known.__qualname__}"]):
        found = Archive.load(path, allow=allow)["x"][0]
        assert type(found) is type(obj)
        assert found == obj
        assert vars(found) == vars(obj) if isinstance(obj, samples.Derived) else True


def test_methods_come_with_their_class(tmp_path):
    path = saved(tmp_path, x=samples.Shown(3).method, y=samples.Shown.method)
    found = Archive.load(path, allow=[samples.Shown])
    assert found["x"](2) == 6
    assert found["y"] is samples.Shown.method


def test_a_registered_class_needs_no_allowing(tmp_path):
    from reprokit.archive.represent import registry

    register(samples.Shown, lambda one: {"a": one.a})
    try:
        assert Archive.load(saved(tmp_path, x=samples.Shown(3)))["x"].a == 3
    finally:
        del registry.registered[samples.Shown]
        registry._found.clear()


def test_allowing_one_thing_allows_no_other(tmp_path):
    path = saved(tmp_path, x=[samples.Point(1), samples.Frozen(2)])
    with pytest.raises(ArchiveError, match="Frozen"):
        Archive.load(path, allow=[samples.Point])
    (tmp_path / "evil.py").write_text("from tests.archive.samples import Point as _P\nx = _P.__init__.__globals__\n")
    with pytest.raises(ArchiveError):
        Archive.load(tmp_path / "evil.py", allow=[samples.Point])
    with pytest.raises(TypeError, match="allow=3"):
        Archive.load(path, allow=[3])


def test_what_is_allowed_and_not_there_is_told(tmp_path):
    (tmp_path / "it.py").write_text("from no.such import Thing as _T\nx = _T()\n")
    with pytest.raises(ArchiveError, match="cannot be imported"):
        Archive.load(tmp_path / "it.py", allow=["no.such.Thing"])


def test_a_later_format_is_told(tmp_path):
    (tmp_path / "it.py").write_text("# reprokit archive, format 2, 0123456789abcdef\nx = 1\n")
    with pytest.raises(ArchiveError, match="reads format 1; update reprokit"):
        Archive.load(tmp_path / "it.py")


def test_an_archive_may_be_edited_by_hand(tmp_path):
    path = saved(tmp_path, x={"a": 1}, y=np.arange(3.0))
    source = path / "__init__.py"
    source.write_text(
        source.read_text().replace("{'a': 1}", "{'a': 2,\n    'b': [3]}  # mine").replace("2.0]", "-2.5]")
    )
    assert Archive.load(path)["x"] == {"a": 2, "b": [3]}
    assert Archive.load(path)["y"][2] == -2.5


@pytest.fixture
def shown(tmp_path):
    archive = Archive(array_threshold=10)
    shared = [1]
    archive.insert(
        n=2, d={"a": np.zeros((3, 50)), "b": [np.zeros(3)]}, p=samples.Point(1), s=shared, t=[shared, shared]
    )
    return archive.save(tmp_path, "run1")


def test_show_tells_names_types_shapes_and_bytes(shown):
    found = {one.name: one for one in summarize(shown).items}
    assert set(found) == {"n", "d", "p", "s", "t"}
    assert (found["n"].type, found["n"].value) == ("int", "2")
    array, inner = found["d"].parts
    assert (array.name, array.shape, array.dtype, array.size) == ("'a'", (3, 50), "float64", 1200)
    assert inner.parts[0].shape == (3,)
    assert found["p"].type == "tests.archive.samples.Point"


def test_show_imports_nothing(shown, tmp_path):
    (shown / "__init__.py").write_text((shown / "__init__.py").read_text() + f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    summarize(shown)
    assert not (tmp_path / "ran").exists()
    with pytest.raises(ArchiveError):
        summarize(tmp_path / "nothing")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_show_on_the_command_line(shown, options):
    command = [sys.executable, "-m", "reprokit", "archive", "show", *options, str(shown)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if options:
        assert {one["name"] for one in json.loads(out)["items"]} == {"n", "d", "p", "s", "t"}
    else:
        assert "─ n  int  = 2" in out
        assert "├─ 'a'  numpy.ndarray  float64  (3, 50)  1.2 kB" in out
    wrong = subprocess.run([*command[:-1], str(shown / "no")], capture_output=True, text=True)
    assert wrong.returncode == 1
    assert "there is no archive" in wrong.stderr


def test_show_lists_data_sets_with_their_notes(tmp_path):
    from reprokit.archive import DataSet

    with DataSet(str(tmp_path / "scan"), "w") as scan:
        scan.nxs = [10, 20]
        scan["nxs"] = "Particle numbers"
    (entry,) = summarize(tmp_path / "scan").items
    assert (entry.name, entry.type, entry.length, entry.note) == ("nxs", "list", 2, "'Particle numbers'")
