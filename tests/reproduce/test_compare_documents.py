"""Documents, tables of text, text, values and archives."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reprokit.archive import Archive, Container
from reprokit.reproduce.compare import Tolerance, files, values
from tests.reproduce.compared import outcomes, write

NUMBERS = st.floats(allow_nan=True) | st.integers()
TREES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


def as_text(tmp_path, suffix, a, b):
    return write(tmp_path / f"a{suffix}", a), write(tmp_path / f"b{suffix}", b)


def as_json(folder, a, b):
    return as_text(folder, ".json", json.dumps(a), json.dumps(b, indent=2, sort_keys=True))


@settings(max_examples=100, deadline=None)
@given(tree=TREES)
def test_a_document_is_identical_to_itself_written_otherwise(tmp_path_factory, tree):
    found = outcomes(*as_json(tmp_path_factory.mktemp("d"), tree, tree))
    assert (found.kind, found.outcome) == ("json", "identical")
    assert values("v", tree, json.loads(json.dumps(tree)), Tolerance()).outcome == "identical"


@settings(max_examples=200, deadline=None)
@given(a=TREES, b=TREES, rtol=st.sampled_from([0.0, 0.1]))
def test_outcomes_are_symmetric_and_identical_means_equal(a, b, rtol):
    there, back = values("v", a, b, Tolerance(rtol=rtol)), values("v", b, a, Tolerance(rtol=rtol))
    assert there.outcome == back.outcome
    assert (there.outcome == "identical") == same(a, b)
    assert there.outcome != "differs" or there.said


def same(a, b):
    """Equal as JSON is, true being no 1 and NaN the same as NaN: said once more, in another way than the code does."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, bool) != isinstance(b, bool):
        return False
    if isinstance(a, float) and isinstance(b, float) and math.isnan(a):
        return math.isnan(b)
    numbers = type(a) in (int, float) and type(b) in (int, float)
    return (numbers or type(a) is type(b)) and a == b


@settings(max_examples=100, deadline=None)
@given(
    number=st.floats(1e-100, 1e100) | st.integers(10**9, 10**40),
    path=st.lists(st.sampled_from(["x", "y", 0]), max_size=4),
    factor=st.sampled_from([0.5, 2.0]),
)
def test_a_number_within_the_tolerance_is_near_and_one_beyond_differs(number, path, factor):
    other = number + type(number)(number * 1e-6 * factor)
    a, b = number, other
    for step in reversed(path):
        a, b = ([a], [b]) if step == 0 else ({step: a, "z": 1}, {step: b, "z": 1})
    found = values("v", a, b, Tolerance(rtol=1e-6))
    assert found.outcome == ("within tolerance" if factor < 1 else "differs")
    if path:
        assert found.details["place"] == ".".join(map(str, path))


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "outcome", "said"),
    [
        ({"slope": 1.8201}, {"slope": 1.8201 * (1 + 3e-16)}, Tolerance(rtol=1e-12), "within tolerance", "slope 1.8201 -> 1.8201 (rel 2e-16)"),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, Tolerance(), "differs", "a.b.1 2 -> 3 (rel 0.3)"),
        ({"a": 1, "b": 2}, {"a": 9, "c": 2}, Tolerance(), "differs", "b only before; 3 places differ"),
        ({"a": 1}, {"a": 1.0}, Tolerance(), "identical", ""),
        ({"a": 1}, {"a": True}, Tolerance(), "differs", "a 1 -> true"),
        ({"a": "1"}, {"a": 1}, Tolerance(rtol=9), "differs", 'a "1" -> 1'),
        ([1, 2], [1], Tolerance(), "differs", "the list 2 -> 1 items"),
        (math.nan, 1.0, Tolerance(rtol=1), "differs", "nan -> 1"),
        (math.inf, 1e308, Tolerance(rtol=1), "differs", "inf -> 1e+308"),
        (2**53, 2**53 + 1, Tolerance(), "differs", "9007199254740992 -> 9007199254740993 (rel 1e-16)"),
        (10**400, 10**400 + 1, Tolerance(rtol=1e-9), "within tolerance", "an integer of 1329 bits -> an integer of 1329 bits (rel 0)"),
        ({"t": {"a": 1, "b": [2]}, "x": 1}, {"t": {"a": 9, "b": [8]}, "x": 1}, Tolerance(ignore=("t",)), "within tolerance", "not compared: t.a, t.b.0"),
        ({"t": 1, "x": 1}, {"x": 2}, Tolerance(ignore=("t",)), "differs", "x 1 -> 2 (rel 0.5); not compared: t"),
        ("a\nb", "a\nc", Tolerance(), "differs", r'"a\nb" -> "a\nc"'),
    ],
)  # fmt: skip
def test_what_is_said_of_values(a, b, tolerance, outcome, said):
    found = values("v", a, b, tolerance)
    assert (found.outcome, found.said, found.kind) == (outcome, said, "value")


