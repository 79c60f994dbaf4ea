"""Real packages as trees: two versions of each beside the one that is installed, and each does its work."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import io
import pickle
import shutil
import subprocess
import sys
import traceback
import typing
from pathlib import Path

import pytest

from reprokit import snapshot

_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd", "tests", "test")


def _source(name):
    """Give the folder or file of an installed top-level module."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"{name} is not installed")
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


class Version:
    """A version of some packages, loaded apart."""

    def __init__(self, folder, name):
        self.folder = folder
        self.face = snapshot.load(folder, name)
        self.prefix = self.face.__name__

    def __getattr__(self, name):
        return getattr(self.face, name)

    def module(self, name):
        return importlib.import_module(f"{self.prefix}.{name}")

    def modules(self):
        return {key: module for key, module in list(sys.modules.items()) if key.startswith(f"{self.prefix}.")}


@pytest.fixture
def versions(tmp_path):
    """Copy installed packages twice, edit the second copy, load both apart; afterwards nobody has seen anybody."""
    made = []
    names = {"v_one", "v_two"}

    def make(*packages, edit):
        sources = {package: _source(package) for package in packages}
        for number in (1, 2):
            root = tmp_path / f"v{number}"
            root.mkdir()
            for package, source in sources.items():
                if source.is_dir():
                    shutil.copytree(source, root / package, ignore=_LEFT_OUT)
                else:
                    shutil.copy(source, root)
        for file, added in edit.items():
            with open(tmp_path / "v2" / file, "a", encoding="utf-8") as stream:
                stream.write(f"\n\n{added}\n")
        for package in packages:  # beside the one that is installed
            importlib.import_module(package)
        before.update(sys.modules)
        made.extend([Version(tmp_path / "v1", "v_one"), Version(tmp_path / "v2", "v_two"), packages])
        return made[0], made[1]

    before = {}
    path, finders, hooks = list(sys.path), list(sys.meta_path), list(sys.path_hooks)
    yield make
    if not made:
        return
    one, two, packages = made
    own = {*names, *(f"{version.prefix}" for version in (one, two))}
    changed = {name for name, module in before.items() if sys.modules.get(name) is not module}
    assert {name for name in changed if name.partition(".")[0] not in own} == set()
    added = {name for name in set(sys.modules) - set(before) if name.partition(".")[0] in packages}
    assert added == set(), "a tree put plain names into sys.modules"
    assert sys.path == path
    assert sys.path_hooks == hooks
    assert len([finder for finder in sys.meta_path if finder not in finders]) <= 1
    _assert_apart(one, two, packages)


def _assert_apart(one, two, packages):
    for version, other in ((one, two), (two, one)):
        assert version.modules(), "nothing was imported"
        for name, module in version.modules().items():
            file = getattr(module, "__file__", None)
            assert file is None or Path(file).is_relative_to(version.folder), (name, file)
            for key, value in list(vars(module).items()):
                home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", None)
                if not isinstance(home, str) or not (inspect.ismodule(value) or isinstance(value, type)):
                    continue
                assert home.partition(".")[0] != other.prefix, f"{name}.{key} is of the other version"
                if home.partition(".")[0] in packages:  # a class may say what it likes of its home
                    today = vars(sys.modules.get(home, object())) if home in sys.modules else {}
                    assert today.get(getattr(value, "__name__", "")) is not value, f"{name}.{key} is the installed one"


def _again(value):
    copy = pickle.loads(pickle.dumps(value))
    assert type(copy) is type(value)
    return copy


def test_click_runs_commands_of_both_versions(versions):
    one, two = versions("click", edit={"click/utils.py": "LOUD = True"})
    for version in (one, two):
        click = version.click

        @click.command()
        @click.option("--n", type=click.IntRange(0, 9), default=1)
        @click.argument("names", nargs=-1)
        def cli(n, names, click=click):
            """Say names."""
            click.echo(" ".join(names * n))

        run = version.module("click.testing").CliRunner().invoke
        assert run(cli, ["--n", "2", "a"]).output == "a a\n"
        assert run(cli, ["--n", "20"]).exit_code == 2
        assert "Say names." in run(cli, ["--help"]).output
        assert inspect.getsource(click.Command).startswith("class Command")
    assert not hasattr(one.module("click.utils"), "LOUD")
    assert two.module("click.utils").LOUD
    with pytest.raises(one.click.UsageError):
        raise one.click.BadParameter("x")
    assert not issubclass(two.click.UsageError, one.click.UsageError)


