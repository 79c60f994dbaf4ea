"""JSON (also one document a line), YAML and TOML: as the values that they say, not as they are written."""

from __future__ import annotations

import importlib
import itertools
import json
import os
from typing import TYPE_CHECKING, Any

from reprokit.reproduce.compare.value import Walk
from reprokit.reproduce.compare.words import UnreadableError
from reprokit.reproduce.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.settings.values import Tolerance

_LARGEST = {"json": 1 << 26, "yaml": 1 << 24, "toml": 1 << 24}  # bytes; larger ones are compared as text
_MERGED = 100_000  # keys of a mapping


def compare(name: str, old: Path, new: Path, tolerance: Tolerance, *, kind: str) -> Verdict:
    """Compare two documents.

    Raises
    ------
    Exception
        What the parsers raise for what is none.
    """
    if kind == "jsonl":
        return _lines(name, old, new, tolerance)
    a, b = (_READ[kind](_content(path, kind)) for path in (old, new))
    return Walk(tolerance).run(a, b).verdict(name, kind)


def _content(path: Path, kind: str) -> bytes:
    size = os.path.getsize(path)
    if size > _LARGEST[kind]:
        raise UnreadableError(f"{size:,} bytes are more than are read at once")
    return path.read_bytes()


def _lines(name: str, old: Path, new: Path, tolerance: Tolerance) -> Verdict:
    """Compare a document a line."""
    walk = Walk(tolerance)
    with open(old, "rb") as first, open(new, "rb") as second:
        for number, (a, b) in enumerate(itertools.zip_longest(first, second), 1):
            if a != b:
                if a is None or b is None:
                    walk.run([], [None], "lines")
                    break
                walk.run(_json(a), _json(b), f"line {number}")
    return walk.verdict(name, "json")


def _json(data: bytes) -> Any:
    try:
        return json.loads(data, object_pairs_hook=_unique)
    except RecursionError as error:
        raise UnreadableError("it is nested too deeply") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise UnreadableError("a key is there twice, which readers understand differently")
    return made


def _yaml(data: bytes) -> Any:
    """Read YAML without any tag that makes more than plain values."""
    yaml = importlib.import_module("yaml")
    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """Merge keys copy what they merge, so a few lines of them could fill the memory."""

        def flatten_mapping(self, node: Any) -> None:
            super().flatten_mapping(node)
            if len(node.value) > _MERGED:
                raise UnreadableError("its merge keys make too large a mapping")

    documents = list(yaml.load_all(data, Loader=Loader))
    return documents[0] if len(documents) == 1 else documents


def _toml(data: bytes) -> Any:
    import tomllib

    return tomllib.loads(data.decode())


_READ = {"json": _json, "yaml": _yaml, "toml": _toml}
