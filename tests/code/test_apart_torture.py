"""What code of a tree may do to Python's import system and names, and still means its own version."""

from __future__ import annotations

import concurrent.futures
import copy
import doctest
import functools
import importlib
import inspect
import logging
import multiprocessing
import os
import pdb  # noqa: T100 - it is what is tested
import pickle
import runpy
import subprocess
import sys
import textwrap
import threading
import tracemalloc
import typing
import unittest
import warnings

import pytest

from reprokit import snapshot
from reprokit.errors import ImportApartError, ReprokitWarning

PACK = {"pack/__init__.py": "V = 'old'\ndef f(): return g()\ndef g(): return 'old'\n", "pack/sub.py": "W = 'old'\n"}


@pytest.fixture
def tree(tmp_path):
    """Write files and load them apart; private names and the given ones are gone afterwards."""
    path, finders = list(sys.path), list(sys.meta_path)
    made, names = [], {"pack", "outside_user"}

    def make(files, name=None):
        folder = tmp_path / f"tree{len(made)}"
        for file, text in files.items():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(textwrap.dedent(text), encoding="utf-8")
        name = name or f"torture_{len(made)}_{tmp_path.name}"
        made.append(snapshot.load(folder, name))
        names.update((name, made[-1].__name__))
        return made[-1]

    yield make
    assert len([finder for finder in sys.meta_path if finder not in finders]) <= 1
    sys.path[:] = path
    for entry in [entry for entry in sys.modules if entry.partition(".")[0] in names]:
        del sys.modules[entry]


@pytest.fixture
def today(tmp_path, monkeypatch):
    """A package `pack` of today, imported: what a tree that holds a `pack` too must never see."""
    folder = tmp_path / "today"
    (folder / "pack").mkdir(parents=True)
    (folder / "pack" / "__init__.py").write_text("V = 'today'\nclass Thing: v = 'today'\n")
    (folder / "pack" / "sub.py").write_text("W = 'today'\n")
    monkeypatch.syspath_prepend(str(folder))
    importlib.import_module("pack.sub")
    yield sys.modules["pack"]
    assert (sys.modules["pack"].V, sys.modules["pack.sub"].W) == ("today", "today")


def inner(face, name):
    return importlib.import_module(f"{face.__name__}.{name}")


# --- ways to import --------------------------------------------------------------------------------------------------

