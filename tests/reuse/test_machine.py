"""Random edits of everything that a result may depend on: each answer is the one that computing it gives."""

from __future__ import annotations

import json
import shutil
import tempfile
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from tests.reuse.sessions import Sessions

# Each number is a place in the project that the result depends on.
PLACES = {
    "far/away/deep.py": """
        def deepest(x):{comment}
            return x + {deep}
        """,
    "far/away/__init__.py": "",
    "far/__init__.py": "from .middle import through{comment}\n",
    "far/middle.py": """
        from far.away import deep as below

        FACTORS = [{factor}, 1]{comment}

        def through(x):
            return below.deepest(x) * FACTORS[0]
        """,
    "shapes.py": """
        import functools
        {comment}
        class Base:
            offset = {offset}

            def area(self):
                return self.width * {base}

        class Shape(Base):
            def __init__(self, width):
                self.width = width

            @property
            def twice(self):
                return self.area() + {prop}{comment}

            def __add__(self, other):
                return self.twice + other + self.offset + {operator}

        def scaled(by):
            def decorate(function):
                @functools.wraps(function)
                def inner(*args):
                    return function(*args) * by + {inner}
                return inner
            return decorate
        """,
    "recursion.py": """
        def even(n):{comment}
            return {even} if n == 0 else odd(n - 1)

        def odd(n):
            return {odd} if n == 0 else even(n - 1)
        """,
    "main.py": """
        import reprokit as rk
        import fakepkg
        import far
        from recursion import even
        from shapes import Shape, scaled
        {comment}
        CFG = {{"rate": {config}}}
        TABLE = {{"a": lambda x: x - {table}, "b": len}}
        STATE = [{state}]
        helper = None

        def make(by):
            return lambda x: x + by

        add = make({cell})

        @scaled({decorator})
        def decorated(x):
            "{docstring}"
            return x

        def replaced(x):
            return x % {modulus}

        def unused(x):
            return {unused}

        def body(x, y={default}, *, z={keyword}):
            def nested(one):
                return one * {nested}
            found = [far.through(x), Shape(x) + y, even(x), decorated(x), TABLE["a"](x), add(x), replaced(x), sum(STATE), z]
            return {{"all": [nested(one) for one in found], "text": f"{{x}}-{literal}", "pkg": fakepkg.value()}}

        @rk.cache
        def cached(x, y={default}, *, z={keyword}):
            print("RUN")
            return body(x, y, z=z)

        @rk.Artifact("out", config=CFG, exists="reuse")
        def saved(source, out):
            print("RUN")
            with open(source) as reader, open("hidden.txt") as more, open(out, "w") as writer:
                writer.write(repr((reader.read(), more.read(), decorated(1), CFG)))
            return CFG["rate"]
        """,
    "deps/site-packages/fakepkg.py": "def value():\n    return {package}\n",
}
NAMES = [
    "deep", "factor", "offset", "base", "prop", "operator", "inner", "even", "odd", "config", "table", "state", "cell",
    "decorator", "modulus", "default", "keyword", "nested", "literal",
]  # fmt: skip
SETTINGS = "capture-packages = false\ncapture-random-state = false\n[capture]\ninclude-cpu = false\n"  # which take time
METADATA = "Metadata-Version: 2.1\nName: fakepkg\nVersion: {version}\n"
SESSION = """
    import sys
    sys.path.insert(0, "deps/site-packages")
    import main
    from reprokit.model.canonical import config_hash
    {patch}
    def compare(name, ask, compute):
        print("ASK", name)
        answer = ask()
        print("COMPUTE")
        truth = compute()
        print("SAME" if repr(answer) == repr(truth) else f"STALE {{answer}} for {{truth}}")

    def content(path):
        with open(path) as stream:
            return stream.read()

    compare("cached", lambda: main.cached({call}), lambda: main.cached.__wrapped__({call}))

    def ask():
        return main.saved("data.txt", "out.txt"), content(f"out-nogit-{{config_hash(main.CFG)[:10]}}.txt")

    def compute():
        return main.saved.__wrapped__("data.txt", "truth.out"), content("truth.out")

    compare("saved", ask, compute)
"""
PATCHES = {
    "none": "",
    "helper": "main.replaced = lambda x: x + 100",
    "method": "import shapes; shapes.Base.area = lambda self: 7",
    "in place": "main.STATE.append(1000)",
    "factors": "import far.middle; far.middle.FACTORS[0] = 77",
    "constant": "main.TABLE['a'] = abs",
}
CALLS = ["2", "3", "2, 5", "2, z=9", "2.0", "True"]

