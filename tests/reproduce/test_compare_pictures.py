"""Pictures, SVG and PDF."""

from __future__ import annotations

import io
import struct
import zlib

import matplotlib as mpl
import matplotlib.figure
import numpy as np
import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from reprokit import embed
from reprokit.reproduce.compare import Tolerance, files
from reprokit.reproduce.compare import image as of_image
from tests.reproduce.compared import outcomes, write

TAG = embed.Tag("1a2b3c4", "9f" * 32)
OTHER_TAG = embed.Tag("5d6e7f8", "0a" * 32)
RANDOM = np.random.default_rng(7)
MODES = {
    "1": RANDOM.integers(0, 2, (9, 13)).astype(bool),
    "L": RANDOM.integers(0, 250, (9, 13), np.uint8),
    "LA": RANDOM.integers(0, 250, (9, 13, 2), np.uint8),
    "RGB": RANDOM.integers(0, 250, (9, 13, 3), np.uint8),
    "RGBA": RANDOM.integers(0, 250, (9, 13, 4), np.uint8),
    "I;16": RANDOM.integers(0, 65000, (9, 13), np.uint16),
}


def png(path, array, mode=None, **options):
    Image.fromarray(array, mode).save(path, "PNG", **options)
    return path


def png16(path, array, level=6):
    """Write colours of 16 bits, which Pillow can't: ITU-T T.81... PNG, third edition, 11.2."""
    height, width, channels = array.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in array)
    kind = {2: 4, 3: 2, 4: 6}[channels]

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, level)) + chunk(b"IEND", b"")
    return write(path, b"\x89PNG\r\n\x1a\n" + body)


@pytest.mark.parametrize("mode", MODES)
def test_the_same_pixels_in_other_bytes_are_identical(tmp_path, mode):
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", "another")
    a = png(tmp_path / "a.png", MODES[mode])
    b = png(tmp_path / "b.png", MODES[mode], compress_level=1, pnginfo=info)
    embed.write(b, TAG)
    found = outcomes(a, b)
    assert (found.kind, found.outcome, found.said) == ("image", "identical", "same pixels, other bytes")
    assert found.details["mode"] == mode


@pytest.mark.parametrize("mode", MODES)
def test_a_pixel_that_differs_is_counted_and_placed(tmp_path, mode):
    other = MODES[mode].copy()
    other[4, 6] = ~other[4, 6] if mode == "1" else other[4, 6] + 3
    found = outcomes(png(tmp_path / "a.png", MODES[mode]), png(tmp_path / "b.png", other))
    top = 65535 if mode == "I;16" else 255
    apart = 255 if mode == "1" else 3
    assert (found.outcome, found.said) == ("differs", f"1 of 117 pixels differs, most by {apart} of {top}")
    assert (found.details["place"], found.details["max_abs"]) == ([6, 4], apart)


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(0, 20),
    apart=st.integers(1, 5),
    pixels=st.sampled_from([0.0, 0.1]),
    levels=st.sampled_from([0, 3]),
)
def test_pictures_are_within_tolerance_by_share_and_levels(tmp_path_factory, count, apart, pixels, levels):
    folder = tmp_path_factory.mktemp("p")
    a = np.zeros((10, 10), np.uint8)
    b = a.copy()
    b.reshape(-1)[:count] = apart
    found = outcomes(png(folder / "a.png", a), png(folder / "b.png", b), Tolerance(pixels=pixels, levels=levels))
    far = count if apart > levels else 0
    expected = (
        "identical" if not count else "within tolerance" if (pixels or levels) and far <= pixels * 100 else "differs"
    )
    assert found.outcome == expected
    assert found.details.get("count", 0) == count


