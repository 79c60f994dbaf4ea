"""The page: nothing in it but text that was escaped and pictures; nothing is fetched for it."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from reprokit.reproduce.compare import Tolerance, files
from reprokit.reproduce.compare.image import thumbnail
from reprokit.reproduce.report import html
from reprokit.reproduce.result import Line, Reproduction
from reprokit.reproduce.verdict import Verdict
from tests.reproduce.compared import write

HOSTILE = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "javascript:alert(1)",
    "a\u202egnp.exe\x00\x1b[31m",
    "</style><svg onload=alert(1)>",
    "&lt;script&gt;{title}%s",
]
TAGS = {
    "html",
    "head",
    "meta",
    "title",
    "style",
    "body",
    "h1",
    "h2",
    "h3",
    "p",
    "table",
    "tr",
    "th",
    "td",
    "ul",
    "li",
    "div",
    "figure",
    "figcaption",
    "img",
}


class Page(HTMLParser):
    """What a browser would see."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data):
        self.texts.append(data)


def checked(result):
    """Read a page, and hold it to what every page promises."""
    text = html(result)
    page = Page(text)
    assert set(page.tags) <= TAGS
    for name, value in page.attributes:
        assert not name.startswith("on")
        assert name not in ("href", "srcset", "background")
        if name == "src":
            assert value.startswith("data:image/")
    assert "@import" not in text
    assert not re.search(r"url\(", text)
    return page


@pytest.mark.parametrize("text", HOSTILE)
def test_every_text_is_shown_and_none_is_markup(text):
    result = Reproduction(
        run_id=text,
        new_run_id=text,
        what=text,
        lines=[Line(label=text, what=text, said=text, state="missing", remedy=text)],
        verdicts=[
            Verdict(
                name=text,
                outcome="differs",
                said=text,
                kind="folder",
                details={"parts": [{"name": text, "outcome": text, "said": text}]},
            )
        ],
        notes=[text],
        took=1.0,
        recorded_took=2.0,
    )
    page = checked(result)
    shown = "".join(page.texts)
    plain = re.sub(r"[\x00-\x1f\u202e]", "\N{REPLACEMENT CHARACTER}", text)
    assert shown.count(plain) >= 10


def test_pictures_stand_side_by_side_with_a_map(tmp_path):
    paths = []
    for name, shade in (("a.png", 10), ("b.png", 20)):
        Image.fromarray(np.full((8, 8), shade, np.uint8)).save(tmp_path / name)
        paths.append(tmp_path / name)
    svg = write(tmp_path / "a.svg", '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>')
    tiff = tmp_path / "a.tif"
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tiff)
    broken = write(tmp_path / "broken.png", b"\x89PNG\r\n\x1a\n<script>")
    pairs = {"plot.png": tuple(paths), "d.svg": (svg, svg), "t.tif": (tiff, None), "x.tif": (broken, None)}
    verdicts = [files(name, *pair, Tolerance()) for name, pair in pairs.items()]
    result = Reproduction(run_id="7f3a", what="plot", verdicts=verdicts, files=pairs)
    page = checked(result)
    sources = [value.partition(";")[0] for name, value in page.attributes if name == "src"]
    assert sources == ["data:image/png"] * 3 + ["data:image/svg+xml"] * 2 + ["data:image/png"] * 2
    assert "what differs, in red" in page.texts
    assert "NOT REPRODUCED" in page.texts


def test_large_pictures_are_shown_smaller_and_pages_have_an_end(tmp_path, monkeypatch):
    from reprokit.reproduce import report

    path = tmp_path / "a.png"
    Image.fromarray(np.arange(1800 * 40, dtype=np.uint8).reshape(40, 1800)).save(path)
    result = Reproduction(
        run_id="7f3a",
        what="plot",
        verdicts=[Verdict(name="a.png", outcome="identical", kind="image")],
        files={"a.png": (path, path)},
    )
    monkeypatch.setattr(report, "_AS_IT_IS", 100)
    small = thumbnail(path)
    assert Image.open(io.BytesIO(small)).size == (1600, 36)
    monkeypatch.setattr(report, "_ALL", len(small) * 3 // 2)
    page = checked(result)
    assert [tag for tag in page.tags if tag == "img"] == ["img"]
    assert "now: left out, for the page would be too large" in page.texts
    assert "REPRODUCED" in page.texts
