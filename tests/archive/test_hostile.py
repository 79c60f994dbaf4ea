"""Archives written by an enemy: loading them safely runs nothing, reads nothing outside, ends soon, and says what is wrong."""

import os
import subprocess
import sys

import pytest

from reprokit.archive import Archive
from reprokit.errors import ArchiveError

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
TOUCH = "open({marker!r}, 'w').close()"

#: What would run code when imported.  Each is one attack; {marker} is the file that it would make.
RUNNING = {
    "open": "x = " + TOUCH,
    "open, keyword": "x = open(file={marker!r}, mode='w')",
    "__import__": "x = __import__('os').system('touch {marker}')",
    "import os": "import os\nx = os.system('touch {marker}')",
    "import as": "import os as _numpy\nx = _numpy.system('touch {marker}')",
    "from import": "from os import system\nx = system('touch {marker}')",
    "from import as": "from os import system as _array\nx = _array('touch {marker}')",
    "import star": "from os import *\nx = system('touch {marker}')",
    "import package": "import os.path as _p\nx = _p.os.system('touch {marker}')",
    "import in a scope": "def x():\n    from os import system as list\n    return list('touch {marker}')\nx = x()",
    "exec": "x = exec(\"" + TOUCH + "\")",
    "eval": "x = eval(\"" + TOUCH + "\")",
    "compile": "x = eval(compile(\"" + TOUCH + "\", 'a', 'eval'))",
    "getattr": "x = getattr(__import__('os'), 'system')('touch {marker}')",
    "builtins name": "from builtins import open as _complex\nx = _complex({marker!r}, 'w')",
    "builtins module": "import builtins as _b\nx = _b.open({marker!r}, 'w')",
    "__builtins__": "x = __builtins__['open'] if type(__builtins__) is dict else __builtins__.open\nx = x({marker!r}, 'w')",
    "bases": "x = [c for c in ().__class__.__bases__[0].__subclasses__()]\n" + TOUCH,
    "globals of a function": "def f():\n    return 1\nx = f.__globals__['__builtins__']\n" + TOUCH,
    "class attribute": "x = ().__class__\n" + TOUCH,
    "module of a whitelisted module": "import enum as _enum\nx = _enum.sys.modules['os'].system('touch {marker}')",
    "module through from": "from enum import sys as _sys\nx = _sys.modules['os'].system('touch {marker}')",
    "collections' own": "from collections import _sys\nx = _sys.modules['os'].system('touch {marker}')",
    "numpy's own": "import numpy as _numpy\nx = _numpy.lib.format.open_memmap({marker!r}, mode='w+', shape=(1,))",
    "numpy memmap": "import numpy as _numpy\nx = _numpy.memmap({marker!r}, mode='w+', shape=(1,))",
    "numpy tofile": "import numpy as _numpy\nx = _numpy.array([1, 2]).tofile({marker!r})",
    "numpy save": "import numpy as _numpy\nx = _numpy.save({marker!r}, [1])\n" + TOUCH,
    "path method": "from pathlib import PosixPath as _P\nx = _P({marker!r}).touch()",
    "path method of an item": "from pathlib import Path as _P\np = _P({marker!r})\nx = p.write_text('')",
    "pickle": "import pickle as _p\nx = _p.loads(b\"cbuiltins\\nopen\\n(V{marker}\\nVw\\ntR.\")",
    "object __reduce__": "x = (1).__reduce_ex__(2)\n" + TOUCH,
    "copyreg": "from copyreg import __newobj__ as _n\nx = _n(object)\n" + TOUCH,
    "codecs": "import codecs as _c\nx = eval(_c.decode({rot13!r}, 'rot13'))",
    "f-string": "x = f\"{{open({marker!r}, 'w')}}\"",
    "format method": "x = '{{0.__class__}}'.format(1)\n" + TOUCH,
    "percent": "x = '%s' % open({marker!r}, 'w')",
    "list comprehension": "x = [open(m, 'w') for m in [{marker!r}]]",
    "set comprehension": "x = {{str(open(m, 'w')) for m in [{marker!r}]}}",
    "dict comprehension": "x = {{m: open(m, 'w') for m in [{marker!r}]}}",
    "generator": "x = list(open(m, 'w') for m in [{marker!r}])",
    "lambda": "x = (lambda: open({marker!r}, 'w'))()",
    "lambda as default": "def x(f=lambda: open({marker!r}, 'w')):\n    return f()\nx = x()",
    "walrus": "x = [y := open({marker!r}, 'w')]",
    "decorator": "def d(f):\n    " + TOUCH + "\n    return f\n@d\ndef x():\n    return 1\nx = x()",
    "default": "def x(a=open({marker!r}, 'w')):\n    return a\nx = x()",
    "annotation": "x: open({marker!r}, 'w') = 1",
    "annotation of an argument": "def x(a: open({marker!r}, 'w') = 1):\n    return a\nx = x()",
    "return annotation": "def x() -> open({marker!r}, 'w'):\n    return 1\nx = x()",
    "star arguments": "x = open(*[{marker!r}, 'w'])",
    "star keywords": "x = open(**{{'file': {marker!r}, 'mode': 'w'}})",
    "starred list": "x = [*open({marker!r}, 'w+')]",
    "class": "class A:\n    x = open({marker!r}, 'w')\nx = A",
    "metaclass": "class A(metaclass=lambda *a: open({marker!r}, 'w')):\n    pass\nx = A",
    "type": "x = type('A', (), {{'f': open({marker!r}, 'w')}})",
    "if": "if " + TOUCH + ":\n    pass\nx = 1",
    "ternary": "x = 1 if open({marker!r}, 'w') else 2",
    "boolean": "x = 1 and open({marker!r}, 'w')",
    "comparison": "x = 1 < len(open({marker!r}, 'w+').read())",
    "assert": "assert " + TOUCH + " is None\nx = 1",
    "raise": "try:\n    raise ValueError\nexcept ValueError:\n    " + TOUCH + "\nx = 1",
    "finally": "try: x = 1\nfinally: " + TOUCH,
    "with": "with open({marker!r}, 'w') as x: pass\nx = 1",
    "for": "for x in [open({marker!r}, 'w')]: pass\nx = 1",
    "for target": "import os\nfor os.environ['HOSTILE'] in ['1']: " + TOUCH + "\nx = 1",
    "while": "while " + TOUCH + ": pass\nx = 1",
    "match": "match 1:\n    case 1:\n        " + TOUCH + "\nx = 1",
    "subscript": "x = [1][len([open({marker!r}, 'w')]) - 1]",
    "subscript target": "x = {{}}\nx[open({marker!r}, 'w')] = 1",
    "attribute target": "def x():\n    return 1\nx.y = open({marker!r}, 'w')\nx = 1",
    "augmented": "x = []\nx += [open({marker!r}, 'w')]",
    "delete": "x = {{1: 1}}\ndel x[len([open({marker!r}, 'w')])]",
    "delete clause of the end": "x = 1\ntry: del __builtins__, {{}}[open({marker!r}, 'w')]\nexcept (NameError, KeyError): pass",
    "except clause of the end": "x = 1\ntry: del _nothing\nexcept (NameError, open({marker!r}, 'w')): pass",
    "bare expression": "x = 1\n" + TOUCH,
    "docstring expression": "('doc', " + TOUCH + ")\nx = 1",
    "async": "async def f():\n    " + TOUCH + "\ntry: f().send(None)\nexcept StopIteration: pass\nx = 1",
    "yield": "def f():\n    yield open({marker!r}, 'w')\nx = list(f())",
    "print to a file": "x = print(1, file=open({marker!r}, 'w'))",
    "map": "x = list(map(open, [{marker!r}], ['w']))",
    "sort key": "x = sorted([{marker!r}], key=lambda m: open(m, 'w').name)",
    "partial that is called": "from functools import partial as _p\nx = _p(open, {marker!r}, 'w')()",
    "partial of a partial": "from functools import partial as _p\nx = _p(_p, open)({marker!r}, 'w')()",
    "default factory": "from collections import defaultdict as _d\nfrom functools import partial as _p\nx = _d(_p(open, {marker!r}, 'w'))[1]",
    "namedtuple": "from collections import namedtuple as _n\nx = _n('A', 'a')._make([open({marker!r}, 'w')])",
    "enum with code": "from enum import Enum as _E\nx = _E('A', {{'a': open({marker!r}, 'w')}})",
    "operator": "from operator import methodcaller as _m\nfrom pathlib import Path as _P\nx = _m('touch')(_P({marker!r}))",
    "reduce": "from functools import reduce as _r\nx = _r(lambda a, b: open(b, 'w'), [1, {marker!r}])",
    "types": "from types import FunctionType as _F\nx = _F((lambda: open({marker!r}, 'w')).__code__, {{'open': open}})()",
    "shadowed known function": "def list(a):\n    " + TOUCH + "\n    return a\nx = list([1])",
    "shadowed import": "from numpy import array as _array\ndef _array(a):\n    return open(a, 'w')\nx = _array({marker!r})",
    "compatibility characters": "from \uff4f\uff53 import \uff53ystem\nx = \uff53ystem('touch {marker}')",
    "compatibility characters in an attribute": "x = ().__\uff43lass__\n" + TOUCH,
    "utf-7": "# coding: utf-7\nx = 1\n#+AAo-" + TOUCH,
    "unicode escape": "# coding: unicode_escape\nx = 1\n#\\n" + TOUCH,
    "raw unicode escape": "# -*- coding: raw_unicode_escape -*-\nx = 1\n#\\u000a" + TOUCH,
    "form feed": "x = 1\n#\x0c\n" + TOUCH,
    "carriage return": "x = 1 #\r" + TOUCH,
    "line continuation": "x = 1; \\\n" + TOUCH,
    "sys.modules": "import sys\nsys.modules['reprokit_hostile'] = open({marker!r}, 'w')\nx = 1",
    "sys.path": "import sys\nsys.path.insert(0, '.')\nimport payload\nx = 1\n" + TOUCH,
    "global": "def x():\n    global open\n    return open({marker!r}, 'w')\nx = x()",
    "numpy frompyfunc": "import numpy as _numpy\nx = _numpy.frompyfunc(open, 2, 1)({marker!r}, 'w')",
    "numpy testing": "import numpy.testing as _t\nx = _t.measure(\"" + TOUCH + "\")",
    "timeit": "import timeit as _t\nx = _t.timeit(\"" + TOUCH + "\", number=1)",
    "code of the exec kind in a note": "def note():\n    exec(\"" + TOUCH + "\")\n    return 1\nx = note()",
}  # fmt: skip

