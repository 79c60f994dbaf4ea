"""How values of records become values of columns, and back."""

from __future__ import annotations

import json
from typing import Any

from reprokit.model.canonical_arrays import TAG

LONGEST = 1_000  # characters of a text fact
MOST = 1_000  # facts of one run
_DEEPEST = 20
_LARGEST = 2**63

Fact = tuple[str, Any, str | None]  # name, value, JSON where the value alone does not tell


def packed(digest: str | None) -> bytes | None:
    """Give the bytes of ``sha256:<hex>``; None for anything else."""
    if not digest or not digest.startswith("sha256:"):
        return None
    try:
        found = bytes.fromhex(digest[7:])
    except ValueError:
        return None
    return found if len(found) == 32 else None


def digest(column: bytes) -> str:
    """Give ``sha256:<hex>`` of a column's bytes."""
    return f"sha256:{column.hex()}"


def facts(prefix: str, value: Any, found: list[Fact], depth: int = 0) -> None:
    """Add the numbers and texts within a value to `found`, named by their places: ``config.layers.0.size``.

    What canonical JSON has no word for (integers beyond 2**53, infinities) counts by what it stands for.
    """
    if len(found) >= MOST:
        return
    kind = type(value)
    if kind is float or value is None:
        found.append((prefix, value, None))
    elif kind is int:
        if -_LARGEST <= value < _LARGEST:
            found.append((prefix, value, None))
        else:
            found.append((prefix, float(value) if abs(value) < 10**308 else None, json.dumps(value)))
    elif kind is str:
        found.append((prefix, value if len(value) <= LONGEST else value[:LONGEST], None))
    elif kind is bool:
        found.append((prefix, int(value), "true" if value else "false"))
    elif kind is dict:
        stands_for = _stands_for(value) if len(value) in (1, 2) else None
        if stands_for is not None:
            facts(prefix, stands_for, found, depth)
        elif depth < _DEEPEST:
            for key, item in value.items():
                facts(f"{prefix}.{key}", item, found, depth + 1)
    elif kind is list and depth < _DEEPEST:
        for number, item in enumerate(value[:MOST]):
            facts(f"{prefix}.{number}", item, found, depth + 1)


def _stands_for(tagged: dict[str, Any]) -> int | float | str | None:
    """Give the number that a tagged object of a configuration or a value stands for; None for what is no number.

    Not a number is the text ``nan``, for a database takes the number for nothing.
    """
    kind, told = (tagged.get("$type"), tagged.get("text")) if len(tagged) == 2 else next(iter(tagged.items()))
    if not isinstance(told, str) or len(told) > 400:
        return None
    try:
        if kind in (f"{TAG}int", "int"):
            return int(told)
        if kind in (f"{TAG}float", "float"):
            return "nan" if told == "nan" else float(told)
    except ValueError:
        pass
    return None


def text(value: str) -> str:
    """Give text that a database can hold: names of files may not be UTF-8."""
    return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
