"""What is local travels to interpreters that know nothing of it, and back."""

from __future__ import annotations

import base64
import collections
import importlib
import json
import os
import pathlib
import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import cloudpickle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reprokit.ship as ship
from reprokit.code.bundles import store
from reprokit.errors import ShipError, UnshippableError
from reprokit.ship.pickling import rebuild
from reprokit.ship.pickling.pickler import Sender, loads
from tests.ship import zoo
from tests.ship.conftest import python


@pytest.fixture(scope="module")
def told(request, tmp_path_factory):
    """Send one of each kind to a worker, and take it back."""
    way, beside = request.param
    folder = tmp_path_factory.mktemp("told")
    for place, files in ((folder / "driver", zoo.FILES), (folder / "worker", zoo.OLDER if beside == "older" else {})):
        place.mkdir()
        zoo.write(place, files)
    (folder / "driver" / "reprokit.toml").write_text("")
    (folder / "driver" / "script.py").write_text(zoo.DRIVER)
    (folder / "worker.txt").write_text(zoo.WORKER)
    kinds = zoo.KINDS | (zoo.ONLY_SHIPPED if way == "shipped" else {})
    (folder / "kinds.json").write_text(json.dumps(kinds))
    (folder / "tmp").mkdir()
    args = [folder / "driver" / "script.py", way, folder / "worker", folder / "kinds.json", folder / "worker.txt"]
    done = python(list(map(str, args)), folder / "driver", env={"TMPDIR": str(folder / "tmp")})
    return json.loads(done.stdout)


WAYS = pytest.mark.parametrize(
    "told", [("shipped", "nothing"), ("shipped", "older"), ("extended", "nothing"), ("extended", "older")],
    indirect=True, ids="-".join,
)  # fmt: skip


@WAYS
@pytest.mark.parametrize("kind", zoo.KINDS)
def test_an_object_works_on_a_worker_and_comes_back(told, kind):
    """Also beside an older copy of its package; and what has a name comes back as the driver's own."""
    assert told["worker"][kind] == "ok"
    assert told["home"][kind] == "ok"


@pytest.mark.parametrize("told", [("shipped", "nothing")], indirect=True)
@pytest.mark.parametrize("kind", zoo.ONLY_SHIPPED)
def test_what_cloudpickle_gets_wrong_in_main_travels_too(told, kind):
    assert told["worker"][kind] == "ok"
    assert told["home"][kind] == "ok"


@pytest.mark.parametrize("told", [("shipped", "nothing")], indirect=True)
def test_classes_of_main_that_come_back_leave_the_own_ones_as_they_are(told):
    assert told["kept"] == "ok"


# --- one process ----------------------------------------------------------------------------------------------------------

PACKAGE = {
    "pkg/__init__.py": "",
    "pkg/work.py": """
        N = 1
        def f(n): return n + N
        class Node:
            def __init__(self, *inner): self.inner = list(inner)
            def __eq__(self, other): return type(other) is type(self) and vars(other) == vars(self)
            __hash__ = None
        def late():
            from pkg import never_loaded
            return never_loaded.X
        def make():
            def inner(n): return n + N
            return inner
        def mode():
            class Mode:
                flag = 1
            return Mode
        """,
    "pkg/helped.py": "from pkg import helper\ndef f(): return helper.version()\n",
    "pkg/helper.py": "def version(): return 1\n",
    "pkg/never_loaded.py": "X = 1\n",
}
OPTIONS = {"max_size": 10**8, "max_file_size": 10**7, "allow_secrets": False, "vault": None}


@pytest.fixture
def package(make_project):
    return make_project(PACKAGE).enter("pkg")


@pytest.fixture
def sender(package):
    return Sender(package.root, **OPTIONS)


def test_a_task_costs_less_than_a_hundred_bytes_more_than_by_reference(sender, package):
    work = package.load("pkg.work")
    payload, references, digest = sender.dumps((work.f, (1,), {}))
    assert len(payload) < len(cloudpickle.dumps((work.f, (1,), {}))) + 100
    assert references == []
    assert len(digest) == 64
    assert loads(payload) == (work.f, (1,), {})


def test_a_digest_is_written_once_however_many_objects_there_are(sender, package):
    work = package.load("pkg.work")
    payload, _, digest = sender.dumps([work.f, work.Node, work.Node(1), work.make(), work])
    assert payload.count(bytes.fromhex(digest)) == 1