WAYS = {
    "statement": "import pack\nR = pack.V",
    "alias of a submodule": "import pack.sub as s\nR = s.W",
    "from a package": "from pack import sub\nR = sub.W",
    "from a module": "from pack.sub import W as R",
    "star": "from pack.sub import *\nR = W",
    "relative": "from .pack import sub\nR = sub.W",
    "__import__": "R = __import__('pack.sub').sub.W",
    "__import__ with a list": "R = __import__('pack.sub', globals(), locals(), ['W'], 0).W",
    "builtins.__import__": "import builtins\nR = builtins.__import__('pack').V",
    "import_module": "import importlib\nR = importlib.import_module('pack.sub').W",
    "import_module, imported by name": "from importlib import import_module as load\nR = load('.sub', 'pack').W",
    "importlib.__import__": "import importlib\nR = importlib.__import__('pack').V",
    "exec": "space = {}\nexec('import pack; r = pack.V', space)\nR = space['r']",
    "exec with the module's builtins": "space = {'__builtins__': __builtins__}\nexec('from pack import V', space)\nR = space['V']",
    "eval": "R = eval(\"__import__('pack').V\")",
    "compiled": "R = eval(compile(\"__import__('pack').V\", 'text', 'eval'))",
    "a module made by hand": "import types\nm = types.ModuleType('m')\nexec('import pack', m.__dict__)\nR = m.pack.V",
    "a spec": "import importlib.util as u\ns = u.find_spec('pack.sub')\nm = u.module_from_spec(s)\ns.loader.exec_module(m)\nR = m.W",
    "a spec of a file": "import importlib.util as u, os\n"
    "s = u.spec_from_file_location('other', os.path.join(os.path.dirname(__file__), 'user.py'))\n"
    "m = u.module_from_spec(s)\ns.loader.exec_module(m)\nR = m.R",
    "runpy.run_path": "import os, runpy\nR = runpy.run_path(os.path.join(os.path.dirname(__file__), 'user.py'))['R']",
    "runpy.run_module": "import runpy\nR = runpy.run_module('user', run_name='__main__')['R']",
    "pkgutil.resolve_name": "import pkgutil\nR = pkgutil.resolve_name('pack:V')",
    "pkgutil.walk_packages": "import importlib, pack, pkgutil\n"
    "R = [importlib.import_module(i.name).W for i in pkgutil.walk_packages(pack.__path__, 'pack.')][0]",
    "pkgutil.iter_modules by __name__": "import importlib, pack, pkgutil\n"
    "R = [importlib.import_module(i.name).W for i in pkgutil.iter_modules(pack.__path__, pack.__name__ + '.')][0]",
    "sys.modules": "import pack.sub, sys\nR = sys.modules['pack.sub'].W",
    "sys.modules, imported by name": "import pack\nfrom sys import modules\nR = modules['pack'].V",
    "sys.modules by __name__": "import pack, sys\nR = sys.modules[pack.__name__].V",
    "__import__, then sys.modules": "import sys\n__import__('pack.sub')\nR = sys.modules['pack.sub'].W",
    "__import__ of __name__, then sys.modules": "import pack, sys\n__import__(pack.__name__ + '.sub')\nR = sys.modules[pack.__name__ + '.sub'].W",
    "reload": "import importlib, pack\nR = importlib.reload(pack).V",
    "import again after del": "import pack, sys\nfirst = pack\ndel sys.modules['pack']\nimport pack\nassert pack is not first\nR = pack.V",
    "in a thread": "import threading\nspace = {}\ndef work():\n    from pack import sub\n    space['r'] = sub.W\n"
    "t = threading.Thread(target=work)\nt.start()\nt.join(20)\nR = space['r']",
    "in a class body": "class C:\n    from pack import V\nR = C.V",
    "in a comprehension": "R = [__import__('pack').V for _ in 'a'][0]",
    "in a lambda": "R = (lambda: __import__('pack').V)()",
    "in a coroutine": "async def f():\n    import pack\n    return pack.V\nc = f()\ntry:\n    c.send(None)\nexcept StopIteration as e:\n    R = e.value",
    "after a failed import": "try:\n    import no_such_module_here as pack\nexcept ImportError:\n    import pack\nR = pack.V",
    "from a folder put on sys.path": "import os, sys\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'lib'))\n"
    "import beside\nR = beside.R",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_to_import_means_the_own_version(tree, today, way):
    names = set(sys.modules)
    face = tree(
        {**PACK, "m.py": way, "user.py": "import pack\nR = pack.V\n", "lib/beside.py": "from pack import V as R\n"}
    )
    assert face.m.R == "old"
    plain = {name for name in set(sys.modules) - names if not name.startswith("_reprokit_")}
    assert not plain & {"beside", "user", "other", "m", "pack"}


def test_imports_inside_of_functions_find_the_own_version_later(tree, today):
    calls = "".join(f"def w{i}():\n{textwrap.indent(way, '    ')}\n    return R\n" for i, way in enumerate(
        way for key, way in WAYS.items() if "star" not in key and "async" not in way))  # fmt: skip
    face = tree(
        {**PACK, "m.py": calls, "user.py": "import pack\nR = pack.V\n", "lib/beside.py": "from pack import V as R\n"}
    )
    functions = [value for name, value in vars(face.m).items() if name.startswith("w")]
    assert len(functions) > 30
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert {pool.submit(function).result() for function in functions} == {"old"}


def test_two_trees_that_put_their_folders_on_the_path_do_not_mix(tree):
    files = {
        "main.py": "import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), 'lib'))\nimport part_of_lib\n"
        "def late():\n    import late_part_of_lib\n    return late_part_of_lib.V, part_of_lib.V\n"
    }
    made = [tree({**files, "lib/part_of_lib.py": f"V = {i}", "lib/late_part_of_lib.py": f"V = {i}"}) for i in range(3)]
    assert [face.main.part_of_lib.V for face in made] == [0, 1, 2]
    assert [face.main.late() for face in made] == [(0, 0), (1, 1), (2, 2)]
    assert "part_of_lib" not in sys.modules


def test_modules_that_stand_for_themselves_in_odd_ways(tree):
    face = tree({
        "lazy/__init__.py": "import importlib\n_m = {'A': 'a'}\ndef __getattr__(n):\n    if n in _m:\n"
        "        return getattr(importlib.import_module(f'{__name__}.{_m[n]}'), n)\n    raise AttributeError(n)\n"
        "def __dir__(): return ['A']\n",
        "lazy/a.py": "A = 5\n",
        "replaced.py": "import sys\nclass R:\n    a = 6\nsys.modules[__name__] = R()\n",
        "typed.py": "import sys\nclass M(type(sys)):\n    @property\n    def p(self): return 7\nsys.modules[__name__].__class__ = M\n",
        "more/__init__.py": "import os\n__path__.append(os.path.join(os.path.dirname(__file__), 'hidden'))\nfrom . import z\nimport more.z\n",
        "more/hidden/z.py": "Z = 8\n",
        "second/__init__.py": "import importlib, sys\nsys.modules[__name__ + '.also'] = importlib.import_module('.t', __package__)\nfrom second.also import T\n",
        "second/t.py": "T = 9\n",
        "user.py": "from lazy import A\nimport lazy, replaced, typed, more, second\nfrom replaced import a\n"
        "R = [A, lazy.A, a, replaced.a, typed.p, more.z.Z, second.T]\n",
    })  # fmt: skip
    assert face.user.R == [5, 5, 6, 6, 7, 8, 9]
    assert dir(face.lazy) == ["A"]


def test_names_of_the_standard_library_and_of_installed_packages(tree):
    """A module or package shadows, as in a script's folder; a folder without code or `__init__.py` does not."""
    face = tree({
        "queue.py": "X = 'own'\n", "string/__init__.py": "X = 'own'\n", "packaging/__init__.py": "X = 'own'\n",
        "io.py": "X = 'own'\n", "typing/readme.txt": "", "json/notes.py": "X = 'own'\n", "pytest/x.py": "X = 'own'\n",
        "m.py": "import io, json, packaging, pytest, queue, string, typing, threading, concurrent.futures\n"
        "own = [queue.X, string.X, packaging.X]\nother = [io.StringIO, json.dumps, pytest.fixture, typing.List]\n",
    })  # fmt: skip
    import json
    import queue
    import string

    assert face.m.own == ["own"] * 3
    assert face.m.json.dumps is json.dumps
    assert not hasattr(queue, "X")
    assert not hasattr(string, "X")


def test_relative_imports_in_odd_places_do_as_python_does(tree, tmp_path, monkeypatch):
    """Each case gives the same in a tree and in an ordinary package; errors are told by kind."""
    files = {
        "oddly/__init__.py": "", "oddly/b.py": "B = 7\n", "oddly/sub/__init__.py": "", "oddly/sub/x.py": "V = 8\n",
        "oddly/a.py": """
            import sys, types
            def of_a_module_made_by_hand():
                made = types.ModuleType("oddly.made")
                made.__path__, made.x = [], 1
                sys.modules["oddly.made"] = made
                from oddly.made import x
                return x
            def of_an_object():
                class Lazy:
                    __path__, y = [], 2
                sys.modules["oddly.lazy"] = Lazy()
                from oddly.lazy import y
                return y
            def by_function(): return __import__("sub.x", globals(), None, ["V"], 1).V
            def by_function_without_a_list(): return __import__("sub.x", globals(), None, [], 1).__name__.rpartition(".")[2]
            def of_the_package(): return __import__("", globals(), None, ["b"], 1).b.B
            def with_a_package():
                space = {"__name__": "oddly.z", "__package__": "oddly"}
                exec("from . import b", space)
                return space["b"].B
            def without_a_package():
                exec("from .b import B", {"__name__": "__main__", "__package__": None, "__spec__": None})
            def with_an_empty_package():
                exec("from .b import B", {"__name__": "__main__", "__package__": ""})
            def beyond():
                from ... import b
            def far_beyond():
                from .... import b
            def missing():
                from . import nothing
            def missing_below():
                from .nothing import x
            def below_a_module():
                import oddly.b.c
            def negative(): __import__("b", globals(), None, ["x"], -1)
            def nothing(): __import__("")
            cases = [value for value in list(globals().values()) if isinstance(value, types.FunctionType)]
            """,
    }  # fmt: skip
    face = tree(files)
    for file, text in files.items():
        path = tmp_path / "plain" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path / "plain"))

    def told(case):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return case()
        except (ImportError, ValueError, TypeError, KeyError) as error:
            kinds = (ModuleNotFoundError, ImportError, ValueError, TypeError, KeyError)
            return next(kind for kind in kinds if isinstance(error, kind)), getattr(error, "name", None)

    plain = {case.__name__: told(case) for case in importlib.import_module("oddly.a").cases}
    for name in [name for name in sys.modules if name.partition(".")[0] == "oddly"]:
        del sys.modules[name]
    sys.path.remove(str(tmp_path / "plain"))
    apart = {case.__name__: told(case) for case in inner(face, "oddly.a").cases}
    prefix = f"{face.__name__}."
    apart = {
        name: (got[0], got[1] and got[1].removeprefix(prefix)) if isinstance(got, tuple) else got
        for name, got in apart.items()
    }
    assert apart == plain
    assert len(apart) == 15
    assert ".b" not in sys.modules


