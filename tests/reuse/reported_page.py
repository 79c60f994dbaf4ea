"""Writes ``docs/reported-cases.rst`` from the cases: ``python -m tests.reuse.reported_page``."""

from __future__ import annotations

import re
import sys

from tests.conftest import SOURCE
from tests.reuse import reported_cases

PAGE = SOURCE / "docs" / "reported-cases.rst"
THEMES = {
    "A": "The code: what changed, or was never followed",
    "B": "Needless misses: nothing that matters changed",
    "C": "Arguments",
    "D": "Files that are read and written",
    "E": "Values that come back",
    "F": "Processes, crashes, full disks",
    "G": "The world outside",
    "H": "Attacks",
}
BEFORE = """\
What users of other caches reported
===================================

A cache that gives an old answer is worse than none.  This page lists what users of other caches reported, {reports} reports in {cases}
cases, and what reprokit does in the same place (:doc:`reuse`).  Each case is replayed by the tests, in a project of its own and with a
new process for each session, once with results used again and once without: what the two give must be the same
(``tests/reuse/reported``; the ids below are those of the tests).  A report is about the version of its day, and may long be mended there.
"""
ATTACKS = """\
Nobody reported these.  They are what one would try who wants an old answer from a cache that goes by the code that a function
reaches.
"""
MENDED = """\
Known, and to be mended
-----------------------

In these cases an old answer can be given, and should not be:

"""
LIMITS = """\
Limits
------

In these cases an answer can differ from what a new computation gives, and that is how it is meant:

"""
AFTER = """
Beyond these, `Artifact` and `cache` take ``depends=`` for what no reader of the source can see, and `why` says what counted.
"""


def page(cases):
    """Give the page's text."""
    reports = {one for case in cases for one in case.reports}
    told = [case for case in cases if not case.marks & {"limit", "bug"}]
    parts = [BEFORE.format(reports=len(reports), cases=sum(case.id[0] != "H" for case in cases))]
    for letter, title in THEMES.items():
        rows = [case for case in told if case.id[0] == letter]
        reported = letter != "H"
        parts.append(f"{title}\n{'-' * len(title)}\n" + ("" if reported else f"\n{ATTACKS}"))
        parts.append(_table(rows, reported=reported))
    for mark, before in ("bug", MENDED), ("limit", LIMITS):
        rows = [case for case in cases if mark in case.marks]
        if rows:
            parts.append(before + "\n".join(map(_item, rows)) + "\n")
    return "\n".join(parts) + AFTER


def _table(cases, *, reported):
    head = [
        "",
        *(["Reported for"] if reported else []),
        "What happened" if reported else "What is tried",
        "reprokit does",
    ]
    widths = "5 20 40 35" if reported else "5 60 35"
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for case in cases:
        cells = [case.id, *([_links(case)] if reported else []), _text(case.what), _text(case.does)]
        lines += [f"   {'* -' if n == 0 else '  -'} {cell}".rstrip() for n, cell in enumerate(cells)]
    lines[4:4] = [f"   {'* -' if n == 0 else '  -'} {cell}".rstrip() for n, cell in enumerate(head)]
    return "\n".join(lines) + "\n"


def _item(case):
    links = f" ({_links(case)})" if case.reports else ""
    said = "" if "bug" in case.marks else f"  {_text(case.does).removeprefix('Stated: ').capitalize()}."
    return f"- **{case.id}**{links}: {_text(case.what)}{said}"


def _links(case):
    return ", ".join(
        f"`{one.partition('/')[2].replace('#', ' #')} <https://github.com/{one.replace('#', '/issues/')}>`__"
        for one in case.reports
    )


def _text(told):
    return re.sub(r"`([^`]+)`", r"``\1``", told)


if __name__ == "__main__":
    sys.stdout.write(f"{PAGE}\n")
    PAGE.write_text(page(reported_cases.read()))
