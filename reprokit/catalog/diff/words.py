"""The rows of a comparison in words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reprokit.catalog.diff.files import short

if TYPE_CHECKING:
    from reprokit.catalog.diff.result import Row, Side

_LONGEST = 70  # characters of a value


def lead(side: Side) -> str:
    """Say which run it is."""
    if not side.run_id:
        return f"{side.folder}  (its record cannot be read)"
    child = "  child run" if side.child else ""
    started = (side.started or "").replace("T", " ")[:19]
    return f"{side.run_id[:8]}  {side.what}  {side.status}  {started}  {side.commit or 'no commit'}{child}"


def value(told: Any) -> str:
    """Give a recorded value in one short line."""
    if isinstance(told, str) and told.startswith("sha256:"):
        return short(told) or ""
    text = repr(told) if isinstance(told, float) else json.dumps(told, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def facts(row: Row) -> str:
    """Say what a row says: ``model.lr: 0.1 -> 0.01``."""
    note = f"  ({row.note})" if row.note else ""
    if row.kind == "same":
        return f"{row.name}: {value(row.a)}, the same{note}"
    if row.kind == "unknown":
        return f"{row.name}: cannot be known{note}"
    if row.kind == "moved":
        return f"{row.a} -> {row.b}{note}"
    if row.kind == "added":
        return f"{row.name}: only in B{_of(row.b)}{note}"
    if row.kind == "removed":
        return f"{row.name}: only in A{_of(row.a)}{note}"
    return f"{row.name}: {value(row.a)} -> {value(row.b)}{note}" if row.a != row.b else f"{row.name}{note}"


def _of(told: Any) -> str:
    return "" if told is None else f": {value(told)}"
