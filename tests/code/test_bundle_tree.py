"""Code of bundles as it runs on a worker: an empty folder, a clean interpreter, and nothing of the project."""

from __future__ import annotations

import shutil

import pytest

from tests.code.bundling import bundle, importing, on_worker, run, write


@pytest.fixture
def root(tmp_path):
    return tmp_path / "project"


def worker(root, tmp_path, code, **options):
    made = bundle(root, **options)
    away = root.rename(tmp_path / "away")  # nothing is found where it was
    try:
        return on_worker(made, tmp_path / "worker", code)
    finally:
        away.rename(root)


def test_layouts_of_all_kinds_are_imported(root, tmp_path):
    write(root, {
        "top.py": "from pack.sub.deep import NAME\nimport space.part.mod as mod, inner.core\nALL = [NAME, mod.NAME, inner.core.NAME]\n",
        "pack/__init__.py": "from . import sub\n",
        "pack/sub/__init__.py": "",
        "pack/sub/deep.py": "import top\nNAME = __name__\ndef late():\n    from pack import sub\n    import importlib\n    return importlib.import_module('pack.sub.deep').NAME, top.ALL\n",
        "space/part/mod.py": "NAME = __name__\n",
        "src/inner/__init__.py": "",
        "src/inner/core.py": "NAME = __name__\n",
    })  # fmt: skip
    told = worker(root, tmp_path, """
        from_top = tree.module("top").ALL
        print(json.dumps([from_top, tree.module("pack.sub.deep").late(), sorted(n for n in sys.modules if n.startswith("pack"))]))
        """)  # fmt: skip
    plain = [[name.partition(".")[2] for name in names] for names in (told[0], told[1][1])]
    assert plain == [["pack.sub.deep", "space.part.mod", "inner.core"]] * 2
    assert told[1][0].endswith(".pack.sub.deep")
    assert told[2] == []


def test_data_files_are_found_by_all_the_usual_ways(root, tmp_path):
    write(root, {
        "pack/__init__.py": "",
        "pack/data/table.csv": "a,b\n",
        "pack/read.py": """
            import pkgutil
            from importlib import resources
            from pathlib import Path
            def read():
                return [
                    resources.files("pack").joinpath("data/table.csv").read_text(),
                    resources.files(__package__).joinpath("data", "table.csv").read_text(),
                    pkgutil.get_data("pack", "data/table.csv").decode(),
                    (Path(__file__).parent / "data" / "table.csv").read_text(),
                    __loader__.get_data(str(Path(__file__).parent / "data" / "table.csv")).decode(),
                ]
            """,
    })  # fmt: skip
    assert worker(root, tmp_path, "print(json.dumps(tree.module('pack.read').read()))") == ["a,b\n"] * 5


def test_the_workers_own_copy_is_neither_used_nor_disturbed(root, tmp_path):
    """Whatever kind of module it is: a package instead of a namespace, a newer one, one that is imported already."""
    write(
        root,
        {"pack/__init__.py": "V = 'sent'\n", "space/mod.py": "V = 'sent'\nimport pack, alone\nALL = pack.V, alone.V\n"},
    )
    write(root, {"alone.py": "V = 'sent'\n"})
    own = write(tmp_path / "own" / "site-packages", {"pack/__init__.py": "V = 'own'\n", "alone.py": "V = 'own'\n"})
    write(own, {"space/__init__.py": "V = 'own'\n", "space/mod.py": "V = 'own'\nALL = ()\n"})
    told = worker(root, tmp_path, f"""
        sys.path.insert(0, {str(own)!r})
        import pack, space.mod
        sent = tree.module("space.mod").ALL
        import alone
        print(json.dumps([sent, pack.V, space.mod.V, alone.V]))
        """)  # fmt: skip
    assert told == [["sent", "sent"], "own", "own", "own"]


