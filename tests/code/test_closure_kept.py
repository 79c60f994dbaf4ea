"""Closures with a cache: the same ones, whatever lies in the folder; and nothing is parsed that is known."""

from __future__ import annotations

import ast
import hashlib
import importlib
import inspect
import os
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.code import closure
from reprokit.code.reach import compiled, derive, expressions, facts, kept, modules, references, syntax
from reprokit.code.reach.labels import of_texts
from reprokit.model import digest
from tests.code.test_closure import (
    AT_RUN_TIME,
    EDITS,
    KNOWN,
    PROJECT,
    UNKNOWN,
    WIDE,
    WIDE_DIGEST,
    app,
    place,  # noqa: F401
)
from tests.conftest import SOURCE


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder that is kept between all versions of all projects."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def cold(monkeypatch):
    """Forget what this process knows of sources; on request, forbid that any is parsed."""

    def forget(*, parse=True):
        modules._texts.clear()
        if parse:
            monkeypatch.undo()
        else:
            monkeypatch.setattr(derive, "facts_of", no_parsing)

    return forget


def no_parsing(source, filename, ours):
    raise AssertionError(f"{filename} is parsed")


@pytest.mark.parametrize(("files", "edit", "said"), [case[1:] for case in EDITS], ids=[case[0] for case in EDITS])
def test_an_edit_changes_the_digest_exactly_when_it_matters(place, shared, cold, files, edit, said):  # noqa: F811
    name, old, new = edit
    before = place.write(files)
    after = place.write({**files, name: (before / name).read_text().replace(old, new, 1)})
    first, second = place.at(before, cache=shared), place.at(after, cache=shared)
    explained = closure.explain(first, second)
    assert (first == second) is (said is None), explained
    assert (said or "") in "\n".join(explained)
    cold(parse=False)
    assert place.at(before, cache=shared) == first
    assert place.at(after, cache=shared) == second
    cold()
    assert place.at(after) == second


@pytest.mark.parametrize(("files", "after", "said"), [c[1:] for c in AT_RUN_TIME], ids=[c[0] for c in AT_RUN_TIME])
def test_what_is_bound_at_run_time_counts(place, shared, cold, files, after, said):  # noqa: F811
    root = place.write(files)
    first = place.at(root, cache=shared)
    cold(parse=False)
    second = place.at(root, after=after, cache=shared)
    assert first.digest != second.digest
    assert said in "\n".join(closure.explain(first, second))


@pytest.mark.parametrize("files", [case[1] for case in UNKNOWN + KNOWN], ids=[case[0] for case in UNKNOWN + KNOWN])
def test_what_is_unknown_is_the_same(place, shared, cold, files):  # noqa: F811
    root = place.write(files)
    first = place.at(root)
    cold()
    assert place.at(root, cache=shared) == first
    cold(parse=False)
    assert place.at(root, cache=shared) == first


# --- what lies in the folder

SCRIPT = """
import sys
from pathlib import Path
import msgspec
from reprokit.code import closure
sys.path.insert(0, sys.argv[1])
import app
print(msgspec.json.encode(closure.of(app.main, root=Path(sys.argv[1]), cache=Path(sys.argv[2]))).decode())
print("reprokit.code.reach.derive" in sys.modules, file=sys.stderr)
"""


def started(root, cache, *flags, **environment):
    return subprocess.Popen(
        [sys.executable, *flags, "-c", SCRIPT, str(root), str(cache)], text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(SOURCE), **environment},
    )  # fmt: skip


