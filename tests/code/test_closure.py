"""Closure digests: what changes them, what does not, and what is said to be unknown."""

from __future__ import annotations

import colorsys
import importlib
import os
import random
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.code import closure
from tests.conftest import SOURCE


class Place:
    """Folders with small projects, imported under the same names one after the other."""

    def __init__(self, folder):
        self.folder = folder
        self.number = 0

    def write(self, files):
        self.number += 1
        root = self.folder / f"place{self.number}"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return root

    def closure(self, files, entry="app:main", after="", depends=(), **options):
        """The closure of a function in a project, after some more code has run."""
        return self.at(self.write(files), entry, after, depends, **options)

    def at(self, root, entry="app:main", after="", depends=(), **options):
        before = dict(sys.modules)
        sys.path.insert(0, str(root))
        importlib.invalidate_caches()
        try:
            module, _, name = entry.partition(":")
            space = {"app": importlib.import_module(module), "__name__": "driver"}
            exec(textwrap.dedent(after), space)
            found = eval(f"app.{name}", space)
            if isinstance(depends, str):
                depends = eval(depends, space)
            return closure.of(found, root=root, depends=depends, **options)
        finally:
            sys.path.remove(str(root))
            for name in set(sys.modules) - set(before):
                if str(getattr(sys.modules[name], "__file__", "")).startswith(str(self.folder)):
                    del sys.modules[name]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(colorsys, "rgb_to_hsv", colorsys.rgb_to_hsv)  # some of the projects patch it
    return Place(tmp_path)


PROJECT = {
    "app.py": """
        from pkg import clean
        from pkg import conf
        import pkg.stats as stats

        def main(x):
            return clean(x) * conf.LR + stats.middle(x)

        def unrelated(x):
            return x + 1
        """,
    "pkg/__init__.py": "from .impl import clean\nfrom .conf import LR as RATE\n",
    "pkg/impl.py": """
        from .deep import lowest

        def clean(x):
            '''Clean it.'''
            return lowest(x) + 1

        def other(x):
            return x
        """,
    "pkg/deep.py": """
        import math

        def lowest(x):
            # the lowest of all
            return math.floor(x) - 2
        """,
    "pkg/conf.py": "LR = 0.1\nUNUSED = 3\n",
    "pkg/stats.py": "def middle(x):\n    return x / 2\n",
}


def app(text, **more):
    """A project of one module, and perhaps a second."""
    return {"app.py": text, **{f"{name}.py": source for name, source in more.items()}}


