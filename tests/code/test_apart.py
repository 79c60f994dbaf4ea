"""Trees imported apart: two versions of the same modules in one process, each finding itself alone."""

from __future__ import annotations

import copy
import importlib
import inspect
import linecache
import pickle
import pkgutil
import sys
import textwrap
import threading
import traceback
import typing
from importlib import resources

import pytest

from reprokit import snapshot
from reprokit.errors import ImportApartError, NotInTreeError, ReprokitWarning

FILES = {
    "pack/__init__.py": """
        '''A package.'''
        from .core import *
        from .core import Model as Same
        from pack import loop_a
        import pack.sub.deep as deep
        import helper
        """,
    "pack/core.py": """
        from __future__ import annotations
        import dataclasses, enum, importlib, typing
        VERSION = {version}
        __all__ = ["VERSION", "Model", "Colour", "Child", "deferred", "by_name", "fails", "late_relative", "Meta"]

        @dataclasses.dataclass
        class Model:
            x: int = VERSION
            colour: Colour | None = None
            kind: typing.ClassVar[str] = "model"

            def name(self):
                return f"model {{self.x}}"

        class Colour(enum.Enum):
            RED = VERSION

        class Meta(type):
            made = []
            def __new__(mcs, name, bases, space, **kwargs):
                made = super().__new__(mcs, name, bases, space)
                mcs.made.append(made)
                return made

        class Child(Model, metaclass=Meta):
            def __init_subclass__(cls, **kwargs):
                super().__init_subclass__(**kwargs)
            def name(self):
                return "child of " + super().name()

        def deferred():
            import helper
            from pack.lazy import VALUE
            return helper.VERSION, VALUE

        def by_name():
            return (
                importlib.import_module("pack.lazy").VALUE,
                importlib.import_module(".lazy", "pack").VALUE,
                __import__("pack.lazy").lazy.VALUE,
            )

        def late_relative():
            from . import lazy
            from .sub import deep
            return lazy.VALUE, deep.VERSION

        def fails():
            raise ValueError(VERSION)
        """,
    "pack/lazy.py": "VALUE = {version}\n",
    "pack/loop_a.py": "import pack.loop_b\nfrom pack import core\ndef ask(): return pack.loop_b.answer()\n",
    "pack/loop_b.py": "from . import loop_a\nfrom pack.core import VERSION\ndef answer(): return VERSION, loop_a.__name__\n",
    "pack/sub/__init__.py": "",
    "pack/sub/deep.py": "from ...pack.core import VERSION\n" and "from ..core import VERSION\n",
    "pack/data/table.txt": "{version}",
    "pack/reading.py": """
        import pkgutil
        from importlib import resources
        def read():
            return (
                pkgutil.get_data("pack", "data/table.txt").decode(),
                pkgutil.get_data(__package__, "data/table.txt").decode(),
                resources.files("pack").joinpath("data/table.txt").read_text(),
                resources.files(__package__).joinpath("data/table.txt").read_text(),
                resources.files("pack.data").joinpath("table.txt").read_text(),
            )
        def names():
            import pack
            return sorted(m.name for m in pkgutil.walk_packages(pack.__path__, "pack."))
        """,
    "helper.py": "VERSION = {version}\n",
    "space/inner/thing.py": "from helper import VERSION\n",
}


def write(folder, version, files=FILES):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text).lstrip("\n").format(version=version) if files is FILES else text)
    return folder


@pytest.fixture
def make(tmp_path):
    """Write and load versions; the names they get are gone afterwards."""
    before = set(sys.modules)

    def load(version, files=FILES, name=None):
        folder = write(tmp_path / f"v{version}", version, files)
        return snapshot.load(folder, name or f"made_{tmp_path.name}_{version}")

    yield load
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.fixture
def both(make):
    return make(1), make(2)


def test_every_way_to_import_finds_the_own_version(both):
    for version, snap in enumerate(both, 1):
        pack = snap.pack
        assert pack.VERSION == pack.helper.VERSION == pack.deep.VERSION == version
        assert pack.deferred() == (version, version)
        assert pack.by_name() == (version,) * 3
        assert pack.late_relative() == (version, version)
        assert pack.loop_a.ask() == (version, pack.loop_a.__name__)
        assert version == snap.helper.VERSION
        assert version == importlib.import_module(f"{snap.__name__}.space.inner.thing").VERSION
        assert pack.__doc__ == "A package."


