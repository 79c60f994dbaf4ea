"""Archives: inserting, source, sharing, loops, errors, and the public behaviour that users of `persist` know."""

import collections
import importlib.util
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest

from reprokit import archive as face
from reprokit.archive import Archive, Container, restore
from reprokit.errors import ArchiveError, CycleError, DuplicateError, ReprokitError
from tests.archive import samples


def rebuilt(scoped=True, **items):
    archive = Archive(scoped=scoped)
    archive.insert(**items)
    names = restore(str(archive))
    assert set(names) == set(items), "the items and nothing else"
    return names


def test_the_face_loads_what_it_names():
    assert {name for name in face.__all__ if getattr(face, name) is not None} == set(dir(face))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        face.nothing


@pytest.mark.parametrize("scoped", [True, False])
def test_objects_say_how_they_are_rebuilt(scoped):
    shared = [1, 2, 3]
    found = rebuilt(scoped, a=samples.Rep({"x": 1.5}, shared), g=samples.Grid(n=3, box=shared), s=shared)
    assert found["a"].items is found["g"].box is found["s"]
    assert found["a"].d == {"x": 1.5}


@pytest.mark.parametrize("scoped", [True, False])
def test_a_repr_that_is_an_expression_will_do(scoped):
    found = rebuilt(scoped, s=samples.Shown([1, {"a": 2}]), method=samples.Shown(3).method)
    assert found["s"].a == [1, {"a": 2}]
    assert found["method"](2) == 6


@pytest.mark.parametrize("scoped", [True, False])
def test_items_may_hide_builtins(scoped):
    items = {
        "list": [1],
        "dict": {2: {3}},
        "set": {1},
        "Rep": 4,
        "complex": complex(-0.0, 1),
        "object": samples.Derived(1),
    }
    found = rebuilt(scoped, **items, r=samples.Rep(collections.OrderedDict(a=1), ()))
    assert {name: found[name] for name in items} == items
    assert found["r"].d == {"a": 1}


def test_names_that_the_source_uses_itself_may_be_items():
    archive = Archive(allowed_names=["_g0", "_OrderedDict", "_array"])
    archive.insert(_g0=1, _OrderedDict=2, _array=3, x=[collections.OrderedDict(a=1)] * 2, y=np.zeros(2))
    found = restore(str(archive))
    assert (found["_g0"], found["_OrderedDict"], found["_array"]) == (1, 2, 3)
    assert found["x"][0] is found["x"][1] == collections.OrderedDict(a=1)


@pytest.mark.parametrize("name", ["class", "a b", "1a", "", "\ufb01", "_private", "__name__", "a\n"])
def test_names_that_no_item_can_have(name):
    with pytest.raises(ArchiveError):
        Archive().insert(**{name: 1})


def test_inserting():
    archive = Archive()
    archive.insert(x=2, v=1, self=3)
    archive.insert(x=2)
    with pytest.raises(DuplicateError, match="'x' already exists"):
        archive.insert(y=1, x=3)
    assert archive.names() == ["x", "v", "self"], "nothing was inserted"
    assert [archive.unique_name(name) for name in ("x", "y")] == ["x_0", "y"]
    with pytest.raises(ValueError, match=r"insert\(x=3\), not insert\(5\)"):
        archive.insert(5)
    with pytest.raises(ValueError, match="name must not start with '_'"):
        archive.insert(_x=1)
    assert "x" in archive
    assert len(archive) == 3
    assert "x, v, self" in repr(archive)


def test_check_on_insert():
    with pytest.raises(ArchiveError):
        Archive(check_on_insert=True).insert(x=samples.Opaque())

    class Failing:
        def get_persistent_rep(self, env):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Archive(check_on_insert=True).insert(x=Failing())


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        ({"a": [0, samples.Opaque()]}, r"x\['a'\]\[1\]: "),
        (samples.Point(1, {"k": samples.Opaque()}), r"x\.y\['k'\]: "),
        (samples.Pair(1, samples.Opaque()), r"x\.second: "),
        ([lambda: 1], r"x\[0\]: .*lambda"),
        ({samples.Opaque(): 1}, r"x<key <Opaque>>: "),
        ([(i for i in ())], r"x\[0\]: builtins.generator cannot be archived; define get_persistent_rep"),
    ],
)
def test_what_cannot_be_written_is_named_by_its_path(obj, path):
    archive = Archive()
    archive.insert(x=obj)
    with pytest.raises(ArchiveError, match=path):
        str(archive)


