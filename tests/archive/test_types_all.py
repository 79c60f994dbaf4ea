"""Every generated nest of supported types comes back equal, with its sharing and its types."""

import importlib.util
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.archive import Archive
from tests.archive import samples

FORMATS = ["npy", "npz", *(["hdf5"] if importlib.util.find_spec("h5py") else [])]
LONG = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))


def _source(obj, **options):
    archive = Archive(**options)
    archive.insert(x=obj)
    return archive


@LONG
@given(samples.nests, st.booleans())
def test_a_nest_comes_back_from_its_source(obj, scoped):
    names = {}
    exec(str(_source(obj, scoped=scoped)), names)
    assert list(names) == ["x"]
    assert samples.same(obj, names["x"])


@LONG
@given(samples.nests, st.sampled_from(FORMATS), st.booleans(), st.sampled_from([0, 3, None]))
def test_a_nest_comes_back_from_files_safely_and_by_execution(obj, data_format, package, threshold):
    with tempfile.TemporaryDirectory() as folder:
        path = _source(obj, array_threshold=threshold).save(folder, "it", data_format=data_format, package=package)
        assert samples.same(obj, Archive.load(path, allow=samples.CLASSES)["x"])
        assert samples.same(obj, Archive.load(path, trust=True)["x"])


@LONG
@given(st.lists(samples.nests, max_size=4))
def test_items_share_with_each_other(objects):
    archive = Archive()
    items = {f"i{number}": obj for number, obj in enumerate([*objects, objects])}
    archive.insert(**items)
    names = {}
    exec(str(archive), names)
    again = [names[name] for name in items]
    assert samples.same(list(items.values()), again)


@LONG
@given(samples.nests)
def test_an_archive_is_the_same_bytes_each_time(obj):
    assert str(_source(obj)) == str(_source(obj))


@st.composite
def _graphs(draw):
    """Containers that contain each other in any way."""
    makers = [list, dict, samples.MyList, samples.MyDict, lambda: samples.Point(None)]
    nodes = [draw(st.sampled_from(makers))() for _ in range(draw(st.integers(1, 6)))]
    for node in nodes:
        for target in draw(st.lists(st.sampled_from(nodes), max_size=3)):
            value = (target,) if draw(st.booleans()) else target
            if isinstance(node, list):
                node.append(value)
            elif isinstance(node, dict):
                node[f"k{len(node)}"] = value
            else:
                node.y = value
    return nodes


def _shape(root):
    """Describe a graph by the order in which its parts are met."""
    seen, order, todo = {}, [], [root]
    while todo:
        one = todo.pop()
        if id(one) in seen and not isinstance(one, tuple):
            order.append(("again", seen[id(one)]))
            continue
        if one is None:
            order.append(None)
            continue
        seen[id(one)] = len(seen)
        order.append(type(one).__name__)
        if isinstance(one, (list, tuple)):
            todo += list(one)
        elif isinstance(one, dict):
            todo += list(one.values())
        else:
            todo += [one.x, one.y]
    return order


@LONG
@given(_graphs())
def test_loops_through_containers_and_dataclasses_come_back(nodes):
    archive = _source(nodes)
    names = {}
    exec(str(archive), names)
    assert _shape(names["x"]) == _shape(nodes)
    with tempfile.TemporaryDirectory() as folder:
        again = Archive.load(archive.save(folder, "it"), allow=samples.CLASSES)["x"]
    assert _shape(again) == _shape(nodes)


@pytest.mark.parametrize("depth", [10, 200, 10_000])
@pytest.mark.parametrize("kind", ["list", "dict", "tuple", "point"])
def test_depth_has_no_limit(depth, kind, tmp_path):
    obj = 1
    for _ in range(depth):
        obj = {"list": lambda o: [o], "dict": lambda o: {"k": o}, "tuple": lambda o: (o,), "point": samples.Point}[
            kind
        ](obj)
    path = _source(obj).save(tmp_path, "deep")
    for options in ({"allow": [samples.Point]}, {"trust": True}):
        again = Archive.load(path, **options)["x"]
        for _ in range(depth):
            again = again.x if kind == "point" else again["k"] if kind == "dict" else again[0]
        assert again == 1