# --- what classes, functions and modules know of themselves ------------------------------------------------------------

KINDS = '''
    from __future__ import annotations
    import abc, dataclasses, enum, functools, typing
    if typing.TYPE_CHECKING:
        from p.other import Other
    T = typing.TypeVar("T")
    made = {}
    class Meta(type):
        def __new__(mcs, name, bases, space, **options):
            made[name] = super().__new__(mcs, name, bases, space, **options)
            return made[name]
        def __init__(cls, name, bases, space, **options):
            super().__init__(name, bases, space)
    class Plugin(metaclass=Meta):
        found = []
        def __init_subclass__(cls, /, tag=None, **options):
            super().__init_subclass__(**options)
            cls.tag = tag
            Plugin.found.append(cls)
    class Described:
        def __set_name__(self, owner, name):
            self.name = name
        def __get__(self, instance, owner=None):
            return self.name
    class A(Plugin, tag="a"):
        d = Described()
        def me(self):
            return __class__
    class Pair(typing.NamedTuple):
        x: int
        y: "str" = "q"
    class Colour(enum.Enum):
        RED = 1
        GREEN = enum.auto()
    class Flags(enum.Flag):
        A = 1
        B = 2
    class Abstract(abc.ABC):
        @abc.abstractmethod
        def f(self): return 1
    class Concrete(Abstract):
        def f(self): return super().f() + 1
    @typing.runtime_checkable
    class HasF(typing.Protocol):
        def f(self): ...
    class Box(typing.Generic[T]):
        x: T
    class IntBox(Box[int]): ...
    @dataclasses.dataclass(order=True, slots=True)
    class Data:
        a: int
        b: list[Data] = dataclasses.field(default_factory=list)
        c: typing.ClassVar[int] = 3
        e: Pair | None = None
    @dataclasses.dataclass(frozen=True)
    class Frozen:
        _: dataclasses.KW_ONLY
        a: Colour = Colour.RED
        i: dataclasses.InitVar[int] = 0
    class Typed(typing.TypedDict):
        z: Data
    Functional = enum.Enum("Functional", "X Y")
    class Fault(Exception): ...
    @functools.singledispatch
    def kind(x): return "object"
    @kind.register
    def _(x: Data): return "Data"
    @functools.cache
    def cached(x): return x
    def outer():
        def inner():
            "The inner one."
            from p import other
            return other.Other
        return inner
    def documented(a: int, *b: Data, k: Pair = None, **more) -> Colour:
        """Say it.

        >>> from p.base import Colour
        >>> import p.base
        >>> Colour.RED is p.base.Colour.RED
        True
        >>> documented.__module__ == Colour.__module__
        True
        """
'''


