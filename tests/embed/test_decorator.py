"""``@Artifact(embed=True)``: the tag goes in before the digest is taken, into what the run made and nothing else."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

import pytest

import reprokit as rk
from reprokit import embed
from reprokit.capture import files
from reprokit.errors import RecordingWarning
from reprokit.model import canonical
from tests.embed.specimens import FAMILIES, TAG, png

CONFIG = {"window": 12}


@rk.Artifact("outpath", config=CONFIG, embed=True)
def save(data, outpath):
    Path(outpath).write_bytes(data)
    return outpath


def record(project, index=-1):
    (found,) = project.post(index)["artifacts"]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_record_holds_the_digest_of_the_tagged_file_and_says_so(family, project, samples):
    got = save(samples[family], f"plot.{family}")
    assert embed.read(got) == embed.Tag(project.commit, canonical.config_hash(CONFIG))
    kept = record(project)
    assert kept["embedded"] is True
    assert (kept["digest"], kept["size"]) == files.digest_path(got)
    assert json.loads(Path(f"{got}.run.json").read_text())["artifact"] == kept


def test_a_second_run_of_a_matplotlib_plot_makes_the_same_bytes(project):
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib.figure import Figure

    @rk.Artifact("outpath", config=CONFIG, embed=True)
    def plot(outpath):
        figure = Figure()
        figure.subplots().plot([1, 2, 4])
        figure.savefig(outpath, metadata={"Software": None})
        return outpath

    got = plot("plot.png")
    first = Path(got).read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert plot("plot.png") == got
    assert Path(got).read_bytes() == first
    one, two = record(project, 0), record(project, 1)
    assert one["digest"] == two["digest"] == files.digest_path(got)[0]
    assert two["embedded"]
    assert "differs_from" not in two or two["differs_from"] is None


def test_without_embed_the_file_is_the_functions_own(project, samples):
    @rk.Artifact("outpath")
    def plain(outpath):
        Path(outpath).write_bytes(samples["png"])
        return outpath

    got = plain("plot.png")
    assert Path(got).read_bytes() == samples["png"]
    assert record(project)["embedded"] is False


def test_a_file_that_was_only_read_is_not_touched(project, samples):
    name = save(samples["png"], "plot.png")
    Path(name).write_bytes(samples["png"])

    @rk.Artifact("inpath", config=CONFIG, embed=True)
    def look(inpath):
        return Path(inpath).read_bytes()

    assert look("plot.png") == samples["png"]
    assert Path(name).read_bytes() == samples["png"]
    kept = record(project)
    assert (kept["role"], kept["embedded"]) == ("used", False)


def test_other_files_and_folders_are_left_alone_without_a_word(project, samples):
    @rk.Artifact("outpath", embed=True)
    def both(outpath):
        Path(outpath["text"]).write_text("a,b\n")
        Path(outpath["folder"]).mkdir()
        (Path(outpath["folder"]) / "a.png").write_bytes(samples["png"])
        return outpath

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = both({"text": "t.csv", "folder": "out"})
    assert Path(got["text"]).read_text() == "a,b\n"
    assert (Path(got["folder"]) / "a.png").read_bytes() == samples["png"]
    assert [a["embedded"] for a in project.post()["artifacts"]] == [False, False]


def test_a_file_that_takes_no_tag_is_a_fault_and_no_exception(project, samples):
    with pytest.warns(RecordingWarning, match=r"the tag inside plot\.png.*ends too early"):
        got = save(samples["png"][:-9], "plot.png")
    assert Path(got).read_bytes() == samples["png"][:-9]
    kept = record(project)
    assert kept["embedded"] is False
    assert kept["digest"] == files.digest_path(got)[0]
    assert project.post()["status"] == "complete"
    assert [f["where"] for f in project.post()["faults"]] == ["the tag inside plot.png"]


def test_a_missing_library_is_a_fault_that_names_the_extra(project, samples, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.warns(RecordingWarning, match=r"pip install 'reprokit\[embed\]'"):
        got = save(samples["hdf5"], "x.h5")
    assert Path(got).read_bytes() == samples["hdf5"]
    assert record(project)["embedded"] is False


def test_strict_mode_does_not_lose_the_result(project, samples):
    @rk.Artifact("outpath", embed=True, strict=True)
    def strict(outpath):
        Path(outpath).write_bytes(samples["png"][:-9])
        return "the result"

    with pytest.warns(RecordingWarning):
        assert strict("plot.png") == "the result"


def test_the_copy_in_the_vault_is_the_tagged_file(project, samples):
    @rk.Artifact("outpath", embed=True, copy=True)
    def kept(outpath):
        Path(outpath).write_bytes(samples["png"])
        return outpath

    got = kept("plot.png")
    digest = record(project)["blob"].partition(":")[2]
    assert (project.vault / "blobs/sha256" / digest[:2] / digest[2:]).read_bytes() == Path(got).read_bytes()


def test_child_runs_and_failed_runs_tag_what_they_made(project, samples):
    @rk.Artifact("outpath", config={"child": 1}, embed=True)
    def child(outpath):
        Path(outpath).write_bytes(samples["png"])
        raise KeyError("after the file")

    @rk.Artifact("outpath", config=CONFIG, embed=True)
    def parent(outpath):
        Path(outpath).write_bytes(samples["svg"])
        with pytest.raises(KeyError):
            child("child.png")
        return outpath

    got = parent("parent.svg")
    assert embed.read(got).config_hash == canonical.config_hash(CONFIG)
    (made,) = Path.cwd().glob("child-*.png")
    assert embed.read(made).config_hash == canonical.config_hash({"child": 1})
    (end,) = [s for s in project.steps() if s["event"] == "end"]
    assert end["artifacts"][0]["embedded"] is True
    assert end["artifacts"][0]["digest"] == files.digest_path(str(made))[0]


def test_a_dirty_state_is_in_the_tag_as_it_is_in_the_name(project):
    Path("pipeline.py").write_text("X = 2\n")

    @rk.Artifact("outpath", allow_dirty=True, embed=True)
    def dirty(outpath):
        Path(outpath).write_bytes(png())
        return outpath

    got = dirty("plot.png")
    commit = embed.read(got).commit
    assert commit.startswith(f"{project.commit}-dirty-")
    assert commit in got


def test_embedding_loads_only_what_the_format_needs(project):
    done = project.python(
        "import sys\nfrom pathlib import Path\nimport reprokit as rk\n"
        "@rk.Artifact('out', embed=True, allow_dirty=True)\ndef f(out):\n Path(out).write_text('<svg/>')\n"
        "f('a.svg')\nprint([m for m in ('h5py', 'pikepdf', 'numpy', 'pyarrow', 'PIL') if m in sys.modules])"
    )
    assert done.stdout == "[]\n"


def test_the_tag_of_an_earlier_run_gives_way_when_the_function_adds_to_the_file(project, samples):
    """A function that copies a tagged input hands on the picture, not its tag."""
    Path("in.png").write_bytes(samples["png"])
    embed.write("in.png", TAG)
    got = save(Path("in.png").read_bytes(), "copy.png")
    assert embed.read(got).commit == project.commit
    assert Path(got).read_bytes().count(b"commit=") == 1