def test_pickle_only_when_asked_for():
    archive = _of(samples.Opaque(), allow_pickle=True)
    assert "pickle" in str(archive)
    assert type(restore(str(archive))["x"]) is samples.Opaque
    with pytest.raises(ArchiveError, match="Opaque cannot be archived"):
        str(_of(samples.Opaque()))


def test_loops_that_cannot_be_rebuilt_are_named():
    children = []
    children.append({"parent": samples.Parent(children)})
    archive = Archive()
    archive.insert(a={"x": children})
    with pytest.raises(CycleError, match=r"^a\['x'\]\[0\]\['parent'\]") as caught:
        str(archive)
    assert "again" in str(caught.value)
    assert issubclass(CycleError, ArchiveError)
    assert issubclass(ArchiveError, (ReprokitError, ValueError))


def test_containers_and_dataclasses_may_contain_themselves():
    loop, box = [], Container(a=1)
    loop.append(loop)
    box.me = (box, loop)
    point = samples.Point({"p": None})
    point.x["p"] = point
    frozen_in = []
    frozen_in.append(samples.Frozen(frozen_in))
    found = rebuilt(loop=loop, box=box, point=point, frozen=frozen_in)
    assert found["loop"][0] is found["loop"]
    assert found["box"].me == (found["box"], found["loop"])
    assert found["point"].x["p"] is found["point"]
    assert found["frozen"][0].x is found["frozen"]


def test_equal_and_identical_are_kept_apart():
    one, other = [1], [1]
    found = rebuilt(x=[one, other, one], y=one)
    assert found["x"][0] is found["x"][2] is found["y"] is not found["x"][1]


def test_a_long_string_is_written_once():
    text = "long " * 1000
    assert len(str(_of([text] * 100))) < 2 * len(text)
    assert rebuilt(x=[text] * 3)["x"] == [text] * 3


def _of(obj, **options):
    archive = Archive(**options)
    archive.insert(x=obj)
    return archive


@pytest.mark.parametrize("number", [10**5000, -(10**5000), 2**200, -1], ids=["large", "negative", "200 bits", "-1"])
def test_huge_integers(number, tmp_path):
    assert rebuilt(x=[number])["x"] == [number]
    assert Archive.load(_of({"n": number}).save(tmp_path, "it"))["x"]["n"] == number


def test_signs_of_zero_and_what_is_no_number():
    values = [
        -0.0,
        0.0,
        math.inf,
        -math.inf,
        math.nan,
        complex(-0.0, -0.0),
        complex(0, -2),
        complex(math.inf, math.nan),
    ]
    assert repr(rebuilt(x=values)["x"]) == repr(values)
    assert repr(rebuilt(x=np.array(values[:5]))["x"]) == repr(np.array(values[:5]))


@pytest.mark.parametrize("hash_seed", ["0", "1", "2"])
def test_sets_are_written_in_one_order(hash_seed, tmp_path):
    code = (
        "from reprokit.archive import Archive\n"
        "a = Archive(); a.insert(x={'a', 'b', 3, (1, 'z'), frozenset('xyz'), None, 2.5})\nprint(a)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": "."},
    )
    expected = "x = {None, 2.5, (1, 'z'), _frozenset(['x', 'y', 'z']), 3, 'a', 'b'}"
    assert sorted(expected[5:-1].split(", ")) == sorted(found.stdout.splitlines()[1][5:-1].split(", "))
    assert found.stdout == str(_of({"a", "b", 3, (1, "z"), frozenset("xyz"), None, 2.5})) + "\n"


def test_registered_types():
    class Handle:
        def __init__(self, number=0):
            self.number = number

    Handle.__qualname__ = "Handle"
    samples.Handle = Handle
    Handle.__module__ = samples.__name__
    face.register(Handle, lambda one: {"number": one.number})
    try:
        assert rebuilt(x=[Handle(7)])["x"][0].number == 7
        face.register(
            Handle, lambda one: ("Handle(n)", {"n": one.number + 1}, [(samples.__name__, "Handle", "Handle")])
        )
        assert rebuilt(x=Handle(7))["x"].number == 8
    finally:
        from reprokit.archive.represent import registry

        del samples.Handle, registry.registered[Handle]
        registry._found.clear()
    with pytest.raises(TypeError):
        face.register("Handle", None)


def test_old_and_wrong_ways_to_say_how():
    class Old:
        def archive_1(self, env=None):
            return "dict(a=b)", {"b": 1}, []

    with pytest.warns(DeprecationWarning, match="archive_1 is deprecated"):
        assert rebuilt(x=Old())["x"] == {"a": 1}

    class Wrong:
        def get_persistent_rep(self):
            return "A", {}, []

    with (
        pytest.warns(UserWarning, match=r"Found get_persistent_rep\(\) but got TypeError"),
        pytest.raises(ArchiveError),
    ):
        str(_of(Wrong()))

    class Nonsense:
        def get_persistent_rep(self, env):
            return "import os", {}, []

    with pytest.raises(ArchiveError, match="no expression"):
        str(_of(Nonsense()))


