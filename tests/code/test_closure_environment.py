"""Environment variables in closures: which names are recorded, and when it is said that they can't be told."""

from __future__ import annotations

import contextlib
import os
import sys
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.code import closure
from tests.code.test_closure import PROJECT, app, place  # noqa: F401

# name, files, names of variables
READ = [
    ("subscript", app("import os\ndef main(): return os.environ['MODE']\n"), "MODE"),
    ("get", app("import os\ndef main(): return os.environ.get('MODE', 'dev')\n"), "MODE"),
    ("get by keyword", app("import os\ndef main(): return os.environ.get(key='MODE', default='dev')\n"), "MODE"),
    ("getenv", app("import os\ndef main(): return os.getenv('MODE')\n"), "MODE"),
    ("getenv by keyword", app("import os\ndef main(): return os.getenv(default=1, key='MODE')\n"), "MODE"),
    ("in", app("import os\ndef main(): return 'MODE' in os.environ\n"), "MODE"),
    ("not in", app("import os\ndef main(): return 1 < 2 and 'MODE' not in os.environ\n"), "MODE"),
    ("in keys", app("import os\ndef main(): return 'MODE' in os.environ.keys()\n"), "MODE"),
    ("several", app("import os\ndef main(): return os.environ['A'] or os.getenv('B', os.environ.get('C'))\n"), "A B C"),
    ("with more attributes", app("import os\ndef main(): return int(os.environ['MODE'].strip()[0])\n"), "MODE"),
    ("pop", app("import os\ndef main(): return os.environ.pop('MODE', None)\n"), "MODE"),
    ("setdefault", app("import os\ndef main(): os.environ.setdefault('MODE', '1')\n"), "MODE"),
    ("augmented", app("import os\ndef main(): os.environ['MODE'] += ':x'\n"), "MODE"),
    ("methods by their own names", app("import os\ndef main(): return os.environ.__getitem__('A'), os.environ.__contains__('B')\n"), "A B"),
    ("bytes", app("import os\ndef main(): return os.environb[b'MODE'], os.getenvb(b'B')\n"), "B MODE"),
    ("from os import environ", app("from os import environ\ndef main(): return environ['MODE']\n"), "MODE"),
    ("from os import environ as", app("from os import environ as E\ndef main(): return E.get('MODE'), 'B' in E\n"), "B MODE"),
    ("from os import getenv as", app("from os import getenv as g\ndef main(): return g('MODE')\n"), "MODE"),
    ("import os as", app("import os as o\ndef main(): return o.environ['MODE'], o.getenv('B')\n"), "B MODE"),
    ("import in the function", app("def main():\n    import os as o\n    from os import environ as E, getenv as g\n    return o.environ['A'], E['B'], g('C')\n"), "A B C"),
    ("import around the function", app("def make():\n    from os import environ as E\n    def inner(): return E['MODE']\n    return inner\nmain = make()\n"), "MODE"),
    ("star", app("from os import *\ndef main(): return environ['MODE'], getenv('B')\n"), "B MODE"),
    ("star of the project", app("from lib import *\ndef main(): return environ['MODE']\n", lib="from os import environ\n"), "MODE"),
    ("global alias", app("import os\nE = os.environ\ng = os.environ.get\nh = os.getenv\ndef main(): return E['A'], g('B'), h('C')\n"), "A B C"),
    ("alias of an alias", app("import os\nE = os.environ\nF = E\ndef main(): return F['A']\n"), "A"),
    ("local alias", app("import os\ndef main():\n    E = os.environ\n    g = E.get\n    F = E\n    return E['A'], g('B'), F['C']\n"), "A B C"),
    ("local alias used in a closure", app("import os\ndef main():\n    E = os.environ\n    return [lambda: E['A'] for _ in 'ab']\n"), "A"),
    ("local alias of a local import", app("def main():\n    import os\n    E = os.environ\n    def inner(): return E['A']\n    return inner\n"), "A"),
    ("through a module", app("import lib\ndef main(): return lib.environ['A'], lib.os.environ['B']\n", lib="import os\nfrom os import environ\n"), "A B"),
    ("imported from a module", app("from lib import environ as E\ndef main(): return E['A']\n", lib="from os import environ\n"), "A"),
    ("imported in the function from a module", app("def main():\n    from lib import environ as E\n    import lib as l\n    return E['A'], l.os.environ['B']\n", lib="import os\nfrom os import environ\n"), "A B"),
    ("constant", app("import os\nNAME = 'MODE'\ndef main(): return os.environ[NAME]\n"), "MODE"),
    ("constant of a module", app("import os, lib\nfrom lib import B\ndef main(): return os.environ[lib.NAME], os.getenv(B)\n", lib="NAME = 'MODE'\nB = 'B'\n"), "B MODE"),
    ("constant of a class", app("import os\nclass Names:\n    MODE = 'MODE'\ndef main(): return os.environ[Names.MODE]\n"), "MODE"),
    ("sum", app("import os\nPREFIX = 'APP_'\ndef main(): return os.environ[PREFIX + 'MODE' + '_X']\n"), "APP_MODE_X"),
    ("formatted", app("import os\nPREFIX = 'APP'\ndef main(): return os.environ[f'{PREFIX}_MODE'], os.getenv(f'A')\n"), "A APP_MODE"),
    ("local constant", app("import os\ndef main():\n    name = 'MODE'\n    return os.environ[name]\n"), "MODE"),
    ("loop", app("import os\ndef main():\n    for name in ('A', 'B'):\n        print(os.environ[f'X_{name}'])\n"), "X_A X_B"),
    ("comprehension", app("import os\ndef main(): return {k: os.environ.get(k) for k in ['A', 'B']}\n"), "A B"),
    ("nested function", app("import os\ndef main():\n    def inner():\n        return lambda: os.environ['MODE']\n    return inner\n"), "MODE"),
    ("lambda", app("import os\nmain = lambda: os.environ['MODE']\n"), "MODE"),
    ("default", app("import os\ndef main(x=os.environ.get('MODE')): return x\n"), "MODE"),
    ("method", app("import os\nclass A:\n    def f(self): return os.environ['MODE']\ndef main(): return A().f()\n"), "MODE"),
    ("property", app("import os\nclass A:\n    @property\n    def f(self): return os.environ['MODE']\ndef main(a: A): return a.f\n"), "MODE"),
    ("base", app("import lib\nclass A(lib.B): pass\ndef main(): return A().f()\n", lib="import os\nclass B:\n    def f(self): return os.environ['MODE']\n"), "MODE"),
    ("nested class", app("import os\nclass A:\n    class B:\n        @staticmethod\n        def f(): return os.environ['MODE']\ndef main(): return A.B.f()\n"), "MODE"),
    ("decorator", app("import os, functools\ndef deco(f):\n    @functools.wraps(f)\n    def inner(): return f() if os.getenv('MODE') else None\n    return inner\n@deco\ndef main(): return 1\n"), "MODE"),
    ("partial", app("import os, functools\ndef h(x): return os.environ['MODE']\nmain = functools.partial(h, 1)\n"), "MODE"),
    ("three modules away", {**PROJECT, "pkg/deep.py": "import os\ndef lowest(x): return int(os.environ['MODE'])\n"}, "MODE"),
    ("module that is not loaded", app("def main():\n    import lib\n    return lib.h()\n", lib="import os as o\nfrom os import getenv as g\nE = o.environ\ndef h(): return o.environ['A'], g('B'), E['C']\n"), "A B C"),
    ("key in a module that is not loaded", app("def main():\n    import lib\n    return lib.h()\n", lib="import os, more\nN = 'A'\ndef h(): return os.environ[N], os.environ[more.M]\n", more="M = 'B'\n"), "A B"),
    ("constant of a module that is not loaded", app("def main():\n    import lib\n    return lib.M\n", lib="import os\nM = os.environ.get('A')\n"), "A"),
    ("what importing calls", app("import os, lib\ndef main(): return lib.h()\n", lib="import os, json\njson.loads(os.environ.get('MODE', '1'))\ndef h(): return 1\n"), "MODE"),
    ("object whose state is not seen", app("import os, threading\nT = threading.Timer(int(os.environ.get('MODE', '1')), print)\ndef main(): return T\n"), "MODE"),
    ("class attribute", app("import os\nclass A:\n    mode = os.environ.get('MODE')\ndef main(): return A.mode\n"), "MODE"),
    ("match", app("import os\ndef main():\n    match os.environ.get('MODE'):\n        case 'a': return 1\n"), "MODE"),
    ("async generator", app("import os\nasync def main():\n    yield os.environ['MODE']\n"), "MODE"),
    ("walrus", app("import os\ndef main():\n    if (x := os.getenv('MODE')): return x\n"), "MODE"),
    # near misses, and what reads nothing
    ("constant that is seen by its value", app("import os\nMODE = os.environ.get('MODE')\ndef main(): return MODE\n"), ""),
    ("path that is seen by its value", app("import os\nfrom pathlib import Path\nMODE = Path(os.environ.get('MODE', '.'))\ndef main(): return MODE\n"), ""),
    ("all of it by value", app("import os\nE = dict(os.environ)\ndef main(): return E['MODE']\n"), ""),
    ("write", app("import os\ndef main():\n    os.environ['MODE'] = '1'\n    os.environ.update(A='1')\n    os.putenv('A', '1')\n"), ""),
    ("computed write", app("import os\ndef main(name):\n    os.environ[name] = '1'\n    del os.environ[name]\n    os.environ.pop(name, None)\n    os.environ.clear()\n"), ""),
    ("writes in a loop", app("import os\ndef main():\n    for name in ('A', 'B'): os.environ[name] = '1'\n"), ""),
    ("local variable", app("def main(x):\n    environ = {'MODE': x}\n    return environ['MODE'], environ.get('A')\n"), ""),
    ("parameter", app("import os\ndef main(environ, getenv): return environ['MODE'], getenv('A'), os.sep\n"), ""),
    ("attribute of another object", app("class R:\n    environ = {}\nrequest = R()\ndef main(r, self): return request.environ['MODE'], r.environ.get('A'), self.getenv('B')\n"), ""),
    ("function of the project", app("import lib\nfrom lib import environ\ndef getenv(x): return 1\ndef main(): return getenv('MODE'), lib.getenv('A'), environ['B']\n", lib="def getenv(x): return 1\nenviron = {'B': 1}\n"), ""),
    ("module of that name", app("import environ\ndef main(): return environ.Env('MODE')\n", environ="def Env(x): return 1\n"), ""),
    ("alias that is something else elsewhere", app("import os\ndef other():\n    E = os.environ\n    return E['A']\nE = {'B': 1}\ndef main(): return E['B']\n"), ""),
    ("alias that is another local elsewhere", app("import os\ndef other():\n    E = os.environ\n    return E['A']\ndef main(E): return E['B'], list(E)\n"), ""),
    ("unused", app("import os\ndef other(): return os.environ['MODE']\ndef main(): return os.sep\n"), ""),
    ("packages", app("import tempfile, os.path\ndef main(): return tempfile.gettempdir(), os.path.expanduser('~')\n"), ""),
    ("text", app("def main(): return 'os.environ[\"MODE\"]'\n"), ""),
    # for other processes
    ("env= with all", app("import os, subprocess\ndef main(): subprocess.run(['a'], env={**os.environ, 'A': '1'})\n"), ""),
    ("env= with all, otherwise", app("import os\nfrom subprocess import Popen, check_call\ndef main():\n    Popen('a', env=dict(os.environ, A='1'))\n    check_call('a', env=os.environ)\n    check_call('a', env=os.environ | {'A': '1'})\n"), ""),
    ("env= after import", app("import os\ndef main(x):\n    import subprocess as s\n    from subprocess import run\n    s.run('a', env={**os.environ, 'A': os.environ['B']})\n    run('a', env=os.environ.copy())\n"), "B"),
    ("env= with a copy", app("import os, subprocess\ndef main():\n    env = os.environ.copy()\n    env['A'] = '1'\n    env['PATH'] = 'x:' + env['PATH']\n    env.update(B='1')\n    env.update(os.environ)\n    env.pop('C', None)\n    del env['D']\n    subprocess.run('a', env=env)\n"), "PATH"),
    ("env= with a copy as parameter", app("import os, subprocess\ndef main(env=None):\n    if env is None:\n        env = dict(os.environ)\n    env = env or os.environ.copy()\n    env = {**os.environ, **(env or {})}\n    subprocess.run('a', env=env)\n"), ""),
    ("env= in a module that is not loaded", app("def main():\n    import lib\n    lib.h()\n", lib="import os, subprocess\nfrom subprocess import run as r\ndef h():\n    subprocess.run('a', env=os.environ)\n    r('a', env=os.environ)\n"), ""),
]  # fmt: skip