@pytest.fixture
def kinds(tree):
    files = {"p/__init__.py": "", "p/base.py": KINDS, "p/other.py": "class Other: ...\n"}
    return inner(tree(files), "p.base"), inner(tree(files), "p.base")


def test_classes_of_all_kinds_belong_to_their_version(kinds):
    for base, other in (kinds, kinds[::-1]):
        assert base.made["A"] is base.A
        assert base.Plugin.found == [base.A]
        assert (base.A.tag, base.A().d, base.A().me()) == ("a", "d", base.A)
        assert base.Concrete().f() == 2
        assert isinstance(base.Concrete(), base.HasF)
        assert base.kind(base.Data(1)) == "Data"
        assert base.kind(other.Data(1)) == "object"
        assert base.Data(1) != other.Data(1)
        assert base.outer()().__module__ == base.__name__.replace("base", "other")
        with pytest.raises(TypeError):
            base.Abstract()


def test_annotations_are_resolved_in_the_own_version(kinds):
    for base in kinds:
        assert typing.get_type_hints(base.Data) == {
            "a": int, "b": list[base.Data], "c": typing.ClassVar[int], "e": base.Pair | None,
        }  # fmt: skip
        assert typing.get_type_hints(base.Pair) == {"x": int, "y": str}
        assert typing.get_type_hints(base.Typed) == {"z": base.Data}
        assert typing.get_type_hints(base.documented)["return"] is base.Colour
        assert inspect.signature(base.documented, eval_str=True).parameters["b"].annotation is base.Data


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickle_and_copy_keep_the_version(kinds, protocol):
    for base in kinds:
        values = [
            base.Data(1, [base.Data(2)], e=base.Pair(1)), base.Frozen(), base.Colour.RED, base.Flags.A | base.Flags.B, base.Pair(1),
            base.Functional.X, base.A, base.documented, base.IntBox, base.Fault("x"), base.kind, base.Concrete(),
        ]  # fmt: skip
        for value in values:
            again = pickle.loads(pickle.dumps(value, protocol))
            assert type(again) is type(value)
            assert type(copy.deepcopy(value)) is type(value)
            if not isinstance(value, (base.Fault, base.Concrete)):
                assert again == value


