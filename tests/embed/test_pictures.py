"""PNG, JPEG and SVG: pixels and all else that they hold stay as they were."""

from __future__ import annotations

import io
import struct
import xml.dom.minidom
import xml.etree.ElementTree as ET
import zlib

import pytest
from PIL import Image

from reprokit import embed
from reprokit.errors import EmbedError
from tests.embed.specimens import HASH, OTHER, TAG

TEXT = f"commit=1a2b3c4 config={HASH}"


def picture(data):
    with Image.open(io.BytesIO(data)) as image:
        frames = []
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            frames.append((image.mode, image.size, image.tobytes(), dict(image.getexif())))
        return frames, image.info


def test_png_pixels_and_texts_stay_and_pillow_shows_the_tag(samples, put):
    path = put(samples["png"])
    embed.write(path, TAG)
    before, after = picture(samples["png"]), picture(path.read_bytes())
    assert after[0] == before[0]
    assert after[1] == before[1] | {"reprokit": TEXT}
    assert after[1]["Author"] == "Ada"


def test_png_differs_by_one_chunk_behind_the_header(samples, put):
    """8 bytes of signature, 25 of IHDR, then ours; everything else byte for byte."""
    path = put(samples["png"])
    embed.write(path, TAG)
    body = b"tEXtreprokit\0" + TEXT.encode()
    ours = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    assert path.read_bytes() == samples["png"][:33] + ours + samples["png"][33:]


@pytest.mark.parametrize("kind", ["apng", "palette", "sixteen", "interlaced"])
def test_png_of_every_kind(kind, put):
    out = io.BytesIO()
    image = Image.radial_gradient("L").resize((32, 32))
    if kind == "apng":
        frames = [image.rotate(90 * i) for i in range(3)]
        frames[0].save(out, "png", save_all=True, append_images=frames[1:], duration=40)
    elif kind == "palette":
        image.convert("RGB").quantize(7).save(out, "png", transparency=2)
    elif kind == "sixteen":
        image.convert("I;16").save(out, "png", dpi=(300, 300))
    else:
        out.write(_interlaced())
    path = put(out.getvalue())
    assert embed.write(path, TAG)
    before, after = picture(out.getvalue()), picture(path.read_bytes())
    assert after[0] == before[0]
    assert after[1] == before[1] | {"reprokit": TEXT}


