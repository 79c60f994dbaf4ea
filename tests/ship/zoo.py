"""A local package with one of each kind of object, and what has to hold for each on a worker and back home."""

from __future__ import annotations

import textwrap

FILES = {
    "zoo/__init__.py": """
        from zoo.shapes import *
        VERSION = "new"
        def top(n):
            return n + OFFSET
        OFFSET = 10
        """,
    "zoo/shapes.py": """
        import abc, collections, copyreg, dataclasses, enum, functools, typing
        from zoo.deco import timed, Registry
        OFFSET = 10
        T = typing.TypeVar("T")
        class Plain:
            counter = 0
            def __init__(self, n): self.n = n
            def __eq__(self, other): return type(other) is type(self) and vars(other) == vars(self)
            __hash__ = None
            def add(self, k): return self.n + k + OFFSET
            @classmethod
            def make(cls, n): return cls(n)
            @staticmethod
            def double(n): return 2 * n
            @property
            def twice(self): return 2 * self.n
            @timed
            def slow(self): return self.n
            class Inner:
                class Deep:
                    def who(self): return "deep"
        class Slotted:
            __slots__ = ("a", "b")
            def __init__(self, a, b): self.a, self.b = a, b
        @dataclasses.dataclass(frozen=True)
        class Point:
            x: int
            y: int = 2
            tags: list = dataclasses.field(default_factory=list)
            def norm(self): return self.x ** 2 + self.y ** 2
        @dataclasses.dataclass(slots=True)
        class SlotPoint:
            x: int
        class Color(enum.Enum):
            RED = 1
            BLUE = "b"
            def loud(self): return self.name + "!"
        class Perm(enum.Flag):
            R = 1
            W = 2
        Pair = collections.namedtuple("Pair", "left right")
        class Typed(typing.NamedTuple):
            left: int
            right: str = "r"
        class Box(typing.Generic[T]):
            def __init__(self, item: T): self.item = item
        class Meta(type):
            def __new__(mcs, name, bases, space, **kw):
                cls = super().__new__(mcs, name, bases, space)
                cls.tag = name.lower()
                return cls
            def __call__(cls, *args):
                made = super().__call__(*args)
                made.made_by = "Meta"
                return made
        class WithMeta(metaclass=Meta):
            pass
        class Base(abc.ABC):
            @abc.abstractmethod
            def run(self): ...
        class Impl(Base):
            def run(self): return "ran"
        class Registered(Registry): pass
        class Missing:
            def __repr__(self): return "MISSING"
            def __reduce__(self): return "MISSING"
        MISSING = Missing()
        def _rebuild(n): return Reduced(n)
        class Reduced:
            def __init__(self, n): self.n = n
            def __reduce__(self): return _rebuild, (self.n,)
        class ByCopyreg:
            def __init__(self, n): self.n = n
        def _pickle_it(obj): return ByCopyreg, (obj.n,)
        copyreg.pickle(ByCopyreg, _pickle_it)
        class Stateful:
            def __init__(self): self.kept, self.lost = 1, 2
            def __getstate__(self): return {"kept": self.kept}
            def __setstate__(self, state): self.__dict__.update(state)
        class Oops(Exception):
            def __init__(self, code): super().__init__(code); self.code = code
        class Dict(dict): pass
        class List(list): pass
        UserId = typing.NewType("UserId", int)
        """,
    "zoo/deco.py": """
        import functools
        CALLS = []
        def timed(function):
            @functools.wraps(function)
            def wrapper(*args, **kwargs):
                CALLS.append(function.__name__)
                return function(*args, **kwargs)
            return wrapper
        class Registry:
            known = []
            def __init_subclass__(cls): Registry.known.append(cls.__name__)
        """,
    "zoo/work.py": '''
        import functools, importlib
        from importlib import import_module
        from pathlib import Path
        import reprokit as rk
        from zoo import deco, shapes
        from zoo.deco import timed
        OFFSET = 10
        def plain(n): return n + OFFSET
        def deferred(n):
            from zoo.late import LATE
            return n + LATE
        def relative(n):
            from . import late
            return n + late.LATE
        def by_import_module(): return importlib.import_module("zoo.late").LATE
        def by_relative_import_module(): return import_module(".late", "zoo").LATE
        def by_dunder(): return __import__("zoo.late").late.LATE
        def data(): return (Path(__file__).parent / "data" / "values.txt").read_text().strip()
        def resource():
            from importlib.resources import files
            return (files("zoo") / "data" / "values.txt").read_text().strip()
        def fact(n): return 1 if n < 2 else n * fact(n - 1)
        def is_even(n): return n == 0 or is_odd(n - 1)
        def is_odd(n): return n != 0 and is_even(n - 1)
        @functools.lru_cache(maxsize=7)
        def cached(n): return n + OFFSET
        @timed
        def wrapped(n): return n + OFFSET
        @rk.monitor
        def monitored(n): return n + OFFSET
        @rk.monitor
        @timed
        def both(n): return n + OFFSET
        @functools.singledispatch
        def dispatched(n): return "object"
        @dispatched.register
        def _(n: int): return "int"
        lam = lambda n: n + OFFSET
        def closure(k):
            def inner(n): return n + k + OFFSET
            return inner
        def recursive():
            def inner(n): return 0 if n == 0 else n + inner(n - 1)
            return inner
        def counter():
            count = 0
            def up():
                nonlocal count
                count += 1
            def get(): return count
            return up, get
        def nested_late():
            def inner():
                import zoo.late
                return zoo.late.LATE
            return inner
        def nested_importlib():
            import importlib
            def inner(): return importlib.import_module("zoo.late").LATE
            return inner
        def nested_class(k):
            class Local(shapes.Plain):
                """A class in a function."""
                factor = k
                def add(self, n): return super().add(n) * self.factor + OFFSET
            return Local
        def nested_monitored(k):
            @rk.monitor
            def inner(n): return n + k + OFFSET
            return inner
        def nested_cached(k):
            @functools.lru_cache
            def inner(n): return n + k + OFFSET
            return inner
        def nested_enum():
            import enum
            class Mode(enum.Enum):
                A = 1
                def low(self): return self.name.lower()
            return Mode
        def with_defaults(a, b=shapes.Plain(3), *, c=shapes.Color.RED): return b.n, c.name
        def annotated(a: shapes.Plain) -> shapes.Point: ...
        async def coroutine(n): return n + OFFSET
        def generator(n): yield n + OFFSET
        def made_by_exec():
            space = {"__name__": __name__, "plain": plain}
            exec("def made(n):\\n    import zoo.late\\n    return plain(n), zoo.late.LATE", space)
            return space["made"]
        class Memo:
            def __init__(self, function):
                functools.update_wrapper(self, function)
                self.seen = {}
            def __call__(self, n): return self.seen.setdefault(n, self.__wrapped__(n))
        @Memo
        def memoized(n): return n + OFFSET
        class Tool:
            @rk.monitor
            def method(self, n): return n + OFFSET
            @classmethod
            @rk.monitor
            def klass(cls, n): return cls.__name__, n + OFFSET
            @functools.cached_property
            def once(self): return OFFSET
            def __call__(self, n): return n + OFFSET
        tool = Tool()
        ''',
    "zoo/late.py": "from zoo.work import OFFSET\nLATE = OFFSET + 90\n",
    "zoo/data/values.txt": "1 2 3\n",
    "zoo/circle_a.py": "import zoo.circle_b\ndef a(): return zoo.circle_b.b() + 1\n",
    "zoo/circle_b.py": "import zoo.circle_a\ndef b(): return 1\ndef through(): return zoo.circle_a.a()\n",
    "single.py": "import zoo.work\ndef one(n): return zoo.work.plain(n)\n",
}