#: What would take all memory, all time, or the interpreter with it.
EXHAUSTING = {
    "power": "x = 10**10**10",
    "shift": "x = 1 << 10**10",
    "string multiplication": "x = 'a' * 10**11",
    "string multiplication, small": "x = 'a' * 99999999999",
    "list multiplication": "x = [0] * 99999999999",
    "tuple multiplication": "x = 99999999999 * (0,)",
    "bytes": "from builtins import bytes as _b\nx = _b(99999999999)",
    "bytearray": "from builtins import bytearray as _b\nx = _b(99999999999)",
    "range to list": "from builtins import list as _l, range as _r\nx = _l(_r(99999999999))",
    "range to set": "from builtins import set as _l, range as _r\nx = _l(_r(99999999999))",
    "range to frozenset": "from builtins import frozenset as _l, range as _r\nx = _l(_r(99999999999))",
    "range to tuple": "from builtins import tuple as _l, range as _r\nx = _l(_r(99999999999))",
    "range to deque": "from collections import deque as _d\nfrom builtins import range as _r\nx = _d(_r(99999999999))",
    "range to Counter": "from collections import Counter as _d\nfrom builtins import range as _r\nx = _d(_r(99999999999))",
    "range to OrderedDict": "from collections import OrderedDict as _d\nfrom builtins import range as _r\nx = _d.fromkeys(_r(99999999999))",
    "range to array": "import numpy as _numpy\nfrom builtins import range as _r\nx = _numpy.array(_r(99999999999))",
    "range unpacked": "from builtins import range as _r\nx = [*_r(99999999999)]",
    "zeros": "import numpy as _numpy\nx = _numpy.zeros((1000000, 1000000))",
    "arange": "import numpy as _numpy\nx = _numpy.arange(99999999999)",
    "broadcast": "import numpy as _numpy\nx = _numpy.broadcast_to(0, (1000000, 1000000)).copy()",
    "reshape": "import numpy as _numpy\nx = _numpy.frombuffer(b'12345678', dtype='<i8').reshape((10**10, 10**10))",
    "wide dtype": "import numpy as _numpy\nx = _numpy.array([''] * 10, dtype='<U500000000')",
    "fraction": "from fractions import Fraction as _F\nx = _F('1e999999999')",
    "decimal to int": "from decimal import Decimal as _D\nfrom builtins import int as _i\nx = _i(_D('1e999999999'))",
    "format width": "x = '%9999999999d' % 1",
    "f-string width": "x = f'{1:9999999999}'",
    "endless loop": "while True: pass\nx = 1",
    "endless recursion": "def x():\n    return x()\nx = x()",
    "mutual recursion": "def f():\n    return g()\ndef g():\n    return f()\nx = f()",
    "brackets": "x = " + "[" * 100_000 + "]" * 100_000,
    "parentheses": "x = " + "(" * 100_000 + ")" * 100_000,
    "braces": "x = " + "{1:" * 100_000 + "1" + "}" * 100_000,
    "unary": "x = " + "-" * 100_000 + "1",
    "not": "x = " + "not " * 100_000 + "1",
    "sum": "x = 1" + "+1" * 100_000,
    "attributes": "x = a" + ".a" * 100_000,
    "calls": "x = a" + "()" * 100_000,
    "subscripts": "x = a" + "[0]" * 100_000,
    "indentation": "".join(" " * depth + "if 1:\n" for depth in range(3000)) + " " * 3000 + "x = 1",
    "nested functions": "".join(" " * depth + "def f():\n" for depth in range(90)) + " " * 90 + "return 1\nx = f()",
    "laughs, hashed": "_g0 = (1, 2)\n" + "".join(f"_g{n} = (_g{n - 1}, _g{n - 1})\n" for n in range(1, 60)) + "x = {_g59: 1}",
    "laughs, in a set": "_g0 = (1, 2)\n" + "".join(f"_g{n} = (_g{n - 1}, _g{n - 1})\n" for n in range(1, 60)) + "x = {_g59}",
    "laughs, scoped": "_g0 = 'ha'\n" + "".join(f"def _g{n}(a=_g{n - 1}):\n    return a + a\n_g{n} = _g{n}()\n" for n in range(1, 60)) + "x = _g59",
    "laughs, array": "import numpy as _numpy\n_g0 = [1, 2]\n" + "".join(f"_g{n} = [_g{n - 1}, _g{n - 1}]\n" for n in range(1, 40)) + "x = _numpy.array(_g39)",
    "pattern": "import re as _re\nx = _re.compile('(' * 90000)",
    "pattern, repeated": "import re as _re\nx = _re.compile('(?:' * 12 + 'a' + '{1000})' * 12)",
}  # fmt: skip

