"""Plain cloudpickle carries local code once it was taught to; who reads it needs nothing but reprokit."""

from __future__ import annotations

import collections
import dataclasses
import enum
import functools
import importlib
import io
import os
import pathlib
import pickle
import shutil
import sys

import cloudpickle
import pytest

import reprokit.ship as ship
from reprokit.code.bundles import store
from reprokit.errors import ShipError
from reprokit.ship.extend import cloudpickle as extend
from reprokit.ship.pickling.local import Local
from tests.ship.conftest import SOURCE, python

FILES = {
    "pkg/__init__.py": "",
    "pkg/work.py": """
        N = 1
        def f(n): return n + N
        def where(n): return __name__, n + N
        def late():
            import pkg.late
            return pkg.late.X
        class Node:
            def __init__(self, n): self.n = n
        def make(): return lambda n: n + N
        """,
    "pkg/late.py": "X = 100\n",
    "other/__init__.py": "def g(): return 'other'\n",
}


@pytest.fixture
def package(make_project):
    return make_project(FILES).enter("pkg", "other")


@pytest.fixture
def work(package):
    return package.load("pkg.work")


@pytest.fixture
def extended(package):
    ship.extend_cloudpickle()
    yield package
    ship.extend_cloudpickle(undo=True)


class Color(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int


def _dynamic():
    class Made:
        def f(self):
            return super()

    return Made


def _main_function():
    space = {"__name__": "__main__", "K": {"a": 1}}
    exec("def f(n): return n + len(K)", space)
    return space["f"]


FOREIGN = {
    "numbers": lambda: [1, 2.5, None, True],
    "text": lambda: {"a": ("b", b"c")},
    "builtins": lambda: [len, dict, repr, Exception("x")],
    "standard library": lambda: [
        os.path.join,
        collections.OrderedDict(a=1),
        pathlib.Path("a"),
        functools.partial(len, "a"),
    ],
    "module": lambda: [os, pytest.importorskip("numpy").linalg],
    "array": lambda: pytest.importorskip("numpy").arange(10),
    "function": lambda: python,
    "class": lambda: [Point, Color],
    "instance": lambda: [Point(1), Color.RED],
    "lambda": lambda: lambda n: n + 1,
    "closure": lambda: (lambda k: lambda n: n + k)(1),
    "dynamic class": _dynamic,
    "function of __main__": _main_function,
    "lru_cache": lambda: functools.lru_cache(os.path.join),
    "reprokit": lambda: [ShipError("a"), ship, Local],
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_what_is_not_local_is_pickled_byte_for_byte_as_before(package, kind, protocol):
    value = FOREIGN[kind]()

    def pickled():
        try:
            return cloudpickle.dumps(value, protocol=protocol)
        except Exception as error:
            return type(error), str(error)

    pickled()  # some libraries change what they pickle: tblib, once, the exceptions
    before = pickled()
    ship.extend_cloudpickle()
    try:
        assert pickled() == before
    finally:
        ship.extend_cloudpickle(undo=True)


def test_buffers_stay_out_of_band(extended, work):
    np = pytest.importorskip("numpy")
    array, buffers = np.arange(1000.0), []
    data = cloudpickle.dumps([array, work.Node(array)], protocol=5, buffer_callback=buffers.append)
    assert len(buffers) == 1
    back, node = pickle.loads(data, buffers=buffers)
    assert back is node.n
    assert np.shares_memory(back, array)


def test_one_pickle_holds_the_bundle_once(extended, work):
    one, many = cloudpickle.dumps(work.f), cloudpickle.dumps([work.f, work.Node, work.Node(1), work.make(), work])
    assert len(many) < len(one) + 700
    file = io.BytesIO()
    pickler = cloudpickle.Pickler(file)
    pickler.dump(work.f)
    first = file.tell()
    pickler.dump(work.Node)  # the memo stays
    assert file.tell() - first < 200
    file.seek(0)
    reader = pickle.Unpickler(file)
    assert [reader.load(), reader.load()] == [work.f, work.Node]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_any_protocol_does(extended, work, protocol):
    data = cloudpickle.dumps([work.f, work.make(), work.Node(1)], protocol=protocol)
    f, inner, node = pickle.loads(data)
    assert f is work.f
    assert inner(1) == 2
    assert type(node) is work.Node


def test_extending_twice_is_extending_once_and_undoing_is_as_if_never(package, work):
    before = dict(vars(cloudpickle.Pickler))
    ship.extend_cloudpickle()
    once = dict(vars(cloudpickle.Pickler))
    ship.extend_cloudpickle()
    assert dict(vars(cloudpickle.Pickler)) == once != before
    ship.extend_cloudpickle(undo=True)
    assert dict(vars(cloudpickle.Pickler)) == before
    ship.extend_cloudpickle(undo=True)
    assert pickle.loads(cloudpickle.dumps(work.f)) is work.f
    assert len(cloudpickle.dumps(work.f)) < 100


def test_options_are_those_of_the_last_call(package, work):
    package.write({"pkg/big.txt": "0" * 5000})
    try:
        ship.extend_cloudpickle()
        large = cloudpickle.dumps(work.f)
        ship.extend_cloudpickle(exclude="*.txt")
        small = cloudpickle.dumps(work.f)
        assert b"big.txt" in large
        assert b"big.txt" not in small
    finally:
        ship.extend_cloudpickle(undo=True)


def test_what_was_loaded_elsewhere_is_sent_on_from_there(extended, work, worker, tmp_path):
    """By a process that has it apart only, with plain cloudpickle, to a third that has nothing; and back."""
    data = cloudpickle.dumps({"f": work.f, "node": work.Node(1), "inner": work.make(), "late": work.late})
    onward = tmp_path / "onward.pkl"
    code = f"""
        import pickle
        found = pickle.loads(data)
        import cloudpickle
        found["here"] = lambda: found["late"]() + 1
        with open({str(onward)!r}, "wb") as stream: cloudpickle.dump(found, stream)
        """
    worker(code, data)
    code = """
        import pickle, sys
        found = pickle.loads(data)
        print(found["f"](1), found["node"].n, found["inner"](1), found["late"](), found["here"](), "pkg" in sys.modules)
        """
    assert worker(code, onward.read_bytes(), env={"TMPDIR": str(extended.root)}) == "2 1 2 100 101 False"
    back = pickle.loads(onward.read_bytes())
    assert back["f"] is work.f
    assert type(back["node"]) is work.Node


def test_a_vendored_copy_is_taught_too(package, work, tmp_path, monkeypatch, worker):
    copy = tmp_path / "vendor" / "lib_with_copy" / "externals"
    shutil.copytree(pathlib.Path(cloudpickle.__file__).parent, copy / "cloudpickle")
    (copy / "__init__.py").write_text("")
    (copy.parent / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path / "vendor"))
    module = importlib.import_module("lib_with_copy.externals.cloudpickle")
    assert module.Pickler is not cloudpickle.Pickler
    monkeypatch.setattr(extend, "_COPIES", ("lib_with_copy.externals.cloudpickle",))
    before = module.Pickler.reducer_override
    ship.extend_cloudpickle()
    try:
        data = module.dumps([work.f, work.make(), work.late])
    finally:
        ship.extend_cloudpickle(undo=True)
        for name in [name for name in sys.modules if name.startswith("lib_with_copy")]:
            del sys.modules[name]
    assert module.Pickler.reducer_override is before
    code = "import pickle; f, inner, late = pickle.loads(data); print(f(1), inner(1), late())"
    path = os.pathsep.join((str(SOURCE), str(tmp_path / "vendor")))  # as with joblib, the reader has the library too
    assert worker(code, data, env={"PYTHONPATH": path}) == "2 2 100"


def test_other_carriers_bring_bundles_their_own_way(package, work, worker):
    """An engine that delivers bundles apart puts its own object in the place of the bytes."""
    from reprokit.ship.plain import sender_for

    local = sender_for(local=(), include=(), exclude=(), allow_secrets=False).local
    asked = []

    def carry(digest):
        asked.append(digest)
        return bytes.fromhex(digest)

    extend.teach(cloudpickle, local, carry)
    try:
        data = cloudpickle.dumps([work.f, work.Node(1), work.make()])
    finally:
        extend.forget(cloudpickle)
    assert len(data) < 700
    assert len(asked) == 1
    code = f"""
        import pickle
        from reprokit.code.bundles import store
        store.lend({asked[0]!r}, lambda: open("bundle.zip", "rb").read())
        print(pickle.loads(data)[0](1))
        """
    (package.root / "bundle.zip").write_bytes(store.data_of(asked[0]))
    assert worker(code, data, cwd=package.root / "pkg", env={"TMPDIR": str(package.root)}, check=False).returncode
    shutil.copy(package.root / "bundle.zip", package.root / "pkg")
    assert worker(code, data, cwd=package.root / "pkg") == "2"


def test_a_plain_pickler_is_taught_names_and_leaves_the_rest(package, work):
    class Own(pickle.Pickler):
        def reducer_override(self, obj):
            return (len, ("abc",)) if isinstance(obj, complex) else NotImplemented

    def dumps(value):
        file = io.BytesIO()
        Own(file).dump(value)
        return file.getvalue()

    from reprokit.ship.plain import sender_for

    local = sender_for(local=(), include=(), exclude=(), allow_secrets=False).local
    extend.teach(Own, local, bytes.fromhex)
    assert pickle.loads(dumps([work.f, 1j])) == [work.f, 3]
    assert b"reprokit.ship.pickling.rebuild" in dumps(work.Node(1))
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"local object|lambda"):
        dumps(work.make())
    extend.forget(Own)
    assert b"reprokit" not in dumps(work.f)