def test_a_loaded_snapshot_is_like_a_package(make, tmp_path):
    make(1, name="like_a_package")
    import like_a_package.pack.core as core
    from like_a_package import helper, pack
    from like_a_package.pack.sub import deep

    assert core is pack.core
    assert (helper.VERSION, deep.VERSION) == (1, 1)
    assert str(tmp_path) in sys.modules["like_a_package"].__file__
    assert "pack" in dir(sys.modules["like_a_package"])
    assert core.__spec__.name == core.__name__
    with pytest.raises(AttributeError, match="has no module 'absent'; it has helper, pack, space"):
        sys.modules["like_a_package"].absent


def test_classes_know_their_own_version(both):
    one, two = (snap.pack for snap in both)
    assert typing.get_type_hints(one.Model)["colour"] == one.Colour | None
    assert [f.name for f in one.Model.__dataclass_fields__.values() if f._field_type.name == "_FIELD"] == [
        "x",
        "colour",
    ]
    assert not issubclass(two.Child, one.Model)
    assert one.Child().name() == "child of model 1"
    assert one.Meta.made == [one.Child]
    assert two.Meta.made == [two.Child]
    assert one.Same is one.Model


def test_pickle_and_copy_within_the_process(both):
    for snap in both:
        value = snap.pack.Model(colour=snap.pack.Colour.RED)
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(value, protocol))
            assert type(again) is snap.pack.Model
            assert again == value
        assert copy.deepcopy(value) == value


def test_source_and_tracebacks_are_those_of_the_version(both):
    for version, snap in enumerate(both, 1):
        linecache.clearcache()
        assert f"VERSION = {version}" in inspect.getsource(snap.pack.core)
        assert "class Colour(enum.Enum):" in inspect.getsource(snap.pack.Colour)
        try:
            snap.pack.fails()
        except ValueError as error:
            text = "".join(traceback.format_exception(error))
        assert "raise ValueError(VERSION)" in text
        assert f"v{version}/pack/core.py" in text
        assert inspect.getmodule(snap.pack.fails) is snap.pack.core


def test_data_files(both):
    for version, snap in enumerate(both, 1):
        reading = importlib.import_module(f"{snap.__name__}.pack.reading")
        assert reading.read() == (str(version),) * 5
        assert resources.files(snap.pack).joinpath("data/table.txt").read_text() == str(version)
        assert pkgutil.get_data(snap.pack.__name__, "data/table.txt") == str(version).encode()
        assert reading.names() == [
            "pack.core", "pack.lazy", "pack.loop_a", "pack.loop_b", "pack.reading", "pack.sub", "pack.sub.deep",
        ]  # fmt: skip


def test_fifty_versions_in_one_process(make):
    snaps = [make(number) for number in range(50)]
    assert [snap.pack.deferred()[0] for snap in snaps] == list(range(50))
    assert [snap.pack.by_name()[0] for snap in snaps] == list(range(50))


def test_nothing_else_is_changed(make):
    snap = make(7)
    path, hooks, modules = list(sys.path), list(sys.path_hooks), dict(sys.modules)
    importer, finders = __builtins__["__import__"], list(sys.meta_path)
    snap.pack.deferred()
    assert (sys.path, sys.path_hooks, sys.meta_path) == (path, hooks, finders)
    assert __builtins__["__import__"] is importer
    assert all(sys.modules[name] is module for name, module in modules.items())
    assert {n.partition(".")[0] for n in sys.modules.keys() - modules.keys()} <= {
        snap.__name__,
        snap.pack.__name__[:26],
    }
    assert "pack" not in sys.modules


def test_sixteen_threads_import_a_circle_at_once(make):
    size = 12
    files = {
        f"ring/m{i}.py": f"import time\nimport ring.m{(i + 1) % size}\nfrom ring import m{(i + 2) % size}\n"
        f"from . import m{(i + 3) % size} as z\nDONE = {i}\n"
        for i in range(size)
    } | {"ring/__init__.py": "from . import m0\n"}
    for attempt in range(5):
        snap = make(f"ring{attempt}", files)
        tree, barrier, failed = snap.__reprokit_tree__, threading.Barrier(16), []

        def work(number, tree=tree, barrier=barrier, failed=failed):
            barrier.wait()
            try:
                assert number % size == tree.module(f"ring.m{number % size}").DONE
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not failed


def test_a_module_that_waits_for_a_thread_while_it_is_imported_does_not_hang(make):
    code = (
        "import threading\ndef work():\n    import pack\n    from pack import sub\n    seen.append(sub.Y)\nseen = []\n"
    )
    code += "thread = threading.Thread(target=work)\nthread.start()\nthread.join()\n"
    snap = make("waits", {"main.py": code, "pack/__init__.py": "", "pack/sub.py": "Y = 1\n"})
    done = []
    thread = threading.Thread(target=lambda: done.append(snap.main.seen), daemon=True)
    thread.start()
    thread.join(20)
    assert done == [[1]]