#: What is wrong in a harmless way, and has to be told nevertheless.
BROKEN = {
    "no Python": "x = = 1",
    "NUL": "x = 1\0",
    "NUL in a string": "x = 'a\0b'",
    "no UTF-8": b"x = '\xff'",
    "another encoding": b"# coding: latin-1\nx = '\xe4'",
    "unknown encoding": "# coding: nonsense\nx = 1",
    "UTF-16": "x = 1".encode("utf-16"),
    "unknown name": "x = y",
    "unknown private name": "x = _y",
    "used before": "x = y\ny = 1",
    "used before, scoped": "def x(a=_g1):\n    return a\nx = x()\n_g1 = 1",
    "argument that is missing": "def x(a):\n    return a\nx = x()",
    "argument too many": "def x():\n    return 1\nx = x(1)",
    "function as item": "def x():\n    return 1",
    "no return": "def x():\n    1\nx = x()",
    "unhashable key": "x = {[]: 1}",
    "unhashable member": "x = {[]}",
    "odd pairs": "from builtins import dict as _dict\nx = _dict([1, 2])",
    "wrong arguments": "from datetime import date as _d\nx = _d(1, 2, 3, 4, 5)",
    "no such day": "from datetime import date as _d\nx = _d(2026, 2, 30)",
    "overflow": "from datetime import timedelta as _d\nx = _d(days=10**30)",
    "no decimal": "from decimal import Decimal as _D\nx = _D('zwei')",
    "no uuid": "from uuid import UUID as _U\nx = _U('1')",
    "no pattern": "import re as _re\nx = _re.compile('(')",
    "no such zone": "from zoneinfo import ZoneInfo as _Z\nx = _Z('Mars/Olympus')",
    "zone outside": "from zoneinfo import ZoneInfo as _Z\nx = _Z('../../../etc/passwd')",
    "absolute zone": "from zoneinfo import ZoneInfo as _Z\nx = _Z('/etc/passwd')",
    "buffer too short": "import numpy as _numpy\nx = _numpy.frombuffer(b'123', dtype='<f8')",
    "wrong shape": "import numpy as _numpy\nx = _numpy.frombuffer(b'12345678', dtype='<f8').reshape((2, 2))",
    "negative shape": "import numpy as _numpy\nx = _numpy.frombuffer(b'12345678', dtype='<f8').reshape((-2, -2))",
    "no dtype": "import numpy as _numpy\nx = _numpy.frombuffer(b'12345678', dtype='zwei')",
    "objects from bytes": "import numpy as _numpy\nx = _numpy.frombuffer(b'12345678', dtype='O')",
    "objects in fields": "import numpy as _numpy\nx = _numpy.frombuffer(b'12345678', dtype=[('a', 'O')])",
    "objects by view": "import numpy as _numpy\nx = _numpy.frombuffer(b'12345678', dtype='<i8').view('O')",
    "objects by ndarray": "import numpy as _numpy\nx = _numpy.ndarray((1,), dtype='O', buffer=b'12345678')",
    "strides outside": "import numpy as _numpy\nx = _numpy.ndarray((9,), dtype='<i8', buffer=b'12345678', strides=(1 << 40,))",
    "module that is not there": "from reprokit_nothing import A as _A\nx = _A()",
    "class that is not allowed": "from http.client import HTTPConnection as _A\nx = _A('localhost')",
    "relative import": "from . import payload as _p\nx = _p",
    "relative import above": "from .. import payload as _p\nx = _p",
    "look-alike name": "from d\u0430tetime import date as _d\nx = _d(2026, 1, 1)",
    "bidirectional name": "x\u202e = 1",
    "tabs and spaces": "def x():\n\treturn 1\n        return 2\nx = x()",
    "constant assigned": "None = 1",
    "keyword as name": "class = 1",
    "position only": "def x(a, /, b=1, *c, **d):\n    return a\nx = x(1)",
    "slice of a name": "x = ...\nx[1:2] = 3",
    "two targets": "x, y = 1, 2",
    "star target": "x, *y = 1, 2",
    "print": "x = print",
    "nested loop by hand": "x = []\nx.append(x)\nx.sort()",
    "method of a value": "x = 'a'.encode()",
    "method of a list": "x = [1].copy()",
    "bad generator state": "from numpy.random import Generator as _G, MT19937 as _M\nx = _G(_M().jumped(10**9))",
}  # fmt: skip