# name, files, (file, old, new), what explain() says (None: the digest stays)
EDITS = [
    ("helper three modules away", PROJECT, ("pkg/deep.py", "- 2", "- 3"), "helper pkg.deep:lowest changed"),
    ("helper in between", PROJECT, ("pkg/impl.py", "+ 1", "+ 2"), "helper pkg.impl:clean changed"),
    ("the function itself", PROJECT, ("app.py", "* conf", "/ conf"), "the function app:main itself changed"),
    ("constant in another module", PROJECT, ("pkg/conf.py", "0.1", "0.2"), "constant pkg.conf:LR changed"),
    ("through an alias of a module", PROJECT, ("pkg/stats.py", "/ 2", "/ 3"), "helper pkg.stats:middle changed"),
    ("comment", PROJECT, ("pkg/deep.py", "# the lowest of all", "# another remark"), None),
    ("blank line", PROJECT, ("pkg/deep.py", "def lowest", "\n\n\ndef lowest"), None),
    ("docstring", PROJECT, ("pkg/impl.py", "Clean it.", "Clean it well."), None),
    ("docstring removed", PROJECT, ("pkg/impl.py", "'''Clean it.'''", ""), None),
    ("module docstring", PROJECT, ("pkg/conf.py", "LR =", "'''Rates.'''\nLR ="), None),
    ("brackets and line breaks", PROJECT, ("pkg/deep.py", "math.floor(x) - 2", "(math.floor(\n x,\n) - 2)"), None),
    ("another way to write a number", PROJECT, ("pkg/conf.py", "0.1", "1e-1"), None),
    ("unrelated function of the module", PROJECT, ("app.py", "x + 1", "x + 2"), None),
    ("unrelated function of another module", PROJECT, ("pkg/impl.py", "return x\n", "return -x\n"), None),
    ("unused constant", PROJECT, ("pkg/conf.py", "UNUSED = 3", "UNUSED = 4"), None),
    ("new function", PROJECT, ("pkg/stats.py", "def middle", "def new(): pass\ndef middle"), None),
    ("another function of the standard library", PROJECT, ("pkg/deep.py", "math.floor", "math.ceil"), "lowest changed"),
    ("another module under the same alias", PROJECT, ("pkg/deep.py", "import math", "import cmath as math"), "lowest"),
    ("re-export leads elsewhere", PROJECT, ("pkg/__init__.py", "import clean", "import other as clean"), "pkg.impl:other is now used"),
    ("constant through a re-export",
     {**PROJECT, "app.py": "from pkg import RATE\ndef main(x):\n    return x * RATE\n"},
     ("pkg/conf.py", "0.1", "0.2"), "constant pkg.conf:LR changed"),
    ("constant made of others",
     app("A = 2\nB = A * 3\ndef main(): return B\n"), ("app.py", "A = 2", "A = 4"), "constant app:A changed"),
    ("star import", app("from lib import *\ndef main(): return helper()\n", lib="def helper(): return 1\n"),
     ("lib.py", "1", "2"), "helper lib:helper changed"),
    ("constant of a star import", app("from lib import *\ndef main(): return N\n", lib="N = 1\n"),
     ("lib.py", "1", "2"), "constant lib:N changed"),
    ("import inside a function", app("def main():\n    from lib import helper\n    return helper()\n", lib="def helper(): return 1\n"),
     ("lib.py", "1", "2"), "helper lib:helper changed"),
    ("module imported inside a function", app("def main():\n    import lib as l\n    return l.helper()\n", lib="def helper(): return 1\n"),
     ("lib.py", "1", "2"), "helper lib:helper changed"),
    ("what an unloaded module imports",
     app("def main():\n    import lib\n    return lib.helper()\n", lib="from low import N as M\ndef helper(): return M\n", low="N = 1\n"),
     ("low.py", "1", "2"), "constant low:N changed"),
    ("an unloaded module's star import",
     app("def main():\n    import lib\n    return lib.N\n", lib="from low import *\n", low="N = 1\n"),
     ("low.py", "1", "2"), "constant low:N changed"),
    ("an unloaded class", app("def main():\n    from lib import C\n    return C()\n", lib="class B:\n    a = 1\nclass C(B): pass\n"),
     ("lib.py", "1", "2"), "class lib:B changed"),
    ("another name of an unloaded module", app("def main():\n    from lib import h\n    return h()\n", lib="def h(): return 1\ndef g(): return 1\n"),
     ("lib.py", "def g(): return 1", "def g(): return 2"), None),
    ("a submodule imported inside a function",
     {"app.py": "def main():\n    import pkg.sub\n    return pkg.sub.f()\n", "pkg/__init__.py": "", "pkg/sub.py": "def f(): return 1\n"},
     ("pkg/sub.py", "1", "2"), "helper pkg.sub:f changed"),
    ("a relative import inside a function",
     {"app.py": "from pkg import main\n", "pkg/__init__.py": "def main():\n    from . import sub\n    return sub.f()\n", "pkg/sub.py": "def f(): return 1\n"},
     ("pkg/sub.py", "1", "2"), "helper pkg.sub:f changed"),
    ("alias", app("def helper(): return 1\nalias = helper\ndef main(): return alias()\n"),
     ("app.py", "return 1", "return 2"), "helper app:helper changed"),
    ("alias of another", app("def one(): return 1\ndef two(): return 2\nalias = one\ndef main(): return alias()\n"),
     ("app.py", "alias = one", "alias = two"), "app:two is now used"),
    ("helpers change places", app("def one(): return 1\ndef two(): return 2\na, b = one, two\ndef main(): return a() - b()\n"),
     ("app.py", "a, b = one, two", "a, b = two, one"), "app:main itself changed"),
    ("default value", app("def helper(x=1): return x\ndef main(): return helper()\n"),
     ("app.py", "x=1", "x=2"), "helper app:helper changed"),
    ("default value that is a constant", app("N = 1\ndef main(x=N): return x\n"), ("app.py", "N = 1", "N = 2"), "constant app:N changed"),
    ("keyword-only default", app("def main(*, x=1): return x\n"), ("app.py", "x=1", "x=2"), "app:main"),
    ("default of a lambda", app("helper = lambda x=1: x\ndef main(): return helper()\n"), ("app.py", "x=1", "x=2"), "helper app:<lambda> changed"),
    ("lambda", app("helper = lambda x: x + 1\ndef main(): return helper(1)\n"), ("app.py", "x + 1", "x - 1"), "helper app:<lambda> changed"),
    ("one of two lambdas on a line", app("a, b = lambda x: x + 1, lambda x: x + 2\ndef main(): return b(1)\n"),
     ("app.py", "x + 2", "x + 3"), "helper app:<lambda> changed"),
    ("the other lambda on the line", app("a, b = lambda x: x + 1, lambda x: x + 2\ndef main(): return b(1)\n"),
     ("app.py", "x + 1", "x + 3"), None),
    ("default that is a function", app("def helper(): return 1\ndef main(f=helper): return f()\n"),
     ("app.py", "return 1", "return 2"), "helper app:helper changed"),
    ("local decorator", app("def deco(f):\n    def inner(): return f() + 1\n    return inner\n@deco\ndef helper(): return 1\ndef main(): return helper()\n"),
     ("app.py", "f() + 1", "f() + 2"), "helper app:deco.<locals>.inner changed"),
    ("what a local decorator wraps", app("def deco(f):\n    def inner(): return f() + 1\n    return inner\n@deco\ndef helper(): return 1\ndef main(): return helper()\n"),
     ("app.py", "return 1\n", "return 5\n"), "helper app:helper changed"),
    ("decorator that registers", app("def deco(f):\n    f.n = 1\n    return f\n@deco\ndef helper(): return 1\ndef main(): return helper.n\n"),
     ("app.py", "f.n = 1", "f.n = 2"), "app:helper changed"),
    ("decorator with wraps", app("import functools\ndef deco(f):\n    @functools.wraps(f)\n    def inner(): return f() + 1\n    return inner\n@deco\ndef main(): return 1\n"),
     ("app.py", "return 1\n", "return 5\n"), "app:main"),
    ("argument of a decorator", app("import functools\n@functools.lru_cache(maxsize=3)\ndef helper(): return 1\ndef main(): return helper()\n"),
     ("app.py", "maxsize=3", "maxsize=4"), "helper app:helper changed"),
    ("behind lru_cache", app("import functools\n@functools.lru_cache\ndef helper(): return 1\ndef main(): return helper()\n"),
     ("app.py", "return 1", "return 2"), "helper app:helper changed"),
    ("base class", app("class A:\n    def f(self): return 1\nclass B(A):\n    pass\ndef main(): return B().f()\n"),
     ("app.py", "return 1", "return 2"), "class app:A changed"),
    ("another base class", app("class A: pass\nclass C: pass\nclass B(A):\n    pass\ndef main(): return B()\n"),
     ("app.py", "B(A)", "B(C)"), "class app:B changed"),
    ("order of base classes", app("class A: pass\nclass C: pass\nclass B(A, C):\n    pass\ndef main(): return B()\n"),
     ("app.py", "B(A, C)", "B(C, A)"), "class app:B changed"),
    ("metaclass", app("class M(type):\n    def n(cls): return 1\nclass B(metaclass=M): pass\ndef main(): return B.n()\n"),
     ("app.py", "return 1", "return 2"), "class app:M changed"),
    ("class attribute", app("class A:\n    n = 1\ndef main(): return A.n\n"), ("app.py", "n = 1", "n = 2"), "class app:A changed"),
    ("name in the body of a class", app("def h(): return 1\nclass A:\n    n = h()\ndef main(): return A.n\n"), ("app.py", "return 1", "return 2"), "helper app:h changed"),
    ("method", app("class A:\n    def f(self): return self.g()\n    def g(self): return 1\ndef main(): return A().f()\n"),
     ("app.py", "return 1", "return 2"), "class app:A changed"),
    ("docstring of a class and a method", app("class A:\n    'one'\n    def f(self):\n        'two'\ndef main(): return A().f()\n"),
     ("app.py", "'one'\n    def f(self):\n        'two'", "def f(self):\n        'three'"), None),
    ("helper of a method", app("def h(): return 1\nclass A:\n    def f(self): return h()\ndef main(): return A().f()\n"),
     ("app.py", "return 1", "return 2"), "helper app:h changed"),
    ("class in an annotation", app("class A:\n    def f(self): return 1\ndef main(a: A): return a.f()\n"),
     ("app.py", "return 1", "return 2"), "class app:A changed"),
    ("class in a quoted annotation", app("class A:\n    def f(self): return 1\ndef main(a: 'list[A]'): return a[0].f()\n"),
     ("app.py", "return 1", "return 2"), "class app:A changed"),
    ("class imported for the type checker",
     app("from __future__ import annotations\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from lib import A\ndef main(a: A): return a.f()\n", lib="class A:\n    def f(self): return 1\n"),
     ("lib.py", "return 1", "return 2"), "class lib:A changed"),
    ("property", app("class A:\n    @property\n    def p(self): return 1\ndef main(): return A().p\n"), ("app.py", "return 1", "return 2"), "class app:A"),
    ("setter", app("class A:\n    @property\n    def p(self): return 1\n    @p.setter\n    def p(self, v): self.q = v\ndef main(): return A().p\n"),
     ("app.py", "self.q = v", "self.q = -v"), "class app:A"),
    ("classmethod", app("class A:\n    @classmethod\n    def c(cls): return 1\ndef main(): return A.c()\n"), ("app.py", "return 1", "return 2"), "class app:A"),
    ("staticmethod", app("class A:\n    @staticmethod\n    def c(): return 1\ndef main(): return A.c()\n"), ("app.py", "return 1", "return 2"), "class app:A"),
    ("cached property", app("import functools\nclass A:\n    @functools.cached_property\n    def c(self): return 1\ndef main(): return A().c\n"), ("app.py", "return 1", "return 2"), "class app:A"),
    ("__call__ of an instance", app("class A:\n    def __call__(self): return 1\nhelper = A()\ndef main(): return helper()\n"),
     ("app.py", "return 1", "return 2"), "class app:A"),
    ("state of an instance", app("class A:\n    def __init__(self, n): self.n = n\nhelper = A(1)\ndef main(): return helper.n\n"),
     ("app.py", "A(1)", "A(2)"), "constant app:helper"),
    ("dataclass default", app("from dataclasses import dataclass\n@dataclass\nclass A:\n    n: int = 1\ndef main(): return A()\n"),
     ("app.py", "= 1", "= 2"), "class app:A"),
    ("dataclass factory", app("from dataclasses import dataclass, field\ndef make(): return [1]\n@dataclass\nclass A:\n    n: list = field(default_factory=make)\ndef main(): return A()\n"),
     ("app.py", "[1]", "[2]"), "helper app:make"),
    ("enum value", app("import enum\nclass E(enum.Enum):\n    A = 1\n    B = 2\ndef main(): return E.A\n"), ("app.py", "A = 1", "A = 3"), "class app:E"),
    ("named tuple", app("from collections import namedtuple\nP = namedtuple('P', 'x y')\ndef main(): return P(1, 2)\n"),
     ("app.py", "'x y'", "'y x'"), "app:P changed"),
    ("typed named tuple", app("from typing import NamedTuple\nclass P(NamedTuple):\n    x: int = 1\ndef main(): return P()\n"),
     ("app.py", "= 1", "= 2"), "class app:P changed"),
    ("slots", app("class A:\n    __slots__ = ('x',)\n    def f(self): return 1\ndef main(): return A().f()\n"), ("app.py", "return 1", "return 2"), "class app:A"),
    ("nested function", app("def main():\n    def inner(): return 1\n    return inner()\n"), ("app.py", "return 1", "return 2"), "app:main"),
    ("helper of a nested function", app("def h(): return 1\ndef main():\n    return [(lambda: h())() for _ in 'ab']\n"),
     ("app.py", "return 1", "return 2"), "helper app:h"),
    ("local name like a helper", app("def h(): return 1\ndef main(h):\n    return h()\n"), ("app.py", "return 1", "return 2"), None),
    ("comprehension variable like a helper", app("def h(): return 1\ndef main():\n    return [h for h in 'ab']\n"), ("app.py", "return 1", "return 2"), None),
    ("helper in the source of a comprehension", app("def h(): return 'a'\ndef main():\n    return [h for h in h()]\n"), ("app.py", "'a'", "'b'"), "helper app:h"),
    ("attribute like a helper", app("def h(): return 1\ndef main(x):\n    return x.h()\n"), ("app.py", "return 1", "return 2"), None),
    ("cell of a closure", app("def make(n):\n    def inner(): return n\n    return inner\nmain = make(1)\n"), ("app.py", "make(1)", "make(2)"), "app:make.<locals>.inner"),
    ("function in a cell", app("def h(): return 1\ndef make(f):\n    def inner(): return f()\n    return inner\nmain = make(h)\n"),
     ("app.py", "return 1", "return 2"), "helper app:h"),
    ("two of one factory", app("def make(n):\n    def inner(): return n\n    return inner\na, b = make(1), make(2)\ndef main(): return a() - b()\n"),
     ("app.py", "make(1), make(2)", "make(2), make(1)"), "app:make.<locals>.inner"),
    ("one of two of one factory", app("def make(n):\n    def inner(): return n\n    return inner\na, b = make(1), make(2)\ndef main(): return a() - b()\n"),
     ("app.py", "make(2)", "make(3)"), "app:make.<locals>.inner#2"),
    ("another name of a module that is imported in a function", app("def main():\n    import lib\n    return lib.h()\n", lib="def h(): return 1\ndef g(): return 1\n"),
     ("lib.py", "def g(): return 1", "def g(): return 2"), None),
    ("set of names in a function", app("def h(x): return x in {'a', 'b', 'c'}\ndef main(x): return h(x)\n"), ("app.py", "'c'", "'d'"), "helper app:h changed"),
    ("partial", app("import functools\ndef h(x, y): return x + y\nadd = functools.partial(h, 1)\ndef main(): return add(1)\n"),
     ("app.py", "x + y", "x - y"), "helper app:h"),
    ("argument of a partial", app("import functools\ndef h(x, y): return x + y\nadd = functools.partial(h, 1)\ndef main(): return add(1)\n"),
     ("app.py", "h, 1", "h, 2"), "constant app:add"),
    ("partial as the function", app("import functools\ndef h(x, y): return x + y\nmain = functools.partial(h, 1)\n"), ("app.py", "h, 1", "h, 2"), "put together"),
    ("registration of a singledispatch",
     app("import functools\n@functools.singledispatch\ndef f(x): return 0\n@f.register\ndef _(x: int): return 1\ndef main(): return f(1)\n"),
     ("app.py", "return 1", "return 2"), "helper app:_ changed"),
    ("types of a singledispatch",
     app("import functools\n@functools.singledispatch\ndef f(x): return 0\n@f.register(int)\ndef a(x): return 1\n@f.register(str)\ndef b(x): return 1\ndef main(): return f(1)\n"),
     ("app.py", "register(str)", "register(bytes)"), "app:"),
    ("table of functions", app("def a(): return 1\nTABLE = {'a': a}\ndef main(k): return TABLE[k]()\n"), ("app.py", "return 1", "return 2"), "helper app:a"),
    ("order of a table", app("TABLE = {'a': 1, 'b': 2}\ndef main(): return next(iter(TABLE))\n"), ("app.py", "'a': 1, 'b': 2", "'b': 2, 'a': 1"), "constant app:TABLE"),
    ("constant changed in place", app("T = [1]\nT.append(2)\ndef main(): return T\n"), ("app.py", "append(2)", "append(3)"), "constant app:T"),
    ("constant changed by a loop", app("T = {}\nfor i in range(3):\n    T[i] = i\ndef main(): return T\n"), ("app.py", "range(3)", "range(4)"), "constant app:T"),
    ("augmented assignment", app("N = 1\nN += 1\ndef main(): return N\n"), ("app.py", "N += 1", "N += 2"), "constant app:N"),
    ("constant under if", app("import sys\nif sys.maxsize:\n    N = 1\nelse:\n    N = 2\ndef main(): return N\n"), ("app.py", "N = 1", "N = 3"), "constant app:N"),
    ("conditional definition", app("import sys\nif sys.maxsize:\n    def h(): return 1\nelse:\n    def h(): return 2\ndef main(): return h()\n"),
     ("app.py", "return 1", "return 3"), "helper app:h"),
    ("the branch not taken", app("import sys\nif sys.maxsize:\n    def h(): return 1\nelse:\n    def h(): return 2\ndef main(): return h()\n"),
     ("app.py", "return 2", "return 3"), None),
    ("the other branch", app("import sys\nif sys.maxsize:\n    def h(): return 1\nelse:\n    def h(): return 2\ndef main(): return h()\n"),
     ("app.py", "if sys.maxsize", "if not sys.maxsize"), "helper app:h"),
    ("order of definitions", app("def a(): return 1\ndef b(): return 2\nN = 3\ndef main(): return a() + b() + N\n"),
     ("app.py", "def a(): return 1\ndef b(): return 2\nN = 3\n", "N = 3\ndef b(): return 2\ndef a(): return 1\n"), None),
    ("mutual recursion", app("def a(n): return b(n)\ndef b(n): return a(n - 1) if n else 0\ndef main(): return a(3)\n"),
     ("app.py", "n - 1", "n - 2"), "helper app:b changed"),
    ("async", app("async def h(): return 1\nasync def main(): return await h()\n"), ("app.py", "return 1", "return 2"), "helper app:h"),
    ("generator", app("def h():\n    yield 1\ndef main():\n    yield from h()\n"), ("app.py", "yield 1", "yield 2"), "helper app:h"),
    ("async generator", app("async def h():\n    yield 1\nasync def main():\n    async for x in h(): yield x\n"), ("app.py", "yield 1", "yield 2"), "helper app:h"),
    ("match", app("class P:\n    __match_args__ = ('x',)\ndef main(v):\n    match v:\n        case P(x): return x\n        case {'a': y, **rest}: return rest\n        case [*z]: return z\n"),
     ("app.py", "('x',)", "('y',)"), "class app:P"),
    ("pattern", app("def main(v):\n    match v:\n        case 1: return 0\n"), ("app.py", "case 1", "case 2"), "app:main"),
    ("walrus", app("def h(): return 1\ndef main():\n    return [y for x in 'ab' if (y := h())]\n"), ("app.py", "return 1", "return 2"), "helper app:h"),
    ("f-string", app("N = 1\ndef main(): return f'{N:>{N}} x'\n"), ("app.py", " x'", " y'"), "app:main"),
    ("name in an f-string", app("N = 1\ndef main(): return f'{N!r}'\n"), ("app.py", "N = 1", "N = 2"), "constant app:N"),
    ("quotes of an f-string", app("N = 1\ndef main(): return f'{N}' 'b'\n"), ("app.py", "f'{N}' 'b'", 'f"{N}b"'), None),
    ("getattr with a name that is said", app("import lib\ndef main(): return getattr(lib, 'helper')()\n", lib="def helper(): return 1\n"),
     ("lib.py", "1", "2"), "helper lib:helper"),
    ("import_module with a name that is said", app("import importlib\ndef main(): return importlib.import_module('lib').helper()\n", lib="def helper(): return 1\n"),
     ("lib.py", "1", "2"), "helper lib:helper"),
    ("a module as an object", app("import lib\ndef main(): return run(lib)\ndef run(m): return m.helper()\n", lib="def helper(): return 1\n"),
     ("lib.py", "1", "2"), "helper lib:helper"),
    ("a module imported under another name", app("import lib\ndef main():\n    m = lib\n    return m.helper()\n", lib="def helper(): return 1\n"),
     ("lib.py", "1", "2"), "helper lib:helper"),
    ("module __getattr__", app("import lib\ndef main(): return lib.thing\n", lib="def __getattr__(name): return 1\n"),
     ("lib.py", "1", "2"), "helper lib:__getattr__"),
    ("calls at import", app("import lib\ndef main(): return lib.f()\n", lib="import random\nrandom.seed(1)\ndef f(): return random.random()\n"),
     ("lib.py", "seed(1)", "seed(2)"), "what importing lib runs changed"),
    ("patch at import", app("import lib\nimport low\ndef main(): return low.f()\n", lib="import low\ndef g(): return 1\nlow.f = g\n", low="def f(): return 0\n"),
     ("lib.py", "return 1", "return 2"), "helper lib:g"),
    ("patched package", app("import colorsys\ndef mine(x): return 1\ncolorsys.rgb_to_hsv = mine\ndef main(): return colorsys.rgb_to_hsv(1)\n"),
     ("app.py", "return 1", "return 2"), "helper app:mine"),
    ("method put on a class later", app("class A: pass\ndef g(self): return 1\nA.f = g\ndef main(): return A().f()\n"), ("app.py", "return 1", "return 2"), "helper app:g"),
    ("class decorator", app("def deco(c):\n    c.n = 1\n    return c\n@deco\nclass A: pass\ndef main(): return A.n\n"), ("app.py", "c.n = 1", "c.n = 2"), "app:"),
    ("__init_subclass__", app("class A:\n    def __init_subclass__(cls, n=0): cls.n = n\nclass B(A, n=1): pass\ndef main(): return B.n\n"), ("app.py", "n=1", "n=2"), "class app:B"),
    ("monitor and its options", app("import reprokit as rk\n@rk.monitor\n@rk.Artifact('out', config={'a': 1})\ndef main(out): return 1\n"),
     ("app.py", "{'a': 1}", "{'a': 2}"), None),
    ("body under our decorators", app("import reprokit as rk\n@rk.monitor\n@rk.Artifact('out')\ndef main(out): return 1\n"),
     ("app.py", "return 1", "return 2"), "app:main"),
    ("helper under our decorators", app("from reprokit import monitor\n@monitor\ndef h(): return 1\ndef main(): return h()\n"),
     ("app.py", "return 1", "return 2"), "helper app:h"),
    ("our decorators taken off", app("from reprokit import monitor\n@monitor\ndef h(): return 1\ndef main(): return h()\n"),
     ("app.py", "@monitor\n", ""), None),
    ("our decorator on a method", app("import reprokit as rk\nclass A:\n    @rk.Artifact('out', config={'a': 1})\n    def f(self, out): return 1\ndef main(): return A().f()\n"),
     ("app.py", "{'a': 1}", "{'a': 2}"), None),
    ("method under our decorator", app("import reprokit as rk\nclass A:\n    @rk.Artifact('out')\n    def f(self, out): return 1\ndef main(): return A().f()\n"),
     ("app.py", "return 1", "return 2"), "class app:A"),
    ("a global that a function binds", app("N = 0\ndef count():\n    global N\n    N += 1\ndef main(): count()\n"), ("app.py", "+= 1", "+= 2"), "helper app:count"),
    ("deleting a name", app("def h(): return 1\ndef main():\n    x = h()\n    del x\n"), ("app.py", "return 1", "return 2"), "helper app:h"),
    ("exception class", app("class E(Exception):\n    code = 1\ndef main():\n    try: pass\n    except E as e: return e.code\n"), ("app.py", "code = 1", "code = 2"), "class app:E"),
    ("try around an import", app("try:\n    from lib import h\nexcept ImportError:\n    h = None\ndef main(): return h()\n", lib="def h(): return 1\n"), ("lib.py", "1", "2"), "helper lib:h"),
    ("pattern object", app("import re\nP = re.compile('a')\ndef main(s): return P.match(s)\n"), ("app.py", "'a'", "'b'"), "constant app:P"),
    ("bound method as a constant", app("class A:\n    def f(self): return 1\nf = A().f\ndef main(): return f()\n"), ("app.py", "return 1", "return 2"), "class app:A"),
    ("conditional import alias", app("import sys\nif sys.maxsize:\n    import math as m\nelse:\n    import cmath as m\ndef main(): return m.sqrt(2)\n"), ("app.py", 'import math as m', "import numpy as m"), ":"),
    ("class in dict of class attr", app("class S:\n    def go(self): return 1\nclass A:\n    table = {'s': S}\ndef main(): return A.table['s']().go()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("default factory lambda", app("from collections import defaultdict\nD = defaultdict(lambda: 1)\ndef main(): return D['x']\n"), ("app.py", 'lambda: 1', "lambda: 2"), ":"),
    ("descriptor", app("class D:\n    def __get__(self, o, t): return 1\nclass A:\n    d = D()\ndef main(): return A().d\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("contextmanager", app("import contextlib\n@contextlib.contextmanager\ndef cm():\n    yield 1\ndef main():\n    with cm() as x: return x\n"), ("app.py", 'yield 1', "yield 2"), ":"),
    ("total_ordering", app("import functools\n@functools.total_ordering\nclass A:\n    def __eq__(s,o): return True\n    def __lt__(s,o): return True\ndef main(): return A()<A()\n"), ("app.py", 'def __lt__(s,o): return True', "def __lt__(s,o): return False"), ":"),
    ("partialmethod", app("import functools\nclass A:\n    def f(self, n): return n\n    g = functools.partialmethod(f, 1)\ndef main(): return A().g()\n"), ("app.py", 'f, 1', "f, 2"), ":"),
    ("singledispatchmethod", app("import functools\nclass A:\n    @functools.singledispatchmethod\n    def f(self, n): return n\n    @f.register\n    def _(self, n: int): return 1\ndef main(): return A().f(1)\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("method alias", app("class A:\n    def f(self): return 1\n    g = f\ndef main(): return A().g()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("nested class", app("class A:\n    class B:\n        def f(self): return 1\ndef main(): return A.B().f()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("nested class base", app("class Z:\n    def f(self): return 1\nclass A:\n    class B(Z): pass\ndef main(): return A.B().f()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("type()", app("def f(self): return 1\nA = type('A', (), {'f': f})\ndef main(): return A().f()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("type() base", app("class B:\n    def f(self): return 1\nA = type('A', (B,), {})\ndef main(): return A().f()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("make_dataclass", app("import dataclasses\nA = dataclasses.make_dataclass('A', [('x', int, 1)])\ndef main(): return A()\n"), ("app.py", 'int, 1', "int, 2"), ":"),
    ("class local to fn returned by factory", app("def make(n):\n    class A:\n        v = n\n    return A\nA = make(1)\ndef main(): return A.v\n"), ("app.py", 'make(1)', "make(2)"), ":"),
    ("property()", app("class A:\n    def _g(self): return 1\n    p = property(_g)\ndef main(): return A().p\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("callable instance decorator", app("class Deco:\n    def __init__(self, f): self.f = f\n    def __call__(self): return self.f() + 1\n@Deco\ndef h(): return 1\ndef main(): return h()\n"), ("app.py", 'self.f() + 1', "self.f() + 2"), ":"),
    ("callable instance decorated", app("class Deco:\n    def __init__(self, f): self.f = f\n    def __call__(self): return self.f() + 1\n@Deco\ndef h(): return 1\ndef main(): return h()\n"), ("app.py", 'def h(): return 1', "def h(): return 2"), ":"),
    ("deco arg factory", app("def times(n):\n    def deco(f):\n        def inner(): return f() * n\n        return inner\n    return deco\n@times(2)\ndef h(): return 1\ndef main(): return h()\n"), ("app.py", 'times(2)', "times(3)"), ":"),
    ("registry global decorator", app("R = []\ndef reg(f):\n    R.append(f)\n    return f\n@reg\ndef a(): return 1\ndef main(): return [f() for f in R]\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("constant from function", app("def make(): return 1\nX = make()\ndef main(): return X\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("opaque from function", app("import threading\ndef n(): return 1\nX = threading.Semaphore(n())\ndef main(): return X\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("conf dict env", app("import types\nC = types.SimpleNamespace(a=1)\ndef main(): return C.a\n"), ("app.py", 'a=1', "a=2"), ":"),
    ("numpy const", app("import numpy as np\nW = np.array([1,2])\ndef main(): return W\n"), ("app.py", '[1,2]', "[1,3]"), ":"),
    ("set const", app("W = {1,2}\ndef main(): return W\n"), ("app.py", '{1,2}', "{1,3}"), ":"),
    ("lambda in dict", app("W = {'a': lambda x: x+1, 'b': lambda x: x+2}\ndef main(): return W['a'](1)\n"), ("app.py", 'x+1', "x+3"), ":"),
    ("two lambdas multi-line", app("W = [lambda x: x+1,\n lambda x: x+2]\ndef main(): return W[0](1)\n"), ("app.py", 'x+1', "x+3"), ":"),
    ("try else compound func", app("try:\n    import nope_x\nexcept ImportError:\n    def h(): return 1\ndef main(): return h()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("with suppress", app("import contextlib\nwith contextlib.suppress(ImportError):\n    N = 1\ndef main(): return N\n"), ("app.py", 'N = 1', "N = 2"), ":"),
    ("starred assign", app("a, *b = 1, 2, 3\ndef main(): return b\n"), ("app.py", '1, 2, 3', "1, 2, 4"), ":"),
    ("tuple assign swap", app("a, b = 1, 2\ndef main(): return a\n"), ("app.py", 'a, b', "b, a"), ":"),
    ("chained attr via class instance", app("class C:\n    class opt:\n        lr = 1\ncfg = C()\ndef main(): return cfg.opt.lr\n"), ("app.py", 'lr = 1', "lr = 2"), ":"),
    ("super init", app("class A:\n    def __init__(self): self.x = 1\nclass B(A):\n    def __init__(self): super().__init__()\ndef main(): return B().x\n"), ("app.py", 'self.x = 1', "self.x = 2"), ":"),
    ("type hint default None", app("class A:\n    def f(self): return 1\ndef main(a: 'A | None' = None): return a.f()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("async ctx", app("class A:\n    async def __aenter__(self): return 1\n    async def __aexit__(self,*a): pass\nasync def main():\n    async with A() as x: return x\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("global in nested", app("N = 1\ndef main():\n    def g():\n        global N\n        return N\n    return g()\n"), ("app.py", 'N = 1', "N = 2"), ":"),
    ("class body uses global of same name", app("x = 1\nclass A:\n    x = x\ndef main(): return A.x\n"), ("app.py", 'x = 1', "x = 2"), ":"),
    ("helper through module in dict", app("import lib\nM = {'a': lib}\ndef main(): return M['a'].h()\n", lib="def h(): return 1\n"), ("lib.py", 'return 1', "return 2"), ":"),
    ("from pkg import submodule", {"app.py":"from pkg import sub\ndef main(): return sub.h()\n","pkg/__init__.py":"","pkg/sub.py":"def h(): return 1\n"}, ("pkg/sub.py", 'return 1', "return 2"), ":"),
    ("pkg init side", {"app.py":"from pkg.sub import h\ndef main(): return h()\n","pkg/__init__.py":"import random\nrandom.seed(1)\n","pkg/sub.py":"def h(): return 1\n"}, ("pkg/__init__.py", "seed(1)", "seed(2)"), "what importing pkg runs changed"),
    ("frozen dataclass instance const", app("from dataclasses import dataclass\n@dataclass(frozen=True, slots=True)\nclass C:\n    a: int\nX = C(1)\ndef main(): return X.a\n"), ("app.py", 'C(1)', "C(2)"), ":"),
    ("enum method", app("import enum\nclass E(enum.Enum):\n    A = 1\n    def f(self): return 1\ndef main(): return E.A.f()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("enum functional", app("import enum\nE = enum.Enum('E', {'A': 1})\ndef main(): return E.A.value\n"), ("app.py", "'A': 1", "'A': 2"), ":"),
    ("enum member const", app("import enum\nclass E(enum.Enum):\n    A = 1\n    B = 2\nX = E.A\ndef main(): return X\n"), ("app.py", 'X = E.A', "X = E.B"), ":"),
    ("doctype Path", app("from pathlib import Path\nP = Path('a')\ndef main(): return P\n"), ("app.py", "'a'", "'b'"), ":"),
    ("str subclass", app("class S(str):\n    def up(self): return 1\nX = S('a')\ndef main(): return X\n"), ("app.py", "S('a')", "S('b')"), ":"),
    ("weird: del name helper", app("def h(): return 1\ng = h\ndel h\ndef main(): return g()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("iter generator const", app("def gen():\n    yield 1\nG = gen()\ndef main(): return next(G)\n"), ("app.py", 'yield 1', "yield 2"), ":"),
    ("operator.methodcaller", app("import operator\nF = operator.methodcaller('up')\ndef main(x): return F(x)\n"), ("app.py", "'up'", "'lo'"), ":"),
    ("map object", app("def h(x): return 1\nM = map(h, [1])\ndef main(): return list(M)\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("chainmap", app("from collections import ChainMap\nM = ChainMap({'a':1})\ndef main(): return M['a']\n"), ("app.py", "'a':1", "'a':2"), ":"),
    ("typing alias", app("class A:\n    def f(self): return 1\nT = list[A]\ndef main(x: T): return x[0].f()\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("default mutable obj", app("class A:\n    n = 1\ndef main(a=A()): return a.n\n"), ("app.py", 'n = 1', "n = 2"), ":"),
    ("walrus global", app("if (N := 1): pass\ndef main(): return N\n"), ("app.py", 'N := 1', "N := 2"), ":"),
    ("for else", app("for N in (1,2): pass\ndef main(): return N\n"), ("app.py", '(1,2)', "(1,3)"), ":"),
    ("cached_property setname", app("class D:\n    def __set_name__(self, o, n): self.n = n\nclass A:\n    q = D()\ndef main(): return A.q.n\n"), ("app.py", '    q = D()', "    r = D()"), ":"),
    ("attribute on fn", app("def main(): return main.k\nmain.k = [1]\n"), ("app.py", '[1]', "[2]"), ":"),
    ("__class_getitem__", app("class A:\n    def __class_getitem__(cls, k): return 1\ndef main(): return A[3]\n"), ("app.py", 'return 1', "return 2"), ":"),
    ("base attr via mro installed", app("import collections\nclass A(collections.OrderedDict):\n    def f(self): return 1\ndef main(): return A().f()\n"), ("app.py", 'OrderedDict', "UserDict"), ":"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "edit", "said"), [case[1:] for case in EDITS], ids=[case[0] for case in EDITS])
def test_an_edit_changes_the_digest_exactly_when_it_matters(place, files, edit, said):
    name, old, new = edit
    before = place.write(files)
    text = (before / name).read_text()
    assert old in text
    after = place.write({**files, name: text.replace(old, new, 1)})
    first, second = place.at(before), place.at(after)
    explained = closure.explain(first, second)
    if said is None:
        assert first == second, explained
        assert explained == []
    else:
        assert first.digest != second.digest
        assert said in "\n".join(explained)
    assert place.at(before) == first  # and the same again


@pytest.mark.parametrize("version", [(3, 12)])
def test_type_parameters(place, version):
    if sys.version_info < version:
        pytest.skip("syntax of CPython 3.12")
    text = "class B[T]:\n    def f(self) -> T: return 1\ntype L[T] = list[T]\ndef main[T: int](x: T) -> L[T]: return B[T]().f()\n"
    first = place.closure(app(text))
    assert "app:B" in first.parts
    assert not first.unknown
    assert place.closure(app(text.replace("return 1", "return 2"))).digest != first.digest
    assert place.closure(app(text.replace("T: int", "T: str"))).digest != first.digest


# name, source, code that runs after the import, what explain() says
AT_RUN_TIME = [
    ("global", app("N = 1\ndef main(): return N\n"), "app.N = 2", "constant app:N"),
    ("global of another type", app("N = 1\ndef main(): return N\n"), "app.N = True", "constant app:N"),
    ("constant of a module", app("import lib\ndef main(): return lib.N\n", lib="N = 1\n"), "app.lib.N = 2", "constant lib:N"),
    ("helper", app("def h(): return 1\ndef g(): return 1\ndef main(): return h()\n"), "app.h = app.g", "app:g is now used"),
    ("helper of a module", app("import lib\ndef main(): return lib.h()\n", lib="def h(): return 1\n"), "app.lib.h = lambda: 2", "helper driver:<lambda> (without source) is now used"),
    ("helper without source", app("def h(): return 1\ndef main(): return h()\n"), "exec('def h(): return 2', vars(app))", "without source"),
    ("code of a helper", app("def h(): return 1\ndef g(): return 2\ndef main(): return h()\n"), "app.h.__code__ = app.g.__code__", "app:h"),
    ("default", app("def main(x=1): return x\n"), "app.main.__defaults__ = (2,)", "app:main"),
    ("default of another type", app("def main(x=1): return x\n"), "app.main.__defaults__ = (1.0,)", "app:main"),
    ("keyword default", app("def main(*, x=1): return x\n"), "app.main.__kwdefaults__ = {'x': 2}", "app:main"),
    ("attribute of a function", app("def main(): return main.n\nmain.n = 1\n"), "app.main.n = 2", "app:main"),
    ("class attribute", app("class A:\n    n = 1\ndef main(): return A.n\n"), "app.A.n = 2", "class app:A"),
    ("new class attribute", app("class A:\n    pass\ndef main(): return A.n\n"), "app.A.n = 2", "class app:A"),
    ("method", app("class A:\n    def f(self): return 1\n    def g(self): return 2\ndef main(): return A().f()\n"), "app.A.f = app.A.g", "class app:A"),
    ("methods change places", app("class A:\n    def f(self): return 1\n    def g(self): return 2\ndef main(): return A().f()\n"), "app.A.f, app.A.g = app.A.g, app.A.f", "class app:A"),
    ("list", app("T = [1]\ndef main(): return T\n"), "app.T.append(2)", "constant app:T"),
    ("dict", app("T = {'a': {'b': 1}}\ndef main(): return T\n"), "app.T['a']['b'] = 2", "constant app:T"),
    ("order of a dict", app("T = {'a': 1, 'b': 2}\ndef main(): return list(T)\n"), "app.T['a'] = app.T.pop('a')", "constant app:T"),
    ("table of functions", app("def a(): return 1\ndef b(): return 1\nT = {'a': a}\ndef main(): return T\n"), "app.T['a'] = app.b", "constant app:T"),
    ("instance", app("class A:\n    n = 0\nI = A()\ndef main(): return I.n\n"), "app.I.n = 2", "constant app:I"),
    ("cell", app("def make():\n    n = 1\n    def get(): return n\n    def put(v):\n        nonlocal n\n        n = v\n    return get, put\nmain, put = make()\n"), "app.put(2)", "get"),
    ("registration", app("import functools\n@functools.singledispatch\ndef f(x): return 0\ndef g(x): return 1\ndef main(): return f(1)\n"), "app.f.register(int, app.g)", "helper app:g is now used"),
    ("path", app("from pathlib import Path\nP = Path('a')\ndef main(): return P\n"), "app.P = type(app.P)('b')", "constant app:P"),
    ("shadowed built-in", app("def main(): return len('a')\ndef g(x): return 1\n"), "app.len = app.g", "app:main"),
    ("patched package", app("import colorsys\ndef main(): return colorsys.rgb_to_hsv(1)\ndef g(x): return 1\n"), "app.colorsys.rgb_to_hsv = app.g", "helper app:g is now used"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "after", "said"), [c[1:] for c in AT_RUN_TIME], ids=[c[0] for c in AT_RUN_TIME])
def test_what_is_bound_at_run_time_counts(place, files, after, said):
    root = place.write(files)
    first = place.at(root)
    second = place.at(root, after=after)
    assert first.digest != second.digest
    assert said in "\n".join(closure.explain(first, second))


@pytest.mark.parametrize(("files", "after", "said"), [c[1:] for c in AT_RUN_TIME], ids=[c[0] for c in AT_RUN_TIME])
def test_what_is_bound_after_the_first_look_is_noticed(place, files, after, said):
    """The closure of the same live function, asked for before and after."""
    root = place.write(files)
    seen = []

    def look(function):
        seen.append(closure.of(function, root=root))
        assert closure.of(function, root=root) is seen[-1]  # nothing changed: not even made again

    sys.modules["closure_look"] = type(sys)("closure_look")
    sys.modules["closure_look"].look = look
    try:
        place.at(root, after=f"from closure_look import look\nlook(app.main)\n{after}\nlook(app.main)")
    finally:
        del sys.modules["closure_look"]
    assert seen[0].digest != seen[1].digest
    assert said in "\n".join(closure.explain(*seen))


# name, source, sentence
UNKNOWN = [
    ("getattr", app("import lib\ndef main(name): return getattr(lib, name)()\n", lib="def h(): return 1\n"), "app.py:2: getattr(lib, ...) with a computed name"),
    ("getattr on something local", app("def main(x, name):\n    return getattr(x, name)()\n"), "app.py:2: getattr() with a computed name"),
    ("eval", app("def main(x):\n    return eval(x)\n"), "app.py:2: eval() runs computed code"),
    ("exec", app("def main(x):\n    exec(x)\n"), "app.py:2: exec() runs computed code"),
    ("globals", app("def main(x):\n    return globals()[x]\n"), "app.py:2: globals()"),
    ("locals", app("def main(x):\n    return locals()[x]\n"), "app.py:2: locals()"),
    ("vars", app("def main(x):\n    return vars()[x]\n"), "app.py:2: vars()"),
    ("vars of a module", app("import lib\ndef main(x):\n    return vars(lib)[x]\n", lib=""), "app.py:3: vars(lib, ...)"),
    ("import_module", app("import importlib\ndef main(x):\n    return importlib.import_module(x)\n"), "app.py:3: importlib.import_module() with a computed name"),
    ("import_module by its name", app("from importlib import import_module\ndef main(x):\n    return import_module(x)\n"), "app.py:3: import_module() with a computed name"),
    ("import_module in a function", app("def main(x):\n    import importlib\n    return importlib.import_module(x)\n"), "app.py:3: importlib.import_module() with"),
    ("__import__", app("def main(x):\n    return __import__(x)\n"), "app.py:2: __import__() with a computed name"),
    ("in a helper", app("import lib\ndef main(x):\n    return lib.h(x)\n", lib="\n\ndef h(x):\n    return eval(x)\n"), "lib.py:4: eval() runs computed code"),
    ("in an unloaded helper", app("def main(x):\n    import lib\n    return lib.h(x)\n", lib="def h(x):\n    return eval(x)\n"), "lib.py:2: eval() runs computed code"),
    ("in a method", app("class A:\n    def f(self, x): return eval(x)\ndef main(x):\n    return A().f(x)\n"), "app.py:2: eval() runs computed code"),
    ("module __getattr__", app("import lib\ndef main(): return lib.thing\n", lib="def __getattr__(name): return 1\n"), "app.py:2: lib makes thing in its __getattr__"),
    ("subclasses", app("class A: pass\ndef main(): return A.__subclasses__()\n"), "app.py:2: subclasses are looked up at run time"),
    ("docstring", app("def h():\n    'doc'\ndef main(): return h.__doc__\n"), "app.py:3: a docstring is read at run time"),
    ("unbound name", app("def main(): return nowhere()\n"), "app.py:1: the name nowhere is bound nowhere yet"),
    ("unbound attribute", app("import lib\ndef main(): return lib.nowhere()\n", lib=""), "app.py:2: lib has no nowhere yet"),
    ("object in a cell", app("import threading\ndef make(e):\n    def inner(): return e\n    return inner\nmain = make(threading.Event())\n"), "app.py:3: e: the state of a threading.Event cannot be seen"),
    ("object bound under if", app("import threading, sys\nif sys.maxsize:\n    E = threading.Event()\ndef main(): return E\n"), "E: the state of a threading.Event cannot be seen"),
    ("object that a function binds", app("import threading\nE = threading.Event()\ndef put():\n    global E\n    E = None\ndef main(): return E\n"), "E: the state of a threading.Event cannot be seen"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "sentence"), [case[1:] for case in UNKNOWN], ids=[case[0] for case in UNKNOWN])
def test_what_cannot_be_followed_is_said(place, files, sentence):
    assert [said for said in place.closure(files).unknown if sentence in said]


def test_what_is_unknown_is_said_of_each_line(place):
    text = "import lib\ndef h(): return lib.gone()\ndef main():\n    nowhere()\n    return h(), lib.gone, other()\ndef other():\n    return nowhere\n"
    found = place.closure(app(text, lib=""))
    assert found.unknown == [
        "app.py:2: lib has no gone yet", "app.py:4: the name nowhere is bound nowhere yet",
        "app.py:5: lib has no gone yet", "app.py:7: the name nowhere is bound nowhere yet",
    ]  # fmt: skip


def test_names_with_dots_and_spaces_are_names(place):
    text = "import lib\ndef main(): return getattr(lib, 'a.b'), getattr(lib, 'a b'), getattr(lib, '')\n"
    found = place.closure(app(text, lib="class a: b = 1\n"))
    assert found.unknown == [f"app.py:2: lib has no {name} yet" for name in ("", "a b", "a.b")]


KNOWN = [
    ("callable argument", app("def main(f): return f()\n")),
    ("getattr on self", app("class A:\n    def main(self, n): return getattr(self, f'on_{n}')()\nmain = A.main\n")),
    ("getattr on an instance of a local class", app("class A: pass\nI = A()\ndef main(n): return getattr(I, n)\n")),
    ("getattr on a package", app("import json\ndef main(n): return getattr(json, n)\n")),
    ("model.eval()", app("def main(model): return model.eval()\n")),
    ("a getattr of the module's own", app("def getattr(a, b): return 1\ndef main(a, b): return getattr(a, b)\n")),
    ("logger", app("import logging\nLOG = logging.getLogger(__name__)\ndef main(): LOG.info(__file__)\n")),
    ("object with one definition", app("import threading\nE = threading.Event()\ndef main(): return E\n")),
    ("optional package", app("def main():\n    try:\n        import cupy_is_absent as np\n    except ImportError:\n        import numpy as np\n    return np.array\n")),
    ("wrapper that hands a docstring on", app("def deco(f):\n    def inner(): return f()\n    inner.__doc__ = f.__doc__\n    return inner\n@deco\ndef main(): return 1\n")),
    ("sentinel", app("NONE = object()\ndef main(x=NONE): return x is NONE\n")),
    ("typing", app("from typing import TypeVar, Generic, NewType\nT = TypeVar('T')\nclass A(Generic[T]):\n    def f(self, x: T) -> list[T]: return [x]\nN = NewType('N', int)\ndef main(x: T): return A[int]().f(N(1))\n")),
    ("abstract class", app("import abc\nclass A(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...\ndef main(a: A): return a.f()\n")),
    ("protocol", app("from typing import Protocol\nclass A(Protocol):\n    def f(self) -> int: ...\ndef main(a: A): return a.f()\n")),
    ("dataclass", app("from dataclasses import dataclass, field\n@dataclass(frozen=True, slots=True)\nclass A:\n    x: int\n    y: list = field(default_factory=list)\ndef main(): return A(1)\n")),
    ("enum", app("import enum\nclass E(enum.Flag):\n    A = enum.auto()\n    B = enum.auto()\n    def f(self): return self.value\ndef main(): return E.A | E.B\n")),
    ("attrs", app("import attrs\n@attrs.define\nclass A:\n    x: int = 1\ndef main(): return A()\n")),
    ("pydantic", app("import pydantic\nclass A(pydantic.BaseModel):\n    x: int = 1\ndef main(): return A()\n")),
    ("msgspec", app("import msgspec\nclass A(msgspec.Struct):\n    x: int = 1\nI = A()\ndef main(): return I\n")),
    ("numpy", app("import numpy as np\nfrom numpy import float32, add\nW = np.arange(3)\ndef main(): return add(W, float32(1), dtype=np.float64)\n")),
    ("command", app("import click\n@click.command()\n@click.option('--n')\ndef main(n): return 1\n")),
]  # fmt: skip


@pytest.mark.parametrize("files", [case[1] for case in KNOWN], ids=[case[0] for case in KNOWN])
def test_ordinary_code_has_nothing_unknown(place, files):
    """... and the same digest again."""
    first = place.closure(files)
    assert first.unknown == []
    assert not [kind for kind in first.kinds.values() if "bytecode" in kind or "without" in kind]
    assert place.closure(files) == first


def test_a_function_without_source_counts_by_what_it_was_compiled_to(place):
    text = "N = 1\nexec('def main(): return N + {}')\n"
    first, again, second = (place.closure(app(text.format(n))) for n in (1, 1, 2))
    assert first == again
    assert first.kinds["app:main"] == "bytecode"
    assert first.digest != second.digest
    assert "app:N" in first.parts
    assert place.closure(app("exec('def main(x): return eval(x)')\n")).unknown


def test_built_in_functions_and_those_of_packages_have_no_parts(tmp_path):
    import math

    import click

    found = closure.of(math.floor, root=tmp_path)
    assert found.parts == {}
    assert found.unknown == []
    assert closure.of(click.echo, root=tmp_path).packages["click"]


def test_a_bound_method_brings_the_class_of_its_instance(place):
    text = "class A:\n    def run(self): return self.step()\n    def step(self): return 0\nclass B(A):\n    def step(self): return 1\nmain = B().run\nplain = A.run\n"
    first = place.closure(app(text))
    assert set(first.parts) == {"app:A", "app:B", "app:A.run"}
    assert place.closure(app(text.replace("return 1", "return 2"))).digest != first.digest
    plain = place.closure(app(text), "app:plain")
    assert set(plain.parts) == {"app:A", "app:A.run"}


def test_a_method_of_a_class_in_a_function_brings_that_class(place):
    text = "def make():\n    class A:\n        def run(self): return self.step()\n        def step(self): return 1\n    return A\nmain = make().run\n"
    first = place.closure(app(text))
    assert first.unknown == []
    assert place.closure(app(text.replace("return 1", "return 2"))).digest != first.digest


def test_depends_adds_by_hand(place, tmp_path):
    data = tmp_path / "query.sql"
    data.write_text("select 1")
    files = app(
        "def main(): return 1\ndef hidden(): return 1\nclass A: pass\nimport lib\n",
        lib="N = 1\n",
        late="def f(): return 1\n",
    )
    bare = place.closure(files)
    both = place.closure(files, depends="[app.hidden, app.A, app.lib, 'late:f']")
    assert set(both.parts) - set(bare.parts) >= {"app:hidden", "app:A", "lib:N", "late:f"}
    assert both.digest != bare.digest
    one = place.closure(files, depends=[data])
    data.write_text("select 2")
    two = place.closure(files, depends=[data])
    assert closure.explain(one, two) == ["file query.sql changed"]
    with pytest.raises(TypeError, match="depends= takes"):
        place.closure(files, depends=[3])
    assert "there is no module nowhere" in place.closure(files, depends=["nowhere:f"]).unknown[0]


def test_a_file_that_is_depended_on_is_looked_at_again(place, tmp_path):
    data = tmp_path / "query.sql"
    data.write_text("1")

    def main():
        return data

    first = closure.of(main, root=tmp_path, depends=[data])
    data.write_text("22")
    assert closure.of(main, root=tmp_path, depends=[data]).digest != first.digest


def test_packages_count_by_version(place):
    text = "import numpy as np\nimport yaml, json\ndef main(): return np.mean(yaml.safe_load('1'))\ndef other(): return json\n"
    found = place.closure(app(text))
    import numpy as np

    assert {name.lower() for name in found.packages} == {"numpy", "pyyaml"}
    assert found.packages["numpy"] == np.__version__
    older = msgspec.structs.replace(found, packages={**found.packages, "numpy": "1.0"})
    assert closure.explain(older, found) == [f"numpy 1.0 -> {np.__version__}"]
    assert place.closure(app(text), "app:other").packages == {}


def test_a_module_that_is_neither_local_nor_installed_is_said(place, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "lonely.py").write_text("def h(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    text = app("import lonely\ndef main(): return lonely.h()\n")
    assert any("lonely is part neither of the project" in said for said in place.closure(text).unknown)
    named = place.closure(text, local=["lonely"])
    assert named.unknown == []
    assert "lonely:h" in named.parts


@pytest.mark.parametrize("folder", ["lib/site-packages", ".venv/lib"])
def test_environments_inside_the_project_are_not_local(place, folder):
    root = place.write({"app.py": "import inner_library\ndef main(): return inner_library.h()\n", f"{folder}/inner_library.py": "def h(): return 1\n", ".venv/pyvenv.cfg": ""})  # fmt: skip
    sys.path.insert(0, str(root / folder))
    try:
        assert set(place.at(root).parts) == {"app:main"}
    finally:
        sys.path.remove(str(root / folder))


def test_records_hold_no_values_and_go_through_json(place):
    secret = "hunter2-very-secret"
    found = place.closure(
        app(f"TOKEN = '{secret}'\nX = [TOKEN]\ndef main(k='{secret}'): return eval(TOKEN, X, '{secret}')\n")
    )
    data = msgspec.json.encode(found)
    assert secret.encode() not in data
    assert msgspec.json.decode(data, type=closure.ClosureInfo) == found
    assert closure.explain(found, msgspec.json.decode(data, type=closure.ClosureInfo)) == []


SCRIPT = """
import sys, json
from pathlib import Path
from reprokit.code import closure
sys.path.insert(0, sys.argv[1])
import app
import msgspec
print(msgspec.json.encode(closure.of(app.main, root=Path(sys.argv[1]))).decode())
"""

WIDE = {
    **PROJECT,
    "app.py": """
        import os, enum
        from pathlib import Path
        from dataclasses import dataclass
        from pkg import clean, conf
        import pkg.stats as stats
        HERE = Path(__file__).parent / "data"
        NAMES = frozenset({"a", "b", "c", "d", "e"})
        SETS = {"x": {"a", "b", "c"}, "y": (1, 2.5, None, b"z")}
        class Kind(enum.Enum):
            ONE = enum.auto()
        @dataclass
        class Shape:
            x: int = 1
            def area(self): return self.x
        def main(x, s=Shape(), *more: Shape, k=Kind.ONE, **rest):
            try:
                with open(HERE) as f, f:
                    match x:
                        case {"a": [1, *_]} if x: return f"{x!r:>{10}} {x=}"
            except* ValueError:
                pass
            lam = lambda a, /, b=2, *, c: (yield)
            return [clean(y) async for y in x] if 0 else {**SETS, "n": NAMES}, 10**100, 1e999, -0.0, "\\ud800\\U0001fae8"
        main.__name__
        """.replace("[clean(y) async for y in x]", "[clean(y) for y in x]"),
}


def run(root, *, python=sys.executable, **environment):
    done = subprocess.run(
        [python, "-W", "error", "-c", SCRIPT, str(root)], env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=closure.ClosureInfo)


def test_the_digest_is_the_same_in_every_process_and_folder(place):
    one, two = place.write(WIDE), place.write(WIDE)
    first = run(one, PYTHONHASHSEED="1")
    assert first.unknown == []
    for root, seed in ((one, "2"), (two, "3"), (two, "random")):
        assert run(root, PYTHONHASHSEED=seed) == first
    assert place.at(one) == first
    assert (
        place.at(one).digest != place.closure({**WIDE, "pkg/deep.py": WIDE["pkg/deep.py"].replace("- 2", "- 3")}).digest
    )


def test_the_normal_form_is_the_same_in_every_version_of_python():
    """A digest that was computed under CPython 3.11, and is compared by all."""
    import ast

    from reprokit.code.reach import references

    source = textwrap.dedent(WIDE["app.py"])
    found = references.read(ast.parse(source).body, lambda chain: False)
    assert found.form == FORM


def test_the_digest_is_the_same_in_every_version_of_python(place):
    assert place.closure(PROJECT).digest == DIGEST
    assert place.closure(WIDE).digest == WIDE_DIGEST


def test_no_syntax_tree_stays_in_memory(place):
    import ast
    import gc

    def trees():
        gc.collect()
        return sum(issubclass(type(one), ast.AST) for one in gc.get_objects())

    before = trees()
    place.closure(PROJECT)
    assert trees() <= before


DIGEST = "sha256:27df7ccd39e45512962e215453074da25554b504c5cd4d07a682f5215a911e5d"
WIDE_DIGEST = "sha256:cdb3974d2a82b712b9e14ecf7975184792f19e43df62903f99f9211eb2cfc543"
FORM = "0331568775d7ab1ca7ec54b768eed8abaae6dd91e13755f8a99f01f2064e74e5"


def test_nothing_is_written_anew_when_nothing_changed(place):
    root = place.write(PROJECT)
    found = []
    sys.modules["closure_look"] = type(sys)("closure_look")
    sys.modules["closure_look"].look = lambda f: found.append(closure.of(f, root=root))
    try:
        place.at(root, after="from closure_look import look\nfor _ in range(3): look(app.main)")
    finally:
        del sys.modules["closure_look"]
    assert found[0] is found[1] is found[2]


def test_a_module_loaded_later_is_looked_at_again(place):
    """... and leads to the same digest."""
    lib = """
        from low import N
        class M(type): pass
        class B(metaclass=M):
            a = 1
        class A(B, metaclass=M):
            n: int = 1
            def f(self): return self.n
        T = {"a": [1, N]}
        def h(x=N): return N, A().f(), T
        """
    root = place.write(app("def main():\n    from lib import h\n    return h()\n", lib=lib, low="N = 1\n"))
    assert set(place.at(root).parts) == {"app:main", "lib:h", "lib:A", "lib:B", "lib:M", "lib:T", "low:N"}
    assert place.at(root) == place.at(root, after="app.main()")
    assert place.at(root) != place.at(root, after="app.main(); import low, lib; lib.N = 3")


def test_source_edited_after_the_import_is_not_taken_for_what_runs(place):
    root = place.write(app("import lib\ndef main(): return lib.h()\n", lib="def h(): return 1\n"))
    first = place.at(root)
    stale = place.at(
        root, after=f"import pathlib; pathlib.Path({str(root / 'lib.py')!r}).write_text('def h(): return 2222\\n')"
    )
    assert stale.kinds["lib:h"] == "bytecode"
    fresh = place.at(root)
    assert len({first.digest, stale.digest, fresh.digest}) == 3
    (root / "lib.py").write_text("# moved\n\n\ndef h(): return 1\n")
    moved = place.at(
        root, after=f"import pathlib; pathlib.Path({str(root / 'lib.py')!r}).write_text('def h(): return 1\\n')"
    )
    assert moved == first  # the same code, at another line


def test_a_reloaded_module_is_noticed(place):
    root = place.write(app("import lib\ndef main(): return lib.N\n", lib="import threading\nN = threading.Event()\n"))
    after = f"import importlib, pathlib\npathlib.Path({str(root / 'lib.py')!r}).write_text('import threading\\nN = threading.Barrier(2)\\n')\nimportlib.reload(app.lib)"
    assert place.at(root).digest != place.at(root, after=after).digest


LOOKS = app(
    "import importlib, sys, os, lib\ndef main(n):\n    from low import g\n    import low as l, json\n    m = importlib.import_module('lib')\n    return m.h() + g() + l.N + lib.h(), sys.argv, os.sep\n",
    lib="def h(): return 1\n",
    low="N = 1\ndef g(): return N\n",
)


@pytest.mark.parametrize("name", ["PROJECT", "WIDE", "LOOKS"])
def test_a_tree_imported_apart_has_the_same_names_and_digest(place, name):
    from reprokit.code.apart import face

    files = globals()[name]
    root = place.write(files)
    prefix = f"_reprokit_{random.Random(str(root)).getrandbits(64):016x}"
    apart = face.open_tree(prefix, str(root), [str(root)], "a test", {})
    for elsewhere in (root, Path(os.devnull)):  # its files need not lie in the project
        found = closure.of(apart.app.main, root=elsewhere)
        assert found == place.at(root)
    edited = place.write({**files, "app.py": files["app.py"].replace("return", "return 0,")})
    other = face.open_tree(f"{prefix}0", str(edited), [str(edited)], "a test", {})
    assert closure.of(other.app.main, root=root) == place.at(edited) != found


def test_a_cell_of_a_notebook(tmp_path):
    pytest.importorskip("IPython")
    code = """
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell()
        shell.run_cell("N = 1\\nclass A:\\n    def g(self): return 1\\ndef h(): return N")
        shell.run_cell("def main():\\n    return h() + A().g()")
        from pathlib import Path
        from reprokit.code import closure
        import sys
        def look():
            found = closure.of(shell.user_ns["main"], root=Path(sys.argv[1]))
            assert not found.unknown, found.unknown
            assert "bytecode" not in found.kinds.values(), found.kinds
            return found.digest
        seen = [look()]
        shell.run_cell("def h(): return N  # again")
        assert look() == seen[0]
        for cell in ("N = 2", "def h(): return -N", "class A:\\n    def g(self): return 2", "def main():\\n    return h()"):
            shell.run_cell(cell)
            seen.append(look())
        assert len(set(seen)) == 5, seen
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "IPYTHONDIR": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_script_has_the_name_of_its_file(place):
    root = place.write({**PROJECT, "app.py": PROJECT["app.py"] + f"""
        if __name__ == "__main__":
            from pathlib import Path
            from reprokit.code import closure
            print(closure.of(main, root=Path({str(place.folder / 'place1')!r})).digest)
        """})  # fmt: skip
    done = subprocess.run(
        [sys.executable, str(root / "app.py")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
    )
    assert done.stdout.strip() == place.at(root).digest


def test_threads_get_the_same_answer(place):
    root = place.write(PROJECT)
    seen = []

    def look(function):
        barrier = threading.Barrier(8)

        def one():
            barrier.wait()
            seen.append(closure.of(function, root=root))

        threads = [threading.Thread(target=one) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    sys.modules["closure_look"] = type(sys)("closure_look")
    sys.modules["closure_look"].look = look
    try:
        place.at(root, after="from closure_look import look\nlook(app.main)")
    finally:
        del sys.modules["closure_look"]
    assert len(seen) == 8
    assert all(one == seen[0] for one in seen)


def test_importing_is_light():
    code = "import sys; from reprokit.code import closure; print([m for m in ('ast', 'inspect', 'importlib.metadata', 'dis', 'numpy', 'linecache') if m in sys.modules])"
    bare = "import sys, msgspec, pathlib, hashlib; print([m for m in ('ast', 'inspect', 'importlib.metadata', 'dis', 'numpy', 'linecache') if m in sys.modules])"
    out = [
        subprocess.run(
            [sys.executable, "-c", c],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(SOURCE)},
        ).stdout
        for c in (code, bare)
    ]
    assert out[0] == out[1]


LINES = (textwrap.dedent(PROJECT["pkg/deep.py"]) + textwrap.dedent("""
    class Base:
        limit = 3

        def up(self, x):
            if x > self.limit:
                return [y for y in range(x)]
            return {"a": x, "b": (x,
                                  -x)}

    def lowest2(x=4):
        with open(x) as f:
            return Base().up(x) + f.read(7)
    """)).splitlines()  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_layout_never_counts_and_operators_always_do(place, data):
    """Comments, blank lines and docstrings anywhere never change the digest; another operator or number always does."""
    head = "from deep import lowest, lowest2\ndef main(x): return lowest(x) + lowest2()\n"
    plain = place.closure({"app.py": head, "deep.py": "\n".join(LINES)})
    chance = random.Random(data.draw(st.integers(0, 2**32)))
    lines = []
    for line in LINES:
        indent = line[: len(line) - len(line.lstrip())]
        if chance.random() < 0.3:
            lines.append(chance.choice(["", "   ", "# remark", f"{indent}    # remark"]))
        lines.append(line + ("  # remark" if line.strip() and chance.random() < 0.3 else ""))
        if line.rstrip().endswith(":") and line.lstrip().startswith(("def", "class")) and chance.random() < 0.5:
            lines.append(f'{indent}    """A docstring\n\n    of {chance.random()} lines."""')
    assert place.closure({"app.py": head, "deep.py": "\n".join(lines)}) == plain
    spots = [(n, old, new) for n, line in enumerate(LINES) for old, new in
             (("- 2", "+ 2"), ("- 2", "- 3"), ("= 3", "= 4"), (" > ", " >= "), ("range(x)", "range(-x)"), ("-x)", "+x)"),
              ("x=4", "x=5"), (" + f", " - f"), ("(7)", "(8)"), ("math.floor", "math.ceil")) if old in line]  # fmt: skip
    number, old, new = data.draw(st.sampled_from(spots))
    changed = [*LINES]
    changed[number] = changed[number].replace(old, new)
    assert place.closure({"app.py": head, "deep.py": "\n".join(changed)}).digest != plain.digest


def test_a_module_that_uses_packages_is_the_same_before_and_after_it_is_loaded(place):
    pytest.importorskip("numpy")
    late = """
        import json
        import numpy as np
        import numpy.linalg as la
        from math import floor

        def go():
            return np.sum([1]), np.linalg.norm([1]), la.det, json.dumps(1), floor(1.5), np
        """
    root = place.write({"app.py": "def main():\n    import late\n    return late.go()\n", "late.py": late})
    assert place.at(root) == place.at(root, after="import late")


@pytest.mark.parametrize(
    ("before", "code", "after", "said"),
    [
        ("ROWS = iter([1, 2])", "next(ROWS)", "next(app.ROWS)", "cannot be seen"),
        ("ROWS = (i for i in (1, 2))", "next(ROWS)", "next(app.ROWS)", "cannot be seen"),
        ("import contextvars\nV = contextvars.ContextVar('v', default=1)", "V.get()", "app.V.set(2)", "cannot be seen"),
        ("import threading\nL = threading.local()", "L.x", "app.L.x = 1", "cannot be seen"),
        ("import sys\nK = 1", "sys.modules[__name__].K", "app.K = 2", "at run time"),
        ("import sys\nK = 1", "sys.modules.get('app').K", "app.K = 2", "at run time"),
        ("import inner", "inner.__dict__['Z']", "import inner; inner.Z = 2", None),
        (
            "def make():\n    n = 0\n    def f():\n        nonlocal n\n        n += 1\n    return f\nf = make()",
            "f()",
            "app.f()",
            None,
        ),
        ("n = 0\ndef f():\n    global n\n    n += 1", "f()", "app.f()", None),
    ],
)
def test_what_changes_without_a_name_for_it_changes_the_digest_or_is_unknown(place, before, code, after, said):
    root = place.write({"app.py": f"{before}\ndef main():\n    return {code}\n", "inner.py": "Z = 1\n"})
    one, other = place.at(root), place.at(root, after=after)
    if said is None:
        assert one.digest != other.digest
        assert one.unknown == []
    else:
        assert said in one.unknown[0]


def test_asking_whether_a_module_is_loaded_is_known(place):
    code = "import sys\ndef main():\n    return 'numpy' in sys.modules\n"
    assert place.closure({"app.py": code}).unknown == []


def test_what_an_object_of_another_package_holds_makes_no_package_count(place):
    """A data frame holds arrays of NumPy only once a column of it was looked at; local code in such an object counts."""
    files = app("import argparse\nBOX = argparse.Namespace()\ndef held(): return 1\ndef main(): return BOX\n")
    one = place.closure(files)
    two = place.closure(files, after="import msgspec, wrapt; app.BOX.held = [msgspec.Struct, wrapt.decorator]")
    assert one.packages == two.packages == {}
    assert one.digest == two.digest
    three = place.closure(files, after="app.BOX.held = app.held")
    assert "app:held" in three.parts