@pytest.mark.parametrize("channels", [3, 4])
def test_colours_of_16_bits_are_compared_with_all_of_them(tmp_path, channels):
    """Pillow reads the upper 8 bits of each alone."""
    a = RANDOM.integers(0, 65000, (9, 13, channels), np.uint16)
    paths = png16(tmp_path / "a.png", a), png16(tmp_path / "b.png", a, 1)
    assert outcomes(*paths).outcome == "identical"
    b = a.copy()
    b[4, 6, 1] ^= 1
    found = outcomes(paths[0], png16(tmp_path / "c.png", b))
    assert (found.outcome, found.said) == ("differs", "1 of 117 pixels differs, most by 1 of 65535")
    grey = [png16(tmp_path / f"{n}.png", a[:, :, :2] ^ n) for n in (0, 1)]
    assert "with 8 only" in outcomes(*grey).said


def test_a_palette_is_what_it_shows(tmp_path):
    shown = Image.fromarray((MODES["L"] > 100).astype(np.uint8), "P")
    other = Image.fromarray((MODES["L"] <= 100).astype(np.uint8), "P")
    shown.putpalette([255, 0, 0, 0, 0, 255])
    other.putpalette([0, 0, 255, 255, 0, 0])
    shown.save(tmp_path / "a.png")
    other.save(tmp_path / "b.png")
    assert outcomes(tmp_path / "a.png", tmp_path / "b.png").outcome == "identical"
    other.save(tmp_path / "c.png", transparency=0)
    assert outcomes(tmp_path / "a.png", tmp_path / "c.png").outcome == "differs"
    shown.convert("RGB").save(tmp_path / "d.png")
    assert outcomes(tmp_path / "a.png", tmp_path / "d.png").said in ("mode P -> RGB", "mode RGB -> P")


def test_size_and_orientation(tmp_path):
    a = png(tmp_path / "a.png", MODES["L"])
    assert files("o", a, png(tmp_path / "b.png", MODES["L"].T.copy()), Tolerance()).said == "size 13 x 9 -> 9 x 13"
    turned = Image.Exif()
    turned[0x0112] = 6
    picture = Image.fromarray(MODES["RGB"])
    picture.save(tmp_path / "a.jpg")
    picture.save(tmp_path / "b.jpg", exif=turned)
    embed.write(tmp_path / "b.jpg", TAG)
    found = outcomes(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert (found.kind, found.outcome) == ("image", "identical")


def animated(path, frames, **options):
    pictures = [Image.fromarray(one) for one in frames]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], loop=0, **options)
    return path


@pytest.mark.parametrize("suffix", ["gif", "png", "webp"])
def test_every_frame_counts(tmp_path, suffix):
    frames = [np.full((8, 8, 3), n, np.uint8) for n in (0, 100, 200)]
    options = {"lossless": True} if suffix == "webp" else {}
    a = animated(tmp_path / f"a.{suffix}", frames, duration=100, **options)
    frames[2] = frames[2].copy()
    frames[2][1, 2] = 50
    found = outcomes(a, animated(tmp_path / f"b.{suffix}", frames, duration=100, **options))
    assert (found.outcome, found.said) == ("differs", "1 of 192 pixels differs, most by 150 of 255, first in frame 3")
    assert files("o", a, animated(tmp_path / f"c.{suffix}", frames[:2], duration=100, **options), Tolerance()).said == (
        "frames 3 -> 2"
    )


def test_floating_point_tiffs(tmp_path):
    a = np.array([[0.5, np.nan], [1e30, 2.0]], np.float32)
    b = a.copy()
    b[0, 0] = 0.75
    for name, array in (("a.tif", a), ("b.tif", b)):
        Image.fromarray(array).save(tmp_path / name)
    assert outcomes(tmp_path / "a.tif", tmp_path / "b.tif").said == "1 of 4 pixels differs, most by 0.25"