@pytest.mark.parametrize(
    ("suffix", "a", "b", "kind", "said"),
    [
        (".yaml", "a: [1, 2]\n", "a:\n- 1\n- 3\n", "yaml", "a.1 2 -> 3 (rel 0.3)"),
        (".toml", "a = 2026-01-01\n", "a = 2026-01-02\n", "toml", "a 2026-01-01 -> 2026-01-02"),
        (".txt", '{"a": 1}', '{"a": 2}', "json", "a 1 -> 2 (rel 0.5)"),
        (".jsonl", '{"a": 1}\n{"a": 2}\n', '{"a":1}\n{"a":3}\n', "json", "line 2.a 2 -> 3 (rel 0.3)"),
        (".jsonl", "1\n", "1\n2\n", "json", "lines 0 -> 1 items"),
    ],
)
def test_documents_are_compared_by_what_they_say(tmp_path, suffix, a, b, kind, said):
    found = files("o", *as_text(tmp_path, suffix, a, b), Tolerance())
    assert (found.kind, found.said) == (kind, said)


@pytest.mark.parametrize(
    ("suffix", "a", "why"),
    [
        (".yaml", "a: !!python/object/apply:os.system ['touch ran']\n", "could not determine a constructor"),
        (".yaml", "a: &a [&a]\nb: {\n", "cannot be read as yaml"),
        (".json", "{" * 100_000, "cannot be read as json"),
        (".json", "[" * 100_000 + "]" * 100_000, "nested too deeply"),
        (".json", '{"a": 1, "a": 2}', "a key is there twice"),
        (".toml", "a = \n", "cannot be read as toml"),
        (".csv", 'a,"b\n' * 9 + "\0", ""),
    ],
)
def test_what_is_no_document_is_compared_as_text(tmp_path, monkeypatch, suffix, a, why):
    monkeypatch.chdir(tmp_path)
    found = outcomes(*as_text(tmp_path, suffix, a, f"# other\n{a}" if suffix != ".json" else f"{a} "))
    assert found.outcome == "differs"
    assert why in found.said
    assert not (tmp_path / "ran").exists()


def test_aliases_of_aliases_and_cycles_take_no_time(tmp_path):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    cycle = "c: &c [*c, {m: *c}]\n"
    found = outcomes(*as_text(tmp_path, ".yaml", bomb + cycle, "# the same\n" + bomb + cycle))
    assert (found.kind, found.outcome) == ("yaml", "identical")
    merging = "a0: &a0 {x: 1, y: 2}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
    )
    assert "merge keys" in outcomes(*as_text(tmp_path, ".yaml", merging, f"# same\n{merging}")).said


TABLE = "id;name;x\n1;a;0.5\n2;b;nan\n3;c;-1e-3\n"