def ended(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return msgspec.json.decode(out, type=closure.ClosureInfo), err.strip() == "True"


def test_another_process_parses_nothing_and_comes_to_the_same(place, tmp_path):  # noqa: F811
    text = "def lowest(x):\n    return x in {'a', 'b', 'c', 'd', 'e', 'f'}\n"  # a set whose order is another in each
    root = place.write({**PROJECT, "pkg/deep.py": text})
    cache = tmp_path / "kept"
    first = place.at(root)
    assert "bytecode" not in first.kinds.values()
    assert ended(started(root, cache)) == (first, True)
    assert ended(started(root, cache, PYTHONHASHSEED="7")) == (first, False)
    wide = place.write(WIDE)
    assert ended(started(wide, cache))[0].digest == ended(started(wide, cache))[0].digest == WIDE_DIGEST


def test_processes_may_write_at_the_same_time(place, tmp_path):  # noqa: F811
    root = place.write(PROJECT)
    cache = tmp_path / "kept"
    expected = place.at(root)
    running = [started(root, cache, PYTHONHASHSEED=str(number)) for number in range(8)]
    assert [ended(one)[0] for one in running] == [expected] * 8
    assert all(kept._OURS.fullmatch(one.name) and not one.name.startswith(".") for one in cache.iterdir())
    assert ended(started(root, cache)) == (expected, False)


@pytest.mark.parametrize("flags", [("-O",), ("-OO",), ("-X", "no_debug_ranges"), ("-X", "int_max_str_digits=700")])
def test_processes_that_compile_otherwise_keep_facts_of_their_own(place, tmp_path, flags):  # noqa: F811
    root = place.write(
        {**PROJECT, "app.py": PROJECT["app.py"].replace("def main(x):", "def main(x):\n            assert x")}
    )
    cache = tmp_path / "kept"
    expected = ended(started(root, cache))[0]
    names = {one.name for one in cache.iterdir()}
    assert ended(started(root, cache, *flags)) == (expected, True)
    assert len({one.name for one in cache.iterdir()}) == 2 * len(names)
    assert ended(started(root, cache)) == (expected, False)


@pytest.fixture
def entry(tmp_path):
    source = b"import math\nN = 1\ndef f(x=N):\n    return math.floor(x)\n"
    folder = tmp_path / "entries"
    found = derive.facts_of(source, "x.py", lambda chain, bound: False)
    kept.write(folder, source, found)
    (path,) = folder.iterdir()
    assert kept.read(folder, source) == found
    return folder, path, source, found


def test_an_entry_that_was_cut_or_has_another_bit_is_none(entry):
    folder, path, source, found = entry
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert kept.read(folder, source) is None
    for spot in range(len(whole)):
        path.write_bytes(whole[:spot] + bytes([whole[spot] ^ 1 << spot % 8]) + whole[spot + 1 :])
        assert kept.read(folder, source) is None
    for more in (whole + b"\0", whole * 2, b"\0" + whole):
        path.write_bytes(more)
        assert kept.read(folder, source) is None
    path.write_bytes(whole)
    assert kept.read(folder, source) == found


class Boom:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a cache must not run anything')",))


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc0", msgspec.msgpack.encode([]), msgspec.msgpack.encode([1] * 9), pickle.dumps(Boom()), b"\x91" * 100_000,
     b"\xdd\xff\xff\xff\xff", msgspec.msgpack.encode({"asked": []}), msgspec.json.encode(facts.EMPTY)],
)  # fmt: skip
def test_foreign_data_is_none_even_with_the_right_checksum(entry, data):
    folder, path, source, _ = entry
    path.write_bytes(kept._HEAD + kept._checksum(path.name, data) + data)
    assert kept.read(folder, source) is None


def test_forged_facts_run_nothing_and_raise_nothing(place, cold, tmp_path):  # noqa: F811
    """... though who may write into the folder may lie."""
    cache = tmp_path / "kept"
    root = place.write(PROJECT)
    place.at(root, cache=cache)
    for path in cache.iterdir():
        found = kept._decoder.decode(path.read_bytes()[len(kept._HEAD) + 32 :])
        data = msgspec.msgpack.encode(msgspec.structs.replace(found, readings=()))
        path.write_bytes(kept._HEAD + kept._checksum(path.name, data) + data)
    cold(parse=False)
    assert place.at(root, cache=cache).parts


def test_an_entry_of_another_source_is_none(entry):
    folder, path, source, found = entry
    other = source.replace(b"N = 1", b"N = 2")
    path.rename(folder / kept.name_of(other))
    assert kept.read(folder, other) is None
    assert kept.read(folder, source) is None
    kept.write(folder, other, found)
    assert kept.read(folder, other) == found


def test_an_entry_of_another_format_is_none(entry, monkeypatch):
    folder, _, source, found = entry
    monkeypatch.setattr(kept, "_BUILD", kept._BUILD + b"2")
    assert kept.read(folder, source) is None
    kept.write(folder, source, found)
    assert len(list(folder.iterdir())) == 2


def test_text_and_bytes_are_not_taken_for_each_other(entry):
    folder, _, source, _ = entry
    assert kept.read(folder, source.decode()) is None


@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "missing"])
def test_what_is_no_plain_file_is_none(entry, kind):
    folder, path, source, found = entry
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path)
    assert kept.read(folder, source) is None
    kept.write(folder, source, found)
    assert [one for one in folder.iterdir() if one.name.startswith(".")] == []
    assert kept.read(folder, source) == (None if kind == "folder" else found)


