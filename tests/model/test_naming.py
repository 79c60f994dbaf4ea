"""Names of artifacts can be read back, and are refused when a file system can't hold them."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from reprokit.errors import NamingError
from reprokit.model.naming import DEFAULT, check_template, parse, sidecar_name, split, tag

COMMIT, HASH = "1a2b3c4", "44136fa355b3678a"

plain_names = st.text(st.characters(exclude_characters="/\\\0", exclude_categories=("Cs",)), min_size=1, max_size=40)
tricky = st.lists(
    st.sampled_from(["1a2b3c4", "-", "dirty", "9f86d08", "44136fa355", ".", "gz", "tar", "a", "nogit"]),
    min_size=1,
    max_size=9,
).map("".join)
names = plain_names | tricky
commits = st.sampled_from(["nogit", "1a2b3c4", "0000000", "1a2b3c4-dirty", "1a2b3c4-dirty-9f86d08"])
hashes = st.text("0123456789abcdef", min_size=10, max_size=10)


def tagged_or_refused(name, commit, digits):
    try:
        return tag(name, commit, digits)
    except NamingError:
        reject()


@pytest.mark.parametrize(
    ("path", "tagged"),
    [
        ("foo.txt", "foo-1a2b3c4-44136fa355.txt"),
        ("a/b/foo.txt", "a/b/foo-1a2b3c4-44136fa355.txt"),
        ("./foo.txt", "./foo-1a2b3c4-44136fa355.txt"),
        ("../foo", "../foo-1a2b3c4-44136fa355"),
        ("a.tar.gz", "a-1a2b3c4-44136fa355.tar.gz"),
        ("a.nii.gz", "a-1a2b3c4-44136fa355.nii.gz"),
        ("x.CSV.BZ2", "x-1a2b3c4-44136fa355.CSV.BZ2"),
        ("model.v1.2.pkl", "model.v1.2-1a2b3c4-44136fa355.pkl"),
        ("v1.2.gz", "v1.2-1a2b3c4-44136fa355.gz"),
        (".hidden", ".hidden-1a2b3c4-44136fa355"),
        (".hidden.txt", ".hidden-1a2b3c4-44136fa355.txt"),
        (".tar.gz", ".tar-1a2b3c4-44136fa355.gz"),
        ("trailing.", "trailing.-1a2b3c4-44136fa355"),
        ("-rf.txt", "-rf-1a2b3c4-44136fa355.txt"),
        ("out/", "out-1a2b3c4-44136fa355/"),
        ("data.zarr/", "data-1a2b3c4-44136fa355.zarr/"),
        ("two words ünï.txt", "two words ünï-1a2b3c4-44136fa355.txt"),
        ("new\nline.txt", "new\nline-1a2b3c4-44136fa355.txt"),
        ("C:\\a\\foo.txt", "C:\\a\\foo-1a2b3c4-44136fa355.txt"),
        ("foo-1a2b3c4-44136fa355.txt", "foo-1a2b3c4-44136fa355.txt"),
    ],
)
def test_examples(path, tagged):
    assert tag(path, COMMIT, HASH) == tagged
    assert tag(tagged, COMMIT, HASH) == tagged


@given(names, commits, hashes)
def test_what_was_tagged_can_be_read_back(name, commit, digits):
    tagged = tagged_or_refused(name, commit, digits)
    found = parse(tagged)
    assert found is not None
    assert (found.commit, found.hash) == (commit, digits)
    if tagged != name:
        assert found.requested == name
        assert (found.stem, found.ext) == split(name)


@given(names, commits, hashes)
def test_tagging_again_changes_nothing(name, commit, digits):
    tagged = tagged_or_refused(name, commit, digits)
    assert tag(tagged, commit, digits) == tagged


@given(names, commits, hashes, names, commits, hashes)
def test_two_tags_never_meet_in_one_name(name1, commit1, hash1, name2, commit2, hash2):
    if (commit1, hash1) != (commit2, hash2):
        assert tagged_or_refused(name1, commit1, hash1) != tagged_or_refused(name2, commit2, hash2)


@pytest.mark.parametrize("name", ["x-1a2b3c4-dirty", "1a2b3c4-dirty.txt"])
def test_a_name_that_would_be_read_back_as_another_is_refused(name):
    with pytest.raises(NamingError, match="looks like a part of a tag"):
        tag(name, "9f86d08", HASH)


@pytest.mark.parametrize(
    "template", ["{stem}.{commit}.{hash}{ext}", "{commit}_{hash:16}_{stem}{ext}", "run-{hash:4}-{commit}+{stem}{ext}"]
)
@pytest.mark.parametrize("name", ["foo.txt", "a.tar.gz", "x", "a-b_c.d"])
def test_templates_can_be_read_back(template, name):
    tagged = tag(name, COMMIT, HASH + "0" * 48, template)
    found = parse(tagged, template)
    assert found.commit == COMMIT
    assert tagged != name


@pytest.mark.parametrize(
    "bad", ["", "{stem}", "{stem}-{commit}-{hash}", "{stem}-{commit}{hash}", "{stem}{commit}-{hash}", "{stem}-{commit}-{hash}/{ext}", "{stem}-{commit}-{hash}-{date}",
            "{ext}-{stem}-{commit}-{hash}", "{stem}-{stem}-{commit}-{hash}", "{stem}-{commit}-{hash:1}", "{stem}-{commit}-{hash:99}{ext}"],
)  # fmt: skip
def test_templates_that_cannot_be_read_back_are_refused(bad):
    with pytest.raises(NamingError):
        check_template(bad)


@pytest.mark.parametrize("bad", ["", ".", "..", "/", "a/..", "./"])
def test_paths_without_a_name(bad):
    with pytest.raises(NamingError, match="no file name"):
        tag(bad, COMMIT, HASH)


@pytest.mark.parametrize("name", ["n" * 226 + ".txt", "ü" * 114])
def test_too_long_names_are_refused_with_the_numbers(name):
    with pytest.raises(NamingError, match=r"255.*shorten the name by"):
        tag(name, COMMIT, HASH)
    fits = tag("n" * 223 + ".txt", COMMIT, HASH)
    assert len(sidecar_name(fits)) <= 255


@pytest.mark.parametrize(
    "name",
    [
        "foo.txt",
        "foo-1a2b3c4.txt",
        "foo-1a2b3c4-44136fa35.txt",
        "-1a2b3c4-44136fa355.txt",
        "foo-1A2B3C4-44136fa355.txt",
        DEFAULT,
    ],
)
def test_other_names_are_no_tagged_ones(name):
    assert parse(name) is None


odd_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=("Cs",)) | st.sampled_from("\\.-\udc80\udcff\n {}"),
    min_size=1,
    max_size=30,
)
separators = st.sampled_from(["-", "_", ".", "+", " ", "--", "-run-", "é"])


@st.composite
def templates(draw):
    """Templates that `check_template` takes."""
    fields = draw(st.permutations(["{stem}", "{commit}", draw(st.sampled_from(["{hash}", "{hash:4}", "{hash:64}"]))]))
    made = draw(st.sampled_from(["", "x", "run_"])) + fields[0]
    for field in fields[1:]:
        made += draw(separators) + field
    if fields[-1] == "{commit}":
        made += draw(separators)
    return made + "{ext}"


@given(names | odd_names, commits, st.text("0123456789abcdef", min_size=64, max_size=64), templates())
def test_every_name_made_with_a_template_can_be_read_back_with_it(name, commit, digits, template):
    try:
        tagged = tag(name, commit, digits, template)
    except NamingError:
        reject()
    found = parse(tagged, template)
    assert found is not None
    assert found.commit == commit
    assert digits.startswith(found.hash)
    assert tag(tagged, commit, digits, template) == tagged
    if tagged != name:
        assert (found.stem, found.ext) == split(name)


@given(odd_names, commits, hashes)
def test_odd_names_are_read_back_or_refused(name, commit, digits):
    """Backslashes, bytes that are no UTF-8, braces and line ends are letters like others."""
    if name.startswith("\\\\") or name[1:3] == ":\\":
        return  # a path of Windows
    tagged = tagged_or_refused(name, commit, digits)
    found = parse(tagged)
    assert found is not None
    if tagged != name:
        assert found.requested == name
    assert tag(f"a folder/{name}/", commit, digits) == f"a folder/{tagged}/"


@given(odd_names)
def test_splitting_loses_nothing(name):
    stem, ext = split(name)
    assert stem + ext == name
    assert stem
    assert ext == "" or ext.startswith(".")


@pytest.mark.parametrize("name", ["a\0.txt", "a\ud800.txt", "\udfff"])
def test_names_that_no_file_can_have_are_refused(name):
    with pytest.raises(NamingError, match=r"null character|surrogate"):
        tag(name, COMMIT, HASH)


@pytest.mark.parametrize(
    "name", ["x-1a2b3c4-dirty-9f86d08-44136fa355.txt", "x-nogit-44136fa355", "x-1a2b3c4-dirty-44136fa355"]
)
def test_every_state_of_a_repository_can_be_read_back(name):
    found = parse(name)
    assert found.stem == "x"
    assert found.hash == "44136fa355"
    assert name == f"x-{found.commit}-{found.hash}{found.ext}"


def test_the_page_about_names_shows_what_is_done():
    """Every row of its table of examples is made by `tag`."""
    import re

    from tests.conftest import SOURCE

    rows = re.findall(
        r"^``(\S+)``(, dirty)?\s+``(\S+)``$", (SOURCE / "docs/formats/names.rst").read_text(), re.MULTILINE
    )
    assert len(rows) >= 7
    for name, dirty, tagged in rows:
        assert tag(name, "1a2b3c4-dirty-9f86d08" if dirty else COMMIT, "44136fa355b3678a") == tagged
