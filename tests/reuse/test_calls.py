"""What counts for a call: arguments, instances, files that it reads, and what it does to them."""

from __future__ import annotations

import json
import re

import pytest

import reprokit as rk
from tests.reuse.conftest import write


def recorded(project, index=-1):
    return {"key": None, "mutated": [], "refused": None, **project.post(index)["reuse"]}


# --- files -----------------------------------------------------------------------------------------------------------------

READS = """
    import os
    from pathlib import Path
    import reprokit as rk

    @rk.cache
    def hidden():
        print("RUN")
        return Path(__file__).with_name("hidden.csv").read_text()

    @rk.cache
    def named(path):
        print("RUN")
        return os.path.getsize(path)

    @rk.cache
    def declared():
        print("RUN")
        rk.current().use("hidden.csv")
        return 1

    @rk.cache
    def folder(path):
        print("RUN")
        return sorted(one.read_text() for one in Path(path).glob("*.csv"))

    @rk.cache
    def default(path="local.txt"):
        print("RUN")
        try:
            return open("local.txt").read()
        except FileNotFoundError:
            return "none"

    @rk.monitor(files="auto")
    def inner():
        return open("hidden.csv").read()

    @rk.cache
    def outer():
        print("RUN")
        return inner()

    @rk.cache
    def logs():
        print("RUN")
        with open("run.log", "a") as stream:
            stream.write("ran\\n")
        return 1

    @rk.cache
    def edits(path):
        print("RUN")
        with open(path, "r+") as stream:
            text = stream.read()
            stream.seek(0)
            stream.write(text.upper())
        return text
"""


@pytest.fixture
def reading(project, session):
    write(project, {"lib.py": READS, "hidden.csv": "1", "reprokit.toml": ""})

    def run(call):
        return session(f"from lib import *; print({call})")

    return run


@pytest.mark.parametrize(
    "call", ["hidden()", "named('hidden.csv')", "named(Path('hidden.csv'))", "declared()", "outer()"]
)
def test_a_file_that_changed_has_it_run(project, reading, call):
    assert reading(call)[0] == "RUN"
    assert len(reading(call)) == 1
    (project.root / "hidden.csv").write_text("22")
    assert reading(call)[0] == "RUN"
    (project.root / "hidden.csv").write_text("1")
    assert len(reading(call)) == 1


def test_a_folder_counts_by_what_is_read_in_it_and_by_the_names_it_holds(project, reading):
    for name in "ab":
        write(project, {f"data/{name}.csv": name})
    call = "folder('data')"
    assert reading(call) == ["RUN", "['a', 'b']"]
    assert reading(call) == ["['a', 'b']"]
    (project.root / "data" / "c.csv").write_text("c")
    assert reading(call) == ["RUN", "['a', 'b', 'c']"]
    (project.root / "data" / "c.csv").write_text("d")
    assert reading(call) == ["RUN", "['a', 'b', 'd']"]
    (project.root / "data" / "c.csv").unlink()
    assert reading(call) == ["['a', 'b']"]
    (project.root / "data").rename(project.root / "moved")
    assert reading("folder('moved')") == ["RUN", "['a', 'b']"]


def test_a_file_that_was_not_there_counts_when_it_comes(project, reading):
    assert reading("default()") == ["RUN", "none"]
    assert reading("default()") == ["none"]
    (project.root / "local.txt").write_text("local")
    assert reading("default()") == ["RUN", "local"]
    (project.root / "local.txt").unlink()
    assert reading("default()") == ["none"]


def test_a_relative_name_in_another_folder_is_another_file(project, session, reading):
    (project.root / "sub").mkdir()
    (project.root / "sub" / "local.txt").write_text("sub")
    assert reading("default()") == ["RUN", "none"]
    assert reading("os.chdir('sub') or default()") == ["RUN", "sub"]
    assert reading("os.chdir('sub') or default()") == ["sub"]
    assert reading("default()") == ["none"]


def test_a_file_that_is_only_appended_to_is_no_input(project, reading):
    assert reading("logs()") == ["RUN", "1"]
    assert reading("logs()") == ["1"]
    (project.root / "run.log").write_text("rotated")
    assert reading("logs()") == ["1"]


def test_an_input_that_the_function_changes_is_recorded_and_the_result_not_used(project, reading):
    (project.root / "state.txt").write_text("abc")
    for text in ("abc", "ABC"):
        assert reading("edits('state.txt')") == ["RUN", text]
    assert reading("edits('state.txt')") == ["ABC"]  # the second time it changed nothing
    reuse = recorded(project, 0)
    assert (reuse["mutated"], reuse["refused"]) == (["state.txt"], "it changed state.txt")