def test_damage_is_mended_by_the_next_closure(place, cold, tmp_path):  # noqa: F811
    cache = tmp_path / "kept"
    root = place.write(PROJECT)
    first = place.at(root, cache=cache)
    whole = {one: one.read_bytes() for one in cache.iterdir()}
    for number, one in enumerate(sorted(whole)):
        one.write_bytes(whole[one][: number * 40])
    cold()
    assert place.at(root, cache=cache) == first
    assert {one: one.read_bytes() for one in cache.iterdir()} == whole


def test_a_folder_that_cannot_be_used_is_no_matter(place, cold, tmp_path, monkeypatch):  # noqa: F811
    root = place.write(PROJECT)
    first = place.at(root)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "in", Path(os.devnull), tmp_path / "a\0b"):
        cold()
        assert place.at(root, cache=folder) == first
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    cold()
    assert place.at(root, cache=locked) == first
    locked.chmod(0o700)
    for name in ("replace", "makedirs", "urandom", "scandir"):
        cold()
        monkeypatch.setattr(kept, "_written", {})
        monkeypatch.setattr(os, name, no_room)
        assert place.at(root, cache=tmp_path / f"no {name}") == first
    cold()
    assert [one for folder in tmp_path.glob("no *") for one in folder.glob(".*")] == []


def no_room(*args, **options):
    raise OSError(28, "No space left on device")


def test_old_entries_are_removed_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(kept, "_MOST", 10)
    monkeypatch.setattr(kept, "_LEFT", 5)
    monkeypatch.setattr(kept, "_EVERY", 1)
    monkeypatch.setattr(kept, "_written", {})
    for other in (tmp_path / "notes.txt", tmp_path / ".hidden", tmp_path / ("g" * 64)):
        other.write_text("")
        os.utime(other, (0, 0))
    left = tmp_path / f".{'a' * 16}-1-{'b' * 8}"
    left.write_text("")
    os.utime(left, (0, 0))
    names = []
    for number in range(11):
        source = f"N = {number}\n".encode()
        names.append(kept.name_of(source))
        kept.write(tmp_path, source, facts.EMPTY)
        os.utime(tmp_path / names[-1], (number, number))
    assert not left.exists()
    found = {one.name for one in tmp_path.iterdir()}
    assert {"notes.txt", ".hidden", "g" * 64} <= found
    assert names[-1] in found
    assert len(found & set(names)) <= 10
    assert names[0] not in found


def test_entries_hold_no_values_and_know_no_place(place, tmp_path):  # noqa: F811
    secret = "hunter2-very-secret"
    files = app(
        f"TOKEN = '{secret}'\nX = [TOKEN, TOKEN + '{secret}']\ndef main(k='{secret}'): return k, X, b'{secret}', eval('{secret}')\n"
    )
    one, two = place.write(files), place.write(files)
    place.at(one, cache=tmp_path / "one")
    place.at(two, cache=tmp_path / "two")
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert first == second
    for data in first.values():
        assert secret.encode() not in data
        assert str(tmp_path).encode() not in data


FORM = "dbb4040a1c0ae1e3"  # raise kept.FORMAT whenever this has to be changed for another reason than that code was only moved


def test_the_format_is_raised_when_facts_are_derived_otherwise():
    """What is kept is true for one way of deriving; comments and docstrings don't count."""
    forms = [kept.FORMAT]
    for name in "scopes syntax references expressions compiled facts values derive environment".split():
        module = importlib.import_module(f"reprokit.code.reach.{name}")
        forms.append(references.read(ast.parse(inspect.getsource(module)).body, lambda chain: False).form)
    assert hashlib.sha256(ascii(forms).encode()).hexdigest()[:16] == FORM


# --- sources that changed under a running process

OLD, NEW = "def h(): return 1\n", "def h(): return 2222\n"


def test_source_edited_after_the_import_is_not_taken_for_what_runs(place, cold, tmp_path):  # noqa: F811
    """... with both versions known."""
    cache = tmp_path / "kept"
    text = "import lib\ndef main(): return lib.h()\n"
    old, new = (place.at(place.write(app(text, lib=lib)), cache=cache) for lib in (OLD, NEW))
    assert old.digest != new.digest
    for parse in (True, False):
        cold(parse=parse)
        root = place.write(app(text, lib=OLD))
        stale = place.at(
            root, after=f"import pathlib; pathlib.Path({str(root / 'lib.py')!r}).write_text({NEW!r})", cache=cache
        )
        assert stale.kinds["lib:h"] == "bytecode"
        assert stale.digest not in {old.digest, new.digest}


