"""Asking the index for runs."""

from __future__ import annotations

import time
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from reprokit.catalog.query import moments, order, plan
from reprokit.catalog.query.moments import Moment, Span
from reprokit.catalog.query.parse import parse
from reprokit.catalog.query.rows import SELECTED, Row
from reprokit.catalog.query.run_list import RunList
from reprokit.catalog.query.tree import Compare, In, Like, Node, Or, all_of, leaves
from reprokit.errors import QueryError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from reprokit.catalog.index import Index

Time = str | date | timedelta  # a datetime is a date


def runs(
    index: Index,
    *,
    where: str | None = None,
    function: str | None = None,
    status: str | Sequence[str] | None = None,
    commit: str | None = None,
    since: Time | None = None,
    until: Time | None = None,
    tag: str | Sequence[str] | None = None,
    sort: str | Sequence[str] | None = None,
    limit: int | None = None,
    children: bool = False,
    repetitions: bool = False,
    reused: bool = False,
) -> RunList:
    """List the runs for which all of these conditions hold.

    Parameters
    ----------
    index : Index
    where : str, optional
        An expression, as in ``config.lr < 0.1 and value.rmse < 3`` (see :doc:`queries`).
    function : str, optional
        A function's name, with or without its module; or a pattern (``plot*``) for that, or for command lines.
    status : str or sequence of str, optional
        One of these.
    commit : str, optional
        The beginning of the commit.
    since, until : str, datetime, date or timedelta, optional
        When they began: ``2026-11-01``, ``"2026-11-01 12:00"``, ``yesterday``; ``2h`` or a timedelta: that long ago.  A
        day as `until` counts whole.
    tag : str or sequence of str, optional
        Tags that they all have.
    sort : str or sequence of str, optional
        Columns, the most important first; with a hyphen before, the largest first.  By default ``-started``.
    limit : int, optional
        At most so many.
    children : bool
        Child runs as well.
    repetitions : bool
        Runs that repeat others as well.  An expression that names ``reproduction_of`` includes them anyway.
    reused : bool
        Only runs whose result was used again, child runs among them; those that saved most first, unless `sort` says
        otherwise.

    Raises
    ------
    QueryError
        With the place where an expression, a time, a status or a column is wrong.
    """
    if limit is not None and limit < 0:
        raise QueryError(str(limit), 0, "a limit is not negative")
    told: list[Node] = []
    if where is not None:
        told.append(parse(where))
        repetitions = repetitions or any(leaf.column == "reproduction_of" for leaf in leaves(told[0]))
    if function is not None:
        told.append(_function(function))
    if status is not None:
        told.append(In("status", tuple(_status(one) for one in _several(status))))
    if commit is not None:
        told.append(Compare("commit", "=", _text(commit)))
    if since is not None:
        told.append(Compare("started", ">=", _time(since)))
    if until is not None:
        told.append(Compare("started", "<=", _time(until)))
    if tag is not None:
        told.extend(Compare("tag", "=", _text(one)) for one in _several(tag))
    if reused:
        told.append(Compare("reused", ">", 0))
        children = True
    how = order.read(sort or ("-saved" if reused else None))
    return RunList(index, _rows(index.db, all_of(told), how, limit, children=children, repetitions=repetitions))


def with_children(index: Index, found: RunList, most: int) -> tuple[RunList, list[int], list[int]]:
    """Put below each root run of a list its first `most` child runs.

    Returns
    -------
    tuple
        The longer list, how deep each run of it lies, and how many child runs of each were left out.
    """
    selected = (
        f"SELECT {SELECTED} FROM runs r WHERE r.root = ? AND r.parent_id IS NOT NULL ORDER BY r.started, r.id LIMIT ?"  # noqa: S608
    )
    rows: list[Row] = []
    depths: list[int] = []
    left: list[int] = []
    for root in found.rows:
        below: dict[str | None, list[Row]] = {}
        listed = [Row(*told) for told in index.db.execute(selected, (root.row, most))]
        ids = {row.run_id for row in listed}
        for row in listed:
            below.setdefault(row.parent_id if row.parent_id in ids else root.run_id, []).append(row)
        waiting = [(root, 0)]
        while waiting:
            row, depth = waiting.pop()
            rows.append(row)
            depths.append(depth)
            left.append(0)
            waiting += [(child, depth + 1) for child in reversed(below.pop(row.run_id, []))]
        left[-1] = max(0, root.children - len(listed)) if root.parent_id is None else 0
    return RunList(index, rows), depths, left


def _rows(
    db: sqlite3.Connection,
    node: Node | None,
    how: order.Order,
    limit: int | None,
    *,
    children: bool,
    repetitions: bool,
) -> list[Row]:
    """Read rows, all of one state of the index: another process may write meanwhile."""
    own = not db.in_transaction
    if own:
        db.execute("BEGIN")
    try:
        ids = plan.answer(db, node, how, limit, children, time.time(), repetitions)
        # Nested loops keep the order of the array.
        selected = f"SELECT {SELECTED} FROM json_each(?) j CROSS JOIN runs r ON r.id = j.value"  # noqa: S608
        return list(map(Row._make, db.execute(selected, (msgspec.json.encode(ids).decode(),))))
    finally:
        if own:
            db.execute("COMMIT")


def _function(name: str) -> Node:
    name = _text(name)
    if any(sign in name for sign in "*?["):
        return Or((Like("function", name), Like("what", name)))
    return Compare("function", "=", name)


def _several(told: str | Sequence[str]) -> list[str]:
    return [told] if isinstance(told, str) else list(told)


def _status(told: str) -> str:
    from reprokit.catalog.query import columns

    wrong = columns.unknown_word("status", told)
    if wrong:
        raise QueryError(told, 0, wrong)
    return told


def _text(told: str) -> str:
    """Give a text that a database can compare with."""
    from reprokit.catalog.query.words import UNTOLD

    odd = UNTOLD.search(told)
    if odd:
        raise QueryError(told, odd.start(), "a character that no text in the index can have")
    return told


def _time(told: Time) -> Moment | Span:
    if isinstance(told, timedelta):
        return Span(told.total_seconds())
    if isinstance(told, date):
        return Moment(told.isoformat() if isinstance(told, datetime) else f"{told:%Y-%m-%d}")
    try:
        return moments.read(told)
    except ValueError as error:
        raise QueryError(told, 0, str(error)) from error