def test_what_is_not_local_is_pickled_as_cloudpickle_does(sender):
    for value in (1, "a", [dict, len, print], collections.OrderedDict(a=1), pathlib.Path("a"), json):
        payload, _, digest = sender.dumps(value)
        assert digest is None
        assert payload == cloudpickle.dumps(value, protocol=5)


def test_large_arrays_keep_their_bytes(sender, package):
    np = pytest.importorskip("numpy")
    node = package.load("pkg.work").Node(np.arange(100_000.0), np.arange(10)[::2])
    back = loads(sender.dumps(node)[0])
    assert type(back) is type(node)
    assert all(map(np.array_equal, back.inner, node.inner))


def test_references_of_the_engine_are_left_out_and_put_in_place(sender, package):
    class Promise:
        def __reduce__(self):
            raise AssertionError("an engine's promise is not pickled")

    work = package.load("pkg.work")
    first, second = Promise(), Promise()
    payload, references, _ = sender.dumps((work.f, [first, {"x": second}, first]), lambda v: isinstance(v, Promise))
    assert references == [first, second]
    function, (a, b, c) = loads(payload, ["one", "two"])
    assert function is work.f
    assert (a, b["x"], c) == ("one", "two", "one")


def test_references_do_not_get_mixed_up_when_loading_loads(sender):
    inner = sender.dumps([Token("i")], lambda v: isinstance(v, Token))[0]
    payload = sender.dumps([Token("o"), Nested(inner), Token("p")], lambda v: isinstance(v, Token))[0]
    assert loads(payload, ["outer", "last"]) == ["outer", ["inside"], "last"]


class Token:
    def __init__(self, name):
        self.name = name


class Nested:
    def __init__(self, payload):
        self.payload = payload

    def __reduce__(self):
        return loads, (self.payload, ["inside"])


def test_an_edited_and_reloaded_module_is_sent_at_once(sender, package):
    """Without waiting: a helper that is reloaded makes another bundle, also for functions of modules that were not."""
    helped = package.load("pkg.helped")
    seen = []
    for version in range(2, 6):
        seen.append(sender.dumps(helped.f)[2])
        package.write({"pkg/helper.py": f"def version(): return {version}  # {'#' * version}\n"})
        importlib.reload(sys.modules["pkg.helper"])
    assert len(set(seen)) == 4


def test_two_versions_live_in_one_worker(sender, package, worker):
    """The driver edits the package between two tasks; each runs what was sent, imports inside functions included."""
    sent = []
    for version in (1, 2):
        package.write(
            {"pkg/never_loaded.py": f"X = {version}\n", "pkg/work.py": PACKAGE["pkg/work.py"] + f"V = {version}\n"}
        )
        package.forget()
        work = package.load("pkg.work")
        sent.append((ship.dumps(work.late), ship.dumps(work.Node(version))))
        time.sleep(0.06)  # files that this process has not imported are looked at that often
    code = """
        import pickle, reprokit.ship as ship, sys
        (first, node), (second, other) = pickle.loads(data)
        f, n, g, m = map(ship.loads, (first, node, second, other))
        print([f(), g(), f(), g()], type(n) is type(m), n.inner, m.inner, "pkg" in sys.modules)
        again = ship.dumps([n, m, f, g])
        n, m, f, g = ship.loads(again)
        print(type(n).__module__ != type(m).__module__, f(), g())
        """
    assert worker(code, pickle.dumps(sent)).splitlines() == ["[1, 2, 1, 2] False [1] [2] False", "True 1 2"]


def test_results_of_older_code_come_back_as_that_and_can_be_sent_again(sender, package, worker, tmp_path):
    old = package.load("pkg.work")
    payload, _, digest = sender.dumps(old.Node(1))
    package.write({"pkg/work.py": PACKAGE["pkg/work.py"] + "NEW = 1\n"})
    package.forget()
    new = package.load("pkg.work")
    current = sender.dumps(new.f)[2]
    back = loads(payload)
    assert type(back) is not new.Node
    assert type(back).__module__ == f"_reprokit_{digest[:32]}.pkg.work"
    assert type(back).__qualname__ == "Node"
    mixed, _, needed = sender.dumps([back, new.Node(2), new.f])
    assert needed == current != digest
    again = loads(mixed)
    assert type(again[0]) is type(back)
    assert type(again[1]) is new.Node
    code = """
        import pickle
        from reprokit.code.bundles import store
        from reprokit.ship.pickling.pickler import loads
        mixed, digest, archive = pickle.loads(data)
        store.add(digest, archive)
        a, b, f = loads(mixed)
        print(type(a) is type(b), a.inner, b.inner, f(1))
        """
    told = worker(code, pickle.dumps((mixed, needed, store.data_of(needed))), env={"TMPDIR": str(tmp_path)})
    assert told == "False [1] [2] 2", "the other bundle is inside"
    code = """
        import reprokit.ship as ship
        a, b, f = ship.loads(data)
        print(type(a) is type(b), a.inner, b.inner, f(1))
        """
    assert worker(code, ship.dumps([back, new.Node(2), new.f])) == "False [1] [2] 2"