def test_compiled_files_that_lie_are_not_believed(place):  # noqa: F811
    """A source edited within the second, to the same size: Python runs the old one, and so says the closure."""
    root = place.write(app("def main(): return 1\n"))
    path = root / "app.py"
    os.utime(path, (1e9, 1e9))
    code = "import sys; sys.path.insert(0, sys.argv[1]); import app; print(app.main())"
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    subprocess.run([sys.executable, "-c", code, root], check=True, env=environment, capture_output=True)
    first = place.at(root)
    path.write_text("def main(): return 2\n")
    os.utime(path, (1e9, 1e9))
    done = subprocess.run(
        [sys.executable, "-c", code, root], check=True, env=environment, capture_output=True, text=True
    )
    assert done.stdout == "1\n"
    stale = place.at(root)
    assert stale.kinds == {"app:main": "bytecode"}
    assert stale.digest != first.digest


DECORATED = app(
    "from deco import monitor\nimport deco\n@monitor\ndef h(): return 1\n@deco.monitor\ndef main(): return h()\n",
    deco="from reprokit import monitor\n",
)


def test_whose_a_decorator_is_is_asked_again(place, cold, tmp_path):  # noqa: F811
    """The same file, whose decorator is this library's or not, as another file says."""
    cache = tmp_path / "kept"
    mine = {**DECORATED, "deco.py": "def monitor(f): return f\n"}
    for files in (DECORATED, mine, DECORATED, mine):
        root = place.write(files)
        cold()
        expected = place.at(root)
        assert ("deco:monitor" in expected.parts) is (files is mine)
        for _ in range(2):
            cold()
            assert place.at(root, cache=cache) == expected


def test_a_cache_may_be_given_later(place, cold, tmp_path):  # noqa: F811
    root = place.write(PROJECT)
    first = place.at(root)
    assert place.at(root, "app:unrelated", cache=tmp_path / "one").parts.keys() == {"app:unrelated"}
    assert place.at(root, cache=tmp_path / "one") == first
    cold(parse=False)
    assert place.at(root, cache=tmp_path / "one") == first


def test_threads_may_share_a_cache(place, cold, tmp_path):  # noqa: F811
    root = place.write(PROJECT)
    first = place.at(root)
    cold()
    space = {}
    sys.modules["closure_hold"] = type(sys)("closure_hold")
    sys.modules["closure_hold"].hold = space.update

    def one(number):
        closure._known.clear()
        return closure.of(space["main"], root=root, cache=tmp_path / f"kept{number % 3}")

    sys.modules["closure_hold"].run = lambda: space.update(found=list(ThreadPoolExecutor(8).map(one, range(48))))
    try:
        place.at(root, after="import closure_hold\nclosure_hold.hold(main=app.main)\nclosure_hold.run()")
    finally:
        del sys.modules["closure_hold"]
    assert all(found == first for found in space["found"])


# --- facts

LIBRARY = ["argparse", "ast", "dataclasses", "functools", "typing", "inspect", "enum", "tarfile"]


@pytest.mark.parametrize("name", LIBRARY)
def test_facts_of_a_file_survive_being_kept(name, tmp_path):
    source = Path(importlib.util.find_spec(name).origin).read_bytes()
    found = derive.facts_of(source, name, lambda chain, bound: chain[0] == "property")
    kept.write(tmp_path, source, found)
    assert kept.read(tmp_path, source) == found
    assert found.codes
    assert found.names


@pytest.mark.parametrize("name", LIBRARY)
def test_definitions_that_cannot_differ_in_a_class_do_not(name):
    source = Path(importlib.util.find_spec(name).origin).read_bytes()
    seen = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (*syntax.DEFINITIONS, ast.Lambda)):
            alone = references.read([node], lambda chain: False)
            if not derive.may_differ(node, alone, b"global" in source):
                seen += 1
                assert references.read([node], lambda chain: False, True) == alone
    assert seen


@pytest.mark.parametrize(
    "text",
    ["def f(x=lambda: h(), y=g): return q", "def f(x=[k for h in i], y=g): return q", "@d(lambda: h())\ndef f(y=g): return q",
     "def f(x: list[[k for h in i]], y=g): return q", "def f():\n global Z\n def inner():\n  global Y\n  return Y, q\n return Z",
     "def f(x):\n return q, getattr(x, y), vars(x)", "f = lambda x=lambda: h(), y=g: q",
     "def f(x, y=g):\n def inner(): return getattr(x, y)\n return q"],
)  # fmt: skip
def test_definitions_are_also_read_as_parts_of_a_class(text):
    found = derive.facts_of(text, "x.py", lambda chain, bound: False)
    node = next(n for n in ast.walk(ast.parse(text)) if isinstance(n, (ast.FunctionDef, ast.Lambda)))
    definition = next(code for name, code in found.codes.items() if name in {"f", "<lambda>"}).definition
    assert found.readings[definition.reading] == references.read([node], lambda chain: False)
    assert found.readings[definition.in_class] == references.read([node], lambda chain: False, True)
    assert definition.reading != definition.in_class