def _interlaced():
    """An 8 by 8 grey picture by Adam7 (pillow reads it but writes none)."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    passes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
    rows = b"".join(b"\0" + bytes(range(w)) for w, h in passes for _ in range(h))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_png_tag_moved_by_another_program_is_found_and_replaced(samples, put):
    """Other programs may put it at the end, or write it as international text."""
    data = samples["png"]
    for body in (b"tEXtreprokit\0", b"iTXtreprokit\0\0\0\0\0"):
        body += TEXT.encode()
        moved = data[:-12] + struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body)) + data[-12:]
        path = put(moved)
        assert embed.read(path) == TAG
        embed.write(path, OTHER)
        assert embed.read(path) == OTHER
        assert b"1a2b3c4" not in path.read_bytes()


def test_what_stands_behind_the_end_of_a_png_stays(samples, put):
    path = put(samples["png"] + b"appended by a camera")
    embed.write(path, TAG)
    assert path.read_bytes().endswith(b"appended by a camera")


def test_signed_png_and_jpeg_are_left_alone(samples, put):
    """Content credentials (C2PA) sign the bytes; a multi-picture JPEG counts them."""
    body = b"caBX" + b"jumb"
    png = samples["png"][:33] + struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body)) + samples["png"][33:]
    jpegs = []
    for marker, data in ((b"\xff\xeb", b"JP\0\1jumbc2pa"), (b"\xff\xe2", b"MPF\0II*\0")):
        jpegs.append(samples["jpeg"][:2] + marker + struct.pack(">H", len(data) + 2) + data + samples["jpeg"][2:])
    for data in (png, *jpegs):
        path = put(data)
        assert embed.write(path, TAG) is False
        assert path.read_bytes() == data


def test_jpeg_pixels_exif_colours_and_comment_stay(samples, put):
    path = put(samples["jpeg"])
    embed.write(path, TAG)
    before, after = picture(samples["jpeg"]), picture(path.read_bytes())
    assert after == before
    assert after[0][0][3][0x010E] == "made in a test"
    assert after[1]["comment"] == b"the user's own"
    assert after[1]["icc_profile"] == b"colours" * 40


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}, {"restart_marker_rows": 1}]
)
def test_jpeg_differs_by_one_comment_that_pillow_shows(options, put):
    out = io.BytesIO()
    Image.radial_gradient("L").resize((48, 48)).convert("RGB").save(out, "jpeg", **options)
    path = put(out.getvalue())
    embed.write(path, TAG)
    data = path.read_bytes()
    ours = b"\xff\xfe" + struct.pack(">H", len(TEXT) + 11) + b"reprokit " + TEXT.encode()
    assert data.count(ours) == 1
    assert data.replace(ours, b"") == out.getvalue()
    assert data.startswith(b"\xff\xd8\xff\xe0")  # JFIF has to come first
    assert picture(data)[0] == picture(out.getvalue())[0]
    assert picture(data)[1]["comment"] == b"reprokit " + TEXT.encode()


@pytest.mark.parametrize(
    "head",
    [
        "",
        "\n \t",
        "<?xml version='1.0' encoding='UTF-8' standalone='no'?>\n",
        "<?xml version='1.0'?><!-- <svg> in a comment --><?xml-stylesheet href='a.css'?>\n",
        "<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' \"http://www.w3.org/a>b.dtd\">",
        "<!DOCTYPE svg [<!ENTITY a 'x]>'><!-- don't ]> --><?pi ]> ?>]>",
    ],
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_svg_of_every_encoding_and_prolog_keeps_its_document(head, codec, put):
    declared = head.replace("UTF-8", codec.removesuffix("-sig").removesuffix("-le").removesuffix("-be"))
    text = f'{declared}<svg xmlns="http://www.w3.org/2000/svg"><text>\u00e4 {"" if codec == "latin-1" else chr(0x1F600)}</text></svg>\n'
    data = text.encode(codec)
    if codec == "latin-1" and "encoding" not in head:
        data = text.replace("\u00e4", "a").encode()
    path = put(data)
    assert embed.write(path, TAG)
    assert embed.read(path) == TAG
    inserted = f"<?reprokit {TEXT}?>\n<svg"
    assert path.read_bytes().decode(codec).replace(inserted, "<svg") == data.decode(codec)
    if "!ENTITY" not in head and not codec.endswith(("le", "be")) and not head.startswith("\n"):
        assert ET.canonicalize(path.read_bytes().decode(codec), strip_text=False).replace(f"<?reprokit {TEXT}?>\n", "") == (
            ET.canonicalize(data.decode(codec))
        )  # fmt: skip


def test_svg_of_matplotlib_keeps_its_elements_and_shows_the_instruction(samples, put):
    path = put(samples["svg"])
    embed.write(path, TAG)
    assert ET.tostring(ET.fromstring(path.read_bytes())) == ET.tostring(ET.fromstring(samples["svg"]))
    nodes = [n for n in xml.dom.minidom.parse(str(path)).childNodes if n.nodeName == "reprokit"]
    assert [n.data for n in nodes] == [TEXT]


def test_svg_with_a_prefix_is_one_and_a_word_that_begins_alike_is_none(put):
    assert embed.write(put(b"<s:svg xmlns:s='http://www.w3.org/2000/svg'/>"), TAG)
    assert not embed.write(put(b"<svgx/>"), TAG)


@pytest.mark.parametrize("codec", ["utf-7", "iso-2022-jp", "utf-32", "no-such-encoding"])
def test_svg_in_encodings_that_ascii_does_not_fit_into_is_left_alone(codec, put):
    data = f"<?xml version='1.0' encoding='{codec}'?><svg/>".encode("utf-32" if codec == "utf-32" else "ascii")
    path = put(data)
    assert embed.write(path, TAG) is False
    assert path.read_bytes() == data


def test_a_png_that_ends_early_is_named_and_untouched(samples, put):
    path = put(samples["png"][:-5], "cut.png")
    with pytest.raises(EmbedError, match=r"cut\.png: it ends too early"):
        embed.write(path, TAG)
    assert path.read_bytes() == samples["png"][:-5]