def test_in_a_forked_child_objects_are_those_of_the_bundle(sender, package):
    work = package.load("pkg.work")
    payload = sender.dumps(work.Node)[0]
    assert loads(payload) is work.Node
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, loads(payload).__module__.encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with open(read, "rb") as stream:
        os.close(write)
        assert stream.read().startswith(b"_reprokit_")


def test_a_forked_child_takes_what_a_class_has_become_since(sender, package):
    """A class that travels by value is its own in the process that made it, and a copy in every other."""
    Mode = package.load("pkg.work").mode()
    first = sender.dumps(Mode)[0]
    assert loads(first) is Mode
    assert Mode.flag == 1
    to_child, from_parent = os.pipe()
    to_parent, from_child = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(from_child, str(loads(os.read(to_child, 65536)).flag).encode())
        finally:
            os._exit(0)
    Mode.flag = 2
    os.write(from_parent, sender.dumps(Mode)[0])
    os.waitpid(child, 0)
    assert os.read(to_parent, 10) == b"2"
    for end in (to_child, from_parent, to_parent, from_child):
        os.close(end)
    Mode.flag = 3
    assert loads(first).flag == 3, "its own keeps what it has"


def test_threads_pickle_and_load_at_once(sender, package):
    work = package.load("pkg.work")

    def go(number):
        for _ in range(50):
            payload, references, _ = sender.dumps(
                [work.f, work.Node(number), Token(number)], lambda v: type(v) is Token
            )
            f, node, value = loads(payload, [token.name for token in references])
            assert f is work.f
            assert node == work.Node(number)
            assert value == number
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(go, range(16)))


def test_code_of_a_snapshot_is_refused_with_a_reason(sender, package, tmp_path):
    from reprokit import snapshot

    snapshot.capture(package.load("pkg.work"), tmp_path / "kept")
    kept = snapshot.load(tmp_path / "kept").pkg
    with pytest.raises(UnshippableError, match="only a project's own code travels"):
        sender.dumps([importlib.import_module(f"{kept.__name__}.work").f])


def test_a_name_that_the_bundle_lacks_is_named(sender, package):
    work = package.load("pkg.work")
    digest = bytes.fromhex(sender.dumps(work.f)[2])
    with pytest.raises(ShipError, match=r"pkg\.work\.nothing.*has nothing of this name"):
        rebuild.named(digest, "pkg.work", "nothing")


def test_a_decorator_that_was_put_on_by_name_is_found_behind(sender, package):
    """The function that a decorator replaced has no name of its own; it travels by the way to it."""
    package.write({"pkg/late_deco.py": """
        import functools
        class Memo:
            def __init__(self, function): functools.update_wrapper(self, function)
            def __call__(self, n): return self.__wrapped__(n)
        @Memo
        def f(n): return n
        class Owner:
            @functools.cached_property
            def slow(self): return 1
        """})  # fmt: skip
    module = package.load("pkg.late_deco")
    for value in (module.f, module.f.__wrapped__, vars(module.Owner)["slow"].func):
        assert loads(sender.dumps(value)[0]) is value


NODES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.tuples(st.just("node"), inner)
    ),
    max_leaves=12,
)


@given(tree=NODES, share=st.booleans())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_sent_comes_back_equal_and_shared_as_it_was(sender, package, tree, share):
    Node = package.load("pkg.work").Node

    def build(value):
        if isinstance(value, tuple) and value[:1] == ("node",):
            return Node(*map(build, value[1:]))
        if isinstance(value, (list, tuple)):
            return type(value)(map(build, value))
        return value

    one = Node(build(tree))
    sent = [one, one if share else Node(build(tree))]
    back = loads(sender.dumps(sent)[0])
    assert back == sent
    assert (back[0] is back[1]) is share


# --- __main__ and notebooks ------------------------------------------------------------------------------------------------