@pytest.mark.parametrize(
    ("b", "tolerance", "outcome", "said"),
    [
        (TABLE.replace("\n", "\r\n").replace("a", '"a"', 2), Tolerance(), "differs", "column 'n\"a\"me'"),
        (TABLE.replace(";a;", ';"a";').replace("0.5", "0.50"), Tolerance(), "identical", "same cells, other bytes"),
        (TABLE.replace("0.5", "0.500001"), Tolerance(), "differs", "x, row 1: 0.5 -> 0.500001 (rel 2e-06)"),
        (
            TABLE.replace("0.5", "0.500001"),
            Tolerance(rtol=1e-5),
            "within tolerance",
            "x, row 1: 0.5 -> 0.500001 (rel 2e-06)",
        ),
        (TABLE.replace("nan", "1"), Tolerance(rtol=1), "differs", "x, row 2: nan -> 1"),
        (TABLE.replace("b", "B"), Tolerance(rtol=1), "differs", 'name, row 2: "b" -> "B"'),
        (TABLE.replace("-1e-3", ""), Tolerance(rtol=1), "differs", 'x, row 3: "-1e-3" -> ""'),
        (TABLE + "4;d;1\n", Tolerance(), "differs", "3 -> 4 rows"),
        (TABLE.replace("x", "y", 1), Tolerance(), "differs", "column 'x' is missing, column 'y' is new"),
        (TABLE.replace(";", ","), Tolerance(), "differs", "delimiter ';' -> ','"),
        (TABLE.replace("0.5", "9"), Tolerance(ignore=("x",)), "within tolerance", "not compared: x"),
        (TABLE.replace("2;b;nan", "2;b"), Tolerance(), "differs", "row 2: 3 cells -> 2 cells"),
    ],
)
def test_tables_are_compared_by_cells(tmp_path, b, tolerance, outcome, said):
    if "column 'n" in said:
        b = TABLE.replace("\n", "\r\n").replace(";a;", ';"a";')
        outcome, said = "identical", "same cells, other bytes"
    there, back = as_text(tmp_path, ".csv", TABLE, b)
    found = files("o", there, back, tolerance)
    assert (found.kind, found.outcome, found.said) == ("csv", outcome, said)
    assert files("o", back, there, tolerance).outcome == outcome


def test_a_column_with_one_text_is_compared_exactly(tmp_path):
    """Versions and codes look like numbers until one of them doesn't, far from where they differ."""
    a = "code\n" + "1.0\n" * 500 + "n/a\n"
    b = a.replace("1.0", "1.00", 1)
    found = outcomes(*as_text(tmp_path, ".csv", a, b), Tolerance(rtol=1))
    assert (found.outcome, found.said) == ("differs", 'code, row 1: "1.0" -> "1.00"')
    assert outcomes(*as_text(tmp_path, ".csv", a.replace("n/a", "2"), b.replace("n/a", "2"))).outcome == "identical"
    assert outcomes(*as_text(tmp_path, ".csv", "code\n007\n", "code\n7\n")).outcome == "differs"


@pytest.mark.parametrize(
    ("a", "b", "tolerance", "outcome", "said"),
    [
        ("a\nb\nc\n", "a\nX\nc\n", Tolerance(), "differs", 'line 2: "b" -> "X"'),
        ("a\nb\nc\n", "A\nX\nc\n", Tolerance(), "differs", 'line 1: "a" -> "A"; 2 of 3 lines differ'),
        ("a\n", "a\nb\nc\n", Tolerance(), "differs", 'line 2: only now: "b"; 1 line -> 3 lines'),
        ("a\n", "a", Tolerance(), "differs", "line 1: only its end differs, LF -> none"),
        ("a\n", "a\r\n", Tolerance(), "differs", "line 1: only its end differs, LF -> CRLF"),
        ("loss 0.5 at 3\n", "loss 0.5000001 at 3\n", Tolerance(rtol=1e-6), "within tolerance", "numbers in 1 line, most in line 1 (rel 2e-07)"),
        ("loss 0.5 at 3\n", "loss 0.6 at 3\n", Tolerance(rtol=1e-6), "differs", 'line 1: "loss 0.5 at 3" -> "loss 0.6 at 3"'),
        ("took 3 s\nx\n", "took 4 s\nx\n", Tolerance(ignore=("took *",)), "within tolerance", "1 line not compared"),
        ("v1.2\n", "v1.3\n", Tolerance(rtol=1), "differs", 'line 1: "v1.2" -> "v1.3"'),
    ],
)  # fmt: skip
def test_what_is_said_of_text(tmp_path, a, b, tolerance, outcome, said):
    found = files("o", *as_text(tmp_path, ".log", a, b), tolerance)
    assert (found.kind, found.outcome, found.said) == ("text", outcome, said)


def saved(folder, **items):
    archive = Archive()
    archive.insert(**items)
    return archive.save(folder, "results")


