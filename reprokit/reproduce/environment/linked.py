"""Editable packages that can't be built here: their folder is put on the path."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from reprokit.reproduce.environment.wanted import Wanted


def link(wanted: Wanted, snapshot: Path, packages: Path, python_path: list[str], reason: str) -> str:
    """Let an environment find a package's folder in the snapshot, and its version; give a note that says so.

    Entry points and compiled modules are not made.
    """
    inside = wanted.inside or ""
    named = [one for one in python_path if not inside or one == inside or one.startswith(f"{inside}/")]
    likely = posixpath.join(inside, "src")
    entries = named or [likely if (snapshot / likely).is_dir() else inside]
    folders = [str(path) for one in entries if (path := snapshot / one).is_dir()]
    stem = wanted.name.replace("-", "_")
    (packages / f"reprokit-linked-{stem}.pth").write_text("".join(f"{one}\n" for one in folders), encoding="utf-8")
    told = packages / f"{stem}-{wanted.version}.dist-info"
    told.mkdir(exist_ok=True)
    text = f"Metadata-Version: 2.1\nName: {wanted.name}\nVersion: {wanted.version}\n"
    (told / "METADATA").write_text(text, encoding="utf-8")
    return (
        f"{wanted.said} can't be built here, so its folder was put on the path, without commands and compiled modules "
        f"({reason})"
    )