#: What needs no refusal, for nothing uses it: it is loaded, and runs nothing.
HARMLESS = {
    "byte order mark": b"\xef\xbb\xbfx = 1",
    "known encoding": "# -*- coding: utf-8 -*-\nx = 1",
    "import that nothing uses": "import this as _this\nfrom payload import thing as _thing\nimport os.path as _p\nx = 1",
    "bidirectional comment": "# \u202e\u2066 evil\nx = 1",
    "text like code": "y = \"open('marker', 'w')\"\nx = 1",
    "redefinition": "x = 2\nx = 1",
}  # fmt: skip


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


@pytest.fixture(autouse=True)
def _payload(tmp_path, marker, monkeypatch):
    """Modules of the enemy lie beside each archive and in the working folder; importing one would leave the marker."""
    for name in ("payload", "fractions", "uuid", "decimal", "pandas", "scipy", "xarray", "h5py", "attrs"):
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').close()\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    yield
    assert not marker.exists()


def write(folder, source):
    """Write the source as a module and as a package, and give their paths."""
    source = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    (folder / "evil.py").write_bytes(source)
    (folder / "evil").mkdir(exist_ok=True)
    (folder / "evil" / "__init__.py").write_bytes(source)
    return folder / "evil.py", folder / "evil"


def refused(load):
    """Give the sentence with which loading is refused."""
    with pytest.raises((ArchiveError, OSError)) as caught:
        load()
    sentence = str(caught.value)
    assert 10 < len(sentence) < 2000, sentence[:3000]
    return sentence


