"""Where a module's file lies in the folders of a tree: the order is that of Python's own path finder."""

from __future__ import annotations

import os
from importlib.machinery import EXTENSION_SUFFIXES
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

EXTENSIONS = tuple(EXTENSION_SUFFIXES)


class Found(NamedTuple):
    """Where a module is: its file (None: a namespace package), and the folders of a package."""

    location: str | None
    folders: tuple[str, ...]


class Locator:
    """Looks modules up in folders; what a folder holds is remembered."""

    def __init__(self) -> None:
        self._listings: dict[str, frozenset[str]] = {}

    def look(self, name: str, folders: Sequence[str]) -> Found | None:
        """Find a module by the last part of its name."""
        portions: list[str] = []
        for folder in folders:
            entries = self.listing(folder)
            if name in entries:
                below = os.path.join(folder, name)
                if "__init__.py" in self.listing(below):
                    return Found(os.path.join(below, "__init__.py"), (below,))
                if os.path.isdir(below):
                    portions.append(below)
            for suffix in (*EXTENSIONS, ".py"):
                if f"{name}{suffix}" in entries:
                    return Found(os.path.join(folder, f"{name}{suffix}"), ())
        return Found(None, tuple(portions)) if portions else None

    def listing(self, folder: str) -> frozenset[str]:
        """List a folder; what is none, or gone, is empty."""
        if folder not in self._listings:
            try:
                self._listings[folder] = frozenset(os.listdir(folder))
            except OSError:
                self._listings[folder] = frozenset()
        return self._listings[folder]

    def forget(self) -> None:
        """Look at the folders anew."""
        self._listings.clear()


def has_source(folder: str) -> bool:
    """Tell whether Python source lies anywhere below a folder."""
    return any(name.endswith(".py") for _, _, names in os.walk(folder) for name in names)