# --- what changes on disk --------------------------------------------------------------------------------------------


def test_a_snapshot_that_was_replaced_goes_on_finding_its_own_modules(tmp_path, make, monkeypatch):
    root = write(tmp_path / "work", 1)
    monkeypatch.syspath_prepend(str(root))
    import pack

    path = snapshot.capture(pack, tmp_path / "snap")
    first = snapshot.load(path, "replaced")
    assert first.pack.VERSION == 1
    write(root, 2)
    snapshot.capture(pack, path, overwrite=True)
    second = snapshot.load(path, "replaced")
    assert (first.pack.by_name()[0], second.pack.by_name()[0]) == (1, 2)
    assert sys.modules["replaced"] is second
    assert snapshot.load(path, "replaced") is second


def test_a_file_that_was_edited_since_is_refused_not_mixed_in(make, tmp_path):
    snap = make(1)
    assert snap.pack.VERSION == 1
    (tmp_path / "v1" / "pack" / "lazy.py").write_text("VALUE = 'edited'\n")
    with pytest.raises(
        ImportApartError, match=r"pack\.lazy: .*has changed since the snapshot .* was loaded; load it again"
    ):
        snap.pack.by_name()
    again = make("1", name="loaded_again")
    assert again is not snap


# --- what cannot work ------------------------------------------------------------------------------------------------


def test_a_missing_module_is_named_as_the_tree_names_it(make):
    snap = make(
        "missing", {"m.py": "def f():\n    import m.absent\n", "n/__init__.py": "", "n/x.py": "from n import nothing\n"}
    )
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'm\.absent'") as caught:
        snap.m.f()
    assert caught.value.name == "m.absent"
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        snap.n.x if hasattr(snap.n, "x") else importlib.import_module(f"{snap.n.__name__}.x")
    with pytest.raises(NotInTreeError):
        snap.__reprokit_tree__.module("n.absent")


def test_compiled_extensions_say_so(make, tmp_path):
    suffix = importlib.machinery.EXTENSION_SUFFIXES[0]
    files = {
        "fast/__init__.py": "try:\n    from . import _speed\nexcept ImportError:\n    _speed = None\n",
        f"fast/_speed{suffix}": "",
        "needs.py": "import fast._speed\n",
    }
    snap = make("compiled", files)
    assert snap.fast._speed is None  # the usual fallback
    with pytest.raises(ImportApartError, match=r"fast\._speed: .* is a compiled extension"):
        snap.needs


def test_outside_code_that_imports_a_module_of_the_tree_by_name_is_told(make, tmp_path, monkeypatch):
    outside = tmp_path / "outside"
    outside.mkdir()
    monkeypatch.syspath_prepend(str(outside))
    (outside / "plugin_absent.py").write_text("import helper_of_tree\n")
    (outside / "plugin_there.py").write_text("import second_of_tree\n")
    (outside / "second_of_tree.py").write_text("X = 'today'\n")
    files = {
        "helper_of_tree.py": "",
        "second_of_tree.py": "X = 'then'\n",
        "main.py": "import second_of_tree\ndef one():\n    import plugin_absent\ndef two():\n    import plugin_there\n",
    }
    snap = make("outside", files)
    with pytest.raises(ImportError, match=r"plugin_absent: imports 'helper_of_tree', which is there only as a part of"):
        snap.main.one()
    with pytest.warns(ReprokitWarning, match="plugin_there: imports second_of_tree by plain name and got what is"):
        snap.main.two()
    assert snap.main.second_of_tree.X == "then"


def test_pickles_that_name_modules_plainly_are_read_with_the_own_classes(make, tmp_path, monkeypatch):
    today = write(tmp_path / "today", 9, {"shape.py": "class S:\n    V = 'today'\n"})
    monkeypatch.syspath_prepend(str(today))
    import shape

    data = pickle.dumps(shape.S())
    text = "import pickle, io\nclass S:\n    V = 'then'\ndef read(d):\n    return pickle.loads(d), pickle.load(io.BytesIO(d))\n"
    snap = make("then", {"shape.py": text})
    assert [value.V for value in snap.shape.read(data)] == ["then", "then"]
    with snap, pytest.raises(ImportApartError, match=r"a pickle .*looks 'shape' up by its plain name"):
        pickle.loads(data)
    assert pickle.loads(data).V == "today"