def test_rich_renders_tables_markdown_and_highlighted_code(versions):
    """pygments finds its lexers by `__import__` of names from a table; rich imports it late."""
    one, two = versions("rich", "pygments", "markdown_it", "mdurl", edit={"pygments/lexers/rust.py": "SECOND = True"})
    for version in (one, two):
        out = io.StringIO()
        console = version.module("rich.console").Console(file=out, width=60, color_system=None)
        table = version.module("rich.table").Table("a", "b")
        table.add_row("[b]x[/b]", "y")
        console.print(table)
        console.print(version.module("rich.markdown").Markdown("# Title\n\n* point\n\n```python\nx = 1\n```"))
        console.print(version.module("rich.syntax").Syntax("fn main() {}", "rust"))
        try:
            version.module("rich.text").Text("a").divide("not offsets")
        except Exception:
            console.print_exception()
        shown = out.getvalue()
        assert "Title" in shown
        assert "point" in shown
        assert "fn main" in shown
        assert "Traceback" in shown
        lexer = version.module("pygments.lexers").get_lexer_by_name("rust")
        assert type(lexer).__module__ == f"{version.prefix}.pygments.lexers.rust"
        html = version.pygments.highlight("fn main() {}", lexer, version.module("pygments.formatters").HtmlFormatter())
        assert '<span class="k">fn</span>' in html
        assert hasattr(version.module("pygments.lexers.rust"), "SECOND") == (version is two)
        assert _again(version.module("rich.text").Text("a", "bold")) == version.module("rich.text").Text("a", "bold")


def test_docutils_finds_its_parts_by_name(versions):
    """Readers, parsers, writers, languages and directives are imported by names made at run time."""
    one, two = versions("docutils", edit={"docutils/languages/de.py": "labels['note'] = 'Fingerzeig'"})
    text = "Title\n=====\n\n.. note:: x\n\n:sup:`q`\n\n.. math:: a^2\n"
    for version in (one, two):
        publish = version.module("docutils.core").publish_string
        html = publish(text, writer="html5", settings_overrides={"language_code": "de", "report_level": 5}).decode()
        assert ("Fingerzeig" in html) == (version is two)
        assert "<sup>q</sup>" in html
        plain = publish(text, writer="pseudoxml", settings_overrides={"output_encoding": "unicode"})
        assert '<document ids="title"' in plain
        tree = version.module("docutils.core").publish_doctree(text)
        assert type(tree).__module__ == f"{version.prefix}.docutils.nodes"


def test_jinja_renders_templates(versions):
    one, two = versions("jinja2", "markupsafe", edit={"jinja2/defaults.py": "BLOCK_START_STRING = '<%'"})
    for version, start in ((one, "{%"), (two, "<%")):
        jinja2 = version.jinja2
        loader = jinja2.DictLoader({"base": "a{% block b %}{% endblock %}c".replace("{%", start)})
        environment = jinja2.Environment(loader=loader, autoescape=True)
        source = "{% extends 'base' %}{% block b %}{{ x|upper }}{% for i in 'ab' %}{{ loop.index }}{% endfor %}{% endblock %}"
        template = environment.from_string(source.replace("{%", start))
        assert template.render(x="<y>") == "a&lt;Y&gt;12c"
        assert _again(version.markupsafe.Markup("<b>")) == "<b>"
        with pytest.raises(jinja2.TemplateSyntaxError):
            environment.from_string("{{ x")
        with pytest.raises(jinja2.UndefinedError) as raised:
            environment.from_string("\n\n{{ x.y.z }}").render(x={})
        assert 3 in [frame.lineno for frame in traceback.extract_tb(raised.value.__traceback__)]


def test_parso_parses_by_the_grammar_files_of_its_own_version(versions):
    one, two = versions("parso", edit={"parso/python/tree.py": "SECOND = True"})
    for version in (one, two):
        grammar = version.parso.load_grammar(version="3.11", path=str(version.folder / "parso/python/grammar311.txt"))
        module = grammar.parse("def f(x):\n    pass\n")
        assert module.get_code() == "def f(x):\n    pass\n"
        assert _again(module).dump() == module.dump()
        assert type(module).__module__ == f"{version.prefix}.parso.python.tree"
        assert hasattr(version.module("parso.python.tree"), "SECOND") == (version is two)
        errors = list(grammar.iter_errors(grammar.parse("def f(:\n")))
        assert errors


def test_attrs_makes_classes(versions):
    """`attrs` compiles its methods from text, and `attr` and `attrs` import each other."""
    one, two = versions("attr", "attrs", edit={"attr/_make.py": "SECOND = True"})
    for version in (one, two):
        attr, attrs = version.attr, version.attrs
        point = attr.make_class("Point", {"x": attr.ib(converter=int), "y": attr.ib(factory=list)}, order=True)
        assert point("1") == point(1)
        assert attr.asdict(point(2)) == {"x": 2, "y": []}
        frozen = attrs.frozen(type("Frozen", (), {"__annotations__": {"z": int}}))
        with pytest.raises(attrs.exceptions.FrozenInstanceError):
            frozen(1).z = 2
        assert hasattr(version.module("attr._make"), "SECOND") == (version is two)
    assert one.attr.NOTHING is not two.attr.NOTHING