ATTACHES = """
import importlib, json, math
import pkg.work
from pathlib import Path
from reprokit.ship.pickling.pickler import Sender
def nothing(n): return n + 1
def standard(n):
    import json, os.path
    return os.path.join(str(n), json.dumps(math.pi))
def installed():
    import numpy
    from scipy import optimize
    return numpy
def calls(n): return nothing(n)
class Plain:
    def f(self): return 1
def local():
    import pkg.never_loaded
def local_from():
    from pkg.never_loaded import X
def uses(n): return pkg.work.f(n)
def unknown(name): return importlib.import_module(name)
def dunder(name): return __import__(name)
def executes(text): exec(text)
def nested():
    def inner():
        import pkg
    return inner
class Late:
    def f(self):
        import pkg
sender = Sender(Path.cwd(), max_size=10**8, max_file_size=10**8, allow_secrets=False, vault=None)
def attached(names): return {name: sender.dumps(globals()[name])[2] is not None for name in names.split()}
print(json.dumps([attached("nothing standard installed calls Plain"), attached("local local_from uses unknown dunder executes nested Late")]))
"""


def test_code_of_main_brings_a_bundle_only_when_it_may_need_one(package):
    without, with_bundle = json.loads(package.driver(ATTACHES).stdout)
    assert not any(without.values()), without
    assert all(with_bundle.values()), with_bundle


def test_a_script_of_a_package_run_as_a_module_imports_relatively(package, worker):
    package.write({"pkg/tool.py": """
        import sys, reprokit.ship as ship
        from . import work
        def here(n):
            from .never_loaded import X
            from . import helper
            return work.f(n) + X, helper.version()
        if __name__ == "__main__":
            open("sent.pkl", "wb").write(ship.dumps(here))
        """})  # fmt: skip
    python(["-m", "pkg.tool"], package.root)
    code = "import reprokit.ship as ship; print(ship.loads(data)(1))"
    assert worker(code, (package.root / "sent.pkl").read_bytes()) == "(3, 1)"


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
cells = [
    "import pkg.work, reprokit.ship as ship, functools",
    "SCALE = 2",
    '''
def odd(n): return False if n == 0 else even(n - 1)
def even(n): return True if n == 0 else odd(n - 1)
class Model:
    def __init__(self, n): self.n = n
    def predict(self, k):
        from pkg.never_loaded import X
        return self.n * k * SCALE + X + pkg.work.f(0)
''',
    "model = Model(3)",
    "open('sent.pkl', 'wb').write(ship.dumps([model, even, functools.partial(lambda a, b: a + b + SCALE, 1)]))",
    "back = ship.loads(ship.dumps(model))",
    "assert type(back) is Model and back.predict(1) == 8, back.predict(1)",
]
for cell in cells:
    shell.run_cell(cell).raise_error()
"""


def test_a_notebook_sends_what_its_cells_define(package, worker):
    pytest.importorskip("IPython")
    package.driver(NOTEBOOK)
    code = """
        import reprokit.ship as ship
        model, even, add = ship.loads(data)
        print(model.predict(10), even(10), add(5))
        """
    assert worker(code, (package.root / "sent.pkl").read_bytes()) == "62 True 8"


def test_plain_loading_in_a_worker_touches_nothing_that_is_there(package, tmp_path, worker):
    """The worker's own module of the same name, imported before, stays what it is."""
    (tmp_path / "busy" / "pkg").mkdir(parents=True)
    (tmp_path / "busy" / "pkg" / "__init__.py").write_text("OWN = 1\n")
    (tmp_path / "busy" / "pkg" / "work.py").write_text("def f(n): return 'own'\n")
    code = """
        import pkg.work, sys
        before = dict(sys.modules); path = list(sys.path)
        import reprokit.ship as ship
        f = ship.loads(data)
        print(f(1), pkg.work.f(1), sys.modules["pkg"] is before["pkg"], sys.path == path, hasattr(pkg, "never_loaded"))
        """
    data = ship.dumps(package.load("pkg.work").f)
    assert worker(code, data, cwd=tmp_path / "busy") == "2 own True True False"


def test_a_private_name_finds_its_bundle_wherever_that_is(make_project, worker):
    """Libraries that pickle names of modules as text write the private one; so does plain `pickle` of apart objects."""
    project = make_project({"pack/__init__.py": "", "pack/shapes.py": "class Dot:\n    x = 3\n"}).enter()
    shapes = project.load("pack.shapes")
    text = worker(
        """
        import pickle, base64
        from reprokit import ship
        print(base64.b64encode(pickle.dumps(ship.loads(data)())).decode())
        """,
        ship.dumps(shapes.Dot),
    )
    found = pickle.loads(base64.b64decode(text))
    assert found.x == 3
    assert type(found).__module__.endswith(".pack.shapes")
    assert type(found) is not shapes.Dot