TOLD = "reads environment variables by names that can't be told"
PASSED = "hands all environment variables on"

# name, files, sentences
UNTOLD = [
    ("parameter", app("import os\ndef main(name): return os.environ[name]\n"), f"app.py:2: {TOLD}"),
    ("get", app("import os\ndef main(name): return os.environ.get(name)\n"), f"app.py:2: {TOLD}"),
    ("getenv", app("from os import getenv as g\ndef main(name): return g(name + '_X')\n"), f"app.py:2: {TOLD}"),
    ("in", app("import os\ndef main(name): return name in os.environ\n"), f"app.py:2: {TOLD}"),
    ("no key", app("import os\ndef main(a): return os.getenv(*a), os.environ.get(**a)\n"), f"app.py:2: {TOLD}"),
    ("number", app("import os\nN = 3\ndef main(): return os.environ[f'X{N}']\n"), f"app.py:3: {TOLD}"),
    ("local that is bound twice", app("import os\ndef main(x):\n    name = 'A'\n    name = x\n    return os.environ[name]\n"), f"app.py:5: {TOLD}"),
    ("local that an inner function binds", app("import os\ndef main(x):\n    name = 'A'\n    def put():\n        nonlocal name\n        name = x\n    put()\n    return os.environ[name]\n"), f"app.py:8: {TOLD}"),
    ("loop over more", app("import os\ndef main(x):\n    for name in ('A', x): print(os.environ[name])\n"), f"app.py:3: {TOLD}"),
    ("handed on", app("import os\ndef main(): return os.environ\n"), f"app.py:2: {PASSED}"),
    ("copy", app("import os\ndef main(): return dict(os.environ)\n"), f"app.py:2: {PASSED}"),
    ("copy that is handed on", app("import os\ndef main():\n    e = os.environ.copy()\n    return e\n"), f"app.py:4: {PASSED}"),
    ("unpacked", app("import os\ndef main(): return {**os.environ}\n"), f"app.py:2: {PASSED}"),
    ("iteration", app("import os\ndef main(): return [k for k in os.environ]\n"), f"app.py:2: {PASSED}"),
    ("items", app("import os\ndef main(): return sorted(os.environ.items())\n"), f"app.py:2: {PASSED}"),
    ("function handed on", app("import os\ndef main(): return map(os.getenv, 'ab')\n"), f"app.py:2: {TOLD}"),
    ("method handed on", app("import os\ndef main(): return map(os.environ.get, 'ab')\n"), f"app.py:2: {TOLD}"),
    ("getattr", app("import os\ndef main(): return getattr(os, 'environ')\n"), f"app.py:2: {PASSED}"),
    ("env= of the project", app("import os\ndef h(env): return env['A']\ndef main(): return h(env=os.environ)\n"), f"app.py:3: {PASSED}"),
    ("env= of something local", app("import os\ndef main(run): return run(env=os.environ)\n"), f"app.py:2: {PASSED}"),
    ("class attribute", app("import os\nclass A:\n    env = os.environ\n    def f(self): return self.env['A']\ndef main(): return A().f()\n"), f"app.py:3: {PASSED}"),
    ("global that a function binds", app("import os\nE = None\ndef main():\n    global E\n    E = os.environ\n    return E['A']\n"), f"app.py:5: {PASSED}"),
    ("another name in another module", app("from lib import E\ndef main(): return E['A']\n", lib="import os\nE = os.environ\n"), f"app.py:2: {TOLD}"),
    ("another name through a module", app("import lib\ndef main(): return lib.E['A'], lib.g('A')\n", lib="import os\nE = os.environ\nfrom os import getenv as g\n"), f"app.py:2: {TOLD}"),
    ("in a cell by another name", app("import lib\ndef make(e):\n    def inner(): return e['A']\n    return inner\nmain = make(lib.E)\n", lib="import os\nE = os.environ\n"), f"app.py:3: {TOLD}"),
    ("without source", app("import os\nexec('def main(): return os.environ[\"A\"]')\n"), f"<string>:1: {TOLD}"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "names"), [case[1:] for case in READ], ids=[case[0] for case in READ])