numbers = st.integers(2, 4)


class Machine(RuleBasedStateMachine):
    """A project that is edited at random, and the calls that are made in it."""

    sessions: Sessions

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="reuse-machine-"))
        self.values = dict.fromkeys(NAMES, 2) | {"unused": 1, "package": 1, "docstring": "doc", "comment": ""}
        self.files = {"data.txt": "1", "hidden.txt": "1"}
        self.patch, self.call = "none", CALLS[0]
        self.returned: set[str] = set()  # what the results that are kept depend on
        self.written: dict[int, str] = {}  # the same of what lies in the file with each config: one name, one content
        (self.folder / "reprokit.toml").write_text(SETTINGS)
        self.write()

    def teardown(self):
        shutil.rmtree(self.folder)

    def write(self):
        for name, text in PLACES.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            told = textwrap.dedent(text).format(**self.values)
            if not path.exists() or path.read_text() != told:
                path.write_text(told)
        for name, text in self.files.items():
            (self.folder / name).write_text(text)
        info = self.folder / f"deps/site-packages/fakepkg-{self.values['package']}.0.dist-info"
        if not info.exists():
            for old in info.parent.glob("*.dist-info"):
                shutil.rmtree(old)
            info.mkdir()
            (info / "METADATA").write_text(METADATA.format(version=f"{self.values['package']}.0"))
            (info / "RECORD").write_text("fakepkg.py,,\n")

    @rule(name=st.sampled_from(NAMES), value=numbers)
    def edit(self, name, value):
        self.values[name] = value

    @rule(value=numbers)
    def upgrade(self, value):
        self.values["package"] = value

    @rule(value=st.sampled_from(["", "  # a comment", "\n", "\n\n    # two lines\n"]))
    def comment(self, value):
        self.values["comment"] = value if "\n" not in value or value == "\n" else "  # other"

    @rule(value=st.sampled_from(["doc", "other", ""]))
    def docstring(self, value):
        self.values["docstring"] = value

    @rule(value=numbers)
    def edit_unused(self, value):
        self.values["unused"] = value

    @rule(name=st.sampled_from(["data.txt", "hidden.txt"]), value=numbers)
    def edit_input(self, name, value):
        self.files[name] = str(value)

    @rule(patch=st.sampled_from(list(PATCHES)))
    def patched(self, patch):
        self.patch = patch

    @rule(call=st.sampled_from(CALLS))
    def ask_for(self, call):
        self.call = call

    @precondition(lambda self: len(self.returned) > 1)
    @rule()
    def lose_the_file(self):
        for path in self.folder.glob("out-*.txt"):
            path.unlink()
        self.written.clear()

    @invariant()
    def ask(self):
        self.write()
        told = self.sessions(self.folder, SESSION.format(patch=PATCHES[self.patch], call=self.call)).lines
        first, second = told.index("ASK cached"), told.index("ASK saved")
        state = {name: value for name, value in self.values.items() if name not in ("comment", "docstring", "unused")}
        for name, lines in (("cached", told[first:second]), ("saved", told[second:])):
            assert lines[-1] == "SAME", (name, self.patch, self.call, lines, self.values)
            ran = "RUN" in lines[: lines.index("COMPUTE")]
            if name == "cached":
                depends = json.dumps([state, self.patch, self.call])
                known = depends in self.returned
                self.returned.add(depends)
            else:
                depends = json.dumps([[state[one] for one in ("inner", "decorator", "config")], self.files])
                known = self.written.get(state["config"]) == depends
                self.written[state["config"]] = depends
            assert not (ran and known), (name, self.patch, self.call, self.values)


@pytest.mark.parametrize(
    ("examples", "steps"),
    [pytest.param(4, 40), pytest.param(250, 60, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])],
    ids=["short", "long"],
)
def test_no_answer_is_stale_and_no_comment_costs_a_run(examples, steps):
    Machine.sessions = Sessions()
    try:
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=True,
            ),
        )
    finally:
        Machine.sessions.close()
