"""What can be asked about a run: its columns, and the facts below ``config.``, ``value.``, ``arg.`` and ``series.``."""

from __future__ import annotations

import difflib
from typing import Literal, get_args

from reprokit.model.records import Kind as RunKind
from reprokit.model.records import Status

Kind = Literal["text", "number", "truth", "time", "many", "fact"]

ROOTS = ("config", "value", "arg", "series")
KINDS: dict[str, Kind] = {
    "id": "text",
    "function": "text",
    "what": "text",
    "kind": "text",
    "status": "text",
    "commit": "text",
    "dirty": "truth",
    "config_hash": "text",
    "started": "time",
    "duration": "number",
    "host": "text",
    "user": "text",
    "python": "text",
    "folder": "text",
    "children": "number",
    "tag": "many",
    "note": "many",
    "artifact": "many",
    "input": "many",
    "reproduced": "many",
    "reproduction_of": "text",
    "reused": "number",
    "reused_at": "time",
    "saved": "number",
    "reused_from": "text",
}
BEGINNINGS = frozenset(
    {"id", "commit", "config_hash", "reproduction_of", "reused_from"}
)  # equal to what they begin with, as people type them
WORDS: dict[str, tuple[str, ...]] = {"status": get_args(Status), "kind": get_args(RunKind)}  # columns of few values
COMMIT = 7  # digits of a commit in records


def kind(column: str) -> Kind | None:
    """Say what a column holds; None when there is no such column."""
    root, dot, _ = column.partition(".")
    if dot:
        return "fact" if root in ROOTS else None
    return KINDS.get(column)


def unknown(column: str) -> str:
    """Say in words that there is no such column, and which one may have been meant."""
    root, dot, key = column.partition(".")
    if root in ROOTS:
        return f"{root} needs a key, as in {root}.lr"
    if dot:
        near = difflib.get_close_matches(root, ROOTS, 1)
        meant = f"; did you mean {near[0]}.{key}?" if near else f"; before the dot stands one of {', '.join(ROOTS)}"
    else:
        near = difflib.get_close_matches(column, KINDS, 1)
        meant = (
            f"; did you mean {near[0]}?" if near else f"; facts of a run are written config.{column}, value.{column}"
        )
    return f"unknown column {column!r}{meant}"


def unknown_word(column: str, text: str) -> str | None:
    """Say what is wrong with a text that this column never holds; None when it may hold it."""
    allowed = WORDS.get(column)
    if allowed is None or text in allowed:
        return None
    near = difflib.get_close_matches(text, allowed, 1)
    return f"no {column} {text!r}; " + (f"did you mean {near[0]!r}?" if near else f"it is one of {', '.join(allowed)}")
