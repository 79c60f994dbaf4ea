"""A call beside the earlier runs of its function: the nearest of them, what differs from it, and the lines of that."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog.why import call as calls
from reprokit.catalog.why import earlier, words
from reprokit.catalog.why.result import Why
from reprokit.catalog.why.sources import Sources

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reprokit.catalog.diff.facts import Facts
    from reprokit.catalog.index import Index
    from reprokit.catalog.why.call import Call, Differing
    from reprokit.model.records import ReuseEntry

SAME = "nothing that is recorded differs; look again: it may have ended just now"
OFF = "the settings switch reuse off ([reuse] enabled = false, or REPROKIT_REUSE=0)"


class Nearest:
    """The earlier run that a call is compared with.

    Attributes
    ----------
    facts : Facts
    differing : list of Differing
        What is not the same; empty when all is.
    obstacle : str or None
        Why its result can't be given in any case.
    """

    def __init__(self, facts: Facts, differing: list[Differing], obstacle: str | None) -> None:
        self.facts, self.differing, self.obstacle = facts, differing, obstacle


def nearest(index: Index, call: Call) -> Nearest | None:
    """Find the earlier run from which a call differs least, the newest of several; None when there is none.

    One whose result can't be given counts only when the call is the same as it.
    """
    best: Nearest | None = None
    for facts in earlier.runs(index, call.function):
        if _is_other_script(facts, call):
            continue
        one = Nearest(facts, calls.compare(call, facts), earlier.obstacle(facts, index.vault.path))
        if best is None or _rank(one) < _rank(best):
            best = one
    return best


def _is_other_script(facts: Facts, call: Call) -> bool:
    """Tell whether a run was of another script's function, which happens to have the same name in ``__main__``."""
    closure = facts.closure
    return call.function.startswith("__main__.") and closure is not None and closure.function != call.closure.function


def _rank(one: Nearest) -> tuple[bool, int, int]:
    return bool(one.differing), _usable(one) if one.differing else 0, len(one.differing)


def _usable(one: Nearest) -> int:
    """Give 0 for a result that may be used, 1 for another complete run, 2 for the rest."""
    return 0 if one.obstacle is None else 1 if one.facts.run.status == "complete" else 2


def answer(
    call: Call, found: Nearest | None, inputs: Callable[[ReuseEntry, frozenset[str]], Iterable[str]], vault: Path
) -> Why:
    """Say why a call is not answered by an earlier run.

    Parameters
    ----------
    inputs
        Says how the inputs of a result differ from what the call would read; is given the arguments that are others.
    """
    if found is None:
        return Why(hit=False, what=call.name, reasons=(f"no run of {call.name} is recorded",))
    facts = found.facts
    entry = earlier.entry_of(facts.run, vault)
    others = frozenset(one.argument for one in found.differing if one.argument)
    reasons, diff = told(call, found)
    if entry is not None:
        reasons += inputs(entry, others)
    if found.obstacle is not None:
        same = all(one.kind == "unknown" for one in found.differing)
        reasons.append(earlier.told(facts, found.obstacle, same=same))
    assert facts.call is not None
    return Why(
        hit=False,
        what=call.name,
        reasons=tuple(dict.fromkeys(reasons)) or (SAME,),
        diff=diff,
        run_id=facts.run.run_id,
        started=facts.call.timestamp,
        seconds=facts.run.duration,
    )


def told(call: Call, found: Nearest) -> tuple[list[str], str]:
    """Give what differs from a run as sentences, and as a unified diff."""
    labels = [one.label for one in found.differing if one.label]
    brought = {one.label: list(call.closures[one.label].parts) for one in found.differing if one.label in call.closures}
    shown = [label for name in labels for label in brought.get(name, [name])]
    if not shown:
        return [one.sentence for one in found.differing], _config_diff(call, found)
    with tempfile.TemporaryDirectory(prefix="reprokit-") as scratch:
        sources = Sources(found.facts, call.root, shown, call.file, call.python_path, Path(scratch))
        sentences = [_sentence(one, call, found.facts, sources) for one in found.differing]
        code = sources.diff(shown)
    if sources.missing:
        sentences.append(f"the lines cannot be shown: of run {found.facts.run.run_id[:8]}, {sources.missing}")
    return sentences, "\n".join(filter(None, (code, _config_diff(call, found))))


def _config_diff(call: Call, found: Nearest) -> str:
    differs = any(one.kind == "config" for one in found.differing)
    return calls.config_diff(found.facts.config, call.config) if differs else ""


def _sentence(one: Differing, call: Call, facts: Facts, sources: Sources) -> str:
    if not one.label:
        return one.sentence
    if one.kind == "argument":
        closure = call.closures[one.label]
        named = [
            words.part(label, closure.kinds.get(label, "function"), "changed", sources.path(label), own=False)
            for label in closure.parts
            if sources.diff([label])
        ]
        return f"{one.sentence}: {', '.join(named) or f'`{one.label}` or what it reaches changed'}"
    if one.kind == "constant":
        return (
            words.part(one.label, one.kind, "changed", sources.path(one.label), own=False).removesuffix("changed")
            + one.sentence
        )
    own = one.label == call.closure.function
    kind = calls.kind_of(one.label, call, facts)
    return words.part(one.label, kind, one.change, sources.path(one.label), own=own)
