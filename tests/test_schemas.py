"""The published JSON Schemas are those of the record types, and what reprokit writes is valid under them."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from reprokit.model import records

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs" / "schemas" / "generate.py"


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("schemas_generate", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_published_schemas_are_up_to_date(generate):
    assert generate.outdated() == [], "run python docs/schemas/generate.py"


def test_every_document_has_a_schema(generate):
    named = {value for name, value in vars(records).items() if name.endswith("_SCHEMA")}
    assert set(generate.DOCUMENTS) == named


def test_every_schema_is_a_valid_one_and_names_its_document(generate):
    jsonschema = pytest.importorskip("jsonschema")
    for document in generate.DOCUMENTS:
        schema = json.loads((SCRIPT.parent / generate.file_name(document)).read_text("utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["properties"]["schema"] == {"const": document}
        assert "schema" in schema["required"]


def test_check_fails_on_a_file_out_of_date_and_writes_nothing(generate, tmp_path, monkeypatch):
    monkeypatch.setattr(generate, "HERE", tmp_path)
    assert generate.main([]) == 0
    assert generate.outdated() == []
    path = tmp_path / "vault-1.json"
    path.write_text("{}", "utf-8")
    (tmp_path / "gone-1.json").write_text("{}", "utf-8")
    assert generate.outdated() == ["vault-1.json", "gone-1.json"]
    assert generate.main(["--check"]) == 1
    assert path.read_text("utf-8") == "{}"


def test_documents_of_a_real_run_are_valid(generate, tmp_path):
    """Each file and line of a vault that a process wrote satisfies the schema it names, children and side-car included."""
    jsonschema = pytest.importorskip("jsonschema")
    (tmp_path / "analysis.py").write_text(
        "import reprokit as rk\n"
        "@rk.monitor(include_return_value=True)\n"
        "@rk.snapshot_code\n"
        "@rk.Artifact('outpath', config={'a': 1}, allow_dirty=True)\n"
        "def save(x, outpath):\n"
        "    open(outpath, 'w').write(str(x))\n"
        "    rk.current().record('loss', 0.3, step=1)\n"
        "    return {'x': x}\n"
        "with rk.run('whole', config={'a': 1}, allow_dirty=True) as ctx:\n"
        "    save(1, 'inner.txt')\n"
        "    ctx.record('rmse', 0.1)\n"
        "try:\n"
        "    save(object(), 'dir/missing.txt')\n"
        "except OSError:\n"
        "    pass\n"
        "save(3, 'outer.txt')\n"
        "@rk.cache\n"
        "def twice(x):\n"
        "    return 2 * x\n"
        "twice(1), twice(1)\n"
        "from reprokit.catalog import scan\n"
        "from reprokit.vault import marks\n"
        "import pathlib\n"
        "run = scan.find(pathlib.Path('vault'), '@')\n"
        "marks.tag(run, ['paper'])\n"
        "marks.note(run, 'as in the paper')\n",
        "utf-8",
    )
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "1"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    subprocess.run([sys.executable, "analysis.py"], cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    validators = {
        document: jsonschema.Draft202012Validator(generate.schema_of(document)) for document in generate.DOCUMENTS
    }
    seen = set()
    vault = tmp_path / "vault"
    whole = [vault / "vault.json", *vault.glob("runs/*/*.json"), *tmp_path.glob("*.run.json")]
    lines = [line for path in vault.glob("**/*.jsonl") for line in path.read_bytes().splitlines()]
    for text in [*(path.read_bytes() for path in whole), *lines]:
        document = msgspec.json.decode(text[text.index(b"{") :])  # a checksum may stand before
        validators[document["schema"]].validate(document)
        seen.add(document["schema"])
    assert seen == set(generate.DOCUMENTS)
