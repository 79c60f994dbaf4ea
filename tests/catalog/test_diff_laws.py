"""Laws of the pieces that a comparison is made of: nested differences, lines, parts of source."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reprokit.catalog.diff import lines, values
from reprokit.catalog.diff.call import tells_all
from reprokit.catalog.diff.parts import Finder
from reprokit.catalog.diff.trees import File

plain = st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.text("ab.", max_size=3)
nested = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab.0", max_size=2), inner, max_size=4),
    max_leaves=20,
)
MIRRORED = {"added": "removed", "removed": "added", "changed": "changed"}


@given(nested, nested)
def test_applying_what_differs_gives_the_other_value(a, b):
    assert values.equal(values.apply(a, values.steps(a, b)), b)


@given(nested, nested)
def test_what_differs_is_mirrored_the_other_way_round_and_empty_for_the_same(a, b):
    there, back = values.steps(a, b), values.steps(b, a)
    assert [(s.path, MIRRORED[s.kind], s.b, s.a) for s in there] == [tuple(s) for s in back]
    assert values.steps(a, a) == []
    assert values.equal(a, b) == (not there)


def test_numbers_are_the_same_by_value_and_booleans_are_none():
    assert values.equal(1, 1.0)
    assert not values.equal(1, True)
    assert not values.equal(0, None)
    assert not values.equal({"a": None}, {})
    assert values.equal(float("nan"), float("nan"))


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (0.5, 0.25, "-0.25, -50.00%"),
        (0, 2, "+2"),
        (-4.0, -2.0, "+2, +50.00%"),
        (1.0, 1.0 + 1e-9, "+1e-09, +1.0e-09 of it"),
        (True, 2, ""),
        (1, float("inf"), ""),
        (10**400, 1, ""),
        ("a", 1, ""),
    ],
)
def test_how_far_numbers_are_apart(a, b, told):
    assert values.distance(a, b) == told


def test_a_deep_value_ends():
    deep_a, deep_b = {"x": 1}, {"x": 2}
    for _ in range(500):
        deep_a, deep_b = {"d": deep_a}, {"d": deep_b}
    (step,) = values.steps(deep_a, deep_b)
    assert step.kind == "changed"


texts = st.lists(st.sampled_from(["a", "b", "c", "", " d"]), max_size=25)


def patched(a, told):
    """Apply a unified diff as its format says."""
    made, at = [], 0
    for line in told:
        head = re.fullmatch(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", line)
        if head:
            start = int(head[1]) - (head[2] != "0")
            made += a[at:start]
            at = start
        elif line[0] == "+":
            made.append(line[1:])
        else:
            assert a[at] == line[1:]
            at += 1
            if line[0] == " ":
                made.append(line[1:])
    return made + a[at:]


def stands_there(a, b, told):
    """Check that each hunk's old and new lines stand in the texts where its head says."""
    for hunk in "\n".join(told).split("@@ -")[1:]:
        head, *body = hunk.split("\n")
        found = re.match(r"(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", head)
        body = [line for line in body if line]
        for text, signs, start, length in ((a, " -", found[1], found[2]), (b, " +", found[3], found[4])):
            side = [line[1:] for line in body if line[0] in signs]
            first = int(start) - (length != "0")
            assert text[first : first + len(side)] == side
            assert len(side) == int(length or 1)


@given(texts, texts, st.integers(0, 4))
def test_all_hunks_turn_one_text_into_the_other(a, b, context):
    assert patched(a, lines.hunks(a, b, lines.changes(a, b), lambda _: True, context)) == b


@given(texts, texts, st.integers(0, 4), st.data())
def test_some_hunks_make_those_changes_alone_and_the_rest_the_others(a, b, context, data):
    found = lines.changes(a, b)
    wanted = set(data.draw(st.lists(st.sampled_from(found), unique=True))) if found else set()
    for chosen in (wanted, set(found) - wanted):
        stands_there(a, b, lines.hunks(a, b, found, chosen.__contains__, context))
        made, at = [], 0
        for change in found:
            made += a[at : change.a[0]]
            made += b[slice(*change.b)] if change in chosen else a[slice(*change.a)]
            at = change.a[1]
        assert patched(a, lines.hunks(a, b, found, chosen.__contains__, context)) == made + a[at:]


