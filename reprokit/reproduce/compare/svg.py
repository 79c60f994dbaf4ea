"""SVG: elements, attributes and text.  Times, comments, our tag and how generated ids are called don't count."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.parsers import expat

from reprokit.embed.tag import KEY
from reprokit.reproduce.compare.text import differing
from reprokit.reproduce.compare.words import SAME, UnreadableError, alike, change, kept, plain, relative
from reprokit.reproduce.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_LARGEST = 1 << 27  # bytes
_REFERENCE = re.compile(r"""(?<=url\(#)[\w.:-]+|(?<=url\(["']#)[\w.:-]+""")
_SELECTOR = re.compile(r"(?<=#)[\w.:-]+(?=[^;{}#]*\{)")  # in a style sheet; elsewhere #fff is a colour


class _Event(NamedTuple):
    """The begin of an element, its end, or text in it."""

    kind: str  # "<", ">", "text"
    name: str
    attributes: dict[str, str]


class _Drawing(NamedTuple):
    events: list[_Event]
    notes: list[str]  # who made it


def compare(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare two drawings."""
    first, second = _read(old), _read(new)
    notes = [f"made by {change(first.notes, second.notes)}"] if first.notes != second.notes else []
    if first.notes != second.notes and len(first.notes) == len(second.notes) == 1:
        notes = [f"made by {change(first.notes[0], second.notes[0])}"]
    path: list[str] = []
    worst: tuple[float, float, str] | None = None
    outcome: Outcome = "identical"
    said = SAME.format("drawing")
    details: dict[str, Any] = {}
    for a, b in zip(first.events, second.events, strict=False):
        if a.kind == "<":
            path.append(a.name)
        place = "/".join(path)
        if a.kind == ">":
            path.pop()
        if a == b:
            continue
        found = _unlike(place, a, b, tolerance)
        if found[0] is None:
            continue
        if found[0]:
            outcome, said, details = "differs", found[3], {"place": place}
            break
        worst = max(worst or (0.0, 0.0, ""), found[1:])
    else:
        if len(first.events) != len(second.events):
            outcome, said = "differs", f"{len(first.events):,} -> {len(second.events):,} parts"
        elif worst:
            outcome, said = "within tolerance", f"{worst[2]} ({relative(worst[0])})"
            details = {"max_rel": kept(worst[0]), "max_abs": kept(worst[1])}
    return Verdict(name=name, kind="svg", outcome=outcome, said="; ".join([said, *notes]), details=details)


def _unlike(place: str, a: _Event, b: _Event, tolerance: Tolerance) -> tuple[bool | None, float, float, str]:
    """Give whether two events are too far apart (None: not apart), how far in relation and in all, and a sentence."""
    if (a.kind, a.name if a.kind != "text" else "") != (b.kind, b.name if b.kind != "text" else ""):
        return True, 0.0, 0.0, f"{place}: {_shown(a)} -> {_shown(b)}"
    pairs = {"": (a.name, b.name)} if a.kind == "text" else {
        key: (a.attributes.get(key), b.attributes.get(key)) for key in {**a.attributes, **b.attributes}
    }  # fmt: skip
    largest: tuple[bool | None, float, float, str] = (None, 0.0, 0.0, "")
    for key, (x, y) in pairs.items():
        if x == y:
            continue
        told = f"{place}{f'@{key}' if key else ''}: {_around(x, y)}"
        if x is None or y is None:
            return True, 0.0, 0.0, told
        found = differing(x, y, tolerance)
        if found.far:
            return True, 0.0, 0.0, told
        if largest[0] is None or found.max_rel > largest[1]:
            largest = False, found.max_rel, found.max_abs, told
    return largest


def _around(x: str | None, y: str | None) -> str:
    """Show two texts from shortly before where they differ."""
    if x is None or y is None:
        return change(x, y)
    at = alike(x, y)
    start = max(0, x.rfind(" ", 0, at) + 1) if at > 30 else 0
    return change(x[start:], y[start:])


def _shown(event: _Event) -> str:
    return {"<": f"<{event.name}>", ">": f"the end of {event.name}"}.get(event.kind, f"text {plain(event.name)[:40]!r}")


def _read(path: Path) -> _Drawing:
    """Read a drawing; entities are neither expanded nor fetched.

    Raises
    ------
    UnreadableError
        When it declares entities, or is too large.
    """
    if os.path.getsize(path) > _LARGEST:
        raise UnreadableError(f"it has more than {_LARGEST:,} bytes")
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.ProcessingInstructionHandler = reader.instruction
    parser.EntityDeclHandler = reader.entity
    with open(path, "rb") as stream:
        parser.ParseFile(stream)
    return _Drawing(_renamed(reader.events, reader.ids), reader.notes)


class _Reader:
    def __init__(self) -> None:
        self.events: list[_Event] = []
        self.ids: dict[str, str] = {}
        self.notes: list[str] = []
        self._path: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition("}")[2]
        self._path.append(name)
        if "id" in attributes:
            self.ids.setdefault(attributes["id"], f"id{len(self.ids) + 1}")
        self.events.append(_Event("<", name, attributes))

    def end(self, name: str) -> None:
        self._path.pop()
        self.events.append(_Event(">", name.rpartition("}")[2], {}))

    def text(self, data: str) -> None:
        told = " ".join(data.split())
        if not told or ("metadata" in self._path and self._path[-1] == "date"):
            return
        if "metadata" in self._path and "creator" in self._path:
            self.notes.append(told)
        else:
            self.events.append(_Event("text", told, {}))

    def instruction(self, target: str, data: str) -> None:
        if target != KEY.decode():
            self.events.append(_Event("text", f"{target} {data}", {}))

    def entity(self, *_: Any) -> None:
        raise UnreadableError("it declares entities, which are not expanded")


def _renamed(events: list[_Event], ids: dict[str, str]) -> list[_Event]:
    """Call ids by their order, wherever they are named."""

    def reference(found: re.Match[str]) -> str:
        return ids.get(found[0], found[0])

    def renamed(key: str, value: str) -> str:
        if key == "id":
            return ids[value]
        if key.endswith("href") and value.startswith("#"):
            return f"#{ids.get(value[1:], value[1:])}"
        return _REFERENCE.sub(reference, value) if "#" in value else value

    made = []
    for event in events:
        if event.kind == "text":
            told = _REFERENCE.sub(reference, _SELECTOR.sub(reference, event.name)) if "#" in event.name else event.name
            made.append(_Event("text", told, {}))
            continue
        attributes = {key: renamed(key, value) for key, value in event.attributes.items()}
        made.append(_Event(event.kind, event.name, attributes) if attributes else event)
    return made
