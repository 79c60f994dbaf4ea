"""PDF: pages with their drawing, fonts and pictures; times, identifiers and our tag don't count, who wrote it is told."""

from __future__ import annotations

import decimal
import os
import re
import zlib
from typing import TYPE_CHECKING, Any

from reprokit.embed import pdf_reading
from reprokit.embed.source import opened
from reprokit.reproduce.compare import binary
from reprokit.reproduce.compare.numbers import library
from reprokit.reproduce.compare.text import differing, near
from reprokit.reproduce.compare.words import (
    SAME,
    MissingLibraryError,
    UnreadableError,
    change,
    kept,
    plain,
    relative,
    short,
)
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_MOST = 2_000_000  # pairs of objects
_UNPACKED = 1 << 29  # bytes of all streams of both files
_LARGEST = 1 << 28  # bytes of a file that is compared without pikepdf
_UNSEEN = frozenset({"/CreationDate", "/ModDate", "/LastModified", "/ID", "/reprokit", "/Parent", "/Length", "/Filter"})
_TOLD = ("/Producer", "/Creator")
_SUBSET = re.compile(r"^/[A-Z]{6}\+")  # how the name of a subset of a font begins (ISO 32000-2, 9.9.2)
_TIMES = re.compile(
    rb"/(?:CreationDate|ModDate|LastModified)\s*(?:\([^)]{0,80}\)|<[0-9A-Fa-f\s]{0,160}>)|/ID\s*\[[^\]]{0,400}\]"
    rb"|<(xmp:\w*Date|pdf:Producer|xmpMM:\w*ID)>[^<]{0,200}</|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[-+]\d\d:\d\d)?"
)


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two documents."""
    try:
        pikepdf = library("pikepdf")
    except MissingLibraryError:
        return _masked(name, old, new)
    with pikepdf.open(old) as first, pikepdf.open(new) as second:
        return _Pair(pikepdf, tolerance).compare(name, first, second)


class _Pair:
    def __init__(self, pikepdf: Any, tolerance: Tolerance) -> None:
        self.pikepdf = pikepdf
        self.tolerance = tolerance
        self.left = _UNPACKED
        self.seen: set[tuple[Any, Any]] = set()
        self.first = ""
        self.near: tuple[float, float, str] | None = None

    def compare(self, name: str, old: Any, new: Any) -> Verdict:
        details: dict[str, Any] = {"pages": [len(old.pages), len(new.pages)]}
        if len(old.pages) != len(new.pages):
            said = f"{len(old.pages)} -> {len(new.pages)} pages"
            return Verdict(name=name, kind="pdf", outcome="differs", said=said, details=details)
        for number, (a, b) in enumerate(zip(old.pages, new.pages, strict=True), 1):
            self._walk(f"page {number}", a.obj, b.obj)
        infos = [one.trailer.get("/Info", {}) for one in (old, new)]
        for key in sorted({*infos[0].keys(), *infos[1].keys()} - _UNSEEN - {*_TOLD}):
            self._walk(key[1:], *(info.get(key) for info in infos))
        self._walk("document", old.Root, new.Root)
        notes = [
            f"{key[1:]} {change(*told)}"
            for key in _TOLD
            if len(set(told := [str(info.get(key, "")) for info in infos])) > 1
        ]
        if self.first:
            details["place"] = self.first.partition(":")[0]
            return self._verdict(name, "differs", self.first, notes, details)
        if self.near:
            details |= {"max_rel": kept(self.near[0]), "max_abs": kept(self.near[1])}
            return self._verdict(name, "within tolerance", f"{self.near[2]} ({relative(self.near[0])})", notes, details)
        return self._verdict(name, "identical", SAME.format("pages"), notes, details)

    def _verdict(self, name: str, outcome: Any, said: str, notes: list[str], details: dict[str, Any]) -> Verdict:
        return Verdict(name=name, kind="pdf", outcome=outcome, said="; ".join([said, *notes]), details=details)

    def _walk(self, path: str, old: Any, new: Any) -> None:
        """Compare two objects with all that they refer to, until something differs."""
        stack = [(path, old, new)]
        while stack and not self.first:
            path, a, b = stack.pop()
            kind = self._kind(a)
            if kind != self._kind(b):
                self.first = f"{path}: {_shown(a)} -> {_shown(b)}"
            elif kind == "":
                self._atom(path, a, b)
            elif not self._is_known(a, b):
                stack += reversed(self._within(path, kind, a, b))

    def _is_known(self, a: Any, b: Any) -> bool:
        if not (a.is_indirect and b.is_indirect):
            return False
        key = a.objgen, b.objgen
        if key in self.seen:
            return True
        self.seen.add(key)
        if len(self.seen) > _MOST:
            raise UnreadableError("it holds too many objects")
        return False

    def _within(self, path: str, kind: str, a: Any, b: Any) -> list[tuple[str, Any, Any]]:
        if kind == "array":
            if len(a) != len(b):
                self.first = f"{path}: {len(a)} -> {len(b)} items"
                return []
            return [(path if len(a) == 1 else f"{path}[{n}]", x, y) for n, (x, y) in enumerate(zip(a, b, strict=True))]
        keys = [set(one.keys()) - _UNSEEN for one in (a, b)]
        if keys[0] != keys[1]:
            gone, added = sorted(keys[0] - keys[1]), sorted(keys[1] - keys[0])
            self.first = f"{path}: {plain((gone or added)[0])} is {'missing' if gone else 'new'}"
            return []
        if kind == "stream":
            self._stream(path, a, b)
        return [(f"{path}{plain(key)}", a[key], b[key]) for key in sorted(keys[0])]

    def _stream(self, path: str, a: Any, b: Any) -> None:
        first, second = self._data(a), self._data(b)
        if first == second:
            return
        if str(a.get("/Type", "")) == "/Metadata":
            first, second = _TIMES.sub(b"", first), _TIMES.sub(b"", second)
        if first == second:
            return
        if "/Contents" in path or str(a.get("/Subtype", "")) == "/Form":
            self._drawing(path, first.decode("latin-1"), second.decode("latin-1"))
            return
        place = next(
            (n for n, (x, y) in enumerate(zip(first, second, strict=False)) if x != y), min(len(first), len(second))
        )
        self.first = f"{path}: data differ, first at byte {place:,} of {len(first):,}"

    def _drawing(self, path: str, old: str, new: str) -> None:
        lines = old.split("\n"), new.split("\n")
        if len(lines[0]) != len(lines[1]):
            self.first = f"{path}: {len(lines[0]):,} -> {len(lines[1]):,} lines of drawing"
            return
        for number, (a, b) in enumerate(zip(*lines, strict=True), 1):
            if a == b:
                continue
            found = differing(a, b, self.tolerance)
            told = f"{path}, line {number}: {short(a)} -> {short(b)}"
            if found.far:
                self.first = told
                return
            self.near = max(self.near or (0.0, 0.0, ""), (found.max_rel, found.max_abs, told))

    def _data(self, stream: Any) -> bytes:
        """Give what a stream holds: unpacked when it is packed the common way, else as it is."""
        raw = bytes(stream.read_raw_bytes())
        packed = stream.get("/Filter")
        names = [str(packed)] if self._kind(packed) == "" else [str(one) for one in packed]
        if names == ["/FlateDecode"]:
            unpacked = zlib.decompressobj().decompress(raw, self.left)
            self.left -= len(unpacked)
            if self.left <= 0:
                raise UnreadableError(f"it unpacks to more than {_UNPACKED:,} bytes")
            return unpacked
        return " ".join(names).encode() + raw

    def _kind(self, one: Any) -> str:
        if isinstance(one, self.pikepdf.Stream):
            return "stream"
        if isinstance(one, self.pikepdf.Dictionary):
            return "dictionary"
        return "array" if isinstance(one, self.pikepdf.Array) else ""

    def _atom(self, path: str, a: Any, b: Any) -> None:
        if isinstance(a, int | float | decimal.Decimal) and isinstance(b, int | float | decimal.Decimal):
            found = near(float(a), float(b), self.tolerance)
            if found is None:
                return
            told = f"{path}: {a} -> {b}"
            if found.far:
                self.first = told
            else:
                self.near = max(self.near or (0.0, 0.0, ""), (found.max_rel, found.max_abs, told))
            return
        first, second = (_SUBSET.sub("/", str(one)) for one in (a, b))
        if first != second or type(a) is not type(b):
            self.first = f"{path}: {change(first, second)}"


def _shown(one: Any) -> str:
    return "nothing" if one is None else plain(type(one).__name__.lower())


def _masked(name: str, old: Path, new: Path) -> Verdict:
    """Compare bytes without the library: times, identifiers and our tag left out."""
    why = "pikepdf is not installed, so only bytes were compared, without times and identifiers"
    if max(os.path.getsize(old), os.path.getsize(new)) <= _LARGEST:
        contents = [_TIMES.sub(b"", _untagged(path)) for path in (old, new)]
        if contents[0] == contents[1]:
            return Verdict(name=name, kind="pdf", outcome="identical", said=f"{SAME.format('content')}; {why}")
    found = binary.compare(name, old, new, "pdf")
    return Verdict(name=name, kind="pdf", outcome="differs", said=f"{found.said}; {why}", details=found.details)


def _untagged(path: Path) -> bytes:
    with opened(path) as source:
        update = pdf_reading.own_update(source) if source else None
        return source.upto(0, update[0] if update else source.size) if source else b""