def test_two_projects_with_a_package_of_the_same_name_and_two_versions_of_one_live_side_by_side(tmp_path):
    one = write(
        tmp_path / "one",
        {
            "pack/__init__.py": "V = 'one'\ndef late():\n    from pack import more\n    return more.V\n",
            "pack/more.py": "V = 1\n",
        },
    )
    other = write(
        tmp_path / "other",
        {
            "pack/__init__.py": "V = 'other'\ndef late():\n    from pack import more\n    return more.V\n",
            "pack/more.py": "V = 2\n",
        },
    )
    made = [bundle(one), bundle(other)]
    write(other, {"pack/more.py": "V = 3\n"})
    made.append(bundle(other))
    paths = []
    for each in made:
        paths.append(tmp_path / f"{each.digest}.bin")
        paths[-1].write_bytes(each.data)
    told = run("""
        import json, sys
        from reprokit.code.bundles import store
        trees = []
        for path in sys.argv[1:]:
            digest = path.rpartition("/")[2].removesuffix(".bin")
            store.add(digest, open(path, "rb").read())
            trees.append(store.tree(digest))
        modules = [tree.module("pack") for tree in trees]
        print(json.dumps([[module.V, module.late(), store.digest_of(module.__name__)] for module in modules]))
        """, tmp_path, *paths)  # fmt: skip
    assert told == [["one", 1, made[0].digest], ["other", 2, made[1].digest], ["other", 3, made[2].digest]]


def test_a_module_that_stayed_behind_says_why_it_is_not_there(root, tmp_path):
    write(root, {
        ".gitignore": "ignored_mod.py\n",
        "pack/__init__.py": "", "pack/_fast.so": b"\x7fELF", "pack/ignored_mod.py": "", "pack/left.py": "",
        "pack/uses.py": "try:\n    from pack import _fast\nexcept ImportError:\n    _fast = None\n",
    })  # fmt: skip
    told = worker(root, tmp_path, """
        found = []
        for name in ("pack._fast", "pack.ignored_mod", "pack.left", "pack.nothing"):
            try:
                tree.module(name)
            except ModuleNotFoundError as error:
                found.append([error.name, str(error)])
        exec("try:\\n    from pack import _fast\\nexcept ImportError as error:\\n    found.append(str(error))", {"__builtins__": tree.builtins, "found": found})
        print(json.dumps([found, tree.module("pack.uses")._fast]))
        """, exclude=("left.py",))  # fmt: skip
    found, fallback = told
    assert [name for name, _ in found[:4]] == ["pack._fast", "pack.ignored_mod", "pack.left", "pack.nothing"]
    assert "compiled extension" in found[0][1]
    assert "bundle " in found[0][1]
    assert ".gitignore" in found[1][1]
    assert "exclude" in found[2][1]
    assert found[3][1].startswith("No module named 'pack.nothing' in bundle ")
    assert "compiled extension" in found[4]
    assert fallback is None


def test_modules_from_elsewhere_are_imported_with_the_projects(root, tmp_path):
    write(root, {"pack/__init__.py": "import mine.x\nfrom spread.part import P\nV = mine.x.V, P\n"})
    elsewhere = write(
        tmp_path / "elsewhere", {"mine/__init__.py": "", "mine/x.py": "V = 7\n", "spread/part/__init__.py": "P = 8\n"}
    )
    with importing(elsewhere):
        made = bundle(root, local=("mine", "spread.part"))
    shutil.rmtree(elsewhere)
    assert on_worker(made, tmp_path / "worker", "print(json.dumps(tree.module('pack').V))") == [7, 8]


def test_a_failing_import_shows_the_source_lines(root, tmp_path):
    write(
        root,
        {
            "pack/__init__.py": "",
            "pack/broken.py": "def boom():\n    raise KeyError('here')  # the very line\nboom()\n",
        },
    )
    text = worker(root, tmp_path, """
        import traceback
        try:
            tree.module("pack.broken")
        except KeyError:
            print(json.dumps(traceback.format_exc()))
        """)  # fmt: skip
    assert "# the very line" in text
    assert 'broken.py", line 2, in boom' in text