def test_archives_are_compared_by_the_objects_in_them(tmp_path):
    big = np.arange(5000.0)
    base = {"config": {"lr": 0.1, "shape": (3, 4)}, "fit": Container(slope=1.5, data=big), "names": {"a", "b"}}
    a = saved(tmp_path / "a", **base)
    b = saved(tmp_path / "b", **base)
    assert outcomes(a, b).said == ""
    (b / "__init__.py").write_text((b / "__init__.py").read_text() + "\n")
    found = outcomes(a, b)
    assert (found.kind, found.outcome, found.said) == ("archive", "identical", "same objects, other bytes")
    moved = big.copy()
    moved[7] += 1e-9
    other = saved(tmp_path / "c", **{**base, "fit": Container(slope=1.5, data=moved)})
    assert outcomes(a, other, Tolerance(rtol=1e-6)).outcome == "within tolerance"
    assert outcomes(a, other).said == "fit.data 1 of 5,000 values differs, by up to 1e-09 (rel 1e-10) at [7]"
    other = saved(tmp_path / "d", **{**base, "config": {"lr": 0.2, "shape": (3, 4)}})
    assert outcomes(a, other).said == "config.lr 0.1 -> 0.2 (rel 0.5)"


def test_numbers_that_only_floating_point_takes_for_equal_differ(tmp_path):
    """Identifiers of 64 bits are numbers, too."""
    a, b = as_text(tmp_path, ".csv", "id\n9007199254740992\n", "id\n9007199254740993\n")
    assert outcomes(a, b).said == "id, row 1: 9007199254740992 -> 9007199254740993 (rel 1e-16)"
    assert outcomes(a, b, Tolerance(rtol=1e-15)).outcome == "within tolerance"
    assert outcomes(*as_text(tmp_path, ".csv", "x\n1e3\n", "x\n1000.0\n")).outcome == "identical"


def test_objects_of_archives_are_compared_by_type(tmp_path):
    import pandas as pd

    table = pd.DataFrame({"x": [1.0, np.nan], "n": pd.array([1, None], "Int64"), 1: ["u", "v"], "1": [1, 2]})
    base = {"t": (1, 2), "table": table, "index": pd.Index(["a", "b"], name="i")}
    a = saved(tmp_path / "a", **base)
    b = saved(tmp_path / "b", **base)
    (b / "__init__.py").write_text((b / "__init__.py").read_text() + "\n")
    assert outcomes(a, b).outcome == "identical"
    changed = table.copy()
    changed.iloc[1, 3] = 3
    assert "table.data.3.values" in outcomes(a, saved(tmp_path / "d", **{**base, "table": changed})).said
    assert outcomes(a, saved(tmp_path / "e", **{**base, "t": [1, 2]})).outcome == "differs"


def test_an_archive_that_is_its_own_member_ends(tmp_path):
    paths = []
    for name, last in (("a", 1), ("b", 2)):
        one = Container(x=1)
        one.self = one
        one.list = [one, last]
        archive = Archive()
        archive.insert(one=one)
        paths.append(archive.save(tmp_path / name, "results"))
    assert outcomes(*paths).said == "one.list.1 1 -> 2 (rel 0.5)"


def test_an_archive_of_classes_of_ones_own_is_compared_file_by_file(tmp_path, monkeypatch):
    write(
        tmp_path / "ownfit.py",
        "from reprokit.archive import Archivable\nclass Fit(Archivable):\n    def __init__(self, data): self.data = data\n",
    )
    monkeypatch.syspath_prepend(tmp_path)
    import importlib

    fit = importlib.import_module("ownfit").Fit
    data = np.arange(5000.0)
    a, b = saved(tmp_path / "a", fit=fit(data)), saved(tmp_path / "b", fit=fit(data * (1 + 1e-9)))
    assert "cannot be read as archive" in outcomes(a, b, Tolerance(rtol=1e-6)).said


def test_an_archive_that_would_have_to_be_run_is_compared_as_files(tmp_path):
    a, b = saved(tmp_path / "a", x=1), saved(tmp_path / "b", x=1)
    (b / "__init__.py").write_text(
        (b / "__init__.py").read_text() + f"import os\nos.mkdir({str(tmp_path / 'ran')!r})\n"
    )
    found = outcomes(a, b)
    assert found.outcome == "differs"
    assert "cannot be read as archive" in found.said
    assert not (tmp_path / "ran").exists()