def test_a_chain_of_artifacts_costs_nothing_under_another_commit(project, session):
    write(
        project,
        {
            "lib.py": """
                import reprokit as rk

                @rk.Artifact("out", exists="reuse")
                def first(out):
                    print("RUN first")
                    with open(out, "w") as stream:
                        stream.write("1")
                    return out

                @rk.Artifact("out", exists="reuse")
                def second(source, out):
                    print("RUN second")
                    with open(source) as reader, open(out, "w") as stream:
                        stream.write(reader.read())
                """
        },
    )
    call = "from lib import *; second(first('a.txt'), 'b.txt')"
    assert session(call) == ["RUN first", "RUN second"]
    write(project, {"README": "1"})
    assert session(call) == []
    for other in project.root.glob("a-*.txt"):
        other.write_text("2")
    assert session(call) == ["RUN first"]  # what it makes is what the second one knows


# --- arguments and instances -------------------------------------------------------------------------------------------------

TAKES = """
    import asyncio
    import dataclasses
    import numpy as np
    import reprokit as rk

    @rk.cache(ignore="verbose", key={"handle": lambda handle: handle and handle.name})
    def takes(x, y=1, *rest, verbose=False, handle=None, **more):
        print("RUN")
        return repr((x, y, rest, more))

    @rk.cache
    def changes(values):
        print("RUN")
        values[0] = 9
        return 1

    class Handle:
        def __init__(self, name):
            self.name, self.lock = name, open("lib.py")

    class Model:
        def __init__(self, rate):
            self.rate, self.seen = rate, 0

        def scale(self, x):
            return x * self.rate

        @rk.cache
        def fit(self, x):
            print("RUN")
            return self.scale(x)

        @rk.cache
        def counts(self, x):
            print("RUN")
            self.seen += 1
            return x

        @rk.cache(key={"self": lambda self: self.rate})
        def known(self, x):
            print("RUN")
            self.seen += 1
            return x

        @classmethod
        @rk.cache
        def of(cls, x):
            print("RUN")
            return cls.__name__ + str(x)

        @staticmethod
        @rk.cache
        def plain(x):
            print("RUN")
            return x

    class Child(Model):
        def scale(self, x):
            return x + self.rate

    @rk.cache
    async def later(x):
        print("RUN")
        await asyncio.sleep(0)
        return x + 1

    @rk.cache
    def calls(function, x):
        print("RUN")
        return function(x)

    @rk.cache
    def logs_in(user, password):
        print("RUN")
        return len(password)

    def half(x):
        return x / 2
"""


@pytest.fixture
def taking(project, session):
    write(project, {"lib.py": TAKES, "reprokit.toml": ""})

    def run(*calls):
        return session("from lib import *\n" + "".join(f"print({call})\n" for call in calls))

    return run


def test_one_call_however_it_is_written(taking):
    told = taking("takes(1)", "takes(x=1)", "takes(1, 1)", "takes(y=1, x=1)", "takes(1, verbose=True)")
    assert told.count("RUN") == 1
    assert taking("takes(1, y=1)") == ["(1, 1, (), {})"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("takes(1)", "takes(1.0)"),
        ("takes(1)", "takes(True)"),
        ("takes(1, 2, 3)", "takes(1, 2, (3,))"),
        ("takes(1, a=2)", "takes(1, 1, ('a', 2))"),
        ("takes([1, 2])", "takes((1, 2))"),
        ("takes({'a': 1, 'b': 2})", "takes({'b': 2, 'a': 1})"),
        ("takes(np.arange(3))", "takes(np.arange(3.0))"),
        ("takes(0.0)", "takes(-0.0)"),
        ("takes('1')", "takes(b'1')"),
    ],
)
def test_other_arguments_are_another_call(taking, one, other):
    told = taking(one, other, one, other)
    assert told.count("RUN") == 2
    assert told[1] == told[4]
    assert told[3] == told[5]


def test_what_can_t_be_told_from_others_is_called_or_known_by_its_key(project, taking):
    assert taking("takes(1, handle=Handle('a'))", "takes(1, handle=Handle('a'))").count("RUN") == 1
    assert taking("takes(1, handle=Handle('b'))").count("RUN") == 1
    for _ in range(2):
        assert taking("takes(open('lib.py').close)")[0] == "RUN"
    assert recorded(project)["key"] is None
    assert recorded(project)["refused"].startswith("argument x: ")


