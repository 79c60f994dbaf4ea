"""What a comparison of two runs found, as frozen values that JSON can hold."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

SCHEMA = "reprokit/diff/1"

Kind = Literal["same", "changed", "added", "removed", "moved", "unknown"]
Role = Literal["result", "cause", "chance", "circumstance"]
CodeShown = Literal["short", "reached", "full", "none"]


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact side by side: a key of the config, a package, a file, a part of the code."""

    name: str
    kind: Kind  # "added": only the second run has it; "moved": the same content under another name
    a: Any = None
    b: Any = None
    note: str = ""


class Patch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one file of the code differs, as a unified diff."""

    path: str
    reached: bool  # whether these lines belong to what the function reaches
    text: str = ""  # without a line break at the end; empty when it is named only
    note: str = ""  # why it is named only: "binary", "too large"
    more: int = 0  # lines that were left out


class Aspect(msgspec.Struct, frozen=True, kw_only=True):
    """One of the things that two runs are compared by."""

    name: str
    role: Role  # what it may be to the result: "chance" is what differs from one process to the next anyway
    same: bool | None  # None: cannot be known, then `reason` says why
    reason: str = ""
    rows: list[Row] = []  # what differs; of recorded values also what is the same
    notes: list[str] = []
    damaged: bool = False  # whether it cannot be known because a record cannot be read


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two runs."""

    run_id: str
    folder: str  # below ``runs/``
    what: str
    status: str
    started: str | None  # ISO 8601
    commit: str | None
    config_hash: str | None
    child: bool = False


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """How two runs differ, most telling things first."""

    schema: str = SCHEMA
    verdict: str
    same: bool  # no difference was found in a result or in what may cause one
    a: Side
    b: Side
    aspects: list[Aspect]
    patches: list[Patch]
    problems: list[str]  # records that could not be read, a sentence each
    notes: list[str] = []  # which other runs were compared instead, and why, a sentence each

    def aspect(self, name: str) -> Aspect:
        """Give an aspect by its name; raises ``KeyError``."""
        for one in self.aspects:
            if one.name == name:
                return one
        raise KeyError(name)

    def _repr_html_(self) -> str:
        from reprokit.catalog.diff.html import page

        return page(self)


_MIRRORED: dict[str, Kind] = {"added": "removed", "removed": "added"}


def mirrored(row: Row) -> Row:
    """Give a row as it is seen from the other run."""
    name = row.b if row.kind == "moved" else row.name
    return msgspec.structs.replace(row, name=name, kind=_MIRRORED.get(row.kind, row.kind), a=row.b, b=row.a)


def settle(
    name: str, role: Role, rows: list[Row], *, notes: list[str] | None = None, reason: str = "", damaged: bool = False
) -> Aspect:
    """Make an aspect of its rows: different when one is, not known when one is not or there is a reason, else the same."""
    differing = any(row.kind not in ("same", "unknown") for row in rows)
    doubtful = [row for row in rows if row.kind == "unknown"]
    if not reason and doubtful and not differing:
        reason = "; ".join(dict.fromkeys(f"{row.name}: {row.note}" for row in doubtful[:3]))
    same = False if differing else None if reason else True
    return Aspect(
        name=name, role=role, same=same, reason="" if differing else reason, rows=rows, notes=notes or [],
        damaged=damaged and same is None,
    )  # fmt: skip