def test_the_published_demo_of_modulepickle(package, worker):
    """A function of a script over a module that only its folder has; what reads it is a clean interpreter elsewhere.

    modulepickle 0.3 itself ends in an AttributeError: it asks for `types.ClassType`, which no Python 3 has.
    """
    package.driver(
        """
        import other
        import cloudpickle
        import reprokit.ship
        reprokit.ship.extend_cloudpickle()
        def f():
            assert other.__name__.endswith("other"), other.__name__
            return other.g()
        with open("f.pkl", "wb") as stream:
            cloudpickle.CloudPickler(stream).dump(f)
        """
    )
    assert worker("import pickle; print(pickle.loads(data)())", (package.root / "f.pkl").read_bytes()) == "other"


JOBLIB = """
import os, sys
import reprokit.ship
from joblib import Parallel, delayed
from pkg import work
reprokit.ship.extend_cloudpickle()
def local(n):
    import pkg.late
    return pkg.late.X + n
if __name__ == "__main__":
    os.chdir(sys.argv[1])
    sys.path = [entry for entry in sys.path if os.path.abspath(entry) != sys.argv[2]]
    found = Parallel(n_jobs=2)(delayed(work.where)(n) for n in range(3))
    print([name.startswith("_reprokit_") for name, _ in found], [n for _, n in found])
    print(Parallel(n_jobs=2)(delayed(local)(n) for n in range(2)), type(Parallel(n_jobs=2)(delayed(work.Node)(n) for n in [5])[0]) is work.Node)
"""


def test_workers_of_joblib_get_local_code(package, empty):
    pytest.importorskip("joblib")
    done = package.driver(JOBLIB, empty, package.root)
    assert done.stdout.splitlines() == ["[True, True, True] [1, 2, 3]", "[100, 101] True"]


LOKY = """
import os, sys
import reprokit.ship
from loky import ProcessPoolExecutor
from pkg import work
reprokit.ship.extend_cloudpickle()
if __name__ == "__main__":
    os.chdir(sys.argv[1])
    sys.path = [entry for entry in sys.path if os.path.abspath(entry) != sys.argv[2]]
    with ProcessPoolExecutor(1) as pool:
        name, n = pool.submit(work.where, 1).result()
        print(name.startswith("_reprokit_"), n, pool.submit(work.make()(1).__add__, 1).result())
"""


def test_workers_of_loky_get_local_code(package, empty):
    pytest.importorskip("loky")
    assert package.driver(LOKY, empty, package.root).stdout.split() == ["True", "2", "3"]
