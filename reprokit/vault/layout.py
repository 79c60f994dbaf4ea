"""Where things lie in a vault, and making one."""

from __future__ import annotations

import os
import re
from datetime import datetime
from pathlib import Path

from reprokit.errors import VaultError, VaultVersionError
from reprokit.model.records import VAULT_SCHEMA, VaultInfo
from reprokit.vault import atomic, documents

_UNSAFE = re.compile(r"[^\w.+-]+")
_GITIGNORE = b"*\n"
_OURS = frozenset(
    (
        "vault.json",
        "runs",
        "journal",
        "code.git",
        "blobs",
        "checkouts",
        "closures",
        "reuse",
        "index.sqlite",
        "index.sqlite-journal",
        "index.lock",
        "gc.lock",
    )
)


class Vault:
    """A folder of runs.

    Parameters
    ----------
    path
        The vault's folder; made by `ensure`, not here.
    """

    __slots__ = ("_ready", "blobs", "closures", "code", "journal", "path", "reuse", "runs")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))
        self.runs = self.path / "runs"
        self.code = self.path / "code.git"
        self.blobs = self.path / "blobs" / "sha256"
        self.closures = self.path / "closures"  # what is known of source files; may be deleted
        self.journal = self.path / "journal"
        self.reuse = self.path / "reuse"  # results that can be used again
        self._ready = False

    def __repr__(self) -> str:
        return f"Vault({str(self.path)!r})"

    def ensure(self, version: str) -> None:
        """Make the vault, or check that the one there can be written by this version.

        Raises
        ------
        VaultVersionError
            When a newer reprokit wrote it.
        VaultError
            When it cannot be made.
        """
        if self._ready and self.runs.exists():
            return
        try:
            self._make(version)
        except FileNotFoundError:  # somebody removed it between two steps: once more, from the start
            self._make(version)
        except VaultError:
            raise
        except OSError as error:
            raise VaultError(str(self.path), f"cannot make the vault: {error.strerror or error}") from error
        self._ready = True

    def _make(self, version: str) -> None:
        known = self.check()  # first: what a newer version wrote is left alone
        alien = sorted(self._alien()) if not known else []
        if alien:
            raise VaultError(
                str(self.path),
                f"this folder is no vault (it holds {', '.join(alien[:3])}); set vault-directory in reprokit.toml to another",
            )
        for folder in (self.path, self.runs, self.journal):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = self.path / ".gitignore"
        if not ignore.exists():
            atomic.write(str(ignore), _GITIGNORE)
        if not known:
            info = VaultInfo(created=datetime.now().astimezone().isoformat(), reprokit_version=version)
            atomic.write(str(self.path / "vault.json"), documents.encode(info))
            atomic.sync_folder(str(self.path))

    def _alien(self) -> set[str]:
        """Name what is there and not ours; names with a dot are temporary files of a process that makes the vault too."""
        try:
            return {name for name in os.listdir(self.path) if not name.startswith(".")} - _OURS
        except FileNotFoundError:
            return set()

    def check(self) -> bool:
        """Tell whether ``vault.json`` is there; raise when this version cannot read the vault."""
        path = self.path / "vault.json"
        if not path.exists():
            return False
        schema = documents.schema_of(path)
        if schema != VAULT_SCHEMA:
            raise VaultVersionError(
                str(self.path), f"its format is {schema!r}, this reprokit knows {VAULT_SCHEMA!r}; upgrade reprokit"
            )
        return True

    def new_run_folder(self, template: str, name: str, run_id: str, now: datetime) -> Path:
        """Make the folder of a run; two runs never share one.

        Raises
        ------
        VaultError
            When the template makes no usable folder name.
        OSError
            When the folder cannot be made.
        """
        stamp = now.strftime(template)
        parts = [part for part in re.split(r"[/\\]", stamp) if part not in ("", ".", "..")]
        safe = [_UNSAFE.sub("_", part)[:80] for part in parts]
        leaf = "-".join([*safe, _UNSAFE.sub("_", name).strip("_")[:60] or "run", run_id[:8]])
        folder = self.runs / leaf
        folder.mkdir(mode=0o700)
        return folder