def test_wide_portable_pixmaps_and_pages_of_tiffs(tmp_path):
    head = b"P6 1 1 65535\n"
    a, b = write(tmp_path / "a.ppm", head + b"\1\2" * 3), write(tmp_path / "b.ppm", head + b"\1\3" * 3)
    assert outcomes(a, b).outcome == "differs"
    pages = [Image.fromarray(np.full((4, 4), n, np.uint16)) for n in (1, 2)]
    other = Image.fromarray(np.full((4, 4), 3, np.uint16))
    for name, last in (
        ("a.tif", pages[1]),
        ("b.tif", other),
        ("c.tif", Image.new("L", (4, 4))),
        ("d.tif", Image.new("I;16", (9, 9))),
    ):
        pages[0].save(tmp_path / name, save_all=True, append_images=[last])
    said = "16 of 32 pixels differ, most by 1 of 65535, first in frame 2"
    assert outcomes(tmp_path / "a.tif", tmp_path / "b.tif").said == said
    for name in ("c.tif", "d.tif"):
        assert outcomes(tmp_path / "a.tif", tmp_path / name).said == "frame 2 has another form"


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    a, b = png(tmp_path / "a.png", MODES["L"]), png(tmp_path / "b.png", MODES["L"] + 1)
    assert "13 x 9 pixels are more than the 100" in outcomes(a, b).said


