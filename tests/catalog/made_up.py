"""Vaults of made-up runs, written as the recorder writes them."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reprokit.capture import host
from reprokit.model import records as r
from reprokit.vault import documents

_numbers = itertools.count(1)
_DEAD = r.ProcessId(host=host.platform_info().node, pid=2**22 - 3, started=1.0, boot_id=None)
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DIGEST = "sha256:" + "ab" * 32


def artifact(path="out-1a2b3c4-44136fa355.png", digest=DIGEST, role="generated", size=10, **more):
    return r.ArtifactRecord(path=path, digest=digest, size=size, role=role, **more)


class MadeVault:
    """A folder of runs."""

    def __init__(self, path):
        self.path = Path(path)
        (self.path / "runs").mkdir(parents=True, exist_ok=True)
        (self.path / "journal").mkdir(exist_ok=True)
        info = r.VaultInfo(created=START.isoformat(), reprokit_version="0")
        (self.path / "vault.json").write_bytes(documents.encode(info))

    def run(
        self,
        function="analysis.fit",
        *,
        run_id=None,
        folder=None,
        started=None,
        ended=True,
        status="complete",
        config=None,
        config_hash="ab" * 32,
        commit="1a2b3c4",
        args=(),
        kwargs=None,
        values=None,
        series=None,
        artifacts=(),
        children=(),
        process=_DEAD,
        journal=True,
        end=None,
    ):
        """Write a run and give its folder; `end` holds more of how it ended."""
        number = next(_numbers)
        run_id = run_id or f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:016x}"
        started = started or START + timedelta(minutes=number)
        place = self.path / "runs" / (folder or f"{started:%Y%m%d_%H%M%S}-{function.rpartition('.')[2]}-{run_id[:8]}")
        place.mkdir()
        root = str(self.path.parent)
        self.write(place / "context.json", context(root, config, config_hash, commit))
        self.write(
            place / "pre-run-info.json",
            r.PreRunInfo(
                run_id=run_id, root_id=run_id, kind="function", function=function, root_directory=root, cwd=root,
                timestamp=started.isoformat(), args=list(args), kwargs=kwargs or {}, process=process,
                config_hash=config_hash, commit=commit, artifacts=[] if ended else list(artifacts),
            ),
        )  # fmt: skip
        lines = [line for number, child in enumerate(children) for line in steps(run_id, number, started, **child)]
        if lines:
            (place / "steps-h-1-aa.jsonl").write_bytes(b"".join(documents.encode(one, pretty=False) for one in lines))
        if ended:
            self.write(
                place / "post-run-info.json",
                r.PostRunInfo(
                    run_id=run_id, status=status, root_directory=root, timestamp=started.isoformat(),
                    artifacts=list(artifacts), values=values or {}, series=series or {}, children=len(children),
                    **{"run_time": "PT1.5S", **(end or {})},
                ),
            )  # fmt: skip
        if journal:
            self.journal("open", run_id, place)
            if ended:
                self.journal("close", run_id, place)
        return place

    def journal(self, event, run_id, folder, name="gone-4194000-00.jsonl", **more):
        """Append a line."""
        line = r.JournalLine(event=event, run_id=run_id, folder=folder.name, **{"timestamp": START.isoformat(), **more})
        with open(self.path / "journal" / name, "ab") as stream:
            stream.write(documents.encode(line, pretty=False))

    def mark(self, folder, run_id, event, text):
        """Append a mark, and tell the journal."""
        mark = r.MarkRecord(event=event, run_id=run_id, text=text, timestamp=datetime.now(UTC).isoformat())
        with open(folder / "marks-h-1-aa.jsonl", "ab") as stream:
            stream.write(documents.encode(mark, pretty=False))
        self.journal("mark", run_id, folder)

    @staticmethod
    def write(path, record):
        path.write_bytes(documents.encode(record))


def context(root, config=None, config_hash="ab" * 32, commit="1a2b3c4"):
    python = r.PythonInfo(
        executable_architecture=r.Architecture(bits="64bit", linkage="ELF"), build_no="", build_date="", compiler="",
        branch="", implementation="CPython", version="3.11.7",
    )  # fmt: skip
    platform = r.Platform(
        machine="x86_64", node="lab", platform="Linux", release="6", version="1", system="Linux", processor="",
        python=python, user="ada",
    )  # fmt: skip
    return r.ContextRecord(
        root_directory=root, cwd=root, platform=platform, environment_variables={}, git={}, files={}, cpu=None,
        config=config, config_hash=config_hash, commit=commit, reprokit_version="0",
    )  # fmt: skip


def steps(
    root_id,
    number,
    started,
    *,
    function="analysis.step",
    status="complete",
    run_id=None,
    parent=None,
    artifacts=(),
    end=None,
    **more,
):
    """Give the lines of a child run; `end` holds more of how it ended."""
    run_id = run_id or f"{int(root_id, 16) * 31 + number + 1:032x}"[-32:]
    moment = (started + timedelta(seconds=number)).isoformat()
    begin = r.StepRecord(
        schema=r.STEP_SCHEMA, event="begin", run_id=run_id, parent_id=parent or root_id, root_id=root_id,
        kind="function", function=function, timestamp=moment, config_hash="cd" * 32, commit="1a2b3c4", **more,
    )  # fmt: skip
    if status is None:
        return [begin]
    last = r.StepRecord(
        schema=r.STEP_SCHEMA, event="end", run_id=run_id, timestamp=moment, status=status, run_time="PT0.25S",
        artifacts=list(artifacts), **(end or {}),
    )  # fmt: skip
    return [begin, last]