@pytest.mark.parametrize(
    "head", [b"", b"\xef\xbb\xbf", b"# coding: latin-1\n", b"\n# -*- coding: iso-8859-15 -*-\n", b"# coding: utf-8\r\n"]
)
def test_expressions_are_found_again_in_any_encoding(head):
    latin = b"coding: latin" in head or b"iso-8859" in head
    text = "A = 'é'; B = A + 'ü', [1,\n# coding: latin-1\n A], -3\r\nC = 'ä', B\n"
    source = head + text.encode("latin-1" if latin else "utf-8")
    found = derive.facts_of(source, "x.py", lambda chain, bound: False)
    for name, expected in (("B", "(A + 'ü', [1, A], -3)"), ("C", "('ä', B)")):
        expression = found.names[name].first.expression
        assert ast.unparse(expressions.of_place(expression, expressions.as_utf8(source))) == expected
        assert not expression.digest
    assert found.names["A"].first.expression.digest == expressions.digest_of("é")


def test_a_source_that_is_none_of_this_python_has_no_facts(tmp_path):
    for source in (b"def f(:\n", b"\xff", "def f(:", b"x = " + b"(" * 5000):
        assert derive.facts_of(source, "x.py", lambda chain, bound: False) is facts.EMPTY
    assert kept.read(tmp_path, b"") is None


def code_of(text):
    return compile(textwrap.dedent(text), "x.py", "exec").co_consts[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "True"), ("1", "1.0"), ("0.0", "-0.0"), ("'a'", "b'a'"), ("(1, 2)", "(1, 2.0)"), ("x in {1, 2}", "x in {1, 3}"),
     ("x in {1, 2}", "x in (1, 2)"), ("lambda: 1", "lambda: 2"), ("x + 1", "x - 1"), ("x.a", "x.b"), ("...", "None"),
     ("1e999", "-1e999"), ("x[1:2]", "x[1:3]"), ("'\\ud800'", "'\\ud801'"), ("10**100", "10**100 + 1")],
)  # fmt: skip
def test_code_that_does_something_else_has_another_digest(one, other):
    first, second = (code_of(f"def f(x): return {text}") for text in (one, other))
    assert compiled.digest_of(first) != compiled.digest_of(second)
    assert compiled.digest_of(first) == compiled.digest_of(code_of(f"\n\n\ndef f(x):\n\n  return ({one})"))


def test_constants_that_only_code_made_by_hand_holds_match_nothing():
    code = code_of("def f(x): return 1").replace(co_consts=(None, object()))
    assert compiled.digest_of(code) == ""


@given(st.text(), st.lists(st.text(st.characters(), max_size=300), max_size=8))
def test_texts_are_digested_as_parts(kind, texts):
    kind = kind.encode("utf-8", "ignore").decode()
    expected = digest.of_parts(kind, *(text.encode("utf-8", "surrogatepass") for text in texts))
    assert of_texts(kind, texts) == expected


@given(
    st.integers() | st.booleans() | st.floats() | st.text() | st.none(),
    st.integers() | st.booleans() | st.floats() | st.text(),
)
def test_values_that_differ_have_other_digests(one, other):
    same = type(one) is type(other) and ascii(one) == ascii(other)
    assert (expressions.digest_of(one) == expressions.digest_of(other)) is same


LAMBDAS = "def h(): return 1\ndef g(): return 2\nouter = lambda: lambda: h()\na, b = lambda: h(), lambda: g()\nmain = outer()\n"


def test_a_lambda_in_a_lambda_is_told_from_it(place):  # noqa: F811
    found = place.closure(app(LAMBDAS))
    assert found == place.closure(app(LAMBDAS.replace("outer = lambda:", "outer = lambda x=1:")))
    assert found != place.closure(app(LAMBDAS.replace("lambda: lambda: h()", "lambda: lambda: -h()")))


def test_lambdas_of_a_line_are_told_apart_without_columns(place, tmp_path):  # noqa: F811
    root = place.write(app(LAMBDAS.replace("main = outer()", "main = b")))
    found, _ = ended(started(root, tmp_path / "kept", "-X", "no_debug_ranges"))
    assert found.kinds == {"app:<lambda>": "bytecode"}
    assert "app:g" in found.parts
    assert "app:h" not in found.parts