def test_the_names_are_known(place, files, names, tmp_path):  # noqa: F811
    """... with and without a cache."""
    root = place.write(files)
    found = place.at(root)
    assert found.environment == names.split()
    assert found.unknown == []
    for _ in range(2):
        assert place.at(root, cache=tmp_path / "kept") == found


@pytest.mark.parametrize(("files", "said"), [case[1:] for case in UNTOLD], ids=[case[0] for case in UNTOLD])
def test_what_cannot_be_told_is_said(place, files, said, tmp_path):  # noqa: F811
    root = place.write(files)
    found = place.at(root)
    assert said in found.unknown
    assert found.environment == []
    for _ in range(2):
        assert place.at(root, cache=tmp_path / "kept") == found


def test_the_digest_is_the_same_whatever_the_values(place, monkeypatch):  # noqa: F811
    root = place.write(app("import os\ndef main(): return os.environ.get('REPROKIT_TEST_MODE')\n"))
    first = place.at(root)
    monkeypatch.setenv("REPROKIT_TEST_MODE", "hunter2")
    second = place.at(root)
    assert second == first
    assert b"hunter2" not in msgspec.json.encode(second)


def test_a_constant_changes_the_digest_by_its_value(place, monkeypatch):  # noqa: F811
    root = place.write(app("import os\nMODE = os.environ.get('REPROKIT_TEST_MODE')\ndef main(): return MODE\n"))
    first = place.at(root)
    monkeypatch.setenv("REPROKIT_TEST_MODE", "prod")
    assert closure.explain(first, place.at(root)) == ["constant app:MODE changed"]


