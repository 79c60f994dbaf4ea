"""Source trees that a vault keeps: found by digest or by run, exported, imported apart."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog import scan
from reprokit.code import PREFIX, commit
from reprokit.code.apart import face as faces
from reprokit.code.checkout import checkout
from reprokit.code.tree import TreeStore
from reprokit.code.trees import left_out
from reprokit.errors import GitError, RunNotFoundError, SecretsError, TreeNotFoundError
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from reprokit.catalog.run import Run
    from reprokit.code.apart.face import Face
    from reprokit.model.records import PreRunInfo, SnapshotInfo, StepRecord

_USUAL = ["", "src", "lib", "python"]


def store_of(vault: Path) -> TreeStore:
    """Give the store of a vault's trees."""
    return TreeStore(Vault(vault).code)


def find_tree(wanted: str, vault: Path) -> str:
    """Give the digest of a kept tree: by the beginning of its digest, or by the run that kept it (``@``: the newest).

    Raises
    ------
    TreeNotFoundError, AmbiguousTreeError, AmbiguousRunError, RecordError
    """
    try:
        return store_of(vault).resolve(wanted)
    except TreeNotFoundError:
        with contextlib.suppress(RunNotFoundError):
            snapshot = _recorded(scan.find(vault, wanted), wanted)[1]
            if snapshot is not None:
                return snapshot.digest
            raise TreeNotFoundError(wanted, str(vault), "this run kept no tree") from None
        raise TreeNotFoundError(wanted, str(vault), "no tree and no run begins like this") from None


def export(wanted: str, folder: Path, vault: Path, *, allow_secrets: bool) -> str:
    """Write a kept tree into a folder, unless it looks as if it held secrets; give its digest.

    Raises
    ------
    SecretsError, FileExistsError, TreeNotFoundError, AmbiguousTreeError
    """
    digest = find_tree(wanted, vault)

    def refuse_secrets(made: Path) -> None:
        found = tuple(_secrets_below(made))
        if found:
            raise SecretsError(digest, found)

    store_of(vault).export(digest, folder, check=None if allow_secrets else refuse_secrets)
    return digest


def open_code(wanted: str, vault_path: Path) -> Face:
    """Import the code of a run, or of a kept tree, apart.

    Raises
    ------
    RunNotFoundError, AmbiguousRunError, RecordError, TreeNotFoundError, GitError
    """
    vault = Vault(vault_path)
    store = TreeStore(vault.code)
    if wanted.startswith("sha256:"):
        digest = store.resolve(wanted)
        return _open(vault, digest, lambda folder: store.export(digest, folder), _USUAL, f"the tree {digest[:19]}")
    run = scan.find(vault.path, wanted)
    context = run.context
    child, snapshot = _recorded(run, wanted)
    name = f"run {(child.run_id if child else run.run_id)[:8]}"
    told = context.python_path if context and run.pre.kind != "command" else []  # a command has a path of its own
    paths = list(told) or _guessed(run.pre)
    recorded = (child.commit if child else None) or run.pre.commit
    if snapshot is not None:
        kept = snapshot.digest
        face = _open(vault, kept, lambda folder: store.export(kept, folder), paths, name)
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
        root = root if root.is_dir() else vault.path.parent  # the project has moved, and the vault with it
        face = _open(vault, f"commit:{sha}", lambda folder: commit.export(root, sha, folder), paths, name)
    tree = face.__reprokit_tree__
    tree.commit = recorded
    tree.snapshot = snapshot
    return face


def _recorded(run: Run, wanted: str) -> tuple[StepRecord | None, SnapshotInfo | None]:
    """Give the child run that is meant, None for the root run itself, and the snapshot that was kept."""
    child = None
    if wanted not in ("@", run.folder.name) and not run.run_id.startswith(wanted):
        child = next((c.begin for c in run.children if c.begin and c.begin.run_id.startswith(wanted)), None)
    return child, (child.snapshot if child else None) or (run.context.snapshot if run.context else None)


def _open(vault: Vault, digest: str, export_to: Callable[[Path], None], paths: list[str], label: str) -> Face:
    told = hashlib.sha256(repr((digest, paths)).encode()).hexdigest()
    folder, known = checkout(_places(vault), digest.rpartition(":")[2], export_to)
    roots = [os.path.join(folder, path) if path not in ("", ".") else str(folder) for path in paths]
    there = [root for root in roots if os.path.isdir(root)]
    return faces.open_tree(f"{PREFIX}{told[:16]}", str(folder), there or [str(folder)], label, known)


def _places(vault: Vault) -> list[Path]:
    """Where checkouts are kept: in the vault, or, when that can only be read, in the user's cache."""
    import platformdirs

    return [vault.path / "checkouts", Path(platformdirs.user_cache_dir("reprokit")) / "checkouts"]


def _guessed(pre: PreRunInfo) -> list[str]:
    """Where the modules of a project usually lie, and where the run's own function or script lay."""
    paths = list(_USUAL)
    scripts = [word for word in pre.command or () if word.endswith(".py")]
    for file in [*scripts[:1], *([pre.source_file] if pre.source_file else [])]:
        folder = Path(os.path.normpath(Path(pre.cwd or pre.root_directory, file))).parent
        while (folder / "__init__.py").exists() and folder != folder.parent:
            folder = folder.parent
        inside = os.path.relpath(folder, pre.root_directory).replace(os.sep, "/")
        if not inside.startswith("..") and inside not in (".", *paths):
            paths.insert(0, inside)
    return paths


def _secrets_below(folder: Path) -> Iterator[str]:
    for here, _, names in os.walk(folder):
        for name in sorted(names):
            path = Path(here, name)
            if not path.is_symlink():
                for found in left_out.secrets_in([path.read_bytes()]):
                    if found:
                        yield f"{path.relative_to(folder).as_posix()}: {', '.join(found)}"