def test_source_signature_and_doctests(kinds):
    for base in kinds:
        assert inspect.getsource(base.Data).startswith("@dataclasses.dataclass(order=True")
        assert "def inner" in inspect.getsource(base.outer())
        assert inspect.getmodule(base.Data) is base
        assert inspect.getsourcelines(base.documented)[1] == inspect.getsource(base).splitlines().index(
            "def documented(a: int, *b: Data, k: Pair = None, **more) -> Colour:") + 1  # fmt: skip
        done = doctest.testmod(base)
        assert (done.attempted, done.failed) == (4, 0)


def test_unittest_logging_and_warnings_name_the_private_module(tree):
    """Names that a module makes of `__name__` are private as well."""
    face = tree({
        "pack/__init__.py": "import logging, warnings\nlog = logging.getLogger(__name__)\ndef warn(): warnings.warn('w', UserWarning)\n",
        "cases.py": "import logging, pack, unittest\nclass T(unittest.TestCase):\n    def test_log(self):\n"
        "        with self.assertLogs(pack.__name__): pack.log.error('x')\n",
    })  # fmt: skip
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(face.cases).run(result)
    assert (result.testsRun, result.wasSuccessful()) == (1, True)
    assert face.pack.log is logging.getLogger(face.pack.__name__)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", module=r".*\.pack$")
        face.pack.warn()
    assert caught == []


# --- stand-ins of standard modules ---------------------------------------------------------------------------------------


def test_sys_is_the_real_one_but_for_its_modules(tree, today):
    face = tree({**PACK, "m.py": """
        import io, os, sys, types
        from unittest import mock

        def patched():
            with mock.patch.object(sys, "argv", ["x"]):
                inside = sys.argv
            return inside

        def redirected():
            old, sys.stdout = sys.stdout, io.StringIO()
            try:
                print("hi")
                return sys.stdout.getvalue()
            finally:
                sys.stdout = old

        def looked_up():
            import pack.sub
            kinds = (sys.modules.get("pack").V, sys.modules["pack.sub"].W, dict(sys.modules)["pack"].V, {**sys.modules}["pack"].V)
            names = sorted(name for name in sys.modules if name == "pack" or name.startswith("pack."))
            return set(kinds), names, sys.modules["os"] is os, sys.modules.get("no such"), "pack" in sys.modules

        def blocked():
            import pack
            with mock.patch.dict(sys.modules, {"pack": None}):
                try:
                    import pack as again
                except ImportError:
                    return "blocked"

        def made():
            sys.modules["pack.made"] = types.ModuleType("pack.made")
            import pack.made
            return "pack.made" in sys.modules

        def attribute():
            sys.something_new = 1
            try:
                return __import__("sys").something_new
            finally:
                del sys.something_new

        frame = sys._getframe().f_code.co_name
        """})  # fmt: skip
    argv = list(sys.argv)
    assert face.m.patched() == ["x"]
    assert sys.argv == argv
    assert face.m.redirected() == "hi\n"
    assert face.m.looked_up() == ({"old"}, ["pack", "pack.sub"], True, None, True)
    assert face.m.blocked() == "blocked"
    assert face.m.made()
    assert "pack.made" not in sys.modules
    assert face.m.attribute() == 1
    assert not hasattr(sys, "something_new")
    assert face.m.frame == "<module>"
    assert sys.modules["pack"].V == "today"