def test_an_argument_that_the_function_changes_is_recorded_and_the_result_not_used(project, taking):
    assert taking("changes([1])", "changes([1])", "changes(np.zeros(3))").count("RUN") == 3
    assert recorded(project)["mutated"] == ["argument values"]
    assert recorded(project)["refused"] == "it changed argument values"


def test_methods_are_known_by_what_their_instance_holds(project, taking):
    assert taking("Model(2).fit(3)", "Model(2).fit(3)", "Model(3).fit(3)", "Child(2).fit(3)") == [
        "RUN", "6", "6", "RUN", "9", "RUN", "5",
    ]  # fmt: skip
    assert taking("Model(2).fit(3)") == ["6"]
    assert taking("Model.of(1)", "Model(1).of(1)", "Child.of(1)", "Child.of(1)") == [
        "RUN",
        "Model1",
        "Model1",
        "RUN",
        "Child1",
        "Child1",
    ]
    assert taking("Model.plain(1)", "Model(5).plain(1)").count("RUN") == 1


def test_a_method_that_changes_its_instance_is_called_unless_a_key_says_what_it_is(project, taking):
    assert taking("Model(2).counts(1)", "Model(2).counts(1)").count("RUN") == 2
    assert recorded(project)["mutated"] == ["its instance"]
    assert taking("Model(2).known(1)", "Model(2).known(1)", "Model(3).known(1)").count("RUN") == 2


def test_coroutines(taking):
    assert taking("asyncio.run(later(1))", "asyncio.run(later(1))") == ["RUN", "2", "2"]


def test_code_that_arguments_bring_along_counts(project, taking):
    assert taking("calls(half, 3)", "calls(half, 3)", "calls(lambda x: x, 3)", "calls(lambda x: x + 1, 3)") == [
        "RUN", "1.5", "1.5", "RUN", "3", "RUN", "4",
    ]  # fmt: skip
    write(project, {"lib.py": TAKES.replace("x / 2", "x / 4")})
    assert taking("calls(half, 3)") == ["RUN", "0.75"]


def test_a_secret_counts_and_leaves_no_digest(project, taking):
    assert taking("logs_in('a', 'hunter2')", "logs_in('a', 'hunter2')", "logs_in('a', 'hunter3')").count("RUN") == 2
    import hashlib

    from reprokit.capture import values

    quick = {values.tell("hunter2").digest[7:], hashlib.sha256(b"hunter2").hexdigest()}
    for path in project.vault.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"hunter" not in data
            assert not any(one.encode() in data for one in quick)
    assert set(recorded(project)["arguments"]) == {"user"}


# --- results and refusals ------------------------------------------------------------------------------------------------------

GIVES = """
    import importlib
    import reprokit as rk

    @rk.cache
    def gives():
        print("RUN")
        return {"a": [1, 2]}

    @rk.cache
    def none():
        print("RUN")

    @rk.cache
    def unkept():
        print("RUN")
        return (x for x in "ab")

    @rk.cache
    def fails():
        print("RUN")
        raise ValueError("no")

    @rk.cache
    def dynamic(name):
        print("RUN")
        return getattr(importlib.import_module("plug"), name)()

    @rk.cache(assume_pure=True)
    def assumed(name):
        print("RUN")
        return getattr(importlib.import_module("plug"), name)()

    @rk.cache(depends=["plug"])
    def named(name):
        print("RUN")
        return getattr(importlib.import_module("plug"), name)()

    @rk.cache
    def down(n):
        print("RUN", n)
        return 0 if n == 0 else 1 + up(n - 1)

    @rk.cache
    def up(n):
        print("RUN", n)
        return 0 if n == 0 else 1 + down(n - 1)
"""


@pytest.fixture
def giving(project, session):
    write(project, {"lib.py": GIVES, "plug.py": "def go():\n    return 1\n", "reprokit.toml": ""})

    def run(code):
        return session(f"from lib import *\n{code}")

    return run


def test_each_call_gets_an_object_of_its_own(giving):
    code = "one = gives(); one['a'].append(3); print(gives(), gives() is gives())"
    assert giving(code) == ["RUN", "{'a': [1, 2]} False"]


def test_none_is_a_result(giving):
    assert giving("print(none(), none())") == ["RUN", "None None"]


def test_a_result_that_no_archive_holds_is_given_and_computed_each_time(project, giving):
    assert giving("print(list(unkept()), list(unkept()))") == ["RUN", "RUN", "['a', 'b'] ['a', 'b']"]
    assert recorded(project)["refused"].startswith("its return value can't be kept")


