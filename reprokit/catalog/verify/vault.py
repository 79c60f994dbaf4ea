"""The vault itself: its own document, journals, blobs, and what dead processes left."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from reprokit.catalog import survey
from reprokit.catalog.verify.report import Finding, failure, note
from reprokit.errors import VaultError
from reprokit.vault.layout import Vault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reprokit.catalog.ledger import Ledger
    from reprokit.catalog.verify.hashing import Hashing

_REMEDY = "restore it from a backup"


def document(vault: Vault) -> Iterator[Finding]:
    """Check ``vault.json``."""
    path = str(vault.path / "vault.json")
    try:
        there = vault.check()
    except VaultError as error:
        yield failure("damaged", path, str(error.args[1]))
        return
    if not there:
        yield failure("missing", path, "there is no vault.json: this folder is no vault, or its document was removed")


def journals(vault: Vault, ledger: Ledger, only: str | None = None) -> Iterator[Finding]:
    """Read all journals into the ledger; `only`: what they tell of one run."""
    problems: list[survey.Problem] = []
    for path in survey.journals(vault.path, problems):
        if only is not None and not _mentions(path, only):
            continue
        for line in survey.journal_lines(path, problems):
            if only is None or line.run_id == only:
                ledger.line(line)
    for problem in problems:
        if problem.torn:
            told = "the last line is cut short, as a crash leaves it; the run's folder tells what the line would have"
            yield note("leftover", problem.path, told)
        elif only is None:
            told = f"{problem.sentence}; the runs' folders hold the truth, only digests of their documents are lost with it"
            yield failure("damaged", problem.path, told)


def _mentions(path: Path, run_id: str) -> bool:
    try:
        with open(path, "rb") as stream:
            return any(run_id.encode() in line for line in stream)
    except OSError:
        return True  # read once more, so that the problem is told


def removed_by_hand(vault: Vault, ledger: Ledger) -> Iterator[Finding]:
    """Name runs whose folders are gone without a word; `reprokit gc` hides one before it tells the journal."""
    rows = ledger.db.execute(
        "SELECT run_id, folder FROM journal WHERE event IN ('open', 'close') AND run_id NOT IN (SELECT run_id FROM runs)"
        " AND run_id NOT IN (SELECT run_id FROM journal WHERE event = 'remove') GROUP BY run_id ORDER BY folder"
    )
    lost = [(run_id, folder) for run_id, folder in rows if not _is_hidden(vault, folder)]
    removed = _removed(vault) if lost else set()
    for run_id, folder in lost:
        if run_id not in removed:
            told = f"the run's folder is gone; {_REMEDY}, or let `reprokit gc --yes` note that it was removed"
            yield failure("run missing", f"runs/{folder}", told, run_id)


def _is_hidden(vault: Vault, folder: str) -> bool:
    return os.path.lexists(vault.runs / f".removed-{os.path.basename(folder)}")


def _removed(vault: Vault) -> set[str]:
    """Read once more which runs were removed: `reprokit gc` may be at work."""
    return {
        line.run_id
        for path in survey.journals(vault.path, [])
        for line in survey.journal_lines(path, [])
        if line.event == "remove"
    }


def duplicates(ledger: Ledger) -> Iterator[Finding]:
    """Name run ids that two folders have."""
    rows = ledger.db.execute(
        "SELECT run_id, group_concat(folder, ', ') FROM (SELECT DISTINCT run_id, folder FROM runs) GROUP BY run_id HAVING count(*) > 1"
    )
    for run_id, places in rows:
        yield failure(
            "duplicate",
            "runs",
            f"several folders hold run {run_id[:8]}: {places}; remove the copies, or move them out",
            run_id,
        )


def blobs(vault: Vault, ledger: Ledger | None, hashing: Hashing) -> Iterator[Finding]:
    """Hash all blobs anew, and look for those that runs refer to."""
    try:
        wanted, odd = _listed(vault)
    except OSError as error:
        yield failure("unreadable", str(vault.blobs), f"it can't be listed ({error.strerror or error})")
        return
    for path in odd:
        yield note("leftover", path, "no blob has such a name; a process died here, and `reprokit gc --yes` removes it")
    for digest, found in hashing.all(wanted):
        yield from _of_blob(vault, digest, found.digest, found.reason)
    if ledger is None:
        return
    for digest, run_id, path in ledger.db.execute(
        "SELECT blob, run_id, path FROM artifacts WHERE blob IS NOT NULL GROUP BY blob ORDER BY blob"
    ):
        yield from missing_blob(vault, digest, run_id, path)


def missing_blob(vault: Vault, digest: str, run_id: str, path: str) -> Iterator[Finding]:
    """Name a blob that a run refers to and that is not there."""
    if not blob_path(vault, digest).exists():
        yield failure("blob missing", digest, f"the vault no longer holds the copy of {path}; {_REMEDY}", run_id)


def one_blob(vault: Vault, digest: str, hashing: Hashing, run_id: str, path: str) -> Iterator[Finding]:
    """Check a single blob."""
    where = blob_path(vault, digest)
    if not where.exists():
        yield from missing_blob(vault, digest, run_id, path)
    else:
        found = hashing.one(str(where))
        yield from _of_blob(vault, digest, found.digest, found.reason)


def blob_path(vault: Vault, digest: str) -> Path:
    """Where a blob lies; a hostile digest leads nowhere else."""
    value = "".join(letter for letter in digest.rpartition(":")[2] if letter.isalnum())
    return vault.blobs / (value[:2] or "-") / (value[2:] or "-")


def _of_blob(vault: Vault, digest: str, found: str | None, reason: str) -> Iterator[Finding]:
    path = str(blob_path(vault, digest))
    if reason:
        yield failure("unreadable", path, f"the blob can't be read ({reason})")
    elif found is not None and found != digest:
        yield failure("blob changed", path, f"its content is {found[:15]}, not what its name says; {_REMEDY}")


def _listed(vault: Vault) -> tuple[list[tuple[str, str]], list[str]]:
    """Give all blobs, as digest and path, and what is none."""
    found: list[tuple[str, str]] = []
    odd: list[str] = []
    if not vault.blobs.is_dir():
        return found, odd
    for folder in sorted(os.listdir(vault.blobs)):
        place = vault.blobs / folder
        names = sorted(os.listdir(place)) if place.is_dir() else [""]
        for name in names:
            digits = folder + name
            if len(folder) == 2 and len(digits) == 64 and all(letter in "0123456789abcdef" for letter in digits):
                found.append((f"sha256:{digits}", str(place / name)))
            else:
                odd.append(str(place / name) if name else str(place))
    return found, odd


def leftovers(vault: Vault) -> Iterator[Finding]:
    """Name temporary files and half-removed folders: they harm nothing."""
    for path in temporary(vault):
        yield note(
            "leftover",
            str(path),
            "a temporary file of a process that died or is at work; `reprokit gc --yes` removes it",
        )


def temporary(vault: Vault) -> Iterator[Path]:
    """Give what only a process at work, or one that died, has in a vault."""
    for folder, prefixes, suffix in (
        (vault.path, (".",), ".tmp"),
        (vault.path, (".code-", ".removed-"), ""),
        (vault.runs, (".removed-",), ""),
        (vault.blobs, (".removed-",), ""),
    ):
        try:
            with os.scandir(folder) as entries:
                names = [
                    entry.name for entry in entries if entry.name.startswith(prefixes) and entry.name.endswith(suffix)
                ]
        except OSError:
            continue
        yield from (folder / name for name in sorted(names))
    for place in [*_folders(vault.runs), *_folders(vault.reuse)]:
        try:
            yield from (
                Path(place, name)
                for name in sorted(os.listdir(place))
                if name.startswith(".") and name.endswith(".tmp")
            )
        except OSError:
            continue


def _folders(place: Path) -> list[str]:
    try:
        with os.scandir(place) as entries:
            return sorted(entry.path for entry in entries if not entry.name.startswith(".") and entry.is_dir())
    except OSError:
        return []