def filled(source, marker):
    import codecs

    return source.format(marker=str(marker), rot13=codecs.encode(TOUCH.format(marker=str(marker)), "rot13"))


@pytest.mark.parametrize("source", RUNNING.values(), ids=RUNNING)
def test_code_is_not_run(tmp_path, marker, source):
    for path in write(tmp_path, filled(source, marker)):
        refused(lambda path=path: Archive.load(path))
        assert not marker.exists()


def test_the_code_above_would_run_otherwise(tmp_path, marker):
    """Each case is a real one: imported, nearly all of them leave the marker."""
    pytest.importorskip("numpy")
    tame = []
    for name, source in RUNNING.items():
        (tmp_path / "evil.py").write_bytes(filled(source, marker).encode())
        code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; sys.dont_write_bytecode = True; import evil"
        tame.append((name, code, filled(source, marker)))
    script = f"""
import os, sys
marker = {str(marker)!r}
sys.stdout = sys.stderr = open(os.devnull, "w")
for name, source in {[(name, source) for name, _, source in tame]!r}:
    try:
        exec(compile(source.encode(), name, "exec"), {{"__name__": "evil"}})
    except BaseException:
        pass
    if os.path.exists(marker):
        os.unlink(marker)
    else:
        os.write(1, (name + "\\n").encode())
"""
    (tmp_path / "elsewhere").mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path / "elsewhere",
    )
    assert not done.returncode, done.stderr
    assert set(done.stdout.split("\n")) - {""} <= {"sys.path", "numpy testing"}