def test_what_has_no_other_form_is_pickled(project, session):
    pytest.importorskip("matplotlib")
    code = """
        import reprokit as rk
        from matplotlib.figure import Figure

        @rk.cache
        def plot(high):
            print("RUN")
            figure = Figure()
            figure.add_subplot().plot([1, high])
            return figure
        """
    write(project, {"plots.py": code, "reprokit.toml": ""})
    call = "from plots import plot; print(plot(5).axes[0].lines[0].get_ydata().tolist(), plot(5) is plot(5))"
    assert session(call) == ["RUN", "[1, 5] False"]
    assert session(call) == ["[1, 5] False"]


def test_an_exception_is_no_result(giving):
    code = "for _ in range(2):\n    try:\n        fails()\n    except ValueError as error:\n        print(error)"
    assert giving(code) == ["RUN", "no", "RUN", "no"]


def test_what_can_t_be_followed_is_called_unless_somebody_answers_for_it(project, giving):
    assert giving("dynamic('go'); dynamic('go')") == ["RUN", "RUN"]
    assert "can't be followed" in recorded(project)["refused"]
    assert "assume_pure=True" in recorded(project)["refused"]
    assert giving("assumed('go'); print(assumed('go'))") == ["RUN", "1"]
    assert giving("named('go'); print(named('go'))") == ["RUN", "1"]
    write(project, {"plug.py": "def go():\n    return 2\n"})
    assert giving("print(named('go'))") == ["RUN", "2"]


def test_functions_that_call_each_other_wait_for_nobody(giving):
    assert giving("print(down(3))") == ["RUN 3", "RUN 2", "RUN 1", "RUN 0", "3"]
    assert giving("print(down(3), up(2))") == ["3 2"]


def test_hits_inside_a_run_are_its_children(project, giving):
    giving("gives()")
    original = project.pre()["run_id"]
    assert giving("with rk.run('all', allow_dirty=True):\n    gives()") == []
    ends = [step for step in project.steps() if step["event"] == "end"]
    assert [(one["status"], one["reused_from"]) for one in ends] == [("complete", original)]
    assert project.post()["children"] == 1


def test_generators_and_classes_are_refused_when_decorated():
    import reprokit as rk

    def steps():
        yield 1

    with pytest.raises(TypeError, match="generator"):
        rk.cache(steps)
    with pytest.raises(TypeError, match="class"):
        rk.cache(dict)
    with pytest.raises(TypeError, match="key="):
        rk.cache(key={"x": 1})


def test_the_entry_tells_what_the_record_tells(project, giving):
    giving("gives()")
    (path,) = project.vault.glob("reuse/*/*.jsonl")
    entry = json.loads(path.read_text().partition(" ")[2])
    reuse = recorded(project)
    assert (entry["key"], entry["returned"]) == (reuse["key"], reuse["returned"])
    assert f"sha256:{path.parent.name}{path.stem}" == entry["key"]
    assert (entry["run_id"], entry["folder"]) == (project.pre()["run_id"], project.folders[-1].name)
    assert (
        project.vault / "blobs" / "sha256" / reuse["returned"][7:9] / reuse["returned"][9:] / "__init__.py"
    ).exists()


# --- what the decorators are given ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ignore": "verbos"}, "ignore=: scale has no parameter 'verbos'; it has x, verbose, *"),
        ({"key": {"mode": len}}, "key=: scale has no parameter 'mode'"),
        ({"key": {"self": len}}, "key=: scale has no parameter 'self'"),
        ({"key": ["x"]}, "key= maps names of parameters to functions"),
        ({"ignore": 3}, "ignore=3: names of parameters are needed"),
    ],
)
def test_a_name_that_is_no_parameter_is_refused_where_the_decorator_stands(options, said):
    """Else a slip would have the argument count that was to be ignored, and the other way round."""

    def scale(x, verbose=False, *more):
        return x

    scale.__qualname__ = "scale"
    with pytest.raises(TypeError, match=re.escape(said)):
        rk.cache(**options)(scale)
    with pytest.raises(TypeError, match=re.escape(said)):
        rk.Artifact("x", exists="reuse", **options)(rk.monitor(scale))


def test_names_that_a_function_can_take_are_not_refused():
    def plain(x, *more, y=1):
        return x

    def open_to_all(x, **options):
        return x

    class Model:
        def fit(self, x):
            return x

        @classmethod
        def load(cls, path):
            return path

    for function, names in [(plain, ["x", "*", "y"]), (open_to_all, ["x", "z"]), (Model.fit, ["self", "x"]), (vars(Model)["load"], ["path"])]:  # fmt: skip
        assert rk.cache(ignore=names, key={names[0]: repr})(function) is not None


