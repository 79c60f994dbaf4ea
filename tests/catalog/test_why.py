"""Laws of the answers to why: one change is the first that is named, and what changes nothing stays a hit."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reprokit.catalog.diff.values import equal
from reprokit.catalog.why import interpreter, words
from reprokit.model.records import Architecture, PythonInfo
from tests.catalog.why_project import FILES, WhyProject
from tests.conftest import IDENTITY, git

FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
TEXT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=8)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A project with one run."""
    root = tmp_path_factory.mktemp("why") / "repo"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**IDENTITY, "PYTHONDONTWRITEBYTECODE": "1"}.items():
            patch.setenv(name, value)
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "first")
        made = WhyProject(root)
        made.install("1.0")
        made.run()
    return made


@contextmanager
def changed(project, name, old, new):
    """Change a file for a moment."""
    before = (project.root / name).read_text()
    project.edit(name, old, new)
    try:
        yield
    finally:
        (project.root / name).write_text(before)


def edits():
    """One change of code or config: file, old, new, and the sentence that names it."""
    helper = TEXT.map(
        lambda t: ("pkg/prep.py", "row.strip()", f"row.strip() + {t!r}", "helper `clean` in pkg/prep.py changed")
    )
    constant = st.integers().filter(lambda n: n != 3)
    method = st.integers(2, 10**6)
    rate = st.floats(0, 1e6).filter(lambda n: n != 0.1)
    return st.one_of(
        helper,
        constant.map(
            lambda n: ("pkg/config.py", "WINDOW = 3", f"WINDOW = {n}", "constant `WINDOW` in pkg/config.py changed")
        ),
        method.map(
            lambda n: ("pkg/model.py", "+ self.bias", f"+ {n} * self.bias", "class `Model` in pkg/model.py changed")
        ),
        method.map(lambda n: ("steps.py", "* n\n", f"* n * {n}\n", "the function itself changed")),
        rate.map(lambda n: ("pkg/config.py", '"lr": 0.1', f'"lr": {n!r}', f"config.lr 0.1 -> {n!r}")),
        method.filter(lambda n: n != 2).map(
            lambda n: ("pkg/config.py", '"depth": 2', f'"depth": {n}', f"config.model.depth 2 -> {n}")
        ),
    )


@FEW
@given(edits())
def test_one_change_of_code_or_config_is_the_first_that_is_named_by_function_and_by_file(recorded, edit):
    file, old, new, sentence = edit
    with changed(recorded, file, old, new):
        found, static = recorded.why(), recorded.ask(recorded.made(), "--json")
    assert found["hit"] is False
    assert found["reasons"][0] == sentence
    assert static.returncode == 1, static.stderr
    told = json.loads(static.stdout)["reasons"]
    if "class" in sentence:  # the text alone tells which method
        assert "helper `Model.fit` in pkg/model.py changed" in told or told[0] == sentence
    else:
        assert told[0] == sentence


@FEW
@given(st.data())
def test_comments_and_blank_lines_anywhere_leave_it_a_hit(recorded, data):
    file = data.draw(st.sampled_from(["pkg/prep.py", "pkg/config.py", "pkg/model.py", "steps.py"]))
    lines = FILES[file].split("\n")
    at = data.draw(st.integers(0, len(lines) - 1))
    line = data.draw(TEXT.map(lambda text: f"# {text}") | st.just(""))
    before = (recorded.root / file).read_text()
    (recorded.root / file).write_text("\n".join([*lines[:at], line, *lines[at:]]))
    try:
        assert recorded.why()["hit"] is True
        done = recorded.ask(recorded.made())
        assert done.returncode == 0, done.stdout
    finally:
        (recorded.root / file).write_text(before)


@settings(FEW, max_examples=4)
@given(st.integers(-(2**52), 2**52).filter(lambda n: n != 1))
def test_another_argument_is_named(recorded, number):
    reasons = recorded.why(n=number)["reasons"]
    assert reasons == [f"argument n: 1 -> {number}"]


@settings(FEW, max_examples=4)
@given(TEXT)
def test_other_content_of_an_input_is_named(recorded, text):
    before = (recorded.root / "data.csv").read_text()
    (recorded.root / "data.csv").write_text(f"{text}\n")
    try:
        assert recorded.why()["reasons"] == ["data.csv has other content"]
        done = recorded.ask(recorded.made(), "--json")
        assert json.loads(done.stdout)["reasons"] == ["data.csv has other content"]
    finally:
        (recorded.root / "data.csv").write_text(before)


@settings(FEW, max_examples=4)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=3).filter(lambda one: one != [1, 0]))
def test_another_version_of_a_package_is_named(recorded, numbers):
    version = ".".join(map(str, numbers))
    recorded.install(version)
    try:
        assert recorded.why()["reasons"] == [f"outside 1.0 -> {version}"]
        done = recorded.ask(recorded.made(), "--json")
        assert json.loads(done.stdout)["reasons"] == [f"outside 1.0 -> {version}"]
    finally:
        recorded.install("1.0")