def test_str_and_repr_of_objects_are_not_called():
    class Silent(samples.Rep):
        def __repr__(self):
            raise NotImplementedError

    assert rebuilt(x=Silent(1, 2))["x"].d == 1


def test_more_arguments_than_functions_once_took():
    assert len(rebuilt(x=[[] for _ in range(500)])["x"]) == 500


def test_arrays_without_a_data_file():
    archive = Archive(array_threshold=2)
    array = np.random.default_rng(1).random(10)
    archive.insert(m=array)
    for _ in range(2):
        source = str(archive)
        with pytest.warns(UserWarning, match=r"Data arrays \['array_0'\] exist but no datafile specified"):
            archive.save_data()
        assert list(archive.data) == ["array_0"]
    assert restore(source, {"_arrays": {"array_0": array}})["m"] is array


def test_arrays_that_are_data_already_keep_their_names():
    archive = Archive(array_threshold=2)
    archive.data["array_0"] = np.zeros(2)
    archive.insert(x=np.zeros(5))
    assert str(archive) == "x = _arrays['array_1']\ntry: del __builtins__, _arrays\nexcept NameError: pass"


@pytest.mark.parametrize("data_format", ["npy", "npz", *(["hdf5"] if importlib.util.find_spec("h5py") else [])])
def test_data_saved_apart(data_format, tmp_path):
    archive = Archive(array_threshold=3)
    archive.insert(m=np.arange(10.0), t=np.array(["2020-01-01"] * 9, "M8[s]"))
    source = str(archive)
    reading, files = archive.save_data(tmp_path / "data", data_format=data_format)
    assert all(str(tmp_path) in file for file in files)
    found = restore(source, {"_arrays": restore(reading)["_arrays"]})
    assert (found["m"] == np.arange(10.0)).all()
    assert found["t"].dtype == "M8[s]"


def test_make_persistent_gives_imports_and_definitions():
    shared = [1]
    archive = _of(collections.OrderedDict(a=shared, b=shared))
    imports, definitions = archive.make_persistent()
    assert imports == [("collections", "OrderedDict", "_OrderedDict")]
    assert definitions == [("_g0", "[1]"), ("x", "_OrderedDict({'a': _g0, 'b': _g0})")]


def test_single_item_mode_refuses_a_second_item():
    archive = Archive(single_item_mode=True)
    with pytest.raises(ValueError, match="Can't insert 2 items when single_item_mode=True"):
        archive.insert(x=1, y=2)
    archive.insert(x=1)
    archive.insert(x=1)
    with pytest.raises(ValueError, match=r"Can't insert 'y' into single_item_mode=True archive with 'x'\."):
        archive.insert(y=2)


def test_libraries_are_not_loaded_for_plain_objects():
    code = (
        "import sys\nfrom reprokit.archive import Archive\na = Archive(); a.insert(x={'a': [1, {2}, (3.5,)]})\nstr(a)\n"
        "assert not {'numpy', 'scipy', 'pandas', 'h5py', 'xarray', 'pydantic', 'attr'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


def test_plain_data_are_one_literal():
    obj = {"a": [1, 2.5, None], "b": {"c": ("x", b"y")}}
    assert str(_of(obj)).splitlines()[0] == f"x = {obj!r}"


@pytest.mark.parametrize(
    "obj", [{"a": "\ud800"}, {"a": float("nan")}, {"k": "'\\\n\u2028"}, {"n": 2**70, "x": None}, {"a": 1e400}]
)
def test_many_plain_objects_are_json_or_a_literal(obj, tmp_path):
    many = {str(number): [number, {"k": number / 3}] for number in range(3000)} | obj
    path = _of(many).save(tmp_path, "many")
    for trust in (True, False):
        assert repr(Archive.load(path, trust=trust)["x"]) == repr(many)


def test_a_hundred_thousand_shared_objects_take_linear_time(tmp_path):
    shared = {"s": 1}
    many = [{"i": i, "s": shared, "n": [[i], (i,)]} for i in range(30_000)]
    path = _of(many).save(tmp_path, "many")
    found = Archive.load(path)["x"]
    assert found == many
    assert found[0]["s"] is found[-1]["s"]


def test_no_warnings_are_given():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        str(_of([np.zeros(3), {"a": "\\d"}]))
