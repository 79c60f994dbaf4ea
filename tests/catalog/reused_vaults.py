"""Vaults with results that were used again, by the published records."""

from __future__ import annotations

import hashlib
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reprokit.capture import files
from reprokit.model import records as r
from reprokit.vault import reuse
from reprokit.vault.blobs import keep
from reprokit.vault.layout import Vault
from tests.catalog.made_up import MadeVault, artifact

MADE_AT = datetime(2026, 1, 2, 12, tzinfo=UTC)
NOW = datetime.now(UTC)


def digest_of(text):
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class ReuseVault(MadeVault):
    """A project's vault; files lie beside it."""

    def __init__(self, root):
        super().__init__(Path(root) / "vault")
        self.root = Path(root)
        self.vault = Vault(self.path)

    def file(self, name, text):
        """Write a file of the project and give its record."""
        (self.root / name).write_text(text)
        return artifact(name, digest_of(text), size=len(text))

    def returned(self, text):
        """Keep a folder as archives of return values are kept; give its digest."""
        place = self.root / f"archive-{os.urandom(4).hex()}"
        place.mkdir()
        (place / "__init__.py").write_text(text)
        found = files.digest_path(str(place))[0]
        keep(self.vault.blobs, place, found, move=True)
        shutil.rmtree(place, ignore_errors=True)
        return found

    def computed(
        self, key="a", *, started=MADE_AT, returned=None, artifacts=(), inputs=(), entry=True, info=None, **more
    ):
        """Write a run that computed a result, and the line that offers it; give its folder."""
        run_id = more.pop("run_id", None) or os.urandom(16).hex()
        about = r.ReuseInfo(key=digest_of(key), returned=returned, **(info or {}))
        end = {"reuse": about, "run_time": "PT182S"}
        folder = self.run(run_id=run_id, started=started, artifacts=[*artifacts, *inputs], end=end, **more)
        if entry:
            self.offer(key, run_id, folder, started=started, returned=returned, outputs=list(artifacts))
        return folder

    def offer(self, key, run_id, folder, *, started=MADE_AT, **more):
        """Append a line of results; give its file."""
        told = digest_of(key)
        line = r.ReuseEntry(
            schema=r.REUSE_SCHEMA, key=told, run_id=run_id, folder=folder.name, timestamp=started.isoformat(),
            seconds=182.0, **more,
        )  # fmt: skip
        path = reuse.place(self.vault.reuse, told)
        reuse.append(path, line)
        return Path(path)

    def hit(self, folder, *, run_id=None, saved=182.0, at=MADE_AT + timedelta(days=1), **more):
        """Note that a result was used again."""
        run_id = run_id or id_of(folder)
        self.journal("reuse", run_id, folder, saved=saved, timestamp=at.isoformat(), **more)

    def again(self, folder, *, artifacts=(), started=MADE_AT + timedelta(days=2), run_id=None, **more):
        """Write a run that gave a result under another name."""
        end = {"reused_from": run_id or id_of(folder), "run_time": "PT0.01S"}
        return self.run(started=started, artifacts=list(artifacts), end=end, **more)


def id_of(folder):
    from reprokit.catalog.run import Run

    return Run(folder).run_id


def aged(vault, days=60):
    """Make what nobody refers to look old."""
    when = (NOW - timedelta(days=days)).timestamp()
    for place in (vault.blobs, vault.reuse):
        for folder, folders, names in os.walk(place):
            for name in (*folders, *names):
                os.utime(os.path.join(folder, name), (when, when))
