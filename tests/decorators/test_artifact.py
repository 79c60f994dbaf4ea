"""``@Artifact``: names, refusals, what stands there already, used or generated."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import errors
from reprokit.model import canonical

EMPTY = "44136fa355"


def write(path, text="x"):
    Path(path).write_text(text)


@rk.Artifact("outpath")
def save(x, outpath):
    write(outpath, str(x))
    return outpath


@pytest.mark.parametrize("call", [lambda p: save(3, p), lambda p: save(3, outpath=p), lambda p: save(outpath=p, x=3)])
@pytest.mark.parametrize("kind", [str, Path])
def test_path_is_tagged_positional_or_keyword_and_keeps_its_type(project, call, kind):
    got = call(kind("foo.txt"))
    assert got == kind(f"foo-{project.commit}-{EMPTY}.txt")
    assert type(got) is type(kind("foo.txt"))
    assert Path(got).read_text() == "3"
    assert not Path("foo.txt").exists()


def test_sidecar_leads_back_to_the_run(project):
    got = save(3, "foo.txt")
    car = json.loads(Path(f"{got}.run.json").read_text())
    pre = project.pre()
    assert car["run_id"] == pre["run_id"]
    assert car["artifact"]["path"] == got
    assert (Path(got).parent / car["vault"] / "runs" / car["run_folder"]).is_dir()
    assert car["sha"].startswith(project.commit)


def test_sidecar_of_a_file_in_a_folder_points_to_the_vault_relatively(project):
    Path("a/b").mkdir(parents=True)
    got = save(1, "a/b/foo.txt")
    car = json.loads(Path(f"{got}.run.json").read_text())
    assert car["vault"] == "../../vault"
    assert car["artifact"]["path"] == f"a/b/foo-{project.commit}-{EMPTY}.txt"


def test_lists_tuples_dicts_and_nests_of_paths_keep_their_form(project):
    @rk.Artifact("outs")
    def several(outs):
        return outs

    tag = f"-{project.commit}-{EMPTY}"
    assert several(["a.txt", Path("b.txt")]) == [f"a{tag}.txt", Path(f"b{tag}.txt")]
    assert several(("a.txt",)) == (f"a{tag}.txt",)
    assert several({"x": "a.txt", "y": ["b.txt"]}) == {"x": f"a{tag}.txt", "y": [f"b{tag}.txt"]}


def test_several_names(project):
    @rk.Artifact(["one", "two"])
    def pair(one, two):
        write(one), write(two)
        return one, two

    tag = f"-{project.commit}-{EMPTY}"
    assert pair("a.txt", two="b.txt") == (f"a{tag}.txt", f"b{tag}.txt")
    assert [a["role"] for a in project.post()["artifacts"]] == ["generated", "generated"]


def test_default_path_is_tagged(project):
    @rk.Artifact("outpath")
    def f(outpath="d.txt"):
        return outpath

    assert f() == f"d-{project.commit}-{EMPTY}.txt"


def test_folder_is_an_artifact(project):
    @rk.Artifact("out")
    def make(out):
        os.makedirs(out)
        write(Path(out) / "a.txt", "a")
        return out

    got = make("out/")
    assert got == f"out-{project.commit}-{EMPTY}/"
    (record,) = project.post()["artifacts"]
    assert record["folder"]
    assert record["size"] == 1
    assert Path(f"out-{project.commit}-{EMPTY}.run.json").exists()


def test_missing_keyword_is_a_key_error_that_names_function_and_keyword(project):
    @rk.Artifact("lol")
    def f(outpath):
        raise AssertionError("must not run")

    with pytest.raises(KeyError) as caught:
        f(outpath="foo.txt")
    assert isinstance(caught.value, errors.MissingKeywordError)
    assert "f()" in str(caught.value)
    assert "'lol'" in str(caught.value)
    assert not project.folders


@pytest.mark.parametrize("value", [None, ""])
def test_no_path_is_a_missing_keyword(project, value):
    with pytest.raises(KeyError):
        save(1, outpath=value)


def test_something_that_is_no_path_is_refused(project):
    with pytest.raises(errors.NamingError, match="outpath"):
        save(1, 5)


def test_wrong_call_raises_what_the_call_itself_would(project):
    with pytest.raises(TypeError):
        save(1, "a.txt", "b", "c")


def test_dirty_repository_is_refused_before_the_function_runs(project):
    Path("pipeline.py").write_text("X = 2\n")
    with pytest.raises(errors.DirtyRepositoryError, match=r"pipeline\.py") as caught:
        save(3, "foo.txt")
    assert isinstance(caught.value, OSError)
    assert not list(Path().glob("foo*"))
    assert not project.folders


def test_dirty_states_have_names_of_their_own(project):
    code = "import reprokit as rk\n@rk.Artifact('o', allow_dirty=True)\ndef f(o):\n    open(o, 'w').close(); return o\nprint(f('foo.txt'))\n"
    names = set()
    for value in (1, 2, 3, 2):
        Path("pipeline.py").write_text(f"X = {value}\n")
        names.add(project.python(code).stdout.strip())
    # script.py is new, so the first state is dirty as well; the fourth is the second again
    assert len(names) == 3
    assert all(n.startswith(f"foo-{project.commit}-dirty-") for n in names)


def test_artifacts_sidecars_and_vault_do_not_make_the_repository_dirty(project):
    code = (
        "import reprokit as rk\n@rk.Artifact('o')\ndef f(o):\n    open(o, 'w').close(); return o\nprint(f('foo.txt'))\n"
    )
    (project.root / "script.py").write_text(code)
    project.commit_all()
    first = project.python(code).stdout
    assert project.python(code).stdout == first


@dataclass
class Model:
    depth: int
    rate: float


def test_config_forms_share_one_hash(project, tmp_path):
    plain = {"depth": 3, "rate": 0.5}
    forms = [plain, Model(3, 0.5), argparse.Namespace(**plain), lambda a: {"depth": a["x"], "rate": 0.5}]
    for suffix, text in (
        (".yaml", "depth: 3\nrate: 0.5\n"),
        (".toml", "depth = 3\nrate = 0.5\n"),
        (".json", json.dumps(plain)),
    ):
        path = tmp_path / f"config{suffix}"
        path.write_text(text)
        forms += [path, str(path)]
    wanted = canonical.config_hash(plain)[:10]
    for form in forms:
        decorated = rk.Artifact("o", config=form)(lambda x, o: o)
        assert decorated(3, "a.txt") == f"a-{project.commit}-{wanted}.txt"


def test_arguments_go_into_the_hash_when_asked_but_the_path_does_not(project):
    @rk.Artifact("o", config={"a": 1}, args=True)
    def f(x, o, y=2):
        return o

    assert f(1, "a.txt") == f(1, "a.txt", 2) == f(x=1, o="a.txt")
    assert f(1, "a.txt") != f(2, "a.txt")
    assert f(1, "b.txt")[1:] == f(1, "a.txt")[1:]
    g = rk.Artifact("o", args=["x"])(lambda x, o, y=0: o)
    assert g(1, "a.txt", 5) == g(1, "a.txt", 6)


def test_config_that_has_no_canonical_form_is_refused_by_place(project):
    with pytest.raises(errors.ConfigError, match=r"config\['model'\]\['optimizer'\]"):
        rk.Artifact("o", config={"model": {"optimizer": object()}})(lambda o: o)("a.txt")


def test_replacing_by_other_content_is_told_and_recorded(project):
    save(1, "foo.txt")
    first = project.pre()["run_id"]
    save(1, "foo.txt")
    assert project.post()["artifacts"][0]["differs_from"] is None
    with pytest.warns(errors.RecordingWarning, match=f"differs from what run {first[:8]}|same code, same config"):
        save(2, "foo.txt")
    assert project.post()["artifacts"][0]["differs_from"]


def test_replacing_without_a_sidecar_is_noticed_too(project):
    plain = rk.Artifact("o", sidecar=False)(lambda x, o: write(o, x))
    plain("a", "foo.txt")
    assert not list(Path().glob("*.run.json"))
    with pytest.warns(errors.RecordingWarning, match="an earlier run"):
        plain("b", "foo.txt")
    assert project.post()["artifacts"][0]["differs_from"] == "unknown"


def test_exists_error_refuses_before_the_function_runs(project):
    got = save(1, "foo.txt")
    strict = rk.Artifact("o", exists="error")(lambda o: write(o, "new"))
    with pytest.raises(FileExistsError, match="foo"):
        strict("foo.txt")
    assert Path(got).read_text() == "1"


def test_exists_keep_moves_the_earlier_version_into_the_vault(project):
    keep = rk.Artifact("o", exists="keep")(lambda x, o: write(o, x))
    keep("old", "foo.txt")
    old = project.post()["artifacts"][0]["digest"]
    keep("new", "foo.txt")
    record = project.post()["artifacts"][0]
    assert record["replaced"] == old
    assert (project.vault / "blobs/sha256" / old[7:9] / old[9:]).read_text() == "old"


def test_copy_keeps_the_artifact_by_content(project):
    rk.Artifact("o", copy=True)(lambda o: write(o, "kept"))("foo.txt")
    digest = project.post()["artifacts"][0]["blob"]
    assert (project.vault / "blobs/sha256" / digest[7:9] / digest[9:]).read_text() == "kept"


def test_reader_finds_what_the_writer_wrote_and_it_counts_as_used(project):
    @rk.Artifact("inpath")
    def load(inpath):
        return Path(inpath).read_text()

    save("good job", "foo.txt")
    assert load("foo.txt") == "good job"
    assert project.post()["artifacts"][0]["role"] == "used"
    assert project.post()["artifacts"][0]["digest"] == project.post(0)["artifacts"][0]["digest"]


def test_tagging_twice_along_a_stack_of_calls_tags_once(project):
    @rk.Artifact("outpath")
    def outer(outpath):
        return save(1, outpath)

    assert outer("foo.txt") == f"foo-{project.commit}-{EMPTY}.txt"


def test_what_was_not_written_is_missing(project):
    rk.Artifact("o")(lambda o: None)("foo.txt")
    assert project.post()["artifacts"][0]["role"] == "missing"


def test_template(project):
    f = rk.Artifact("o", template="{commit}_{hash:6}_{stem}{ext}")(lambda o: o)
    assert f("foo.txt") == f"{project.commit}_{EMPTY[:6]}_foo.txt"
    with pytest.raises(errors.NamingError):
        rk.Artifact("o", template="{stem}{ext}")


def test_name_too_long_is_refused_before_the_function_runs(project):
    with pytest.raises(errors.NamingError, match="255"):
        save(1, "n" * 240 + ".txt")
    assert not project.folders


@pytest.mark.parametrize("bad", [0, [], [""], [1]])
def test_keyword_must_be_a_name(bad):
    with pytest.raises(TypeError):
        rk.Artifact(bad)


def test_exists_must_be_known():
    with pytest.raises(ValueError, match="replace"):
        rk.Artifact("o", exists="reuse-please")


@pytest.mark.filterwarnings("ignore::reprokit.errors.RecordingWarning")
def test_no_repository_gives_nogit_and_one_warning(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(errors.RecordingWarning, match="nogit"):
        assert save(1, "foo.txt") == f"foo-nogit-{EMPTY}.txt"
    assert Path(f"foo-nogit-{EMPTY}.txt").exists()