OLDER = {
    "zoo/__init__.py": "VERSION = 'old'\nOFFSET = 0\ndef top(n): return 'old'\n",
    "zoo/work.py": "OFFSET = 0\ndef plain(n): return 'old'\n",
    "zoo/late.py": "LATE = 'old'\n",
    "single.py": "def one(n): return 'old'\n",
}

# name: the object, as the driver writes it; what has to hold of it (`x`) on the worker; what of the one that comes back.
SAME = "x is o"
EQUAL = "x == o and type(x) is type(o)"
KINDS = {
    "function": ("work.plain", "x(1) == 11", SAME),
    "function of the package": ("zoo.top", "x(1) == 11", SAME),
    "function of a single file": ("single.one", "x(1) == 11", SAME),
    "import inside": ("work.deferred", "x(1) == 101", SAME),
    "relative import inside": ("work.relative", "x(1) == 101", SAME),
    "importlib.import_module": ("work.by_import_module", "x() == 100", SAME),
    "relative importlib.import_module": ("work.by_relative_import_module", "x() == 100", SAME),
    "__import__": ("work.by_dunder", "x() == 100", SAME),
    "data file": ("work.data", "x() == '1 2 3'", SAME),
    "resource": ("work.resource", "x() == '1 2 3'", SAME),
    "recursion": ("work.fact", "x(5) == 120", SAME),
    "mutual recursion": ("work.is_even", "x(10)", SAME),
    "circular imports": ("circle_b.through", "x() == 2", SAME),
    "lru_cache": ("work.cached", "x(1) == 11 and x.cache_parameters()['maxsize'] == 7", SAME),
    "wraps": ("work.wrapped", "x(1) == 11 and x.__wrapped__(1) == 11", SAME),
    "behind wraps": ("work.wrapped.__wrapped__", "x(1) == 11", SAME),
    "monitored": ("work.monitored", "x(1) == 11 and type(x).__name__ == 'RunWrapper'", SAME),
    "behind monitor": ("work.monitored.__wrapped__", "x(1) == 11", SAME),
    "monitored and wrapped": ("work.both", "x(1) == 11", SAME),
    "singledispatch": ("work.dispatched", "x(1) == 'int' and x('') == 'object'", SAME),
    "lambda with a name": ("work.lam", "x(1) == 11", "x(1) == 11"),
    "closure": ("work.closure(5)", "x(1) == 16", "x(1) == 16 and x.__module__ == 'zoo.work'"),
    "recursive closure": ("work.recursive()", "x(4) == 10", "x(4) == 10"),
    "closures that share a variable": ("work.counter()", "(x[0](), x[0](), x[1]() == 2)[2]", "(x[0](), x[1]() == 3)[1]"),
    "import in a nested function": ("work.nested_late()", "x() == 100", "x() == 100"),
    "importlib in a closure": ("work.nested_importlib()", "x() == 100", "x() == 100"),
    "class in a function": (
        "work.nested_class(3)",
        "x(1).add(1) == 46 and x.__qualname__ == 'nested_class.<locals>.Local' and sys.modules[x.__module__].OFFSET == 10",
        SAME,
    ),
    "instance of a class in a function": ("work.nested_class(3)(1)", "x.add(1) == 46", "type(x) is type(o) and x == o"),
    "monitored in a function": ("work.nested_monitored(1)", "x(1) == 12 and type(x).__name__ == 'RunWrapper'", "x(1) == 12"),
    "lru_cache in a function": ("work.nested_cached(1)", "x(1) == 12 and x.cache_info().misses == 1", "x(1) == 12"),
    "enum in a function": ("work.nested_enum()", "x.A.low() == 'a'", SAME),
    "member of an enum in a function": ("work.nested_enum().A", "x.low() == 'a'", SAME),
    "defaults": ("work.with_defaults", "x(1) == (3, 'RED')", SAME),
    "annotations": ("work.annotated", "x.__annotations__['a'].__name__ == 'Plain'", SAME),
    "coroutine function": ("work.coroutine", "__import__('asyncio').run(x(1)) == 11", SAME),
    "generator function": ("work.generator", "list(x(1)) == [11]", SAME),
    "class": ("shapes.Plain", "x(1).add(1) == 12", SAME),
    "inner class": ("shapes.Plain.Inner.Deep", "x().who() == 'deep'", SAME),
    "instance": ("shapes.Plain(1)", "x.add(1) == 12 and x.twice == 2", EQUAL),
    "instance with slots": ("shapes.Slotted(1, [2])", "(x.a, x.b) == (1, [2])", "type(x) is shapes.Slotted and x.b == [2]"),
    "bound method": ("shapes.Plain(1).add", "x(1) == 12", "x == o or x.__func__ is o.__func__"),
    "bound decorated method": ("shapes.Plain(4).slow", "x() == 4", "x.__func__ is o.__func__"),
    "unbound method": ("shapes.Plain.add", "x(zoo_of(x).shapes.Plain(1), 1) == 12", SAME),
    "classmethod": ("shapes.Plain.make", "x(3).n == 3", "x == o"),
    "staticmethod": ("shapes.Plain.double", "x(3) == 6", SAME),
    "getter of a property": ("shapes.Plain.twice.fget", "x(zoo_of(x).shapes.Plain(4)) == 8", SAME),
    "callable instance": ("work.tool", "x(1) == 11 and x.once == 10", "type(x) is work.Tool"),
    "monitored method": ("work.tool.method", "x(1) == 11", "x(1) == 11 and x._self_parent is o._self_parent"),
    "monitored method of the class": ("work.Tool.method", "x(None, 1) == 11", "x._self_parent is o._self_parent"),
    "monitored classmethod": ("work.Tool.klass", "x(1) == ('Tool', 11)", "x(1) == ('Tool', 11)"),
    "partial": ("functools.partial(work.plain, 4)", "x() == 14", "x.func is work.plain"),
    "partial of a method": ("functools.partial(shapes.Plain(1).add, k=2)", "x() == 13", "x() == 13"),
    "partial of a lambda": ("functools.partial(work.lam, 2)", "x() == 12", "x() == 12"),
    "dataclass": ("shapes.Point", "x(1).norm() == 5", SAME),
    "dataclass instance": ("shapes.Point(3, 4, ['a'])", "x.norm() == 25 and x.tags == ['a']", EQUAL),
    "dataclass with slots": ("shapes.SlotPoint(3)", "x.x == 3", EQUAL),
    "enum": ("shapes.Color", "x.RED.loud() == 'RED!'", SAME),
    "enum member": ("shapes.Color.BLUE", "x.loud() == 'BLUE!' and x is type(x)('b')", SAME),
    "flag": ("shapes.Perm.R | shapes.Perm.W", "x.value == 3", SAME),
    "namedtuple": ("shapes.Pair(1, 2)", "x.right == 2 and type(x).__name__ == 'Pair'", EQUAL),
    "typed namedtuple": ("shapes.Typed(1)", "x.right == 'r'", EQUAL),
    "generic class": ("shapes.Box", "x(3).item == 3", SAME),
    "generic alias": ("shapes.Box[int]", "x(3).item == 3", "x == o"),
    "list of a local class": ("list[shapes.Plain]", "x.__args__[0](1).n == 1", "x == o"),
    "type variable": ("shapes.T", "x.__name__ == 'T'", SAME),
    "new type": ("shapes.UserId", "x(3) == 3", SAME),
    "metaclass": ("shapes.WithMeta", "x.tag == 'withmeta' and x().made_by == 'Meta'", SAME),
    "abstract class": ("shapes.Impl()", "x.run() == 'ran' and type(x).__mro__[1].__name__ == 'Base'", "type(x) is shapes.Impl"),
    "init_subclass": ("shapes.Registered", "x.known == ['Registered']", SAME),
    "singleton by __reduce__": ("shapes.MISSING", "repr(x) == 'MISSING'", SAME),
    "__reduce__": ("shapes.Reduced(4)", "x.n == 4", "type(x) is shapes.Reduced"),
    "copyreg": ("shapes.ByCopyreg(4)", "x.n == 4", "type(x) is shapes.ByCopyreg"),
    "__getstate__": ("shapes.Stateful()", "x.kept == 1 and not hasattr(x, 'lost')", "type(x) is shapes.Stateful"),
    "exception": ("shapes.Oops(7)", "x.code == 7 and isinstance(x, Exception)", "type(x) is shapes.Oops and x.code == 7"),
    "dict subclass": ("shapes.Dict(a=shapes.Plain(1))", "x['a'].add(1) == 12", EQUAL),
    "list subclass": ("shapes.List([shapes.Color.RED])", "x[0].loud() == 'RED!'", EQUAL),
    "module": ("work", "x.plain(1) == 11", SAME),
    "package": ("zoo", "x.VERSION == 'new' and x.top(1) == 11", SAME),
    "one object twice": ("(lambda p: [p, p])(shapes.Plain(1))", "x[0] is x[1]", "x[0] is x[1]"),
    "itself inside": ("(lambda p: (setattr(p, 'me', p), p)[1])(shapes.Plain(1))", "x.me is x", "x.me is x"),
    "method that its object holds": (
        "(lambda p: (setattr(p, 'call', p.add), p)[1])(shapes.Plain(1))", "x.call(1) == 12", "x.call(1) == 12"),
    "class as a key": ("{shapes.Plain: 1}", "next(iter(x))(1).n == 1", "x == o"),
    "function of __main__": ("main_plain", "x(1) == 11", "x(1) == 11"),
    "recursion in __main__": ("main_fact", "x(5) == 120", "x(5) == 120"),
    "mutual recursion in __main__": ("main_even", "x(10)", "x(10)"),
    "global of __main__": ("main_global", "x() == {'a': 1}", "x() == {'a': 1}"),
    "module in __main__": ("main_module", "x(1) == 11", "x(1) == 11"),
    "submodule in __main__": ("main_submodule", "x(1) == 11", "x(1) == 11"),
    "import in __main__": ("main_deferred", "x() == 100", "x() == 100"),
    "import in a function in __main__": ("main_nested", "x() == 100", "x() == 100"),
    "import_module in __main__": ("main_import_module", "x() == 100", "x() == 100"),
    "from importlib in __main__": ("main_from_importlib", "x() == 100", "x() == 100"),
    "__import__ in __main__": ("main_dunder", "x() == 100", "x() == 100"),
    "exec in __main__": ("main_exec", "x() == 100", "x() == 100"),
    "class of __main__": ("MainClass", "x(1).get() == (1, 100) and x.__qualname__ == 'MainClass'", SAME),
    "instance of a class of __main__": ("MainClass(2)", "x.get() == (2, 100)", "type(x) is MainClass and x.get() == (2, 100)"),
    "subclass in __main__": ("MainSub(1)", "x.add(1) == 112", "type(x) is MainSub and x.add(1) == 112"),
    "dataclass of __main__": ("MainPoint(1)", "x.x == 1 and x == type(x)(1)", EQUAL),
    "enum of __main__": ("MainColor.RED", "x.value == 1", SAME),
    "namedtuple of __main__": ("MainPair(1, 2)", "x.right == 2", EQUAL),
    "lambda of __main__": ("lambda n: work.plain(n)", "x(1) == 11", "x(1) == 11"),
    "closure of __main__": ("main_closure(5)", "x(1) == 16", "x(1) == 16"),
    "monitored in __main__": ("main_monitored", "x(1) == 11 and type(x).__name__ == 'RunWrapper'", "x(1) == 11"),
    "wraps of local code in __main__": ("main_wraps", "x(1) == 12 and x.__name__ == 'plain'", "x(1) == 12"),
    "made by exec": ("work.made_by_exec()", "x(1) == (11, 100)", "x(1) == (11, 100)"),
    "decorator object": ("work.memoized", "x(1) == 11 and x.__wrapped__(1) == 11", SAME),
    "behind a decorator object": ("work.memoized.__wrapped__", "x(1) == 11", SAME),
}  # fmt: skip

