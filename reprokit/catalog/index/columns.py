"""How values of records become values of columns, and back."""

from __future__ import annotations

import json
from typing import Any

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
    """Add the numbers and texts within a value to `found`, named by their places: ``config.layers.0.size``."""
    if len(found) >= MOST:
        return
    kind = type(value)
    if kind is dict:
        if depth < _DEEPEST:
            for key, item in value.items():
                facts(f"{prefix}.{key}", item, found, depth + 1)
    elif kind is list:
        if depth < _DEEPEST:
            for number, item in enumerate(value):
                if len(found) >= MOST:
                    return
                facts(f"{prefix}.{number}", item, found, depth + 1)
    elif kind is bool:
        found.append((prefix, int(value), "true" if value else "false"))
    elif kind is str:
        if len(value) > LONGEST:
            found.append((prefix, value[:LONGEST], None))
        else:
            found.append((prefix, value, None))
    elif kind is int and not -_LARGEST <= value < _LARGEST:
        found.append((prefix, float(value) if abs(value) < 1e308 else None, json.dumps(value)))
    elif kind is int or kind is float or value is None:
        found.append((prefix, value, None))


def text(value: str) -> str:
    """Give text that a database can hold: names of files may not be UTF-8."""
    return value.encode("utf-8", "backslashreplace").decode()