# --- words -------------------------------------------------------------------------------------------------------------

LEAF = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
CONFIG = st.dictionaries(TEXT, LEAF | st.lists(LEAF, max_size=3) | st.dictionaries(TEXT, LEAF, max_size=3), max_size=4)


@given(CONFIG, CONFIG)
def test_configs_that_differ_are_never_without_words_and_equal_ones_always(before, after):
    assert words.config(before, before) == []
    assert bool(words.config(before, after)) == (not equal(before, after))
    assert len(words.config(before, after)) <= 6


def test_keys_that_are_new_or_gone_are_told_so():
    assert words.config({"a": 1}, {"b": 2}) == ["config.a is gone; it was 1", "config.b is new: 2"]


def test_long_values_that_look_alike_are_only_said_to_have_changed():
    assert words.config({"a": "x" * 99 + "1"}, {"a": "x" * 99 + "2"}) == ["config.a changed"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("cpython-3.11", "cpython-3.11", []),
        ("cpython-3.11", "cpython-3.12", ["Python 3.11 -> 3.12"]),
        ("cpython-3.11", "pypy-3.11", ["Python cpython 3.11 -> pypy 3.11"]),
        (None, "cpython-3.11", ["the version of Python counts now ([reuse] python in the settings)"]),
        ("cpython-3.11", None, ["the version of Python counts no longer ([reuse] python in the settings)"]),
    ],
)
def test_pythons_in_words(before, after, said):
    assert words.python(before, after) == said


@pytest.mark.parametrize(
    ("label", "kind", "change", "path", "own", "said"),
    [
        ("pkg.prep:clean", "function", "changed", "pkg/prep.py", False, "helper `clean` in pkg/prep.py changed"),
        ("pkg.prep:clean#2", "function", "added", None, False, "helper `clean` in pkg.prep is now used"),
        ("prep:<import>", "import", "changed", "prep.py", False, "what importing prep.py runs changed"),
        ("file a/b.txt", "file", "changed", "a/b.txt", False, "file a/b.txt changed"),
        ("steps:train", "function", "changed", "steps.py", True, "the function itself changed"),
    ],
)
def test_parts_of_code_in_words(label, kind, change, path, own, said):
    assert words.part(label, kind, change, path, own=own) == said


# --- the interpreter that a project would run with -----------------------------------------------------------------------


def environment(root, version, python="3.11", system=""):
    """Make a virtual environment's folders, with a package."""
    site = root / "lib" / f"python{python}" / "site-packages"
    info = site / f"outside-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: outside\nVersion: {version}\n")
    (root / "pyvenv.cfg").write_text(
        f"home = {system or '/nowhere/bin'}\ninclude-system-site-packages = {str(bool(system)).lower()}\n"
    )
    return root


def info(prefix):
    told = {
        "executable_architecture": Architecture(bits=None, linkage=None),
        "implementation": "CPython",
        "version": "3.11.7",
    }
    empty = dict.fromkeys(("build_no", "build_date", "compiler", "branch"), "")
    return PythonInfo(**told, **empty, prefix=str(prefix))


def test_the_active_environment_then_the_projects_then_the_recorded_one_count(tmp_path, monkeypatch):
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    then = environment(tmp_path / "then", "1", "3.10")

    def found():
        one = interpreter.of_project(tmp_path, info(then))
        return one.python, one.versions(["outside", "nothing"])

    assert found() == ("cpython-3.10", {"outside": "1"})
    environment(tmp_path / ".venv", "2", "3.12")
    assert found() == ("cpython-3.12", {"outside": "2"})
    monkeypatch.setenv("VIRTUAL_ENV", str(environment(tmp_path / "active", "3", "3.13")))
    assert found() == ("cpython-3.13", {"outside": "3"})


def test_packages_of_the_system_count_where_the_environment_takes_them(tmp_path, monkeypatch):
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    environment(tmp_path / "system", "4")
    environment(tmp_path / ".venv", "5", system=str(tmp_path / "system" / "bin"))
    assert interpreter.of_project(tmp_path, None).versions(["outside"]) == {"outside": "5"}
    for path in (tmp_path / ".venv" / "lib").rglob("METADATA"):
        path.unlink()
    assert interpreter.of_project(tmp_path, None).versions(["outside"]) == {"outside": "4"}


def test_without_any_the_interpreter_that_asks_is_taken(tmp_path, monkeypatch):
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    found = interpreter.of_project(tmp_path, None)
    assert found.prefix == sys.prefix
    assert found.python == f"cpython-{sys.version_info.major}.{sys.version_info.minor}"
    assert "pytest" in found.versions(["pytest"])


def test_names_of_distributions_are_compared_in_their_normal_form(tmp_path, monkeypatch):
    monkeypatch.setenv("VIRTUAL_ENV", str(environment(tmp_path / "active", "3")))
    assert interpreter.of_project(tmp_path, None).versions(["OutSide"]) == {"OutSide": "3"}