def test_pickles_with_plain_names_are_read_with_the_own_classes(tree, today):
    face = tree({"pack/__init__.py": """
        import io, pickle
        class Thing: v = "old"
        class Reader(pickle.Unpickler):
            def find_class(self, module, name): return super().find_class(module, name)
            def persistent_load(self, key): return key
        def ways(data):
            yield pickle.loads(data)
            yield pickle.load(io.BytesIO(data))
            yield pickle.Unpickler(io.BytesIO(data)).load()
            yield Reader(io.BytesIO(data)).load()
            yield pickle.loads(pickle.dumps(Thing()))
        """})  # fmt: skip
    assert {thing.v for thing in face.pack.ways(pickle.dumps(today.Thing()))} == {"old"}


def test_metadata_and_data_files_by_every_name(tree):
    face = tree({"pluggy/__init__.py": """
        import importlib.metadata as metadata
        from importlib.metadata import version
        import importlib.resources, pkgutil
        versions = {version("pluggy"), version(__name__), metadata.version(__package__)}
        data = {
            pkgutil.get_data("pluggy", "a.txt"), pkgutil.get_data(__name__, "a.txt"),
            importlib.resources.files("pluggy").joinpath("a.txt").read_bytes(),
            importlib.resources.files(__name__).joinpath("a.txt").read_bytes(),
            importlib.resources.files("pluggy.only_data").joinpath("b.txt").read_bytes(),
            __loader__.get_data(__file__.replace("__init__.py", "a.txt")),
        }
        """, "pluggy/a.txt": "own", "pluggy/only_data/b.txt": "own"})  # fmt: skip
    assert face.pluggy.versions == {importlib.metadata.version("pluggy")}
    assert face.pluggy.data == {b"own"}


def test_scripts_with_a_main_guard(tree):
    face = tree({
        "app/__init__.py": "", "app/core.py": "V = 'old'\n",
        "app/__main__.py": "import app.core\nR = app.core.V if __name__ == '__main__' else None\n",
        "m.py": "import runpy\nR = runpy.run_module('app', run_name='__main__')['R']\n",
    })  # fmt: skip
    assert face.m.R == "old"
    assert inner(face, "app.__main__").R is None
    with pytest.raises(ImportError):
        runpy.run_module("app")


# --- many at once ----------------------------------------------------------------------------------------------------------


def circle(version, size=12):
    files = {"p/__init__.py": f"V = {version}\nfrom . import m0\n"}
    for i in range(size):
        files[f"p/m{i}.py"] = (
            f"import p.m{(i + 1) % size}\nfrom p import m{(i + 2) % size}\nfrom . import m{(i + 3) % size} as z\nX = {i}\n"
            f"def f():\n    import p.m{(i + 1) % size} as q\n    from p import V\n    return V, q.X\n"
        )
    return files


def test_sixteen_threads_import_circles_of_several_versions_at_once(tree):
    for start in range(0, 12, 4):
        for version in range(start, start + 4):
            tree(circle(version), f"circle_{version}")
        barrier = threading.Barrier(16)

        def work(number, barrier=barrier, start=start):
            version = number % 4 + start
            barrier.wait(20)
            return version, number % 12, importlib.import_module(f"circle_{version}.p.m{number % 12}").f()

        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for version, number, got in pool.map(work, range(16), timeout=60):
                assert got == (version, (number + 1) % 12)


def test_sixteen_threads_load_one_snapshot_at_once(tmp_path):
    for file, text in circle(7).items():
        target = tmp_path / "same" / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    barrier = threading.Barrier(16)

    def work(number):
        barrier.wait(20)
        face = snapshot.load(tmp_path / "same", "loaded_at_once")
        return face, face.p.m3.f(), importlib.import_module("loaded_at_once.p")

    try:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            got = list(pool.map(work, range(16), timeout=60))
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "loaded_at_once"]:
            del sys.modules[name]
    assert len({face for face, _, _ in got}) == len({module for _, _, module in got}) == 1
    assert {value for _, value, _ in got} == {(7, 4)}