OPENS = """
    import argparse
    import configparser
    import random
    import reprokit as rk

    SETTINGS = configparser.ConfigParser()
    SETTINGS.read("settings.ini")
    ARGUMENTS = argparse.Namespace(rate=len(open("settings.ini").read()))
    DRAWS = random.Random(3)

    @rk.cache
    def opens(x):
        return 1

    @rk.cache
    def configured():
        print("RUN")
        return SETTINGS["fit"]["rate"]

    @rk.cache
    def given():
        print("RUN")
        return ARGUMENTS.rate

    @rk.cache
    def draws():
        print("RUN")
        return DRAWS.random()

    if DRAWS:
        BOUND = argparse.Namespace(rate=ARGUMENTS.rate)

    @rk.cache
    def bound():
        print("RUN")
        return BOUND.rate

    def bind(rate):
        global REBOUND
        REBOUND = argparse.Namespace(rate=rate)

    REBOUND = argparse.Namespace(rate=1)

    @rk.cache
    def rebound():
        print("RUN")
        return REBOUND.rate

    @rk.cache(depends=["nowhere"])
    def slips(name):
        print("RUN")
        return getattr(rk, name)()
"""


@pytest.fixture
def opening(project, session):
    write(project, {"lib.py": OPENS, "reprokit.toml": "", "settings.ini": "[fit]\nrate = 1\n"})

    def run(code):
        return session(f"from lib import *\n{code}")

    return run


def test_what_is_said_of_an_argument_that_cannot_be_told_names_it(opening, project):
    opening("opens(open('lib.py'))")
    assert "give key={'x': function}, or ignore=('x',)" in recorded(project)["refused"]


def test_depends_that_names_nothing_allows_nothing(opening, project):
    """A slip in ``depends=`` would else let all pass that can't be followed."""
    for _ in range(2):
        assert opening("slips('Vault')")[0] == "RUN"
    assert "depends: there is no module nowhere" in recorded(project)["refused"]


@pytest.mark.parametrize("name", ["configured", "given", "bound"])
def test_an_object_that_a_module_read_when_it_was_imported_counts_by_content(opening, project, name):
    """The source of the constant stays the same, and so do all files that the function itself reads."""
    assert opening(f"{name}(); {name}()") == ["RUN"]
    assert opening(f"{name}()") == []
    write(project, {"settings.ini": "[fit]\nrate = 12\n"})
    told = opening(f"print(rk.why({name}).reasons); print({name}())")
    constant = {"configured": "SETTINGS", "given": "ARGUMENTS", "bound": "BOUND"}[name]
    assert f"'constant `{constant}` in lib.py holds something else'" in told[0]
    assert told[1] == "RUN"


def test_a_generator_of_random_numbers_that_a_constant_holds_is_noticed(opening, project):
    assert opening("draws(); draws()") == ["RUN", "RUN"]
    assert recorded(project)["mutated"] == ["constant lib:DRAWS"]


def test_an_object_that_the_program_binds_or_changes_counts_by_content(opening):
    code = "print(rebound()); bind(2); print(rebound()); bind(1); print(rebound())"
    assert opening(code) == ["RUN", "1", "RUN", "2", "1"]
    code = "import lib; lib.REBOUND.rate = 3; print(rebound()); lib.REBOUND.rate = 2; print(rebound())"
    assert opening(code) == ["RUN", "3", "2"]


def test_why_compares_with_no_function_of_another_script(project, session):
    """Each script's functions are ``__main__``'s."""
    text = "import reprokit as rk\n@rk.cache\ndef fit(n):\n    return n\nfit(1)\n"
    write(
        project,
        {"one.py": text, "two.py": text.replace("fit(1)", "print(rk.why(fit, 2).reasons)"), "reprokit.toml": ""},
    )
    code = "import runpy; runpy.run_path('{}.py', run_name='__main__')"
    session(code.format("one"))
    assert session(code.format("two")) == ["('no run of fit is recorded',)"]


def test_the_instance_is_self_whatever_a_method_calls_it():
    class Model:
        def fit(this, x):
            return x

    Model.fit.__qualname__ = "Model.fit"
    assert rk.cache(key={"self": repr})(Model.fit) is not None
    with pytest.raises(TypeError, match="no parameter 'me'"):
        rk.cache(key={"me": repr})(Model.fit)