@pytest.mark.parametrize("source", EXHAUSTING.values(), ids=EXHAUSTING)
def test_memory_and_time_are_not_exhausted(tmp_path, source):
    module, _ = write(tmp_path, source)
    refused(lambda: Archive.load(module))


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_told(tmp_path, source):
    for path in write(tmp_path, source):
        sentence = refused(lambda path=path: Archive.load(path))
        assert "evil" in sentence or "__init__" in sentence


@pytest.mark.parametrize("source", HARMLESS.values(), ids=HARMLESS)
def test_what_is_harmless_is_loaded(tmp_path, source):
    for path in write(tmp_path, source):
        assert Archive.load(path)["x"] == 1


@pytest.mark.parametrize("size", [5, pytest.param(100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("what", ["lines", "list", "dict"])
def test_a_source_of_many_megabytes_ends_well_where_memory_is_short(tmp_path, size, what):
    pytest.importorskip("resource")
    line = {"lines": "x = 1\n", "list": "0, ", "dict": "0: {}, "}[what]
    start, end = {"lines": ("", ""), "list": ("x = [", "]"), "dict": ("x = {", "}")}[what]
    (tmp_path / "large.py").write_text(start + line * (size * 2**20 // len(line)) + end, encoding="utf-8")
    script = f"""
import resource, sys
from reprokit.archive import Archive
from reprokit.errors import ArchiveError
import reprokit.archive.safe.reader
resource.setrlimit(resource.RLIMIT_AS, ({size + 395} << 20, {size + 395} << 20))
try:
    Archive.load(sys.argv[1])
    print("loaded")
except ArchiveError as error:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "large.py")],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert done.stdout.strip() == "refused", done.stderr[-2000:]


# allow=

VICTIM = """
import enum, os
from os import system
from dataclasses import dataclass

def function(*args):
    open({marker!r}, "w").close()

class Other:
    def __init__(self, *args):
        function()

@dataclass
class Thing:
    a: object = 1
    inner = Other
    module = os
    def method(self, *args):
        function()
    @classmethod
    def cls(cls, *args):
        function()
    @staticmethod
    def static(*args):
        function()
    @property
    def prop(self):
        function()
    class Nested:
        def __init__(self, *args):
            function()

class Sub(Thing):
    def __init__(self, *args):
        function()
"""
ATTEMPTS = {
    "module's function": "from victim import function as _f\nx = _f()",
    "another class": "from victim import Other as _O\nx = _O()",
    "subclass": "from victim import Sub as _S\nx = _S()",
    "class by module": "import victim as _v\nx = _v.Other()",
    "module of a module": "import victim as _v\nx = _v.os.system('touch {marker}')",
    "what the module imported": "from victim import system as _s\nx = _s('touch {marker}')",
    "class attribute": "from victim import Thing as _T\nx = _T.inner()",
    "nested class": "from victim import Thing as _T\nx = _T.Nested()",
    "class of a class attribute": "from victim import Thing as _T\nx = _T.module.system('touch {marker}')",
    "class method": "from victim import Thing as _T\nx = _T.cls()",
    "static method": "from victim import Thing as _T\nx = _T.static()",
    "unbound method": "from victim import Thing as _T\nx = _T.method(_T())",
    "method": "from victim import Thing as _T\nx = _T().method()",
    "method of a name": "from victim import Thing as _T\ny = _T()\nx = y.method()",
    "statement": "from victim import Thing as _T\nx = _T()\nx.method()",
    "property": "from victim import Thing as _T\nx = _T().prop",
    "globals": "from victim import Thing as _T\nx = _T.method.__globals__['function']()",
    "dictionary": "from victim import Thing as _T\nx = _T.__dict__['static']()",
    "subclasses": "from victim import Thing as _T\nx = _T.__subclasses__()[0]()",
    "bases": "from victim import Thing as _T\nx = _T.__init__.__globals__",
    "new": "from victim import Thing as _T\nx = _T.__new__(_T)",
    "class of class": "from victim import Thing as _T\nx = type(_T)('A', (), {{}})",
    "alias": "from victim import Other as Thing\nx = Thing()",
    "dotted in from": "from victim.Thing import Nested as _N\nx = _N()",
    "shadow": "def Thing(a=1):\n    from victim import function as _f\n    return _f()\nx = Thing()",
    "decorated name": "from victim import Thing as _T\n@_T.static\ndef x(): return 1",
    "default": "from victim import Thing as _T\ndef x(a=_T.static()):\n    return a\nx = x()",
    "keyword": "from victim import Thing as _T\nx = _T(a=_T.static())",
    "set attribute": "from victim import Thing as _T\n_T.inner = 1\nx = 1",
    "set attribute of an instance": "from victim import Thing as _T\ny = _T()\ny.__class__ = _T\nx = 1",
    "partial": "from functools import partial as _p\nfrom victim import function as _f\nx = _p(_f)",
    "reference to a function": "from victim import function as _f\nx = _f",
    "reference to the module": "import victim as _v\nx = _v",
    "default factory": "from collections import defaultdict as _d\nfrom victim import function as _f\nx = _d(_f)",
    "too many arguments": "from victim import Thing as _T\nx = _T(1, 2, 3)",
    "unknown argument": "from victim import Thing as _T\nx = _T(b=1)",
    "module of the same name": "from .victim import Thing as _T\nx = _T()",
    "longer name": "from victim2 import Thing as _T\nx = _T()",
}  # fmt: skip


@pytest.fixture
def victim(tmp_path, marker, monkeypatch):
    """A module of the user's own, of which `Thing` is allowed and nothing else."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "victim.py").write_text(VICTIM.format(marker=str(marker)), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "own")
    yield
    sys.modules.pop("victim", None)


@pytest.mark.parametrize("source", ATTEMPTS.values(), ids=ATTEMPTS)
def test_allowing_a_class_allows_nothing_else(tmp_path, marker, victim, source):
    import victim as module

    path, _ = write(tmp_path, source.format(marker=str(marker)))
    for allow in (["victim.Thing"], [module.Thing]):
        refused(lambda allow=allow: Archive.load(path, allow=allow))
        assert not marker.exists()


def test_an_allowed_class_is_built(tmp_path, victim):
    path, _ = write(tmp_path, "from victim import Thing as _T\nx = _T(a=[1])\n")
    assert Archive.load(path, allow=["victim.Thing"])["x"].a == [1]
    assert "victim.Thing" in refused(lambda: Archive.load(path))


@pytest.mark.parametrize(
    "allow",
    [
        "victim.Thing",
        "victim",
        "*",
        "",
        ".",
        "victim.*",
        "victim.",
        ".Thing",
        "../victim",
        5,
        None,
        "victim.Thing.Nested.x",
    ],
)
def test_what_is_allowed_is_named_in_full(tmp_path, victim, allow):
    """A text instead of a list is a list of letters; a module is no class; there are no patterns."""
    path, _ = write(tmp_path, "from victim import Other as _O\nx = _O()\n")
    with pytest.raises((ArchiveError, OSError, TypeError)):
        Archive.load(path, allow=[allow])


def test_modules_beside_an_archive_are_not_imported(tmp_path, marker):
    """`_payload` laid modules with the names of known ones beside it: the known ones are used."""
    from decimal import Decimal
    from fractions import Fraction

    archive = Archive()
    archive.insert(x=Decimal("1.5"), y=Fraction(1, 3))
    path = archive.save(tmp_path, name="good", package=False)
    assert Archive.load(path) == {"x": Decimal("1.5"), "y": Fraction(1, 3)}
