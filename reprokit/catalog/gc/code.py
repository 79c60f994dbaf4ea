"""Source trees that no run refers to, and how much of the store goes with them."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from reprokit.catalog.gc.policy import TreeItem
from reprokit.catalog.verify.trees import Kept, kept
from reprokit.code.trees import nested
from reprokit.code.trees.store import REFS, Store

if TYPE_CHECKING:
    from reprokit.catalog.ledger import Ledger
    from reprokit.vault.layout import Vault


def plan(vault: Vault, ledger: Ledger, grace: float, now: float) -> tuple[list[TreeItem], int, bool]:
    """Find the trees that go, the bytes that this frees, and whether the store has to be packed anew for it.

    Raises
    ------
    GitError, OSError
        When the store can't be read.
    """
    store = Store(vault.code)
    if not (vault.code / "HEAD").exists():
        return [], 0, False
    everything = kept(store)
    wanted = _wanted(ledger)
    dirty = {row[0] for row in ledger.db.execute(_REFERS.format("dirty"))}  # named by artifacts: 1a2b3c4-dirty-9f86d08
    lengths = {len(digits) for digits in dirty}
    stay = [
        one
        for one in everything
        if f"sha256:{one.digits}" in wanted or any(one.digits[:length] in dirty for length in lengths)
    ]
    inner = _nested(stay)
    fresh = [one for one in everything if _age(store, one, now) < grace]
    commits = {one.commit for one in (*stay, *fresh)}
    go = [one for one in everything if one.commit not in commits and one.digits not in inner]
    gone = {one.commit for one in go}
    left = "".join(f"{one.commit}\n" for one in everything if one.commit not in gone).encode()
    reached = int(store.run("rev-list", "--objects", "--count", "--stdin", stdin=left) or 0) if left else 0
    held = int(store.run("rev-list", "--objects", "--disk-usage", "--stdin", stdin=left) or 0) if left else 0
    packed, size = _packs(store)
    repack = bool(go) or packed > reached
    trees = [TreeItem(digest=f"sha256:{one.digits}", commit=one.commit) for one in sorted(go)]
    return trees, max(size - held, 0) if repack else 0, repack


_REFERS = "SELECT DISTINCT value FROM refers JOIN kept USING (root_id) WHERE kind = '{}'"


def _wanted(ledger: Ledger) -> set[str]:
    return {row[0] for row in ledger.db.execute(_REFERS.format("tree"))}


def _nested(stay: list[Kept]) -> set[str]:
    """Give the digits of trees that are nested in those that stay: they keep refs of their own."""
    found: set[str] = set()
    for one in stay:
        lines = one.message.split("\n")
        try:
            rows = json.loads(lines[2])
            found.update(str(row[2]).rpartition(":")[2] for row in rows if row[1] == nested.NESTED and row[2])
        except (IndexError, ValueError, TypeError):
            continue
    return found


def _age(store: Store, one: Kept, now: float) -> float:
    """Seconds since a tree was kept or asked for: its ref tells, and for one that was packed, its commit."""
    try:
        return now - os.stat(store.path / REFS / one.digits).st_mtime
    except OSError:
        return now - one.when


def _packs(store: Store) -> tuple[int, int]:
    """Give the number of objects in all packs, and their size in bytes."""
    facts = dict(
        line.split(": ", 1)
        for line in store.run("count-objects", "-v").decode("ascii", "replace").splitlines()
        if ": " in line
    )
    place = store.objects / "pack"
    size = sum(entry.stat().st_size for entry in os.scandir(place) if entry.name.endswith(".pack"))
    return int(facts.get("in-pack", 0)), size