def test_fifty_versions_of_a_package_of_a_megabyte_fit_into_200_mb(root, tmp_path):
    body = "".join(
        f"def f{n}(x, y={n}):\n    '''Some text about it.'''\n    return [x + y, {n}, 'text {n}']\n\n"
        for n in range(110)
    )
    write(root, {"pack/__init__.py": "", **{f"pack/m{number}.py": body for number in range(100)}})
    paths = []
    for version in range(50):
        write(root, {"pack/version.py": f"V = {version}\n"})
        made = bundle(root)
        paths.append(tmp_path / f"{made.digest}.bin")
        paths[-1].write_bytes(made.data)
    assert made.size > 900_000
    kilobytes, held = run("""
        import json, sys
        from reprokit.code.bundles import store
        def used():
            with open("/proc/self/status") as stream:
                return next(int(line.split()[1]) for line in stream if line.startswith("VmRSS"))
        before = used()
        for path in sys.argv[1:]:
            digest = path.rpartition("/")[2].removesuffix(".bin")
            with open(path, "rb") as stream:
                store.add(digest, stream.read())
            tree = store.tree(digest)
            assert tree.module("pack.version").V >= 0
            for number in range(10):
                tree.module(f"pack.m{number}")
        print(json.dumps([used() - before, len(store._data)]))
        """, tmp_path, *paths)  # fmt: skip
    assert held == 0
    assert kilobytes < 200_000


def test_a_project_that_is_installed_as_editable_knows_its_version_on_the_worker(root, tmp_path):
    """Packages ask for it when they are imported, and the worker has nothing installed of that name."""
    write(
        root,
        {
            "src/pack/__init__.py": "from importlib.metadata import version\n__version__ = version('My-Pack'), version('egg-pack')\n"
        },
    )
    write(root, {"src/egg_pack.egg-info/PKG-INFO": "Metadata-Version: 2.1\nName: egg-pack\nVersion: 4.5\n"})
    site = write(tmp_path / "site-packages", {
        "my_pack-1.2.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: My-Pack\nVersion: 1.2.3\n",
        "my_pack-1.2.3.dist-info/direct_url.json": f'{{"url": "{root.as_uri()}", "dir_info": {{"editable": true}}}}',
        "other-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: other\nVersion: 1\n",
        "broken-1.dist-info/direct_url.json": "[",
    })  # fmt: skip
    with importing(site):
        made = bundle(root)
    told = on_worker(made, tmp_path / "worker", "print(json.dumps(tree.module('pack').__version__))")
    assert told == ["1.2.3", "4.5"]


def test_versions_share_what_they_have_in_common_and_nothing_else(tmp_path):
    """The second version's unchanged modules are not compiled again; each has its own file, globals and source lines."""
    root = write(tmp_path / "project", {
        "pack/__init__.py": "", "pack/version.py": "V = 1\n",
        "pack/same.py": "from pack.version import V\ndef where():\n    def inner():\n        return V\n    return inner(), inner.__code__.co_filename, where.__code__.co_filename, __file__\n",
    })  # fmt: skip
    made = [bundle(root)]
    write(root, {"pack/version.py": "V = 2\n"})
    made.append(bundle(root))
    paths = []
    for each in made:
        paths.append(tmp_path / f"{each.digest}.bin")
        paths[-1].write_bytes(each.data)
    told = run("""
        import inspect, json, sys
        from reprokit.code.bundles import store
        compiled, found = [], []
        sys.addaudithook(lambda event, args: compiled.append(str(args[1])) if event == "compile" else None)
        for path in sys.argv[1:]:
            digest = path.rpartition("/")[2].removesuffix(".bin")
            store.add(digest, open(path, "rb").read())
            same = store.tree(digest).module("pack.same")
            version, *files = same.where()
            found.append([version, [file.startswith(store.tree(digest).folder) for file in files], "inner()" in inspect.getsource(same.where)])
        print(json.dumps([found, sum(name.endswith("same.py") for name in compiled)]))
        """, tmp_path, *paths)  # fmt: skip
    assert told == [[[1, [True] * 3, True], [2, [True] * 3, True]], 1]