def test_a_name_that_is_bound_anew_is_followed(place):  # noqa: F811
    files = app("import os\nNAME = 'A'\ndef main(): return os.environ[NAME]\n")
    assert place.closure(files, after="app.NAME = 'B'").environment == ["B"]
    assert place.closure(files, after="app.os = None").environment == []
    assert TOLD in place.closure(files, after="app.NAME = 3").unknown[0]


def test_a_record_without_the_names_is_read():
    found = msgspec.json.decode(b'{"function": "m:f", "digest": "sha256:0", "parts": {}}', type=closure.ClosureInfo)
    assert found.environment == []


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
WAYS = [
    "os.environ[{}]", "os.environ.get({})", "os.environ.get({}, 'x')", "os.getenv({})", "{} in os.environ", "E[{}]", "E.get({})",
    "g({})", "{} not in E", "o.environ.pop({})", "[os.environ[{}] for _ in 'a']", "(lambda: E[{}])()", "get({})",
]  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(WAYS), NAMES, st.booleans(), st.integers(0, 12)), max_size=6))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_mixture_is_read(place, reads):  # noqa: F811
    """Whole, or in two parts of which a constant holds one."""
    head = ["import os, os as o", "from os import environ as E, getenv as g", "get = os.environ.get"]
    body = ["def main(value=None):", "    pass"]
    for number, (way, name, whole, cut) in enumerate(reads):
        key = repr(name)
        if not whole:
            head.append(f"K{number} = {name[:cut]!r}")
            key = f"(K{number} + {name[cut:]!r})"
        body.append(f"    value = {way.format(key)}")
    found = place.closure(app("\n".join([*head, *body, ""])))
    assert found.environment == sorted({name for _, name, _, _ in reads})
    assert found.unknown == []


CALLED = [case for case in READ if "def main():" in case[1]["app.py"] and "subprocess" not in str(case)]


@pytest.mark.parametrize(("files", "names"), [case[1:] for case in CALLED], ids=[case[0] for case in CALLED])
def test_no_others_are_asked_for_when_it_runs(place, monkeypatch, files, names):  # noqa: F811
    asked = []
    plain = type(os.environ).__getitem__

    def run(function):
        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Exception):
            patch.setattr(type(os.environ), "__getitem__", lambda self, key: (asked.append(key), plain(self, key))[1])
            function()

    for name in ("A", "B", "C", "MODE", *names.split()):
        monkeypatch.setenv(name, "1")
    monkeypatch.setitem(sys.modules, "closure_run", SimpleNamespace(run=run))
    environ = dict(os.environ)
    try:
        place.closure(files, after="import closure_run\nclosure_run.run(app.main)")
    finally:
        os.environ.clear()
        os.environ.update(environ)
    assert {os.fsdecode(name) for name in asked} - {"HOME", "TMPDIR", "TEMP", "TMP"} <= {*names.split()}
