"""PDF: pages, information and earlier revisions stay; encrypted and signed documents are left alone."""

from __future__ import annotations

import io

import pikepdf
import pytest

from reprokit import embed
from reprokit.errors import EmbedError
from tests.embed.specimens import HASH, OTHER, TAG

TEXT = f"commit=1a2b3c4 config={HASH}"


def saved(data, **options):
    out = io.BytesIO()
    with pikepdf.open(io.BytesIO(data)) as pdf:
        change = options.pop("change", None)
        if change:
            change(pdf)
        pdf.save(out, deterministic_id="encryption" not in options, **options)
    return out.getvalue()


def drop_info(pdf):
    del pdf.trailer["/Info"]


def direct_info(pdf):
    pdf.trailer["/Info"] = pikepdf.Dictionary({"/Author": pikepdf.String("Ada \u00e4)(\\"), "/N": 3})


def content(path):
    with pikepdf.open(path, attempt_recovery=False) as pdf:
        assert not pdf.check_pdf_syntax()
        assert not pdf.get_warnings()
        pages = [(page.obj.unparse(resolved=True), page.Contents.read_bytes()) for page in pdf.pages]
        info = {k: str(v) for k, v in pdf.docinfo.items()} if "/Info" in pdf.trailer else {}
        objects = len(pdf.objects)
        return pages, info, pdf.trailer.Root.unparse(resolved=True), objects


KINDS = {
    "classic": {"object_stream_mode": pikepdf.ObjectStreamMode.disable},
    "streams": {"object_stream_mode": pikepdf.ObjectStreamMode.generate},
    "linear": {"linearize": True},
    "no-info": {"change": drop_info, "object_stream_mode": pikepdf.ObjectStreamMode.disable},
    "no-info-streams": {"change": drop_info, "object_stream_mode": pikepdf.ObjectStreamMode.generate},
    "direct-info": {"change": direct_info},
}


@pytest.mark.parametrize("kind", KINDS)
def test_pages_and_information_of_every_kind_stay(kind, samples, put):
    data = saved(samples["pdf"], **KINDS[kind])
    path, plain = put(data), put(data, "plain")
    assert embed.write(path, TAG)
    assert path.read_bytes().startswith(data)
    # 7.5.8.4: where the document has cross-reference streams, the update has one too.
    assert (b"/Type /XRef" in path.read_bytes()[len(data) :]) == (b"/Type /XRef" in data)
    before, after = content(plain), content(path)
    assert after[0] == before[0]
    assert after[1] == before[1] | {"/reprokit": TEXT}
    assert after[2] == before[2]
    with pikepdf.open(path) as pdf, pikepdf.open(plain) as old:
        if "/ID" in old.trailer:
            assert bytes(pdf.trailer.ID[0]) == bytes(old.trailer.ID[0])
            assert bytes(pdf.trailer.ID[1]) != bytes(old.trailer.ID[1])


@pytest.mark.parametrize("kind", KINDS)
def test_replacing_cuts_off_only_our_own_update(kind, samples, put):
    data = saved(samples["pdf"], **KINDS[kind])
    path, fresh = put(data), put(data, "fresh")
    embed.write(path, OTHER)
    embed.write(path, TAG)
    embed.write(fresh, TAG)
    assert path.read_bytes() == fresh.read_bytes()


def test_an_update_that_only_looks_like_ours_is_kept(samples, put):
    """Somebody else's revision behind our mark is content: it is never cut off."""
    path = put(samples["pdf"])
    embed.write(path, TAG)
    foreign = path.read_bytes().replace(b"/Author (Ada)", b"/Author (Eva)")
    assert foreign.count(b"(Eva)") == 2
    path.write_bytes(foreign[: len(samples["pdf"])].replace(b"Eva", b"Ada") + foreign[len(samples["pdf"]) :])
    kept = path.read_bytes()
    assert embed.write(path, OTHER)
    assert path.read_bytes().startswith(kept)
    assert embed.read(path) == OTHER
    assert content(path)[1]["/Author"] == "Eva"


def test_a_revision_after_ours_keeps_its_changes(samples, put):
    path = put(samples["pdf"])
    embed.write(path, TAG)
    path.write_bytes(path.read_bytes() + b"% somebody was here\n")
    kept = path.read_bytes()
    embed.write(path, OTHER)
    assert path.read_bytes().startswith(kept)
    assert embed.read(path) == OTHER


@pytest.mark.parametrize("kind", ["classic", "streams", "linear"])
def test_the_tag_is_found_after_another_program_saved_the_document(kind, samples, put):
    """Also inside a compressed object stream, without any library."""
    path = put(samples["pdf"])
    embed.write(path, TAG)
    again = saved(path.read_bytes(), **KINDS[kind])
    assert (b"/reprokit" in again) == (kind != "streams")
    assert embed.read(put(again)) == TAG


@pytest.mark.parametrize("owner_only", [True, False])
def test_encrypted_documents_are_left_alone(owner_only, samples, put):
    data = saved(samples["pdf"], encryption=pikepdf.Encryption(owner="o", user="" if owner_only else "u"))
    path = put(data)
    assert embed.write(path, TAG) is False
    assert path.read_bytes() == data


def test_signed_documents_are_left_alone(samples, put):
    def sign(pdf):
        pdf.Root.Perms = pikepdf.Dictionary(
            DocMDP=pdf.make_indirect(pikepdf.Dictionary(Type=pikepdf.Name.Sig, ByteRange=[0, 1, 2, 3], Contents=b"x"))
        )

    data = saved(samples["pdf"], change=sign, object_stream_mode=pikepdf.ObjectStreamMode.disable)
    path = put(data)
    assert embed.write(path, TAG) is False
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    "harm", [lambda d: d[:-300], lambda d: d.replace(b"\n0000", b"\n1111"), lambda d: d + b"%%EOF"[:2]]
)
def test_damaged_documents_are_named_or_tagged_but_never_repaired(harm, samples, put):
    data = harm(samples["pdf"])
    path = put(data)
    try:
        assert embed.write(path, TAG)
    except EmbedError:
        assert path.read_bytes() == data
    assert path.read_bytes().startswith(data)


def test_a_cut_document_is_refused(samples, put):
    with pytest.raises(EmbedError, match="PDF"):
        embed.write(put(samples["pdf"][:-300]), TAG)


def test_without_pikepdf_the_remedy_is_named(samples, put, monkeypatch):
    import sys

    from reprokit.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "pikepdf", None)
    path = put(samples["pdf"])
    with pytest.raises(MissingExtraError, match=r"reprokit\[embed\]"):
        embed.write(path, TAG)
    assert path.read_bytes() == samples["pdf"]
