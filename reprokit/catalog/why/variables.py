"""Environment variables that code reads: what is recorded of them beside what they are now."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from reprokit.catalog.diff.words import value
from reprokit.recorder.reuse.key import of_variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reprokit.model.redact import Redactor

UNSET = "not set"


def digests(names: Iterable[str]) -> dict[str, str]:
    """Digest variables as they are now, by name."""
    return {name: of_variable(os.environ.get(name)) for name in names}


def shown(names: Iterable[str], redactor: Redactor) -> dict[str, str]:
    """Give what may be shown of variables as they are now; of secrets nothing."""
    found = {}
    for name in names:
        told = os.environ.get(name)
        if told is None:
            found[name] = UNSET
        elif not redactor.is_secret_name(name) and not redactor.text(told)[1]:
            found[name] = value(told)
    return found


def differing(
    before: Mapping[str, str], after: Mapping[str, str], recorded: Mapping[str, str], now: Mapping[str, str]
) -> Iterator[str]:
    """Say which variables differ: ``environment variable SEED: "1" -> "2"``.

    Parameters
    ----------
    before, after
        Digests by name; only names in both are compared, for the code tells which are read.
    recorded
        Values of then, as far as the record has them.
    now
        What may be shown of those of now.
    """
    for name in sorted(before.keys() & after.keys()):
        if before[name] == after[name]:
            continue
        told = value(recorded[name]) if name in recorded else UNSET if before[name] == of_variable(None) else None
        shows = told is not None and name in now and told != now[name]
        yield f"environment variable {name}: {told} -> {now[name]}" if shows else f"environment variable {name} changed"