# What plain cloudpickle gets wrong in __main__ is left to it by `extend_cloudpickle`, but not by `dumps`.
ONLY_SHIPPED = {
    "lru_cache in __main__": ("main_cached", "x(1) == 11 and x.cache_info().misses == 1", "x(1) == 11"),
    "cached_property of __main__": ("MainCached()", "x.once == 10", "type(x) is MainCached and x.once == 10"),
}

DRIVER = """
import dataclasses, enum, functools, importlib, json, pickle, subprocess, sys, typing
from collections import namedtuple
from importlib import import_module
import reprokit as rk, reprokit.ship as ship
import single, zoo, zoo.circle_b
from zoo import circle_b, shapes, work

VALUES = {"a": 1}
def main_plain(n): return n + 10
def main_fact(n): return 1 if n < 2 else n * main_fact(n - 1)
def main_even(n): return n == 0 or main_odd(n - 1)
def main_odd(n): return n != 0 and main_even(n - 1)
def main_global(): return VALUES
def main_module(n): return work.plain(n)
def main_submodule(n): return zoo.work.plain(n)
def main_deferred():
    import zoo.late
    return zoo.late.LATE
def main_nested():
    def inner():
        from zoo.late import LATE
        return LATE
    return inner()
def main_import_module(): return importlib.import_module("zoo.late").LATE
def main_from_importlib(): return import_module("zoo.late").LATE
def main_dunder(): return __import__("zoo.late").late.LATE
def main_exec():
    space = {}
    exec("from zoo.late import LATE", globals(), space)
    return space["LATE"]
class MainClass:
    def __init__(self, n): self.n = n
    def get(self):
        from zoo.late import LATE
        return self.n, LATE
class MainSub(shapes.Plain):
    def add(self, k): return super().add(k) + 100
@dataclasses.dataclass
class MainPoint:
    x: int
class MainColor(enum.Enum):
    RED = 1
MainPair = namedtuple("MainPair", "left right")
def main_closure(k): return lambda n: n + k + work.OFFSET
@functools.wraps(work.plain)
def main_wraps(n): return work.plain(n) + 1
@rk.monitor
def main_monitored(n): return n + 10
@functools.lru_cache
def main_cached(n): return n + 10
class MainCached:
    @functools.cached_property
    def once(self): return 10

way, folder, kinds = sys.argv[1], sys.argv[2], json.load(open(sys.argv[3]))
if way == "extended":
    ship.extend_cloudpickle()
    import cloudpickle
    dumps, loads = cloudpickle.dumps, pickle.loads
else:
    dumps, loads = ship.dumps, ship.loads
objects, sent, told = {}, {}, {}
for name, (expression, _, _) in kinds.items():
    objects[name] = eval(expression)
    sent[name] = dumps(objects[name])
own = dict(vars(MainClass))
with open("sent.pkl", "wb") as stream:
    pickle.dump((way, kinds, sent), stream)
done = subprocess.run([sys.executable, "-c", open(sys.argv[4]).read(), sys.argv[0]], cwd=folder, capture_output=True)
assert done.returncode == 0, done.stderr.decode()
told, back = pickle.loads(done.stdout)
home = {}
for name, data in back.items():
    try:
        x, o = loads(data), objects[name]
        home[name] = "ok" if eval(kinds[name][2]) else f"not so: {x!r}"
    except BaseException as error:
        home[name] = f"{type(error).__name__}: {error}"
kept = "ok" if way == "extended" or dict(vars(MainClass)) == own else "changed"
print(json.dumps({"worker": told, "home": home, "kept": kept}))
"""

WORKER = """
import os, pickle, sys
out = os.dup(1); os.dup2(2, 1)
with open(os.path.join(os.path.dirname(sys.argv[1]), "sent.pkl"), "rb") as stream:
    way, kinds, sent = pickle.load(stream)
def zoo_of(x): return sys.modules[x.__module__.partition(".")[0] + ".zoo"]
told, back = {}, {}
for name, data in sent.items():
    try:
        if way == "extended":
            x = pickle.loads(data)
            import cloudpickle
            dumps = cloudpickle.dumps
        else:
            import reprokit.ship as ship
            x = ship.loads(data)
            from reprokit.ship.plain import dumps
        told[name] = "ok" if eval(kinds[name][1]) else f"not so: {x!r}"
        back[name] = dumps(x)
    except BaseException as error:
        import traceback
        told[name] = traceback.format_exc()
assert "zoo" not in sys.modules and "single" not in sys.modules
os.write(out, pickle.dumps((told, back)))
"""


def write(folder, files):
    """Write dedented files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(content))
