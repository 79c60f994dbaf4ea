"""Write runs into a vault as the recorder writes them: ``VAULT COUNT ARTIFACTS FIRST``.

Each has a config of its own, so a context of its own with 120 packages (about 17 kB), three recorded values and its line
in a journal; a thousand runs share a process.
"""

import json
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reprokit.model import records as r
from reprokit.vault import documents

vault, count, artifacts, first = Path(sys.argv[1]), *map(int, sys.argv[2:5])
for folder in ("runs", "journal"):
    (vault / folder).mkdir(parents=True, exist_ok=True)
info = r.VaultInfo(created="2026-01-01T00:00:00+00:00", reprokit_version="0")
(vault / "vault.json").write_bytes(documents.encode(info))

chance = random.Random(first)
root = str(vault.parent)
python = r.PythonInfo(
    executable_architecture=r.Architecture(bits="64bit", linkage="ELF"), build_no="main", build_date="", compiler="GCC",
    branch="", implementation="CPython", version="3.11.7",
)  # fmt: skip
platform = r.Platform(
    machine="x86_64", node="lab", platform="Linux-6.1", release="6.1", version="#1", system="Linux", processor="",
    python=python, user="ada",
)  # fmt: skip
packages = [r.Package(name=f"package-{number}", version=f"{number}.1.{number % 7}") for number in range(120)]
process = r.ProcessId(host="lab", pid=4_000_000, started=1.0, boot_id="0")


def digest() -> str:
    return f"sha256:{chance.getrandbits(256):064x}"


for number in range(first, first + count):
    run_id = f"{chance.getrandbits(128):032x}"
    hashed = f"{chance.getrandbits(256):064x}"
    commit = f"{number // 100:07x}"
    started = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=200 * number)
    folder = vault / "runs" / f"{started:%Y%m%d_%H%M%S}-train-{run_id[:8]}"
    folder.mkdir()
    config = {
        "lr": chance.random(),
        "model": {"depth": chance.randrange(10), "name": chance.choice("abc")},
        "seed": number,
    }
    context = r.ContextRecord(
        root_directory=root, cwd=root, platform=platform, environment_variables={"LANG": "C"}, git={}, files={}, cpu=None,
        packages=packages, config=config, config_hash=hashed, commit=commit, reprokit_version="0",
    )  # fmt: skip
    pre = r.PreRunInfo(
        run_id=run_id, root_id=run_id, kind="function", function=f"train.fit{number % 7}", root_directory=root, cwd=root,
        timestamp=started.isoformat(), args=[number], kwargs={"window": number % 13}, process=process, argv=["python", "train.py"],
        config_hash=hashed, commit=commit,
    )  # fmt: skip
    made = [
        r.ArtifactRecord(
            path=f"out/plot{one}-{commit}-{hashed[:10]}.png", digest=digest(), size=1000 + one, role="generated",
            requested=f"out/plot{one}.png", commit=commit, config_hash=hashed,
        )
        for one in range(artifacts)
    ]  # fmt: skip
    post = r.PostRunInfo(
        run_id=run_id, status="complete", root_directory=root, timestamp=started.isoformat(), run_time=f"PT{chance.random() * 100}S",
        artifacts=made, values={"rmse": chance.random() * 10, "accuracy": chance.random(), "epochs": number % 50},
    )  # fmt: skip
    for name, record in (("context", context), ("pre-run-info", pre), ("post-run-info", post)):
        (folder / f"{name}.json").write_bytes(documents.encode(record))
    with open(vault / "journal" / f"lab-{4_000_000 + number // 1000}-{first:08x}.jsonl", "ab") as journal:
        for event in ("open", "close"):
            line = r.JournalLine(event=event, run_id=run_id, folder=folder.name, timestamp=started.isoformat())
            journal.write(documents.encode(line, pretty=False))
print(json.dumps(count))