def test_an_end_without_a_line_break_is_said_as_git_says_it():
    a, b = lines.split(b"x\ny\n"), lines.split(b"x\ny")
    told = "\n".join(lines.hunks(a, b, lines.changes(a, b), lambda _: True, 3))
    assert told == "@@ -1,2 +1,2 @@\n x\n-y\n+y\n\\ No newline at end of file"


def test_long_texts_that_have_nothing_in_common_take_no_long_time():
    a, b = [f"a{n}" for n in range(10_000)], [f"b{n}" for n in range(10_000)]
    assert lines.changes(a, b) == [((0, 10_000), (0, 10_000))]


SOURCE = """\
import os, sys
from json import dumps as out
if sys:
    X: int = 1
else:
    X = 2

@deco(
    1)
def f():
    def inner(): pass
    return inner

class C(Base):
    y = 3
    def m(self): pass

    class D:
        pass

try:
    import a.b
except ImportError:
    def f(): pass
(p, q), *r = 1, 2
"""


class Memory:
    algorithm = "sha1"

    def __init__(self, **files):
        self._content = {path.replace("__", "/") + ".py": text.encode() for path, text in files.items()}
        self.files = {path: File(0o100644, path, len(data)) for path, data in self._content.items()}

    def batch(self, oids):
        return b"".join(
            b"%s blob %d\n%s\n" % (oid.encode(), len(self._content[oid]), self._content[oid]) for oid in oids
        )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("f", [(7, 12), (23, 24)]),
        ("f.<locals>.inner", [(10, 11)]),
        ("f#2", [(7, 12), (23, 24)]),
        ("C", [(13, 19)]),
        ("C.m", [(15, 16)]),
        ("C.D", [(17, 19)]),
        ("C.y", [(14, 15)]),
        ("X", [(3, 4), (5, 6)]),
        ("r", [(24, 25)]),
        ("q", [(24, 25)]),
        ("out", [(1, 2)]),
        ("a", [(21, 22)]),
        ("nothing", []),
    ],
)
def test_parts_are_found_by_their_names(name, told):
    assert Finder(Memory(src__m=SOURCE), ["", "src"], None).find(f"m:{name}") == ("src/m.py", told)


def test_modules_are_found_through_paths_packages_scripts_and_a_unique_end():
    tree = Memory(a__m="x=1", lib__p____init__="x=1", tools__run="x=1")
    tree.files["pkg/__init__.py"] = File(0o100644, "pkg/__init__.py", 0)
    tree._content["pkg/__init__.py"] = b"x=1"
    finder = Finder(tree, [""], "tools/run.py")
    assert finder.find("pkg:x").path == "pkg/__init__.py"
    assert finder.find("run:x").path == "tools/run.py"
    assert finder.find("__main__:x").path == "tools/run.py"
    assert finder.find("m:x").path == "a/m.py"
    assert finder.find("a.m").path == "a/m.py"
    assert finder.find("elsewhere:x") is None
    assert finder.find("file a/m.py").path == "a/m.py"
    assert finder.find("file gone.csv") is None


@pytest.mark.parametrize("text", ["def f(:", "\0", "(" * 5000, "x = '\\d'\ndef f(): pass\n", "\xff"])
def test_source_that_cannot_be_parsed_stands_for_itself(text):
    place = Finder(Memory(m=text), [], None).find("m:f")
    assert place is not None
    assert place.path == "m.py"


@pytest.mark.parametrize(
    ("told", "whole"),
    [
        ({"$type": "tuple", "len": 2, "items": [1, {"$type": "pathlib.PosixPath", "text": "a"}]}, True),
        ({"$type": "tuple", "len": 3, "items": [1, 2]}, False),
        ({"$type": "numpy.ndarray", "dtype": "float64", "shape": [3]}, False),
        ({"$type": "bytes", "len": 3, "digest": "sha256:0"}, True),
        ({"$type": "int", "text": "123..."}, False),
        ({"$type": "datetime.date", "text": "2026-11-20"}, True),
        ({"$type": "mylab.Thing", "repr": "Thing()"}, False),
        ({"a": 1}, False),
        ("<redacted>", False),
        ([1, None, "x"], True),
    ],
)
def test_which_descriptions_say_all_of_a_value(told, whole):
    assert tells_all(told) is whole