@pytest.mark.parametrize("name", ["json", "code", "", "a.b"])
def test_a_snapshot_cannot_take_the_name_of_another_module(make, tmp_path, name):
    folder = write(tmp_path / (name or "x"), 1, {"m.py": ""})
    with pytest.raises(ImportApartError):
        snapshot.load(folder) if name == "code" else snapshot.load(folder, name)


@pytest.mark.parametrize("path", ["absent", "file.txt"])
def test_a_folder_that_is_none(tmp_path, path):
    (tmp_path / "file.txt").write_text("")
    with pytest.raises((FileNotFoundError, NotADirectoryError)):
        snapshot.load(tmp_path / path)


def test_names_of_the_standard_library_mean_what_they_would_in_a_script_of_that_folder(make):
    files = {
        "queue.py": "MINE = True\n",
        "sys.py": "MINE = True\n",
        "email/notes.txt": "",
        "asks.py": "import queue, sys, email\nfound = hasattr(queue, 'MINE'), hasattr(sys, 'MINE'), hasattr(email, 'message_from_file')\n",
    }
    assert make("shadow", files).asks.found == (True, False, True)


def test_a_package_folder_is_loaded_as_the_package(tmp_path, make):
    folder = write(
        tmp_path / "solo", 1, {"__init__.py": "from solo.a import X\n", "a.py": "import json\nX = 4\n", "json.py": ""}
    )
    snap = snapshot.load(folder, "solo_snap")
    assert snap.X == 4
    assert snap.a.json.__name__ == "json"


# --- the with block --------------------------------------------------------------------------------------------------


def test_inside_a_block_plain_imports_find_the_tree_and_outside_they_do_not(make, tmp_path, monkeypatch):
    today = write(tmp_path / "today", 5)
    monkeypatch.syspath_prepend(str(today))
    one, two = make(1), make(2)
    import helper

    with one:
        import helper as inside
        import pack
        from pack import sub

        assert (inside.VERSION, pack.VERSION, sub.__name__) == (1, 1, one.pack.sub.__name__)
        assert importlib.import_module("pack.lazy").VALUE == 1
        with two:
            import pack

            assert pack.VERSION == 2
        import pack

        assert pack.VERSION == 1
        seen = []
        thread = threading.Thread(target=lambda: seen.append(importlib.import_module("helper").VERSION))
        thread.start()
        thread.join()
        assert seen == [5]
    import pack

    assert (pack.VERSION, helper.VERSION) == (5, 5)
    assert "_redirected" not in __builtins__["__import__"].__name__


def test_a_block_does_not_reach_into_todays_modules(make, tmp_path, monkeypatch):
    today = write(tmp_path / "today", 5)
    monkeypatch.syspath_prepend(str(today))
    import pack

    with make(1):
        assert pack.deferred() == (5, 5)


def test_blocks_end_with_exceptions_and_nest_in_any_order(make):
    one = make(1)
    with pytest.raises(KeyError), one:
        raise KeyError
    with one, one:
        import helper

        assert helper.VERSION == 1
    with pytest.raises(ModuleNotFoundError):
        import helper


# --- idioms ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["insert(0, ", "append("])
def test_folders_of_the_tree_that_its_code_puts_on_the_path_are_its_own(make, monkeypatch, order):
    monkeypatch.setattr(sys, "path", list(sys.path))
    main = f"import os, sys\nsys.path.{order}os.path.join(os.path.dirname(__file__), 'lib'))\nimport mymod\ndef late():\n    import mylate\n    return mylate.V\n"
    made = [make(n, {"main.py": main, "lib/mymod.py": f"V = {n}\n", "lib/mylate.py": f"V = {n}\n"}) for n in (1, 2)]
    assert [snap.main.mymod.V for snap in made] == [1, 2]
    assert [snap.main.late() for snap in made] == [1, 2]
    assert "mymod" not in sys.modules


def test_looking_modules_up_in_sys_modules_gives_the_own_ones(make):
    code = """
import sys
import builtins
from sys import modules
import own.sub
def look():
    __import__("own.sub")
    return [
        sys.modules["own.sub"], modules["own.sub"], sys.modules[__name__].sub, sys.modules.get("own").sub,
        builtins.__import__("own.sub").sub,
    ]
def replace():
    sys.modules["own.virtual"] = sys
    import own.virtual
    return sorted(name for name in sys.modules if name.startswith("own")), "json" in sys.modules
"""
    snap = make("modules", {"own/__init__.py": code, "own/sub.py": ""})
    assert snap.own.look() == [snap.own.sub] * 5
    assert snap.own.replace()[0] == ["own", "own.sub", "own.virtual"]
    assert not any(name.startswith("own") for name in sys.modules)