def test_no_other_program_draws_a_picture(tmp_path):
    """Pillow hands EPS to Ghostscript."""
    a, b = (write(tmp_path / f"{n}.eps", f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{n}\n") for n in (1, 2))
    assert outcomes(a, b).kind == "text"


def test_the_map_shows_where(tmp_path):
    a = np.full((300, 500), 200, np.uint8)
    b = a.copy()
    b[17, 33] = 0
    paths = png(tmp_path / "a.png", a), png(tmp_path / "b.png", b)
    for most, step in ((1600, 1), (100, 5)):
        drawn = np.asarray(Image.open(io.BytesIO(of_image.difference_map(*paths, most=most)))).astype(int)
        red = (drawn[:, :, 0] - drawn[:, :, 1]) > 50
        assert drawn.shape == (300 // step, 500 // step, 3)
        assert np.argwhere(red).tolist() == [[17 // step, 33 // step]]
    assert of_image.difference_map(paths[0], png(tmp_path / "c.png", a[:5])) is None


def figure(path, *, salt=None, shift=0.0, **metadata):
    with mpl.rc_context({"svg.hashsalt": salt}):
        drawn = mpl.figure.Figure(figsize=(3, 2))
        axes = drawn.subplots()
        axes.plot([1, 2, 3], [1, 4 + shift, 9])
        axes.fill_between([1, 2, 3], [1, 4, 9], hatch="/")
        axes.set_title("CO2")
        drawn.savefig(path, metadata=metadata or None)
    return path


def test_a_drawing_is_the_same_whatever_its_ids_and_times(tmp_path):
    a = figure(tmp_path / "a.svg", salt="one", Date="2026-01-01")
    b = figure(tmp_path / "b.svg", salt="two", Date="2026-01-02")
    embed.write(b, TAG)
    found = outcomes(a, b)
    assert (found.kind, found.outcome, found.said) == ("svg", "identical", "same drawing, other bytes")
    other = figure(tmp_path / "c.svg", salt="one", shift=1e-3)
    assert outcomes(a, other).said.startswith("svg/g/g/")
    assert outcomes(a, other, Tolerance(atol=0.1)).outcome == "within tolerance"
    by_another = write(tmp_path / "d.svg", a.read_text().replace("Matplotlib v", "Matplotlib w"))
    assert outcomes(a, by_another).outcome == "identical"
    assert "made by" in outcomes(a, by_another).said


SVG = '<svg xmlns="http://www.w3.org/2000/svg"><g id="{0}"><use href="#{0}"/><path fill="url(#{1})" d="M 0 {2}"/></g>{3}</svg>'


@pytest.mark.parametrize(
    ("a", "b", "outcome"),
    [
        (SVG.format("a", "a", 1, ""), SVG.format("b", "b", 1, "<!-- other -->"), "identical"),
        (SVG.format("a", "a", 1, ""), SVG.format("b", "a", 1, ""), "differs"),
        (SVG.format("a", "a", 1, ""), SVG.format("a", "a", 2, ""), "differs"),
        (SVG.format("a", "a", 1, "<title>x</title>"), SVG.format("a", "a", 1, "<title>y</title>"), "differs"),
        (SVG.format("a", "a", 1, ""), SVG.format("a", "a", 1, "<g/>"), "differs"),
        (SVG.format("fff", "fff", 1, '<g fill="#fff"/>'), SVG.format("eee", "eee", 1, '<g fill="#eee"/>'), "differs"),
        (
            SVG.format("a", "a", 1, "<style>#a {x: #a}</style>"),
            SVG.format("b", "b", 1, "<style>#b {x: #a}</style>"),
            "identical",
        ),
        (SVG.format("a", "a", 1, ""), "<?xml-stylesheet href='x'?>" + SVG.format("a", "a", 1, ""), "differs"),
    ],
)
def test_ids_are_renamed_consistently_and_nothing_else_is(tmp_path, a, b, outcome):
    found = outcomes(write(tmp_path / "a.svg", a), write(tmp_path / "b.svg", b))
    assert (found.kind, found.outcome) == ("svg", outcome)


def test_entities_are_not_expanded(tmp_path):
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE svg [<!ENTITY l0 "ha">{laughs}]><svg xmlns="http://www.w3.org/2000/svg">&l9;</svg>'
    found = outcomes(write(tmp_path / "a.svg", bomb), write(tmp_path / "b.svg", f"{bomb}\n"))
    assert "it declares entities" in found.said


def test_pages_are_the_same_whatever_times_identifiers_and_tags(tmp_path):
    a, b = (figure(tmp_path / name, CreationDate=when) for name, when in (("a.pdf", None), ("b.pdf", None)))
    with pikepdf.open(b, allow_overwriting_input=True) as pdf:
        pdf.docinfo["/CreationDate"] = "D:20260101"
        pdf.docinfo["/Producer"] = "another"
        pdf.save(b, object_stream_mode=pikepdf.ObjectStreamMode.generate, recompress_flate=True)
    embed.write(b, TAG)
    found = outcomes(a, b)
    assert (found.kind, found.outcome) == ("pdf", "identical")
    assert found.said.startswith("same pages, other bytes; Producer ")
    other = figure(tmp_path / "c.pdf", shift=1e-3)
    assert "page 1/Contents, line " in outcomes(a, other).said
    assert outcomes(a, other, Tolerance(atol=0.1)).outcome == "within tolerance"
    assert outcomes(a, other, Tolerance(atol=1e-6)).outcome == "differs"
    with pikepdf.open(a) as pdf:
        pdf.pages.append(pdf.pages[0])
        pdf.save(tmp_path / "two.pdf")
    assert files("o", a, tmp_path / "two.pdf", Tolerance()).said == "1 -> 2 pages"
    with pikepdf.open(a) as pdf:
        pdf.pages[0].MediaBox[2] = 99
        pdf.save(tmp_path / "box.pdf")
    assert outcomes(a, tmp_path / "box.pdf").said.startswith("page 1/MediaBox[2]: ")


def test_without_the_library_times_identifiers_and_tags_of_a_pdf_are_left_out(tmp_path, monkeypatch):
    from reprokit.reproduce.compare import pdf as of_pdf
    from reprokit.reproduce.compare.words import MissingLibraryError

    a = figure(tmp_path / "a.pdf")
    b = write(tmp_path / "b.pdf", a.read_bytes())
    embed.write(a, TAG)
    embed.write(b, OTHER_TAG)

    def missing(name):
        raise MissingLibraryError(name)

    monkeypatch.setattr(of_pdf, "library", missing)
    found = outcomes(a, b)
    assert found.outcome == "identical"
    assert "pikepdf is not installed" in found.said
    assert outcomes(a, figure(tmp_path / "c.pdf", shift=1)).outcome == "differs"