def test_pyparsing_parses(versions):
    one, two = versions("pyparsing", edit={"pyparsing/core.py": "ParserElement.second = True"})
    for version in (one, two):
        pp = version.pyparsing
        number = pp.pyparsing_common.number
        expression = pp.infix_notation(number, [("*", 2, pp.OpAssoc.LEFT), ("+", 2, pp.OpAssoc.LEFT)])
        assert expression.parse_string("1+2*3").as_list() == [[1, "+", [2, "*", 3]]]
        result = _again((pp.Word(pp.alphas)("name") + number).parse_string("ab 3"))
        assert result["name"] == "ab"
        with pytest.raises(pp.ParseException):
            number.parse_string("x")
        assert hasattr(pp.ParserElement, "second") == (version is two)


def test_packaging_and_pluggy(versions):
    one, two = versions("packaging", "pluggy", edit={"packaging/markers.py": "SECOND = True"})
    for version in (one, two):
        v = version.module("packaging.version").Version
        assert _again(v("1.10")) > v("1.9")
        requirement = version.module("packaging.requirements").Requirement('a[b]>1; python_version>"3"')
        assert requirement.marker.evaluate()
        hints = typing.get_type_hints(version.module("packaging.requirements").Requirement.__init__)
        assert hints["requirement_string"] is str
        spec, impl = version.pluggy.HookspecMarker("x"), version.pluggy.HookimplMarker("x")

        class Spec:
            @spec
            def hook(self, a):
                pass

        class Plugin:
            @impl
            def hook(self, a):
                return a

        plugins = version.pluggy.PluginManager("x")
        plugins.add_hookspecs(Spec)
        plugins.register(Plugin())
        assert plugins.hook.hook(a=1) == [1]
        assert hasattr(version.module("packaging.markers"), "SECOND") == (version is two)


def test_requests_prepares_requests(versions):
    """`requests.packages` writes second names of its parts into `sys.modules`: none may replace those of today."""
    one, two = versions(
        "requests", "urllib3", "idna", "certifi", "charset_normalizer",
        edit={"requests/__version__.py": "__second__ = True"},
    )  # fmt: skip
    for version in (one, two):
        requests = version.requests
        with requests.Session() as session:
            prepared = session.prepare_request(requests.Request("GET", "http://bücher.example/a", params={"q": "ä"}))
            assert prepared.url == "http://xn--bcher-kva.example/a?q=%C3%A4"
            assert _again(session).headers == session.headers
        with pytest.raises(requests.exceptions.MissingSchema):
            requests.get("no-scheme", timeout=1)
        assert Path(requests.certs.where()).is_relative_to(version.folder)
        assert requests.packages.urllib3 is version.urllib3
        assert hasattr(version.module("requests.__version__"), "__second__") == (version is two)


def test_traitlets_and_their_metaclasses(versions):
    one, two = versions("traitlets", edit={"traitlets/traitlets.py": "SECOND = True"})
    for version in (one, two):
        traitlets = version.traitlets

        class Thing(traitlets.HasTraits):
            n = traitlets.Int(3)
            kind = traitlets.Instance(f"{version.prefix}.traitlets.HasTraits", allow_none=True)

        thing = Thing()
        thing.observe(lambda change: change["owner"].set_trait("kind", change["owner"]), "n")
        thing.n = 4
        assert thing.kind is thing
        with pytest.raises(traitlets.TraitError):
            thing.n = "x"
        assert hasattr(version.module("traitlets.traitlets"), "SECOND") == (version is two)


def test_two_versions_captured_one_after_the_other_in_a_project(tmp_path):
    """The whole way in a fresh process: a copy in a project is captured, edited, captured again; both work beside today's."""
    project = tmp_path / "project"
    project.mkdir()
    shutil.copytree(_source("click"), project / "click", ignore=_LEFT_OUT)
    script = project / "script.py"
    script.write_text(
        "import pathlib, sys\n"
        "import click\n"
        "from reprokit import snapshot\n"
        "first = snapshot.load(snapshot.capture(click, 'first'))\n"
        "file = pathlib.Path('click/utils.py')\n"
        "file.write_text(file.read_text().replace('def echo(', 'def shout(message):\\n    echo(message.upper())\\n\\n\\ndef echo('))\n"
        "second = snapshot.load(snapshot.capture(click, 'second'))\n"
        "import importlib\n"
        "importlib.import_module('second.click.utils').shout('b')\n"
        "first.click.echo('a')\n"
        "assert not hasattr(sys.modules['click.utils'], 'shout')\n"
        "assert not hasattr(importlib.import_module('first.click.utils'), 'shout')\n"
        "from first import click as one\n"
        "from second import click as two\n"
        "assert len({one.Command, two.Command, click.Command}) == 3\n",
        encoding="utf-8",
    )
    done = subprocess.run([sys.executable, script.name], cwd=project, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "B\na\n"
