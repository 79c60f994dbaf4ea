"""Unified diffs of the files that differ: first the lines that the function reaches, then the rest, within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reprokit.catalog.diff import lines, trees
from reprokit.catalog.diff.parts import LARGEST
from reprokit.catalog.diff.result import Patch
from reprokit.errors import GitError
from reprokit.model.text import printable

if TYPE_CHECKING:
    from reprokit.catalog.diff.lines import Change, Span
    from reprokit.catalog.diff.result import CodeShown
    from reprokit.catalog.diff.trees import Changed, File, Tree

_MOST = {"reached": 300, "rest": 120}  # lines that are shown unless more are asked for
_AHEAD = 50  # files that are read together

Spans = tuple[dict[str, list["Span"]], dict[str, list["Span"]]]


class Writer:
    """Writes the diffs of two trees.

    Parameters
    ----------
    spans
        The lines that the function reaches and that are not the same, by path, of both trees; None when it is not known.

    Attributes
    ----------
    rest : list of Changed
        Files that differ elsewhere than in those lines.
    """

    def __init__(
        self, a: Tree, b: Tree, changed: list[Changed], spans: Spans | None, shown: CodeShown, context: int
    ) -> None:
        self._a, self._b, self._changed, self._spans, self._context = a, b, changed, spans, context
        self._shown = shown
        self._held: dict[str, tuple[bytes | None, bytes | None]] = {}
        self.rest: list[Changed] = []

    def write(self) -> list[Patch]:
        """Give the diffs of what is reached, then those of the rest."""
        reached: list[Patch] = []
        rest: list[Patch] = []
        room = dict(_MOST)
        for number, one in enumerate(self._changed):
            if not self._has_reached(one.path) and not self._wants_rest(room):
                self.rest.append(one)  # its lines need not be read
                continue
            text = self._text(one, number)
            if isinstance(text, str):
                self.rest.append(one)
                self._add(rest, Patch(path=printable(one.path), reached=False, note=text), room, "rest")
                continue
            a, b, found = text
            inside = {change for change in found if self._is_reached(one.path, change)}
            if inside:
                self._add(reached, self._patch(one, a, b, found, inside, reached=True), room, "reached")
            outside = set(found) - inside
            if outside or not found:
                self.rest.append(one)
                self._add(rest, self._patch(one, a, b, found, outside, reached=False), room, "rest")
        return [*reached, *rest]

    def _has_reached(self, path: str) -> bool:
        return self._spans is not None and any(path in of for of in self._spans)

    def _wants_rest(self, room: dict[str, int]) -> bool:
        if self._shown == "short":
            return room["rest"] > 0
        return self._shown == "full" or (self._shown == "reached" and self._spans is None)

    def _is_reached(self, path: str, change: Change) -> bool:
        if self._spans is None:
            return False
        return any(lines.touches(span, spans.get(path, [])) for span, spans in zip(change, self._spans, strict=True))

    def _text(self, one: Changed, number: int) -> tuple[list[str], list[str], list[Change]] | str:
        """Give a file's lines in both trees and how they differ, or why they are not shown."""
        sizes = " -> ".join(f"{file.size:,} bytes" if file else "not there" for file in (one.a, one.b))
        files = [file for file in (one.a, one.b) if file is not None]
        if any(file.mode == trees.SUBMODULE for file in files):
            return "submodule " + " -> ".join(file.oid[:12] if file else "not there" for file in (one.a, one.b))
        if any(file.size > LARGEST for file in files):
            return f"too large to be shown, {sizes}"
        if one.path not in self._held:
            try:
                self._read(self._changed[number : number + _AHEAD])
            except GitError as error:
                return f"cannot be read: {error}"
        old, new = self._held[one.path]
        if old is None or new is None:
            return "cannot be read: the repository lacks its content"
        if lines.is_binary(old) or lines.is_binary(new):
            return f"binary, {sizes}"
        a, b = lines.split(old), lines.split(new)
        return a, b, lines.changes(a, b)

    def _read(self, some: list[Changed]) -> None:
        """Read files, these and no others, for one process reads many as fast as one."""
        some = [one for one in some if all(_is_shown(file) for file in (one.a, one.b) if file)]
        first = dict(trees.read(self._a, [one.path for one in some if one.a]))
        second = dict(trees.read(self._b, [one.path for one in some if one.b]))
        self._held = {one.path: (first.get(one.path, b""), second.get(one.path, b"")) for one in some}

    def _patch(
        self, one: Changed, a: list[str], b: list[str], found: list[Change], wanted: set[Change], *, reached: bool
    ) -> Patch:
        path = printable(one.path)
        told = lines.hunks(a, b, found, lambda change: change in wanted, self._context)
        heads = [
            f"--- {'a/' + path if one.a else '/dev/null'}",
            f"+++ {'b/' + path if one.b else '/dev/null'}",
        ]
        notes = []
        if one.a and one.b and one.a.mode != one.b.mode and not reached:
            notes.append(f"mode {one.a.mode:06o} -> {one.b.mode:06o}")
        if not told and not notes:
            notes.append("empty")
        return Patch(path=path, reached=reached, text="\n".join(heads + told) if told else "", note=", ".join(notes))

    def _add(self, made: list[Patch], patch: Patch, room: dict[str, int], kind: str) -> None:
        """Keep a diff, as far as there is room for its lines."""
        from msgspec.structs import replace

        if self._shown == "none" or (kind == "rest" and not self._wants_rest(room)):
            return
        if self._shown == "short" and patch.text:
            told = patch.text.split("\n")
            left = max(room[kind], 0)
            room[kind] -= len(told)
            if len(told) > left:
                patch = replace(
                    patch, text="\n".join(told[:left]) if left > 5 else "", more=len(told) - left * (left > 5)
                )
        made.append(patch)


def _is_shown(file: File) -> bool:
    return file.mode != trees.SUBMODULE and file.size <= LARGEST