def test_lookups_by_name_in_the_standard_library(make):
    code = """
import importlib, importlib.metadata, importlib.util, pkgutil, runpy, os
from importlib.util import spec_from_file_location, module_from_spec
V = "then"
def look():
    here = os.path.dirname(__file__)
    spec = spec_from_file_location("by_path", os.path.join(here, "part.py"))
    by_path = module_from_spec(spec)
    spec.loader.exec_module(by_path)
    spec = importlib.util.find_spec("look.part")
    return [
        by_path.W,
        pkgutil.resolve_name("look:V"),
        pkgutil.resolve_name("look.part").W,
        runpy.run_module("look.alone")["W"],
        runpy.run_path(os.path.join(here, "part.py"))["W"],
        spec.loader.get_source("look.part") and "then",
        spec.loader.get_resource_reader("look.part") and "then",
        importlib.reload(importlib.import_module("look.part")).W,
        importlib.metadata.version("pytest") and "then",
    ]
def own_version():
    try:
        importlib.metadata.version(__name__)
    except importlib.metadata.PackageNotFoundError as error:
        return str(error)
"""
    part = "def inner():\n    from look import V\n    return V\nW = inner()\n"
    snap = make("lookups", {"look/__init__.py": code, "look/part.py": part, "look/alone.py": part})
    assert snap.look.look() == ["then"] * 9
    assert snap.look.own_version().endswith("for look")


def test_builtins_that_are_added_later_are_seen_at_the_next_import(make, monkeypatch):
    snap = make("builtins", {"b.py": "def f():\n    import c\n    return _translate\n", "c.py": ""})
    snap.b
    monkeypatch.setattr("builtins._translate", "there", raising=False)
    assert snap.b.f() == "there"


def test_builtins_that_the_tree_changes_are_changed_for_it_alone(make):
    code = "import builtins\nbuiltins.abs = lambda x: 'mine'\nbuiltins.brand_new = 1\nfound = abs(1), brand_new\n"
    assert make("own_builtins", {"b.py": code}).b.found == ("mine", 1)
    assert abs(-1) == 1
    assert "brand_new" not in __builtins__


def test_what_the_tree_sets_in_its_builtins_stays_at_later_imports(make):
    code = "import builtins\nbuiltins.abs = lambda x: 'mine'\nimport c\nfound = abs(1)\n"
    assert make("kept_builtins", {"b.py": code, "c.py": ""}).b.found == "mine"


def test_type_of_a_module_makes_modules(make):
    code = "import sys\nclass M(type(sys)):\n    @property\n    def x(self): return 5\nsys.modules[__name__].__class__ = M\nother = type(sys)('other')\nother.y = 1\n"
    snap = make("type_of", {"odd.py": code})
    assert (snap.odd.x, snap.odd.other.y) == (5, 1)


def test_logging_configuration_finds_handlers_of_the_tree(make):
    code = "import logging.config, logging\nclass H(logging.Handler):\n    pass\ndef go():\n    logging.config.dictConfig({'version': 1, 'handlers': {'h': {'class': 'logs.H'}}, 'loggers': {'apart.x': {'handlers': ['h']}}})\n    return type(logging.getLogger('apart.x').handlers[0]) is H\n"
    assert make("logs", {"logs.py": code}).logs.go()


def test_a_chain_of_a_hundred_modules(make):
    files = {f"chain/m{i}.py": f"import chain.m{i + 1}\n" for i in range(100)}
    snap = make("chain", files | {"chain/__init__.py": "", "chain/m100.py": "END = 1\n"})
    importlib.import_module(f"{snap.__name__}.chain.m0")
    assert snap.chain.m100.END == 1


def test_relative_imports_do_not_leave_the_package(make):
    snap = make("beyond", {"a/__init__.py": "", "a/b.py": "def f():\n    from .. import other\n", "other.py": ""})
    importlib.import_module(f"{snap.__name__}.a.b")
    with pytest.raises(ImportError, match="beyond top-level package"):
        snap.a.b.f()


def test_a_namespace_package_shared_with_an_installed_portion(make, tmp_path, monkeypatch):
    write(tmp_path / "outside", 1, {"shared_space/theirs.py": "X = 'theirs'\n"})
    monkeypatch.syspath_prepend(str(tmp_path / "outside"))
    code = "import shared_space.theirs\nfrom shared_space import mine\nfrom shared_space.theirs import X\nY = shared_space.theirs.X, mine.X, X\n"
    snap = make("shared", {"use.py": code, "shared_space/mine.py": "X = 'mine'\n"})
    assert snap.use.Y == ("theirs", "mine", "theirs")
