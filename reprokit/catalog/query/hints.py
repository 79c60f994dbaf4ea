"""Why nothing may have been found."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from reprokit.catalog.query import columns
from reprokit.catalog.query.parse import parse
from reprokit.catalog.query.tree import leaves
from reprokit.catalog.query.words import column_text

if TYPE_CHECKING:
    import sqlite3


def unknown_facts(db: sqlite3.Connection, expression: str) -> list[str]:
    """Name the facts of an expression that no run has, a sentence each, with what may have been meant."""
    asked = dict.fromkeys(leaf.column for leaf in leaves(parse(expression)) if columns.kind(leaf.column) == "fact")
    known = [name for (name,) in db.execute("SELECT name FROM names")]
    told = []
    for name in asked.keys() - set(known):
        near = difflib.get_close_matches(name, known, 1)
        meant = f"; did you mean {column_text(near[0])}?" if near else ""
        told.append(f"no run has {column_text(name)}{meant}")
    return sorted(told)
