"""The code of recorded runs, as modules."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog import scan
from reprokit.code import PREFIX, commit
from reprokit.code.apart import face as faces
from reprokit.code.checkout import checkout
from reprokit.code.tree import TreeStore
from reprokit.errors import GitError
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Callable

    from reprokit.code.apart.face import Face
    from reprokit.model.records import PreRunInfo

_USUAL = ("", "src", "lib", "python")


def open_code(wanted: str, vault_path: Path) -> Face:
    """Import the code of a run, or of a kept tree, apart.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError, RecordError, GitError
    """
    vault = Vault(vault_path)
    store = TreeStore(vault.code)
    if wanted.startswith("sha256:"):
        digest = store.resolve(wanted)
        return _open(
            vault, digest, lambda folder: store.export(digest, folder), list(_USUAL), f"the tree {digest[:19]}"
        )
    run = scan.find(vault.path, wanted)
    context = run.context
    child = next((c.begin for c in run.children if c.begin and c.begin.run_id.startswith(wanted)), None)
    snapshot = (child.snapshot if child else None) or (context.snapshot if context else None)
    name = f"run {(child.run_id if child else run.run_id)[:8]}"
    paths = list(context.python_path) if context and context.python_path else _guessed(run.pre)
    recorded = (child.commit if child else None) or run.pre.commit
    if snapshot is not None:
        digest = snapshot.digest
        face = _open(vault, digest, lambda folder: store.export(digest, folder), paths, name)
    else:
        own = next(iter(context.git.values()), None) if context else None
        sha = own.sha if own else None
        if own is None or sha is None or own.dirty or own.dirty is None:
            raise GitError(
                str(run.folder),
                f"git cat-file: {name} kept no snapshot of its code and had no clean commit ({recorded or 'unknown'}); "
                "put @snapshot_code on what you want to come back to",
            )
        root = Path(run.pre.root_directory)
        face = _open(vault, f"commit:{sha}", lambda folder: commit.export(root, sha, folder), paths, name)
    tree = face.__reprokit_tree__
    tree.commit = recorded
    tree.snapshot = snapshot
    return face


def _open(vault: Vault, digest: str, export: Callable[[Path], None], paths: list[str], label: str) -> Face:
    name = digest.rpartition(":")[2]
    told = hashlib.sha256(repr((digest, paths)).encode()).hexdigest()
    prefix = f"{PREFIX}{told[:16]}"
    folder, known = checkout(_places(vault), name, export)
    roots = [os.path.join(folder, path) if path not in ("", ".") else str(folder) for path in paths]
    there = [root for root in roots if os.path.isdir(root)]
    return faces.open_tree(prefix, str(folder), there or [str(folder)], label, known)


def _places(vault: Vault) -> list[Path]:
    """Where checkouts are kept: in the vault, or, when that can only be read, in the user's cache."""
    import platformdirs

    return [vault.path / "checkouts", Path(platformdirs.user_cache_dir("reprokit")) / "checkouts"]


def _guessed(pre: PreRunInfo) -> list[str]:
    """Where the modules of a project usually lie, and where the run's own function lay."""
    paths = list(_USUAL)
    if pre.source_file:
        folder = Path(pre.source_file).parent
        while (folder / "__init__.py").exists() and folder != folder.parent:
            folder = folder.parent
        inside = os.path.relpath(folder, pre.root_directory).replace(os.sep, "/")
        if not inside.startswith("..") and inside not in (".", *paths):
            paths.insert(0, inside)
    return paths
