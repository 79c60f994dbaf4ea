"""Write the JSON Schema of each document that reprokit writes, from the record types.

``python docs/schemas/generate.py`` writes them; with ``--check`` it writes nothing and ends with 1 when one is out of date.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from reprokit.model import records

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).resolve().parent

#: Every document: its record type, and where a vault keeps it.
DOCUMENTS: dict[str, tuple[type[records.Record], str]] = {
    records.CONTEXT_SCHEMA: (records.ContextRecord, "runs/<run>/context.json"),
    records.PRE_RUN_SCHEMA: (records.PreRunInfo, "runs/<run>/pre-run-info.json"),
    records.POST_RUN_SCHEMA: (records.PostRunInfo, "runs/<run>/post-run-info.json"),
    records.SIDECAR_SCHEMA: (records.SideCar, "<artifact>.run.json"),
    records.STEP_SCHEMA: (records.StepRecord, "a line of runs/<run>/steps-*.jsonl"),
    records.JOURNAL_SCHEMA: (records.JournalLine, "a line of journal/*.jsonl"),
    records.MARK_SCHEMA: (records.MarkRecord, "a line of runs/<run>/marks-*.jsonl"),
    records.REUSE_SCHEMA: (records.ReuseEntry, "a line of reuse/<aa>/<rest of key>.jsonl, after its checksum"),
    records.VAULT_SCHEMA: (records.VaultInfo, "vault.json"),
}


def file_name(document: str) -> str:
    """Name of the schema file of a document, e.g. ``context-1.json`` of ``reprokit/context/1``."""
    _, name, version = document.split("/")
    return f"{name}-{version}.json"


def schema_of(document: str) -> dict[str, Any]:
    """Build the schema (draft 2020-12) of one document."""
    record, place = DOCUMENTS[document]
    (found,), components = msgspec.json.schema_components([record], ref_template="#/$defs/{name}")
    own = components.pop(found["$ref"].rpartition("/")[2])
    own["properties"]["schema"] = {"const": document}
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{document.replace('/', ':')}",
        "$comment": f"{place}; made from reprokit.model.records.{record.__name__} by docs/schemas/generate.py",
        **own,
        # The document says what it is, always; a reader ignores keys that it does not know.
        "required": sorted({*own.get("required", ()), "schema"}),
    }
    return {**schema, "$defs": components} if components else schema


def texts() -> Iterator[tuple[Path, str]]:
    """Give each schema file with the text that belongs in it."""
    for document in DOCUMENTS:
        yield HERE / file_name(document), json.dumps(schema_of(document), indent=2) + "\n"


def outdated() -> list[str]:
    """Name the files that differ from what the record types say, and those that no document has."""
    wanted = dict(texts())
    wrong = [path.name for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text]
    return wrong + [path.name for path in sorted(HERE.glob("*.json")) if path not in wanted]


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        wrong = outdated()
        for name in wrong:
            print(f"docs/schemas/{name}: out of date; run python docs/schemas/generate.py", file=sys.stderr)
        return 1 if wrong else 0
    if arguments:
        print("usage: generate.py [--check]", file=sys.stderr)
        return 2
    for path, text in texts():
        path.write_text(text, "utf-8")
        print(path.name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