def test_fifty_versions_at_work(tree):
    text = "import importlib\ndef f():\n    import p\n    from p import V\n    return V, p.V, importlib.import_module('p').V\nclass K: ...\n"
    faces = [tree({"p/__init__.py": f"V = {i}\n", "p/a.py": text}) for i in range(50)]
    for i, face in enumerate(faces):
        module = inner(face, "p.a")
        assert module.f() == (i, i, i)
        assert type(pickle.loads(pickle.dumps(module.K()))) is module.K
    assert [inner(face, "p.a").f()[0] for face in faces] == list(range(50))


# --- tools ---------------------------------------------------------------------------------------------------------------


def test_tracing_debugger_and_tracemalloc_see_the_right_lines(tree):
    face = tree(
        {"p.py": "def f(x):\n    y = x + 1\n    return y\n", "big.py": "L = [bytes(1000) for _ in range(1000)]\n"}
    )
    file = face.p.__file__
    seen = []

    def trace(frame, event, arg):
        if frame.f_code.co_filename == file:
            seen.append((event, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        face.p.f(1)
    finally:
        sys.settrace(before)
    assert [line for event, line in seen if event == "line"] == [2, 3]

    import io

    out = io.StringIO()
    debugger = pdb.Pdb(stdin=io.StringIO("c\np y\nl\nq\n"), stdout=out, nosigint=True, readrc=False)
    debugger.set_break(file, 3)
    before = sys.gettrace()
    try:
        debugger.runcall(face.p.f, 5)
    except pdb.bdb.BdbQuit:
        pass
    finally:
        sys.settrace(before)
    assert "\n(Pdb) 6\n" in out.getvalue()
    assert "return y" in out.getvalue()

    tracemalloc.start()
    try:
        assert len(face.big.L) == 1000
        top = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(True, face.big.__file__)])
    finally:
        tracemalloc.stop()
    assert sum(trace.size for trace in top.traces) > 1_000_000


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_functions_go_to_forked_processes(tree):
    face = tree({"w.py": "def f(x):\n    import v\n    return v.g(x)\n", "v.py": "def g(x): return 2 * x\n"})
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        assert pool.submit(face.w.f, 3).result(30) == 6
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(functools.partial(face.w.f, 4)).result(30) == 8


def test_another_process_reads_a_pickle_once_it_has_loaded_the_snapshot(tmp_path):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "cls.py").write_text("class K:\n    def __init__(self): self.a = 3\n")
    face = snapshot.load(folder, "torture_other_process")
    data = tmp_path / "k.pkl"
    data.write_bytes(pickle.dumps(face.cls.K()))
    read = f"import pickle; print(pickle.load(open({str(data)!r}, 'rb')).a)"
    load = f"from reprokit import snapshot; snapshot.load({str(folder)!r}, 'other_name'); "
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [os.getcwd(), *sys.path]))}
    done = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=env)
        for code in (load + read, read)
    ]
    assert done[0].stdout == "3\n", done[0].stderr
    assert "No module named '_reprokit_" in done[1].stderr


# --- what can't work says so -------------------------------------------------------------------------------------------------


def test_outside_code_that_took_a_name_of_the_tree_earlier_is_told(tree, today, tmp_path, monkeypatch):
    (tmp_path / "today" / "outside_user.py").write_text("import pack\nV = pack.V\n")
    importlib.import_module("outside_user")
    face = tree({**PACK, "m.py": "import outside_user\n"})
    with pytest.warns(ReprokitWarning, match="pack"):
        face.m


def test_compiled_code_that_looks_a_module_up_is_refused(tree, today):
    face = tree({**PACK, "m.py": "import cloudpickle\ndef read(data): return cloudpickle.loads(data)\n"})
    with pytest.raises(ImportApartError, match="pack"):
        face.m.read(pickle.dumps(today.Thing))


def test_syntax_errors_and_faults_at_import_name_file_and_line(tree):
    face = tree({"bad.py": "x = 1\ndef f(:\n", "user.py": "import raising\n", "raising.py": "x = 1\n1 / 0\n"})
    with pytest.raises(SyntaxError) as bad:
        face.bad
    assert (os.path.basename(bad.value.filename), bad.value.lineno) == ("bad.py", 2)
    for _ in range(2):  # it isn't half there afterwards
        with pytest.raises(ZeroDivisionError) as fault:
            face.user
        last = fault.traceback[-1]
        assert (last.path.name, last.lineno + 1) == ("raising.py", 2)
